//! The shard as a follower of homes elsewhere: the answer to a subscription, and notices for subscribers. Both come
//! with what is live in one mailbox; what goes out is bytes in send queues.

use tidegate_hub::{
    ChannelName, Encode, Form, Left, Packing, Position, Present, Recovery, SessionId, Updates,
};
use tidegate_protocol::{ErrorCode, close_code, envelope, event_stream, lines};
use tidegate_websocket::CloseCode;

use super::crossing::{Followed, NOT_READ, NotFollowed, Notice};
use super::{Closing, Shard};

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

impl Shard {
    /// The home has answered: what was missed goes out, then what is live.
    pub(super) fn begin_subscription(&mut self, followed: Followed) {
        let Followed { session, ticket, channel, updates, recovery, document, present, passed_over, trouble } =
            followed;
        let recovery = match recovery {
            Ok(recovery) => recovery,
            Err(why) => {
                if self.hub.refused(session, ticket, &channel) {
                    self.refuse_subscription(session, &channel, why);
                }
                return;
            }
        };
        let epoch = recovery.position.epoch;
        if !self.hub.begin(session, ticket, &channel, epoch, &mut self.encoder) {
            self.leave(session, Left { channel, epoch, updates });
            return;
        }
        let Some(form) = self.hub.session(session).map(tidegate_hub::Session::form) else { return };
        let lost = !recovery.recovered && !document && !passed_over;
        self.counters.unrecovered += u64::from(!recovery.recovered && !passed_over);
        if form == Form::LongPoll {
            self.begin_long_poll(session, &recovery, document, trouble.as_ref());
        }
        self.send_recovery(session, form, updates, &channel, &recovery, present.as_ref());
        if form == Form::LongPoll
            && recovery.publications.last().is_some_and(|last| last.offset < recovery.position.offset)
        {
            // The rest comes with the next answer, and what is live behind it.
            self.unsubscribe(session, &channel);
        }
        if lost && form == Form::Bare {
            // Nothing in a bare payload can declare the gap: the close does.
            let code = CloseCode::new(close_code::POSITION_UNRECOVERABLE);
            self.close(session, Closing { code, reason: "position unrecoverable", ..Closing::default() });
        }
        if let Some(reason) = trouble {
            self.send_trouble(session, form, &channel, &reason);
        }
    }

    fn send_recovery(
        &mut self,
        id: SessionId,
        form: Form,
        updates: Updates,
        channel: &ChannelName,
        recovery: &Recovery,
        present: Option<&Present>,
    ) {
        let Recovery { position, recovered, publications } = recovery;
        // Where the client stands before the replay: who is cut off in the middle of it resumes from what it
        // really has.
        let offset = publications.first().map_or(position.offset, |first| first.offset - 1);
        // A patch cannot be applied to what is still to come.
        let is_held =
            updates == Updates::Whole || publications.first().is_none_or(|one| one.change.is_some());
        let open =
            Open { position: Position { offset, ..*position }, recovered: *recovered, is_held, present };
        self.send_open(id, form, channel, open);
        if publications.is_empty() {
            return;
        }
        let encoded = self.encoder.encode(form, updates, channel, position.epoch, publications);
        let Some(session) = self.hub.session_mut(id) else { return };
        let bytes = match session.packing() {
            Packing::Plain => encoded,
            Packing::Deflated => self.encoder.packer.alone(&encoded),
            Packing::Own => self.encoder.deflate_own(&encoded, &mut session.attachment),
        };
        self.send(id, bytes, u32::try_from(publications.len()).unwrap_or(u32::MAX));
    }

    /// Says that the subscription stands, or stands again after its source had failed.
    fn send_open(
        &mut self,
        id: SessionId,
        form: Form,
        channel: &ChannelName,
        Open { position, recovered, is_held, present }: Open<'_>,
    ) {
        match form {
            // What has begun is noted with a long poll, and said in its answer.
            Form::Bare | Form::LongPoll => {}
            Form::Envelope => {
                let open = self.encoder.text_frame(|text| {
                    envelope::write_open_among(text, channel, position, recovered, present);
                });
                self.send(id, open, 1);
            }
            Form::EventStream => {
                let mut open = Vec::new();
                event_stream::write_open_among(&mut open, channel, position, recovered, is_held, present);
                self.send(id, open.into(), 1);
            }
            Form::Lines => {
                let mut open = Vec::new();
                lines::write_open_among(&mut open, channel, position, recovered, present);
                self.send(id, open.into(), 1);
            }
        }
    }

