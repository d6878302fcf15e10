//! Debian's browsers, as root and without a screen: the page of `tidegate demo`, and a page that a plain backend
//! serves and that uses nothing but `new WebSocket(url)` and `new EventSource(url)`.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use tidegate_end_to_end::backend::{Backend, Reply};
use tidegate_end_to_end::document::Document;
use tidegate_end_to_end::gateway::Gateway;
use tidegate_end_to_end::http::Request;
use tidegate_end_to_end::script::Script;
use tidegate_test_tools::need;

/// Opens a page that is to meet these conditions one after another.
fn open(node: &Path, chromium: &Path, url: &str, conditions: &[Value]) -> Script {
    drive(node, "browser.mjs", chromium, url, conditions)
}

/// The same in the browser that a script drives.
fn drive(node: &Path, script: &str, browser: &Path, url: &str, conditions: &[Value]) -> Script {
    let folder = tidegate_test_tools::folder();
    let mut command = Command::new(node);
    command.arg(folder.join(script)).arg(browser).arg(url).current_dir(folder);
    Script::start_on_leash(command.args(conditions.iter().map(Value::to_string)))
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

/// With TLS a browser chooses HTTP/2, and opens its WebSocket by an extended CONNECT on the page's connection.
fn check_http2(node: &Path, script: &str, browser: &Path) {
    let document = Document::new("1");
    let kept = document.clone();
    let backend = Backend::start(move |asked| match asked.target.as_str() {
        "/page" => Reply::ok(PAGE).header("Content-Type", "text/html"),
        _ => kept.reply(asked),
    });
    let folder = tempfile::tempdir().expect("a temporary folder");
    let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let (certificate, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    std::fs::write(&certificate, own.cert.pem()).expect("a file in a temporary folder");
    std::fs::write(&key, own.signing_key.serialize_pem()).expect("a file in a temporary folder");
    let [certificate, key] = [certificate, key].map(|path| path.display().to_string());
    let gateway = Gateway::before(&backend.url(), &["--tls-certificate", &certificate, "--tls-key", &key]);
    let url = format!("https://localhost:{}/page", gateway.public().port());
    let mut page = drive(node, script, browser, &url, &[both("1"), both("2")]);
    page.event("opened");
    page.event("holds");
    let list = gateway.ask_admin(Request::get("/connections")).json();
    let all = list["connections"].as_array().expect("a list");
    let mut doors: Vec<_> = all.iter().map(|one| (one["door"].as_str(), one["transport"].as_str())).collect();
    doors.sort_unstable();
    assert_eq!(doors, [(Some("event_stream"), Some("h2")), (Some("websocket"), Some("h2"))], "{list}");
    assert!(all.iter().all(|one| one["tls"] == "1.3"), "{list}");
    document.set("2");
    page.event("holds");
    assert_eq!(page.event("complaints")["complaints"], json!([]));
    page.succeeded();
}

#[test]
fn chromium_opens_its_websocket_on_the_pages_connection() {
    let (node, chromium) = (need!(node), need!(chromium));
    check_http2(&node, "browser.mjs", &chromium);
}

#[test]
fn firefox_opens_its_websocket_on_the_pages_connection() {
    let (node, firefox) = (need!(node), need!(firefox));
    check_http2(&node, "firefox.mjs", &firefox);
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

/// A page of another origin that asks at each HTTP door with fields that a browser asks leave for first.
const FETCHING: &str = r#"<!doctype html><title>fetch</title><link rel="icon" href="data:,"><script>
const seen = document.documentElement.dataset;
const url = "http://GATEWAY/x";
const headers = { Authorization: "Bearer of-the-page", "Last-Event-ID": "" };
const follow = async (name, accept, found) => {
  const answer = await fetch(url, { headers: { ...headers, Accept: accept }, credentials: "include" });
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let text = ""; ; ) {
    const { value, done } = await reader.read();
    if (done) break;
    const values = [...(text += value).matchAll(found)];
    if (values.length) seen[name] = values.at(-1)[1];
  }
};
follow("stream", "text/event-stream", /\ndata: (\d+)\n/g);
follow("lines", "application/x-ndjson", /"data":(\d+)/g);
const poll = async (after) => {
  const answer = await fetch(`${url}?wait=20${after}`, { headers });
  const position = answer.headers.get("Tidegate-Position");
  if (answer.status === 200) seen.poll = (await answer.json()).publications.at(-1).data;
  if (answer.ok) poll(`&after=${position}`);
};
poll("");
fetch(url, { headers }).then(() => { seen.plain = "read"; }, () => { seen.plain = "refused"; });
</script>"#;

fn check_fetching(node: &Path, script: &str, browser: &Path) {
    let document = Document::new("1");
    let (kept, address) = (document.clone(), std::sync::Arc::new(std::sync::OnceLock::new()));
    let of_gateway = std::sync::Arc::clone(&address);
    let backend = Backend::start(move |asked| match asked.target.as_str() {
        "/page" => {
            let gateway: &String = of_gateway.get().expect("the gateway runs before the page is opened");
            Reply::ok(FETCHING.replace("GATEWAY", gateway)).header("Content-Type", "text/html")
        }
        _ => kept.reply(asked),
    });
    let url = backend.url();
    let gateway = Gateway::configured(&format!(
        "[access]\norigins = [\"{url}\"]\n[[route]]\npath = \"/x\"\n\
         poll = {{ url = \"{url}/x\", interval = \"100ms\" }}\ndoors = [\"longpoll\", \"ndjson\"]\n"
    ));
    address.set(gateway.public().to_string()).expect("it is set once");
    let all = |number: &str| json!({ "stream": number, "lines": number, "poll": number, "plain": "refused" });
    let mut page = drive(node, script, browser, &format!("{url}/page"), &[all("1"), all("2")]);
    page.event("opened");
    page.event("holds");
    document.set("2");
    page.event("holds");
    // What passes through has no word of the server about foreign pages, and the browser complains of it.
    page.event("complaints");
    page.succeeded();
}

#[test]
fn a_page_of_another_origin_fetches_from_every_door_in_chromium() {
    let (node, chromium) = (need!(node), need!(chromium));
    check_fetching(&node, "browser.mjs", &chromium);
}

#[test]
fn a_page_of_another_origin_fetches_from_every_door_in_firefox() {
    let (node, firefox) = (need!(node), need!(firefox));
    check_fetching(&node, "firefox.mjs", &firefox);
}
