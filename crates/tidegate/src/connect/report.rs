//! What `connect` shows: for people, for a pipe, or as JSON lines.
//!
//! On a pipe stdout carries payloads as they came. Everywhere else what the peer sent is escaped before it
//! is shown. Writing to stderr never fails; writing to stdout may, and then the reader has gone.

use std::cell::RefCell;
use std::io::{self, Write};
use std::path::Path;
use std::rc::{Rc, Weak};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tidegate_client::follow::Interruption;
use tidegate_client::{Close, End, Event, Message, Opened, ProtocolError};
use tidegate_inspect::Timestamp;
use tidegate_inspect::event::{Body, Direction, json_line};
use tidegate_inspect::filter::{Facts, Filter};
use tidegate_inspect::head::Secrets;
use tidegate_inspect::secrets::hide_in_field;
use tidegate_inspect::words::known;
use tidegate_protocol::Envelope;

use super::json_layout::lay_out;
use super::kept::Kept;
use super::presence::Presence;
use super::prompt::Prompt;
use super::recording::Recording;
use super::told;
use super::wire::Shared;
use crate::exit::{Exit, Failure, say};
use crate::terminal::{Ink, Look, escape, escape_json, escape_lines};
use crate::timestamp::now;

/// Bytes of a binary payload that people are shown.
const HEX_MAX_BYTES: usize = 256;

/// How events are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Rows with time, arrow, kind and size.
    Pretty,
    /// Payloads to stdout, rows to stderr.
    Payloads,
    /// JSON lines to stdout.
    Json,
}

/// See the module's head.
#[derive(Debug)]
pub(super) struct Report {
    form: Form,
    stdout: Look,
    stderr: Look,
    recording: Option<Shared>,
    secrets: Secrets,
    /// Of a conversation on a terminal.
    kept: RefCell<Kept>,
    /// What people want to see.
    filter: RefCell<Filter>,
    /// Where a line is typed; what is shown goes above it.
    prompt: RefCell<Weak<Prompt>>,
}

impl Report {
    pub(super) fn new(json: bool, recording: Option<Shared>, secrets: Secrets) -> Self {
        let (stdout, stderr) = (Look::of_stdout(), Look::of_stderr());
        let form = match (json, stdout.is_terminal) {
            (true, _) => Form::Json,
            (false, true) => Form::Pretty,
            (false, false) => Form::Payloads,
        };
        let (kept, filter, prompt) = Default::default();
        Self { form, stdout, stderr, recording, secrets, kept, filter, prompt }
    }

    /// Rows for people are shown, on a terminal.
    pub(super) fn is_for_people(&self) -> bool {
        self.form == Form::Pretty
    }

    /// Whether credentials are shown.
    pub(super) fn secrets(&self) -> Secrets {
        self.secrets
    }

    /// From now on messages are shown only if this holds of them; `""` shows all.
    pub(super) fn show_only(&self, text: &str) {
        match text.parse::<Filter>() {
            Ok(filter) => {
                let is_all = filter.is_empty();
                self.note(if is_all {
                    "= all is shown"
                } else {
                    "= only what matches is shown; /filter shows all"
                });
                *self.filter.borrow_mut() = filter;
            }
            Err(error) => self.note(&error.drawn(&escape(text))),
        }
    }

    /// Saves what was seen so far.
    pub(super) fn save(&self, path: &Path) {
        let saved = Recording::create(path).and_then(|mut recording| {
            self.kept.borrow().events().for_each(|event| recording.take(&event));
            recording.end()
        });
        match saved {
            Ok(()) => self.note(&format!("= saved in {}", escape(&path.to_string_lossy()))),
            Err(failure) => self.note(&failure.to_string()),
        }
    }

    /// From now on rows are shown above this line, as long as it is there.
    pub(super) fn show_above(&self, prompt: &Rc<Prompt>) {
        *self.prompt.borrow_mut() = Rc::downgrade(prompt);
    }

    pub(super) fn opened(&self, url: &str, opened: &Opened, include: bool) -> io::Result<()> {
        for head in told::handshake(opened, self.secrets) {
            let event = told::at_once(Body::Handshake(Box::new(head)));
            self.record(&event);
            if include {
                self.json(&event)?;
            }
        }
        self.tell(|| told::open(url, opened, self.secrets))?;
        if self.form == Form::Json {
            return Ok(());
        }
        if include {
            self.say(&handshake(opened, self.secrets));
        }
        let subprotocol = opened.subprotocol.as_deref().map(escape);
        let subprotocol = subprotocol.map(|name| format!("  subprotocol {name}")).unwrap_or_default();
        self.note(&format!("= open {}{subprotocol}", escape(&told::shown_url(url, self.secrets))));
        Ok(())
    }

