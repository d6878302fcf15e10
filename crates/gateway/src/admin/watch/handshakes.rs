//! The feed `handshakes`: those that the shards keep, then each new one, the newest first. One that was accepted is told
//! with the connection that it opened, or without if that does not come.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::feed::{Feed, Looking, Pace};
use super::wish::Wish;
use crate::admin::handshakes::recent;
use crate::shard::ShardRef;
use crate::shard::connection::since_1970;
use crate::shard::handshakes::Handshake;

/// From one message to the next.
const INTERVAL: Duration = Duration::from_millis(500);

/// Handshakes of one message, of a few KiB each with their checks; what is older is left out.
const TOLD_MAX: usize = 100;

/// Bytes of a message.
const MESSAGE_BYTES: usize = 960 * 1024;

/// How long the connection of an accepted handshake is awaited, in milliseconds.
const PATIENCE_MS: u64 = 1000;

/// See the module's head.
pub(super) struct Handshakes {
    id: u64,
    limit: usize,
    is_first: bool,
    /// The last number that was told of each shard.
    told: HashMap<u16, u64>,
}

impl Handshakes {
    pub(super) fn new(wish: &Wish) -> Self {
        let limit = wish.limit.unwrap_or(TOLD_MAX).clamp(1, TOLD_MAX);
        Self { id: wish.id, limit, is_first: true, told: HashMap::new() }
    }

    /// Those that were not told, without any that is newer than one that has to wait.
    fn fresh(&mut self, all: Vec<(u16, Handshake)>) -> Vec<(u16, Handshake)> {
        let now = since_1970();
        let waits = |one: &Handshake| {
            one.refused.is_none() && one.session.is_none() && now.saturating_sub(one.at) < PATIENCE_MS
        };
        let mut first_waiting: HashMap<u16, u64> = HashMap::new();
        for (shard, one) in all.iter().filter(|(_, one)| waits(one)) {
            let least = first_waiting.entry(*shard).or_insert(one.number);
            *least = (*least).min(one.number);
        }
        let fresh: Vec<_> = all
            .into_iter()
            .filter(|(shard, one)| {
                one.number > self.told.get(shard).copied().unwrap_or_default()
                    && first_waiting.get(shard).is_none_or(|least| one.number < *least)
            })
            .collect();
        for (shard, one) in &fresh {
            let last = self.told.entry(*shard).or_default();
            *last = (*last).max(one.number);
        }
        fresh
    }
}

impl Feed for Handshakes {
    fn pace(&self) -> Pace {
        Pace::Every(INTERVAL)
    }

    fn look<'f>(&'f mut self, shard: &'f ShardRef) -> Looking<'f> {
        Box::pin(async move {
            let all = recent(shard, self.limit).await;
            let fresh = self.fresh(all);
            if fresh.is_empty() && !std::mem::take(&mut self.is_first) {
                return Ok(Vec::new());
            }
            self.is_first = false;
            let mut left = MESSAGE_BYTES;
            let rows = fresh.iter().map(|(shard, one)| one.to_json(*shard)).take_while(|row| {
                let bytes = row.to_string().len() + 1;
                let fits = bytes <= left;
                left = left.saturating_sub(bytes);
                fits
            });
            let rows: Vec<Value> = rows.collect();
            Ok(vec![json!({ "type": "handshakes", "id": self.id, "rows": rows }).to_string()])
        })
    }
}
