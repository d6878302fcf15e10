//! How connections end: by the client, by the gateway, by a broken rule. Each end has a code, a log line
//! and a count.

use std::borrow::Cow;

use bytes::Bytes;
use tidegate_hub::{Form, SessionId};
use tidegate_inspect::words::known::{self, Known};
use tidegate_protocol::{envelope, event_stream, lines};
use tidegate_websocket::{CloseCode, ProtocolError, REASON_MAX_BYTES};

use super::Shard;
use super::connection::End;
use super::ending::{Cause, Ended};
use crate::refusal::close_code_of;

/// A close that the gateway begins.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Closing<'a> {
    pub(crate) code: CloseCode,
    /// For the client; at most 123 bytes of it go out.
    pub(crate) reason: &'a str,
    /// The error that it is, if it is one.
    pub(crate) known: Option<&'static Known>,
    /// When the client may come back.
    pub(crate) reconnect_in_ms: Option<u64>,
    /// What waits in the queue gives way, because the client does not take it.
    pub(crate) drop_queue: bool,
    /// What decided it, for people.
    pub(crate) cause: Cause,
}

impl Default for Closing<'_> {
    fn default() -> Self {
        Self {
            code: CloseCode::NORMAL,
            reason: "",
            known: None,
            reconnect_in_ms: None,
            drop_queue: false,
            cause: Cause::Gateway,
        }
    }
}

impl<'a> Closing<'a> {
    /// The close that goes with an error.
    pub(crate) fn of(known: &'static Known, reason: &'a str) -> Self {
        Self { code: close_code_of(known), reason, known: Some(known), ..Self::default() }
    }

    /// What the client is told: bare WebSockets have nothing else to tell a number by. A reason that leaves no room for
    /// it goes without.
    fn told(&self) -> Cow<'a, str> {
        let Some(known) = self.known else { return Cow::Borrowed(self.reason) };
        let told = format!("{} ({known})", self.reason);
        if told.len() > REASON_MAX_BYTES { Cow::Borrowed(self.reason) } else { Cow::Owned(told) }
    }
}

/// What a broken rule is that makes for this close code.
fn known_of(code: CloseCode) -> &'static Known {
    match code {
        CloseCode::MESSAGE_TOO_BIG => known::MESSAGE_SIZE,
        CloseCode::POLICY_VIOLATION => known::FRAGMENTS,
        CloseCode::INVALID_PAYLOAD => known::CLIENT_BROKE_TEXT,
        _ => known::CLIENT_BROKE_RULE,
    }
}

impl Shard {
    /// Begins to close a session: its last bytes are queued, and nothing after them.
    pub(crate) fn close(&mut self, id: SessionId, closing: Closing<'_>) {
        let now = self.wheel.now();
        let Some(session) = self.hub.session_mut(id) else { return };
        if session.attachment.end != End::Open {
            return;
        }
        let form = session.form();
        session.attachment.end = End::Closing(closing.code.get());
        session.attachment.clock.closing = now;
        let mut last = Vec::new();
        let Closing { code, reconnect_in_ms, .. } = closing;
        let told = closing.told();
        let reason = told.as_ref();
        match form {
            Form::Bare => {}
            Form::Envelope => last.extend_from_slice(&self.encoder.text_frame(|text| {
                envelope::write_close(text, None, code.get(), reason, reconnect_in_ms);
            })),
            Form::EventStream => {
                event_stream::write_close(&mut last, code.get(), reason, reconnect_in_ms);
            }
            Form::Lines => lines::write_close(&mut last, code.get(), reason, reconnect_in_ms),
            Form::LongPoll => self.note_closed(id, closing),
        }
        if let Some(session) = self.hub.session_mut(id)
            && let Some(websocket) = session.attachment.transport.websocket_mut()
        {
            websocket.close(code, reason, &mut last);
        }
        let dropped = self.hub.send_last(id, Bytes::from(last), closing.drop_queue);
        self.counters.dropped("slow_consumer", dropped);
        self.log_close(id, Ended { code: code.get(), cause: closing.cause }, reason);
        self.look_anew(id);
    }

