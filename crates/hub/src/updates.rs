//! Increments: in which way a subscription wants to hear that a document has changed, and what a publication
//! carries for those who want it. Patches are opaque here; they come from whoever appends.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use bytes::Bytes;

use crate::position::Position;

/// What a subscription gets where a document has changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Updates {
    /// The whole document.
    #[default]
    Whole,
    /// A JSON Patch (RFC 6902) where there is one.
    JsonPatch,
    /// A JSON Merge Patch (RFC 7396) where there is one.
    MergePatch,
}

/// A set of the two kinds of increments.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Increments {
    /// [`Updates::JsonPatch`].
    pub json_patch: bool,
    /// [`Updates::MergePatch`].
    pub merge_patch: bool,
}

/// How a publication's document differs from that of the offset before it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Change {
    /// As a JSON Patch, if there is a smaller one than the document.
    pub json_patch: Option<Bytes>,
    /// The same as a JSON Merge Patch.
    pub merge_patch: Option<Bytes>,
}

/// A change on its way into a log, with the place of what it starts from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compared {
    /// Anything appended after this makes the change meaningless.
    pub from: Position,
    /// The change.
    pub change: Arc<Change>,
}

/// The text names no kind of increments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UpdatesError;

impl Increments {
    /// Neither.
    pub const NONE: Self = Self { json_patch: false, merge_patch: false };

    /// Both.
    pub const ALL: Self = Self { json_patch: true, merge_patch: true };

    /// True without any.
    #[must_use]
    pub fn is_none(self) -> bool {
        self == Self::NONE
    }

    /// Those that are in `other`, too.
    #[must_use]
    pub fn both(self, other: Self) -> Self {
        Self {
            json_patch: self.json_patch && other.json_patch,
            merge_patch: self.merge_patch && other.merge_patch,
        }
    }

    /// Whether what such a subscription asks for is among them. Whole documents never are.
    #[must_use]
    pub fn include(self, updates: Updates) -> bool {
        match updates {
            Updates::Whole => false,
            Updates::JsonPatch => self.json_patch,
            Updates::MergePatch => self.merge_patch,
        }
    }
}

impl Change {
    /// The patch of a kind, if there is one.
    #[must_use]
    pub fn patch(&self, updates: Updates) -> Option<&Bytes> {
        match updates {
            Updates::Whole => None,
            Updates::JsonPatch => self.json_patch.as_ref(),
            Updates::MergePatch => self.merge_patch.as_ref(),
        }
    }

    /// Bytes of all patches.
    #[must_use]
    pub fn size(&self) -> usize {
        self.json_patch.iter().chain(&self.merge_patch).map(Bytes::len).sum()
    }
}

impl Updates {
    /// The word for it in queries and commands; whole documents have none.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        match self {
            Self::Whole => None,
            Self::JsonPatch => Some("json-patch"),
            Self::MergePatch => Some("merge-patch"),
        }
    }
}

impl FromStr for Updates {
    type Err = UpdatesError;

    /// Reads what [`Updates::name`] gives.
    fn from_str(text: &str) -> Result<Self, UpdatesError> {
        match text {
            "json-patch" => Ok(Self::JsonPatch),
            "merge-patch" => Ok(Self::MergePatch),
            _ => Err(UpdatesError),
        }
    }
}

impl fmt::Display for UpdatesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("'updates' is json-patch or merge-patch; without it whole documents come")
    }
}

impl std::error::Error for UpdatesError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_has_one_name_and_whole_documents_have_none() {
        for updates in [Updates::JsonPatch, Updates::MergePatch] {
            assert_eq!(updates.name().map(str::parse), Some(Ok(updates)));
            assert!(Increments::ALL.include(updates) && !Increments::NONE.include(updates));
        }
        for text in ["", "whole", "JSON-Patch", "json-patch "] {
            assert_eq!(text.parse::<Updates>(), Err(UpdatesError), "{text}");
        }
        assert!(Updates::Whole.name().is_none() && !Increments::ALL.include(Updates::Whole));
    }

    #[test]
    fn a_change_may_have_one_kind_only() {
        let change = Change { json_patch: Some(Bytes::from_static(b"[]")), merge_patch: None };
        assert_eq!(change.patch(Updates::JsonPatch).map(Bytes::len), Some(2));
        assert_eq!((change.patch(Updates::MergePatch), change.patch(Updates::Whole)), (None, None));
        assert_eq!(change.size(), 2);
    }
}
