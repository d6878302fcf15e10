//! A JSON document as a tree for comparing: every value with its own text, its hash and its size.
//!
//! Values are the same where they mean the same: members have been sorted, strings decoded, numbers count by their
//! text. Hashes only save comparisons; what they say is always checked.

use std::borrow::Cow;
use std::hash::{BuildHasher, Hash, Hasher};

use foldhash::fast::RandomState;

use crate::json::NotStrict;
use crate::json::scan::Scanner;

/// Values of one document, beyond which none is made a tree of: a tree has about 90 bytes a value.
const VALUES_MAX: usize = 131_072;

/// A value within its document.
#[derive(Debug)]
pub(super) struct Value<'a> {
    /// As it stands in the document.
    raw: &'a str,
    /// Bytes of it without white space.
    size: usize,
    hash: u64,
    pub(super) shape: Shape<'a>,
}

#[derive(Debug)]
pub(super) enum Shape<'a> {
    /// A number, `true`, `false` or `null`: what counts is its text.
    Literal,
    /// What a string stands for.
    Text(Cow<'a, str>),
    Array(Vec<Value<'a>>),
    /// Ascending by key.
    Object(Vec<Member<'a>>),
}

#[derive(Debug)]
pub(super) struct Member<'a> {
    pub(super) key: Cow<'a, str>,
    pub(super) value: Value<'a>,
}

/// Reads a document. Hashes of one `state` alone can be compared.
pub(super) fn read<'a>(document: &'a [u8], state: &RandomState) -> Result<Value<'a>, NotStrict> {
    let mut reader = Reader { scanner: Scanner::new(document)?, state, values: 0 };
    reader.scanner.skip_white_space();
    let value = reader.value()?;
    reader.scanner.skip_white_space();
    if reader.scanner.is_at_end() { Ok(value) } else { Err(NotStrict) }
}

impl Value<'_> {
    /// Bytes that [`Value::write`] appends.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// Appends it as it stands in its document, but for white space.
    pub(super) fn write(&self, output: &mut Vec<u8>) {
        if self.size == self.raw.len() {
            output.extend_from_slice(self.raw.as_bytes());
            return;
        }
        let (mut in_string, mut escaped) = (false, false);
        for byte in self.raw.bytes() {
            match byte {
                b' ' | b'\t' | b'\r' | b'\n' if !in_string => continue,
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_string = !in_string,
                _ => {}
            }
            output.push(byte);
        }
    }

    pub(super) fn is_null(&self) -> bool {
        self.raw == "null"
    }

    /// A number, string or word.
    pub(super) fn is_scalar(&self) -> bool {
        matches!(self.shape, Shape::Literal | Shape::Text(_))
    }

    /// A member of an object.
    pub(super) fn member(&self, key: &str) -> Option<&Self> {
        let Shape::Object(members) = &self.shape else { return None };
        let place = members.binary_search_by(|member| member.key.as_ref().cmp(key)).ok()?;
        members.get(place).map(|member| &member.value)
    }
}

impl PartialEq for Value<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash
            && match (&self.shape, &other.shape) {
                (Shape::Literal, Shape::Literal) => self.raw == other.raw,
                (Shape::Text(one), Shape::Text(another)) => one == another,
                (Shape::Array(one), Shape::Array(another)) => one == another,
                (Shape::Object(one), Shape::Object(another)) => {
                    let same = |(one, another): (&Member<'_>, &Member<'_>)| {
                        one.key == another.key && one.value == another.value
                    };
                    one.len() == another.len() && one.iter().zip(another).all(same)
                }
                _ => false,
            }
    }
}

impl Eq for Value<'_> {}

impl Hash for Value<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

struct Reader<'a, 's> {
    scanner: Scanner<'a>,
    state: &'s RandomState,
    values: usize,
}

impl<'a> Reader<'a, '_> {
    fn value(&mut self) -> Result<Value<'a>, NotStrict> {
        if self.values == VALUES_MAX {
            return Err(NotStrict);
        }
        self.values += 1;
        let (start, space) = (self.scanner.at(), self.scanner.space());
        let mut hasher = self.state.build_hasher();
        let shape = match self.scanner.peek() {
            Some(b'{') => Shape::Object(self.object(&mut hasher)?),
            Some(b'[') => Shape::Array(self.array(&mut hasher)?),
            Some(b'"') => {
                let decoded = self.scanner.string()?;
                hasher.write_u8(1);
                hasher.write(decoded.as_bytes());
                Shape::Text(decoded)
            }
            _ => {
                let text = self.scanner.literal()?;
                hasher.write_u8(2);
                hasher.write(text.as_bytes());
                Shape::Literal
            }
        };
        let raw = self.scanner.since(start);
        let size = raw.len() - (self.scanner.space() - space);
        Ok(Value { raw, size, hash: hasher.finish(), shape })
    }

    fn array(&mut self, hasher: &mut impl Hasher) -> Result<Vec<Value<'a>>, NotStrict> {
        let mut values = Vec::new();
        let mut ended = self.scanner.begins_empty(b']')?;
        while !ended {
            values.push(self.value()?);
            ended = self.scanner.ends_with(b']')?;
        }
        hasher.write_u8(3);
        values.iter().for_each(|value| hasher.write_u64(value.hash));
        Ok(values)
    }

    fn object(&mut self, hasher: &mut impl Hasher) -> Result<Vec<Member<'a>>, NotStrict> {
        let mut members = Vec::new();
        let mut ended = self.scanner.begins_empty(b'}')?;
        while !ended {
            members.push(Member { key: self.scanner.key()?, value: self.value()? });
            ended = self.scanner.ends_with(b'}')?;
        }
        members.sort_unstable_by(|one, another| one.key.cmp(&another.key));
        if members.windows(2).any(|pair| pair[0].key == pair[1].key) {
            return Err(NotStrict);
        }
        hasher.write_u8(4);
        for Member { key, value } in &members {
            hasher.write(key.as_bytes());
            hasher.write_u64(value.hash);
        }
        Ok(members)
    }
}
