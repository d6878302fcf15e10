//! `/channels`: publish, look, drop, list. Each call is carried to the channel's home shard and answered
//! with what happened there.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_TYPE, IF_MATCH, IF_NONE_MATCH};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::{Body as _, Incoming};
use serde_json::json;
use tidegate_hub::{
    ChannelName, ChannelStatus, IDEMPOTENCY_KEY_MAX_BYTES, Member, Payload, Position, Precondition, Present,
    Publication,
};
use tidegate_inspect::words::known;
use tidegate_protocol::envelope;
use tokio::sync::oneshot;

use super::{ask_all, json as json_response, limit, parameter};
use crate::http_body::{Body, Visit};
use crate::messages::position_of;
use crate::process::Generation;
use crate::publish::{publish, refusal_of};
use crate::refusal::Refusal;
use crate::shard::crossing::{Crossing, Notice};
use crate::shard::{NotPublished, Published, Shard, Submission};

/// Payload bytes of one page of history, but for a first publication that is larger: what is asked for beyond
/// them comes with the next page.
const PAGE_MAX_BYTES: usize = 1024 * 1024;

/// `GET`, `POST` and `DELETE` of one channel.
pub(super) async fn handle(
    visit: &Visit,
    generation: &Arc<Generation>,
    name: &str,
    request: Request<Incoming>,
) -> Result<Response<Body>, Refusal> {
    let bad = |error: tidegate_hub::NameError| Refusal::of(known::BAD_NAME, error.to_string());
    let name = ChannelName::from_admin_path(name).map_err(bad)?;
    let changes = matches!(*request.method(), Method::POST | Method::DELETE);
    if changes && visit.shard.process.is_deserted() {
        return Err(stopping().retry_after(1));
    }
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
        return Err(Refusal::of(known::PUBLISH_RATE, sentence).retry_after(1));
    }
    let (parts, body) = request.into_parts();
    let limits = &generation.settings.limits;
    let bytes =
        read_body(body, limits.publish_max_body, limits.http_body_timeout, limits.http_request_timeout)
            .await?;
    let payload = payload_of(&parts.headers, bytes)?;
    let key = idempotency_key(&parts.headers)?;
    let precondition = precondition(&parts.headers)?;
    let submission = Submission { item: payload.into(), key, precondition };
    let Published { position, subscribers } = publish(&visit.shard, name, submission).await?;
    let status = if subscribers == 0 { StatusCode::ACCEPTED } else { StatusCode::CREATED };
    let answer = json!({ "position": position.to_string(), "subscribers": subscribers });
    Ok(json_response(status, answer.to_string()))
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Refusal> {
    let Some(key) = headers.get("idempotency-key") else { return Ok(None) };
    let text = key.to_str().ok().filter(|text| (1..=IDEMPOTENCY_KEY_MAX_BYTES).contains(&text.len()));
    let sentence = format!("an Idempotency-Key is 1 to {IDEMPOTENCY_KEY_MAX_BYTES} visible characters");
    text.map(|text| Some(text.to_owned())).ok_or_else(|| Refusal::of(known::BAD_IDEMPOTENCY_KEY, sentence))
}

/// `If-Match: POSITION`, `If-Match: *` or `If-None-Match: *` (RFC 9110, section 13.1). A position may stand in
/// quotes, as entity tags do.
fn precondition(headers: &HeaderMap) -> Result<Option<Precondition>, Refusal> {
    let bad = |sentence| Refusal::of(known::BAD_PRECONDITION, sentence);
    let mut fields = headers.get_all(IF_MATCH).iter();
    let if_match = fields.next();
    if fields.next().is_some() || if_match.is_some() && headers.contains_key(IF_NONE_MATCH) {
        return Err(bad("one precondition is possible: If-Match or If-None-Match, once"));
    }
    if let Some(value) = headers.get(IF_NONE_MATCH) {
        let sentence = "If-None-Match takes '*': only if nothing has been published yet";
        return if value == "*" { Ok(Some(Precondition::Unpublished)) } else { Err(bad(sentence)) };
    }
    let Some(value) = if_match else { return Ok(None) };
    let text = value.to_str().unwrap_or_default();
    if text == "*" {
        return Ok(Some(Precondition::Published));
    }
    let bare = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text);
    let sentence = "If-Match takes '*' or one position, written epoch:offset, such as k3f9:41";
    bare.parse().map(|position| Some(Precondition::At(position))).map_err(|_| bad(sentence))
}

