//! `tidegate inspect --attach` and a scripted gateway: what is shown and recorded, how it comes back, and how it ends.

#![allow(missing_docs, reason = "a test program")]

mod harness;

use std::io::Write;
use std::net::TcpListener;
use std::thread::JoinHandle;

use harness::{Peer, Run, accept, finish, listen, listen_often, read_head, run, signal, tidegate};
use tempfile::tempdir;

const NOTE: &str = r#"{"n":1,"v":1,"ts":"2026-03-01T12:03:04Z","type":"note","conn":"0-1a.3","level":"info","message":"esc \u001b[2J"}"#;
const FRAME: &str = concat!(
    r#"{"n":2,"v":1,"ts":"2026-03-01T12:03:05Z","type":"frame","conn":"0-1a.3","dir":"c2s","fin":true,"rsv":[0,0,0],"#,
    r#""opcode":1,"op":"text","masked":true,"mask":"37fa213d","hdr":"818537fa213d","len":5,"wire":11,"msg":0,"frag":0,"#,
    r#""payload":{"enc":"utf8","data":"Hello","truncated":false}}"#
);
const CLOSE: &str = concat!(
    r#"{"n":3,"v":1,"ts":"2026-03-01T12:03:06Z","type":"close","conn":"0-1a.3","code":1000,"name":"normal","#,
    r#""reason":"","clean":true}"#
);

/// Takes a handshake with this token and the wish behind it.
fn watcher(listener: &TcpListener, token: &str) -> (Peer, String) {
    let mut peer = Peer::accept(accept(listener), "Sec-WebSocket-Protocol: tidegate.watch.v1\r\n");
    assert!(peer.request.starts_with("GET /watch HTTP/1.1\r\n"), "{}", peer.request);
    assert!(peer.request.contains(&format!("Authorization: Bearer {token}\r\n")), "{}", peer.request);
    let wish = peer.text();
    (peer, wish)
}

fn send(peer: &mut Peer, text: &str) {
    let length = u16::try_from(text.len()).unwrap();
    let header = if length < 126 {
        vec![0x81, length as u8]
    } else {
        [&[0x81, 126][..], &length.to_be_bytes()].concat()
    };
    peer.send(&[&header, text.as_bytes()].concat());
}

