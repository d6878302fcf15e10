//! From the events of a recording to a script for each connection.
//!
//! Messages count, not their frames: how one was fragmented or compressed is not repeated. Pings of the client are, Pongs
//! are not, for they answer what will come otherwise.

use std::fmt;
use std::sync::Arc;

use tidegate_websocket::Opcode;

use crate::event::{Body, Direction, End, Event, Frame, Handshake};
use crate::payload::Payload;
use crate::timestamp::Timestamp;

/// Bytes of all messages of a recording, at most.
const MESSAGES_MAX_BYTES: usize = 512 << 20;

/// What a message takes beside its payload.
const MESSAGE_BYTES: usize = 128;

/// Connections of a recording, at most.
const CONNECTIONS_MAX: usize = 10_000;

/// What a client did on one connection, and what it heard.
#[derive(Debug, Clone, Default)]
pub struct Script {
    /// The connection's name in the recording, or one like it.
    pub conn: String,
    /// When the connection began.
    pub began: Timestamp,
    /// When it was open.
    pub opened: Option<Timestamp>,
    /// The request that was recorded.
    pub request: Option<Handshake>,
    /// The status of an answer that was no.
    pub refused: Option<u16>,
    /// In their order.
    pub steps: Vec<Step>,
    /// What the server said, in its order.
    pub expected: Vec<Heard>,
    /// How the server ended it, if it was the one who did.
    pub close: Option<(Timestamp, u16, String)>,
    name: Option<Arc<str>>,
    has_ended: bool,
}

/// What the client does next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// When it did.
    pub at: Timestamp,
    /// Messages that had come from the server by then.
    pub after: usize,
    /// What.
    pub action: Action,
}

/// What a client does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Sends a text message.
    Text(String),
    /// Sends a binary message.
    Binary(Vec<u8>),
    /// Sends a Ping.
    Ping(Vec<u8>),
    /// Begins the closing handshake; 1005 says that no code was given.
    Close(u16, String),
    /// Goes without a Close frame.
    Leave,
}

/// A message of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// When it came.
    pub at: Timestamp,
    /// It was a text message.
    pub is_text: bool,
    /// What it held; of one that was not kept whole its beginning.
    pub payload: Payload,
}

/// Collects scripts.
#[derive(Debug, Default)]
pub struct Scripts {
    scripts: Vec<Script>,
    bytes: usize,
}

/// A recording that cannot be sent again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScriptError {
    /// More than is kept.
    TooLarge,
    /// A message of the client was not recorded whole.
    Cut {
        /// The connection.
        conn: String,
        /// The message's number, counted from 1.
        number: usize,
        /// Bytes that there are.
        kept: usize,
    },
}

impl Scripts {
    /// Takes the next event of the recording.
    pub fn handle_event(&mut self, event: &Event) -> Result<(), ScriptError> {
        if matches!(event.body, Body::Exit(_) | Body::Note(_) | Body::Dropped(_) | Body::Stats(_)) {
            return Ok(());
        }
        let script = self.script(event)?;
        let taken = script.take(event)?;
        self.bytes += taken;
        if self.bytes > MESSAGES_MAX_BYTES { Err(ScriptError::TooLarge) } else { Ok(()) }
    }

    /// The scripts, in the order in which their connections began.
    #[must_use]
    pub fn finish(self) -> Vec<Script> {
        self.scripts
    }

    /// That of the event's connection. A further request under the name of one is another connection.
    fn script(&mut self, event: &Event) -> Result<&mut Script, ScriptError> {
        let begins = matches!(&event.body, Body::Handshake(head) if head.dir == Direction::ToServer);
        let found = self.scripts.iter().rposition(|script| script.name == event.conn);
        let found = found.filter(|index| !(begins && self.scripts[*index].request.is_some()));
        let index = match found {
            Some(index) => index,
            None if self.scripts.len() == CONNECTIONS_MAX => return Err(ScriptError::TooLarge),
            None => {
                let conn = self.free_name(event.conn.as_deref());
                let script = Script { conn, began: event.ts, name: event.conn.clone(), ..Script::default() };
                self.scripts.push(script);
                self.scripts.len() - 1
            }
        };
        Ok(&mut self.scripts[index])
    }

    fn free_name(&self, name: Option<&str>) -> String {
        let earlier = self.scripts.iter().filter(|script| script.name.as_deref() == name).count();
        match (name, earlier) {
            (None, earlier) => format!("c{}", earlier + 1),
            (Some(name), 0) => name.to_owned(),
            (Some(name), earlier) => format!("{name}.{}", earlier + 1),
        }
    }
}

