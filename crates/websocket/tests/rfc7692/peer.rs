//! The other end, as bytes, and connections that agreed on permessage-deflate.

use tidegate_websocket::deflate::{Compressor, Effort, Parameters};
use tidegate_websocket::{Connection, Extensions, Input, Limits, MaskKeys, ProtocolError, Role};

pub(crate) use crate::told::{Told, text};

/// "Hello" as in section 7.2.3.1.
pub(crate) const HELLO: [u8; 7] = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];

/// Everything is compressed.
pub(crate) const EAGER: Effort = Effort { level: 6, min_bytes: 0 };

/// No context on either side.
pub(crate) fn stateless() -> Parameters {
    Parameters { server_no_context_takeover: true, client_no_context_takeover: true, ..Parameters::default() }
}

/// Contexts on both sides, with this window.
pub(crate) fn kept(window_bits: u8) -> Parameters {
    Parameters {
        server_max_window_bits: window_bits,
        client_max_window_bits: window_bits,
        ..Parameters::default()
    }
}

pub(crate) fn server(parameters: Parameters, limits: Limits) -> Connection {
    let extensions = Extensions { deflate: Some(parameters) };
    Connection::with_extensions(Role::Server, limits, extensions, EAGER)
}

pub(crate) fn client(parameters: Parameters, limits: Limits) -> Connection {
    let extensions = Extensions { deflate: Some(parameters) };
    let role = Role::Client(MaskKeys::from_seed([9; 16]));
    Connection::with_extensions(role, limits, extensions, EAGER)
}

/// A client's frame with this first byte. The key is zero, so that the payload stands as it is.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let length = payload.len();
    let mut frame = match length {
        0..=125 => vec![first, 0x80 | length as u8],
        126..=0xffff => [&[first, 0x80 | 126][..], &(length as u16).to_be_bytes()].concat(),
        _ => [&[first, 0x80 | 127][..], &(length as u64).to_be_bytes()].concat(),
    };
    frame.extend_from_slice(&[0; 4]);
    frame.extend_from_slice(payload);
    frame
}

/// A message that was compressed by itself.
pub(crate) fn deflated(payload: &[u8]) -> Vec<u8> {
    let mut output = Vec::new();
    Compressor::new(EAGER).compress(payload, &mut output);
    output
}

/// Hands the bytes in, in pieces of this length: the events and what was answered.
pub(crate) fn feed(connection: &mut Connection, wire: &[u8], piece: usize) -> (Vec<Told>, Vec<u8>) {
    let (mut told, mut output) = (Vec::new(), Vec::new());
    for piece in wire.chunks(piece.max(1)) {
        let mut bytes = piece.to_vec();
        let mut input = Input::new(&mut bytes);
        while let Some(event) = connection.handle_input(&mut input, &mut output) {
            told.push(event.into());
        }
        assert!(input.is_empty());
    }
    (told, output)
}

/// A server is told this, with and without takeover, however the wire is cut.
pub(crate) fn check_told(limits: Limits, wire: &[u8], expected: &[Told]) {
    for parameters in [stateless(), kept(15)] {
        for piece in [wire.len(), 100, 1] {
            let (told, _) = feed(&mut server(parameters, limits), wire, piece);
            assert!(told == expected, "{parameters:?} {piece}: {:.300}", format!("{told:?}"));
        }
    }
}

/// A server refuses the wire at its end, with this error, however it is cut, and keeps nothing.
pub(crate) fn check_refused(limits: Limits, wire: &[u8], expected: impl Into<ProtocolError>) {
    let expected = expected.into();
    for parameters in [stateless(), kept(15)] {
        for piece in [wire.len(), 100, 1] {
            let mut connection = server(parameters, limits);
            let (told, output) = feed(&mut connection, wire, piece);
            assert_eq!(told.last(), Some(&Told::Error(expected)), "{parameters:?} {piece}");
            let code = expected.code().get().to_be_bytes();
            let body = [&code[..], expected.reason().as_bytes()].concat();
            assert!(output.ends_with(&[&[0x88, body.len() as u8][..], &body].concat()));
            assert!(connection.is_closed() && connection.heap_bytes() == 0);
        }
    }
}
