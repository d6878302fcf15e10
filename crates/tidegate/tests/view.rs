//! `tidegate inspect` on a terminal: its view of real sessions, what peers sent made inert, the terminal given back.

#![allow(missing_docs, reason = "a test program")]

mod harness;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::process::Child;
use std::time::Instant;

use harness::pty::{Screen, on_a_screen, on_a_terminal};
use harness::{accept, finish, frame, listen_often, read_head, run, serve, signal, tidegate};
use rustix::termios::{LocalModes, tcgetattr};
use tempfile::tempdir;

/// The inspector on a terminal of this size, without colours.
fn inspect(arguments: &[&str], columns: u16, rows: u16) -> (Child, Screen) {
    let mut command = tidegate(&[&["inspect"], arguments].concat());
    // A job of its own, as a shell makes one.
    command.env("NO_COLOR", "1").env("TERM", "xterm").process_group(0);
    on_a_screen(&mut command, columns, rows)
}

/// Where clients connect, once it is on the screen.
fn address(screen: &mut Screen) -> String {
    let row = |text: &str| {
        let row = text.lines().find_map(|row| row.trim().strip_prefix("tidegate connect "));
        row.filter(|address| address.ends_with('/')).map(str::to_owned)
    };
    let text = screen.until_that("where clients connect", |screen| row(&screen.text()).is_some());
    row(&text).unwrap()
}

fn check(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
}

/// The terminal is as it was, and the cursor on it.
fn check_given_back(screen: &mut Screen) {
    screen.read_to_end();
    assert!(!screen.is_alternate && screen.is_cursor_shown, "{}", screen.outside);
    let modes = tcgetattr(&screen.terminal).unwrap().local_modes;
    assert!(modes.contains(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG));
}