    fn refuse_subscription(&mut self, id: SessionId, channel: &ChannelName, why: NotFollowed) {
        let (code, reason) = match why {
            NotFollowed::TooManyChannels => {
                (ErrorCode::Limit, "channels_max_total: there are as many channels as there may be")
            }
            NotFollowed::SourceEnded => (ErrorCode::Upstream, "its source has just ended: ask again"),
            NotFollowed::Dormant => (ErrorCode::Limit, NOT_READ),
        };
        match self.hub.session(id).map(tidegate_hub::Session::form) {
            Some(Form::Envelope) => {
                self.send_error(id, Some(channel.public_part()), code, reason);
            }
            Some(Form::Bare | Form::EventStream | Form::Lines | Form::LongPoll) => {
                let code = CloseCode::TRY_AGAIN_LATER;
                self.close(id, Closing { code, reason, ..Closing::default() });
            }
            None => {}
        }
    }

    /// An `error` envelope to one `tidegate.v1` client.
    pub(crate) fn send_error(
        &mut self,
        id: SessionId,
        channel: Option<&str>,
        code: ErrorCode,
        message: &str,
    ) {
        let frame =
            self.encoder.text_frame(|text| envelope::write_error(text, channel, code, message, code.retry()));
        self.send(id, frame, 1);
    }

    fn send_trouble(&mut self, id: SessionId, form: Form, channel: &ChannelName, reason: &str) {
        match form {
            Form::Bare | Form::LongPoll => {}
            Form::Envelope => {
                self.send_error(id, Some(channel.public_part()), ErrorCode::Upstream, reason);
            }
            Form::EventStream => {
                let mut event = Vec::new();
                event_stream::write_error(&mut event, channel, ErrorCode::Upstream, reason, true);
                self.send(id, event.into(), 1);
            }
            Form::Lines => {
                let mut line = Vec::new();
                lines::write_error(&mut line, channel, ErrorCode::Upstream, reason, true);
                self.send(id, line.into(), 1);
            }
        }
    }

    /// Tells the subscribers here what a source said. Fan-out comes first: what was published before the
    /// notice is heard before it.
    pub(super) fn pass_notice(&mut self, channel: &ChannelName, notice: &Notice) {
        self.hub.settle(channel, &mut self.encoder);
        if let Notice::Presence(change) = notice {
            let followers = self.hub.followers(channel);
            self.pass_presence(followers, channel, change);
            return;
        }
        for (id, form) in self.hub.followers(channel) {
            match notice {
                Notice::Presence(_) => {}
                Notice::Failing(reason) if form == Form::LongPoll => self.turn_long_poll(id, Some(reason)),
                Notice::Failing(reason) => self.send_trouble(id, form, channel, reason),
                Notice::Recovered(_) if form == Form::LongPoll => self.turn_long_poll(id, None),
                Notice::Recovered(position) => {
                    let open = Open { position: *position, recovered: true, is_held: true, present: None };
                    self.send_open(id, form, channel, open);
                }
                Notice::Over { code, error, reason } => {
                    self.end_subscription(id, form, channel, *code, *error, reason);
                }
            }
        }
    }

    fn end_subscription(
        &mut self,
        id: SessionId,
        form: Form,
        channel: &ChannelName,
        code: CloseCode,
        error: ErrorCode,
        reason: &str,
    ) {
        let own = self
            .hub
            .session(id)
            .is_some_and(|session| session.attachment.about.channel.public_part() == channel.public_part());
        // Its home has forgotten the channel with all who followed it: it is told nothing.
        self.hub.unsubscribe(id, channel);
        if form == Form::Envelope {
            self.send_error(id, Some(channel.public_part()), error, reason);
            let frame = self.encoder.text_frame(|text| {
                envelope::write_close(text, Some(channel), code.get(), reason, None);
            });
            self.send(id, frame, 1);
        }
        if own || form != Form::Envelope {
            self.close(id, Closing { code, reason, ..Closing::default() });
        }
    }
}
