//! `tidegate connect` against a scripted server: exit codes, what goes to stdout and what to stderr, the
//! end of stdin.

#![allow(missing_docs, reason = "a test program")]

mod harness;

use std::io::Write;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use harness::{
    Peer, Run, accept, finish, frame, listen, listen_often, read_head, run, serve, signal, tidegate,
};
use serde_json::Value;
use tidegate_inspect::Event;

/// Connects to a server that gives this answer to the handshake.
fn answered_by(answer: &'static str, arguments: &[&str]) -> Run {
    let (address, server) = listen(move |mut stream| {
        read_head(&mut stream);
        stream.write_all(answer.as_bytes()).unwrap();
    });
    let url = format!("ws://{address}/");
    let run = run(&[&["connect", &url], arguments].concat(), "");
    server.join().unwrap();
    run
}

#[test]
fn done_0_and_payloads_alone_on_stdout() {
    let (url, server) = serve(|peer| {
        peer.send(&frame(0x81, b"one"));
        peer.send(&frame(0x89, b"are you \x1b there"));
        peer.send(&frame(0x81, b"\x1b[31mtwo\x07"));
        peer.send(&frame(0x82, b"\x00\xf0\x9f\x8c\x8a"));
        assert_eq!(peer.frame().0, 0x8a);
        peer.close(1001, "bye \u{9b}2J");
    });
    let run = run(&["connect", &url], "");
    server.join().unwrap();
    assert_eq!((run.code, run.stdout.as_str()), (0, "one\n\x1b[31mtwo\x07\n\x00🌊\n"));
    assert!(run.stderr.contains("↓ ping") && run.stderr.contains("are you \\u{1b} there"), "{}", run.stderr);
    assert!(run.stderr.contains("close 1001 going away \"bye \\u{9b}2J\""), "{}", run.stderr);
    assert!(!run.stderr.contains(['\x1b', '\u{9b}']));
}

#[test]
fn done_0_after_n_messages() {
    let (url, server) = serve(|peer| {
        (0..9).for_each(|_| peer.send(&frame(0x81, b"x")));
        peer.closed()
    });
    let run = run(&["connect", &url, "-n", "3"], "");
    assert_eq!((run.code, run.stdout.as_str()), (0, "x\nx\nx\n"));
    assert_eq!(server.join().unwrap(), 1000);
}

#[test]
fn done_0_when_what_was_expected_came() {
    let (url, server) = serve(|peer| {
        peer.send(&frame(0x81, b"no"));
        peer.send(&frame(0x81, b"it is {\"ok\":true}"));
        peer.closed()
    });
    let run = run(&["connect", &url, "--expect", "re:\"ok\":true"], "");
    assert_eq!((run.code, server.join().unwrap()), (0, 1000));
}

