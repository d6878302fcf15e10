//! From events to pcapng: each connection as TCP on port 80, handshake first, a packet for each frame.
//!
//! Wireshark's dissectors of HTTP and WebSocket read it. What was cut off a payload is missing from its packet, as in
//! any capture with a limit.

use std::sync::Arc;

use tidegate_websocket::Opcode;
use tidegate_websocket::frame::write_frame;

use super::packet::{ACK, Endpoint, FIN, PAYLOAD_MAX_BYTES, PSH, RST, SYN, Segment, packet};
use super::synthetic_head::{self, is_of_the_wire};
use crate::event::{Body, Direction, End, Event, Frame, Handshake, Message};
use crate::head::http1_bytes;
use crate::timestamp::Timestamp;

/// Types of blocks (draft-ietf-opsawg-pcapng).
const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const ENHANCED_PACKET: u32 = 6;
/// Says which way round numbers are written.
const BYTE_ORDER: u32 = 0x1a2b_3c4d;
/// Packets begin with the header of IP.
const LINK_RAW: u16 = 101;
/// Options.
const COMMENT: u16 = 1;
const APPLICATION: u16 = 4;
/// The first of the ports that no service has.
const FIRST_PORT: u16 = 49_152;
const PORTS: usize = 16_384;
const HTTP_PORT: u16 = 80;

/// Connections that are known at a time; of more the oldest is forgotten, and begins anew if it goes on.
const CONNECTIONS_MAX: usize = 10_000;

/// The key of a client's frames whose own key was not seen.
const NO_KEY: [u8; 4] = [0; 4];

#[derive(Debug, Default)]
pub(super) struct PcapngWriter {
    has_begun: bool,
    connections: Vec<Connection>,
    /// Connections so far.
    count: usize,
}

#[derive(Debug)]
struct Connection {
    conn: Option<Arc<str>>,
    client: Endpoint,
    server: Endpoint,
    /// The next sequence number of client and server.
    next: [u32; 2],
    /// Heads that were written: request, answer.
    heads: [bool; 2],
}

impl PcapngWriter {
    pub(super) fn handle_event(&mut self, event: &Event, output: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.has_begun, true) {
            begin(output);
        }
        let is_of_connection =
            matches!(event.body, Body::Handshake(_) | Body::Frame(_) | Body::Message(_) | Body::Close(_));
        if !is_of_connection {
            return;
        }
        let index = self.connection(event, output);
        let connection = &mut self.connections[index];
        match &event.body {
            Body::Handshake(head) => connection.head(head, event.ts, output),
            Body::Frame(frame) => connection.frame(frame, event.ts, output),
            Body::Message(message) => connection.message(message, event.ts, output),
            Body::Close(close) => {
                connection.end(close.by.unwrap_or(Direction::ToClient), close.end, event.ts, output);
                self.connections.remove(index);
            }
            _ => {}
        }
    }

    /// An empty recording has a head, too.
    pub(super) fn handle_end(&mut self, output: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.has_begun, true) {
            begin(output);
        }
    }

    fn connection(&mut self, event: &Event, output: &mut Vec<u8>) -> usize {
        if let Some(index) = self.connections.iter().rposition(|connection| connection.conn == event.conn) {
            return index;
        }
        if self.connections.len() == CONNECTIONS_MAX {
            self.connections.remove(0);
        }
        let connection = Connection::new(event.conn.clone(), self.count);
        self.count += 1;
        connection.synchronise(event.ts, output);
        self.connections.push(connection);
        self.connections.len() - 1
    }
}

impl Connection {
    /// TEST-NET-1 (RFC 5737), a port of its own for each connection.
    fn new(conn: Option<Arc<str>>, number: usize) -> Self {
        let port = FIRST_PORT + u16::try_from(number % PORTS).unwrap_or_default();
        let client = Endpoint { address: [192, 0, 2, 1 + (number / PORTS % 200) as u8], port };
        let server = Endpoint { address: [192, 0, 2, 254], port: HTTP_PORT };
        Self { conn, client, server, next: [1, 1], heads: [false, false] }
    }

