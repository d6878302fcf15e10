//! One TCP connection: its two streams, the handshake that is looked for in them, and the tap behind it.
//!
//! A WebSocket is found by its request, on whatever port and behind whatever else went over the connection before; by its
//! answer, if the request was not captured.

use std::sync::Arc;

use tidegate_websocket::handshake::head::HeadBuffer;

use super::reassembly::{Next, Reassembly};
use super::segment::{ACK, Endpoint, FIN, RST, Segment};
use crate::event::{Body, Direction, End, Event, Level, Note};
use crate::tap::{Settings, Tap};
use crate::timestamp::Timestamp;

/// How long bytes that the other end has taken may be late in the capture, in microseconds: packets of several queues of
/// a card are not quite in order.
const LATE_MICROS: u64 = 50_000;

/// How the heads begin that are looked for.
const BEGINNINGS: [(&[u8], Direction); 2] =
    [(b"GET ", Direction::ToServer), (b"HTTP/1.1 101", Direction::ToClient)];

/// The first bytes of TLS: a handshake record.
const TLS: [u8; 2] = [0x16, 0x03];

/// See the module's head.
#[derive(Debug)]
pub(super) struct Flow {
    /// Who sent the first packet, and the other one.
    ends: [Endpoint; 2],
    streams: [Reassembly; 2],
    inner: Inner,
    last: Timestamp,
    has_ended: bool,
}

/// What does not need the streams, so that they can hand in what they have.
#[derive(Debug)]
struct Inner {
    ends: [Endpoint; 2],
    settings: Settings,
    search: Option<Search>,
    /// The tap, and which end is the client.
    tap: Option<(Tap, usize)>,
    /// Its number among the WebSockets of the capture, once it has one.
    number: Option<u64>,
    carries: Carries,
    /// It has been told that packets were cut.
    is_cut_told: bool,
}

/// What was seen on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Carries {
    #[default]
    Nothing,
    Tls,
    Other,
    WebSocket,
}

/// A head that may be that of a handshake.
#[derive(Debug)]
struct Search {
    sender: usize,
    dir: Direction,
    head: HeadBuffer,
}

impl Flow {
    pub(super) fn new(segment: &Segment<'_>, settings: Settings) -> Self {
        let ends = [segment.from, segment.to];
        let inner = Inner {
            ends,
            settings,
            search: None,
            tap: None,
            number: None,
            carries: Carries::default(),
            is_cut_told: false,
        };
        Self { ends, streams: Default::default(), inner, last: Timestamp::default(), has_ended: false }
    }

    /// Takes a segment. `count` is how many WebSockets there were before, and counts on.
    pub(super) fn handle_segment(
        &mut self,
        segment: &Segment<'_>,
        at: Timestamp,
        count: &mut u64,
        tell: &mut dyn FnMut(Event),
    ) {
        self.last = self.last.max(at);
        let sender = usize::from(segment.from != self.ends[0]);
        let Self { streams, inner, .. } = self;
        let is_end = segment.flags & FIN != 0;
        streams[sender]
            .handle_segment(segment, is_end, at, &mut |next| inner.take(sender, &next, at, count, tell));
        let receiver = 1 - sender;
        let before = Timestamp::from_micros(at.as_micros().saturating_sub(LATE_MICROS));
        if segment.flags & ACK != 0 && streams[receiver].is_missing(segment.acknowledged, before) {
            streams[receiver].give_up(&mut |next| inner.take(receiver, &next, at, count, tell));
        }
        if segment.flags & RST != 0 {
            self.end(at, count, tell);
            self.inner.end(sender, End::Reset, at, tell);
            self.inner.end(receiver, End::Reset, at, tell);
            self.has_ended = true;
        }
        self.has_ended |= self.streams.iter().all(Reassembly::has_ended);
    }

    /// Says that no more of it was captured.
    pub(super) fn handle_end(&mut self, count: &mut u64, why: &str, tell: &mut dyn FnMut(Event)) {
        let at = self.last;
        self.end(at, count, tell);
        let is_open = !self.has_ended && !self.streams.iter().all(Reassembly::has_ended);
        if is_open && self.inner.tap.is_some() {
            self.inner.note(Level::Info, why.to_owned(), at, tell);
        }
    }

    /// Gives up what is missing.
    pub(super) fn give_up(&mut self, count: &mut u64, tell: &mut dyn FnMut(Event)) {
        self.end(self.last, count, tell);
    }

    /// Both ends are done with it.
    pub(super) fn has_ended(&self) -> bool {
        self.has_ended
    }

    pub(super) fn carries(&self) -> Carries {
        self.inner.carries
    }

    /// When its last packet was captured.
    pub(super) fn last(&self) -> Timestamp {
        self.last
    }

    pub(super) fn waiting_bytes(&self) -> usize {
        self.streams.iter().map(Reassembly::waiting_bytes).sum()
    }

    fn end(&mut self, at: Timestamp, count: &mut u64, tell: &mut dyn FnMut(Event)) {
        let Self { streams, inner, .. } = self;
        for (sender, stream) in streams.iter_mut().enumerate() {
            stream.handle_end(&mut |next| inner.take(sender, &next, at, count, tell));
        }
    }
}

