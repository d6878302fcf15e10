//! Points in time as microseconds, and as text: RFC 3339 for programs, the time of day for people.
//!
//! No clock is read here; whoever has one hands in what it says.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const DAY_SECONDS: u64 = 86_400;
const SECOND_MICROS: u64 = 1_000_000;

/// The end of the year 9999: later times cannot be written as RFC 3339.
const MOST_MICROS: u64 = 253_402_300_800 * SECOND_MICROS - 1;

const RFC3339_BYTES: usize = "2026-03-01T12:03:04.512345Z".len();

/// Microseconds since the beginning of 1970 in UTC, up to the end of the year 9999.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(u64);

/// A point in time as RFC 3339, such as `2026-03-01T12:03:04.512345Z`. It needs no heap, for every line has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rfc3339([u8; RFC3339_BYTES]);

/// A text that is not a point in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotATimestamp;

impl Timestamp {
    /// So many microseconds after the beginning of 1970; what is later than 9999 is its end.
    #[must_use]
    pub const fn from_micros(micros: u64) -> Self {
        Self(if micros > MOST_MICROS { MOST_MICROS } else { micros })
    }

    /// Microseconds since the beginning of 1970.
    #[must_use]
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// Microseconds from an earlier time to this one; zero if it is later, for clocks are set back at times.
    #[must_use]
    pub const fn micros_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Such as `12:03:04.512Z`.
    #[must_use]
    pub fn time_of_day(self) -> String {
        let text = self.rfc3339();
        format!("{}Z", &text.as_str()[11..23])
    }

    /// As RFC 3339.
    #[must_use]
    pub fn rfc3339(self) -> Rfc3339 {
        let seconds = self.0 / SECOND_MICROS;
        let (year, month, day) = date(seconds / DAY_SECONDS);
        let (hour, minute, second) = time_of_day(seconds);
        let mut text = *b"0000-00-00T00:00:00.000000Z";
        put_digits(&mut text[..4], year);
        for (at, number) in [(5, month), (8, day), (11, hour), (14, minute), (17, second)] {
            put_digits(&mut text[at..at + 2], number);
        }
        put_digits(&mut text[20..26], self.0 % SECOND_MICROS);
        Rfc3339(text)
    }
}

impl Rfc3339 {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// As many of the number's last digits as there is place for.
fn put_digits(place: &mut [u8], mut number: u64) {
    for digit in place.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self::from_micros(u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
    }
}

impl From<Timestamp> for SystemTime {
    fn from(time: Timestamp) -> Self {
        UNIX_EPOCH + Duration::from_micros(time.0)
    }
}

/// Such as `2026-03-01T12:03:04.512345Z`.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.rfc3339().as_str())
    }
}

/// RFC 3339, with any number of digits behind the second and any offset.
impl FromStr for Timestamp {
    type Err = NotATimestamp;

    fn from_str(text: &str) -> Result<Self, NotATimestamp> {
        parse(text).ok_or(NotATimestamp)
    }
}

fn parse(text: &str) -> Option<Timestamp> {
    let bytes = text.as_bytes();
    let fixed = bytes.get(..19)?;
    let marks = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
    if marks.iter().any(|(at, mark)| !fixed[*at].eq_ignore_ascii_case(mark)) {
        return None;
    }
    let number = |from: usize, to: usize| digits(&fixed[from..to]);
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    // A leap second is the one after it, as in time that counts none.
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let (micros, zone) = fraction(&bytes[19..])?;
    let seconds = days_until(year, month, day)? * DAY_SECONDS + hour * 3600 + minute * 60 + second;
    let seconds = seconds.checked_add_signed(-offset_seconds(zone)?)?;
    let micros = seconds * SECOND_MICROS + micros;
    (micros <= MOST_MICROS).then_some(Timestamp(micros))
}

/// The microseconds behind the second, and what follows them; further digits are dropped.
fn fraction(text: &[u8]) -> Option<(u64, &[u8])> {
    let Some(rest) = text.strip_prefix(b".") else { return Some((0, text)) };
    let length = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let used = length.min(6);
    let micros = digits(rest.get(..used).filter(|digits| !digits.is_empty())?)?;
    let missing = u32::try_from(6 - used).unwrap_or_default();
    Some((micros * 10u64.pow(missing), &rest[length..]))
}

/// How far local time is ahead of UTC.
fn offset_seconds(zone: &[u8]) -> Option<i64> {
    let (sign, hours, minutes) = match zone {
        [b'Z' | b'z'] => return Some(0),
        [b'+', h1, h2, b':', m1, m2] => (1, [*h1, *h2], [*m1, *m2]),
        [b'-', h1, h2, b':', m1, m2] => (-1, [*h1, *h2], [*m1, *m2]),
        _ => return None,
    };
    let (hours, minutes) = (digits(&hours)?, digits(&minutes)?);
    let seconds = i64::try_from(hours * 3600 + minutes * 60).ok()?;
    (hours < 24 && minutes < 60).then_some(sign * seconds)
}

fn digits(text: &[u8]) -> Option<u64> {
    text.iter()
        .try_fold(0u64, |number, byte| byte.is_ascii_digit().then(|| number * 10 + u64::from(byte - b'0')))
}

