//! What may happen in a history, and how often: on channels in memory, and on channels on disk. Values only; the
//! world of `histories` takes the steps.

use proptest::prelude::*;

use super::{CHANNELS, CLIENTS, SHARDS};

/// One step. Numbers are taken modulo what there is.
#[derive(Debug, Clone)]
pub(super) enum Step {
    /// Some publications, one after the other, asked for on a shard.
    Publish {
        shard: u16,
        channel: usize,
        count: u64,
    },
    /// A client that is away comes to a shard and asks for a channel.
    Connect {
        client: usize,
        shard: u16,
        channel: usize,
        after: After,
    },
    /// A connected client asks for another channel.
    Subscribe {
        client: usize,
        channel: usize,
        after: After,
    },
    Unsubscribe {
        client: usize,
        channel: usize,
    },
    /// A client takes what waits for it.
    Take {
        client: usize,
    },
    /// A client's connection breaks; what waited is lost with it.
    Drop {
        client: usize,
    },
    /// A shard has a turn.
    Round {
        shard: u16,
    },
    /// Somebody deletes a channel: its offsets begin anew.
    Delete {
        channel: usize,
    },
    /// Documents that were to be compared away from their shards have been.
    Compare {
        count: usize,
    },
    /// The store writes what has gathered.
    Write,
    /// The store's disk takes nothing more.
    Fail,
    /// It does again, and the store sees it.
    Mend,
    /// The process ends and another one begins. What the store has not written is lost.
    Restart,
}

/// What a client asks to resume after.
#[derive(Debug, Clone, Copy)]
pub(super) enum After {
    /// What it has seen last, if it has seen anything.
    Seen,
    Nothing,
    OtherEpoch,
    Future,
}

pub(super) fn step() -> impl Strategy<Value = Step> {
    let after = || {
        prop_oneof![
            8 => Just(After::Seen),
            2 => Just(After::Nothing),
            1 => Just(After::OtherEpoch),
            1 => Just(After::Future),
        ]
    };
    let (shard, client, channel) = (0..SHARDS, 0..CLIENTS, 0..CHANNELS.len());
    prop_oneof![
        6 => (shard.clone(), channel.clone(), 1..10u64)
            .prop_map(|(shard, channel, count)| Step::Publish { shard, channel, count }),
        4 => (client.clone(), shard.clone(), channel.clone(), after())
            .prop_map(|(client, shard, channel, after)| Step::Connect { client, shard, channel, after }),
        3 => (client.clone(), channel.clone(), after())
            .prop_map(|(client, channel, after)| Step::Subscribe { client, channel, after }),
        1 => (client.clone(), channel.clone())
            .prop_map(|(client, channel)| Step::Unsubscribe { client, channel }),
        4 => client.clone().prop_map(|client| Step::Take { client }),
        2 => client.prop_map(|client| Step::Drop { client }),
        10 => shard.prop_map(|shard| Step::Round { shard }),
        1 => channel.prop_map(|channel| Step::Delete { channel }),
        3 => (1..4usize).prop_map(|count| Step::Compare { count }),
    ]
}

/// A step where channels are kept on disk.
pub(super) fn step_on_disk() -> impl Strategy<Value = Step> {
    prop_oneof![
        34 => step(),
        8 => Just(Step::Write),
        1 => Just(Step::Fail),
        2 => Just(Step::Mend),
        2 => Just(Step::Restart),
    ]
}
