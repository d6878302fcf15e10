//! Sections 5.5.1, 7.1 and 7.4: the closing handshake, codes and reasons.

use tidegate_websocket::close::CloseError;
use tidegate_websocket::frame::FrameError;
use tidegate_websocket::{Close, CloseCode, Limits, SendError};

use crate::peer::*;

fn body(code: u16, reason: &[u8]) -> Vec<u8> {
    [&code.to_be_bytes()[..], reason].concat()
}

#[test]
fn a_close_is_echoed_with_its_code() {
    let mut connection = server();
    let (told, output) = feed(&mut connection, &masked(0x88, &body(1000, b"bye")));
    assert_eq!(told, [Told::Close(Some(1000), "bye".into())]);
    assert_eq!(output, close_frame(1000, ""));
    assert!(connection.is_closed() && !connection.is_open() && !connection.is_closing());
}

#[test]
fn an_empty_close_is_echoed_empty() {
    let (told, output) = feed(&mut server(), &masked(0x88, b""));
    assert_eq!((told, output), (vec![Told::Close(None, String::new())], unmasked(0x88, b"")));
}

#[test]
fn every_code_is_judged() {
    let allowed = |code: u16| matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999);
    for code in (0..=5100).chain([9999, 65535]) {
        let wire = masked(0x88, &body(code, b""));
        if allowed(code) {
            assert_eq!(feed(&mut server(), &wire).0, [Told::Close(Some(code), String::new())]);
        } else {
            check_refused(Limits::default(), &wire, CloseError::Code(CloseCode::new(code)));
        }
    }
}

#[test]
fn a_body_of_one_byte_is_refused() {
    check_refused(Limits::default(), &masked(0x88, b"\x03"), CloseError::HalfCode);
}

#[test]
fn a_reason_is_utf8_of_123_bytes_at_most() {
    let longest = "é".repeat(61) + "x";
    let (told, _) = feed(&mut server(), &masked(0x88, &body(4000, longest.as_bytes())));
    assert_eq!(told, [Told::Close(Some(4000), longest)]);
    for reason in [&b"\xff"[..], b"ok\xce", b"\xed\xa0\x80"] {
        check_refused(Limits::default(), &masked(0x88, &body(1000, reason)), CloseError::ReasonNotUtf8);
    }
    let wire = masked(0x88, &body(1000, &[b'x'; 124]));
    check_refused(Limits::default(), &wire, FrameError::LongControl(tidegate_websocket::Opcode::Close));
}

#[test]
fn we_close_and_the_peer_echoes() {
    let (mut connection, mut output) = (server(), Vec::new());
    connection.close(CloseCode::GOING_AWAY, "restart", &mut output);
    assert_eq!(output, close_frame(1001, "restart"));
    assert!(connection.is_closing() && !connection.is_open() && !connection.is_closed());
    let (told, answer) = feed(&mut connection, &masked(0x88, &body(1001, b"")));
    assert_eq!((told, answer), (vec![Told::Close(Some(1001), String::new())], vec![]));
    assert!(connection.is_closed() && !connection.is_closing());
    assert_eq!(connection.handle_eof(), None);
}

#[test]
fn the_second_close_does_nothing() {
    let (mut connection, mut output) = (server(), Vec::new());
    connection.close(CloseCode::NORMAL, "", &mut output);
    connection.close(CloseCode::GOING_AWAY, "again", &mut output);
    assert_eq!(output, close_frame(1000, ""));
    let mut connection = server();
    feed(&mut connection, &masked(0x88, b""));
    let mut output = Vec::new();
    connection.close(CloseCode::NORMAL, "", &mut output);
    assert!(output.is_empty());
}

#[test]
fn both_close_at_once() {
    let (mut server, mut client) = (server(), client());
    let (mut from_server, mut from_client) = (Vec::new(), Vec::new());
    server.close(CloseCode::GOING_AWAY, "s", &mut from_server);
    client.close(CloseCode::NORMAL, "c", &mut from_client);
    assert_eq!(feed(&mut server, &from_client), (vec![Told::Close(Some(1000), "c".into())], vec![]));
    assert_eq!(feed(&mut client, &from_server), (vec![Told::Close(Some(1001), "s".into())], vec![]));
    assert!(server.is_closed() && client.is_closed());
}

