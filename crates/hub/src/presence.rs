//! Who is here: the members of one channel, as its home knows them. A member is one subscription.
//!
//! Joins and leaves come from the home, in the order of its mailbox; what goes out is the word that subscribers
//! get, or nothing where a channel has so many members that telling each of each would cost their square.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::engine::ShardId;
use crate::session_id::SessionId;

/// Members that an `open` lists.
pub const LISTED_MAX: usize = 100;

/// A subscription, all over the process.
pub type MemberKey = (ShardId, SessionId);

/// What others learn of a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The name of its connection; two connections of one user are two members.
    pub id: Arc<str>,
    /// Who it is, where a credential said so.
    pub user: Option<Arc<str>>,
    /// What a credential said more, as JSON.
    pub info: Option<Arc<str>>,
}

/// What subscribers are told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PresenceChange {
    /// Who came or went.
    pub member: Member,
    /// True for a join, false for a leave.
    pub joined: bool,
    /// How many are here now.
    pub count: usize,
}

/// Who is here when somebody comes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Present {
    /// The members that came first, at most [`LISTED_MAX`].
    pub members: Vec<Member>,
    /// How many are here.
    pub count: usize,
}

/// See the module's head.
#[derive(Debug, Default)]
pub struct Presence {
    /// Members in the order in which they came.
    members: BTreeMap<u64, Member>,
    places: HashMap<MemberKey, Place, foldhash::fast::RandomState>,
    joins: u64,
}

/// Where a member stands.
#[derive(Debug)]
struct Place {
    number: u64,
    /// Joins without a leave: a session that asks, leaves and asks again at once has joined anew before its first
    /// leave is heard of.
    joins: u32,
}

impl Presence {
    /// Somebody has come. While there are at most `max_told` members the others are told.
    pub fn join(&mut self, key: MemberKey, member: Member, max_told: usize) -> Option<PresenceChange> {
        if let Some(place) = self.places.get_mut(&key) {
            place.joins += 1;
            return None;
        }
        self.joins += 1;
        self.places.insert(key, Place { number: self.joins, joins: 1 });
        self.members.insert(self.joins, member.clone());
        self.told(member, true, self.members.len(), max_told)
    }

    /// Somebody has gone. The others are told if there were few enough to be told of a join.
    pub fn leave(&mut self, key: MemberKey, max_told: usize) -> Option<PresenceChange> {
        let before = self.members.len();
        let place = self.places.get_mut(&key)?;
        place.joins -= 1;
        if place.joins > 0 {
            return None;
        }
        let number = place.number;
        self.places.remove(&key);
        let member = self.members.remove(&number)?;
        self.told(member, false, before, max_told)
    }

    fn told(&self, member: Member, joined: bool, size: usize, max_told: usize) -> Option<PresenceChange> {
        (size <= max_told).then_some(PresenceChange { member, joined, count: self.members.len() })
    }

    /// Who is here, those who came first before the others.
    #[must_use]
    pub fn present(&self) -> Present {
        let members = self.members.values().take(LISTED_MAX).cloned().collect();
        Present { members, count: self.members.len() }
    }

    /// How many are here.
    #[must_use]
    pub fn count(&self) -> usize {
        self.members.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(index: u32) -> MemberKey {
        (ShardId(0), SessionId { index, generation: 1 })
    }

    fn member(index: u32) -> Member {
        Member { id: index.to_string().into(), user: None, info: None }
    }

    #[test]
    fn who_comes_and_goes_is_told_once() {
        let mut presence = Presence::default();
        let joined = presence.join(key(1), member(1), 10).expect("told");
        assert_eq!((joined.joined, joined.count), (true, 1));
        presence.join(key(2), member(2), 10);
        let left = presence.leave(key(1), 10).expect("told");
        assert_eq!((left.joined, left.count, &*left.member.id), (false, 1, "1"));
        assert_eq!(presence.leave(key(1), 10), None, "it has gone already");
        assert_eq!(presence.present(), Present { members: vec![member(2)], count: 1 });
    }

    #[test]
    fn who_joins_anew_before_it_is_heard_to_leave_is_still_here() {
        let mut presence = Presence::default();
        assert!(presence.join(key(1), member(1), 10).is_some());
        assert_eq!(presence.join(key(1), member(1), 10), None);
        assert_eq!(presence.leave(key(1), 10), None);
        assert_eq!(presence.present(), Present { members: vec![member(1)], count: 1 });
        assert!(presence.leave(key(1), 10).is_some());
        assert_eq!(presence.count(), 0);
    }

    #[test]
    fn beyond_the_bound_only_the_count_goes_on() {
        let mut presence = Presence::default();
        let told = (0..5).filter(|index| presence.join(key(*index), member(*index), 3).is_some());
        assert_eq!(told.count(), 3);
        assert_eq!(presence.count(), 5);
        let told: Vec<_> = (0..5).map(|index| presence.leave(key(index), 3).is_some()).collect();
        assert_eq!(told, [false, false, true, true, true]);
    }

    #[test]
    fn the_list_is_bounded_and_in_the_order_of_coming() {
        let mut presence = Presence::default();
        for index in 0..1000 {
            presence.join(key(index), member(index), 0);
        }
        presence.leave(key(0), 0);
        let Present { members, count } = presence.present();
        assert_eq!((members.len(), count), (LISTED_MAX, 999));
        let expected: Vec<_> = (1..=100).map(member).collect();
        assert_eq!(members, expected);
    }
}
