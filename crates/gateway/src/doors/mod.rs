//! The doors by which clients subscribe: one file each, and what they have in common here. Requests
//! come from the public listener; what is opened goes to the shard.

pub(crate) mod websocket;
pub(crate) mod http_stream;
pub(crate) mod long_poll;
pub(crate) mod newest;

use std::sync::Arc;
use std::time::Instant;

use http::HeaderMap;
use http::request::Parts;
use tidegate_hub::{ChannelName, Epoch, Position, Updates};
use tidegate_inspect::words::known;
use tidegate_protocol::{OwnParameters, split_long_poll_query, split_query};

use crate::access::{Credentials, check_origin, check_subscribe};
use crate::compression::Agreed;
use crate::credential::authenticate;
use crate::handshake::micros;
use crate::http_body::Visit;
use crate::messages::position_of;
use crate::open::Wanted;
use crate::process::Generation;
use crate::refusal::Refusal;
use crate::route::Found;
use crate::shard::connection::{About, since_1970};
use crate::shard::crossing::Resume;

/// The door that a request comes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Door {
    WebSocket,
    EventStream,
    Lines,
    LongPoll,
    /// A plain request.
    Newest,
}

/// A request to subscribe, understood.
pub(crate) struct Wish {
    pub(crate) wanted: Wanted,
    pub(crate) credentials: Credentials,
    pub(crate) resume: Resume,
    /// How long a long poll waits, as the client wrote it.
    pub(crate) wait: Option<String>,
}

/// Reads what a request wants to follow, or says why it cannot have it.
pub(crate) async fn read_wish(
    visit: &Visit,
    generation: &Arc<Generation>,
    parts: &Parts,
    host: &str,
    found: &Found<'_>,
    door: Door,
) -> Result<Wish, Refusal> {
    // Who asks for what is there gets it to the end.
    if visit.shard.process.is_draining() && door != Door::Newest {
        let seconds = fastrand::u32(1..=10);
        return Err(Refusal::of(known::RESTARTING, "the gateway is restarting").retry_after(seconds));
    }
    let (_, scheme) = visit.client(&parts.headers, &generation.settings);
    check_origin(&parts.headers, host, scheme, &generation.settings)?;
    let (own, query) = match door {
        Door::LongPoll => split_long_poll_query(parts.uri.query()),
        Door::WebSocket | Door::EventStream | Door::Lines | Door::Newest => split_query(parts.uri.query()),
    };
    let named_by_query = found.route.backend().is_some();
    let name_query = query.as_deref().filter(|_| named_by_query);
    let bad = |error: tidegate_hub::NameError| Refusal::of(known::BAD_NAME, error.to_string());
    let name = ChannelName::from_path(parts.uri.path(), name_query).map_err(bad)?;
    let websocket = door == Door::WebSocket;
    let begun = Instant::now();
    let judged = authenticate(visit, generation, &parts.headers, &own, found.route, websocket).await;
    visit.mark(|marks| marks.timing.auth = Some(micros(begun.elapsed())));
    let credentials = judged?;
    check_subscribe(found.route, &name, &credentials)?;
    let wanted = Wanted::new(name, found, query.as_deref(), &credentials)?;
    let resume = Resume { after: after_of(&own, &parts.headers, door)?, updates: updates_of(&own)? };
    Ok(Wish { wanted, credentials, resume, wait: own.wait })
}

/// A session that lives on an HTTP answer: what is known of it, and its place among the open connections.
fn about(
    visit: &Visit,
    generation: &Generation,
    parts: &Parts,
    found: &Found<'_>,
    channel: &ChannelName,
    credentials: Credentials,
) -> Result<About, Refusal> {
    let (remote, _) = visit.client(&parts.headers, &generation.settings);
    // None on HTTP/1.1, where the connection under the answer keeps it.
    let seat = visit.seat_session(&generation.settings, false)?;
    Ok(About {
        channel: channel.clone(),
        route: Arc::clone(found.route),
        remote,
        credentials,
        opened: since_1970(),
        tls: visit.tls,
        http2: visit.is_http2(),
        agreed: Agreed::default(),
        seat,
    })
}

/// How the client wants to hear of changes.
fn updates_of(own: &OwnParameters) -> Result<Updates, Refusal> {
    let Some(name) = &own.updates else { return Ok(Updates::Whole) };
    name.parse().map_err(|error: tidegate_hub::UpdatesError| {
        Refusal::of(known::BAD_UPDATES, format!("the query parameter {error}"))
    })
}

/// Where the client wants to resume: `after` in the query, or what an EventSource remembers by itself, which
/// knows better than the URL that it was made with.
fn after_of(own: &OwnParameters, headers: &HeaderMap, door: Door) -> Result<Option<Position>, Refusal> {
    let remembered =
        headers.get("last-event-id").filter(|value| door == Door::EventStream && !value.is_empty());
    if let Some(remembered) = remembered {
        let position = remembered.to_str().ok().and_then(|text| text.parse().ok());
        // Another server may have stood here before, and its ids are none of ours: a refusal would end the
        // EventSource for good. No log has this position.
        return Ok(Some(position.unwrap_or(Position { epoch: Epoch(0), offset: 0 })));
    }
    own.after.as_deref().filter(|text| !text.is_empty()).map(position_of).transpose()
}