/// Days from 1970-01-01 to this date; none if there is no such date, or it is earlier.
fn days_until(year: u64, month: u64, day: u64) -> Option<u64> {
    let before = |year: u64| year * 365 + year.div_ceil(4) - year.div_ceil(100) + year.div_ceil(400);
    let month = usize::try_from(month).ok()?.checked_sub(1)?;
    let lengths = month_lengths(year);
    if year < 1970 || day == 0 || day > *lengths.get(month)? {
        return None;
    }
    Some(before(year) - before(1970) + lengths[..month].iter().sum::<u64>() + day - 1)
}

/// The Gregorian date of a day counted from 1970-01-01.
fn date(days: u64) -> (u64, u64, u64) {
    /// From 0000-03-01 to 1970-01-01. A year that begins in March has its leap day at its end.
    const EPOCH: u64 = 719_468;
    /// Of 400, 100, 4 years and one.
    const CYCLE: [u64; 4] = [146_097, 36_524, 1_461, 365];
    let days = days + EPOCH;
    let (cycles, days) = (days / CYCLE[0], days % CYCLE[0]);
    // The last of four centuries and of four years is a day longer.
    let centuries = (days / CYCLE[1]).min(3);
    let days = days - centuries * CYCLE[1];
    let (fours, days) = (days / CYCLE[2], days % CYCLE[2]);
    let years = (days / CYCLE[3]).min(3);
    let days = days - years * CYCLE[3];
    // From March five months have 153 days: 31, 30, 31, 30, 31.
    let month = (5 * days + 2) / 153;
    let day = days - (153 * month + 2) / 5 + 1;
    let year = 400 * cycles + 100 * centuries + 4 * fours + years;
    if month < 10 { (year, month + 3, day) } else { (year + 1, month - 9, day) }
}

fn month_lengths(year: u64) -> [u64; 12] {
    [31, days_of(year) - 337, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
}

fn days_of(year: u64) -> u64 {
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    if is_leap { 366 } else { 365 }
}

fn time_of_day(seconds: u64) -> (u64, u64, u64) {
    let second = seconds % DAY_SECONDS;
    (second / 3600, second / 60 % 60, second % 60)
}

impl fmt::Display for NotATimestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a time such as 2026-03-01T12:03:04.512345Z")
    }
}

impl std::error::Error for NotATimestamp {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_times() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00.000000Z"),
            (68_169_599, "1972-02-28T23:59:59.000000Z"),
            (951_782_400, "2000-02-29T00:00:00.000000Z"),
            (1_735_689_599, "2024-12-31T23:59:59.000000Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000000Z"),
            (13_574_563_200, "2400-02-29T00:00:00.000000Z"),
            (253_402_300_799, "9999-12-31T23:59:59.000000Z"),
        ] {
            let time = Timestamp::from(UNIX_EPOCH + Duration::from_secs(seconds));
            assert_eq!((time.to_string().as_str(), text.parse()), (text, Ok(time)));
        }
        let time = Timestamp::from(UNIX_EPOCH + Duration::new(86_400 * 3 + 43_384, 512_345_678));
        assert_eq!(time.to_string(), "1970-01-04T12:03:04.512345Z");
        assert_eq!(time.time_of_day(), "12:03:04.512Z");
        assert_eq!(Timestamp::from_micros(u64::MAX).to_string(), "9999-12-31T23:59:59.999999Z");
    }

    #[test]
    fn other_spellings_of_a_time() {
        let time = "2026-03-01T12:03:04.500Z".parse::<Timestamp>().expect("a time");
        for same in [
            "2026-03-01t12:03:04.5z",
            "2026-03-01T14:33:04.5000001+02:30",
            "2026-02-28T23:03:04.5-13:00",
            "2026-03-01T12:03:04.500000Z",
        ] {
            assert_eq!(same.parse(), Ok(time), "{same}");
        }
        for wrong in [
            "",
            "2026-03-01",
            "2026-03-01T12:03:04",
            "2026-03-01T12:03:04.Z",
            "2026-02-29T12:03:04Z",
            "2026-13-01T12:03:04Z",
            "2026-00-01T12:03:04Z",
            "2026-01-00T12:03:04Z",
            "1969-12-31T23:59:59Z",
            "1970-01-01T00:00:00+00:01",
            "9999-12-31T23:59:59-00:01",
            "2026-03-01T24:03:04Z",
            "2026-03-01T12:03:04+2:00",
            "2026-03-01 12:03:04Z",
            "２026-03-01T12:03:04Z",
        ] {
            assert_eq!(wrong.parse::<Timestamp>(), Err(NotATimestamp), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(micros in 0..=MOST_MICROS) {
            let time = Timestamp::from_micros(micros);
            prop_assert_eq!(time.to_string().parse(), Ok(time));
            prop_assert_eq!(Timestamp::from(SystemTime::from(time)), time);
        }

        #[test]
        fn any_text_is_a_time_or_not(text in "[0-9TZ:.+ -]{0,30}") {
            let _ = text.parse::<Timestamp>();
        }
    }
}
