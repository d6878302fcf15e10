//! A place in a JSON document and what it is compared with: `$.type=="trade"`, `$.items[0].price>=10`, `$.error`; and sets
//! of places: `$.items[*].id`, `$..time`.
//!
//! Without a comparison a test asks whether there is something at that place.

use std::fmt;

use serde_json::Value;

/// Steps of a path, at most.
const STEPS_MAX: usize = 32;

/// The question that a document answers with yes or no.
#[derive(Debug, Clone, PartialEq)]
pub struct JsonTest {
    steps: Vec<Step>,
    comparison: Option<(Comparison, Value)>,
}

/// Places of a document: `[*]` and `.*` stand for any item or member, `..` for any number of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonPlaces {
    steps: Vec<Step>,
}

/// One step on the way to a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key<'k> {
    /// Into an object.
    Member(&'k str),
    /// Into an array.
    Item(usize),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Member(String),
    Item(usize),
    /// Of places only.
    Any,
    /// Of places only: none, one or more of any.
    Deep,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Equal,
    Unequal,
    AtLeast,
    AtMost,
    Above,
    Below,
}

/// In the order in which they are looked for: the longer ones first.
const COMPARISONS: [(&str, Comparison); 6] = [
    ("==", Comparison::Equal),
    ("!=", Comparison::Unequal),
    (">=", Comparison::AtLeast),
    ("<=", Comparison::AtMost),
    (">", Comparison::Above),
    ("<", Comparison::Below),
];

