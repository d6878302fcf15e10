//! Streams against scripted backends: events, lines, and every way to break off and come back.
//! Real sockets and short pauses; how bytes become events is tested with the parsers.

mod backend;

use std::time::Duration;

use backend::{Backend, Reply, Running, Then, assert_failing, run, text, upstream};
use tidegate_hub::{Item, Payload};
use tidegate_source::{Event, StreamPolicy, UpstreamLimits, stream};

const SSE: &str = "text/event-stream";
const NDJSON: &str = "application/x-ndjson";
const POLICY: StreamPolicy = StreamPolicy { reconnect: Duration::from_millis(100) };

async fn play(script: Vec<Reply>) -> (Backend, Running) {
    play_within(script, |_| ()).await
}

async fn play_within(script: Vec<Reply>, change: impl FnOnce(&mut UpstreamLimits)) -> (Backend, Running) {
    let backend = Backend::start(script).await;
    let (upstream, target) = (upstream(change), backend.target("/events"));
    (backend, run(|emit| stream(upstream, target, POLICY, emit)))
}

fn event(name: Option<&str>, data: &str, id: Option<&str>) -> Option<Event> {
    let payload = Payload::from(data);
    Some(Event::Publication(Item { payload, event: name.map(Into::into), source_id: id.map(Into::into) }))
}

#[tokio::test]
async fn events_keep_their_names_and_ids() {
    let parts = [
        "\u{feff}: hello\n\nevent: add\nid: 1\nda",
        "ta: {\"a\":1}\n\n",
        "data: b\r\n\r\n",
        "data: unfinished\n",
    ];
    let (backend, mut running) = play(vec![Reply::stream(SSE, &parts, Then::Hang)]).await;
    assert_eq!(running.next().await, event(Some("add"), "{\"a\":1}", Some("1")));
    assert_eq!(running.next().await, event(None, "b", None));
    let accept = backend.seen()[0].header("accept").unwrap_or_default();
    assert!(accept.starts_with("text/event-stream"), "{accept}");
}

#[tokio::test]
async fn what_a_gateway_says_of_itself_is_no_publication() {
    let own = "event: tidegate-open\nid: k:1\ndata: {\"type\":\"open\"}\n\n\
        event: tidegate-close\ndata: {\"type\":\"close\",\"code\":4401}\n\n\
        event: tidegate\ndata: a\n\n";
    let (backend, mut running) = play(vec![
        Reply::whole_stream(SSE, &[own]),
        Reply::stream(SSE, &["event: tidegate-open\nid: k:1\ndata: {}\n\nid: k:2\ndata: b\n\n"], Then::Hang),
    ])
    .await;
    assert_eq!(running.next().await, event(Some("tidegate"), "a", None));
    assert_eq!(running.next().await, event(None, "b", Some("k:2")));
    assert_eq!(backend.header("last-event-id"), [None, Some("k:1".to_owned())]);
}

#[tokio::test]
async fn a_stream_with_ids_is_resumed_in_silence() {
    let (backend, mut running) = play(vec![
        Reply::whole_stream(SSE, &["id: 1\ndata: a\n\nid: 2\ndata: b\n\n"]),
        Reply::whole_stream(SSE, &["id: 2\ndata: b\n\nid: 3\ndata: c\n\n"]),
        Reply::stream(SSE, &["id: 4\ndata: d\n\n"], Then::Hang),
    ])
    .await;
    for (data, id) in [("a", "1"), ("b", "2"), ("c", "3"), ("d", "4")] {
        assert_eq!(running.next().await, event(None, data, Some(id)));
    }
    assert_eq!(backend.header("last-event-id"), [None, Some("2".to_owned()), Some("3".to_owned())]);
}

#[tokio::test]
async fn a_stream_without_ids_says_that_something_may_be_missing() {
    let (backend, mut running) = play(vec![
        Reply::whole_stream(SSE, &["data: a\n\n"]),
        Reply::stream(SSE, &["data: b\n\n"], Then::Hang),
    ])
    .await;
    assert_eq!(running.next().await, text("a"));
    assert_failing(running.next().await, "ended the stream");
    assert_eq!(running.next().await, Some(Event::Recovered));
    assert_eq!(running.next().await, text("b"));
    assert_eq!(backend.header("last-event-id"), [None, None]);
}

#[tokio::test]
async fn breaking_off_is_told_even_with_ids() {
    let (backend, mut running) = play(vec![
        Reply::stream(SSE, &["id: 1\ndata: a\n\n"], Then::Close),
        Reply::new("503 Service Unavailable\r\nRetry-After: 0", ""),
        Reply::stream(SSE, &["id: 2\ndata: b\n\n"], Then::Hang),
    ])
    .await;
    assert_eq!(running.next().await, event(None, "a", Some("1")));
    assert_failing(running.next().await, "broke off");
    assert_eq!(running.next().await, Some(Event::Recovered));
    assert_eq!(running.next().await, event(None, "b", Some("2")));
    assert_eq!(backend.header("last-event-id").last(), Some(&Some("1".to_owned())));
}

