//! The SSE door: an HTTP answer whose body is what a session's send queue holds. It never
//! writes itself: hyper pulls.

use std::error::Error;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::SystemTime;

use bytes::Bytes;
use http::header::{
    ACCEPT, ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_TYPE,
    HeaderName, HeaderValue, ORIGIN, SET_COOKIE, VARY,
};
use http::request::Parts;
use http::{Method, Request, Response, StatusCode};
use http_body::Frame;
use tidegate_hub::{Form, SessionId};

use super::{Wish, read_wish};
use crate::client_body::RequestBody;
use crate::compression::Agreed;
use crate::http_body::{Body, Visit};
use crate::open::open;
use crate::process::Generation;
use crate::refusal::Refusal;
use crate::route::Found;
use crate::shard::connection::About;
use crate::shard::{BodyPart, ShardRef};
use crate::sources::OpenChannel;

/// Whether a request asks for server-sent events.
pub(crate) fn is_asked_for(parts: &Parts) -> bool {
    let accepts = |value: &HeaderValue| {
        let text = value.to_str().unwrap_or_default();
        text.split(',')
            .any(|one| one.split(';').next().is_some_and(|kind| kind.trim() == "text/event-stream"))
    };
    parts.method == Method::GET && parts.headers.get_all(ACCEPT).iter().any(accepts)
}

/// Answers with a stream, or with a refusal.
pub(crate) async fn handle(
    visit: &Rc<Visit>,
    generation: &Arc<Generation>,
    request: Request<RequestBody>,
    host: &str,
    found: &Found<'_>,
) -> Result<Response<Body>, Refusal> {
    let (parts, _) = request.into_parts();
    let Wish { wanted, credentials, resume } =
        read_wish(visit, generation, &parts, host, found, false).await?;
    let (remote, _) = visit.client(&parts.headers, &generation.settings);
    let route = Arc::clone(found.route);
    let OpenChannel { name, retention, sourced, set_cookie } = open(&visit.shard, wanted).await?;
    let seat = visit.seat_session(&generation.settings, false)?;
    let about = Box::new(About {
        channel: name.clone(),
        route,
        remote,
        credentials,
        opened: SystemTime::now(),
        tls: visit.tls,
        http2: visit.is_http2(),
        agreed: Agreed::default(),
        // None on HTTP/1.1, where the connection under the stream keeps it.
        seat: seat.map(Rc::new),
    });
    let id = visit.shard.with(|shard| {
        let id = shard.attach_body(Form::EventStream, about, Rc::clone(&visit.cut));
        // A new session follows nothing yet, so this cannot be refused.
        let _ = shard.subscribe(id, &name, resume, retention, sourced);
        id
    });
    let body = EventStreamBody { shard: visit.shard.clone(), id };
    let mut response: Response<Body> = Response::new(Box::pin(body));
    *response.status_mut() = StatusCode::OK;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    headers.insert(VARY, HeaderValue::from_static("Origin"));
    if let Some(origin) = parts.headers.get(ORIGIN) {
        // It has passed the Origin rule, so it is named and never a wildcard.
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    }
    for cookie in set_cookie {
        headers.append(SET_COOKIE, cookie);
    }
    Ok(response)
}

/// Pulls a session's send queue. Dropping it ends the session.
struct EventStreamBody {
    shard: ShardRef,
    id: SessionId,
}

impl http_body::Body for EventStreamBody {
    type Data = Bytes;
    type Error = Box<dyn Error + Send + Sync>;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match self.shard.tidy(|shard| shard.take_body(self.id, context.waker())) {
            BodyPart::Bytes(bytes) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
            BodyPart::Pending => Poll::Pending,
            BodyPart::End => Poll::Ready(None),
        }
    }
}

impl Drop for EventStreamBody {
    fn drop(&mut self) {
        self.shard.with(|shard| shard.body_dropped(self.id));
    }
}
