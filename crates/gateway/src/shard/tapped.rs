//! One connection that is tapped: its bytes as they were read and written become events in its ring.
//!
//! A WebSocket is read by the tap of `tidegate-inspect`, begun where a message begins; of a stream over HTTP each
//! event that was sent is a message. What there is no time for is counted and passed over.

use std::sync::Arc;

use tidegate_hub::Form;
use tidegate_inspect::event::{Body, Close, Direction, End, Event, Message};
use tidegate_inspect::payload::Payload;
use tidegate_inspect::tap::Settings;
use tidegate_inspect::{Tap, Timestamp};
use tidegate_websocket::Extensions;

use super::ring::{Ring, Room, Who, cost};
use super::wheel::Tick;
use crate::settings::WatchLevel;

/// Bytes that are decompressed of one message: it must not hold up a shard.
const INFLATED_MAX_BYTES: usize = 256 * 1024;

/// Bytes of a payload that are kept whole.
const PAYLOAD_MAX_BYTES: usize = 1024 * 1024;

/// Bytes that are handed to a tap before the budget is looked at again.
const PORTION_BYTES: usize = 1024;

/// Events that a shard makes in a tick.
const EVENTS_A_TICK: u32 = 1000;

/// Bytes that a shard looks at in a tick, before and after decompression.
const BYTES_A_TICK: usize = 1024 * 1024;

/// What a shard may still spend on taps in this tick.
#[derive(Debug, Default)]
pub(super) struct Budget {
    at: Tick,
    events: u32,
    bytes: usize,
}

/// See the module's head.
#[derive(Debug)]
pub(super) struct Tapped {
    pub(super) who: Arc<Who>,
    pub(super) ring: Ring,
    pub(super) level: WatchLevel,
    pub(super) has_ended: bool,
    wire: Wire,
    /// Bytes of a piece that was partly written when the tap began.
    unseen: usize,
    /// What the client says is looked at from its next message on.
    awaits_message: bool,
}

/// What goes over the wire.
#[derive(Debug)]
enum Wire {
    WebSocket {
        tap: Box<Tap>,
        skipped: u64,
    },
    /// `delimiter` ends each event; an answer to a long poll is one.
    Stream {
        delimiter: &'static [u8],
        begun: Vec<u8>,
        length: usize,
    },
}

/// How a connection stands when its tap begins.
#[derive(Debug, Clone, Copy)]
pub(super) struct Standing {
    pub(super) form: Form,
    pub(super) extensions: Extensions,
    pub(super) opened: Timestamp,
    /// Bytes of a piece that is partly written.
    pub(super) begun_bytes: usize,
    /// Nothing has gone over it yet.
    pub(super) is_new: bool,
}

impl Budget {
    /// Whether anything is left at this time.
    fn is_left(&mut self, now: Tick) -> bool {
        if self.at != now {
            *self = Self { at: now, events: EVENTS_A_TICK, bytes: BYTES_A_TICK };
        }
        self.events > 0 && self.bytes > 0
    }

    fn spend(&mut self, events: u32, bytes: usize) {
        self.events = self.events.saturating_sub(events);
        self.bytes = self.bytes.saturating_sub(bytes);
    }
}

impl Tapped {
    pub(super) fn begin(who: Arc<Who>, level: WatchLevel, standing: Standing, room: Room) -> Self {
        let wire = match standing.form {
            Form::Bare | Form::Envelope => {
                let settings = Settings {
                    payload_max_bytes: kept_bytes(level, room),
                    inflated_max_bytes: INFLATED_MAX_BYTES,
                    ..Settings::default()
                };
                let begin = if standing.is_new { Tap::of_open } else { Tap::of_running };
                let conn = Some(Arc::clone(&who.name));
                let tap = begin(conn, settings, standing.extensions, standing.opened);
                Wire::WebSocket { tap: Box::new(tap), skipped: 0 }
            }
            Form::EventStream => Wire::of_stream(b"\n\n"),
            Form::Lines => Wire::of_stream(b"\n"),
            Form::LongPoll => Wire::of_stream(b""),
        };
        Self {
            who,
            ring: Ring::default(),
            level,
            has_ended: false,
            wire,
            unseen: standing.begun_bytes,
            awaits_message: !standing.is_new,
        }
    }

    /// Sees more or less from now on.
    pub(super) fn set_level(&mut self, level: WatchLevel, room: Room) {
        self.level = level;
        if let Wire::WebSocket { tap, .. } = &mut self.wire {
            tap.set_payload_max_bytes(kept_bytes(level, room));
        }
    }

    pub(super) fn tell(&mut self, ts: Timestamp, body: Body, room: Room) {
        let conn = Some(Arc::clone(&self.who.name));
        self.ring.push(&self.who, Event { ts, conn, body }, room);
    }

