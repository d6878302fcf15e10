//! The shard as the home of channels: appending, following, and what sources say about themselves; and as
//! a follower of homes elsewhere: the answer to a subscription, notices for subscribers.

use std::sync::Arc;
use std::task::Waker;
use std::time::Instant;

use tidegate_hub::{
    Appended, Behind, ChannelName, Compared, Encode, Epoch, Form, Fresh, Item, Left, Member, Packing,
    Payload, Position, Precondition, Present, Publication, Recovery, RepeatLimits, Retention, SessionId,
    ShardId, Updates,
};
use tidegate_protocol::{ErrorCode, close_code, envelope, event_stream, lines};
use tidegate_websocket::CloseCode;
use tokio::sync::oneshot;

use super::crossing::{Crossing, Follow, Followed, NotFollowed, Notice, OUTBOX_MAX, Resume};
use super::{Closing, Shard};

/// Publications that may wait on the way to their subscribers before sources pause.
const SOURCE_PAUSES_AT: usize = 4096;

/// A publication has been appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Published {
    pub(crate) position: Position,
    pub(crate) subscribers: u32,
}

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

/// What a publisher hands in.
#[derive(Debug, Clone)]
pub(crate) struct Submission {
    pub(crate) item: Item,
    /// With a key it is published once, however often it is handed in.
    pub(crate) key: Option<String>,
    /// Without it nothing is published.
    pub(crate) precondition: Option<Precondition>,
}

impl From<Payload> for Submission {
    fn from(payload: Payload) -> Self {
        Self { item: payload.into(), key: None, precondition: None }
    }
}

/// Who waits for what comes of a publication, or of a removal.
pub(crate) type Answer<T> = oneshot::Sender<Result<T, NotPublished>>;

/// Why nothing was appended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NotPublished {
    /// `channels_max_total`.
    TooManyChannels,
    /// Another shard does not keep up.
    Overloaded,
    /// The channel's position is this one, or it has none.
    Precondition(Option<Position>),
    /// As much waits to be written to disk as may.
    StoreBehind,
    /// The disk takes nothing, for this reason.
    NotKept(Arc<str>),
    /// The channel is being removed from the disk.
    Leaving,
}

impl NotPublished {
    /// True if it is the store that refuses.
    pub(super) fn is_of_the_store(&self) -> bool {
        matches!(self, Self::StoreBehind | Self::NotKept(_))
    }
}

impl Shard {
    /// Appends what a publisher handed in, once for each key: a repetition gets the position that the first
    /// one got, whatever has been published since. With a store the answer comes when it is kept.
    pub(crate) fn submit_at_home(
        &mut self,
        channel: &ChannelName,
        submission: Submission,
        retention: Retention,
        answer: Answer<Published>,
    ) {
        if self.keeping.is_some() {
            return self.stage_at_home(channel, submission, retention, answer);
        }
        let (home, payload) = (channel.clone(), submission.item.payload.clone());
        self.compared(channel, &payload, move |there, compared| {
            // Whoever publishes may have gone.
            let _ = answer.send(there.append_at_home(&home, submission, compared, retention));
        });
    }

    fn append_at_home(
        &mut self,
        channel: &ChannelName,
        submission: Submission,
        compared: Option<Compared>,
        retention: Retention,
    ) -> Result<Published, NotPublished> {
        let Submission { item, key, precondition } = submission;
        if let Some(published) = key.as_deref().and_then(|key| self.published_before(channel, key)) {
            return Ok(published);
        }
        if let Some(precondition) = precondition {
            self.engine.check(channel, precondition).map_err(NotPublished::Precondition)?;
        }
        let published = self.publish_at_home(channel, item, compared, retention)?;
        if let Some(key) = key {
            self.note_key(channel, &key, published.position);
        }
        Ok(published)
    }

    /// What came of the publication with this key, if it is remembered.
    pub(super) fn published_before(&mut self, channel: &ChannelName, key: &str) -> Option<Published> {
        let position = self.repeats.find(channel, key, self.repeat_limits(), Instant::now())?;
        Some(Published { position, subscribers: self.engine.followers(channel) })
    }

