//! Whether two bodies hold the same JSON value. A canonical form is made of each, and they are compared.
//!
//! Not a parser for others: no tree is built and no number is read. Key order and white space don't
//! count, numbers count by their text, strings by what they decode to. Bodies come from the poller.

use std::ops::Range;

/// Arrays and objects inside each other, beyond which a body is not treated as JSON.
pub const MAX_DEPTH: usize = 128;

/// The bytes are not strict JSON: a fault of syntax or UTF-8, a lone surrogate, a key twice in one
/// object, or more than [`MAX_DEPTH`] levels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotStrict;

/// Whether two bodies mean the same: by value where both are strict JSON, else byte by byte.
#[must_use]
pub fn same(left: &[u8], right: &[u8]) -> bool {
    left == right || matches!((canonical(left), canonical(right)), (Ok(left), Ok(right)) if left == right)
}

/// One text for each JSON value: no white space, members sorted by key, strings with only `"` and `\`
/// escaped, numbers as they were written. At most as long as the body and two bytes a value.
///
/// The text is for comparing; it is not JSON (members end with a comma, control characters are bare).
pub fn canonical(body: &[u8]) -> Result<Vec<u8>, NotStrict> {
    let input = std::str::from_utf8(body).map_err(|_| NotStrict)?.as_bytes();
    let mut reader = Reader { input, at: 0, depth: 0, out: Vec::new() };
    reader.skip_white_space();
    reader.value()?;
    reader.skip_white_space();
    if reader.at == input.len() { Ok(reader.out) } else { Err(NotStrict) }
}

/// `at` is never beyond the input; `input` is UTF-8.
struct Reader<'a> {
    input: &'a [u8],
    at: usize,
    depth: usize,
    out: Vec<u8>,
}

/// Where a member of an object stands in the output.
struct Member {
    key: Range<usize>,
    whole: Range<usize>,
}

impl Reader<'_> {
    fn value(&mut self) -> Result<(), NotStrict> {
        match self.peek() {
            Some(b'{') => self.nested(Self::object),
            Some(b'[') => self.nested(Self::array),
            Some(b'"') => self.string(),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.literal(b"true"),
            Some(b'f') => self.literal(b"false"),
            Some(b'n') => self.literal(b"null"),
            _ => Err(NotStrict),
        }
    }

    fn nested(&mut self, inner: fn(&mut Self) -> Result<(), NotStrict>) -> Result<(), NotStrict> {
        if self.depth == MAX_DEPTH {
            return Err(NotStrict);
        }
        self.depth += 1;
        self.at += 1;
        inner(self)?;
        self.depth -= 1;
        Ok(())
    }

    fn array(&mut self) -> Result<(), NotStrict> {
        self.out.push(b'[');
        self.skip_white_space();
        if !self.take(b']') {
            loop {
                self.skip_white_space();
                self.value()?;
                self.out.push(b',');
                if self.ends_with(b']')? {
                    break;
                }
            }
        }
        self.out.push(b']');
        Ok(())
    }

    fn object(&mut self) -> Result<(), NotStrict> {
        self.out.push(b'{');
        let start = self.out.len();
        let mut members = Vec::new();
        self.skip_white_space();
        if !self.take(b'}') {
            loop {
                members.push(self.member()?);
                if self.ends_with(b'}')? {
                    break;
                }
            }
        }
        self.sort_members(start, members)?;
        self.out.push(b'}');
        Ok(())
    }

    fn member(&mut self) -> Result<Member, NotStrict> {
        let start = self.out.len();
        self.skip_white_space();
        self.string()?;
        let key = start..self.out.len();
        self.skip_white_space();
        if !self.take(b':') {
            return Err(NotStrict);
        }
        self.out.push(b':');
        self.skip_white_space();
        self.value()?;
        self.out.push(b',');
        Ok(Member { key, whole: start..self.out.len() })
    }

    /// Puts the members, which fill the output from `start`, into the order of their keys.
    fn sort_members(&mut self, start: usize, mut members: Vec<Member>) -> Result<(), NotStrict> {
        let out = &self.out;
        let ascending = |pair: &[Member]| out[pair[0].key.clone()] < out[pair[1].key.clone()];
        if members.windows(2).all(ascending) {
            return Ok(());
        }
        members.sort_unstable_by(|left, right| out[left.key.clone()].cmp(&out[right.key.clone()]));
        if !members.windows(2).all(ascending) {
            return Err(NotStrict);
        }
        let unsorted = self.out.split_off(start);
        for Member { whole, .. } in members {
            self.out.extend_from_slice(&unsorted[whole.start - start..whole.end - start]);
        }
        Ok(())
    }

    /// After a value: the closing bracket (true) or a comma (false).
    fn ends_with(&mut self, bracket: u8) -> Result<bool, NotStrict> {
        self.skip_white_space();
        if self.take(bracket) {
            return Ok(true);
        }
        if self.take(b',') { Ok(false) } else { Err(NotStrict) }
    }

    fn string(&mut self) -> Result<(), NotStrict> {
        if !self.take(b'"') {
            return Err(NotStrict);
        }
        self.out.push(b'"');
        loop {
            let rest = &self.input[self.at..];
            let plain =
                rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f)).ok_or(NotStrict)?;
            self.out.extend_from_slice(&rest[..plain]);
            self.at += plain + 1;
            match rest[plain] {
                b'"' => break,
                b'\\' => self.escape()?,
                _ => return Err(NotStrict),
            }
        }
        self.out.push(b'"');
        Ok(())
    }

    /// What follows a backslash (RFC 8259 section 7).
    fn escape(&mut self) -> Result<(), NotStrict> {
        let escaped = self.peek().ok_or(NotStrict)?;
        self.at += 1;
        let decoded = match escaped {
            b'"' | b'\\' | b'/' => char::from(escaped),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => self.code_point()?,
            _ => return Err(NotStrict),
        };
        if matches!(decoded, '"' | '\\') {
            self.out.push(b'\\');
        }
        self.out.extend_from_slice(decoded.encode_utf8(&mut [0; 4]).as_bytes());
        Ok(())
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
        let digits = self.input.get(self.at..self.at + 4).ok_or(NotStrict)?;
        self.at += 4;
        digits.iter().try_fold(0, |value, digit| {
            char::from(*digit).to_digit(16).map(|digit| value * 16 + digit).ok_or(NotStrict)
        })
    }

    /// Copies a number as it is (RFC 8259 section 6).
    fn number(&mut self) -> Result<(), NotStrict> {
        let start = self.at;
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
        self.out.extend_from_slice(&self.input[start..self.at]);
        Ok(())
    }

    fn digits(&mut self) -> Result<(), NotStrict> {
        let count = self.input[self.at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += count;
        if count == 0 { Err(NotStrict) } else { Ok(()) }
    }

    fn literal(&mut self, word: &[u8]) -> Result<(), NotStrict> {
        if !self.input[self.at..].starts_with(word) {
            return Err(NotStrict);
        }
        self.at += word.len();
        self.out.extend_from_slice(word);
        Ok(())
    }

    fn skip_white_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\r' | b'\n') = self.peek() {
            self.at += 1;
        }
    }

    fn take(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        self.at += usize::from(there);
        there
    }

    fn peek(&self) -> Option<u8> {
        self.input.get(self.at).copied()
    }
}

#[cfg(test)]
mod tests;
