//! Strict JSON (RFC 8259), token by token: what strings decode to, where numbers and words stand.
//!
//! It knows the tokens and how deep it is, not the values: those are put together by who asks for the tokens.

use std::borrow::Cow;

use super::NotStrict;

/// Arrays and objects inside each other, beyond which a body is not treated as JSON.
pub const MAX_DEPTH: usize = 128;

/// `at` is never beyond the text, and on a character's boundary between two calls.
#[derive(Debug)]
pub(crate) struct Scanner<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    space: usize,
}

impl<'a> Scanner<'a> {
    pub(crate) fn new(body: &'a [u8]) -> Result<Self, NotStrict> {
        let text = std::str::from_utf8(body).map_err(|_| NotStrict)?;
        Ok(Self { text, at: 0, depth: 0, space: 0 })
    }

    /// How much has been read.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// What stands between a place that was read and the present one.
    pub(crate) fn since(&self, start: usize) -> &'a str {
        self.text.get(start..self.at).unwrap_or_default()
    }

    /// How much of what has been read is white space between tokens.
    pub(crate) fn space(&self) -> usize {
        self.space
    }

    pub(crate) fn is_at_end(&self) -> bool {
        self.at == self.text.len()
    }

    pub(crate) fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Takes a byte of ASCII if it is the next one.
    pub(crate) fn take(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        self.at += usize::from(there);
        there
    }

    pub(crate) fn skip_white_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\r' | b'\n') = self.peek() {
            self.at += 1;
            self.space += 1;
        }
    }

    /// The opening bracket of an array or object is next: takes it. True if the closing one follows, which is
    /// taken as well.
    pub(crate) fn begins_empty(&mut self, closing: u8) -> Result<bool, NotStrict> {
        if self.depth == MAX_DEPTH {
            return Err(NotStrict);
        }
        self.at += 1;
        self.skip_white_space();
        let empty = self.take(closing);
        self.depth += usize::from(!empty);
        Ok(empty)
    }

    /// After a value in an array or object: the closing bracket (true) or a comma (false).
    pub(crate) fn ends_with(&mut self, closing: u8) -> Result<bool, NotStrict> {
        self.skip_white_space();
        if self.take(closing) {
            self.depth -= 1;
            return Ok(true);
        }
        let comma = self.take(b',');
        self.skip_white_space();
        if comma { Ok(false) } else { Err(NotStrict) }
    }

    /// A key and the colon after it.
    pub(crate) fn key(&mut self) -> Result<Cow<'a, str>, NotStrict> {
        let key = self.string()?;
        self.skip_white_space();
        if !self.take(b':') {
            return Err(NotStrict);
        }
        self.skip_white_space();
        Ok(key)
    }

    /// What a string stands for.
    pub(crate) fn string(&mut self) -> Result<Cow<'a, str>, NotStrict> {
        if !self.take(b'"') {
            return Err(NotStrict);
        }
        let mut decoded = Cow::Borrowed("");
        loop {
            let start = self.at;
            let rest = &self.text.as_bytes()[start..];
            let plain =
                rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f)).ok_or(NotStrict)?;
            self.at += plain;
            // A lone piece is lent.
            decoded += self.since(start);
            self.at += 1;
            match rest[plain] {
                b'"' => return Ok(decoded),
                b'\\' => decoded.to_mut().push(self.escape()?),
                _ => return Err(NotStrict),
            }
        }
    }

    /// What follows a backslash (RFC 8259 section 7).
    fn escape(&mut self) -> Result<char, NotStrict> {
        let escaped = self.peek().ok_or(NotStrict)?;
        self.at += 1;
        Ok(match escaped {
            b'"' | b'\\' | b'/' => char::from(escaped),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => self.code_point()?,
            _ => return Err(NotStrict),
        })
    }

    fn code_point(&mut self) -> Result<char, NotStrict> {
        let first = self.four_digits()?;
        if !(0xd800..0xdc00).contains(&first) {
            return char::from_u32(first).ok_or(NotStrict);
        }
        if !(self.take(b'\\') && self.take(b'u')) {
            return Err(NotStrict);
        }
        let second = self.four_digits()?;
        if !(0xdc00..0xe000).contains(&second) {
            return Err(NotStrict);
        }
        char::from_u32(0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00)).ok_or(NotStrict)
    }

    fn four_digits(&mut self) -> Result<u32, NotStrict> {
        let digits = self.text.as_bytes().get(self.at..self.at + 4).ok_or(NotStrict)?;
        let value = digits.iter().try_fold(0, |value, digit| {
            char::from(*digit).to_digit(16).map(|digit| value * 16 + digit).ok_or(NotStrict)
        })?;
        self.at += 4;
        Ok(value)
    }

    /// A number (RFC 8259 section 6), `true`, `false` or `null`, as it stands there.
    pub(crate) fn literal(&mut self) -> Result<&'a str, NotStrict> {
        let start = self.at;
        match self.peek() {
            Some(b'-' | b'0'..=b'9') => self.number()?,
            Some(b't') => self.word("true")?,
            Some(b'f') => self.word("false")?,
            Some(b'n') => self.word("null")?,
            _ => return Err(NotStrict),
        }
        Ok(self.since(start))
    }

    fn number(&mut self) -> Result<(), NotStrict> {
        self.take(b'-');
        if !self.take(b'0') {
            self.digits()?;
        }
        if self.take(b'.') {
            self.digits()?;
        }
        if self.take(b'e') || self.take(b'E') {
            let _signed = self.take(b'+') || self.take(b'-');
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), NotStrict> {
        let rest = &self.text.as_bytes()[self.at..];
        let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += count;
        if count == 0 { Err(NotStrict) } else { Ok(()) }
    }

    fn word(&mut self, word: &str) -> Result<(), NotStrict> {
        if !self.text.as_bytes()[self.at..].starts_with(word.as_bytes()) {
            return Err(NotStrict);
        }
        self.at += word.len();
        Ok(())
    }
}
