//! How a message differs from the recorded one: JSON by value, with the places; other text by lines; bytes by the first that
//! differs.
//!
//! What is listed is bounded; that there is a difference never is.

use serde::Serialize;
use serde_json::Value;

use super::script::Heard;
use crate::filter::{JsonPlaces, Key};

/// Places or lines that are listed of one difference.
const LISTED_MAX: usize = 100;

/// Lines of each text that are compared as lines; longer texts are compared line for line.
const LINES_MAX: usize = 400;

/// Characters of a value that are told.
const VALUE_MAX_CHARACTERS: usize = 120;

/// Bytes that are told on from the first that differs.
const BYTES_MAX: usize = 8;

/// What is different.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Difference {
    /// One is text, the other binary.
    Kind {
        /// Text was recorded.
        text_was_recorded: bool,
    },
    /// Both are JSON.
    Json(Vec<Place>),
    /// Lines with `-` in front were recorded, those with `+` came instead.
    Lines(Vec<String>),
    /// The first byte that differs.
    Bytes {
        /// Its offset.
        at: u64,
        /// What was recorded from there on.
        recorded: Vec<u8>,
        /// What came.
        came: Vec<u8>,
    },
}

/// A place of a JSON document with different values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Place {
    /// Such as `$.items[0].price`.
    pub path: String,
    /// What was recorded there, as JSON; none if nothing was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recorded: Option<String>,
    /// What came; none if nothing did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub came: Option<String>,
}

/// How what came differs from what was recorded; none if it does not, but for what stands at ignored places of JSON.
#[must_use]
pub fn difference(
    recorded: &Heard,
    is_text: bool,
    came: &[u8],
    ignored: &[JsonPlaces],
) -> Option<Difference> {
    let kept = &recorded.payload.bytes;
    // Of what was not recorded whole the beginning must be the same.
    let came = if recorded.payload.truncated { &came[..came.len().min(kept.len())] } else { came };
    if recorded.is_text != is_text {
        return Some(Difference::Kind { text_was_recorded: recorded.is_text });
    }
    if kept == came {
        return None;
    }
    let texts = std::str::from_utf8(kept).ok().zip(std::str::from_utf8(came).ok()).filter(|_| is_text);
    let Some((recorded, came)) = texts else { return Some(bytes(kept, came)) };
    let documents = serde_json::from_str(recorded).ok().zip(serde_json::from_str(came).ok());
    match documents {
        Some((recorded, came)) => {
            let mut walk = Walk { ignored, found: Vec::new() };
            walk.compare(&mut Vec::new(), Some(&recorded), Some(&came));
            (!walk.found.is_empty()).then_some(Difference::Json(walk.found))
        }
        None => Some(Difference::Lines(lines(recorded, came))),
    }
}

struct Walk<'i> {
    ignored: &'i [JsonPlaces],
    found: Vec<Place>,
}

impl Walk<'_> {
    fn compare<'v>(&mut self, path: &mut Vec<Key<'v>>, recorded: Option<&'v Value>, came: Option<&'v Value>) {
        if self.found.len() == LISTED_MAX || self.ignored.iter().any(|places| places.contain(path)) {
            return;
        }
        match (recorded, came) {
            (Some(Value::Object(recorded)), Some(Value::Object(came))) => {
                let further = came.keys().filter(|name| !recorded.contains_key(*name));
                for name in recorded.keys().chain(further) {
                    path.push(Key::Member(name));
                    self.compare(path, recorded.get(name), came.get(name));
                    path.pop();
                }
            }
            (Some(Value::Array(recorded)), Some(Value::Array(came))) => {
                for index in 0..recorded.len().max(came.len()) {
                    path.push(Key::Item(index));
                    self.compare(path, recorded.get(index), came.get(index));
                    path.pop();
                }
            }
            (Some(recorded), Some(came)) if is_same(recorded, came) => {}
            _ => self.note(path, recorded, came),
        }
    }

    fn note(&mut self, path: &[Key<'_>], recorded: Option<&Value>, came: Option<&Value>) {
        let shown = |value: &Value| cut(&value.to_string());
        let path = path.iter().fold("$".to_owned(), |path, key| path + &key.to_string());
        self.found.push(Place { path, recorded: recorded.map(shown), came: came.map(shown) });
    }
}

