//! Logs with a copy elsewhere that outlives the process: what is staged and then settled, what the copy has yet to
//! forget, and channels that have lived before.
//!
//! Who keeps the copy, and how, is not known here.

use std::collections::BTreeSet;
use std::ops::Range;
use std::time::{Duration, Instant};

use super::{Appended, Engine, Fresh, Home, SWEEP_CHANNELS, TooManyChannels};
use crate::log::{Log, Restored, Retention};
use crate::name::ChannelName;
use crate::position::Position;
use crate::publication::Item;
use crate::updates::Compared;

/// The place of a publication that the copy of its log shall have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Staged {
    /// Its place, once it is settled.
    pub position: Position,
    /// Offsets that the log has forgotten since the copy was told last.
    pub forgotten: Range<u64>,
}

/// Why nothing was staged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotStaged {
    /// There are as many channels as there may be.
    TooManyChannels,
    /// The channel is about to be removed.
    Leaving,
}

/// What a sweep found for the copies of logs.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Offsets that logs have forgotten since their copies were told last.
    pub forgotten: Vec<(ChannelName, Range<u64>)>,
    /// Channels that are over: their copies can go, then they themselves.
    pub over: Vec<ChannelName>,
}

/// What is under way to the copy of one log.
#[derive(Debug, Default)]
pub(super) struct Copied {
    /// Publications on their way: their offsets follow the log's newest.
    pub(super) staged: u64,
    /// The copy was told that all offsets before this one are forgotten.
    told: u64,
    /// The channel is about to be removed.
    pub(super) leaving: bool,
}

impl Engine {
    /// Gives a publication its place, for the copy of the log of `name`, which is created from `fresh` if there
    /// is none. It must be settled, or unstaged with all others of the channel, in the order of staging.
    pub fn stage(&mut self, name: &ChannelName, fresh: Fresh) -> Result<Staged, NotStaged> {
        let home = self.home(name, fresh).map_err(|_| NotStaged::TooManyChannels)?;
        // Of a log that had none so far the copy knows nothing, so there is nothing to forget.
        let told = home.log.first_kept();
        let copy = home.copy.get_or_insert_with(|| Copied { told, ..Copied::default() });
        if copy.leaving {
            return Err(NotStaged::Leaving);
        }
        copy.staged += 1;
        let newest = home.log.position();
        let position = Position { offset: newest.offset + copy.staged, ..newest };
        Ok(Staged { position, forgotten: copy.tell(&home.log) })
    }

    /// Appends what was staged first: the copy has it. `compared` says how it differs from the
    /// [`Engine::basis`]. `None` if the channel has gone meanwhile.
    pub fn settle(
        &mut self,
        name: &ChannelName,
        item: Item,
        compared: Option<Compared>,
        now: Instant,
    ) -> Option<Appended> {
        let copy = self.channels.get_mut(name)?.copy.as_mut()?;
        copy.staged = copy.staged.checked_sub(1)?;
        let appended = self.append_to_log(name, item, compared, now);
        // Its history may keep nothing.
        if let Some(home) = self.channels.get(name) {
            home.note_idle(&mut self.idle);
        }
        appended
    }

    /// Takes back what was staged last: the copy does not have it.
    pub fn unstage_last(&mut self, name: &ChannelName) {
        if let Some(copy) = self.channels.get_mut(name).and_then(|home| home.copy.as_mut()) {
            copy.staged = copy.staged.saturating_sub(1);
        }
    }

    /// The copy has not heard that the offsets from `from` on are forgotten: it is told again.
    pub fn tell_again(&mut self, name: &ChannelName, from: u64) {
        if let Some(copy) = self.channels.get_mut(name).and_then(|home| home.copy.as_mut()) {
            copy.told = copy.told.min(from);
        }
    }

    /// True while something is on its way to the copy of the log of `name`.
    #[must_use]
    pub fn is_staged(&self, name: &ChannelName) -> bool {
        self.copy(name).is_some_and(|copy| copy.staged > 0 || copy.leaving)
    }

