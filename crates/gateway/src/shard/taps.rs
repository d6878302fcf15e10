//! Who watches connections of this shard, and which of them are tapped for that. Nothing is here while nobody
//! watches: then a shard tests one byte of a connection, and no more.
//!
//! A watcher takes from the rings at its own pace. A slow one loses what has given way, and is told how much.

use std::collections::HashMap;
use std::io::IoSlice;
use std::sync::Arc;

use tidegate_hub::{SendQueue, SessionId};
use tidegate_inspect::Timestamp;
use tidegate_inspect::event::{Body, Close, Event, Level, Note};
use tidegate_inspect::filter::{Candidate, Filter};
use tokio::sync::Notify;

use super::ring::{Kept, PREVIEW_BYTES, Ring, Room, Who, cost};
use super::tapped::{Budget, Standing, Tapped};
use super::wheel::Tick;
use crate::limits::Limits;
use crate::settings::WatchLevel;

/// Rings of a shard that may be full at the same time; where there are more, each has its share.
const FULL_RINGS: usize = 16;

/// Slices of one write, at most.
const SLICES: usize = 64;

/// A watch, in the whole process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct WatchId(pub(crate) u64);

/// Which connections are watched.
#[derive(Debug, Clone)]
pub(crate) enum Choice {
    One(SessionId),
    /// Those that the filter chooses, now and when they open.
    Matching(Arc<Filter>),
}

/// A watch that begins.
#[derive(Debug, Clone)]
pub(crate) struct Watch {
    pub(crate) id: WatchId,
    pub(crate) choice: Choice,
    pub(crate) level: WatchLevel,
    /// Rung when there is something to be taken.
    pub(crate) bell: Arc<Notify>,
}

/// What a watcher takes.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    pub(crate) events: Vec<Arc<Kept>>,
    /// About the watch itself.
    pub(crate) notes: Vec<Event>,
    /// Events that gave way since it took last.
    pub(crate) lost: u64,
    /// There are more.
    pub(crate) more: bool,
}

/// See the module's head.
#[derive(Debug, Default)]
pub(crate) struct Taps {
    tapped: HashMap<SessionId, Tapped>,
    watches: HashMap<WatchId, Watching>,
    /// That connections opened and ended.
    lives: Ring,
    budget: Budget,
    limits: Option<Bounds>,
}

#[derive(Debug, Clone, Copy)]
struct Bounds {
    taps: usize,
    room: Room,
}

#[derive(Debug)]
struct Watching {
    watch: Watch,
    rung: bool,
    /// The newest event that was taken of each connection that is tapped for it.
    taken: HashMap<SessionId, u64>,
    taken_lives: u64,
    notes: Vec<Event>,
    lost: u64,
    /// It has been said that there are more than can be tapped.
    told_beyond: bool,
}

impl Taps {
    /// Whether anybody watches.
    pub(super) fn is_watching(&self) -> bool {
        !self.watches.is_empty()
    }

    pub(super) fn is_tapped(&self, session: SessionId) -> bool {
        self.tapped.contains_key(&session)
    }

    /// Begins a watch. Its connections are tapped by [`Taps::tap`].
    pub(super) fn begin(&mut self, watch: Watch, limits: &Limits) {
        let room = Room { events: limits.inspect_ring_events as usize, bytes: limits.inspect_ring_bytes };
        self.limits = Some(Bounds { taps: limits.inspect_max_taps as usize, room });
        let watching = Watching {
            rung: false,
            taken: HashMap::new(),
            taken_lives: self.lives.count(),
            notes: Vec::new(),
            lost: 0,
            told_beyond: false,
            watch,
        };
        self.watches.insert(watching.watch.id, watching);
    }

    /// The watches that a connection is tapped for.
    pub(super) fn choosing(&self, session: SessionId, who: &Who) -> Vec<WatchId> {
        let chooses = |watching: &&Watching| match &watching.watch.choice {
            Choice::One(one) => *one == session,
            Choice::Matching(filter) => filter.chooses(&who.candidate()),
        };
        let captured = self.watches.values().filter(|watching| watching.watch.level >= WatchLevel::Frames);
        captured.filter(chooses).map(|watching| watching.watch.id).collect()
    }

