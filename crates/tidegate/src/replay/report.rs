//! What `replay` says: each difference with its place, for people or as JSON, how far it is, and the result.
//!
//! For people the first differences are shown and the rest counted; JSON has all of them. What was recorded and what a
//! server sent is made harmless before it is shown.

use std::cell::{Cell, RefCell};
use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tidegate_client::{ProtocolError, SendError};
use tidegate_inspect::event::{Body, Direction, Event, Exit as Exited, json_line};
use tidegate_inspect::payload::Payload;
use tidegate_inspect::replay::{Came, Difference, Outcome, Place, Script};

use crate::connect::message_event;
use crate::exit::{Exit, say};
use crate::terminal::{Ink, Look, escape, escape_json};
use crate::timestamp::now;

/// Differences that people are shown.
const SHOWN_MAX: u64 = 20;

/// Places or lines of one of them.
const LISTED_MAX: usize = 10;

/// Characters of a payload.
const PREVIEW_MAX_CHARACTERS: usize = 120;

/// See the module's head.
pub(super) struct Report {
    is_json: bool,
    look: Look,
    connections: usize,
    /// Messages that are to be sent.
    messages: usize,
    counts: Cell<Counts>,
    first: RefCell<Option<String>>,
}

#[derive(Debug, Clone, Copy, Default, Serialize)]
struct Counts {
    sent: u64,
    came: u64,
    same: u64,
    changed: u64,
    missing: u64,
    more: u64,
    /// Connections that opened or ended otherwise.
    ended_otherwise: u64,
}

/// A line of JSON for a difference.
#[derive(Default, Serialize)]
struct Told<'t> {
    conn: &'t str,
    /// `changed`, `missing`, `more`, `close`, `handshake`.
    what: &'t str,
    /// The recorded message's number among those of the server, from 1; of one more than there were, that of the one before.
    #[serde(skip_serializing_if = "Option::is_none")]
    number: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    recorded: Option<Payload>,
    #[serde(skip_serializing_if = "Option::is_none")]
    came: Option<Payload>,
    #[serde(skip_serializing_if = "Option::is_none")]
    difference: Option<&'t Difference>,
    text: String,
}

#[derive(Serialize)]
struct Result<'r> {
    connections: usize,
    #[serde(flatten)]
    counts: Counts,
    differences: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    first: Option<&'r str>,
}

/// Messages that the client of a script sends.
pub(super) fn messages(script: &Script) -> usize {
    script.steps.iter().filter(|step| step.action.is_message()).count()
}

impl Report {
    pub(super) fn new(is_json: bool, connections: usize, messages: usize) -> Self {
        let look = Look::of_stdout();
        let (counts, first) = (Cell::default(), RefCell::default());
        Self { is_json, look, connections, messages, counts, first }
    }

    pub(super) fn differences(&self) -> u64 {
        let Counts { changed, missing, more, ended_otherwise, .. } = self.counts.get();
        changed + missing + more + ended_otherwise
    }

    /// Something that happened, for JSON alone.
    pub(super) fn event(&self, conn: &str, body: impl FnOnce() -> Body) {
        if self.is_json {
            let event = Event { ts: now(), conn: Some(Arc::from(conn)), body: body() };
            line(&escape_json(event.to_json()));
        }
    }

    pub(super) fn sent(&self, conn: &str, op: &str, payload: &[u8]) {
        self.count(|counts| counts.sent += 1);
        self.event(conn, || message_event(Direction::ToServer, op, payload));
    }

    pub(super) fn unsent(&self, conn: &str, error: &SendError) {
        say(format_args!("{}: a message was not sent: {error}", escape(conn)));
    }

    /// What became of a message of the server.
    pub(super) fn outcome(&self, conn: &str, outcome: &Outcome) {
        match outcome {
            Outcome::Same => {
                self.count(|counts| (counts.came, counts.same) = (counts.came + 1, counts.same + 1))
            }
            Outcome::Changed { number, recorded, came, difference } => {
                self.count(|counts| (counts.came, counts.changed) = (counts.came + 1, counts.changed + 1));
                let text = format!("message {number} is another one than recorded");
                let (recorded, came) = (Some(recorded.payload.clone()), Some(payload(came)));
                let difference = Some(difference);
                self.tell(Told {
                    conn,
                    what: "changed",
                    number: Some(*number),
                    recorded,
                    came,
                    difference,
                    text,
                });
            }
            Outcome::Missing { number, recorded } => {
                self.count(|counts| counts.missing += 1);
                let text = format!("message {number} did not come: {}", preview(&recorded.payload));
                let recorded = Some(recorded.payload.clone());
                self.tell(Told {
                    conn,
                    what: "missing",
                    number: Some(*number),
                    recorded,
                    text,
                    ..Told::default()
                });
            }
            Outcome::More { after, came } => {
                self.count(|counts| (counts.came, counts.more) = (counts.came + 1, counts.more + 1));
                let came = payload(came);
                let text = format!("one more than recorded, after message {after}: {}", preview(&came));
                let (number, came) = (Some(*after), Some(came));
                self.tell(Told { conn, what: "more", number, came, text, ..Told::default() });
            }
        }
    }

