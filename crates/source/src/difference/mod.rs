//! What turns one JSON document into another: JSON Patch (RFC 6902) and JSON Merge Patch (RFC 7396).
//!
//! Applying a patch gives the document's value exactly: numbers are never rewritten, strings count by what they
//! decode to. There is a patch only where it is smaller than the document.

mod value;
mod text;
mod sequence;
mod align;
mod script;
mod merge;

use bytes::Bytes;
use foldhash::fast::RandomState;

use self::value::Value;

/// Two documents, one after the other. Nothing is computed before it is asked for.
#[derive(Debug)]
pub struct Difference<'a> {
    before: Value<'a>,
    after: Value<'a>,
    /// Bytes of the document: each patch has less.
    size: usize,
    state: RandomState,
}

impl<'a> Difference<'a> {
    /// `None` unless both are strict JSON, of at most 128 levels and 131,072 values.
    #[must_use]
    pub fn between(before: &'a [u8], after: &'a [u8]) -> Option<Self> {
        let state = RandomState::default();
        let before = value::read(before, &state).ok()?;
        Some(Self { before, size: after.len(), after: value::read(after, &state).ok()?, state })
    }

    /// The JSON Patch; `None` if it is not smaller than the document or takes too long to find.
    #[must_use]
    pub fn json_patch(&self) -> Option<Bytes> {
        let patch = script::patch(&self.before, &self.after, self.size, &self.state).ok()?;
        self.smaller(patch)
    }

    /// The JSON Merge Patch; `None` if it is not smaller than the document or would have to set null.
    #[must_use]
    pub fn merge_patch(&self) -> Option<Bytes> {
        let patch = merge::patch(&self.before, &self.after, self.size).ok()?;
        self.smaller(patch)
    }

    fn smaller(&self, patch: Vec<u8>) -> Option<Bytes> {
        (patch.len() < self.size).then(|| Bytes::from(patch))
    }
}

/// The JSON Patch that turns `before` into `after`: see [`Difference`].
#[must_use]
pub fn json_patch(before: &[u8], after: &[u8]) -> Option<Bytes> {
    Difference::between(before, after)?.json_patch()
}

/// The JSON Merge Patch that turns `before` into `after`: see [`Difference`].
#[must_use]
pub fn merge_patch(before: &[u8], after: &[u8]) -> Option<Bytes> {
    Difference::between(before, after)?.merge_patch()
}

#[cfg(test)]
mod tests;
