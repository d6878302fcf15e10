//! Text whose columns every terminal counts alike, so that what a peer sent moves nothing but itself.
//!
//! Control characters and marks of direction are made harmless by `inert`; here goes, too, what terminals disagree
//! about: characters without a width that join or change others, flags, skin tones, and heaps of accents.

use std::borrow::Cow;

use unicode_width::UnicodeWidthChar;

use crate::terminal::escape;

/// Accents that stand on one character; more are shown as their numbers.
const ACCENTS_MAX: usize = 2;

/// One line of text of which each character has a width, and accents something to stand on.
pub(super) fn steady(text: &str) -> Cow<'_, str> {
    let harmless = escape(text);
    if harmless.is_ascii() {
        return harmless;
    }
    let mut steady = String::with_capacity(harmless.len() + 8);
    // Nothing to stand on at the beginning.
    let mut accents = ACCENTS_MAX;
    for character in harmless.chars() {
        match columns(character) {
            Some(0) if accents < ACCENTS_MAX => {
                accents += 1;
                steady.push(character);
            }
            None | Some(0) => steady.extend(character.escape_unicode()),
            Some(_) => {
                accents = 0;
                steady.push(character);
            }
        }
    }
    Cow::Owned(steady)
}

/// Columns of a character; none if terminals disagree.
pub(super) fn columns(character: char) -> Option<usize> {
    let width = character.width()?;
    let is_disputed = match u32::from(character) {
        // Characters that are not seen, of which some take a column and some join their neighbours.
        0xad | 0x34f | 0x115f..=0x11ff | 0x17b4 | 0x17b5 | 0x180b..=0x180f => true,
        0x200b..=0x200f | 0x2060..=0x206f | 0x3164 | 0xd7b0..=0xd7ff => true,
        0xfe00..=0xfe0f | 0xfeff | 0xffa0 | 0xfff0..=0xfffb | 0xe0000..=0xe0fff => true,
        // Halves of flags, and skin tones.
        0x1f1e6..=0x1f1ff | 0x1f3fb..=0x1f3ff => true,
        // Private use: icons of some fonts.
        0xe000..=0xf8ff | 0xf0000..=0x0010_ffff => true,
        // Two columns in some fonts; RFC 3629 knows none of them.
        0x2e3a | 0x2e3b | 0xfdfd => true,
        _ => width > 2,
    };
    (!is_disputed).then_some(width)
}

/// Columns of a text that is steady.
pub(super) fn width(steady: &str) -> usize {
    steady.chars().filter_map(columns).sum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_terminals_disagree_about_is_spelt_out() {
        for (text, shown) in [
            ("plain ↑ · 水 🍉 ünïcode e\u{301}", "plain ↑ · 水 🍉 ünïcode e\u{301}"),
            ("\u{1b}[2J\u{202e}x", "\\u{1b}[2J\\u{202e}x"),
            ("👩\u{200d}🚀", "👩\\u{200d}🚀"),
            ("\u{301}a", "\\u{301}a"),
            ("a\u{301}\u{302}\u{303}\u{304}b", "a\u{301}\u{302}\\u{303}\\u{304}b"),
            ("🇨🇭 👍🏽 ❤\u{fe0f}", "\\u{1f1e8}\\u{1f1ed} 👍\\u{1f3fd} ❤\\u{fe0f}"),
        ] {
            assert_eq!(steady(text), shown);
        }
        assert_eq!(width("水e\u{301}x"), 4);
    }

    proptest! {
        #[test]
        fn each_character_has_its_width_and_is_harmless(text in any::<String>()) {
            let shown = steady(&text);
            prop_assert!(shown.chars().all(|it| columns(it).is_some() && !it.is_control()), "{:?}", shown);
            prop_assert!(shown.chars().next().is_none_or(|first| columns(first) != Some(0)));
            prop_assert_eq!(escape(&shown), shown.as_ref());
        }
    }
}
