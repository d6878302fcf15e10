//! The loop of a shard: wait for its poller, its mailbox, its tasks or its timers, then do a round.
//!
//! The poller is nested: tokio watches its descriptor like any other, so that hyper, time-outs and sockets
//! of the shard share one thread. Another driver (a task a connection) would replace this file alone.

use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc;
use tokio::time::sleep_until;

use crate::messages::Desk;
use crate::shard::{Batch, Shard, ShardRef};

/// When a batch for a full mailbox is tried again.
const RETRY: Duration = Duration::from_millis(1);

/// Runs a shard until its mailbox is closed or its poller fails.
pub(crate) async fn drive(
    shard: &ShardRef,
    mailbox: &mut mpsc::Receiver<Batch>,
    desk: &Rc<Desk>,
) -> io::Result<()> {
    let poller = watched(shard.look(Shard::poller)?)?;
    loop {
        let more = shard.round(mailbox, Instant::now())?;
        desk.take_inbox();
        compare_elsewhere(shard);
        if more {
            // HTTP tasks get their turn between two portions.
            tokio::task::yield_now().await;
            continue;
        }
        let (unsent, due) = shard.look(|shard| (shard.has_unsent(), shard.next_due()));
        let retry = unsent.then(|| Instant::now() + RETRY);
        let wake = [retry, due].into_iter().flatten().min();
        tokio::select! {
            ready = poller.readable() => ready?.clear_ready(),
            batch = mailbox.recv() => match batch {
                Some(batch) => shard.tidy(|shard| shard.receive(batch)),
                None => return Ok(()),
            },
            () = shard.changed() => {}
            () = sleep_until(wake.unwrap_or_else(Instant::now).into()), if wake.is_some() => {}
        }
    }
}

/// Makes comparisons that would hold up the shard on other threads, a few at a time in the whole process.
fn compare_elsewhere(shard: &ShardRef) {
    for comparison in shard.tidy(Shard::take_comparisons) {
        let shard = shard.clone();
        tokio::task::spawn_local(async move {
            let unmade = comparison.unmade();
            // It is never closed.
            let place = shard.process.comparisons.acquire().await;
            let made = tokio::task::spawn_blocking(|| comparison.make()).await;
            drop(place);
            // Whatever became of it, the channel goes on.
            shard.with(|shard| shard.end_comparison(made.unwrap_or(unmade)));
        });
    }
}

/// The shard's poller as tokio sees it.
#[allow(
    deprecated,
    reason = "its successor is unsafe for types that lie about their descriptor; OwnedFd does not"
)]
fn watched(poller: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(poller, Interest::READABLE)
}
