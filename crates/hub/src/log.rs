//! The log of one channel: gives publications their offsets and keeps the newest of them.
//!
//! A ring bounded by count, by age and (through the engine) by bytes. The home of the channel owns it;
//! what it answers is either everything that was missed or a clear no, never a part.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::position::{Epoch, Position};
use crate::publication::{Item, Publication};
use crate::updates::{Compared, Increments, Updates};

/// What a log keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Publications (`history.size`); 0 keeps none.
    pub size: u32,
    /// Age (`history.ttl`).
    pub ttl: Duration,
    /// Each publication is the whole document, so the newest one alone is worth having: it is kept
    /// whatever its age, and a new subscriber gets it first.
    pub document: bool,
    /// What subscribers may have instead of whole publications. With any, the newest publication is kept whatever
    /// `size` says: the next one is compared with it.
    pub increments: Increments,
}

/// The answer to a subscriber: what to send before what is live.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovery {
    /// The newest position when the answer was made; live publications follow from there.
    pub position: Position,
    /// True if the subscriber's `after` was honoured, or if it asked for none.
    pub recovered: bool,
    /// What to send first: everything after `after`, or the newest document, or nothing.
    pub publications: Vec<Publication>,
}

/// See the module's head.
#[derive(Debug)]
pub struct Log {
    epoch: Epoch,
    /// The offset of the newest publication; 0 before the first.
    newest: u64,
    /// Ascending offsets without holes; the last one is `newest` unless all have gone.
    kept: VecDeque<Kept>,
    kept_bytes: usize,
    retention: Retention,
    /// What follows earlier publications goes whole: not all have them who get increments.
    comparable_from: u64,
    /// When `newest` was appended.
    appended: Option<Instant>,
}

/// What is known of a log that has lived before.
#[derive(Debug, Clone)]
pub struct Restored {
    /// Its newest position.
    pub position: Position,
    /// When that was appended.
    pub appended: Instant,
    /// Its last publications without holes, oldest first, with the times at which they were appended.
    pub kept: Vec<(Item, Instant)>,
}

#[derive(Debug)]
struct Kept {
    publication: Publication,
    appended: Instant,
}

/// Publications of one replay. Writing more of them at once would hold up the shard.
pub const RECOVERY_PUBLICATIONS_MAX: usize = 16_384;

/// Publications of one answer to who asks again at once for the rest: then the shard has its turn between them.
pub const ANSWER_PUBLICATIONS_MAX: usize = 4_096;

impl Recovery {
    /// The same without what was missed, for that is too much: the newest alone, if it counts by itself.
    #[must_use]
    pub fn without_missed(self, keeps_newest: bool) -> Self {
        let newest = self.publications.last().filter(|_| keeps_newest).map(Publication::whole);
        Self { recovered: false, publications: newest.into_iter().collect(), ..self }
    }
}

impl Log {
    /// An empty log. `epoch` is random.
    #[must_use]
    pub fn new(epoch: Epoch, retention: Retention) -> Self {
        let kept = VecDeque::new();
        Self { epoch, newest: 0, kept, kept_bytes: 0, retention, comparable_from: 0, appended: None }
    }

    /// A log that goes on where it was. More publications than there are offsets are not taken.
    #[must_use]
    pub fn restore(restored: Restored, retention: Retention) -> Self {
        let Restored { position, appended, mut kept } = restored;
        let most = usize::try_from(position.offset).unwrap_or(usize::MAX);
        kept.drain(..kept.len().saturating_sub(most));
        let first = position.offset - kept.len() as u64 + 1;
        let kept = (first..).zip(kept).map(|(offset, (item, appended))| {
            let publication = Publication { offset, item, change: None };
            Kept { publication, appended }
        });
        let kept: VecDeque<_> = kept.collect();
        let kept_bytes = kept.iter().map(|kept| kept.publication.size()).sum();
        let Position { epoch, offset: newest } = position;
        Self { epoch, newest, kept, kept_bytes, retention, comparable_from: 0, appended: Some(appended) }
    }

