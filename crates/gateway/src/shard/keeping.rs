//! A shard with a store: what is published to a channel is handed to the store first, and reaches subscribers and
//! publishers when the store has said that it is kept. Orders and words are those of `store`.
//!
//! Everything that is under way stands here in the order of its number. When the store breaks all of it is given
//! up at once: no offset was heard of by anybody, so the channel goes on where it was.

use std::collections::{HashMap, VecDeque};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime};

use tidegate_hub::{ChannelName, Item, NotStaged, Position, Restored, Retention, ShardId, Swept};
use tidegate_inspect::words::known;

use super::Shard;
use super::crossing::{NOT_READ, Notice, OUTBOX_MAX};
use super::home::{Answer, NotPublished, Published, Submission};
use crate::route::Kind;
use crate::store::{Act, Dormant, Found, Loaded, Order, Store, Word, age};

/// The shard's side of the store.
pub(crate) struct Keeping {
    store: Store,
    term: u64,
    /// Why nothing can be kept just now.
    broken: Option<Arc<str>>,
    /// What the store has not confirmed yet; the first of them has the number `first`.
    under_way: VecDeque<UnderWay>,
    first: u64,
    /// Publications of `under_way` that have a key, by their number.
    keys: HashMap<(ChannelName, Arc<str>), u64>,
    /// Channels that are not in memory any more, and that the store did not come to remove: it is told again when it
    /// is well, before anything else. They were under way together.
    owed: Vec<(ChannelName, Range<u64>)>,
    /// Channels at home here that are on disk and were not read.
    dormant: Dormant,
    /// The configuration under which somebody was told that one of them is wanted.
    told: u64,
}

enum UnderWay {
    Publication {
        channel: ChannelName,
        position: Position,
        item: Item,
        key: Option<Arc<str>>,
        /// The first of the offsets that it tells the store to forget.
        forgotten_from: u64,
        /// The publisher, and those who repeated its key meanwhile.
        answers: Vec<Answer<Published>>,
        /// Publishers whose precondition does not hold once this one is kept, the last of its channel then.
        refused: Vec<Answer<Published>>,
    },
    Removal {
        channel: ChannelName,
        notice: Notice,
        answer: Answer<bool>,
    },
    /// Nobody waits for it.
    Forgetting {
        channel: ChannelName,
        from: u64,
    },
    /// The channel is not in memory any more.
    Removing {
        channel: ChannelName,
        offsets: Range<u64>,
    },
}

impl Keeping {
    pub(crate) fn new(store: Store) -> Self {
        let (under_way, keys) = (VecDeque::new(), HashMap::new());
        let dormant = Dormant::default();
        Self { store, term: 0, broken: None, under_way, first: 0, keys, owed: Vec::new(), dormant, told: 0 }
    }

    pub(super) fn store(&self) -> &Store {
        &self.store
    }

    /// Gives the next order; gives `under_way` back if there is no room for it.
    #[allow(clippy::result_large_err, reason = "what was not taken goes back as it came")]
    fn give(
        &mut self,
        shard: ShardId,
        act: Act,
        under_way: UnderWay,
        max_bytes: usize,
    ) -> Result<(), UnderWay> {
        let number = self.first + self.under_way.len() as u64;
        if !self.store.give(Order { term: self.term, shard, number, act }, max_bytes) {
            return Err(under_way);
        }
        self.under_way.push_back(under_way);
        Ok(())
    }
}

