//! `GET /handshakes`: how clients came in lately, or were not let in.
//!
//! Each shard keeps its own; here they are put together, for the feed of the same name, too.

use http::{Response, StatusCode};
use serde_json::{Value, json};

use super::{ask_all, json as json_response, limit};
use crate::http_body::{Body, Visit};
use crate::refusal::Refusal;
use crate::shard::handshakes::Handshake;
use crate::shard::{Shard, ShardRef};

/// `GET /handshakes?limit=N`: the newest first.
pub(super) async fn list(visit: &Visit, query: Option<&str>) -> Result<Response<Body>, Refusal> {
    let limit = limit(query)?;
    let all: Vec<Value> =
        recent(&visit.shard, limit).await.iter().map(|(shard, one)| one.to_json(*shard)).collect();
    Ok(json_response(StatusCode::OK, json!({ "handshakes": all }).to_string()))
}

/// So many handshakes of all shards, each with the number of its own; the newest first.
pub(super) async fn recent(shard: &ShardRef, most: usize) -> Vec<(u16, Handshake)> {
    let take = move |shard: &mut Shard| {
        let own = shard.id.0;
        shard.handshakes.newest_first().take(most).map(|one| (own, one.clone())).collect::<Vec<_>>()
    };
    let mut all: Vec<_> = ask_all(shard, take).await.into_iter().flatten().collect();
    all.sort_by_key(|(_, one)| std::cmp::Reverse(one.at));
    all.truncate(most);
    all
}
