//! What two sequences have in common, in order: the longest common subsequence as far as the work allowed reaches
//! (E. Myers, "An O(ND) difference algorithm and its variations", 1986), and the longest run that ascends.

/// Most differences that are looked for: the trace of the search has the square of it in places.
const DIFFERENCES_MAX: usize = 512;

/// Pairs of places with the same content, both ascending. `work` is what may still be spent; where it does not
/// suffice, what lies between the common beginning and the common end counts as different.
pub(super) fn common(before: &[u32], after: &[u32], work: &mut usize) -> Vec<(usize, usize)> {
    let same = |(one, another): &(&u32, &u32)| one == another;
    let head = before.iter().zip(after).take_while(same).count();
    let (old, new) = (&before[head..], &after[head..]);
    let tail = old.iter().rev().zip(new.iter().rev()).take_while(same).count();
    let (old, new) = (&old[..old.len() - tail], &new[..new.len() - tail]);

    let mut pairs: Vec<_> = (0..head).map(|at| (at, at)).collect();
    let middle = search(old, new, work).unwrap_or_default();
    pairs.extend(middle.into_iter().map(|(one, another)| (head + one, head + another)));
    pairs.extend((0..tail).map(|at| (head + old.len() + at, head + new.len() + at)));
    pairs
}

/// The furthest place in `before` that each diagonal (place in `before` less place in `after`) reached, from
/// diagonal `-d` to `d` in steps of 2, for one number of differences `d`.
type Reached = Vec<usize>;

/// Myers' greedy search. `None` if it took too much.
fn search(before: &[u32], after: &[u32], work: &mut usize) -> Option<Vec<(usize, usize)>> {
    let mut trace: Vec<Reached> = Vec::new();
    for differences in 0..=DIFFERENCES_MAX {
        let mut reached = Reached::with_capacity(differences + 1);
        for step in 0..=differences {
            let start = begin(&trace, differences, step);
            let end = slide(before, after, start, differences, step);
            *work = work.checked_sub(1 + end - start)?;
            reached.push(end);
            let place = place_in_after(end, differences, step);
            if end >= before.len() && place.is_some_and(|place| place >= after.len()) {
                trace.push(reached);
                return Some(walk_back(&trace));
            }
        }
        trace.push(reached);
    }
    None
}

/// Where the search goes on with one difference more: the furthest that a removal or an insertion leads to. Step
/// `s` of `d` is the diagonal `2s - d`.
fn begin(trace: &[Reached], differences: usize, step: usize) -> usize {
    let Some(last) = trace.last() else { return 0 };
    let removal = step.checked_sub(1).and_then(|step| last.get(step)).map(|place| place + 1);
    let insertion = if step < differences { last.get(step).copied() } else { None };
    removal.max(insertion).unwrap_or(0)
}

/// Goes on while both sequences agree.
fn slide(before: &[u32], after: &[u32], start: usize, differences: usize, step: usize) -> usize {
    let Some(place) = place_in_after(start, differences, step) else { return start };
    let old = before.get(start..).unwrap_or_default();
    let new = after.get(place..).unwrap_or_default();
    start + old.iter().zip(new).take_while(|(one, another)| one == another).count()
}

/// The place in `after` on a diagonal; `None` where that lies before its beginning.
fn place_in_after(place: usize, differences: usize, step: usize) -> Option<usize> {
    (place + differences).checked_sub(2 * step)
}

/// Collects what agreed, from the end of the search to its beginning.
fn walk_back(trace: &[Reached]) -> Vec<(usize, usize)> {
    let mut pairs = Vec::new();
    let mut step = trace.last().map_or(0, |reached| reached.len() - 1);
    for differences in (0..trace.len()).rev() {
        let start = begin(&trace[..differences], differences, step);
        let end = trace[differences].get(step).copied().unwrap_or(start);
        for place in (start..end).rev() {
            let Some(other) = place_in_after(place, differences, step) else { break };
            pairs.push((place, other));
        }
        let Some(last) = differences.checked_sub(1).map(|before| &trace[before]) else { break };
        let removal = step.checked_sub(1).and_then(|step| last.get(step)).map(|place| place + 1);
        if removal == Some(start) {
            step -= 1;
        }
    }
    pairs.reverse();
    pairs
}

