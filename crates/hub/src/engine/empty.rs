//! Channels to which nothing was ever published and that nobody follows any more: who asks for any name makes one.
//! Their positions stand for a while; where there are as many channels as there may be, the oldest of them make
//! place for others at once.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::{Engine, Home, SWEEP_CHANNELS};
use crate::name::ChannelName;

/// Each channel is here at most once ([`Home::is_listed`]); whether it is still empty is seen when its turn comes.
#[derive(Debug, Default)]
pub(super) struct Empty {
    /// Those that were left since the clock was read last.
    left: VecDeque<ChannelName>,
    /// Since when they wait, and their last use then.
    waiting: VecDeque<(Instant, u64, ChannelName)>,
}

impl Empty {
    /// The last follower of `name` has left.
    pub(super) fn note_left(&mut self, name: &ChannelName, home: &mut Home) {
        if home.is_empty() && !home.is_listed {
            home.is_listed = true;
            self.left.push_back(name.clone());
        }
    }

    /// The one that waits longest, if that is `linger`.
    fn pop_due(&mut self, now: Instant, linger: Duration) -> Option<(Instant, u64, ChannelName)> {
        let (since, ..) = self.waiting.front()?;
        if now.saturating_duration_since(*since) < linger {
            return None;
        }
        self.waiting.pop_front()
    }

    fn pop(&mut self) -> Option<ChannelName> {
        let waiting = self.waiting.pop_front().map(|(_, _, name)| name);
        waiting.or_else(|| self.left.pop_front())
    }
}

impl Engine {
    /// Frees channels that have been empty, and unused, for `linger`. To be called again at once while it gives
    /// true: one call takes no longer than a shard has.
    pub fn free_empty(&mut self, now: Instant, linger: Duration) -> bool {
        for _ in 0..SWEEP_CHANNELS {
            let Some(name) = self.empty.left.pop_front() else { break };
            let last_use = self.channels.get(&name).map_or(0, |home| home.last_use);
            self.empty.waiting.push_back((now, last_use, name));
        }
        for _ in 0..SWEEP_CHANNELS {
            let Some((_, last_use, name)) = self.empty.pop_due(now, linger) else {
                return !self.empty.left.is_empty();
            };
            let Some(home) = self.channels.get_mut(&name) else { continue };
            home.is_listed = false;
            if home.last_use != last_use {
                self.empty.note_left(&name, home);
            } else if home.is_empty() {
                self.remove(&name);
            }
        }
        true
    }

    /// Forgets the channel that has been empty longest; false if none is found.
    pub(super) fn make_place(&mut self) -> bool {
        for _ in 0..SWEEP_CHANNELS {
            let Some(name) = self.empty.pop() else { return false };
            let Some(home) = self.channels.get_mut(&name) else { continue };
            home.is_listed = false;
            if home.is_empty() {
                self.remove(&name);
                return true;
            }
        }
        false
    }
}

impl Home {
    /// Nothing was ever published, nothing is about to be, and nobody follows.
    fn is_empty(&self) -> bool {
        self.log.position().offset == 0 && self.is_idle()
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "a test needs some instant to count from")]
mod tests {
    use super::*;
    use crate::engine::{EngineLimits, Fresh, ShardId};
    use crate::log::Retention;
    use crate::position::Epoch;
    use crate::publication::Payload;
    use crate::subscription::Left;
    use crate::updates::{Increments, Updates};

    const LINGER: Duration = Duration::from_secs(30);
    const TTL: Duration = Duration::from_secs(60);
    const FRESH: Fresh = Fresh {
        retention: Retention { size: 3, ttl: TTL, document: false, increments: Increments::NONE },
        epoch: Epoch(1),
        copied: false,
        sourced: false,
    };

    fn engine(max_channels: usize) -> Engine {
        let (max_history_bytes, max_recovery_bytes) = (1024, 1024);
        Engine::new(1, EngineLimits { max_channels, max_history_bytes, max_recovery_bytes, linger: TTL })
    }

    fn name(text: &str) -> ChannelName {
        ChannelName::from_text(text).unwrap()
    }

    fn follow(engine: &mut Engine, channel: &str, now: Instant) -> bool {
        engine.follow(&name(channel), ShardId(0), None, Updates::Whole, FRESH, now).is_ok()
    }

    fn leave(engine: &mut Engine, channel: &str) {
        let left = Left { channel: name(channel), epoch: Epoch(1), updates: Updates::Whole };
        engine.leave(&left, ShardId(0));
    }

    fn free(engine: &mut Engine, now: Instant) {
        while engine.free_empty(now, LINGER) {}
    }

    #[test]
    fn those_that_are_empty_longest_make_place() {
        let (now, mut engine) = (Instant::now(), engine(3));
        for channel in ["a", "b", "c"] {
            assert!(follow(&mut engine, channel, now));
        }
        assert!(!follow(&mut engine, "d", now));
        leave(&mut engine, "b");
        leave(&mut engine, "a");
        for (channel, gone) in [("d", "b"), ("e", "a")] {
            assert!(follow(&mut engine, channel, now));
            assert!(engine.log(&name(gone)).is_none());
        }
        assert!(!follow(&mut engine, "f", now), "somebody follows each of them");
        leave(&mut engine, "c");
        assert!(follow(&mut engine, "c", now));
        assert!(!follow(&mut engine, "f", now), "somebody follows it again");
        leave(&mut engine, "c");
        engine.append(&name("c"), Payload::from("1").into(), None, FRESH, now).unwrap();
        assert!(!follow(&mut engine, "f", now), "it keeps something");
    }

    #[test]
    fn all_of_them_are_freed_when_their_time_is_over() {
        const COUNT: usize = 3 * SWEEP_CHANNELS + 1;
        let (now, mut engine) = (Instant::now(), engine(2 * COUNT));
        for number in 0..COUNT {
            follow(&mut engine, &number.to_string(), now);
            leave(&mut engine, &number.to_string());
        }
        free(&mut engine, now);
        free(&mut engine, now + LINGER / 2);
        assert_eq!(engine.len(), COUNT);
        follow(&mut engine, "0", now);
        follow(&mut engine, "1", now);
        leave(&mut engine, "1");
        free(&mut engine, now + LINGER);
        assert_eq!(engine.len(), 2, "one is followed, and one was left later");
        free(&mut engine, now + LINGER + LINGER);
        assert_eq!(engine.len(), 1);
        leave(&mut engine, "0");
        free(&mut engine, now + LINGER + LINGER);
        assert_eq!(engine.len(), 1);
        free(&mut engine, now + LINGER * 3);
        assert!(engine.is_empty());
    }

    #[test]
    fn what_is_listed_is_bounded_by_the_channels() {
        let (now, mut engine) = (Instant::now(), engine(3));
        for _ in 0..1000 {
            follow(&mut engine, "a", now);
            leave(&mut engine, "a");
            free(&mut engine, now);
        }
        assert_eq!(engine.empty.left.len() + engine.empty.waiting.len(), 1);
    }
}
