//! Long polls: sessions that live until there is something to answer with. What they follow comes into their
//! queues like everybody's; the task that serves the request looks here, and takes it all when it answers.
//!
//! Only publications are ever queued for them, so that the number of messages tells the place of the last.

use std::sync::Arc;
use std::task::Waker;

use bytes::Bytes;
use tidegate_hub::{Form, Position, Recovery, SessionId};
use tidegate_websocket::CloseCode;

use super::connection::{About, Begun, Closed, Transport};
use super::{Closing, Shard};

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

/// What a long poll is answered with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Taken {
    pub(crate) position: Position,
    pub(crate) recovered: bool,
    /// How many publications there are.
    pub(crate) count: u32,
    /// As they are joined in the answer.
    pub(crate) publications: Bytes,
    /// Why the source fails.
    pub(crate) trouble: Option<Arc<str>>,
}

impl Shard {
    /// A session that ends with the answer to a long poll.
    pub(crate) fn attach_long_poll(&mut self, about: About) -> SessionId {
        self.attach(Form::LongPoll, Transport::LongPoll(Box::default()), about)
    }

    /// What there is for a long poll. `waiting` is woken when that changes.
    pub(crate) fn look_at_long_poll(&mut self, id: SessionId, waiting: &Waker) -> PollPart {
        let Some(session) = self.hub.session_mut(id) else { return PollPart::Gone };
        let queued = !session.queue.is_empty();
        let Transport::LongPoll(poll) = &mut session.attachment.transport else { return PollPart::Gone };
        match (poll.begun, &poll.closed) {
            (Some(begun), _) if queued || poll.turned || !begun.recovered => PollPart::Ready,
            (_, Some(closed)) => PollPart::Closed(closed.clone()),
            (begun, None) => {
                poll.waker = Some(waiting.clone());
                begun.map_or(PollPart::AwaitHome, PollPart::AwaitPublication)
            }
        }
    }

    /// Takes all that has come for a long poll, and ends it. `None` if its home has not answered.
    pub(crate) fn take_long_poll(&mut self, id: SessionId) -> Option<Taken> {
        let session = self.hub.session_mut(id)?;
        let Transport::LongPoll(poll) = &session.attachment.transport else { return None };
        let Begun { position, recovered, .. } = poll.begun?;
        let trouble = poll.trouble.clone();
        let count = session.queue.messages();
        let publications = session.queue.take_joined();
        self.counters.sent_bytes += publications.len() as u64;
        self.log_close(id, CloseCode::NORMAL.get(), "answered");
        self.forget(id);
        let position = Position { offset: position.offset + u64::from(count), ..position };
        Some(Taken { position, recovered, count, publications, trouble })
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
            let Closing { code, reason, reconnect_in_ms, .. } = closing;
            poll.closed = Some(Closed { code, reason: reason.into(), reconnect_in_ms });
        }
    }
}
