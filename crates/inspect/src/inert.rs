//! What peers sent, made harmless for a terminal.
//!
//! Control characters could move the cursor, set the title or answer on the user's behalf; those that turn
//! the direction of writing could make a line read as what it is not.

use std::borrow::Cow;
use std::fmt::Write;

/// One line of harmless text: line ends and tabs as `\n`, `\r` and `\t`, other control characters as
/// `\u{1b}`.
#[must_use]
pub fn escape(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_harmful) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        if is_harmful(character) {
            let _infallible = write!(escaped, "{}", character.escape_default());
        } else {
            escaped.push(character);
        }
    }
    Cow::Owned(escaped)
}

/// The same for several lines: each is escaped, and the later ones are indented so that none of them can be
/// taken for a line of ours.
#[must_use]
pub fn escape_lines(text: &str, indent: usize) -> String {
    let lines: Vec<Cow<'_, str>> = text.lines().map(escape).collect();
    lines.join(&format!("\n{:indent$}", ""))
}

/// JSON text in which what terminals act on stands as `\uXXXX`. Such characters occur within strings only.
#[must_use]
pub fn escape_json(json: String) -> String {
    if !json.chars().any(is_harmful) {
        return json;
    }
    let mut escaped = String::with_capacity(json.len() + 16);
    for character in json.chars() {
        if is_harmful(character) {
            let _infallible = write!(escaped, "\\u{:04x}", u32::from(character));
        } else {
            escaped.push(character);
        }
    }
    escaped
}

/// C0, DEL, C1, the line and paragraph separators, and what turns the direction of writing. All of them are
/// below U+10000.
pub(crate) fn is_harmful(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}' | '\u{2029}'
            | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_terminals_act_on_is_escaped() {
        for (text, escaped) in [
            ("plain, ünïcode 水🍉", "plain, ünïcode 水🍉"),
            ("\u{1b}]0;title\u{7}", "\\u{1b}]0;title\\u{7}"),
            ("a\r\nb\tc", "a\\r\\nb\\tc"),
            ("\u{9b}31m", "\\u{9b}31m"),
            ("\u{7f}", "\\u{7f}"),
            ("\u{202e}gpj.exe", "\\u{202e}gpj.exe"),
            ("\u{2066}x\u{2069}\u{61c}\u{200f}", "\\u{2066}x\\u{2069}\\u{61c}\\u{200f}"),
        ] {
            assert_eq!(escape(text), escaped);
        }
    }

    #[test]
    fn later_lines_cannot_be_taken_for_ours() {
        assert_eq!(escape_lines("a\n= closed\n\u{1b}[2J", 2), "a\n  = closed\n  \\u{1b}[2J");
    }

    proptest! {
        #[test]
        fn nothing_harmful_is_left(text in any::<String>()) {
            prop_assert!(!escape(&text).chars().any(is_harmful));
            let lines = escape_lines(&text, 4);
            prop_assert!(lines.chars().all(|character| character == '\n' || !is_harmful(character)));
        }

        #[test]
        fn escaped_json_means_the_same(text in any::<String>()) {
            let json = escape_json(serde_json::to_string(&text).unwrap());
            prop_assert!(!json.chars().any(is_harmful));
            prop_assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
        }
    }
}