    /// Remembers with which key a publication came to its place.
    pub(super) fn note_key(&mut self, channel: &ChannelName, key: &str, position: Position) {
        self.repeats.note(channel, key, position, self.repeat_limits(), Instant::now());
    }

    /// How long keys are remembered, and how many of them here.
    pub(super) fn repeat_limits(&self) -> RepeatLimits {
        let limits = &self.generation.settings.limits;
        let max_keys = limits.dedup_max_keys as usize / usize::from(self.process.shards);
        RepeatLimits { window: limits.dedup_window, max_keys }
    }

    /// Appends to a channel that is at home here and hands it to the shards that follow, without any store.
    pub(crate) fn publish_at_home(
        &mut self,
        channel: &ChannelName,
        item: Item,
        compared: Option<Compared>,
        retention: Retention,
    ) -> Result<Published, NotPublished> {
        // Its offsets are not known before the store has answered, if another kind of route filled it just now.
        if self.is_behind(OUTBOX_MAX) || self.engine.is_staged(channel) {
            return Err(NotPublished::Overloaded);
        }
        let fresh = self.fresh(retention, false);
        let appended = self.engine.append(channel, item, compared, fresh, Instant::now());
        let appended = appended.map_err(|_| NotPublished::TooManyChannels)?;
        Ok(self.spread(channel, &appended))
    }

    /// Hands what was appended to the shards that follow.
    pub(super) fn spread(&mut self, channel: &ChannelName, appended: &Appended) -> Published {
        self.counters.published += 1;
        let epoch = appended.position.epoch;
        for shard in self.engine.following(channel) {
            let publication = appended.publication.clone();
            let crossing = Crossing::Publication { channel: channel.clone(), epoch, publication };
            if let Some(outbox) = self.outboxes.get_mut(usize::from(shard.0)) {
                outbox.push(crossing);
            }
        }
        Published { position: appended.position, subscribers: appended.followers }
    }

    /// What a log begins with that is created now; `kept`: the store has a copy of it.
    pub(super) fn fresh(&self, retention: Retention, kept: bool) -> Fresh {
        Fresh { retention, epoch: Epoch(fastrand::u32(1..)), copied: kept && self.keeping.is_some() }
    }

    /// True while as much as `bound` waits to be fanned out here or to be handed to another shard.
    pub(super) fn is_behind(&self, bound: usize) -> bool {
        self.hub.backlog() >= bound || self.outboxes.iter().any(|outbox| outbox.len() >= bound)
    }

    /// Whether a source must wait before it brings more; its waker is called when it need not.
    pub(crate) fn must_wait(&mut self, source: &Waker) -> bool {
        let behind = self.is_behind(SOURCE_PAUSES_AT);
        if behind {
            self.paused_sources.push(source.clone());
        }
        behind
    }

    /// Lets sources go on once there is room.
    pub(super) fn wake_sources(&mut self) {
        if !self.paused_sources.is_empty() && !self.is_behind(SOURCE_PAUSES_AT) {
            self.paused_sources.drain(..).for_each(Waker::wake);
        }
    }

    pub(super) fn follow_at_home(&mut self, follow: Follow) {
        let Follow { session, ticket, shard, channel, resume, newest, retention, sourced, member } = follow;
        let Resume { after, updates } = resume;
        let fresh = self.fresh(retention, !sourced);
        let mut recovery = if sourced && !self.sources.is_running(&channel) {
            Err(NotFollowed::SourceEnded)
        } else {
            let followed = self.engine.follow(&channel, shard, after, updates, fresh, Instant::now());
            followed.map_err(|_| NotFollowed::TooManyChannels)
        };
        let log = self.engine.log(&channel);
        let document = log.is_some_and(|log| log.retention().document);
        if let Ok(recovery) = &mut recovery
            && newest
            && recovery.publications.is_empty()
        {
            recovery.publications.extend(log.and_then(tidegate_hub::Log::newest).map(Publication::whole));
        }
        let trouble = self.troubles.get(&channel).cloned();
        let passed_over = false;
        let member = member.filter(|_| recovery.is_ok());
        let present = member.map(|member| self.join_at_home(&channel, shard, session, member));
        let followed =
            Followed { session, ticket, channel, updates, recovery, document, present, passed_over, trouble };
        self.cross(shard, Crossing::Followed(followed));
    }

