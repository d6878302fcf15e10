//! A connection from its first byte to its last: the handshake of HTTP/1.1, then frames both ways.
//!
//! What turns out to be no WebSocket is told as far as its first answer, and then passes unseen.

use std::collections::VecDeque;
use std::sync::Arc;

use tidegate_websocket::handshake::head::HeadBuffer;
use tidegate_websocket::handshake::stated_extensions;
use tidegate_websocket::{Extensions, Opcode};

use super::ending::{self, Ended};
use super::half::{Found, Half};
use crate::event::{Body, Close, Direction, Dropped, End, Event, Frame, Handshake, Level, Note, Open, Stats};
use crate::head::{Secrets, of_http1};
use crate::payload::Payload;
use crate::secrets::hide_in_target;
use crate::timestamp::Timestamp;

/// Bytes of a client that did not wait for the answer to its handshake, at most.
const EARLY_MAX_BYTES: usize = 64 * 1024;

/// Bytes of the body of an answer that is no WebSocket, at most.
const BODY_MAX_BYTES: usize = 4096;

/// The payload of a control frame, at most.
const CONTROL_MAX_BYTES: usize = 125;

/// Pings of one direction that may await their Pong; of more the oldest are forgotten.
const PINGS_MAX: usize = 16;

/// What a tap keeps and shows.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Bytes of a frame's and of a message's payload that are kept; 125 at least, so that control frames are whole.
    pub payload_max_bytes: usize,
    /// Bytes that are decompressed of one message.
    pub inflated_max_bytes: usize,
    /// Whether credentials in heads are shown.
    pub secrets: Secrets,
}

/// Makes events of what a connection carries.
///
/// **Hand in every piece that is relayed, in the order in which it is seen, and the end of each direction once.** Events
/// go to a function, because a piece may hold thousands of small frames.
#[derive(Debug)]
pub struct Tap {
    conn: Option<Arc<str>>,
    settings: Settings,
    stage: Stage,
    times: Times,
    /// Sent that way, and not answered.
    pings: [VecDeque<(Vec<u8>, Timestamp)>; 2],
    first_close: Option<Direction>,
    first_end: Option<Ended>,
}

#[derive(Debug)]
enum Stage {
    AwaitingHandshake(Box<Handshaking>),
    Frames(Box<[Half; 2]>),
    /// An answer that is no WebSocket, whose body comes.
    Refused(Box<Refused>),
    /// Something else goes over the connection.
    Unseen {
        bytes: u64,
    },
    Ended,
}

#[derive(Debug, Default)]
struct Handshaking {
    /// `ws://` or `wss://` and the authority, if the caller knows better than the Host header.
    origin: Option<String>,
    request: HeadBuffer,
    answer: HeadBuffer,
    /// What was asked for.
    asked: Option<Asked>,
    /// The client's bytes behind its request.
    early: Vec<u8>,
}

#[derive(Debug)]
struct Asked {
    url: String,
    at: Timestamp,
}

#[derive(Debug)]
struct Refused {
    head: Handshake,
    at: Timestamp,
    body: Vec<u8>,
    /// Bytes of body that the head announces.
    length: Option<usize>,
}

#[derive(Debug, Default)]
struct Times {
    opened: Timestamp,
    last_byte: Option<Timestamp>,
    last_frame: Option<Timestamp>,
}

impl Default for Settings {
    /// For looking: 4 KiB of each payload, secrets hidden.
    fn default() -> Self {
        Self { payload_max_bytes: 4096, inflated_max_bytes: 16 << 20, secrets: Secrets::Hide }
    }
}

impl Settings {
    /// For recordings: payloads of up to 16 MiB whole.
    #[must_use]
    pub fn for_recording() -> Self {
        Self { payload_max_bytes: 16 << 20, ..Self::default() }
    }
}

impl Tap {
    /// For a connection that has not begun. `conn` names it in events; `origin`, such as `wss://example.com`, is what
    /// the path of the request belongs to, if it is not in plain sight.
    #[must_use]
    pub fn new(conn: Option<Arc<str>>, origin: Option<String>, settings: Settings) -> Self {
        let handshaking = Handshaking { origin, ..Handshaking::default() };
        Self::at(conn, settings, Stage::AwaitingHandshake(Box::new(handshaking)), Timestamp::default())
    }

    /// For a connection whose handshake somebody else has read, such as one over HTTP/2.
    #[must_use]
    pub fn of_open(
        conn: Option<Arc<str>>,
        settings: Settings,
        extensions: Extensions,
        opened: Timestamp,
    ) -> Self {
        Self::at(conn, settings, Stage::Frames(halves(extensions, &settings)), opened)
    }

