//! Heads of HTTP/1.1 for connections that had none of it on the wire, so that a dissector knows what follows.
//!
//! A handshake over HTTP/2 becomes the upgrade that it stands for; where no handshake was seen one is made up.

use tidegate_websocket::handshake::accept_key;

use crate::event::{Direction, Handshake};

/// A key for those who never sent one: that of RFC 6455, section 1.3.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// Fields that belong to the handshake of HTTP/1.1, or to HTTP/2 alone.
const OWN: [&str; 6] =
    ["host", "upgrade", "connection", "sec-websocket-key", "sec-websocket-accept", "sec-websocket-version"];

/// The request that a request over HTTP/2 stands for, or one for nothing known.
pub(super) fn request(head: Option<&Handshake>) -> Vec<u8> {
    let field = |name| head.and_then(|head| head.header(name));
    let (path, host) = (field(":path").unwrap_or("/"), field(":authority").unwrap_or("unknown.invalid"));
    let mut text = format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {KEY}\r\n\
         Sec-WebSocket-Version: 13\r\n"
    );
    text.push_str(&further(head));
    text.into_bytes()
}

/// The answer that belongs to it.
pub(super) fn answer(head: Option<&Handshake>) -> Vec<u8> {
    let start = match head.and_then(|head| head.status) {
        Some(status) if !(200..300).contains(&status) => {
            return format!("HTTP/1.1 {status} \r\n{}", further(head)).into();
        }
        _ => "HTTP/1.1 101 Switching Protocols",
    };
    let accept = accept_key(KEY);
    let upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\n";
    format!("{start}\r\n{upgrade}Sec-WebSocket-Accept: {accept}\r\n{}", further(head)).into_bytes()
}

/// Whether a head was on the wire as HTTP/1.1.
pub(super) fn is_of_the_wire(head: &Handshake, dir: Direction) -> bool {
    head.http != "2" && head.dir == dir
}

/// The other fields, and the end of the head.
fn further(head: Option<&Handshake>) -> String {
    let fields = head.map(|head| head.headers.as_slice()).unwrap_or_default();
    let kept = fields
        .iter()
        .filter(|(name, _)| !name.starts_with(':') && !OWN.iter().any(|own| own.eq_ignore_ascii_case(name)));
    let mut text: String = kept.map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    text.push_str("\r\n");
    text
}
