//! The WebSocket door: the handshake is judged, the channel opened, the answer sent, and the plain socket
//! handed over to the shard. On HTTP/2 (RFC 8441) the answer is 200 and the stream becomes a tunnel.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use http::header::{ALLOW, CONNECTION, HeaderName, HeaderValue, SET_COOKIE, UPGRADE};
use http::request::Parts;
use http::{Request, Response, StatusCode, Version};
use hyper::upgrade::OnUpgrade;
use rustls::ServerConnection;
use tidegate_hub::{Form, Updates};
use tidegate_inspect::words::known::{self, Known};
use tidegate_protocol::SUBPROTOCOL;
use tidegate_websocket::deflate::Acceptance;
use tidegate_websocket::handshake::server::{self, Accepted, HttpVersion, RefusalCause};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use super::{Door, Wish, read_wish};
use crate::client_body::RequestBody;
use crate::compression::Agreed;
use crate::handshake::micros;
use crate::head_timer::ClientStream;
use crate::http_body::{Body, Visit, full};
use crate::open::open;
use crate::process::Generation;
use crate::refusal::Refusal;
use crate::route::Found;
use crate::shard::connection::{About, since_1970};
use crate::sources::OpenChannel;
use crate::tunnel::Tunnel;

/// Whether a request asks for a WebSocket at all, well or badly.
pub(crate) fn is_asked_for(parts: &Parts) -> bool {
    with_fields(parts, server::is_upgrade) || protocol_of(parts).is_some()
}

/// Answers a handshake: 101, on HTTP/2 200, or a refusal with the reason.
pub(crate) async fn handle(
    visit: &Rc<Visit>,
    generation: &Arc<Generation>,
    mut request: Request<RequestBody>,
    host: &str,
    found: &Found<'_>,
) -> Result<Response<Body>, Refusal> {
    let upgrade = hyper::upgrade::on(&mut request);
    let (parts, body) = request.into_parts();
    // Nothing is agreed on before the request has been let in: this only judges the handshake.
    let judged = accept(&parts, &[SUBPROTOCOL], None)?;
    let wish = read_wish(visit, generation, &parts, host, found, Door::WebSocket).await?;
    if judged.subprotocol.is_none() && wish.resume.updates != Updates::Whole {
        let sentence = "the query parameter 'updates' needs positions, which a bare WebSocket has not: \
                        offer the subprotocol tidegate.v1";
        return Err(Refusal::of(known::BAD_UPDATES, sentence));
    }
    let (remote, _) = visit.client(&parts.headers, &generation.settings);
    let route = Arc::clone(found.route);
    let Wish { wanted, credentials, resume, .. } = wish;
    let begun = Instant::now();
    let opened = open(&visit.shard, wanted).await;
    if route.backend().is_some() {
        visit.mark(|marks| marks.timing.backend = Some(micros(begun.elapsed())));
    }
    let OpenChannel { name, retention, sourced, set_cookie } = opened?;

    let answer = |policy: Option<&Acceptance>| accept(&parts, &[SUBPROTOCOL], policy);
    let (accepted, agreed) = Agreed::by(&visit.shard.process, generation, &route, answer)?;
    let form = if accepted.subprotocol.is_some() { Form::Envelope } else { Form::Bare };
    let websocket = agreed.websocket(&generation.settings.limits, &route);
    let seat = visit.seat_session(&generation.settings, true)?;
    let about = About {
        channel: name.clone(),
        route,
        remote,
        credentials,
        opened: since_1970(),
        tls: visit.tls,
        http2: visit.is_http2(),
        agreed,
        seat,
    };
    if let (RequestBody::Http2(body), Some(place)) = (body, &visit.tunnel) {
        let id = visit.shard.with(|shard| {
            let id = shard.attach_stream(form, websocket, about);
            // A new session follows nothing yet, so this cannot be refused.
            let _ = shard.subscribe(id, &name, resume, retention, sourced);
            id
        });
        visit.mark(|marks| marks.session = Some(id));
        place.replace(Some(Tunnel::new(visit.shard.clone(), id, body.into_stream())));
        return Ok(accepting(&accepted, set_cookie));
    }
    let visit = Rc::clone(visit);
    tokio::task::spawn_local(async move {
        let Some((stream, tls, mut early)) = take_socket(upgrade).await else { return };
        let adopted = visit.shard.with(|shard| {
            let id = shard.adopt(stream, tls, websocket, form, about, &mut early)?;
            if let Some(number) = visit.mark(|marks| marks.number) {
                shard.handshakes.opened(number, id);
            }
            // A new session follows nothing yet, so this cannot be refused.
            let _ = shard.subscribe(id, &name, resume, retention, sourced);
            std::io::Result::Ok(())
        });
        if let Err(error) = adopted {
            tracing::warn!(event = "adopt_failed", number = %known::ADOPT_FAILED, %error, "a WebSocket could not be taken over: it is closed");
        }
    });
    Ok(switching(&accepted, set_cookie))
}

