//! `tidegate inspect` between a scripted server and a client: what is shown, recorded and read again, and how it ends.

#![allow(missing_docs, reason = "a test program")]

mod harness;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Child;

use harness::{Run, finish, frame, listen, read_head, run, serve, tidegate};
use serde_json::Value;
use tempfile::tempdir;

/// The inspector in front of this server; gives its address, once it listens.
fn inspect(url: &str, arguments: &[&str]) -> (Child, String) {
    let mut child = tidegate(&[&["inspect", url], arguments].concat()).spawn().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.trim_start().starts_with("tidegate connect ws://") {
        line.clear();
        assert!(stderr.read_line(&mut line).unwrap() > 0, "it says where it listens");
    }
    let address = line.trim().trim_start_matches("tidegate connect ").to_owned();
    // What is said later goes to the test's own report.
    std::thread::spawn(move || {
        let mut rest = String::new();
        let _ = stderr.read_to_string(&mut rest);
        eprintln!("{rest}");
    });
    (child, address)
}

/// A server that says two things and closes, seen through the inspector by `connect`.
fn conversation(arguments: &[&str]) -> Run {
    let (url, server) = serve(|peer| {
        assert_eq!(peer.text(), "hello");
        peer.send(&frame(0x81, b"\x1b[31mtwo\x07"));
        peer.send(&frame(0x89, b"p"));
        assert_eq!(peer.frame().0, 0x8a);
        peer.send(&[0x01, 1, b'a', 0x80, 1, b'b']);
        peer.close(1001, "bye");
    });
    let (child, address) = inspect(&url, &[&["-n", "1"], arguments].concat());
    let seen = run(&["connect", &address, "--token", "s3cret"], "hello\n");
    assert_eq!((seen.code, seen.stdout.as_str()), (0, "\x1b[31mtwo\x07\nab\n"), "{}", seen.stderr);
    server.join().unwrap();
    let shown = finish(child);
    assert_eq!(shown.code, 0, "{}", shown.stdout);
    shown
}

fn check(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
}

#[test]
fn rows_of_a_conversation() {
    let shown = conversation(&[]);
    assert!(!shown.stdout.contains(['\x1b', '\x07']), "{}", shown.stdout);
    assert!(!shown.stdout.contains("s3cret"), "{}", shown.stdout);
    check(
        &shown.stdout,
        &[
            "time          conn  way op       FR123M     payload        wire  what it holds",
            "> GET / HTTP/1.1",
            "> Authorization: Bearer [hidden]",
            "< HTTP/1.1 101 Switching Protocols",
            "= open ws://127.0.0.1:",
            "↑   text     F···M          5 B        11 B  hello",
            "↓   text     F····          9 B        11 B  \\u{1b}[31mtwo\\u{7}",
            "↓   ping     F····          1 B         3 B  p",
            "ms after its Ping] p",
            "↓   text     ·····          1 B         3 B  [fragment 1] a",
            "↓   continue F····          1 B         3 B  [fragment 2, the last] b",
            "↓   text     2 fr.          2 B         6 B  ab",
            "↓   close    F····          5 B         7 B  1001 going away \"bye\"",
            "= closed 1001 going away \"bye\": the server closed with 1001 going away, and the client answered",
        ],
    );
    assert!(!shown.stdout.contains('✗'), "{}", shown.stdout);
}

#[test]
fn everything_explained() {
    let shown = conversation(&["--explain", "--filter", "type:handshake op:ping"]);
    assert_eq!(shown.stdout.lines().count(), 1, "no event is both: {}", shown.stdout);
    let shown = conversation(&["--explain"]);
    check(
        &shown.stdout,
        &[
            "✓ method GET: GET  (RFC 6455, section 4.1)",
            "✓ Sec-WebSocket-Accept belongs to the key: ",
            "1... ....  MASK      1  masked: a client sent it",
        ],
    );
}

#[test]
fn a_filter_decides_what_is_shown_and_not_what_is_recorded() {
    let folder = tempdir().unwrap();
    let file = folder.path().join("a.jsonl");
    let shown = conversation(&["--json", "--filter", "op:text dir:in", "--record", file.to_str().unwrap()]);
    let lines = json(&shown.stdout);
    assert_eq!(lines.iter().map(|line| line["op"].as_str()).collect::<Vec<_>>(), [Some("text"); 3]);
    assert!(!shown.stdout.contains('\x1b'));
    let recorded = fs::read_to_string(&file).unwrap();
    let kinds: Vec<_> =
        json(&recorded).iter().map(|line| line["type"].as_str().unwrap_or("").to_owned()).collect();
    assert_eq!(kinds[..3], ["handshake", "handshake", "open"]);
    assert_eq!(kinds[kinds.len() - 2..], ["stats", "close"]);
    assert!(!recorded.contains("s3cret"));
}