    /// The newest of a channel that is at home here, for a session that was passed over.
    pub(super) fn newest_at_home(
        &mut self,
        session: SessionId,
        shard: ShardId,
        behind: Behind,
        member: Option<Member>,
    ) {
        let Behind { ticket, left } = behind;
        let recovery = self.engine.newest(&left, shard).ok_or(NotFollowed::SourceEnded);
        let Left { channel, epoch, updates } = left;
        // It has followed an earlier life of the channel, and comes to this one.
        let comes = recovery.as_ref().is_ok_and(|recovery| recovery.position.epoch != epoch);
        if let Some(member) = member.filter(|_| comes) {
            self.join_at_home(&channel, shard, session, member);
        }
        // Why the source fails, and that it is well again, was told meanwhile as well.
        let (document, passed_over, trouble) = (false, true, None);
        let present = self.present(&channel);
        let followed =
            Followed { session, ticket, channel, updates, recovery, document, present, passed_over, trouble };
        self.cross(shard, Crossing::Followed(followed));
    }

    /// The source of a channel that is at home here has something to say to all that follow it.
    pub(crate) fn notify_followers(&mut self, channel: &ChannelName, notice: Notice) {
        match &notice {
            Notice::Failing(reason) => {
                self.troubles.insert(channel.clone(), Arc::clone(reason));
            }
            Notice::Presence(_) => {}
            Notice::Recovered(_) | Notice::Over { .. } => {
                self.troubles.remove(channel);
            }
        }
        let following: Vec<_> = self.engine.following(channel).collect();
        for shard in following {
            self.cross(shard, Crossing::Notice { channel: channel.clone(), notice: notice.clone() });
        }
    }

    /// Forgets a channel that is at home here, with its history. Those who follow it are told first, if
    /// there are any.
    pub(crate) fn drop_channel(&mut self, channel: &ChannelName, notice: Notice) -> bool {
        self.append_waiting(channel);
        self.notify_followers(channel, notice);
        self.sources.stop(channel);
        self.presences.remove(channel);
        self.engine.remove(channel).is_some()
    }

    /// The source of a channel that is at home here is well again.
    pub(crate) fn tell_recovered(&mut self, channel: &ChannelName) {
        match self.engine.log(channel).map(tidegate_hub::Log::position) {
            Some(position) => self.notify_followers(channel, Notice::Recovered(position)),
            None => drop(self.troubles.remove(channel)),
        }
    }

    /// Forgets a channel that nobody follows, with what was the matter with its source.
    pub(crate) fn forget_channel(&mut self, channel: &ChannelName) {
        self.append_waiting(channel);
        self.troubles.remove(channel);
        self.engine.remove(channel);
    }

    /// Where a channel that is at home here stands, and its newest publication if that is kept.
    pub(crate) fn newest(&self, channel: &ChannelName) -> Option<(Position, Option<Publication>)> {
        let log = self.engine.log(channel)?;
        Some((log.position(), log.newest().cloned()))
    }

    /// Why the source of a channel that is at home here fails just now.
    pub(crate) fn trouble(&self, channel: &ChannelName) -> Option<&Arc<str>> {
        self.troubles.get(channel)
    }

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
        if form == Form::LongPoll {
            self.begin_long_poll(session, &recovery, document);
        }
        self.send_recovery(session, form, updates, &channel, &recovery, present.as_ref());
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
                Notice::Failing(reason) => self.send_trouble(id, form, channel, reason),
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
