//! HTTP/2 with prior knowledge, by clients that nobody here wrote: Node's own, curl, nghttp2's. WebSockets are
//! streams there (RFC 8441), beside event streams and ordinary requests on one connection.

use std::path::Path;
use std::process::{Command, Output};

use rustix::process::Signal;
use serde_json::{Value, json};
use tidegate_end_to_end::backend::{Backend, Gate, Reply};
use tidegate_end_to_end::deadline::Deadline;
use tidegate_end_to_end::document::Document;
use tidegate_end_to_end::gateway::Gateway;
use tidegate_end_to_end::http::Request;
use tidegate_end_to_end::script::Script;
use tidegate_test_tools::need;

/// A gateway before a document that changes and a backend that does what the scenes need.
struct Stage {
    document: Document,
    backend: Backend,
    gateway: Gateway,
    /// Open when nobody waits for the slow answer any more.
    unwanted: Gate,
}

impl Stage {
    fn new() -> Self {
        let document = Document::new("1");
        let (kept, unwanted) = (document.clone(), Gate::default());
        let ended = unwanted.clone();
        let backend = Backend::exchanging(move |mut exchange| {
            let body = exchange.body.whole(&mut exchange.stream, Deadline::of_patience())?;
            exchange.asked.body = body;
            let reply = match (exchange.asked.target.as_str(), exchange.asked.method.as_str()) {
                ("/plain", _) => Reply::ok("plain")
                    .header("X-Own", "kept")
                    .header("Connection", "x-hop")
                    .header("X-Hop", "1"),
                ("/204", _) => Reply::status(204),
                ("/echo", _) => Reply::ok(exchange.asked.body.clone()),
                ("/slow", _) => {
                    // It is never answered: what comes is the end of whoever asked.
                    if exchange.stream.fill(Deadline::of_patience())? == 0 {
                        ended.open();
                    }
                    return Ok(None);
                }
                ("/broken", _) => {
                    exchange.stream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")?;
                    return Ok(None);
                }
                ("/nothing-here", _) => Reply::status(404),
                (_, "POST") => Reply::ok(format!("got {}", exchange.asked.text())),
                _ => kept.reply(&exchange.asked),
            };
            exchange.reply(&reply).map(Some)
        });
        let gateway = Gateway::before(&backend.url(), &[]);
        Self { document, backend, gateway, unwanted }
    }

    fn scene(&self, node: &Path, what: &str) -> Script {
        let script = tidegate_test_tools::folder().join("node_http2.mjs");
        Script::start(Command::new(node).arg(script).arg(self.gateway.http("")).arg(what))
    }
}

#[test]
fn twenty_websockets_and_other_requests_share_one_connection() {
    let node = need!(bare_node);
    let stage = Stage::new();
    let mut client = stage.scene(&node, "stay");
    assert_eq!(client.event("settings")["connect"], true);
    let opened = client.event("opened");
    assert_eq!(opened["statuses"], json!([200]));
    let fields: Vec<&str> =
        opened["fields"].as_array().expect("names").iter().filter_map(Value::as_str).collect();
    assert_eq!(fields, [":status", "date"]);
    assert_eq!(client.event("first")["texts"], json!(["1"]));
    assert_eq!(client.event("answer")["texts"], json!(["got hello"]));
    let plain = client.event("plain");
    assert_eq!((&plain["status"], &plain["body"]), (&json!(200), &json!("plain")));
    let head = plain["head"].as_object().expect("fields");
    assert_eq!((&head["x-own"], &head["content-length"]), (&json!("kept"), &json!("5")));
    assert!(head.contains_key("date"));
    assert!(!head.contains_key("connection") && !head.contains_key("x-hop"), "{head:?}");
    check_admin(&stage.gateway);
    stage.document.set("2");
    assert_eq!(client.event("change")["texts"], json!(["2"]));
    assert_eq!(client.event("events")["seen"], json!(["1", "2"]));
    let closed = client.event("closed");
    assert_eq!((&closed["codes"], &closed["ends"]), (&json!([1000]), &json!([0])));
    client.succeeded();
    stage.gateway.wait_metric("tidegate_closes_total{code=\"1000\"}", 20.0);
    assert_metric(&stage.gateway, "tidegate_h2_connections_total", 1.0);
    assert_metric(&stage.gateway, "tidegate_protocol_errors_total", 0.0);
    // One poll for all, and the request as it came on the other side.
    let asked = &stage.backend.wait("/plain", 1)[0];
    assert_eq!(asked.header("cookie"), Some("a=1; b=2"));
    assert_eq!(asked.header("via"), Some("2.0 tidegate"));
    assert_eq!(asked.header("host"), Some(stage.gateway.public().to_string().as_str()));
    assert_eq!(asked.header("transfer-encoding").or(asked.header("content-length")), None);
}

fn assert_metric(gateway: &Gateway, name: &str, value: f64) {
    assert!((gateway.metric(name) - value).abs() < f64::EPSILON, "{name}: {}", gateway.metric(name));
}

