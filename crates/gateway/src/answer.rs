//! The answer to one request of a client, whatever version of HTTP brought it: the rules that hold for all,
//! then its door. What a request means is decided behind the doors.

use std::rc::Rc;
use std::sync::Arc;

use http::request::Parts;
use http::{Method, Request, Response};

use crate::access::check_host;
use crate::client_body::RequestBody;
use crate::cors::{self, Reader};
use crate::doors::{http_stream, long_poll, newest, websocket};
use crate::first_heads::WireHead;
use crate::forward;
use crate::handshake::{Account, Marks, is_meant};
use crate::http_body::{Body, Visit, refusal_response};
use crate::process::Generation;
use crate::refusal::Refusal;
use crate::route::Route;
use crate::shard::handshakes::{Refused, Timing};
use tidegate_inspect::words::known;

/// Answers one request; what it is refused for becomes its answer. `asked` is its head as it was on the wire, where
/// that is known.
pub(crate) async fn answer(
    visit: &Rc<Visit>,
    request: Request<RequestBody>,
    asked: Option<WireHead>,
) -> Response<Body> {
    let (generation, keeps) =
        visit.shard.look(|shard| (Arc::clone(&shard.generation), shard.keeps_handshakes()));
    let ready = visit.mark(|marks| marks.ready.take());
    let account = (keeps && is_meant(&request)).then(|| {
        let number = visit.shard.tidy(|shard| shard.handshakes.number());
        visit.mark(|marks| {
            // TLS was for the first request of the connection.
            let timing = Timing { tls: marks.timing.tls.filter(|_| ready.is_some()), ..Timing::default() };
            *marks = Marks { ready, timing, number: Some(number), session: None };
        });
        let remote = visit.client(request.headers(), &generation.settings).0;
        (Account::of(&request, asked), remote)
    });
    let mut response = match at_its_door(visit, &generation, request).await {
        Ok(response) => response,
        Err(refusal) => refuse(visit, refusal),
    };
    if let Some((account, remote)) = account {
        let handshake = account.end(remote, visit.mark(|marks| *marks), &response);
        response.extensions_mut().remove::<Refused>();
        visit.shard.tidy(|shard| shard.keep_handshake(handshake));
    }
    response
}

/// The answer to a request that comes to no door.
pub(crate) fn refuse(visit: &Visit, refusal: Refusal) -> Response<Body> {
    visit.shard.tidy(|shard| {
        shard.counters.refused_with(refusal.status.as_u16());
        shard.counters.credential_refused(refusal.credential);
    });
    tracing::debug!(event = "refused", number = %refusal.known, status = refusal.status.as_u16(), "{}", refusal.sentence);
    let refused = Refused::of(&refusal);
    let mut response = refusal_response(refusal);
    response.extensions_mut().insert(refused);
    response
}

async fn at_its_door(
    visit: &Rc<Visit>,
    generation: &Arc<Generation>,
    request: Request<RequestBody>,
) -> Result<Response<Body>, Refusal> {
    let proxy = visit.is_proxy(&generation.settings);
    let host = check_host(request.headers(), request.uri(), visit.local, &generation.settings, proxy)?;
    let (parts, body) = request.into_parts();
    let reader = || Reader::of(visit, generation, &parts.headers, &host);
    let refused = |refusal| {
        let mut response = refuse(visit, refusal);
        reader().admit(response.headers_mut());
        Ok(response)
    };
    let limits = &generation.settings.limits;
    let target = parts.uri.path_and_query().map_or(0, |target| target.as_str().len());
    if target > limits.http_max_uri {
        let sentence =
            format!("http_max_uri: the request target is longer than {} bytes", limits.http_max_uri);
        return refused(Refusal::of(known::URI_LENGTH, sentence));
    }
    let Some(found) = generation.settings.routes.find(parts.uri.path()) else {
        let sentence = format!("no route for {}", parts.uri.path().escape_debug());
        return refused(Refusal::of(known::NO_ROUTE, sentence));
    };
    let preflight = || cors::is_for_a_door(visit, generation, &parts.headers, &host);
    let purpose = Purpose::of(&parts, found.route, preflight);
    if let Purpose::WebSocket = purpose {
        let request = Request::from_parts(parts, body);
        return websocket::handle(visit, generation, request, &host, &found).await;
    }
    if let Purpose::PassThrough = purpose {
        let request = Request::from_parts(parts, body);
        let response = forward::handle(visit, generation, request, &host, &found).await?;
        visit.shard.tidy(|shard| shard.counters.forwarded_with(response.status().as_u16()));
        return Ok(response);
    }
    drop(body);
    let reader = reader();
    let answered = match purpose {
        Purpose::Stream(asked) => http_stream::handle(visit, generation, &parts, &host, &found, asked).await,
        Purpose::LongPoll => long_poll::handle(visit, generation, parts, &host, &found).await,
        Purpose::Options => cors::options(visit, generation, &parts, &host),
        Purpose::Newest | Purpose::WebSocket | Purpose::PassThrough => {
            newest::handle(visit, generation, &parts, &host, &found).await
        }
    };
    let mut response = answered.unwrap_or_else(|refusal| refuse(visit, refusal));
    reader.admit(response.headers_mut());
    Ok(response)
}

/// What a request comes for.
enum Purpose {
    WebSocket,
    Stream(http_stream::Asked),
    LongPoll,
    /// What a client may ask of a door of ours.
    Options,
    Newest,
    PassThrough,
}

impl Purpose {
    /// `preflight` says whether an OPTIONS to a backend's URL is ours to answer all the same.
    fn of(parts: &Parts, route: &Route, preflight: impl Fn() -> bool) -> Self {
        if websocket::is_asked_for(parts) {
            return Self::WebSocket;
        }
        if let Some(asked) = http_stream::asked_for(parts, route) {
            return Self::Stream(asked);
        }
        let channel = route.backend().is_none();
        let long_poll = long_poll::is_target(parts.uri.query(), route);
        match parts.method {
            Method::GET if long_poll => Self::LongPoll,
            Method::OPTIONS if channel || (long_poll && cors::is_preflight(parts)) || preflight() => {
                Self::Options
            }
            _ if channel => Self::Newest,
            _ => Self::PassThrough,
        }
    }
}
