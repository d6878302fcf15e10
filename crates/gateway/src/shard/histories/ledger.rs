//! What was acknowledged, over all processes of a history, and what each next process must find of it: everything
//! that is young enough, where it was, and of the rest nothing but what may have been under way.

use std::collections::{BTreeSet, HashMap, HashSet};

use tidegate_hub::{Epoch, Position};

/// Everything that was acknowledged.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// The number that was published, by channel and position.
    published: HashMap<(String, Position), u64>,
    /// The newest of each channel's present life.
    newest: HashMap<String, Position>,
    /// Lives of channels that were deleted.
    over: HashSet<(String, Epoch)>,
}

/// What a process has found of a channel: where it stands, and what it keeps as offsets and numbers.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) position: Position,
    pub(super) kept: Vec<(u64, u64)>,
}

/// What was asked for of a channel and not answered when its process ended.
#[derive(Debug, Default)]
pub(super) struct Unknown {
    /// Numbers.
    pub(super) published: BTreeSet<u64>,
    pub(super) removed: bool,
}

impl Ledger {
    /// Notes an acknowledgement. No place is given twice, and a channel is the same until it is deleted.
    pub(super) fn note(&mut self, channel: &str, position: Position, number: u64) {
        let before = self.published.insert((channel.to_owned(), position), number);
        assert_eq!(before, None, "{channel} {position} was acknowledged twice");
        assert!(!self.over.contains(&(channel.to_owned(), position.epoch)), "{channel} was deleted");
        let newest = self.newest.entry(channel.to_owned()).or_insert(position);
        assert_eq!(newest.epoch, position.epoch, "{channel} was not deleted");
        newest.offset = newest.offset.max(position.offset);
    }

    /// A channel was deleted.
    pub(super) fn end_life(&mut self, channel: &str) {
        if let Some(newest) = self.newest.remove(channel) {
            self.over.insert((channel.to_owned(), newest.epoch));
        }
    }

    /// What was published at a position.
    pub(super) fn number_at(&self, channel: &str, position: Position) -> Option<u64> {
        self.published.get(&(channel.to_owned(), position)).copied()
    }

    /// Judges what a process has found of a channel that keeps `size` publications, and notes what is there although
    /// nobody was told.
    pub(super) fn check_start(
        &mut self,
        channel: &str,
        size: u64,
        found: Option<Found>,
        mut unknown: Unknown,
    ) {
        let newest = self.newest.get(channel).copied();
        let Some(Found { position, kept }) = found else {
            assert!(newest.is_none() || unknown.removed, "{channel} is lost");
            return self.end_life(channel);
        };
        if let Some(newest) = newest {
            assert_eq!(position.epoch, newest.epoch, "{channel} is another one");
            assert!(newest.offset <= position.offset, "{channel} {newest} is lost, and {position} is there");
        }
        let first = position.offset + 1 - size.min(position.offset);
        assert!(kept.iter().map(|(offset, _)| *offset).eq(first..=position.offset), "{channel}: {kept:?}");
        for (offset, number) in kept {
            let position = Position { offset, ..position };
            match self.number_at(channel, position) {
                Some(acknowledged) => assert_eq!(number, acknowledged, "{channel} {position}"),
                None => {
                    assert!(unknown.published.remove(&number), "{channel} {position}: {number} was refused");
                    self.note(channel, position, number);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;

    const SIZE: u64 = 3;

    fn at(epoch: u32, offset: u64) -> Position {
        Position { epoch: Epoch(epoch), offset }
    }

    fn found(epoch: u32, kept: &[(u64, u64)]) -> Option<Found> {
        let newest = kept.last().map_or(0, |(offset, _)| *offset);
        Some(Found { position: at(epoch, newest), kept: kept.to_vec() })
    }

    /// Whether that may be found after numbers 10, 20, 30 and 40 were acknowledged at 1 to 4, in a life after a
    /// deleted one.
    fn accepts(found: Option<Found>, unknown: &[u64], removed: bool) -> bool {
        let mut ledger = Ledger::default();
        ledger.note("c", at(1, 1), 1);
        ledger.end_life("c");
        (1..=4).for_each(|offset| ledger.note("c", at(2, offset), offset * 10));
        let unknown = Unknown { published: unknown.iter().copied().collect(), removed };
        let judge = || ledger.check_start("c", SIZE, found, unknown);
        catch_unwind(AssertUnwindSafe(judge)).is_ok()
    }

    #[test]
    fn what_was_acknowledged_must_be_there_and_what_was_under_way_may_be() {
        assert!(accepts(found(2, &[(2, 20), (3, 30), (4, 40)]), &[50], false));
        assert!(accepts(found(2, &[(3, 30), (4, 40), (5, 50)]), &[50], false));
        assert!(accepts(found(2, &[(4, 40), (5, 51), (6, 50)]), &[50, 51], true));
        assert!(accepts(None, &[], true), "its deletion was under way");
    }

    #[test]
    fn what_is_lost_or_was_never_there_is_noticed() {
        for (what, found) in [
            ("all", None),
            ("the newest", found(2, &[(1, 10), (2, 20), (3, 30)])),
            ("a kept one", found(2, &[(3, 30), (4, 40)])),
            ("another one at its place", found(2, &[(2, 20), (3, 30), (4, 50)])),
            ("what was refused", found(2, &[(3, 30), (4, 40), (5, 60)])),
            ("the same twice", found(2, &[(4, 40), (5, 50), (6, 50)])),
            ("a deleted life", found(1, &[(1, 1)])),
            ("another life", found(3, &[(1, 50)])),
        ] {
            assert!(!accepts(found, &[50], false), "{what}");
        }
    }
}
