//! Sizes, durations and counts as a person writes them: `"64 KiB"`, `"10s"`, `500`.
//!
//! Not a general unit library: one number, one unit, no fractions, so that what is read prints back the
//! same. Texts come from the configuration and the command line.

use std::fmt;
use std::time::Duration;

/// Binary units, largest first. Decimal ones are refused: `kB` and `KiB` are confused too easily.
const SIZES: [(&str, usize); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

/// Milliseconds of each unit of time, largest first.
const TIMES: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// What a limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Bytes: `"64 KiB"`, or a plain integer.
    Bytes,
    /// A plain integer.
    Count,
    /// A duration, always with its unit: `"10s"`.
    Time,
}

/// A value as it was written: a string or an integer.
#[derive(Debug, Clone, Copy)]
pub enum Written<'a> {
    /// A quoted value.
    Text(&'a str),
    /// A bare integer.
    Number(i64),
}

/// Why a text is not a quantity, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuantityError {
    /// What is wrong.
    pub what: String,
    /// What to write instead.
    pub mend: String,
}

/// A size in bytes: digits and `B`, `KiB`, `MiB` or `GiB`, a space between them if wished.
pub fn size(text: &str) -> Result<usize, QuantityError> {
    let mend = || "write a number and B, KiB, MiB or GiB, such as \"64 KiB\"".to_owned();
    let (digits, unit) = halves(text);
    let factor = SIZES.iter().find(|(name, _)| *name == unit).map(|(_, factor)| *factor);
    let (Ok(number), Some(factor)) = (digits.parse::<usize>(), factor) else {
        return Err(QuantityError { what: format!("{} is not a size", quoted(text)), mend: mend() });
    };
    number.checked_mul(factor).ok_or_else(|| QuantityError {
        what: format!("{} is more than can be counted", quoted(text)),
        mend: "write a smaller size".to_owned(),
    })
}

/// A duration: digits and `ms`, `s`, `m` or `h`, a space between them if wished.
pub fn duration(text: &str) -> Result<Duration, QuantityError> {
    let mend = || "write a number and ms, s, m or h, such as \"10s\"".to_owned();
    let (digits, unit) = halves(text);
    let factor = TIMES.iter().find(|(name, _)| *name == unit).map(|(_, factor)| *factor);
    let (Ok(number), Some(factor)) = (digits.parse::<u64>(), factor) else {
        return Err(QuantityError { what: format!("{} is not a duration", quoted(text)), mend: mend() });
    };
    number.checked_mul(factor).map(Duration::from_millis).ok_or_else(|| QuantityError {
        what: format!("{} is more than can be counted", quoted(text)),
        mend: "write a shorter time".to_owned(),
    })
}

/// A duration from a written value; a bare integer is refused, because its unit is anybody's guess.
pub fn written_duration(value: Written<'_>) -> Result<Duration, QuantityError> {
    match value {
        Written::Text(text) => duration(text),
        Written::Number(number) => Err(QuantityError {
            what: "a duration needs its unit".to_owned(),
            mend: format!("write \"{number}s\" or \"{number}ms\""),
        }),
    }
}

/// A count from a written value: a bare integer from 0 to `u32::MAX`.
pub fn written_count(value: Written<'_>) -> Result<u32, QuantityError> {
    match value {
        Written::Number(number) => u32::try_from(number).map_err(|_| QuantityError {
            what: format!("{number} is out of range"),
            mend: format!("write a number from 0 to {}", u32::MAX),
        }),
        Written::Text(text) => Err(QuantityError {
            what: format!("{} is a string where a number is needed", quoted(text)),
            mend: "write the number without quotes".to_owned(),
        }),
    }
}

/// A size from a written value; a bare integer counts bytes.
pub fn written_size(value: Written<'_>) -> Result<usize, QuantityError> {
    match value {
        Written::Text(text) => size(text),
        Written::Number(number) => usize::try_from(number).map_err(|_| QuantityError {
            what: format!("{number} is not a size"),
            mend: "write a positive number of bytes or, for example, \"64 KiB\"".to_owned(),
        }),
    }
}

/// The size in its largest unit without a remainder: what [`size`] reads back.
#[must_use]
pub fn size_text(bytes: usize) -> String {
    let whole = |(_, factor): &&(&str, usize)| bytes >= *factor && bytes.is_multiple_of(*factor);
    let (unit, factor) = SIZES.iter().find(whole).copied().unwrap_or(("B", 1));
    format!("{} {unit}", bytes / factor)
}

/// The duration in its largest unit without a remainder, whole milliseconds at the least: what
/// [`duration`] reads back.
#[must_use]
pub fn duration_text(time: Duration) -> String {
    let milliseconds = time.as_millis();
    let whole = |(_, factor): &&(&str, u64)| {
        milliseconds >= (*factor).into() && milliseconds.is_multiple_of(u128::from(*factor))
    };
    let (unit, factor) = TIMES.iter().find(whole).copied().unwrap_or(("s", 1_000));
    format!("{}{unit}", milliseconds / u128::from(factor))
}

/// The leading digits, and the unit after optional spaces.
fn halves(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    (digits, unit.trim_start_matches(' '))
}

/// The text as a fault shows it: short, and without live control characters.
fn quoted(text: &str) -> String {
    let short: String = text.chars().take(60).collect();
    format!("{short:?}")
}

impl fmt::Display for QuantityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.what, self.mend)
    }
}

impl std::error::Error for QuantityError {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sizes_and_durations_are_a_number_and_a_unit() {
        assert_eq!(size("64 KiB"), Ok(65_536));
        assert_eq!(size("1MiB"), Ok(1 << 20));
        assert_eq!(size("0 B"), Ok(0));
        assert_eq!(duration("100ms"), Ok(Duration::from_millis(100)));
        assert_eq!(duration("5m"), Ok(Duration::from_secs(300)));
        assert_eq!(duration("1 h"), Ok(Duration::from_secs(3600)));
    }

    #[test]
    fn what_is_ambiguous_or_too_large_is_refused() {
        for text in ["", "64", "KiB", "64 kB", "64k", "1.5 MiB", "-1 B", "+1 B", "64 KiB ", "99999999999 GiB"]
        {
            assert!(size(text).is_err(), "{text}");
        }
        for text in ["", "10", "s", "1.5s", "-1s", "+1s", "1m30s", "10sec", "99999999999999999h"] {
            assert!(duration(text).is_err(), "{text}");
        }
        assert!(written_duration(Written::Number(10)).unwrap_err().mend.contains("10s"));
        assert!(written_count(Written::Number(-1)).is_err());
        assert!(written_size(Written::Number(-1)).is_err());
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back(bytes in any::<u32>(), milliseconds in any::<u32>()) {
            let bytes = bytes as usize;
            prop_assert_eq!(size(&size_text(bytes)), Ok(bytes));
            let time = Duration::from_millis(milliseconds.into());
            prop_assert_eq!(duration(&duration_text(time)), Ok(time));
        }

        #[test]
        fn no_text_panics(text in any::<String>()) {
            let _ = size(&text);
            let _ = duration(&text);
        }
    }
}
