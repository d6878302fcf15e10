//! Which recorded message belongs to which that comes, where one may be missing, changed or more than there were.
//!
//! In order, what comes is compared with the next that is awaited; out of step, a few further ones are looked at. In any
//! order, it is looked for among all that are awaited.

use std::collections::VecDeque;

use super::difference::{Difference, difference};
use super::script::Heard;
use crate::filter::JsonPlaces;

/// Awaited messages among which one that comes is looked for, in order.
const AHEAD_MAX: usize = 16;

/// The same in any order.
const ANY_ORDER_MAX: usize = 1000;

/// What became of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It came as it was recorded.
    Same,
    /// Another one came in its place.
    Changed {
        /// The recorded message's number, counted from 1.
        number: usize,
        /// What was recorded.
        recorded: Heard,
        /// What came.
        came: Came,
        /// What is different.
        difference: Difference,
    },
    /// It did not come.
    Missing {
        /// Its number.
        number: usize,
        /// What was recorded.
        recorded: Heard,
    },
    /// One came that was not recorded.
    More {
        /// The number of the recorded one before it.
        after: usize,
        /// What came.
        came: Came,
    },
}

/// A message that came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Came {
    /// A text message.
    pub is_text: bool,
    /// What it holds.
    pub payload: Vec<u8>,
}

/// See the module's head.
#[derive(Debug)]
pub struct Alignment {
    awaited: VecDeque<(usize, Heard)>,
    ignored: Vec<JsonPlaces>,
    in_any_order: bool,
    /// One that differs from the next that is awaited: whether in its place or more than there were, the following one
    /// tells.
    held: Option<Came>,
    /// The number of the last that is settled.
    settled: usize,
}

impl Alignment {
    /// Awaits these messages.
    #[must_use]
    pub fn new(expected: Vec<Heard>, ignored: Vec<JsonPlaces>, in_any_order: bool) -> Self {
        let awaited = expected.into_iter().enumerate().map(|(index, heard)| (index + 1, heard)).collect();
        Self { awaited, ignored, in_any_order, held: None, settled: 0 }
    }

    /// Takes a message that came.
    pub fn handle_message(&mut self, is_text: bool, payload: &[u8], tell: &mut dyn FnMut(Outcome)) {
        let came = Came { is_text, payload: payload.to_vec() };
        if self.in_any_order {
            return self.take_any(came, tell);
        }
        if let Some(held) = self.held.take() {
            match self.position(&came, 2) {
                Some(0) => tell(Outcome::More { after: self.settled, came: held }),
                _ => self.change(held, tell),
            }
        }
        match self.position(&came, AHEAD_MAX) {
            Some(index) => {
                (0..index).for_each(|_| self.miss(tell));
                self.settle();
                tell(Outcome::Same);
            }
            None if self.awaited.is_empty() => tell(Outcome::More { after: self.settled, came }),
            None => self.held = Some(came),
        }
    }

    /// Says that nothing more comes.
    pub fn handle_end(&mut self, tell: &mut dyn FnMut(Outcome)) {
        if let Some(held) = self.held.take() {
            self.change(held, tell);
        }
        while !self.awaited.is_empty() {
            self.miss(tell);
        }
    }

    fn take_any(&mut self, came: Came, tell: &mut dyn FnMut(Outcome)) {
        match self.position(&came, ANY_ORDER_MAX) {
            Some(index) => {
                self.settled = self.settled.max(self.awaited.remove(index).map_or(0, |(number, _)| number));
                tell(Outcome::Same);
            }
            None => tell(Outcome::More { after: self.settled, came }),
        }
    }

    /// Which of the next that are awaited it is.
    fn position(&self, came: &Came, ahead: usize) -> Option<usize> {
        let is_it = |(_, heard): &(usize, Heard)| {
            difference(heard, came.is_text, &came.payload, &self.ignored).is_none()
        };
        self.awaited.iter().take(ahead).position(is_it)
    }