    fn synchronise(&self, ts: Timestamp, output: &mut Vec<u8>) {
        let (client, server) = (self.client, self.server);
        let segment = |from, to, sequence, acknowledged, flags| Segment {
            from,
            to,
            sequence,
            acknowledged,
            flags,
            length: 0,
        };
        for segment in [
            segment(client, server, 0, 0, SYN),
            segment(server, client, 0, 1, SYN | ACK),
            segment(client, server, 1, 1, ACK),
        ] {
            append_packet(&packet(&segment, &[]), &segment, ts, None, output);
        }
    }

    fn head(&mut self, head: &Handshake, ts: Timestamp, output: &mut Vec<u8>) {
        let (bytes, comment) = match is_of_the_wire(head, head.dir) {
            true => (http1_bytes(head), None),
            false => {
                let bytes = match head.dir {
                    Direction::ToServer => synthetic_head::request(Some(head)),
                    Direction::ToClient => synthetic_head::answer(Some(head)),
                };
                (bytes, Some("over HTTP/2 on the wire; this is the upgrade that it stands for"))
            }
        };
        self.heads[index(head.dir)] = true;
        self.send(head.dir, &bytes, bytes.len(), ts, comment, output);
        if let Some(body) = &head.body {
            self.send(head.dir, &body.bytes, body.bytes.len(), ts, None, output);
        }
    }

    /// Without a handshake in front of them nobody knows what frames are.
    fn ensure_heads(&mut self, ts: Timestamp, output: &mut Vec<u8>) {
        let comment = Some("not seen by the recorder; made up so that frames can be read");
        for dir in [Direction::ToServer, Direction::ToClient] {
            if !std::mem::replace(&mut self.heads[index(dir)], true) {
                let bytes = match dir {
                    Direction::ToServer => synthetic_head::request(None),
                    Direction::ToClient => synthetic_head::answer(None),
                };
                self.send(dir, &bytes, bytes.len(), ts, comment, output);
            }
        }
    }

    fn frame(&mut self, frame: &Frame, ts: Timestamp, output: &mut Vec<u8>) {
        self.ensure_heads(ts, output);
        let bytes = frame.wire_bytes();
        let length = usize::try_from(frame.wire).unwrap_or(usize::MAX);
        let comment =
            frame.violations.first().map(|violation| format!("{} ({})", violation.text, violation.section));
        self.send(frame.dir, &bytes, length, ts, comment.as_deref(), output);
    }

    /// A message whose frames were not seen.
    fn message(&mut self, message: &Message, ts: Timestamp, output: &mut Vec<u8>) {
        let opcode = match message.op.as_str() {
            "text" => Opcode::Text,
            "ping" => Opcode::Ping,
            "pong" => Opcode::Pong,
            _ => Opcode::Binary,
        };
        if message.fragments.is_some() {
            // Its frames are there already.
            return;
        }
        self.ensure_heads(ts, output);
        let key = (message.dir == Direction::ToServer).then_some(NO_KEY);
        let mut bytes = Vec::new();
        write_frame(true, opcode, key, &message.payload.bytes, &mut bytes);
        self.send(
            message.dir,
            &bytes,
            bytes.len(),
            ts,
            Some("made of a message; its frames were not seen"),
            output,
        );
    }

    fn end(&mut self, by: Direction, how: Option<End>, ts: Timestamp, output: &mut Vec<u8>) {
        if how == Some(End::Reset) {
            return self.flag(by, RST | ACK, ts, output);
        }
        for dir in [by, by.opposite()] {
            self.flag(dir, FIN | ACK, ts, output);
            self.next[index(dir)] = self.next[index(dir)].wrapping_add(1);
        }
        self.flag(by, ACK, ts, output);
    }

    fn flag(&self, dir: Direction, flags: u8, ts: Timestamp, output: &mut Vec<u8>) {
        let segment = self.segment(dir, flags, 0);
        append_packet(&packet(&segment, &[]), &segment, ts, None, output);
    }

