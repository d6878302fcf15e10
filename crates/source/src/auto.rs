//! The GET that decides: what answers a plain request for a URL says how to follow it. Asks once, then hands
//! over to a poll or a stream, which goes on from that very answer.

use std::fmt;

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, HeaderValue, SET_COOKIE};
use http::{Response, StatusCode};
use tidegate_hub::Item;

use crate::event::Event;
use crate::get::{ANYTHING, Answer, Target, get, strip_hop_by_hop};
use crate::poll::{PollPolicy, Poller};
use crate::sharing::Shared;
use crate::stream::{Follower, Format, StreamPolicy, format_of};
use crate::upstream::{Upstream, UpstreamError};

/// How a URL is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A document, asked for again.
    Poll,
    /// Server-sent events.
    EventStream,
    /// A stream of lines.
    Lines,
}

/// What the first answer said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// How the URL is followed.
    pub kind: Kind,
    /// Who may share what comes of it.
    pub shared: Shared,
    /// For the one who asked, and only where nothing is shared.
    pub set_cookie: Vec<HeaderValue>,
}

/// A source that was asked once and is ready to be run.
pub struct Opened {
    /// What the first answer said.
    pub facts: Facts,
    /// The document, for a poll that has one; [`Opened::run`] does not emit it again.
    pub first: Option<Item>,
    source: Source,
}

enum Source {
    Poll(Box<Poller>),
    Stream(Box<Follower>, Box<Answer>),
}

/// Nothing to follow.
#[derive(Debug)]
pub enum OpenError {
    /// The backend's answer is not 2xx: its status, its end-to-end headers, and its body where that is within
    /// the bounds of an answer (else an empty one).
    Refused(Response<Bytes>),
    /// There is no answer, or none that can be used.
    Upstream(UpstreamError),
}

/// Asks for the target once, without upgrade headers.
pub async fn open(upstream: &Upstream, target: Target, policy: &PollPolicy) -> Result<Opened, OpenError> {
    let mut poller = Poller::new(upstream.clone(), target.clone(), policy);
    poller.handle_start();
    let exchange = async {
        let answer = get(upstream, &target, ANYTHING, None).await?;
        first_answer(upstream, answer).await
    };
    match upstream.within_total(&target.uri, exchange).await.map_err(OpenError::Upstream)? {
        First::Refused(answer) => Err(OpenError::Refused(answer)),
        First::Stream(format, answer) => {
            let kind = if format == Format::Events { Kind::EventStream } else { Kind::Lines };
            let facts = facts(kind, answer.headers());
            let target = Target { uri: answer.moved.clone().unwrap_or(target.uri), headers: target.headers };
            let follower = Follower::new(upstream.clone(), target, &StreamPolicy::default(), ANYTHING);
            Ok(Opened { facts, first: None, source: Source::Stream(Box::new(follower), answer) })
        }
        First::Document(answer, moved) => {
            let facts = facts(Kind::Poll, answer.headers());
            poller.handle_moved(moved);
            let first = poller.handle_document(answer);
            poller.handle_well();
            Ok(Opened { facts, first, source: Source::Poll(Box::new(poller)) })
        }
    }
}

impl Opened {
    /// Goes on from the first answer, until the source ends; given up by being dropped.
    pub async fn run(self, mut emit: impl FnMut(Event)) {
        match self.source {
            Source::Poll(poller) => poller.run(&mut emit).await,
            Source::Stream(follower, answer) => follower.run(Some(*answer), &mut emit).await,
        }
    }
}

enum First {
    Document(Response<Bytes>, Option<http::Uri>),
    Stream(Format, Box<Answer>),
    Refused(Response<Bytes>),
}

async fn first_answer(upstream: &Upstream, answer: Answer) -> Result<First, UpstreamError> {
    let status = answer.status();
    let invalid = |reason| UpstreamError::Invalid { backend: answer.pending.origin.to_string(), reason };
    if matches!(status, StatusCode::NOT_MODIFIED | StatusCode::PARTIAL_CONTENT) {
        return Err(invalid(format!("{status} to a request that did not ask for it")));
    }
    if !status.is_success() {
        return Ok(First::Refused(refused(upstream, answer).await));
    }
    if let Some(reason) = answer.foreign_encoding() {
        return Err(invalid(reason));
    }
    if let Some(format) = format_of(answer.headers()).filter(|_| status != StatusCode::NO_CONTENT) {
        return Ok(First::Stream(format, Box::new(answer)));
    }
    let Answer { pending, moved } = answer;
    Ok(First::Document(upstream.collect(pending).await?, moved))
}

/// What a client of ours may see of an answer that refuses.
async fn refused(upstream: &Upstream, answer: Answer) -> Response<Bytes> {
    let head = (answer.status(), answer.headers().clone());
    let body = upstream.collect(answer.pending).await.map(Response::into_body).ok();
    let mut response = Response::new(body.unwrap_or_default());
    (*response.status_mut(), *response.headers_mut()) = head;
    strip_hop_by_hop(response.headers_mut());
    if response.body().is_empty() {
        response.headers_mut().remove(CONTENT_ENCODING);
    }
    response
}

fn facts(kind: Kind, headers: &http::HeaderMap) -> Facts {
    let set_cookie = headers.get_all(SET_COOKIE).iter().cloned().collect();
    Facts { kind, shared: Shared::of_answer(headers), set_cookie }
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opened")
            .field("facts", &self.facts)
            .field("first", &self.first)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(answer) => write!(f, "the backend answered {}", answer.status()),
            Self::Upstream(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for OpenError {}
