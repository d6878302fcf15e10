//! What was published under an idempotency key, so that a publisher that repeats itself for want of an
//! answer publishes once. Bounded in time and in number; the oldest keys go first.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::name::ChannelName;
use crate::position::Position;

/// Longest key in bytes.
pub const IDEMPOTENCY_KEY_MAX_BYTES: usize = 255;

/// How long keys are remembered, and how many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RepeatLimits {
    /// Time (`dedup.window`).
    pub window: Duration,
    /// Keys (`dedup.max_keys`).
    pub max_keys: usize,
}

/// See the module's head. A key belongs to its channel.
#[derive(Debug, Default)]
pub struct Repeats {
    seen: HashMap<Key, Position>,
    /// The channels of `order`.
    channels: HashMap<ChannelName, Noted>,
    /// The keys of `seen`, oldest first, with what was noted: a key that was noted again stands here twice, and
    /// the earlier one means nothing any more.
    order: VecDeque<(Instant, Key, Position)>,
}

/// The channel, how often it had been forgotten ([`Noted::forgotten`]), and the key.
type Key = (ChannelName, u64, Arc<str>);

#[derive(Debug, Default)]
struct Noted {
    /// Entries of `order`.
    count: usize,
    /// What was noted before the last of these times means nothing any more, and goes when its time is over.
    forgotten: u64,
}

impl Repeats {
    /// Where the publication with this key stands, if it is remembered.
    pub fn find(
        &mut self,
        channel: &ChannelName,
        key: &str,
        limits: RepeatLimits,
        now: Instant,
    ) -> Option<Position> {
        while let Some((noted, ..)) = self.order.front() {
            if now.saturating_duration_since(*noted) <= limits.window {
                break;
            }
            self.forget_oldest();
        }
        let forgotten = self.channels.get(channel)?.forgotten;
        self.seen.get(&(channel.clone(), forgotten, key.into())).copied()
    }

    /// Remembers a publication that was just appended.
    pub fn note(
        &mut self,
        channel: &ChannelName,
        key: &str,
        position: Position,
        limits: RepeatLimits,
        now: Instant,
    ) {
        while self.order.len() >= limits.max_keys.max(1) {
            self.forget_oldest();
        }
        let forgotten = self.channels.get(channel).map_or(0, |noted| noted.forgotten);
        let key: Key = (channel.clone(), forgotten, key.into());
        if self.seen.insert(key.clone(), position) != Some(position) {
            self.channels.entry(channel.clone()).or_default().count += 1;
            self.order.push_back((now, key, position));
        }
    }

    /// The channel was dropped: what was published to it under a key is not there any more.
    pub fn forget(&mut self, channel: &ChannelName) {
        if let Some(noted) = self.channels.get_mut(channel) {
            noted.forgotten += 1;
        }
    }

    fn forget_oldest(&mut self) {
        let Some((_, key, position)) = self.order.pop_front() else { return };
        if self.seen.get(&key) == Some(&position) {
            self.seen.remove(&key);
        }
        let (channel, ..) = key;
        if let Entry::Occupied(mut noted) = self.channels.entry(channel) {
            noted.get_mut().count -= 1;
            if noted.get().count == 0 {
                noted.remove();
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "a test needs some instant to count from")]
mod tests {
    use super::*;
    use crate::position::Epoch;

    const LIMITS: RepeatLimits = RepeatLimits { window: Duration::from_secs(300), max_keys: 2 };

    fn name(text: &str) -> ChannelName {
        ChannelName::from_text(text).unwrap()
    }

    fn at(offset: u64) -> Position {
        Position { epoch: Epoch(1), offset }
    }

    #[test]
    fn a_key_is_remembered_for_its_channel_and_its_time() {
        let (now, mut repeats) = (Instant::now(), Repeats::default());
        repeats.note(&name("a"), "k", at(1), LIMITS, now);
        let later = now + LIMITS.window;
        assert_eq!(repeats.find(&name("a"), "k", LIMITS, later), Some(at(1)));
        assert_eq!(repeats.find(&name("b"), "k", LIMITS, later), None);
        assert_eq!(repeats.find(&name("a"), "k", LIMITS, later + Duration::from_millis(1)), None);
    }

    #[test]
    fn a_key_that_is_noted_again_counts_from_then() {
        let (now, mut repeats) = (Instant::now(), Repeats::default());
        let later = now + LIMITS.window;
        repeats.note(&name("a"), "k", at(1), LIMITS, now);
        repeats.note(&name("a"), "k", at(2), LIMITS, later);
        assert_eq!(repeats.find(&name("a"), "k", LIMITS, later + LIMITS.window), Some(at(2)));
        let over = later + LIMITS.window + Duration::from_millis(1);
        assert_eq!(repeats.find(&name("a"), "k", LIMITS, over), None);
        assert!(repeats.order.is_empty() && repeats.seen.is_empty() && repeats.channels.is_empty());
    }

    #[test]
    fn keys_of_a_dropped_channel_are_new_again_and_those_of_others_are_not() {
        let limits = RepeatLimits { max_keys: 10, ..LIMITS };
        let (now, mut repeats) = (Instant::now(), Repeats::default());
        repeats.note(&name("a"), "k", at(1), limits, now);
        repeats.note(&name("b"), "k", at(2), limits, now);
        repeats.forget(&name("a"));
        repeats.forget(&name("c"));
        let later = now + LIMITS.window;
        assert_eq!(repeats.find(&name("a"), "k", limits, later), None);
        assert_eq!(repeats.find(&name("b"), "k", limits, later), Some(at(2)));
        repeats.note(&name("a"), "k", at(1), limits, later);
        assert_eq!(repeats.find(&name("a"), "k", limits, later + LIMITS.window), Some(at(1)));
        assert_eq!(repeats.order.len(), 1, "what was forgotten goes in its time");
        assert_eq!(repeats.find(&name("a"), "k", limits, later + LIMITS.window * 2), None);
        assert!(repeats.order.is_empty() && repeats.seen.is_empty() && repeats.channels.is_empty());
    }

    #[test]
    fn beyond_the_bound_the_oldest_key_goes() {
        let (now, mut repeats) = (Instant::now(), Repeats::default());
        for (offset, key) in [(1, "one"), (2, "two"), (3, "three")] {
            repeats.note(&name("a"), key, at(offset), LIMITS, now);
        }
        let found = ["one", "two", "three"].map(|key| repeats.find(&name("a"), key, LIMITS, now));
        assert_eq!(found, [None, Some(at(2)), Some(at(3))]);
    }
}
