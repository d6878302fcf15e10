//! The feed `events`: what happens on all connections that a filter chooses, those that are open and those to come.
//!
//! Its terms `conn`, `path`, `user` and `ch` choose connections, the others events.

use std::sync::Arc;
use std::time::Duration;

use tidegate_hub::ShardId;
use tidegate_inspect::filter::Filter;

use super::feed::{Bell, Feed, Looking, Pace};
use super::taking::{Taking, level_of};
use super::wish::Wish;
use crate::shard::ShardRef;
use crate::shard::taps::Choice;

/// From one batch to the next, at least: thirty a second.
pub(super) const BATCH_INTERVAL: Duration = Duration::from_micros(33_334);

/// When it is looked at without having been rung.
const IDLE_INTERVAL: Duration = Duration::from_secs(1);

/// See the module's head.
pub(super) struct Events {
    id: u64,
    taking: Taking,
}

impl Events {
    pub(super) fn begin(wish: &Wish, shard: &ShardRef, bell: &Bell) -> Result<Box<dyn Feed>, String> {
        let level = level_of(wish, shard)?;
        let filter: Filter = wish
            .filter
            .as_deref()
            .unwrap_or_default()
            .parse()
            .map_err(|error| format!("the filter, {error}"))?;
        let (connections, events) = filter.parted();
        let shards = (0..shard.process.shards).map(ShardId).collect();
        let choice = Choice::Matching(Arc::new(connections));
        let taking = Taking::new(shard, shards, choice, events, level, bell);
        Ok(Box::new(Self { id: wish.id, taking }))
    }
}

impl Feed for Events {
    fn pace(&self) -> Pace {
        Pace::Rung { soonest: BATCH_INTERVAL, latest: IDLE_INTERVAL }
    }

    fn look<'f>(&'f mut self, _: &'f ShardRef) -> Looking<'f> {
        Box::pin(async move {
            if !self.taking.begin().await {
                return Err("the gateway is stopping".to_owned());
            }
            Ok(self.taking.take(self.id).await?.into_iter().collect())
        })
    }
}
