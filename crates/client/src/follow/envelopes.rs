//! What the gateway says, and what its follower tells of it.
//!
//! Envelopes come from the connection that stands; what a position means is decided in `channels`.

use std::time::Duration;

use tidegate_protocol::client::{Failure, Outcome};
use tidegate_protocol::{Envelope, Position, PresenceChange};
use tokio::time::sleep;

use super::attempts::random;
use super::backoff::Asked;
use super::channels::Arrived;
use super::event::Event;
use super::interruption::Interruption;
use super::{Follower, State};

/// A channel whose subscription was refused so often in a row because of a limit is followed no longer: the
/// limit is not one of the moment. With the default back-off that is after half a minute.
const LIMIT_REFUSALS_MAX: u32 = 8;

impl Follower {
    pub(super) fn hear(&mut self, envelope: Envelope) {
        match envelope {
            Envelope::Open { channel, position, recovered, present } => {
                match self.channels.handle_open(&channel, position, recovered) {
                    Some((position, recovered)) => {
                        self.pending.push_back(Event::Open { channel, position, recovered, present });
                    }
                    // That of the URL, which the application does not follow any more.
                    None => self.unsubscribe(&channel),
                }
            }
            Envelope::Presence { channel, change } => self.hear_presence(channel, change),
            Envelope::Message { channel, position, content, event, source_id } => {
                match self.channels.handle_message(&channel, position) {
                    Arrived::Again | Arrived::Unknown => return,
                    Arrived::AfterGap => {
                        let before = Position { offset: position.offset.saturating_sub(1), ..position };
                        self.tell_gap(channel.clone(), before);
                    }
                    Arrived::Next => {}
                }
                self.pending.push_back(Event::Message { channel, position, content, event, source_id });
            }
            Envelope::Patch { channel, position, updates, patch } => {
                match self.channels.handle_patch(&channel, position) {
                    Arrived::Next => {
                        self.pending.push_back(Event::Patch { channel, position, updates, patch });
                    }
                    Arrived::Again | Arrived::Unknown => {}
                    // There is nothing that it could be applied to.
                    Arrived::AfterGap => {
                        self.unsubscribe(&channel);
                        self.channels.begin_anew(&channel);
                        self.tell_gap(channel, position);
                    }
                }
            }
            Envelope::Error { channel, failure, retry } => {
                let (code, message) = (failure.code, failure.message);
                self.pending.push_back(Event::Error { channel, code, message, retry });
            }
            Envelope::Close { channel: Some(channel), code, reason, .. } => {
                self.channels.forget(&channel);
                self.pending.push_back(Event::Close { channel, code, reason });
                self.end_if_nothing_is_left();
            }
            Envelope::Close { channel: None, reconnect_in_ms, .. } => {
                if let State::Open(link) = &mut self.state {
                    link.reconnect_in = reconnect_in_ms.map(Duration::from_millis);
                }
            }
            Envelope::Reply { id, channel, outcome } => self.hear_reply(id, channel, outcome),
            Envelope::Unknown => {}
        }
    }

    /// Something before the next publication is missing, and the gateway has not said so.
    fn tell_gap(&mut self, channel: String, position: Position) {
        self.pending.push_back(Event::Open { channel, position, recovered: false, present: None });
    }

    fn hear_presence(&mut self, channel: String, change: PresenceChange) {
        if !self.channels.is_open(&channel) {
            return;
        }
        let PresenceChange { member, joined, count } = change;
        self.pending.push_back(match joined {
            true => Event::Join { channel, member, count },
            false => Event::Leave { channel, member, count },
        });
    }

    fn hear_reply(&mut self, id: Option<String>, channel: Option<String>, outcome: Outcome) {
        let id = id.and_then(|id| id.parse().ok());
        let subscribed = id.and_then(|id| self.channels.handle_reply(id)).map(str::to_owned);
        match outcome {
            Outcome::Done | Outcome::Published(_) => {}
            Outcome::Answer(content) => self.pending.push_back(Event::Answer { channel, content }),
            Outcome::Failed(failure) => self.hear_failure(subscribed, channel, failure),
        }
    }

    /// A command failed; `subscribed` is the channel if it was to follow one.
    fn hear_failure(&mut self, subscribed: Option<String>, channel: Option<String>, failure: Failure) {
        let Failure { code, message, .. } = failure;
        let is_misfit = code == "bad_request";
        if is_misfit && subscribed.as_ref().is_some_and(|name| self.channels.handle_misfit(name)) {
            return;
        }
        let retry = match code.as_str() {
            "limit" => !subscribed.as_ref().is_some_and(|name| self.is_limited(name)),
            code => matches!(code, "upstream" | "rate_limited" | "internal"),
        };
        let channel = subscribed.clone().or(channel);
        self.pending.push_back(Event::Error { channel, code, message, retry });
        match subscribed {
            Some(name) if retry => self.ask_again(&name),
            Some(name) => {
                self.channels.forget(&name);
                self.end_if_nothing_is_left();
            }
            None => {}
        }
    }

    /// One more refusal because of a limit is the last one.
    fn is_limited(&self, name: &str) -> bool {
        self.channels.refusals(name).saturating_add(1) >= LIMIT_REFUSALS_MAX
    }

    /// A subscription was refused for now: it is asked for again on this connection, together with others
    /// that were refused meanwhile.
    fn ask_again(&mut self, name: &str) {
        let delay = self.options.backoff.delay(self.channels.refusals(name), Asked::Nothing, random());
        self.channels.hold(name);
        if let State::Open(link) = &mut self.state {
            link.again.get_or_insert_with(|| Box::pin(sleep(delay)));
        }
    }

    fn end_if_nothing_is_left(&mut self) {
        if self.channels.is_empty() {
            self.interrupt(Interruption::NothingLeft, None);
        }
    }
}
