//! `/channels`: publish, look, drop, list. Each call is carried to the channel's home shard and answered
//! with what happened there.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::{Body as _, Incoming};
use serde_json::json;
use tidegate_hub::{
    ChannelName, ChannelStatus, IDEMPOTENCY_KEY_MAX_BYTES, Item, Member, Payload, Position, Present,
    Publication,
};
use tidegate_protocol::{ErrorCode, envelope};
use tidegate_websocket::CloseCode;

use super::{ask_all, json as json_response, limit, parameter};
use crate::http_body::{Body, Visit};
use crate::messages::position_of;
use crate::process::Generation;
use crate::publish::publish;
use crate::refusal::Refusal;
use crate::shard::crossing::Notice;
use crate::shard::{Published, Shard};

/// `GET`, `POST` and `DELETE` of one channel.
pub(super) async fn handle(
    visit: &Visit,
    generation: &Arc<Generation>,
    name: &str,
    request: Request<Incoming>,
) -> Result<Response<Body>, Refusal> {
    let bad = |error: tidegate_hub::NameError| Refusal::new(StatusCode::BAD_REQUEST, error.to_string());
    let name = ChannelName::from_admin_path(name).map_err(bad)?;
    match *request.method() {
        Method::POST => publish_body(visit, generation, &name, request).await,
        Method::DELETE => drop_channel(visit, name).await,
        _ => show(visit, name, request.uri().query()).await,
    }
}

async fn publish_body(
    visit: &Visit,
    generation: &Arc<Generation>,
    name: &ChannelName,
    request: Request<Incoming>,
) -> Result<Response<Body>, Refusal> {
    if !visit.shard.with(Shard::may_publish) {
        let sentence = "publish_rate: too many publishing requests in too short a time";
        return Err(Refusal::new(StatusCode::TOO_MANY_REQUESTS, sentence).retry_after(1));
    }
    let (parts, body) = request.into_parts();
    let limits = &generation.settings.limits;
    let bytes =
        read_body(body, limits.publish_max_body, limits.http_body_timeout, limits.http_request_timeout)
            .await?;
    let payload = payload_of(&parts.headers, bytes)?;
    let key = idempotency_key(&parts.headers)?;
    let Published { position, subscribers } = publish(&visit.shard, name, Item::from(payload), key).await?;
    let status = if subscribers == 0 { StatusCode::ACCEPTED } else { StatusCode::CREATED };
    let answer = json!({ "position": position.to_string(), "subscribers": subscribers });
    Ok(json_response(status, answer.to_string()))
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Refusal> {
    let Some(key) = headers.get("idempotency-key") else { return Ok(None) };
    let text = key.to_str().ok().filter(|text| (1..=IDEMPOTENCY_KEY_MAX_BYTES).contains(&text.len()));
    let sentence = format!("an Idempotency-Key is 1 to {IDEMPOTENCY_KEY_MAX_BYTES} visible characters");
    text.map(|text| Some(text.to_owned())).ok_or_else(|| Refusal::new(StatusCode::BAD_REQUEST, sentence))
}

/// Reads a body within its bound in bytes, the bound on its pauses and the bound on the whole.
async fn read_body(body: Incoming, max: usize, pause: Duration, whole: Duration) -> Result<Bytes, Refusal> {
    let too_large = || {
        let sentence = format!("publish_max_body: a publication is at most {max} bytes");
        Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, sentence)
    };
    if body.size_hint().lower() > max as u64 {
        return Err(too_large());
    }
    let late = || Refusal::new(StatusCode::REQUEST_TIMEOUT, "the request's body did not come in time");
    let reading = async {
        let (mut body, mut collected) = (body, BytesMut::new());
        while let Some(frame) = tokio::time::timeout(pause, body.frame()).await.map_err(|_| late())? {
            let broken = |_| Refusal::new(StatusCode::BAD_REQUEST, "the request's body broke off");
            let Ok(data) = frame.map_err(broken)?.into_data() else { continue };
            if collected.len() + data.len() > max {
                return Err(too_large());
            }
            collected.extend_from_slice(&data);
        }
        Ok(collected.freeze())
    };
    tokio::time::timeout(whole, reading).await.map_err(|_| late())?
}

/// `text/*` and JSON make a text message, anything else a binary one; what says nothing is text if it can be.
fn payload_of(headers: &HeaderMap, bytes: Bytes) -> Result<Payload, Refusal> {
    let Some(kind) = headers.get(CONTENT_TYPE) else { return Ok(Payload::guess(bytes)) };
    let kind = kind.to_str().unwrap_or_default().to_ascii_lowercase();
    let essence = kind.split(';').next().unwrap_or_default().trim();
    // What curl sends for -d unless told otherwise: the person meant text.
    let form = essence == "application/x-www-form-urlencoded";
    let text = essence.starts_with("text/") || essence == "application/json" || essence.ends_with("+json");
    if form {
        return Ok(Payload::guess(bytes));
    }
    if !text {
        return Ok(Payload::binary(bytes));
    }
    Payload::text(bytes).map_err(|_| {
        let sentence = "the body is not UTF-8, so it cannot be a text message: \
                        send it with 'Content-Type: application/octet-stream'";
        Refusal::new(StatusCode::BAD_REQUEST, sentence)
    })
}

