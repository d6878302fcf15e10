//! Histories of a channel on disk that was not read, because no route wanted it at the start: a reload has brought its
//! route back, and it can only be dropped. What begins anew behind that is another channel.

use std::sync::Arc;

use tidegate_hub::{Payload, Position};
use tidegate_inspect::words::known;
use tokio::sync::oneshot;

use super::ground::Ground;
use super::step::Step;
use super::{
    CONFIGURATION, NotPublished, Notice, Outcome, Published, Shard, World, name, record, retention, trust,
};
use crate::process::Generation;
use crate::settings::Settings;
use crate::shard::Submission;

const OTHER: &str = "[[route]]\npath = \"/other\"\nchannel = {}\n";

/// The same channels have a backend.
const POLLED: &str = "[[route]]\npath = \"/{name}\"\npoll = { url = \"http://127.0.0.1:9/{name}\" }\n";

/// The first channel has one publication, and was not read.
fn unread() -> World {
    let mut world = World::new(Ground::on_disk(&trust()));
    let home = u16::try_from(world.home(0)).expect("few shards");
    let steps =
        [Step::Publish { shard: home, channel: 0, count: 1 }, Step::Write, Step::Round { shard: home }];
    steps.iter().for_each(|step| world.take_step(step));
    assert!(world.awaited.is_empty());
    world.shards.clear();
    world.ground.end();
    world.ground.set_configuration(OTHER);
    (world.shards, _) = world.ground.start();
    reload(&world, CONFIGURATION);
    assert!(world.found(0).is_none());
    world
}

/// All shards have another configuration from now on.
fn reload(world: &World, configuration: &str) {
    let settings = Settings::from_text(configuration, "test.toml", &|_| None).expect("a configuration");
    let generation = Arc::new(Generation { number: 2, settings });
    for (shard, _) in &world.shards {
        shard.tidy(|shard| shard.set_generation(Arc::clone(&generation)));
    }
}

/// Does something at the channel's home.
fn at_home<R>(world: &World, act: impl FnOnce(&mut Shard) -> R) -> R {
    world.shards[world.home(0)].0.with(act)
}

fn delete(world: &World) -> Outcome<bool> {
    let notice = Notice::Over { known: known::DROPPED, reason: "the channel was deleted".into() };
    let (answer, outcome) = oneshot::channel();
    at_home(world, |home| home.remove_at_home(&name(0), notice, answer));
    outcome
}

fn publish(world: &World, key: &str) -> Outcome<Published> {
    let payload = Payload::from(record::document(1).as_str());
    let submission = Submission { key: Some(key.to_owned()), ..payload.into() };
    let (answer, outcome) = oneshot::channel();
    at_home(world, |home| home.submit_at_home(&name(0), submission, retention(0), answer));
    outcome
}

fn round(world: &mut World) {
    world.round(world.home(0));
}

fn position(world: &World) -> Option<Position> {
    world.found(0).map(|found| found.position)
}

#[test]
fn one_that_is_dropped_twice_at_once_takes_nothing_with_it_that_begins_anew() {
    let mut world = unread();
    let mut first = delete(&world);
    world.ground.write();
    let mut second = delete(&world);
    assert!(matches!(second.try_recv(), Ok(Err(NotPublished::Leaving))));
    round(&mut world);
    assert_eq!(first.try_recv(), Ok(Ok(true)));
    let mut published = publish(&world, "k7");
    world.ground.write();
    round(&mut world);
    let published = published.try_recv().expect("an answer").expect("it is kept");
    assert_eq!((published.position.offset, Some(published.position)), (1, position(&world)));
    let repeated = publish(&world, "k7").try_recv().expect("an answer");
    assert_eq!(repeated, Ok(published));
}

#[test]
fn one_that_the_store_did_not_come_to_drop_can_be_dropped_later() {
    let mut world = unread();
    let mut first = delete(&world);
    world.ground.fail();
    world.ground.write();
    round(&mut world);
    assert!(matches!(first.try_recv(), Ok(Err(NotPublished::NotKept(_)))));
    world.ground.mend();
    round(&mut world);
    let mut second = delete(&world);
    world.ground.write();
    round(&mut world);
    assert_eq!(second.try_recv(), Ok(Ok(true)));
}

#[test]
fn whoever_published_to_one_that_leaves_the_memory_meanwhile_is_told_so() {
    let mut world = World::new(Ground::on_disk(&trust()));
    let mut outcome = publish(&world, "k7");
    reload(&world, POLLED);
    at_home(&world, |home| home.end_other_kind(&name(0), true));
    world.ground.write();
    round(&mut world);
    assert_eq!(outcome.try_recv(), Ok(Err(NotPublished::Gone)));
    assert_eq!(at_home(&world, |home| home.count().store_refused), 1);
    reload(&world, CONFIGURATION);
    // Its key is not remembered with a position of a channel that is not there.
    assert_eq!(publish(&world, "k7").try_recv(), Ok(Err(NotPublished::Dormant)));
}