/// The admin listener says what came by which way.
fn check_admin(gateway: &Gateway) {
    let list = gateway.ask_admin(Request::get("/connections")).json();
    let all = list["connections"].as_array().expect("a list");
    assert_eq!(all.len(), 21, "{list}");
    assert!(all.iter().all(|one| one["transport"] == "h2" && one["remote"] == "127.0.0.1"), "{list}");
}

#[test]
fn bodies_beyond_every_window_go_both_ways() {
    let node = need!(bare_node);
    let stage = Stage::new();
    let mut client = stage.scene(&node, "large");
    assert_eq!(client.event("echoed"), json!({ "event": "echoed", "status": 200, "equal": true }));
    assert_eq!(client.event("head"), json!({ "event": "head", "status": 200, "length": "5", "body": 0 }));
    assert_eq!(client.event("none"), json!({ "event": "none", "status": 204, "body": 0 }));
    client.succeeded();
    // The client did not say how long it is, and it was not gathered to find out.
    assert_eq!(stage.backend.wait("/echo", 1)[0].header("transfer-encoding"), Some("chunked"));
}

#[test]
fn a_reset_ends_its_stream_alone() {
    let node = need!(bare_node);
    let stage = Stage::new();
    let mut client = stage.scene(&node, "resets");
    client.event("waiting");
    // Our end without a word is the stream's end, and no reset.
    assert_eq!(client.event("halved")["reset"], 0);
    stage.unwanted.pass();
    assert_eq!(client.event("stays")["text"], "got hello");
    assert_eq!(client.event("broken")["error"], "ERR_HTTP2_STREAM_ERROR");
    assert_eq!(client.event("after")["status"], 200);
    client.succeeded();
    stage.gateway.wait_metric("tidegate_closes_total{code=\"1006\"}", 3.0);
    // The third stream may be seen to end before it is reset: Node ends what it closes.
    let resets = stage.gateway.metric("tidegate_h2_streams_reset_total");
    assert!(resets >= 2.0, "{resets}");
    assert_metric(&stage.gateway, "tidegate_h2_abuses_total", 0.0);
}

#[test]
fn refusals_are_statuses_of_the_stream() {
    let node = need!(bare_node);
    let stage = Stage::new();
    let mut client = stage.scene(&node, "refusals");
    for (name, status) in
        [("protocol", 501), ("version", 400), ("origin", 403), ("authority", 421), ("path", 404)]
    {
        assert_eq!(client.event("refused"), json!({ "event": "refused", "name": name, "status": status }));
    }
    assert_eq!(client.event("stays")["text"], "got hello");
    client.succeeded();
}

#[test]
fn the_end_of_the_gateway_is_told_to_streams_and_connection() {
    let node = need!(bare_node);
    let stage = Stage::new();
    let mut client = stage.scene(&node, "follow");
    assert_eq!(client.event("opened")["protocol"], "tidegate.v1");
    client.event("message");
    stage.gateway.signal(Signal::TERM);
    assert_eq!(client.event("closed")["code"], 1012);
    assert_eq!(client.event("ended")["reset"], 0);
    client.succeeded();
    assert_eq!(stage.gateway.ended().code, Some(0));
}

fn output(program: &Path, arguments: &[&str]) -> String {
    let Output { status, stdout, stderr } = Command::new(program).args(arguments).output().expect("it runs");
    let (stdout, stderr) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(status.success(), "{program:?} {arguments:?}: {stdout}{stderr}");
    stdout.into_owned()
}

#[test]
fn curl_with_prior_knowledge() {
    let curl = need!(curl);
    let stage = Stage::new();
    let url = stage.gateway.http("/echo");
    let common = ["-sS", "--http2-prior-knowledge", "-w", " %{http_version} %{http_code}"];
    let plain = stage.gateway.http("/plain");
    assert_eq!(output(&curl, &[&common[..], &[&plain]].concat()), "plain 2 200");
    assert_eq!(output(&curl, &[&common[..], &["-d", "body", &url]].concat()), "body 2 200");
    assert_eq!(
        output(&curl, &[&common[..], &["-d", "body", "-H", "Expect: 100-continue", &url]].concat()),
        "body 2 200"
    );
    // Its upgrade from HTTP/1.1, which nobody uses any more, is passed over.
    let upgraded = output(&curl, &["-sS", "--http2", "-w", " %{http_version} %{http_code}", &plain]);
    assert_eq!(upgraded, "plain 1.1 200");
}

#[test]
fn h2load_keeps_many_streams_open() {
    let h2load = need!(h2load);
    let stage = Stage::new();
    let printed = output(&h2load, &["-n", "3000", "-c", "3", "-m", "50", &stage.gateway.http("/plain")]);
    assert!(printed.contains("3000 succeeded, 0 failed, 0 errored"), "{printed}");
}
