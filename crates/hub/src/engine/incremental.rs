//! Who wants which increments of a channel, and for how long after the last of them has left.
//!
//! Counts only; what is compared is decided by whoever asks for the engine's basis.

use crate::updates::{Increments, Updates};

/// Who wants which increments of a channel.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Incremental {
    json_patch: Asked,
    merge_patch: Asked,
}

/// Whether somebody asks for one kind of increments.
#[derive(Debug, Clone, Copy, Default)]
struct Asked {
    followers: u32,
    /// Publications that still get a change, although nobody is there: who comes back soon finds a chain of them.
    lingering: u32,
}

/// Publications that get a change after the last one who asked for it has left.
pub(super) const LINGERING_PUBLICATIONS: u32 = 16;

impl Incremental {
    pub(super) fn wanted(&self) -> Increments {
        let is_asked = |asked: Asked| asked.followers > 0 || asked.lingering > 0;
        Increments { json_patch: is_asked(self.json_patch), merge_patch: is_asked(self.merge_patch) }
    }

    pub(super) fn join(&mut self, updates: Updates) {
        if let Some(asked) = self.asked(updates) {
            asked.followers += 1;
        }
    }

    pub(super) fn leave(&mut self, updates: Updates) {
        let Some(asked) = self.asked(updates) else { return };
        let Some(left) = asked.followers.checked_sub(1) else { return };
        *asked = Asked { followers: left, lingering: if left == 0 { LINGERING_PUBLICATIONS } else { 0 } };
    }

    pub(super) fn note_publication(&mut self) {
        for asked in [&mut self.json_patch, &mut self.merge_patch] {
            asked.lingering = asked.lingering.saturating_sub(u32::from(asked.followers == 0));
        }
    }

    fn asked(&mut self, updates: Updates) -> Option<&mut Asked> {
        match updates {
            Updates::Whole => None,
            Updates::JsonPatch => Some(&mut self.json_patch),
            Updates::MergePatch => Some(&mut self.merge_patch),
        }
    }
}