    /// Shows an event. `answered`: a Ping's Pong goes back by itself; `is_ours`: our Close frame has gone out.
    pub(super) fn event(&self, event: &Event, answered: bool, is_ours: bool) -> io::Result<()> {
        match event {
            Event::Message(message) => self.message(message),
            Event::Ping(payload) => {
                let note = if answered { "  (answered)" } else { "" };
                self.control(Direction::ToClient, "ping", payload, note)
            }
            Event::Pong(payload) => self.control(Direction::ToClient, "pong", payload, ""),
            Event::Close(close) => self.closed(close, is_ours),
            Event::Error(error) => self.broken_rule(error),
        }
    }

    /// Says who is here, where an envelope that was shown tells.
    pub(super) fn presence(&self, envelope: &Envelope) -> io::Result<()> {
        let Some(presence) = Presence::of(envelope) else { return Ok(()) };
        if self.form == Form::Json {
            return line(escape_json(json_line(now(), "presence", &presence.body())).as_bytes());
        }
        self.note(&format!("= {}", presence.words()));
        Ok(())
    }

    /// Shows what went out. A line that was typed on a terminal which echoes it is on the screen already.
    pub(super) fn sent(
        &self,
        message: &tidegate_websocket::Message<'_>,
        is_on_screen: bool,
    ) -> io::Result<()> {
        let (kind, text) = match message {
            tidegate_websocket::Message::Text(text) => ("text", Payload::Text(text)),
            tidegate_websocket::Message::Binary(bytes) => ("binary", Payload::Bytes(bytes)),
        };
        let bytes = message.as_bytes();
        self.tell(|| told::message(Direction::ToServer, kind, bytes))?;
        match self.form {
            Form::Pretty if !is_on_screen => {
                self.line(&row(now(), Direction::ToServer, kind, bytes.len(), &text, self.stdout))
            }
            Form::Pretty | Form::Payloads | Form::Json => Ok(()),
        }
    }

    /// A Ping went out.
    pub(super) fn pinged(&self, payload: &[u8]) -> io::Result<()> {
        self.control(Direction::ToServer, "ping", payload, "")
    }

    /// A command was typed, and its row is gone.
    pub(super) fn typed(&self, command: &str) {
        if self.prompt.borrow().strong_count() > 0 {
            self.note(&format!("> {}", escape(command)));
        }
    }

    /// The connection is over; `how` says by whom, and the totals follow.
    pub(super) fn ended(&self, how: &str, totals: &str) {
        if self.form != Form::Json {
            self.note(&format!("= {how} {totals}"));
        }
    }

    /// A failure that ends the command; `status` is that of a refusal.
    pub(super) fn failed(&self, failure: &Failure, status: Option<u16>) -> io::Result<()> {
        self.tell(|| told::failed(failure, status))
    }

    /// The connection is lost, and will be opened again.
    pub(super) fn lost(&self, why: &Interruption, retry_in: Duration) {
        // A reader that has gone is noticed with the next event.
        let _ = self.tell(|| told::lost(&why.to_string(), retry_in));
        let text = format!("= lost: {}; again in {:.1} s", escape(&why.to_string()), retry_in.as_secs_f64());
        self.note(&text);
    }

    /// A word about what was typed.
    pub(super) fn note(&self, text: &str) {
        let lines = text.lines().map(|line| self.stderr.paint(Ink::Dim, line));
        self.say(&lines.collect::<Vec<_>>().join("\n"));
    }

    /// A line could not be sent; the words are for people.
    pub(super) fn unsent(&self, why: &str) {
        self.say(&format!("error[{}]: {why}", known::INPUT));
    }

    /// The last line.
    pub(super) fn exit(&self, exit: Exit) -> io::Result<()> {
        self.tell(|| told::exit(exit))
    }

    /// Whether all of it was recorded.
    pub(super) fn end_recording(&mut self) -> Result<(), Failure> {
        let Some(recording) = self.recording.take() else { return Ok(()) };
        let recording = Arc::into_inner(recording).map(Mutex::into_inner);
        recording.map_or(Ok(()), |recording| recording.unwrap_or_else(PoisonError::into_inner).end())
    }

    fn message(&self, message: &Message) -> io::Result<()> {
        let (kind, payload) = match message {
            Message::Text(text) => ("text", Payload::Text(text)),
            Message::Binary(bytes) => ("binary", Payload::Bytes(bytes)),
        };
        let length = message.as_bytes().len();
        self.tell(|| told::message(Direction::ToClient, kind, message.as_bytes()))?;
        match self.form {
            Form::Payloads => line(message.as_bytes()),
            Form::Json => Ok(()),
            Form::Pretty if !self.is_shown(Direction::ToClient, kind, message.as_bytes()) => Ok(()),
            Form::Pretty => self.line(&row(now(), Direction::ToClient, kind, length, &payload, self.stdout)),
        }
    }

