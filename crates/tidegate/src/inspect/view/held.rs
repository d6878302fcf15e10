//! All that the view holds: connections in the order in which they came, bounded in number, events and bytes.
//!
//! When there is no room, what is oldest is let go and counted; of the connections one that has ended first.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use tidegate_inspect::event::{Body, Direction, Event};
use tidegate_inspect::filter::Filter;
use tidegate_inspect::timestamp::Timestamp;

use super::connection::Connection;

/// Connections.
pub(super) const CONNECTIONS_MAX: usize = 1000;

/// Events of all connections.
pub(super) const EVENTS_MAX: usize = 100_000;

/// Bytes of all events.
pub(super) const BYTES_MAX: usize = 128 << 20;

/// How many are let go at once, so that it is not looked each time who has most.
const PORTION: usize = 64;

/// See the module's head. `events` and `bytes` are the sums over the connections.
#[derive(Debug, Default)]
pub(super) struct Held {
    connections: Vec<Connection>,
    /// The newest of each name.
    newest: HashMap<Option<Arc<str>>, u64>,
    pub(super) events: usize,
    bytes: usize,
    /// Connections so far.
    count: u64,
    /// Events that were held and are no more.
    pub(super) let_go: u64,
    pub(super) connections_let_go: u64,
}

impl Held {
    pub(super) fn connections(&self) -> &[Connection] {
        &self.connections
    }

    pub(super) fn get(&self, key: u64) -> Option<&Connection> {
        self.place(key).map(|at| &self.connections[at])
    }

    /// Takes an event; `keep` is a connection that is not let go as a whole.
    pub(super) fn take(&mut self, event: Event, filter: &Filter, keep: Option<u64>, now: Timestamp) {
        let at = self.place_for(&event, keep);
        let connection = &mut self.connections[at];
        self.bytes += connection.take(event, filter, now);
        self.events += 1;
        while self.connections[at].is_full() {
            self.let_go_of(at, 1);
        }
        while self.events > EVENTS_MAX || (self.bytes > BYTES_MAX && self.events > 1) {
            let largest = (0..self.connections.len()).max_by_key(|at| self.weight(*at));
            let Some(largest) = largest.filter(|at| !self.connections[*at].rows.is_empty()) else { return };
            self.let_go_of(largest, PORTION);
        }
    }

    /// Finds out anew which events are shown.
    pub(super) fn apply(&mut self, filter: &Filter, now: Timestamp) {
        self.connections.iter_mut().for_each(|connection| connection.apply(filter, now));
    }

    /// All events in the order of their times.
    pub(super) fn all_events(&self) -> Vec<Cow<'_, Event>> {
        let mut events: Vec<_> = self.connections.iter().flat_map(Connection::events).collect();
        events.sort_by_key(|event| event.ts);
        events
    }

    /// Keys only grow.
    fn place(&self, key: u64) -> Option<usize> {
        self.connections.binary_search_by_key(&key, |connection| connection.key).ok()
    }

    /// A request on a name that has made one begins a further connection.
    fn place_for(&mut self, event: &Event, keep: Option<u64>) -> usize {
        let known = self.newest.get(&event.conn).and_then(|key| self.place(*key));
        let goes_on = |connection: &Connection| match &event.body {
            Body::Handshake(head) if head.dir == Direction::ToServer => {
                !connection.is_over && connection.request().is_none()
            }
            Body::Open(_) => !connection.is_over,
            _ => true,
        };
        match known.filter(|at| goes_on(&self.connections[*at])) {
            Some(at) => at,
            None => self.begin(event, keep),
        }
    }

    fn begin(&mut self, event: &Event, keep: Option<u64>) -> usize {
        if self.connections.len() >= CONNECTIONS_MAX {
            let may_go = |connection: &Connection| Some(connection.key) != keep;
            let oldest = self.connections.iter().position(|it| it.is_over && may_go(it));
            let oldest = oldest.or_else(|| self.connections.iter().position(may_go));
            if let Some(oldest) = oldest {
                self.let_connection_go(oldest);
            }
        }
        self.count += 1;
        self.newest.insert(event.conn.clone(), self.count);
        self.connections.push(Connection::new(self.count, event));
        self.connections.len() - 1
    }

    fn let_connection_go(&mut self, at: usize) {
        let connection = self.connections.remove(at);
        if self.newest.get(&connection.conn) == Some(&connection.key) {
            self.newest.remove(&connection.conn);
        }
        self.events -= connection.rows.len();
        self.bytes -= connection.bytes;
        self.let_go += connection.rows.len() as u64;
        self.connections_let_go += 1;
    }

    fn let_go_of(&mut self, at: usize, count: usize) {
        for _ in 0..count {
            let Some(bytes) = self.connections[at].let_oldest_go() else { return };
            self.bytes -= bytes;
            self.events -= 1;
            self.let_go += 1;
        }
    }

    /// What is scarce decides.
    fn weight(&self, at: usize) -> usize {
        let connection = &self.connections[at];
        if self.events > EVENTS_MAX { connection.rows.len() } else { connection.bytes }
    }
}

