//! From what somebody asks to its explanation: a number, a name, or bytes.
//!
//! What the gateway itself answers with is not known here; the command looks there first.

use std::fmt;

use super::explanation::{Explanation, Row, find, wrapped};
use super::{bytes, close_codes, headers, known, opcodes, statuses, topics};
use crate::header::from_hex;

/// Nothing is known under this name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unknown {
    /// Names that are near it.
    pub near: Vec<&'static str>,
}

/// What is known of an error of ours, a close code, the status of an answer, a header, an opcode, a topic, or the bytes
/// of frames in hex.
///
/// Four digits from 1000 to 4999 are a close code, other digits bytes; `0x` says that they are bytes.
pub fn explain(what: &str) -> Result<Explanation, Unknown> {
    let name = what.trim().trim_end_matches(':').to_ascii_lowercase();
    if known::is_asked_for(&name) {
        let found = known::find(&name).map(known::Known::explanation);
        return found.ok_or_else(|| Unknown { near: known::near(&name) });
    }
    if let Some(row) = tables().find_map(|rows| find(rows, &name)) {
        return Ok(row.explanation());
    }
    if let Some(explanation) = statuses::explanation(&name) {
        return Ok(explanation);
    }
    let digits = name.strip_prefix("0x");
    if digits.is_none()
        && let Some(code) = close_code(&name)
    {
        return Ok(close_codes::explanation(code));
    }
    let explained = from_hex(digits.unwrap_or(&name)).and_then(|frame| bytes::explain_bytes(&frame).ok());
    explained.ok_or_else(|| Unknown { near: near(&name) })
}

fn tables() -> impl Iterator<Item = &'static [Row]> {
    [headers::ROWS, opcodes::ROWS, topics::ROWS].into_iter()
}

/// As a number of four digits; others are more likely bytes.
fn close_code(name: &str) -> Option<u16> {
    let is_code = name.len() == 4 && name.bytes().all(|byte| byte.is_ascii_digit());
    name.parse().ok().filter(|code| is_code && (1000..5000).contains(code))
}

/// Longest name for which a near one is looked for.
const NEAR_MAX_BYTES: usize = 64;

fn near(name: &str) -> Vec<&'static str> {
    near_among(name, tables().flatten().flat_map(|row| row.names.iter().copied()))
}

/// Of these names those that hold what was asked for or are held by it, or differ by one slip for three letters.
pub fn near_among(name: &str, names: impl Iterator<Item = &'static str>) -> Vec<&'static str> {
    let is_near = |other: &&str| {
        let [short, long] = if name.len() < other.len() { [name, other] } else { [other, name] };
        let holds = short.len() > 2 && long.contains(short);
        let slips = || strsim::damerau_levenshtein(name, other) <= (other.len() / 3).min(3);
        holds || (name.len() <= NEAR_MAX_BYTES && slips())
    };
    names.filter(is_near).take(5).collect()
}

/// What can be asked for, in lines.
#[must_use]
pub fn listing() -> String {
    let mut lines = vec![
        "TG-1001 to TG-8211       errors of Tidegate, all of them in docs/errors.md".to_owned(),
        "1000 to 4999             close codes, such as 1006".to_owned(),
        "818537fa213d7f9f4d5158   bytes of frames in hex; 0x in front says that digits are bytes".to_owned(),
    ];
    let parts = [
        ("answers", statuses::ROWS),
        ("headers", headers::ROWS),
        ("frames", opcodes::ROWS),
        ("more", topics::ROWS),
    ];
    for (title, rows) in parts {
        lines.push(String::new());
        lines.push(wrapped(&format!(
            "{title}: {}",
            rows.iter().map(|row| row.names[0]).collect::<Vec<_>>().join(", ")
        )));
    }
    lines.join("\n")
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.near.as_slice() {
            [] => f.write_str("nothing is known under this name"),
            near => write!(f, "nothing is known under this name; near it are {}", near.join(", ")),
        }
    }
}

impl std::error::Error for Unknown {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn title(what: &str) -> String {
        explain(what).map_or_else(|unknown| unknown.to_string(), |explanation| explanation.title.into_owned())
    }

    #[test]
    fn what_somebody_asks() {
        for (what, expected) in [
            ("1006", "close code 1006 abnormal closure"),
            ("4999", "close code 4999"),
            ("TG-2101", "TG-2101 no route"),
            (" tg-4001 ", "TG-4001 max_connections"),
            (
                "TG-1006",
                "nothing is known under this name; near it are TG-1004, TG-1003, TG-1002, TG-1001, TG-1101",
            ),
            ("Sec-WebSocket-Accept:", "sec-websocket-accept"),
            ("GUID", "sec-websocket-accept"),
            ("masking", "mask"),
            ("0x1", "text"),
            ("426", "426"),
            ("8105", "one frame of a server, 2 bytes"),
            ("0x1000", "one frame of a server, 2 bytes"),
            ("81 85 37fa213d 7f9f4d5158", "one frame of a client, 11 bytes"),
            ("client_max", "nothing is known under this name; near it are client_max_window_bits"),
            ("maks", "nothing is known under this name; near it are mask"),
            ("x", "nothing is known under this name"),
            ("9", "nothing is known under this name"),
        ] {
            assert_eq!(title(what), expected, "{what}");
        }
    }

    #[test]
    fn every_name_leads_to_its_own_row() {
        for row in tables().flatten() {
            for name in row.names {
                assert_eq!(&title(name), row.names[0], "{name}");
                assert_eq!(*name, name.to_ascii_lowercase());
            }
            assert!(row.section.contains("section"), "{}", row.section);
        }
    }

    #[test]
    fn what_is_listed_is_known() {
        let listing = listing();
        let names = listing.lines().skip(3).flat_map(|line| line.split([':', ',']));
        for name in names.map(str::trim).filter(|name| !name.is_empty()) {
            let is_title = ["answers", "headers", "frames", "more"].contains(&name);
            assert!(is_title || explain(name).is_ok() || listing.contains(&format!(":{name}")), "{name}");
        }
        let last = known::all().last().expect("an error");
        assert!(listing.contains(last.tag), "{last} is the last one");
    }

    #[test]
    fn what_articles_get_wrong_is_told_right() {
        for (what, right) in [
            ("1000", "is no error"),
            ("sec-websocket-accept", "the GUID is part of it"),
            ("mask", "is not secrecy"),
            ("1006", "did not send 1006"),
            ("ping", "browsers answer them by themselves"),
            ("origin", "CORS has no part in it"),
            ("keep-alive", "setInterval"),
            ("delivery", "does not say that it arrived"),
            ("upgrade", "It concerns one hop"),
        ] {
            assert!(explain(what).is_ok_and(|explanation| explanation.to_string().contains(right)), "{what}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_explained_or_not(text in "\\PC{0,20}") {
            let _ = explain(&text);
        }
    }
}
