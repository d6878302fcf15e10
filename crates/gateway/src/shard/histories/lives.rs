//! Histories written out, of channels that are deleted and begin anew, and of those who follow them meanwhile: what
//! was found, or is too seldom to be drawn.

use super::ground::Ground;
use super::step::{After, Step};
use super::{SHARDS, World, check, trust};

#[test]
fn who_follows_a_later_life_of_a_channel_after_it_was_passed_over_is_here() {
    let (after, rounds) = (After::Seen, |shards: [u16; 3]| shards.map(|shard| Step::Round { shard }));
    let steps = [
        // Its queue is full of what it follows besides.
        &[Step::Publish { shard: 2, channel: 1, count: 6 }, Step::Publish { shard: 1, channel: 2, count: 5 }],
        &[
            Step::Connect { client: 0, shard: 0, channel: 2, after },
            Step::Subscribe { client: 0, channel: 1, after },
        ],
        &rounds([0, 2, 1])[..],
        &[Step::Publish { shard: 1, channel: 1, count: 4 }, Step::Round { shard: 2 }],
        // Somebody else brings the channel back before it asks for the newest.
        &[Step::Connect { client: 3, shard: 0, channel: 2, after }, Step::Round { shard: 1 }],
        &[Step::Delete { channel: 2 }],
    ];
    check(Ground::in_memory(&trust()), &steps.concat());
}

#[test]
fn who_asks_to_go_on_with_a_channel_that_is_deleted_meanwhile_is_told_so() {
    let after = After::Seen;
    let publish = |count| Step::Publish { shard: 2, channel: 2, count };
    let rounds = || (0..SHARDS).map(|shard| Step::Round { shard });
    let mut steps = vec![Step::Connect { client: 0, shard: 0, channel: 2, after }];
    steps.extend(rounds().chain(rounds()));
    for _ in 0..3 {
        steps.push(publish(9));
        steps.extend(rounds().chain(rounds()));
    }
    // Its question is under way when there is nothing any more to go on with.
    steps.extend([Step::Take { client: 0 }, Step::Delete { channel: 2 }]);
    let mut world = World::new(Ground::in_memory(&trust()));
    steps.iter().for_each(|step| world.take_step(step));
    assert!(world.clients[0].records[2].follows(), "it was passed over, and lives on");
    world.settle();
    assert!(!world.clients[0].records[2].follows());
    world.check_ends();
}

#[test]
fn who_leaves_an_earlier_life_of_a_channel_is_here_in_this_one() {
    let after = After::Seen;
    let steps = [
        Step::Connect { client: 2, shard: 2, channel: 1, after },
        Step::Round { shard: 2 },
        Step::Round { shard: 1 },
        Step::Unsubscribe { client: 2, channel: 1 },
        Step::Delete { channel: 1 },
        Step::Subscribe { client: 2, channel: 1, after },
    ];
    check(Ground::in_memory(&trust()), &steps);
}
