//! What is kept of a WebSocket's handshake: the request as it came, the answer as it goes, and how long what took.
//! Credentials are hidden before anything is kept.
//!
//! The first request of a connection of HTTP/1.1 is kept as it was on the wire. Of others the names of fields are as the
//! HTTP library gives them, in lower case and in its order.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use http::header::{HOST, UPGRADE};
use http::uri::Scheme;
use http::{Request, Response, StatusCode, Version};
use tidegate_hub::SessionId;
use tidegate_inspect::event::{Direction, Handshake as Head};
use tidegate_inspect::head::{Secrets, of_fields, of_http1};

use crate::first_heads::WireHead;
use crate::refusal::Refusal;
use crate::shard::connection::since_1970;
use crate::shard::handshakes::{Handshake, OfWire, Refused, Timing};

/// Bytes that are kept of a request, and of an answer.
const REQUEST_MAX_BYTES: usize = 3 * 1024;
const ANSWER_MAX_BYTES: usize = 1024;

/// Bytes that are kept of a value.
const VALUE_MAX_BYTES: usize = 512;

/// What was noted on the way of a request, by those who know.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Marks {
    /// When the connection could take its first request; taken by that.
    pub(crate) ready: Option<Instant>,
    pub(crate) timing: Timing,
    /// The handshake's, on its shard, if it is kept.
    pub(crate) number: Option<u64>,
    /// What it opened.
    pub(crate) session: Option<SessionId>,
}

/// The scheme of a request of HTTP/2, which its target does not say any more where doors see it.
#[derive(Debug, Clone)]
pub(crate) struct SchemeOfClient(pub(crate) Scheme);

/// A handshake that is being answered.
pub(crate) struct Account {
    asked: Head,
    is_of_wire: bool,
    truncated: bool,
    begun: Instant,
}

/// As microseconds.
pub(crate) fn micros(time: Duration) -> u32 {
    u32::try_from(time.as_micros()).unwrap_or(u32::MAX)
}

/// Whether a request is meant to open a WebSocket, even if it does not say all that it should.
pub(crate) fn is_meant<B>(request: &Request<B>) -> bool {
    let headers = request.headers();
    let upgrade =
        headers.get(UPGRADE).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"));
    upgrade
        || headers.contains_key("sec-websocket-key")
        || headers.contains_key("sec-websocket-version")
        || request.extensions().get::<h2::ext::Protocol>().is_some()
}

impl Account {
    /// Begins with the request; `wire` is what it was read from.
    pub(crate) fn of<B>(request: &Request<B>, wire: Option<WireHead>) -> Self {
        let begun = Instant::now();
        let is_of_wire = wire.is_some();
        let (asked, truncated) = match wire {
            Some(wire) => written(Direction::ToServer, &wire, REQUEST_MAX_BYTES),
            None => {
                let mut asked = parsed(request);
                let truncated = cut(&mut asked, REQUEST_MAX_BYTES);
                (asked, truncated)
            }
        };
        Self { asked, is_of_wire, truncated, begun }
    }

    /// Ends with the answer. That of a refusal bears its [`Refused`].
    pub(crate) fn end<B>(self, remote: IpAddr, marks: Marks, response: &Response<B>) -> Handshake {
        let Self { asked, is_of_wire, truncated, begun } = self;
        let status = response.status();
        let reason = status.canonical_reason().unwrap_or_default();
        let (own, line) = match asked.http.as_str() {
            "2" => (Some((":status".to_owned(), status.as_str().as_bytes().to_vec())), String::new()),
            _ => (None, format!("HTTP/1.1 {} {reason}", status.as_u16())),
        };
        let others = response.headers().iter();
        let others = others.map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()));
        let fields: Vec<_> = own.into_iter().chain(others).collect();
        let mut answered = of_fields(Direction::ToClient, &asked.http, &line, &fields, Secrets::Hide);
        let truncated = cut(&mut answered, ANSWER_MAX_BYTES) || truncated;
        let head = marks.ready.map(|ready| micros(begun.saturating_duration_since(ready)));
        let timing = Timing { head, total: Some(micros(begun.elapsed())), ..marks.timing };
        let opens = status == StatusCode::SWITCHING_PROTOCOLS || marks.session.is_some();
        let refused = match response.extensions().get::<Refused>() {
            Some(refused) => Some(refused.clone()),
            None if opens => None,
            None => {
                let reason = format!("it was answered as a plain request, with {status}");
                Some(Refused { status: status.as_u16(), reason, setting: None })
            }
        };
        let (at, number, session) = (since_1970(), marks.number.unwrap_or_default(), marks.session);
        let of_wire = OfWire { asked: is_of_wire, answered: false };
        Handshake { at, number, session, remote, asked, answered, of_wire, truncated, refused, timing }
    }
}

impl Refused {
    /// What a refusal says.
    pub(crate) fn of(refusal: &Refusal) -> Self {
        let mut reason = refusal.sentence.clone();
        shorten(&mut reason, VALUE_MAX_BYTES);
        Self { status: refusal.status.as_u16(), reason, setting: refusal.setting() }
    }
}