/// Reads a body within its bound in bytes, the bound on its pauses and the bound on the whole.
async fn read_body(body: Incoming, max: usize, pause: Duration, whole: Duration) -> Result<Bytes, Refusal> {
    let too_large = || {
        let sentence = format!("publish_max_body: a publication is at most {max} bytes");
        Refusal::of(known::BODY_SIZE, sentence)
    };
    if body.size_hint().lower() > max as u64 {
        return Err(too_large());
    }
    let late = || Refusal::of(known::BODY_TIME, "the request's body did not come in time");
    let reading = async {
        let (mut body, mut collected) = (body, BytesMut::new());
        while let Some(frame) = tokio::time::timeout(pause, body.frame()).await.map_err(|_| late())? {
            let broken = |_| Refusal::of(known::BODY_BROKE_OFF, "the request's body broke off");
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
        Refusal::of(known::BODY_NOT_TEXT, sentence)
    })
}

async fn drop_channel(visit: &Visit, name: ChannelName) -> Result<Response<Body>, Refusal> {
    let home = visit.shard.process.home_of(&name);
    let shown = name.to_string();
    let (answer, dropped) = oneshot::channel();
    let begin = move |there: &mut Shard| {
        let notice = Notice::Over { known: known::DROPPED, reason: "the channel was dropped".into() };
        there.remove_at_home(&name, notice, answer);
    };
    visit.shard.with(|shard| shard.cross(home, Crossing::Call(Box::new(begin))));
    match dropped.await {
        Ok(Ok(true)) => Ok(json_response(StatusCode::OK, json!({ "dropped": shown }).to_string())),
        Ok(Ok(false)) => Err(no_such_channel(&shown)),
        Ok(Err(why)) => Err(refusal_of(why)),
        Err(_) => Err(stopping()),
    }
}

struct Shown {
    status: ChannelStatus,
    source: Option<serde_json::Value>,
    /// What was asked for; `None` within if it is not to be had.
    history: Option<Option<Vec<Publication>>>,
    /// Who is here, on a channel that tells.
    present: Option<Present>,
}

async fn show(visit: &Visit, name: ChannelName, query: Option<&str>) -> Result<Response<Body>, Refusal> {
    let home = visit.shard.process.home_of(&name);
    let shown = name.to_string();
    let after = parameter(query, "after").map(|text| position_of(&text)).transpose()?;
    let limit =
        if after.is_some() || parameter(query, "limit").is_some() { Some(limit(query)?) } else { None };
    let looking = move |shard: &mut Shard| match look(shard, &name, after, limit) {
        None if shard.is_only_on_disk(&name) => Err(NotPublished::Dormant),
        looked => Ok(looked),
    };
    match visit.shard.ask(home, looking).await.transpose().map_err(refusal_of)? {
        Some(Some(found)) => {
            let mut answer = status_json(&found.status);
            if let Some(source) = found.source {
                answer["source"] = source;
            }
            if let Some(present) = found.present {
                answer["present"] = members_json(&present.members);
                answer["count"] = present.count.into();
            }
            let mut answer = answer.to_string();
            if let Some(page) = found.history {
                push_history(&mut answer, found.status.position, page.as_deref());
            }
            Ok(json_response(StatusCode::OK, answer))
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
    let history = limit.and_then(|limit| {
        let now = std::time::Instant::now();
        shard.engine.page(name, after, limit, PAGE_MAX_BYTES, now)
    });
    let status = shard.engine.status(name)?;
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

/// Extends an object by a page of history. Payloads stand in it as they were published: what is JSON is not
/// read and written anew.
fn push_history(object: &mut String, newest: Position, page: Option<&[Publication]>) {
    object.truncate(object.len() - 1);
    object.push_str(if page.is_some() { r#","recovered":true"# } else { r#","recovered":false"# });
    object.push_str(r#","publications":["#);
    let mut list = Vec::new();
    for publication in page.unwrap_or_default() {
        let position = Position { offset: publication.offset, ..newest };
        let comma = if list.is_empty() { "" } else { "," };
        list.extend_from_slice(format!(r#"{comma}{{"position":"{position}""#).as_bytes());
        envelope::write_payload(&mut list, &publication.item.payload);
        list.push(b'}');
    }
    object.push_str(&String::from_utf8_lossy(&list));
    object.push_str("]}");
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
    Refusal::of(known::NO_CHANNEL, sentence)
}

fn stopping() -> Refusal {
    Refusal::of(known::RESTARTING, "the gateway is stopping")
}