    /// Sends `length` bytes, of which these were kept.
    fn send(
        &mut self,
        dir: Direction,
        kept: &[u8],
        length: usize,
        ts: Timestamp,
        comment: Option<&str>,
        output: &mut Vec<u8>,
    ) {
        let mut comment = comment;
        let mut pieces = kept.chunks(PAYLOAD_MAX_BYTES);
        let mut left = length;
        loop {
            let piece = pieces.next().unwrap_or_default();
            let claimed = left.min(PAYLOAD_MAX_BYTES);
            let segment = self.segment(dir, PSH | ACK, claimed);
            append_packet(&packet(&segment, piece), &segment, ts, comment.take(), output);
            self.next[index(dir)] = self.next[index(dir)].wrapping_add(claimed as u32);
            left -= claimed;
            // What was not kept at all is one packet that says so, and a gap.
            if left == 0 || piece.len() < claimed {
                self.next[index(dir)] = self.next[index(dir)].wrapping_add(left as u32);
                return;
            }
        }
    }

    fn segment(&self, dir: Direction, flags: u8, length: usize) -> Segment {
        let (from, to) = match dir {
            Direction::ToServer => (self.client, self.server),
            Direction::ToClient => (self.server, self.client),
        };
        let (sequence, acknowledged) = (self.next[index(dir)], self.next[index(dir.opposite())]);
        Segment { from, to, sequence, acknowledged, flags, length }
    }
}

const fn index(dir: Direction) -> usize {
    match dir {
        Direction::ToServer => 0,
        Direction::ToClient => 1,
    }
}

/// The section, and the one interface that all packets are of.
fn begin(output: &mut Vec<u8>) {
    let mut section = BYTE_ORDER.to_le_bytes().to_vec();
    section.extend([1, 0, 0, 0]);
    // The section's length is not known.
    section.extend(u64::MAX.to_le_bytes());
    option(APPLICATION, concat!("tidegate ", env!("CARGO_PKG_VERSION")), &mut section);
    section.extend([0; 4]);
    append_block(SECTION_HEADER, &section, output);
    // No limit of bytes; times in microseconds, which needs no option.
    let interface = [&LINK_RAW.to_le_bytes()[..], &[0, 0], &[0; 4]].concat();
    append_block(INTERFACE, &interface, output);
}

fn append_packet(
    packet: &[u8],
    segment: &Segment,
    ts: Timestamp,
    comment: Option<&str>,
    output: &mut Vec<u8>,
) {
    let claimed = super::packet::HEADERS_BYTES + segment.length;
    let time = ts.as_micros();
    let mut body = Vec::with_capacity(packet.len() + 32);
    body.extend([0; 4]);
    body.extend(((time >> 32) as u32).to_le_bytes());
    body.extend((time as u32).to_le_bytes());
    body.extend((packet.len() as u32).to_le_bytes());
    body.extend((claimed as u32).to_le_bytes());
    body.extend_from_slice(packet);
    body.resize(body.len().next_multiple_of(4), 0);
    if let Some(comment) = comment {
        option(COMMENT, comment, &mut body);
        body.extend([0; 4]);
    }
    append_block(ENHANCED_PACKET, &body, output);
}

/// An option's text, cut so that its length fits.
fn option(code: u16, text: &str, body: &mut Vec<u8>) {
    let text = &text.as_bytes()[..text.len().min(1024)];
    body.extend(code.to_le_bytes());
    body.extend((text.len() as u16).to_le_bytes());
    body.extend_from_slice(text);
    body.resize(body.len().next_multiple_of(4), 0);
}

/// A block, whose length stands at both ends.
fn append_block(kind: u32, body: &[u8], output: &mut Vec<u8>) {
    let length = (body.len() as u32 + 12).to_le_bytes();
    output.extend(kind.to_le_bytes());
    output.extend(length);
    output.extend_from_slice(body);
    output.extend(length);
}
