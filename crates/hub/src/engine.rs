//! The embedded engine: the logs of the channels that are at home on one shard, and who follows them.
//!
//! Appending gives the position; following answers with what was missed. Both are asked by the shard that
//! owns this engine, in the order in which its mailbox brings them, which is why what was missed and
//! what is live meet without gap or overlap. A log may have a copy elsewhere: then a publication is staged
//! first, and settled when the copy has it; until then nobody hears of it.

mod incremental;
mod precondition;
mod empty;
mod following;
mod copies;

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use crate::log::{Log, Retention};
use crate::name::ChannelName;
use crate::position::{Epoch, Position};
use crate::publication::{Item, Payload, Publication};
use crate::updates::{Compared, Increments};

pub use self::copies::{NotStaged, Staged, Swept};
pub use self::precondition::Precondition;

use self::copies::Copied;
use self::empty::Empty;
use self::incremental::Incremental;

/// One shard of the process, counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ShardId(pub u16);

/// Bounds of one engine, which is one shard's part of the process' limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EngineLimits {
    /// Channels with a log (`channels.max_total`).
    pub max_channels: usize,
    /// Payload bytes kept in all logs together (`history.max_total`).
    pub max_history_bytes: usize,
    /// Payload bytes of one recovery; more is not recoverable.
    pub max_recovery_bytes: usize,
    /// How long a log with a copy goes on that keeps nothing and that nobody follows (`channels.linger`).
    pub linger: Duration,
}

/// What whoever creates a log must bring: its retention and a random epoch.
#[derive(Debug, Clone, Copy)]
pub struct Fresh {
    /// What the log keeps from now on.
    pub retention: Retention,
    /// The log's epoch, if it is created now.
    pub epoch: Epoch,
    /// The log, if it is created now, has a copy elsewhere.
    pub copied: bool,
    /// The log, if it is created now, is filled by a source and not by publishers.
    pub sourced: bool,
}

/// An appended publication.
#[derive(Debug, Clone)]
pub struct Appended {
    /// Its place.
    pub position: Position,
    /// As subscribers get it.
    pub publication: Publication,
    /// How many subscriptions follow the channel, on all shards.
    pub followers: u32,
}

/// What a publication is compared with.
#[derive(Debug, Clone)]
pub struct Basis {
    /// Where that stands.
    pub position: Position,
    /// The newest publication.
    pub payload: Payload,
    /// The kinds of increments that somebody gets.
    pub wanted: Increments,
}

/// There are as many channels as there may be (`channels.max_total`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooManyChannels;

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

/// See the module's head.
#[derive(Debug)]
pub struct Engine {
    channels: HashMap<ChannelName, Home, foldhash::fast::RandomState>,
    /// Channels by their last use, oldest first: whom to forget when history takes too much room.
    by_use: BTreeMap<u64, ChannelName>,
    uses: u64,
    swept: u64,
    /// Channels used before this have no history that could make room: those that linger are not looked at each time.
    barren: u64,
    kept_bytes: usize,
    /// Channels that make place for others.
    empty: Empty,
    /// Publications that have left histories because they were too many together.
    evicted: u64,
    shards: u16,
    limits: EngineLimits,
}

#[derive(Debug)]
struct Home {
    log: Log,
    /// Subscriptions by shard.
    followers: Box<[u32]>,
    /// Those of them that get increments.
    incremental: Incremental,
    /// A source fills it.
    sourced: bool,
    last_use: u64,
    /// Since when it is known that nobody follows it and that it keeps nothing.
    unused: Option<Instant>,
    /// It is among those that may be empty.
    is_listed: bool,
    /// What is under way to the copy of the log, if it has one.
    copy: Option<Copied>,
}

/// Channels looked at in one sweep, so that a sweep never holds its shard for long.
const SWEEP_CHANNELS: usize = 1024;

