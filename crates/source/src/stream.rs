//! One endless answer, read as it comes and asked for again when it breaks off: server-sent events, or lines.
//!
//! It comes back with the last id, waits longer each time that nothing comes of it, and drops what it gets
//! twice. It holds one unfinished event or line, and the hashes of some events.

use std::collections::VecDeque;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::HeaderValue;
use http::{HeaderMap, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tidegate_hub::{Item, Payload};
use tokio::time::timeout;

use crate::event::Event;
use crate::event_stream::{EventLimits, EventStream, ServerEvent};
use crate::get::{Answer, LAST_EVENT_ID, Refusal, Target, get, media_type};
use crate::lines::Lines;
use crate::poll::{draw, now};
use crate::schedule::{BACK_OFF_MAX, BackOff, INTERVAL_MIN, RETRY_AFTER_MAX};
use crate::upstream::{Upstream, UpstreamError};

const STREAMS: HeaderValue =
    HeaderValue::from_static("text/event-stream, application/x-ndjson, application/jsonl, */*;q=0.1");
/// A longer id is not sent back: few servers take such a header.
const MAX_LAST_EVENT_ID_BYTES: usize = 4096;
/// Events by which repetitions are known.
const REMEMBERED: usize = 256;
/// A connection that lasted so long was a good one, though nothing came.
const STEADY_AFTER: Duration = Duration::from_secs(5);

/// How a stream is followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamPolicy {
    /// The first pause before coming back, until the stream itself says `retry`.
    pub reconnect: Duration,
}

impl Default for StreamPolicy {
    fn default() -> Self {
        Self { reconnect: Duration::from_secs(1) }
    }
}

/// What a streaming answer is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Events,
    Lines,
}

/// Follows until the backend refuses the identity or ends the stream with 204; given up by being dropped.
/// The first request goes out at once.
pub async fn stream(upstream: Upstream, target: Target, policy: StreamPolicy, mut emit: impl FnMut(Event)) {
    Follower::new(upstream, target, &policy, STREAMS).run(None, &mut emit).await;
}

/// The format of an answer, by its content type.
pub(crate) fn format_of(headers: &HeaderMap) -> Option<Format> {
    match media_type(headers).as_str() {
        "text/event-stream" => Some(Format::Events),
        "application/x-ndjson"
        | "application/ndjson"
        | "application/jsonl"
        | "application/jsonlines"
        | "application/x-jsonlines" => Some(Format::Lines),
        _ => None,
    }
}

/// A stream between two connections.
pub(crate) struct Follower {
    upstream: Upstream,
    target: Target,
    accept: HeaderValue,
    reconnect: Duration,
    back_off: BackOff,
    failing: bool,
    last_event_id: String,
    seen: Seen,
}

/// How a connection came to its end.
enum End {
    /// As it should, or by silence: nothing is wrong if the stream can be resumed.
    Quiet(String),
    Broken {
        reason: String,
        retry_after: Option<Duration>,
    },
    Unauthorized(String),
    NoMore(String),
}

/// What one connection did.
struct Stay {
    since: Instant,
    published: bool,
}

impl Follower {
    pub(crate) fn new(
        upstream: Upstream,
        target: Target,
        policy: &StreamPolicy,
        accept: HeaderValue,
    ) -> Self {
        Self {
            upstream,
            target,
            accept,
            reconnect: policy.reconnect.clamp(INTERVAL_MIN, BACK_OFF_MAX),
            back_off: BackOff::default(),
            failing: false,
            last_event_id: String::new(),
            seen: Seen::default(),
        }
    }

    /// Reads `first`, if that is open already, and goes on from there.
    pub(crate) async fn run(mut self, mut first: Option<Answer>, emit: &mut impl FnMut(Event)) {
        loop {
            let mut stay = Stay { since: now(), published: false };
            let answer = match first.take() {
                Some(answer) => Ok(answer),
                None => self.connect().await,
            };
            let end = match answer {
                Ok(answer) => self.read(answer, &mut stay, emit).await,
                Err(error) => broken(error.to_string()),
            };
            let pause = match end {
                End::Unauthorized(reason) => return emit(Event::Unauthorized { reason }),
                End::NoMore(reason) => return emit(Event::Ended { reason }),
                End::Quiet(reason) => self.handle_quiet_end(reason, &stay, emit),
                End::Broken { reason, retry_after } => self.handle_break(reason, retry_after, &stay, emit),
            };
            self.upstream.note_next(now() + pause, None);
            tokio::time::sleep(pause).await;
        }
    }

