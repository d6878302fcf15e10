//! The feed `channel`: publications of one channel as they come, from its home, and how it stands. Whole payloads are
//! had by `GET /channels/{channel}`, where they are kept.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::de::IgnoredAny;
use serde_json::{Value, json};
use tidegate_hub::{ChannelName, ChannelStatus, PayloadKind, ShardId};

use super::events::BATCH_INTERVAL;
use super::feed::{Bell, Feed, Looking, Pace, Seen};
use super::taking::level_of;
use super::wish::Wish;
use crate::settings::WatchLevel;
use crate::shard::ShardRef;
use crate::shard::listening::Shown;
use crate::shard::taps::WatchId;

/// How the channel stands is looked at so often where nothing is published.
const ROW_INTERVAL: Duration = Duration::from_secs(1);

/// Publications of one message.
const PUBLICATIONS_MAX: usize = 500;

/// Bytes of their previews, which may stand in it in six times as many.
const PREVIEWS_MAX_BYTES: usize = 128 * 1024;

/// See the module's head.
pub(super) struct Channel {
    id: u64,
    name: ChannelName,
    home: ShardId,
    watch: WatchId,
    level: WatchLevel,
    bell: Bell,
    shard: ShardRef,
    begun: bool,
    seen: Seen,
}

impl Channel {
    pub(super) fn begin(wish: &Wish, shard: &ShardRef, bell: &Bell) -> Result<Box<dyn Feed>, String> {
        let name = wish.channel.as_deref().ok_or("'channel' is the name of a channel, such as quotes/BTC")?;
        let name = ChannelName::from_text(name).map_err(|error| error.to_string())?;
        Ok(Box::new(Self {
            id: wish.id,
            home: shard.process.home_of(&name),
            name,
            watch: WatchId(shard.process.unique()),
            level: level_of(wish, shard)?,
            bell: Bell::clone(bell),
            shard: shard.clone(),
            begun: false,
            seen: Seen::default(),
        }))
    }

    async fn gather(&mut self) -> Option<String> {
        let (id, name) = (self.watch, self.name.clone());
        if !std::mem::replace(&mut self.begun, true) {
            let (name, level, bell) = (name.clone(), self.level, Bell::clone(&self.bell));
            self.shard.ask(self.home, move |shard| shard.listening.begin(id, name, level, bell)).await?;
        }
        let taken = self.shard.ask(self.home, move |shard| {
            (shard.listening.take(id, PUBLICATIONS_MAX, PREVIEWS_MAX_BYTES), shard.engine.status(&name))
        });
        let ((publications, lost, more), status) = taken.await?;
        if more {
            self.bell.notify_one();
        }
        let row = status.as_ref().map(row);
        let is_new = self.seen.is_new(&Value::from(row.clone()).to_string());
        if publications.is_empty() && lost == 0 && !is_new {
            return None;
        }
        let publications: Vec<Value> = publications.iter().map(publication).collect();
        let message = json!({ "type": "channel", "id": self.id, "row": row, "publications": publications, "lost": lost });
        Some(message.to_string())
    }
}

impl Feed for Channel {
    fn pace(&self) -> Pace {
        Pace::Rung { soonest: BATCH_INTERVAL, latest: ROW_INTERVAL }
    }

    fn look<'f>(&'f mut self, _: &'f ShardRef) -> Looking<'f> {
        Box::pin(async move { Ok(self.gather().await.into_iter().collect()) })
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        if self.begun {
            let id = self.watch;
            self.shard.call(self.home, move |shard| shard.listening.end(id));
        }
    }
}

fn row(status: &ChannelStatus) -> Value {
    json!({
        "channel": status.name.to_string(),
        "position": status.position.to_string(),
        "subscribers": status.followers,
        "history": status.kept,
    })
}

fn publication(shown: &Shown) -> Value {
    // A character that was cut off at the end is left out.
    let text = match std::str::from_utf8(&shown.preview) {
        Ok(text) => Some(text),
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(&shown.preview[..error.valid_up_to()]).ok()
        }
        Err(_) => None,
    };
    let is_whole = shown.preview.len() == shown.bytes;
    let (payload, preview) = match (shown.kind, text) {
        (PayloadKind::Text, Some(text)) if is_json(text, is_whole) => ("json", text.to_owned()),
        (PayloadKind::Text, Some(text)) => ("text", text.to_owned()),
        _ => ("binary", STANDARD.encode(&shown.preview)),
    };
    json!({
        "position": shown.position.to_string(),
        "at": shown.at,
        "bytes": shown.bytes,
        "preview": preview,
        "payload": payload,
    })
}

/// Of what is not there whole, its beginning says what it is meant to be.
fn is_json(text: &str, is_whole: bool) -> bool {
    match is_whole {
        true => serde_json::from_str::<IgnoredAny>(text).is_ok(),
        false => text.trim_start().starts_with(['{', '[']),
    }
}
