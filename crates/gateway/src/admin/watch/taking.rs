//! A watch on all shards, or on one, as a feed has it: begun at the first look, taken from at each, ended when the
//! feed is dropped. What is taken becomes the messages `events`.

use std::fmt::Write;
use std::time::SystemTime;

use tidegate_hub::ShardId;
use tidegate_inspect::Timestamp;
use tidegate_inspect::event::{Body, Event};
use tidegate_inspect::filter::{Facts, Filter};

use super::feed::Bell;
use super::wish::Wish;
use crate::settings::WatchLevel;
use crate::shard::ring::{Kept, PREVIEW_BYTES, crop};
use crate::shard::taps::{Choice, Taken, Watch, WatchId};
use crate::shard::{Begun, Shard, ShardRef};

/// Events of one message.
const EVENTS_MAX: usize = 1000;

/// Bytes of payload in one message, which may stand in it in six times as many.
const BYTES_MAX: usize = 128 * 1024;

/// See the module's head.
pub(super) struct Taking {
    shard: ShardRef,
    shards: Vec<ShardId>,
    watch: Watch,
    begun: bool,
    /// Which events are told.
    events: Filter,
}

impl Taking {
    /// What is chosen is watched on these shards.
    pub(super) fn new(
        shard: &ShardRef,
        shards: Vec<ShardId>,
        choice: Choice,
        events: Filter,
        level: WatchLevel,
        bell: &Bell,
    ) -> Self {
        let id = WatchId(shard.process.unique());
        let watch = Watch { id, choice, level, bell: Bell::clone(bell) };
        Self { shard: shard.clone(), shards, watch, begun: false, events }
    }

    pub(super) fn level(&self) -> WatchLevel {
        self.watch.level
    }

    /// Begins if it has not. False if there is nothing of what is to be watched.
    pub(super) async fn begin(&mut self) -> bool {
        if std::mem::replace(&mut self.begun, true) {
            return true;
        }
        let id = self.watch.id;
        for target in &self.shards {
            let watch = self.watch.clone();
            let mut begun = self.shard.ask(*target, move |shard| shard.watch(watch)).await;
            while let Some(Begun::UpTo(place)) = begun {
                begun = self.shard.ask(*target, move |shard| shard.watch_more(id, Some(place))).await;
            }
            if begun.is_none_or(|begun| begun == Begun::Nothing) {
                return false;
            }
        }
        true
    }

    /// Takes what there is: a message, if anything is. An error where the watch may not go on.
    pub(super) async fn take(&mut self, id: u64) -> Result<Option<String>, String> {
        let watch = self.watch.id;
        let (mut lost, mut more, mut notes) = (0, false, Vec::new());
        let mut taken: Vec<std::sync::Arc<Kept>> = Vec::new();
        let share = self.shards.len().max(1);
        for target in &self.shards {
            let take = move |shard: &mut Shard| shard.taps.take(watch, EVENTS_MAX / share, BYTES_MAX / share);
            let Some(took) = self.shard.ask(*target, take).await else { continue };
            let Some(Taken { events, notes: told, lost: gone, more: further }) = took else {
                return Err(not_allowed(&self.shard, self.watch.level));
            };
            taken.extend(events);
            notes.extend(told);
            (lost, more) = (lost + gone, more || further);
        }
        if more {
            self.watch.bell.notify_one();
        }
        taken.sort_by_key(|kept| kept.event.ts);
        Ok(self.message(id, &taken, &notes, lost))
    }

    fn message(&self, id: u64, taken: &[std::sync::Arc<Kept>], notes: &[Event], lost: u64) -> Option<String> {
        let now = Timestamp::from(SystemTime::now());
        let mut message = format!(r#"{{"type":"events","id":{id},"events":["#);
        let start = message.len();
        for note in notes {
            push_event(&mut message, start, 0, note);
        }
        for kept in taken.iter().filter(|kept| self.is_told(kept, now)) {
            push_event(&mut message, start, kept.n, &self.shown(&kept.event));
        }
        if message.len() == start && lost == 0 {
            return None;
        }
        // Writing to a string does not fail.
        let _ = write!(message, r#"],"lost":{lost}}}"#);
        Some(message)
    }

    fn is_told(&self, kept: &Kept, now: Timestamp) -> bool {
        let is_of_frames = matches!(kept.event.body, Body::Frame(_) | Body::Message(_));
        if is_of_frames && self.watch.level < WatchLevel::Frames {
            return false;
        }
        let facts = Facts { path: Some(&kept.who.path), user: kept.who.user.as_deref(), channel: None };
        self.events.matches(&kept.event, facts, now)
    }

    /// The event, with as much of its payload as is shown. The words of a Close are its code and reason, and shown
    /// with its frame.
    fn shown(&self, event: &Event) -> Event {
        let is_close = matches!(&event.body, Body::Frame(frame) if frame.close_code().is_some());
        let most = if self.watch.level == WatchLevel::Payload || is_close { PREVIEW_BYTES } else { 0 };
        let mut shown = event.clone();
        crop(&mut shown, most);
        shown
    }
}

impl Drop for Taking {
    fn drop(&mut self) {
        if !self.begun {
            return;
        }
        let id = self.watch.id;
        for target in &self.shards {
            self.shard.call(*target, move |shard| shard.unwatch(id));
        }
    }
}

fn push_event(message: &mut String, start: usize, n: u64, event: &Event) {
    if message.len() > start {
        message.push(',');
    }
    // An object that is not empty, whatever the event.
    let json = event.to_json();
    let _ = write!(message, r#"{{"n":{n},{}"#, json.trim_start_matches('{'));
}

/// The level of a wish, if the configuration allows it; the most without one.
pub(super) fn level_of(wish: &Wish, shard: &ShardRef) -> Result<WatchLevel, String> {
    let most = shard.look(|shard| shard.generation.settings.inspect.watch);
    let level = match wish.level.as_deref() {
        None => most,
        Some(name) => WatchLevel::of_name(name)
            .filter(|level| *level != WatchLevel::Off)
            .ok_or("'level' is meta, frames or payload")?,
    };
    if level > most || level == WatchLevel::Off { Err(not_allowed(shard, level)) } else { Ok(level) }
}

fn not_allowed(shard: &ShardRef, level: WatchLevel) -> String {
    let most = shard.look(|shard| shard.generation.settings.inspect.watch);
    format!("[inspect] watch = \"{}\" does not allow to watch with the level {}", most.name(), level.name())
}
