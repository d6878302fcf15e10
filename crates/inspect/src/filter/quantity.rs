//! Numbers with a comparison: `>1k`, `<=125`, `1000..1015`, `7`; and times: `<5m`.
//!
//! `k` and `m` are 1,024 and 1,048,576 bytes; of times `ms`, `s`, `m` and `h`.

use std::fmt;

/// What a number is compared with; both ends are in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) least: u64,
    pub(super) most: u64,
}

impl Range {
    pub(super) const fn contains(self, number: u64) -> bool {
        self.least <= number && number <= self.most
    }

    /// Reads a comparison of bytes or other counts.
    pub(super) fn of_numbers(text: &str) -> Option<Self> {
        Self::parse(text, number)
    }

    /// Reads a comparison of times; the range is in microseconds.
    pub(super) fn of_times(text: &str) -> Option<Self> {
        Self::parse(text, time)
    }

    fn parse(text: &str, value: fn(&str) -> Option<u64>) -> Option<Self> {
        const MOST: u64 = u64::MAX;
        let range = if let Some(text) = text.strip_prefix(">=") {
            Self { least: value(text)?, most: MOST }
        } else if let Some(text) = text.strip_prefix("<=") {
            Self { least: 0, most: value(text)? }
        } else if let Some(text) = text.strip_prefix('>') {
            Self { least: value(text)?.checked_add(1)?, most: MOST }
        } else if let Some(text) = text.strip_prefix('<') {
            Self { least: 0, most: value(text)?.checked_sub(1)? }
        } else if let Some((least, most)) = text.split_once("..") {
            Self { least: value(least)?, most: value(most)? }
        } else {
            let exactly = value(text.strip_prefix('=').unwrap_or(text))?;
            Self { least: exactly, most: exactly }
        };
        (range.least <= range.most).then_some(range)
    }
}

fn number(text: &str) -> Option<u64> {
    let (digits, unit) = match text.as_bytes().last()? {
        b'k' | b'K' => (&text[..text.len() - 1], 1 << 10),
        b'm' | b'M' => (&text[..text.len() - 1], 1 << 20),
        _ => (text, 1),
    };
    scaled(digits, unit)
}

fn time(text: &str) -> Option<u64> {
    let units = [("ms", 1000), ("us", 1), ("s", 1_000_000), ("m", 60_000_000), ("h", 3_600_000_000)];
    let (digits, unit) = units.iter().find_map(|(name, unit)| Some((text.strip_suffix(name)?, *unit)))?;
    scaled(digits, unit)
}

/// Digits only: no sign, no white space.
fn scaled(digits: &str, unit: u64) -> Option<u64> {
    let is_plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse::<u64>().ok().filter(|_| is_plain)?.checked_mul(unit)
}

/// As numbers without units, which [`Range::of_numbers`] reads again.
impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.least, self.most) {
            (least, most) if least == most => write!(f, "{least}"),
            (0, most) => write!(f, "<={most}"),
            (least, u64::MAX) => write!(f, ">={least}"),
            (least, most) => write!(f, "{least}..{most}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn comparisons() {
        for (text, least, most) in [
            ("7", 7, 7),
            ("=7", 7, 7),
            (">1k", 1025, u64::MAX),
            (">=2M", 2 << 20, u64::MAX),
            ("<125", 0, 124),
            ("<=125", 0, 125),
            ("1000..1015", 1000, 1015),
        ] {
            assert_eq!(Range::of_numbers(text), Some(Range { least, most }), "{text}");
        }
        for wrong in [
            "",
            "x",
            ">",
            "<0",
            "5..4",
            "-1",
            "+1",
            "1 ",
            "99999999999999999999",
            "k",
            ">18446744073709551615",
        ] {
            assert_eq!(Range::of_numbers(wrong), None, "{wrong}");
        }
        assert_eq!(Range::of_times("<5m"), Some(Range { least: 0, most: 299_999_999 }));
        assert_eq!(Range::of_times(">=250ms").map(|range| range.least), Some(250_000));
        assert_eq!(Range::of_times("5"), None);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(a: u64, b: u64) {
            let range = Range { least: a.min(b), most: a.max(b) };
            prop_assert_eq!(Range::of_numbers(&range.to_string()), Some(range));
        }
    }
}