/// `1` and `1.0` are the same number.
fn is_same(recorded: &Value, came: &Value) -> bool {
    match (recorded, came) {
        (Value::Number(one), Value::Number(other)) => one == other || one.as_f64() == other.as_f64(),
        _ => recorded == came,
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(VALUE_MAX_CHARACTERS) {
        Some((end, _)) => format!("{} …", &text[..end]),
        None => text.to_owned(),
    }
}

fn bytes(recorded: &[u8], came: &[u8]) -> Difference {
    let same = recorded.iter().zip(came).take_while(|(one, other)| one == other).count();
    let from = |bytes: &[u8]| bytes[same..].iter().take(BYTES_MAX).copied().collect();
    Difference::Bytes { at: same as u64, recorded: from(recorded), came: from(came) }
}

/// The lines that are not the same, in their order.
fn lines(recorded: &str, came: &str) -> Vec<String> {
    let (recorded, came): (Vec<&str>, Vec<&str>) =
        (recorded.split('\n').collect(), came.split('\n').collect());
    let mut told = Vec::new();
    let mut tell = |sign: char, line: &str| {
        if told.len() < LISTED_MAX {
            told.push(format!("{sign}{}", cut(line)));
        }
    };
    if recorded.len() > LINES_MAX || came.len() > LINES_MAX {
        for index in 0..recorded.len().max(came.len()) {
            let (one, other) = (recorded.get(index), came.get(index));
            if one != other {
                one.into_iter().for_each(|line| tell('-', line));
                other.into_iter().for_each(|line| tell('+', line));
            }
        }
        return told;
    }
    let common = common_lengths(&recorded, &came);
    let (mut one, mut other) = (0, 0);
    while one < recorded.len() || other < came.len() {
        if one < recorded.len() && other < came.len() && recorded[one] == came[other] {
            (one, other) = (one + 1, other + 1);
        } else if one < recorded.len()
            && (other == came.len() || common[one + 1][other] >= common[one][other + 1])
        {
            tell('-', recorded[one]);
            one += 1;
        } else {
            tell('+', came[other]);
            other += 1;
        }
    }
    told
}

/// How many lines the rest from each pair of places has in common, in order.
fn common_lengths(recorded: &[&str], came: &[&str]) -> Vec<Vec<u16>> {
    let mut common = vec![vec![0u16; came.len() + 1]; recorded.len() + 1];
    for one in (0..recorded.len()).rev() {
        for other in (0..came.len()).rev() {
            common[one][other] = match recorded[one] == came[other] {
                true => common[one + 1][other + 1] + 1,
                false => common[one + 1][other].max(common[one][other + 1]),
            };
        }
    }
    common
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::payload::Payload;
    use crate::timestamp::Timestamp;

    fn heard(bytes: &[u8]) -> Heard {
        Heard { at: Timestamp::default(), is_text: true, payload: Payload::whole(bytes) }
    }

    fn check(recorded: &str, came: &str, ignored: &[&str]) -> Option<Difference> {
        let ignored: Vec<_> = ignored.iter().map(|text| JsonPlaces::parse(text).expect(text)).collect();
        difference(&heard(recorded.as_bytes()), true, came.as_bytes(), &ignored)
    }

    #[test]
    fn json_is_compared_by_value() {
        assert_eq!(check(r#"{"a":1,"b":[2]}"#, r#"{ "b" : [2.0], "a" : 1e0 }"#, &[]), None);
        let recorded = r#"{"id":"k:1","price":10.5,"items":[{"t":1},{"t":2}],"gone":null}"#;
        let came = r#"{"id":"k:2","price":11,"items":[{"t":3},{"t":4},5],"new":{"a":"b"}}"#;
        let Some(Difference::Json(places)) = check(recorded, came, &["$.id", "$..t"]) else { panic!() };
        let told: Vec<_> = places
            .iter()
            .map(|place| (place.path.as_str(), place.recorded.as_deref(), place.came.as_deref()))
            .collect();
        assert_eq!(
            told,
            [
                ("$.gone", Some("null"), None),
                ("$.items[2]", None, Some("5")),
                ("$.price", Some("10.5"), Some("11")),
                ("$.new", None, Some(r#"{"a":"b"}"#)),
            ]
        );
        assert_eq!(check(recorded, came, &["$"]), None);
        assert!(check("1", "[1]", &[]).is_some());
    }

    #[test]
    fn text_is_compared_by_lines() {
        let lines = |recorded, came| match check(recorded, came, &["$.x"]) {
            Some(Difference::Lines(lines)) => lines.join(","),
            other => panic!("{other:?}"),
        };
        assert_eq!(lines("a\nb\nc\nd", "a\nc\nx\nd"), "-b,+x");
        assert_eq!(lines("one", "two"), "-one,+two");
        assert_eq!(lines(&"a\n".repeat(500), &format!("{}b\n", "a\n".repeat(499))), "-a,+b");
    }

    #[test]
    fn bytes_and_kinds_and_what_was_cut() {
        let binary = Heard { is_text: false, ..heard(&[1, 2, 3]) };
        let expected = Difference::Bytes { at: 1, recorded: vec![2, 3], came: vec![9] };
        assert_eq!(difference(&binary, false, &[1, 9], &[]), Some(expected));
        assert_eq!(difference(&binary, false, &[1, 2, 3], &[]), None);
        assert_eq!(
            difference(&binary, true, &[1, 2, 3], &[]),
            Some(Difference::Kind { text_was_recorded: false })
        );
        let mut cut = heard(b"abc");
        cut.payload.truncated = true;
        assert_eq!(difference(&cut, true, b"abcdef", &[]), None);
        assert!(difference(&cut, true, b"abd", &[]).is_some());
    }

    proptest! {
        /// What is told as lines makes the one text of the other.
        #[test]
        fn lines_that_differ_are_all_told(
            recorded in "[ab]{0,4}(\n[ab]{0,3}){0,6}x", came in "[ab]{0,4}(\n[ab]{0,3}){0,6}y",
        ) {
            let told = lines(&recorded, &came);
            let with = |sign: char| told.iter().filter(|line| line.starts_with(sign)).count();
            let (before, after) = (recorded.split('\n').count(), came.split('\n').count());
            prop_assert_eq!(before - with('-'), after - with('+'), "what is left is in both: {:?}", told);
            prop_assert!(with('-') > 0 && with('+') > 0);
        }

        #[test]
        fn what_is_the_same_never_differs(text in any::<String>(), is_text: bool) {
            let recorded = Heard { is_text, ..heard(text.as_bytes()) };
            prop_assert_eq!(difference(&recorded, is_text, text.as_bytes(), &[]), None);
        }
    }
}