    /// True if the log of `name` has a copy.
    #[must_use]
    pub fn is_copied(&self, name: &ChannelName) -> bool {
        self.copy(name).is_some()
    }

    /// Announces that `name` is about to be removed: nothing more is staged. Gives the offsets that the copy of
    /// its log may hold; `None` if there is no such channel, or if it is announced already.
    pub fn begin_removal(&mut self, name: &ChannelName) -> Option<Range<u64>> {
        let home = self.channels.get_mut(name)?;
        let copy = home.copy.as_mut().filter(|copy| !copy.leaving)?;
        copy.leaving = true;
        Some(copy.told.max(1)..home.log.position().offset + copy.staged + 1)
    }

    /// The announced removal does not take place.
    pub fn cancel_removal(&mut self, name: &ChannelName) {
        if let Some(copy) = self.channels.get_mut(name).and_then(|home| home.copy.as_mut()) {
            copy.leaving = false;
        }
    }

    /// The channel with a copy that keeps nothing and that nobody follows, of those the one used longest ago: it can
    /// go when there are too many. One whose history has aged out, or that came back to nothing, is known since the
    /// last sweep.
    pub fn idle(&mut self) -> Option<ChannelName> {
        for _ in 0..SWEEP_CHANNELS {
            let last_use = *self.idle.first()?;
            let name = self.by_use.get(&last_use);
            let is_idle = |name: &&ChannelName| self.channels.get(*name).is_some_and(Home::is_idle);
            if let Some(name) = name.filter(is_idle) {
                return Some(name.clone());
            }
            self.idle.remove(&last_use);
        }
        None
    }

    /// Channels that there may be beside those that there are.
    #[must_use]
    pub fn room(&self) -> usize {
        self.limits.max_channels.saturating_sub(self.channels.len())
    }

    /// A channel that has lived before. Those used longest ago come first.
    pub fn restore(
        &mut self,
        name: &ChannelName,
        restored: Restored,
        retention: Retention,
        now: Instant,
    ) -> Result<(), TooManyChannels> {
        let fresh = Fresh { retention, epoch: restored.position.epoch, copied: true, sourced: false };
        let mut log = Log::restore(restored, retention);
        let told = log.first_kept();
        log.trim(now);
        let home = self.home(name, fresh)?;
        let (before, after) = (home.log.kept_bytes(), log.kept_bytes());
        home.log = log;
        home.copy = Some(Copied { told, ..Copied::default() });
        self.kept_bytes = self.kept_bytes - before + after;
        self.make_room(name);
        Ok(())
    }

    fn copy(&self, name: &ChannelName) -> Option<&Copied> {
        self.channels.get(name)?.copy.as_ref()
    }
}

impl Home {
    pub(super) fn is_idle(&self) -> bool {
        let is_staged = self.copy.as_ref().is_some_and(|copy| copy.staged > 0 || copy.leaving);
        self.log.kept() == 0 && self.followers.iter().all(|count| *count == 0) && !is_staged
    }

    /// Notes it among `idle` if it has a copy and is.
    pub(super) fn note_idle(&self, idle: &mut BTreeSet<u64>) {
        if self.copy.is_some() && self.is_idle() {
            idle.insert(self.last_use);
        }
    }

    /// Idle for `linger`; one with a copy for `copied` since its last publication, too.
    pub(super) fn is_over(&mut self, now: Instant, linger: Duration, copied: Duration) -> bool {
        if !self.is_idle() {
            self.unused = None;
            return false;
        }
        let unused = now.saturating_duration_since(*self.unused.get_or_insert(now));
        let last = self.copy.as_ref().and_then(|_| self.log.appended());
        unused >= linger && last.is_none_or(|last| now.saturating_duration_since(last) > copied)
    }
}

