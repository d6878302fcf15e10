//! What happens to `connect` as events of the inspector's model, which JSON lines are made of.
//!
//! `connect` sees messages and no frames; a Ping or Pong is told as a message with that word.

use std::borrow::Cow;
use std::time::Duration;

use tidegate_client::{Close, End, Http, Opened, ProtocolError};
pub(super) use tidegate_inspect::event::Event;
use tidegate_inspect::event::{self, Body, Direction, Handshake, Level, Note, Open};
use tidegate_inspect::head::{self, Secrets};
use tidegate_inspect::payload::Payload;
use tidegate_inspect::secrets::hide_in_target;

use crate::exit::{Exit, Failure};
use crate::timestamp::now;

/// The event, of now.
pub(super) fn at_once(body: Body) -> Event {
    Event { ts: now(), conn: None, body }
}

pub(crate) fn open(url: &str, opened: &Opened, secrets: Secrets) -> Body {
    let micros = |time: Duration| u64::try_from(time.as_micros()).ok();
    Body::Open(Box::new(Open {
        url: shown_url(url, secrets).into_owned(),
        peer: opened.peer.map(|peer| peer.to_string()),
        http: version(opened.http).to_owned(),
        status: opened.status,
        subprotocol: opened.subprotocol.clone(),
        extensions: opened.extensions.header_value(),
        tls: opened.tls.clone(),
        connect_us: micros(opened.timings.connect),
        tls_us: opened.timings.tls.and_then(micros),
        handshake_us: micros(opened.timings.handshake),
    }))
}

/// The URL with or without what is secret in its query.
pub(crate) fn shown_url(url: &str, secrets: Secrets) -> Cow<'_, str> {
    if secrets == Secrets::Show { url.into() } else { hide_in_target(url) }
}

/// Request and answer.
pub(super) fn handshake(opened: &Opened, secrets: Secrets) -> [Handshake; 2] {
    let fields = &opened.headers;
    let (request, answer) = match opened.http {
        Http::V2 => {
            let status = (":status".to_owned(), opened.status.to_string().into_bytes());
            let fields: Vec<_> = std::iter::once(status).chain(fields.iter().cloned()).collect();
            (
                head::of_http2(Direction::ToServer, &opened.request, secrets),
                head::of_fields(Direction::ToClient, "2", "", &fields, secrets),
            )
        }
        Http::V1 | Http::Auto => {
            let start = format!("HTTP/1.1 {}", opened.status);
            (
                head::of_http1(Direction::ToServer, &opened.request, secrets),
                head::of_fields(Direction::ToClient, "1.1", &start, fields, secrets),
            )
        }
    };
    [request, answer]
}

pub(crate) fn message(dir: Direction, op: &str, bytes: &[u8]) -> Body {
    Body::Message(Box::new(event::Message::new(dir, op, Payload::whole(bytes))))
}

/// `is_ours`: our Close frame was the first.
pub(crate) fn closed(close: &Close, is_ours: bool) -> Body {
    let (by, end) = match close.end {
        End::CloseFrame if is_ours => (Some(Direction::ToServer), event::End::CloseFrame),
        End::CloseFrame => (Some(Direction::ToClient), event::End::CloseFrame),
        End::EndOfStream => (Some(Direction::ToClient), event::End::EndOfStream),
        End::Lost(std::io::ErrorKind::ConnectionReset) => (Some(Direction::ToClient), event::End::Reset),
        End::Lost(_) => (None, event::End::Failure),
        End::NoAnswer | End::NoPong => (Some(Direction::ToClient), event::End::TimeOut),
    };
    Body::Close(Box::new(event::Close {
        code: close.code.get(),
        name: close.code.name().map(str::to_owned),
        reason: close.reason.clone(),
        clean: close.is_clean(),
        by,
        end: Some(end),
        idle_us: None,
        what: None,
    }))
}

pub(super) fn broken_rule(error: &ProtocolError) -> Body {
    let section = format!("RFC {}, section {}", error.rule().rfc, error.section());
    let note = Note::new(Level::Error, error.to_string());
    Body::Note(Box::new(Note { section: Some(section), ..note }))
}

pub(super) fn failed(failure: &Failure, status: Option<u16>) -> Body {
    Body::Note(Box::new(Note { status, ..Note::new(Level::Error, failure.what.clone()) }))
}

pub(super) fn lost(why: &str, retry_in: Duration) -> Body {
    let retry_in_ms = u64::try_from(retry_in.as_millis()).ok();
    Body::Note(Box::new(Note { retry_in_ms, ..Note::new(Level::Warning, why) }))
}

pub(super) fn exit(exit: Exit) -> Body {
    Body::Exit(event::Exit { code: exit.code(), reason: exit.reason().to_owned() })
}

fn version(http: Http) -> &'static str {
    match http {
        Http::V2 => "2",
        Http::V1 | Http::Auto => "1.1",
    }
}