    /// The next that is awaited has come as this one.
    fn change(&mut self, came: Came, tell: &mut dyn FnMut(Outcome)) {
        let Some((number, recorded)) = self.settle() else { return };
        if let Some(difference) = difference(&recorded, came.is_text, &came.payload, &self.ignored) {
            tell(Outcome::Changed { number, recorded, came, difference });
        }
    }

    fn miss(&mut self, tell: &mut dyn FnMut(Outcome)) {
        if let Some((number, recorded)) = self.settle() {
            tell(Outcome::Missing { number, recorded });
        }
    }

    fn settle(&mut self) -> Option<(usize, Heard)> {
        let next = self.awaited.pop_front()?;
        self.settled = next.0;
        Some(next)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::payload::Payload;
    use crate::timestamp::Timestamp;

    /// A letter for each message: as it was recorded, `3~x` for one that came as x, `-3` for one that did not, `+x` for
    /// one that was not recorded.
    fn told(recorded: &str, came: &str, in_any_order: bool) -> String {
        let heard = |letter: char| Heard {
            at: Timestamp::default(),
            is_text: true,
            payload: Payload::whole(letter.to_string().as_bytes()),
        };
        let mut alignment = Alignment::new(recorded.chars().map(heard).collect(), Vec::new(), in_any_order);
        let mut told = Vec::new();
        let text = |came: &Came| String::from_utf8_lossy(&came.payload).into_owned();
        let mut tell = |outcome: Outcome| {
            told.push(match &outcome {
                Outcome::Same => "=".to_owned(),
                Outcome::Changed { number, came, .. } => format!("{number}~{}", text(came)),
                Outcome::Missing { number, .. } => format!("-{number}"),
                Outcome::More { came, .. } => format!("+{}", text(came)),
            });
        };
        came.chars()
            .for_each(|letter| alignment.handle_message(true, letter.to_string().as_bytes(), &mut tell));
        alignment.handle_end(&mut tell);
        told.join(" ")
    }

    #[test]
    fn in_order() {
        for (recorded, came, expected) in [
            ("abc", "abc", "= = ="),
            ("abc", "axc", "= 2~x ="),
            ("abc", "ac", "= -2 ="),
            ("abc", "axbc", "= +x = ="),
            ("abc", "ab", "= = -3"),
            ("abc", "abcd", "= = = +d"),
            ("abc", "xyc", "1~x 2~y ="),
            ("abc", "xyz", "1~x 2~y 3~z"),
            ("abc", "", "-1 -2 -3"),
            ("", "x", "+x"),
            ("ab", "ax", "= 2~x"),
            ("abcd", "cd", "-1 -2 = ="),
        ] {
            assert_eq!(told(recorded, came, false), expected, "{recorded} {came}");
        }
    }

    #[test]
    fn in_any_order() {
        for (recorded, came, expected) in [
            ("abc", "cab", "= = ="),
            ("aab", "aba", "= = ="),
            ("abc", "cxa", "= +x = -2"),
            ("a", "aa", "= +a"),
        ] {
            assert_eq!(told(recorded, came, true), expected, "{recorded} {came}");
        }
    }

    proptest! {
        /// Each recorded message and each that came is accounted for once.
        #[test]
        fn all_are_accounted_for(recorded in "[abc]{0,12}", came in "[abc]{0,12}", in_any_order: bool) {
            let told = told(&recorded, &came, in_any_order);
            let count = |mark: char| told.matches(mark).count();
            prop_assert_eq!(count('=') + count('~') + count('-'), recorded.len(), "{}", &told);
            prop_assert_eq!(count('=') + count('~') + count('+'), came.len(), "{}", &told);
            prop_assert_eq!(told.chars().all(|mark| mark == '=' || mark == ' '), if in_any_order {
                let sorted = |text: &str| { let mut letters: Vec<char> = text.chars().collect(); letters.sort_unstable(); letters };
                sorted(&recorded) == sorted(&came)
            } else {
                recorded == came
            });
        }
    }
}