    /// The place of the newest publication.
    #[must_use]
    pub fn position(&self) -> Position {
        Position { epoch: self.epoch, offset: self.newest }
    }

    /// What this log keeps.
    #[must_use]
    pub fn retention(&self) -> Retention {
        self.retention
    }

    /// Keeps from now on what `retention` says. What is too much by it goes when the log is next used or trimmed.
    pub fn set_retention(&mut self, retention: Retention) {
        let gains =
            |updates| retention.increments.include(updates) && !self.retention.increments.include(updates);
        if gains(Updates::JsonPatch) || gains(Updates::MergePatch) {
            // Whoever asked for increments before began without a document.
            self.comparable_from = self.newest + 1;
        }
        self.retention = retention;
    }

    /// What the next publication can be compared with: the newest one, if it is kept and all have it.
    #[must_use]
    pub fn comparable(&self) -> Option<&Publication> {
        self.newest().filter(|newest| newest.offset >= self.comparable_from)
    }

    /// The offset of the oldest publication that is kept; beyond the newest one if there is none.
    #[must_use]
    pub fn first_kept(&self) -> u64 {
        self.kept.front().map_or(self.newest + 1, |kept| kept.publication.offset)
    }

    /// When the newest publication was appended; `None` before the first.
    #[must_use]
    pub fn appended(&self) -> Option<Instant> {
        self.appended
    }

    /// Bytes of payload and of changes kept.
    #[must_use]
    pub fn kept_bytes(&self) -> usize {
        self.kept_bytes
    }

    /// Publications kept.
    #[must_use]
    pub fn kept(&self) -> usize {
        self.kept.len()
    }

    /// Gives `item` the next offset. What it was compared with must be the newest publication, else its change is
    /// dropped; and that must still be kept, for whoever came after it had gone does not have it.
    pub fn append(&mut self, item: Item, compared: Option<Compared>, now: Instant) -> Publication {
        let is_kept = !self.kept.is_empty();
        let compared = compared.filter(|compared| {
            is_kept && compared.from == self.position() && compared.from.offset >= self.comparable_from
        });
        let change = compared.map(|compared| compared.change);
        self.newest += 1;
        self.appended = Some(now);
        let publication = Publication { offset: self.newest, item, change };
        self.kept_bytes += publication.size();
        self.kept.push_back(Kept { publication: publication.clone(), appended: now });
        self.trim(now);
        publication
    }

    /// Forgets what is too old or too many.
    pub fn trim(&mut self, now: Instant) {
        let floor = usize::from(self.retention.document);
        let least = floor.max(usize::from(!self.retention.increments.is_none()));
        let size = usize::try_from(self.retention.size).unwrap_or(usize::MAX).max(least);
        while self.kept.len() > floor {
            let Some(oldest) = self.kept.front() else { break };
            let aged = now.saturating_duration_since(oldest.appended) > self.retention.ttl;
            if !aged && self.kept.len() <= size {
                break;
            }
            self.forget_oldest();
        }
    }

    /// Forgets the oldest publication, to make room for other channels; false if there is none.
    pub fn forget_oldest(&mut self) -> bool {
        let Some(oldest) = self.kept.pop_front() else { return false };
        self.kept_bytes -= oldest.publication.size();
        true
    }

    /// The newest publication, if it is kept.
    #[must_use]
    pub fn newest(&self) -> Option<&Publication> {
        self.kept.back().map(|kept| &kept.publication)
    }

    /// Everything after `after`, oldest first, if all of it is kept; `None` if the position is of another
    /// epoch, lies in the future, or something after it has gone.
    #[must_use]
    pub fn after(&self, after: Position) -> Option<impl Iterator<Item = &Publication> + Clone> {
        if after.epoch != self.epoch || after.offset > self.newest {
            return None;
        }
        let missed = usize::try_from(self.newest - after.offset).ok()?;
        let skip = self.kept.len().checked_sub(missed)?;
        Some(self.kept.iter().skip(skip).map(|kept| &kept.publication))
    }

