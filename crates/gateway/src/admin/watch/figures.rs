//! The feed `figures`: what the gateway has counted since its start, once a second. Each shard is asked for its
//! counters; rates are for who looks.

use std::time::Duration;

use serde_json::{Map, Value, json};
use tidegate_hub::FORMS;

use super::feed::{Feed, Looking, Pace};
use crate::admin::ask_all;
use crate::metrics::{Counters, door_name};
use crate::shard::{Shard, ShardRef};

/// From one message to the next.
const INTERVAL: Duration = Duration::from_secs(1);

/// See the module's head.
pub(super) struct Figures {
    id: u64,
    is_first: bool,
}

impl Figures {
    pub(super) fn new(id: u64) -> Self {
        Self { id, is_first: true }
    }
}

impl Feed for Figures {
    fn pace(&self) -> Pace {
        Pace::Every(INTERVAL)
    }

    fn look<'f>(&'f mut self, shard: &'f ShardRef) -> Looking<'f> {
        Box::pin(async move {
            let mut sum = Counters::default();
            ask_all(shard, Shard::count).await.iter().for_each(|counters| sum.add(counters));
            let mut message =
                json!({ "type": "figures", "id": self.id, "at": now_ms(), "figures": of_counters(&sum) });
            if std::mem::take(&mut self.is_first) {
                message["past"] = json!([]);
            }
            Ok(vec![message.to_string()])
        })
    }
}

fn of_counters(sum: &Counters) -> Value {
    let by_door: Map<String, Value> =
        FORMS.iter().map(|form| (door_name(*form).to_owned(), sum.open[*form as usize].into())).collect();
    let closed: Map<String, Value> =
        sum.closes.iter().map(|(code, count)| (code.to_string(), (*count).into())).collect();
    json!({
        "connections": sum.open.iter().sum::<u64>(),
        "by_door": by_door,
        "channels": sum.channels,
        "sent_messages": sum.written_messages,
        "sent_bytes": sum.sent_bytes,
        "received_messages": sum.received_messages,
        "received_bytes": sum.received_bytes,
        "publications": sum.published + sum.source_publications,
        "accepted": sum.accepted.iter().sum::<u64>(),
        "refused": sum.refused.values().sum::<u64>(),
        "closed": closed,
        "dropped": sum.dropped_messages.values().sum::<u64>(),
    })
}

/// The present time in milliseconds since 1970.
fn now_ms() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
