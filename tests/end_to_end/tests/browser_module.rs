//! The browser module in Debian's browsers: a page follows a document through a network that breaks, behind proxies
//! that let less and less through, and has each of its states once and in order.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::process::Signal;
use serde_json::{Value, json};
use tidegate_end_to_end::backend::{Backend, Reply};
use tidegate_end_to_end::gateway::Gateway;
use tidegate_end_to_end::nginx::Nginx;
use tidegate_end_to_end::relay::{Relay, Target};
use tidegate_end_to_end::script::Script;
use tidegate_end_to_end::websocket::WebSocket;
use tidegate_test_tools::need;

/// Shows what the module tells: the number in each document, how many came as changes, what the last one was.
const PAGE: &str = r#"<!doctype html><title>module</title><link rel="icon" href="data:,"><script type="module">
import { connect } from "/tidegate.js";
const seen = document.documentElement.dataset;
const asked = new URLSearchParams(location.search);
const numbers = [];
// Waits no longer than until the test lets it, as if the network had come back.
const hurry = async () => {
  const go = await fetch("/go").then(({ ok }) => ok, () => false);
  if (go) dispatchEvent(new Event("online"));
  else setTimeout(hurry, 100);
};
const base64url = (bytes) => btoa(String.fromCharCode(...bytes)).replace(/\+/g, "-").replace(/\//g, "_").replace(/=/g, "");
// A token of this page for so many seconds, as its login server would make it.
const token = async () => {
  seen.tokens = Number(seen.tokens) + 1;
  const bytes = (text) => new TextEncoder().encode(text);
  const secret = bytes("0123456789abcdef0123456789abcdef");
  const key = await crypto.subtle.importKey("raw", secret, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  const exp = Math.floor(Date.now() / 1000) + Number(asked.get("token"));
  const parts = [{ alg: "HS256" }, { sub: "page", exp, channels: ["{*all}"] }];
  const text = parts.map((part) => base64url(bytes(JSON.stringify(part)))).join(".");
  return `${text}.${base64url(new Uint8Array(await crypto.subtle.sign("HMAC", key, bytes(text))))}`;
};
Object.assign(seen, { gaps: 0, changes: 0, breaks: 0, tokens: 0 });
connect(asked.get("channel") ?? "/state/a", {
  updates: "json-patch",
  patience_ms: 3000,
  token: asked.has("token") ? token : undefined,
  onopen({ transport, recovered }) {
    seen.transport = transport;
    if (!recovered) seen.gaps = Number(seen.gaps) + 1;
  },
  onmessage({ data, patch }) {
    if (patch) seen.changes = Number(seen.changes) + 1;
    seen.document = JSON.stringify(data);
    numbers.push(data.number);
    seen.numbers = numbers.join(" ");
  },
  onpresence({ present, join, leave, count }) {
    seen.count = count;
    if (present) seen.present = present.map(({ id }) => id).join(" ");
    if (join) seen.joined = join.id;
    if (leave) seen.left = leave.id;
  },
  onerror({ code, reconnect_in_ms }) {
    if (code !== "connection") return;
    seen.breaks = Number(seen.breaks) + 1;
    seen.wait ??= reconnect_in_ms;
    if (asked.has("hurry")) hurry();
  },
  onclose({ code, reason }) {
    seen.closed = `${code} ${reason}`;
  },
});
</script>"#;

/// A browser and the script that drives it.
struct Browser {
    node: PathBuf,
    program: PathBuf,
    script: &'static str,
}

impl Browser {
    /// Opens a page that is to meet these conditions one after another.
    fn open(&self, url: &str, conditions: &[Value]) -> Script {
        let folder = tidegate_test_tools::folder();
        let mut command = Command::new(&self.node);
        command.arg(folder.join(self.script)).arg(&self.program).arg(url).current_dir(folder);
        Script::start_on_leash(command.args(conditions.iter().map(Value::to_string)))
    }
}

/// A gateway with a document to publish to, before a server that has the page.
struct Site {
    gateway: Gateway,
    configuration: String,
    go: Arc<AtomicBool>,
    backend: Backend,
}

impl Site {
    fn new() -> Self {
        let file = tidegate_test_tools::browser_module().join("dist/tidegate.js");
        let module = std::fs::read_to_string(&file).expect("the module is committed");
        let go = Arc::new(AtomicBool::new(false));
        let may_go = Arc::clone(&go);
        let backend = Backend::start(move |asked| match asked.target.split('?').next().unwrap_or_default() {
            "/page" => Reply::ok(PAGE).header("Content-Type", "text/html"),
            "/tidegate.js" => Reply::ok(module.as_str()).header("Content-Type", "text/javascript"),
            "/polled" => Reply::ok(Self::document(1)).header("Content-Type", "application/json"),
            "/go" if may_go.load(Ordering::Relaxed) => Reply::ok("yes"),
            _ => Reply::status(404),
        });
        let url = backend.url();
        let configuration = format!(
            "[access]\norigins = [\"{url}\"]\ntokens = {{ algorithm = \"HS256\", secret = \"0123456789abcdef0123456789abcdef\" }}\n\
             [limits]\ndrain_grace = \"100ms\"\ndrain_spread = \"100ms\"\ndrain_deadline = \"5s\"\n\
             [[route]]\npath = \"/state/{{name}}\"\nchannel = {{}}\nupdates = \"json-patch\"\n\
             history = {{ size = 100, ttl = \"5m\" }}\n\
             [[route]]\npath = \"/secret/{{name}}\"\nchannel = {{}}\nsubscribe = \"token\"\n\
             updates = \"json-patch\"\nhistory = {{ size = 100, ttl = \"5m\" }}\n\
             [[route]]\npath = \"/room/{{name}}\"\nchannel = {{}}\npresence = true\n\
             [[route]]\npath = \"/polled\"\npoll = {{ url = \"{url}/polled\" }}\nsubscribe = \"token\"\n\
             [[route]]\npath = \"/{{*rest}}\"\nauto = {{ url = \"{url}\" }}\n"
        );
        Self { gateway: Gateway::configured(&configuration), configuration, go, backend }
    }

    /// The document with this number, much larger than a change of it.
    fn document(number: u32) -> String {
        json!({ "number": number, "rest": "0123456789".repeat(50) }).to_string()
    }

    fn publish(&self, number: u32) {
        self.gateway.publish("state/a", &Self::document(number));
    }

    /// Ends the gateway in its own time, and starts another one in its place.
    fn restart(self) -> Self {
        let public = self.gateway.public();
        self.gateway.signal(Signal::TERM);
        self.gateway.ended();
        Self { gateway: Gateway::configured_at(public, &self.configuration), ..self }
    }
}

/// A page sees a document and its change, is cut off while it changes twice, and sees all of it.
fn check(browser: &Browser, site: &Site, relay: &Relay, transport: &str) {
    let after = |numbers: &str| json!({ "numbers": numbers, "transport": transport, "gaps": "0" });
    // A request without an answer is sent again by the browser itself, and the page sees no break.
    let breaks = if transport == "longpoll" { 0 } else { 1 };
    let conditions = [
        after("1"),
        after("1 2"),
        json!({ "numbers": "1 2 3 4", "breaks": breaks }),
        json!({
            "numbers": "1 2 3 4 5", "transport": transport, "gaps": "0", "changes": "4",
            "document": Site::document(5),
        }),
    ];
    site.publish(1);
    let mut page = browser.open(&relay.http("/page"), &conditions);
    page.event("opened");
    page.event("holds");
    site.publish(2);
    page.event("holds");
    relay.cut();
    site.publish(3);
    site.publish(4);
    relay.mend();
    page.event("holds");
    site.publish(5);
    page.event("holds");
    page.succeeded();
}

fn check_websocket(browser: &Browser) {
    let site = Site::new();
    let relay = Relay::to(Target::Tcp(site.gateway.public()));
    check(browser, &site, &relay, "websocket");
}

/// Behind nginx with these directives.
fn check_proxy(browser: &Browser, nginx: &Path, directives: &str, transport: &str) {
    let site = Site::new();
    let proxy = Nginx::before(nginx, site.gateway.public(), directives);
    let relay = Relay::to(Target::Unix(proxy.socket()));
    check(browser, &site, &relay, transport);
}

/// A gateway restarts and has forgotten everything: the page waits as it was told, comes back and is told of the gap.
fn check_restart(browser: &Browser) {
    let site = Site::new();
    site.publish(1);
    // What gateways ask for is longer than the module's own first pause.
    let conditions =
        [json!({ "numbers": "1" }), json!({ "gaps": "1", "wait": 500 }), json!({ "numbers": "1 2" })];
    let mut page = browser.open(&site.gateway.http("/page?hurry"), &conditions);
    page.event("opened");
    page.event("holds");
    let site = site.restart();
    site.go.store(true, Ordering::Relaxed);
    page.event("holds");
    site.publish(2);
    page.event("holds");
    page.succeeded();
}

/// A browser does not tell why a WebSocket is refused: the module does, and asks no more.
fn check_refusal(browser: &Browser) {
    let site = Site::new();
    let conditions =
        [json!({ "closed": "401 this needs a token: send 'Authorization: Bearer TOKEN' (TG-3001)" })];
    let mut page = browser.open(&site.gateway.http("/page?channel=/secret/a"), &conditions);
    page.event("opened");
    let seen = &page.event("holds")["seen"];
    assert_eq!((&seen["breaks"], &seen["transport"]), (&json!("0"), &Value::Null));
    page.succeeded();
}

/// A token ends while a page follows a channel: it brings the next one, and misses nothing.
fn check_tokens(browser: &Browser, site: &Site, relay: &Relay, transport: &str) {
    let conditions = [
        json!({ "numbers": "1", "transport": transport, "breaks": "0" }),
        json!({ "breaks": 1 }),
        json!({ "numbers": "1 2 3", "transport": transport, "gaps": "0", "changes": "2" }),
    ];
    let publish = |number| site.gateway.publish("secret/a", &Site::document(number));
    publish(1);
    // Who polls has waited for events before.
    let seconds = if transport == "longpoll" { 6 } else { 2 };
    let target = format!("/page?channel=/secret/a&token={seconds}");
    let mut page = browser.open(&relay.http(&target), &conditions);
    page.event("opened");
    page.event("holds");
    publish(2);
    page.event("holds");
    publish(3);
    let seen = &page.event("holds")["seen"];
    let tokens: u32 = seen["tokens"].as_str().and_then(|count| count.parse().ok()).expect("a number");
    assert!(tokens >= 2, "one for each connection: {seen}");
    assert_eq!(seen["closed"], Value::Null);
    page.succeeded();
}

fn check_tokens_on_websocket(browser: &Browser) {
    let site = Site::new();
    let relay = Relay::to(Target::Tcp(site.gateway.public()));
    check_tokens(browser, &site, &relay, "websocket");
}

fn check_tokens_behind_proxy(browser: &Browser, nginx: &Path, directives: &str, transport: &str) {
    let site = Site::new();
    let proxy = Nginx::before(nginx, site.gateway.public(), directives);
    check_tokens(browser, &site, &Relay::to(Target::Unix(proxy.socket())), transport);
}

/// A page of another origin reads the events of a polled document, where a browser would ask the server behind the
/// route whether it may send a header.
fn check_foreign_page(browser: &Browser, nginx: &Path) {
    let site = Site::new();
    let proxy = Nginx::before(nginx, site.gateway.public(), NO_UPGRADE);
    let relay = Relay::to(Target::Unix(proxy.socket()));
    let url = format!("{}/page?token=60&channel={}", site.backend.url(), relay.http("/polled"));
    let mut page = browser.open(&url, &[json!({ "numbers": "1", "transport": "sse", "gaps": "0" })]);
    page.event("opened");
    page.event("holds");
    page.succeeded();
}

/// Somebody comes and goes, and the page is told.
fn check_presence(browser: &Browser, site: &Site, relay: &Relay, transport: &str) {
    let conditions =
        [json!({ "count": "1", "transport": transport }), json!({ "count": "2" }), json!({ "count": "1" })];
    let mut page = browser.open(&relay.http("/page?channel=/room/a"), &conditions);
    page.event("opened");
    let own = page.event("holds")["seen"]["present"].clone();
    let mut other = WebSocket::enveloped(site.gateway.public(), "/room/a");
    let open = other.json();
    assert_eq!(open["present"][0]["id"], own);
    let id = &open["present"][1]["id"];
    assert_eq!(&page.event("holds")["seen"]["joined"], id);
    drop(other);
    assert_eq!(&page.event("holds")["seen"]["left"], id);
    page.succeeded();
}

/// Over a WebSocket, and with events behind a proxy.
fn check_presence_twice(browser: &Browser, nginx: &Path) {
    let site = Site::new();
    check_presence(browser, &site, &Relay::to(Target::Tcp(site.gateway.public())), "websocket");
    let proxy = Nginx::before(nginx, site.gateway.public(), NO_UPGRADE);
    check_presence(browser, &site, &Relay::to(Target::Unix(proxy.socket())), "sse");
}

/// As nginx comes: it hands on no upgrade.
const NO_UPGRADE: &str = "";

/// It keeps what an event stream says until there is enough of it.
const KEEPS_STREAMS: &str = "proxy_ignore_headers X-Accel-Buffering;";

#[test]
fn chromium_misses_nothing_over_a_websocket() {
    let (node, program) = (need!(node), need!(chromium));
    check_websocket(&Browser { node, program, script: "browser.mjs" });
}

#[test]
fn firefox_misses_nothing_over_a_websocket() {
    let (node, program) = (need!(node), need!(firefox));
    check_websocket(&Browser { node, program, script: "firefox.mjs" });
}

#[test]
fn chromium_gets_events_through_a_proxy_that_refuses_upgrades() {
    let (node, program, nginx) = (need!(node), need!(chromium), need!(nginx));
    check_proxy(&Browser { node, program, script: "browser.mjs" }, &nginx, NO_UPGRADE, "sse");
}

#[test]
fn firefox_gets_events_through_a_proxy_that_refuses_upgrades() {
    let (node, program, nginx) = (need!(node), need!(firefox), need!(nginx));
    check_proxy(&Browser { node, program, script: "firefox.mjs" }, &nginx, NO_UPGRADE, "sse");
}

#[test]
fn chromium_polls_behind_a_proxy_that_keeps_streams() {
    let (node, program, nginx) = (need!(node), need!(chromium), need!(nginx));
    check_proxy(&Browser { node, program, script: "browser.mjs" }, &nginx, KEEPS_STREAMS, "longpoll");
}

#[test]
fn firefox_polls_behind_a_proxy_that_keeps_streams() {
    let (node, program, nginx) = (need!(node), need!(firefox), need!(nginx));
    check_proxy(&Browser { node, program, script: "firefox.mjs" }, &nginx, KEEPS_STREAMS, "longpoll");
}

#[test]
fn chromium_comes_back_after_a_restart() {
    let (node, program) = (need!(node), need!(chromium));
    check_restart(&Browser { node, program, script: "browser.mjs" });
}

#[test]
fn firefox_comes_back_after_a_restart() {
    let (node, program) = (need!(node), need!(firefox));
    check_restart(&Browser { node, program, script: "firefox.mjs" });
}

#[test]
fn chromium_learns_why_it_is_refused() {
    let (node, program) = (need!(node), need!(chromium));
    check_refusal(&Browser { node, program, script: "browser.mjs" });
}

#[test]
fn firefox_learns_why_it_is_refused() {
    let (node, program) = (need!(node), need!(firefox));
    check_refusal(&Browser { node, program, script: "firefox.mjs" });
}

#[test]
fn chromium_brings_the_next_token_over_a_websocket() {
    let (node, program) = (need!(node), need!(chromium));
    check_tokens_on_websocket(&Browser { node, program, script: "browser.mjs" });
}

#[test]
fn chromium_brings_the_next_token_with_events() {
    let (node, program, nginx) = (need!(node), need!(chromium), need!(nginx));
    check_tokens_behind_proxy(&Browser { node, program, script: "browser.mjs" }, &nginx, NO_UPGRADE, "sse");
}

#[test]
fn chromium_brings_the_next_token_with_polls() {
    let (node, program, nginx) = (need!(node), need!(chromium), need!(nginx));
    let browser = Browser { node, program, script: "browser.mjs" };
    check_tokens_behind_proxy(&browser, &nginx, KEEPS_STREAMS, "longpoll");
}

#[test]
fn chromium_brings_a_token_to_another_origin() {
    let (node, program, nginx) = (need!(node), need!(chromium), need!(nginx));
    check_foreign_page(&Browser { node, program, script: "browser.mjs" }, &nginx);
}

#[test]
fn chromium_is_told_who_is_here() {
    let (node, program, nginx) = (need!(node), need!(chromium), need!(nginx));
    check_presence_twice(&Browser { node, program, script: "browser.mjs" }, &nginx);
}

#[test]
fn firefox_brings_the_next_token_over_a_websocket() {
    let (node, program) = (need!(node), need!(firefox));
    check_tokens_on_websocket(&Browser { node, program, script: "firefox.mjs" });
}

#[test]
fn firefox_brings_the_next_token_with_events() {
    let (node, program, nginx) = (need!(node), need!(firefox), need!(nginx));
    check_tokens_behind_proxy(&Browser { node, program, script: "firefox.mjs" }, &nginx, NO_UPGRADE, "sse");
}

#[test]
fn firefox_brings_the_next_token_with_polls() {
    let (node, program, nginx) = (need!(node), need!(firefox), need!(nginx));
    let browser = Browser { node, program, script: "firefox.mjs" };
    check_tokens_behind_proxy(&browser, &nginx, KEEPS_STREAMS, "longpoll");
}

#[test]
fn firefox_brings_a_token_to_another_origin() {
    let (node, program, nginx) = (need!(node), need!(firefox), need!(nginx));
    check_foreign_page(&Browser { node, program, script: "firefox.mjs" }, &nginx);
}

#[test]
fn firefox_is_told_who_is_here() {
    let (node, program, nginx) = (need!(node), need!(firefox), need!(nginx));
    check_presence_twice(&Browser { node, program, script: "firefox.mjs" }, &nginx);
}