    /// The newest `limit` publications that are kept, oldest first.
    pub fn tail(&self, limit: usize) -> impl Iterator<Item = &Publication> {
        let skip = self.kept.len().saturating_sub(limit);
        self.kept.iter().skip(skip).map(|kept| &kept.publication)
    }

    /// At most `limit` publications and, beyond the first of them, at most `max_bytes`: those right after
    /// `after`, or the newest where there is none. `None` if something after `after` is not to be had.
    pub fn page(
        &mut self,
        after: Option<Position>,
        limit: usize,
        max_bytes: usize,
        now: Instant,
    ) -> Option<Vec<Publication>> {
        self.trim(now);
        let (mut count, mut size) = (0, 0);
        // One is given however large it is.
        let mut fits = |one: &&Publication| {
            count += 1;
            size += one.item.payload.bytes().len();
            count == 1 || size <= max_bytes
        };
        let page = match after {
            Some(after) => self.after(after)?.take(limit).take_while(|one| fits(one)).cloned().collect(),
            None => {
                let newest = self.kept.iter().rev().map(|kept| &kept.publication);
                let mut page: Vec<_> = newest.take(limit).take_while(|one| fits(one)).cloned().collect();
                page.reverse();
                page
            }
        };
        Some(page)
    }

    /// What a subscriber gets first. `max_bytes` bounds the replay, and so does [`RECOVERY_PUBLICATIONS_MAX`]: more
    /// than that counts as not recoverable.
    ///
    /// Who gets increments begins with the newest publication, without its change, unless it resumes: then it has
    /// what was published at `after`, and gets what came since. Of documents it gets the newest one alone where that
    /// is less than what it missed.
    pub fn recover(
        &mut self,
        after: Option<Position>,
        updates: Updates,
        max_bytes: usize,
        now: Instant,
    ) -> Recovery {
        self.trim(now);
        let position = self.position();
        let incremental = self.retention.increments.include(updates);
        let missed = after.and_then(|after| self.after(after)).filter(|missed| {
            let size = missed.clone().map(|one| one.size_as(updates)).sum::<usize>();
            let newest = self.newest().map_or(0, |newest| newest.item.payload.bytes().len());
            missed.clone().count() <= RECOVERY_PUBLICATIONS_MAX
                && size <= max_bytes
                && (size <= newest || !incremental || !self.retention.document)
        });
        if let Some(missed) = missed {
            return Recovery { position, recovered: true, publications: missed.cloned().collect() };
        }
        let newest = self.newest().filter(|_| self.retention.document || incremental);
        let publications = newest.map(Publication::whole).into_iter().collect();
        Recovery { position, recovered: after.is_none(), publications }
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "a test needs some instant to count from")]
mod tests {
    use super::*;
    use crate::publication::Payload;
    use crate::updates::Change;

    const KEEP: Retention =
        Retention { size: 3, ttl: Duration::from_secs(60), document: false, increments: Increments::NONE };

    fn log(retention: Retention, count: u64, now: Instant) -> Log {
        let mut log = Log::new(Epoch(7), retention);
        for number in 1..=count {
            let publication = log.append(Payload::from(number.to_string().as_str()).into(), None, now);
            assert_eq!(publication.offset, number);
        }
        log
    }

    fn at(offset: u64) -> Option<Position> {
        Some(Position { epoch: Epoch(7), offset })
    }

    fn offsets(recovery: &Recovery) -> Vec<u64> {
        recovery.publications.iter().map(|publication| publication.offset).collect()
    }

    #[test]
    fn recovery_is_everything_or_a_clear_no() {
        let now = Instant::now();
        let mut log = log(KEEP, 5, now);
        for (after, recovered, expected) in [
            (None, true, vec![]),
            (at(5), true, vec![]),
            (at(4), true, vec![5]),
            (at(2), true, vec![3, 4, 5]),
            (at(1), false, vec![]),
            (at(6), false, vec![]),
            (Some(Position { epoch: Epoch(8), offset: 5 }), false, vec![]),
        ] {
            let recovery = log.recover(after, Updates::Whole, 1024, now);
            assert_eq!((recovery.recovered, offsets(&recovery)), (recovered, expected), "after {after:?}");
            assert_eq!(Some(recovery.position), at(5));
        }
        assert!(
            !log.recover(at(2), Updates::Whole, 2, now).recovered,
            "a replay past the queue's bound is refused"
        );
    }

