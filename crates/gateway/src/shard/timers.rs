//! What time does to connections: pings, and the ends of those that do not answer, take or finish. The
//! wheel says when to look.

use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use tidegate_hub::{Form, SessionId};
use tidegate_inspect::words::known;
use tidegate_protocol::{event_stream, lines};
use tidegate_websocket::CloseCode;
use tidegate_websocket::timing::Due;

use super::connection::{End, Transport, timeouts};
use super::ending::{Cause, Ended, Gone};
use super::read::micros_since;
use super::wheel::{Tick, ticks};
use super::{Closing, Shard};

/// A Ping without payload, as a server sends it.
const PING: &[u8] = &[0x89, 0x00];

impl Shard {
    pub(super) fn begin_timers(&mut self, id: SessionId) {
        let interval = self.jittered_ping_interval();
        let now = self.wheel.now();
        // A long poll cannot be pinged before it is answered, and how long that may take its task knows.
        if let Some(session) = self.hub.session_mut(id)
            && session.form() != Form::LongPoll
        {
            session.attachment.clock.ping_due = now.plus(ticks(interval));
        }
        self.look_anew(id);
        self.await_expiry(id);
    }

    /// Notes when the token of a new session ends.
    fn await_expiry(&mut self, id: SessionId) {
        let end = self.hub.session(id).and_then(|session| session.attachment.expires());
        if let Some(end) = end {
            self.expiries.schedule(id, end, Instant::now(), SystemTime::now());
        }
    }

    /// The interval with 10 % jitter either way, so that pings of clients that came together part.
    fn jittered_ping_interval(&self) -> Duration {
        let interval = self.generation.settings.limits.ws_ping_interval;
        interval.mul_f64(0.9 + 0.2 * fastrand::f64())
    }

    /// Asks the wheel to come back to `id` when its next timer is due, if that is sooner than it would.
    pub(super) fn look_anew(&mut self, id: SessionId) {
        let Some(session) = self.hub.session_mut(id) else { return };
        let connection = &mut session.attachment;
        let timeouts = timeouts(&self.generation.settings.limits);
        let Some(due) = connection.clock.next_look(&timeouts) else { return };
        if connection.look <= self.wheel.now() || due < connection.look {
            connection.look = self.wheel.schedule(id, due);
        }
    }

    /// Moves the wheel to `now` and does what is due; whether anything was.
    pub(super) fn turn_wheel(&mut self, now: Instant) -> bool {
        let mut due = Vec::new();
        self.wheel.turn(now, &mut due);
        let was_due = !due.is_empty();
        for (id, asked_for) in due {
            let current = self.hub.session(id).map(|session| session.attachment.look);
            if current == Some(asked_for) {
                self.look_at(id);
            }
        }
        self.turn_expiries(now) || was_due
    }

    /// Moves the tokens' wheel to `now` and closes those whose tokens have ended; whether any were looked at.
    fn turn_expiries(&mut self, now: Instant) -> bool {
        if self.expiries.is_empty() {
            return false;
        }
        let (date, mut due) = (SystemTime::now(), Vec::new());
        self.expiries.turn(now, date, &mut due);
        let was_due = !due.is_empty();
        for (id, _) in due {
            match self.hub.session(id).and_then(|session| session.attachment.expires()) {
                Some(end) if end <= date => self.expire(id),
                Some(end) => self.expiries.schedule(id, end, now, date),
                None => {}
            }
        }
        was_due
    }

    fn look_at(&mut self, id: SessionId) {
        let now = self.wheel.now();
        let Some(session) = self.hub.session_mut(id) else { return };
        if session.attachment.paused {
            session.attachment.clock.excuse(now);
        }
        let due = session.attachment.clock.due(now, &timeouts(&self.generation.settings.limits));
        match due {
            Due::Nothing => {}
            Due::Ping => self.ping(id, now),
            Due::PongTimeout => {
                self.cut(id, Ended { code: 1006, cause: Cause::Pong }, "pong_timeout");
                return;
            }
            Due::CloseTimeout => {
                self.cut(id, Ended { code: 1006, cause: Cause::Gateway }, "close_timeout");
                return;
            }
            Due::WriteTimeout => {
                self.counters.slow_consumers_stall += 1;
                tracing::warn!(event = "slow_consumer", number = %known::SLOW_CONSUMER, connection = %self.name_of(id), "a client takes nothing: cut");
                // It takes nothing, so a close frame would not reach it.
                let ended = Ended { code: CloseCode::TRY_AGAIN_LATER.get(), cause: Cause::Write };
                self.cut(id, ended, "slow_consumer");
                return;
            }
            Due::MessageTimeout => {
                let closing = Closing::of(known::MESSAGE_TIME, "message_timeout");
                self.close(id, Closing { cause: Cause::Message, ..closing });
            }
        }
        self.look_anew(id);
    }

    /// The client's token has ended, and with it all that it granted.
    fn expire(&mut self, id: SessionId) {
        if self.hub.session(id).is_none_or(|session| session.attachment.end != End::Open) {
            return;
        }
        self.counters.tokens_expired += 1;
        let closing = Closing::of(known::TOKEN_EXPIRED, "the token has expired");
        self.close(id, Closing { cause: Cause::Token, ..closing });
    }

    /// Pings; an event stream gets a comment instead, lines of JSON an empty one.
    fn ping(&mut self, id: SessionId, now: Tick) {
        let interval = self.jittered_ping_interval();
        let Some(session) = self.hub.session_mut(id) else { return };
        let form = session.form();
        let clock = &mut session.attachment.clock;
        clock.ping_due = now.plus(ticks(interval));
        match form {
            Form::Bare | Form::Envelope => {
                clock.pinged = now;
                session.attachment.tally.ping_went(micros_since(self.started));
                self.send(id, Bytes::from_static(PING), 0);
            }
            // Nothing answers these: a client that is gone shows when the writes stall.
            Form::EventStream => self.send(id, Bytes::from_static(event_stream::KEEP_ALIVE), 0),
            Form::Lines => self.send(id, Bytes::from_static(lines::KEEP_ALIVE), 0),
            Form::LongPoll => {}
        }
    }

    /// Ends a connection without another word, for there is nobody to hear it.
    fn cut(&mut self, id: SessionId, ended: Ended, reason: &'static str) {
        self.log_close(id, ended, reason);
        match self.hub.session(id).map(|session| &session.attachment.transport) {
            Some(Transport::Body { cut, .. }) => cut.notify_one(),
            Some(Transport::LongPoll(poll)) => poll.cut.notify_one(),
            Some(Transport::Socket { .. } | Transport::Tls { .. } | Transport::Stream { .. }) | None => {}
        }
        self.forget_for(id, reason, Gone::GivenUp);
    }
}
