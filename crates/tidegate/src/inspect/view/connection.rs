//! One connection as it is held: what its row says, and the newest of its events.
//!
//! Heads and the end are kept beside the events, so that they can be shown when those have been let go.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::Arc;

use tidegate_inspect::event::{
    Body, Close, Counts, Direction, Dropped, Event, Frame, Handshake, Open, Stats,
};
use tidegate_inspect::filter::{Facts, Filter};
use tidegate_inspect::timestamp::Timestamp;

use super::feed::cost;

/// Events of one connection.
pub(super) const EVENTS_MAX: usize = 10_000;

/// Bytes of one connection's events.
pub(super) const BYTES_MAX: usize = 16 << 20;

/// How far a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Opening,
    Open,
    Refused,
    Closed,
}

/// An event of a connection.
#[derive(Debug)]
pub(super) struct Row {
    /// Which of its connection's, from 1.
    pub(super) number: u64,
    pub(super) event: Event,
    /// The filter shows it.
    pub(super) is_shown: bool,
    bytes: usize,
}

/// See the module's head.
#[derive(Debug)]
pub(super) struct Connection {
    /// Which of all, from 1.
    pub(super) key: u64,
    pub(super) conn: Option<Arc<str>>,
    pub(super) began: Timestamp,
    /// When something last happened.
    pub(super) last: Timestamp,
    /// Nothing of it comes any more.
    pub(super) is_over: bool,
    /// The heads and `open`, as events so that they can be exported.
    heads: Vec<Event>,
    pub(super) close: Option<Close>,
    pub(super) stats: Option<Stats>,
    /// To the server and to the client, as far as they were seen.
    pub(super) counts: [Counts; 2],
    pub(super) rows: VecDeque<Row>,
    pub(super) bytes: usize,
    /// Events that were held and are no more.
    pub(super) let_go: u64,
    /// Of the rows those that the filter shows.
    pub(super) shown: usize,
    /// Round trips of Pings: the last one in microseconds, and how many there were.
    pub(super) round_trips: (u64, u64),
    next_number: u64,
}

impl Connection {
    pub(super) fn new(key: u64, event: &Event) -> Self {
        Self {
            key,
            conn: event.conn.clone(),
            began: event.ts,
            last: event.ts,
            is_over: false,
            heads: Vec::new(),
            close: None,
            stats: None,
            counts: [Counts::default(); 2],
            rows: VecDeque::new(),
            bytes: 0,
            let_go: 0,
            shown: 0,
            round_trips: (0, 0),
            next_number: 1,
        }
    }

    /// Its name, which is a line where there is but one.
    pub(super) fn name(&self) -> &str {
        self.conn.as_deref().unwrap_or("-")
    }

    pub(super) fn state(&self) -> State {
        let status = self.answer().and_then(|answer| answer.status);
        if self.open().is_none() && status.is_some_and(|status| status >= 200 && self.close.is_some()) {
            State::Refused
        } else if self.is_over {
            State::Closed
        } else if self.open().is_some() || self.counts != [Counts::default(); 2] {
            State::Open
        } else {
            State::Opening
        }
    }

    /// The path that was asked for, or the URL where only that is known.
    pub(super) fn path(&self) -> &str {
        let target = self.request().and_then(Handshake::request).map(|(_, target)| target);
        target.or(self.open().map(|open| open.url.as_str())).unwrap_or("")
    }

    pub(super) fn request(&self) -> Option<&Handshake> {
        self.head(Direction::ToServer)
    }

    pub(super) fn answer(&self) -> Option<&Handshake> {
        self.head(Direction::ToClient)
    }

    pub(super) fn open(&self) -> Option<&Open> {
        self.heads.iter().find_map(|event| match &event.body {
            Body::Open(open) => Some(&**open),
            _ => None,
        })
    }

    fn head(&self, dir: Direction) -> Option<&Handshake> {
        self.heads.iter().find_map(|event| match &event.body {
            Body::Handshake(head) if head.dir == dir => Some(&**head),
            _ => None,
        })
    }

