//! The connections that ended lately on one shard, and why: what an operator asks for after the fact.
//!
//! Rows come from `row`, causes from `ending`; nothing is kept for connections that are open.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use tidegate_hub::SessionId;

use super::Shard;
use super::connection::{End, since_1970};
use super::ending::{Cause, Ended, Ending, Gone};
use super::recent::Recent;
use super::row::Row;
use crate::settings::Capture;

/// How long an end is told.
const KEPT_FOR: Duration = Duration::from_secs(15 * 60);

/// Ends that have begun whose words are kept; those of more at the same time are lost.
const REASONS_MAX: usize = 256;

/// Bytes of such words.
const REASON_MAX_BYTES: usize = 512;

/// See the module's head.
#[derive(Debug, Default)]
pub(crate) struct Endings {
    rows: Recent<Row>,
    /// What was said when the end of a session began.
    reasons: VecDeque<(SessionId, Box<str>)>,
}

impl Endings {
    /// Keeps the words that an end begins with.
    pub(super) fn keep_reason(&mut self, id: SessionId, reason: &str) {
        if reason.is_empty() {
            return;
        }
        if self.reasons.len() == REASONS_MAX {
            self.reasons.pop_front();
        }
        let end = (0..=REASON_MAX_BYTES.min(reason.len())).rev().find(|end| reason.is_char_boundary(*end));
        self.reasons.push_back((id, reason[..end.unwrap_or_default()].into()));
    }

    fn take_reason(&mut self, id: SessionId) -> Box<str> {
        let found = self.reasons.iter().position(|(other, _)| *other == id);
        found.and_then(|at| self.reasons.remove(at)).map(|(_, reason)| reason).unwrap_or_default()
    }

    /// The rows, newest first.
    pub(crate) fn rows(&self) -> impl Iterator<Item = &Row> {
        self.rows.newest_first()
    }

    /// The row of a connection that ended.
    pub(crate) fn row(&self, id: SessionId) -> Option<&Row> {
        self.rows().find(|row| row.session == id)
    }

    /// Forgets what is too old.
    pub(crate) fn sweep(&mut self, now: Instant) {
        self.rows.sweep(KEPT_FOR, now);
    }
}

impl Shard {
    /// Forgets a session: its subscriptions end, its socket is closed by being dropped.
    pub(crate) fn forget(&mut self, id: SessionId, gone: Gone) {
        self.forget_for(id, "gone", gone);
    }

    /// The same, for a reason that what is lost with it is counted by.
    pub(super) fn forget_for(&mut self, id: SessionId, reason: &'static str, gone: Gone) {
        self.keep_ending(id, gone);
        let Some(session) = self.hub.session(id) else { return };
        let form = session.form();
        self.counters.dropped(reason, session.queue.messages());
        let Some((mut connection, left)) = self.hub.detach(id) else { return };
        // The task that serves it sees that it is gone.
        connection.transport.wake();
        self.counters.closed(form);
        self.counters.deflate_contexts -= u64::from(connection.about.agreed.holds_contexts());
        for left in left {
            self.leave(id, left);
        }
    }

    /// Keeps the row of a connection that is about to be forgotten, with how it ended, and shows that to who watches.
    pub(super) fn keep_ending(&mut self, id: SessionId, gone: Gone) {
        let reason = self.endings.take_reason(id);
        let settings = &self.generation.settings;
        let most = settings.limits.inspect_ring as usize;
        let is_kept = most > 0 && settings.inspect.capture != Capture::Off;
        if !is_kept && !self.taps.is_watching() {
            return;
        }
        let Some(mut row) = self.last_row(id) else { return };
        let Some(session) = self.hub.session(id) else { return };
        let connection = &session.attachment;
        let ended = connection.ended.unwrap_or(Ended { code: 1006, cause: Cause::Bytes });
        let websocket = connection.transport.websocket().is_some();
        let broke_rule = matches!(ended.cause, Cause::Protocol | Cause::MessageBytes);
        let clean = match (websocket, connection.end) {
            (true, End::AwaitEof(_)) => !broke_rule,
            (true, End::Open | End::Closing(_)) => false,
            (false, _) => gone == Gone::Answered,
        };
        let ending = Ending { ended, gone, clean, websocket, reason, idle: row.idle, at: since_1970() };
        if self.taps.is_watching() {
            self.tap_end(id, &ending);
        }
        if is_kept {
            row.ending = Some(ending);
            self.endings.rows.push(row, most, Instant::now());
        }
    }
}
