//! What goes from whoever has events to the view's thread: a queue with a bound, and each side's word that it is done.
//!
//! A live source never waits for the view: what does not fit is counted as lost. A file has time, and waits.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use tidegate_inspect::Event;
use tidegate_inspect::event::{Body, Frame, Message};
use tidegate_inspect::payload::Payload;
use tokio::sync::Notify;

use crate::exit::{Exit, Failure};

/// Events under way: a fifth of a second of 50,000 a second, six times what comes between two draws.
const EVENTS_MAX: usize = 10_000;

/// Bytes of their payloads.
const BYTES_MAX: usize = 16 << 20;

/// Lines of words under way.
const WORDS_MAX: usize = 10;

/// Bytes of a payload that the view keeps.
pub(in crate::inspect) const PAYLOAD_MAX_BYTES: usize = 256 << 10;

/// What an event takes beside its payload, about.
const EVENT_BYTES: usize = 512;

/// The end where events go in. Its holders share one queue.
#[derive(Debug, Clone)]
pub(in crate::inspect) struct Feed {
    shared: Arc<Shared>,
    /// It waits for room and loses nothing.
    waits: bool,
}

/// The end where they come out. The source is told when this goes.
#[derive(Debug)]
pub(super) struct Outlet(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    queue: Mutex<Queue>,
    has_room: Condvar,
    /// Something is in the queue.
    came: Notify,
    /// The view has gone.
    left: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    events: VecDeque<Event>,
    bytes: usize,
    lost: u64,
    words: Vec<String>,
    address: Option<String>,
    ended: Option<String>,
    /// An event was taken.
    has_begun: bool,
    must_leave: bool,
    has_left: bool,
}

/// What has gathered.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    pub(super) events: VecDeque<Event>,
    /// Events that did not fit.
    pub(super) lost: u64,
    /// What the source has to say beside them.
    pub(super) words: Vec<String>,
    /// Where clients connect.
    pub(super) address: Option<String>,
    /// The source has ended, and how.
    pub(super) ended: Option<String>,
    /// There is nothing to wait for and nothing to look at.
    pub(super) must_leave: bool,
}

/// Both ends of a queue.
pub(super) fn feed(waits: bool) -> (Feed, Outlet) {
    let shared = Arc::<Shared>::default();
    (Feed { shared: Arc::clone(&shared), waits }, Outlet(shared))
}

impl Feed {
    /// Takes an event; its payload is cut.
    pub(in crate::inspect) fn take(&self, event: &Event) {
        let event = lightened(event);
        let bytes = cost(&event);
        let mut queue = self.shared.lock();
        while self.waits && queue.is_full(bytes) && !queue.has_left {
            queue = self.shared.has_room.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        if queue.has_left {
            return;
        }
        if queue.is_full(bytes) {
            queue.lost += 1;
            return;
        }
        queue.bytes += bytes;
        queue.has_begun = true;
        queue.events.push_back(event);
        let is_first = queue.events.len() == 1;
        drop(queue);
        if is_first {
            self.shared.came.notify_one();
        }
    }

    /// Words for the view's last line; of many at once the newest.
    pub(in crate::inspect) fn say(&self, words: String) {
        let mut queue = self.shared.lock();
        if queue.words.len() == WORDS_MAX {
            queue.words.remove(0);
        }
        queue.words.push(words);
        drop(queue);
        self.shared.came.notify_one();
    }

    /// Where clients connect.
    pub(in crate::inspect) fn listens_at(&self, address: String) {
        self.shared.lock().address = Some(address);
        self.shared.came.notify_one();
    }

    /// Nothing more comes, and why. The view goes on as long as somebody looks, unless there is nothing to see.
    pub(super) fn end(&self, how: &Result<Exit, Failure>) {
        let mut queue = self.shared.lock();
        let is_left = match how {
            Ok(exit) => *exit == Exit::Interrupted,
            Err(_) => !queue.has_begun,
        };
        queue.must_leave = is_left;
        queue.ended = Some(match how {
            Ok(_) => "that is all.".to_owned(),
            Err(failure) => failure.what.clone(),
        });
        drop(queue);
        self.shared.came.notify_one();
    }

    /// Nobody needs the view any more.
    pub(super) fn close(&self) {
        self.shared.lock().must_leave = true;
        self.shared.came.notify_one();
    }

    /// Nobody looks any more.
    pub(in crate::inspect) fn has_left(&self) -> bool {
        self.shared.lock().has_left
    }

    /// Waits until nobody looks any more. **Cancel safe.**
    pub(in crate::inspect) async fn left(&self) {
        while !self.has_left() {
            self.shared.left.notified().await;
        }
        self.shared.left.notify_one();
    }
}

impl Outlet {
    /// Waits until something may have come. **Cancel safe.**
    pub(super) async fn came(&self) {
        self.0.came.notified().await;
    }