    /// For a connection that has been open for a while and stands between two messages in both directions. What was
    /// compressed with the help of what came before cannot be shown decompressed.
    #[must_use]
    pub fn of_running(
        conn: Option<Arc<str>>,
        settings: Settings,
        extensions: Extensions,
        opened: Timestamp,
    ) -> Self {
        let mut halves = halves(extensions, &settings);
        halves.iter_mut().for_each(Half::lose_context);
        Self::at(conn, settings, Stage::Frames(halves), opened)
    }

    fn at(conn: Option<Arc<str>>, settings: Settings, stage: Stage, opened: Timestamp) -> Self {
        let times = Times { opened, ..Times::default() };
        let pings = [VecDeque::new(), VecDeque::new()];
        Self { conn, settings, stage, times, pings, first_close: None, first_end: None }
    }

    /// Keeps so much of each payload from now on; 125 bytes at least.
    pub fn set_payload_max_bytes(&mut self, most: usize) {
        self.settings.payload_max_bytes = most;
        if let Stage::Frames(halves) = &mut self.stage {
            halves.iter_mut().for_each(|half| half.set_payload_max_bytes(most.max(CONTROL_MAX_BYTES)));
        }
    }

    /// Whether what begins from now on is counted alone, and neither looked at nor told: for who has no time. Close
    /// frames are told all the same.
    pub fn set_skipping(&mut self, skipping: bool) {
        if let Stage::Frames(halves) = &mut self.stage {
            halves.iter_mut().for_each(|half| half.set_skipping(skipping));
        }
    }

    /// Frames that were counted alone.
    #[must_use]
    pub fn skipped(&self) -> u64 {
        match &self.stage {
            Stage::Frames(halves) => halves.iter().map(|half| half.skipped).sum(),
            _ => 0,
        }
    }

    /// True if it has turned out to be no WebSocket.
    #[must_use]
    pub fn is_unseen(&self) -> bool {
        matches!(self.stage, Stage::Unseen { .. } | Stage::Refused(_))
    }

    /// Takes bytes that went that way.
    pub fn handle_input(&mut self, dir: Direction, bytes: &[u8], at: Timestamp, tell: &mut dyn FnMut(Event)) {
        if bytes.is_empty() {
            return;
        }
        self.times.last_byte = Some(at);
        match &mut self.stage {
            Stage::AwaitingHandshake(_) if dir == Direction::ToServer => self.take_request(bytes, at, tell),
            Stage::AwaitingHandshake(_) => self.take_answer(bytes, at, tell),
            Stage::Frames(_) => self.take_frames(dir, bytes, at, tell),
            Stage::Refused(refused) if dir == Direction::ToClient && !refused.is_whole() => {
                refused.take(bytes);
                if refused.is_whole() {
                    self.end_refusal(at, tell);
                }
            }
            Stage::Refused(_) => {
                self.end_refusal(at, tell);
                self.handle_input(dir, bytes, at, tell);
            }
            Stage::Unseen { bytes: unseen } => *unseen += bytes.len() as u64,
            Stage::Ended => {}
        }
    }

    /// Takes note that so many bytes went that way and were not seen. What can be read behind them is read.
    pub fn handle_missing(&mut self, dir: Direction, count: u64, at: Timestamp, tell: &mut dyn FnMut(Event)) {
        match &mut self.stage {
            Stage::AwaitingHandshake(_) => self.pass_on("bytes of the handshake are missing", at, tell),
            Stage::Frames(halves) if halves[index(dir)].lost().is_some() => {
                halves[index(dir)].handle_missing(count, &mut |_| {});
            }
            Stage::Frames(_) => {
                let mut is_readable = true;
                self.with_half(dir, at, tell, |half, found| is_readable = half.handle_missing(count, found));
                if !is_readable {
                    let text = format!(
                        "where the {}'s next frame begins is not known any more; it is looked for",
                        dir.sender()
                    );
                    self.tell(at, Body::Note(Box::new(Note::new(Level::Warning, text))), tell);
                }
            }
            Stage::Unseen { bytes } => *bytes = bytes.saturating_add(count),
            Stage::Refused(_) | Stage::Ended => {}
        }
    }

