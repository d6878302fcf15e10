//! A store against a model in memory: engines are filled, trimmed and thrown away, the folder is opened again, and
//! what comes out is what the model has.

mod folders;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use proptest::prelude::*;
use tidegate_hub::{
    ChannelName, Engine, EngineLimits, Epoch, Fresh, Increments, Item, Payload, Position, Restored,
    Retention, ShardId,
};

use super::disk::{Disk, StoreError, Suspicion};
use super::order::{Act, Order, Word};
use super::tables::{Change, Table, Tables};
use super::writer::{Tell, Writer};
use crate::settings::Synced;

const SIZE: u32 = 5;
const TTL: Duration = Duration::from_secs(100);
const LINGER: Duration = Duration::from_secs(300);
const CHANNELS: [&str; 3] = ["a", "a/b", "ab?c"];
const RETENTION: Retention =
    Retention { size: SIZE, ttl: TTL, document: false, increments: Increments::NONE };

fn name(text: &str) -> ChannelName {
    ChannelName::from_text(text).unwrap()
}

/// One step of a history of a store.
#[derive(Debug, Clone)]
enum Step {
    /// So many publications at once to the channel of this number.
    Publish(usize, u8),
    /// As many are refused after they were handed over, and taken back.
    Fail(usize, u8),
    Remove(usize),
    Wait(u64),
    Sweep,
    Reopen,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let channel = 0..CHANNELS.len();
    let step = prop_oneof![
        8 => (channel.clone(), 1..9u8).prop_map(|(channel, count)| Step::Publish(channel, count)),
        2 => (channel.clone(), 1..4u8).prop_map(|(channel, count)| Step::Fail(channel, count)),
        1 => channel.prop_map(Step::Remove),
        2 => (1..120u64).prop_map(Step::Wait),
        4 => Just(Step::Sweep),
        2 => Just(Step::Reopen),
    ];
    proptest::collection::vec(step, 1..25)
}

/// What the model knows of a channel: its epoch, its newest offset and when that was, and what it keeps.
#[derive(Debug, Clone)]
struct Channel {
    position: Position,
    appended: u64,
    kept: Vec<(u64, u64)>,
}

/// A store, an engine before it, and the model beside them; time is a number of seconds.
struct Bench<'f> {
    folder: &'f Path,
    disk: Option<Disk>,
    engine: Engine,
    model: BTreeMap<usize, Channel>,
    start: (Instant, SystemTime),
    seconds: u64,
    epochs: u32,
}

fn engine() -> Engine {
    let limits = EngineLimits {
        max_channels: 10,
        max_history_bytes: usize::MAX,
        max_recovery_bytes: usize::MAX,
        linger: LINGER,
    };
    Engine::new(1, limits)
}

impl<'f> Bench<'f> {
    fn new(folder: &'f Path) -> Self {
        let disk = Some(Disk::open(folder).unwrap());
        let start = (Instant::now(), SystemTime::now());
        Self { folder, disk, engine: engine(), model: BTreeMap::new(), start, seconds: 0, epochs: 0 }
    }

    fn now(&self) -> Instant {
        self.start.0 + Duration::from_secs(self.seconds)
    }

    fn order(act: Act) -> Order {
        Order { term: 0, shard: ShardId(0), number: 0, act }
    }

    fn write(&mut self, acts: Vec<Act>) {
        let run: Vec<_> = acts.into_iter().map(Self::order).collect();
        self.disk.as_mut().unwrap().write(&run, false).unwrap();
    }

    fn item(channel: usize, offset: u64) -> Item {
        Payload::from(format!("{channel}:{offset}").as_str()).into()
    }

    fn stage(&mut self, channel: usize, count: u8) -> Vec<Act> {
        self.epochs += 1;
        let fresh = Fresh { retention: RETENTION, epoch: Epoch(self.epochs), copied: true, sourced: false };
        let at = self.start.1 + Duration::from_secs(self.seconds);
        let stage = |engine: &mut Engine| {
            let staged = engine.stage(&name(CHANNELS[channel]), fresh).unwrap();
            let item = Self::item(channel, staged.position.offset);
            let (position, forgotten) = (staged.position, staged.forgotten);
            Act::Append { channel: name(CHANNELS[channel]), position, item, key: None, at, forgotten }
        };
        (0..count).map(|_| stage(&mut self.engine)).collect()
    }

