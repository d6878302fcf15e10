//! `tidegate inspect` when stdout or the disk is slower than what goes by: what is recorded and piped is whole, what a
//! terminal does not take is counted, and a disk without room is told.

#![allow(missing_docs, reason = "a test program")]

mod harness;

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};
use std::thread::JoinHandle;

use harness::{Peer, finish, listen, signal, tidegate};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use tempfile::tempdir;

/// Rows of these are some megabytes: more than the queues of the program, of a pipe and of sockets hold.
const FRAMES: usize = 40_000;
const PAYLOAD: &[u8; 100] = &[b'x'; 100];

/// A server that sends many frames and waits for the end.
fn torrent() -> (String, JoinHandle<()>) {
    let (address, server) = listen(|stream| {
        let mut peer = Peer::accept(stream, "");
        let frame = [&[0x81, 100][..], PAYLOAD].concat();
        for _ in 0..FRAMES / 100 {
            peer.send(&frame.repeat(100));
        }
        let _ = peer.stream.read_to_end(&mut Vec::new());
    });
    (format!("ws://{address}/"), server)
}

/// Where the inspector listens, and what it says from then on.
fn address(child: &mut Child) -> (String, JoinHandle<String>) {
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.trim_start().starts_with("tidegate connect ws://") {
        line.clear();
        assert!(stderr.read_line(&mut line).unwrap() > 0, "it says where it listens");
    }
    let rest = std::thread::spawn(move || {
        let mut rest = String::new();
        let _ = stderr.read_to_string(&mut rest);
        rest
    });
    (line.trim().trim_start_matches("tidegate connect ws://").trim_end_matches('/').to_owned(), rest)
}

/// A client that has asked for the WebSocket and read a thousand frames.
fn client(address: &str) -> TcpStream {
    let mut client = TcpStream::connect(address).unwrap();
    let fields = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13";
    let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
    write!(client, "GET / HTTP/1.1\r\nHost: x\r\n{fields}\r\n{key}\r\n\r\n").unwrap();
    harness::read_head(&mut client);
    client.read_exact(&mut vec![0; 1000 * (2 + PAYLOAD.len())]).unwrap();
    client
}

/// Reads the other frames.
fn read_on(mut client: TcpStream) {
    client.read_exact(&mut vec![0; (FRAMES - 1000) * (2 + PAYLOAD.len())]).unwrap();
}

fn count(text: &str, part: &str) -> usize {
    text.lines().filter(|line| line.contains(part)).count()
}

#[test]
fn a_pipe_gets_every_row_however_late_it_is_read() {
    let (url, server) = torrent();
    let mut child = tidegate(&["inspect", &url, "-n", "1"]).spawn().unwrap();
    let (address, _rest) = address(&mut child);
    let client = client(&address);
    // From here on stdout is read, too.
    let reading = std::thread::spawn(move || read_on(client));
    let shown = finish(child);
    reading.join().unwrap();
    server.join().unwrap();
    assert_eq!((shown.code, count(&shown.stdout, " text ")), (0, FRAMES));
}

#[test]
fn a_terminal_that_is_not_read_holds_up_nobody_and_the_recording_is_whole() {
    let folder = tempdir().unwrap();
    let record = folder.path().join("a.jsonl");
    let (url, server) = torrent();
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&ours).unwrap();
    unlockpt(&ours).unwrap();
    let name = ptsname(&ours, Vec::new()).unwrap();
    let theirs = OpenOptions::new().read(true).write(true).open(name.to_str().unwrap()).unwrap();
    let mut command = tidegate(&["inspect", &url, "-n", "1", "--record", record.to_str().unwrap()]);
    let mut child = command.stdout(theirs).spawn().unwrap();
    drop(command);
    let (address, _rest) = address(&mut child);
    let client = client(&address);
    read_on(client);
    server.join().unwrap();
    // Only now somebody looks.
    let mut screen = Vec::new();
    let _ = File::from(ours).read_to_end(&mut screen);
    let screen = String::from_utf8(screen).unwrap();
    assert_eq!(finish(child).code, 0);
    let passed_over: usize = screen
        .lines()
        .filter_map(|line| {
            line.split_once(" events not shown: the terminal is slower")?
                .0
                .rsplit(' ')
                .next()?
                .parse::<usize>()
                .ok()
        })
        .sum();
    assert!(passed_over > 0, "{}", screen.len());
    let recorded = std::fs::read_to_string(&record).unwrap();
    assert_eq!(count(&recorded, "\"type\":\"frame\""), FRAMES);
    // Each event is a row or is counted.
    let frames = count(&screen, " text ");
    assert!(frames < FRAMES && frames + passed_over >= FRAMES, "{frames} {passed_over}");
}

#[test]
fn a_disk_without_room_is_told_at_once_and_at_the_end() {
    let folder = tempdir().unwrap();
    let record = folder.path().join("a.jsonl");
    std::os::unix::fs::symlink("/dev/full", &record).unwrap();
    let (url, server) = torrent();
    let mut command = tidegate(&["inspect", &url, "--record", record.to_str().unwrap()]);
    let mut child = command.stdout(Stdio::null()).spawn().unwrap();
    let (address, rest) = address(&mut child);
    // What goes by is not held up.
    read_on(client(&address));
    server.join().unwrap();
    signal(&child, "INT");
    assert_eq!(child.wait().unwrap().code(), Some(1));
    let said = rest.join().unwrap();
    assert!(said.contains("a.jsonl: No space left on device"), "{said}");
}
