//! Section 5.4: fragments, and what may stand between them.

use tidegate_websocket::message::MessageError;
use tidegate_websocket::{Input, Limits};

use crate::peer::*;

fn check(pieces: &[&[u8]], expected: &[Told]) {
    let mut connection = server();
    assert_eq!(feed_pieces(&mut connection, pieces).0, expected);
    assert!(!connection.has_unfinished_message());
    assert_eq!((connection.unfinished_bytes(), connection.heap_bytes()), (0, 0));
}

#[test]
fn fragments_become_one_message() {
    let (a, b, c) = (masked(0x01, b"Hel"), masked(0x00, b"lo, "), masked(0x80, b"world"));
    check(&[&[&a[..], &b, &c].concat()], &[text("Hello, world")]);
    check(&[&a, &b, &c], &[text("Hello, world")]);
    check(&[&masked(0x02, b"\xff"), &masked(0x80, b"\xfe")], &[Told::Binary(vec![0xff, 0xfe])]);
}

#[test]
fn empty_fragments_are_fragments() {
    let wire = [masked(0x01, b""), masked(0x00, b""), masked(0x80, b"")].concat();
    check(&[&wire], &[text("")]);
    check(&[&masked(0x81, b"")], &[text("")]);
    check(&[&masked(0x82, b"")], &[Told::Binary(vec![])]);
}

#[test]
fn control_frames_may_stand_between_fragments_and_inside_their_bytes() {
    let wire =
        [masked(0x01, b"a"), masked(0x89, b"ping"), masked(0x8a, b"pong"), masked(0x80, b"b")].concat();
    let expected = [Told::Ping(b"ping".to_vec()), Told::Pong(b"pong".to_vec()), text("ab")];
    for cut in 0..=wire.len() {
        check(&[&wire[..cut], &wire[cut..]], &expected);
    }
}

#[test]
fn one_input_may_bring_many_messages() {
    let wire = [masked(0x81, b"1"), masked(0x01, b"2"), masked(0x80, b"3"), masked(0x82, b"4")].concat();
    check(&[&wire], &[text("1"), text("23"), Told::Binary(b"4".to_vec())]);
}

#[test]
fn a_continuation_needs_a_beginning() {
    for first in [0x80, 0x00] {
        check_refused(Limits::default(), &masked(first, b"x"), MessageError::NothingToContinue);
    }
    let wire = [masked(0x01, b"a"), masked(0x80, b"b"), masked(0x80, b"c")].concat();
    check_refused(Limits::default(), &wire, MessageError::NothingToContinue);
    let wire = [masked(0x81, b"whole"), masked(0x80, b"c")].concat();
    check_refused(Limits::default(), &wire, MessageError::NothingToContinue);
}

#[test]
fn a_message_must_end_before_the_next_begins() {
    for first in [0x81, 0x01, 0x82, 0x02] {
        let wire = [masked(0x01, b"a"), masked(first, b"b")].concat();
        check_refused(Limits::default(), &wire, MessageError::Interrupted);
    }
}

#[test]
fn an_unfinished_message_is_known_and_its_memory_given_back() {
    let mut connection = server();
    feed(&mut connection, &masked(0x01, b"abc"));
    assert!(connection.has_unfinished_message());
    assert_eq!(connection.unfinished_bytes(), 3);
    feed(&mut connection, &masked(0x89, b"ping"));
    assert!(connection.has_unfinished_message());
    let wire = masked(0x80, b"def");
    feed(&mut connection, &wire[..7]);
    assert_eq!(connection.unfinished_bytes(), 4);
    assert!(connection.heap_bytes() > 0);
    assert_eq!(feed(&mut connection, &wire[7..]).0, [text("abcdef")]);
    assert!(!connection.has_unfinished_message());
    assert_eq!((connection.unfinished_bytes(), connection.heap_bytes()), (0, 0));
}

#[test]
fn between_messages_is_where_somebody_can_begin_to_look() {
    let wire = [masked(0x01, b"ab"), masked(0x89, b"ping"), masked(0x80, b"c"), masked(0x81, b"d")].concat();
    let ends = [wire.len() - 7, wire.len()];
    let mut connection = server();
    assert!(connection.is_between_messages());
    for (count, byte) in (1..).zip(&wire) {
        feed(&mut connection, &[*byte]);
        assert_eq!(connection.is_between_messages(), ends.contains(&count), "after {count} bytes");
    }
}

#[test]
fn a_single_frame_in_pieces_is_an_unfinished_message_once_its_header_is_whole() {
    let wire = masked(0x82, b"payload");
    let mut connection = server();
    feed(&mut connection, &wire[..5]);
    assert!(!connection.has_unfinished_message());
    assert_eq!((connection.unfinished_bytes(), connection.heap_bytes()), (5, 0));
    feed(&mut connection, &wire[5..6]);
    assert!(connection.has_unfinished_message());
    assert_eq!(feed(&mut connection, &wire[6..]).0, [Told::Binary(b"payload".to_vec())]);
    assert_eq!(connection.heap_bytes(), 0);
}

#[test]
fn a_message_that_is_lent_is_not_unfinished_and_neither_is_one_that_a_close_ended() {
    for last in [masked(0x80, b"b"), masked(0x88, b"")] {
        let mut connection = server();
        feed(&mut connection, &masked(0x01, b"a"));
        assert!(connection.has_unfinished_message());
        let mut wire = last;
        assert!(connection.handle_input(&mut Input::new(&mut wire), &mut Vec::new()).is_some());
        assert!(!connection.has_unfinished_message());
    }
}