impl Script {
    /// Method and path with its query that were asked for.
    #[must_use]
    pub fn target(&self) -> Option<&str> {
        self.request.as_ref()?.request().map(|(_, target)| target)
    }

    /// Takes an event of the connection; gives the bytes that it takes here.
    fn take(&mut self, event: &Event) -> Result<usize, ScriptError> {
        let ts = event.ts;
        match &event.body {
            Body::Handshake(head) if head.dir == Direction::ToServer => self.request = Some((**head).clone()),
            Body::Handshake(head) => {
                self.refused = head.status.filter(|status| *status >= 300);
            }
            Body::Open(_) => self.opened = Some(ts),
            Body::Message(message) => {
                let payload = &message.payload;
                return match message.op.as_str() {
                    "text" => self.message(ts, message.dir, true, payload),
                    "binary" => self.message(ts, message.dir, false, payload),
                    "ping" if message.dir == Direction::ToServer => self.ping(ts, payload),
                    _ => Ok(0),
                };
            }
            Body::Frame(frame) => return self.frame(ts, frame),
            Body::Close(close) if !self.has_ended => {
                self.has_ended = true;
                let by_server = close.by != Some(Direction::ToServer);
                if by_server {
                    self.close = Some((ts, close.code, close.reason.clone()));
                } else {
                    self.step(ts, client_end(close.code, close.end, &close.reason));
                }
            }
            _ => {}
        }
        Ok(0)
    }

    fn frame(&mut self, ts: Timestamp, frame: &Frame) -> Result<usize, ScriptError> {
        match frame.header.opcode() {
            Some(Opcode::Text | Opcode::Binary) if frame.is_whole_message() => {
                let is_text = frame.header.opcode() == Some(Opcode::Text);
                self.message(ts, frame.dir, is_text, frame.shown())
            }
            Some(Opcode::Ping) if frame.dir == Direction::ToServer => self.ping(ts, &frame.payload),
            Some(Opcode::Close) if !self.has_ended => {
                self.has_ended = true;
                let (code, reason) = (frame.close_code().unwrap_or(1005), frame.close_reason());
                let reason = reason.unwrap_or_default().to_owned();
                match frame.dir {
                    Direction::ToServer => self.step(ts, Action::Close(code, reason)),
                    Direction::ToClient => self.close = Some((ts, code, reason)),
                }
                Ok(0)
            }
            _ => Ok(0),
        }
    }

    fn ping(&mut self, ts: Timestamp, payload: &Payload) -> Result<usize, ScriptError> {
        self.step(ts, Action::Ping(payload.bytes.clone()));
        Ok(MESSAGE_BYTES)
    }

    fn message(
        &mut self,
        ts: Timestamp,
        dir: Direction,
        is_text: bool,
        payload: &Payload,
    ) -> Result<usize, ScriptError> {
        let bytes = payload.bytes.len() + MESSAGE_BYTES;
        if dir == Direction::ToClient {
            self.expected.push(Heard { at: ts, is_text, payload: payload.clone() });
            return Ok(bytes);
        }
        if payload.truncated {
            let number = self.steps.iter().filter(|step| step.action.is_message()).count() + 1;
            return Err(ScriptError::Cut { conn: self.conn.clone(), number, kept: payload.bytes.len() });
        }
        let action = match std::str::from_utf8(&payload.bytes) {
            Ok(text) if is_text => Action::Text(text.to_owned()),
            _ => Action::Binary(payload.bytes.clone()),
        };
        self.step(ts, action);
        Ok(bytes)
    }

    fn step(&mut self, at: Timestamp, action: Action) {
        self.steps.push(Step { at, after: self.expected.len(), action });
    }
}

/// What the client did at the end.
fn client_end(code: u16, end: Option<End>, reason: &str) -> Action {
    match (code, end) {
        (1006, _) => Action::Leave,
        _ => Action::Close(code, reason.to_owned()),
    }
}

impl Action {
    /// Whether it sends a message.
    #[must_use]
    pub const fn is_message(&self) -> bool {
        matches!(self, Self::Text(_) | Self::Binary(_))
    }

    /// Whether it ends the connection.
    #[must_use]
    pub const fn is_end(&self) -> bool {
        matches!(self, Self::Close(..) | Self::Leave)
    }
}

impl fmt::Display for ScriptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge => f.write_str("more than 10,000 connections or 512 MiB of messages"),
            Self::Cut { conn, number, kept } => write!(
                f,
                "message {number} that the client of {conn} sent was recorded up to byte {kept} only, and cannot be sent again"
            ),
        }
    }
}