#[test]
fn done_0_when_a_test_of_json_holds() {
    let (url, server) = serve(|peer| {
        peer.send(&frame(0x81, b"trade"));
        peer.send(&frame(0x81, br#"{"type": "trade", "price": 10.5}"#));
        peer.closed()
    });
    let done = run(&["connect", &url, "--expect", "$.type==\"trade\""], "");
    assert_eq!((done.code, server.join().unwrap()), (0, 1000), "{}", done.stderr);
    let (url, server) = serve(|peer| {
        peer.send(&frame(0x81, br#"{"price": 10.5}"#));
        peer.closed()
    });
    let unmet = run(&["connect", &url, "--expect", "$.price>11", "-n", "1"], "");
    assert_eq!((unmet.code, server.join().unwrap()), (9, 1000));
}

#[test]
fn the_last_line_has_who_ended_it_and_the_totals() {
    let (url, server) = serve(|peer| {
        assert_eq!(peer.text(), "hello");
        peer.send(&frame(0x81, b"one"));
        peer.send(&frame(0x82, b"\xff\x00"));
        peer.close(1000, "");
    });
    let closed = run(&["connect", &url], "hello\n");
    server.join().unwrap();
    let last = |run: &Run| run.stderr.lines().last().unwrap().to_owned();
    assert!(last(&closed).starts_with("= closed by the server after "), "{}", closed.stderr);
    assert!(last(&closed).ends_with(" s  ↑ 1 message, 5 B  ↓ 2 messages, 5 B"), "{}", closed.stderr);
    let (url, server) = serve(|peer| peer.closed());
    let ours = run(&["connect", &url, "--linger", "0"], "");
    server.join().unwrap();
    assert!(last(&ours).starts_with("= closed by us after "), "{}", ours.stderr);
    let (url, server) = serve(|_| ());
    let lost = run(&["connect", &url], "");
    server.join().unwrap();
    assert!(last(&lost).starts_with("= lost after "), "{}", lost.stderr);
}

#[test]
fn silence_is_answered_with_pings() {
    let (url, server) = serve(|peer| {
        assert_eq!(peer.frame().0, 0x89);
        peer.send(&frame(0x8a, b""));
        assert_eq!(peer.frame().0, 0x89, "again after the same time");
        peer.close(1000, "");
    });
    let run = run(&["connect", &url, "--ping-interval", "50ms"], "");
    server.join().unwrap();
    assert_eq!(run.code, 0, "{}", run.stderr);
}

#[test]
fn usage_2() {
    for arguments in [
        &["connect"][..],
        &["connect", "ftp://localhost/"],
        &["connect", "ws://localhost/#fragment"],
        &["connect", "ws://127.0.0.1:1/", "-H", "Upgrade: h2c"],
        &["connect", "ws://127.0.0.1:1/", "--nonsense"],
        &["nonsense"],
    ] {
        let run = run(arguments, "");
        assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{arguments:?} {}", run.stderr);
        assert!(!run.stderr.is_empty());
    }
}

#[test]
fn unreachable_4() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    drop(listener);
    for url in [url.as_str(), "ws://nobody.invalid/"] {
        let run = run(&["connect", url], "");
        assert_eq!((run.code, run.stdout.as_str()), (4, ""), "{}", run.stderr);
        assert!(
            run.stderr.starts_with("error[TG-800") && run.stderr.contains("]: cannot "),
            "{}",
            run.stderr
        );
    }
    assert_eq!(answered_by("", &[]).code, 4);
}

#[test]
fn tls_5() {
    let (address, server) = listen(|mut stream| stream.write_all(b"SSH-2.0-OpenSSH\r\n").unwrap());
    let run = run(&["connect", &format!("wss://{address}/"), "--insecure"], "");
    server.join().unwrap();
    assert_eq!((run.code, run.stdout.as_str()), (5, ""), "{}", run.stderr);
    assert!(run.stderr.contains("does not speak TLS") && run.stderr.contains("try ws://"), "{}", run.stderr);
}

#[test]
fn a_token_that_is_empty_is_none() {
    let (address, server) = listen(|stream| {
        let mut peer = Peer::accept(stream, "");
        peer.close(1000, "");
        peer.request
    });
    let url = format!("ws://{address}/");
    let mut command = tidegate(&["connect", &url]);
    let run = finish(command.env("TIDEGATE_TOKEN", "").spawn().unwrap());
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(!server.join().unwrap().contains("Authorization"));
}

#[test]
fn a_token_that_no_header_can_hold_is_named() {
    let run = run(&["connect", "ws://127.0.0.1:1/", "--token", "a\nb"], "");
    assert_eq!(run.code, 2, "{}", run.stderr);
    assert!(run.stderr.contains("--token"), "{}", run.stderr);
}

#[test]
fn handshake_refused_6_with_headers_and_body() {
    let answer = "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer\r\nContent-Length: 12\r\n\r\nno \x1b]0;x\x07you\n";
    let run = answered_by(answer, &[]);
    assert_eq!((run.code, run.stdout.as_str()), (6, ""));
    for part in ["with 401", "< WWW-Authenticate: Bearer", "no \\u{1b}]0;x\\u{7}you", "-H 'Authorization"] {
        assert!(run.stderr.contains(part), "{}", run.stderr);
    }
    let run = answered_by(answer, &["--json"]);
    let lines = json(&run.stdout);
    assert_eq!((lines[0]["type"].as_str(), lines[0]["status"].as_u64()), (Some("note"), Some(401)));
    assert_eq!((lines[1]["type"].as_str(), lines[1]["code"].as_u64()), (Some("exit"), Some(6)));
}

#[test]
fn protocol_error_7_with_its_section() {
    let answer =
        "HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n";
    let refused = answered_by(answer, &[]);
    assert_eq!(refused.code, 7);
    assert!(refused.stderr.contains("RFC 6455, section 4.1"), "{}", refused.stderr);

    let (url, server) = serve(|peer| {
        peer.send(b"\x81\x81\0\0\0\0x");
        peer.frame()
    });
    let run = run(&["connect", &url], "");
    assert_eq!(run.code, 7);
    assert!(run.stderr.contains("RFC 6455, section 5.1"), "{}", run.stderr);
    assert_eq!(server.join().unwrap().1[..2], 1002_u16.to_be_bytes());
}

#[test]
fn closed_by_the_peer_8() {
    let (url, server) = serve(|peer| peer.close(4401, "who are you?"));
    let closed = run(&["connect", &url], "");
    server.join().unwrap();
    assert_eq!(closed.code, 8);
    assert!(closed.stderr.contains("close 4401 \"who are you?\""), "{}", closed.stderr);
    let (url, server) = serve(|_| ());
    let lost = run(&["connect", &url], "");
    server.join().unwrap();
    assert_eq!(lost.code, 8);
}

#[test]
fn expectation_not_met_9() {
    for arguments in [&["--expect", "re:never"][..], &["-n", "2"]] {
        let (url, server) = serve(|peer| {
            peer.send(&frame(0x81, b"something else"));
            peer.close(1000, "");
        });
        let run = run(&[&["connect", &url], arguments].concat(), "");
        server.join().unwrap();
        assert_eq!((run.code, run.stdout.as_str()), (9, "something else\n"));
    }
    let (url, server) = serve(|peer| peer.closed());
    let run = run(&["connect", &url, "--expect", "re:never", "--timeout", "100ms"], "");
    assert_eq!((run.code, server.join().unwrap()), (9, 1000));
}

#[test]
fn time_out_10() {
    // The system accepts; nobody answers.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let silent = run(&["connect", &url, "--timeout", "100ms"], "");
    assert_eq!((silent.code, silent.stdout.as_str()), (10, ""), "{}", silent.stderr);
    let (url, server) = serve(|peer| peer.closed());
    let run = run(&["connect", &url, "-n", "1", "--timeout", "100ms"], "");
    assert_eq!((run.code, server.join().unwrap()), (10, 1000));
}

#[test]
fn interrupted_130_with_a_close_frame() {
    let (ready, is_ready) = std::sync::mpsc::sync_channel(1);
    let (url, server) = serve(move |peer| {
        // With its Pong it has read the answer to its handshake.
        peer.send(&frame(0x89, b""));
        assert_eq!(peer.frame().0, 0x8a);
        ready.send(()).unwrap();
        peer.closed()
    });
    let mut child = tidegate(&["connect", &url]).spawn().unwrap();
    let stdin = child.stdin.take();
    is_ready.recv().unwrap();
    signal(&child, "INT");
    let run = finish(child);
    drop(stdin);
    assert_eq!((run.code, server.join().unwrap()), (130, 1000));
}

#[test]
fn at_the_end_of_stdin_it_reads_on() {
    let (url, server) = serve(|peer| {
        let lines: Vec<String> = (0..4).map(|_| peer.text()).collect();
        peer.send(&frame(0x81, b"answer"));
        (lines, peer.closed())
    });
    let run = run(&["connect", &url, "--linger", "200ms"], "one\n/ping\n\n//last");
    let (lines, code) = server.join().unwrap();
    // From a pipe a slash means nothing.
    assert_eq!(lines, ["one", "/ping", "", "//last"]);
    assert_eq!((run.code, run.stdout.as_str(), code), (0, "answer\n", 1000));
}

#[test]
fn with_nothing_as_stdin_it_does_not_close() {
    let (url, server) = serve(|peer| peer.closed());
    let mut command = tidegate(&["connect", &url, "--timeout", "1300ms"]);
    let run = finish(command.stdin(Stdio::null()).spawn().unwrap());
    // After a second it would have ended with 0.
    assert_eq!((run.code, server.join().unwrap()), (10, 1000));
}

#[test]
fn a_line_that_is_no_text_is_said() {
    let (url, server) = serve(|peer| (peer.text(), peer.closed()));
    let mut child = tidegate(&["connect", &url]).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"ok\n\xff\xfe\nnever\n").unwrap();
    let run = finish(child);
    assert_eq!((run.code, server.join().unwrap()), (1, ("ok".to_owned(), 1000)));
    assert!(run.stderr.contains("line 2 of stdin is not UTF-8"), "{}", run.stderr);
}

#[test]
fn the_handshake_in_the_order_of_the_wire() {
    let (url, server) = serve(|peer| {
        peer.close(1000, "");
        peer.request.clone()
    });
    let url = format!("{url}x?y=1");
    let arguments = ["connect", &url, "-i", "-H", "X-One: 1", "--origin", "http://o", "--after", "k3f9:41"];
    let run = run(&arguments, "");
    let request = server.join().unwrap();
    assert!(request.starts_with("GET /x?y=1&after=k3f9:41 HTTP/1.1\r\n"), "{request}");
    let shown: String = request.trim_end().lines().map(|line| format!("> {line}\n")).collect();
    assert!(run.stderr.contains(&shown), "{}", run.stderr);
    assert!(run.stderr.contains("\n< HTTP/1.1 101\n< Upgrade: websocket\n"), "{}", run.stderr);
    assert_eq!(run.stdout, "");
}

#[test]
fn credentials_of_the_handshake_are_shown_only_when_that_is_asked_for() {
    let shown = |arguments: &[&str]| {
        let (url, server) = serve(|peer| peer.close(1000, ""));
        let url = format!("{url}x?y=1&access_token=s3cret");
        let headers = ["-H", "Cookie: sid=s3cret", "--token", "s3cret", "--subprotocol", "bearer.s3cret"];
        let run = run(&[&["connect", &url, "-i"], &headers[..], arguments].concat(), "");
        server.join().unwrap();
        run.stdout + &run.stderr
    };
    let hidden = shown(&[]);
    for part in [
        "> GET /x?y=1&access_token=[hidden] HTTP/1.1\n",
        "> Authorization: Bearer [hidden]\n",
        "> Cookie: sid=[hidden]\n",
        "bearer.[hidden]",
        "/x?y=1&access_token=[hidden]",
    ] {
        assert!(hidden.contains(part), "{part}\n{hidden}");
    }
    assert!(!hidden.contains("s3cret") && !shown(&["--json"]).contains("s3cret"), "{hidden}");
    let all = shown(&["--show-secrets"]);
    assert_eq!(all.matches("s3cret").count(), 5, "{all}");
    assert_eq!(shown(&["--show-secrets", "--json"]).matches("s3cret").count(), 5);
}

#[test]
fn pings_stay_unanswered_where_that_is_asked_for() {
    let (url, server) = serve(|peer| {
        peer.send(&frame(0x89, b""));
        peer.send(&frame(0x81, b"x"));
        peer.closed()
    });
    let run = run(&["connect", &url, "--no-auto-pong", "-n", "1"], "");
    assert_eq!((run.code, server.join().unwrap()), (0, 1000));
}

fn json(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn json_lines() {
    let (url, server) = serve(|peer| {
        peer.send(&frame(0x81, "a\u{1b}\u{202e}b".as_bytes()));
        peer.send(&frame(0x82, b"\x00\xff"));
        peer.send(&frame(0x89, b"p"));
        peer.send(&frame(0x8a, b""));
        peer.close(1000, "bye");
    });
    let run = run(&["connect", &url, "--json"], "");
    server.join().unwrap();
    assert!(!run.stdout.contains(['\u{1b}', '\u{202e}']));
    let lines = json(&run.stdout);
    let kinds: Vec<&str> = lines.iter().filter_map(|line| line["type"].as_str()).collect();
    assert_eq!(kinds, ["open", "message", "message", "message", "message", "close", "exit"]);
    for line in &lines {
        assert_eq!(line["v"], 1);
        let time = line["ts"].as_str().unwrap();
        assert!(time.len() == 27 && time.ends_with('Z') && &time[10..11] == "T", "{time}");
    }
    assert_eq!((&lines[0]["status"], &lines[0]["url"]), (&101.into(), &url.into()));
    assert_eq!(lines[1]["payload"]["data"], "a\u{1b}\u{202e}b");
    let binary = (&lines[2]["op"], &lines[2]["len"], &lines[2]["payload"]["data"]);
    assert_eq!(binary, (&"binary".into(), &2.into(), &"AP8=".into()));
    assert_eq!(lines[2]["payload"]["enc"], "base64");
    assert_eq!((&lines[3]["op"], &lines[4]["op"]), (&"ping".into(), &"pong".into()));
    assert_eq!((&lines[5]["code"], &lines[5]["clean"]), (&1000.into(), &true.into()));
    assert_eq!((&lines[6]["code"], &lines[6]["reason"]), (&0.into(), &"done".into()));
}

#[test]
fn a_recording_has_what_json_has_and_the_handshake() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.jsonl");
    let recorded = || std::fs::read_to_string(&file).unwrap();
    let (url, server) = serve(|peer| {
        assert_eq!(peer.text(), "up");
        peer.send(&frame(0x81, "a\u{1b}b".as_bytes()));
        peer.close(1000, "bye");
    });
    let run = run(&["connect", &url, "-H", "Cookie: sid=secret", "--record", file.to_str().unwrap()], "up\n");
    server.join().unwrap();
    assert_eq!((run.code, run.stdout.as_str()), (0, "a\u{1b}b\n"), "{}", run.stderr);
    let events: Vec<Event> = recorded().lines().map(|line| Event::from_json(line).unwrap()).collect();
    let words: Vec<&str> = events.iter().map(|event| event.body.word()).collect();
    assert_eq!(words, ["handshake", "handshake", "open", "message", "message", "close", "exit"]);
    assert!(!recorded().contains("secret"));
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "others may not read it");
}

#[test]
fn packets_are_recorded_as_they_were_on_the_wire() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.pcapng").to_str().unwrap().to_owned();
    let (url, server) = serve(|peer| {
        assert_eq!(peer.text(), "up");
        peer.send(&[0x01, 1, b'a', 0x89, 0, 0x80, 1, b'b']);
        assert_eq!(peer.frame().0, 0x8a);
        peer.close(4000, "bye");
    });
    assert_eq!(run(&["connect", &url, "--record", &file], "up\n").code, 8);
    server.join().unwrap();
    let read = run(&["inspect", &file, "--json"], "");
    let lines = json(&read.stdout);
    let frames: Vec<_> = lines.iter().filter(|line| line["type"] == "frame").collect();
    let ops: Vec<_> = frames.iter().map(|frame| frame["op"].as_str().unwrap_or("")).collect();
    assert_eq!(ops, ["text", "text", "ping", "continuation", "pong", "close", "close"], "{}", read.stdout);
    assert!(frames[0]["masked"] == true && frames[0]["mask"] != "00000000", "{}", frames[0]);
    let close = lines.iter().find(|line| line["type"] == "close").unwrap();
    assert_eq!((&close["code"], &close["by"], &close["clean"]), (&4000.into(), &"s2c".into(), &true.into()));
    assert!(lines.iter().any(|line| line["type"] == "open" && line["url"].as_str().unwrap().ends_with('/')));
}

