//! HTTP streaming: lines of JSON, on channels and on routes that say so, over HTTP/1.1 and HTTP/2, from the
//! first line to the last.

use std::process::{Command, Stdio};

use rustix::process::Signal;
use serde_json::json;
use tidegate_end_to_end::backend::{Backend, Reply};
use tidegate_end_to_end::deadline::Deadline;
use tidegate_end_to_end::document::Document;
use tidegate_end_to_end::gateway::Gateway;
use tidegate_end_to_end::http::Request;
use tidegate_end_to_end::json_lines::JsonLines;
use tidegate_end_to_end::lines::Lines;
use tidegate_end_to_end::stream::Stream;
use tidegate_end_to_end::websocket::WebSocket;
use tidegate_test_tools::need;

const CHANNEL: &str = r#"
[listen]
shards = 2

[limits]
drain_grace = "0s"
drain_spread = "100ms"

[[route]]
path = "/feed/{name}"
channel = {}
"#;

#[test]
fn a_stream_is_the_envelopes_of_its_channel() {
    let gateway = Gateway::configured(CHANNEL);
    let first = gateway.publish("feed/a", "one");
    let mut stream = JsonLines::open(gateway.public(), "/feed/a");
    assert_eq!(stream.headers.get("cache-control"), Some("no-store"));
    assert_eq!(stream.headers.get("x-accel-buffering"), Some("no"));
    assert_eq!(stream.headers.get("vary"), Some("Accept, Origin"));
    let open = stream.envelope("open");
    assert_eq!((&open["channel"], &open["position"]), (&json!("feed/a"), &json!(first)));
    let mut socket = WebSocket::enveloped(gateway.public(), "/feed/a");
    socket.envelope("open");
    for body in ["two\nlines", "{\n  \"n\": 1.50\n}", "[]"] {
        gateway.publish("feed/a", body);
        assert_eq!(stream.envelope("message"), socket.envelope("message"), "the same objects as on a socket");
    }
    let bytes = Request::post("/channels/feed/a", b"\xff\n".as_slice());
    gateway.ask_admin(bytes.header("Content-Type", "application/octet-stream"));
    assert_eq!(stream.envelope("message")["binary"], "/wo=");
    assert_eq!(gateway.metric("tidegate_open_connections{door=\"ndjson\"}"), 1.0);
    let connections = gateway.ask_admin(Request::get("/connections")).json();
    let doors: Vec<_> = connections["connections"].as_array().expect("a list").iter().collect();
    assert!(doors.iter().any(|one| one["door"] == "ndjson"), "{connections}");
}

#[test]
fn the_media_type_is_the_one_that_was_asked_for() {
    let gateway = Gateway::configured(CHANNEL);
    for media_type in ["application/x-ndjson", "application/jsonl"] {
        let asked = JsonLines::try_ask(gateway.public(), &Request::get("/feed/a"), media_type);
        asked.unwrap_or_else(|error| panic!("{media_type}: {error}")).envelope("open");
    }
    let both = Request::get("/feed/a").header("Accept", "text/plain, application/jsonl;q=0.5");
    let answer = both.begin(Stream::connect(gateway.public()).expect("it listens"));
    assert_eq!(answer.expect("an answer").headers.get("content-type"), Some("application/jsonl"));
}

#[test]
fn an_idle_stream_gets_empty_lines() {
    let often = "[limits]\nws_ping_interval = \"200ms\"\nws_pong_timeout = \"100ms\"";
    let gateway = Gateway::configured(&CHANNEL.replace("[limits]", often));
    let mut stream = JsonLines::open(gateway.public(), "/feed/a");
    stream.envelope("open");
    stream.kept_alive(2);
    gateway.publish("feed/a", "one");
    assert_eq!(stream.envelope("message")["text"], "one");
}

#[test]
fn the_last_line_says_when_to_come_back() {
    let gateway = Gateway::configured(CHANNEL);
    let mut stream = JsonLines::open(gateway.public(), "/feed/a");
    stream.envelope("open");
    gateway.publish("feed/a", "one");
    gateway.signal(Signal::TERM);
    assert_eq!(stream.envelope("message")["text"], "one");
    let close = stream.envelope("close");
    assert_eq!((&close["code"], &close["reason"]), (&json!(1012), &json!("restarting")));
    let hint = close["reconnect_in_ms"].as_u64().expect("a hint");
    assert!((500..=20_000).contains(&hint), "{close}");
    stream.ended();
    assert_eq!(gateway.ended().code, Some(0));
}

