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
mod listing;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

use crate::log::{Log, Retention};
use crate::name::ChannelName;
use crate::position::{Epoch, Position};
use crate::publication::{Item, Payload, Publication};
use crate::updates::{Compared, Increments};

pub use self::copies::{NotStaged, Staged, Swept};
pub use self::listing::ChannelStatus;
pub use self::precondition::Precondition;

use self::copies::Copied;
use self::empty::Empty;
use self::incremental::Incremental;
use self::listing::ByName;

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

/// See the module's head.
#[derive(Debug)]
pub struct Engine {
    channels: HashMap<ChannelName, Home, foldhash::fast::RandomState>,
    /// Channels by their last use, oldest first: whom to forget when history takes too much room.
    by_use: BTreeMap<u64, ChannelName>,
    by_name: ByName,
    uses: u64,
    swept: u64,
    /// Channels used before this have no history that could make room: those that linger are not looked at each time.
    barren: u64,
    kept_bytes: usize,
    /// Channels that make place for others.
    empty: Empty,
    /// The last uses of channels with a copy that were found idle. Whether they still are is seen when one of them
    /// is wanted.
    idle: BTreeSet<u64>,
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
            by_name: ByName::default(),
            uses: 0,
            swept: 0,
            barren: 0,
            kept_bytes: 0,
            empty: Empty::default(),
            idle: BTreeSet::new(),
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
        self.idle.remove(&home.last_use);
        self.by_name.remove(name);
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
            home.note_idle(&mut self.idle);
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
            self.by_name.insert(name);
        }
        self.uses += 1;
        let Some(home) = self.channels.get_mut(name) else { return Err(TooManyChannels) };
        self.by_use.remove(&home.last_use);
        self.idle.remove(&home.last_use);
        (home.last_use, home.unused) = (self.uses, None);
        home.log.set_retention(fresh.retention);
        self.by_use.insert(self.uses, name.clone());
        Ok(home)
    }

    /// Forgets the history of the channels that were used longest ago until the rest fits. Offsets of a
    /// channel that somebody follows go on; one that nobody follows goes whole, and is a new epoch later.
    fn make_room(&mut self, keep: &ChannelName) {
        // What is spared now must be found the next time, however long ago its channel was used.
        let spared = self.channels.get(keep).filter(|home| !home.log.retention().document);
        let spared = spared.map_or(u64::MAX, |home| home.last_use);
        let mut from = self.barren;
        while self.kept_bytes > self.limits.max_history_bytes {
            let oldest = self.by_use.range(from..).find(|(_, name)| {
                self.channels.get(*name).is_some_and(|home| {
                    // A document that is polled stays: its source brings it again only when it changes.
                    home.log.kept() > usize::from(*name == keep || home.log.retention().document)
                })
            });
            let Some((last_use, name)) = oldest.map(|(last_use, name)| (*last_use, name.clone())) else {
                return;
            };
            // The next publication of a channel that is passed over here brings it back.
            from = last_use;
            self.barren = last_use.min(spared);
            let Some(home) = self.channels.get_mut(&name) else { return };
            let (before, kept) = (home.log.kept_bytes(), home.log.kept());
            home.log.forget_oldest();
            self.kept_bytes = self.kept_bytes - before + home.log.kept_bytes();
            self.evicted += (kept - home.log.kept()) as u64;
            home.note_idle(&mut self.idle);
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
mod tests;