impl std::error::Error for ScriptError {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::event::samples;
    use crate::recording::{CaptureReader, Format, LineReader, Writer, read_har};
    use crate::tap::{Settings, Tap};

    use Direction::{ToClient, ToServer};

    const PIECES: [(Direction, &[u8]); 8] = [
        (
            ToServer,
            b"GET /x?a=1 HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nOrigin: http://o\r\n\
              Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        ),
        (ToClient, b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"),
        (ToClient, &[0x81, 2, b'h', b'i']),
        (ToServer, &[0x01, 0x81, 0, 0, 0, 0, b'a', 0x80, 0x81, 0, 0, 0, 0, b'b']),
        (ToServer, &[0x89, 0x81, 0, 0, 0, 0, b'p']),
        (ToClient, &[0x82, 1, 0xff]),
        (ToServer, &[0x88, 0x84, 0, 0, 0, 0, 0x0f, 0xa0, b'o', b'k']),
        (ToClient, &[0x88, 2, 0x0f, 0xa0]),
    ];

    fn events() -> Vec<Event> {
        let mut tap = Tap::new(Some("c1".into()), None, Settings::for_recording());
        let mut events = Vec::new();
        for (number, (dir, bytes)) in PIECES.iter().enumerate() {
            let at = Timestamp::from_micros(1_000_000 + 1000 * number as u64);
            tap.handle_input(*dir, bytes, at, &mut |event| events.push(event));
        }
        events
    }

    fn scripts(events: &[Event]) -> Vec<Script> {
        let mut scripts = Scripts::default();
        events.iter().for_each(|event| scripts.handle_event(event).expect("a recording"));
        scripts.finish()
    }

    fn check(events: &[Event]) {
        let [script] = &*scripts(events) else { panic!("{events:?}") };
        assert_eq!((script.conn.as_str(), script.target()), ("c1", Some("/x?a=1")));
        let steps: Vec<_> = script.steps.iter().map(|step| (step.after, step.action.clone())).collect();
        let ping = Action::Ping(b"p".to_vec());
        let close = Action::Close(4000, "ok".to_owned());
        assert_eq!(steps, [(1, Action::Text("ab".to_owned())), (1, ping), (2, close)]);
        let heard: Vec<_> =
            script.expected.iter().map(|heard| (heard.is_text, &*heard.payload.bytes)).collect();
        assert_eq!(heard, [(true, &b"hi"[..]), (false, &[0xff])]);
        assert_eq!((&script.close, script.refused), (&None, None));
    }

    #[test]
    fn every_form_of_recording_gives_the_same_script() {
        let events = events();
        check(&events);
        let recorded = |format| {
            let (mut writer, mut bytes) = (Writer::new(format), Vec::new());
            events.iter().for_each(|event| writer.handle_event(event, &mut bytes));
            writer.handle_end(&mut bytes);
            bytes
        };
        check(&read_har(&recorded(Format::Har)).expect("a HAR"));
        let mut reader = LineReader::default();
        let lines = recorded(Format::Jsonl);
        let lines = lines.split_inclusive(|byte| *byte == b'\n');
        check(&lines.filter_map(|line| reader.handle_line(line).expect("a line")).collect::<Vec<_>>());
        let mut read = Vec::new();
        let mut reader = CaptureReader::new(Settings::for_recording());
        reader.handle_input(&recorded(Format::Pcapng), &mut |event| read.push(event)).expect("a capture");
        check(&read);
    }

    #[test]
    fn names_are_used_once_and_what_is_cut_is_told() {
        let twice = [events(), events()].concat();
        let names: Vec<_> = scripts(&twice).into_iter().map(|script| script.conn).collect();
        assert_eq!(names, ["c1", "c1.2"]);
        let mut frame = samples::hello();
        frame.payload.truncated = true;
        let event = Event { ts: Timestamp::default(), conn: None, body: Body::Frame(Box::new(frame)) };
        let error = Scripts::default().handle_event(&event).expect_err("it is cut");
        assert!(
            error.to_string().contains("message 1 that the client of c1 sent was recorded up to byte"),
            "{error}"
        );
    }

    proptest! {
        #[test]
        fn any_events_make_a_script_or_not(events in prop::collection::vec(samples::event(), 0..12)) {
            let mut scripts = Scripts::default();
            let _ = events.iter().try_for_each(|event| scripts.handle_event(event));
            for script in scripts.finish() {
                prop_assert!(script.steps.iter().all(|step| step.after <= script.expected.len()));
                prop_assert!(script.steps.iter().filter(|step| step.action.is_end()).count() <= 1);
            }
        }
    }
}