#[test]
fn a_session_on_120_by_40() {
    let (url, server) = serve(|peer| {
        assert_eq!(peer.text(), "hello");
        peer.send(&frame(0x81, br#"{"price":1.50,"name":"tea"}"#));
        peer.send(&frame(0x89, b"p"));
        assert_eq!(peer.frame().0, 0x8a);
        peer.send(&[0x01, 1, b'a', 0x80, 1, b'b']);
        peer.close(1001, "bye");
    });
    let (child, mut screen) = inspect(&[&url], 120, 40);
    let address = address(&mut screen);
    assert_eq!(run(&["connect", &address, "--token", "s3cret"], "hello\n").code, 0);
    server.join().unwrap();
    let text = screen.until_all(&[
        "○ c1",
        "1 connection · 14 events",
        &format!("for clients at {address}"),
        "↑   text     F···M     5 B hello",
        "↓   text     F····    27 B {\"price\":1.50,\"name\":\"tea\"}",
        "after its Ping] p",
        "[fragment 2, the last] b",
        "[of 2 frames] ab",
        "close    F····     5 B 1001 going away \"bye\"",
        "✓ every requirement is met",
        "Authorization: Bearer [hidden]",
    ]);
    assert!(!text.contains("s3cret") && !screen.has_colours);
    screen.keys("gjjjj");
    screen.until_all(&["[Payload]", "27 B; JSON", "{\"price\": 1.50, \"name\": \"tea\"}"]);
    screen.keys("]]");
    screen.until_all(&[
        "[Close]",
        "1001 going away",
        "who was first      the server",
        "reason given       bye",
    ]);
    screen.keys("?");
    screen.until_all(&["Tab, Shift-Tab", "F FIN, the last"]);
    screen.keys("G");
    screen.until("What is held");
    screen.keys("?/op:close\r");
    screen.until("2 of 14 by the filter");
    screen.keys("q");
    check_given_back(&mut screen);
    assert_eq!(finish(child).code, 0);
}

/// What a peer might send to act on a terminal, or to break its columns.
const HOSTILE: &str = "\x1b]0;title\x07\x1b[2J\u{9b}31m\u{202e}abc\u{2066}\r\n\t\u{7f}👩\u{200d}🚀🇨🇭e\u{301}\u{302}\u{303}\u{304}水水\u{feff}\u{300}";

#[test]
fn nothing_that_a_peer_sent_acts_on_the_terminal() {
    for (columns, rows) in [(80, 24), (120, 40)] {
        let (address, server) = listen_often(|listener| {
            let mut stream = accept(listener);
            let head = read_head(&mut stream);
            assert!(head.contains('\x1b'));
            let answer = format!(
                "HTTP/1.1 101 \x1b[2JSwitching\r\nX-\x1b]0;x\x07: \u{9b}2J{0}\r\n\r\n",
                &HOSTILE[..19]
            );
            stream.write_all(answer.as_bytes()).unwrap();
            let long = vec![b'x'; 10 << 20];
            let lengths = (long.len() as u64).to_be_bytes();
            for bytes in [
                frame(0x81, HOSTILE.as_bytes()),
                frame(0x82, HOSTILE.as_bytes()),
                frame(0x81, b"\xff\xfe\x1b[6n"),
                frame(0x81, "{\"\u{9b}2J\":\"\u{202e}\u{301}\"}".as_bytes()),
                [&[0x82, 127][..], &lengths, &long].concat(),
                frame(0x88, &[b"\x0f\xa0", "\x1b[2J\u{202e}".as_bytes()].concat()),
            ] {
                stream.write_all(&bytes).unwrap();
            }
            let _ = stream.read_to_end(&mut Vec::new());
        });
        let title = format!("ws://{address}/");
        let (child, mut screen) = inspect(&[&title], columns, rows);
        let address = self::address(&mut screen);
        let mut client =
            TcpStream::connect(address.trim_start_matches("ws://").trim_end_matches('/')).unwrap();
        client
            .write_all(
                format!("GET /\x1b[2J\u{202e}水{0} HTTP/1.1\r\nHost: x\r\nCookie: a=\x1b[2J\r\nX: \x1b[6n\u{9b}\r\n\r\n", "\u{301}")
                    .as_bytes(),
            )
            .unwrap();
        let mut bytes = 0;
        let mut piece = vec![0; 1 << 16];
        while bytes < 10 << 20 {
            let length = client.read(&mut piece).unwrap();
            assert!(length > 0, "the server ended");
            bytes += length;
        }
        drop(client);
        server.join().unwrap();
        screen.until("4000 \"\\u{1b}[2J\\u{202e}\"");
        // Everything is looked at: each pane, each event, each tab.
        screen.keys("G");
        for _ in 0..12 {
            screen.keys("h]]]]x]x[[[h\x1b");
            screen.keys("k");
        }
        screen.keys("g]\x1b[Z\x1b[Zjk?");
        screen.until("Shift-Tab");
        screen.keys("?q");
        check_given_back(&mut screen);
        assert_eq!(finish(child).code, 0);
    }
}

#[test]
fn the_terminal_is_given_back_whoever_ends_it() {
    for (ends, code) in [("q", 0), ("\x03", 130), ("TERM", 130), ("INT", 130), ("HUP", 130)] {
        let (child, mut screen) = inspect(&["ws://127.0.0.1:1/"], 80, 24);
        address(&mut screen);
        let modes = tcgetattr(&screen.terminal).unwrap().local_modes;
        assert!(!modes.contains(LocalModes::ICANON) && screen.is_alternate);
        match ends {
            "q" | "\x03" => screen.keys(ends),
            name => signal(&child, name),
        }
        check_given_back(&mut screen);
        assert_eq!(finish(child).code, code, "{ends}");
    }
}

#[test]
fn ctrl_z_gives_it_back_until_the_job_goes_on() {
    let (child, mut screen) = inspect(&["ws://127.0.0.1:1/"], 80, 24);
    address(&mut screen);
    screen.keys("\x1a");
    screen.until_that("its own screen left", |screen| !screen.is_alternate);
    let stat = format!("/proc/{}/stat", child.id());
    while !fs::read_to_string(&stat).unwrap().contains(") T ") {
        std::thread::yield_now();
    }
    let modes = tcgetattr(&screen.terminal).unwrap().local_modes;
    assert!(modes.contains(LocalModes::ICANON | LocalModes::ECHO) && screen.is_cursor_shown);
    signal(&child, "CONT");
    screen.until_that("its own screen again", |screen| screen.is_alternate);
    screen.until("tidegate connect ws://");
    screen.keys("q");
    check_given_back(&mut screen);
    assert_eq!(finish(child).code, 0);
}

#[test]
fn another_size_is_another_layout() {
    let folder = tempdir().unwrap();
    let file = recording(folder.path());
    let (child, mut screen) = inspect(&[&file], 120, 40);
    screen.until_all(&["Events of c1", "─ Connections"]);
    screen.resize(40, 10);
    signal(&child, "WINCH");
    screen.until("[Events of c1");
    screen.resize(120, 40);
    signal(&child, "WINCH");
    screen.until("─ Connections ─");
    screen.keys("q");
    check_given_back(&mut screen);
    assert_eq!(finish(child).code, 0);
}

/// Lines of a session with a payload that is hostile.
fn recording(folder: &std::path::Path) -> String {
    let file = folder.join("a.jsonl");
    let mut lines = String::from(
        "{\"v\":1,\"ts\":\"2026-01-01T12:00:00.000000Z\",\"type\":\"open\",\"conn\":\"c1\",\"url\":\"ws://x/y\",\"http\":\"1.1\",\"status\":101}\n",
    );
    for number in 0..200 {
        lines.push_str(&format!(
            "{{\"v\":1,\"ts\":\"2026-01-01T12:00:00.{number:06}Z\",\"type\":\"message\",\"conn\":\"c1\",\"dir\":\"s2c\",\"op\":\"text\",\
             \"len\":9,\"compressed\":false,\"payload\":{{\"enc\":\"utf8\",\"data\":\"\\u001b[2J{number}.\",\"truncated\":false}}}}\n"
        ));
    }
    fs::write(&file, lines).unwrap();
    file.to_str().unwrap().to_owned()
}

#[test]
fn a_recording_is_looked_at_filtered_and_exported() {
    let folder = tempdir().unwrap();
    let file = recording(folder.path());
    let (child, mut screen) = inspect(&[&file], 80, 24);
    screen.until_all(&["that is all.", "201 events", "\\u{1b}[2J0.", "ws://x/y"]);
    screen.keys("/re:/2J19.\\./\r");
    screen.until("10 of 201 by the filter");
    screen.keys("e");
    screen.until("export to > inspected.jsonl");
    let copy = folder.path().join("b.jsonl");
    screen.keys(&format!("\x15{}\r", copy.display()));
    screen.until("wrote 201 events to");
    screen.keys("e");
    screen.until("export to > inspected.jsonl");
    screen.keys(&format!("\x15{}\r", copy.display()));
    screen.until("there is already a file");
    screen.keys("q");
    check_given_back(&mut screen);
    assert_eq!(finish(child).code, 0);
    let lines = |path: &std::path::Path| run(&["inspect", path.to_str().unwrap()], "").stdout;
    assert_eq!(lines(&copy), lines(file.as_ref()));
}

#[test]
fn exit_codes_are_those_of_the_lines() {
    // There is nothing to look at: it ends at once and says why.
    let (child, mut screen) = inspect(&["ftp://x/"], 80, 24);
    check_given_back(&mut screen);
    check(&screen.outside, &["error[TG-8001]: ftp://x/: not a URL of a WebSocket"]);
    assert_eq!(finish(child).code, 2);
    let (child, mut screen) = inspect(&["nothing.jsonl"], 80, 24);
    check_given_back(&mut screen);
    check(&screen.outside, &["error[TG-8203]: nothing.jsonl: No such file"]);
    assert_eq!(finish(child).code, 1);
    let (child, mut screen) = inspect(&["ws://127.0.0.1:1/"], 80, 24);
    let address = address(&mut screen);
    assert_eq!(run(&["connect", &address], "").code, 4);
    check_given_back(&mut screen);
    check(&screen.outside, &["error[TG-", "127.0.0.1:1"]);
    assert_eq!(finish(child).code, 4);
    // What came before the fault is looked at first.
    let folder = tempdir().unwrap();
    let file = recording(folder.path());
    let whole = fs::read(&file).unwrap();
    fs::write(&file, &whole[..whole.len() - 20]).unwrap();
    let (child, mut screen) = inspect(&[&file], 80, 24);
    screen.until_all(&["the recording ends within this line", "200 events"]);
    screen.keys("q");
    check_given_back(&mut screen);
    check(&screen.outside, &["the recording ends within this line"]);
    assert_eq!(finish(child).code, 1);
}

#[test]
fn drawing_is_bounded_and_nobody_waits_for_it() {
    const MESSAGES: usize = 20_000;
    let (url, server) = serve(|peer| {
        peer.send(&frame(0x81, b"tick").repeat(MESSAGES));
        peer.close(1000, "");
    });
    let (child, mut screen) = inspect(&[&url], 120, 40);
    let began = Instant::now();
    let address = address(&mut screen);
    // The terminal is not read meanwhile.
    let seen = run(&["connect", &address], "");
    assert_eq!((seen.code, seen.stdout.lines().count()), (0, MESSAGES));
    server.join().unwrap();
    screen.until_all(&["○ c1", "10000 events", "older let go"]);
    let draws = screen.draws;
    assert!(draws as u128 <= began.elapsed().as_millis() / 33 + 3, "{draws} draws");
    screen.keys("q");
    check_given_back(&mut screen);
    assert_eq!(finish(child).code, 0);
}

#[test]
fn colours_unless_they_are_unwanted() {
    let folder = tempdir().unwrap();
    let file = recording(folder.path());
    let (child, mut screen) = on_a_screen(tidegate(&["inspect", &file]).env("TERM", "xterm"), 120, 40);
    screen.until("that is all.");
    assert!(screen.has_colours);
    screen.keys("q");
    check_given_back(&mut screen);
    assert_eq!(finish(child).code, 0);
}

#[test]
fn plain_lines_on_a_terminal() {
    let folder = tempdir().unwrap();
    let file = recording(folder.path());
    // A terminal that cannot move its cursor has lines, too.
    for (arguments, terminal) in
        [(&["inspect", &file, "--plain"][..], "xterm"), (&["inspect", &file], "dumb")]
    {
        let mut command = tidegate(arguments);
        let (child, mut terminal) = on_a_terminal(command.env("NO_COLOR", "1").env("TERM", terminal));
        let mut bytes = Vec::new();
        // When the program has gone, reading fails.
        let _ = terminal.read_to_end(&mut bytes);
        let text = String::from_utf8(bytes).unwrap();
        check(&text, &["time          conn  way op", "= open ws://x/y", "\\u{1b}[2J199."]);
        assert!(!text.contains('\x1b') && text.lines().count() == 202, "{text}");
        assert_eq!(finish(child).code, 0);
    }
    let mut command = tidegate(&["inspect", &file, "--plain"]);
    let (child, mut terminal) = on_a_terminal(command.env("TERM", "xterm"));
    let mut bytes = Vec::new();
    let _ = terminal.read_to_end(&mut bytes);
    assert!(String::from_utf8(bytes).unwrap().contains("\x1b[32m↓"));
    assert_eq!(finish(child).code, 0);
}