    fn is_shown(&self, dir: Direction, kind: &str, bytes: &[u8]) -> bool {
        let filter = self.filter.borrow();
        let event = || told::at_once(told::message(dir, kind, bytes));
        filter.is_empty() || filter.matches(&event(), Facts::default(), now())
    }

    fn control(&self, dir: Direction, kind: &'static str, bytes: &[u8], note: &str) -> io::Result<()> {
        let payload = std::str::from_utf8(bytes).map_or(Payload::Bytes(bytes), Payload::Text);
        self.tell(|| told::message(dir, kind, bytes))?;
        if self.form != Form::Json && self.is_shown(dir, kind, bytes) {
            let row = row(now(), dir, kind, bytes.len(), &payload, self.stderr);
            self.say(&format!("{row}{note}"));
        }
        Ok(())
    }

    fn closed(&self, close: &Close, is_ours: bool) -> io::Result<()> {
        self.tell(|| told::closed(close, is_ours))?;
        if self.form == Form::Json {
            return Ok(());
        }
        let time = now().time_of_day();
        self.say(&format!("{time} {}", self.stderr.paint(Ink::Close, &close_text(close))));
        Ok(())
    }

    fn broken_rule(&self, error: &ProtocolError) -> io::Result<()> {
        self.tell(|| told::broken_rule(error))?;
        if self.form == Form::Json {
            return Ok(());
        }
        let time = now().time_of_day();
        self.say(&format!("{time} {}", self.stderr.paint(Ink::Error, &format!("! protocol error: {error}"))));
        Ok(())
    }

    /// Where events are told as JSON: the recording, and stdout with `--json`.
    fn tell(&self, body: impl FnOnce() -> Body) -> io::Result<()> {
        if self.recording.is_none() && self.form == Form::Payloads {
            return Ok(());
        }
        let event = told::at_once(body());
        self.record(&event);
        self.json(&event)
    }

    fn record(&self, event: &told::Event) {
        if let Some(recording) = &self.recording {
            let mut recording = recording.lock().unwrap_or_else(PoisonError::into_inner);
            recording.take(event);
            recording.flush();
        }
        if self.form == Form::Pretty {
            self.kept.borrow_mut().take(event);
        }
    }

    fn json(&self, event: &told::Event) -> io::Result<()> {
        if self.form != Form::Json {
            return Ok(());
        }
        line(escape_json(event.to_json()).as_bytes())
    }

    /// Rows to stdout, above the line that is being typed.
    fn line(&self, rows: &str) -> io::Result<()> {
        match self.prompt.borrow().upgrade() {
            Some(prompt) => prompt.show(rows),
            None => line(rows.as_bytes()),
        }
    }

    /// Rows to stderr. On the terminal on which a line is being typed they go above it.
    fn say(&self, rows: &str) {
        match self.prompt.borrow().upgrade() {
            // That nobody sees it is noticed with the next message.
            Some(prompt) if self.stderr.is_terminal => drop(prompt.show(rows)),
            _ => say(rows),
        }
    }
}

/// Writes a line to stdout at once.
fn line(bytes: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(bytes)?;
    stdout.write_all(b"\n")?;
    stdout.flush()
}

/// The request and the answer's head as they were on the wire, for people.
pub(super) fn handshake(opened: &Opened, secrets: Secrets) -> String {
    let milliseconds = |time: Duration| time.as_secs_f64() * 1000.0;
    let timings = &opened.timings;
    let mut text = format!("* {}  tcp {:.1} ms", peer(opened), milliseconds(timings.connect));
    if let (Some(tls), Some(time)) = (&opened.tls, timings.tls) {
        text.push_str(&format!("  {tls} {:.1} ms", milliseconds(time)));
    }
    text.push_str(&format!("  handshake {:.1} ms", milliseconds(timings.handshake)));
    for (head, mark) in told::handshake(opened, secrets).iter().zip(['>', '<']) {
        let start = (!head.start.is_empty()).then(|| head.start.clone());
        let fields = head.headers.iter().map(|(name, value)| format!("{name}: {value}"));
        start
            .into_iter()
            .chain(fields)
            .for_each(|line| text.push_str(&format!("\n{mark} {}", escape(&line))));
    }
    if let Some(extensions) = opened.extensions.header_value() {
        text.push_str(&format!("\n* agreed: {extensions}"));
    }
    text
}

