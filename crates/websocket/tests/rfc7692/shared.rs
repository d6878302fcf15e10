//! What is compressed once for many: [`Compressor`] and the deflated form of [`PreparedMessage`].

use tidegate_websocket::PreparedMessage;
use tidegate_websocket::deflate::{Compressor, Effort, Parameters};
use tidegate_websocket::opcode::Opcode;

#[test]
fn a_deflated_message_sets_rsv1_and_is_shorter() {
    let mut compressor = Compressor::new(Effort::default());
    let text = "a line of text that repeats itself, ".repeat(30);
    let plain = PreparedMessage::text(&text);
    let deflated = plain.deflated(&mut compressor).unwrap();
    assert_eq!((plain.bytes()[0], deflated.bytes()[0]), (0x81, 0xc1));
    assert!(deflated.bytes().len() < plain.bytes().len() / 4);
    assert_eq!(plain.deflated(&mut compressor), Some(deflated));
}

#[test]
fn what_would_not_shrink_stays_as_it_is() {
    let mut compressor = Compressor::new(Effort { level: 1, min_bytes: 100 });
    assert_eq!(PreparedMessage::text(&"x".repeat(99)).deflated(&mut compressor), None);
    assert!(PreparedMessage::text(&"x".repeat(100)).deflated(&mut compressor).is_some());
    let noise: Vec<u8> = (0..1000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    assert_eq!(PreparedMessage::binary(&noise[..200]).deflated(&mut compressor), None);
    let mut eager = Compressor::new(Effort { level: 1, min_bytes: 0 });
    assert_eq!(PreparedMessage::new(Opcode::Ping, &[b'x'; 100]).deflated(&mut eager), None);
    assert_eq!(PreparedMessage::text("").deflated(&mut eager), None);
}

#[test]
fn a_smaller_window_reads_what_is_no_longer_than_itself() {
    let parameters = Parameters { server_no_context_takeover: true, ..Parameters::default() };
    assert!(parameters.can_read_shared(1 << 20));
    let small = Parameters { server_max_window_bits: 9, ..parameters };
    assert!(small.can_read_shared(512) && !small.can_read_shared(513));
    assert!(!Parameters::default().can_read_shared(1));
}