/// What is wrong, and how many bytes of the text in front of it are right.
pub type Wrong = (usize, &'static str);

impl JsonTest {
    /// Reads `$…` to the end of the text.
    pub fn parse(text: &str) -> Result<Self, Wrong> {
        let at = |rest: &str| text.len() - rest.len();
        let (steps, rest) = steps(text, false)?;
        if rest.is_empty() {
            return Ok(Self { steps, comparison: None });
        }
        let found =
            COMPARISONS.iter().find_map(|(mark, comparison)| Some((rest.strip_prefix(mark)?, *comparison)));
        let (value, comparison) = found.ok_or((at(rest), "one of == != >= <= > < belongs here"))?;
        let parsed = serde_json::from_str(value);
        let parsed =
            parsed.map_err(|_| (at(value), "a JSON value belongs here: text stands in quotation marks"))?;
        Ok(Self { steps, comparison: Some((comparison, parsed)) })
    }

    /// The answer: no, if there is nothing at that place.
    #[must_use]
    pub fn matches(&self, document: &Value) -> bool {
        let mut value = document;
        for step in &self.steps {
            let next = match step {
                Step::Member(name) => value.get(name),
                Step::Item(index) => value.get(index),
                Step::Any | Step::Deep => None,
            };
            match next {
                Some(next) => value = next,
                None => return false,
            }
        }
        self.comparison.as_ref().is_none_or(|(comparison, expected)| comparison.holds(value, expected))
    }
}

impl JsonPlaces {
    /// Reads `$…` to the end of the text.
    pub fn parse(text: &str) -> Result<Self, Wrong> {
        match steps(text, true)? {
            (steps, "") => Ok(Self { steps }),
            (_, rest) => Err((text.len() - rest.len(), "a dot or a [ belongs here")),
        }
    }

    /// Whether a value that these steps lead to is one of them.
    #[must_use]
    pub fn contain(&self, path: &[Key<'_>]) -> bool {
        leads(&self.steps, path)
    }
}

fn leads(steps: &[Step], path: &[Key<'_>]) -> bool {
    let Some((step, steps)) = steps.split_first() else { return path.is_empty() };
    if *step == Step::Deep {
        return (0..=path.len()).any(|skipped| leads(steps, &path[skipped..]));
    }
    let Some((key, path)) = path.split_first() else { return false };
    let fits = match (step, key) {
        (Step::Member(name), Key::Member(key)) => name == key,
        (Step::Item(index), Key::Item(key)) => index == key,
        (step, _) => *step == Step::Any,
    };
    fits && leads(steps, path)
}

/// The steps behind `$`, and what follows them.
fn steps(text: &str, is_set: bool) -> Result<(Vec<Step>, &str), Wrong> {
    let mut rest = text.strip_prefix('$').ok_or((0, "a path begins with $, such as $.type==\"trade\""))?;
    let at = |rest: &str| text.len() - rest.len();
    let mut steps = Vec::new();
    loop {
        if steps.len() >= STEPS_MAX {
            return Err((at(rest), "a path has 32 steps at most"));
        }
        if let Some(behind) = rest.strip_prefix("[*]").or(rest.strip_prefix(".*")).filter(|_| is_set) {
            steps.push(Step::Any);
            rest = behind;
        } else if let Some(name) = rest.strip_prefix('.') {
            let deep = name.strip_prefix('.').filter(|_| is_set && steps.last() != Some(&Step::Deep));
            if deep.is_some() {
                // The second dot, or what follows it in brackets, goes on as after one.
                steps.push(Step::Deep);
                rest = deep.filter(|name| name.starts_with('[')).unwrap_or(name);
                continue;
            }
            let length = name.bytes().take_while(|byte| is_name_byte(*byte)).count();
            if length == 0 {
                return Err((at(name), "a name belongs behind the dot; others are written as [\"name\"]"));
            }
            steps.push(Step::Member(name[..length].to_owned()));
            rest = &name[length..];
        } else if let Some(inner) = rest.strip_prefix('[') {
            let (step, behind) =
                bracket(inner).ok_or((at(inner), "a number or \"name\" and a ] belong here"))?;
            steps.push(step);
            rest = behind;
        } else if steps.last() == Some(&Step::Deep) {
            return Err((at(rest), "a name belongs behind the dots"));
        } else {
            return Ok((steps, rest));
        }
    }
}

impl Comparison {
    fn holds(self, value: &Value, expected: &Value) -> bool {
        let order = match (value, expected) {
            (Value::Number(a), Value::Number(b)) => {
                a.as_f64().zip(b.as_f64()).and_then(|(a, b)| a.partial_cmp(&b))
            }
            (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
            _ => None,
        };
        let is_equal = order.map_or_else(|| value == expected, std::cmp::Ordering::is_eq);
        match self {
            Self::Equal => is_equal,
            Self::Unequal => !is_equal,
            Self::AtLeast => order.is_some_and(std::cmp::Ordering::is_ge),
            Self::AtMost => order.is_some_and(std::cmp::Ordering::is_le),
            Self::Above => order.is_some_and(std::cmp::Ordering::is_gt),
            Self::Below => order.is_some_and(std::cmp::Ordering::is_lt),
        }
    }
}

/// What stands in brackets, and what follows them.
fn bracket(inner: &str) -> Option<(Step, &str)> {
    if inner.starts_with('"') {
        let mut values = serde_json::Deserializer::from_str(inner).into_iter::<String>();
        let name = values.next()?.ok()?;
        let behind = inner.get(values.byte_offset()..)?.strip_prefix(']')?;
        return Some((Step::Member(name), behind));
    }
    let (index, behind) = inner.split_once(']')?;
    let is_plain = index.bytes().all(|byte| byte.is_ascii_digit());
    Some((Step::Item(index.parse().ok().filter(|_| is_plain)?), behind))
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-' || !byte.is_ascii()
}

impl fmt::Display for JsonTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("$")?;
        for step in &self.steps {
            match step {
                Step::Item(index) => Key::Item(*index).fmt(f)?,
                Step::Member(name) => Key::Member(name).fmt(f)?,
                Step::Any | Step::Deep => {}
            }
        }
        let Some((comparison, value)) = &self.comparison else { return Ok(()) };
        let mark = COMPARISONS.iter().find(|(_, other)| other == comparison).map_or("", |(mark, _)| mark);
        write!(f, "{mark}{value}")
    }
}

impl fmt::Display for Key<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Item(index) => write!(f, "[{index}]"),
            Self::Member(name) if !name.is_empty() && name.bytes().all(is_name_byte) => write!(f, ".{name}"),
            Self::Member(name) => write!(f, "[{}]", Value::from(*name)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(test: &str, document: &str) -> bool {
        let document = serde_json::from_str(document).expect("JSON");
        JsonTest::parse(test).expect("a test").matches(&document)
    }

    #[test]
    fn places_and_comparisons() {
        let document = r#"{"type":"trade","items":[{"price":10.5}],"a b":null,"error":false}"#;
        for right in [
            "$",
            "$.type",
            "$.type==\"trade\"",
            "$.type!=\"x\"",
            "$.items[0].price>=10",
            "$.items[0].price<11",
            "$.items[0].price==10.50",
            "$[\"a b\"]==null",
            "$.error==false",
            "$.type>\"a\"",
            "$.items==[{\"price\":10.5}]",
        ] {
            assert!(check(right, document), "{right}");
        }
        for wrong in ["$.x", "$.items[1]", "$.type==1", "$.items[0].price>10.5", "$.type>1", "$.type[0]"] {
            assert!(!check(wrong, document), "{wrong}");
        }
    }

    #[test]
    fn what_is_no_test_says_where() {
        for (text, at) in [
            ("type", 0),
            ("$.", 2),
            ("$.a[", 4),
            ("$.a[x]", 4),
            ("$.a[\"x]", 4),
            ("$.a=1", 3),
            ("$.a==", 5),
            ("$.a==trade", 5),
            ("$ .a", 1),
        ] {
            assert_eq!(JsonTest::parse(text).expect_err(text).0, at, "{text}");
        }
        assert!(JsonTest::parse(&format!("${}", ".a".repeat(33))).is_err());
    }

    #[test]
    fn sets_of_places() {
        use Key::{Item, Member};
        let within = |places: &str, path: &[Key<'_>]| JsonPlaces::parse(places).expect(places).contain(path);
        let id = [Member("items"), Item(3), Member("id")];
        for right in
            ["$.items[3].id", "$.items[*].id", "$..id", "$..items..id", "$.*[*].*", "$..[3].id", "$..*"]
        {
            assert!(within(right, &id), "{right}");
        }
        for other in ["$", "$.items", "$.items[2].id", "$..name", "$.items[*]", "$[*]", "$..items"] {
            assert!(!within(other, &id), "{other}");
        }
        assert!(within("$", &[]) && within("$..a", &[Member("a")]) && within("$[\"a b\"]", &[Member("a b")]));
        for (text, at) in [("id", 0), ("$..", 3), ("$...a", 3), ("$.a=1", 3), ("$.a[-1]", 4)] {
            assert_eq!(JsonPlaces::parse(text).map_err(|(at, _)| at), Err(at), "{text}");
        }
        assert!(JsonTest::parse("$..a").is_err() && JsonTest::parse("$[*]").is_err());
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(text in "\\$(\\.[a-zé_-]{1,3}|\\[[0-9]{1,3}\\]|\\[\"[a-z .]{0,3}\"\\]){0,4}((==|!=|<|<=|>|>=)(1|\"a b\"|null|1.5))?") {
            if let Ok(test) = JsonTest::parse(&text) {
                prop_assert_eq!(JsonTest::parse(&test.to_string()), Ok(test));
            }
        }

        #[test]
        fn any_text_is_a_test_or_not(text in "\\$?[\\[\\].a\"=<>0é]{0,20}") {
            if let Err((at, _)) = JsonTest::parse(&text) {
                prop_assert!(text.is_char_boundary(at), "{at}");
            }
        }
    }
}
