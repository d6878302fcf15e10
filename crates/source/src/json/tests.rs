//! Comparison of JSON by value: examples, and values rendered twice in different ways.
//! Values are built and rendered here; another JSON reader says what is strict.

use proptest::prelude::*;

use super::*;

/// A JSON value as the tests build it: members in any order, keys distinct.
#[derive(Debug, Clone, PartialEq)]
enum Value {
    Word(&'static str),
    Number(String),
    Text(String),
    Array(Vec<Value>),
    Object(Vec<(String, Value)>),
}

#[track_caller]
fn check_same(left: &str, right: &str) {
    assert!(canonical(left.as_bytes()).is_ok(), "{left} is strict JSON");
    assert!(same(left.as_bytes(), right.as_bytes()), "{left} and {right} are one value");
}

#[track_caller]
fn check_different(left: &str, right: &str) {
    assert!(!same(left.as_bytes(), right.as_bytes()), "{left} and {right} are two values");
}

#[test]
fn key_order_and_white_space_do_not_count() {
    check_same(r#"{"a":1,"b":[1,2]}"#, " {\r\n\t\"b\" : [ 1 , 2 ] , \"a\" : 1 } ");
    check_same(r#"{"a":{"d":1,"c":{}},"b":[]}"#, r#"{"b":[ ],"a":{"c":{ },"d":1}}"#);
}

#[test]
fn strings_count_by_what_they_decode_to() {
    check_same(r#""\u00e9\n\/\ud83d\ude00""#, "\"\u{e9}\\u000a/\u{1f600}\"");
    check_same(r#"{"\u0061":1}"#, r#"{"a":1}"#);
    check_same(r#""\"\\""#, r#""\u0022\u005C""#);
    check_different(r#""\\n""#, r#""\n""#);
}

#[test]
fn numbers_count_by_their_text() {
    for (left, right) in
        [("1", "1.0"), ("1e2", "100"), ("1e2", "1E2"), ("-0", "0"), ("9007199254740993", "9007199254740992")]
    {
        check_different(left, right);
        check_same(left, &format!(" {left}\n"));
    }
}

#[test]
fn order_in_arrays_and_types_count() {
    for (left, right) in [
        ("[1,2]", "[2,1]"),
        ("[12]", "[1,2]"),
        ("[[1],2]", "[[1,2]]"),
        ("1", "\"1\""),
        ("null", "\"null\""),
        ("[]", "{}"),
        (r#"{"a":"b"}"#, r#"["a","b"]"#),
        (r#"{"a":1,"b":2}"#, r#"{"a":2,"b":1}"#),
    ] {
        check_different(left, right);
    }
}

#[test]
fn what_is_not_strict_is_compared_by_bytes() {
    for text in [
        "",
        " ",
        "{",
        "[1,]",
        "[,1]",
        "{\"a\"}",
        "{\"a\":1,}",
        "{a:1}",
        "'a'",
        "01",
        "1.",
        ".5",
        "+1",
        "-",
        "1e",
        "tru",
        "nulll",
        "NaN",
        "[1 2]",
        "\"a",
        "\"\n\"",
        "\"\\x\"",
        "\"\\u12g4\"",
        "\"\\ud800\"",
        "\"\\ud800\\u0041\"",
        "\"\\udc00\"",
        "1 2",
        "\u{feff}1",
        "{\"a\":1,\"a\":1}",
        "{\"b\":1,\"a\":1,\"\\u0062\":2}",
        "\"\\u12",
        "\"\\",
    ] {
        assert_eq!(canonical(text.as_bytes()), Err(NotStrict), "{text}");
        assert!(same(text.as_bytes(), text.as_bytes()));
        check_different(text, &format!("{text} "));
    }
    assert_eq!(canonical(b"\"\xff\""), Err(NotStrict));
}

#[test]
fn depth_is_bounded() {
    let nested = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
    assert!(canonical(nested(MAX_DEPTH).as_bytes()).is_ok());
    assert_eq!(canonical(nested(MAX_DEPTH + 1).as_bytes()), Err(NotStrict));
    assert_eq!(canonical("[".repeat(1_000_000).as_bytes()), Err(NotStrict));
    assert!(canonical(format!("[{}]", vec![nested(MAX_DEPTH - 1); 3].join(",")).as_bytes()).is_ok());
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        prop_oneof![Just("true"), Just("false"), Just("null")].prop_map(Value::Word),
        "-?(0|[1-9][0-9]{0,3})(\\.[0-9]{1,2})?([eE][+-]?[0-9]{1,2})?".prop_map(Value::Number),
        any::<String>().prop_map(Value::Text),
        "[ab\"\\\\\n]{0,3}".prop_map(Value::Text),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::Array),
            prop::collection::btree_map("[ab\"\\\\é]{0,3}", inner, 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// Writes a value; every choice that must not count is drawn from `choices`.
fn render(value: &Value, choices: &mut impl FnMut() -> u8, out: &mut String) {
    space(choices, out);
    match value {
        Value::Word(word) => out.push_str(word),
        Value::Number(text) => out.push_str(text),
        Value::Text(text) => render_text(text, choices, out),
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                out.push_str(if index == 0 { "" } else { "," });
                render(item, choices, out);
            }
            out.push(']');
        }
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            let turn = if members.is_empty() { 0 } else { usize::from(choices()) % members.len() };
            members.rotate_left(turn);
            out.push('{');
            for (index, (key, member)) in members.into_iter().enumerate() {
                out.push_str(if index == 0 { "" } else { "," });
                space(choices, out);
                render_text(key, choices, out);
                space(choices, out);
                out.push(':');
                render(member, choices, out);
            }
            out.push('}');
        }
    }
    space(choices, out);
}

fn space(choices: &mut impl FnMut() -> u8, out: &mut String) {
    out.push_str(["", "", "", " ", "\n", "\t\r"][usize::from(choices()) % 6]);
}

fn render_text(text: &str, choices: &mut impl FnMut() -> u8, out: &mut String) {
    out.push('"');
    for character in text.chars() {
        let must = character < ' ' || matches!(character, '"' | '\\');
        if !must && !choices().is_multiple_of(4) {
            out.push(character);
        } else if matches!(character, '"' | '\\') && choices().is_multiple_of(2) {
            out.extend(['\\', character]);
        } else {
            for unit in character.encode_utf16(&mut [0; 2]) {
                out.push_str(&if choices().is_multiple_of(2) {
                    format!("\\u{unit:04x}")
                } else {
                    format!("\\u{unit:04X}")
                });
            }
        }
    }
    out.push('"');
}

fn rendered(value: &Value, seed: u64) -> String {
    let mut state = seed | 1;
    let mut out = String::new();
    render(
        value,
        &mut || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        },
        &mut out,
    );
    out
}

proptest! {
    /// Two renderings of one value are the same; renderings of two values are not.
    #[test]
    fn equal_exactly_where_the_values_are(left in values(), right in values(), seeds in any::<(u64, u64)>()) {
        let (first, second) = (rendered(&left, seeds.0), rendered(&left, seeds.1));
        prop_assert!(canonical(first.as_bytes()).is_ok(), "{first}");
        prop_assert!(same(first.as_bytes(), second.as_bytes()), "{first} {second}");
        let other = rendered(&right, seeds.1);
        prop_assert_eq!(same(first.as_bytes(), other.as_bytes()), left == right, "{} {}", first, other);
    }

    /// What we call strict, another JSON reader accepts too, and what it refuses we refuse.
    #[test]
    fn strict_is_never_wider_than_json(text in "[\\[\\]{}:,\"\\\\a0-2.eE+ \\-]{0,12}") {
        let other = serde_json::from_str::<serde_json::Value>(&text);
        let out_of_range = matches!(&other, Err(error) if error.to_string().contains("out of range"));
        let ours = canonical(text.as_bytes());
        if ours.is_ok() {
            prop_assert!(other.is_ok() || out_of_range, "{}", text);
        } else {
            // Duplicate keys are the one thing that we refuse and the other accepts at this size.
            prop_assert!(other.is_err() || text.matches('"').count() >= 4, "{}", text);
        }
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let _ = canonical(&bytes);
    }
}