#[test]
fn data_after_a_close_is_ignored() {
    let wire = [masked(0x88, &body(1000, b"")), masked(0x81, b"late"), masked(0x89, b"late"), vec![0xff; 9]]
        .concat();
    let bytewise: Vec<&[u8]> = wire.chunks(1).collect();
    for pieces in [&[&wire[..]][..], &bytewise] {
        let mut connection = server();
        let (told, output) = feed_pieces(&mut connection, pieces);
        assert_eq!(told, [Told::Close(Some(1000), String::new())]);
        assert_eq!(output, close_frame(1000, ""));
        assert_eq!((connection.unfinished_bytes(), connection.heap_bytes()), (0, 0));
    }
}

#[test]
fn messages_between_our_close_and_the_peers_still_arrive() {
    let mut connection = server();
    connection.close(CloseCode::NORMAL, "", &mut Vec::new());
    let (told, output) = feed(&mut connection, &[masked(0x81, b"on its way"), masked(0x88, b"")].concat());
    assert_eq!(told, [text("on its way"), Told::Close(None, String::new())]);
    assert!(output.is_empty());
}

#[test]
fn a_close_ends_an_unfinished_message() {
    let mut connection = server();
    let (told, _) = feed(&mut connection, &[masked(0x01, b"half"), masked(0x88, b"")].concat());
    assert_eq!(told, [Told::Close(None, String::new())]);
    assert!(!connection.has_unfinished_message());
    assert_eq!((connection.unfinished_bytes(), connection.heap_bytes()), (0, 0));
}

#[test]
fn a_rule_broken_after_our_close_ends_without_a_second_one() {
    let mut connection = server();
    connection.close(CloseCode::NORMAL, "", &mut Vec::new());
    let (told, output) = feed(&mut connection, &unmasked(0x81, b"x"));
    assert_eq!((told, output), (vec![Told::Error(FrameError::Unmasked.into())], vec![]));
    assert!(connection.is_closed());
}

#[test]
fn an_end_without_a_close_is_1006() {
    for closes_first in [false, true] {
        let mut connection = server();
        feed(&mut connection, &masked(0x01, b"half"));
        if closes_first {
            connection.close(CloseCode::NORMAL, "", &mut Vec::new());
        }
        assert_eq!(connection.handle_eof().map(Told::from), Some(Told::Lost));
        assert_eq!(connection.handle_eof(), None);
        assert!(connection.is_closed() && !connection.is_closing() && !connection.is_open());
        assert!(!connection.has_unfinished_message() && connection.heap_bytes() == 0);
        assert_eq!(connection.send_text("x", &mut Vec::new()), Err(SendError::Closed));
        let mut output = Vec::new();
        connection.close(CloseCode::NORMAL, "", &mut output);
        assert!(output.is_empty());
    }
}

#[test]
fn codes_that_may_not_be_sent_close_without_a_code() {
    for code in [CloseCode::NO_STATUS, CloseCode::ABNORMAL, CloseCode::TLS_HANDSHAKE, CloseCode::new(1004)] {
        let mut output = Vec::new();
        server().close(code, "reason", &mut output);
        assert_eq!(output, unmasked(0x88, b""), "{code}");
    }
}

#[test]
fn our_reason_is_cut_between_characters() {
    let mut output = Vec::new();
    server().close(CloseCode::NORMAL, &"€".repeat(42), &mut output);
    assert_eq!(output, close_frame(1000, &"€".repeat(41)));
}

#[test]
fn a_close_in_pieces_keeps_its_reason() {
    let wire = masked(0x88, &body(4001, "grüße".as_bytes()));
    for cut in 0..=wire.len() {
        let (told, _) = feed_pieces(&mut server(), &[&wire[..cut], &wire[cut..]]);
        assert_eq!(told, [Told::Close(Some(4001), "grüße".into())]);
    }
}

#[test]
fn an_empty_close_is_1005_to_the_application() {
    assert_eq!(Close::decode(b"").unwrap().status(), CloseCode::NO_STATUS);
    assert_eq!(Close::decode(b"\x0f\xa0").unwrap().status(), CloseCode::new(4000));
    let lost = server().handle_eof();
    let Some(tidegate_websocket::Event::Close(close)) = lost else { panic!("the end is told: {lost:?}") };
    assert_eq!((close.status(), close.clean), (CloseCode::ABNORMAL, false));
}