#[test]
fn a_recording_that_cannot_be_written_is_said() {
    for (name, code) in [("x.txt", 2), ("x", 2), ("/nowhere/x.jsonl", 1)] {
        let run = run(&["connect", "ws://127.0.0.1:1/", "--record", name], "");
        assert_eq!(run.code, code, "{}", run.stderr);
        assert!(run.stderr.contains("jsonl") && run.stdout.is_empty(), "{}", run.stderr);
    }
    // Every write to it fails.
    let folder = tempfile::tempdir().unwrap();
    let full = folder.path().join("full.jsonl");
    std::os::unix::fs::symlink("/dev/full", &full).unwrap();
    let (url, server) = serve(|peer| {
        peer.send(&frame(0x81, b"x"));
        peer.close(1000, "");
    });
    let run = run(&["connect", &url, "--record", full.to_str().unwrap()], "");
    server.join().unwrap();
    assert_eq!((run.code, run.stdout.as_str()), (1, "x\n"));
    assert!(run.stderr.contains("cannot be written"), "{}", run.stderr);
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let (url, server) = serve(|peer| {
        // Until the Close comes there is something to write.
        peer.send(&frame(0x81, b"x").repeat(10_000));
        peer.closed()
    });
    let mut child = tidegate(&["connect", &url]).spawn().unwrap();
    let stdin = child.stdin.take();
    drop(child.stdout.take());
    let run = finish(child);
    drop(stdin);
    assert_eq!((run.code, server.join().unwrap()), (0, 1000), "{}", run.stderr);
}

