//! Publications of one channel on their way into the send queues of the sessions that follow it. What a full
//! queue means is the channel's to say; who is closed or asked again is not decided here.

use std::borrow::Cow;

use bytes::Bytes;
use slab::Slab;

use super::{Dirty, Overflow, Session, id_of, mark_dirty};
use crate::queue::{Full, Outgoing, QueueLimits};
use crate::subscription::Slow;

/// One portion, encoded, and where it goes.
pub(super) struct Portion<'h, T> {
    pub(super) sessions: &'h mut Slab<Session<T>>,
    pub(super) dirty: &'h mut Dirty,
    pub(super) overflows: &'h mut Vec<Overflow>,
    pub(super) limits: QueueLimits,
    /// How many publications they are.
    pub(super) messages: u32,
    /// What becomes of a session whose queue is full.
    pub(super) slow: Slow,
    /// Those that are passed over.
    pub(super) passed_over: Vec<u32>,
    /// Messages queued, over all sessions.
    pub(super) queued: u64,
}

impl<T> Portion<'_, T> {
    /// Gives each session of a list its bytes. Inlined, so that bytes that are shared cost no call a session.
    #[inline(always)]
    pub(super) fn queue(&mut self, list: &[u32], mut bytes_of: impl FnMut(&mut T) -> Bytes) {
        for at in list {
            let Some(session) = self.sessions.get_mut(*at as usize) else { continue };
            if session.ending {
                continue;
            }
            let id = id_of(*at as usize, session);
            let outgoing = Outgoing { bytes: bytes_of(&mut session.attachment), messages: self.messages };
            match session.queue.push(outgoing, self.limits) {
                Ok(()) => {
                    self.queued += u64::from(self.messages);
                    mark_dirty(session, id, self.dirty);
                }
                Err(Full) if self.slow == Slow::Latest => self.passed_over.push(*at),
                Err(Full) => {
                    session.ending = true;
                    self.overflows.push(id);
                }
            }
        }
    }

    /// Those of a list that have room for `bytes`; the others are passed over. A compressor of a session's own
    /// must not be given what is not sent, so this is asked before it.
    pub(super) fn with_room<'l>(&mut self, list: &'l [u32], bytes: usize) -> Cow<'l, [u32]> {
        if self.slow == Slow::Disconnect {
            return list.into();
        }
        let has_room = |at: &u32| {
            let session = self.sessions.get(*at as usize);
            session.is_some_and(|session| session.queue.has_room(bytes, self.messages, self.limits))
        };
        let (with, without): (Vec<u32>, Vec<u32>) = list.iter().partition(|at| has_room(at));
        self.passed_over.extend(without);
        with.into()
    }
}