impl Shard {
    /// Takes over the channels that the store had, those used longest ago first. Who published what under a key is
    /// remembered, too, as far as it is kept. Where there are too many, those used longest ago stay on disk.
    pub(crate) fn restore(&mut self, found: Found) {
        let Found { channels: mut loaded, mut dormant, .. } = found;
        let (now, time) = (Instant::now(), SystemTime::now());
        // A machine that has just started cannot tell how long before that something was.
        let instant = |at_ms| now.checked_sub(age(at_ms, time));
        let limits = self.repeat_limits();
        let mut keys = Vec::new();
        // Not more than were read.
        let mut left_there = |channel, head| dormant.note(channel, head, usize::MAX);
        for Loaded { channel, head, .. } in loaded.drain(..loaded.len().saturating_sub(self.engine.room())) {
            tracing::warn!(event = "channel_not_restored", number = %known::NOT_RESTORED, %channel, "channels_max_total: it stays on disk");
            left_there(channel, head);
        }
        for Loaded { channel, head, records } in loaded {
            let Some(retention) = self.retention_on_disk(&channel) else {
                left_there(channel, head);
                continue;
            };
            let mut kept = Vec::with_capacity(records.len());
            let first = head.position.offset + 1 - records.len() as u64;
            for (offset, record) in (first..).zip(records) {
                let appended = instant(record.at_ms);
                if let Some((key, appended)) = record.key.zip(appended) {
                    keys.push((appended, channel.clone(), key, Position { offset, ..head.position }));
                }
                kept.push((record.item, appended.unwrap_or(now)));
            }
            let appended = instant(head.at_ms).unwrap_or(now);
            let restored = Restored { position: head.position, appended, kept };
            // There is room for as many as these.
            if self.engine.restore(&channel, restored, retention, now).is_err() {
                left_there(channel, head);
            }
        }
        if let Some(keeping) = &mut self.keeping {
            keeping.dormant = dormant;
        }
        keys.sort_by_key(|(appended, ..)| *appended);
        for (appended, channel, key, position) in keys {
            self.repeats.note(&channel, &key, position, limits, appended);
        }
    }

    /// What a channel on disk keeps by the configuration in force; `None` if no route wants it.
    fn retention_on_disk(&self, channel: &ChannelName) -> Option<Retention> {
        let found = self.generation.settings.routes.find_name(channel.path_part())?;
        let history = found.route.history;
        let (size, ttl, increments) = (history.size, history.ttl, found.route.increments);
        let retention = Retention { size, ttl, document: false, increments };
        matches!(found.route.kind, Kind::Channel).then_some(retention)
    }

    /// Hands a publication to the store. Its publisher is answered when it is kept, or cannot be.
    pub(super) fn stage_at_home(
        &mut self,
        channel: &ChannelName,
        submission: Submission,
        retention: Retention,
        answer: Answer<Published>,
    ) {
        if self.is_dormant(channel) {
            self.counters.store_refused += 1;
            let _ = answer.send(Err(NotPublished::Dormant));
            return;
        }
        self.end_other_kind(channel, false);
        let Submission { item, key, precondition } = submission;
        if let Some(published) = key.as_deref().and_then(|key| self.published_before(channel, key)) {
            let _ = answer.send(Ok(published));
            return;
        }
        let key: Option<Arc<str>> = key.map(Into::into);
        if let Some(number) = key.as_ref().and_then(|key| self.number_of(channel, key)) {
            return self.wait_for(number, answer);
        }
        let checked = precondition.map_or(Ok(()), |precondition| self.engine.check(channel, precondition));
        let staged = checked
            .map_err(NotPublished::Precondition)
            .and_then(|()| self.stage(channel, item, key, retention));
        match staged {
            // Its publisher is the first that waits for it.
            Ok(number) => self.wait_for(number, answer),
            Err(NotPublished::Precondition(position)) => self.refuse_when_kept(channel, position, answer),
            Err(why) => {
                self.counters.store_refused += u64::from(why.is_of_the_store());
                let _ = answer.send(Err(why));
            }
        }
    }

    /// Tells a publisher that its precondition does not hold at `position`, when that stands: what is staged may
    /// come to nothing.
    fn refuse_when_kept(
        &mut self,
        channel: &ChannelName,
        position: Option<Position>,
        answer: Answer<Published>,
    ) {
        let keeping = self.keeping.as_mut().filter(|_| self.engine.is_staged(channel));
        let last = keeping.into_iter().flat_map(|keeping| keeping.under_way.iter_mut().rev()).find_map(
            |under_way| match under_way {
                UnderWay::Publication { channel: other, refused, .. } if other == channel => Some(refused),
                _ => None,
            },
        );
        match last {
            Some(refused) => refused.push(answer),
            // All of it is kept, though some of it may not have been heard of yet.
            None => drop(answer.send(Err(NotPublished::Precondition(position)))),
        }
    }