#[tokio::test]
async fn silence_is_left_and_resumed() {
    let script = vec![
        Reply::stream(SSE, &["id: 7\ndata: a\n\n"], Then::Hang),
        Reply::stream(SSE, &["id: 8\ndata: b\n\n"], Then::Hang),
    ];
    let (backend, mut running) =
        play_within(script, |limits| limits.stream_idle_timeout = Duration::from_millis(100)).await;
    assert_eq!(running.next().await, event(None, "a", Some("7")));
    assert_eq!(running.next().await, event(None, "b", Some("8")));
    assert_eq!(backend.header("last-event-id")[1], Some("7".to_owned()));
}

#[tokio::test]
async fn retry_sets_the_pause() {
    let (backend, mut running) = play(vec![
        Reply::whole_stream(SSE, &["retry: 700\nid: 1\ndata: a\n\n"]),
        Reply::stream(SSE, &["data: b\n\n"], Then::Hang),
    ])
    .await;
    assert_eq!(running.next().await, event(None, "a", Some("1")));
    assert_eq!(running.next().await, text("b"));
    let seen = backend.seen();
    assert!(seen[1].at - seen[0].at >= Duration::from_millis(700));
}

#[tokio::test]
async fn no_content_ends_a_stream_and_a_refusal_too() {
    let (_backend, mut running) = play(vec![
        Reply::whole_stream(SSE, &["id: 1\ndata: a\n\n"]),
        Reply::raw("HTTP/1.1 204 No Content\r\n\r\n", Then::KeepAlive),
    ])
    .await;
    assert_eq!(running.next().await, event(None, "a", Some("1")));
    assert!(matches!(running.next().await, Some(Event::Ended { .. })));
    assert_eq!(running.next().await, None);

    let (_backend, mut running) = play(vec![Reply::new("401 Unauthorized", "")]).await;
    assert!(matches!(running.next().await, Some(Event::Unauthorized { .. })));
    assert_eq!(running.next().await, None);
}

#[tokio::test]
async fn lines_are_publications() {
    let (_backend, mut running) = play(vec![
        Reply::whole_stream(NDJSON, &["{\"a\":1}\n\n{\"a\"", ":2}\r\nlast"]),
        Reply::stream("application/jsonl", &["[]\n"], Then::Hang),
    ])
    .await;
    for line in ["{\"a\":1}", "{\"a\":2}", "last"] {
        assert_eq!(running.next().await, text(line));
    }
    assert_failing(running.next().await, "ended the stream");
    assert_eq!(running.next().await, Some(Event::Recovered));
    assert_eq!(running.next().await, text("[]"));
}

#[tokio::test]
async fn what_cannot_be_read_is_told_and_tried_again() {
    let long = format!("data: {}\n\n", "x".repeat(200));
    for (reply, part) in [
        (Reply::stream(SSE, &[&long], Then::Hang), "line of more than 100 bytes"),
        (Reply::stream(NDJSON, &[&long], Then::Hang), "line of more than 100 bytes"),
        (Reply::new("200 OK\r\nContent-Type: text/html", "<p>"), "neither an event stream nor lines"),
        (Reply::new("200 OK\r\nContent-Encoding: br\r\nContent-Type: text/event-stream", ""), "(br)"),
    ] {
        let script = vec![reply, Reply::stream(SSE, &["data: a\n\n"], Then::Hang)];
        let (_backend, mut running) = play_within(script, |limits| limits.max_line_bytes = 100).await;
        assert_failing(running.next().await, part);
        assert_eq!(running.next().await, Some(Event::Recovered), "{part}");
        assert_eq!(running.next().await, text("a"), "{part}");
    }
}

#[tokio::test]
async fn a_stream_is_not_in_flight() {
    let script = vec![Reply::stream(SSE, &["data: a\n\n"], Then::Hang), Reply::ok("free")];
    let backend = Backend::start(script).await;
    let upstream = upstream(|limits| limits.max_in_flight = 1);
    let (client, target) = (upstream.clone(), backend.target("/events"));
    let mut running = run(|emit| stream(client, target, POLICY, emit));
    assert_eq!(running.next().await, text("a"));
    let request = http::Request::get(backend.uri("/")).body(bytes::Bytes::new()).expect("a request");
    assert_eq!(upstream.fetch(request).await.map(http::Response::into_body), Ok("free".into()));
}