impl Copied {
    /// What the copy has yet to forget, as told from now on.
    pub(super) fn tell(&mut self, log: &Log) -> Range<u64> {
        let told = self.told.max(1);
        self.told = log.first_kept().max(told);
        told..self.told
    }

    /// The same, if there is anything.
    pub(super) fn tell_news(&mut self, log: &Log) -> Option<Range<u64>> {
        Some(self.tell(log)).filter(|forgotten| !forgotten.is_empty())
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "a test needs some instant to count from")]
mod tests {
    use super::*;
    use crate::engine::{EngineLimits, Precondition, ShardId};
    use crate::position::Epoch;
    use crate::publication::Payload;
    use crate::subscription::Left;
    use crate::updates::{Increments, Updates};

    const LINGER: Duration = Duration::from_secs(3600);
    const LIMITS: EngineLimits =
        EngineLimits { max_channels: 3, max_history_bytes: 10, max_recovery_bytes: 1024, linger: LINGER };
    const TTL: Duration = Duration::from_secs(60);
    const FRESH: Fresh = Fresh {
        retention: Retention { size: 3, ttl: TTL, document: false, increments: Increments::NONE },
        epoch: Epoch(1),
        copied: true,
        sourced: false,
    };

    fn name(text: &str) -> ChannelName {
        ChannelName::from_text(text).unwrap()
    }

    fn item(text: &str) -> Item {
        Payload::from(text).into()
    }

    fn at(offset: u64) -> Position {
        Position { epoch: Epoch(1), offset }
    }

    /// Stages and settles; gives the offset and what the copy is told to forget.
    fn append(engine: &mut Engine, channel: &str, text: &str, now: Instant) -> (u64, Range<u64>) {
        let staged = engine.stage(&name(channel), FRESH).unwrap();
        let settled = engine.settle(&name(channel), item(text), None, now).unwrap();
        assert_eq!(settled.position, staged.position);
        (staged.position.offset, staged.forgotten)
    }

    #[test]
    fn what_is_staged_is_heard_of_only_when_it_is_settled() {
        let (now, mut engine) = (Instant::now(), Engine::new(1, LIMITS));
        let offsets: Vec<u64> =
            (0..3).map(|_| engine.stage(&name("a"), FRESH).unwrap().position.offset).collect();
        assert_eq!(offsets, [1, 2, 3]);
        assert_eq!(engine.log(&name("a")).unwrap().position(), at(0));
        assert_eq!(engine.check(&name("a"), Precondition::At(at(3))), Ok(()), "the next one would be 4");
        let recovery = engine.follow(&name("a"), ShardId(0), None, Updates::Whole, FRESH, now).unwrap();
        assert_eq!(recovery.position, at(0));
        let settled = engine.settle(&name("a"), item("1"), None, now).unwrap();
        assert_eq!((settled.position, settled.followers), (at(1), 1));
        assert!(engine.is_staged(&name("a")));
        (0..2).for_each(|_| engine.unstage_last(&name("a")));
        assert!(!engine.is_staged(&name("a")));
        assert_eq!(engine.stage(&name("a"), FRESH).unwrap().position, at(2), "2 and 3 were never heard of");
    }

    #[test]
    fn the_copy_is_told_once_what_the_log_has_forgotten() {
        let (now, mut engine) = (Instant::now(), Engine::new(1, LIMITS));
        let told: Vec<_> = (0..5).map(|_| append(&mut engine, "a", "", now).1).collect();
        assert_eq!(told, [1..1, 1..1, 1..1, 1..1, 1..2]);
        assert_eq!(engine.sweep(now, Duration::ZERO, false), Swept::default(), "nobody can be told");
        let swept = engine.sweep(now, Duration::ZERO, true);
        assert_eq!(swept, Swept { forgotten: vec![(name("a"), 2..3)], over: vec![] });
        let later = now + TTL + Duration::from_secs(1);
        assert_eq!(engine.sweep(later, Duration::ZERO, true).forgotten, [(name("a"), 3..6)]);
        assert_eq!(engine.sweep(later, Duration::ZERO, true), Swept::default());
    }

