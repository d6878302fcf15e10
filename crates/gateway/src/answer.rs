//! The answer to one request of a client, whatever version of HTTP brought it: the rules that hold for all,
//! then its door. What a request means is decided behind the doors.

use std::rc::Rc;
use std::sync::Arc;

use http::{Request, Response, StatusCode};

use crate::access::check_host;
use crate::client_body::RequestBody;
use crate::doors::{http_stream, long_poll, newest, websocket};
use crate::forward;
use crate::http_body::{Body, Visit, refusal_response};
use crate::process::Generation;
use crate::refusal::Refusal;

/// Answers one request; what it is refused for becomes its answer.
pub(crate) async fn answer(visit: &Rc<Visit>, request: Request<RequestBody>) -> Response<Body> {
    let generation = visit.shard.look(|shard| Arc::clone(&shard.generation));
    match at_its_door(visit, &generation, request).await {
        Ok(response) => response,
        Err(refusal) => refuse(visit, refusal),
    }
}

/// The answer to a request that comes to no door.
pub(crate) fn refuse(visit: &Visit, refusal: Refusal) -> Response<Body> {
    visit.shard.tidy(|shard| {
        shard.counters.refused_with(refusal.status.as_u16());
        shard.counters.credential_refused(refusal.credential);
    });
    tracing::debug!(event = "refused", status = refusal.status.as_u16(), "{}", refusal.sentence);
    refusal_response(refusal)
}

async fn at_its_door(
    visit: &Rc<Visit>,
    generation: &Arc<Generation>,
    request: Request<RequestBody>,
) -> Result<Response<Body>, Refusal> {
    let limits = &generation.settings.limits;
    let target = request.uri().path_and_query().map_or(0, |target| target.as_str().len());
    if target > limits.http_max_uri {
        let sentence =
            format!("http_max_uri: the request target is longer than {} bytes", limits.http_max_uri);
        return Err(Refusal::new(StatusCode::URI_TOO_LONG, sentence));
    }
    let proxy = visit.is_proxy(&generation.settings);
    let host = check_host(request.headers(), request.uri(), visit.local, &generation.settings, proxy)?;
    let (parts, body) = request.into_parts();
    let path = parts.uri.path().to_owned();
    let Some(found) = generation.settings.routes.find(&path) else {
        let sentence = format!("no route for {}", path.escape_debug());
        return Err(Refusal::new(StatusCode::NOT_FOUND, sentence));
    };
    let asks_websocket = websocket::is_asked_for(&parts);
    let stream = http_stream::asked_for(&parts, found.route).filter(|_| !asks_websocket);
    let request = Request::from_parts(parts, body);
    if asks_websocket {
        websocket::handle(visit, generation, request, &host, &found).await
    } else if let Some(asked) = stream {
        http_stream::handle(visit, generation, request, &host, &found, asked).await
    } else if long_poll::is_asked_for(request.method(), request.uri().query(), found.route) {
        let (parts, _) = request.into_parts();
        long_poll::handle(visit, generation, &parts, &host, &found).await
    } else if found.route.backend().is_none() {
        let (parts, _) = request.into_parts();
        newest::handle(visit, generation, &parts, &host, &found).await
    } else {
        let response = forward::handle(visit, generation, request, &host, &found).await?;
        visit.shard.tidy(|shard| shard.counters.forwarded_with(response.status().as_u16()));
        Ok(response)
    }
}
