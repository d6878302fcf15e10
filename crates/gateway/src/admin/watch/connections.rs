//! The feed `connections`: rows that a filter lists, sorted, as many as are wanted, and those that ended lately. Told
//! when something is different, twice a second at the most.
//!
//! Shards are asked in portions. What a row shows that passes by itself, such as how long it has been idle, is no
//! difference.

use std::cmp::Reverse;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use serde_json::{Value, json};
use tidegate_hub::ShardId;
use tidegate_inspect::filter::{Filter, Listed};

use super::feed::{Feed, Looking, Pace, Seen};
use super::wish::Wish;
use crate::admin::ask_all;
use crate::metrics::door_name;
use crate::shard::connection::since_1970;
use crate::shard::row::{ROWS_A_TURN, Row};
use crate::shard::{Shard, ShardRef};

/// From one message to the next.
const INTERVAL: Duration = Duration::from_millis(500);

/// Rows where the wish does not say how many, and the most that there may be.
const LIMIT: usize = 200;
const LIMIT_MAX: usize = 1000;

/// Rows of those that have ended.
const CLOSED_MAX: usize = 200;

/// Bytes of open rows in a message, and of ended ones. What is beyond is left out.
const OPEN_BYTES: usize = 640 * 1024;
const CLOSED_BYTES: usize = 320 * 1024;

/// By what rows are sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sort {
    Activity,
    Age,
    Queue,
    Idle,
    Sent,
    Received,
}

/// See the module's head.
pub(super) struct Connections {
    id: u64,
    filter: Filter,
    sort: Sort,
    limit: usize,
    seen: Seen,
}

impl Sort {
    const ALL: [(&str, Self); 6] = [
        ("activity", Self::Activity),
        ("age", Self::Age),
        ("queue", Self::Queue),
        ("idle", Self::Idle),
        ("sent", Self::Sent),
        ("received", Self::Received),
    ];

    /// Rows are in ascending order of it.
    fn key(self, row: &Row) -> Reverse<u64> {
        Reverse(match self {
            Self::Activity => u64::MAX - row.idle_ms(),
            Self::Age => u64::MAX - row.opened,
            Self::Queue => row.queue_bytes as u64,
            Self::Idle => row.idle_ms(),
            Self::Sent => row.tally.sent_bytes,
            Self::Received => row.tally.received_bytes,
        })
    }
}

impl Connections {
    pub(super) fn new(wish: &Wish) -> Result<Self, String> {
        let filter = wish.filter.as_deref().unwrap_or_default();
        let filter = filter.parse().map_err(|error| format!("the filter, {error}"))?;
        let sort = wish.sort.as_deref().unwrap_or("activity");
        let sort = Sort::ALL.iter().find(|(name, _)| *name == sort).ok_or_else(|| {
            let names: Vec<&str> = Sort::ALL.iter().map(|(name, _)| *name).collect();
            format!("'sort' is one of {}", names.join(", "))
        })?;
        let limit = wish.limit.unwrap_or(LIMIT).clamp(1, LIMIT_MAX);
        Ok(Self { id: wish.id, filter, sort: sort.1, limit, seen: Seen::default() })
    }

    /// The message, and what it is known again by.
    async fn gather(&self, shard: &ShardRef) -> (Value, String) {
        let mut open = Found { total: 0, matched: 0, rows: Vec::new() };
        for target in 0..shard.process.shards {
            let mut place = None;
            loop {
                let asked = shard.ask(ShardId(target), move |shard| shard.rows(place, ROWS_A_TURN));
                let Some((rows, next)) = asked.await else { break };
                open.take(rows, self);
                place = next;
                if next.is_none() {
                    break;
                }
            }
        }
        self.sort(&mut open.rows);
        let mut closed = Found { total: 0, matched: 0, rows: Vec::new() };
        let ended = |shard: &mut Shard| shard.endings.rows().cloned().collect::<Vec<_>>();
        for rows in ask_all(shard, ended).await {
            closed.take(rows, self);
        }
        closed.rows.sort_by_key(|row| Reverse(row.ending.as_ref().map(|ending| ending.at)));
        closed.rows.truncate(CLOSED_MAX);
        let key =
            format!("{} {} {}", open.total, open.matched, mark_of(open.rows.iter().chain(&closed.rows)));
        let message = json!({
            "type": "connections",
            "id": self.id,
            "total": open.total,
            "matched": open.matched,
            "rows": within(&open.rows, OPEN_BYTES),
            "closed": within(&closed.rows, CLOSED_BYTES),
        });
        (message, key)
    }

