//! `/connections`: find the one that hurts, and close it. Each shard is asked for its own; nothing is kept
//! here.

use http::{Method, Response, StatusCode};
use serde_json::{Value, json};
use tidegate_hub::{SessionId, ShardId};
use tidegate_websocket::CloseCode;

use super::{ask_all, json as json_response, limit, parameter};
use crate::http_body::{Body, Visit};
use crate::metrics::door_name;
use crate::refusal::Refusal;
use crate::shard::connection::TlsVersion;
use crate::shard::{Closing, Shard};

/// Channels of one connection that a list shows.
const CHANNELS_SHOWN: usize = 128;

/// `GET /connections?after=ID&limit=N`: by shard and place, so that a page is cheap.
pub(super) async fn list(visit: &Visit, query: Option<&str>) -> Result<Response<Body>, Refusal> {
    let limit = limit(query)?;
    let after = parameter(query, "after").map(|text| parse(&text)).transpose()?;
    let lists = ask_all(&visit.shard, move |shard: &mut Shard| {
        let own = shard.id;
        let beyond = |id: SessionId| match after {
            None => true,
            Some((at, last)) => own > at || (own == at && id.index() > last.index()),
        };
        let ids: Vec<_> =
            shard.hub.sessions().map(|(id, _)| id).filter(|id| beyond(*id)).take(limit + 1).collect();
        ids.into_iter().filter_map(|id| describe(shard, id)).collect::<Vec<_>>()
    })
    .await;
    let mut all: Vec<Value> = lists.into_iter().flatten().collect();
    let more = all.len() > limit;
    all.truncate(limit);
    let next = all.last().filter(|_| more).map(|last| last["id"].clone());
    Ok(json_response(StatusCode::OK, json!({ "connections": all, "next": next }).to_string()))
}

/// `GET` and `DELETE` of one connection.
pub(super) async fn handle(
    visit: &Visit,
    id: &str,
    method: &Method,
    query: Option<&str>,
) -> Result<Response<Body>, Refusal> {
    let (shard, session) = parse(id)?;
    let gone = || Refusal::new(StatusCode::NOT_FOUND, "there is no such connection: it may have ended");
    if *method != Method::DELETE {
        let found = visit.shard.ask(shard, move |shard| describe(shard, session)).await.flatten();
        return Ok(json_response(StatusCode::OK, found.ok_or_else(gone)?.to_string()));
    }
    let code = close_code(query)?;
    let reason = parameter(query, "reason").unwrap_or_default();
    let closed = visit.shard.ask(shard, move |shard| {
        let there = shard.hub.session(session).is_some();
        shard.close(session, Closing { code, reason: &reason, ..Closing::default() });
        there
    });
    match closed.await {
        Some(true) => {
            Ok(json_response(StatusCode::OK, json!({ "closed": id, "code": code.get() }).to_string()))
        }
        _ => Err(gone()),
    }
}

fn close_code(query: Option<&str>) -> Result<CloseCode, Refusal> {
    let Some(text) = parameter(query, "code") else { return Ok(CloseCode::NORMAL) };
    let code = text.parse().ok().map(CloseCode::new).filter(|code| code.is_allowed_on_wire());
    let sentence = "'code' is a close code that may be sent: 1000 to 1003, 1007 to 1014, 3000 to 4999";
    code.ok_or_else(|| Refusal::new(StatusCode::BAD_REQUEST, sentence))
}

fn parse(id: &str) -> Result<(ShardId, SessionId), Refusal> {
    let parts = id
        .split_once('-')
        .and_then(|(shard, session)| Some((ShardId(shard.parse().ok()?), session.parse().ok()?)));
    parts
        .ok_or_else(|| Refusal::new(StatusCode::BAD_REQUEST, "this is not a connection's id, such as 0-1a.3"))
}

fn describe(shard: &mut Shard, id: SessionId) -> Option<Value> {
    let session = shard.hub.session(id)?;
    let about = &session.attachment.about;
    let authority = about.credentials.authority();
    let user = authority.and_then(|authority| authority.user.as_deref());
    let info = authority.and_then(|authority| authority.info.as_deref());
    let info: Option<Value> = info.and_then(|info| serde_json::from_str(info).ok());
    let all = shard.hub.subscriptions(id).map(ToString::to_string);
    let channels: Vec<_> = all.take(CHANNELS_SHOWN).collect();
    Some(json!({
        "id": shard.name_of(id),
        "door": door_name(session.form()),
        "transport": if about.http2 { "h2" } else { "h1" },
        "compression": about.agreed.name(),
        "compression_parameters": about.agreed.parameters(),
        "remote": about.remote.to_string(),
        "tls": about.tls.map(TlsVersion::name),
        "route": about.route.pattern.as_str(),
        "user": user,
        "info": info,
        "channels": channels,
        "opened": about.opened,
        "queue_bytes": session.queue.bytes(),
        "queue_messages": session.queue.messages(),
        "closing": session.is_ending(),
    }))
}
