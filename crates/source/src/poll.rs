//! One document, asked for again and again as politely as its backend wishes; what changes is a publication.
//!
//! One request is in flight at most. When to ask is the schedule's, with which conditions the validators';
//! what came is compared here. Nothing is stored but the last document.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{AGE, CACHE_CONTROL, HeaderMap};
use http::{Response, StatusCode};
use tidegate_hub::{Item, Payload, PayloadKind};

use crate::event::Event;
use crate::freshness::fresh_for;
use crate::get::{ANYTHING, Answer, Refusal, Target, get, media_type};
use crate::json;
use crate::schedule::{Draw, Schedule};
use crate::upstream::{Upstream, UpstreamError};
use crate::validators::Validators;

/// How a poll is made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PollPolicy {
    /// From one request to the next, 100 ms at least. Without it the answers decide, between 1 s and 30 s.
    pub interval: Option<Duration>,
}

/// Polls until the backend refuses the identity; given up by being dropped. The first request goes out at once.
pub async fn poll(upstream: Upstream, target: Target, policy: PollPolicy, mut emit: impl FnMut(Event)) {
    Poller::new(upstream, target, &policy).run(&mut emit).await;
}

/// A poll between two requests.
pub(crate) struct Poller {
    upstream: Upstream,
    target: Target,
    schedule: Schedule,
    validators: Validators,
    /// `Cache-Control` and `Age` of the stored document, as the last answer left them.
    caching: HeaderMap,
    document: Option<Payload>,
}

enum Outcome {
    Document(Response<Bytes>),
    Unchanged(HeaderMap),
    Unauthorized(String),
    Failing { reason: String, retry_after: Option<Duration> },
}

impl Poller {
    pub(crate) fn new(upstream: Upstream, target: Target, policy: &PollPolicy) -> Self {
        Self {
            upstream,
            target,
            schedule: Schedule::new(policy.interval, now()),
            validators: Validators::default(),
            caching: HeaderMap::new(),
            document: None,
        }
    }

    pub(crate) async fn run(mut self, emit: &mut impl FnMut(Event)) {
        loop {
            let start = self.schedule.poll_start();
            self.upstream.note_next(start, Some(self.schedule.interval()));
            tokio::time::sleep_until(start.into()).await;
            self.handle_start();
            match self.ask().await {
                Outcome::Document(answer) => {
                    let changed = self.handle_document(answer);
                    self.tell_well(emit);
                    changed.into_iter().for_each(|item| emit(Event::Publication(item)));
                }
                Outcome::Unchanged(headers) => {
                    self.handle_not_modified(&headers);
                    self.tell_well(emit);
                }
                Outcome::Failing { reason, retry_after } => {
                    if self.schedule.handle_failure(now(), retry_after, draw()) {
                        emit(Event::Failing { reason });
                    }
                }
                Outcome::Unauthorized(reason) => return emit(Event::Unauthorized { reason }),
            }
        }
    }

    /// A request goes out now.
    pub(crate) fn handle_start(&mut self) {
        self.schedule.handle_start(now());
    }

    /// A document came, the first or a later one; a publication where it is another than before. 204 and 205
    /// say that there is none, and publish nothing.
    pub(crate) fn handle_document(&mut self, answer: Response<Bytes>) -> Option<Item> {
        let (head, body) = answer.into_parts();
        self.validators = Validators::of_answer(&head.headers);
        self.caching = caching(&head.headers);
        if matches!(head.status, StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT) {
            return None;
        }
        let payload = payload(&media_type(&head.headers), body);
        if self.document.as_ref().is_some_and(|document| same(document, &payload)) {
            return None;
        }
        self.document = Some(payload.clone());
        Some(payload.into())
    }

    /// The next request is due by what the answer said. Returns whether the source was failing.
    pub(crate) fn handle_well(&mut self) -> bool {
        self.schedule.handle_answer(now(), fresh_for(&self.caching), draw())
    }

    /// Asks elsewhere from now on.
    pub(crate) fn handle_moved(&mut self, moved: Option<http::Uri>) {
        if let Some(uri) = moved {
            self.target.uri = uri;
        }
    }

