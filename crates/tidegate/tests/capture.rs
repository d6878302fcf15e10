//! Captures of real sessions, made by dumpcap on the loopback interface: `tidegate inspect` shows what tshark shows, frame by
//! frame, whatever the form of the file.

#![allow(missing_docs, reason = "a test program")]

mod harness;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;

use harness::{Peer, accept, finish, frame, listen_often, run, signal, tidegate};
use serde_json::Value;
use tempfile::tempdir;
use tidegate_test_tools::{need, skip};

/// Sent outside of any WebSocket, so that it is plain when all that came before has been captured.
const MARK: &[u8] = b"the end of what is captured";

const LONG: usize = 100_000;

/// Two connections at once, the second one over the first; then the mark.
fn server() -> (SocketAddr, JoinHandle<()>) {
    listen_often(|listener| {
        let mut first = Peer::accept(accept(listener), "");
        let mut second = Peer::accept(accept(listener), "");
        assert_eq!((first.text(), second.text()), ("one".to_owned(), "two".to_owned()));
        // A message of several segments, a fragmented one with a Ping in it, and frames that share a segment.
        let long = [&[0x82, 127, 0, 0, 0, 0][..], &(LONG as u32).to_be_bytes(), &[7; LONG]].concat();
        first.send(&long);
        second.send(&[&[0x01, 2, b'a', b'b'][..], &frame(0x89, b"?"), &frame(0x80, b"c")].concat());
        assert_eq!(second.frame().0, 0x8a);
        second.close(1000, "two is done");
        first.close(4000, "one is done");
        let mut rest = accept(listener);
        rest.read_to_end(&mut Vec::new()).unwrap();
    })
}