    /// Says that nothing more comes that way. With the end of both the connection's end is told.
    pub fn handle_end(&mut self, dir: Direction, how: End, at: Timestamp, tell: &mut dyn FnMut(Event)) {
        if matches!(self.stage, Stage::Refused(_)) {
            self.end_refusal(at, tell);
        }
        let idle_us = self.times.last_byte.map_or(0, |last| at.micros_since(last));
        match self.first_end {
            None => self.first_end = Some(Ended { dir, how, idle_us }),
            Some(first) if first.dir == dir => {}
            Some(first) => self.end(first, at, tell),
        }
    }

    fn take_request(&mut self, bytes: &[u8], at: Timestamp, tell: &mut dyn FnMut(Event)) {
        let Stage::AwaitingHandshake(handshaking) = &mut self.stage else { return };
        if handshaking.asked.is_some() {
            if handshaking.early.len() + bytes.len() > EARLY_MAX_BYTES {
                return self.pass_on(
                    "the client sent more than 64 KiB and did not wait for an answer",
                    at,
                    tell,
                );
            }
            return handshaking.early.extend_from_slice(bytes);
        }
        let Ok(taken) = handshaking.request.handle_input(bytes) else {
            return self.pass_on("the request has a head of more than 16 KiB", at, tell);
        };
        let Some(taken) = taken else { return };
        let head = of_http1(Direction::ToServer, handshaking.request.bytes(), self.settings.secrets);
        let url = handshaking.url(&head, self.settings.secrets);
        handshaking.asked = Some(Asked { url, at });
        handshaking.early = bytes[taken..].to_vec();
        self.tell(at, Body::Handshake(Box::new(head)), tell);
    }

    fn take_answer(&mut self, bytes: &[u8], at: Timestamp, tell: &mut dyn FnMut(Event)) {
        let mut bytes = bytes;
        loop {
            let Stage::AwaitingHandshake(handshaking) = &mut self.stage else { return };
            let Ok(taken) = handshaking.answer.handle_input(bytes) else {
                return self.pass_on("the answer has a head of more than 16 KiB", at, tell);
            };
            let Some(taken) = taken else { return };
            bytes = &bytes[taken..];
            let head = of_http1(Direction::ToClient, handshaking.answer.bytes(), self.settings.secrets);
            match head.status {
                Some(101) => return self.open(head, bytes, at, tell),
                // Interim answers (RFC 9110, section 15.2).
                Some(100..200) => {
                    handshaking.answer.await_next();
                    self.tell(at, Body::Handshake(Box::new(head)), tell);
                }
                _ => {
                    let mut refused = Refused::new(head, at);
                    refused.take(bytes);
                    let is_whole = refused.is_whole();
                    self.stage = Stage::Refused(Box::new(refused));
                    if is_whole {
                        self.end_refusal(at, tell);
                    }
                    return;
                }
            }
        }
    }

    /// The handshake is done; `rest` are the server's first frames.
    fn open(&mut self, head: Handshake, rest: &[u8], at: Timestamp, tell: &mut dyn FnMut(Event)) {
        let Stage::AwaitingHandshake(handshaking) = std::mem::replace(&mut self.stage, Stage::Ended) else {
            return;
        };
        let Handshaking { asked, early, .. } = *handshaking;
        let extensions = extensions(&head);
        self.stage = Stage::Frames(halves(extensions.unwrap_or_default(), &self.settings));
        self.times.opened = at;
        let open = Open {
            url: asked.as_ref().map(|asked| asked.url.clone()).unwrap_or_default(),
            http: "1.1".to_owned(),
            status: 101,
            subprotocol: head.header("sec-websocket-protocol").map(str::to_owned),
            extensions: head.header("sec-websocket-extensions").map(str::to_owned),
            handshake_us: asked.map(|asked| at.micros_since(asked.at)),
            ..Open::default()
        };
        self.tell(at, Body::Handshake(Box::new(head)), tell);
        self.tell(at, Body::Open(Box::new(open)), tell);
        if extensions.is_none() {
            let text = "the answer lists extensions that are not known here: payloads are shown as they are";
            self.tell(at, Body::Note(Box::new(Note::new(Level::Warning, text))), tell);
        }
        self.take_frames(Direction::ToServer, &early, at, tell);
        self.take_frames(Direction::ToClient, rest, at, tell);
    }

    fn take_frames(&mut self, dir: Direction, bytes: &[u8], at: Timestamp, tell: &mut dyn FnMut(Event)) {
        self.with_half(dir, at, tell, |half, found| half.handle_input(bytes, found));
    }

