//! Which element of an array was which before: by a member that names it, else by what is the same in order.
//!
//! It looks at both arrays and writes nothing; what becomes of an alignment is in `script`.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::sequence::common;
use super::value::Value;

/// Members that name an element, the likeliest first.
const NAMES: [&str; 12] =
    ["id", "_id", "uuid", "guid", "key", "name", "symbol", "code", "sku", "slug", "ticker", "@id"];

/// For each element after, the place of the one before that becomes it, if there is one; no place twice.
pub(super) type Alignment = Vec<Option<usize>>;

/// Aligns two arrays. `work` is what the search may still spend.
pub(super) fn align(
    before: &[Value<'_>],
    after: &[Value<'_>],
    state: &RandomState,
    work: &mut usize,
) -> Alignment {
    NAMES
        .iter()
        .find_map(|name| by_name(name, before, after, state))
        .unwrap_or_else(|| by_order(before, after, state, work))
}

/// If each element is an object with such a member, whose scalar value no other one has.
fn by_name<'v>(
    name: &str,
    before: &'v [Value<'v>],
    after: &'v [Value<'v>],
    state: &RandomState,
) -> Option<Alignment> {
    let naming = |element: &'v Value<'v>| element.member(name).filter(|value| value.is_scalar());
    // Most often the first two tell that it is not this one.
    naming(before.first()?).and(naming(after.first()?))?;
    let places = |elements: &'v [Value<'v>]| {
        let mut places = HashMap::with_capacity_and_hasher(elements.len(), state.clone());
        for (place, element) in elements.iter().enumerate() {
            if places.insert(naming(element)?, place).is_some() {
                return None;
            }
        }
        Some(places)
    };
    let (old, _) = (places(before)?, places(after)?);
    Some(after.iter().map(|element| naming(element).and_then(|name| old.get(name).copied())).collect())
}

/// The longest common subsequence stays; between its elements the first becomes the first, and so on.
fn by_order<'v>(
    before: &'v [Value<'v>],
    after: &'v [Value<'v>],
    state: &RandomState,
    work: &mut usize,
) -> Alignment {
    let mut numbers = HashMap::with_capacity_and_hasher(before.len(), state.clone());
    let mut number = |element: &'v Value<'v>| {
        let next = u32::try_from(numbers.len()).unwrap_or(u32::MAX);
        *numbers.entry(element).or_insert(next)
    };
    let old: Vec<u32> = before.iter().map(&mut number).collect();
    let new: Vec<u32> = after.iter().map(&mut number).collect();
    let mut alignment = vec![None; after.len()];
    let (mut old_end, mut new_end) = (0, 0);
    let pairs = common(&old, &new, work);
    for (old, new) in pairs.into_iter().chain([(before.len(), after.len())]) {
        for (old, place) in (old_end..old).zip(&mut alignment[new_end..new]) {
            *place = Some(old);
        }
        if let Some(place) = alignment.get_mut(new) {
            *place = Some(old);
        }
        (old_end, new_end) = (old + 1, new + 1);
    }
    alignment
}
