//! `GET /backends`: the sources that run, what they ask for, and how that fares.
//!
//! Each shard has those of the channels that are at home there; here they are put together, for the feed of the same
//! name, too.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use http::{Response, StatusCode};
use serde_json::{Value, json};

use super::{ask_all, json as json_response, limit};
use crate::http_body::{Body, Visit};
use crate::refusal::Refusal;
use crate::shard::{Shard, ShardRef};
use crate::sources::SourceRow;

/// `GET /backends?limit=N`, by channel.
pub(super) async fn list(visit: &Visit, query: Option<&str>) -> Result<Response<Body>, Refusal> {
    let limit = limit(query)?;
    let (total, rows) = rows(&visit.shard, limit).await;
    Ok(json_response(StatusCode::OK, json!({ "backends": rows, "total": total }).to_string()))
}

/// How many sources there are, and the first of them by channel.
pub(super) async fn rows(shard: &ShardRef, most: usize) -> (usize, Vec<Value>) {
    let find = |shard: &mut Shard| {
        let rows = shard.sources.rows(Instant::now()).into_iter();
        let with_trouble = rows.map(|row| {
            let trouble = shard.trouble(&row.channel).map(|reason| reason.to_string());
            (row, trouble)
        });
        with_trouble.collect::<Vec<_>>()
    };
    let mut all: Vec<_> = ask_all(shard, find).await.into_iter().flatten().collect();
    all.sort_by(|(one, _), (two, _)| one.channel.cmp(&two.channel));
    (all.len(), all.iter().take(most).map(|(row, trouble)| row_json(row, trouble.as_deref())).collect())
}

fn row_json(row: &SourceRow, trouble: Option<&str>) -> Value {
    let SourceRow { channel, kind, url, changes, entry } = row;
    let state = match (kind, trouble) {
        (_, Some(_)) => "failing",
        (None, None) => "opening",
        (Some(_), None) => "running",
    };
    let next_at = entry.next_in.map(|left| milliseconds(SystemTime::now() + left));
    json!({
        "channel": channel.to_string(),
        "kind": kind,
        "url": &**url,
        "state": state,
        "reason": trouble,
        "requests": entry.requests,
        "not_modified": entry.not_modified,
        "changes": changes,
        "errors": entry.errors,
        "last_status": entry.last.and_then(|last| last.status),
        "last_ms": entry.last.map(|last| (last.took.as_secs_f64() * 10_000.0).round() / 10.0),
        "last_at": entry.last.map(|last| milliseconds(last.at)),
        "interval_ms": entry.interval.map(|interval| interval.as_millis() as u64),
        "next_at": next_at,
        "retry_at": next_at.filter(|_| trouble.is_some()),
    })
}

fn milliseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
