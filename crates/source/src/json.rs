//! Whether two bodies hold the same JSON value. A canonical form is made of each, and they are compared.
//!
//! Not a parser for others: no tree is built and no number is read. Key order and white space don't
//! count, numbers count by their text, strings by what they decode to. Bodies come from the poller.

pub(crate) mod scan;

use std::borrow::Cow;
use std::ops::Range;

pub use self::scan::MAX_DEPTH;
use self::scan::Scanner;

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
    let mut reader = Reader { scanner: Scanner::new(body)?, out: Vec::new() };
    reader.scanner.skip_white_space();
    reader.value()?;
    reader.scanner.skip_white_space();
    if reader.scanner.is_at_end() { Ok(reader.out) } else { Err(NotStrict) }
}

struct Reader<'a> {
    scanner: Scanner<'a>,
    out: Vec<u8>,
}

/// Where a member of an object stands in the output.
struct Member {
    key: Range<usize>,
    whole: Range<usize>,
}

impl Reader<'_> {
    fn value(&mut self) -> Result<(), NotStrict> {
        match self.scanner.peek() {
            Some(b'{') => self.object(),
            Some(b'[') => self.array(),
            Some(b'"') => self.string(),
            _ => {
                self.out.extend_from_slice(self.scanner.literal()?.as_bytes());
                Ok(())
            }
        }
    }

    fn array(&mut self) -> Result<(), NotStrict> {
        self.out.push(b'[');
        let mut ended = self.scanner.begins_empty(b']')?;
        while !ended {
            self.value()?;
            self.out.push(b',');
            ended = self.scanner.ends_with(b']')?;
        }
        self.out.push(b']');
        Ok(())
    }

    fn object(&mut self) -> Result<(), NotStrict> {
        self.out.push(b'{');
        let start = self.out.len();
        let mut members = Vec::new();
        let mut ended = self.scanner.begins_empty(b'}')?;
        while !ended {
            members.push(self.member()?);
            ended = self.scanner.ends_with(b'}')?;
        }
        self.sort_members(start, members)?;
        self.out.push(b'}');
        Ok(())
    }

    fn member(&mut self) -> Result<Member, NotStrict> {
        let start = self.out.len();
        let key = self.scanner.key()?;
        self.put_string(key);
        let key = start..self.out.len();
        self.out.push(b':');
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

    fn string(&mut self) -> Result<(), NotStrict> {
        let decoded = self.scanner.string()?;
        self.put_string(decoded);
        Ok(())
    }

    fn put_string(&mut self, decoded: Cow<'_, str>) {
        self.out.push(b'"');
        match decoded {
            // What is lent held no escape.
            Cow::Borrowed(plain) => self.out.extend_from_slice(plain.as_bytes()),
            Cow::Owned(decoded) => {
                for byte in decoded.bytes() {
                    if matches!(byte, b'"' | b'\\') {
                        self.out.push(b'\\');
                    }
                    self.out.push(byte);
                }
            }
        }
        self.out.push(b'"');
    }
}

#[cfg(test)]
mod tests;
