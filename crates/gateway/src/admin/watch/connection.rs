//! The feed `connection`: one connection with its row and all that happens on it, and the payloads that are kept
//! of it whole.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tidegate_hub::{SessionId, ShardId};
use tidegate_inspect::event::Body;
use tidegate_inspect::filter::Filter;
use tidegate_inspect::payload::Payload;
use tokio::time::Instant;

use super::events::BATCH_INTERVAL;
use super::feed::{Bell, Feed, Looking, Pace, Seen};
use super::taking::{Taking, level_of};
use super::wish::Wish;
use crate::admin::connections::parse;
use crate::settings::WatchLevel;
use crate::shard::taps::Choice;
use crate::shard::{Shard, ShardRef};

/// From one row to the next, at least.
const ROW_INTERVAL: Duration = Duration::from_millis(500);

const GONE: &str = "there is no such connection: it may have ended";

/// See the module's head.
pub(super) struct Connection {
    id: u64,
    at: (ShardId, SessionId),
    taking: Taking,
    seen: Seen,
    row_due: Instant,
}

impl Connection {
    pub(super) fn begin(wish: &Wish, shard: &ShardRef, bell: &Bell) -> Result<Box<dyn Feed>, String> {
        let level = level_of(wish, shard)?;
        if level == WatchLevel::Meta {
            return Err("the level of one connection is frames or payload".to_owned());
        }
        let at = place_of(wish)?;
        let choice = Choice::One(at.1);
        let taking = Taking::new(shard, vec![at.0], choice, Filter::default(), level, bell);
        Ok(Box::new(Self { id: wish.id, at, taking, seen: Seen::default(), row_due: Instant::now() }))
    }

    /// The row, if it is another than before. How long a connection has been idle is no news.
    async fn row(&mut self, shard: &ShardRef) -> Option<String> {
        if Instant::now() < self.row_due {
            return None;
        }
        self.row_due = Instant::now() + ROW_INTERVAL;
        let (target, session) = self.at;
        let look = move |shard: &mut Shard| {
            let row = shard.row(session).or_else(|| shard.endings.row(session).cloned())?;
            Some((row, shard.handshakes.of(session).cloned()))
        };
        let (row, handshake) = shard.ask(target, look).await.flatten()?;
        let found = row.to_json();
        let mut still = found.clone();
        still["idle_ms"] = Value::Null;
        if !self.seen.is_new(&format!("{} {still}", handshake.is_some())) {
            return None;
        }
        let handshake = handshake.map(|handshake| handshake.to_json(target.0));
        let level = self.taking.level().name();
        let message = json!({ "type": "connection", "id": self.id, "row": found, "handshake": handshake, "level": level });
        Some(message.to_string())
    }
}

impl Feed for Connection {
    fn pace(&self) -> Pace {
        Pace::Rung { soonest: BATCH_INTERVAL, latest: ROW_INTERVAL }
    }

    fn look<'f>(&'f mut self, shard: &'f ShardRef) -> Looking<'f> {
        Box::pin(async move {
            if !self.taking.begin().await {
                return Err(GONE.to_owned());
            }
            let row = self.row(shard).await;
            let events = self.taking.take(self.id).await?;
            Ok(row.into_iter().chain(events).collect())
        })
    }
}

/// Answers `body`: the whole payload of an event that is still kept, as far as it was captured.
pub(super) async fn body(wish: &Wish, shard: &ShardRef) -> Result<String, String> {
    let most = shard.look(|shard| shard.generation.settings.inspect.watch);
    if most < WatchLevel::Payload {
        return Err(format!("[inspect] watch = \"{}\" allows no payloads", most.name()));
    }
    let (target, session) = place_of(wish)?;
    let event = wish.event.ok_or("'event' is the number of an event")?;
    let kept = shard.ask(target, move |shard| shard.taps.find(session, event)).await.flatten();
    let kept = kept.ok_or("this event is not kept any more, or nobody watches its connection")?;
    let payload = payload_of(&kept.event.body).ok_or("this event has no payload")?;
    let (encoding, data) = match std::str::from_utf8(&payload.bytes) {
        Ok(text) => ("utf8", text.to_owned()),
        Err(_) => ("base64", STANDARD.encode(&payload.bytes)),
    };
    let truncated = payload.truncated;
    Ok(json!({ "type": "body", "id": wish.id, "encoding": encoding, "data": data, "truncated": truncated })
        .to_string())
}

fn payload_of(body: &Body) -> Option<&Payload> {
    match body {
        Body::Frame(frame) => Some(frame.shown()),
        Body::Message(message) => Some(&message.payload),
        _ => None,
    }
}

fn place_of(wish: &Wish) -> Result<(ShardId, SessionId), String> {
    let id = wish.connection.as_deref().ok_or("'connection' is the id of a connection, such as 0-1a.3")?;
    parse(id).map_err(|refusal| refusal.sentence)
}