#[test]
fn a_dropped_channel_and_an_operators_close_are_last_lines() {
    let gateway = Gateway::configured(CHANNEL);
    let mut dropped = JsonLines::open(gateway.public(), "/feed/a");
    dropped.envelope("open");
    gateway.ask_admin(Request::new("DELETE", "/channels/feed/a"));
    assert_eq!(dropped.envelope("close")["code"], 1001);
    dropped.ended();
    let mut closed = JsonLines::open(gateway.public(), "/feed/a");
    closed.envelope("open");
    let connections = gateway.ask_admin(Request::get("/connections")).json();
    let id = connections["connections"][0]["id"].as_str().expect("an id").to_owned();
    gateway.ask_admin(Request::new("DELETE", &format!("/connections/{id}?code=4000&reason=why")));
    let close = closed.envelope("close");
    assert_eq!((&close["code"], &close["reason"]), (&json!(4000), &json!("why")));
    closed.ended();
    gateway.wait_metric("tidegate_open_connections{door=\"ndjson\"}", 0.0);
}

#[test]
fn lines_of_a_backend_stay_its_own_unless_the_route_says_otherwise() {
    let document = Document::new("1");
    let kept = document.clone();
    let backend = Backend::start(move |asked| match asked.headers.get("accept") {
        Some("application/x-ndjson") => Reply::ok("lines of the backend"),
        _ => kept.reply(asked),
    });
    let url = backend.url();
    let gateway = Gateway::configured(&format!(
        "[[route]]\npath = \"/own/{{*rest}}\"\nauto = {{ url = \"{url}\" }}\n\
         [[route]]\npath = \"/x\"\npoll = {{ url = \"{url}/x\", interval = \"100ms\" }}\ndoors = [\"ndjson\"]\n"
    ));
    let own = Request::get("/own/x").header("Accept", "application/x-ndjson").send(gateway.public());
    assert_eq!((own.status, own.text().as_str()), (200, "lines of the backend"));
    let mut stream = JsonLines::open(gateway.public(), "/x");
    stream.envelope("open");
    assert_eq!(stream.envelope("message")["data"], 1);
    document.fail(Reply::status(500));
    assert_eq!(stream.envelope("error")["code"], "upstream");
    document.mend();
    document.set("2");
    let mut line = || stream.next_by(Deadline::of_patience()).expect("a line").expect("no end");
    let both = [line(), line()];
    assert!(both.iter().any(|one| one["type"] == "open"), "{both:?}");
    assert!(both.iter().any(|one| one["type"] == "message" && one["data"] == 2), "{both:?}");
}

/// curl over both versions of HTTP, as a shell would use it.
#[test]
fn curl_gets_a_line_for_each_publication() {
    let curl = need!(curl);
    let gateway = Gateway::configured(CHANNEL);
    for (version, channel) in [("--http1.1", "feed/one"), ("--http2-prior-knowledge", "feed/two")] {
        let url = gateway.http(&format!("/{channel}"));
        let mut child = Command::new(&curl)
            .args(["-sN", version, "-H", "Accept: application/x-ndjson", &url])
            .stdout(Stdio::piped())
            .spawn()
            .expect("curl runs");
        let lines = Lines::of(child.stdout.take().expect("stdout is piped"));
        lines.wait("the open line", |line| line.contains("\"open\"").then_some(()));
        gateway.publish(channel, "hello");
        let message = lines.wait("the message", |line| line.contains("\"message\"").then(|| line.to_owned()));
        assert!(message.contains("\"text\":\"hello\""), "{message}");
        gateway.ask_admin(Request::new("DELETE", &format!("/channels/{channel}")));
        lines.wait("the last line", |line| line.contains("\"close\"").then_some(()));
        assert!(child.wait().expect("it can be waited for").success(), "{version}: a whole answer");
    }
}
