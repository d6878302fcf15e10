//! An answer on its way into a stream of HTTP/2: fields of HTTP/1.1 stay behind, the body goes as the client
//! has room for it. Answers come from the doors.

use std::future::poll_fn;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, SendStream};
use http::header::{CONTENT_LENGTH, DATE, HeaderValue};
use http::{HeaderMap, Response, StatusCode};
use http_body::Body as _;
use http_body_util::BodyExt;
use tokio::time::timeout;

use crate::forward::strip_hop_by_hop;
use crate::http_body::Body;
use crate::tunnel::{Sent, poll_room};

/// Sends the head of an answer whose stream becomes a tunnel; `None` if the stream is over.
pub(super) fn begin(
    respond: &mut SendResponse<Bytes>,
    response: Response<Body>,
) -> Option<SendStream<Bytes>> {
    let (mut parts, _) = response.into_parts();
    dress(&mut parts.headers, None);
    respond.send_response(Response::from_parts(parts, ()), false).ok()
}

/// Sends a whole answer. The client may take nothing of it for `patience` at most.
pub(super) async fn send(
    respond: &mut SendResponse<Bytes>,
    response: Response<Body>,
    is_head: bool,
    patience: Duration,
) -> Sent {
    let (mut parts, body) = response.into_parts();
    let without = is_head || matches!(parts.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    let length = (!without).then(|| body.size_hint().exact()).flatten();
    dress(&mut parts.headers, length);
    let last = without || body.is_end_stream();
    match respond.send_response(Response::from_parts(parts, ()), last) {
        Ok(_) if last => Sent::Whole,
        Ok(mut stream) => send_body(&mut stream, body, patience).await,
        Err(_) => Sent::Reset,
    }
}

/// Takes away what is said to one connection of HTTP/1.1, and adds what hyper would add there.
fn dress(headers: &mut HeaderMap, length: Option<u64>) {
    strip_hop_by_hop(headers);
    if !headers.contains_key(DATE)
        && let Ok(now) = HeaderValue::from_str(&httpdate::fmt_http_date(SystemTime::now()))
    {
        headers.insert(DATE, now);
    }
    if let Some(length) = length
        && !headers.contains_key(CONTENT_LENGTH)
    {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
}

async fn send_body(stream: &mut SendStream<Bytes>, mut body: Body, patience: Duration) -> Sent {
    loop {
        // A piece is asked for when there is room: until then it waits, and counts, where it is.
        if !has_room(stream, 1, patience).await {
            return Sent::Reset;
        }
        let frame = tokio::select! {
            biased;
            _ = poll_fn(|context| stream.poll_reset(context)) => return Sent::Reset,
            frame = body.frame() => frame,
        };
        let sent = match frame {
            None => stream.send_data(Bytes::new(), true).is_ok(),
            Some(Err(error)) => {
                tracing::debug!(event = "answer_broken", %error, "an answer broke off: its stream is reset");
                stream.send_reset(Reason::INTERNAL_ERROR);
                return Sent::Reset;
            }
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => {
                    if send_data(stream, data, patience).await {
                        continue;
                    }
                    false
                }
                Err(frame) => {
                    let mut trailers = frame.into_trailers().unwrap_or_default();
                    strip_hop_by_hop(&mut trailers);
                    stream.send_trailers(trailers).is_ok()
                }
            },
        };
        return if sent { Sent::Whole } else { Sent::Reset };
    }
}

async fn send_data(stream: &mut SendStream<Bytes>, mut data: Bytes, patience: Duration) -> bool {
    while !data.is_empty() {
        if !has_room(stream, data.len(), patience).await {
            return false;
        }
        let portion = data.split_to(stream.capacity().min(data.len()));
        if stream.send_data(portion, false).is_err() {
            return false;
        }
    }
    true
}

/// Waits until the client has room for some of `wanted` bytes; false if it does not come to that.
async fn has_room(stream: &mut SendStream<Bytes>, wanted: usize, patience: Duration) -> bool {
    stream.reserve_capacity(wanted);
    let room = timeout(patience, poll_fn(|context| poll_room(stream, context))).await;
    if room.is_err() {
        stream.send_reset(Reason::CANCEL);
    }
    matches!(room, Ok(Some(_)))
}
