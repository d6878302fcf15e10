//! The feed `backends`: how the sources fare, once a second at most and only when something is different.
//!
//! When the next request is due changes with each, and is therefore no difference by itself.

use std::time::Duration;

use serde_json::json;

use super::feed::{Feed, Looking, Pace, Seen};
use super::wish::Wish;
use crate::admin::backends::rows;
use crate::shard::ShardRef;

/// From one message to the next.
const INTERVAL: Duration = Duration::from_secs(1);

/// Rows where the wish does not say how many, and the most that there may be.
const LIMIT: usize = 200;
const LIMIT_MAX: usize = 500;

/// See the module's head.
pub(super) struct Backends {
    id: u64,
    limit: usize,
    seen: Seen,
}

impl Backends {
    pub(super) fn new(wish: &Wish) -> Self {
        let limit = wish.limit.unwrap_or(LIMIT).clamp(1, LIMIT_MAX);
        Self { id: wish.id, limit, seen: Seen::default() }
    }
}

impl Feed for Backends {
    fn pace(&self) -> Pace {
        Pace::Every(INTERVAL)
    }

    fn look<'f>(&'f mut self, shard: &'f ShardRef) -> Looking<'f> {
        Box::pin(async move {
            let (total, rows) = rows(shard, self.limit).await;
            let mut key = rows.clone();
            for row in &mut key {
                (row["next_at"], row["retry_at"]) = (json!(null), json!(null));
            }
            let is_new = self.seen.is_new(&json!(key).to_string());
            let message = json!({ "type": "backends", "id": self.id, "total": total, "rows": rows });
            Ok(if is_new { vec![message.to_string()] } else { Vec::new() })
        })
    }
}