    /// Takes an event; gives the bytes that it takes.
    pub(super) fn take(&mut self, event: Event, filter: &Filter, now: Timestamp) -> usize {
        self.last = self.last.max(event.ts);
        self.note(&event);
        let is_shown = self.is_shown(&event, filter, now);
        let bytes = cost(&event);
        self.bytes += bytes;
        self.shown += usize::from(is_shown);
        self.rows.push_back(Row { number: self.next_number, event, is_shown, bytes });
        self.next_number += 1;
        bytes
    }

    /// Lets the oldest event go; gives the bytes that it took.
    pub(super) fn let_oldest_go(&mut self) -> Option<usize> {
        let row = self.rows.pop_front()?;
        self.bytes -= row.bytes;
        self.shown -= usize::from(row.is_shown);
        self.let_go += 1;
        Some(row.bytes)
    }

    pub(super) fn is_full(&self) -> bool {
        self.rows.len() > EVENTS_MAX || (self.bytes > BYTES_MAX && self.rows.len() > 1)
    }

    /// Finds out anew which events are shown.
    pub(super) fn apply(&mut self, filter: &Filter, now: Timestamp) {
        let mut rows = std::mem::take(&mut self.rows);
        for row in &mut rows {
            row.is_shown = self.is_shown(&row.event, filter, now);
        }
        self.shown = rows.iter().filter(|row| row.is_shown).count();
        self.rows = rows;
    }

    /// All that is held, in order; in place of what was let go the heads, and how much that was.
    pub(super) fn events(&self) -> Vec<Cow<'_, Event>> {
        let mut events = Vec::with_capacity(self.rows.len() + 4);
        if self.let_go > 0 {
            let first = self.rows.front().map_or(self.last, |row| row.event.ts);
            events.extend(self.heads.iter().filter(|event| event.ts < first).map(Cow::Borrowed));
            let reason = "the view held the newest only".to_owned();
            let dropped = Dropped { what: "events".to_owned(), count: self.let_go, reason };
            let body = Body::Dropped(dropped);
            events.push(Cow::Owned(Event { ts: first, conn: self.conn.clone(), body }));
        }
        events.extend(self.rows.iter().map(|row| Cow::Borrowed(&row.event)));
        events
    }

    fn is_shown(&self, event: &Event, filter: &Filter, now: Timestamp) -> bool {
        let path = self.path();
        let path = path.split('?').next().filter(|path| !path.is_empty());
        filter.is_empty() || filter.matches(event, Facts { path, ..Facts::default() }, now)
    }

    fn note(&mut self, event: &Event) {
        match &event.body {
            Body::Handshake(_) | Body::Open(_) => self.keep_head(event),
            Body::Frame(frame) => self.count(frame),
            // Of the message's frames nothing came.
            Body::Message(message) if message.fragments.is_none() => {
                let counts = &mut self.counts[usize::from(message.dir == Direction::ToClient)];
                counts.messages += 1;
                counts.payload += message.len;
                counts.wire += message.wire.unwrap_or(message.len);
            }
            Body::Stats(stats) => self.stats = Some((**stats).clone()),
            Body::Close(close) => {
                self.close = Some((**close).clone());
                self.is_over = true;
            }
            Body::Exit(_) => self.is_over = true,
            _ => {}
        }
    }

    /// Of answers the last one: interim answers come before it.
    fn keep_head(&mut self, event: &Event) {
        let kind = |event: &Event| match &event.body {
            Body::Handshake(head) => Some(head.dir),
            _ => None,
        };
        self.heads.retain(|kept| kind(kept) != kind(event));
        self.heads.push(event.clone());
    }

    fn count(&mut self, frame: &Frame) {
        let counts = &mut self.counts[usize::from(frame.dir == Direction::ToClient)];
        counts.frames += 1;
        counts.wire += frame.wire;
        if frame.fragment.is_some() {
            counts.payload += frame.inflated.unwrap_or_else(|| frame.came());
            counts.messages += u64::from(frame.header.fin());
        }
        if let Some(rtt) = frame.rtt_us {
            self.round_trips = (rtt, self.round_trips.1 + 1);
        }
    }
}
