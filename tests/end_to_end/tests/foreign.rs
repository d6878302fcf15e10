//! Clients that nobody here wrote, each in its own language, against `tidegate serve URL`: the first document, an
//! answer to a message, a change, an end with 1000. The scripts are in `tests/foreign`; a client that is not
//! installed is a skip.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;
use tidegate_end_to_end::backend::{Backend, Reply};
use tidegate_end_to_end::document::Document;
use tidegate_end_to_end::gateway::Gateway;
use tidegate_end_to_end::script::Script;
use tidegate_test_tools::need;

/// A gateway before a document that changes.
struct Stage {
    document: Document,
    gateway: Gateway,
    _backend: Backend,
}

impl Stage {
    fn new() -> Self {
        let document = Document::new(r#"{"n":1}"#);
        let kept = document.clone();
        let backend = Backend::start(move |asked| match asked.method.as_str() {
            "POST" => Reply::ok(format!("got {}", asked.text())),
            _ => kept.reply(asked),
        });
        let gateway = Gateway::before(&backend.url(), &[]);
        Self { document, gateway, _backend: backend }
    }
}

fn script(program: PathBuf, name: &str, url: &str) -> Script {
    let folder = tidegate_test_tools::folder();
    Script::start(Command::new(program).arg(folder.join(name)).arg(url).current_dir(folder))
}

/// The whole stay of a WebSocket client that reports as the scripts do.
#[track_caller]
fn check_websocket(program: PathBuf, name: &str) {
    let stage = Stage::new();
    let mut client = script(program, name, &stage.gateway.ws("/x"));
    assert_eq!(client.event("first")["data"], r#"{"n":1}"#);
    assert_eq!(client.event("answer")["data"], "got hello");
    stage.document.set(r#"{"n":2}"#);
    assert_eq!(client.event("change")["data"], r#"{"n":2}"#);
    assert_eq!(client.event("closed")["code"], 1000);
    client.succeeded();
    stage.gateway.wait_metric("tidegate_closes_total{code=\"1000\"}", 1.0);
    assert!(stage.gateway.metric("tidegate_protocol_errors_total").abs() < f64::EPSILON);
}

/// The whole stay of a client of server-sent events that reports as the scripts do.
#[track_caller]
fn check_event_source(program: PathBuf, name: &str) {
    let stage = Stage::new();
    let mut client = script(program, name, &stage.gateway.http("/x"));
    let open: Value =
        serde_json::from_str(client.event("open")["data"].as_str().expect("data")).expect("JSON");
    assert_eq!(open["recovered"], true);
    let first = client.event("first");
    assert_eq!(first["data"], r#"{"n":1}"#);
    let before = open["position"].as_str().and_then(|position| position.strip_suffix(":0"));
    let epoch = before.expect("the place before the first publication");
    assert_eq!(first["lastEventId"], format!("{epoch}:1"));
    stage.document.set(r#"{"n":2}"#);
    assert_eq!(client.event("change")["data"], r#"{"n":2}"#);
    assert_eq!(client.event("closed")["state"], 2, "closed, and not connecting again");
    client.succeeded();
    stage.gateway.wait_subscribers("x", 0);
}

#[test]
fn python_websockets_asyncio() {
    check_websocket(need!(python), "python_websockets_asyncio.py");
}

#[test]
fn python_websockets_sync() {
    check_websocket(need!(python), "python_websockets_sync.py");
}

#[test]
fn python_aiohttp() {
    check_websocket(need!(python), "python_aiohttp.py");
}

#[test]
fn python_websocket_client() {
    check_websocket(need!(python), "python_websocket_client.py");
}

#[test]
fn node_ws() {
    check_websocket(need!(node), "node_ws.mjs");
}

#[test]
fn node_undici_websocket() {
    check_websocket(need!(node), "node_undici_websocket.mjs");
}

#[test]
fn node_undici_eventsource() {
    check_event_source(need!(node), "node_undici_eventsource.mjs");
}

#[test]
fn node_eventsource() {
    check_event_source(need!(node), "node_eventsource.mjs");
}

#[test]
fn java_net_http_websocket() {
    check_websocket(need!(java), "JavaWebSocket.java");
}

#[test]
fn ruby_faye_websocket() {
    check_websocket(need!(ruby), "ruby_faye.rb");
}

#[test]
fn curl_reads_events_as_they_come() {
    let curl = need!(curl);
    let stage = Stage::new();
    let mut command = Command::new(curl);
    command.args(["--no-progress-meter", "--include", "-N", "-H", "Accept: text/event-stream"]);
    let mut client = Script::start(command.arg(stage.gateway.http("/x")));
    client.line("HTTP/1.1 200 OK");
    client.line("content-type: text/event-stream");
    client.line("event: tidegate-open");
    client.line(r#"data: {"n":1}"#);
    stage.document.set(r#"{"n":2}"#);
    client.line(r#"data: {"n":2}"#);
    drop(client);
    stage.gateway.wait_subscribers("x", 0);
}

#[test]
fn curl_gets_plain_documents_and_says_what_a_channel_is() {
    let curl = need!(curl);
    let stage = Stage::new();
    let mut command = Command::new(&curl);
    let mut client = Script::start(command.arg("--no-progress-meter").arg(stage.gateway.http("/x")));
    client.line(r#"{"n":1}"#);
    client.succeeded();
    let alone = Gateway::alone(&[]);
    let mut command = Command::new(curl);
    let mut client = Script::start(command.arg("--no-progress-meter").arg(alone.http("/x")));
    client.line("this is a channel");
    client.succeeded();
}