    async fn connect(&mut self) -> Result<Answer, UpstreamError> {
        let id = HeaderValue::from_bytes(self.last_event_id.as_bytes()).ok();
        let resumable = !self.last_event_id.is_empty() && self.last_event_id.len() <= MAX_LAST_EVENT_ID_BYTES;
        let extra = id.filter(|_| resumable).map(|id| (LAST_EVENT_ID, id));
        let answer = get(&self.upstream, &self.target, self.accept.clone(), extra).await?;
        if let Some(moved) = &answer.moved {
            self.target.uri = moved.clone();
        }
        Ok(answer)
    }

    async fn read(&mut self, answer: Answer, stay: &mut Stay, emit: &mut impl FnMut(Event)) -> End {
        if answer.status() == StatusCode::NO_CONTENT {
            return End::NoMore(format!("{} ended the stream (204)", answer.pending.origin));
        }
        match answer.refusal(&self.target.uri) {
            Some(Refusal::Unauthorized(reason)) => return End::Unauthorized(reason),
            Some(Refusal::Failing { reason, retry_after }) => return End::Broken { reason, retry_after },
            None => {}
        }
        let origin = answer.pending.origin.to_string();
        let Some(format) = format_of(answer.headers()) else {
            return broken(format!("{origin} answered with neither an event stream nor lines of JSON"));
        };
        if std::mem::take(&mut self.failing) {
            emit(Event::Recovered);
        }
        self.seen.handle_connection();
        let body = answer.pending.into_stream();
        match format {
            Format::Events => self.read_events(body, &origin, stay, emit).await,
            Format::Lines => self.read_lines(body, &origin, stay, emit).await,
        }
    }

    async fn read_events(
        &mut self,
        mut body: Incoming,
        origin: &str,
        stay: &mut Stay,
        emit: &mut impl FnMut(Event),
    ) -> End {
        let limits = self.upstream.limits();
        let limits =
            EventLimits { max_line_bytes: limits.max_line_bytes, max_event_bytes: limits.max_response_bytes };
        let mut events = EventStream::new(limits, std::mem::take(&mut self.last_event_id));
        let end = loop {
            let chunk = match self.next_chunk(&mut body, origin).await {
                Ok(Some(chunk)) => chunk,
                Ok(None) => break End::Quiet(format!("{origin} ended the stream")),
                Err(end) => break end,
            };
            let mut input: &[u8] = &chunk;
            let fault = loop {
                match events.next_event(&mut input) {
                    // What a gateway before this one says of itself was not published. Its place is noted.
                    Ok(Some(event)) if is_of_a_gateway(&event) => {}
                    Ok(Some(event)) => {
                        stay.published = true;
                        self.publish(event, emit);
                    }
                    Ok(None) => break None,
                    Err(error) => break Some(error),
                }
            };
            if let Some(error) = fault {
                break broken(format!("{origin}: {error}"));
            }
        };
        self.last_event_id = events.last_event_id().to_owned();
        if let Some(retry) = events.retry() {
            self.reconnect = retry.clamp(INTERVAL_MIN, BACK_OFF_MAX);
        }
        end
    }

    async fn read_lines(
        &mut self,
        mut body: Incoming,
        origin: &str,
        stay: &mut Stay,
        emit: &mut impl FnMut(Event),
    ) -> End {
        let mut lines = Lines::new(self.upstream.limits().max_line_bytes);
        let mut publish = |line: Bytes| {
            stay.published = true;
            emit(Event::Publication(Payload::guess(line).into()));
        };
        loop {
            let result = match self.next_chunk(&mut body, origin).await {
                Ok(Some(chunk)) => {
                    let mut input: &[u8] = &chunk;
                    std::iter::from_fn(|| lines.next_line(&mut input).transpose())
                        .try_for_each(|line| line.map(&mut publish))
                }
                Ok(None) => match lines.finish() {
                    Ok(line) => {
                        line.into_iter().for_each(&mut publish);
                        return End::Quiet(format!("{origin} ended the stream"));
                    }
                    Err(error) => Err(error),
                },
                Err(end) => return end,
            };
            if let Err(error) = result {
                return broken(format!("{origin}: {error}"));
            }
        }
    }

    /// The next bytes; nothing where the answer came to its end.
    async fn next_chunk(&self, body: &mut Incoming, origin: &str) -> Result<Option<Bytes>, End> {
        let idle = self.upstream.limits().stream_idle_timeout;
        match timeout(idle, body.frame()).await {
            Err(_) => Err(End::Quiet(format!("{origin} sent nothing for {idle:?}"))),
            Ok(None) => Ok(None),
            Ok(Some(Ok(frame))) => Ok(Some(frame.into_data().unwrap_or_default())),
            Ok(Some(Err(_))) => Err(broken(format!("{origin} broke off the stream"))),
        }
    }

    fn publish(&mut self, event: ServerEvent, emit: &mut impl FnMut(Event)) {
        if self.seen.is_repeated(&event) {
            return;
        }
        emit(Event::Publication(Item {
            payload: Payload::from(event.data.as_str()),
            event: event.event.map(Into::into),
            source_id: event.id.map(Into::into),
        }));
    }

