//! Section 10.4 and the bounds of memory: at each limit, and one past it.

use tidegate_websocket::message::MessageError;
use tidegate_websocket::{Connection, Limits, Role};

use crate::peer::*;

const LIMITS: Limits = Limits { max_message_bytes: 1000, max_fragments: 4 };
const TOO_BIG: MessageError = MessageError::TooBig { max_message_bytes: 1000 };
const TOO_MANY: MessageError = MessageError::TooManyFragments { max_fragments: 4 };

fn accepted(limits: Limits, wire: &[u8], expected: Told) {
    for piece in [wire.len(), 7, 1] {
        let mut connection = Connection::new(Role::Server, limits);
        let pieces: Vec<&[u8]> = wire.chunks(piece).collect();
        assert_eq!(feed_pieces(&mut connection, &pieces).0, std::slice::from_ref(&expected));
    }
}

#[test]
fn the_defaults_are_64_kib_and_256_fragments() {
    let defaults = Limits::default();
    assert_eq!((defaults.max_message_bytes, defaults.max_fragments), (65536, 256));
    accepted(defaults, &masked(0x82, &[1; 65536]), Told::Binary(vec![1; 65536]));
    accepted(defaults, &masked(0x81, &[b'x'; 65536]), text(&"x".repeat(65536)));
    let too_big = MessageError::TooBig { max_message_bytes: 65536 };
    check_refused(defaults, &masked(0x82, &[1; 65537])[..20], too_big);
    check_refused(defaults, &masked(0x81, &[b'x'; 65537])[..20], too_big);
}

#[test]
fn a_message_may_be_as_long_as_the_limit_in_one_frame_or_many() {
    accepted(LIMITS, &masked(0x82, &[1; 1000]), Told::Binary(vec![1; 1000]));
    let wire = [masked(0x02, &[1; 400]), masked(0x00, &[1; 600]), masked(0x80, b"")].concat();
    accepted(LIMITS, &wire, Told::Binary(vec![1; 1000]));
}

#[test]
fn one_byte_more_is_refused_on_its_header() {
    check_refused(LIMITS, &header(0x82, 0x80, 1001).into_iter().chain([0; 4]).collect::<Vec<_>>(), TOO_BIG);
    let begun = masked(0x02, &[1; 400]);
    let wire = [&begun[..], &header(0x80, 0x80, 601), &[0; 4]].concat();
    check_refused(LIMITS, &wire, TOO_BIG);
    let text = [masked(0x01, &[b'x'; 999]), masked(0x00, b"\xc3"), masked(0x80, b"\xa4")].concat();
    check_refused(LIMITS, &text, TOO_BIG);
}

#[test]
fn huge_lengths_are_refused_without_memory() {
    for length in [1001, 1 << 32, (1 << 32) + 5, (1 << 63) - 1] {
        for begun in [vec![], masked(0x02, b"begun")] {
            let mut connection = Connection::new(Role::Server, LIMITS);
            feed(&mut connection, &begun);
            let first = if begun.is_empty() { 0x82 } else { 0x80 };
            let (told, output) =
                feed(&mut connection, &[&header(first, 0x80, length)[..], &[1, 2, 3, 4, 5]].concat());
            assert_eq!(told, [Told::Error(TOO_BIG.into())]);
            assert_eq!(output, close_frame(1009, "message too big"));
            assert_eq!(connection.heap_bytes(), 0);
        }
    }
}

#[test]
fn an_unlimited_connection_allocates_what_came_not_what_is_claimed() {
    let limits = Limits { max_message_bytes: usize::MAX, max_fragments: u32::MAX };
    let mut connection = Connection::new(Role::Server, limits);
    let (told, _) =
        feed(&mut connection, &[&header(0x82, 0x80, (1 << 63) - 1)[..], &[0; 4], b"one"].concat());
    assert_eq!(told, []);
    assert_eq!(connection.unfinished_bytes(), 3);
    assert!(connection.heap_bytes() < 256, "{}", connection.heap_bytes());
}

#[test]
fn what_is_kept_stays_within_the_limit_and_twice_what_came() {
    let wire = masked(0x82, &[1; 1000]);
    let mut connection = Connection::new(Role::Server, LIMITS);
    let mut fixed = None;
    for (index, byte) in wire[..wire.len() - 1].iter().enumerate() {
        feed(&mut connection, &[*byte]);
        let came = connection.unfinished_bytes();
        assert!(came <= index + 1);
        if connection.heap_bytes() > 0 {
            let fixed = *fixed.get_or_insert(connection.heap_bytes() - came);
            assert!(fixed < 200, "{fixed}");
            assert!(connection.heap_bytes() <= fixed + (2 * came).min(1000), "{came}");
        }
    }
}

#[test]
fn fragments_are_counted_empty_ones_too() {
    let fragments = |count: usize, payload: &[u8]| {
        let mut wire = masked(0x02, payload);
        (2..count).for_each(|_| wire.extend(masked(0x00, payload)));
        wire.extend(masked(0x80, payload));
        wire
    };
    accepted(LIMITS, &fragments(4, b"x"), Told::Binary(vec![b'x'; 4]));
    accepted(LIMITS, &fragments(4, b""), Told::Binary(vec![]));
    check_refused(LIMITS, &fragments(5, b"x"), TOO_MANY);
    check_refused(LIMITS, &fragments(5, b""), TOO_MANY);
    accepted(Limits::default(), &fragments(256, b"x"), Told::Binary(vec![b'x'; 256]));
    let too_many = MessageError::TooManyFragments { max_fragments: 256 };
    check_refused(Limits::default(), &fragments(257, b""), too_many);
    assert_eq!(too_many.rule().reason, "too_many_fragments");
    assert_eq!(too_many.rule().code.get(), 1008);
}

#[test]
fn control_frames_between_fragments_are_not_counted() {
    let wire = [masked(0x02, b"a"), masked(0x8a, b"").repeat(300), masked(0x80, b"b")].concat();
    let (told, _) = feed(&mut Connection::new(Role::Server, LIMITS), &wire);
    assert_eq!(told.len(), 301);
    assert_eq!(told.last(), Some(&Told::Binary(b"ab".to_vec())));
}

#[test]
fn a_connection_is_small() {
    assert!(size_of::<Connection>() <= 72, "{} bytes", size_of::<Connection>());
    assert_eq!(server().heap_bytes(), 0);
}
