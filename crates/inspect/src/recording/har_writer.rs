//! From events to HAR: one entry for each connection, whole only at the end.
//!
//! What comes is kept until then, up to a bound; beyond it events are dropped and counted in their entry.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::value::RawValue;

use super::har_form::{
    Beside, Content, Creator, Entry, Field, Har, Log, Message, Request, Response, Timings,
};
use crate::event::{Body, Direction, Event, Frame, Handshake, Open};
use crate::payload::Payload;
use crate::timestamp::Timestamp;

/// Bytes of messages and other events that are kept until the end.
const KEPT_MAX_BYTES: usize = 256 << 20;

/// Connections that a recording may have.
const CONNECTIONS_MAX: usize = 10_000;

/// Collects what becomes a HAR.
#[derive(Default)]
pub(super) struct HarWriter {
    entries: Vec<Collected>,
    kept_bytes: usize,
}

struct Collected {
    conn: Option<std::sync::Arc<str>>,
    began: Timestamp,
    ended: Timestamp,
    request: Option<Handshake>,
    answer: Option<Handshake>,
    open: Option<Open>,
    messages: Vec<Message>,
    beside: Beside,
}

impl HarWriter {
    pub(super) fn handle_event(&mut self, event: &Event) {
        let Some(index) = self.entry(event) else { return };
        let entry = &mut self.entries[index];
        entry.ended = entry.ended.max(event.ts);
        let cost = cost(event);
        if self.kept_bytes + cost > KEPT_MAX_BYTES {
            entry.beside.dropped += 1;
            return;
        }
        self.kept_bytes += cost;
        entry.take(event);
    }

    pub(super) fn handle_end(self, output: &mut Vec<u8>) {
        let creator = Creator { name: "tidegate".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() };
        let entries = self.entries.into_iter().map(Collected::into_entry).collect();
        let har = Har { log: Log { version: "1.2".to_owned(), creator, entries } };
        // Nothing in it can fail, and a vector takes all.
        let _ = serde_json::to_writer(&mut *output, &har);
        output.push(b'\n');
    }

    /// The entry of the event's connection: the last of its name, or a new one.
    fn entry(&mut self, event: &Event) -> Option<usize> {
        let begins = matches!(&event.body, Body::Handshake(head) if head.dir == Direction::ToServer);
        let found = self.entries.iter().rposition(|entry| entry.conn == event.conn);
        match found {
            Some(index) if !(begins && self.entries[index].has_begun()) => Some(index),
            _ if matches!(event.body, Body::Exit(_)) => None,
            _ if self.entries.len() == CONNECTIONS_MAX => None,
            _ => {
                self.entries.push(Collected::new(event));
                Some(self.entries.len() - 1)
            }
        }
    }
}

impl Collected {
    fn new(event: &Event) -> Self {
        Self {
            conn: event.conn.clone(),
            began: event.ts,
            ended: event.ts,
            request: None,
            answer: None,
            open: None,
            messages: Vec::new(),
            beside: Beside { events: Vec::new(), dropped: 0 },
        }
    }

    fn has_begun(&self) -> bool {
        self.request.is_some()
    }

    fn take(&mut self, event: &Event) {
        match &event.body {
            Body::Handshake(head) if head.dir == Direction::ToServer => self.request = Some((**head).clone()),
            Body::Handshake(head) if head.status.is_none_or(|status| status == 101 || status >= 200) => {
                self.answer = Some((**head).clone());
            }
            Body::Open(open) => self.open = Some((**open).clone()),
            Body::Frame(frame) if is_message(frame) => {
                let opcode = frame.header.opcode_bits();
                self.messages.push(message(event.ts, frame.dir, opcode, frame.shown()));
            }
            Body::Message(one) if one.op == "text" || one.op == "binary" => {
                let opcode = if one.op == "text" { 1 } else { 2 };
                self.messages.push(message(event.ts, one.dir, opcode, &one.payload));
            }
            // The message that it is a part of says it all.
            Body::Frame(frame)
                if frame.message.is_some() && !frame.is_whole_message() && frame.violations.is_empty() => {}
            _ => self.beside.events.extend(RawValue::from_string(event.to_json()).ok()),
        }
    }

