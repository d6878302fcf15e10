//! The long poll door: a request that is answered when something has come, or when its time is over. Until its
//! answer is taken it is a session like any other, and what it is answered with comes from that session's queue.

use std::error::Error;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, SET_COOKIE, WWW_AUTHENTICATE,
    X_CONTENT_TYPE_OPTIONS,
};
use http::request::Parts;
use http::{Response, StatusCode};
use http_body::{Frame, SizeHint};
use tidegate_hub::{Position, SessionId};
use tidegate_inspect::words::known;
use tidegate_protocol::{long_poll, split_long_poll_query};
use tokio::time::{Instant, timeout_at};

use super::{Door, Wish, about, read_wish};
use crate::http_body::{Body, Visit, full};
use crate::open::open;
use crate::process::Generation;
use crate::refusal::Refusal;
use crate::route::{Found, Route};
use crate::shard::connection::Closed;
use crate::shard::{Answered, PollPart, ShardRef};
use crate::sources::OpenChannel;

/// Where the client stands after the answer, for those that have no body to read it in.
pub(crate) const POSITION: HeaderName = HeaderName::from_static("tidegate-position");

/// What an answer's body gives at once: what is beyond it waits in the session, which knows for how long.
const PORTION_BYTES: usize = 16 * 1024;

/// Whether a GET with this query, that asks for no other door, is a long poll.
pub(crate) fn is_target(query: Option<&str>, route: &Route) -> bool {
    let says_so = || {
        let (own, _) = split_long_poll_query(query);
        own.after.is_some() || own.wait.is_some()
    };
    route.doors.long_poll && says_so()
}

/// Answers with what has come, with 204 when nothing has, or with a refusal.
pub(crate) async fn handle(
    visit: &Rc<Visit>,
    generation: &Arc<Generation>,
    parts: Parts,
    host: &str,
    found: &Found<'_>,
) -> Result<Response<Body>, Refusal> {
    let now = Instant::now();
    let Wish { wanted, credentials, resume, wait } =
        read_wish(visit, generation, &parts, host, found, Door::LongPoll).await?;
    let wait = wait_of(wait.as_deref(), generation.settings.limits.longpoll_max_wait)?;
    let deadline = now + wait;
    let opening = open(&visit.shard, wanted);
    let opened = match resume.after {
        // It goes on without this client, which asks again and has lost nothing.
        Some(after) if !wait.is_zero() => match timeout_at(deadline, opening).await {
            Ok(opened) => opened?,
            Err(_) => return Ok(nothing_came(after)),
        },
        // There is nothing yet that could be said.
        _ => opening.await?,
    };
    let OpenChannel { name, retention, sourced, set_cookie } = opened;
    let about = about(visit, generation, &parts, found, &name, credentials)?;
    // It is not needed while the poll waits, and neither is the buffer that it was read from.
    drop(parts);
    let id = visit.shard.with(|shard| {
        let id = shard.attach_long_poll(about, Rc::clone(&visit.cut));
        // A new session follows nothing yet, so this cannot be refused.
        let _ = shard.subscribe(id, &name, resume, retention, sourced);
        id
    });
    let waiting = Waiting { shard: visit.shard.clone(), id };
    let answered = waiting.answered(resume.after, deadline).await?;
    let mut response = response_of(waiting, answered, resume.after);
    for cookie in set_cookie {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    Ok(response)
}

/// How long the client wants to wait, in whole seconds; not at all unless it says so.
fn wait_of(text: Option<&str>, most: Duration) -> Result<Duration, Refusal> {
    let Some(text) = text else { return Ok(Duration::ZERO) };
    let digits = (1..=4).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    let seconds = text.parse().ok().filter(|_| digits).map(Duration::from_secs);
    seconds.filter(|wait| *wait <= most).ok_or_else(|| {
        let sentence = format!("'wait' is a whole number of seconds from 0 to {}", most.as_secs());
        Refusal::of(known::BAD_WAIT, sentence)
    })
}

/// Without anything to tell, whoever gave a position keeps it; whoever has none gets one.
fn response_of(waiting: Waiting, answered: Answered, after: Option<Position>) -> Response<Body> {
    let Answered { position, recovered, count, bytes, failing } = answered;
    if count == 0 && recovered && after.is_some() && !failing {
        return nothing_came(position);
    }
    let head = long_poll::head(position, recovered);
    let body = AnswerBody { head, left: bytes, waiting };
    let mut response = standing_at(position, Box::pin(body));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

fn nothing_came(position: Position) -> Response<Body> {
    let mut response = standing_at(position, full(""));
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

/// An answer whose client stands at `position` after it.
fn standing_at(position: Position, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Ok(position) = HeaderValue::from_str(&position.to_string()) {
        headers.insert(POSITION, position);
    }
    response
}

/// A poll whose client has not got all of its answer. Dropping it, because it has or because it has gone, ends
/// its session.
struct Waiting {
    shard: ShardRef,
    id: SessionId,
}

impl Waiting {
    /// What there is to answer with, at `deadline` at the latest.
    async fn answered(&self, after: Option<Position>, deadline: Instant) -> Result<Answered, Refusal> {
        let mut part = self.part_unless(|part| matches!(part, PollPart::AwaitHome)).await;
        if let PollPart::AwaitPublication(begun) = part
            // Who has no position wants the newest; of what is no document there may be none for ever.
            && (after.is_some() || begun.document)
        {
            let came = self.part_unless(|part| matches!(part, PollPart::AwaitPublication(_)));
            part = timeout_at(deadline, came).await.unwrap_or(part);
        }
        match part {
            PollPart::Ready | PollPart::AwaitPublication(_) => {
                self.shard.with(|shard| shard.answer_long_poll(self.id)).ok_or_else(gone)
            }
            PollPart::Closed(closed) => Err(refusal_of(&closed)),
            PollPart::AwaitHome | PollPart::Gone => Err(gone()),
        }
    }

    /// Waits until the session is at another point than `is_waiting` says.
    async fn part_unless(&self, is_waiting: impl Fn(&PollPart) -> bool) -> PollPart {
        poll_fn(|context| {
            let part = self.shard.tidy(|shard| shard.look_at_long_poll(self.id, context.waker()));
            if is_waiting(&part) { Poll::Pending } else { Poll::Ready(part) }
        })
        .await
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if self.shard.look(|shard| shard.hub.session(self.id).is_some()) {
            self.shard.with(|shard| shard.body_dropped(self.id));
        }
    }
}

/// Pulls what a poll's session has for its answer.
struct AnswerBody {
    head: Bytes,
    /// Bytes behind the head that are still to come.
    left: usize,
    waiting: Waiting,
}

impl http_body::Body for AnswerBody {
    type Data = Bytes;
    type Error = Box<dyn Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if !self.head.is_empty() {
            let Waiting { shard, id } = &self.waiting;
            shard.tidy(|shard| shard.tap_written(*id, &self.head));
            return Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut self.head)))));
        }
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let Waiting { shard, id } = &self.waiting;
        let portion = shard.tidy_timed(|shard| shard.take_answer(*id, PORTION_BYTES));
        if portion.is_empty() {
            return Poll::Ready(Some(Err("the session of the answer has ended".into())));
        }
        self.left = self.left.saturating_sub(portion.len());
        Poll::Ready(Some(Ok(Frame::data(portion))))
    }

    fn is_end_stream(&self) -> bool {
        self.head.is_empty() && self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact((self.head.len() + self.left) as u64)
    }
}

