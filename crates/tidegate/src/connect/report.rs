//! What `connect` shows: for people, for a pipe, or as JSON lines.
//!
//! On a pipe stdout carries payloads as they came. Everywhere else what the peer sent is escaped before it
//! is shown. Writing to stderr never fails; writing to stdout may, and then the reader has gone.

use std::io::{self, Write};
use std::time::Duration;

use serde::Serialize;
use tidegate_client::follow::Interruption;
use tidegate_client::{Close, End, Event, Http, Message, Opened, ProtocolError};
use tidegate_inspect::Timestamp;
use tidegate_inspect::event::{Body, Direction, json_line};
use tidegate_protocol::Envelope;

use super::json_layout::lay_out;
use super::presence::Presence;
use super::told;
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
}

impl Report {
    pub(super) fn new(json: bool) -> Self {
        let (stdout, stderr) = (Look::of_stdout(), Look::of_stderr());
        let form = match (json, stdout.is_terminal) {
            (true, _) => Form::Json,
            (false, true) => Form::Pretty,
            (false, false) => Form::Payloads,
        };
        Self { form, stdout, stderr }
    }

    pub(super) fn opened(&self, url: &str, opened: &Opened, include: bool) -> io::Result<()> {
        if self.form == Form::Json {
            let heads = told::handshake(opened).into_iter().filter(|_| include);
            return heads.chain([told::open(url, opened)]).try_for_each(|body| self.json(body));
        }
        if include {
            say(handshake(opened));
        }
        let subprotocol = opened.subprotocol.as_deref().map(escape);
        let subprotocol = subprotocol.map(|name| format!("  subprotocol {name}")).unwrap_or_default();
        say(self.stderr.paint(Ink::Dim, &format!("= open {}{subprotocol}", escape(url))));
        Ok(())
    }

    /// Shows an event. `answered`: a Ping's Pong goes back by itself.
    pub(super) fn event(&self, event: &Event, answered: bool) -> io::Result<()> {
        match event {
            Event::Message(message) => self.message(message),
            Event::Ping(payload) => self.control("ping", payload, if answered { "  (answered)" } else { "" }),
            Event::Pong(payload) => self.control("pong", payload, ""),
            Event::Close(close) => self.closed(close),
            Event::Error(error) => self.broken_rule(error),
        }
    }

    /// Says who is here, where an envelope that was shown tells.
    pub(super) fn presence(&self, envelope: &Envelope) -> io::Result<()> {
        let Some(presence) = Presence::of(envelope) else { return Ok(()) };
        if self.form == Form::Json {
            return self.line("presence", &presence.body());
        }
        self.note(&format!("= {}", presence.words()));
        Ok(())
    }