    fn publish(&mut self, channel: usize, count: u8) {
        let acts = self.stage(channel, count);
        let places: Vec<Position> = acts.iter().map(position_of).collect();
        self.write(acts);
        let (now, seconds) = (self.now(), self.seconds);
        for position in places {
            let item = Self::item(channel, position.offset);
            let appended = self.engine.settle(&name(CHANNELS[channel]), item, None, now).unwrap();
            assert_eq!(appended.position, position);
            let entry = Channel { position, appended: seconds, kept: Vec::new() };
            let known = self.model.entry(channel).or_insert(entry);
            assert_eq!(known.position.epoch, position.epoch);
            (known.position, known.appended) = (position, seconds);
            known.kept.push((position.offset, seconds));
        }
        self.trim();
    }

    /// What failed may have reached the disk all the same: that is what is taken back.
    fn fail(&mut self, channel: usize, count: u8) {
        let acts = self.stage(channel, count);
        let copies: Vec<Act> = acts.iter().map(copy).collect();
        self.write(acts);
        self.disk.as_mut().unwrap().close();
        self.disk.as_mut().unwrap().reopen().unwrap();
        self.disk.as_mut().unwrap().take_back(&copies).unwrap();
        (0..count).for_each(|_| self.engine.unstage_last(&name(CHANNELS[channel])));
    }

    fn remove(&mut self, channel: usize) {
        let Some(offsets) = self.engine.begin_removal(&name(CHANNELS[channel])) else { return };
        self.write(vec![Act::Remove { channel: name(CHANNELS[channel]), offsets }]);
        self.engine.remove(&name(CHANNELS[channel]));
        self.model.remove(&channel);
    }

    fn sweep(&mut self) {
        let swept = self.engine.sweep(self.now(), Duration::ZERO, true);
        let forget = |(channel, forgotten)| Act::Forget { channel, forgotten };
        self.write(swept.forgotten.into_iter().map(forget).collect());
        for over in swept.over {
            let channel = CHANNELS.iter().position(|one| name(one) == over).unwrap();
            let idle_for = self.seconds - self.model[&channel].appended;
            assert!(idle_for > LINGER.as_secs() && self.model[&channel].kept.is_empty());
            self.remove(channel);
        }
    }

    fn trim(&mut self) {
        for channel in self.model.values_mut() {
            let seconds = self.seconds;
            channel.kept.retain(|(_, appended)| seconds - appended <= TTL.as_secs());
            let many = channel.kept.len().saturating_sub(SIZE as usize);
            channel.kept.drain(..many);
        }
    }

    fn reopen(&mut self) {
        drop(self.disk.take());
        let disk = Disk::open(self.folder).unwrap();
        let found = disk.load(&|_| true, usize::MAX, 0).unwrap();
        assert_eq!(found.unwanted, 0);
        self.disk = Some(disk);
        self.engine = engine();
        let start = super::record::milliseconds(self.start.1);
        for loaded in found.channels {
            let instant = |at_ms: u64| self.start.0 + Duration::from_millis(at_ms - start);
            let kept =
                loaded.records.into_iter().map(|record| (record.item, instant(record.at_ms))).collect();
            let appended = instant(loaded.head.at_ms);
            let restored = Restored { position: loaded.head.position, appended, kept };
            let now = self.now();
            self.engine.restore(&loaded.channel, restored, RETENTION, now).unwrap();
        }
    }

    /// The engine has what the model has, to the byte.
    fn check(&mut self) {
        self.trim();
        let now = self.now();
        for (number, text) in CHANNELS.iter().enumerate() {
            let found = self.engine.page(&name(text), None, usize::MAX, usize::MAX, now).flatten();
            // A channel whose only publication failed is there, and has none.
            let position = self.engine.log(&name(text)).map(|log| log.position());
            let position = position.filter(|position| position.offset > 0);
            let known = self.model.get(&number);
            assert_eq!(position, known.map(|known| known.position), "{text}");
            let Some(known) = known else { continue };
            let found: Vec<_> = found.unwrap().into_iter().map(|one| (one.offset, one.item)).collect();
            let expected: Vec<_> =
                known.kept.iter().map(|(offset, _)| (*offset, Self::item(number, *offset))).collect();
            assert_eq!(found, expected, "{text}");
        }
    }

    fn run(&mut self, step: &Step) {
        match *step {
            Step::Publish(channel, count) => self.publish(channel, count),
            Step::Fail(channel, count) => self.fail(channel, count),
            Step::Remove(channel) => self.remove(channel),
            Step::Wait(seconds) => self.seconds += seconds,
            Step::Sweep => self.sweep(),
            Step::Reopen => self.reopen(),
        }
        self.check();
    }
}