/// Which of these distinct numbers may stay where they are so that all others are moved: a longest subsequence that
/// ascends.
pub(super) fn ascending(numbers: &[usize]) -> Vec<bool> {
    // `ends[n]` is the place of the lowest number that ends an ascent of n + 1.
    let mut ends: Vec<usize> = Vec::new();
    let mut previous = vec![None; numbers.len()];
    for (place, number) in numbers.iter().enumerate() {
        let length = ends.partition_point(|end| numbers[*end] < *number);
        previous[place] = length.checked_sub(1).map(|before| ends[before]);
        if length == ends.len() {
            ends.push(place);
        } else {
            ends[length] = place;
        }
    }
    let mut stays = vec![false; numbers.len()];
    let mut next = ends.last().copied();
    while let Some(place) = next {
        stays[place] = true;
        next = previous[place];
    }
    stays
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(before: &[u32], after: &[u32], mut work: usize) -> usize {
        let pairs = common(before, after, &mut work);
        for (old, new) in &pairs {
            assert_eq!(before[*old], after[*new], "{before:?} {after:?}");
        }
        let ascend = |pair: &[(usize, usize)]| pair[0].0 < pair[1].0 && pair[0].1 < pair[1].1;
        assert!(pairs.windows(2).all(ascend), "{pairs:?} of {before:?} {after:?}");
        pairs.len()
    }

    /// The textbook's table.
    fn longest(before: &[u32], after: &[u32]) -> usize {
        let mut row = vec![0; after.len() + 1];
        for old in before {
            let mut diagonal = 0;
            for (at, new) in after.iter().enumerate() {
                let above = row[at + 1];
                row[at + 1] = if old == new { diagonal + 1 } else { above.max(row[at]) };
                diagonal = above;
            }
        }
        row[after.len()]
    }

    #[test]
    fn what_takes_too_long_is_different_between_its_common_ends() {
        let before: Vec<u32> = (0..4000).collect();
        let mut after: Vec<u32> = (0..4000).rev().collect();
        after[0] = 0;
        after[3999] = 3999;
        assert_eq!(check(&before, &after, usize::MAX), 2);
        assert_eq!(check(&before, &after, 1000), 2);
        assert_eq!(check(&before, &before, 0), 4000, "what is the same takes no search");
    }

    proptest! {
        #[test]
        fn as_much_is_common_as_can_be(
            before in prop::collection::vec(0u32..6, 0..40),
            after in prop::collection::vec(0u32..6, 0..40),
        ) {
            prop_assert_eq!(check(&before, &after, usize::MAX), longest(&before, &after));
        }

        #[test]
        fn any_work_gives_something_true(
            before in prop::collection::vec(0u32..4, 0..40),
            after in prop::collection::vec(0u32..4, 0..40),
            work in 0usize..200,
        ) {
            check(&before, &after, work);
        }

        #[test]
        fn what_stays_ascends_and_nothing_longer_does(numbers in prop::collection::hash_set(0usize..60, 0..12)) {
            let numbers: Vec<_> = numbers.into_iter().collect();
            let stays = ascending(&numbers);
            let kept: Vec<_> = numbers.iter().zip(&stays).filter(|(_, stays)| **stays).map(|(one, _)| *one).collect();
            prop_assert!(kept.is_sorted());
            let ascends = |set: &u32| {
                let chosen = numbers.iter().enumerate().filter(|(at, _)| set >> at & 1 == 1);
                chosen.map(|(_, one)| one).is_sorted()
            };
            let best = (0..1u32 << numbers.len()).filter(ascends).map(u32::count_ones).max();
            prop_assert_eq!(Some(kept.len() as u32), best);
        }
    }
}
