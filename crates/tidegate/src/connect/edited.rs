//! The line that is being typed: what keys do to it, and what of it is seen.
//!
//! It reads no keys and writes nowhere. A pasted text of several lines is one line of it, and one message.

use std::borrow::Cow;

use unicode_width::UnicodeWidthChar;

use super::history::History;
use crate::terminal::escape;

/// Longest line in bytes, that of stdin; what is beyond is not taken.
const LINE_MAX_BYTES: usize = 16 << 20;

/// What stands in front of the line.
const PROMPT: &str = "> ";

/// What a key asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Key {
    /// What was typed or pasted goes in where the cursor is.
    Insert(String),
    Left,
    Right,
    Home,
    End,
    Backspace,
    Delete,
    /// Take away the word before the cursor.
    EraseWord,
    /// Take away all before the cursor.
    EraseStart,
    /// Take away all behind it.
    EraseEnd,
    Older,
    Newer,
    Enter,
    /// The end of input on an empty line, Delete on others.
    EndOrDelete,
}

/// What came of a key.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The line is to be shown again.
    Changed,
    Entered(String),
    /// No more lines come.
    Ended,
}

/// What of the line is seen on a row of the terminal.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct View {
    pub(crate) text: String,
    /// Columns before the cursor.
    pub(crate) cursor: usize,
}

/// See the module's head. `cursor` is at a boundary of characters, before one that takes columns or at the end.
#[derive(Debug, Default)]
pub(crate) struct Edited {
    text: String,
    cursor: usize,
    history: History,
}

