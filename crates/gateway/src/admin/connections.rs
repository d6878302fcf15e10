//! `/connections`: find the one that hurts, and close it. Each shard is asked for its own; nothing is kept
//! here.

use http::{Method, Response, StatusCode};
use serde_json::{Value, json};
use tidegate_hub::{SessionId, ShardId};
use tidegate_inspect::words::known;
use tidegate_websocket::CloseCode;

use super::{ask_all, json as json_response, limit, parameter};
use crate::http_body::{Body, Visit};
use crate::refusal::Refusal;
use crate::shard::row::{ROWS_A_TURN, Row};
use crate::shard::{Cause, Closing, Shard};

/// `GET /connections?after=ID&limit=N`: by shard and place, so that a page is cheap. With `state=closed` those that
/// ended lately, newest first, of each shard.
pub(super) async fn list(visit: &Visit, query: Option<&str>) -> Result<Response<Body>, Refusal> {
    let limit = limit(query)?;
    let after = parameter(query, "after").map(|text| parse(&text)).transpose()?;
    let mut rows = match parameter(query, "state").as_deref() {
        None | Some("open") => open_rows(visit, after, limit + 1).await,
        Some("closed") => closed_rows(visit, limit).await,
        Some(_) => {
            return Err(Refusal::of(known::BAD_PARAMETER, "'state' is 'open' or 'closed'"));
        }
    };
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| more).map(Row::id);
    let all: Vec<Value> = rows.iter().map(Row::to_json).collect();
    Ok(json_response(StatusCode::OK, json!({ "connections": all, "next": next }).to_string()))
}

/// So many rows at the most, gathered in portions.
async fn open_rows(visit: &Visit, after: Option<(ShardId, SessionId)>, most: usize) -> Vec<Row> {
    let mut rows = Vec::new();
    let first = after.map_or(0, |(shard, _)| shard.0);
    for target in first..visit.shard.process.shards {
        let mut place = after.filter(|(shard, _)| shard.0 == target).map(|(_, session)| session.index());
        while rows.len() < most {
            let portion = ROWS_A_TURN.min(most - rows.len());
            let asked = visit.shard.ask(ShardId(target), move |shard| shard.rows(place, portion));
            let Some((mut found, next)) = asked.await else { break };
            rows.append(&mut found);
            place = next;
            if next.is_none() {
                break;
            }
        }
    }
    rows
}

async fn closed_rows(visit: &Visit, most: usize) -> Vec<Row> {
    let lists =
        ask_all(&visit.shard, |shard: &mut Shard| shard.endings.rows().cloned().collect::<Vec<_>>()).await;
    let mut rows: Vec<Row> = lists.into_iter().flatten().collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.ending.as_ref().map(|ending| ending.at)));
    rows.truncate(most);
    rows
}

/// `GET` and `DELETE` of one connection.
pub(super) async fn handle(
    visit: &Visit,
    id: &str,
    method: &Method,
    query: Option<&str>,
) -> Result<Response<Body>, Refusal> {
    let (shard, session) = parse(id)?;
    let gone = || Refusal::of(known::NO_CONNECTION, "there is no such connection: it may have ended");
    if *method != Method::DELETE {
        let look =
            move |shard: &mut Shard| shard.row(session).or_else(|| shard.endings.row(session).cloned());
        let found = visit.shard.ask(shard, look).await.flatten().ok_or_else(gone)?;
        return Ok(json_response(StatusCode::OK, found.to_json().to_string()));
    }
    let code = close_code(query)?;
    let reason = parameter(query, "reason").unwrap_or_default();
    let closed = visit.shard.ask(shard, move |shard| {
        let there = shard.hub.session(session).is_some();
        shard.close(session, Closing { code, reason: &reason, cause: Cause::Operator, ..Closing::default() });
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
    code.ok_or_else(|| Refusal::of(known::BAD_PARAMETER, sentence))
}

/// The place that an id names.
pub(super) fn parse(id: &str) -> Result<(ShardId, SessionId), Refusal> {
    let parts = id
        .split_once('-')
        .and_then(|(shard, session)| Some((ShardId(shard.parse().ok()?), session.parse().ok()?)));
    parts.ok_or_else(|| Refusal::of(known::BAD_PARAMETER, "this is not a connection's id, such as 0-1a.3"))
}