/// What a close is in an answer: our own codes are statuses, all others pass.
fn refusal_of(closed: &Closed) -> Refusal {
    let Closed { code, reason, known, reconnect_in_ms } = closed;
    let known = known.unwrap_or(known::POLL_ENDED);
    let code = code.get();
    let sentence = format!("the poll was closed with {code}: {}", reason.escape_debug());
    if let Some(status) = code.checked_sub(4000).filter(|status| (400..500).contains(status))
        && let Ok(status) = StatusCode::from_u16(status)
    {
        let refusal = Refusal::at(status, known, sentence);
        // RFC 9110, section 15.5.2.
        let challenge = HeaderValue::from_static("Bearer realm=\"tidegate\"");
        let challenged = status == StatusCode::UNAUTHORIZED;
        return if challenged { refusal.with(WWW_AUTHENTICATE, challenge) } else { refusal };
    }
    let seconds = reconnect_in_ms.map_or_else(|| fastrand::u64(1..=10), |hint| hint.div_ceil(1000));
    let seconds = u32::try_from(seconds).unwrap_or(u32::MAX);
    Refusal::at(StatusCode::SERVICE_UNAVAILABLE, known, sentence).retry_after(seconds)
}

fn gone() -> Refusal {
    Refusal::of(known::POLL_ENDED, "the poll has ended: ask again").retry_after(1)
}

#[cfg(test)]
mod tests {
    use tidegate_websocket::CloseCode;

    use super::*;

    #[test]
    fn a_wait_is_whole_seconds_within_the_limit() {
        let most = Duration::from_secs(60);
        for (text, seconds) in [(None, 0), (Some("0"), 0), (Some("30"), 30), (Some("060"), 60)] {
            assert_eq!(wait_of(text, most).map(|wait| wait.as_secs()).ok(), Some(seconds), "{text:?}");
        }
        for text in ["", "61", "-1", "+1", "1.5", "1e1", " 1", "30s", "99999999999999999999", "\u{663}"] {
            let refusal = wait_of(Some(text), most).expect_err(text);
            assert_eq!(refusal.status, StatusCode::BAD_REQUEST, "{text}");
            assert!(refusal.sentence.contains("from 0 to 60"), "{}", refusal.sentence);
        }
    }

    #[test]
    fn a_close_is_a_status() {
        let refused = |code: u16, hint| {
            let closed = Closed {
                code: CloseCode::new(code),
                reason: "why".into(),
                known: None,
                reconnect_in_ms: hint,
            };
            let response = refusal_of(&closed).into_response();
            let retry =
                response.headers().get("retry-after").and_then(|value| value.to_str().ok()?.parse().ok());
            (response.status().as_u16(), retry)
        };
        assert_eq!(refused(1012, Some(3400)), (503, Some(4u32)));
        assert_eq!(refused(4401, None), (401, None));
        assert_eq!(refused(4429, None), (429, None));
        for code in [1000, 1001, 1013, 3000, 4000, 4999] {
            let (status, retry) = refused(code, None);
            assert!(status == 503 && retry.is_some_and(|retry| (1..=10).contains(&retry)), "{code}");
        }
    }
}
