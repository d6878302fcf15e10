//! The shard as a follower of homes elsewhere: the answer to a subscription, and notices for subscribers. Both come
//! with what is live in one mailbox; what goes out is bytes in send queues.

use bytes::Bytes;
use tidegate_hub::{
    Beginning, ChannelName, Encode, Form, Left, Outgoing, Packing, Position, Present, Recovery, SessionId,
    Updates,
};
use tidegate_inspect::words::known::{self, Known};
use tidegate_protocol::{ErrorCode, Failing, envelope, event_stream, lines};

use super::crossing::{Followed, NOT_READ, NotFollowed, Notice};
use super::{Cause, Closing, Shard};
use crate::refusal::{close_code_of, failing};

/// What an `open` says.
#[derive(Debug, Clone, Copy)]
struct Open<'p> {
    position: Position,
    recovered: bool,
    /// The client has what was published there, or needs it not.
    is_held: bool,
    /// Who is here, on a channel that tells.
    present: Option<&'p Present>,
}

impl<'p> Open<'p> {
    /// Before what was missed: who is cut off in the middle of it resumes from what it really has.
    fn before(recovery: &Recovery, updates: Updates, present: Option<&'p Present>) -> Self {
        let Recovery { position, recovered, publications } = recovery;
        let offset = publications.first().map_or(position.offset, |first| first.offset - 1);
        // A patch cannot be applied to what is still to come.
        let is_held =
            updates == Updates::Whole || publications.first().is_none_or(|one| one.change.is_some());
        Open { position: Position { offset, ..*position }, recovered: *recovered, is_held, present }
    }
}

impl Shard {
    /// The home has answered: what was missed goes out, then what is live.
    pub(super) fn begin_subscription(&mut self, followed: Followed) {
        let id = followed.session;
        self.begin_or_hold(followed);
        // Where nothing was queued there is nothing whose end would let the others go on.
        if self.hub.session(id).is_some_and(|session| session.is_behind() && session.queue.is_empty()) {
            self.catch_up(id);
        }
    }

    /// What comes before what is live is not measured by what makes a client slow. It has room of its own in the
    /// queue, and where that is taken by other channels the subscription begins when they have gone.
    fn begin_or_hold(&mut self, followed: Followed) {
        let Followed { session: id, ticket, channel, updates, beginning, recovery, document, .. } = followed;
        let recovery = match recovery {
            Ok(recovery) => recovery,
            Err(why) => {
                if self.hub.refused(id, ticket, &channel) {
                    self.tell_refused(id, &channel, beginning, why);
                }
                return;
            }
        };
        let left = Left { channel: channel.clone(), epoch: recovery.position.epoch, updates };
        let Some(form) = self.hub.session(id).map(tidegate_hub::Session::form) else {
            return self.leave(id, left);
        };
        let (recovery, missed) = self.encode_missed(form, updates, &channel, recovery, document);
        let open =
            self.open_bytes(form, &channel, Open::before(&recovery, updates, followed.present.as_ref()));
        let fails = followed.trouble.as_ref();
        let trouble = fails.map(|reason| self.trouble_bytes(form, &channel, reason)).unwrap_or_default();
        let has_room = self.hub.has_room_beside(id, open.len() + missed.len() + trouble.len());
        let begun = if has_room {
            self.hub.begin(id, ticket, &channel, left.epoch, &mut self.encoder)
        } else {
            self.hub.hold(id, ticket, &channel, left.epoch, beginning)
        };
        if !begun {
            self.leave(id, left);
        }
        if !begun || !has_room {
            return;
        }
        self.counters.unrecovered += u64::from(!recovery.recovered && beginning != Beginning::Newest);
        if form == Form::LongPoll {
            self.begin_long_poll(id, &recovery, document, fails);
        }
        let count = u32::try_from(recovery.publications.len()).unwrap_or(u32::MAX);
        let missed = self.packed_for(id, missed);
        for (bytes, messages) in [(open, 1), (missed, count), (trouble, 1)] {
            self.hub.send_beside(id, Outgoing { bytes, messages });
        }
        if form == Form::LongPoll
            && recovery.publications.last().is_some_and(|last| last.offset < recovery.position.offset)
        {
            // The rest comes with the next answer, and what is live behind it.
            self.unsubscribe(id, &channel);
        }
        if form == Form::Bare && !recovery.recovered && !document && beginning != Beginning::Newest {
            // Nothing in a bare payload can declare the gap: the close does.
            self.close(id, Closing::of(known::UNRECOVERABLE, "position unrecoverable"));
        }
    }

