//! `GET /watch`: a WebSocket on which somebody who has the admin token watches the gateway. Each message of a
//! watcher asks for a feed, and the feeds' messages come back.
//!
//! A feed is a module beside this one and a row in `feeds`. Feeds ask the shards; no shard knows of a watcher's
//! socket, so that one that reads slowly holds up nobody.

// What is asked for, what a feed is, the feeds, who sees to them.
mod wish;

mod feed;

mod figures;

mod taking;

mod events;

mod connection;

mod channel;

mod connections;

mod channels;

mod backends;

mod handshakes;

mod feeds;

mod watcher;

use std::sync::Arc;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tidegate_inspect::words::known;

use self::watcher::Watcher;
use crate::doors::websocket::{accept, switching};
use crate::http_body::{Body, Visit};
use crate::process::Generation;
use crate::refusal::Refusal;

/// The subprotocol of what is said here.
const SUBPROTOCOL: &str = "tidegate.watch.v1";

/// Answers a handshake whose token has been judged.
pub(super) fn handle(
    visit: &Visit,
    generation: &Arc<Generation>,
    mut request: Request<Incoming>,
) -> Result<Response<Body>, Refusal> {
    let upgrade = hyper::upgrade::on(&mut request);
    let (parts, _) = request.into_parts();
    let accepted = accept(&parts, &[SUBPROTOCOL], None)?;
    if accepted.subprotocol.is_none() {
        let sentence = format!("watching is done in the subprotocol {SUBPROTOCOL}: offer it");
        return Err(Refusal::of(known::WATCH_SUBPROTOCOL, sentence));
    }
    let most = generation.settings.limits.inspect_max_watchers;
    let Some(seat) = visit.shard.process.take_watcher(most) else {
        visit.shard.tidy(|shard| shard.counters.turned_away_by("inspect_max_watchers"));
        let sentence = "inspect_max_watchers: as many watch as may";
        return Err(Refusal::of(known::WATCHERS, sentence).retry_after(5));
    };
    let shard = visit.shard.clone();
    tokio::task::spawn_local(async move {
        match upgrade.await {
            Ok(stream) => Watcher::new(shard, TokioIo::new(stream)).run().await,
            Err(error) => tracing::debug!(event = "upgrade_failed", %error, "a watcher went away"),
        }
        drop(seat);
    });
    Ok(switching(&accepted, Vec::new()))
}
