//! Section 7.2.1: which messages go out compressed, and in which frames.

use tidegate_websocket::deflate::{Effort, Parameters};
use tidegate_websocket::{Connection, Extensions, Fragment, Limits, Message, Role};

use crate::peer::*;

fn sender(parameters: Parameters, effort: Effort) -> Connection {
    let extensions = Extensions { deflate: Some(parameters) };
    Connection::with_extensions(Role::Server, Limits::default(), extensions, effort)
}

fn sent(connection: &mut Connection, text: &str) -> Vec<u8> {
    let mut output = Vec::new();
    connection.send_text(text, &mut output).unwrap();
    output
}

#[test]
fn hello_is_sent_as_in_section_7_2_3_2() {
    let mut connection = sender(kept(15), EAGER);
    assert_eq!(sent(&mut connection, "Hello"), [&[0xc1, 7][..], &HELLO].concat());
    let second = sent(&mut connection, "Hello");
    assert!(second.len() <= 2 + 5, "{second:x?}");
    assert_eq!(second[0], 0xc1);
    let mut peer = client(kept(15), Limits::default());
    let wire = [&[0xc1, 7][..], &HELLO, &second].concat();
    assert_eq!(feed(&mut peer, &wire, 1).0, [text("Hello"), text("Hello")]);
}

#[test]
fn short_messages_and_those_that_do_not_shrink_go_uncompressed() {
    let mut connection = sender(stateless(), Effort { level: 1, min_bytes: 100 });
    assert_eq!(sent(&mut connection, &"x".repeat(99))[0], 0x81);
    assert_eq!(sent(&mut connection, &"x".repeat(100))[0], 0xc1);
    let mut eager = sender(stateless(), EAGER);
    assert_eq!(sent(&mut eager, "Hello"), b"\x81\x05Hello");
    assert_eq!(sent(&mut eager, ""), b"\x81\x00");
    // With takeover the context has it already.
    let mut kept = sender(kept(15), EAGER);
    assert_eq!(sent(&mut kept, "a")[0], 0xc1);
    assert_eq!(sent(&mut kept, ""), b"\x81\x00");
}

#[test]
fn without_takeover_each_message_stands_alone() {
    let mut connection = sender(stateless(), EAGER);
    let long = "one text that is sent twice ".repeat(10);
    let first = sent(&mut connection, &long);
    assert_eq!(sent(&mut connection, &long), first);
    let (told, _) = feed(&mut client(stateless(), Limits::default()), &first, 1);
    assert_eq!(told, [text(&long)]);
}

#[test]
fn an_uncompressed_message_leaves_the_context_alone() {
    let mut connection = sender(kept(15), Effort { level: 6, min_bytes: 10 });
    let wire = [
        sent(&mut connection, "compressed, for it is long"),
        sent(&mut connection, "short"),
        sent(&mut connection, "compressed, for it is long"),
    ];
    assert_eq!(wire.each_ref().map(|frame| frame[0]), [0xc1, 0x81, 0xc1]);
    assert!(wire[2].len() < 10);
    let (told, _) = feed(&mut client(kept(15), Limits::default()), &wire.concat(), 1);
    let long = text("compressed, for it is long");
    assert_eq!(told, [long.clone(), text("short"), long]);
}

#[test]
fn fragments_are_one_compressed_message() {
    for parameters in [stateless(), kept(15), kept(9)] {
        let mut connection = sender(parameters, EAGER);
        let mut peer = client(parameters, Limits::default());
        for parts in [&["Hel", "lo"][..], &["a", ""], &["a", "", "b", ""], &["x"], &["x", "y", "z"]] {
            let mut output = Vec::new();
            for (index, part) in parts.iter().enumerate() {
                let is_last = index + 1 == parts.len();
                let fragment = if is_last { Fragment::Last } else { Fragment::More };
                let start = output.len();
                connection.send_fragment(Message::Text(part), fragment, &mut output).unwrap();
                let first = if index == 0 { 0x41 } else { 0x00 } | if is_last { 0x80 } else { 0 };
                assert_eq!(output[start], first, "{parts:?}");
                connection.send_ping(b"between", &mut output).unwrap();
            }
            let (told, _) = feed(&mut peer, &output, 1);
            let texts: Vec<_> = told.into_iter().filter(|told| matches!(told, Told::Text(_))).collect();
            assert_eq!(texts, [text(&parts.concat())]);
        }
    }
}

/// Section 7.2.1: four bytes are taken from the end of the message, and from no end of a fragment before it.
#[test]
fn fragments_before_the_last_keep_their_four_bytes() {
    let tail = [0x00, 0x00, 0xff, 0xff];
    for parameters in [stateless(), kept(15)] {
        let mut connection = sender(parameters, EAGER);
        let mut frame = |part, fragment| {
            let mut output = Vec::new();
            connection.send_fragment(Message::Text(part), fragment, &mut output).unwrap();
            output
        };
        for part in ["the beginning", "and more of it"] {
            assert!(frame(part, Fragment::More).ends_with(&tail), "{part}");
        }
        assert!(!frame("and the end", Fragment::Last).ends_with(&tail));
    }
}

#[test]
fn the_first_fragment_decides() {
    let mut connection = sender(stateless(), Effort { level: 6, min_bytes: 10 });
    let mut output = Vec::new();
    connection.send_fragment(Message::Text("short"), Fragment::More, &mut output).unwrap();
    connection.send_fragment(Message::Text(&"x".repeat(100)), Fragment::Last, &mut output).unwrap();
    assert_eq!((output[0], output[7], output[8]), (0x01, 0x80, 100));
    output.clear();
    connection.send_fragment(Message::Text(&"x".repeat(100)), Fragment::More, &mut output).unwrap();
    connection.send_fragment(Message::Text("short"), Fragment::Last, &mut output).unwrap();
    let (told, _) = feed(&mut client(stateless(), Limits::default()), &output, 1);
    assert_eq!((output[0], told), (0x41, vec![text(&("x".repeat(100) + "short"))]));
}

#[test]
fn control_frames_are_never_compressed() {
    let mut connection = sender(kept(15), EAGER);
    let mut output = Vec::new();
    connection.send_ping(&[b'x'; 125], &mut output).unwrap();
    connection.send_pong(b"", &mut output).unwrap();
    connection.close(1000.into(), "x", &mut output);
    assert_eq!((output[0], output[127], output[129]), (0x89, 0x8a, 0x88));
}

#[test]
fn a_client_without_a_window_to_use_sends_uncompressed() {
    let parameters = Parameters { client_max_window_bits: 8, ..kept(15) };
    let mut output = Vec::new();
    client(parameters, Limits::default()).send_text(&"x".repeat(1000), &mut output).unwrap();
    assert_eq!(output[0], 0x81);
    let mut output = Vec::new();
    server(parameters, Limits::default()).send_text(&"x".repeat(1000), &mut output).unwrap();
    assert_eq!(output[0], 0xc1);
}
