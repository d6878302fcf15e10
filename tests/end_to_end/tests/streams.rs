//! Streams of a backend, shared by all clients of their path: server-sent events and lines, their names and ids kept,
//! connected anew where they break off.

use tidegate_end_to_end::backend::{Backend, Gate};
use tidegate_end_to_end::deadline::Deadline;
use tidegate_end_to_end::event_stream::EventStream;
use tidegate_end_to_end::gateway::Gateway;
use tidegate_end_to_end::websocket::WebSocket;

#[test]
fn a_stream_of_the_backend_is_one_for_all() {
    let gate = Gate::default();
    let held = gate.clone();
    let backend = Backend::exchanging(move |mut exchange| {
        exchange.stream.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")?;
        exchange.stream.send(b"id: 7\nevent: tick\ndata: 1\n\n")?;
        held.pass();
        exchange.stream.send(b"data: 2\ndata: 3\n\n")?;
        // It stays open until the gateway has had enough.
        while exchange.stream.fill(Deadline::of_patience())? > 0 {}
        Ok(None)
    });
    let gateway = Gateway::before(&backend.url(), &[]);
    let mut first = WebSocket::open(gateway.public(), "/x");
    let mut second = EventStream::open(gateway.public(), "/x");
    second.named("tidegate-open");
    let mut third = WebSocket::enveloped(gateway.public(), "/x");
    third.envelope("open");
    gateway.wait_subscribers("x", 3);
    gate.open();
    let mut text = first.text();
    if text == "1" {
        text = first.text();
    }
    assert_eq!(text, "2\n3");
    assert_eq!(third.envelope("message")["text"], "2\n3");
    let mut event = second.event();
    if event.name == "tick" {
        event = second.event();
    }
    assert_eq!(event.data, "2\n3");
    assert_eq!(backend.count("/x"), 1, "one stream for three clients");
}

#[test]
fn a_stream_that_breaks_off_goes_on_where_it_was() {
    let gate = Gate::default();
    let held = gate.clone();
    let backend = Backend::exchanging(move |mut exchange| {
        let last = exchange.asked.header("last-event-id").map(str::to_owned);
        exchange.stream.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\nretry: 50\n\n")?;
        match last.as_deref() {
            // The stream ends here, in the way that streams do.
            None => {
                held.pass();
                exchange.stream.send(b"id: 7\nevent: tick\ndata: {\"n\":1}\n\n")?;
            }
            Some("7") => {
                exchange.stream.send(b"id: 8\ndata: two\n\n")?;
                while exchange.stream.fill(Deadline::of_patience())? > 0 {}
            }
            Some(other) => panic!("nobody gave the id {other}"),
        }
        Ok(None)
    });
    let gateway = Gateway::before(&backend.url(), &[]);
    let mut enveloped = WebSocket::enveloped(gateway.public(), "/x");
    enveloped.envelope("open");
    let mut stream = EventStream::open(gateway.public(), "/x");
    stream.named("tidegate-open");
    gate.open();
    let first = enveloped.envelope("message");
    assert_eq!((&first["event"], &first["source_id"]), (&"tick".into(), &"7".into()));
    assert_eq!(first["data"]["n"], 1);
    // What is told of the break is another matter: the next message is what counts.
    let mut next = enveloped.json();
    while next["type"] != "message" {
        next = enveloped.json();
    }
    assert_eq!((&next["text"], &next["source_id"]), (&"two".into(), &"8".into()));
    let tick = stream.event();
    assert_eq!((tick.name.as_str(), tick.data.as_str()), ("tick", r#"{"n":1}"#));
    assert_eq!(next["position"].as_str().and_then(|position| position.split(':').nth(1)), Some("2"));
    let mut event = stream.event();
    while event.name.starts_with("tidegate-") {
        event = stream.event();
    }
    assert_eq!(
        (event.data.as_str(), event.id.as_str()),
        ("two", next["position"].as_str().expect("a position"))
    );
}

#[test]
fn lines_of_a_stream_are_publications() {
    let gate = Gate::default();
    let held = gate.clone();
    let backend = Backend::exchanging(move |mut exchange| {
        exchange.stream.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\n\r\n")?;
        held.pass();
        exchange.stream.send(b"{\"n\":1}\n{\"n\"")?;
        exchange.stream.send(b":2}\r\n\n\"last\"\n")?;
        while exchange.stream.fill(Deadline::of_patience())? > 0 {}
        Ok(None)
    });
    let url = backend.url();
    let declared = format!("[[route]]\npath = \"/log\"\nstream = {{ url = \"{url}/x\" }}\n");
    let gateway = Gateway::configured(&declared);
    let mut bare = WebSocket::open(gateway.public(), "/log");
    gateway.wait_subscribers("log", 1);
    gate.open();
    assert_eq!([bare.text(), bare.text(), bare.text()], [r#"{"n":1}"#, r#"{"n":2}"#, r#""last""#]);
}

/// A stream whose backend says at once more than a send queue holds, and less than the kernel takes: whose queue was
/// empty before is not slow.
fn check_burst(count: usize, line: impl Fn(usize) -> String) {
    let gate = Gate::default();
    let held = gate.clone();
    let lines: Vec<String> = (0..count).map(line).collect();
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let backend = Backend::exchanging(move |mut exchange| {
        exchange.stream.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\n\r\n")?;
        held.pass();
        exchange.stream.send(text.as_bytes())?;
        while exchange.stream.fill(Deadline::of_patience())? > 0 {}
        Ok(None)
    });
    let gateway = Gateway::before(&backend.url(), &[]);
    let mut bare = WebSocket::open(gateway.public(), "/x");
    let mut stream = EventStream::open(gateway.public(), "/x");
    stream.named("tidegate-open");
    gateway.wait_subscribers("x", 2);
    std::thread::scope(|scope| {
        scope.spawn(|| lines.iter().for_each(|line| assert_eq!(bare.text(), *line)));
        scope.spawn(|| lines.iter().for_each(|line| assert_eq!(stream.message().data, *line)));
        gate.open();
    });
}

#[test]
fn a_burst_of_many_lines_makes_nobody_slow() {
    check_burst(6_000, |number| number.to_string());
}

#[test]
fn a_burst_of_long_lines_makes_nobody_slow() {
    check_burst(50, |number| format!("\"{number:060000}\""));
}
