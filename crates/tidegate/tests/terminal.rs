//! `tidegate connect` on a terminal: what a peer sent is shown inert, typed commands are obeyed, lines are edited.
//! The terminal is a pseudo-terminal, whose other end the test reads and types into.

#![allow(missing_docs, reason = "a test program")]

mod harness;

use std::fs::File;
use std::io::{Read, Write};
use std::process::Child;
use std::sync::mpsc::sync_channel;

use harness::pty::on_a_terminal;
use harness::{finish, frame, serve, tidegate};
use regex::Regex;
use rustix::termios::{LocalModes, tcgetattr};

/// All that is on the screen.
fn screen(mut terminal: File) -> String {
    let mut bytes = Vec::new();
    // When the program has gone, reading fails.
    let _ = terminal.read_to_end(&mut bytes);
    String::from_utf8(bytes).unwrap()
}

/// Reads until this is on the screen; gives all that came up to then.
fn until(terminal: &mut File, text: &str) -> String {
    let mut bytes = Vec::new();
    while !String::from_utf8_lossy(&bytes).contains(text) {
        let mut byte = [0];
        terminal.read_exact(&mut byte).unwrap();
        bytes.push(byte[0]);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A terminal on which lines can be edited, without colours.
fn with_editing(arguments: &[&str]) -> (Child, File) {
    on_a_terminal(tidegate(arguments).env("NO_COLOR", "1").env("TERM", "xterm"))
}

/// What is left of a screen without what the row that is typed on needs.
fn without_our_sequences(screen: &str) -> String {
    let moves = Regex::new("\x1b\\[(K|[0-9]+C|\\?2004[hl])").unwrap();
    moves.replace_all(screen, "").into_owned()
}

#[test]
fn a_peer_cannot_act_on_the_terminal() {
    for terminal in ["dumb", "xterm"] {
        check_that_a_peer_is_inert(terminal);
    }
}

fn check_that_a_peer_is_inert(name: &str) {
    let (url, server) = serve(|peer| {
        peer.send(&frame(0x81, "\x1b]0;title\x07\u{9b}2J\u{202e}x\n= closed\r".as_bytes()));
        peer.send(&frame(0x81, "{\"\u{9b}2J\":\"\u{202e}\"}".as_bytes()));
        peer.send(&frame(0x89, b"\x1b[6n"));
        peer.send(&frame(0x82, b"\x1b[2J"));
        peer.close(4000, "\x1b[2J");
    });
    let mut command = tidegate(&["connect", &url, "-i"]);
    let (child, terminal) = on_a_terminal(command.env("NO_COLOR", "1").env("TERM", name));
    let screen = screen(terminal);
    server.join().unwrap();
    assert_eq!(finish(child).code, 8);
    assert_eq!(screen.contains("\x1b[K"), name == "xterm", "lines are edited where that is possible");
    let screen = without_our_sequences(&screen);
    assert!(screen.contains("{\"\\u009b2J\": \"\\u202e\"}"), "{screen}");
    assert!(!screen.contains(['\x1b', '\x07', '\u{9b}', '\u{202e}']), "{screen:?}");
    assert!(screen.contains("\\u{1b}]0;title\\u{7}\\u{9b}2J\\u{202e}x"), "{screen}");
    assert!(screen.contains("↓ binary       4 B  1b 5b 32 4a"), "{screen}");
    // The peer's second line is indented.
    assert!(screen.lines().any(|line| line.starts_with("   ") && line.contains("= closed")), "{screen}");
}

#[test]
fn colours_unless_they_are_unwanted() {
    let (url, server) = serve(|peer| peer.close(1000, ""));
    let (child, terminal) = on_a_terminal(tidegate(&["connect", &url]).env("TERM", "xterm"));
    assert!(screen(terminal).contains("\x1b[33m↓ close 1000"));
    server.join().unwrap();
    assert_eq!(finish(child).code, 0);
}

#[test]
fn typed_commands() {
    let (url, server) = serve(|peer| {
        let frames = [peer.frame(), peer.frame(), peer.frame(), peer.frame()];
        assert_eq!(peer.closed(), 4000);
        frames
    });
    let (child, mut terminal) = on_a_terminal(&mut tidegate(&["connect", &url]));
    terminal.write_all(b"hello\n/ping you\n/bin de ad\n/nonsense\n//slash\n/close 4000 why\n").unwrap();
    let screen = screen(terminal);
    let [text, ping, binary, slash] = server.join().unwrap();
    assert_eq!(text, (0x81, b"hello".to_vec()));
    assert_eq!(ping, (0x89, b"you".to_vec()));
    assert_eq!(binary, (0x82, vec![0xde, 0xad]));
    assert_eq!(slash, (0x81, b"/slash".to_vec()));
    assert!(screen.contains("there is no command /nonsense"), "{screen}");
    assert_eq!(finish(child).code, 0);
}

#[test]
fn lines_are_edited_and_come_back() {
    let (typed, is_typed) = sync_channel(1);
    let (url, server) = serve(move |peer| {
        let first = peer.text();
        is_typed.recv().unwrap();
        peer.send(&frame(0x81, b"in between"));
        [first, peer.text(), peer.text(), peer.text(), peer.closed().to_string()]
    });
    let (child, mut terminal) = with_editing(&["connect", &url]);
    until(&mut terminal, "> ");
    // Home and Delete, Left and Backspace.
    terminal.write_all(b"xhellp\x1b[H\x1b[3~\x1b[F\x7fo\rhal").unwrap();
    let screen_then = until(&mut terminal, "> hal\r");
    assert!(screen_then.contains("↑ text         5 B  hello\r\n> "), "{screen_then}");
    typed.send(()).unwrap();
    // What comes stands above the line that is being typed, and that is whole again at once.
    until(&mut terminal, "↓ text        10 B  in between\r\n> hal\r");
    // Then the first one again, and the one before it.
    terminal.write_all(b"f\r\x1b[A\x1b[A!\r").unwrap();
    // Two lines at once are one message.
    terminal.write_all(b"\x1b[200~{\"a\":\r\n1}\x1b[201~\r\x04").unwrap();
    let screen = screen(terminal);
    let lines = server.join().unwrap();
    assert_eq!(lines, ["hello", "half", "hello!", "{\"a\":\n1}", "1000"]);
    assert!(screen.contains("\r\u{1b}[K\u{1b}[?2004l"), "the terminal is given back: {screen:?}");
    assert!(screen.contains("= closed by us after "), "{screen}");
    assert_eq!(finish(child).code, 0);
}

#[test]
fn the_terminal_gets_its_modes_back() {
    let (url, server) = serve(|peer| {
        peer.frame();
        peer.close(1000, "");
    });
    let (child, mut terminal) = with_editing(&["connect", &url]);
    until(&mut terminal, "> ");
    let editing = tcgetattr(&terminal).unwrap().local_modes;
    terminal.write_all(b"x\r").unwrap();
    until(&mut terminal, "\u{1b}[?2004l");
    assert_eq!(finish(child).code, 0);
    server.join().unwrap();
    let after = tcgetattr(&terminal).map(|modes| modes.local_modes);
    assert!(!editing.contains(LocalModes::ICANON) && editing.contains(LocalModes::ISIG));
    assert!(after.is_ok_and(|modes| modes.contains(LocalModes::ICANON | LocalModes::ECHO)));
}

#[test]
fn commands_about_the_connection() {
    let (url, server) = serve(|peer| {
        assert_eq!(peer.text(), "hi");
        peer.closed()
    });
    let (child, mut terminal) = with_editing(&["connect", &url]);
    until(&mut terminal, "> ");
    terminal.write_all(b"hi\r/stats\r/headers\r/help\r\x04").unwrap();
    let screen = screen(terminal);
    assert_eq!(server.join().unwrap(), 1000);
    for part in [
        "> /stats\r\n",
        "= open after ",
        "↑ 1 message, 2 B  ↓ 0 messages, 0 B",
        "< X-Server: script",
        "/bin HEX",
    ] {
        assert!(screen.contains(part), "{part}: {screen}");
    }
    assert_eq!(finish(child).code, 0);
}

#[test]
fn what_was_seen_is_filtered_and_saved() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.jsonl");
    let (url, server) = serve(|peer| {
        for answer in [r#"{"a":1}"#, r#"{"a":2}"#] {
            assert_eq!(peer.text(), "go");
            peer.send(&frame(0x81, answer.as_bytes()));
            peer.send(&frame(0x81, b"shown"));
        }
        peer.closed()
    });
    let (child, mut terminal) = with_editing(&["connect", &url]);
    until(&mut terminal, "> ");
    terminal.write_all(b"/filter json:\r/filter text:shown\rgo\r").unwrap();
    let first = until(&mut terminal, "B  shown");
    assert!(first.contains("^ ") && first.contains("= only what matches is shown"), "{first}");
    assert!(!first.contains("\"a\""), "{first}");
    terminal.write_all(b"/filter\rgo\r").unwrap();
    let second = until(&mut terminal, "B  shown");
    assert!(second.contains("= all is shown") && second.contains("{\"a\": 2}"), "{second}");
    terminal.write_all(format!("/save {}\r/save /nowhere/a.har\r\x04", file.display()).as_bytes()).unwrap();
    let rest = screen(terminal);
    assert!(rest.contains("= saved in ") && rest.contains("cannot be written"), "{rest}");
    assert_eq!((finish(child).code, server.join().unwrap()), (0, 1000));
    let saved = std::fs::read_to_string(&file).unwrap();
    let words: Vec<_> = saved.lines().map(|line| line.split('"').nth(9).unwrap_or("")).collect();
    assert_eq!(words[..4], ["handshake", "handshake", "open", "message"]);
    assert_eq!(words.len(), 9, "what was not shown is saved, too: {saved}");
}

#[test]
fn json_is_laid_out() {
    let long = "x".repeat(60);
    let document = format!(r#"{{"b":"{long}","a":1.0}}"#);
    let (url, server) = serve(move |peer| {
        peer.send(&frame(0x81, document.as_bytes()));
        peer.close(1000, "");
    });
    let (child, terminal) = with_editing(&["connect", &url]);
    let screen = screen(terminal).replace('\r', "");
    server.join().unwrap();
    let indent = " ".repeat(34);
    let shown = format!("{{\n{indent}  \"b\": \"{long}\",\n{indent}  \"a\": 1.0\n{indent}}}\n");
    assert!(screen.contains(&shown), "{screen}");
    assert_eq!(finish(child).code, 0);
}
