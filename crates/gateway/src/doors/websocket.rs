//! The WebSocket door: the handshake is judged, the channel opened, the 101 sent, and the plain socket
//! handed over to the shard.

use std::rc::Rc;
use std::sync::Arc;
use std::time::SystemTime;

use http::header::{ALLOW, CONNECTION, HeaderName, HeaderValue, SET_COOKIE, UPGRADE};
use http::request::Parts;
use http::{Request, Response, StatusCode, Version};
use hyper::upgrade::OnUpgrade;
use rustls::ServerConnection;
use tidegate_hub::Form;
use tidegate_protocol::SUBPROTOCOL;
use tidegate_websocket::connection::Role;
use tidegate_websocket::handshake::server::{self, Accepted, HttpVersion};
use tidegate_websocket::{Connection, Limits};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use super::{Wish, read_wish};
use crate::client_body::RequestBody;
use crate::head_timer::ClientStream;
use crate::http_body::{Body, Visit, full};
use crate::open::open;
use crate::process::Generation;
use crate::refusal::Refusal;
use crate::route::{Found, Route};
use crate::shard::connection::About;
use crate::sources::OpenChannel;

/// Whether a request asks for a WebSocket at all, well or badly.
pub(crate) fn is_asked_for(parts: &Parts) -> bool {
    with_fields(parts, server::is_upgrade)
}

/// Answers a handshake: 101, or a refusal with the reason.
pub(crate) async fn handle(
    visit: &Rc<Visit>,
    generation: &Arc<Generation>,
    mut request: Request<RequestBody>,
    host: &str,
    found: &Found<'_>,
) -> Result<Response<Body>, Refusal> {
    let upgrade = hyper::upgrade::on(&mut request);
    let (parts, _) = request.into_parts();
    let accepted = accept(&parts)?;
    let wish = read_wish(visit, generation, &parts, host, found, true)?;
    let (remote, _) = visit.client(&parts.headers, &generation.settings);
    let route = Arc::clone(found.route);
    let Wish { wanted, credentials, after } = wish;
    let OpenChannel { name, retention, sourced, set_cookie } = open(&visit.shard, wanted).await?;

    let form = if accepted.subprotocol.is_some() { Form::Envelope } else { Form::Bare };
    let websocket = Connection::new(Role::Server, limits(generation, &route));
    let seat = visit.seat.borrow_mut().take();
    let about = Box::new(About {
        channel: name.clone(),
        route,
        remote,
        credentials,
        opened: SystemTime::now(),
        tls: visit.tls,
        _seat: seat,
    });
    let visit = Rc::clone(visit);
    tokio::task::spawn_local(async move {
        let Some((stream, tls, mut early)) = take_socket(upgrade).await else { return };
        let adopted = visit.shard.with(|shard| {
            let id = shard.adopt(stream, tls, websocket, form, about, &mut early)?;
            // A new session follows nothing yet, so this cannot be refused.
            let _ = shard.subscribe(id, &name, after, retention, sourced);
            std::io::Result::Ok(())
        });
        if let Err(error) = adopted {
            tracing::warn!(event = "adopt_failed", %error, "a WebSocket could not be taken over: it is closed");
        }
    });
    Ok(switching(&accepted, set_cookie))
}

fn limits(generation: &Generation, route: &Route) -> Limits {
    Limits {
        max_message_bytes: route.limits.ws_max_message,
        max_fragments: generation.settings.limits.ws_max_fragments,
    }
}

fn accept(parts: &Parts) -> Result<Accepted, Refusal> {
    with_fields(parts, |request| server::accept(request, &[SUBPROTOCOL], None)).map_err(|refused| {
        let status = StatusCode::from_u16(refused.status).unwrap_or(StatusCode::BAD_REQUEST);
        tracing::info!(event = "handshake_rejected", status = refused.status, "{}", refused.sentence);
        let refusal = Refusal::new(status, refused.sentence);
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

/// The request as the protocol's crate reads it.
fn with_fields<R>(parts: &Parts, read: impl FnOnce(&server::Request<'_>) -> R) -> R {
    let headers: Vec<_> =
        parts.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    let version = match parts.version {
        Version::HTTP_09 | Version::HTTP_10 => HttpVersion::Http10,
        _ => HttpVersion::Http11,
    };
    read(&server::Request { method: parts.method.as_str(), version, headers: &headers })
}

fn switching(accepted: &Accepted, set_cookie: Vec<HeaderValue>) -> Response<Body> {
    let mut response = Response::new(full(""));
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    // Base64 and one of our own names: both are header values.
    let value = |text: &str| HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static(""));
    if let Some(accept_key) = &accepted.accept_key {
        headers.insert("sec-websocket-accept", value(accept_key));
    }
    if let Some(subprotocol) = &accepted.subprotocol {
        headers.insert("sec-websocket-protocol", value(subprotocol));
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
