//! `[limits]`: the limits that the configuration states, and whether they hold together.
//!
//! Rows, ranges and contradictions are those of the limits' own table; this only finds their places.

use tidegate_inspect::words::known;

use super::document::{Entry, Section};
use super::fault::Collector;
use super::vocabulary;
use crate::limits::Limits;

/// Limits that are never more than `max_publication` and shrink with it where they are not stated.
const FOLLOWERS: [&str; 2] = ["publish_max_body", "upstream_max_response"];

/// Reads the table; without one the defaults hold.
pub(super) fn read(section: Option<Section<'_>>, faults: &mut Collector<'_>) -> Limits {
    let mut limits = Limits::default();
    let Some(section) = section else { return limits };
    let readable = faults.is_empty();
    for entry in section.entries().filter(|entry| vocabulary::LIMITS.knows(entry.key)) {
        set(&mut limits, entry, faults);
    }
    let stated = |key: &str| section.get(key);
    if stated(FOLLOWERS[0]).is_none() {
        limits.publish_max_body = limits.publish_max_body.min(limits.max_publication);
    }
    if stated(FOLLOWERS[1]).is_none() {
        limits.upstream_max_response = limits.upstream_max_response.min(limits.max_publication);
    }
    if readable && faults.is_empty() {
        for contradiction in limits.contradictions() {
            let at =
                contradiction.keys.iter().find_map(|key| stated(key)).map_or(section.at, |entry| entry.at);
            faults.add(known::CONTRADICTION, at, contradiction.what, contradiction.mend);
        }
    }
    limits
}

/// Sets one limit from its entry.
pub(super) fn set(limits: &mut Limits, entry: Entry<'_>, faults: &mut Collector<'_>) {
    let Some(written) = entry.written(faults) else { return };
    if let Err(error) = limits.set(entry.key, written) {
        faults.add(known::OUT_OF_BOUNDS, entry.at, format!("'{}': {}", entry.key, error.what), error.mend);
    }
}
