//! Debian's browser, as root and without a screen: the page of `tidegate demo`, and a page that a plain backend
//! serves and that uses nothing but `new WebSocket(url)` and `new EventSource(url)`.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use tidegate_end_to_end::backend::{Backend, Reply};
use tidegate_end_to_end::document::Document;
use tidegate_end_to_end::gateway::Gateway;
use tidegate_end_to_end::script::Script;
use tidegate_test_tools::need;

/// Opens a page that is to meet these conditions one after another.
fn open(node: &Path, chromium: &Path, url: &str, conditions: &[Value]) -> Script {
    let folder = tidegate_test_tools::folder();
    let mut command = Command::new(node);
    command.arg(folder.join("browser.mjs")).arg(chromium).arg(url).current_dir(folder);
    Script::start(command.args(conditions.iter().map(Value::to_string)))
}

/// Both figures of a page are this number.
fn both(number: &str) -> Value {
    json!({ "websocket": number, "eventsource": number })
}

#[test]
fn the_page_of_the_demo_shows_live_figures() {
    let (node, chromium) = (need!(node), need!(chromium));
    let gateway = Gateway::demo();
    let conditions = [
        json!({ "websocketMessages": 2 }),
        json!({ "eventsourceMessages": 2 }),
        json!({ "websocketMessages": 4, "websocketState": "open" }),
    ];
    let mut page = open(&node, &chromium, &gateway.http("/"), &conditions);
    page.event("opened");
    conditions
        .iter()
        .for_each(|condition| assert_eq!(page.event("holds")["condition"], condition.to_string()));
    assert_eq!(page.event("complaints")["complaints"], json!([]));
    page.succeeded();
}

/// Six lines of script, and no word of a library.
const PAGE: &str = r#"<!doctype html><title>bare</title><link rel="icon" href="data:,"><script>
const seen = document.documentElement.dataset;
const socket = new WebSocket(location.href.replace("http", "ws").replace("page", "x"));
socket.onmessage = ({ data }) => { seen.websocket = data; };
socket.onclose = ({ code }) => { seen.code = code; };
new EventSource("/x").onmessage = ({ data }) => { seen.eventsource = data; };
</script>"#;

/// A page with the gateway's address instead of its own, as it stays when a backend keeps its port.
fn page_for(gateway: &str) -> String {
    let socket = format!("\"ws://{gateway}/x\"");
    let page = PAGE.replace(r#"location.href.replace("http", "ws").replace("page", "x")"#, &socket);
    page.replace("\"/x\"", &format!("\"http://{gateway}/x\", {{ withCredentials: true }}"))
}

#[test]
fn a_page_needs_nothing_but_what_browsers_have() {
    let (node, chromium) = (need!(node), need!(chromium));
    let document = Document::new("1");
    let kept = document.clone();
    let backend = Backend::start(move |asked| match asked.target.as_str() {
        "/page" => Reply::ok(PAGE).header("Content-Type", "text/html"),
        _ => kept.reply(asked),
    });
    let gateway = Gateway::before(&backend.url(), &[]);
    let mut page = open(&node, &chromium, &gateway.http("/page"), &[both("1"), both("2")]);
    page.event("opened");
    page.event("holds");
    document.set("2");
    page.event("holds");
    assert_eq!(page.event("complaints")["complaints"], json!([]));
    page.succeeded();
}

#[test]
fn a_page_of_the_backends_own_port_may_connect() {
    let (node, chromium) = (need!(node), need!(chromium));
    let document = Document::new("1");
    let (kept, address) = (document.clone(), std::sync::Arc::new(std::sync::OnceLock::new()));
    let of_gateway = std::sync::Arc::clone(&address);
    let backend = Backend::start(move |asked| match asked.target.as_str() {
        "/page" => {
            let gateway: &String = of_gateway.get().expect("the gateway runs before the page is opened");
            Reply::ok(page_for(gateway)).header("Content-Type", "text/html")
        }
        _ => kept.reply(asked),
    });
    let gateway = Gateway::before(&backend.url(), &[]);
    address.set(gateway.public().to_string()).expect("it is set once");
    let mut page = open(&node, &chromium, &format!("{}/page", backend.url()), &[both("1"), both("2")]);
    page.event("opened");
    page.event("holds");
    document.set("2");
    page.event("holds");
    assert_eq!(page.event("complaints")["complaints"], json!([]));
    page.succeeded();
}