impl Engine {
    /// An engine whose channels may be followed from `shards` shards.
    #[must_use]
    pub fn new(shards: u16, limits: EngineLimits) -> Self {
        Self {
            channels: HashMap::default(),
            by_use: BTreeMap::new(),
            uses: 0,
            swept: 0,
            barren: 0,
            kept_bytes: 0,
            empty: Empty::default(),
            evicted: 0,
            shards,
            limits,
        }
    }

    /// Appends `item` to the log of `name`, which is created from `fresh` if there is none. `compared` says
    /// how it differs from the [`Engine::basis`].
    pub fn append(
        &mut self,
        name: &ChannelName,
        item: Item,
        compared: Option<Compared>,
        fresh: Fresh,
        now: Instant,
    ) -> Result<Appended, TooManyChannels> {
        self.home(name, fresh)?;
        self.append_to_log(name, item, compared, now).ok_or(TooManyChannels)
    }

    fn append_to_log(
        &mut self,
        name: &ChannelName,
        item: Item,
        compared: Option<Compared>,
        now: Instant,
    ) -> Option<Appended> {
        let home = self.channels.get_mut(name)?;
        self.barren = self.barren.min(home.last_use);
        let before = home.log.kept_bytes();
        home.incremental.note_publication();
        let publication = home.log.append(item, compared, now);
        let appended =
            Appended { position: home.log.position(), publication, followers: home.followers.iter().sum() };
        let after = home.log.kept_bytes();
        self.kept_bytes = self.kept_bytes - before + after;
        self.make_room(name);
        Some(appended)
    }

    /// What the next publication of `name` is to be compared with; `None` if nobody gets increments.
    #[must_use]
    pub fn basis(&self, name: &ChannelName) -> Option<Basis> {
        let home = self.channels.get(name)?;
        let wanted = home.incremental.wanted().both(home.log.retention().increments);
        if wanted.is_none() {
            return None;
        }
        let payload = home.log.comparable()?.item.payload.clone();
        Some(Basis { position: home.log.position(), payload, wanted })
    }

    /// A page of the history of `name`, see [`Log::page`]; `None` without such a channel.
    pub fn page(
        &mut self,
        name: &ChannelName,
        after: Option<Position>,
        limit: usize,
        max_bytes: usize,
        now: Instant,
    ) -> Option<Option<Vec<Publication>>> {
        let home = self.channels.get_mut(name)?;
        let before = home.log.kept_bytes();
        let page = home.log.page(after, limit, max_bytes, now);
        self.kept_bytes = self.kept_bytes - before + home.log.kept_bytes();
        Some(page)
    }

    /// Where `name` stands, and its newest publication if that is kept at `now`; `None` without such a channel.
    pub fn newest_kept(
        &mut self,
        name: &ChannelName,
        now: Instant,
    ) -> Option<(Position, Option<Publication>)> {
        let newest = self.page(name, None, 1, usize::MAX, now)?.and_then(|mut page| page.pop());
        Some((self.log(name)?.position(), newest))
    }

    /// The log of `name`.
    #[must_use]
    pub fn log(&self, name: &ChannelName) -> Option<&Log> {
        self.channels.get(name).map(|home| &home.log)
    }

    /// Whether a source fills `name`, and not publishers; `None` without such a channel.
    #[must_use]
    pub fn is_sourced(&self, name: &ChannelName) -> Option<bool> {
        self.channels.get(name).map(|home| home.sourced)
    }

    /// Forgets the channel; a later publication begins a new epoch. Gives the shards that followed it.
    pub fn remove(&mut self, name: &ChannelName) -> Option<Vec<ShardId>> {
        let following = self.following(name).collect();
        let home = self.channels.remove(name)?;
        self.by_use.remove(&home.last_use);
        self.kept_bytes -= home.log.kept_bytes();
        Some(following)
    }