    fn sort(&self, rows: &mut Vec<Row>) {
        rows.sort_by_key(|row| (self.sort.key(row), row.shard.0, row.session.index()));
        rows.truncate(self.limit);
    }

    fn lists(&self, row: &Row) -> bool {
        if self.filter.is_empty() {
            return true;
        }
        let (conn, path, remote) = (row.id(), row.path(), row.remote.to_string());
        let channels: Vec<&str> = row.channels.iter().map(AsRef::as_ref).collect();
        let ending = row.ending.as_ref();
        let what = ending.map(|ending| ending.what_happened());
        self.filter.lists(&Listed {
            conn: &conn,
            path: &path,
            user: row.user(),
            channels: &channels,
            remote: &remote,
            door: door_name(row.form),
            state: row.state(),
            by: ending.map(|ending| ending.by()),
            code: ending.map(|ending| ending.ended.code),
            what: what.as_deref(),
            is_unclean: ending.is_some_and(|ending| !ending.clean),
            is_compressed: row.is_compressed(),
            queue: row.queue_bytes as u64,
            sent: row.tally.sent_bytes,
            received: row.tally.received_bytes,
            age_us: since_1970().saturating_sub(row.opened) * 1000,
            idle_us: row.idle_ms() * 1000,
            rtt_us: row.tally.round_trip_us().map(u64::from),
        })
    }
}

impl Feed for Connections {
    fn pace(&self) -> Pace {
        Pace::Every(INTERVAL)
    }

    fn look<'f>(&'f mut self, shard: &'f ShardRef) -> Looking<'f> {
        Box::pin(async move {
            let (message, key) = self.gather(shard).await;
            Ok(if self.seen.is_new(&key) { vec![message.to_string()] } else { Vec::new() })
        })
    }
}

/// What was found so far; never many more rows than are shown.
struct Found {
    total: usize,
    matched: usize,
    rows: Vec<Row>,
}

impl Found {
    fn take(&mut self, rows: Vec<Row>, feed: &Connections) {
        self.total += rows.len();
        let before = self.rows.len();
        self.rows.extend(rows.into_iter().filter(|row| feed.lists(row)));
        self.matched += self.rows.len() - before;
        if self.rows.len() > 4 * LIMIT_MAX {
            feed.sort(&mut self.rows);
        }
    }
}

/// Two lists of rows with one mark show the same.
fn mark_of<'r>(rows: impl Iterator<Item = &'r Row>) -> u64 {
    // Nobody gains by two lists that look alike.
    let mut hasher = DefaultHasher::new();
    for row in rows {
        (row.shard.0, row.session, row.state(), row.channels.len()).hash(&mut hasher);
        (row.queue_bytes, row.tally.sent_bytes, row.tally.received_bytes).hash(&mut hasher);
        row.tally.round_trip_us().hash(&mut hasher);
    }
    hasher.finish()
}

/// The rows that so many bytes hold.
fn within(rows: &[Row], most: usize) -> Vec<Value> {
    let mut left = most;
    let fitting = rows.iter().map(Row::to_json).take_while(|row| {
        let bytes = row.to_string().len() + 1;
        let fits = bytes <= left;
        left = left.saturating_sub(bytes);
        fits
    });
    fitting.collect()
}
