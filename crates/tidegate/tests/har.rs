//! HAR between us and Chromium: what its developer tools saved is read, as is what Playwright records, and ours opens in them.

#![allow(missing_docs, reason = "a test program")]

mod harness;

use std::fs;
use std::process::{Command, Stdio};

use harness::{Peer, accept, frame, listen_often, run};
use serde_json::{Value, json};
use tempfile::tempdir;
use tidegate_test_tools::{folder, need};

/// What the page says and hears.
const OF_THE_PAGE: [(&str, &str, &str); 5] = [
    ("c2s", "text", "hi ü"),
    ("s2c", "text", "one two"),
    ("s2c", "text", "more"),
    ("c2s", "binary", "AP8="),
    ("s2c", "binary", "gQ=="),
];

/// What `connect` says, both at once, and hears; which of it goes over first is open.
const OF_CONNECT: [(&str, &str, &str); 5] = [
    ("c2s", "text", "hi ü"),
    ("c2s", "text", "done"),
    ("s2c", "text", "one two"),
    ("s2c", "text", "more"),
    ("s2c", "binary", "gQ=="),
];

fn converse(peer: &mut Peer) {
    assert_eq!(peer.text(), "hi ü");
    // A message of two frames with a Ping between them.
    peer.send(&[&[0x01, 4][..], b"one ", &frame(0x89, b"p"), &frame(0x80, b"two")].concat());
    peer.send(&frame(0x81, b"more"));
    while !matches!(peer.frame().0, 0x81 | 0x82) {}
    peer.send(&frame(0x82, &[0x81]));
    peer.close(4000, "over");
}

/// Direction, kind and payload of each message of a file: first those of the client, then those of the server.
fn messages(file: &str) -> Vec<[String; 3]> {
    let read = run(&["inspect", file, "--json"], "");
    assert_eq!(read.code, 0, "{}", read.stderr);
    let lines = read.stdout.lines().map(|line| serde_json::from_str(line).unwrap());
    let told = lines.filter(|line: &Value| line["type"] == "message" && line["op"] != "ping");
    let time_is_now = |line: &Value| line["ts"].as_str().is_some_and(|time| time.starts_with("20"));
    let texts = |line: Value| {
        assert!(time_is_now(&line), "{line}");
        [&line["dir"], &line["op"], &line["payload"]["data"]]
            .map(|value| value.as_str().unwrap_or("").to_owned())
    };
    let mut told: Vec<_> = told.map(texts).collect();
    told.sort_by(|one, other| one[0].cmp(&other[0]));
    told
}

#[test]
fn chromium_and_we_open_each_others() {
    let (node, chromium) = (need!(node), need!(chromium));
    let folder_of_files = tempdir().unwrap();
    let path = |name: &str| folder_of_files.path().join(name).to_str().unwrap().to_owned();
    let (ours, theirs) = (path("ours.har"), path("theirs.har"));
    let (address, server) = listen_often(|listener| {
        for _ in 0..2 {
            converse(&mut Peer::accept(accept(listener), "Sec-WebSocket-Protocol: chat\r\n"));
        }
    });
    let url = format!("ws://{address}/chat?token=s3cret&room=7");
    let recorded = run(&["connect", &url, "--subprotocol", "chat", "--record", &ours], "hi ü\ndone\n");
    assert_eq!(recorded.code, 8, "{}", recorded.stderr);
    let mut child = Command::new(node)
        .current_dir(folder())
        .arg("chromium_har.mjs")
        .arg(chromium)
        .args([&url, &theirs, &ours])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The browser ends with its stdin.
    let leash = child.stdin.take();
    let output = child.wait_with_output().unwrap();
    drop(leash);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    server.join().unwrap();
    for (file, expected, is_ours) in [(&theirs, OF_THE_PAGE, false), (&ours, OF_CONNECT, true)] {
        let mut expected = expected.map(|(dir, op, data)| [dir, op, data].map(str::to_owned)).to_vec();
        expected.sort_by(|one, other| one[0].cmp(&other[0]));
        assert_eq!(messages(file), expected, "{file}");
        assert_eq!(fs::read_to_string(file).unwrap().contains("s3cret"), !is_ours, "{file}");
        let shown = run(&["inspect", file], "").stdout;
        assert!(
            shown.contains("> GET /chat?token=[hidden]&room=7 HTTP/1.1") && !shown.contains("s3cret"),
            "{shown}"
        );
        assert!(shown.contains("= open ws://") && shown.contains("subprotocol chat"), "{shown}");
    }
    check_opened(&output.stdout);
}

/// Our HAR as Chromium's developer tools have opened it.
fn check_opened(stdout: &[u8]) {
    let line: Value = serde_json::from_slice(stdout).unwrap();
    let [request] = line["opened"].as_array().unwrap().as_slice() else { panic!("{line}") };
    assert_eq!(request["status"], 101);
    let frames = OF_CONNECT.map(|(dir, op, data)| {
        let kind = if dir == "c2s" { "send" } else { "receive" };
        json!([kind, if op == "text" { 1 } else { 2 }, data])
    });
    let mut opened = request["frames"].as_array().unwrap().clone();
    opened.sort_by_key(|frame| frame[0] != "send");
    assert_eq!(json!(opened), json!(frames), "{line}");
}

/// Saved by the developer tools of Chromium 156 while a page talked to an echo that closed with 4000.
#[test]
fn what_chromiums_developer_tools_saved() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/har/chromium.har");
    let said = ["hi ü", "AP8=", "end"];
    let kinds = ["text", "binary", "text"];
    let expected =
        ["c2s", "s2c"].map(|dir| [0, 1, 2].map(|index| [dir, kinds[index], said[index]].map(str::to_owned)));
    assert_eq!(messages(file), expected.concat());
    let shown = run(&["inspect", file], "").stdout;
    for part in [
        "> GET /chat?token=[hidden] HTTP/1.1",
        "> Sec-WebSocket-Protocol: a\n",
        "< HTTP/1.1 101 Switching Protocols",
        "subprotocol a",
    ] {
        assert!(shown.contains(part), "{part}\n{shown}");
    }
}
