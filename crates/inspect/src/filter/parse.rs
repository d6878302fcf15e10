//! From a line of text to a filter, or to what is wrong with it and where.
//!
//! What is asked of events by it is `matching`'s.

use std::fmt;
use std::str::FromStr;

use regex::RegexBuilder;

use super::json_path::JsonTest;
use super::quantity::Range;
use super::scanner::{Quotes, Scanner, Unended, Value};
use super::term::{FLAGS, Glob, HAS, NAMES, QUANTITIES, Quantity, Question, Term, of_word};
use crate::event::Direction;

/// Bytes of a filter, at most.
const TEXT_MAX_BYTES: usize = 4096;

/// Bytes that a compiled regular expression may take.
const REGEX_MAX_BYTES: usize = 1 << 20;

/// Types of events.
const TYPES: [&str; 9] = ["open", "handshake", "frame", "message", "drop", "note", "stats", "close", "exit"];

/// Opcodes, and the two kinds of them.
const OPS: [&str; 9] =
    ["text", "binary", "continuation", "close", "ping", "pong", "reserved", "data", "control"];

const KEYS: &str = "dir op type len wire code status msg age fin rsv1 rsv2 rsv3 mask conn path user ch has text re json, and in lists \
     of connections remote door state by idle rtt queue sent received";

/// Which events to show; an empty one shows all.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Filter {
    pub(super) terms: Vec<Term>,
}

/// A text that is no filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilterError {
    /// What is wrong, and what belongs there.
    pub what: String,
    /// Where, in characters from 1.
    pub column: usize,
}

impl FilterError {
    /// The filter with a mark below the place; control characters stand as spaces.
    #[must_use]
    pub fn drawn(&self, filter: &str) -> String {
        let shown: String =
            filter.chars().map(|it| if crate::inert::is_harmful(it) { ' ' } else { it }).collect();
        format!("{shown}\n{:width$}^ {}", "", self.what, width = self.column - 1)
    }
}

impl FromStr for Filter {
    type Err = FilterError;

    fn from_str(text: &str) -> Result<Self, FilterError> {
        if text.len() > TEXT_MAX_BYTES {
            return Err(FilterError {
                what: format!("a filter has {TEXT_MAX_BYTES} bytes at most"),
                column: 1,
            });
        }
        let column = |at: usize| text[..at].chars().count() + 1;
        let mut scanner = Scanner::new(text);
        let mut terms = Vec::new();
        while scanner.skip_white() {
            terms.push(
                term(&mut scanner).map_err(|Wrong { at, what }| FilterError { what, column: column(at) })?,
            );
        }
        Ok(Self { terms })
    }
}

/// What is wrong, and the bytes in front of it.
struct Wrong {
    at: usize,
    what: String,
}

fn wrong(at: usize, what: impl Into<String>) -> Wrong {
    Wrong { at, what: what.into() }
}

fn term(scanner: &mut Scanner<'_>) -> Result<Term, Wrong> {
    let is_negated = scanner.skip('-');
    let at = scanner.at();
    let key = scanner.key();
    if key == Some("json") {
        let value = scanner.expression();
        let test = JsonTest::parse(&value.text).map_err(|(offset, what)| wrong(value.at + offset, what))?;
        return Ok(Term { is_negated, any: vec![Question::Json(test)] });
    }
    let mut any = Vec::new();
    loop {
        let value = scanner.value().map_err(|Unended(at, what)| wrong(at, what))?;
        if value.text.is_empty() && value.quotes == Quotes::None {
            return Err(wrong(value.at, "a value belongs here"));
        }
        any.push(question(key, at, value)?);
        if key.is_some() && scanner.skip(',') {
            continue;
        }
        if !scanner.is_at_gap() {
            return Err(wrong(scanner.at(), "white space belongs between terms"));
        }
        return Ok(Term { is_negated, any });
    }
}

fn question(key: Option<&str>, key_at: usize, value: Value) -> Result<Question, Wrong> {
    let at = value.at;
    let Some(key) = key else {
        return match value.quotes {
            Quotes::Slashes { .. } => regex(value),
            Quotes::None | Quotes::Double => Ok(Question::Text(value.text)),
        };
    };
    if let Some(quantity) = of_word(&QUANTITIES, key) {
        return number(quantity, &value);
    }
    if let Some(flag) = of_word(&FLAGS, key) {
        return match value.text.as_str() {
            "0" => Ok(Question::Flag(flag, false)),
            "1" => Ok(Question::Flag(flag, true)),
            _ => Err(wrong(at, "0 or 1 belongs here")),
        };
    }
    if let Some(named) = of_word(&NAMES, key) {
        return Ok(Question::Name(named, Glob(raw(value))));
    }
    match key {
        "dir" => match value.text.as_str() {
            "c2s" | "out" | "up" => Ok(Question::Direction(Direction::ToServer)),
            "s2c" | "in" | "down" => Ok(Question::Direction(Direction::ToClient)),
            _ => Err(wrong(at, "in (to the client), out (to the server), s2c or c2s belongs here")),
        },
        "type" => one_of(&TYPES, value).map(Question::Type),
        "op" => one_of(&OPS, value).map(Question::Op),
        "has" => {
            let has = of_word(&HAS, &value.text);
            has.map(Question::Has)
                .ok_or_else(|| wrong(at, format!("one of {} belongs here", words(HAS.map(|(word, _)| word)))))
        }
        "text" => Ok(Question::Text(raw(value))),
        "re" => regex(value),
        _ => Err(wrong(key_at, format!("there is no key '{key}'; the keys are {KEYS}"))),
    }
}

fn number(quantity: Quantity, value: &Value) -> Result<Question, Wrong> {
    let (range, example) = match quantity.is_time() {
        true => (Range::of_times(&value.text), "a time such as <5m or >=250ms belongs here"),
        false => {
            (Range::of_numbers(&value.text), "a number such as 7, >1k, <=125 or 1000..1015 belongs here")
        }
    };
    range.map(|range| Question::Number(quantity, range)).ok_or_else(|| wrong(value.at, example))
}

fn one_of(known: &[&'static str], value: Value) -> Result<String, Wrong> {
    if known.contains(&value.text.as_str()) {
        return Ok(value.text);
    }
    Err(wrong(value.at, format!("one of {} belongs here", known.join(", "))))
}

fn words<const N: usize>(words: [&str; N]) -> String {
    words.join(", ")
}

/// The value as it was typed, where slashes are part of it.
fn raw(value: Value) -> String {
    match value.quotes {
        Quotes::Slashes { ignores_case } => {
            format!("/{}/{}", value.text, if ignores_case { "i" } else { "" })
        }
        Quotes::None | Quotes::Double => value.text,
    }
}

fn regex(value: Value) -> Result<Question, Wrong> {
    let ignores_case = value.quotes == Quotes::Slashes { ignores_case: true };
    // As part of the expression, so that it is there when it is written.
    let pattern = if ignores_case { format!("(?i){}", value.text) } else { value.text };
    let built = RegexBuilder::new(&pattern).size_limit(REGEX_MAX_BYTES).build();
    built.map(Question::Matches).map_err(|error| {
        let what = error.to_string();
        let what = what.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
        wrong(value.at, format!("no regular expression: {what}"))
    })
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, term) in self.terms.iter().enumerate() {
            write!(f, "{}{term}", if number > 0 { " " } else { "" })?;
        }
        Ok(())
    }
}

impl fmt::Display for FilterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "column {}: {}", self.column, self.what)
    }
}

impl std::error::Error for FilterError {}
