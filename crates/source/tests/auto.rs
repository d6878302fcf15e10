//! The GET that decides, against scripted backends: which kind is found, and how it goes on.
//! What a poll or a stream does later is tested with those.

mod backend;

use std::time::Duration;

use backend::{Backend, Reply, Then, assert_failing, run, text, upstream};
use http::StatusCode;
use tidegate_hub::{Item, Payload};
use tidegate_source::{Event, Kind, OpenError, Opened, PollPolicy, Shared, UpstreamError, open};

const QUICK: PollPolicy = PollPolicy { interval: Some(Duration::from_millis(100)) };

async fn decide(script: Vec<Reply>) -> (Backend, Result<Opened, OpenError>) {
    let backend = Backend::start(script).await;
    let opened = open(&upstream(|_| ()), backend.target("/x"), &QUICK).await;
    (backend, opened)
}

#[tokio::test]
async fn a_document_is_polled_from_then_on() {
    let first = "200 OK\r\nETag: \"1\"\r\nCache-Control: public\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2";
    let (backend, opened) =
        decide(vec![Reply::new(first, "{}"), Reply::not_modified(), Reply::ok("[]")]).await;
    let opened = opened.expect("a document");
    assert_eq!((opened.facts.kind, &opened.facts.shared), (Kind::Poll, &Shared::Public));
    assert_eq!(opened.facts.set_cookie, ["a=1", "b=2"]);
    assert_eq!(opened.first, Some(Item::from(Payload::from("{}"))));
    let mut running = run(|emit| opened.run(emit));
    assert_eq!(running.next().await, text("[]"));
    assert_eq!(backend.header("if-none-match")[..2], [None, Some("\"1\"".to_owned())]);
    let seen = backend.seen();
    assert!(
        seen[1].at - seen[0].at >= Duration::from_millis(80),
        "the interval counts from the first request"
    );
    assert_eq!(seen[0].header("upgrade").or(seen[0].header("connection")), None);
}

#[tokio::test]
async fn a_stream_goes_on_in_the_same_answer() {
    for (content_type, body, kind) in
        [("text/event-stream", "data: a\n\n", Kind::EventStream), ("application/jsonl", "a\n", Kind::Lines)]
    {
        let (backend, opened) = decide(vec![Reply::stream(content_type, &[body], Then::Hang)]).await;
        let opened = opened.expect("a stream");
        assert_eq!((opened.facts.kind, &opened.first), (kind, &None));
        assert_eq!(run(|emit| opened.run(emit)).next().await, text("a"));
        assert_eq!(backend.seen().len(), 1);
    }
}

#[tokio::test]
async fn a_stream_that_was_found_comes_back() {
    let (backend, opened) = decide(vec![
        Reply::stream("text/event-stream", &["retry: 100\nid: 1\ndata: a\n\n"], Then::Close),
        Reply::stream("text/event-stream", &["data: b\n\n"], Then::Hang),
    ])
    .await;
    let mut running = run(|emit| opened.expect("a stream").run(emit));
    assert!(matches!(running.next().await, Some(Event::Publication(_))));
    assert_failing(running.next().await, "broke off");
    assert_eq!(running.next().await, Some(Event::Recovered));
    assert_eq!(running.next().await, text("b"));
    assert_eq!(backend.header("last-event-id"), [None, Some("1".to_owned())]);
}

#[tokio::test]
async fn what_refuses_is_handed_on_without_hop_by_hop_headers() {
    let head = "404 Not Found\r\nContent-Type: text/plain\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5";
    let (_backend, opened) = decide(vec![Reply::new(head, "nothing here")]).await;
    let Err(OpenError::Refused(answer)) = opened else { panic!("expected a refusal, got {opened:?}") };
    assert_eq!(
        (answer.status(), answer.body().as_ref()),
        (StatusCode::NOT_FOUND, b"nothing here".as_slice())
    );
    let names: Vec<&str> = answer.headers().keys().map(http::HeaderName::as_str).collect();
    assert_eq!(names, ["content-type"]);
}

#[tokio::test]
async fn a_refusal_whose_body_is_bad_keeps_its_status() {
    let script = vec![Reply::raw("HTTP/1.1 403 Forbidden\r\nContent-Length: 9999999\r\n\r\nx", Then::Hang)];
    let (_backend, opened) = decide(script).await;
    let Err(OpenError::Refused(answer)) = opened else { panic!("expected a refusal, got {opened:?}") };
    assert_eq!((answer.status(), answer.body().len()), (StatusCode::FORBIDDEN, 0));
    let (_backend, opened) =
        decide(vec![Reply::new("302 Found\r\nLocation: http://elsewhere.example/", "")]).await;
    assert!(matches!(opened, Err(OpenError::Refused(answer)) if answer.status() == StatusCode::FOUND));
}

#[tokio::test]
async fn what_cannot_be_used_is_an_upstream_error() {
    for reply in [
        Reply::raw("nonsense\r\n\r\n", Then::Close),
        Reply::not_modified(),
        Reply::new("200 OK\r\nContent-Encoding: gzip", "x"),
    ] {
        let (_backend, opened) = decide(vec![reply]).await;
        assert!(matches!(opened, Err(OpenError::Upstream(UpstreamError::Invalid { .. }))), "{opened:?}");
    }
}