    /// Trims aged history and frees channels that nobody has followed and that have kept nothing for `linger`:
    /// whoever polls follows them for moments only, and his position must stand until he comes back. To be
    /// called every few seconds; each call looks at a part of the channels. What it gives is for the copies of
    /// logs; with `telling` false they cannot be told anything now, and nothing is given.
    pub fn sweep(&mut self, now: Instant, linger: Duration, telling: bool) -> Swept {
        let part: Vec<_> = self
            .by_use
            .range(self.swept..)
            .take(SWEEP_CHANNELS)
            .map(|(last_use, name)| (*last_use, name.clone()))
            .collect();
        self.swept = match part.last() {
            Some((last_use, _)) if part.len() == SWEEP_CHANNELS => last_use + 1,
            _ => 0,
        };
        let mut swept = Swept::default();
        for (_, name) in part {
            let Some(home) = self.channels.get_mut(&name) else { continue };
            let before = home.log.kept_bytes();
            home.log.trim(now);
            self.kept_bytes = self.kept_bytes - before + home.log.kept_bytes();
            let is_over = home.is_over(now, linger, self.limits.linger);
            match &mut home.copy {
                Some(copy) if home.log.position().offset > 0 => {
                    // Whoever removes it tells the copy to forget all of it.
                    if is_over && telling {
                        swept.over.push(name);
                    } else if telling && let Some(forgotten) = copy.tell_news(&home.log) {
                        swept.forgotten.push((name, forgotten));
                    }
                }
                _ if is_over => drop(self.remove(&name)),
                _ => {}
            }
        }
        swept
    }

    /// Channels with a log.
    #[must_use]
    pub fn len(&self) -> usize {
        self.channels.len()
    }