/// The answer to a handshake as it was on the wire, and whether anything of it was too much.
pub(crate) fn answered_as(wire: &WireHead) -> (Head, bool) {
    written(Direction::ToClient, wire, ANSWER_MAX_BYTES)
}

/// A head as it was on the wire, cut to so many bytes; whether anything was lost.
fn written(dir: Direction, wire: &WireHead, most: usize) -> (Head, bool) {
    let mut head = of_http1(dir, wire.kept(), Secrets::Hide);
    let truncated = cut(&mut head, most) || !wire.is_whole;
    // Beside what it says it counts a second time.
    head.raw = head.raw.filter(|raw| !truncated && raw.bytes.len() <= most / 2);
    (head, truncated)
}

/// A request as the HTTP library gives it.
fn parsed<B>(request: &Request<B>) -> Head {
    let protocol = request.extensions().get::<h2::ext::Protocol>();
    let http2 = request.version() == Version::HTTP_2;
    let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
    let mut fields = Vec::new();
    let mut field = |name: &str, value: &str| fields.push((name.to_owned(), value.as_bytes().to_vec()));
    if http2 {
        field(":method", request.method().as_str());
        if let Some(protocol) = protocol {
            field(":protocol", protocol.as_str());
        }
        if let Some(SchemeOfClient(scheme)) = request.extensions().get() {
            field(":scheme", scheme.as_str());
        }
        if let Some(host) = request.headers().get(HOST).and_then(|host| host.to_str().ok()) {
            field(":authority", host);
        }
        field(":path", target);
    }
    let others = request.headers().iter().filter(|(name, _)| !http2 || *name != HOST);
    fields.extend(others.map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec())));
    let line = match (http2, request.version()) {
        (true, _) => String::new(),
        (false, version) => format!("{} {target} {version:?}", request.method()),
    };
    let http = if http2 { "2" } else { "1.1" };
    of_fields(Direction::ToServer, http, &line, &fields, Secrets::Hide)
}

/// Cuts a head to so many bytes; whether anything was lost.
fn cut(head: &mut Head, most: usize) -> bool {
    let mut truncated = shorten(&mut head.start, VALUE_MAX_BYTES);
    let mut bytes = head.start.len();
    let before = head.headers.len();
    let mut kept = 0;
    for (name, value) in &mut head.headers {
        truncated |= shorten(name, VALUE_MAX_BYTES) | shorten(value, VALUE_MAX_BYTES);
        bytes += name.len() + value.len();
        if bytes > most {
            break;
        }
        kept += 1;
    }
    head.headers.truncate(kept);
    head.headers.shrink_to_fit();
    head.hidden.truncate(16);
    truncated || kept < before
}

fn shorten(text: &mut String, most: usize) -> bool {
    if text.len() <= most {
        return false;
    }
    let end = (0..=most).rev().find(|end| text.is_char_boundary(*end)).unwrap_or_default();
    text.truncate(end);
    text.push('…');
    text.shrink_to_fit();
    true
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn account(builder: http::request::Builder) -> Head {
        Account::of(&builder.body(()).expect("a request"), None).asked
    }

    #[test]
    fn credentials_are_gone_before_anything_is_kept() {
        let secret = "S".repeat(600);
        let head = account(
            Request::builder()
                .uri(format!("/x?token={secret}&a=b"))
                .header("authorization", format!("Bearer {secret}"))
                .header("cookie", format!("sid={secret}"))
                .header("sec-websocket-protocol", format!("tidegate.v1, bearer.{secret}")),
        );
        let text = format!("{head:?}");
        assert!(!text.contains("SSS"), "{text}");
        assert_eq!(head.start, "GET /x?token=[hidden]&a=b HTTP/1.1");
        assert_eq!(head.hidden, ["query", "authorization", "cookie", "sec-websocket-protocol"]);
    }

    #[test]
    fn a_request_that_lost_its_upgrade_was_meant_all_the_same() {
        let asked = |name: &str, value: &str| {
            is_meant(&Request::builder().header(name, value).body(()).expect("a request"))
        };
        assert!(asked("upgrade", "WebSocket") && asked("sec-websocket-key", "x"));
        assert!(!asked("upgrade", "h2c") && !asked("accept", "text/event-stream"));
    }

    proptest! {
        #[test]
        fn a_head_of_any_size_is_kept_within_bounds(
            fields in prop::collection::vec(("[a-z]{1,40}", "[a-z]{0,900}"), 0..40), target in "/[a-z]{0,2000}",
        ) {
            let request = fields
                .iter()
                .fold(Request::builder().uri(&target), |request, (name, value)| request.header(name, value));
            let head = account(request);
            let bytes: usize = head.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
            prop_assert!(bytes + head.start.len() <= REQUEST_MAX_BYTES, "{bytes}");
        }
    }
}
