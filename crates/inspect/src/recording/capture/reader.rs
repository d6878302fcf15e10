//! The bytes of a capture in, events of its WebSockets out, in the order of the packets.
//!
//! Memory: a packet, what waits for packets that are late, and a tap for each WebSocket that is open.

use std::collections::BTreeMap;

use super::flow::{Carries, Flow};
use super::packet_file::{Packet, PacketFile};
use super::segment::{ACK, Content, Endpoint, SYN, Segment, content};
use crate::event::{Body, Event, Level, Note};
use crate::recording::fault::RecordingError;
use crate::tap::Settings;
use crate::timestamp::Timestamp;

/// TCP connections at a time; of more the one that was silent for longest is given up.
const FLOWS_MAX: usize = 10_000;

/// Bytes of all connections that wait for packets which are late.
const WAITING_MAX_BYTES: usize = 64 << 20;

/// The beginnings of files that are captures.
const MAGICS: [[u8; 4]; 5] = [
    [0x0a, 0x0d, 0x0d, 0x0a],
    [0xa1, 0xb2, 0xc3, 0xd4],
    [0xd4, 0xc3, 0xb2, 0xa1],
    [0xa1, 0xb2, 0x3c, 0x4d],
    [0x4d, 0x3c, 0xb2, 0xa1],
];

/// Reads a capture.
///
/// **Hand in all pieces of the file, then its end.** What came before a fault has been told; behind it the reader is not to
/// be used, but for [`CaptureReader::handle_end`], which tells what was unfinished.
#[derive(Debug)]
pub struct CaptureReader {
    file: PacketFile,
    flows: Flows,
}

#[derive(Debug)]
struct Flows {
    settings: Settings,
    /// By the two ends, the smaller one first.
    open: BTreeMap<(Endpoint, Endpoint), Flow>,
    waiting_bytes: usize,
    websockets: u64,
    seen: Seen,
    last: Timestamp,
}

/// What was in the capture and is not told otherwise.
#[derive(Debug, Default)]
struct Seen {
    packets: u64,
    fragments: u64,
    cut: u64,
    tls: u64,
    other: u64,
}

impl CaptureReader {
    /// True if a file that begins with these bytes, four at least, is a capture.
    #[must_use]
    pub fn reads(beginning: &[u8]) -> bool {
        MAGICS.iter().any(|magic| beginning.starts_with(magic))
    }

    /// A capture of which nothing was read. `settings` say what is kept and shown of payloads and heads.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let flows = Flows {
            settings,
            open: BTreeMap::new(),
            waiting_bytes: 0,
            websockets: 0,
            seen: Seen::default(),
            last: Timestamp::default(),
        };
        Self { file: PacketFile::default(), flows }
    }

    /// TCP connections that are followed now.
    #[cfg(test)]
    pub(super) fn followed(&self) -> usize {
        self.flows.open.len()
    }

    /// Takes the next bytes of the file.
    pub fn handle_input(&mut self, bytes: &[u8], tell: &mut dyn FnMut(Event)) -> Result<(), RecordingError> {
        let Self { file, flows } = self;
        file.handle_input(bytes, &mut |packet| flows.handle_packet(&packet, tell))
    }

    /// Says that the file ends, or that a fault ended it.
    pub fn handle_end(&mut self, tell: &mut dyn FnMut(Event)) -> Result<(), RecordingError> {
        self.flows.handle_end(tell);
        self.file.handle_end()
    }
}

impl Flows {
    fn handle_packet(&mut self, packet: &Packet<'_>, tell: &mut dyn FnMut(Event)) {
        self.seen.packets += 1;
        self.last = self.last.max(packet.at);
        match content(packet) {
            Content::Tcp(segment) => self.handle_segment(&segment, packet.at, tell),
            Content::Fragment => self.seen.fragments += 1,
            Content::Cut => self.seen.cut += 1,
            Content::Other => {}
        }
    }

    fn handle_segment(&mut self, segment: &Segment<'_>, at: Timestamp, tell: &mut dyn FnMut(Event)) {
        let key = (segment.from.min(segment.to), segment.from.max(segment.to));
        let begins = segment.flags & (SYN | ACK) == SYN;
        // The same ports again; what is only repeated begins an empty connection anew.
        let is_old = self.open.get(&key).is_some_and(|flow| begins || flow.has_ended());
        if is_old && (begins || segment.length > 0) {
            self.remove(key, "the ports were used again without an end in the capture", tell);
        }
        if !self.open.contains_key(&key) {
            // The last acknowledgement of a connection that has ended is none.
            if !begins && segment.length == 0 {
                return;
            }
            if self.open.len() >= FLOWS_MAX {
                self.remove_oldest(tell);
            }
            self.open.insert(key, Flow::new(segment, self.settings));
        }
        let Some(flow) = self.open.get_mut(&key) else { return };
        let before = flow.waiting_bytes();
        flow.handle_segment(segment, at, &mut self.websockets, tell);
        self.waiting_bytes = self.waiting_bytes + flow.waiting_bytes() - before;
        if self.waiting_bytes > WAITING_MAX_BYTES {
            self.waiting_bytes -= flow.waiting_bytes();
            flow.give_up(&mut self.websockets, tell);
        }
        if flow.has_ended() {
            self.remove(key, "", tell);
        }
    }

    fn remove_oldest(&mut self, tell: &mut dyn FnMut(Event)) {
        let oldest = self.open.iter().min_by_key(|(_, flow)| flow.last()).map(|(key, _)| *key);
        if let Some(key) = oldest {
            self.remove(key, "it is not followed any longer: 10,000 connections are", tell);
        }
    }

    fn remove(&mut self, key: (Endpoint, Endpoint), why: &str, tell: &mut dyn FnMut(Event)) {
        let Some(mut flow) = self.open.remove(&key) else { return };
        self.waiting_bytes -= flow.waiting_bytes();
        flow.handle_end(&mut self.websockets, why, tell);
        match flow.carries() {
            Carries::Tls => self.seen.tls += 1,
            Carries::Other => self.seen.other += 1,
            Carries::Nothing | Carries::WebSocket => {}
        }
    }

    fn handle_end(&mut self, tell: &mut dyn FnMut(Event)) {
        let mut keys: Vec<_> = self.open.iter().map(|(key, flow)| (flow.last(), *key)).collect();
        keys.sort_unstable();
        for (_, key) in keys {
            self.remove(key, "the capture ends here; the connection went on", tell);
        }
        for (level, text) in self.seen.told(self.websockets) {
            tell(Event { ts: self.last, conn: None, body: Body::Note(Box::new(Note::new(level, text))) });
        }
    }
}

impl Seen {
    /// What a person should know who misses something.
    fn told(&self, websockets: u64) -> Vec<(Level, String)> {
        let Self { packets, fragments, cut, tls, other } = *self;
        let mut told = Vec::new();
        if websockets == 0 {
            let text = format!(
                "no handshake of a WebSocket in {packets} packets, {other} TCP connections in plain text"
            );
            told.push((Level::Warning, text));
        }
        if tls > 0 {
            let text = format!("{tls} connections are encrypted (TLS); capture behind what ends it");
            told.push((Level::Info, text));
        }
        if fragments > 0 {
            told.push((Level::Warning, format!("{fragments} fragments of IP packets were passed over")));
        }
        if cut > 0 {
            told.push((Level::Warning, format!("of {cut} packets not even the header of TCP was captured")));
        }
        told
    }
}