    /// True without any channel.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.channels.is_empty()
    }

    /// Payload bytes kept in all logs.
    #[must_use]
    pub fn kept_bytes(&self) -> usize {
        self.kept_bytes
    }

    /// Publications that have left histories since the start because all together were beyond their bound.
    #[must_use]
    pub fn evicted(&self) -> u64 {
        self.evicted
    }

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
        let beyond = |name: &&ChannelName| after.is_none_or(|after| name.to_string().as_str() > after);
        let mut names: Vec<_> = self.channels.keys().filter(beyond).collect();
        names.sort_by_cached_key(ToString::to_string);
        names.truncate(limit);
        names.into_iter().filter_map(|name| self.status(name)).collect()
    }

    fn home(&mut self, name: &ChannelName, fresh: Fresh) -> Result<&mut Home, TooManyChannels> {
        if !self.channels.contains_key(name) {
            if self.channels.len() >= self.limits.max_channels && !self.make_place() {
                return Err(TooManyChannels);
            }
            let followers = vec![0; usize::from(self.shards)].into();
            let copy = fresh.copied.then(Copied::default);
            // Uses count from 1: no other channel stands at 0.
            let (log, incremental) = (Log::new(fresh.epoch, fresh.retention), Incremental::default());
            let (sourced, last_use, unused, is_listed) = (fresh.sourced, 0, None, false);
            let home = Home { log, followers, incremental, sourced, last_use, unused, is_listed, copy };
            self.channels.insert(name.clone(), home);
        }
        self.uses += 1;
        let Some(home) = self.channels.get_mut(name) else { return Err(TooManyChannels) };
        self.by_use.remove(&home.last_use);
        (home.last_use, home.unused) = (self.uses, None);
        home.log.set_retention(fresh.retention);
        self.by_use.insert(self.uses, name.clone());
        Ok(home)
    }

    /// Forgets the history of the channels that were used longest ago until the rest fits. Offsets of a
    /// channel that somebody follows go on; one that nobody follows goes whole, and is a new epoch later.
    fn make_room(&mut self, keep: &ChannelName) {
        while self.kept_bytes > self.limits.max_history_bytes {
            let oldest = self.by_use.range(self.barren..).find(|(_, name)| {
                self.channels.get(*name).is_some_and(|home| {
                    // A document that is polled stays: its source brings it again only when it changes.
                    home.log.kept() > usize::from(*name == keep || home.log.retention().document)
                })
            });
            let Some((last_use, name)) = oldest.map(|(last_use, name)| (*last_use, name.clone())) else {
                return;
            };
            // The next publication of a channel that is passed over here brings it back.
            self.barren = last_use;
            let Some(home) = self.channels.get_mut(&name) else { return };
            let (before, kept) = (home.log.kept_bytes(), home.log.kept());
            home.log.forget_oldest();
            self.kept_bytes = self.kept_bytes - before + home.log.kept_bytes();
            self.evicted += (kept - home.log.kept()) as u64;
            // One that has a copy lingers, and its offsets go on.
            if home.copy.is_none() && home.is_idle() && name != *keep {
                self.evicted += home.log.kept() as u64;
                self.remove(&name);
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "a test needs some instant to count from")]
mod tests {
    use super::incremental::LINGERING_PUBLICATIONS;
    use super::*;
    use crate::subscription::Left;
    use crate::updates::Updates;

    const LIMITS: EngineLimits =
        EngineLimits { max_channels: 3, max_history_bytes: 10, max_recovery_bytes: 1024, linger: LINGER };
    const LINGER: Duration = Duration::from_secs(3600);
    const FRESH: Fresh = Fresh {
        retention: Retention {
            size: 10,
            ttl: Duration::from_secs(60),
            document: false,
            increments: Increments::NONE,
        },
        epoch: Epoch(1),
        copied: false,
        sourced: false,
    };

    fn name(text: &str) -> ChannelName {
        ChannelName::from_text(text).unwrap()
    }

    fn append(engine: &mut Engine, channel: &str, text: &str, now: Instant) -> Appended {
        engine.append(&name(channel), Payload::from(text).into(), None, FRESH, now).unwrap()
    }

    #[test]
    fn an_answer_has_the_first_of_what_is_too_much() {
        let now = Instant::now();
        let limits = EngineLimits { max_recovery_bytes: 5, max_history_bytes: 1000, ..LIMITS };
        let mut engine = Engine::new(1, limits);
        for text in ["1", "22", "333", "4444", "666666", "7"] {
            append(&mut engine, "a", text, now);
        }
        let mut answer = |after: Option<u64>| {
            let after = after.map(|offset| Position { epoch: Epoch(1), offset });
            let (channel, updates) = (name("a"), Updates::Whole);
            let mut recovery = engine.follow(&channel, ShardId(0), after, updates, FRESH, now).unwrap();
            engine.make_answer(&channel, after, updates, &mut recovery, now);
            assert_eq!(recovery.position.offset, 6);
            let offsets: Vec<u64> = recovery.publications.iter().map(|one| one.offset).collect();
            (recovery.recovered, offsets)
        };
        assert_eq!(answer(None), (true, vec![6]));
        assert_eq!(answer(Some(0)), (true, vec![1, 2]));
        assert_eq!(answer(Some(2)), (true, vec![3]));
        assert_eq!(answer(Some(4)), (true, vec![5]));
        assert_eq!(answer(Some(5)), (true, vec![6]));
        assert_eq!(answer(Some(6)), (true, vec![]));
        assert_eq!(answer(Some(7)), (false, vec![]));
    }

    #[test]
    fn the_newest_is_not_kept_beyond_its_time() {
        let (now, mut engine) = (Instant::now(), Engine::new(1, LIMITS));
        let at = append(&mut engine, "a", "1", now).position;
        let mut kept = |seconds| {
            let newest = engine.newest_kept(&name("a"), now + Duration::from_secs(seconds));
            newest.map(|(position, newest)| (position, newest.map(|one| one.offset)))
        };
        assert_eq!(kept(60), Some((at, Some(1))));
        assert_eq!(kept(61), Some((at, None)));
        assert_eq!(engine.kept_bytes(), 0);
        assert_eq!(engine.newest_kept(&name("b"), now), None);
    }

    #[test]
    fn a_publication_is_placed_and_its_followers_are_known() {
        let (now, mut engine) = (Instant::now(), Engine::new(2, LIMITS));
        assert_eq!(append(&mut engine, "a", "1", now).followers, 0);
        let recovery = engine.follow(&name("a"), ShardId(1), None, Updates::Whole, FRESH, now).unwrap();
        assert_eq!(recovery.position.offset, 1);
        let appended = append(&mut engine, "a", "2", now);
        assert_eq!((appended.position.offset, appended.followers), (2, 1));
        assert_eq!(engine.following(&name("a")).collect::<Vec<_>>(), [ShardId(1)]);
        assert_eq!(
            engine.leave(&Left { channel: name("a"), epoch: Epoch(1), updates: Updates::Whole }, ShardId(1)),
            0
        );
        assert_eq!(engine.following(&name("a")).count(), 0);
    }

    #[test]
    fn whoever_leaves_an_earlier_life_is_not_missed_in_this_one() {
        let (now, mut engine) = (Instant::now(), Engine::new(1, LIMITS));
        engine.follow(&name("a"), ShardId(0), None, Updates::Whole, FRESH, now).unwrap();
        engine.remove(&name("a"));
        let again = Fresh { epoch: Epoch(2), ..FRESH };
        engine.follow(&name("a"), ShardId(0), None, Updates::Whole, again, now).unwrap();
        let left = |epoch| Left { channel: name("a"), epoch: Epoch(epoch), updates: Updates::Whole };
        assert_eq!(engine.leave(&left(1), ShardId(0)), 1);
        assert_eq!(engine.leave(&left(2), ShardId(0)), 0);
    }

    #[test]
    fn channels_are_bounded() {
        let (now, mut engine) = (Instant::now(), Engine::new(1, LIMITS));
        for channel in ["a", "b", "c"] {
            append(&mut engine, channel, "", now);
        }
        let refused = engine.append(&name("d"), Payload::from("x").into(), None, FRESH, now);
        assert_eq!(refused.unwrap_err(), TooManyChannels);
        assert!(engine.follow(&name("d"), ShardId(0), None, Updates::Whole, FRESH, now).is_err());
        append(&mut engine, "a", "still open", now);
    }

    #[test]
    fn history_makes_room_by_forgetting_the_oldest_channel() {
        let (now, mut engine) = (Instant::now(), Engine::new(1, LIMITS));
        append(&mut engine, "a", "12345", now);
        append(&mut engine, "b", "12345", now);
        append(&mut engine, "b", "12345", now);
        assert_eq!(engine.log(&name("a")).map(Log::position), None, "nobody followed it: it goes whole");
        assert_eq!((engine.kept_bytes(), engine.evicted()), (10, 1));
        engine.follow(&name("b"), ShardId(0), None, Updates::Whole, FRESH, now).unwrap();
        append(&mut engine, "c", "1234567890", now);
        assert_eq!(engine.log(&name("b")).unwrap().position().offset, 2, "followed: its offsets go on");
        assert_eq!((engine.kept_bytes(), engine.evicted()), (10, 3));
    }

    #[test]
    fn one_publication_larger_than_all_room_is_kept_alone() {
        let (now, mut engine) = (Instant::now(), Engine::new(1, LIMITS));
        append(&mut engine, "a", "12345", now);
        append(&mut engine, "a", "12345678901", now);
        assert_eq!(engine.log(&name("a")).unwrap().kept(), 1);
    }

    #[test]
    fn the_newest_of_a_document_is_not_forgotten_for_others() {
        let (now, mut engine) = (Instant::now(), Engine::new(1, LIMITS));
        let document = Fresh { retention: Retention { document: true, ..FRESH.retention }, ..FRESH };
        engine.append(&name("polled"), Payload::from("12345").into(), None, document, now).unwrap();
        append(&mut engine, "a", "1234567890", now);
        append(&mut engine, "b", "1234567890", now);
        assert_eq!(engine.log(&name("polled")).map(Log::kept), Some(1));
        assert_eq!(engine.log(&name("a")).map(Log::kept), None, "a channel's history gives way");
    }

    #[test]
    fn a_sweep_frees_what_nobody_needs() {
        let (now, mut engine) = (Instant::now(), Engine::new(1, LIMITS));
        append(&mut engine, "a", "1", now);
        engine.follow(&name("b"), ShardId(0), None, Updates::Whole, FRESH, now).unwrap();
        let linger = Duration::from_secs(30);
        engine.sweep(now, linger, true);
        assert_eq!(engine.len(), 2);
        let aged = now + Duration::from_secs(61);
        engine.sweep(aged, linger, true);
        assert_eq!((engine.len(), engine.kept_bytes()), (2, 0), "its position stands for a while");
        engine.sweep(aged + linger, linger, true);
        assert_eq!(engine.len(), 1);
        assert_eq!(engine.list(None, 10)[0].name, name("b"));
    }

    #[test]
    fn a_channel_that_is_polled_keeps_its_epoch() {
        let (mut now, mut engine) = (Instant::now(), Engine::new(1, LIMITS));
        let linger = Duration::from_secs(30);
        let first = engine.follow(&name("a"), ShardId(0), None, Updates::Whole, FRESH, now).unwrap().position;
        let left = Left { channel: name("a"), epoch: first.epoch, updates: Updates::Whole };
        for epoch in 2..10 {
            engine.leave(&left, ShardId(0));
            engine.sweep(now, linger, true);
            now += Duration::from_secs(20);
            engine.sweep(now, linger, true);
            let fresh = Fresh { epoch: Epoch(epoch), ..FRESH };
            let again =
                engine.follow(&name("a"), ShardId(0), Some(first), Updates::Whole, fresh, now).unwrap();
            assert!(again.recovered && again.position == first);
        }
        engine.leave(&left, ShardId(0));
        engine.sweep(now, linger, true);
        engine.sweep(now + linger, linger, true);
        assert!(engine.is_empty());
    }

    #[test]
    fn the_list_is_paged_by_name() {
        let (now, mut engine) = (Instant::now(), Engine::new(1, LIMITS));
        for channel in ["c", "a", "b"] {
            append(&mut engine, channel, "", now);
        }
        let names = |after, limit| -> Vec<String> {
            engine.list(after, limit).iter().map(|status| status.name.to_string()).collect()
        };
        assert_eq!(names(None, 2), ["a", "b"]);
        assert_eq!(names(Some("b"), 2), ["c"]);
    }

    #[test]
    fn increments_are_wanted_while_somebody_gets_them_and_a_little_longer() {
        let (now, mut engine) = (Instant::now(), Engine::new(1, LIMITS));
        let increments = Increments { json_patch: true, merge_patch: false };
        let fresh = Fresh { retention: Retention { increments, ..FRESH.retention }, ..FRESH };
        let mut wanted = |updates: &[(bool, Updates)], published: u32| {
            for (joins, updates) in updates {
                if *joins {
                    engine.follow(&name("a"), ShardId(0), None, *updates, fresh, now).unwrap();
                } else {
                    let left = Left { channel: name("a"), epoch: Epoch(1), updates: *updates };
                    engine.leave(&left, ShardId(0));
                }
            }
            for _ in 0..published {
                engine.append(&name("a"), Payload::from("1").into(), None, fresh, now).unwrap();
            }
            engine.basis(&name("a")).map(|basis| basis.wanted)
        };
        assert_eq!(wanted(&[(true, Updates::Whole)], 1), None);
        assert_eq!(wanted(&[(true, Updates::MergePatch)], 1), None, "the channel has none of these");
        assert_eq!(wanted(&[(true, Updates::JsonPatch), (true, Updates::JsonPatch)], 1), Some(increments));
        assert_eq!(wanted(&[(false, Updates::JsonPatch)], 100), Some(increments));
        assert_eq!(wanted(&[(false, Updates::MergePatch)], 100), Some(increments));
        assert_eq!(wanted(&[(false, Updates::JsonPatch)], LINGERING_PUBLICATIONS - 1), Some(increments));
        assert_eq!(wanted(&[], 1), None);
    }
}
