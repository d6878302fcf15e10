//! `tidegate connect` on a terminal: what a peer sent is shown inert, and typed commands are obeyed.
//! The terminal is a pseudo-terminal, whose other end the test reads and types into.

#![allow(missing_docs, reason = "a test program")]

mod harness;

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::process::{Child, Command};

use harness::{finish, frame, serve, tidegate};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

/// The program on a terminal of its own, and our end of that.
fn on_a_terminal(command: &mut Command) -> (Child, File) {
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&ours).unwrap();
    unlockpt(&ours).unwrap();
    let name = ptsname(&ours, Vec::new()).unwrap();
    let theirs = OpenOptions::new().read(true).write(true).open(name.to_str().unwrap()).unwrap();
    command.stdin(theirs.try_clone().unwrap()).stdout(theirs.try_clone().unwrap()).stderr(theirs);
    let child = command.spawn().unwrap();
    // The command holds the other end open, too; ours would otherwise never see the end.
    *command = Command::new("true");
    (child, File::from(ours))
}

/// All that is on the screen.
fn screen(mut terminal: File) -> String {
    let mut bytes = Vec::new();
    // When the program has gone, reading fails.
    let _ = terminal.read_to_end(&mut bytes);
    String::from_utf8(bytes).unwrap()
}

#[test]
fn a_peer_cannot_act_on_the_terminal() {
    let (url, server) = serve(|peer| {
        peer.send(&frame(0x81, "\x1b]0;title\x07\u{9b}2J\u{202e}x\n= closed\r".as_bytes()));
        peer.send(&frame(0x81, "{\"\u{9b}2J\":\"\u{202e}\"}".as_bytes()));
        peer.send(&frame(0x89, b"\x1b[6n"));
        peer.send(&frame(0x82, b"\x1b[2J"));
        peer.close(4000, "\x1b[2J");
    });
    let (child, terminal) = on_a_terminal(tidegate(&["connect", &url, "-i"]).env("NO_COLOR", "1"));
    let screen = screen(terminal);
    server.join().unwrap();
    assert_eq!(finish(child).code, 8);
    assert!(!screen.contains(['\x1b', '\x07', '\u{9b}', '\u{202e}']), "{screen:?}");
    assert!(screen.contains("\\u{1b}]0;title\\u{7}\\u{9b}2J\\u{202e}x"), "{screen}");
    assert!(screen.contains("{\"\\u009b2J\": \"\\u202e\"}"), "{screen}");
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
fn json_is_laid_out() {
    let long = "x".repeat(60);
    let document = format!(r#"{{"b":"{long}","a":1.0}}"#);
    let (url, server) = serve(move |peer| {
        peer.send(&frame(0x81, document.as_bytes()));
        peer.close(1000, "");
    });
    let (child, terminal) =
        on_a_terminal(tidegate(&["connect", &url]).env("NO_COLOR", "1").env("TERM", "dumb"));
    let screen = screen(terminal).replace('\r', "");
    server.join().unwrap();
    let indent = " ".repeat(34);
    let shown = format!("{{\n{indent}  \"b\": \"{long}\",\n{indent}  \"a\": 1.0\n{indent}}}\n");
    assert!(screen.contains(&shown), "{screen}");
    assert_eq!(finish(child).code, 0);
}
