//! From HAR to events: recordings of ours, of Chrome and of whoever writes `_webSocketMessages`.
//!
//! Entries without such messages are other requests of a page, and passed over.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::fault::RecordingError;
use super::har_form::{Entry, Field, Har, Message};
use crate::event::{self, Body, Direction, Event, Handshake, Level, Note, Open};
use crate::payload::Payload;
use crate::timestamp::Timestamp;

/// The events of a HAR, in the order of their times; each entry is a connection.
pub fn read_har(bytes: &[u8]) -> Result<Vec<Event>, RecordingError> {
    let har: Har = serde_json::from_slice(bytes).map_err(|error| fault(bytes, &error))?;
    let mut events = Vec::new();
    for (number, entry) in har.log.entries.iter().enumerate() {
        let name = entry.connection.clone().unwrap_or_else(|| format!("e{}", number + 1));
        let connection = Connection { conn: Arc::from(name.as_str()), number };
        connection.read(entry, &mut events)?;
    }
    events.sort_by_key(|event| event.ts);
    Ok(events)
}

fn fault(bytes: &[u8], error: &serde_json::Error) -> RecordingError {
    let before = bytes.split_inclusive(|byte| *byte == b'\n').take(error.line().saturating_sub(1));
    let offset = before.map(<[u8]>::len).sum::<usize>() + error.column().saturating_sub(1);
    let what = error.to_string();
    let what = what.split(" at line ").next().unwrap_or_default();
    let what = if error.is_eof() { format!("{what}: the recording ends too early") } else { what.to_owned() };
    RecordingError { offset: offset as u64, line: Some(error.line() as u64), what }
}

struct Connection {
    conn: Arc<str>,
    number: usize,
}

impl Connection {
    fn read(&self, entry: &Entry, events: &mut Vec<Event>) -> Result<(), RecordingError> {
        let Some(messages) = &entry.messages else { return Ok(()) };
        let began = entry
            .started_date_time
            .parse()
            .map_err(|error| self.wrong(format!("startedDateTime is {error}")))?;
        let body = |head: Handshake| Body::Handshake(Box::new(head));
        self.tell(began, body(request(entry)), events);
        if entry.response.status != 0 {
            self.tell(began, body(answer(entry)), events);
        }
        if entry.response.status == 101 || (200..300).contains(&entry.response.status) {
            self.tell(began, Body::Open(Box::new(open(entry))), events);
        }
        for message in messages {
            // Some leave times out, and say -1.
            let ts = if message.time > 0.0 { time(message.time) } else { began };
            self.tell(ts, Body::Message(Box::new(self.message(message)?)), events);
        }
        let Some(beside) = &entry.beside else { return Ok(()) };
        for line in &beside.events {
            let event = Event::read_json(line.get()).map_err(|error| self.wrong(error.what))?;
            events.extend(event.map(|event| Event { conn: Some(Arc::clone(&self.conn)), ..event }));
        }
        if beside.dropped > 0 {
            let text = format!("{} events were beyond the bound of the recording", beside.dropped);
            self.tell(began, Body::Note(Box::new(Note::new(Level::Warning, text))), events);
        }
        Ok(())
    }

    fn tell(&self, ts: Timestamp, body: Body, events: &mut Vec<Event>) {
        events.push(Event { ts, conn: Some(Arc::clone(&self.conn)), body });
    }

    fn message(&self, message: &Message) -> Result<event::Message, RecordingError> {
        let dir = match message.kind.as_str() {
            "send" | "request" => Direction::ToServer,
            "receive" | "response" => Direction::ToClient,
            other => return Err(self.wrong(format!("a message is of type '{}'", other.escape_debug()))),
        };
        let bytes = match message.opcode {
            1 => message.data.clone().into_bytes(),
            _ => STANDARD
                .decode(&message.data)
                .map_err(|error| self.wrong(format!("a message's data: {error}")))?,
        };
        let op = if message.opcode == 1 { "text" } else { "binary" };
        Ok(event::Message::new(dir, op, Payload { bytes, truncated: message.truncated }))
    }

    /// Its place in the file is not known any more; the entry is.
    fn wrong(&self, what: String) -> RecordingError {
        RecordingError {
            offset: 0,
            line: None,
            what: format!("entry {} of the HAR: {what}", self.number + 1),
        }
    }
}

/// Seconds since 1970 as Chrome has them; milliseconds, as Playwright has them, are three thousand years later.
fn time(stated: f64) -> Timestamp {
    const SECONDS_MAX: f64 = 1e11;
    let micros = if stated > SECONDS_MAX { stated * 1e3 } else { stated * 1e6 };
    Timestamp::from_micros(micros.round() as u64)
}

fn request(entry: &Entry) -> Handshake {
    let request = &entry.request;
    let authority = request.url.find("://").map_or(0, |at| at + 3);
    let behind = request.url.get(authority..).unwrap_or_default();
    let target = behind.find('/').map_or("/", |at| &behind[at..]);
    let method = if request.method.is_empty() { "GET" } else { &request.method };
    let head = head(Direction::ToServer, &request.http_version, &request.headers);
    let is_v2 = head.http == "2";
    Handshake { start: if is_v2 { String::new() } else { format!("{method} {target} HTTP/1.1") }, ..head }
}

fn answer(entry: &Entry) -> Handshake {
    let response = &entry.response;
    let head = head(Direction::ToClient, &response.http_version, &response.headers);
    let is_v2 = head.http == "2";
    let start = format!("HTTP/1.1 {} {}", response.status, response.status_text);
    let start = if is_v2 { String::new() } else { start.trim_end().to_owned() };
    Handshake { start, status: Some(response.status), ..head }
}

fn head(dir: Direction, version: &str, fields: &[Field]) -> Handshake {
    let is_v2 = version.eq_ignore_ascii_case("HTTP/2") || version.eq_ignore_ascii_case("h2");
    Handshake {
        dir,
        http: if is_v2 { "2" } else { "1.1" }.to_owned(),
        start: String::new(),
        status: None,
        headers: fields.iter().map(|field| (field.name.clone(), field.value.clone())).collect(),
        hidden: Vec::new(),
        raw: None,
        body: None,
    }
}

fn open(entry: &Entry) -> Open {
    let answer = answer(entry);
    let wait = entry.timings.wait;
    Open {
        url: entry.request.url.clone(),
        http: answer.http.clone(),
        status: entry.response.status,
        subprotocol: answer.header("sec-websocket-protocol").map(str::to_owned),
        extensions: answer.header("sec-websocket-extensions").map(str::to_owned),
        handshake_us: (wait >= 0.0).then(|| (wait * 1000.0).round() as u64),
        ..Open::default()
    }
}