#[cfg(test)]
mod tests {
    use tidegate_inspect::event::Message;
    use tidegate_inspect::payload::Payload;

    use super::super::connection;
    use super::*;

    fn event(conn: &str, at: u64, bytes: usize) -> Event {
        let message = Message::new(Direction::ToClient, "binary", Payload::whole(&vec![0; bytes]));
        let body = Body::Message(Box::new(message));
        Event { ts: Timestamp::from_micros(at), conn: Some(conn.into()), body }
    }

    fn take(held: &mut Held, event: Event, keep: Option<u64>) {
        held.take(event, &Filter::default(), keep, Timestamp::default());
    }

    fn check(held: &Held) {
        assert_eq!(held.events, held.connections.iter().map(|it| it.rows.len()).sum::<usize>());
        assert_eq!(held.bytes, held.connections.iter().map(|it| it.bytes).sum::<usize>());
        assert!(held.events <= EVENTS_MAX && held.bytes <= BYTES_MAX);
    }

    #[test]
    fn of_one_connection_the_newest_are_held() {
        let mut held = Held::default();
        for at in 0..connection::EVENTS_MAX as u64 + 5 {
            take(&mut held, event("a", at, 0), None);
        }
        check(&held);
        let connection = &held.connections()[0];
        assert_eq!((connection.rows.len(), connection.let_go), (connection::EVENTS_MAX, 5));
        assert_eq!((connection.rows[0].number, held.let_go), (6, 5));
        for at in 0..100 {
            take(&mut held, event("a", at, 1 << 20), None);
        }
        check(&held);
        assert!(held.connections()[0].bytes <= connection::BYTES_MAX);
        assert_eq!(held.connections()[0].counts[1].messages, connection::EVENTS_MAX as u64 + 105);
    }

    #[test]
    fn of_all_who_has_most_gives_up_first() {
        let mut held = Held::default();
        take(&mut held, event("small", 0, 10), None);
        for at in 0..20_000u64 {
            take(&mut held, event(&format!("c{}", at % 20), at, 10_000), None);
        }
        check(&held);
        assert!(held.bytes > BYTES_MAX / 2 && held.let_go > 0);
        assert_eq!(held.connections()[0].rows.len(), 1, "the small one lost nothing");
        for at in 0..120_000u64 {
            take(&mut held, event(&format!("d{}", at % 30), at, 0), None);
        }
        check(&held);
        let told = held.all_events().len();
        let gaps = held.connections().iter().filter(|it| it.let_go > 0).count();
        assert_eq!(told, held.events + gaps, "a gap is told");
    }

    #[test]
    fn connections_are_bounded_and_the_chosen_one_stays() {
        let mut held = Held::default();
        for number in 0..CONNECTIONS_MAX as u64 + 7 {
            take(&mut held, event(&format!("c{number}"), number, 0), Some(1));
        }
        check(&held);
        assert_eq!((held.connections().len(), held.connections_let_go), (CONNECTIONS_MAX, 7));
        assert!(held.get(1).is_some() && held.get(2).is_none());
        // What comes of one that was let go begins anew.
        take(&mut held, event("c1", 0, 0), Some(1));
        assert_eq!(held.connections().last().map(Connection::name), Some("c1"));
        assert_eq!(held.newest.len(), CONNECTIONS_MAX);
    }
}
