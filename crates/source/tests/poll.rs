//! Polls against scripted backends: what is asked, what is published, and what is told about trouble.
//! Real sockets and short intervals; longer pauses are tested with the schedule and a moved clock.

mod backend;

use std::time::Duration;

use backend::{Backend, Reply, Running, Then, assert_failing, run, text, upstream};
use bytes::Bytes;
use http::HeaderValue;
use tidegate_hub::Payload;
use tidegate_source::{Event, PollPolicy, Target, Upstream, poll};

const QUICK: PollPolicy = PollPolicy { interval: Some(Duration::from_millis(100)) };

fn start(upstream: Upstream, target: Target) -> Running {
    run(|emit| poll(upstream, target, QUICK, emit))
}

async fn play(script: Vec<Reply>) -> (Backend, Running) {
    let backend = Backend::start(script).await;
    let limits = |limits: &mut tidegate_source::UpstreamLimits| {
        limits.first_byte_timeout = Duration::from_millis(200);
        limits.total_timeout = Duration::from_millis(400);
        limits.max_response_bytes = 1000;
    };
    let running = start(upstream(limits), backend.target("/doc"));
    (backend, running)
}

#[tokio::test]
async fn only_changes_of_value_are_published() {
    let (backend, mut running) = play(vec![
        Reply::new("200 OK\r\nETag: \"1\"", r#"{"a":1,"b":2}"#),
        Reply::not_modified(),
        Reply::new("200 OK\r\nETag: \"2\"", r#"{ "b": 2, "a": 1 }"#),
        Reply::new("200 OK", r#"{"a":1,"b":3}"#),
    ])
    .await;
    assert_eq!(running.next().await, text(r#"{"a":1,"b":2}"#));
    assert_eq!(running.next().await, text(r#"{"a":1,"b":3}"#));
    running.until_asked(&backend, 6).await;
    let conditions = backend.header("if-none-match");
    let expected = [None, Some("\"1\""), Some("\"1\""), Some("\"2\""), None, None];
    assert_eq!(conditions[..6], expected.map(|etag| etag.map(str::to_owned)));
    let times: Vec<_> = backend.seen().iter().map(|seen| seen.at).collect();
    for pair in times.windows(2) {
        // The request is stamped on arrival, so leave some room for the scheduler.
        assert!(pair[1] - pair[0] >= Duration::from_millis(80), "{:?}", pair[1] - pair[0]);
    }
}

#[tokio::test]
async fn the_headers_are_fixed_and_the_identity_is_added() {
    let backend = Backend::start(vec![Reply::ok("a")]).await;
    let mut target = backend.target("/doc?x=1");
    target.headers.insert("cookie", HeaderValue::from_static("s=1"));
    target.headers.insert("if-none-match", HeaderValue::from_static("*"));
    target.headers.insert("upgrade", HeaderValue::from_static("websocket"));
    assert_eq!(start(upstream(|_| ()), target).next().await, text("a"));
    let mut head: Vec<String> = backend.seen()[0].head.lines().map(str::to_lowercase).collect();
    head.sort_unstable();
    let host = format!("host: {}", backend.address);
    let agent = concat!("user-agent: tidegate/", env!("CARGO_PKG_VERSION"));
    let expected = [
        "",
        "accept-encoding: identity",
        "accept: */*",
        "cookie: s=1",
        "get /doc?x=1 http/1.1",
        &host,
        agent,
    ];
    assert_eq!(head, expected);
}

#[tokio::test]
async fn last_modified_is_a_condition_only_once_it_is_settled() {
    let reply = |date: &str, body: &str| {
        let head = format!("200 OK\r\nLast-Modified: Sun, 06 Nov 2022 12:00:00 GMT\r\nDate: {date}");
        Reply::new(&head, body)
    };
    let (backend, mut running) = play(vec![
        reply("Sun, 06 Nov 2022 12:00:01 GMT", "a"),
        reply("Sun, 06 Nov 2022 12:00:02 GMT", "b"),
        Reply::not_modified(),
    ])
    .await;
    assert_eq!(running.next().await, text("a"));
    assert_eq!(running.next().await, text("b"));
    running.until_asked(&backend, 3).await;
    let expected = [None, None, Some("Sun, 06 Nov 2022 12:00:00 GMT".to_owned())];
    assert_eq!(backend.header("if-modified-since")[..3], expected);
}

#[tokio::test]
async fn trouble_is_told_once_and_so_is_its_end() {
    let (_backend, mut running) = play(vec![
        Reply::ok("a"),
        Reply::new("500 Internal Server Error", "a"),
        Reply::raw("garbage\r\n\r\n", Then::Close),
        Reply::raw("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nb", Then::Close),
        Reply::ok("a"),
        Reply::ok("c"),
    ])
    .await;
    assert_eq!(running.next().await, text("a"));
    assert_failing(running.next().await, "500 Internal Server Error");
    assert_eq!(running.next().await, Some(Event::Recovered));
    assert_eq!(running.next().await, text("c"));
}

/// A poll that gets this reply, then a good one, says why it is failing and recovers.
async fn check_failing(reply: Reply, part: &str) {
    let (_backend, mut running) = play(vec![reply, Reply::ok("a")]).await;
    assert_failing(running.next().await, part);
    assert_eq!(running.next().await, Some(Event::Recovered), "{part}");
    assert_eq!(running.next().await, text("a"), "{part}");
}

#[tokio::test]
async fn each_trouble_has_a_reason() {
    check_failing(Reply::raw("", Then::Hang), "did not begin to answer within 200ms").await;
    check_failing(Reply::stream("text/plain", &["a"], Then::Hang), "did not finish its answer within 400ms")
        .await;
    check_failing(Reply::ok(&"x".repeat(1001)), "more than 1000 bytes").await;
    check_failing(Reply::new("200 OK\r\nContent-Encoding: gzip", "x"), "(gzip) though only identity").await;
    check_failing(Reply::new("404 Not Found", ""), "404").await;
    check_failing(Reply::new("206 Partial Content\r\nContent-Range: bytes 0-0/9", "x"), "206").await;
    check_failing(Reply::not_modified(), "304").await;
}

#[tokio::test]
async fn retry_after_is_waited_for() {
    let (backend, mut running) =
        play(vec![Reply::new("503 Service Unavailable\r\nRetry-After: 1", ""), Reply::ok("a")]).await;
    assert_failing(running.next().await, "503");
    assert_eq!(running.next().await, Some(Event::Recovered));
    let seen = backend.seen();
    assert!(seen[1].at - seen[0].at >= Duration::from_secs(1));
}

#[tokio::test]
async fn an_identity_that_is_refused_ends_the_poll() {
    for (head, part) in [
        ("401 Unauthorized", "401"),
        ("403 Forbidden", "403"),
        ("302 Found\r\nLocation: http://127.0.0.2:1/login", "to http://127.0.0.2:1"),
        ("302 Found\r\nLocation: //elsewhere.example/login", "to http://elsewhere.example"),
        ("302 Found\r\nLocation: mailto:someone@example.org", "sends elsewhere"),
    ] {
        let (backend, mut running) = play(vec![Reply::ok("a"), Reply::new(head, "")]).await;
        assert_eq!(running.next().await, text("a"));
        match running.next().await {
            Some(Event::Unauthorized { reason }) => assert!(reason.contains(part), "{reason}"),
            other => panic!("expected Unauthorized for {head}, got {other:?}"),
        }
        assert_eq!(running.next().await, None, "the poll has returned");
        assert_eq!(backend.seen().len(), 2);
    }
}

#[tokio::test]
async fn one_redirect_within_the_origin_is_followed() {
    let (backend, mut running) = play(vec![
        Reply::new("302 Found\r\nLocation: /other?x=1#part", ""),
        Reply::ok("a"),
        Reply::new("308 Permanent Redirect\r\nLocation: moved", ""),
        Reply::ok("b"),
        Reply::ok("c"),
        Reply::new("302 Found\r\nLocation: /1", ""),
        Reply::new("302 Found\r\nLocation: /2", ""),
        Reply::ok("d"),
    ])
    .await;
    for body in ["a", "b", "c"] {
        assert_eq!(running.next().await, text(body));
    }
    assert_failing(running.next().await, "redirects more than once");
    assert_eq!(running.next().await, Some(Event::Recovered));
    assert_eq!(backend.paths()[..7], ["/doc", "/other?x=1", "/doc", "/moved", "/moved", "/moved", "/1"]);
    let connections: Vec<usize> = backend.seen().iter().map(|seen| seen.connection).collect();
    assert_eq!(connections[..5], [0; 5], "a redirect does not cost a connection");
}

#[tokio::test]
async fn kinds_follow_the_content_type_and_no_content_publishes_nothing() {
    let (_backend, mut running) = play(vec![
        Reply::raw("HTTP/1.1 204 No Content\r\n\r\n", Then::KeepAlive),
        Reply::new("200 OK\r\nContent-Type: image/png", "a"),
        Reply::new("200 OK\r\nContent-Type: text/plain", "a"),
        Reply::new("200 OK\r\nContent-Type: text/plain", b"\xff"),
    ])
    .await;
    let binary =
        |bytes: &'static [u8]| Some(Event::Publication(Payload::binary(Bytes::from_static(bytes)).into()));
    assert_eq!(running.next().await, binary(b"a"));
    assert_eq!(running.next().await, text("a"));
    assert_eq!(running.next().await, binary(b"\xff"));
}

#[tokio::test]
async fn a_backend_that_is_not_there_is_failing() {
    let target = Backend::start(vec![Reply::ok("a")]).await.target("/");
    let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let uri = format!("http://{}/", gone.local_addr().expect("bound")).parse().expect("a URL");
    drop(gone);
    let mut running = start(upstream(|_| ()), Target { uri, ..target });
    assert_failing(running.next().await, "is the server running?");
}