async fn drop_channel(visit: &Visit, name: ChannelName) -> Result<Response<Body>, Refusal> {
    let home = visit.shard.process.home_of(&name);
    let shown = name.to_string();
    let dropped = visit.shard.ask(home, move |shard| {
        let code = CloseCode::GOING_AWAY;
        let reason = "the channel was dropped".into();
        shard.drop_channel(&name, Notice::Over { code, error: ErrorCode::NotFound, reason })
    });
    match dropped.await {
        Some(true) => Ok(json_response(StatusCode::OK, json!({ "dropped": shown }).to_string())),
        Some(false) => Err(no_such_channel(&shown)),
        None => Err(stopping()),
    }
}

struct Shown {
    status: ChannelStatus,
    source: Option<serde_json::Value>,
    history: Option<(bool, Vec<Publication>)>,
    /// Who is here, on a channel that tells.
    present: Option<Present>,
}

async fn show(visit: &Visit, name: ChannelName, query: Option<&str>) -> Result<Response<Body>, Refusal> {
    let home = visit.shard.process.home_of(&name);
    let shown = name.to_string();
    let after = parameter(query, "after").map(|text| position_of(&text)).transpose()?;
    let limit =
        if after.is_some() || parameter(query, "limit").is_some() { Some(limit(query)?) } else { None };
    match visit.shard.ask(home, move |shard| look(shard, &name, after, limit)).await {
        Some(Some(found)) => {
            let mut answer = status_json(&found.status);
            if let Some(source) = found.source {
                answer["source"] = source;
            }
            if let Some(present) = found.present {
                answer["present"] = members_json(&present.members);
                answer["count"] = present.count.into();
            }
            if let Some((recovered, publications)) = found.history {
                answer["recovered"] = recovered.into();
                let epoch = found.status.position.epoch;
                let list = publications.iter().map(|publication| {
                    publication_json(Position { epoch, offset: publication.offset }, publication)
                });
                answer["publications"] = list.collect();
            }
            Ok(json_response(StatusCode::OK, answer.to_string()))
        }
        Some(None) => Err(no_such_channel(&shown)),
        None => Err(stopping()),
    }
}

fn look(
    shard: &mut Shard,
    name: &ChannelName,
    after: Option<Position>,
    limit: Option<usize>,
) -> Option<Shown> {
    let status = shard.engine.status(name)?;
    let log = shard.engine.log(name)?;
    let history = limit.map(|limit| match after {
        None => (true, log.tail(limit).cloned().collect()),
        Some(after) => match log.after(after) {
            Some(missed) => (true, missed.take(limit).cloned().collect()),
            None => (false, Vec::new()),
        },
    });
    let source = shard.sources.contains(name).then(|| match shard.trouble(name) {
        Some(reason) => json!({ "state": "failing", "reason": reason.as_ref() }),
        None => json!({ "state": "running" }),
    });
    Some(Shown { status, source, history, present: shard.present(name) })
}

fn status_json(status: &ChannelStatus) -> serde_json::Value {
    json!({
        "channel": status.name.to_string(),
        "position": status.position.to_string(),
        "subscribers": status.followers,
        "history": status.kept,
    })
}

fn members_json(members: &[Member]) -> serde_json::Value {
    let mut text = Vec::new();
    envelope::write_members(&mut text, members);
    serde_json::from_slice(&text).unwrap_or_default()
}

fn publication_json(position: Position, publication: &Publication) -> serde_json::Value {
    let mut text = format!(r#"{{"position":"{position}""#).into_bytes();
    envelope::write_payload(&mut text, &publication.item.payload);
    text.push(b'}');
    serde_json::from_slice(&text).unwrap_or_default()
}

/// `GET /channels?after=NAME&limit=N`.
pub(super) async fn list(visit: &Visit, query: Option<&str>) -> Result<Response<Body>, Refusal> {
    let limit = limit(query)?;
    let after = parameter(query, "after");
    let lists =
        ask_all(&visit.shard, move |shard: &mut Shard| shard.engine.list(after.as_deref(), limit + 1)).await;
    let mut all: Vec<_> =
        lists.into_iter().flatten().map(|status| (status.name.to_string(), status)).collect();
    all.sort_by(|(one, _), (two, _)| one.cmp(two));
    let next = (all.len() > limit).then(|| all[limit - 1].0.clone());
    let channels: Vec<_> = all.iter().take(limit).map(|(_, status)| status_json(status)).collect();
    Ok(json_response(StatusCode::OK, json!({ "channels": channels, "next": next }).to_string()))
}

fn no_such_channel(name: &str) -> Refusal {
    let sentence =
        format!("there is no channel {name} just now: nothing was published and nobody follows it");
    Refusal::new(StatusCode::NOT_FOUND, sentence)
}

fn stopping() -> Refusal {
    Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "the gateway is stopping")
}
