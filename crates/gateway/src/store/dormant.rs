//! Channels on disk that are not in memory, because no route wanted them or because there were too many. Where they
//! stand is not known before the next start, so nothing can be done with them until then but to remove them.
//!
//! Comes from reading the store, and from reloads that make something else of a route; each shard has those that are
//! at home there.

use std::collections::{HashMap, HashSet};
use std::hash::BuildHasher;
use std::ops::Range;
use std::sync::Arc;

use tidegate_hub::ChannelName;

use super::record::Head;

/// Names of which the hash alone is remembered, for each that is remembered with its place: an eighth of a kilobyte or
/// two.
const HASHES_PER_PLACE: usize = 32;

/// See the module's head.
#[derive(Debug, Default)]
pub(crate) struct Dormant {
    /// The offsets that each may have on disk.
    known: HashMap<ChannelName, Range<u64>>,
    /// Those of them that the store is just removing.
    leaving: HashSet<ChannelName>,
    /// Hashes of the names of others, for which there was no room: nothing can be done with these, but a channel that
    /// is none of them can begin.
    hashes: Arc<HashSet<u64, foldhash::fast::RandomState>>,
    /// What they are made with.
    names: foldhash::fast::RandomState,
    /// There are still more: any channel may be one of them.
    is_cut: bool,
}

impl Dormant {
    /// Remembers one more, with its place as long as there are fewer than `max`.
    pub(crate) fn note(&mut self, channel: ChannelName, head: Head, max: usize) {
        self.note_offsets(channel, head.first..head.position.offset + 1, max);
    }

    /// The same, of one that has left the memory.
    pub(crate) fn note_offsets(&mut self, channel: ChannelName, offsets: Range<u64>, max: usize) {
        if self.known.len() < max {
            self.known.insert(channel, offsets);
        } else if self.hashes.len() < max.saturating_mul(HASHES_PER_PLACE) {
            Arc::make_mut(&mut self.hashes).insert(self.names.hash_one(&channel));
        } else {
            self.is_cut = true;
        }
    }

    /// True if `channel` may be one of them.
    pub(crate) fn may_hold(&self, channel: &ChannelName) -> bool {
        self.is_cut
            || self.known.contains_key(channel)
            || !self.hashes.is_empty() && self.hashes.contains(&self.names.hash_one(channel))
    }

    /// True if `channel` is known to be one of them.
    pub(crate) fn knows(&self, channel: &ChannelName) -> bool {
        self.known.contains_key(channel)
    }

    /// Announces that the store shall remove `channel`. Gives the offsets that it may have of it; `None` if it is not
    /// known to be one of them, or if that is announced already.
    pub(crate) fn begin_removal(&mut self, channel: &ChannelName) -> Option<Range<u64>> {
        let offsets = self.known.get(channel)?;
        self.leaving.insert(channel.clone()).then(|| offsets.clone())
    }

    /// The announced removal does not take place.
    pub(crate) fn cancel_removal(&mut self, channel: &ChannelName) {
        self.leaving.remove(channel);
    }

    /// The store has removed the channel; false if it was none of them.
    pub(crate) fn remove(&mut self, channel: &ChannelName) -> bool {
        self.leaving.remove(channel);
        self.known.remove(channel).is_some()
    }

    /// Gives each of `shards` parts what is at home there. Of a hash nobody knows where that is: all have all.
    pub(crate) fn divide(self, shards: usize, home: impl Fn(&ChannelName) -> usize) -> Vec<Self> {
        let Self { known, leaving: _, hashes, names, is_cut } = self;
        let part = || Self { hashes: Arc::clone(&hashes), names: names.clone(), is_cut, ..Self::default() };
        let mut parts: Vec<_> = (0..shards).map(|_| part()).collect();
        for (channel, offsets) in known {
            parts[home(&channel)].known.insert(channel, offsets);
        }
        parts
    }
}