    /// What was missed in wire form. Where that is too large, and more than one publication, it counts as not
    /// recoverable, but for a long poll, which gets the first of it; one alone may be as large as its encoding
    /// makes it.
    fn encode_missed(
        &mut self,
        form: Form,
        updates: Updates,
        channel: &ChannelName,
        mut recovery: Recovery,
        document: bool,
    ) -> (Recovery, Bytes) {
        let most = self.generation.settings.limits.ws_out_queue_bytes;
        let mut encode = |recovery: &Recovery| match recovery.publications.as_slice() {
            [] => Bytes::new(),
            missed => self.encoder.encode(form, updates, channel, recovery.position.epoch, missed),
        };
        let mut missed = encode(&recovery);
        while form == Form::LongPoll && recovery.publications.len() > 1 && missed.len() > most {
            let count = recovery.publications.len();
            // As many as fit if all are alike; each turn has fewer.
            recovery.publications.truncate((count * most / missed.len()).clamp(1, count - 1));
            missed = encode(&recovery);
        }
        if recovery.publications.len() <= 1 || missed.len() <= most {
            return (recovery, missed);
        }
        let recovery = recovery.without_missed(document || updates != Updates::Whole);
        let missed = encode(&recovery);
        (recovery, missed)
    }

    /// What goes to one session alone, compressed as it agreed. It must be queued next.
    fn packed_for(&mut self, id: SessionId, encoded: Bytes) -> Bytes {
        let Some(session) = self.hub.session_mut(id).filter(|_| !encoded.is_empty()) else { return encoded };
        match session.packing() {
            Packing::Plain => encoded,
            Packing::Deflated => self.encoder.packer.alone(&encoded),
            Packing::Own => self.encoder.deflate_own(&encoded, &mut session.attachment),
        }
    }

    /// The word that a subscription stands, or stands again after its source had failed.
    fn open_bytes(
        &mut self,
        form: Form,
        channel: &ChannelName,
        Open { position, recovered, is_held, present }: Open<'_>,
    ) -> Bytes {
        match form {
            // What has begun is noted with a long poll, and said in its answer.
            Form::Bare | Form::LongPoll => Bytes::new(),
            Form::Envelope => self.encoder.text_frame(|text| {
                envelope::write_open_among(text, channel, position, recovered, present);
            }),
            Form::EventStream => {
                let mut open = Vec::new();
                event_stream::write_open_among(&mut open, channel, position, recovered, is_held, present);
                open.into()
            }
            Form::Lines => {
                let mut open = Vec::new();
                lines::write_open_among(&mut open, channel, position, recovered, present);
                open.into()
            }
        }
    }

    /// Whoever was passed over follows the channel, as far as it knows: that it is over has to be said like any end.
    fn tell_refused(&mut self, id: SessionId, channel: &ChannelName, beginning: Beginning, why: NotFollowed) {
        let Some(form) = self.hub.session(id).map(tidegate_hub::Session::form) else { return };
        match beginning {
            Beginning::After(_) => self.refuse_subscription(id, channel, why),
            Beginning::Newest => {
                self.end_subscription(id, form, channel, known::FOLLOW_ENDED, "the channel has just ended");
            }
        }
    }