    /// Gives a publication its place and hands it over; gives the number of the order.
    fn stage(
        &mut self,
        channel: &ChannelName,
        item: Item,
        key: Option<Arc<str>>,
        retention: Retention,
    ) -> Result<u64, NotPublished> {
        if self.is_behind(OUTBOX_MAX) {
            return Err(NotPublished::Overloaded);
        }
        if let Some(reason) = self.keeping.as_ref().and_then(|keeping| keeping.broken.clone()) {
            return Err(NotPublished::NotKept(reason));
        }
        let fresh = self.fresh(retention, false);
        let mut staged = self.engine.stage(channel, fresh);
        if staged == Err(NotStaged::TooManyChannels) && self.remove_idle() {
            staged = self.engine.stage(channel, fresh);
        }
        let staged = staged.map_err(|why| match why {
            NotStaged::TooManyChannels => NotPublished::TooManyChannels,
            NotStaged::Leaving => NotPublished::Leaving,
        })?;
        let forgotten_from = staged.forgotten.start;
        let act = Act::Append {
            channel: channel.clone(),
            position: staged.position,
            item: item.clone(),
            key: key.clone(),
            at: SystemTime::now(),
            forgotten: staged.forgotten,
        };
        let key_under_way = key.clone().map(|key| (channel.clone(), key));
        let (name, position) = (channel.clone(), staged.position);
        let (answers, refused) = (Vec::new(), Vec::new());
        let under_way =
            UnderWay::Publication { channel: name, position, item, key, forgotten_from, answers, refused };
        if self.give(act, under_way).is_err() {
            self.engine.unstage_last(channel);
            self.engine.tell_again(channel, forgotten_from);
            return Err(NotPublished::StoreBehind);
        }
        let keeping = self.keeping.as_mut().ok_or(NotPublished::Overloaded)?;
        let number = keeping.first + keeping.under_way.len() as u64 - 1;
        if let Some(key) = key_under_way {
            keeping.keys.insert(key, number);
        }
        Ok(number)
    }

    /// Removes a channel from the store, then here; the answer is whether there was one.
    pub(crate) fn remove_at_home(&mut self, channel: &ChannelName, notice: Notice, answer: Answer<bool>) {
        let was_read = !self.keeping.as_ref().is_some_and(|keeping| keeping.dormant.knows(channel));
        if was_read && self.is_dormant(channel) {
            let _ = answer.send(Err(NotPublished::Dormant));
            return;
        }
        if self.keeping.is_none() || was_read && !self.engine.is_copied(channel) {
            let _ = answer.send(Ok(self.drop_channel(channel, notice)));
            return;
        }
        if let Some(reason) = self.keeping.as_ref().and_then(|keeping| keeping.broken.clone()) {
            let _ = answer.send(Err(NotPublished::NotKept(reason)));
            return;
        }
        let Some(offsets) = self.begin_removal(channel) else {
            let _ = answer.send(Err(NotPublished::Leaving));
            return;
        };
        let act = Act::Remove { channel: channel.clone(), offsets };
        let under_way = UnderWay::Removal { channel: channel.clone(), notice, answer };
        if let Err(UnderWay::Removal { answer, .. }) = self.give(act, under_way) {
            self.cancel_removal(channel);
            let _ = answer.send(Err(NotPublished::StoreBehind));
        }
    }

    /// Announces the removal of a channel on disk, whether it was read or not: a second one is not announced, for it
    /// would take with it what begins anew behind the first.
    fn begin_removal(&mut self, channel: &ChannelName) -> Option<Range<u64>> {
        let dormant = self.keeping.as_mut().map(|keeping| &mut keeping.dormant);
        match dormant.filter(|dormant| dormant.knows(channel)) {
            Some(dormant) => dormant.begin_removal(channel),
            None => self.engine.begin_removal(channel),
        }
    }

    fn cancel_removal(&mut self, channel: &ChannelName) {
        self.engine.cancel_removal(channel);
        if let Some(keeping) = &mut self.keeping {
            keeping.dormant.cancel_removal(channel);
        }
    }

    /// What the store has of `channel`, which goes on in memory as another one, is left there. False if it is just
    /// being removed.
    pub(super) fn leave_on_disk(&mut self, channel: &ChannelName) -> bool {
        let most = self.generation.settings.limits.channels_max_total as usize;
        let Some(keeping) = self.keeping.as_mut().filter(|_| self.engine.is_copied(channel)) else {
            return true;
        };
        let Some(offsets) = self.engine.begin_removal(channel) else { return false };
        // One to which nothing was ever published is not there.
        if offsets.end > 1 {
            keeping.dormant.note_offsets(channel.clone(), offsets, most);
        }
        true
    }

    /// True if `channel` is on disk, or may be, and was not read: one that began anew under its name would take its
    /// place there. It is asked when somebody wants it; the log says so once for each configuration.
    pub(crate) fn is_dormant(&mut self, channel: &ChannelName) -> bool {
        let Some(keeping) = &mut self.keeping else { return false };
        let is_dormant = keeping.dormant.may_hold(channel) && !self.engine.is_copied(channel);
        if is_dormant && keeping.told != self.generation.number {
            keeping.told = self.generation.number;
            tracing::warn!(event = "channel_not_read", number = %known::NOT_READ, %channel, "{NOT_READ}");
        }
        is_dormant
    }