/// Judges a handshake.
pub(crate) fn accept(
    parts: &Parts,
    subprotocols: &[&str],
    deflate: Option<&Acceptance>,
) -> Result<Accepted, Refusal> {
    let judged = match protocol_of(parts) {
        Some(protocol) => server::accept_connect(
            &server::ConnectRequest {
                method: parts.method.as_str(),
                protocol: Some(protocol),
                headers: &fields(parts),
            },
            subprotocols,
            deflate,
        ),
        None => with_fields(parts, |request| server::accept(request, subprotocols, deflate)),
    };
    judged.map_err(|refused| {
        let status = StatusCode::from_u16(refused.status).unwrap_or(StatusCode::BAD_REQUEST);
        let known = known_of(refused.cause);
        tracing::info!(event = "handshake_rejected", number = %known, status = refused.status, "{}", refused.sentence);
        let refusal = Refusal::at(status, known, refused.sentence);
        if refused.version_header {
            let version = HeaderName::from_static("sec-websocket-version");
            refusal
                .with(version, HeaderValue::from_static("13"))
                .with(UPGRADE, HeaderValue::from_static("websocket"))
        } else if refused.status == 405 {
            refusal.with(ALLOW, HeaderValue::from_static("GET"))
        } else {
            refusal
        }
    })
}

/// What an extended CONNECT asks for (RFC 8441, section 4).
fn protocol_of(parts: &Parts) -> Option<&str> {
    parts.extensions.get::<h2::ext::Protocol>().map(h2::ext::Protocol::as_str)
}

/// The request as the protocol's crate reads it.
fn with_fields<R>(parts: &Parts, read: impl FnOnce(&server::Request<'_>) -> R) -> R {
    let version = match parts.version {
        Version::HTTP_09 | Version::HTTP_10 => HttpVersion::Http10,
        _ => HttpVersion::Http11,
    };
    read(&server::Request { method: parts.method.as_str(), version, headers: &fields(parts) })
}

/// The number of what is wrong with a handshake.
fn known_of(cause: RefusalCause) -> &'static Known {
    match cause {
        RefusalCause::Upgrade | RefusalCause::Connection => known::NO_UPGRADE,
        RefusalCause::Version => known::WEBSOCKET_VERSION,
        RefusalCause::Key => known::WEBSOCKET_KEY,
        RefusalCause::Method => known::HANDSHAKE_METHOD,
        RefusalCause::Protocol => known::CONNECT_PROTOCOL,
        RefusalCause::Malformed
        | RefusalCause::HeadTooLarge
        | RefusalCause::TooManyHeaders
        | RefusalCause::HttpVersion
        | RefusalCause::Host
        | RefusalCause::Subprotocol
        | RefusalCause::Extension
        | RefusalCause::Body => known::BAD_HANDSHAKE,
    }
}

fn fields(parts: &Parts) -> Vec<(&str, &[u8])> {
    parts.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect()
}

/// 101.
pub(crate) fn switching(accepted: &Accepted, set_cookie: Vec<HeaderValue>) -> Response<Body> {
    let mut response = accepting(accepted, set_cookie);
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    response
}

/// 200, and what was agreed upon.
fn accepting(accepted: &Accepted, set_cookie: Vec<HeaderValue>) -> Response<Body> {
    let mut response = Response::new(full(""));
    let headers = response.headers_mut();
    // Base64 and one of our own names: both are header values.
    let value = |text: &str| HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static(""));
    if let Some(accept_key) = &accepted.accept_key {
        headers.insert("sec-websocket-accept", value(accept_key));
    }
    if let Some(subprotocol) = &accepted.subprotocol {
        headers.insert("sec-websocket-protocol", value(subprotocol));
    }
    if let Some(extensions) = accepted.extensions.header_value() {
        headers.insert("sec-websocket-extensions", value(&extensions));
    }
    for cookie in set_cookie {
        headers.append(SET_COOKIE, cookie);
    }
    response
}

/// A socket that has left HTTP, the TLS on it, and what was read from it already.
type Taken = (std::net::TcpStream, Option<Box<ServerConnection>>, Vec<u8>);

/// The socket behind an upgraded HTTP connection.
async fn take_socket(upgrade: OnUpgrade) -> Option<Taken> {
    let upgraded = match upgrade.await {
        Ok(upgraded) => upgraded,
        Err(error) => {
            tracing::debug!(event = "upgrade_failed", %error, "the client went away during the handshake");
            return None;
        }
    };
    match upgraded.downcast::<ClientStream<TcpStream>>() {
        Ok(parts) => {
            let stream = parts.io.into_inner()?.into_std().ok()?;
            Some((stream, None, parts.read_buf.to_vec()))
        }
        Err(upgraded) => {
            let parts = upgraded.downcast::<ClientStream<TlsStream<TcpStream>>>().ok()?;
            let (stream, tls) = parts.io.into_inner()?.into_inner();
            Some((stream.into_std().ok()?, Some(Box::new(tls)), parts.read_buf.to_vec()))
        }
    }
}
