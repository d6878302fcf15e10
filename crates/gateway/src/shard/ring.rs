//! Events of one watched connection, as many as there is room for. What has no room any more is missing from the
//! numbers of what is left, so that whoever reads knows how much was lost.

use std::collections::VecDeque;
use std::sync::Arc;

use tidegate_inspect::event::{Body, Event};
use tidegate_inspect::payload::Payload;

/// Bytes of each payload that are shown; the rest is had on demand.
pub(crate) const PREVIEW_BYTES: usize = 4096;

/// What an event costs beside its payloads.
const EVENT_BYTES: usize = 256;

/// Whose events they are.
#[derive(Debug, Default)]
pub(crate) struct Who {
    /// The connection's name in logs and on the admin listener.
    pub(crate) name: Arc<str>,
    /// The path of its request, without the query.
    pub(crate) path: String,
    pub(crate) user: Option<String>,
    /// What it follows when it is chosen or not.
    pub(crate) channels: Vec<String>,
    /// Its bytes are captured.
    pub(crate) is_tapped: bool,
}

/// An event that is kept.
#[derive(Debug)]
pub(crate) struct Kept {
    /// Counted from 1, gaps where events were lost.
    pub(crate) n: u64,
    pub(crate) who: Arc<Who>,
    pub(crate) event: Event,
}

/// How much is kept.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    pub(super) events: usize,
    pub(super) bytes: usize,
}

/// See the module's head.
#[derive(Debug, Default)]
pub(super) struct Ring {
    events: VecDeque<Arc<Kept>>,
    bytes: usize,
    /// Events so far, kept or not.
    count: u64,
}

impl Ring {
    /// Keeps an event; the oldest give way. One that would take half of the room alone keeps what is shown of it.
    pub(super) fn push(&mut self, who: &Arc<Who>, mut event: Event, room: Room) {
        if cost(&event) > room.bytes / 2 {
            crop(&mut event, PREVIEW_BYTES);
        }
        self.count += 1;
        self.bytes += cost(&event);
        self.events.push_back(Arc::new(Kept { n: self.count, who: Arc::clone(who), event }));
        while self.events.len() > room.events.max(1) || (self.bytes > room.bytes && self.events.len() > 1) {
            let Some(oldest) = self.events.pop_front() else { return };
            self.bytes -= cost(&oldest.event);
        }
    }

    /// Counts events that are not kept.
    pub(super) fn pass_over(&mut self, count: u64) {
        self.count += count;
    }

    /// Events so far: the number of the newest.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// What is kept behind an event.
    pub(super) fn behind(&self, n: u64) -> impl Iterator<Item = &Arc<Kept>> {
        let first = self.events.partition_point(|kept| kept.n <= n);
        self.events.range(first..)
    }

    pub(super) fn find(&self, n: u64) -> Option<&Arc<Kept>> {
        self.events.get(self.events.binary_search_by_key(&n, |kept| kept.n).ok()?)
    }
}

/// What an event takes of the room.
pub(super) fn cost(event: &Event) -> usize {
    let payload = match &event.body {
        Body::Frame(frame) => {
            frame.payload.bytes.len() + frame.plain.as_ref().map_or(0, |plain| plain.bytes.len())
        }
        Body::Message(message) => message.payload.bytes.len(),
        _ => 0,
    };
    EVENT_BYTES + payload
}

/// Cuts payloads to so many bytes, and text not within a character.
pub(crate) fn crop(event: &mut Event, most: usize) {
    let cut = |payload: &mut Payload| {
        if payload.bytes.len() > most {
            payload.bytes.truncate(boundary(&payload.bytes, most));
            payload.bytes.shrink_to_fit();
            payload.truncated = true;
        }
    };
    match &mut event.body {
        Body::Frame(frame) => {
            cut(&mut frame.payload);
            frame.plain.iter_mut().for_each(cut);
        }
        Body::Message(message) => cut(&mut message.payload),
        _ => {}
    }
}

/// The last place up to `most` at which a character may begin.
fn boundary(bytes: &[u8], most: usize) -> usize {
    let is_within = |at: &usize| bytes.get(*at).is_some_and(|byte| byte & 0xc0 == 0x80);
    (most.saturating_sub(3)..=most).rev().find(|at| !is_within(at)).unwrap_or(most)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tidegate_inspect::Timestamp;
    use tidegate_inspect::event::{Direction, Message};

    use super::*;

    fn message(bytes: usize) -> Event {
        let payload = Payload::whole(&vec![b'x'; bytes]);
        let body = Body::Message(Box::new(Message::new(Direction::ToClient, "text", payload)));
        Event { ts: Timestamp::default(), conn: None, body }
    }

    fn numbers(ring: &Ring, behind: u64) -> Vec<u64> {
        ring.behind(behind).map(|kept| kept.n).collect()
    }

    #[test]
    fn the_oldest_give_way_and_the_numbers_tell() {
        let (mut ring, who) = (Ring::default(), Arc::new(Who::default()));
        let room = Room { events: 3, bytes: 1 << 20 };
        (0..4).for_each(|_| ring.push(&who, message(1), room));
        ring.pass_over(2);
        ring.push(&who, message(1), room);
        assert_eq!(
            (numbers(&ring, 0), numbers(&ring, 4), numbers(&ring, 7)),
            (vec![3, 4, 7], vec![7], vec![])
        );
        assert_eq!(
            (ring.count(), ring.find(4).map(|kept| kept.n), ring.find(6).map(|kept| kept.n)),
            (7, Some(4), None)
        );
    }

    #[test]
    fn what_is_too_large_keeps_what_is_shown_of_it() {
        let (mut ring, who) = (Ring::default(), Arc::new(Who::default()));
        ring.push(&who, message(100_000), Room { events: 3, bytes: 64 * 1024 });
        let Body::Message(message) = &ring.find(1).expect("it is kept").event.body else { panic!() };
        assert_eq!(
            (message.payload.bytes.len(), message.payload.truncated, message.len),
            (4096, true, 100_000)
        );
    }

    #[test]
    fn text_is_cut_between_characters_and_bytes_anywhere() {
        for (bytes, most, left) in [
            ("aé水b".as_bytes(), 2, 1),
            ("aé水b".as_bytes(), 5, 3),
            ("aé水b".as_bytes(), 6, 6),
            (&[0x80; 9], 7, 7),
            (b"ab", 0, 0),
        ] {
            assert_eq!(boundary(bytes, most), left, "{bytes:?} {most}");
        }
    }

    proptest! {
        #[test]
        fn there_is_never_more_than_room(
            sizes in prop::collection::vec(0usize..50_000, 1..60), events in 1usize..9, bytes in 8192usize..100_000,
        ) {
            let (mut ring, who) = (Ring::default(), Arc::new(Who::default()));
            for size in &sizes {
                ring.push(&who, message(*size), Room { events, bytes });
                prop_assert!(ring.events.len() <= events && (ring.bytes <= bytes || ring.events.len() == 1));
                prop_assert_eq!(ring.bytes, ring.events.iter().map(|kept| cost(&kept.event)).sum::<usize>());
            }
            prop_assert_eq!(ring.count(), sizes.len() as u64);
            prop_assert_eq!(numbers(&ring, 0).last().copied(), Some(ring.count()));
        }
    }
}