fn position_of(act: &Act) -> Position {
    let Act::Append { position, .. } = act else { panic!("{act:?}") };
    *position
}

fn copy(act: &Act) -> Act {
    let Act::Append { channel, position, item, key, at, forgotten } = act else { panic!("{act:?}") };
    let (position, at) = (*position, *at);
    let (channel, item, key) = (channel.clone(), item.clone(), key.clone());
    Act::Append { channel, position, item, key, at, forgotten: forgotten.clone() }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn what_is_opened_again_is_what_was_kept(steps in steps()) {
        let folder = tempfile::tempdir().unwrap();
        let mut bench = Bench::new(folder.path());
        for step in &steps {
            bench.run(step);
        }
        bench.run(&Step::Reopen);
        // Nothing stays on disk that belongs to no channel.
        let everything = bench.model.values().map(|known| known.position.offset).sum::<u64>();
        bench.run(&Step::Wait(TTL.as_secs() + 1));
        bench.run(&Step::Sweep);
        drop(bench.disk.take());
        let tables = Tables::open(&folder.path().join("history")).unwrap();
        let left = tables.pairs(Table::Records, &[]).count();
        prop_assert_eq!(left, 0, "of {}", everything);
    }
}

/// A store with one publication.
fn filled(folder: &Path) {
    Bench::new(folder).publish(0, 1);
}

/// An order of shard 0 or 1 to append to `a`.
fn append(shard: u16, number: u64, term: u64) -> Order {
    let position = Position { epoch: Epoch(1), offset: number + 1 };
    let item = Payload::from("12345").into();
    let (channel, at) = (name(CHANNELS[usize::from(shard)]), SystemTime::now());
    let act = Act::Append { channel, position, item, key: None, at, forgotten: 1..1 };
    Order { term, shard: ShardId(shard), number, act }
}

#[test]
fn the_queue_is_bounded_in_bytes_and_takes_one_order_of_any_size() {
    let folder = tempfile::tempdir().unwrap();
    let (_writer, store) = Writer::new(Disk::open(folder.path()).unwrap(), Synced::EverySecond, Vec::new());
    let bytes = append(0, 0, 0).bytes();
    assert!(store.give(append(0, 0, 0), 1), "nothing else waits");
    assert!(!store.give(append(0, 1, 0), 1));
    assert!(store.give(append(0, 1, 0), 3 * bytes) && store.give(append(0, 2, 0), 3 * bytes));
    assert!(!store.give(append(0, 3, 0), 3 * bytes));
    let waiting = store.figures.queue_bytes.load(std::sync::atomic::Ordering::Relaxed);
    assert_eq!(waiting, 3 * bytes, "what was refused does not count");
}

#[test]
fn words_follow_orders_and_orders_of_another_term_are_not_carried_out() {
    let folder = tempfile::tempdir().unwrap();
    let (sender, words) = std::sync::mpsc::sync_channel(100);
    let tell = |shard: u16| -> Tell {
        let sender = sender.clone();
        Box::new(move |word| sender.send((shard, word)).unwrap())
    };
    let disk = Disk::open(folder.path()).unwrap();
    let (writer, store) = Writer::new(disk, Synced::EachCommit, vec![tell(0), tell(1)]);
    drop(sender);
    for number in 0..5 {
        assert!(store.give(append(0, number, 0), usize::MAX) && store.give(append(1, number, 0), usize::MAX));
    }
    assert!(store.give(append(0, 5, 7), usize::MAX));
    drop(store);
    // All shards have gone: it writes what waits, and ends.
    writer.run();
    let mut kept = BTreeMap::new();
    for (shard, word) in words {
        let Word::Kept { term: 0, number } = word else { panic!("{word:?}") };
        assert!(kept.insert(shard, number).is_none_or(|before| before < number), "numbers ascend");
    }
    assert_eq!(kept, BTreeMap::from([(0, 4), (1, 4)]));
    let found = Disk::open(folder.path()).unwrap().load(&|_| true, usize::MAX, 0).unwrap();
    let ends: Vec<_> =
        found.channels.iter().map(|one| (one.head.position.offset, one.records.len())).collect();
    assert_eq!(ends, [(5, 5), (5, 5)]);
}