    /// Lets a direction do something, and tells what it finds.
    fn with_half(
        &mut self,
        dir: Direction,
        at: Timestamp,
        tell: &mut dyn FnMut(Event),
        act: impl FnOnce(&mut Half, &mut dyn FnMut(Found)),
    ) {
        let Self { stage: Stage::Frames(halves), times, pings, first_close, conn, .. } = self else { return };
        act(&mut halves[index(dir)], &mut |found| {
            let body = match found {
                Found::Frame(mut frame) => {
                    times.note(&mut frame, at);
                    match_pings(pings, &mut frame, at);
                    if frame.header.opcode() == Some(Opcode::Close) {
                        first_close.get_or_insert(dir);
                    }
                    Body::Frame(frame)
                }
                Found::Message(message) => Body::Message(message),
                Found::Unread(error) => Body::Note(Box::new(Note::new(Level::Warning, error.to_string()))),
                Found::Again(passed) => {
                    let text =
                        format!("the {}'s frames go on; {passed} bytes were passed over", dir.sender());
                    Body::Note(Box::new(Note::new(Level::Info, text)))
                }
            };
            tell(Event { ts: at, conn: conn.clone(), body });
        });
    }

    /// The answer was no, and its body has come as far as it is shown.
    fn end_refusal(&mut self, at: Timestamp, tell: &mut dyn FnMut(Event)) {
        let Stage::Refused(refused) = std::mem::replace(&mut self.stage, Stage::Unseen { bytes: 0 }) else {
            return;
        };
        let Refused { mut head, at: answered, mut body, length } = *refused;
        let truncated = length.is_none_or(|length| length > body.len()) && body.len() >= BODY_MAX_BYTES;
        body.truncate(BODY_MAX_BYTES);
        head.body = (!body.is_empty()).then_some(Payload { bytes: body, truncated });
        let status = head.status;
        self.tell(answered, Body::Handshake(Box::new(head)), tell);
        let text = match status {
            Some(status) => format!("the server answered {status} instead of 101: this is no WebSocket"),
            None => "the server's answer is not HTTP".to_owned(),
        };
        let note = Note { status, ..Note::new(Level::Error, text) };
        self.tell(at, Body::Note(Box::new(note)), tell);
    }

    /// Gives up looking.
    fn pass_on(&mut self, why: &str, at: Timestamp, tell: &mut dyn FnMut(Event)) {
        self.stage = Stage::Unseen { bytes: 0 };
        self.tell(at, Body::Note(Box::new(Note::new(Level::Error, why))), tell);
    }

    fn end(&mut self, first: Ended, at: Timestamp, tell: &mut dyn FnMut(Event)) {
        match std::mem::replace(&mut self.stage, Stage::Ended) {
            Stage::Frames(mut halves) => {
                for dir in [Direction::ToServer, Direction::ToClient] {
                    self.end_half(&mut halves[index(dir)], dir, at, tell);
                }
                let [c2s, s2c] = [&halves[0], &halves[1]].map(|half| half.counts);
                let stats = Stats { c2s, s2c, age_us: at.micros_since(self.times.opened) };
                self.tell(at, Body::Stats(Box::new(stats)), tell);
                let close = ending::close(&halves[0], &halves[1], self.first_close, first);
                self.tell(at, Body::Close(Box::new(close)), tell);
            }
            Stage::AwaitingHandshake(handshaking) => {
                let text = match handshaking.asked {
                    Some(_) => format!("the {} ended the connection before the answer", first.dir.sender()),
                    None => format!("the {} ended the connection before a request", first.dir.sender()),
                };
                self.tell(at, Body::Note(Box::new(Note::new(Level::Error, text))), tell);
                self.tell_unopened(first, at, tell);
            }
            Stage::Unseen { bytes } => {
                if bytes > 0 {
                    let reason = "no WebSocket".to_owned();
                    let dropped = Dropped { what: "bytes".to_owned(), count: bytes, reason };
                    self.tell(at, Body::Dropped(dropped), tell);
                }
                self.tell_unopened(first, at, tell);
            }
            Stage::Refused(_) | Stage::Ended => {}
        }
    }

    /// What never opened has an end, too, so that whoever counts connections sees it.
    fn tell_unopened(&self, first: Ended, at: Timestamp, tell: &mut dyn FnMut(Event)) {
        let close = Close {
            code: 1006,
            name: None,
            reason: String::new(),
            clean: false,
            by: Some(first.dir),
            end: Some(first.how),
            idle_us: Some(first.idle_us),
            what: Some("it was never open".to_owned()),
        };
        self.tell(at, Body::Close(Box::new(close)), tell);
    }

