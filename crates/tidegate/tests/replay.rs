//! `tidegate replay` against scripted servers: what goes out again and when, what is told of what comes, and how it ends.

#![allow(missing_docs, reason = "a test program")]

mod harness;

use std::fs;
use std::io::Read;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use harness::{Peer, Run, accept, frame, listen_often, run, serve};
use serde_json::{Value, json};
use tempfile::{TempDir, tempdir};

/// Lines of a recording: milliseconds since the beginning, connection, and an event without its time.
struct Recording {
    folder: TempDir,
    lines: Vec<String>,
}

impl Recording {
    fn new() -> Self {
        Self { folder: tempdir().unwrap(), lines: Vec::new() }
    }

    fn event(mut self, at: u64, conn: &str, mut event: Value) -> Self {
        event["v"] = 1.into();
        event["ts"] = format!("2026-01-01T00:00:{:02}.{:03}Z", at / 1000, at % 1000).into();
        event["conn"] = conn.into();
        self.lines.push(event.to_string());
        self
    }

    /// A handshake, and the connection open.
    fn open(self, at: u64, conn: &str, headers: &Value) -> Self {
        let request = json!({"type": "handshake", "dir": "c2s", "http": "1.1", "start": "GET /chat?x=1 HTTP/1.1",
            "headers": headers});
        self.event(at, conn, request).event(
            at,
            conn,
            json!({"type": "open", "url": "ws://h/chat", "status": 101}),
        )
    }

    fn text(self, at: u64, conn: &str, dir: &str, text: &str) -> Self {
        let payload = json!({"enc": "utf8", "data": text, "truncated": false});
        let message =
            json!({"type": "message", "dir": dir, "op": "text", "len": text.len(), "payload": payload});
        self.event(at, conn, message)
    }

    fn closed(self, at: u64, conn: &str, by: &str, code: u16) -> Self {
        self.event(at, conn, json!({"type": "close", "code": code, "reason": "", "clean": true, "by": by, "end": "close frame"}))
    }

    fn replay(&self, url: &str, arguments: &[&str]) -> Run {
        let file = self.folder.path().join("a.jsonl");
        fs::write(&file, self.lines.join("\n") + "\n").unwrap();
        run(&[&["replay", file.to_str().unwrap(), url], arguments].concat(), "")
    }
}