#[test]
fn history_that_has_no_room_any_more_is_left_out_oldest_channel_first() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = Bench::new(folder.path());
    bench.publish(0, 2);
    bench.seconds += 1;
    bench.publish(1, 2);
    drop(bench);
    let disk = Disk::open(folder.path()).unwrap();
    // Each payload has three bytes.
    let found = disk.load(&|_| true, 7, 0).unwrap();
    let counts: Vec<_> =
        found.channels.iter().map(|one| (one.channel.to_string(), one.records.len())).collect();
    assert_eq!(counts, [("a".to_owned(), 0), ("a/b".to_owned(), 2)]);
    assert_eq!(found.channels[0].head.position.offset, 2, "its place is known all the same");
    let found = disk.load(&|channel| channel.as_ref() == "a", 100, 1).unwrap();
    assert_eq!((found.channels.len(), found.unwanted), (1, 1));
}

/// The offsets that are found of each channel, those used longest ago first.
fn offsets(disk: &Disk, max_bytes: usize) -> Vec<Vec<u64>> {
    let found = disk.load(&|_| true, max_bytes, 0).unwrap();
    let kept = |loaded: &super::Loaded| {
        let newest = loaded.head.position.offset;
        (newest + 1 - loaded.records.len() as u64..=newest).collect()
    };
    found.channels.iter().map(kept).collect()
}

#[test]
fn history_that_has_no_room_any_more_loses_its_oldest_and_not_its_newest() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = Bench::new(folder.path());
    bench.publish(0, 5);
    bench.seconds += 1;
    bench.publish(1, 2);
    drop(bench);
    let disk = Disk::open(folder.path()).unwrap();
    // Each payload has three bytes.
    assert_eq!(offsets(&disk, 14), [vec![4, 5], vec![1, 2]]);
    assert_eq!(
        offsets(&disk, usize::MAX),
        [vec![4, 5], vec![1, 2]],
        "what had no room is not on disk either"
    );
    assert_eq!(offsets(&disk, 1), [vec![], vec![2]], "the newest of all is kept alone, as in memory");
}

#[test]
fn what_lies_before_a_hole_is_removed_and_takes_no_room() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = Bench::new(folder.path());
    bench.publish(1, 2);
    bench.seconds += 1;
    bench.publish(0, 5);
    drop(bench);
    let tables = Tables::open(&folder.path().join("history")).unwrap();
    let hole = super::record::record_key(&name("a"), 3);
    tables.commit(vec![Change::Drop(Table::Records, hole)], false).unwrap();
    drop(tables);
    let disk = Disk::open(folder.path()).unwrap();
    assert_eq!(offsets(&disk, 12), [vec![1, 2], vec![4, 5]]);
    drop(disk);
    let tables = Tables::open(&folder.path().join("history")).unwrap();
    assert_eq!(tables.pairs(Table::Records, &[]).count(), 4);
}

#[test]
fn what_is_not_read_is_remembered_as_far_as_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = Bench::new(folder.path());
    bench.publish(0, 7);
    bench.sweep();
    bench.publish(1, 2);
    drop(bench);
    let disk = Disk::open(folder.path()).unwrap();
    let mut found = disk.load(&|_| false, usize::MAX, 2).unwrap();
    assert_eq!((found.unwanted, found.dormant.begin_removal(&name("a/b"))), (2, Some(1..3)));
    let offsets = found.dormant.begin_removal(&name("a")).unwrap();
    assert!(offsets.start <= 3 && offsets.end == 8, "it covers all that is on disk: {offsets:?}");
    assert!(!found.dormant.may_hold(&name("other")));
    let parts = found.divide(2, |channel| usize::from(channel.as_ref() == "a"));
    let held = |part: &super::Found| CHANNELS.map(|channel| part.dormant.may_hold(&name(channel)));
    assert_eq!((held(&parts[0]), held(&parts[1])), ([false, true, false], [true, false, false]));
    for part in disk.load(&|_| false, usize::MAX, 1).unwrap().divide(2, |_| 0) {
        let mut cut = part.dormant;
        assert!(!cut.may_hold(&name("other")), "a channel that is not on the disk can begin");
        assert!(CHANNELS.iter().any(|channel| !cut.knows(&name(channel)) && cut.may_hold(&name(channel))));
        for number in 0..40 {
            let (channel, other) = (name(&format!("{number}")), name(&format!("other {number}")));
            cut.note_offsets(channel.clone(), 1..2, 1);
            assert!(cut.may_hold(&channel));
            // The first shard has one of the two with its place, and the other shard had still room for one.
            if number != 31 {
                assert_eq!(cut.may_hold(&other), number > 31, "{number}: beyond that any may be one of them");
            }
        }
    }
}
