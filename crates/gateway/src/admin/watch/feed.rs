//! What a feed is: something that a watcher sees to from time to time, and that then has messages for its
//! client or none.
//!
//! **A feed keeps its pace**: it is looked at no sooner than its interval after it was looked at before, and not
//! while its watcher waits for its client to read. What comes meanwhile is the feed's to keep within bounds, and
//! to count where it is lost.

use std::future::Future;
use std::hash::{BuildHasher, RandomState};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use super::wish::Wish;
use crate::shard::ShardRef;

/// A watch of one watcher. Dropping it ends what it has begun on shards.
pub(super) trait Feed {
    /// When it wants to be looked at.
    fn pace(&self) -> Pace;

    /// Gives the messages that there are for the client, whole; none where nothing is different. The first look
    /// tells how things stand. An error ends the feed: the client is told the sentence.
    fn look<'f>(&'f mut self, shard: &'f ShardRef) -> Looking<'f>;
}

/// A look at a feed.
pub(super) type Looking<'f> = Pin<Box<dyn Future<Output = Result<Vec<String>, String>> + 'f>>;

/// When a feed wants to be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pace {
    /// So often.
    Every(Duration),
    /// When its bell was rung.
    Rung {
        /// From one look to the next, at least.
        soonest: Duration,
        /// From one look to the next where it is not rung.
        latest: Duration,
    },
}

/// Rung by shards when there is something new; one for all feeds of a watcher.
pub(super) type Bell = Arc<Notify>;

/// Begins a feed, or says why it cannot be.
pub(super) type Begin = fn(&Wish, &ShardRef, &Bell) -> Result<Box<dyn Feed>, String>;

impl Pace {
    /// The least and the most time between two looks.
    pub(super) fn bounds(self) -> (Duration, Duration) {
        match self {
            Self::Every(interval) => (interval, interval),
            Self::Rung { soonest, latest } => (soonest, latest),
        }
    }
}

/// Whether what there is to tell is something else than the last time.
#[derive(Debug, Default)]
pub(super) struct Seen {
    keys: RandomState,
    last: Option<u64>,
}

impl Seen {
    /// True if it differs from what was handed in before, or nothing was.
    pub(super) fn is_new(&mut self, told: &str) -> bool {
        let hash = self.keys.hash_one(told);
        self.last.replace(hash) != Some(hash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_told_is_not_new() {
        let mut seen = Seen::default();
        assert_eq!(
            ["", "", "a", "a", "b", "a"].map(|told| seen.is_new(told)),
            [true, false, true, false, true, true]
        );
    }
}