    #[test]
    fn what_the_copy_has_not_heard_is_told_again() {
        let (now, mut engine) = (Instant::now(), Engine::new(1, LIMITS));
        for _ in 0..5 {
            append(&mut engine, "a", "", now);
        }
        let forgotten = |engine: &mut Engine| engine.sweep(now, LINGER, true).forgotten;
        assert_eq!(forgotten(&mut engine), [(name("a"), 2..3)]);
        engine.tell_again(&name("a"), 2);
        assert_eq!(forgotten(&mut engine), [(name("a"), 2..3)]);
        assert_eq!(forgotten(&mut engine), []);
        engine.tell_again(&name("a"), 3);
        assert_eq!(forgotten(&mut engine), [], "it knows all before");
    }

    #[test]
    fn an_empty_channel_lingers_and_its_offsets_go_on() {
        let (now, mut engine) = (Instant::now(), Engine::new(1, LIMITS));
        append(&mut engine, "a", "1", now);
        engine.sweep(now + LINGER, Duration::ZERO, true);
        assert_eq!(append(&mut engine, "a", "2", now + LINGER).0, 2);
        let later = now + LINGER + LINGER + Duration::from_secs(1);
        // First its history goes, then the channel.
        assert_eq!(engine.sweep(later, Duration::ZERO, true).over, [name("a")]);
        assert!(engine.log(&name("a")).is_some(), "it is removed when its copy can go");
        engine.follow(&name("b"), ShardId(0), None, Updates::Whole, FRESH, now).unwrap();
        let left = Left { channel: name("b"), epoch: Epoch(1), updates: Updates::Whole };
        engine.leave(&left, ShardId(0));
        engine.sweep(now, Duration::ZERO, true);
        assert!(engine.log(&name("b")).is_none(), "nothing was ever published to it");
    }

    #[test]
    fn room_is_made_without_ending_a_channel_with_a_copy() {
        let (now, mut engine) = (Instant::now(), Engine::new(1, LIMITS));
        append(&mut engine, "a", "12345", now);
        append(&mut engine, "b", "1234567", now);
        assert_eq!(engine.log(&name("a")).map(|log| (log.kept(), log.position())), Some((0, at(1))));
        assert_eq!(engine.sweep(now, Duration::ZERO, true).forgotten, [(name("a"), 1..2)]);
        assert_eq!(engine.idle(), Some(name("a")));
        assert_eq!(append(&mut engine, "a", "", now).0, 2);
        assert_eq!(engine.idle(), None);
    }

    #[test]
    fn what_was_settled_late_makes_room_for_what_is_settled_next() {
        let (now, mut engine) = (Instant::now(), Engine::new(1, LIMITS));
        append(&mut engine, "o", "123456", now);
        engine.stage(&name("k"), FRESH).unwrap();
        engine.stage(&name("l"), FRESH).unwrap();
        engine.follow(&name("o"), ShardId(0), None, Updates::Whole, FRESH, now).unwrap();
        engine.settle(&name("k"), item("123456"), None, now).unwrap();
        engine.settle(&name("l"), item("123456"), None, now).unwrap();
        assert_eq!(engine.kept_bytes(), 6, "of the one that was used before");
        let kept = |channel| engine.log(&name(channel)).map(Log::kept);
        assert_eq!(["o", "k", "l"].map(kept), [Some(0), Some(0), Some(1)]);
    }