    /// All that has gathered.
    pub(super) fn gather(&self) -> Gathered {
        let mut queue = self.0.lock();
        queue.bytes = 0;
        let gathered = Gathered {
            events: std::mem::take(&mut queue.events),
            lost: std::mem::take(&mut queue.lost),
            words: std::mem::take(&mut queue.words),
            address: queue.address.take(),
            ended: queue.ended.take(),
            must_leave: queue.must_leave,
        };
        drop(queue);
        self.0.has_room.notify_all();
        gathered
    }
}

impl Drop for Outlet {
    fn drop(&mut self) {
        let mut queue = self.0.lock();
        queue.has_left = true;
        queue.events = VecDeque::new();
        drop(queue);
        self.0.has_room.notify_all();
        self.0.left.notify_one();
    }
}

impl Shared {
    /// What is in the queue is whole at any time, whoever panicked.
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    /// One event fits always.
    fn is_full(&self, bytes: usize) -> bool {
        !self.events.is_empty() && (self.events.len() >= EVENTS_MAX || self.bytes + bytes > BYTES_MAX)
    }
}

/// About what an event takes.
pub(super) fn cost(event: &Event) -> usize {
    let of_body = match &event.body {
        Body::Frame(frame) => {
            frame.payload.bytes.len() + frame.plain.as_ref().map_or(0, |plain| plain.bytes.len())
        }
        Body::Message(message) => message.payload.bytes.len(),
        Body::Handshake(head) => {
            let fields: usize = head.headers.iter().map(|(name, value)| name.len() + value.len() + 48).sum();
            fields + head.raw.as_ref().map_or(0, |raw| raw.bytes.len())
        }
        Body::Note(note) => note.message.len(),
        _ => 0,
    };
    EVENT_BYTES + of_body
}

/// The event with as much of its payload as is kept.
fn lightened(event: &Event) -> Event {
    let body = match &event.body {
        Body::Frame(frame) if frame.payload.bytes.len() > PAYLOAD_MAX_BYTES || frame.plain.is_some() => {
            let Frame { dir, header, wire, message, fragment, inflated, since_us, rtt_us, .. } = **frame;
            let (payload, plain) = (cut(&frame.payload), frame.plain.as_ref().map(cut));
            let violations = frame.violations.clone();
            Body::Frame(Box::new(Frame {
                dir,
                header,
                wire,
                message,
                fragment,
                inflated,
                since_us,
                rtt_us,
                payload,
                plain,
                violations,
            }))
        }
        Body::Message(whole) if whole.payload.bytes.len() > PAYLOAD_MAX_BYTES => {
            let Message { dir, len, message, fragments, wire, compressed, .. } = **whole;
            let (op, payload) = (whole.op.clone(), cut(&whole.payload));
            Body::Message(Box::new(Message { dir, op, len, message, fragments, wire, compressed, payload }))
        }
        body => body.clone(),
    };
    Event { ts: event.ts, conn: event.conn.clone(), body }
}

fn cut(payload: &Payload) -> Payload {
    let kept = payload.bytes.len().min(PAYLOAD_MAX_BYTES);
    let truncated = payload.truncated || kept < payload.bytes.len();
    Payload { bytes: payload.bytes[..kept].to_vec(), truncated }
}

#[cfg(test)]
mod tests {
    use tidegate_inspect::event::Direction;

    use super::*;

    fn message(bytes: usize) -> Event {
        let message = Message::new(Direction::ToClient, "text", Payload::whole(&vec![b'x'; bytes]));
        Event { ts: Default::default(), conn: None, body: Body::Message(Box::new(message)) }
    }

    #[test]
    fn what_does_not_fit_is_counted() {
        let (feed, outlet) = feed(false);
        for _ in 0..EVENTS_MAX + 3 {
            feed.take(&message(1));
        }
        let gathered = outlet.gather();
        assert_eq!((gathered.events.len(), gathered.lost), (EVENTS_MAX, 3));
        for _ in 0..100 {
            feed.take(&message(1 << 20));
        }
        let gathered = outlet.gather();
        let held: usize = gathered.events.iter().map(cost).sum();
        assert!(held <= BYTES_MAX && gathered.lost == 100 - gathered.events.len() as u64, "{held}");
        let Body::Message(first) = &gathered.events[0].body else { panic!("a message") };
        assert_eq!((first.payload.bytes.len(), first.payload.truncated), (PAYLOAD_MAX_BYTES, true));
        assert_eq!(outlet.gather().events.len(), 0);
    }

    #[test]
    fn a_file_waits_until_there_is_room_or_nobody_looks() {
        let (feed, outlet) = feed(true);
        let source = std::thread::spawn(move || {
            for _ in 0..4 * EVENTS_MAX {
                feed.take(&message(1));
            }
            feed.has_left()
        });
        let mut count = 0;
        while count < EVENTS_MAX + 10 {
            count += outlet.gather().events.len();
            std::thread::yield_now();
        }
        drop(outlet);
        assert!(source.join().expect("it does not wait for ever"), "it was still waiting");
    }
}