    fn end_half(&mut self, half: &mut Half, dir: Direction, at: Timestamp, tell: &mut dyn FnMut(Event)) {
        if let Some(count) = half.lost() {
            let reason = format!("where the {}'s frames begin is not known", dir.sender());
            let dropped = Dropped { what: "bytes".to_owned(), count, reason };
            return self.tell(at, Body::Dropped(dropped), tell);
        }
        let conn = &self.conn;
        let times = &mut self.times;
        let mut within = false;
        let rest = half.handle_end(&mut |found| {
            if let Found::Frame(mut frame) = found {
                within = true;
                times.note(&mut frame, at);
                tell(Event { ts: at, conn: conn.clone(), body: Body::Frame(frame) });
            }
        });
        let text = match (within, rest) {
            (true, _) => format!("the {}'s bytes ended within a frame", dir.sender()),
            (false, []) => return,
            (false, rest) => {
                format!(
                    "the {}'s bytes ended within a frame's header: {}",
                    dir.sender(),
                    crate::header::hex(rest)
                )
            }
        };
        self.tell(at, Body::Note(Box::new(Note::new(Level::Warning, text))), tell);
    }

    fn tell(&self, ts: Timestamp, body: Body, tell: &mut dyn FnMut(Event)) {
        tell(Event { ts, conn: self.conn.clone(), body });
    }
}

impl Handshaking {
    fn url(&self, request: &Handshake, secrets: Secrets) -> String {
        let target = request.request().map(|(_, target)| target).unwrap_or_default();
        let target = match secrets {
            Secrets::Hide => hide_in_target(target),
            Secrets::Show => target.into(),
        };
        match &self.origin {
            Some(origin) => format!("{origin}{target}"),
            None => format!("ws://{}{target}", request.header("host").unwrap_or_default()),
        }
    }
}

impl Refused {
    fn new(head: Handshake, at: Timestamp) -> Self {
        let length = match head.status {
            Some(204 | 304) => Some(0),
            _ => head.header("content-length").and_then(|length| length.parse().ok()),
        };
        Self { head, at, body: Vec::new(), length }
    }

    fn take(&mut self, bytes: &[u8]) {
        let room = BODY_MAX_BYTES.saturating_sub(self.body.len());
        self.body.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn is_whole(&self) -> bool {
        self.body.len() >= self.length.unwrap_or(usize::MAX).min(BODY_MAX_BYTES)
    }
}

impl Times {
    fn note(&mut self, frame: &mut Frame, at: Timestamp) {
        frame.since_us = self.last_frame.map(|last| at.micros_since(last));
        self.last_frame = Some(at);
    }
}

/// Notes a Ping, or finds the one that a Pong answers; earlier ones are answered with it (RFC 6455, section 5.5.3).
fn match_pings(pings: &mut [VecDeque<(Vec<u8>, Timestamp)>; 2], frame: &mut Frame, at: Timestamp) {
    match frame.header.opcode() {
        Some(Opcode::Ping) => {
            let pings = &mut pings[index(frame.dir)];
            if pings.len() == PINGS_MAX {
                pings.pop_front();
            }
            let payload = frame.payload.bytes.get(..125).unwrap_or(&frame.payload.bytes);
            pings.push_back((payload.to_vec(), at));
        }
        Some(Opcode::Pong) => {
            let pings = &mut pings[index(frame.dir.opposite())];
            let answered = pings.iter().rposition(|(payload, _)| *payload == frame.payload.bytes);
            if let Some(answered) = answered {
                frame.rtt_us = pings.get(answered).map(|(_, sent)| at.micros_since(*sent));
                pings.drain(..=answered);
            }
        }
        _ => {}
    }
}

fn halves(extensions: Extensions, settings: &Settings) -> Box<[Half; 2]> {
    let payload_max_bytes = settings.payload_max_bytes.max(CONTROL_MAX_BYTES);
    let half = |dir| Half::new(dir, extensions, payload_max_bytes, settings.inflated_max_bytes);
    Box::new([half(Direction::ToServer), half(Direction::ToClient)])
}

/// What the answer agreed to; none if that is not known here.
fn extensions(answer: &Handshake) -> Option<Extensions> {
    let fields: Vec<(&str, &[u8])> =
        answer.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    stated_extensions(&fields)
}

const fn index(dir: Direction) -> usize {
    match dir {
        Direction::ToServer => 0,
        Direction::ToClient => 1,
    }
}
