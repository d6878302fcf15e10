//! Compressed payloads: what is right, and what is small on the wire and large behind it. The compressor is the
//! protocol crate's; what is made of its output is not.

use tidegate_websocket::deflate::{Compressor, Effort};

use crate::gate::Gate;
use crate::socket::Socket;

/// The first byte of a compressed text frame: FIN, RSV1, opcode.
pub const DEFLATED_TEXT: u8 = 0xC1;

/// What a message leaves out at its end (RFC 7692, section 7.2.1). Within a message it is an empty block.
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];

/// The offer of browsers, as a header line.
pub const OFFER: &str = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n";

/// The payload of a compressed frame.
#[must_use]
pub fn deflated(payload: &[u8]) -> Vec<u8> {
    let mut output = Vec::new();
    Compressor::new(Effort { level: 9, min_bytes: 0 }).compress(payload, &mut output);
    output
}

/// A payload that inflates to so many MiB of `x`, a thousandth of it on the wire.
#[must_use]
pub fn bomb(mebibytes: usize) -> Vec<u8> {
    let one = deflated(&vec![b'x'; 1 << 20]);
    vec![one; mebibytes].join(&TAIL[..])
}

/// Opens `target` and agrees on compression.
///
/// # Panics
///
/// If the offer is declined.
#[must_use]
pub fn open(gate: &Gate, target: &str) -> Socket {
    let socket = Socket::open_with(gate.public, target, OFFER);
    assert!(agreed(&socket).contains("permessage-deflate"));
    socket
}

/// What the handshake's answer says of extensions.
#[must_use]
pub fn agreed(socket: &Socket) -> &str {
    socket.answer.header("sec-websocket-extensions").unwrap_or_default()
}

/// A gateway whose every path is a channel that anyone may publish to, compressed so.
#[must_use]
pub fn channels(compression: &str, limits: &str) -> Gate {
    let route = "[[route]]\npath = \"/{*rest}\"\nchannel = {}\npublish = \"anyone\"\n";
    Gate::start(limits, &format!("{route}compression = \"{compression}\"\n"))
}
