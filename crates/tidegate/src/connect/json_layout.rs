//! JSON for people: the same text with line breaks and indents.
//!
//! Only white space between tokens changes. Numbers, the order of members and what strings hold stay as the peer wrote
//! them, which a document that was read and written again would not keep.

use serde::de::IgnoredAny;

use crate::terminal::{Ink, Look, escape_json};

/// Longer texts are shown as they came: nobody reads them, and laying them out takes time.
const LAID_OUT_MAX_BYTES: usize = 256 << 10;

/// What fits here stands on one line.
const ONE_LINE_MAX_BYTES: usize = 72;

/// The lines, the later ones indented by `indent` columns; none if it is no object and no array. What terminals act on
/// stands as `\uXXXX`.
pub(crate) fn lay_out(text: &str, indent: usize, look: Look) -> Option<String> {
    let is_structure = text.trim_start().starts_with(['{', '[']);
    if !is_structure || text.len() > LAID_OUT_MAX_BYTES || serde_json::from_str::<IgnoredAny>(text).is_err() {
        return None;
    }
    let tokens = tokens(text);
    let is_short = tokens.iter().map(|token| token.len() + 1).sum::<usize>() <= ONE_LINE_MAX_BYTES;
    let mut layout = Layout { output: String::with_capacity(text.len() * 2), indent, depth: 0, is_short };
    for (index, token) in tokens.iter().enumerate() {
        let (before, after) = (index.checked_sub(1).map(|before| tokens[before]), tokens.get(index + 1));
        layout.add(token, before, after.copied(), look);
    }
    Some(layout.output)
}

struct Layout {
    output: String,
    /// Columns before every line but the first.
    indent: usize,
    /// Structures that are open here.
    depth: usize,
    /// All of it on one line.
    is_short: bool,
}

impl Layout {
    fn add(&mut self, token: &str, before: Option<&str>, after: Option<&str>, look: Look) {
        let closes = matches!(token, "}" | "]");
        if closes {
            self.depth = self.depth.saturating_sub(1);
        }
        let is_inner = matches!(before, Some("{" | "[" | ","));
        // An empty structure stays together.
        let is_last = closes && !matches!(before, Some("{" | "["));
        if (is_inner && !closes) || is_last {
            self.go_on(before == Some(","));
        } else if before == Some(":") {
            self.output.push(' ');
        }
        let harmless = escape_json(token.to_owned());
        if after == Some(":") {
            self.output.push_str(&look.paint(Ink::Key, &harmless));
        } else {
            self.output.push_str(&harmless);
        }
        if matches!(token, "{" | "[") {
            self.depth += 1;
        }
    }

    /// The next item or the end of a structure.
    fn go_on(&mut self, is_after_comma: bool) {
        if !self.is_short {
            self.output.push('\n');
            let columns = self.indent + 2 * self.depth;
            self.output.extend(std::iter::repeat_n(' ', columns));
        } else if is_after_comma {
            self.output.push(' ');
        }
    }
}

/// The tokens of a text that is JSON.
fn tokens(text: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '{' | '}' | '[' | ']' | ',' | ':' => 1,
            '"' => string_length(rest),
            _ => rest.find([',', '}', ']', ' ', '\t', '\r', '\n']).unwrap_or(rest.len()),
        };
        let (token, behind) = rest.split_at(length);
        tokens.push(token);
        rest = behind.trim_start();
    }
    tokens
}

/// Bytes up to the quotation mark that ends the string, both counted.
fn string_length(text: &str) -> usize {
    let mut is_escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    const PLAIN: Look = Look { is_terminal: true, colours: false };

    #[test]
    fn short_documents_stand_on_one_line() {
        for (text, shown) in [
            (r#"{"b":1.0,"a":[1,2]}"#, r#"{"b": 1.0, "a": [1, 2]}"#),
            ("[ ]", "[]"),
            (r#" {"a" : {} , "a":1e400}"#, r#"{"a": {}, "a": 1e400}"#),
            ("{\"a\u{9b}\":\"\u{202e}\\\"\"}", r#"{"a\u009b": "\u202e\""}"#),
        ] {
            assert_eq!(lay_out(text, 9, PLAIN).as_deref(), Some(shown), "{text}");
        }
        for other in ["1", "\"a\"", "null", "", "{", "[1,]", "{} x", "hello"] {
            assert_eq!(lay_out(other, 0, PLAIN), None, "{other}");
        }
    }

    #[test]
    fn long_documents_are_indented() {
        let long = "x".repeat(60);
        let text = format!(r#"{{"name":"{long}","list":[1,{{"a":[]}}]}}"#);
        let shown = format!(
            "{{\n    \"name\": \"{long}\",\n    \"list\": [\n      1,\n      {{\n        \"a\": []\n      }}\n    ]\n  }}"
        );
        assert_eq!(lay_out(&text, 2, PLAIN).as_deref(), Some(shown.as_str()));
        let array = format!("[{}1]", "1,".repeat(LAID_OUT_MAX_BYTES / 2));
        assert_eq!(lay_out(&array, 0, PLAIN), None, "it is too long");
    }

    #[test]
    fn keys_have_a_colour() {
        let shown = lay_out(r#"{"a":"b"}"#, 0, Look { colours: true, ..PLAIN });
        assert_eq!(shown.as_deref(), Some("{\u{1b}[34m\"a\"\u{1b}[0m: \"b\"}"));
    }

    fn document() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            any::<i32>().prop_map(Value::from),
            any::<bool>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
            Just(Value::Null),
        ];
        leaf.prop_recursive(4, 30, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::btree_map(any::<String>(), inner, 0..5)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn it_means_the_same_and_is_harmless(document in document(), spaced: bool, indent in 0usize..9) {
            let text = if spaced { format!("{document:#}") } else { document.to_string() };
            if let Some(shown) = lay_out(&text, indent, PLAIN) {
                prop_assert_eq!(serde_json::from_str::<Value>(&shown).expect("JSON"), document);
                prop_assert!(shown.chars().all(|character| character == '\n' || !character.is_control()));
            }
        }

        #[test]
        fn any_text_is_laid_out_or_not(text in "[\\[{]?[\\[\\]{}\":, a1\\\\é]{0,20}") {
            lay_out(&text, 0, PLAIN);
        }
    }
}
