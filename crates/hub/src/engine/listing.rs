//! What the admin listener shows of channels, and the order in which it lists them.
//!
//! Names come from `home` and go in `remove`; everything else is read where it stands. Several engines together are
//! listed by whoever asks them.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::ops::Bound;

use super::Engine;
use crate::name::ChannelName;
use crate::position::Position;

/// What the admin listener shows of a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelStatus {
    /// The channel.
    pub name: ChannelName,
    /// Its newest position.
    pub position: Position,
    /// Subscriptions on all shards.
    pub followers: u32,
    /// Publications kept.
    pub kept: usize,
}

/// All channels in the order of their names as they are shown: a page costs no more than what is on it.
#[derive(Debug, Default)]
pub(super) struct ByName(BTreeSet<Listed>);

#[derive(Debug)]
struct Listed(ChannelName);

impl Engine {
    /// The state of one channel.
    #[must_use]
    pub fn status(&self, name: &ChannelName) -> Option<ChannelStatus> {
        let (name, home) = self.channels.get_key_value(name)?;
        Some(ChannelStatus {
            name: name.clone(),
            position: home.log.position(),
            followers: home.followers.iter().sum(),
            kept: home.log.kept(),
        })
    }

    /// At most `limit` channels in the order of their names, beginning after `after`.
    #[must_use]
    pub fn list(&self, after: Option<&str>, limit: usize) -> Vec<ChannelStatus> {
        let after = after.map(|after| Listed(ChannelName::end_of_shown(after)));
        let after = after.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        let names = self.by_name.0.range((after, Bound::Unbounded));
        names.take(limit).filter_map(|Listed(name)| self.status(name)).collect()
    }
}

impl ByName {
    pub(super) fn insert(&mut self, name: &ChannelName) {
        self.0.insert(Listed(name.clone()));
    }

    pub(super) fn remove(&mut self, name: &ChannelName) {
        self.0.remove(&Listed(name.clone()));
    }
}

impl Ord for Listed {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.cmp_shown(&other.0)
    }
}

impl PartialOrd for Listed {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Listed {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Listed {}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "a test needs some instant to count from")]
mod tests {
    use std::time::{Duration, Instant};

    use proptest::prelude::*;

    use super::*;
    use crate::engine::{EngineLimits, Fresh};
    use crate::log::Retention;
    use crate::position::Epoch;
    use crate::publication::Payload;
    use crate::updates::Increments;

    const LIMITS: EngineLimits = EngineLimits {
        max_channels: 100,
        max_history_bytes: 1024,
        max_recovery_bytes: 1024,
        linger: Duration::ZERO,
    };
    const RETENTION: Retention =
        Retention { size: 1, ttl: Duration::from_secs(60), document: false, increments: Increments::NONE };
    const FRESH: Fresh = Fresh { retention: RETENTION, epoch: Epoch(1), copied: false, sourced: false };

    fn engine(names: &[ChannelName]) -> Engine {
        let (now, mut engine) = (Instant::now(), Engine::new(1, LIMITS));
        for name in names {
            engine.append(name, Payload::from("1").into(), None, FRESH, now).unwrap();
        }
        engine
    }

    fn listed(engine: &Engine, after: Option<&str>, limit: usize) -> Vec<String> {
        engine.list(after, limit).iter().map(|status| status.name.to_string()).collect()
    }

    #[test]
    fn pages_are_in_the_order_of_names_as_they_are_shown() {
        let name = |text| ChannelName::from_text(text).unwrap();
        let mut engine = engine(&[name("a$"), name("a").private("x"), name("a!"), name("a"), name("b")]);
        assert_eq!(listed(&engine, None, 10), ["a", "a!", "a#x", "a$", "b"]);
        assert_eq!(listed(&engine, None, 2), ["a", "a!"]);
        assert_eq!(listed(&engine, Some("a!"), 2), ["a#x", "a$"]);
        assert_eq!(listed(&engine, Some("a#x"), 2), ["a$", "b"]);
        assert_eq!(listed(&engine, Some("a%"), 2), ["b"], "a name that is not there");
        engine.remove(&name("a").private("x"));
        assert_eq!(listed(&engine, Some("a!"), 1), ["a$"]);
    }

    proptest! {
        #[test]
        fn a_page_is_what_sorting_all_of_them_gives(
            names in proptest::collection::vec(("[ -\\.a-c]{1,3}", proptest::option::of("[a-c]{1,2}")), 0..20),
            gone in 0_usize..5,
            after in proptest::option::of("[ -\\.a-c]{0,4}"),
            limit in 0_usize..8,
        ) {
            let names = names.into_iter().filter_map(|(text, suffix)| {
                let name = ChannelName::from_text(&text).ok()?;
                Some(suffix.map(|suffix| name.private(&suffix)).unwrap_or(name))
            });
            let names: Vec<_> = names.collect();
            let mut engine = engine(&names);
            let gone = &names[..gone.min(names.len())];
            gone.iter().for_each(|name| drop(engine.remove(name)));
            let there: BTreeSet<_> = names.iter().filter(|name| !gone.contains(name)).collect();
            let mut there: Vec<_> = there.into_iter().map(ToString::to_string).collect();
            there.retain(|name| after.as_ref().is_none_or(|after| name > after));
            there.sort();
            there.truncate(limit);
            prop_assert_eq!(listed(&engine, after.as_deref(), limit), there);
        }
    }
}
