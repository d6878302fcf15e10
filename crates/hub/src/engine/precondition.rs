//! Publishing that depends on where a channel stands, as publishers say it with `If-Match` and `If-None-Match`.
//!
//! Judged by the channel's home, in the same step in which it appends.

use super::Engine;
use crate::name::ChannelName;
use crate::position::Position;

/// What must hold of a channel for something to be appended to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precondition {
    /// Its newest publication stands at this position (`If-Match: POSITION`).
    At(Position),
    /// It has had a publication in its present epoch (`If-Match: *`).
    Published,
    /// It has had none (`If-None-Match: *`).
    Unpublished,
}

impl Engine {
    /// Whether `precondition` holds; if not, the channel's position, if it has one. What is staged counts.
    pub fn check(&self, name: &ChannelName, precondition: Precondition) -> Result<(), Option<Position>> {
        let position = self.channels.get(name).map(|home| {
            let newest = home.log.position();
            let staged = home.copy.as_ref().map_or(0, |copy| copy.staged);
            Position { offset: newest.offset + staged, ..newest }
        });
        let is_published = position.is_some_and(|position| position.offset > 0);
        let holds = match precondition {
            Precondition::At(expected) => position == Some(expected),
            Precondition::Published => is_published,
            Precondition::Unpublished => !is_published,
        };
        if holds { Ok(()) } else { Err(position) }
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "a test needs some instant to count from")]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::engine::{EngineLimits, Fresh, ShardId};
    use crate::log::Retention;
    use crate::position::Epoch;
    use crate::publication::Payload;
    use crate::updates::{Increments, Updates};

    const LIMITS: EngineLimits = EngineLimits {
        max_channels: 3,
        max_history_bytes: 10,
        max_recovery_bytes: 1024,
        linger: Duration::ZERO,
    };
    const RETENTION: Retention =
        Retention { size: 10, ttl: Duration::from_secs(60), document: false, increments: Increments::NONE };
    const FRESH: Fresh = Fresh { retention: RETENTION, epoch: Epoch(1), copied: false, sourced: false };

    fn name() -> ChannelName {
        ChannelName::from_text("a").unwrap()
    }

    #[test]
    fn a_precondition_is_about_the_newest_publication() {
        let (now, mut engine) = (Instant::now(), Engine::new(1, LIMITS));
        let at = |offset| Position { epoch: Epoch(1), offset };
        let check = |engine: &Engine| {
            let all = [Precondition::At(at(1)), Precondition::Published, Precondition::Unpublished];
            all.map(|one| engine.check(&name(), one))
        };
        assert_eq!(check(&engine), [Err(None), Err(None), Ok(())]);
        engine.follow(&name(), ShardId(0), None, Updates::Whole, FRESH, now).unwrap();
        assert_eq!(check(&engine), [Err(Some(at(0))), Err(Some(at(0))), Ok(())]);
        engine.append(&name(), Payload::from("1").into(), None, FRESH, now).unwrap();
        assert_eq!(check(&engine), [Ok(()), Ok(()), Err(Some(at(1)))]);
        engine.append(&name(), Payload::from("2").into(), None, FRESH, now).unwrap();
        assert_eq!(check(&engine), [Err(Some(at(2))), Ok(()), Err(Some(at(2)))]);
        let foreign = Position { epoch: Epoch(2), offset: 2 };
        assert_eq!(engine.check(&name(), Precondition::At(foreign)), Err(Some(at(2))));
    }
}