    fn handle_not_modified(&mut self, headers: &HeaderMap) {
        self.validators.handle_not_modified(headers);
        let fresh = caching(headers);
        if fresh.contains_key(CACHE_CONTROL) {
            self.caching = fresh;
        } else {
            self.caching.remove(AGE);
            self.caching.extend(fresh);
        }
    }

    fn tell_well(&mut self, emit: &mut impl FnMut(Event)) {
        if self.handle_well() {
            emit(Event::Recovered);
        }
    }

    async fn ask(&mut self) -> Outcome {
        let outcome = self.upstream.within_total(&self.target.uri, self.exchange()).await;
        let (outcome, moved) = outcome.unwrap_or_else(|error| (failing(error.to_string()), None));
        self.handle_moved(moved);
        outcome
    }

    async fn exchange(&self) -> Result<(Outcome, Option<http::Uri>), UpstreamError> {
        let condition = self.validators.condition();
        let conditional = condition.is_some();
        let answer = get(&self.upstream, &self.target, ANYTHING, condition).await?;
        if answer.status() == StatusCode::NOT_MODIFIED && conditional {
            return Ok((Outcome::Unchanged(answer.headers().clone()), None));
        }
        match answer.refusal(&self.target.uri) {
            Some(Refusal::Unauthorized(reason)) => Ok((Outcome::Unauthorized(reason), None)),
            Some(Refusal::Failing { reason, retry_after }) => {
                Ok((Outcome::Failing { reason, retry_after }, None))
            }
            None => {
                let Answer { pending, moved } = answer;
                Ok((Outcome::Document(self.upstream.collect(pending).await?), moved))
            }
        }
    }
}

fn failing(reason: String) -> Outcome {
    Outcome::Failing { reason, retry_after: None }
}

fn caching(headers: &HeaderMap) -> HeaderMap {
    let ours = headers.iter().filter(|(name, _)| [CACHE_CONTROL, AGE].contains(name));
    // Appended one by one: `Cache-Control` may have several lines.
    let mut caching = HeaderMap::new();
    for (name, value) in ours {
        caching.append(name.clone(), value.clone());
    }
    caching
}

fn same(old: &Payload, new: &Payload) -> bool {
    old.kind() == new.kind()
        && match new.kind() {
            PayloadKind::Text => json::same(old.bytes(), new.bytes()),
            PayloadKind::Binary => old.bytes() == new.bytes(),
        }
}

/// Text where it is UTF-8 and its type does not say that it is something else.
fn payload(media_type: &str, body: Bytes) -> Payload {
    if is_binary(media_type) { Payload::binary(body) } else { Payload::guess(body) }
}

fn is_binary(media_type: &str) -> bool {
    if media_type.ends_with("+xml") || media_type.ends_with("+json") {
        return false;
    }
    let (kind, subtype) = media_type.split_once('/').unwrap_or_default();
    let packed = [
        "octet-stream",
        "zip",
        "gzip",
        "pdf",
        "wasm",
        "cbor",
        "protobuf",
        "x-protobuf",
        "msgpack",
        "x-msgpack",
    ];
    matches!(kind, "image" | "audio" | "video" | "font") || kind == "application" && packed.contains(&subtype)
}

pub(crate) fn draw() -> Draw {
    Draw::new(fastrand::f64())
}

/// The runtime's clock, which tests may stop.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_media_type_may_say_binary() {
        for media_type in ["image/png", "application/octet-stream", "application/pdf", "font/woff2"] {
            assert!(is_binary(media_type), "{media_type}");
        }
        for media_type in ["", "nonsense", "text/plain", "application/json", "image/svg+xml"] {
            assert!(!is_binary(media_type), "{media_type}");
        }
    }

    #[test]
    fn documents_are_compared_by_kind_and_value() {
        let text = |text: &str| Payload::from(text);
        assert!(same(&text("{\"a\": 1}"), &text("{\"a\":1}")));
        assert!(!same(&text("a "), &text("a")));
        assert!(!same(&text("1"), &Payload::binary(Bytes::from_static(b"1"))));
        assert!(!same(
            &Payload::binary(Bytes::from_static(b"1")),
            &Payload::binary(Bytes::from_static(b"1 "))
        ));
    }
}
