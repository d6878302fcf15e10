//! The page of the admin listener in both browsers, over a real gateway with real clients: what it shows of them, and
//! that nothing a client sends does anything to it.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use tidegate_end_to_end::gateway::Gateway;
use tidegate_end_to_end::http::Request;
use tidegate_end_to_end::script::Script;
use tidegate_end_to_end::websocket::WebSocket;
use tidegate_test_tools::need;

/// The page in a browser.
struct Page(Script);

impl Page {
    fn open(node: &Path, browser: (&str, &Path), url: &str) -> Self {
        let folder = tidegate_test_tools::folder();
        let mut command = Command::new(node);
        command.arg(folder.join("inspector.mjs")).arg(browser.0).arg(browser.1).arg(url);
        let mut script = Script::start_on_leash(command.current_dir(folder));
        script.event("opened");
        Self(script)
    }

    /// Takes a step, and waits until it is done.
    #[track_caller]
    fn step(&mut self, order: &Value) -> Value {
        self.0.say(order);
        self.0.event("done")
    }

    /// Waits until an element is there that holds this text.
    #[track_caller]
    fn shows(&mut self, selector: &str, text: &str) {
        self.step(&json!({ "wait": selector, "text": text }));
    }

    /// Sends this until the page shows it: the gateway looks at so much a moment and no more, and what was sent just
    /// before may have been more.
    #[track_caller]
    fn shows_again(&mut self, client: &mut WebSocket, text: &str) {
        for _ in 0..20 {
            client.send(text);
            client.came();
            for _ in 0..50 {
                let rows = self.step(&json!({ "read": ".events .row" }));
                let rows = rows["texts"].as_array().expect("texts");
                if rows.iter().any(|row| row["text"].as_str().is_some_and(|row| row.contains(text))) {
                    return;
                }
            }
        }
        panic!("the page never shows {text:?}");
    }

    #[track_caller]
    fn press(&mut self, key: &str) {
        self.step(&json!({ "press": key }));
    }

    #[track_caller]
    fn go(&mut self, place: &str) {
        self.step(&json!({ "go": place }));
    }

    /// It has done nothing that it must not, and its address holds no token.
    #[track_caller]
    fn stays_innocent(mut self, gateway: &Gateway) {
        self.0.say(&json!({ "judge": true }));
        let judged = self.0.event("judged");
        for list in ["forbidden", "elsewhere", "complaints", "dialogs"] {
            assert_eq!(judged[list], json!([]), "{judged}");
        }
        assert_eq!((&judged["executed"], &judged["foreign"]), (&Value::Null, &json!(0)), "{judged}");
        assert!(!judged["address"].as_str().expect("an address").contains(gateway.token()), "{judged}");
        self.0.succeeded();
    }
}

/// The address that the gateway prints.
fn address(gateway: &Gateway) -> String {
    format!("http://{}/#token={}", gateway.admin(), gateway.token())
}

const CHAT: &str = "[[route]]\npath = \"/chat/{room}\"\nchannel = {}\npublish = \"anyone\"\n\
                    history = { size = 100 }\n";

/// The id of the only open connection.
fn only_connection(gateway: &Gateway) -> String {
    let list = gateway.ask_admin(Request::get("/connections")).json();
    list["connections"][0]["id"].as_str().expect("a connection").to_owned()
}