fn events(lost: u64, events: &[&str]) -> String {
    format!(r#"{{"type":"events","id":1,"events":[{}],"lost":{lost}}}"#, events.join(","))
}

/// A gateway that stops after a batch, and starts again.
fn restarting() -> (String, JoinHandle<()>) {
    let (address, gateway) = listen_often(|listener| {
        let (mut peer, wish) = watcher(listener, "s3cret");
        assert!(wish.contains(r#""what":"events""#) && wish.contains(r#"path:\"/x*\""#), "{wish}");
        send(&mut peer, &events(0, &[NOTE, FRAME]));
        peer.close(1001, "the gateway is stopping");
        // It starts, and does not know its own token yet.
        let mut early = accept(listener);
        read_head(&mut early);
        early.write_all(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n").unwrap();
        let (mut peer, _) = watcher(listener, "s3cret");
        send(&mut peer, &events(412, &[CLOSE]));
        let _ = std::io::Read::read_to_end(&mut peer.stream, &mut Vec::new());
    });
    (format!("http://{address}"), gateway)
}

fn attach(url: &str, arguments: &[&str]) -> Run {
    run(&[&["inspect", "--attach", url, "--token", "s3cret"], arguments].concat(), "")
}

#[test]
fn a_gateway_is_followed_and_comes_back() {
    let folder = tempdir().unwrap();
    let record = folder.path().join("a.jsonl");
    let (url, gateway) = restarting();
    let seen = attach(&url, &["--filter", "path:/x*", "-n", "1", "--record", record.to_str().unwrap()]);
    gateway.join().unwrap();
    assert_eq!(seen.code, 0, "{}", seen.stderr);
    for part in [
        "0-1a.3 * esc \\u{1b}[2J",
        "0-1a.3 ↑   text     F···M          5 B        11 B  Hello",
        "! 412 events not shown: the gateway had more than could be taken in time",
        "0-1a.3 = closed 1000 normal",
    ] {
        assert!(seen.stdout.contains(part), "{part:?} is not in\n{}", seen.stdout);
    }
    assert!(
        seen.stderr.contains("the gateway has gone: the gateway is stopping; waiting for it"),
        "{}",
        seen.stderr
    );
    assert!(seen.stderr.contains("tidegate again shows what happens"), "{}", seen.stderr);
    // The recording is one that inspect reads.
    let again = run(&["inspect", record.to_str().unwrap(), "--json"], "");
    let types: Vec<&str> = again.stdout.lines().filter_map(|line| line.split('"').nth(9)).collect();
    assert_eq!(types, ["note", "frame", "drop", "close"], "{}", again.stdout);
}

#[test]
fn json_is_the_events_as_they_came() {
    let (url, gateway) = restarting();
    let seen = attach(&url, &["--filter", "path:/x*", "-n", "1", "--json"]);
    gateway.join().unwrap();
    let lines: Vec<&str> = seen.stdout.lines().collect();
    assert_eq!(lines.len(), 4, "{}", seen.stdout);
    assert!(
        lines[1].contains(r#""hdr":"818537fa213d""#) && lines[1].contains(r#""data":"Hello""#),
        "{}",
        lines[1]
    );
}

#[test]
fn one_connection_is_filtered_here() {
    let (address, gateway) = listen_often(|listener| {
        let (mut peer, wish) = watcher(listener, "s3cret");
        assert!(wish.contains(r#""connection":"0-1a.3""#) && wish.contains(r#""level":"frames""#), "{wish}");
        send(&mut peer, &events(0, &[NOTE, FRAME, CLOSE]));
        let _ = std::io::Read::read_to_end(&mut peer.stream, &mut Vec::new());
    });
    let url = format!("http://{address}");
    let seen =
        attach(&url, &["--connection", "0-1a.3", "--level", "frames", "--filter", "op:text", "--json"]);
    gateway.join().unwrap();
    // It ends with its connection.
    assert_eq!((seen.code, seen.stdout.lines().count()), (0, 1), "{}", seen.stdout);
}

#[test]
fn what_refuses_11_and_what_is_no_admin_listener_6() {
    for (answer, code, part) in [
        (
            &b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n"[..],
            11,
            "the token is not that of this gateway",
        ),
        (
            b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 25\r\n\r\n{\"error\":\"as many watch\"}",
            11,
            "as many watch",
        ),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", 6, "is this the admin listener"),
    ] {
        let (address, server) = listen(move |mut stream| {
            read_head(&mut stream);
            stream.write_all(answer).unwrap();
        });
        let seen = attach(&format!("http://{address}"), &[]);
        server.join().unwrap();
        assert_eq!(seen.code, code, "{}", seen.stderr);
        assert!(seen.stderr.contains(part), "{}", seen.stderr);
    }
    let (address, gateway) = listen_often(|listener| {
        let (mut peer, _) = watcher(listener, "s3cret");
        send(
            &mut peer,
            r#"{"type":"error","id":1,"message":"[inspect] watch = \"meta\" does not allow it"}"#,
        );
        let _ = std::io::Read::read_to_end(&mut peer.stream, &mut Vec::new());
    });
    let seen = attach(&format!("http://{address}"), &["--level", "payload"]);
    gateway.join().unwrap();
    assert_eq!(seen.code, 11, "{}", seen.stderr);
    assert!(seen.stderr.contains("[inspect] watch") && seen.stderr.contains("--level"), "{}", seen.stderr);
}

#[test]
fn nobody_there_4_and_no_url_of_an_admin_listener_2() {
    let gone = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", gone.local_addr().unwrap());
    drop(gone);
    let seen = attach(&url, &[]);
    assert_eq!(seen.code, 4);
    assert!(seen.stderr.contains("tidegate serve"), "{}", seen.stderr);
    assert_eq!(attach("http://127.0.0.1:1/channels", &[]).code, 2);
    // Without a URL it is the environment's.
    let mut command = tidegate(&["inspect", "--attach"]);
    assert_eq!(finish(command.env("TIDEGATE_ADMIN_URL", &url).spawn().unwrap()).code, 4);
}

#[test]
fn interrupted_130_while_it_waits_for_the_gateway() {
    let (address, gateway) = listen_often(|listener| {
        let (mut peer, _) = watcher(listener, "s3cret");
        send(&mut peer, &events(0, &[FRAME]));
        peer.close(1001, "");
    });
    let mut command = tidegate(&["inspect", "--attach", &format!("http://{address}"), "--token", "s3cret"]);
    let child = command.spawn().unwrap();
    // The listener is gone with its thread.
    gateway.join().unwrap();
    signal(&child, "INT");
    let seen = finish(child);
    assert_eq!(seen.code, 130, "{}", seen.stderr);
    assert!(seen.stdout.contains("Hello"), "{}", seen.stdout);
}