/// The server's address; empty where the stream has none.
fn peer(opened: &Opened) -> String {
    opened.peer.map(|peer| peer.to_string()).unwrap_or_default()
}

/// The fields of an answer without its credentials, each on a line of its own that begins with a line feed.
pub(super) fn headers(headers: &[(String, Vec<u8>)]) -> String {
    let line = |(name, value): &(String, Vec<u8>)| {
        format!("\n< {}: {}", escape(name), escape(&hide_in_field(name, &String::from_utf8_lossy(value))))
    };
    headers.iter().map(line).collect()
}

fn close_text(close: &Close) -> String {
    let name = close.code.name().map(|name| format!(" {name}")).unwrap_or_default();
    match close.end {
        End::CloseFrame if close.reason.is_empty() => format!("↓ close {}{name}", close.code),
        End::CloseFrame => format!("↓ close {}{name} \"{}\"", close.code, escape(&close.reason)),
        End::EndOfStream => "= the server ended the connection without a Close frame (1006)".to_owned(),
        End::Lost(why) => format!("= the connection broke: {why} (1006)"),
        End::NoAnswer => "= the server did not answer the Close frame (1006)".to_owned(),
        End::NoPong => "= the server is silent and answers no Ping (1006)".to_owned(),
    }
}

/// A payload to be shown.
enum Payload<'p> {
    Text(&'p str),
    Bytes(&'p [u8]),
}

/// A row such as `12:03:04.512Z ↓ text       11 B  hello world`.
fn row(
    time: Timestamp,
    dir: Direction,
    kind: &str,
    length: usize,
    payload: &Payload<'_>,
    look: Look,
) -> String {
    let ink = match dir {
        Direction::ToServer => Ink::Sent,
        Direction::ToClient => Ink::Received,
    };
    let time = time.time_of_day();
    let length = format!("{length} B");
    let head = format!("{} {kind:<6} {length:>9}  ", dir.arrow());
    let indent = time.chars().count() + 1 + head.chars().count();
    format!("{} {}{}", look.paint(Ink::Dim, &time), look.paint(ink, &head), payload.shown(indent, look))
}

impl Payload<'_> {
    fn shown(&self, indent: usize, look: Look) -> String {
        match self {
            Self::Text(text) => lay_out(text, indent, look).unwrap_or_else(|| escape_lines(text, indent)),
            Self::Bytes(bytes) => {
                let shown = &bytes[..bytes.len().min(HEX_MAX_BYTES)];
                let hex: Vec<String> = shown.iter().map(|byte| format!("{byte:02x}")).collect();
                let more = bytes.len() - shown.len();
                let more = if more > 0 { format!(" and {more} more bytes") } else { String::new() };
                format!("{}{more}", hex.join(" "))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Look = Look { is_terminal: true, colours: false };

    fn check(payload: &Payload<'_>, length: usize, expected: &str) {
        let row = row(Timestamp::default(), Direction::ToClient, "text", length, payload, PLAIN);
        assert_eq!(row, expected);
    }

    #[test]
    fn rows() {
        check(&Payload::Text("hello"), 5, "00:00:00.000Z ↓ text         5 B  hello");
        check(&Payload::Bytes(&[0xde, 0xad]), 2, "00:00:00.000Z ↓ text         2 B  de ad");
        let indent = " ".repeat(35);
        let forged = "a\n00:00:00.000Z ↓ close 1000";
        let shown =
            format!("00:00:00.000Z ↓ text        27 B  a\n{}00:00:00.000Z ↓ close 1000", &indent[..34]);
        check(&Payload::Text(forged), 27, &shown);
        check(&Payload::Text("\u{1b}[2J\u{9b}"), 5, "00:00:00.000Z ↓ text         5 B  \\u{1b}[2J\\u{9b}");
    }

    #[test]
    fn long_binary_payloads_are_cut() {
        let bytes = vec![0; HEX_MAX_BYTES + 7];
        let shown = Payload::Bytes(&bytes).shown(0, PLAIN);
        assert!(shown.ends_with("00 00 and 7 more bytes"), "{shown}");
        assert_eq!(shown.matches("00").count(), HEX_MAX_BYTES);
    }

    #[test]
    fn a_peers_words_are_escaped_in_every_line() {
        let close = Close {
            code: tidegate_client::CloseCode::new(4000),
            reason: "\u{1b}[2J".to_owned(),
            end: End::CloseFrame,
        };
        assert_eq!(close_text(&close), "↓ close 4000 \"\\u{1b}[2J\"");
        let fields = [("X".to_owned(), b"a\x1b\xff".to_vec())];
        assert_eq!(headers(&fields), "\n< X: a\\u{1b}\u{fffd}");
    }
}