/// It comes back to where it was, waits for the server's own time, and gives up when that cannot help.
#[test]
fn a_connection_that_is_lost_is_resumed() {
    let (address, server) = listen_often(|listener| {
        let mut requests = Vec::new();
        let mut say = |texts: &[&str], code: Option<u16>| {
            let mut peer = Peer::accept(accept(listener), "Sec-WebSocket-Protocol: tidegate.v1\r\n");
            texts.iter().for_each(|text| peer.send(&frame(0x81, text.as_bytes())));
            if let Some(code) = code {
                peer.close(code, "");
            }
            requests.push(peer.request.lines().next().unwrap().to_owned());
        };
        let open = r#"{"type":"open","channel":"a","position":"k:0","recovered":true}"#;
        say(&[open, r#"{"type":"message","channel":"a","position":"k:1","data":1}"#], None);
        let hint = r#"{"type":"close","code":1012,"reason":"restarting","reconnect_in_ms":7}"#;
        say(&[r#"{"type":"message","channel":"a","position":"k:2","data":2}"#, hint], Some(1012));
        say(&[], Some(4401));
        requests
    });
    let url = format!("ws://{address}/a?x=1");
    let arguments =
        ["connect", &url, "--reconnect", "--subprotocol", "tidegate.v1", "--after", "k:0", "--json"];
    let run = run(&arguments, "");
    assert_eq!(run.code, 8, "{}", run.stderr);
    let targets = ["/a?x=1&after=k:0", "/a?x=1&after=k:1", "/a?x=1&after=k:2"];
    assert_eq!(server.join().unwrap(), targets.map(|target| format!("GET {target} HTTP/1.1")));
    let lines: Vec<Value> = run.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let lost: Vec<_> =
        lines.iter().filter(|line| line["type"] == "note" && line["retry_in_ms"].is_u64()).collect();
    assert_eq!((lost.len(), &lost[1]["retry_in_ms"]), (2, &Value::from(7)), "{}", run.stdout);
    assert!(run.stderr.contains("= lost: closed with 1012"), "{}", run.stderr);
}

/// Runs `connect --reconnect` with these arguments against a server that says these things on one connection after the
/// other; gives the targets that were asked for.
fn asked_in_turn(
    target: &str,
    arguments: &[&str],
    script: &'static [(&'static [&'static str], Option<u16>)],
) -> Vec<String> {
    let is_enveloped = !arguments.contains(&"--bare");
    let arguments: Vec<&str> = arguments.iter().copied().filter(|argument| *argument != "--bare").collect();
    let (address, server) = listen_often(move |listener| {
        let target_of = |(texts, code): &(&[&str], Option<u16>)| {
            let agreed = if is_enveloped { "Sec-WebSocket-Protocol: tidegate.v1\r\n" } else { "" };
            let mut peer = Peer::accept(accept(listener), agreed);
            texts.iter().for_each(|text| peer.send(&frame(0x81, text.as_bytes())));
            if let Some(code) = code {
                peer.close(*code, "");
            }
            peer.request.split(' ').nth(1).unwrap().to_owned()
        };
        script.iter().map(target_of).collect()
    });
    let url = format!("ws://{address}{target}");
    let subprotocol: &[&str] = if is_enveloped { &["--subprotocol", "tidegate.v1"] } else { &[] };
    // A pause before it comes back may be longer than it lingers by default.
    let always = ["connect", &url, "--reconnect", "--linger", "1m"];
    let run = run(&[&always, subprotocol, &arguments].concat(), "");
    assert_eq!(run.code, 8, "{}", run.stderr);
    server.join().unwrap()
}

#[test]
fn the_position_that_was_asked_for_outlives_connections_that_say_nothing() {
    for arguments in [&["--after", "k:5"][..], &["--after", "k:5", "--updates", "json-patch"]] {
        let asked = asked_in_turn(
            "/a",
            arguments,
            &[
                (&[], None),
                (&[r#"{"type":"open","channel":"a","position":"k:5","recovered":true}"#], None),
                (&[], Some(4401)),
            ],
        );
        assert!(asked.iter().all(|target| target.ends_with("after=k:5")), "{asked:?}");
    }
    let asked =
        asked_in_turn("/a", &["--after", "k:5", "--bare"], &[(&[], None), (&["1"], None), (&[], Some(4401))]);
    assert_eq!(asked, ["/a?after=k:5", "/a?after=k:5", "/a"]);
}

#[test]
fn a_position_of_the_url_that_is_refused_is_not_sent_again() {
    let script: &[(&[&str], Option<u16>)] = &[(&[], Some(4409)), (&[], None), (&[], Some(4401))];
    for bare in [&[][..], &["--bare"]] {
        assert_eq!(asked_in_turn("/a?after=zz:7&b", bare, script), ["/a?after=zz:7&b", "/a?b", "/a?b"]);
    }
}

#[test]
fn a_server_that_is_not_there_is_awaited_for_the_given_time() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    drop(listener);
    let run = run(&["connect", &url, "--reconnect", "--timeout", "300ms"], "");
    assert_eq!(run.code, 10, "{}", run.stderr);
    assert!(run.stderr.contains("= lost: cannot connect to"), "{}", run.stderr);
}

#[test]
fn a_server_of_another_version_of_http() {
    let (address, server) = listen(|mut stream| {
        // The preface of HTTP/2 looks like a request with a strange method.
        read_head(&mut stream);
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").unwrap();
    });
    let run = run(&["connect", &format!("ws://{address}/"), "--http", "2"], "");
    server.join().unwrap();
    assert_eq!(run.code, 7, "{}", run.stderr);
    assert!(run.stderr.contains("try it with --http 1.1"), "{}", run.stderr);
}

#[test]
fn who_is_here_is_a_json_line_of_its_own() {
    let (address, server) = listen(|stream| {
        let mut peer = Peer::accept(stream, "Sec-WebSocket-Protocol: tidegate.v1\r\n");
        let change = r#"{"type":"presence","channel":"a","join":{"id":"1-2","user":"\u009b"},"count":2}"#;
        peer.send(&frame(0x81, change.as_bytes()));
        peer.close(1000, "");
    });
    let run = run(&["connect", &format!("ws://{address}/a"), "--subprotocol", "tidegate.v1", "--json"], "");
    server.join().unwrap();
    assert!(!run.stdout.contains('\u{9b}'));
    let lines = json(&run.stdout);
    let kinds: Vec<&str> = lines.iter().filter_map(|line| line["type"].as_str()).collect();
    assert_eq!(kinds, ["open", "message", "presence", "close", "exit"]);
    let told = (&lines[2]["channel"], &lines[2]["join"]["user"], &lines[2]["count"]);
    assert_eq!(told, (&"a".into(), &"\u{9b}".into(), &2.into()));
}
