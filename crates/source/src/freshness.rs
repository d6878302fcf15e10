//! How long an answer may be believed, and when a failing backend wants to be asked again: `Cache-Control`
//! and `Age` (RFC 9111 section 5), `Retry-After` (RFC 9110 section 10.2.3). Headers in, durations out.

use std::time::{Duration, SystemTime};

use http::HeaderMap;
use http::header::{AGE, CACHE_CONTROL, DATE, HeaderValue, RETRY_AFTER};

use crate::validators::http_date;

/// The directives of `Cache-Control` that matter here.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CacheControl {
    /// The smallest `max-age`.
    pub max_age: Option<Duration>,
    /// `s-maxage` is there, whatever it says.
    pub s_maxage: bool,
    /// `public`.
    pub public: bool,
    /// `private`, with or without field names.
    pub private: bool,
    /// `no-cache` without field names.
    pub no_cache: bool,
    /// `no-store`.
    pub no_store: bool,
}

impl CacheControl {
    /// Reads all lines of the field; what is unknown or malformed is passed over.
    #[must_use]
    pub fn from_headers(headers: &HeaderMap) -> Self {
        let mut control = Self::default();
        for line in headers.get_all(CACHE_CONTROL) {
            elements(line.as_bytes()).for_each(|element| control.read(element));
        }
        control
    }

    fn read(&mut self, element: &[u8]) {
        let mut parts = element.splitn(2, |byte| *byte == b'=');
        let name = parts.next().unwrap_or_default().trim_ascii().to_ascii_lowercase();
        let value = parts.next().map(<[u8]>::trim_ascii);
        match name.as_slice() {
            b"max-age" => {
                let seconds = value.and_then(delta_seconds).unwrap_or_default();
                self.max_age = Some(self.max_age.map_or(seconds, |known| known.min(seconds)));
            }
            b"s-maxage" => self.s_maxage = true,
            b"public" => self.public = true,
            b"private" => self.private = true,
            b"no-cache" => self.no_cache |= value.is_none(),
            b"no-store" => self.no_store = true,
            _ => {}
        }
    }
}

/// How long the answer stays fresh: `max-age` less `Age`; nothing where it must be asked for again.
#[must_use]
pub fn fresh_for(headers: &HeaderMap) -> Option<Duration> {
    let control = CacheControl::from_headers(headers);
    if control.no_cache || control.no_store {
        return None;
    }
    let age = headers.get(AGE).and_then(|age| delta_seconds(age.as_bytes())).unwrap_or_default();
    control.max_age.map(|max_age| max_age.saturating_sub(age))
}

/// What `Retry-After` asks for. A date counts from the answer's own `Date`, else from `now`.
#[must_use]
pub fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?;
    delta_seconds(value.as_bytes()).or_else(|| {
        let reference = headers.get(DATE).and_then(http_date).unwrap_or(now);
        Some(http_date(value)?.duration_since(reference).unwrap_or_default())
    })
}

/// The elements of a comma-separated list, with commas inside quotes left alone.
pub(crate) fn elements(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut quoted = false;
    let mut escaped = false;
    list.split(move |byte| {
        let here = !quoted && *byte == b',';
        let ends_escape = std::mem::take(&mut escaped);
        match byte {
            b'\\' if quoted && !ends_escape => escaped = true,
            b'"' if !ends_escape => quoted = !quoted,
            _ => {}
        }
        here
    })
    .map(<[u8]>::trim_ascii)
    .filter(|element| !element.is_empty())
}

/// Whole seconds, quoted or not; more digits than a number holds mean "very long".
fn delta_seconds(value: &[u8]) -> Option<Duration> {
    let value = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\"")).unwrap_or(value);
    let digits = value.trim_ascii();
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let seconds = digits
        .iter()
        .fold(0u32, |seconds, digit| seconds.saturating_mul(10).saturating_add(u32::from(digit - b'0')));
    Some(Duration::from_secs(seconds.into()))
}

/// The value of a header as text, for reasons that people read; control characters are gone.
pub(crate) fn printable(value: &HeaderValue) -> String {
    String::from_utf8_lossy(value.as_bytes())
        .chars()
        .filter(|character| !character.is_control())
        .take(200)
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn answer(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_str(value).expect("a test writes legal headers"));
        }
        headers
    }

    #[track_caller]
    fn check_fresh(pairs: &[(&'static str, &str)], seconds: Option<u64>) {
        assert_eq!(fresh_for(&answer(pairs)), seconds.map(Duration::from_secs), "{pairs:?}");
    }

    #[test]
    fn max_age_less_age() {
        check_fresh(&[], None);
        check_fresh(&[("cache-control", "max-age=60")], Some(60));
        check_fresh(&[("cache-control", "public, MAX-AGE=\"60\" ")], Some(60));
        check_fresh(&[("cache-control", "max-age=60"), ("age", "50")], Some(10));
        check_fresh(&[("cache-control", "max-age=60"), ("age", "61")], Some(0));
        check_fresh(&[("cache-control", "max-age=60"), ("cache-control", "max-age=20")], Some(20));
        check_fresh(&[("cache-control", "max-age=soon")], Some(0));
        check_fresh(&[("cache-control", "max-age=99999999999999999999")], Some(u32::MAX.into()));
    }

    #[test]
    fn no_cache_and_no_store_win() {
        check_fresh(&[("cache-control", "max-age=60, no-cache")], None);
        check_fresh(&[("cache-control", "no-store"), ("cache-control", "max-age=60")], None);
        check_fresh(&[("cache-control", "no-cache=\"set-cookie, max-age=1\", max-age=60")], Some(60));
    }

    #[test]
    fn retry_after_in_seconds_or_as_a_date() {
        let date = "Sun, 06 Nov 2022 12:00:30 GMT";
        let now = SystemTime::UNIX_EPOCH;
        let check = |pairs: &[(&'static str, &str)], seconds: Option<u64>| {
            assert_eq!(retry_after(&answer(pairs), now), seconds.map(Duration::from_secs), "{pairs:?}");
        };
        check(&[], None);
        check(&[("retry-after", "7")], Some(7));
        check(&[("retry-after", "-7")], None);
        check(&[("retry-after", date), ("date", "Sun, 06 Nov 2022 12:00:00 GMT")], Some(30));
        check(&[("retry-after", date), ("date", "Sun, 06 Nov 2022 13:00:00 GMT")], Some(0));
        check(&[("retry-after", "Thu, 01 Jan 1970 00:00:09 GMT")], Some(9));
    }

    proptest! {
        #[test]
        fn any_header_is_read_without_a_panic(value in "[ -~]{0,40}") {
            let headers = answer(&[("cache-control", &value), ("retry-after", &value), ("age", &value)]);
            let _ = fresh_for(&headers);
            let _ = retry_after(&headers, SystemTime::UNIX_EPOCH);
        }

        /// Elements are cut exactly at the commas outside of quotes.
        #[test]
        fn lists_are_cut_outside_of_quotes(parts in prop::collection::vec("([a-z]{1,3})|(\"([a-z,]|\\\\\"|\\\\\\\\){0,4}\")", 0..6)) {
            let list = parts.join(" , ");
            let cut: Vec<&[u8]> = elements(list.as_bytes()).collect();
            let parts: Vec<&[u8]> = parts.iter().map(|part| part.as_bytes()).collect();
            prop_assert_eq!(cut, parts);
        }
    }
}
