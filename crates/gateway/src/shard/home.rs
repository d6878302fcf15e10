//! The shard as the home of channels: appending, following, and what sources say about themselves. What those
//! hear who follow is the business of `following`.

use std::sync::Arc;
use std::task::Waker;
use std::time::Instant;

use tidegate_hub::{
    Appended, Beginning, Behind, ChannelName, Compared, Epoch, Fresh, Item, Left, Member, Payload, Position,
    Precondition, Publication, RepeatLimits, Retention, SessionId, ShardId,
};
use tidegate_inspect::words::known;
use tokio::sync::oneshot;

use super::Shard;
use super::crossing::{Crossing, Follow, Followed, NotFollowed, Notice, OUTBOX_MAX, Resume};
use crate::route::Kind;

/// Publications that may wait on the way to their subscribers before sources pause.
const SOURCE_PAUSES_AT: usize = 4096;

/// A publication has been appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Published {
    pub(crate) position: Position,
    pub(crate) subscribers: u32,
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
    /// The channel is on disk and was not read.
    Dormant,
    /// The channel has left the memory while this was written to disk.
    Gone,
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
        self.end_other_kind(channel, false);
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
        let published = self.append(channel, item, compared, self.fresh(retention, false))?;
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

    /// Appends what a source brings to a channel that is at home here and hands it to the shards that follow.
    /// [`Shard::end_other_kind`] comes before it.
    pub(crate) fn publish_at_home(
        &mut self,
        channel: &ChannelName,
        item: Item,
        compared: Option<Compared>,
        retention: Retention,
    ) -> Result<Published, NotPublished> {
        self.append(channel, item, compared, self.fresh(retention, true))
    }

    /// Appends without any store.
    fn append(
        &mut self,
        channel: &ChannelName,
        item: Item,
        compared: Option<Compared>,
        fresh: Fresh,
    ) -> Result<Published, NotPublished> {
        // Its offsets are not known before the store has answered, if it is just being removed there.
        if self.is_behind(OUTBOX_MAX) || self.engine.is_staged(channel) {
            return Err(NotPublished::Overloaded);
        }
        let appended = self.engine.append(channel, item, compared, fresh, Instant::now());
        let appended = appended.map_err(|_| NotPublished::TooManyChannels)?;
        Ok(self.spread(channel, &appended))
    }

    /// Hands what was appended to the shards that follow.
    pub(super) fn spread(&mut self, channel: &ChannelName, appended: &Appended) -> Published {
        self.counters.published += 1;
        if self.listening.is_watching() {
            self.listening.show(channel, appended.position, &appended.publication);
        }
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

    /// What a log begins with that is created now. What publishers fill has a copy in the store, if there is one.
    pub(super) fn fresh(&self, retention: Retention, sourced: bool) -> Fresh {
        let copied = !sourced && self.keeping.is_some();
        Fresh { retention, epoch: Epoch(fastrand::u32(1..)), copied, sourced }
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
        let Follow { session, ticket, shard, channel, resume, answered_once, retention, sourced, member } =
            follow;
        let Resume { after, updates } = resume;
        let fresh = self.fresh(retention, sourced);
        let mut recovery = if sourced && !self.sources.is_running(&channel) {
            Err(NotFollowed::SourceEnded)
        } else if !sourced && self.is_dormant(&channel) {
            Err(NotFollowed::Dormant)
        } else if !self.end_other_kind(&channel, sourced) {
            Err(NotFollowed::SourceEnded)
        } else {
            let now = Instant::now();
            let mut followed = self.engine.follow(&channel, shard, after, updates, fresh, now);
            if followed.is_err() && self.remove_idle() {
                followed = self.engine.follow(&channel, shard, after, updates, fresh, now);
            }
            followed.map_err(|_| NotFollowed::TooManyChannels)
        };
        if let Ok(recovery) = &mut recovery
            && answered_once
        {
            self.engine.make_answer(&channel, after, updates, recovery, Instant::now());
        }
        let document = self.engine.log(&channel).is_some_and(|log| log.retention().document);
        let trouble = self.troubles.get(&channel).cloned();
        let beginning = Beginning::After(after);
        let member = member.filter(|_| recovery.is_ok());
        let present = member.map(|member| self.join_at_home(&channel, shard, session, member));
        let followed =
            Followed { session, ticket, channel, updates, beginning, recovery, document, present, trouble };
        self.cross(shard, Crossing::Followed(followed));
    }

    /// What comes first for a session that got nothing of a channel that is at home here for a while.
    pub(super) fn go_on_at_home(
        &mut self,
        session: SessionId,
        shard: ShardId,
        behind: Behind,
        member: Option<Member>,
    ) {
        let Behind { ticket, left, beginning } = behind;
        let recovery = self.engine.go_on(&left, shard, beginning, Instant::now());
        let recovery = recovery.ok_or(NotFollowed::SourceEnded);
        let Left { channel, epoch, updates } = left;
        // It has followed an earlier life of the channel, and comes to this one.
        let comes = recovery.as_ref().is_ok_and(|recovery| recovery.position.epoch != epoch);
        if let Some(member) = member.filter(|_| comes) {
            self.join_at_home(&channel, shard, session, member);
        }
        let document = self.engine.log(&channel).is_some_and(|log| log.retention().document);
        // It has heard nothing meanwhile.
        let (present, trouble) = (self.present(&channel), self.troubles.get(&channel).cloned());
        let followed =
            Followed { session, ticket, channel, updates, beginning, recovery, document, present, trouble };
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
        self.sources.stop(channel);
        self.end_life(channel, notice)
    }

    /// The same, but for the source, which may be about to begin another life of the channel.
    fn end_life(&mut self, channel: &ChannelName, notice: Notice) -> bool {
        self.append_waiting(channel);
        self.notify_followers(channel, notice);
        self.presences.remove(channel);
        self.repeats.forget(channel);
        self.engine.remove(channel).is_some()
    }

    /// Ends what is there of `channel` if publishers have filled it, and now a source does (`sourced`), or the other
    /// way round: its route has become another one in a reload, and positions of the one mean nothing in the other.
    /// What the store has of it stays there, as that of a channel which no route wants. False if it is the source that
    /// is too late, because no route wants one any more: then that ends, and what publishers have filled stays.
    pub(crate) fn end_other_kind(&mut self, channel: &ChannelName, sourced: bool) -> bool {
        let was_sourced = self.engine.is_sourced(channel);
        if !sourced && was_sourced != Some(false) {
            // It may run, or be about to, without having published anything.
            self.sources.stop(channel);
        }
        if was_sourced.is_none_or(|was_sourced| was_sourced == sourced) {
            return true;
        }
        if sourced && !self.is_source_wanted(channel) {
            tracing::info!(event = "source_replaced", %channel, "publishers fill it since a reload: its source ends");
            self.sources.stop(channel);
            return false;
        }
        if !self.leave_on_disk(channel) {
            return true;
        }
        tracing::info!(event = "channel_replaced", number = %known::ROUTE_CHANGED, %channel, "its route is of another kind now: it begins anew");
        let reason = "the channel's route is another one now".into();
        self.end_life(channel, Notice::Over { known: known::ROUTE_CHANGED, reason });
        true
    }

    /// Whether the configuration in force gives `channel` a backend.
    fn is_source_wanted(&self, channel: &ChannelName) -> bool {
        let found = self.generation.settings.routes.find_name(channel.path_part());
        found.is_some_and(|found| !matches!(found.route.kind, Kind::Channel))
    }

    /// The source of a channel that is at home here is well again.
    pub(crate) fn tell_recovered(&mut self, channel: &ChannelName) {
        match self.engine.log(channel).map(tidegate_hub::Log::position) {
            Some(position) => self.notify_followers(channel, Notice::Recovered(position)),
            None => drop(self.troubles.remove(channel)),
        }
    }

    /// Forgets a channel of a source that nobody follows, with what was the matter with it.
    pub(crate) fn forget_channel(&mut self, channel: &ChannelName) {
        self.append_waiting(channel);
        self.troubles.remove(channel);
        if self.engine.is_sourced(channel) == Some(true) {
            self.engine.remove(channel);
        }
    }

    /// Where a channel that is at home here stands, and its newest publication if that is kept.
    pub(crate) fn newest(&mut self, channel: &ChannelName) -> Option<(Position, Option<Publication>)> {
        self.engine.newest_kept(channel, Instant::now())
    }

    /// Why the source of a channel that is at home here fails just now.
    pub(crate) fn trouble(&self, channel: &ChannelName) -> Option<&Arc<str>> {
        self.troubles.get(channel)
    }
}
