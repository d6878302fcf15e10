//! What a filter asks of an event: keys and what they are compared with.
//!
//! They are written as they are read; `parse` makes them.

use std::fmt;

use regex::Regex;

use super::json_path::JsonTest;
use super::quantity::Range;
use crate::event::Direction;

/// One term: its questions, of which one must be answered with yes, or none if it is negated.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Term {
    pub(super) is_negated: bool,
    pub(super) any: Vec<Question>,
}

/// One question.
#[derive(Debug, Clone)]
pub(super) enum Question {
    Direction(Direction),
    /// A word for the kind of event.
    Type(String),
    /// A word for the opcode, or `data`, `control`.
    Op(String),
    Number(Quantity, Range),
    Flag(Flag, bool),
    Name(Named, Glob),
    Has(Has),
    Text(String),
    Matches(Regex),
    Json(JsonTest),
}

/// What is a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quantity {
    Length,
    Wire,
    Code,
    Status,
    Message,
    /// Microseconds since the event, or since a connection opened.
    Age,
    /// Microseconds since the last byte of a connection.
    Idle,
    /// Microseconds of a connection's last answered Ping.
    RoundTrip,
    /// Bytes that wait for a connection.
    Queue,
    /// Bytes that a connection was sent.
    Sent,
    /// Bytes that came from a connection.
    Received,
}

impl Quantity {
    /// Whether it is a time, in microseconds.
    pub(super) fn is_time(self) -> bool {
        matches!(self, Self::Age | Self::Idle | Self::RoundTrip)
    }
}

/// A bit of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flag {
    Fin,
    Rsv1,
    Rsv2,
    Rsv3,
    Mask,
}

/// What has a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Named {
    Connection,
    Path,
    User,
    Channel,
    Remote,
    Door,
    State,
    /// Who ended a connection.
    By,
}

/// What an event may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Has {
    Error,
    Compressed,
    Truncated,
    Fragment,
    Rtt,
}

/// A name in which stars stand for anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Glob(pub(super) String);

/// The words of each kind, in one place for reading and writing.
pub(super) const QUANTITIES: [(&str, Quantity); 11] = [
    ("len", Quantity::Length),
    ("wire", Quantity::Wire),
    ("code", Quantity::Code),
    ("status", Quantity::Status),
    ("msg", Quantity::Message),
    ("age", Quantity::Age),
    ("idle", Quantity::Idle),
    ("rtt", Quantity::RoundTrip),
    ("queue", Quantity::Queue),
    ("sent", Quantity::Sent),
    ("received", Quantity::Received),
];
pub(super) const FLAGS: [(&str, Flag); 5] = [
    ("fin", Flag::Fin),
    ("rsv1", Flag::Rsv1),
    ("rsv2", Flag::Rsv2),
    ("rsv3", Flag::Rsv3),
    ("mask", Flag::Mask),
];
pub(super) const NAMES: [(&str, Named); 8] = [
    ("conn", Named::Connection),
    ("path", Named::Path),
    ("user", Named::User),
    ("ch", Named::Channel),
    ("remote", Named::Remote),
    ("door", Named::Door),
    ("state", Named::State),
    ("by", Named::By),
];
pub(super) const HAS: [(&str, Has); 5] = [
    ("error", Has::Error),
    ("compressed", Has::Compressed),
    ("truncated", Has::Truncated),
    ("fragment", Has::Fragment),
    ("rtt", Has::Rtt),
];

/// The value of a word.
pub(super) fn of_word<T: Copy>(words: &[(&str, T)], word: &str) -> Option<T> {
    words.iter().find(|(other, _)| *other == word).map(|(_, value)| *value)
}

fn word_of<T: Copy + PartialEq>(words: &[(&'static str, T)], value: T) -> &'static str {
    words.iter().find(|(_, other)| *other == value).map_or("", |(word, _)| *word)
}

impl Glob {
    pub(super) fn matches(&self, name: &str) -> bool {
        let mut parts = self.0.split('*');
        let first = parts.next().unwrap_or_default();
        let Some(mut rest) = name.strip_prefix(first) else { return false };
        let Some(last) = parts.next_back() else { return rest.is_empty() };
        for part in parts {
            let Some(at) = rest.find(part) else { return false };
            rest = &rest[at + part.len()..];
        }
        rest.ends_with(last)
    }
}

impl PartialEq for Question {
    fn eq(&self, other: &Self) -> bool {
        self.to_string() == other.to_string()
    }
}

impl Question {
    /// What stands in front of the colon.
    pub(super) fn key(&self) -> &'static str {
        match self {
            Self::Direction(_) => "dir",
            Self::Type(_) => "type",
            Self::Op(_) => "op",
            Self::Number(quantity, _) => word_of(&QUANTITIES, *quantity),
            Self::Flag(flag, _) => word_of(&FLAGS, *flag),
            Self::Name(named, _) => word_of(&NAMES, *named),
            Self::Has(_) => "has",
            Self::Text(_) => "text",
            Self::Matches(_) => "re",
            Self::Json(_) => "json",
        }
    }
}

/// What stands behind the colon.
impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Direction(Direction::ToServer) => f.write_str("c2s"),
            Self::Direction(Direction::ToClient) => f.write_str("s2c"),
            Self::Type(word) | Self::Op(word) => f.write_str(word),
            Self::Number(quantity, range) if quantity.is_time() => match (range.least, range.most) {
                (0, most) => write!(f, "<={most}us"),
                (least, u64::MAX) => write!(f, ">={least}us"),
                (least, most) => write!(f, "{least}us..{most}us"),
            },
            Self::Number(_, range) => range.fmt(f),
            Self::Flag(_, is_set) => f.write_str(if *is_set { "1" } else { "0" }),
            Self::Name(_, Glob(name)) | Self::Text(name) => quoted(name, f),
            Self::Has(has) => f.write_str(word_of(&HAS, *has)),
            Self::Matches(regex) => write!(f, "/{}/", regex.as_str().replace('/', "\\/")),
            Self::Json(test) => test.fmt(f),
        }
    }
}

fn quoted(text: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = self.any.first().map_or("", Question::key);
        write!(f, "{}{key}:", if self.is_negated { "-" } else { "" })?;
        for (number, question) in self.any.iter().enumerate() {
            write!(f, "{}{question}", if number > 0 { "," } else { "" })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_anything() {
        for (glob, name, matches) in [
            ("/ws", "/ws", true),
            ("/ws", "/ws/a", false),
            ("/ws*", "/ws/a", true),
            ("*a*b*", "xaxxbx", true),
            ("*a*b*", "xbxxax", false),
            ("a*a", "a", false),
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
        ] {
            assert_eq!(Glob(glob.to_owned()).matches(name), matches, "{glob} {name}");
        }
    }
}
