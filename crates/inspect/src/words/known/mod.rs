//! Tidegate's own errors: a number for each, and what, why and what next.
//!
//! A number never changes its meaning and is never given twice; one that is no longer used is left out and not given
//! anew. The gateway and the commands name the constants, so that none can be used that is not here, and `tests/tidy`
//! looks that each of them is used.

mod row;

mod configuration;

mod requests;

mod access;

mod limits;

mod backends;

mod channels;

mod wire;

mod commands;

mod page;

pub use access::*;
pub use backends::*;
pub use channels::*;
pub use commands::*;
pub use configuration::*;
pub use limits::*;
pub use page::page;
pub use requests::*;
pub use row::{Goes, Known};
pub use wire::*;

use super::explanation::Explanation;

/// What begins each number.
const PREFIX: &str = "tg-";

/// One area of numbers.
struct Area {
    /// What it is about.
    title: &'static str,
    rows: &'static [&'static Known],
}

const AREAS: &[Area] = &[
    Area { title: "Command line, configuration and start", rows: CONFIGURATION },
    Area { title: "Requests and handshakes", rows: REQUESTS },
    Area { title: "Access", rows: ACCESS },
    Area { title: "Limits", rows: LIMITS },
    Area { title: "Servers behind routes", rows: BACKENDS },
    Area { title: "Channels, publishing and the store", rows: CHANNELS_AND_STORE },
    Area { title: "The wire", rows: WIRE },
    Area { title: "Commands that are clients", rows: COMMANDS },
];

/// All of them, in the order of their numbers.
pub fn all() -> impl Iterator<Item = &'static Known> {
    AREAS.iter().flat_map(|area| area.rows.iter().copied())
}

/// The one with this number, with `TG-` before it in any case of letters.
pub(super) fn find(name: &str) -> Option<&'static Known> {
    all().find(|known| known.tag.eq_ignore_ascii_case(name))
}

/// Whether somebody asks for a number of ours, whether there is such a one or not.
pub(super) fn is_asked_for(name: &str) -> bool {
    name.get(..PREFIX.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(PREFIX))
}

/// The numbers nearest to one that is none.
pub(super) fn near(name: &str) -> Vec<&'static str> {
    const SHOWN_MAX: usize = 5;
    let number = |tag: &str| tag.get(PREFIX.len()..).and_then(|digits| digits.parse::<i64>().ok());
    let Some(asked) = number(name) else { return all().map(|known| known.tag).take(SHOWN_MAX).collect() };
    let mut tags: Vec<_> = all().map(|known| known.tag).collect();
    tags.sort_by_key(|tag| {
        number(tag).map_or(i64::MAX, |other| asked.saturating_sub(other).saturating_abs())
    });
    tags.truncate(SHOWN_MAX);
    tags
}

impl Known {
    /// What `tidegate explain` says of it.
    #[must_use]
    pub fn explanation(&self) -> Explanation {
        let mut text = vec![
            self.what.into(),
            format!("Why: {}", self.why).into(),
            format!("Next: {}", self.next).into(),
        ];
        let goes = self.goes.in_words();
        if !goes.is_empty() {
            text.push(format!("It comes with: {goes}.").into());
        }
        Explanation {
            title: format!("{} {}", self.tag, self.name).into(),
            text,
            beware: None,
            section: "Tidegate, docs/errors.md".into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_are_of_four_digits_each_once_and_in_the_order_of_their_areas() {
        let tags: Vec<_> = all().map(|known| known.tag).collect();
        assert!(tags.is_sorted_by(|one, two| one < two), "{tags:?}");
        for (area, thousand) in AREAS.iter().zip('1'..) {
            for known in area.rows {
                let digits = known.tag.strip_prefix("TG-").expect("a prefix");
                assert_eq!((digits.len(), digits.chars().next()), (4, Some(thousand)), "{known}");
            }
        }
    }

    #[test]
    fn each_says_what_and_why_and_what_next() {
        for known in all() {
            for sentence in [known.what, known.why, known.next] {
                assert!(sentence.ends_with('.') || sentence.ends_with('?'), "{known}: {sentence}");
                assert!(!sentence.contains('|') && !sentence.contains("  "), "{known}: {sentence}");
            }
            assert!(!known.name.ends_with('.'), "{known}");
            let text = known.explanation().to_string().replace('\n', " ");
            for part in [known.tag, known.name, known.what, known.why, known.next] {
                assert!(text.contains(part), "{part} is not in {text}");
            }
        }
    }

    #[test]
    fn close_codes_and_statuses_are_such_as_may_be_sent() {
        for known in all() {
            let close = known.goes.close.map(tidegate_websocket::CloseCode::new);
            assert!(close.is_none_or(tidegate_websocket::CloseCode::is_allowed_on_wire), "{known}");
            assert!(known.goes.status.is_none_or(|status| (400..600).contains(&status)), "{known}");
        }
    }

    #[test]
    fn the_nearest_of_a_number_that_is_none() {
        assert_eq!(near("tg-2100"), ["TG-2101", "TG-2102", "TG-2103", "TG-2104", "TG-2105"]);
        assert_eq!(near("tg-9999")[0], "TG-8211");
        assert_eq!(near("tg-x").len(), 5);
    }

    proptest! {
        #[test]
        fn any_number_is_one_or_has_near_ones(digits in "\\PC{0,25}") {
            let name = format!("tg-{digits}");
            prop_assert!(is_asked_for(&name));
            prop_assert!(find(&name).is_some() || near(&name).len() == 5);
        }
    }
}