impl Edited {
    pub(crate) fn handle_key(&mut self, key: Key) -> Step {
        match key {
            Key::Insert(text) => self.insert(&text),
            Key::Left => self.cursor = self.before(),
            Key::Right => self.cursor = self.behind(),
            Key::Home => self.cursor = 0,
            Key::End => self.cursor = self.text.len(),
            Key::Backspace => self.erase(self.before(), self.cursor),
            Key::Delete => self.erase(self.cursor, self.behind()),
            Key::EraseWord => self.erase(self.word(), self.cursor),
            Key::EraseStart => self.erase(0, self.cursor),
            Key::EraseEnd => self.erase(self.cursor, self.text.len()),
            Key::Older => {
                let older = self.history.older(&self.text);
                self.replace(older);
            }
            Key::Newer => {
                let newer = self.history.newer();
                self.replace(newer);
            }
            Key::Enter => return self.enter(),
            Key::EndOrDelete if self.text.is_empty() => return Step::Ended,
            Key::EndOrDelete => self.erase(self.cursor, self.behind()),
        }
        Step::Changed
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The part around the cursor, at most `columns` wide with the prompt. What would act on the terminal is
    /// shown as another character.
    pub(crate) fn view(&self, columns: usize) -> View {
        let room = columns.saturating_sub(PROMPT.len() + 1).max(2);
        let (before, behind) = self.text.split_at(self.cursor);
        // From the cursor back as far as there is room; a third is left for what follows it.
        let has_more = !behind.is_empty();
        let back = take(before.chars().rev(), if has_more { room - room / 3 } else { room });
        let on = take(behind.chars(), room - back.columns);
        let shown: String = back.shown.chars().rev().chain(on.shown.chars()).collect();
        View { text: format!("{PROMPT}{shown}"), cursor: PROMPT.len() + back.columns }
    }

    fn insert(&mut self, text: &str) {
        if self.text.len() + text.len() > LINE_MAX_BYTES {
            return;
        }
        self.text.insert_str(self.cursor, text);
        self.cursor += text.len();
        while !self.is_stop(self.cursor) {
            self.cursor += self.text[self.cursor..].chars().next().map_or(1, char::len_utf8);
        }
    }

    fn erase(&mut self, from: usize, to: usize) {
        self.text.replace_range(from..to, "");
        self.cursor = from;
        if !self.is_stop(from) {
            self.cursor = self.before();
        }
    }

    fn replace(&mut self, line: Option<String>) {
        if let Some(line) = line {
            self.cursor = line.len();
            self.text = line;
        }
    }

    fn enter(&mut self) -> Step {
        self.cursor = 0;
        let line = std::mem::take(&mut self.text);
        self.history.add(&line);
        Step::Entered(line)
    }

    /// The place of the cursor one step to the left.
    fn before(&self) -> usize {
        let stops = self.text[..self.cursor].char_indices().rev().map(|(at, _)| at);
        stops.into_iter().find(|at| self.is_stop(*at)).unwrap_or(0)
    }

    /// The place of the cursor one step to the right.
    fn behind(&self) -> usize {
        let stops = self.text[self.cursor..].char_indices().skip(1).map(|(at, _)| self.cursor + at);
        stops.into_iter().find(|at| self.is_stop(*at)).unwrap_or(self.text.len())
    }

    /// Where the word before the cursor begins.
    fn word(&self) -> usize {
        let before = self.text[..self.cursor].trim_end();
        let blank = before.char_indices().rev().find(|(_, character)| character.is_whitespace());
        blank.map_or(0, |(at, character)| at + character.len_utf8())
    }

    /// The cursor may stand there: what follows is no accent of what is before.
    fn is_stop(&self, at: usize) -> bool {
        at == 0 || self.text[at..].chars().next().is_none_or(|character| character.width() != Some(0))
    }
}

/// What is shown of some characters.
struct Taken {
    shown: String,
    columns: usize,
}

/// As many of them as there is room for.
fn take(characters: impl Iterator<Item = char>, room: usize) -> Taken {
    let mut taken = Taken { shown: String::new(), columns: 0 };
    for character in characters {
        let (shown, width) = shown(character);
        if taken.columns + width > room {
            break;
        }
        taken.shown.push(shown);
        taken.columns += width;
    }
    taken
}

/// A character as it is shown, and its columns.
fn shown(character: char) -> (char, usize) {
    match character {
        '\n' => ('⏎', 1),
        '\t' => (' ', 1),
        _ => match character.width() {
            Some(width) if width > 0 || !is_harmful(character) => (character, width),
            _ => ('·', 1),
        },
    }
}

fn is_harmful(character: char) -> bool {
    matches!(escape(character.encode_utf8(&mut [0; 4])), Cow::Owned(_))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn typed(keys: &[Key]) -> Edited {
        let mut edited = Edited::default();
        for key in keys {
            assert_eq!(edited.handle_key(key.clone()), Step::Changed, "{key:?}");
        }
        edited
    }

    fn insert(text: &str) -> Key {
        Key::Insert(text.to_owned())
    }

    #[test]
    fn keys() {
        for (keys, text, cursor) in [
            (
                &[insert("hallo"), Key::Left, Key::Left, Key::Left, Key::Backspace, insert("e")][..],
                "hello",
                2,
            ),
            (&[insert("ab"), Key::Home, Key::Delete, Key::Right, Key::Right], "b", 1),
            (&[insert("one two  "), Key::EraseWord], "one ", 4),
            (&[insert("水e\u{301}x"), Key::Left, Key::Left], "水e\u{301}x", 3),
            (&[insert("e\u{301}"), Key::Backspace, Key::Backspace], "", 0),
            (&[insert("abcd"), Key::Left, Key::Left, Key::EraseStart, Key::End], "cd", 2),
            (&[insert("abcd"), Key::Left, Key::Left, Key::EraseEnd, Key::EndOrDelete], "ab", 2),
            (&[insert("a\nb"), Key::Older, Key::Newer], "a\nb", 3),
        ] {
            let edited = typed(keys);
            assert_eq!((edited.text.as_str(), edited.cursor), (text, cursor), "{keys:?}");
        }
    }

    #[test]
    fn entered_lines_come_back() {
        let mut edited = typed(&[insert("one")]);
        assert_eq!(edited.handle_key(Key::Enter), Step::Entered("one".to_owned()));
        edited.handle_key(insert("dra"));
        edited.handle_key(Key::Older);
        assert_eq!(edited.view(80), View { text: "> one".to_owned(), cursor: 5 });
        edited.handle_key(Key::Newer);
        assert_eq!(edited.text, "dra");
        assert_eq!(edited.handle_key(Key::EndOrDelete), Step::Changed);
        edited.handle_key(Key::EraseStart);
        assert_eq!(edited.handle_key(Key::EndOrDelete), Step::Ended);
    }

    #[test]
    fn what_is_seen() {
        let view = typed(&[insert("a\n水\u{1b}\u{202e}\t!"), Key::Left]).view(80);
        assert_eq!(view, View { text: "> a⏎水·· !".to_owned(), cursor: 9 });
        let long: String = ('a'..='z').collect();
        assert_eq!(typed(&[insert(&long)]).view(13).text, "> qrstuvwxyz");
        assert_eq!(typed(&[insert(&long), Key::Home]).view(13).text, "> abcdefghij");
        let too_long = typed(&[insert("x"), insert(&"y".repeat(LINE_MAX_BYTES))]);
        assert_eq!(too_long.text, "x");
    }

    fn key() -> impl Strategy<Value = Key> {
        prop_oneof![
            3 => "[a \n\u{301}水\u{1b}\u{202e}\u{200d}👩]{1,4}".prop_map(Key::Insert),
            3 => prop::sample::select(vec![
                Key::Left, Key::Right, Key::Home, Key::End, Key::Backspace, Key::Delete, Key::EraseWord,
                Key::EraseStart, Key::EraseEnd, Key::Older, Key::Newer, Key::Enter, Key::EndOrDelete,
            ]),
        ]
    }

    proptest! {
        #[test]
        fn any_keys_leave_a_line_that_can_be_shown(keys in prop::collection::vec(key(), 0..60), columns in 0usize..30) {
            let mut edited = Edited::default();
            for key in keys {
                edited.handle_key(key);
                prop_assert!(edited.text.is_char_boundary(edited.cursor));
                let view = edited.view(columns);
                let width: usize = view.text.chars().filter_map(UnicodeWidthChar::width).sum();
                prop_assert!(width < columns.max(6) && view.cursor <= width, "{view:?}");
                let shown = escape(&view.text);
                prop_assert!(matches!(shown, Cow::Borrowed(_)), "{}", shown);
            }
        }
    }
}
