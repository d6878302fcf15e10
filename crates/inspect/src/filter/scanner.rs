//! The text of a filter, taken piece by piece, with the place of each for what is said about it.
//!
//! What the pieces mean is `parse`'s.

/// The rest of a text.
#[derive(Debug, Clone)]
pub(super) struct Scanner<'t> {
    text: &'t str,
    at: usize,
}

/// A value as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Value {
    pub(super) text: String,
    pub(super) quotes: Quotes,
    /// Bytes in front of its first character, quotation marks not counted.
    pub(super) at: usize,
}

/// What stood around a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quotes {
    None,
    Double,
    /// Slashes, and whether an `i` stood behind them.
    Slashes {
        ignores_case: bool,
    },
}

/// A value that begins and does not end; the place is that of its first quotation mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unended(pub(super) usize, pub(super) &'static str);

impl<'t> Scanner<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self { text, at: 0 }
    }

    /// Bytes that were taken.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    /// Takes white space; false if nothing is behind it.
    pub(super) fn skip_white(&mut self) -> bool {
        self.at += self.rest().len() - self.rest().trim_start().len();
        !self.rest().is_empty()
    }

    pub(super) fn skip(&mut self, character: char) -> bool {
        let is_there = self.rest().starts_with(character);
        if is_there {
            self.at += character.len_utf8();
        }
        is_there
    }

    /// True at white space and at the end.
    pub(super) fn is_at_gap(&self) -> bool {
        self.rest().chars().next().is_none_or(char::is_whitespace)
    }

    /// Takes a word and the colon behind it, if that is what comes.
    pub(super) fn key(&mut self) -> Option<&'t str> {
        let rest = self.rest();
        let length = rest.bytes().take_while(u8::is_ascii_alphanumeric).count();
        if length == 0 || !rest[length..].starts_with(':') {
            return None;
        }
        self.at += length + 1;
        Some(&rest[..length])
    }

    /// Takes a value in quotation marks, between slashes or up to a comma or white space.
    pub(super) fn value(&mut self) -> Result<Value, Unended> {
        let begin = self.at;
        if self.skip('"') {
            let text =
                self.up_to('"', false).ok_or(Unended(begin, "a quotation mark is missing at the end"))?;
            return Ok(Value { text, quotes: Quotes::Double, at: begin + 1 });
        }
        if self.skip('/') {
            let before = self.clone();
            // A path begins with a slash, too; it has no other one at its end.
            if let Some(text) = self.up_to('/', true) {
                let ignores_case = self.skip('i');
                if self.is_at_gap() || self.rest().starts_with(',') {
                    return Ok(Value { text, quotes: Quotes::Slashes { ignores_case }, at: begin + 1 });
                }
            }
            *self = before;
            self.at = begin;
        }
        let text = self.bare(|character| character == ',' || character.is_whitespace());
        Ok(Value { text, quotes: Quotes::None, at: begin })
    }

    /// Takes everything up to white space that is not within quotation marks.
    pub(super) fn expression(&mut self) -> Value {
        let at = self.at;
        let (mut is_quoted, mut is_escaped) = (false, false);
        let text = self.bare(|character| {
            if is_escaped {
                is_escaped = false;
                return false;
            }
            match character {
                '"' => is_quoted = !is_quoted,
                '\\' => is_escaped = is_quoted,
                _ => {}
            }
            !is_quoted && character.is_whitespace()
        });
        Value { text, quotes: Quotes::None, at }
    }

    fn bare(&mut self, is_end: impl FnMut(char) -> bool) -> String {
        let rest = self.rest();
        let length = rest.find(is_end).unwrap_or(rest.len());
        self.at += length;
        rest[..length].to_owned()
    }

    /// Takes text up to a mark, which a backslash makes a part of it. `keeps` says that other backslashes stay.
    fn up_to(&mut self, mark: char, keeps: bool) -> Option<String> {
        let mut text = String::new();
        let mut characters = self.rest().char_indices();
        while let Some((at, character)) = characters.next() {
            match character {
                '\\' => {
                    let (_, escaped) = characters.next()?;
                    if keeps && escaped != mark {
                        text.push('\\');
                    }
                    text.push(escaped);
                }
                _ if character == mark => {
                    self.at += at + mark.len_utf8();
                    return Some(text);
                }
                _ => text.push(character),
            }
        }
        None
    }
}
