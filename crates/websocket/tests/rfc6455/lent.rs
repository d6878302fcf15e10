//! Ways that spare copies: reading into a message, leaving a frame in the buffer, writing a payload from where it
//! lies. They tell and write the same as the plain ways.

use bytes::BufMut;
use proptest::prelude::*;
use tidegate_websocket::{CloseCode, Connection, Fragment, Input, Limits, Message, MessageKind, Role};

use crate::peer::{self, Told, client, feed, server};

const LIMITS: Limits = Limits { max_message_bytes: 1 << 20, max_fragments: 256 };
/// Frames up to this size are left in the buffer.
const LEFT_BYTES: usize = 64 * 1024;

/// Reads `wire` in steps of these lengths, each into the message if there is room in one.
fn feed_into_room(role: Role, wire: &[u8], mut steps: impl Iterator<Item = usize>) -> (Vec<Told>, usize) {
    let mut connection = Connection::new(role, LIMITS);
    let (mut told, mut output, mut reads_into_room) = (Vec::new(), Vec::new(), 0);
    let mut rest = wire;
    while !rest.is_empty() {
        let step = steps.next().unwrap_or(usize::MAX).clamp(1, rest.len());
        if let Some(mut room) = connection.payload_room() {
            let length = step.min(room.remaining_mut());
            room.put_slice(&rest[..length]);
            rest = &rest[length..];
            reads_into_room += 1;
            told.extend(connection.handle_payload().map(Told::from));
            continue;
        }
        let mut bytes = rest[..step].to_vec();
        rest = &rest[step..];
        let mut input = Input::new(&mut bytes);
        while let Some(event) = connection.handle_input(&mut input, &mut output) {
            told.push(event.into());
        }
    }
    assert!(!connection.has_unfinished_message());
    (told, reads_into_room)
}

/// Reads `wire` in steps of these lengths through a buffer in which frames are left.
fn feed_leaving(wire: &[u8], steps: impl Iterator<Item = usize>) -> Vec<Told> {
    let mut connection = Connection::new(Role::Server, LIMITS);
    let (mut told, mut output, mut buffer, mut rest) = (Vec::new(), Vec::new(), Vec::new(), wire);
    for step in steps.chain(std::iter::repeat(usize::MAX)) {
        if rest.is_empty() {
            break;
        }
        let (piece, after) = rest.split_at(step.min(rest.len()));
        rest = after;
        buffer.extend_from_slice(piece);
        let mut input = Input::leaving(&mut buffer, LEFT_BYTES);
        while let Some(event) = connection.handle_input(&mut input, &mut output) {
            told.push(event.into());
        }
        let left = input.remaining();
        assert!(left < LEFT_BYTES);
        buffer.drain(..buffer.len() - left);
    }
    assert!(buffer.is_empty());
    told
}

/// Messages, some in fragments, some long, with Pings between.
fn wire() -> impl Strategy<Value = Vec<u8>> {
    let size = prop_oneof![4 => 0usize..300, 2 => 60_000usize..70_000, 1 => 150_000usize..300_000];
    let message = (size, any::<u8>(), 0usize..3).prop_map(|(size, byte, fragments)| {
        let payload: Vec<u8> = (0..size).map(|place| byte.wrapping_add(place as u8)).collect();
        let ping = peer::masked(0x89, &[byte]);
        match fragments {
            0 => peer::masked(0x82, &payload),
            1 => [peer::masked(0x02, &payload), ping, peer::masked(0x80, &payload)].concat(),
            _ => [peer::masked(0x81, &vec![b'x'; size]), ping].concat(),
        }
    });
    prop::collection::vec(message, 1..5).prop_map(|frames| frames.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn reading_into_the_message_tells_the_same(
        wire in wire(), steps in prop::collection::vec(1usize..100_000, 0..40)
    ) {
        let expected = feed(&mut Connection::new(Role::Server, LIMITS), &wire).0;
        prop_assert_eq!(feed_into_room(Role::Server, &wire, steps.into_iter()).0, expected);
    }

    #[test]
    fn leaving_frames_in_the_buffer_tells_the_same(
        wire in wire(), steps in prop::collection::vec(1usize..100_000, 0..40)
    ) {
        let expected = feed(&mut Connection::new(Role::Server, LIMITS), &wire).0;
        prop_assert_eq!(feed_leaving(&wire, steps.into_iter()), expected);
    }
}

#[test]
fn a_long_message_is_read_where_it_stays() {
    let payload = vec![7; 500_000];
    let (told, reads) =
        feed_into_room(Role::Server, &peer::masked(0x82, &payload), std::iter::repeat(50_000));
    assert_eq!(told, [Told::Binary(payload)]);
    assert!(reads >= 9, "{reads}");
}

#[test]
fn what_is_left_is_not_kept() {
    let mut connection = server();
    let mut wire = peer::masked(0x82, &[1; 1000]);
    let length = wire.len() - 1;
    for length in [1, 2, 7, 8, 500, length] {
        let mut input = Input::leaving(&mut wire[..length], 2000);
        assert!(connection.handle_input(&mut input, &mut Vec::new()).is_none());
        assert_eq!(
            (input.remaining(), connection.unfinished_bytes(), connection.heap_bytes()),
            (length, 0, 0)
        );
    }
    let mut input = Input::leaving(&mut wire, 2000);
    let told = connection.handle_input(&mut input, &mut Vec::new()).map(Told::from);
    assert_eq!(told, Some(Told::Binary(vec![1; 1000])));
}

#[test]
fn room_is_made_by_what_came_and_not_by_what_is_claimed() {
    let limits = Limits { max_message_bytes: usize::MAX, max_fragments: u32::MAX };
    let mut connection = Connection::new(Role::Server, limits);
    assert!(connection.payload_room().is_none());
    feed(&mut connection, &[&peer::header(0x82, 0x80, 1 << 50)[..], &[0; 4], b"one"].concat());
    assert!(connection.payload_room().is_some());
    assert!(connection.heap_bytes() < 2 * 32 * 1024 + 512, "{}", connection.heap_bytes());
}

#[test]
fn there_is_room_only_for_long_binary_payloads() {
    for (first, length) in [(0x81, 100_000), (0x82, 30_000), (0x89, 100)] {
        let mut connection = server();
        feed(&mut connection, &[&peer::header(first, 0x80, length)[..], &[0; 4], b"one"].concat());
        assert!(connection.payload_room().is_none(), "{first:x} {length}");
        assert!(connection.handle_payload().is_none());
    }
}

#[test]
fn a_header_and_the_payload_behind_it_are_the_message() {
    for size in [0, 1, 125, 126, 65_535, 65_536] {
        let payload = vec![3; size];
        let header = server().header(MessageKind::Binary, size).expect("an open server");
        let mut sent = Vec::new();
        server().send_binary(&payload, &mut sent).unwrap();
        assert_eq!([&header[..], &payload].concat(), sent);
    }
}

#[test]
fn there_is_no_header_alone_where_no_message_may_be_sent() {
    assert!(client().header(MessageKind::Text, 1).is_none());
    let mut connection = server();
    connection.send_fragment(Message::Text("a"), Fragment::More, &mut Vec::new()).unwrap();
    assert!(connection.header(MessageKind::Text, 1).is_none());
    let mut connection = server();
    connection.close(CloseCode::NORMAL, "", &mut Vec::new());
    assert!(connection.header(MessageKind::Text, 1).is_none());
}