    /// Takes bytes that came. `is_between` says that the first of them begins a message.
    pub(super) fn came(
        &mut self,
        bytes: &[u8],
        is_between: bool,
        now: Tick,
        budget: &mut Budget,
        room: Room,
    ) {
        self.awaits_message &= !is_between;
        if !self.awaits_message {
            self.hand_in(Direction::ToServer, bytes, now, budget, room);
        }
    }

    /// Takes bytes that were written.
    pub(super) fn went(&mut self, bytes: &[u8], now: Tick, budget: &mut Budget, room: Room) {
        let unseen = self.unseen.min(bytes.len());
        self.unseen -= unseen;
        let bytes = &bytes[unseen..];
        match self.wire {
            Wire::WebSocket { .. } => self.hand_in(Direction::ToClient, bytes, now, budget, room),
            Wire::Stream { .. } => self.take_stream(bytes, now, budget, room),
        }
    }

    fn hand_in(&mut self, dir: Direction, bytes: &[u8], now: Tick, budget: &mut Budget, room: Room) {
        let at = Timestamp::from(std::time::SystemTime::now());
        let Self { wire: Wire::WebSocket { tap, skipped }, ring, who, .. } = self else { return };
        for portion in bytes.chunks(PORTION_BYTES) {
            tap.set_skipping(!budget.is_left(now));
            budget.spend(0, portion.len());
            tap.handle_input(dir, portion, at, &mut |event| {
                budget.spend(1, cost(&event));
                ring.push(who, event, room);
            });
            let passed_over = tap.skipped() - *skipped;
            *skipped += passed_over;
            ring.pass_over(passed_over);
        }
    }

    /// Takes what is sent of a stream, which is whole events but for the first and the last.
    fn take_stream(&mut self, mut bytes: &[u8], now: Tick, budget: &mut Budget, room: Room) {
        let most = kept_bytes(self.level, room);
        while !bytes.is_empty() {
            let Wire::Stream { delimiter, begun, length } = &mut self.wire else { return };
            let end = if delimiter.is_empty() { None } else { find(bytes, delimiter) };
            let (piece, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
            bytes = rest;
            *length += piece.len();
            begun.extend_from_slice(&piece[..piece.len().min(most.saturating_sub(begun.len()))]);
            if end.is_some() {
                self.end_message(now, budget, room);
            }
        }
    }

    /// What is begun is a whole message.
    fn end_message(&mut self, now: Tick, budget: &mut Budget, room: Room) {
        let Wire::Stream { begun, length, .. } = &mut self.wire else { return };
        let (bytes, length) = (std::mem::take(begun), std::mem::take(length));
        if length == 0 {
            return;
        }
        if !budget.is_left(now) {
            return self.ring.pass_over(1);
        }
        budget.spend(1, length);
        let payload = Payload { truncated: bytes.len() < length, bytes };
        let mut message = Message::new(Direction::ToClient, "text", payload);
        (message.len, message.wire) = (length as u64, Some(length as u64));
        self.tell(std::time::SystemTime::now().into(), Body::Message(Box::new(message)), room);
    }

    /// Says that the connection has ended, and how.
    pub(super) fn end(&mut self, close: Close, now: Tick, budget: &mut Budget, room: Room) {
        if std::mem::replace(&mut self.has_ended, true) {
            return;
        }
        self.end_message(now, budget, room);
        let at = Timestamp::from(std::time::SystemTime::now());
        let Self { wire, ring, who, .. } = self;
        if let Wire::WebSocket { tap, .. } = wire {
            // What was unfinished, and sums; how it ended is known better here.
            for dir in [Direction::ToServer, Direction::ToClient] {
                tap.handle_end(dir, End::EndOfStream, at, &mut |event| {
                    if !matches!(event.body, Body::Close(_)) {
                        ring.push(who, event, room);
                    }
                });
            }
        }
        self.tell(at, Body::Close(Box::new(close)), room);
    }
}

impl Wire {
    fn of_stream(delimiter: &'static [u8]) -> Self {
        Self::Stream { delimiter, begun: Vec::new(), length: 0 }
    }
}

/// Payload bytes of one message that are kept at a level.
fn kept_bytes(level: WatchLevel, room: Room) -> usize {
    match level {
        WatchLevel::Payload => PAYLOAD_MAX_BYTES.min(room.bytes / 4),
        WatchLevel::Off | WatchLevel::Meta | WatchLevel::Frames => 0,
    }
}

/// The place behind the first delimiter.
fn find(bytes: &[u8], delimiter: &[u8]) -> Option<usize> {
    let at = bytes.windows(delimiter.len()).position(|window| window == delimiter)?;
    Some(at + delimiter.len())
}
