//! Publishing, whoever does it: the channel's route must allow it, the home appends, and only then is there
//! an answer.

use std::future::Future;
use std::sync::Arc;

use tidegate_hub::{ChannelName, Item, Retention};
use tidegate_inspect::words::known::{self, Known};
use tokio::sync::oneshot;

use crate::open::check_no_query;
use crate::refusal::Refusal;
use crate::route::Kind;
use crate::shard::crossing::{Crossing, NOT_READ};
use crate::shard::{NotPublished, Published, Shard, ShardRef, Submission};

/// Hands a submission to the home of `name`, at once and in order; the future gives what came of it.
pub(crate) fn publish(
    shard: &ShardRef,
    name: &ChannelName,
    submission: Submission,
) -> impl Future<Output = Result<Published, Refusal>> + use<> {
    let begun = retention_for(shard, name, &submission.item).map(|retention| {
        let (sender, receiver) = oneshot::channel();
        let home = shard.process.home_of(name);
        let channel = name.clone();
        let publish = move |there: &mut Shard| {
            there.submit_at_home(&channel, submission, retention, sender);
        };
        shard.with(|shard| {
            if shard.id == home {
                // Without waiting for a round, so that publications that came together leave together.
                publish(shard);
            } else {
                shard.cross(home, Crossing::Call(Box::new(publish)));
            }
        });
        receiver
    });
    async move {
        match begun?.await {
            Ok(Ok(published)) => Ok(published),
            Ok(Err(why)) => Err(refusal_of(why)),
            Err(_) => Err(Refusal::unknown_outcome()),
        }
    }
}

/// What a publisher is told, and whoever wants to drop a channel.
pub(crate) fn refusal_of(why: NotPublished) -> Refusal {
    match why {
        NotPublished::TooManyChannels => {
            busy(known::CHANNELS, "channels_max_total: there are as many channels as there may be")
        }
        NotPublished::Overloaded => {
            busy(known::OVERLOADED, "the gateway does not keep up with what is published")
        }
        NotPublished::Precondition(position) => Refusal::precondition_failed(position),
        NotPublished::StoreBehind => {
            busy(known::STORE_QUEUE, "store_queue_bytes: the disk does not keep up with what is published")
        }
        NotPublished::NotKept(reason) => busy(
            known::STORE_CANNOT_WRITE,
            &format!("the store cannot write ({reason}): nothing was published, and nothing is until it can"),
        ),
        NotPublished::Dormant => Refusal::of(known::NOT_READ, NOT_READ),
        NotPublished::Gone => Refusal::unknown_outcome(),
        NotPublished::Leaving => busy(known::LEAVING, "the channel is just being dropped: ask again"),
    }
}

fn busy(known: &'static Known, sentence: &str) -> Refusal {
    Refusal::of(known, sentence).retry_after(1)
}

fn retention_for(shard: &ShardRef, name: &ChannelName, item: &Item) -> Result<Retention, Refusal> {
    let generation = shard.look(|shard| Arc::clone(&shard.generation));
    let max = generation.settings.limits.max_publication;
    if item.payload.bytes().len() > max {
        let sentence = format!("max_publication: a publication is at most {max} bytes");
        return Err(Refusal::of(known::PUBLICATION_SIZE, sentence));
    }
    let path = name.path_part();
    let Some(found) = generation.settings.routes.find_name(path) else {
        return Err(Refusal::of(known::NO_ROUTE, format!("no route for /{path}")));
    };
    match &found.route.kind {
        Kind::Channel => {
            check_no_query(name)?;
            let history = found.route.history;
            let increments = found.route.increments;
            Ok(Retention { size: history.size, ttl: history.ttl, document: false, increments })
        }
        kind @ (Kind::Auto { .. } | Kind::Poll { .. } | Kind::Stream { .. }) => {
            let sentence =
                format!("/{path} is filled by its backend (kind {}): nobody publishes to it", kind.name());
            Err(Refusal::of(known::FILLED_BY_BACKEND, sentence))
        }
    }
}
