//! Who follows a channel on this shard: sessions by form and packing, so that fan-out decides once for each list
//! and not for each session.

use crate::encode::{Form, Packing};

/// The sessions of one form and packing.
#[derive(Debug)]
pub(crate) struct Audience {
    pub(crate) form: Form,
    pub(crate) packing: Packing,
    /// Their places in the hub's slab, in no order. Never empty.
    pub(crate) sessions: Vec<u32>,
}

/// All audiences of a channel, ordered by form: those of one form share what was encoded for it. There are as many
/// as there are combinations in use, because most channels have one.
#[derive(Debug, Default)]
pub(crate) struct Audiences(Vec<Audience>);

impl Audiences {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn iter(&self) -> std::slice::Iter<'_, Audience> {
        self.0.iter()
    }

    /// Adds a session and gives its place in its list.
    pub(crate) fn push(&mut self, form: Form, packing: Packing, session: u32) -> u32 {
        let Some(list) = self.list(form, packing) else {
            let at = self.0.partition_point(|one| (one.form as usize) <= form as usize);
            self.0.reserve_exact(1);
            self.0.insert(at, Audience { form, packing, sessions: vec![session] });
            return 0;
        };
        list.push(session);
        // One entry a session, and sessions are fewer than 2^32.
        u32::try_from(list.len() - 1).unwrap_or(u32::MAX)
    }

    /// Takes the session at `place` out of its list. Gives the one that has moved there, if one has.
    pub(crate) fn remove(&mut self, form: Form, packing: Packing, place: u32) -> Option<u32> {
        let at = self.0.iter().position(|one| (one.form, one.packing) == (form, packing))?;
        let sessions = &mut self.0[at].sessions;
        sessions.swap_remove(place as usize);
        let moved = sessions.get(place as usize).copied();
        if sessions.is_empty() {
            self.0.remove(at);
        }
        moved
    }

    fn list(&mut self, form: Form, packing: Packing) -> Option<&mut Vec<u32>> {
        let found = self.0.iter_mut().find(|one| (one.form, one.packing) == (form, packing));
        found.map(|one| &mut one.sessions)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Packing::{Deflated, Own, Plain};

    #[test]
    fn lists_of_one_form_stand_together_and_go_when_they_are_empty() {
        let mut audiences = Audiences::default();
        for (form, packing, session) in [
            (Form::EventStream, Plain, 1),
            (Form::Bare, Deflated, 2),
            (Form::Envelope, Own, 3),
            (Form::Bare, Plain, 4),
            (Form::Bare, Own, 5),
        ] {
            assert_eq!(audiences.push(form, packing, session), 0);
        }
        assert_eq!(audiences.push(Form::Bare, Deflated, 6), 1);
        let forms: Vec<Form> = audiences.iter().map(|one| one.form).collect();
        assert_eq!(forms, [Form::Bare, Form::Bare, Form::Bare, Form::Envelope, Form::EventStream]);
        assert_eq!(audiences.remove(Form::Bare, Deflated, 0), Some(6));
        assert_eq!(audiences.remove(Form::Bare, Deflated, 0), None);
        assert_eq!(audiences.iter().count(), 4);
    }
}