    /// Shows what went out, where it is not on the screen already.
    pub(super) fn sent(&self, message: &tidegate_websocket::Message<'_>) -> io::Result<()> {
        let (kind, text) = match message {
            tidegate_websocket::Message::Text(text) => ("text", Payload::Text(text)),
            tidegate_websocket::Message::Binary(bytes) => ("binary", Payload::Bytes(bytes)),
        };
        let bytes = message.as_bytes();
        match self.form {
            Form::Payloads => Ok(()),
            Form::Json => self.json(told::message(Direction::ToServer, kind, bytes)),
            Form::Pretty => {
                line(row(now(), Direction::ToServer, kind, bytes.len(), &text, self.stdout).as_bytes())
            }
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
        match self.form {
            Form::Json => self.json(told::failed(failure, status)),
            Form::Pretty | Form::Payloads => Ok(()),
        }
    }

    /// The connection is lost, and will be opened again.
    pub(super) fn lost(&self, why: &Interruption, retry_in: Duration) {
        if self.form == Form::Json {
            // A reader that has gone is noticed with the next event.
            let _ = self.json(told::lost(&why.to_string(), retry_in));
        }
        let text = format!("= lost: {}; again in {:.1} s", escape(&why.to_string()), retry_in.as_secs_f64());
        self.note(&text);
    }

    /// A word about what was typed.
    pub(super) fn note(&self, text: &str) {
        say(self.stderr.paint(Ink::Dim, text));
    }

    /// The last line.
    pub(super) fn exit(&self, exit: Exit) -> io::Result<()> {
        match self.form {
            Form::Json => self.json(told::exit(exit)),
            Form::Pretty | Form::Payloads => Ok(()),
        }
    }

    fn message(&self, message: &Message) -> io::Result<()> {
        let (kind, payload) = match message {
            Message::Text(text) => ("text", Payload::Text(text)),
            Message::Binary(bytes) => ("binary", Payload::Bytes(bytes)),
        };
        let length = message.as_bytes().len();
        match self.form {
            Form::Payloads => line(message.as_bytes()),
            Form::Json => self.json(told::message(Direction::ToClient, kind, message.as_bytes())),
            Form::Pretty => {
                let row = row(now(), Direction::ToClient, kind, length, &payload, self.stdout);
                line(row.as_bytes())
            }
        }
    }

    fn control(&self, kind: &'static str, bytes: &[u8], note: &str) -> io::Result<()> {
        let payload = std::str::from_utf8(bytes).map_or(Payload::Bytes(bytes), Payload::Text);
        if self.form == Form::Json {
            return self.json(told::message(Direction::ToClient, kind, bytes));
        }
        let row = row(now(), Direction::ToClient, kind, bytes.len(), &payload, self.stderr);
        say(format!("{row}{note}"));
        Ok(())
    }

    fn closed(&self, close: &Close) -> io::Result<()> {
        if self.form == Form::Json {
            return self.json(told::closed(close));
        }
        let time = now().time_of_day();
        say(format!("{time} {}", self.stderr.paint(Ink::Close, &close_text(close))));
        Ok(())
    }

    fn broken_rule(&self, error: &ProtocolError) -> io::Result<()> {
        if self.form == Form::Json {
            return self.json(told::broken_rule(error));
        }
        let time = now().time_of_day();
        say(format!("{time} {}", self.stderr.paint(Ink::Error, &format!("! protocol error: {error}"))));
        Ok(())
    }

    /// A line that is no event of the model.
    fn line(&self, kind: &str, body: &impl Serialize) -> io::Result<()> {
        line(escape_json(json_line(now(), kind, body)).as_bytes())
    }

    fn json(&self, body: Body) -> io::Result<()> {
        line(escape_json(told::at_once(body).to_json()).as_bytes())
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
pub(super) fn handshake(opened: &Opened) -> String {
    let milliseconds = |time: Duration| time.as_secs_f64() * 1000.0;
    let timings = &opened.timings;
    let mut text = format!("* {}  tcp {:.1} ms", peer(opened), milliseconds(timings.connect));
    if let (Some(tls), Some(time)) = (&opened.tls, timings.tls) {
        text.push_str(&format!("  {tls} {:.1} ms", milliseconds(time)));
    }
    text.push_str(&format!("  handshake {:.1} ms", milliseconds(timings.handshake)));
    let request = String::from_utf8_lossy(&opened.request);
    request.trim_end().split("\r\n").for_each(|line| text.push_str(&format!("\n> {}", escape(line))));
    text.push_str(&match opened.http {
        Http::V2 => format!("\n< :status: {}", opened.status),
        Http::V1 | Http::Auto => format!("\n< HTTP/1.1 {}", opened.status),
    });
    text.push_str(&headers(&opened.headers));
    if let Some(extensions) = opened.extensions.header_value() {
        text.push_str(&format!("\n* agreed: {extensions}"));
    }
    text
}

/// The server's address; empty where the stream has none.
fn peer(opened: &Opened) -> String {
    opened.peer.map(|peer| peer.to_string()).unwrap_or_default()
}

/// Header fields, each on a line of its own that begins with a line feed.
pub(super) fn headers(headers: &[(String, Vec<u8>)]) -> String {
    let line = |(name, value): &(String, Vec<u8>)| {
        format!("\n< {}: {}", escape(name), escape(&String::from_utf8_lossy(value)))
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