    #[test]
    fn a_replay_is_bounded_in_number() {
        let now = Instant::now();
        let most = RECOVERY_PUBLICATIONS_MAX as u64;
        let mut log = log(Retention { size: u32::MAX, ..KEEP }, most + 1, now);
        let mut recovered = |after| log.recover(at(after), Updates::Whole, usize::MAX, now).recovered;
        assert_eq!((recovered(0), recovered(1)), (false, true));
    }

    #[test]
    fn a_replay_that_is_given_up_leaves_the_newest_document() {
        let now = Instant::now();
        let mut log = log(Retention { document: true, ..KEEP }, 3, now);
        let recovery = log.recover(at(1), Updates::Whole, 1024, now);
        assert_eq!(offsets(&recovery), [2, 3]);
        let given_up = recovery.clone().without_missed(true);
        assert_eq!(
            (given_up.recovered, offsets(&given_up), given_up.position),
            (false, vec![3], recovery.position)
        );
        assert_eq!(offsets(&recovery.without_missed(false)), [] as [u64; 0]);
    }

    #[test]
    fn a_document_outlives_its_age_and_comes_first() {
        let now = Instant::now();
        let mut log = log(Retention { document: true, ..KEEP }, 5, now);
        let later = now + Duration::from_secs(61);
        let recovery = log.recover(None, Updates::Whole, 1024, later);
        assert_eq!((recovery.recovered, offsets(&recovery)), (true, vec![5]));
        let stale = log.recover(at(3), Updates::Whole, 1024, later);
        assert_eq!((stale.recovered, offsets(&stale)), (false, vec![5]));
        assert_eq!(log.kept(), 1);
    }

    #[test]
    fn what_is_too_old_goes_and_offsets_go_on() {
        let now = Instant::now();
        let mut log = log(KEEP, 2, now);
        let later = now + Duration::from_secs(61);
        assert!(!log.recover(at(1), Updates::Whole, 1024, later).recovered);
        assert_eq!((log.kept(), log.kept_bytes()), (0, 0));
        assert_eq!(log.append(Payload::from("3").into(), None, later).offset, 3);
        assert!(log.recover(at(2), Updates::Whole, 1024, later).recovered);
    }

    #[test]
    fn pages_follow_each_other_and_are_bounded_in_number_and_bytes() {
        let now = Instant::now();
        let mut log = log(Retention { size: 10, ..KEEP }, 5, now);
        let mut page = |after, limit, max_bytes| -> Option<Vec<u64>> {
            let page = log.page(after, limit, max_bytes, now)?;
            Some(page.iter().map(|publication| publication.offset).collect())
        };
        assert_eq!(page(at(0), 2, 100), Some(vec![1, 2]));
        assert_eq!(page(at(2), 2, 100), Some(vec![3, 4]));
        assert_eq!(page(at(4), 2, 100), Some(vec![5]));
        assert_eq!(page(at(5), 2, 100), Some(vec![]));
        assert_eq!(page(at(6), 2, 100), None);
        assert_eq!(page(None, 2, 100), Some(vec![4, 5]));
        // Each payload is one byte; what is larger than the bound goes alone.
        assert_eq!(page(at(0), 5, 3), Some(vec![1, 2, 3]));
        assert_eq!(page(at(0), 5, 0), Some(vec![1]));
        assert_eq!(page(None, 5, 3), Some(vec![3, 4, 5]));
        assert_eq!(page(None, 5, 0), Some(vec![5]));
        let later = now + Duration::from_secs(61);
        assert_eq!(log.page(at(4), 5, 100, later), None, "what is too old is not shown");
    }

