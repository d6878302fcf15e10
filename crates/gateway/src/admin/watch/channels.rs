//! The feed `channels`: channels by name, by their subscribers or by how often something is published, twice a second at
//! the most and only when something is different.
//!
//! By name a list looks at no more channels than it shows; for the other orders it looks at the first
//! [`LOOKED_AT_MAX`] names.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tidegate_hub::{ChannelName, Position, ShardId};

use super::feed::{Feed, Looking, Pace, Seen};
use super::wish::Wish;
use crate::admin::ask_all;
use crate::shard::{Shard, ShardRef};

/// From one look to the next, which is also what rates are of.
const INTERVAL: Duration = Duration::from_secs(1);

/// Rows where the wish does not say how many, and the most that there may be.
const LIMIT: usize = 200;
const LIMIT_MAX: usize = 1000;

/// Channels that are looked at on each shard where they are not sorted by name.
const LOOKED_AT_MAX: usize = 10_000;

/// Channels that are looked at before somebody else has a turn.
const PORTION: usize = 512;

/// Bytes of the rows of a message.
const MESSAGE_BYTES: usize = 960 * 1024;

/// By what rows are sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sort {
    Name,
    Subscribers,
    Rate,
}

/// See the module's head.
pub(super) struct Channels {
    id: u64,
    prefix: String,
    sort: Sort,
    limit: usize,
    seen: Seen,
    /// Where channels stood at the last look, and when that was.
    before: HashMap<ChannelName, Position>,
    looked: Option<Instant>,
}

/// A channel as its home says it.
#[derive(Debug, Clone)]
struct Found {
    name: ChannelName,
    position: Position,
    subscribers: u32,
    history: usize,
    kind: Option<&'static str>,
    present: Option<usize>,
    /// Runs; with the reason, if it fails.
    source: Option<Option<String>>,
}

impl Channels {
    pub(super) fn new(wish: &Wish) -> Result<Self, String> {
        let sort = match wish.sort.as_deref() {
            None | Some("name") => Sort::Name,
            Some("subscribers") => Sort::Subscribers,
            Some("rate") => Sort::Rate,
            Some(_) => return Err("'sort' is one of name, subscribers, rate".to_owned()),
        };
        Ok(Self {
            id: wish.id,
            prefix: wish.prefix.clone().unwrap_or_default(),
            sort,
            limit: wish.limit.unwrap_or(LIMIT).clamp(1, LIMIT_MAX),
            seen: Seen::default(),
            before: HashMap::new(),
            looked: None,
        })
    }

    /// The first channels of all shards whose names begin as is wished, found in portions.
    async fn find_all(&self, shard: &ShardRef) -> Vec<Found> {
        let most = if self.sort == Sort::Name { self.limit } else { LOOKED_AT_MAX };
        let mut all = Vec::new();
        for target in 0..shard.process.shards {
            let (mut from, mut is_behind, mut left) = (self.prefix.clone(), false, most);
            while left > 0 {
                let (start, portion) = (from.clone(), left.min(PORTION));
                let find = move |shard: &mut Shard| find(shard, &start, is_behind, portion);
                let Some(mut found) = shard.ask(ShardId(target), find).await else { break };
                let is_last = found.len() < portion;
                left = left.saturating_sub(found.len());
                let Some(last) = found.last() else { break };
                (from, is_behind) = (last.name.to_string(), true);
                let before = found.len();
                found.retain(|found| found.name.to_string().starts_with(&self.prefix));
                let is_beyond = found.len() < before;
                all.append(&mut found);
                if is_last || is_beyond {
                    break;
                }
            }
        }
        all
    }

    async fn gather(&mut self, shard: &ShardRef) -> Value {
        let total: usize = ask_all(shard, |shard: &mut Shard| shard.engine.len()).await.iter().sum();
        let found = self.find_all(shard).await;
        let now = Instant::now();
        let passed = self.looked.replace(now).map(|looked| now - looked);
        let before = std::mem::take(&mut self.before);
        let rate = |found: &Found| rate_of(before.get(&found.name)?, found.position, passed?);
        let mut rows: Vec<(Option<f64>, Found)> =
            found.into_iter().map(|found| (rate(&found), found)).collect();
        self.before = rows.iter().map(|(_, found)| (found.name.clone(), found.position)).collect();
        match self.sort {
            Sort::Name => rows.sort_by(|(_, one), (_, two)| one.name.cmp(&two.name)),
            Sort::Subscribers => rows.sort_by_key(|(_, found)| Reverse(found.subscribers)),
            Sort::Rate => {
                rows.sort_by(|(one, _), (two, _)| two.unwrap_or(0.0).total_cmp(&one.unwrap_or(0.0)));
            }
        }
        rows.truncate(self.limit);
        json!({ "type": "channels", "id": self.id, "total": total, "rows": within(&rows) })
    }
}

impl Feed for Channels {
    fn pace(&self) -> Pace {
        Pace::Every(INTERVAL)
    }

    fn look<'f>(&'f mut self, shard: &'f ShardRef) -> Looking<'f> {
        Box::pin(async move {
            let message = self.gather(shard).await.to_string();
            Ok(if self.seen.is_new(&message) { vec![message] } else { Vec::new() })
        })
    }
}

/// So many channels at home on a shard, in the order of their names, from the name `from` on or behind it.
fn find(shard: &Shard, from: &str, is_behind: bool, most: usize) -> Vec<Found> {
    let exact = (!is_behind).then(|| ChannelName::from_text(from).ok()).flatten();
    let exact = exact.and_then(|name| shard.engine.status(&name));
    let after = Some(from).filter(|from| !from.is_empty());
    let statuses = exact.into_iter().chain(shard.engine.list(after, most));
    let describe = |status: tidegate_hub::ChannelStatus| {
        let route = shard.generation.settings.routes.find_name(status.name.path_part());
        let source = shard.sources.contains(&status.name);
        Found {
            position: status.position,
            subscribers: status.followers,
            history: status.kept,
            kind: route.map(|found| found.route.kind.name()),
            present: shard.present(&status.name).map(|present| present.count),
            source: source.then(|| shard.trouble(&status.name).map(|reason| reason.to_string())),
            name: status.name,
        }
    };
    statuses.map(describe).collect()
}

/// Publications a second; none in another life of the channel.
fn rate_of(before: &Position, now: Position, passed: Duration) -> Option<f64> {
    let same = before.epoch == now.epoch && !passed.is_zero();
    let count = now.offset.saturating_sub(before.offset);
    same.then(|| (count as f64 / passed.as_secs_f64() * 10.0).round() / 10.0)
}

fn within(rows: &[(Option<f64>, Found)]) -> Vec<Value> {
    let mut left = MESSAGE_BYTES;
    let describe = |(rate, found): &(Option<f64>, Found)| {
        let source = found.source.as_ref().map(|trouble| match trouble {
            Some(reason) => json!({ "state": "failing", "reason": reason }),
            None => json!({ "state": "running", "reason": null }),
        });
        json!({
            "channel": found.name.to_string(),
            "kind": found.kind,
            "position": found.position.to_string(),
            "subscribers": found.subscribers,
            "history": found.history,
            "rate": rate,
            "present": found.present,
            "source": source,
        })
    };
    let fitting = rows.iter().map(describe).take_while(|row| {
        let bytes = row.to_string().len() + 1;
        let fits = bytes <= left;
        left = left.saturating_sub(bytes);
        fits
    });
    fitting.collect()
}