    fn refuse_subscription(&mut self, id: SessionId, channel: &ChannelName, why: NotFollowed) {
        let (known, reason) = match why {
            NotFollowed::TooManyChannels => {
                (known::CHANNELS, "channels_max_total: there are as many channels as there may be")
            }
            NotFollowed::SourceEnded => (known::SOURCE_GONE, "its source has just ended: ask again"),
            NotFollowed::Dormant => (known::NOT_READ, NOT_READ),
        };
        match self.hub.session(id).map(tidegate_hub::Session::form) {
            Some(Form::Envelope) => {
                self.send_error(id, Some(channel.public_part()), failing(known, reason));
                if self.is_own(id, channel) {
                    self.close(id, Closing::of(known, reason));
                }
            }
            Some(Form::Bare | Form::EventStream | Form::Lines | Form::LongPoll) => {
                self.close(id, Closing::of(known, reason));
            }
            None => {}
        }
    }

    /// An `error` envelope to one `tidegate.v1` client.
    pub(crate) fn send_error(&mut self, id: SessionId, channel: Option<&str>, failing: Failing<'_>) {
        let frame = self.error_frame(channel, failing);
        self.send(id, frame, 1);
    }

    fn error_frame(&mut self, channel: Option<&str>, failing: Failing<'_>) -> Bytes {
        self.encoder.text_frame(|text| envelope::write_error(text, channel, failing))
    }

    /// The word that a source fails.
    fn trouble_bytes(&mut self, form: Form, channel: &ChannelName, reason: &str) -> Bytes {
        let failing = failing(known::SOURCE_FAILING, reason);
        match form {
            Form::Bare | Form::LongPoll => Bytes::new(),
            Form::Envelope => self.error_frame(Some(channel.public_part()), failing),
            Form::EventStream => {
                let mut event = Vec::new();
                event_stream::write_error(&mut event, channel, failing);
                event.into()
            }
            Form::Lines => {
                let mut line = Vec::new();
                lines::write_error(&mut line, channel, failing);
                line.into()
            }
        }
    }

    /// Tells the subscribers here what a source said. The channel is settled: what was published before the
    /// notice is heard before it.
    pub(super) fn pass_notice(&mut self, channel: &ChannelName, notice: &Notice) {
        if let Notice::Presence(change) = notice {
            let followers = self.hub.followers(channel);
            self.pass_presence(followers, channel, change);
            return;
        }
        for (id, form) in self.hub.followers(channel) {
            match notice {
                Notice::Presence(_) => {}
                Notice::Failing(reason) if form == Form::LongPoll => self.turn_long_poll(id, Some(reason)),
                Notice::Failing(reason) => {
                    let bytes = self.trouble_bytes(form, channel, reason);
                    self.hub.tell(id, channel, Outgoing { bytes, messages: 1 });
                }
                Notice::Recovered(_) if form == Form::LongPoll => self.turn_long_poll(id, None),
                Notice::Recovered(position) => {
                    let open = Open { position: *position, recovered: true, is_held: true, present: None };
                    let bytes = self.open_bytes(form, channel, open);
                    self.hub.tell(id, channel, Outgoing { bytes, messages: 1 });
                }
                Notice::Over { known, reason } => self.end_subscription(id, form, channel, known, reason),
            }
        }
    }

    fn end_subscription(
        &mut self,
        id: SessionId,
        form: Form,
        channel: &ChannelName,
        known: &'static Known,
        reason: &str,
    ) {
        let own = self.is_own(id, channel);
        // Its home has forgotten the channel with all who followed it: it is told nothing.
        self.hub.unsubscribe(id, channel);
        if form == Form::Envelope {
            self.send_error(id, Some(channel.public_part()), failing(known, reason));
            let code = close_code_of(known);
            let frame = self.encoder.text_frame(|text| {
                envelope::write_close(text, Some(channel), code.get(), reason, None);
            });
            self.send(id, frame, 1);
        }
        if own || form != Form::Envelope {
            let cause = match failing(known, reason).code {
                ErrorCode::Upstream | ErrorCode::Unauthorized => Cause::Backend,
                ErrorCode::NotFound => Cause::Operator,
                _ => Cause::Gateway,
            };
            self.close(id, Closing { cause, ..Closing::of(known, reason) });
        }
    }

    /// True if the connection was opened for `channel`: it does not outlast that.
    fn is_own(&self, id: SessionId, channel: &ChannelName) -> bool {
        let own = self.hub.session(id).map(|session| session.attachment.about.channel.public_part());
        own == Some(channel.public_part())
    }
}
