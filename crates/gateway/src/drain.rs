//! The end of a process, as clients see it: everybody is told when to come back, and not all at once.
//! Begun by a signal, on each shard for its own sessions.

use std::time::{Duration, Instant};

use tidegate_hub::SessionId;
use tidegate_websocket::CloseCode;
use tokio::time::sleep;

use crate::limits::Limits;
use crate::shard::{Cause, Closing, ShardRef};

/// When a client may come back, drawn evenly from it, in milliseconds.
const COME_BACK_MS: std::ops::RangeInclusive<u64> = 500..=20_000;

/// How often a draining shard closes some and looks whether all have gone.
const STEP: Duration = Duration::from_millis(50);

/// Closes all sessions of a shard evenly over the time that the limits give, in random order, and waits for
/// what is queued to leave. With `at_once` nobody is spared.
pub(crate) async fn drain(shard: &ShardRef, limits: &Limits, at_once: bool) {
    /// Time for the last bytes to leave when there is no time to spread.
    const LAST_WORDS: Duration = Duration::from_secs(2);
    let begun = Instant::now();
    let grace = limits.drain_grace;
    let deadline = if at_once { LAST_WORDS } else { limits.drain_deadline };
    let spread = limits.drain_spread.min(deadline.saturating_sub(grace));
    if !at_once {
        let empty = shard.look(|shard| shard.hub.is_empty()) && shard.process.open_connections() == 0;
        if !empty {
            sleep(grace).await;
        }
    }
    let mut sessions: Vec<SessionId> = shard.look(|shard| shard.hub.sessions().map(|(id, _)| id).collect());
    fastrand::shuffle(&mut sessions);
    let total = sessions.len();
    let start = Instant::now();
    while !sessions.is_empty() {
        let share =
            if at_once || spread.is_zero() { 1.0 } else { start.elapsed().div_duration_f64(spread).min(1.0) };
        // How many are to be closed by now.
        let due = ((total as f64) * share).ceil() as usize;
        while total - sessions.len() < due {
            let Some(id) = sessions.pop() else { break };
            close(shard, id);
        }
        if !sessions.is_empty() {
            sleep(STEP).await;
        }
    }
    // Passed-through answers that are on their way count, too; idle HTTP connections have been ended. So does what
    // was published and is on its way to the disk, for whoever published it waits for the answer.
    let busy = || {
        let is_busy = shard.look(|shard| !shard.hub.is_empty() || shard.has_under_way());
        is_busy || shard.process.open_requests() > 0 || (!at_once && shard.process.open_connections() > 0)
    };
    while begun.elapsed() < deadline && busy() {
        // Those who came through a handshake that was under way, and those whose last bytes wait.
        let left: Vec<SessionId> = shard.look(|shard| shard.hub.sessions().map(|(id, _)| id).collect());
        left.into_iter().for_each(|id| close(shard, id));
        sleep(STEP).await;
    }
}

fn close(shard: &ShardRef, id: SessionId) {
    let reconnect_in_ms = Some(fastrand::u64(COME_BACK_MS));
    let code = CloseCode::SERVICE_RESTART;
    shard.with(|shard| {
        let (reason, cause) = ("restarting", Cause::Shutdown);
        shard.close(id, Closing { code, reason, reconnect_in_ms, cause, ..Closing::default() });
    });
}