    /// Taps a connection for these watches; false if there is no room for it. `first` is what is told first.
    pub(super) fn tap(
        &mut self,
        session: SessionId,
        who: Arc<Who>,
        watches: &[WatchId],
        standing: Standing,
        first: Vec<(Timestamp, Body)>,
    ) -> bool {
        if !self.tapped.contains_key(&session) && !self.make_room() {
            watches.iter().for_each(|id| self.tell_beyond(*id));
            return false;
        }
        let room = self.room();
        let is_new = !self.tapped.contains_key(&session);
        let level = self.level_of(watches);
        let tapped = self.tapped.entry(session).or_insert_with(|| Tapped::begin(who, level, standing, room));
        if level > tapped.level {
            tapped.set_level(level, room);
        }
        // Who comes later sees what is still there.
        let taken = tapped.ring.behind(0).next().map_or(tapped.ring.count(), |oldest| oldest.n - 1);
        if is_new {
            first.into_iter().for_each(|(at, body)| tapped.tell(at, body, room));
        }
        for id in watches {
            if let Some(watching) = self.watches.get_mut(id) {
                watching.taken.entry(session).or_insert(taken);
            }
        }
        self.ring(session);
        true
    }

    /// Takes bytes of a client.
    pub(super) fn came(&mut self, session: SessionId, bytes: &[u8], is_between: bool, now: Tick) {
        let room = self.room();
        if let Some(tapped) = self.tapped.get_mut(&session) {
            tapped.came(bytes, is_between, now, &mut self.budget, room);
            self.ring(session);
        }
    }

    /// Takes bytes that were written to a client.
    pub(super) fn went(&mut self, session: SessionId, bytes: &[u8], now: Tick) {
        let room = self.room();
        if let Some(tapped) = self.tapped.get_mut(&session) {
            tapped.went(bytes, now, &mut self.budget, room);
            self.ring(session);
        }
    }

    /// The same of what a queue holds first.
    #[cold]
    pub(super) fn went_of(&mut self, session: SessionId, queue: &SendQueue, mut count: usize, now: Tick) {
        let mut slices = [IoSlice::new(&[]); SLICES];
        let filled = queue.fill(&mut slices);
        for slice in &slices[..filled] {
            let length = slice.len().min(count);
            self.went(session, &slice[..length], now);
            count -= length;
            if count == 0 {
                return;
            }
        }
    }

    /// Notes the end of a connection that is tapped.
    pub(super) fn ended(&mut self, session: SessionId, close: Close, now: Tick) {
        let room = self.room();
        if let Some(tapped) = self.tapped.get_mut(&session) {
            tapped.end(close, now, &mut self.budget, room);
            self.ring(session);
        }
    }

    /// Whether somebody watches connections as they open and end.
    pub(super) fn is_choosing(&self) -> bool {
        self.watches.values().any(|watching| matches!(watching.watch.choice, Choice::Matching(_)))
    }

    /// Notes that a connection opened or ended, for those who see that alone.
    pub(super) fn happened(&mut self, who: &Arc<Who>, ts: Timestamp, body: Body) {
        let room = self.room();
        self.lives.push(who, Event { ts, conn: Some(Arc::clone(&who.name)), body }, room);
        for watching in self.watches.values_mut() {
            if matches!(watching.watch.choice, Choice::Matching(_)) {
                watching.ring();
            }
        }
    }

    /// Takes what there is for a watch, some `events` and `bytes` at most. `None` if it is over.
    pub(crate) fn take(&mut self, id: WatchId, events: usize, bytes: usize) -> Option<Taken> {
        let watching = self.watches.get_mut(&id)?;
        watching.rung = false;
        let mut taken = Taken { notes: std::mem::take(&mut watching.notes), ..Taken::default() };
        taken.lost = std::mem::take(&mut watching.lost);
        let mut left = Left { events, bytes };
        if let Choice::Matching(filter) = &watching.watch.choice {
            let seen = watching.watch.level >= WatchLevel::Frames;
            let chosen = |kept: &Kept| !(seen && kept.who.is_tapped) && filter.chooses(&kept.who.candidate());
            taken.take(&self.lives, &mut watching.taken_lives, &mut left, chosen);
        }
        let mut ended = Vec::new();
        for (session, last) in &mut watching.taken {
            let Some(tapped) = self.tapped.get(session) else { continue };
            taken.take(&tapped.ring, last, &mut left, |_| true);
            if tapped.has_ended && *last == tapped.ring.count() {
                ended.push(*session);
            }
        }
        if let Choice::Matching(_) = watching.watch.choice {
            watching.taken.retain(|session, _| !ended.contains(session));
            ended.iter().for_each(|session| self.let_go(*session));
        }
        Some(taken)
    }

    /// The whole payload of an event that is still kept.
    pub(crate) fn find(&self, session: SessionId, n: u64) -> Option<Arc<Kept>> {
        self.tapped.get(&session)?.ring.find(n).cloned()
    }

    /// Ends a watch; gives the open connections that nobody watches any more.
    pub(super) fn end(&mut self, id: WatchId) -> Vec<SessionId> {
        let Some(watching) = self.watches.remove(&id) else { return Vec::new() };
        let sessions: Vec<SessionId> = watching.taken.into_keys().collect();
        sessions.iter().for_each(|session| self.let_go(*session));
        if self.watches.is_empty() {
            self.lives = Ring::default();
        }
        sessions.into_iter().filter(|session| !self.tapped.contains_key(session)).collect()
    }