    fn into_entry(self) -> Entry {
        let seconds = self.ended.micros_since(self.began);
        let url = match (&self.open, &self.request) {
            (Some(open), _) if !open.url.is_empty() => open.url.clone(),
            (_, Some(request)) => {
                let target = request.request().map(|(_, target)| target).unwrap_or_default();
                format!("ws://{}{target}", request.header("host").unwrap_or_default())
            }
            _ => String::new(),
        };
        let wait = self.open.as_ref().and_then(|open| open.handshake_us);
        let is_empty = self.beside.events.is_empty() && self.beside.dropped == 0;
        Entry {
            started_date_time: self.began.to_string(),
            time: milliseconds(seconds),
            request: request(url, self.request.as_ref()),
            response: response(self.answer.as_ref(), self.open.as_ref()),
            cache: super::har_form::Cache {},
            timings: Timings { wait: wait.map_or(-1.0, milliseconds), ..Timings::default() },
            resource_type: "websocket".to_owned(),
            messages: Some(self.messages),
            connection: self.conn.map(|conn| conn.to_string()),
            beside: (!is_empty).then_some(self.beside),
        }
    }
}

/// A frame that is a message as an application sees it, and whose event says nothing more than that.
fn is_message(frame: &Frame) -> bool {
    frame.is_whole_message()
        && frame.violations.is_empty()
        && frame.inflated.is_none_or(|_| frame.plain.is_some())
}

fn message(ts: Timestamp, dir: Direction, opcode: u8, payload: &Payload) -> Message {
    let text = if opcode == 1 { payload.text() } else { None };
    Message {
        kind: if dir == Direction::ToServer { "send" } else { "receive" }.to_owned(),
        time: ts.as_micros() as f64 / 1e6,
        opcode: if text.is_some() { opcode } else { 2 },
        data: text.map_or_else(|| STANDARD.encode(&payload.bytes), str::to_owned),
        truncated: payload.truncated,
    }
}

fn request(url: String, head: Option<&Handshake>) -> Request {
    let (method, _) = head.and_then(Handshake::request).unwrap_or(("GET", ""));
    let query = url.split_once('?').map(|(_, query)| query).unwrap_or_default();
    let pair = |pair: &str| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        Field { name: name.to_owned(), value: value.to_owned() }
    };
    Request {
        method: method.to_owned(),
        query_string: query.split('&').filter(|pair| !pair.is_empty()).map(pair).collect(),
        url,
        http_version: http_version(head),
        headers: fields(head),
        cookies: Vec::new(),
        headers_size: -1,
        body_size: 0,
    }
}

fn response(head: Option<&Handshake>, open: Option<&Open>) -> Response {
    let status = head.and_then(|head| head.status).or(open.map(|open| open.status)).unwrap_or_default();
    let reason = head.and_then(|head| head.start.splitn(3, ' ').nth(2)).unwrap_or_default();
    Response {
        status,
        status_text: reason.to_owned(),
        http_version: http_version(head),
        headers: fields(head),
        cookies: Vec::new(),
        content: Content { size: 0, mime_type: "x-unknown".to_owned() },
        redirect_url: String::new(),
        headers_size: -1,
        body_size: -1,
    }
}

fn http_version(head: Option<&Handshake>) -> String {
    head.map_or_else(|| "HTTP/1.1".to_owned(), |head| format!("HTTP/{}", head.http))
}

fn fields(head: Option<&Handshake>) -> Vec<Field> {
    let field = |(name, value): &(String, String)| Field { name: name.clone(), value: value.clone() };
    head.map(|head| head.headers.iter().map(field).collect()).unwrap_or_default()
}

fn milliseconds(micros: u64) -> f64 {
    micros as f64 / 1000.0
}

/// About what an event takes until the end.
fn cost(event: &Event) -> usize {
    const FIXED: usize = 200;
    FIXED
        + match &event.body {
            Body::Frame(frame) => {
                frame.payload.bytes.len() + frame.plain.as_ref().map_or(0, |plain| plain.bytes.len())
            }
            Body::Message(message) => message.payload.bytes.len(),
            _ => 0,
        }
}