    /// The same for those who look at a channel, whatever its route is.
    pub(crate) fn is_only_on_disk(&mut self, channel: &ChannelName) -> bool {
        self.engine.log(channel).is_none()
            && self.retention_on_disk(channel).is_some()
            && self.is_dormant(channel)
    }

    /// True while something that was published, or is to be removed, is on its way to the disk or waits to be compared.
    pub(crate) fn has_under_way(&self) -> bool {
        let on_the_way = self.keeping.as_ref().is_some_and(|keeping| !keeping.under_way.is_empty());
        on_the_way || self.comparisons.is_waiting()
    }

    /// True while nothing can be kept.
    pub(crate) fn is_store_broken(&self) -> bool {
        let figures = self.keeping.as_ref().map(|keeping| &keeping.store.figures);
        figures.is_some_and(|figures| figures.is_broken.load(Ordering::Relaxed))
    }

    /// What the store has to say.
    pub(crate) fn hear_store(&mut self, word: Word) {
        match word {
            Word::Kept { term, number } => self.settle(term, number),
            Word::Broken { term, reason } => self.give_up(term, &reason),
            Word::Well { term } => {
                let Some(keeping) = self.keeping.as_mut().filter(|keeping| keeping.term == term) else {
                    return;
                };
                keeping.broken = None;
                for (channel, offsets) in std::mem::take(&mut keeping.owed) {
                    let under_way = UnderWay::Removing { channel: channel.clone(), offsets: offsets.clone() };
                    // There was room for all of them before.
                    let _ = keeping.give(self.id, Act::Remove { channel, offsets }, under_way, usize::MAX);
                }
            }
        }
    }

    fn settle(&mut self, term: u64, number: u64) {
        loop {
            let Some(keeping) = &mut self.keeping else { return };
            if keeping.term != term || keeping.first > number {
                return;
            }
            let Some(done) = keeping.under_way.pop_front() else { return };
            keeping.first += 1;
            match done {
                UnderWay::Publication { channel, position, item, key, answers, refused, .. } => {
                    let log = self.engine.log(&channel);
                    let is_there = log.is_some_and(|log| log.position().epoch == position.epoch);
                    if let Some(key) = key {
                        // Of a channel that has gone nothing is remembered.
                        if is_there {
                            self.note_key(&channel, &key, position);
                        }
                        self.forget_number(channel.clone(), key);
                    }
                    if !is_there {
                        self.tell_gone(&channel, answers, refused);
                        continue;
                    }
                    self.publish_kept(&channel, item, answers, refused);
                }
                UnderWay::Removal { channel, notice, answer } => {
                    let was_dormant = keeping.dormant.remove(&channel);
                    let was_there = self.drop_channel(&channel, notice);
                    let _ = answer.send(Ok(was_there || was_dormant));
                }
                UnderWay::Forgetting { .. } | UnderWay::Removing { .. } => {}
            }
        }
    }

    /// What is kept is heard of, as soon as it is known how it differs from what was before it.
    fn publish_kept(
        &mut self,
        channel: &ChannelName,
        item: Item,
        answers: Vec<Answer<Published>>,
        refused: Vec<Answer<Published>>,
    ) {
        let (home, payload) = (channel.clone(), item.payload.clone());
        self.compared(channel, &payload, move |there, compared| {
            let Some(appended) = there.engine.settle(&home, item, compared, Instant::now()) else {
                return there.tell_gone(&home, answers, refused);
            };
            let published = there.spread(&home, &appended);
            for answer in answers {
                // Whoever published may have gone.
                let _ = answer.send(Ok(published));
            }
            for answer in refused {
                let _ = answer.send(Err(NotPublished::Precondition(Some(published.position))));
            }
        });
    }

    /// A publication is kept of a channel that has left the memory since it was handed over, so that nobody hears of
    /// it here. When the channel is read again it may be there.
    fn tell_gone(
        &mut self,
        channel: &ChannelName,
        answers: Vec<Answer<Published>>,
        refused: Vec<Answer<Published>>,
    ) {
        tracing::warn!(event = "publication_gone", number = %known::UNKNOWN_OUTCOME, %channel, "it is kept, but its channel is not in memory any more");
        self.counters.store_refused += (answers.len() + refused.len()) as u64;
        for answer in answers {
            let _ = answer.send(Err(NotPublished::Gone));
        }
        for answer in refused {
            let _ = answer.send(Err(NotPublished::Leaving));
        }
    }

