//! The doors whose answer goes on: server-sent events, and lines of JSON. The body is what a session's send
//! queue holds. Nothing is written here: hyper and h2 pull.

use std::error::Error;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, SET_COOKIE};
use http::request::Parts;
use http::{Method, Response, StatusCode};
use http_body::Frame;
use tidegate_hub::{Form, SessionId};

use super::{Door, Wish, about, read_wish};
use crate::http_body::{Body, Visit};
use crate::open::open;
use crate::process::Generation;
use crate::refusal::Refusal;
use crate::route::{Found, Route};
use crate::shard::{BodyPart, ShardRef};
use crate::sources::OpenChannel;

/// The media types that ask for such an answer, in the order in which they are preferred.
const MEDIA_TYPES: [(&str, Form); 3] = [
    ("text/event-stream", Form::EventStream),
    ("application/x-ndjson", Form::Lines),
    ("application/jsonl", Form::Lines),
];

/// A stream as it was asked for: its form, and the media type that the answer has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked {
    pub(crate) form: Form,
    media_type: &'static str,
}

/// What a request to this route asks for, if it is a stream. Lines of a backend are its own, unless the route
/// has the door.
pub(crate) fn asked_for(parts: &Parts, route: &Route) -> Option<Asked> {
    let accepts = |media_type: &str| {
        let fields = parts.headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let mut ranges = fields.flat_map(|field| field.split(','));
        ranges.any(|range| is_wanted(range, media_type))
    };
    let is_there = |form: Form| form == Form::EventStream || route.doors.lines;
    let mut asked =
        MEDIA_TYPES.into_iter().filter(|(media_type, form)| is_there(*form) && accepts(media_type));
    let (media_type, form) = asked.next().filter(|_| parts.method == Method::GET)?;
    Some(Asked { form, media_type })
}

/// Whether one range of an `Accept` names the media type, and not to say that it is unwanted (RFC 9110, section
/// 12.5.1). A type that is meant by a wildcard alone is not asked for.
fn is_wanted(range: &str, media_type: &str) -> bool {
    let (name, parameters) = range.split_once(';').unwrap_or((range, ""));
    let weight = parameters.split(';').filter_map(|one| one.split_once('='));
    let mut weights = weight.filter(|(name, _)| name.trim().eq_ignore_ascii_case("q"));
    name.trim().eq_ignore_ascii_case(media_type)
        && !weights.any(|(_, weight)| weight.trim().parse().is_ok_and(|weight: f32| weight == 0.0))
}

/// Answers with a stream, or with a refusal.
pub(crate) async fn handle(
    visit: &Rc<Visit>,
    generation: &Arc<Generation>,
    parts: &Parts,
    host: &str,
    found: &Found<'_>,
    asked: Asked,
) -> Result<Response<Body>, Refusal> {
    let door = if asked.form == Form::EventStream { Door::EventStream } else { Door::Lines };
    let Wish { wanted, credentials, resume, .. } =
        read_wish(visit, generation, parts, host, found, door).await?;
    let OpenChannel { name, retention, sourced, set_cookie } = open(&visit.shard, wanted).await?;
    let about = about(visit, generation, parts, found, &name, credentials)?;
    let id = visit.shard.with(|shard| {
        let id = shard.attach_body(asked.form, about, Rc::clone(&visit.cut));
        // A new session follows nothing yet, so this cannot be refused.
        let _ = shard.subscribe(id, &name, resume, retention, sourced);
        id
    });
    let body = QueueBody { shard: visit.shard.clone(), id };
    let mut response: Response<Body> = Response::new(Box::pin(body));
    *response.status_mut() = StatusCode::OK;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(asked.media_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    for cookie in set_cookie {
        headers.append(SET_COOKIE, cookie);
    }
    Ok(response)
}

/// Pulls a session's send queue. Dropping it ends the session.
struct QueueBody {
    shard: ShardRef,
    id: SessionId,
}

impl http_body::Body for QueueBody {
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

impl Drop for QueueBody {
    fn drop(&mut self) {
        self.shard.with(|shard| shard.body_dropped(self.id));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_media_type_is_wanted_in_any_case_unless_its_weight_is_nothing() {
        for (range, wanted) in [
            ("text/event-stream", true),
            (" TEXT/Event-Stream ; q=0.5", true),
            ("text/event-stream;q=1;charset=utf-8", true),
            ("text/event-stream;q=0", false),
            ("text/event-stream; charset=utf-8; Q = 0.000", false),
            ("text/event-stream;q=none", true),
            ("text/event-streams", false),
            ("text/*", false),
            ("*/*", false),
            ("", false),
        ] {
            assert_eq!(is_wanted(range, "text/event-stream"), wanted, "{range:?}");
        }
    }
}