fn json(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn path(folder: &Path, name: &str) -> String {
    folder.join(name).to_str().unwrap().to_owned()
}

#[test]
fn recordings_are_read_again_and_become_others() {
    let folder = tempdir().unwrap();
    let (jsonl, har, pcapng) =
        (path(folder.path(), "a.jsonl"), path(folder.path(), "a.har"), path(folder.path(), "a.pcapng"));
    let live = conversation(&["--record", &jsonl]);
    let read = run(&["inspect", &jsonl], "");
    assert_eq!((read.code, read.stdout), (0, live.stdout));
    assert_eq!(run(&["inspect", &jsonl, "--record", &har], "").code, 0);
    let read = run(&["inspect", &har], "");
    check(
        &read.stdout,
        &["> GET / HTTP/1.1", "whole          9 B", "\\u{1b}[31mtwo", "↓   ping", "= closed 1001"],
    );
    assert_eq!(run(&["inspect", &har, "--record", &pcapng], "").code, 0);
    assert_eq!(fs::read(&pcapng).unwrap()[..4], [0x0a, 0x0d, 0x0d, 0x0a]);
    // Nothing more comes behind a place that is broken, and it is said where that is.
    let whole = fs::read(&jsonl).unwrap();
    fs::write(&jsonl, &whole[..whole.len() - 20]).unwrap();
    let read = run(&["inspect", &jsonl], "");
    assert_eq!(read.code, 1);
    check(&read.stderr, &["a.jsonl: byte ", "the recording ends within this line"]);
    check(&read.stdout, &["↓   close"]);
    fs::write(&har, "{\"log\":\x1b").unwrap();
    let read = run(&["inspect", &har], "");
    check(&read.stderr, &["a.har: byte 7 (line 1)"]);
    assert_eq!((read.code, read.stderr.contains('\x1b')), (1, false));
}

#[test]
fn secrets_are_shown_and_recorded_only_when_that_is_asked_for() {
    let folder = tempdir().unwrap();
    let jsonl = path(folder.path(), "a.jsonl");
    let shown = conversation(&["--show-secrets", "--record", &jsonl]);
    check(&shown.stdout, &["> Authorization: Bearer s3cret"]);
    check(&fs::read_to_string(&jsonl).unwrap(), &["s3cret"]);
    // Files of others hide nothing either.
    assert!(!run(&["inspect", &jsonl], "").stdout.contains("s3cret"));
    check(&run(&["inspect", &jsonl, "--show-secrets"], "").stdout, &["s3cret"]);
}

#[test]
fn usage_2() {
    for arguments in [
        &["inspect"][..],
        &["inspect", "ftp://x/"],
        &["inspect", "nothing"],
        &["inspect", "x.txt"],
        &["inspect", "ws://127.0.0.1:1/", "--record", "a.txt"],
        &["inspect", "ws://127.0.0.1:1/", "--filter", "op:x"],
    ] {
        let run = run(arguments, "");
        assert_eq!(run.code, 2, "{arguments:?} {}", run.stderr);
    }
    let run = run(&["inspect", "ws://127.0.0.1:1/", "--filter", "dir:in op:x"], "");
    check(&run.stderr, &["column 11", "\ndir:in op:x\n          ^ one of text"]);
}

#[test]
fn unreachable_4_once_somebody_connects() {
    let gone = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/", gone.local_addr().unwrap());
    drop(gone);
    let (child, address) = inspect(&url, &[]);
    assert_eq!(run(&["connect", &address], "").code, 4);
    assert_eq!(finish(child).code, 4);
}

#[test]
fn no_websocket_server_6_with_what_it_answered() {
    for (answer, parts) in [
        (
            &b"HTTP/1.1 404 Not Found\r\nContent-Length: 11\r\n\r\nno \x1b]0;x\x07 you"[..],
            &["< HTTP/1.1 404 Not Found", "no \\u{1b}]0;x\\u{7} you", "✗ status 101 of HTTP/1.1"][..],
        ),
        (b"SSH-2.0-OpenSSH\r\n\r\n", &["< SSH-2.0-OpenSSH", "! the server's answer is not HTTP"]),
    ] {
        let (server_address, server) = listen(move |mut stream| {
            read_head(&mut stream);
            stream.write_all(answer).unwrap();
            let _ = stream.read_to_end(&mut Vec::new());
        });
        let (child, address) = inspect(&format!("ws://{server_address}/"), &[]);
        let seen = run(&["connect", &address], "");
        assert!(matches!(seen.code, 6 | 7), "{}", seen.stderr);
        let shown = finish(child);
        server.join().unwrap();
        assert_eq!(shown.code, 6, "{}", shown.stdout);
        check(&shown.stdout, parts);
        assert!(!shown.stdout.contains('\x1b'));
    }
}

#[test]
fn the_server_sees_its_own_host_and_the_bytes_as_they_came() {
    for (arguments, keeps) in [(&[][..], false), (&["--keep-host"], true)] {
        let (server_address, server) = listen(|mut stream| {
            let head = read_head(&mut stream);
            let mut rest = [0; 5];
            stream.read_exact(&mut rest).unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
            (head, rest)
        });
        let (child, address) =
            inspect(&format!("ws://{server_address}/"), &[&["-n", "1"], arguments].concat());
        let mut client =
            TcpStream::connect(address.trim_start_matches("ws://").trim_end_matches('/')).unwrap();
        client.write_all(b"GET /a HTTP/1.1\r\nx:  y\r\nhost: me\r\n\r\n\x00\xff\x00\xff\x00").unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        let (head, rest) = server.join().unwrap();
        let host = if keeps { "me".to_owned() } else { server_address.to_string() };
        assert_eq!(head, format!("GET /a HTTP/1.1\r\nx:  y\r\nhost: {host}\r\n\r\n"));
        assert_eq!((rest, answer.as_str()), ([0, 0xff, 0, 0xff, 0], "HTTP/1.1 200 OK\r\n\r\n"));
        drop(client);
        // A plain request is no reason to give up.
        assert_eq!(finish(child).code, 0);
    }
}

#[test]
fn who_ends_without_a_close_frame_is_told() {
    let (url, server) = serve(|peer| peer.send(&[0x81, 0x05, b'a']));
    let (child, address) = inspect(&url, &["-n", "1"]);
    assert_eq!(run(&["connect", &address], "").code, 8);
    server.join().unwrap();
    let shown = finish(child);
    check(
        &shown.stdout,
        &[
            "the server's bytes ended within a frame",
            "= closed 1006 abnormal closure: no Close frame either way (1006): the server",
        ],
    );
}