impl Inner {
    fn take(
        &mut self,
        sender: usize,
        next: &Next<'_>,
        at: Timestamp,
        count: &mut u64,
        tell: &mut dyn FnMut(Event),
    ) {
        match next {
            Next::Bytes(bytes) => self.take_bytes(sender, bytes, at, count, tell),
            Next::Missing { at: offset, count } => self.miss(sender, *offset, *count, at, tell),
            Next::End => self.end(sender, End::EndOfStream, at, tell),
        }
    }

    fn take_bytes(
        &mut self,
        sender: usize,
        bytes: &[u8],
        at: Timestamp,
        count: &mut u64,
        tell: &mut dyn FnMut(Event),
    ) {
        if let Some((tap, client)) = self.tap.as_mut().filter(|(tap, _)| !tap.is_unseen()) {
            return tap.handle_input(way(sender, *client), bytes, at, tell);
        }
        if self.carries == Carries::Nothing {
            self.carries = if bytes.starts_with(&TLS) { Carries::Tls } else { Carries::Other };
        }
        if self.search.as_ref().is_none_or(|search| search.sender != sender) {
            let begins =
                |(words, _): &&(&[u8], Direction)| words.starts_with(bytes) || bytes.starts_with(words);
            if let Some((_, dir)) = BEGINNINGS.iter().find(begins) {
                self.search = Some(Search { sender, dir: *dir, head: HeadBuffer::default() });
            }
        }
        let Some(search) = self.search.as_mut().filter(|search| search.sender == sender) else {
            // The rest of an answer that is no.
            if let Some((tap, client)) = &mut self.tap {
                tap.handle_input(way(sender, *client), bytes, at, tell);
            }
            return;
        };
        let Ok(taken) = search.head.handle_input(bytes) else {
            self.search = None;
            return;
        };
        let Some(taken) = taken else { return };
        let Some(Search { dir, head, .. }) = self.search.take() else { return };
        if !asks_for_websocket(head.bytes()) {
            return;
        }
        let client = if dir == Direction::ToServer { sender } else { 1 - sender };
        self.open(client, at, count, tell);
        if let Some((tap, client)) = &mut self.tap {
            tap.handle_input(way(sender, *client), head.bytes(), at, tell);
            tap.handle_input(way(sender, *client), &bytes[taken..], at, tell);
        }
    }

    /// A handshake was found.
    fn open(&mut self, client: usize, at: Timestamp, count: &mut u64, tell: &mut dyn FnMut(Event)) {
        self.carries = Carries::WebSocket;
        let number = *self.number.get_or_insert_with(|| {
            *count += 1;
            *count
        });
        let conn: Arc<str> = format!("c{number}").into();
        self.tap = Some((Tap::new(Some(conn), None, self.settings), client));
        let shown = |(address, port): Endpoint| std::net::SocketAddr::from((address, port));
        let [from, to] = [client, 1 - client].map(|end| shown(self.ends[end]));
        self.note(Level::Info, format!("TCP from {from} to {to}"), at, tell);
    }

    fn miss(&mut self, sender: usize, offset: u64, missing: u64, at: Timestamp, tell: &mut dyn FnMut(Event)) {
        self.search = None;
        let Some((tap, client)) = self.tap.as_mut().filter(|(tap, _)| !tap.is_unseen()) else { return };
        let dir = way(sender, *client);
        let text = format!(
            "{missing} bytes at byte {offset} of what the {} sent are not in the capture",
            dir.sender()
        );
        tap.handle_missing(dir, missing, at, tell);
        if !std::mem::replace(&mut self.is_cut_told, true) {
            self.note(
                Level::Warning,
                format!("{text}; it lost packets, or kept only their first bytes"),
                at,
                tell,
            );
        } else {
            self.note(Level::Warning, text, at, tell);
        }
    }

    fn end(&mut self, sender: usize, how: End, at: Timestamp, tell: &mut dyn FnMut(Event)) {
        if let Some((tap, client)) = &mut self.tap {
            tap.handle_end(way(sender, *client), how, at, tell);
        }
    }

    fn note(&self, level: Level, text: String, ts: Timestamp, tell: &mut dyn FnMut(Event)) {
        let conn = self.number.map(|number| Arc::from(format!("c{number}").as_str()));
        tell(Event { ts, conn, body: Body::Note(Box::new(Note::new(level, text))) });
    }
}

const fn way(sender: usize, client: usize) -> Direction {
    if sender == client { Direction::ToServer } else { Direction::ToClient }
}

/// Whether a head has the field that every handshake over HTTP/1.1 has (RFC 6455, section 4.1).
fn asks_for_websocket(head: &[u8]) -> bool {
    let lines = head.split(|byte| *byte == b'\n');
    let mut upgrades = lines.filter_map(|line| {
        let (name, value) = line.split_at_checked(8)?;
        name.eq_ignore_ascii_case(b"upgrade:").then_some(value)
    });
    upgrades.any(|value| value.to_ascii_lowercase().windows(9).any(|word| word == b"websocket"))
}