    /// The ends differ: what was recorded of the server's, and what came.
    pub(super) fn close(
        &self,
        conn: &str,
        recorded: Option<(u16, &str)>,
        came: Option<(u16, &str)>,
        unsent: usize,
    ) {
        self.count(|counts| counts.ended_otherwise += 1);
        let named = |(code, reason): (u16, &str)| match reason {
            "" => code.to_string(),
            reason => format!("{code} \"{reason}\""),
        };
        let then = recorded
            .map_or("it did not close".to_owned(), |close| format!("it closed with {}", named(close)));
        let now = came.map_or("did not close".to_owned(), |close| format!("closed with {}", named(close)));
        let unsent = match unsent {
            0 => String::new(),
            count => format!("; {count} messages of the client were not sent"),
        };
        let text = format!("the server {now}; in the recording {then}{unsent}");
        self.tell(Told { conn, what: "close", text, ..Told::default() });
    }

    /// The handshake was refused with this status then, and with that or not at all now.
    pub(super) fn refused(&self, conn: &str, then: u16, now: Option<u16>) {
        if now == Some(then) {
            return;
        }
        self.count(|counts| counts.ended_otherwise += 1);
        let now = now.map_or("opened".to_owned(), |status| format!("refused with {status}"));
        let text = format!("the connection was {now}; in the recording it was refused with {then}");
        self.tell(Told { conn, what: "handshake", text, ..Told::default() });
    }

    pub(super) fn broken(&self, conn: &str, error: &ProtocolError) {
        say(format_args!("{}: protocol error: {error} (section {})", escape(conn), error.section()));
    }

    /// What is awaited is awaited no longer.
    pub(super) fn late(&self, conn: &str, came: usize, expected: usize, awaits_close: bool) {
        let what = match awaits_close && came >= expected {
            true => "the server's close".to_owned(),
            false => format!("{} of {expected} messages", expected.saturating_sub(came)),
        };
        say(format_args!("{}: {what} did not come in time", escape(conn)));
    }

    /// What the recording hides was not sent.
    pub(super) fn hidden(&self, conn: &str, names: &[String]) {
        if let Some(name) = names.first() {
            say(format_args!(
                "{}: the recording hides {}, which is not sent; give it with -H '{}: …'",
                escape(conn),
                escape(&names.join(", ")),
                escape(name)
            ));
        }
    }

    pub(super) fn progress(&self, elapsed: Duration) {
        let Counts { sent, came, .. } = self.counts.get();
        say(format_args!(
            "= {} s: {sent} of {} messages sent, {came} came, {} differences",
            elapsed.as_secs(),
            self.messages,
            self.differences()
        ));
    }

    /// The result.
    pub(super) fn end(&self, exit: Exit) {
        let (counts, first) = (self.counts.get(), self.first.borrow());
        let differences = self.differences();
        if self.is_json {
            let result =
                Result { connections: self.connections, counts, differences, first: first.as_deref() };
            line(&escape_json(json_line(now(), "result", &result)));
            let exited = Exited { code: exit.code(), reason: exit.reason().to_owned() };
            line(&Event { ts: now(), conn: None, body: Body::Exit(exited) }.to_json());
            return;
        }
        let Counts { sent, came, same, changed, missing, more, .. } = counts;
        if differences > SHOWN_MAX {
            line(&format!("… and {} more differences; --json has all of them", differences - SHOWN_MAX));
        }
        line(&format!(
            "= {} connections, {sent} of {} messages sent, {came} came: {same} as recorded, {changed} changed, \
             {missing} missing, {more} more",
            self.connections, self.messages
        ));
        line(&match &*first {
            None => "= no difference".to_owned(),
            Some(first) => format!("= {differences} differences, the first: {first}"),
        });
    }

    fn count(&self, change: impl FnOnce(&mut Counts)) {
        let mut counts = self.counts.get();
        change(&mut counts);
        self.counts.set(counts);
    }

    fn tell(&self, told: Told<'_>) {
        let head = format!("{} {}", escape(told.conn), escape(&told.text));
        self.first.borrow_mut().get_or_insert_with(|| head.clone());
        if self.is_json {
            return line(&escape_json(json_line(now(), "difference", &told)));
        }
        if self.differences() > SHOWN_MAX {
            return;
        }
        line(&self.look.paint(Ink::Error, &head));
        let details = told.difference.map(details).unwrap_or_default();
        for detail in details.iter().take(LISTED_MAX) {
            line(&format!("  {}", escape(detail)));
        }
        if details.len() > LISTED_MAX {
            line(&format!("  … and {} more", details.len() - LISTED_MAX));
        }
    }
}

fn details(difference: &Difference) -> Vec<String> {
    match difference {
        Difference::Kind { text_was_recorded: true } => vec!["text was recorded, binary came".to_owned()],
        Difference::Kind { text_was_recorded: false } => vec!["binary was recorded, text came".to_owned()],
        Difference::Json(places) => places.iter().map(place).collect(),
        Difference::Lines(lines) => lines.clone(),
        Difference::Bytes { at, recorded, came } => {
            let hex = |bytes: &[u8]| match bytes {
                [] => "the end".to_owned(),
                bytes => bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" "),
            };
            vec![format!("from byte {at}: {} → {}", hex(recorded), hex(came))]
        }
    }
}

fn place(place: &Place) -> String {
    let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "nothing".to_owned());
    format!("{}: {} → {}", place.path, shown(&place.recorded), shown(&place.came))
}

fn payload(came: &Came) -> Payload {
    Payload::whole(&came.payload)
}

fn preview(payload: &Payload) -> String {
    match payload.text() {
        Some(text) => match text.char_indices().nth(PREVIEW_MAX_CHARACTERS) {
            Some((end, _)) => format!("{} …", &text[..end]),
            None => text.to_owned(),
        },
        None => format!("{} bytes", payload.bytes.len()),
    }
}

/// A line on stdout. That nobody reads it changes nothing.
fn line(text: &str) {
    let _ = writeln!(io::stdout().lock(), "{text}");
}
