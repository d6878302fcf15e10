//! Who follows a channel on this shard: sessions by form, updates and packing, so that fan-out decides once for each
//! list and not for each session.

use crate::encode::{Form, Packing};
use crate::updates::Updates;

/// What all sessions of a list have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Taste {
    pub(crate) form: Form,
    pub(crate) updates: Updates,
    pub(crate) packing: Packing,
}

/// The sessions of one taste.
#[derive(Debug)]
pub(crate) struct Audience {
    pub(crate) taste: Taste,
    /// Their places in the hub's slab, in no order. Never empty.
    pub(crate) sessions: Vec<u32>,
}

/// All audiences of a channel, ordered by form and updates: those of one form and updates share what was encoded for
/// them. There are as many as there are combinations in use, because most channels have one.
#[derive(Debug, Default)]
pub(crate) struct Audiences(Vec<Audience>);

impl Taste {
    /// Whether what is encoded for one is good for the other.
    pub(crate) fn shares_encoding(self, other: Self) -> bool {
        (self.form, self.updates) == (other.form, other.updates)
    }

    fn rank(self) -> (usize, usize) {
        (self.form as usize, self.updates as usize)
    }
}

impl Audiences {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn iter(&self) -> std::slice::Iter<'_, Audience> {
        self.0.iter()
    }

    /// Adds a session and gives its place in its list.
    pub(crate) fn push(&mut self, taste: Taste, session: u32) -> u32 {
        let Some(list) = self.list(taste) else {
            let at = self.0.partition_point(|one| one.taste.rank() <= taste.rank());
            self.0.reserve_exact(1);
            self.0.insert(at, Audience { taste, sessions: vec![session] });
            return 0;
        };
        list.push(session);
        // One entry a session, and sessions are fewer than 2^32.
        u32::try_from(list.len() - 1).unwrap_or(u32::MAX)
    }

    /// Takes the session at `place` out of its list. Gives the one that has moved there, if one has.
    pub(crate) fn remove(&mut self, taste: Taste, place: u32) -> Option<u32> {
        let at = self.0.iter().position(|one| one.taste == taste)?;
        let sessions = &mut self.0[at].sessions;
        sessions.swap_remove(place as usize);
        let moved = sessions.get(place as usize).copied();
        if sessions.is_empty() {
            self.0.remove(at);
        }
        moved
    }

    fn list(&mut self, taste: Taste) -> Option<&mut Vec<u32>> {
        self.0.iter_mut().find(|one| one.taste == taste).map(|one| &mut one.sessions)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Packing::{Deflated, Own, Plain};
    use Updates::{JsonPatch, Whole};

    fn taste(form: Form, updates: Updates, packing: Packing) -> Taste {
        Taste { form, updates, packing }
    }

    #[test]
    fn lists_that_share_an_encoding_stand_together_and_go_when_they_are_empty() {
        let mut audiences = Audiences::default();
        for (form, updates, packing, session) in [
            (Form::EventStream, Whole, Plain, 1),
            (Form::Bare, Whole, Deflated, 2),
            (Form::Envelope, JsonPatch, Own, 3),
            (Form::Envelope, Whole, Own, 7),
            (Form::Bare, Whole, Plain, 4),
            (Form::Envelope, JsonPatch, Plain, 8),
            (Form::Bare, Whole, Own, 5),
        ] {
            assert_eq!(audiences.push(taste(form, updates, packing), session), 0);
        }
        assert_eq!(audiences.push(taste(Form::Bare, Whole, Deflated), 6), 1);
        let order: Vec<_> = audiences.iter().map(|one| (one.taste.form, one.taste.updates)).collect();
        let (bare, patched) = ((Form::Bare, Whole), (Form::Envelope, JsonPatch));
        let expected =
            [bare, bare, bare, (Form::Envelope, Whole), patched, patched, (Form::EventStream, Whole)];
        assert_eq!(order, expected);
        assert_eq!(audiences.remove(taste(Form::Bare, Whole, Deflated), 0), Some(6));
        assert_eq!(audiences.remove(taste(Form::Bare, Whole, Deflated), 0), None);
        assert_eq!(audiences.iter().count(), 6);
    }
}