/// What dumpcap saw of it; none if it may not capture here.
fn captured(interface: &str) -> Option<(Vec<u8>, u16)> {
    let (address, server) = server();
    let mut dumpcap = Command::new("dumpcap")
        .args(["-q", "-i", interface, "-f", &format!("tcp port {}", address.port()), "-w", "-"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .ok()?;
    let mut stderr = BufReader::new(dumpcap.stderr.take().unwrap());
    let mut line = String::new();
    while !line.starts_with("File:") {
        line.clear();
        if stderr.read_line(&mut line).unwrap() == 0 {
            dumpcap.wait().unwrap();
            return None;
        }
    }
    let url = format!("ws://{address}/chat");
    let first = connected(&url, "one");
    let second = connected(&url, "two");
    assert_eq!((finish(second).code, finish(first).code), (0, 8));
    TcpStream::connect(address).unwrap().write_all(MARK).unwrap();
    server.join().unwrap();
    Some((until_mark(dumpcap), address.port()))
}

/// A client that has opened its connection.
fn connected(url: &str, line: &str) -> Child {
    let mut child = tidegate(&["connect", "--json", "--linger", "60", url]).spawn().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut opened = String::new();
    stdout.read_line(&mut opened).unwrap();
    assert!(opened.contains("\"type\":\"open\""), "{opened}");
    std::thread::spawn(move || stdout.read_to_end(&mut Vec::new()));
    child.stdin.take().unwrap().write_all(format!("{line}\n").as_bytes()).unwrap();
    child
}

/// All of dumpcap's output, which is ended when the mark has come.
fn until_mark(mut dumpcap: Child) -> Vec<u8> {
    let mut output = dumpcap.stdout.take().unwrap();
    let mut bytes = Vec::new();
    let mut piece = [0; 4096];
    while !bytes.windows(MARK.len()).any(|window| window == MARK) {
        let length = output.read(&mut piece).unwrap();
        assert!(length > 0, "dumpcap ended before the mark");
        bytes.extend_from_slice(&piece[..length]);
    }
    signal(&dumpcap, "INT");
    output.read_to_end(&mut bytes).unwrap();
    dumpcap.wait().unwrap();
    bytes
}

fn frames(file: &Path) -> Vec<Value> {
    let shown = run(&["inspect", file.to_str().unwrap(), "--json"], "");
    assert_eq!(shown.code, 0, "{}", shown.stderr);
    let lines = shown.stdout.lines().map(|line| serde_json::from_str(line).unwrap());
    lines.filter(|event: &Value| event["type"] == "frame").collect()
}

/// One field of all frames, as tshark shows it.
fn column(frames: &[Value], of: impl Fn(&Value) -> Option<String>) -> Vec<String> {
    frames.iter().filter_map(of).collect()
}

#[test]
fn frame_by_frame_as_tshark_shows_it() {
    let tshark = need!(tshark);
    let Some((bytes, port)) = captured("lo") else {
        return skip("dumpcap may not capture on the loopback interface");
    };
    let folder = tempdir().unwrap();
    let file = folder.path().join("a.pcapng");
    fs::write(&file, &bytes).unwrap();
    let told = frames(&file);
    let shown = |field: &str| {
        let decode = format!("tcp.port=={port},http");
        let output = Command::new(&tshark)
            .args([
                "-r",
                file.to_str().unwrap(),
                "-d",
                &decode,
                "-Y",
                "websocket",
                "-T",
                "fields",
                "-e",
                field,
            ])
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let values = text.split(['\n', ',']).filter(|value| !value.is_empty());
        values.map(|value| value.replace("True", "1").replace("False", "0")).collect::<Vec<_>>()
    };
    let bit = |value: &Value| Some(u8::from(value.as_bool()?).to_string());
    assert_eq!(told.len(), 11, "{told:#?}");
    assert_eq!(column(&told, |frame| bit(&frame["fin"])), shown("websocket.fin"));
    assert_eq!(column(&told, |frame| Some(frame["opcode"].to_string())), shown("websocket.opcode"));
    assert_eq!(column(&told, |frame| bit(&frame["masked"])), shown("websocket.mask"));
    let key = |frame: &Value| frame["mask"].as_str().map(str::to_owned);
    assert_eq!(column(&told, key), shown("websocket.masking_key"));
    let length = |frame: &Value| Some(frame["len"].as_u64()?.min(127).to_string());
    assert_eq!(column(&told, length), shown("websocket.payload_length"));
    let code = |frame: &Value| Some(frame["code"].as_u64()?.to_string());
    assert_eq!(column(&told, code), shown("websocket.payload.close.status_code"));
    check_other_forms(&file, &told);
}

/// The same packets as other programs write them.
fn check_other_forms(file: &Path, told: &[Value]) {
    for form in ["pcap", "nsecpcap"] {
        let other = file.with_extension(form);
        let status = Command::new("editcap").args(["-F", form]).arg(file).arg(&other).status().unwrap();
        assert!(status.success());
        let read = frames(&other);
        assert_eq!(read.len(), told.len(), "{form}");
        for (read, told) in read.iter().zip(told) {
            assert_eq!((&read["hdr"], &read["payload"]), (&told["hdr"], &told["payload"]), "{form}");
        }
    }
    // Packets of which the capture kept the beginning.
    let cut = file.with_extension("cut.pcapng");
    let status = Command::new("editcap").args(["-s", "1000"]).arg(file).arg(&cut).status().unwrap();
    assert!(status.success());
    let shown = run(&["inspect", cut.to_str().unwrap()], "");
    assert!(shown.stdout.contains("of what the server sent are not in the capture"), "{}", shown.stdout);
    assert!(shown.stdout.contains("= closed 4000 \"one is done\""), "{}", shown.stdout);
}

#[test]
fn packets_of_any_interface() {
    let _ = need!(tshark);
    let Some((bytes, _)) = captured("any") else {
        return skip("dumpcap may not capture on all interfaces");
    };
    let folder = tempdir().unwrap();
    let file = folder.path().join("a.pcapng");
    fs::write(&file, bytes).unwrap();
    let told = frames(&file);
    let kinds = column(&told, |frame| frame["op"].as_str().map(str::to_owned));
    assert_eq!(kinds.len(), 11, "{kinds:?}");
    let long = told.iter().find(|frame| frame["op"] == "binary").expect("the long message");
    assert_eq!((&long["len"], &long["payload"]["truncated"]), (&LONG.into(), &false.into()));
}
