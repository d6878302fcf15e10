//! What the engine does with channels: their logs, their bounds and what becomes of them.

use super::incremental::LINGERING_PUBLICATIONS;
use super::*;
use crate::log::ANSWER_PUBLICATIONS_MAX;
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
        let again = engine.follow(&name("a"), ShardId(0), Some(first), Updates::Whole, fresh, now).unwrap();
        assert!(again.recovered && again.position == first);
    }
    engine.leave(&left, ShardId(0));
    engine.sweep(now, linger, true);
    engine.sweep(now + linger, linger, true);
    assert!(engine.is_empty());
}

#[test]
fn an_answer_is_bounded_in_number_and_the_next_one_has_the_rest() {
    const COUNT: u64 = 20_000;
    let limits = EngineLimits { max_history_bytes: 1 << 20, max_recovery_bytes: 1 << 20, ..LIMITS };
    let (now, mut engine) = (Instant::now(), Engine::new(1, limits));
    let fresh = Fresh { retention: Retention { size: u32::MAX, ..FRESH.retention }, ..FRESH };
    for _ in 0..COUNT {
        engine.append(&name("a"), Payload::from("1").into(), None, fresh, now).unwrap();
    }
    let (mut at, mut answers) = (0, 0);
    while at < COUNT {
        let after = Some(Position { epoch: Epoch(1), offset: at });
        let mut recovery = engine.follow(&name("a"), ShardId(0), after, Updates::Whole, fresh, now).unwrap();
        engine.make_answer(&name("a"), after, Updates::Whole, &mut recovery, now);
        assert!(recovery.recovered && recovery.publications.len() <= ANSWER_PUBLICATIONS_MAX);
        assert_eq!(recovery.publications[0].offset, at + 1);
        at = recovery.publications.last().unwrap().offset;
        answers += 1;
    }
    assert_eq!(answers, COUNT.div_ceil(ANSWER_PUBLICATIONS_MAX as u64));
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