    #[test]
    fn one_that_is_idle_is_found_behind_any_number_that_are_not() {
        const BUSY: usize = 2 * SWEEP_CHANNELS;
        let limits = EngineLimits { max_channels: BUSY + 2, max_history_bytes: 2 * BUSY, ..LIMITS };
        let (now, mut engine) = (Instant::now(), Engine::new(1, limits));
        let left = Left { channel: name("idle"), epoch: Epoch(1), updates: Updates::Whole };
        for number in 0..BUSY {
            append(&mut engine, &number.to_string(), "1", now);
        }
        let none = Fresh { retention: Retention { size: 0, ..FRESH.retention }, ..FRESH };
        engine.stage(&name("idle"), none).unwrap();
        assert_eq!(engine.idle(), None, "something is under way");
        engine.settle(&name("idle"), item("1"), None, now).unwrap();
        assert_eq!(engine.idle(), Some(name("idle")));
        engine.follow(&name("idle"), ShardId(0), None, Updates::Whole, none, now).unwrap();
        assert_eq!(engine.idle(), None);
        engine.leave(&left, ShardId(0));
        assert_eq!(engine.idle(), Some(name("idle")));
        engine.begin_removal(&name("idle"));
        assert_eq!(engine.idle(), None);
        engine.cancel_removal(&name("idle"));
        let later = now + TTL + Duration::from_secs(1);
        for _ in 0..=BUSY / SWEEP_CHANNELS {
            engine.sweep(later, LINGER, true);
        }
        for number in 0..BUSY {
            assert_eq!(engine.idle(), Some(name(&number.to_string())), "the longest ago first");
            engine.remove(&name(&number.to_string()));
        }
        assert_eq!(engine.idle(), Some(name("idle")));
        engine.remove(&name("idle"));
        assert!(engine.idle().is_none() && engine.idle.is_empty());
    }

    #[test]
    fn a_channel_that_leaves_takes_nothing_more() {
        let (now, mut engine) = (Instant::now(), Engine::new(1, LIMITS));
        for _ in 0..5 {
            append(&mut engine, "a", "", now);
        }
        engine.stage(&name("a"), FRESH).unwrap();
        assert_eq!(engine.begin_removal(&name("a")), Some(3..7));
        assert_eq!(engine.begin_removal(&name("a")), None);
        assert_eq!(engine.stage(&name("a"), FRESH), Err(NotStaged::Leaving));
        engine.unstage_last(&name("a"));
        engine.cancel_removal(&name("a"));
        assert_eq!(engine.stage(&name("a"), FRESH).unwrap().position, at(6));
        assert_eq!(engine.begin_removal(&name("b")), None);
    }

    #[test]
    fn a_channel_that_is_over_at_once_leaves_nothing_in_its_copy() {
        let (now, mut engine) = (Instant::now(), Engine::new(1, LIMITS));
        let restored =
            Restored { position: at(8), appended: now, kept: vec![(item("7"), now), (item("8"), now)] };
        let later = now + LINGER + LINGER;
        engine.restore(&name("a"), restored, FRESH.retention, later).unwrap();
        assert_eq!(engine.sweep(later, Duration::ZERO, true).over, [name("a")]);
        assert_eq!(engine.begin_removal(&name("a")), Some(7..9));
    }

    #[test]
    fn a_channel_that_has_lived_before_goes_on() {
        let (now, mut engine) = (Instant::now(), Engine::new(1, LIMITS));
        let kept = vec![(item("5"), now), (item("6"), now), (item("7"), now), (item("8"), now)];
        let restored = Restored { position: at(8), appended: now, kept };
        engine.restore(&name("a"), restored.clone(), FRESH.retention, now).unwrap();
        assert_eq!(engine.kept_bytes(), 3, "the size of now holds");
        let recovery =
            engine.follow(&name("a"), ShardId(0), Some(at(6)), Updates::Whole, FRESH, now).unwrap();
        assert_eq!((recovery.recovered, recovery.position), (true, at(8)));
        assert_eq!(append(&mut engine, "a", "9", now), (9, 5..6), "the copy had one more than is kept");
        for channel in ["b", "c"] {
            engine.restore(&name(channel), restored.clone(), FRESH.retention, now).unwrap();
        }
        assert_eq!(engine.restore(&name("d"), restored, FRESH.retention, now), Err(TooManyChannels));
    }
}