    /// The store has broken: everything under way comes to nothing.
    fn give_up(&mut self, term: u64, reason: &Arc<str>) {
        let Some(keeping) = &mut self.keeping else { return };
        (keeping.term, keeping.broken) = (term, Some(Arc::clone(reason)));
        keeping.keys.clear();
        keeping.first += keeping.under_way.len() as u64;
        for given_up in std::mem::take(&mut keeping.under_way) {
            match given_up {
                UnderWay::Publication { channel, forgotten_from, answers, refused, .. } => {
                    self.engine.unstage_last(&channel);
                    self.engine.tell_again(&channel, forgotten_from);
                    self.counters.store_refused += (answers.len() + refused.len()) as u64;
                    for answer in answers.into_iter().chain(refused) {
                        let _ = answer.send(Err(NotPublished::NotKept(Arc::clone(reason))));
                    }
                }
                UnderWay::Removal { channel, answer, .. } => {
                    self.engine.cancel_removal(&channel);
                    keeping.dormant.cancel_removal(&channel);
                    let _ = answer.send(Err(NotPublished::NotKept(Arc::clone(reason))));
                }
                UnderWay::Forgetting { channel, from } => self.engine.tell_again(&channel, from),
                UnderWay::Removing { channel, offsets } => keeping.owed.push((channel, offsets)),
            }
        }
    }

    /// Once a second: forgets what is too old, in memory and on disk.
    pub(crate) fn sweep_history(&mut self, now: Instant, linger: Duration) {
        let telling = self.keeping.as_ref().is_some_and(|keeping| keeping.broken.is_none());
        let Swept { forgotten, over } = self.engine.sweep(now, linger, telling);
        for (channel, forgotten) in forgotten {
            let under_way = UnderWay::Forgetting { channel: channel.clone(), from: forgotten.start };
            if let Err(UnderWay::Forgetting { channel, from }) =
                self.give(Act::Forget { channel, forgotten }, under_way)
            {
                self.engine.tell_again(&channel, from);
            }
        }
        for channel in over {
            self.remove_over(&channel);
        }
    }

    /// Makes a place for another channel, if the store can be told.
    pub(super) fn remove_idle(&mut self) -> bool {
        let telling = self.keeping.as_ref().is_some_and(|keeping| keeping.broken.is_none());
        telling && self.engine.idle().is_some_and(|channel| self.remove_over(&channel))
    }

    /// Removes a channel that is over, if the store takes the order.
    fn remove_over(&mut self, channel: &ChannelName) -> bool {
        let Some(offsets) = self.engine.begin_removal(channel) else { return false };
        let under_way = UnderWay::Removing { channel: channel.clone(), offsets: offsets.clone() };
        let is_given = self.give(Act::Remove { channel: channel.clone(), offsets }, under_way).is_ok();
        if is_given {
            self.engine.remove(channel);
        } else {
            self.engine.cancel_removal(channel);
        }
        is_given
    }

    #[allow(clippy::result_large_err, reason = "what was not taken goes back as it came")]
    fn give(&mut self, act: Act, under_way: UnderWay) -> Result<(), UnderWay> {
        let max_bytes = self.generation.settings.limits.store_queue_bytes;
        match &mut self.keeping {
            Some(keeping) => keeping.give(self.id, act, under_way, max_bytes),
            None => Err(under_way),
        }
    }

    fn number_of(&self, channel: &ChannelName, key: &Arc<str>) -> Option<u64> {
        self.keeping.as_ref()?.keys.get(&(channel.clone(), Arc::clone(key))).copied()
    }

    fn forget_number(&mut self, channel: ChannelName, key: Arc<str>) {
        if let Some(keeping) = &mut self.keeping {
            keeping.keys.remove(&(channel, key));
        }
    }

    fn wait_for(&mut self, number: u64, answer: Answer<Published>) {
        let Some(keeping) = &mut self.keeping else { return };
        let place = number.checked_sub(keeping.first).and_then(|place| usize::try_from(place).ok());
        if let Some(UnderWay::Publication { answers, .. }) =
            place.and_then(|place| keeping.under_way.get_mut(place))
        {
            answers.push(answer);
        }
    }
}
