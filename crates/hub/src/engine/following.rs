//! Who follows the channels of an engine: counted by shard, and answered with what comes before what is live. Which
//! sessions they are, only their shards know.

use std::time::Instant;

use super::{Engine, Fresh, Home, ShardId, TooManyChannels};
use crate::log::{ANSWER_PUBLICATIONS_MAX, Recovery, Retention};
use crate::name::ChannelName;
use crate::position::Position;
use crate::publication::Publication;
use crate::subscription::{Beginning, Left};
use crate::updates::Updates;

impl Engine {
    /// One subscription more from `shard`; answers with what it gets before what is live.
    pub fn follow(
        &mut self,
        name: &ChannelName,
        shard: ShardId,
        after: Option<Position>,
        updates: Updates,
        fresh: Fresh,
        now: Instant,
    ) -> Result<Recovery, TooManyChannels> {
        let max_bytes = self.limits.max_recovery_bytes;
        let home = self.home(name, fresh)?;
        home.join(shard, updates);
        let before = home.log.kept_bytes();
        let recovery = home.log.recover(after, updates, max_bytes, now);
        let after = home.log.kept_bytes();
        self.kept_bytes = self.kept_bytes - before + after;
        Ok(recovery)
    }

    /// A subscription from `shard` that got nothing since it was counted goes on: it gets what comes before what is
    /// live. It may have been counted in another life of the channel. `None` if the channel is not there any more.
    pub fn go_on(
        &mut self,
        followed: &Left,
        shard: ShardId,
        beginning: Beginning,
        now: Instant,
    ) -> Option<Recovery> {
        let max_bytes = self.limits.max_recovery_bytes;
        let home = self.channels.get_mut(&followed.channel)?;
        let position = home.log.position();
        if position.epoch != followed.epoch {
            home.join(shard, followed.updates);
        }
        match beginning {
            Beginning::Newest => {
                let publications = home.log.newest().map(Publication::whole).into_iter().collect();
                Some(Recovery { position, recovered: false, publications })
            }
            Beginning::After(after) => {
                let before = home.log.kept_bytes();
                let recovery = home.log.recover(after, followed.updates, max_bytes, now);
                self.kept_bytes = self.kept_bytes - before + home.log.kept_bytes();
                Some(recovery)
            }
        }
    }

    /// Makes of what [`Engine::follow`] gave what a single answer has: without `after` the newest publication, if it
    /// is kept; where what came since is too much, the first of it, at least one and at most
    /// [`ANSWER_PUBLICATIONS_MAX`], for the next answer has the rest.
    pub fn make_answer(
        &mut self,
        name: &ChannelName,
        after: Option<Position>,
        updates: Updates,
        recovery: &mut Recovery,
        now: Instant,
    ) {
        let Some(home) = self.channels.get_mut(name) else { return };
        let Retention { document, increments, .. } = home.log.retention();
        if after.is_none() && recovery.publications.is_empty() {
            recovery.publications.extend(home.log.newest().map(Publication::whole));
        }
        if recovery.recovered {
            recovery.publications.truncate(ANSWER_PUBLICATIONS_MAX);
        }
        // Of a document with its changes the newest, whole, is less.
        if after.is_none() || recovery.recovered || (document && increments.include(updates)) {
            return;
        }
        let most = self.limits.max_recovery_bytes;
        if let Some(Some(first)) = self.page(name, after, ANSWER_PUBLICATIONS_MAX, most, now) {
            (recovery.recovered, recovery.publications) = (true, first);
        }
    }

    /// One subscription less from `shard`; gives how many are left on all shards. Whoever leaves an earlier life
    /// of the channel is not among those who follow this one.
    pub fn leave(&mut self, left: &Left, shard: ShardId) -> u32 {
        let Some(home) = self.channels.get_mut(&left.channel) else { return 0 };
        if home.log.position().epoch == left.epoch {
            home.incremental.leave(left.updates);
            if let Some(count) = home.followers.get_mut(usize::from(shard.0)) {
                *count = count.saturating_sub(1);
            }
            self.empty.note_left(&left.channel, home);
            home.note_idle(&mut self.idle);
        }
        home.followers.iter().sum()
    }

    /// The shards that follow `name`.
    pub fn following(&self, name: &ChannelName) -> impl Iterator<Item = ShardId> {
        let followers = self.channels.get(name).map(|home| home.followers.as_ref()).unwrap_or_default();
        (0..).zip(followers).filter(|(_, count)| **count > 0).map(|(shard, _)| ShardId(shard))
    }

    /// Subscriptions of `name` on all shards.
    #[must_use]
    pub fn followers(&self, name: &ChannelName) -> u32 {
        self.channels.get(name).map_or(0, |home| home.followers.iter().sum())
    }
}

impl Home {
    fn join(&mut self, shard: ShardId, updates: Updates) {
        if let Some(count) = self.followers.get_mut(usize::from(shard.0)) {
            *count += 1;
        }
        self.incremental.join(updates);
    }
}