    /// Ends the watches that see more than may be watched from now on.
    pub(super) fn keep_up_to(&mut self, most: WatchLevel) -> Vec<SessionId> {
        let above = self.watches.values().filter(|watching| watching.watch.level > most);
        let above: Vec<WatchId> = above.map(|watching| watching.watch.id).collect();
        for watching in self.watches.values_mut().filter(|watching| watching.watch.level > most) {
            // Its feed finds that it is over.
            watching.ring();
        }
        above.into_iter().flat_map(|id| self.end(id)).collect()
    }

    /// Nothing is kept of a connection that nobody watches; it is captured as far as others want it.
    fn let_go(&mut self, session: SessionId) {
        let watches: Vec<WatchId> = self.watches_of(session);
        if watches.is_empty() {
            self.tapped.remove(&session);
            return;
        }
        let (level, room) = (self.level_of(&watches), self.room());
        if let Some(tapped) = self.tapped.get_mut(&session)
            && tapped.level != level
        {
            tapped.set_level(level, room);
        }
    }

    fn watches_of(&self, session: SessionId) -> Vec<WatchId> {
        let watching = self.watches.values().filter(|watching| watching.taken.contains_key(&session));
        watching.map(|watching| watching.watch.id).collect()
    }

    fn level_of(&self, watches: &[WatchId]) -> WatchLevel {
        let levels =
            watches.iter().filter_map(|id| self.watches.get(id)).map(|watching| watching.watch.level);
        levels.max().unwrap_or(WatchLevel::Off)
    }

    /// Rings for those who watch a connection.
    fn ring(&mut self, session: SessionId) {
        for watching in self.watches.values_mut() {
            if watching.taken.contains_key(&session) {
                watching.ring();
            }
        }
    }

    /// Whether one more can be tapped. What has ended gives way, and those who had not taken all of it are told.
    fn make_room(&mut self) -> bool {
        let most = self.limits.map_or(0, |bounds| bounds.taps);
        if self.tapped.len() < most {
            return true;
        }
        let Some(session) = self.tapped.iter().find(|(_, tapped)| tapped.has_ended).map(|(id, _)| *id) else {
            return false;
        };
        let count = self.tapped.remove(&session).map_or(0, |tapped| tapped.ring.count());
        for watching in self.watches.values_mut() {
            if let Some(taken) = watching.taken.remove(&session) {
                watching.lost += count.saturating_sub(taken);
            }
        }
        true
    }

    fn tell_beyond(&mut self, id: WatchId) {
        let most = self.limits.map_or(0, |bounds| bounds.taps);
        let Some(watching) = self.watches.get_mut(&id) else { return };
        if !std::mem::replace(&mut watching.told_beyond, true) {
            let text = format!(
                "inspect_max_taps: {most} connections of a shard are captured already, and others are not seen: \
                 choose fewer with conn:, path: or user:"
            );
            let body = Body::Note(Box::new(Note::new(Level::Warning, text)));
            watching.notes.push(Event { ts: std::time::SystemTime::now().into(), conn: None, body });
            watching.ring();
        }
    }

    /// What one ring may hold now.
    fn room(&self) -> Room {
        let Some(Bounds { room, .. }) = self.limits else { return Room { events: 0, bytes: 0 } };
        let share = room.bytes.saturating_mul(FULL_RINGS) / self.tapped.len().max(1);
        Room { bytes: room.bytes.min(share), ..room }
    }
}

impl Who {
    fn candidate(&self) -> Candidate<'_> {
        let Self { name, path, user, channels, .. } = self;
        Candidate { conn: name, path, user: user.as_deref(), channels }
    }
}

impl Watching {
    fn ring(&mut self) {
        if !std::mem::replace(&mut self.rung, true) {
            self.watch.bell.notify_one();
        }
    }
}

/// How much may still be taken.
struct Left {
    events: usize,
    bytes: usize,
}

impl Taken {
    /// Takes from a ring what is behind `last`, which becomes the newest that was taken.
    fn take(&mut self, ring: &Ring, last: &mut u64, left: &mut Left, is_wanted: impl Fn(&Kept) -> bool) {
        for kept in ring.behind(*last) {
            if left.events == 0 || left.bytes == 0 {
                self.more = true;
                return;
            }
            self.lost += kept.n - *last - 1;
            *last = kept.n;
            if is_wanted(kept) {
                left.events -= 1;
                left.bytes = left.bytes.saturating_sub(cost(&kept.event).min(2 * PREVIEW_BYTES));
                self.events.push(Arc::clone(kept));
            }
        }
        self.lost += ring.count() - *last;
        *last = ring.count();
    }
}
