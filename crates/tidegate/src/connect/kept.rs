//! What a conversation on a terminal has seen so far, for `/save`.
//!
//! The oldest events go when there are too many bytes; how many went stands in what is saved.

use std::collections::VecDeque;

use tidegate_inspect::event::{Body, Dropped, Event};

/// Bytes of the events that are kept.
const KEPT_MAX_BYTES: usize = 16 << 20;

/// What an event takes beside its payload.
const EVENT_BYTES: usize = 200;

/// See the module's head.
#[derive(Debug, Default)]
pub(super) struct Kept {
    events: VecDeque<Event>,
    bytes: usize,
    gone: u64,
}

impl Kept {
    pub(super) fn take(&mut self, event: &Event) {
        self.bytes += cost(event);
        self.events.push_back(event.clone());
        while self.bytes > KEPT_MAX_BYTES {
            let Some(oldest) = self.events.pop_front() else { return };
            self.bytes -= cost(&oldest);
            self.gone += 1;
        }
    }

    /// What is kept, and how much is not.
    pub(super) fn events(&self) -> impl Iterator<Item = Event> {
        let gone = (self.gone > 0).then(|| {
            let reason = "16 MiB are kept for /save".to_owned();
            let ts = self.events.front().map(|event| event.ts).unwrap_or_default();
            let body = Body::Dropped(Dropped { what: "events".to_owned(), count: self.gone, reason });
            Event { ts, conn: None, body }
        });
        gone.into_iter().chain(self.events.iter().cloned())
    }
}

fn cost(event: &Event) -> usize {
    EVENT_BYTES
        + match &event.body {
            Body::Message(message) => message.payload.bytes.len(),
            _ => 0,
        }
}

#[cfg(test)]
mod tests {
    use tidegate_inspect::Timestamp;
    use tidegate_inspect::event::{Direction, Message};
    use tidegate_inspect::payload::Payload;

    use super::*;

    #[test]
    fn the_oldest_go_and_are_counted() {
        let mut kept = Kept::default();
        for number in 0..20u8 {
            let message = Message::new(Direction::ToClient, "binary", Payload::whole(&vec![number; 1 << 20]));
            kept.take(&Event {
                ts: Timestamp::default(),
                conn: None,
                body: Body::Message(Box::new(message)),
            });
        }
        let events: Vec<Event> = kept.events().collect();
        let [Event { body: Body::Dropped(dropped), .. }, rest @ ..] = &*events else {
            panic!("{}", events.len())
        };
        assert_eq!((dropped.count, rest.len()), (5, 15));
        assert!(kept.bytes <= KEPT_MAX_BYTES);
    }
}