    /// Closes the sessions whose queues were full.
    pub(super) fn close_slow_consumers(&mut self) {
        while let Some(id) = self.hub.poll_overflow() {
            let Some(session) = self.hub.session(id) else { continue };
            if session.form() == Form::LongPoll {
                // It has as much as an answer may hold, and nothing is lost: it asks for the rest next.
                self.hub.mark_dirty(id);
                continue;
            }
            let (bytes, messages) = (session.queue.bytes(), session.queue.messages());
            self.counters.slow_consumers_queue += 1;
            let remote = session.attachment.about.remote;
            tracing::warn!(
                event = "slow_consumer",
                number = %known::SLOW_CONSUMER,
                connection = %self.name_of(id),
                %remote,
                bytes,
                messages,
                "a client does not take what it asked for: closing it with 1013"
            );
            let most = self.generation.settings.limits.ws_out_queue_msgs;
            let cause = if messages >= most { Cause::QueueMessages } else { Cause::QueueBytes };
            let closing = Closing::of(known::SLOW_CONSUMER, "slow_consumer");
            self.close(id, Closing { drop_queue: true, cause, ..closing });
        }
    }

    /// The client's Close came; `replies` ends with our answer to it.
    pub(super) fn peer_closed(&mut self, id: SessionId, code: Option<u16>, reason: &str, replies: &[u8]) {
        let now = self.wheel.now();
        let Some(session) = self.hub.session_mut(id) else { return };
        let code = code.unwrap_or(CloseCode::NO_STATUS.get());
        let begun_here = session.attachment.end != End::Open;
        session.attachment.end = End::Closing(code);
        session.attachment.clock.closing = now;
        self.hub.send_last(id, Bytes::copy_from_slice(replies), false);
        // With nothing left to write the flush that follows ends the connection.
        self.hub.mark_dirty(id);
        if !begun_here {
            self.log_close(id, Ended { code, cause: Cause::Client }, reason);
        }
        self.look_anew(id);
    }

    /// The client broke a rule; `replies` ends with the Close that says so.
    pub(super) fn peer_broke(&mut self, id: SessionId, error: ProtocolError, replies: &[u8]) {
        let now = self.wheel.now();
        let rule = error.rule();
        let Some(session) = self.hub.session_mut(id) else { return };
        session.attachment.end = End::Closing(rule.code.get());
        let code = rule.code;
        let cause = if code == CloseCode::MESSAGE_TOO_BIG { Cause::MessageBytes } else { Cause::Protocol };
        let first = session.attachment.ended.is_none();
        session.attachment.ended.get_or_insert(Ended { code: code.get(), cause });
        session.attachment.clock.closing = now;
        let remote = session.attachment.about.remote;
        self.hub.send_last(id, Bytes::copy_from_slice(replies), false);
        self.look_anew(id);
        if !first {
            return;
        }
        self.endings.keep_reason(id, &error.to_string());
        self.counters.protocol_errors += 1;
        self.counters.closed_with(rule.code.get());
        tracing::info!(
            event = "protocol_error",
            number = %known_of(rule.code),
            connection = %self.name_of(id),
            %remote,
            code = rule.code.get(),
            rfc = rule.rfc,
            section = rule.section,
            "{error}"
        );
    }

    /// Notes an end, once for each connection: when it is decided, not when the last byte has gone.
    pub(super) fn log_close(&mut self, id: SessionId, ended: Ended, reason: &str) {
        let Some(session) = self.hub.session_mut(id) else { return };
        if session.attachment.ended.is_some() {
            return;
        }
        session.attachment.ended = Some(ended);
        let about = &session.attachment.about;
        let code = ended.code;
        if !matches!(ended.cause, Cause::Bytes | Cause::Answered | Cause::Shutdown) {
            self.endings.keep_reason(id, reason);
        }
        tracing::debug!(
            event = "connection_closed",
            connection = %format_args!("{}-{id}", self.id.0),
            remote = %about.remote,
            channel = %about.channel,
            code,
            reason = %reason.escape_debug(),
            "closed"
        );
        self.counters.closed_with(code);
    }

    /// The connection's name in logs and on the admin listener.
    pub(crate) fn name_of(&self, id: SessionId) -> String {
        format!("{}-{id}", self.id.0)
    }
}