    #[test]
    fn a_restored_log_goes_on_where_it_was() {
        let now = Instant::now();
        let item = |text: &str| Item::from(Payload::from(text));
        let restored = |offset, texts: &[&str]| Restored {
            position: Position { epoch: Epoch(7), offset },
            appended: now,
            kept: texts.iter().map(|text| (item(text), now)).collect(),
        };
        let mut log = Log::restore(restored(5, &["4", "5"]), KEEP);
        assert_eq!((log.first_kept(), log.kept_bytes(), log.appended()), (4, 2, Some(now)));
        assert_eq!(offsets(&log.recover(at(3), Updates::Whole, 1024, now)), [4, 5]);
        assert!(!log.recover(at(2), Updates::Whole, 1024, now).recovered);
        assert_eq!(log.append(item("6"), None, now).offset, 6);
        let mut bare = Log::restore(restored(5, &[]), KEEP);
        assert_eq!((bare.first_kept(), bare.append(item("6"), None, now).offset), (6, 6));
        let too_many = Log::restore(restored(1, &["0", "1"]), KEEP);
        assert_eq!((too_many.first_kept(), too_many.kept()), (1, 1));
    }

    #[test]
    fn another_retention_holds_from_the_next_use() {
        let now = Instant::now();
        let mut log = log(KEEP, 3, now);
        log.set_retention(Retention { size: 1, ..KEEP });
        assert_eq!(log.kept(), 3);
        log.trim(now);
        assert_eq!((log.kept(), log.kept_bytes()), (1, 1));
        log.set_retention(Retention { size: 2, ttl: Duration::from_secs(1), ..KEEP });
        log.append(Payload::from("4").into(), None, now);
        assert_eq!(log.kept(), 2);
        log.trim(now + Duration::from_secs(2));
        assert_eq!(log.kept(), 0);
    }

    #[test]
    fn who_asked_for_increments_before_there_were_any_gets_a_whole_one_first() {
        let now = Instant::now();
        let mut log = log(KEEP, 1, now);
        let change = Change { json_patch: Some("[]".into()), merge_patch: None };
        let compared = |log: &Log| Compared { from: log.position(), change: change.clone().into() };
        let under_way = compared(&log);
        assert_eq!(offsets(&log.recover(None, Updates::JsonPatch, 1024, now)), [] as [u64; 0]);
        log.set_retention(Retention { increments: Increments::ALL, ..KEEP });
        assert_eq!(log.comparable(), None);
        assert_eq!(log.append(Payload::from("2").into(), Some(under_way), now).change, None);
        assert_eq!(log.comparable().map(|one| one.offset), Some(2));
        let next = compared(&log);
        assert!(log.append(Payload::from("3").into(), Some(next), now).change.is_some());
        log.set_retention(Retention { increments: Increments::ALL, size: 2, ..KEEP });
        assert_eq!(log.comparable().map(|one| one.offset), Some(3), "nothing was gained");
    }

    #[test]
    fn a_size_of_nothing_keeps_nothing() {
        let now = Instant::now();
        let mut log = log(Retention { size: 0, ..KEEP }, 2, now);
        assert_eq!(log.kept(), 0);
        assert!(log.recover(at(2), Updates::Whole, 0, now).recovered);
        assert!(!log.recover(at(1), Updates::Whole, 1024, now).recovered);
    }

    /// A log whose publications are three bytes and their patches two, but where one is not there.
    fn changing(document: bool, has_patch: impl Fn(u64) -> bool, count: u64, now: Instant) -> Log {
        let mut log = Log::new(Epoch(7), Retention { document, increments: Increments::ALL, ..KEEP });
        for number in 1..=count {
            let json_patch = has_patch(number).then(|| bytes::Bytes::from_static(b"[]"));
            let change = Change { json_patch, merge_patch: None };
            let compared = Compared { from: log.position(), change: change.into() };
            log.append(Payload::from("doc").into(), Some(compared), now);
        }
        log
    }