fn check_frames(node: &Path, browser: (&str, &Path)) {
    let gateway = Gateway::configured(CHAT);
    let mut client = WebSocket::open(gateway.public(), "/chat/7");
    gateway.wait_subscribers("chat/7", 1);
    let id = only_connection(&gateway);
    let mut page = Page::open(node, browser, &address(&gateway));
    page.shows(".pulse", "live");
    page.shows(".row", "/chat/7");
    // By keyboard: the row is chosen and opened.
    page.press("j");
    page.shows(".row[aria-selected=true]", "/chat/7");
    page.press("Enter");
    page.shows("h1", &id);
    page.shows("[role=tab][aria-selected=true]", "Frames");
    page.shows(".facts", "/chat/{room}");
    // What is captured is what comes from now on.
    page.shows(".events .row", "watching began");
    client.send(r#"{"price":1}"#);
    assert_eq!(client.text(), r#"{"price":1}"#);
    gateway.publish("chat/7", "to all");
    page.shows(".events .row", r#"{"price":1}"#);
    page.shows(".events .row", "to all");
    page.press("/");
    page.step(&json!({ "type": "price dir:out" }));
    page.press("Enter");
    page.press("j");
    page.shows(".detail .fields", "masked: a client sent it");
    page.shows(".detail .tree", "price");
    page.press("x");
    page.shows(".detail .hex", "7b 22 70 72 69 63 65 22");
    page.press("Escape");
    page.press("Escape");
    // A pause, and what has come since.
    page.press(" ");
    gateway.publish("chat/7", "while it is paused");
    page.shows("button[aria-pressed=true]", "1 new");
    page.press(" ");
    page.shows(".events .row", "while it is paused");
    // Only what the filter says; what is wrong with it has its place.
    page.press("/");
    page.step(&json!({ "type": "dir:out op:tex" }));
    page.shows(".search [role=alert]", "Column 12");
    page.step(&json!({ "type": "t" }));
    page.shows(".foot", "1 of ");
    page.press("Escape");
    page.press("Escape");
    page.press("]");
    page.shows(".checks .met", "Upgrade");
    page.shows(".headers", "GET /chat/7 HTTP/1.1");
    client.close();
    page.go(&format!("#/connection/{id}/close"));
    page.shows(".closed .big", "1000");
    page.shows(".closed", "the client");
    page.go("#/connections?preset=closed");
    page.shows(".row.over", "/chat/7");
    page.stays_innocent(&gateway);
}

#[test]
fn a_connection_is_followed_from_its_handshake_to_its_end_in_chromium() {
    check_frames(&need!(node), ("chromium", &need!(chromium)));
}

#[test]
fn a_connection_is_followed_from_its_handshake_to_its_end_in_firefox() {
    check_frames(&need!(node), ("firefox", &need!(firefox)));
}

/// What somebody may send who wishes the operator ill.
const HOSTILE: &[&str] = &[
    "<script>window.executed = 1</script>",
    "<img src=x onerror=\"window.executed = 2\"><svg onload=\"executed=3\">",
    "javascript:window.executed=4",
    "\u{1b}]0;owned\u{7}\u{1b}[31m\u{9b}2J",
    "invoice\u{202e}gpj.exe \u{2066}hidden\u{2069}\u{200f}",
    "{\"__proto__\":{\"executed\":5},\"constructor\":\"<iframe src=//evil.example>\",\"\u{202e}key\":\"</pre><script>executed=6</script>\"}",
    "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]",
    "${7*7}{{7*7}}<%= 7 %>&lt;b&gt;&#x3c;script&#x3e;",
];

fn check_hostile(node: &Path, browser: (&str, &Path)) {
    let limits =
        "[limits]\nws_max_message = \"16MiB\"\nmax_publication = \"16MiB\"\nws_out_queue_bytes = \"64MiB\"\n";
    let gateway = Gateway::configured(&format!("{limits}{CHAT}"));
    let mut client = WebSocket::open(gateway.public(), "/chat/%3Cscript%3Eexecuted=7");
    let id = only_connection(&gateway);
    let mut page = Page::open(node, browser, &address(&gateway));
    page.shows(".row", "/chat/");
    page.go(&format!("#/connection/{id}/frames"));
    page.shows(".events .row", "watching began");
    for payload in HOSTILE {
        client.send(payload);
        assert_eq!(client.text(), *payload);
    }
    client.send_binary(&[0xff, 0xfe, 0x00, 0x1b, b'<', b'b', b'>']);
    client.came();
    let large = format!("\"{}\u{202e}\"", "<b>".repeat(10 * 1024 * 1024 / 3));
    client.send(&large);
    client.came();
    page.shows_again(&mut client, "the last one");
    page.shows(".events .row", "invoice\\u{202e}gpj.exe \\u{2066}hidden");
    page.shows(".events .row", "\\u{1b}]0;owned\\u{7}");
    // Each of them is opened, in every way of looking at it.
    page.press("g");
    for _ in 0..2 * (HOSTILE.len() + 2) {
        for way in ["t", "r", "x"] {
            page.press(way);
        }
        page.shows(".detail .payload", "");
        page.press("j");
    }
    let rows = page.step(&json!({ "read": ".events .row, .events .inert" }));
    for one in rows["texts"].as_array().expect("texts") {
        assert_eq!(one["direction"], "ltr", "{one}");
        let text = one["text"].as_str().expect("a text");
        assert!(
            !text.chars().any(|it| it.is_control() || ('\u{202a}'..='\u{202e}').contains(&it)),
            "{text:?}"
        );
    }
    page.go("#/live");
    page.shows(".events .row", "watching began");
    client.send(HOSTILE[1]);
    client.came();
    page.shows(".events .row", "onerror");
    page.go("#/channels");
    page.shows(".row", "chat/<script");
    page.press("j");
    page.press("Enter");
    page.shows(".row", "onerror");
    page.go("#/handshakes");
    page.shows(".row", "GET /chat/");
    page.stays_innocent(&gateway);
}

#[test]
fn nothing_that_a_client_sends_does_anything_in_chromium() {
    check_hostile(&need!(node), ("chromium", &need!(chromium)));
}

#[test]
fn nothing_that_a_client_sends_does_anything_in_firefox() {
    check_hostile(&need!(node), ("firefox", &need!(firefox)));
}

#[test]
fn the_page_asks_for_a_token_and_says_that_one_is_wrong() {
    let (node, chromium) = (need!(node), need!(chromium));
    let gateway = Gateway::configured(CHAT);
    let mut page = Page::open(&node, ("chromium", &chromium), &format!("http://{}/", gateway.admin()));
    page.shows("label", "Admin token");
    for (token, selector, text) in
        [("wrong", "[role=alert]", "refuses this token"), (gateway.token(), ".pulse", "live")]
    {
        page.step(&json!({ "click": "#token" }));
        page.step(&json!({ "press": "Control+a" }));
        page.step(&json!({ "type": token }));
        page.press("Enter");
        page.shows(selector, text);
    }
    page.go("#/figures");
    page.shows(".chart", "Connections");
    page.go("#/backends");
    page.shows(".empty", "Nothing is asked of any backend");
}

#[test]
fn a_channel_is_followed_and_published_to_from_the_page() {
    let (node, chromium) = (need!(node), need!(chromium));
    let gateway = Gateway::configured(CHAT);
    let mut client = WebSocket::open(gateway.public(), "/chat/7");
    gateway.wait_subscribers("chat/7", 1);
    let mut page = Page::open(&node, ("chromium", &chromium), &address(&gateway));
    page.go("#/channel/chat%2F7");
    page.shows(".facts", "Subscribers1");
    page.step(&json!({ "click": "textarea" }));
    page.step(&json!({ "type": "from the page" }));
    page.step(&json!({ "click": "button[type=submit]" }));
    assert_eq!(client.text(), "from the page");
    page.shows(".row", "from the page");
    page.shows("[role=status]", "published at ");
    // A connection is closed with a code, from a dialog.
    let id = only_connection(&gateway);
    page.go(&format!("#/connection/{id}/handshake"));
    page.shows(".chip", "open");
    page.press("c");
    page.step(&json!({ "click": "dialog input" }));
    page.step(&json!({ "press": "Control+a" }));
    page.step(&json!({ "type": "4000" }));
    page.step(&json!({ "click": "dialog button[type=submit]" }));
    assert_eq!(client.closed().0, 4000);
    page.shows(".chip", "closed");
    page.stays_innocent(&gateway);
}
