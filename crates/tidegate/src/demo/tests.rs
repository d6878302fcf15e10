//! The server over a socket of its own, spoken to in plain bytes.
//! What comes back is read as it stands on the wire.

use std::collections::HashSet;
use std::time::Instant;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

/// An answer as it came.
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("JSON")
    }
}

/// One request on a connection of its own; `more` are header lines, each with its line end.
async fn ask(backend: &Backend, method: &str, target: &str, more: &str) -> Answer {
    let host = if more.contains("Host:") { "" } else { "Host: localhost:1\r\n" };
    exchange(backend, &format!("{method} {target} HTTP/1.1\r\n{host}{more}Connection: close\r\n\r\n")).await
}

async fn exchange(backend: &Backend, request: &str) -> Answer {
    let mut stream = TcpStream::connect(backend.address).await.expect("the server listens");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("answered and closed");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    Answer { status, head: head.to_owned(), body: body.to_owned() }
}

#[tokio::test]
async fn documents_with_their_headers() {
    let backend = start().await.expect("a free port");
    assert!(backend.address.ip().is_loopback());
    for (target, key) in [
        ("/machine.json", "time"),
        ("/load.json", "load"),
        ("/memory.json?unused", "memory"),
        ("/network.json", "network"),
        ("/processes.json", "processes"),
    ] {
        let answer = ask(&backend, "GET", target, "").await;
        assert_eq!(answer.status, 200, "{target}");
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert_eq!(answer.header("cache-control"), Some("public, max-age=1"));
        assert!(answer.header("etag").is_some_and(|tag| tag.starts_with('"') && tag.len() == 18));
        let document = answer.json();
        let fields: Vec<_> = document.as_object().expect("an object").keys().cloned().collect();
        assert!(target == "/machine.json" || fields.iter().all(|field| field == key || field == "error"));
    }
}

#[tokio::test]
async fn page_is_whole_and_asks_nobody_else() {
    let backend = start().await.expect("a free port");
    let answer = ask(&backend, "GET", "/", "").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"));
    assert!(
        answer
            .header("content-security-policy")
            .is_some_and(|policy| policy.starts_with("default-src 'none'"))
    );
    assert_eq!(answer.body.as_bytes(), PAGE);
    for foreign in ["src=\"http", "href=\"http", "@import", "innerHTML", "//cdn"] {
        assert!(!answer.body.contains(foreign), "{foreign}");
    }
}

#[tokio::test]
async fn head_has_the_length_and_no_body() {
    let backend = start().await.expect("a free port");
    let answer = ask(&backend, "HEAD", "/", "").await;
    assert_eq!((answer.status, answer.body.as_str()), (200, ""));
    assert_eq!(answer.header("content-length"), Some(PAGE.len().to_string().as_str()));
}

#[tokio::test]
async fn who_has_it_already_gets_304() {
    let backend = start().await.expect("a free port");
    let tag = ask(&backend, "GET", "/", "").await.header("etag").expect("a tag").to_owned();
    for known in [tag.clone(), format!("\"a\", W/{tag}"), "*".to_owned()] {
        let answer = ask(&backend, "GET", "/", &format!("If-None-Match: {known}\r\n")).await;
        assert_eq!((answer.status, answer.body.as_str()), (304, ""), "{known}");
        assert_eq!(answer.header("etag"), Some(tag.as_str()));
    }
    let answer = ask(&backend, "GET", "/", "If-None-Match: \"0\"\r\n").await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn a_handshake_is_answered_like_any_other_request() {
    let backend = start().await.expect("a free port");
    let request = "GET /load.json HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n\
        HEAD / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n";
    let answer = exchange(&backend, request).await;
    assert_eq!(answer.status, 200);
    assert!(answer.body.contains("HTTP/1.1 200 OK"), "the connection serves on: {}", answer.body);
}

#[tokio::test]
async fn refusals_are_json() {
    let backend = start().await.expect("a free port");
    for (method, target, more, status) in [
        ("GET", "/machine", "", 404),
        ("GET", "/../etc/passwd", "", 404),
        ("POST", "/machine.json", "Content-Length: 0\r\n", 405),
        ("DELETE", "/", "", 405),
        ("GET", "/", "Host: rebound.example\r\n", 421),
        ("GET", "/", "Host: a b\r\n", 421),
    ] {
        let answer = ask(&backend, method, target, more).await;
        assert_eq!(answer.status, status, "{method} {target}");
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert!(answer.json()["error"].is_string());
        assert_eq!(answer.header("allow"), (status == 405).then_some("GET, HEAD"));
    }
    for host in ["LocalHost", "[::1]:80", "192.0.2.7:8080"] {
        assert_eq!(ask(&backend, "GET", "/", &format!("Host: {host}\r\n")).await.status, 200, "{host}");
    }
}

#[tokio::test]
async fn many_who_ask_cost_one_sample_an_interval() {
    let backend = start().await.expect("a free port");
    let begun = Instant::now();
    let mut tags = HashSet::new();
    for _ in 0..8 {
        let answer = ask(&backend, "GET", "/machine.json", "").await;
        tags.insert(answer.header("etag").expect("a tag").to_owned());
    }
    // One that was there before, and one for each interval that has passed, however slow the machine is.
    let samples_max = 1 + begun.elapsed().div_duration_f64(figures::SAMPLE_INTERVAL).ceil() as usize;
    assert!(tags.len() <= samples_max, "{} samples, at most {samples_max} expected", tags.len());
}

#[tokio::test]
async fn dropping_it_ends_the_connections() {
    let backend = start().await.expect("a free port");
    let mut stream = TcpStream::connect(backend.address).await.expect("the server listens");
    stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await.expect("sent");
    let mut first = [0; 1];
    stream.read_exact(&mut first).await.expect("an answer begins");
    let address = backend.address;
    drop(backend);
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest).await;
    assert!(TcpStream::connect(address).await.is_err());
}
