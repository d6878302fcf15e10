//! Whether an event is one that a filter shows.
//!
//! What is asked of an event that has no answer, such as the opcode of a note, is answered with no; a negated term
//! therefore shows it.

use std::cell::OnceCell;

use tidegate_websocket::Opcode;

use super::parse::Filter;
use super::term::{Flag, Has, Named, Quantity, Question, Term};
use crate::event::{Body, Direction, Event, Frame, Level};
use crate::payload::Payload;
use crate::timestamp::Timestamp;

/// What is known of an event's connection beside the event.
#[derive(Debug, Clone, Copy, Default)]
pub struct Facts<'f> {
    /// The path of the request, without its query.
    pub path: Option<&'f str>,
    /// Who it is, where a credential says so.
    pub user: Option<&'f str>,
    /// The channel that the message belongs to.
    pub channel: Option<&'f str>,
}

/// An event and what was found out about it.
struct Asked<'e> {
    event: &'e Event,
    facts: Facts<'e>,
    now: Timestamp,
    json: OnceCell<Option<serde_json::Value>>,
}

impl Filter {
    /// Whether to show the event; `now` is for questions after its age.
    #[must_use]
    pub fn matches(&self, event: &Event, facts: Facts<'_>, now: Timestamp) -> bool {
        let asked = Asked { event, facts, now, json: OnceCell::new() };
        self.terms.iter().all(|term| term.matches(&asked))
    }

    /// True if it shows everything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }
}

impl Term {
    fn matches(&self, asked: &Asked<'_>) -> bool {
        self.any.iter().any(|question| asked.answer(question)) != self.is_negated
    }
}

impl Asked<'_> {
    fn answer(&self, question: &Question) -> bool {
        match question {
            Question::Direction(dir) => self.direction() == Some(*dir),
            Question::Type(word) => self.event.body.word() == word,
            Question::Op(word) => self.is_op(word),
            Question::Number(quantity, range) => {
                self.number(*quantity).is_some_and(|number| range.contains(number))
            }
            Question::Flag(flag, is_set) => self.frame().is_some_and(|frame| bit(frame, *flag) == *is_set),
            Question::Name(named, glob) => self.name(*named).is_some_and(|name| glob.matches(name)),
            Question::Has(has) => self.has(*has),
            Question::Text(text) => self.text().is_some_and(|found| found.contains(text)),
            Question::Matches(regex) => self.text().is_some_and(|found| regex.is_match(found)),
            Question::Json(test) => self.json().is_some_and(|document| test.matches(document)),
        }
    }

    fn frame(&self) -> Option<&Frame> {
        match &self.event.body {
            Body::Frame(frame) => Some(frame),
            _ => None,
        }
    }

    fn direction(&self) -> Option<Direction> {
        match &self.event.body {
            Body::Frame(frame) => Some(frame.dir),
            Body::Message(message) => Some(message.dir),
            Body::Handshake(head) => Some(head.dir),
            Body::Close(close) => close.by,
            _ => None,
        }
    }

    fn is_op(&self, word: &str) -> bool {
        let op = match &self.event.body {
            Body::Frame(frame) => frame.word(),
            Body::Message(message) => message.op.as_str(),
            _ => return false,
        };
        match word {
            "data" => matches!(op, "text" | "binary" | "continuation"),
            "control" => matches!(op, "close" | "ping" | "pong"),
            _ => op == word,
        }
    }

    fn number(&self, quantity: Quantity) -> Option<u64> {
        match (quantity, &self.event.body) {
            (Quantity::Length, Body::Frame(frame)) => Some(frame.header.payload_length()),
            (Quantity::Length, Body::Message(message)) => Some(message.len),
            (Quantity::Wire, Body::Frame(frame)) => Some(frame.wire),
            (Quantity::Wire, Body::Message(message)) => message.wire,
            (Quantity::Code, Body::Frame(frame)) if frame.header.opcode() == Some(Opcode::Close) => {
                Some(frame.close_code().map_or(1005, u64::from))
            }
            (Quantity::Code, Body::Close(close)) => Some(close.code.into()),
            (Quantity::Status, Body::Handshake(head)) => head.status.map(u64::from),
            (Quantity::Status, Body::Note(note)) => note.status.map(u64::from),
            (Quantity::Status, Body::Open(open)) => Some(open.status.into()),
            (Quantity::Message, Body::Frame(frame)) => frame.message,
            (Quantity::Message, Body::Message(message)) => message.message,
            (Quantity::Age, _) => Some(self.now.micros_since(self.event.ts)),
            _ => None,
        }
    }

    fn name(&self, named: Named) -> Option<&str> {
        match named {
            Named::Connection => self.event.conn.as_deref(),
            Named::Path => self.facts.path,
            Named::User => self.facts.user,
            Named::Channel => self.facts.channel,
            // Of lists of connections.
            Named::Remote | Named::Door | Named::State | Named::By => None,
        }
    }

    fn has(&self, has: Has) -> bool {
        match (has, &self.event.body) {
            (Has::Error, Body::Frame(frame)) => !frame.violations.is_empty(),
            (Has::Error, Body::Note(note)) => note.level == Level::Error,
            (Has::Error, Body::Close(close)) => !close.clean,
            (Has::Compressed, Body::Frame(frame)) => frame.plain.is_some(),
            (Has::Compressed, Body::Message(message)) => message.compressed,
            (Has::Truncated, Body::Frame(frame)) => frame.shown().truncated,
            (Has::Truncated, Body::Message(message)) => message.payload.truncated,
            (Has::Fragment, Body::Frame(frame)) => frame.fragment.is_some() && !frame.is_whole_message(),
            (Has::Rtt, Body::Frame(frame)) => frame.rtt_us.is_some(),
            _ => false,
        }
    }

    /// The text in which is looked: of payloads, as far as it was kept.
    fn text(&self) -> Option<&str> {
        match &self.event.body {
            Body::Note(note) => Some(&note.message),
            Body::Close(close) => Some(&close.reason),
            Body::Frame(frame) if frame.header.opcode() == Some(Opcode::Close) => frame.close_reason(),
            _ => self.payload()?.text(),
        }
    }

    fn payload(&self) -> Option<&Payload> {
        match &self.event.body {
            Body::Frame(frame) => Some(frame.shown()),
            Body::Message(message) => Some(&message.payload),
            Body::Handshake(head) => head.body.as_ref(),
            _ => None,
        }
    }

    /// The document, read once whatever the number of questions.
    fn json(&self) -> Option<&serde_json::Value> {
        let read = || serde_json::from_str(self.payload()?.text()?).ok();
        self.json.get_or_init(read).as_ref()
    }
}

fn bit(frame: &Frame, flag: Flag) -> bool {
    let [rsv1, rsv2, rsv3] = frame.header.rsv();
    match flag {
        Flag::Fin => frame.header.fin(),
        Flag::Rsv1 => rsv1,
        Flag::Rsv2 => rsv2,
        Flag::Rsv3 => rsv3,
        Flag::Mask => frame.header.mask().is_some(),
    }
}
