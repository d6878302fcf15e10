//! JSON Merge Patch (RFC 7396): the document's own shape with only what is different.
//!
//! In a merge patch null means "remove", so that it cannot set null: where that were needed there is none.

use super::text::write_string;
use super::value::{Member, Shape, Value};

/// There is no merge patch, or it would be too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Inexpressible;

/// The patch from `before` to `after`, of less than `max` bytes.
pub(super) fn patch(before: &Value<'_>, after: &Value<'_>, max: usize) -> Result<Vec<u8>, Inexpressible> {
    let mut merge = Merge { output: Vec::new(), max };
    merge.value(before, after)?;
    Ok(merge.output)
}

struct Merge {
    output: Vec<u8>,
    max: usize,
}

impl Merge {
    /// What turns one value into another.
    fn value(&mut self, before: &Value<'_>, after: &Value<'_>) -> Result<(), Inexpressible> {
        if let (Shape::Object(before), Shape::Object(after)) = (&before.shape, &after.shape) {
            return self.object(before, after);
        }
        if loses_null(after) {
            return Err(Inexpressible);
        }
        self.fits(after.size())?;
        after.write(&mut self.output);
        Ok(())
    }

    fn object(&mut self, before: &[Member<'_>], after: &[Member<'_>]) -> Result<(), Inexpressible> {
        self.fits(2)?;
        self.output.push(b'{');
        let first = self.output.len();
        let (mut old, mut new) = (before.iter().peekable(), after.iter().peekable());
        loop {
            // Both ascend by key: the lower one of the two is next.
            let gone = old.next_if(|old| new.peek().is_none_or(|new| old.key < new.key));
            if let Some(Member { key, .. }) = gone {
                self.key(key, first)?;
                self.output.extend_from_slice(b"null");
                continue;
            }
            let Some(Member { key, value }) = new.next() else { break };
            match old.next_if(|old| old.key == *key) {
                Some(old) if old.value == *value => {}
                Some(old) => {
                    self.key(key, first)?;
                    self.value(&old.value, value)?;
                }
                None if loses_null(value) => return Err(Inexpressible),
                None => {
                    self.key(key, first)?;
                    self.fits(value.size())?;
                    value.write(&mut self.output);
                }
            }
        }
        self.output.push(b'}');
        Ok(())
    }

    fn key(&mut self, key: &str, first: usize) -> Result<(), Inexpressible> {
        self.fits(key.len() + 4)?;
        if self.output.len() > first {
            self.output.push(b',');
        }
        self.output.push(b'"');
        write_string(&mut self.output, key);
        self.output.extend_from_slice(b"\":");
        Ok(())
    }

    /// What is written grows by at least this much.
    fn fits(&self, more: usize) -> Result<(), Inexpressible> {
        if self.output.len() + more < self.max { Ok(()) } else { Err(Inexpressible) }
    }
}

/// Whether a merge patch that holds this value sets another one: null, or an object that has null for a member. In
/// arrays null stays, for they are set as they are.
fn loses_null(value: &Value<'_>) -> bool {
    match &value.shape {
        Shape::Object(members) => members.iter().any(|member| loses_null(&member.value)),
        Shape::Literal => value.is_null(),
        Shape::Text(_) | Shape::Array(_) => false,
    }
}
