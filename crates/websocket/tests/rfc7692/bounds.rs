//! What compressed messages may cost: output is bounded while it comes, and what is kept is counted.

use tidegate_websocket::message::MessageError;
use tidegate_websocket::{Connection, Fragment, Limits, Message};

use crate::peer::*;

const LIMITS: Limits = Limits { max_message_bytes: 10_000, max_fragments: 100 };
const TOO_BIG: MessageError = MessageError::TooBig { max_message_bytes: 10_000 };

#[test]
fn a_bomb_of_64_kib_is_refused_when_its_output_passes_the_limit() {
    let bomb = deflated(&vec![b'x'; 64 << 20]);
    assert!(bomb.len() <= 66_000, "{}", bomb.len());
    let limits = Limits::default();
    let too_big = MessageError::TooBig { max_message_bytes: limits.max_message_bytes };
    for first in [0xc1, 0xc2] {
        for parameters in [stateless(), kept(15)] {
            let mut connection = server(parameters, limits);
            let wire = frame(first, &bomb);
            let (told, _) = feed(&mut connection, &wire[..200], 100);
            assert_eq!(told, [Told::Error(too_big.into())], "200 bytes make 100 KB");
            assert_eq!(connection.heap_bytes(), 0);
        }
    }
}

#[test]
fn a_bomb_within_its_limit_comes_out() {
    let limits = Limits { max_message_bytes: 64 << 20, max_fragments: 1 };
    let bytes = vec![b'x'; 64 << 20];
    let mut connection = server(stateless(), limits);
    let (told, _) = feed(&mut connection, &frame(0xc2, &deflated(&bytes)), usize::MAX);
    assert!(told == [Told::Binary(bytes)]);
}

#[test]
fn the_limit_is_that_of_the_output_to_the_byte() {
    for length in [9_999, 10_000] {
        let bytes = vec![7; length];
        check_told(LIMITS, &frame(0xc2, &deflated(&bytes)), &[Told::Binary(bytes)]);
    }
    check_refused(LIMITS, &frame(0xc2, &deflated(&[7; 10_001])), TOO_BIG);
    let payload = deflated(&[b'x'; 10_001]);
    let (first, second) = payload.split_at(10);
    check_refused(LIMITS, &[frame(0x41, first), frame(0x80, second)].concat(), TOO_BIG);
}

#[test]
fn what_does_not_shrink_may_be_a_little_longer() {
    let noise: Vec<u8> = (0..10_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let stored_block = |bytes: &[u8]| {
        let length = bytes.len() as u16;
        [&[0][..], &length.to_le_bytes(), &(!length).to_le_bytes(), bytes].concat()
    };
    let mut stored: Vec<u8> = noise.chunks(25).flat_map(stored_block).collect();
    stored.push(0);
    check_told(LIMITS, &frame(0xc2, &stored), &[Told::Binary(noise.clone())]);
    let claim = frame(0xc2, &[0; 13_525]);
    check_refused(LIMITS, &claim[..8], TOO_BIG);
    let (begun, more) = (frame(0x42, &deflated(&[1; 50])), frame(0x80, &[0; 13_520]));
    check_refused(LIMITS, &[&begun, &more[..8]].concat(), TOO_BIG);
}

#[test]
fn without_takeover_nothing_is_kept_between_messages() {
    let mut connection = server(stateless(), LIMITS);
    let message = frame(0xc1, &deflated(&[b'x'; 5000]));
    for _ in 0..3 {
        assert_eq!(feed(&mut connection, &message[..message.len() - 1], 100).0, []);
        assert!((48_000..60_000).contains(&connection.heap_bytes()), "{}", connection.heap_bytes());
        assert_eq!(feed(&mut connection, &message[message.len() - 1..], 100).0.len(), 1);
        assert_eq!(connection.heap_bytes(), 0);
    }
    let mut output = Vec::new();
    connection.send_text(&"y".repeat(5000), &mut output).unwrap();
    connection.send_fragment(Message::Text("a"), Fragment::More, &mut output).unwrap();
    assert!(connection.heap_bytes() > 0, "a compressed message has begun");
    connection.send_fragment(Message::Text("b"), Fragment::Last, &mut output).unwrap();
    assert_eq!(connection.heap_bytes(), 0);
}

#[test]
fn with_takeover_the_contexts_are_counted() {
    let costs = |window_bits| {
        let mut connection = server(kept(window_bits), LIMITS);
        assert_eq!(connection.heap_bytes(), 0, "before the first message");
        feed(&mut connection, &frame(0xc1, &HELLO), 100);
        feed(&mut connection, &frame(0x8a, b""), 100);
        let reading = connection.heap_bytes();
        connection.send_text("x", &mut Vec::new()).unwrap();
        (reading, connection.heap_bytes() - reading, connection)
    };
    let (reading, writing, mut connection) = costs(12);
    if cfg!(feature = "zlib-c") {
        assert!((11_000..12_500).contains(&reading), "{reading}");
        assert!((30_000..32_000).contains(&writing), "{writing}");
        assert!(costs(9).0 < 8500 && costs(9).1 < 17_000);
    } else {
        assert!((48_000..50_000).contains(&reading), "{reading}");
        assert!((150_000..170_000).contains(&writing), "{writing}");
    }
    connection.close(1000.into(), "", &mut Vec::new());
    assert_eq!(connection.heap_bytes(), reading, "nothing is sent any more");
    connection.handle_eof();
    assert_eq!(connection.heap_bytes(), 0);
}

#[test]
fn a_connection_with_compression_is_small() {
    assert!(size_of::<Connection>() <= 72);
    assert_eq!(client(kept(15), LIMITS).heap_bytes(), 0);
}