    #[test]
    fn a_document_comes_back_as_its_patches_or_whole_whichever_is_less() {
        let now = Instant::now();
        let mut log = changing(true, |_| true, 3, now);
        let patched = |recovery: &Recovery| -> Vec<bool> {
            recovery.publications.iter().map(|one| one.patch(Updates::JsonPatch).is_some()).collect()
        };
        for (after, updates, recovered, expected, patches) in [
            (None, Updates::JsonPatch, true, vec![3], vec![false]),
            (at(3), Updates::JsonPatch, true, vec![], vec![]),
            (at(2), Updates::JsonPatch, true, vec![3], vec![true]),
            (at(1), Updates::JsonPatch, false, vec![3], vec![false]),
            (at(1), Updates::Whole, true, vec![2, 3], vec![true, true]),
            (at(2), Updates::MergePatch, true, vec![3], vec![false; 1]),
            (at(9), Updates::JsonPatch, false, vec![3], vec![false]),
        ] {
            let recovery = log.recover(after, updates, 1024, now);
            assert_eq!(
                (recovery.recovered, offsets(&recovery)),
                (recovered, expected),
                "{after:?} {updates:?}"
            );
            if updates != Updates::MergePatch {
                assert_eq!(patched(&recovery), patches, "{after:?} {updates:?}");
            }
        }
    }

    #[test]
    fn a_channel_with_increments_owes_every_publication_and_first_a_whole_one() {
        let now = Instant::now();
        let mut log = changing(false, |number| number != 4, 5, now);
        let recovery = log.recover(at(2), Updates::JsonPatch, 7, now);
        assert_eq!((recovery.recovered, offsets(&recovery)), (true, vec![3, 4, 5]));
        assert!(!log.recover(at(2), Updates::Whole, 7, now).recovered, "whole they are too much");
        let first = log.recover(None, Updates::JsonPatch, 1024, now);
        assert_eq!((first.recovered, offsets(&first)), (true, vec![5]));
        assert_eq!(
            first.publications[0].change, None,
            "there is nothing yet that a patch could be applied to"
        );
        assert_eq!(offsets(&log.recover(None, Updates::Whole, 1024, now)), [] as [u64; 0]);
    }

    #[test]
    fn what_was_compared_with_a_publication_that_has_gone_meanwhile_goes_whole() {
        let now = Instant::now();
        let aged = now + Duration::from_secs(61);
        let forgets: [fn(&mut Log, Instant); 2] =
            [|log, aged| log.trim(aged), |log, _| assert!(log.forget_oldest())];
        for forget in forgets {
            let mut log = Log::new(Epoch(7), Retention { increments: Increments::ALL, ..KEEP });
            log.append(Payload::from("one").into(), None, now);
            let change = Change { json_patch: Some("[]".into()), merge_patch: None };
            let compared = Compared { from: log.position(), change: change.into() };
            forget(&mut log, aged);
            let first = log.recover(None, Updates::JsonPatch, 1024, aged);
            assert_eq!((offsets(&first), Some(first.position)), (vec![], at(1)), "no document to patch");
            assert_eq!(log.append(Payload::from("two").into(), Some(compared), aged).change, None);
        }
    }

    #[test]
    fn what_the_next_one_is_compared_with_is_kept_and_counted() {
        let now = Instant::now();
        let mut log = Log::new(Epoch(7), Retention { size: 0, increments: Increments::ALL, ..KEEP });
        let change = Change { json_patch: Some("[]".into()), merge_patch: Some("{}".into()) }.into();
        let from = log.append(Payload::from("one").into(), None, now).offset;
        let compared = Compared { from: Position { offset: from, epoch: Epoch(7) }, change };
        assert!(log.append(Payload::from("two").into(), Some(compared.clone()), now).change.is_some());
        assert_eq!((log.kept(), log.kept_bytes()), (1, 7));
        assert_eq!(log.append(Payload::from("3").into(), Some(compared), now).change, None, "from elsewhere");
        log.trim(now + Duration::from_secs(61));
        assert_eq!((log.kept(), log.kept_bytes()), (0, 0), "a channel nobody fills frees its place");
    }
}
