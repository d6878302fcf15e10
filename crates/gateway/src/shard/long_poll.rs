//! Long polls: sessions that live until their answer is taken. What they follow comes into their queues like
//! everybody's; the task that serves the request looks here. When it answers nothing more is followed, and what
//! is queued leaves with the body of the answer, as the client takes it.
//!
//! Only publications are ever queued for them, so that the number of messages tells the place of the last.

use std::rc::Rc;
use std::sync::Arc;
use std::task::Waker;

use bytes::Bytes;
use tidegate_hub::{Form, Position, Recovery, SessionId};
use tidegate_inspect::words::known;
use tidegate_protocol::long_poll;
use tidegate_websocket::CloseCode;
use tokio::sync::Notify;

use super::connection::{About, Begun, Closed, End, LongPoll, Transport};
use super::ending::{Cause, Ended};
use super::flush::Waiting;
use super::{Closing, Shard};
use crate::refusal::failing;

/// What a long poll's task finds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PollPart {
    /// The home has not answered yet; the waker is kept.
    AwaitHome,
    /// Nothing has come since; the waker is kept.
    AwaitPublication(Begun),
    /// Something is there to be taken.
    Ready,
    /// It was closed before anything came.
    Closed(Closed),
    /// The session is over without a word.
    Gone,
}

/// What a long poll is answered with. The body's bytes behind its head are in the session's queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Answered {
    pub(crate) position: Position,
    pub(crate) recovered: bool,
    /// How many publications there are.
    pub(crate) count: u32,
    /// What they and the end of the body measure.
    pub(crate) bytes: usize,
    /// The source of its channel fails.
    pub(crate) failing: bool,
}

impl Shard {
    /// A session that ends when the answer to a long poll has been taken.
    pub(crate) fn attach_long_poll(&mut self, about: About, cut: Rc<Notify>) -> SessionId {
        let poll = LongPoll { cut, ..LongPoll::default() };
        self.attach(Form::LongPoll, Transport::LongPoll(Box::new(poll)), about)
    }

    /// What there is for a long poll. `waiting` is woken when that changes.
    pub(crate) fn look_at_long_poll(&mut self, id: SessionId, waiting: &Waker) -> PollPart {
        let Some(session) = self.hub.session_mut(id) else { return PollPart::Gone };
        let queued = !session.queue.is_empty();
        let Transport::LongPoll(poll) = &mut session.attachment.transport else { return PollPart::Gone };
        match (poll.begun, &poll.closed) {
            // A document that was just asked for is on its way.
            (Some(begun), _) if queued || poll.turned || !(begun.recovered || begun.document) => {
                PollPart::Ready
            }
            (_, Some(closed)) => PollPart::Closed(closed.clone()),
            (begun, None) => {
                poll.waker = Some(waiting.clone());
                begun.map_or(PollPart::AwaitHome, PollPart::AwaitPublication)
            }
        }
    }

    /// Answers a long poll with all that has come for it; nothing comes after that. `None` if its home has not
    /// answered.
    pub(crate) fn answer_long_poll(&mut self, id: SessionId) -> Option<Answered> {
        let session = self.hub.session_mut(id)?;
        let Transport::LongPoll(poll) = &session.attachment.transport else { return None };
        let Begun { position, recovered, .. } = poll.begun?;
        let end =
            long_poll::end(poll.trouble.as_deref().map(|reason| failing(known::SOURCE_FAILING, reason)));
        let failing = poll.trouble.is_some();
        let count = session.queue.messages();
        if count > 0 {
            session.queue.advance(long_poll::SEPARATOR.len());
        }
        let bytes = session.queue.bytes() + end.len();
        session.attachment.end = End::Closing(CloseCode::NORMAL.get());
        let channel = session.attachment.about.channel.clone();
        self.log_close(id, Ended { code: CloseCode::NORMAL.get(), cause: Cause::Answered }, "answered");
        self.unsubscribe(id, &channel);
        self.hub.send_last(id, end, false);
        let position = Position { offset: position.offset + u64::from(count), ..position };
        Some(Answered { position, recovered, count, bytes, failing })
    }

    /// Takes what is next of an answer's body, `most` bytes at most; nothing if its session is over. Until it is
    /// dropped, its client has still to take what was taken here.
    pub(crate) fn take_answer(&mut self, id: SessionId, most: usize) -> Bytes {
        let now = self.wheel.now();
        let Some(session) = self.hub.session_mut(id) else { return Bytes::new() };
        session.attachment.clock.stalled = now;
        let waiting = Waiting::of(&session.queue);
        let portion = session.queue.take_portion(most);
        if session.attachment.tally.is_tapped {
            self.taps.went(id, &portion, now);
        }
        waiting.count_sent(&session.queue, &mut self.counters, &mut session.attachment.tally, now);
        self.look_anew(id);
        portion
    }

    /// The home has answered: what was missed comes into the queue next. A source that fails already ends no wait: who
    /// asks again and again would do so without a pause.
    pub(super) fn begin_long_poll(
        &mut self,
        id: SessionId,
        recovery: &Recovery,
        document: bool,
        trouble: Option<&Arc<str>>,
    ) {
        let Recovery { position, recovered, publications } = recovery;
        let offset = publications.first().map_or(position.offset, |first| first.offset - 1);
        let Some(session) = self.hub.session_mut(id) else { return };
        let Transport::LongPoll(poll) = &mut session.attachment.transport else { return };
        poll.begun =
            Some(Begun { position: Position { offset, ..*position }, recovered: *recovered, document });
        poll.trouble = trouble.cloned();
        // There may be nothing to wait for.
        self.hub.mark_dirty(id);
    }

    /// Its source has begun to fail, or is well again.
    pub(super) fn turn_long_poll(&mut self, id: SessionId, trouble: Option<&Arc<str>>) {
        let Some(session) = self.hub.session_mut(id) else { return };
        if let Transport::LongPoll(poll) = &mut session.attachment.transport {
            (poll.trouble, poll.turned) = (trouble.cloned(), true);
            self.hub.mark_dirty(id);
        }
    }

    /// It is closed: its task has to say so.
    pub(super) fn note_closed(&mut self, id: SessionId, closing: Closing<'_>) {
        let Some(session) = self.hub.session_mut(id) else { return };
        if let Transport::LongPoll(poll) = &mut session.attachment.transport {
            let Closing { code, reason, known, reconnect_in_ms, .. } = closing;
            poll.closed = Some(Closed { code, reason: reason.into(), known, reconnect_in_ms });
        }
    }
}