/// Two questions with an answer each; the client closes.
fn questions() -> Recording {
    Recording::new()
        .open(0, "c1", &json!([["Host", "h"], ["User-Agent", "then"], ["Authorization", "Bearer [hidden]"]]))
        .text(1, "c1", "c2s", "one")
        .text(200, "c1", "s2c", r#"{"n": 1, "id": "a"}"#)
        .text(300, "c1", "c2s", "two")
        .text(400, "c1", "s2c", r#"{"n": 2, "id": "b"}"#)
        .closed(500, "c1", "c2s", 4001)
}

/// A server that has these answers, and the client's Close in the end; gives the request's head.
fn answering(answers: &'static [&'static str]) -> (String, JoinHandle<(String, u16)>) {
    let (url, server) = serve(|peer| {
        assert_eq!(peer.text(), "one");
        peer.send(&frame(0x81, answers[0].as_bytes()));
        assert_eq!(peer.text(), "two");
        answers[1..].iter().for_each(|answer| peer.send(&frame(0x81, answer.as_bytes())));
        (peer.request.clone(), peer.closed())
    });
    (url.trim_end_matches('/').to_owned(), server)
}

fn check(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
}

#[test]
fn as_recorded_0() {
    let (url, server) = answering(&[r#"{"id":"a","n":1.0}"#, r#"{"id":"b","n":2}"#]);
    let run = questions().replay(&url, &["--in-step", "-H", "X-New: 1"]);
    assert_eq!(run.code, 0, "{} {}", run.stdout, run.stderr);
    check(
        &run.stdout,
        &["= 1 connections, 2 of 2 messages sent, 2 came: 2 as recorded, 0 changed", "= no difference"],
    );
    check(
        &run.stderr,
        &["c1: the recording hides Authorization, which is not sent; give it with -H 'Authorization: …'"],
    );
    let (request, code) = server.join().unwrap();
    assert_eq!(code, 4001);
    check(&request, &["GET /chat?x=1 HTTP/1.1\r\n", "User-Agent: then\r\n", "X-New: 1\r\n"]);
    assert!(!request.contains("hidden"), "{request}");
}

#[test]
fn differences_9_with_their_places() {
    let answers = &[r#"{"n":1,"id":"x"}"#, r#"{"n":7,"id":"y","more":[]}"#, "\x1b[2Jsurplus"];
    let (url, server) = answering(answers);
    let run = questions().replay(&url, &["--in-step", "--ignore", "$.id", "-H", "authorization: x"]);
    assert_eq!((run.code, run.stderr.as_str()), (9, ""), "{}", run.stdout);
    check(
        &run.stdout,
        &[
            "c1 message 2 is another one than recorded\n  $.n: 2 → 7\n  $.more: nothing → []\n",
            "c1 one more than recorded, after message 2: \\u{1b}[2Jsurplus",
            "2 of 2 messages sent, 3 came: 1 as recorded, 1 changed, 0 missing, 1 more",
            "= 2 differences, the first: c1 message 2 is another one than recorded",
        ],
    );
    server.join().unwrap();
}

#[test]
fn what_does_not_come_is_missing_and_the_rest_goes_on() {
    let (url, server) = answering(&[r#"{"n":1,"id":"a"}"#]);
    let run = questions().replay(&url, &["--in-step", "--timeout", "300ms", "--json"]);
    assert_eq!(run.code, 9, "{}", run.stderr);
    check(&run.stderr, &["c1: 1 of 2 messages did not come in time"]);
    let lines: Vec<Value> = run.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let kinds: Vec<_> = lines.iter().map(|line| line["type"].as_str().unwrap_or("")).collect();
    assert_eq!(
        kinds,
        ["open", "message", "message", "message", "close", "difference", "result", "exit"],
        "{}",
        run.stdout
    );
    assert!(lines.iter().all(|line| line["v"] == 1 && line["ts"].is_string()));
    let [.., difference, result, exit] = &*lines else { panic!() };
    assert_eq!(
        (&difference["what"], &difference["number"], &difference["conn"]),
        (&"missing".into(), &2.into(), &"c1".into())
    );
    assert_eq!(
        (&result["same"], &result["missing"], &result["differences"]),
        (&1.into(), &1.into(), &1.into())
    );
    assert_eq!((&exit["code"], &lines[4]["by"]), (&9.into(), &"c2s".into()));
    server.join().unwrap();
}

#[test]
fn the_servers_close_counts() {
    let recording = || {
        Recording::new().open(0, "c1", &json!([])).text(10, "c1", "c2s", "one").closed(20, "c1", "s2c", 1001)
    };
    let closing = |code: u16| {
        serve(move |peer| {
            assert_eq!(peer.text(), "one");
            peer.close(code, "");
        })
    };
    let (url, server) = closing(1001);
    let same = recording().replay(&url, &["--speed", "max"]);
    assert_eq!(same.code, 0, "{} {}", same.stdout, same.stderr);
    server.join().unwrap();
    let (url, server) = closing(1011);
    let other = recording().replay(&url, &["--speed", "max"]);
    assert_eq!(other.code, 9);
    check(&other.stdout, &["c1 the server closed with 1011; in the recording it closed with 1001"]);
    server.join().unwrap();
}

#[test]
fn at_the_recorded_speed_or_another() {
    let took = |arguments: &[&str]| {
        let (url, server) = answering(&[r#"{"n":1,"id":"a"}"#, r#"{"n":2,"id":"b"}"#]);
        let began = Instant::now();
        let run = questions().replay(&url, arguments);
        assert_eq!(run.code, 0, "{} {}", run.stdout, run.stderr);
        server.join().unwrap();
        began.elapsed()
    };
    assert!(took(&[]) >= Duration::from_millis(500));
    assert!(took(&["--speed", "0.5"]) >= Duration::from_millis(1000));
    // In step and at a speed: both hold.
    assert!(took(&["--speed", "1", "--in-step"]) >= Duration::from_millis(500));
}

/// A server that greets each of two clients by what it says, the later one first.
fn greeting() -> (SocketAddr, JoinHandle<()>) {
    listen_often(|listener: &TcpListener| {
        let mut peers: Vec<Peer> = (0..2).map(|_| Peer::accept(accept(listener), "")).collect();
        for peer in peers.iter_mut().rev() {
            let name = peer.text();
            peer.send(&frame(0x81, format!("hi {name}").as_bytes()));
            peer.send(&frame(0x81, b"all"));
        }
        peers.iter_mut().for_each(|peer| drop(peer.stream.read_to_end(&mut Vec::new())));
    })
}

#[test]
fn all_connections_or_one() {
    let mut recording = Recording::new();
    for (conn, at) in [("a", 0), ("b", 20)] {
        recording = recording
            .open(at, conn, &json!([]))
            .text(at + 5, conn, "c2s", conn)
            .text(at + 6, conn, "s2c", "all")
            .text(at + 7, conn, "s2c", &format!("hi {conn}"));
    }
    let (address, server) = greeting();
    let both = recording.replay(&format!("ws://{address}/"), &["--unordered"]);
    assert_eq!(both.code, 0, "{} {}", both.stdout, both.stderr);
    check(&both.stdout, &["= 2 connections, 2 of 2 messages sent, 4 came: 4 as recorded"]);
    server.join().unwrap();
    let (url, server) = serve(|peer| {
        assert_eq!(peer.text(), "b");
        peer.send(&[frame(0x81, b"all"), frame(0x81, b"hi b")].concat());
        peer.closed()
    });
    let one = recording.replay(&url, &["--connection", "b"]);
    assert_eq!((one.code, server.join().unwrap()), (0, 1000), "{} {}", one.stdout, one.stderr);
    let none = recording.replay(&url, &["--connection", "x"]);
    assert_eq!(none.code, 2);
    check(&none.stderr, &["there is no connection x\n  next: it has a, b"]);
}

fn record(folder: &Path, name: &str, url: &str) -> String {
    let file = folder.join(name).to_str().unwrap().to_owned();
    let seen = run(&["connect", url, "--record", &file, "--linger", "1"], "one\ntwo\n");
    assert_eq!(seen.code, 0, "{}", seen.stderr);
    file
}

#[test]
fn what_connect_recorded_in_any_form() {
    let folder = tempdir().unwrap();
    let answers: &[&str] = &["first", "second"];
    for name in ["a.jsonl", "a.har", "a.pcapng"] {
        let (url, server) = answering(answers);
        let file = record(folder.path(), name, &url);
        server.join().unwrap();
        let (url, server) = answering(answers);
        let again = run(&["replay", &file, &url, "--in-step"], "");
        assert_eq!(again.code, 0, "{name} {} {}", again.stdout, again.stderr);
        assert_eq!(server.join().unwrap().1, 1000, "{name}");
    }
}

#[test]
fn recordings_that_cannot_be_sent() {
    let cut = json!({"type": "message", "dir": "c2s", "op": "text", "len": 9,
        "payload": {"enc": "utf8", "data": "on", "truncated": true}});
    let run = Recording::new().open(0, "c1", &json!([])).event(1, "c1", cut).replay("ws://127.0.0.1:1", &[]);
    assert_eq!(run.code, 1);
    check(&run.stderr, &["message 1 that the client of c1 sent was recorded up to byte 2 only"]);
    let run = Recording::new().event(0, "c1", json!({"type": "x"})).replay("ws://127.0.0.1:1", &[]);
    assert_eq!(run.code, 1);
    check(&run.stderr, &["no WebSocket is in it"]);
    let run = questions().replay("ws://127.0.0.1:1", &[]);
    assert_eq!(run.code, 4, "{}", run.stderr);
}

#[test]
fn a_refusal_is_compared_with_a_refusal() {
    let (address, server) = listen_often(|listener| {
        for _ in 0..2 {
            let mut stream = accept(listener);
            harness::read_head(&mut stream);
            std::io::Write::write_all(&mut stream, b"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n").unwrap();
        }
    });
    let url = format!("ws://{address}");
    let run = questions().replay(&url, &[]);
    assert_eq!(run.code, 6);
    check(&run.stderr, &["the recording hides Authorization: give it with -H"]);
    let request =
        json!({"type": "handshake", "dir": "c2s", "http": "1.1", "start": "GET / HTTP/1.1", "headers": []});
    let refused = json!({"type": "handshake", "dir": "s2c", "http": "1.1", "start": "HTTP/1.1 401 No", "status": 401,
        "headers": []});
    let run = Recording::new().event(0, "c1", request).event(1, "c1", refused).replay(&url, &[]);
    assert_eq!(run.code, 0, "{} {}", run.stdout, run.stderr);
    server.join().unwrap();
}