    /// An end without a fault is a failure only where something may be missed: without an id to resume from.
    fn handle_quiet_end(&mut self, reason: String, stay: &Stay, emit: &mut impl FnMut(Event)) -> Duration {
        if self.last_event_id.is_empty() {
            self.tell_failing(reason, emit);
        }
        self.pause(stay)
    }

    fn handle_break(
        &mut self,
        reason: String,
        retry_after: Option<Duration>,
        stay: &Stay,
        emit: &mut impl FnMut(Event),
    ) -> Duration {
        self.tell_failing(reason, emit);
        let asked = draw().stretch(retry_after.unwrap_or_default().min(RETRY_AFTER_MAX));
        self.pause(stay).max(asked)
    }

    fn pause(&mut self, stay: &Stay) -> Duration {
        if stay.published || now() - stay.since >= STEADY_AFTER {
            self.back_off.handle_success();
        }
        self.back_off.handle_failure(self.reconnect, draw())
    }

    fn tell_failing(&mut self, reason: String, emit: &mut impl FnMut(Event)) {
        if !std::mem::replace(&mut self.failing, true) {
            emit(Event::Failing { reason });
        }
    }
}

/// Whether it has one of the names that are the gateway's own, on either side.
fn is_of_a_gateway(event: &ServerEvent) -> bool {
    event.event.as_ref().is_some_and(|name| name.starts_with("tidegate-"))
}

fn broken(reason: String) -> End {
    End::Broken { reason, retry_after: None }
}

/// What earlier connections brought, by hashes of events that had an id.
///
/// An id that comes twice in one connection numbers nothing; then no event is held to be a repetition.
#[derive(Default)]
struct Seen {
    hasher: RandomState,
    earlier: VecDeque<u64>,
    current: VecDeque<u64>,
    ids_repeat: bool,
}

impl Seen {
    fn handle_connection(&mut self) {
        self.earlier.extend(self.current.drain(..));
        let beyond = self.earlier.len().saturating_sub(REMEMBERED);
        self.earlier.drain(..beyond);
    }

    fn is_repeated(&mut self, event: &ServerEvent) -> bool {
        if event.id.is_none() || self.ids_repeat {
            return false;
        }
        let hash = self.hasher.hash_one((&event.id, &event.event, &event.data));
        if self.current.contains(&hash) {
            self.ids_repeat = true;
            return false;
        }
        if self.current.len() == REMEMBERED {
            self.current.pop_front();
        }
        self.current.push_back(hash);
        self.earlier.contains(&hash)
    }
}

#[cfg(test)]
mod tests {
    use http::header::CONTENT_TYPE;

    use super::*;

    fn event(id: Option<&str>, data: &str) -> ServerEvent {
        ServerEvent { event: None, data: data.to_owned(), id: id.map(str::to_owned) }
    }

    #[test]
    fn a_repetition_is_known_in_later_connections_only() {
        let mut seen = Seen::default();
        assert!(!seen.is_repeated(&event(Some("1"), "a")));
        seen.handle_connection();
        assert!(seen.is_repeated(&event(Some("1"), "a")));
        assert!(
            !seen.is_repeated(&event(Some("1"), "b")),
            "the same number for something else is no repetition"
        );
        assert!(!seen.is_repeated(&event(None, "a")));
        seen.handle_connection();
        assert!(seen.is_repeated(&event(Some("1"), "a")), "still known one connection later");
    }

    #[test]
    fn ids_that_number_nothing_are_not_believed() {
        let mut seen = Seen::default();
        let tick = event(Some("0"), "tick");
        assert!(!seen.is_repeated(&tick));
        assert!(!seen.is_repeated(&tick));
        seen.handle_connection();
        assert!(!seen.is_repeated(&tick));
    }

    #[test]
    fn memory_of_events_is_bounded() {
        let mut seen = Seen::default();
        for round in 0..3 {
            seen.handle_connection();
            for number in 0..2 * REMEMBERED {
                seen.is_repeated(&event(Some(&format!("{round}-{number}")), ""));
            }
            assert!(seen.current.len() <= REMEMBERED && seen.earlier.len() <= REMEMBERED);
        }
        seen.handle_connection();
        assert!(seen.is_repeated(&event(Some(&format!("2-{}", 2 * REMEMBERED - 1)), "")));
    }

    #[test]
    fn the_format_is_the_content_type() {
        let format =
            |value| format_of(&HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(value))]));
        assert_eq!(format("text/event-stream;charset=utf-8"), Some(Format::Events));
        assert_eq!(format("Application/X-NDJSON"), Some(Format::Lines));
        assert_eq!(format("application/json"), None);
        assert_eq!(format_of(&HeaderMap::new()), None);
    }
}
