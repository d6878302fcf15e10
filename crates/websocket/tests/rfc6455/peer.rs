//! The other end, as bytes; and one connection that is driven with them.
//!
//! Frames are written here by hand, bit by bit, so that they can be wrong and owe nothing to the code that
//! is tested.

use tidegate_websocket::{Connection, Input, Limits, MaskKeys, ProtocolError, Role};

pub(crate) use crate::told::{Told, text};

pub(crate) fn server() -> Connection {
    Connection::new(Role::Server, Limits::default())
}

pub(crate) fn client() -> Connection {
    Connection::new(Role::Client(MaskKeys::from_seed([9; 16])), Limits::default())
}

/// Hands the bytes in as one input: the events and what was answered.
pub(crate) fn feed(connection: &mut Connection, wire: &[u8]) -> (Vec<Told>, Vec<u8>) {
    feed_pieces(connection, &[wire])
}

/// Hands the pieces in, one input each.
pub(crate) fn feed_pieces(connection: &mut Connection, pieces: &[&[u8]]) -> (Vec<Told>, Vec<u8>) {
    let (mut told, mut output) = (Vec::new(), Vec::new());
    for piece in pieces {
        let mut bytes = piece.to_vec();
        let mut input = Input::new(&mut bytes);
        while let Some(event) = connection.handle_input(&mut input, &mut output) {
            told.push(event.into());
        }
        assert!(input.is_empty());
    }
    (told, output)
}

/// A frame with this first byte, its length in the shortest form.
pub(crate) fn unmasked(first: u8, payload: &[u8]) -> Vec<u8> {
    [&header(first, 0, payload.len() as u64)[..], payload].concat()
}

/// The same as a client sends it, with the key of section 5.7.
pub(crate) fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
    let mut frame = header(first, 0x80, payload.len() as u64);
    frame.extend_from_slice(&KEY);
    frame.extend(payload.iter().zip(KEY.iter().cycle()).map(|(byte, key)| byte ^ key));
    frame
}

/// A header without masking key; `mask_bit` is 0 or 0x80.
pub(crate) fn header(first: u8, mask_bit: u8, length: u64) -> Vec<u8> {
    match length {
        0..=125 => vec![first, mask_bit | length as u8],
        126..=0xffff => [&[first, mask_bit | 126][..], &(length as u16).to_be_bytes()].concat(),
        _ => [&[first, mask_bit | 127][..], &length.to_be_bytes()].concat(),
    }
}

/// The Close frame that a server sends.
pub(crate) fn close_frame(code: u16, reason: &str) -> Vec<u8> {
    unmasked(0x88, &[&code.to_be_bytes()[..], reason.as_bytes()].concat())
}

/// The peer's bytes break a rule: a server says so with this code, closes with the same, and reads no more.
/// Whole or byte by byte.
pub(crate) fn check_refused(limits: Limits, wire: &[u8], expected: impl Into<ProtocolError>) {
    let expected = expected.into();
    let bytewise: Vec<&[u8]> = wire.chunks(1).collect();
    for pieces in [&[wire][..], &bytewise] {
        let mut connection = Connection::new(Role::Server, limits);
        let (told, output) = feed_pieces(&mut connection, pieces);
        assert_eq!(told.last(), Some(&Told::Error(expected)), "{wire:x?}");
        assert!(output.ends_with(&close_frame(expected.code().get(), expected.reason())), "{output:x?}");
        assert!(connection.is_closed() && connection.heap_bytes() == 0);
        assert_eq!(feed(&mut connection, &masked(0x81, b"late")), (vec![], vec![]));
        assert_eq!(connection.handle_eof(), None);
    }
}
