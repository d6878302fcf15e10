//! What a channel carries: payloads as sources and publishers hand them in, publications once the
//! channel's log has given them an offset.

use std::sync::Arc;

use bytes::Bytes;

use crate::updates::{Change, Updates};

/// Whether a payload leaves as a text or as a binary message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PayloadKind {
    /// UTF-8.
    Text,
    /// Any bytes.
    Binary,
}

/// The bytes of a publication and their kind. Text is UTF-8, which [`Payload::text`] checks.
///
/// Cloning shares the bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payload {
    kind: PayloadKind,
    bytes: Bytes,
}

/// A payload on its way into a channel, with what its source says about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// What clients get.
    pub payload: Payload,
    /// The name that a stream gave to the event (`event` of SSE); no CR, LF or NUL.
    pub event: Option<Arc<str>>,
    /// The id that a stream gave to the event (`id` of SSE); no CR, LF or NUL.
    pub source_id: Option<Arc<str>>,
}

/// One item in a channel, at its offset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publication {
    /// Its place: the epoch is the log's.
    pub offset: u64,
    /// What was published.
    pub item: Item,
    /// How it differs from what was published at the offset before it, where somebody asked.
    pub change: Option<Arc<Change>>,
}

impl Payload {
    /// A text payload; the bytes come back if they are not UTF-8.
    pub fn text(bytes: Bytes) -> Result<Self, Bytes> {
        if std::str::from_utf8(&bytes).is_ok() {
            Ok(Self { kind: PayloadKind::Text, bytes })
        } else {
            Err(bytes)
        }
    }

    /// A binary payload.
    #[must_use]
    pub fn binary(bytes: Bytes) -> Self {
        Self { kind: PayloadKind::Binary, bytes }
    }

    /// Text where the bytes are UTF-8, binary otherwise.
    #[must_use]
    pub fn guess(bytes: Bytes) -> Self {
        Self::text(bytes).unwrap_or_else(Self::binary)
    }

    /// Text or binary.
    #[must_use]
    pub fn kind(&self) -> PayloadKind {
        self.kind
    }

    /// The bytes, shared.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The text of a text payload.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self.kind {
            PayloadKind::Text => std::str::from_utf8(&self.bytes).ok(),
            PayloadKind::Binary => None,
        }
    }
}

impl Publication {
    /// The same without its change: for who does not have what was published before it.
    #[must_use]
    pub fn whole(&self) -> Self {
        Self { offset: self.offset, item: self.item.clone(), change: None }
    }

    /// What a subscription with such updates gets instead of the payload.
    #[must_use]
    pub fn patch(&self, updates: Updates) -> Option<&Bytes> {
        self.change.as_ref()?.patch(updates)
    }

    /// Bytes of what such a subscription gets: of the patch, or of the payload.
    #[must_use]
    pub fn size_as(&self, updates: Updates) -> usize {
        self.patch(updates).unwrap_or(self.item.payload.bytes()).len()
    }

    /// Bytes of the payload and of all patches.
    #[must_use]
    pub fn size(&self) -> usize {
        self.item.payload.bytes().len() + self.change.as_ref().map_or(0, |change| change.size())
    }
}

impl From<Payload> for Item {
    fn from(payload: Payload) -> Self {
        Self { payload, event: None, source_id: None }
    }
}

impl From<&str> for Payload {
    fn from(text: &str) -> Self {
        Self { kind: PayloadKind::Text, bytes: Bytes::copy_from_slice(text.as_bytes()) }
    }
}
