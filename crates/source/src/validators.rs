//! What an answer leaves behind for the next request: `ETag` and `Last-Modified` (RFC 9110 section 8.8),
//! and the conditions made of them (section 13.1). Headers in, headers out.

use std::time::{Duration, SystemTime};

use http::HeaderMap;
use http::header::{DATE, ETAG, HeaderName, HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED};

/// `Last-Modified` has a resolution of a second: a document may change once more within it. It is a
/// validator only from this much before the answer's own `Date` on (RFC 9110 section 8.8.2.2).
const LAST_MODIFIED_SETTLED: Duration = Duration::from_secs(2);

/// The validators of the stored document. Empty ones make an unconditional request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Validators {
    etag: Option<HeaderValue>,
    last_modified: Option<HeaderValue>,
}

impl Validators {
    /// Of a whole answer (200): what it does not carry is forgotten.
    #[must_use]
    pub fn of_answer(headers: &HeaderMap) -> Self {
        Self { etag: headers.get(ETAG).cloned(), last_modified: settled_last_modified(headers) }
    }

    /// Of a 304, which keeps the document: what it carries replaces what is stored (RFC 9111 section 4.3.4).
    pub fn handle_not_modified(&mut self, headers: &HeaderMap) {
        if let Some(etag) = headers.get(ETAG) {
            self.etag = Some(etag.clone());
        }
        if headers.contains_key(LAST_MODIFIED) && headers.get(LAST_MODIFIED) != self.last_modified.as_ref() {
            self.last_modified = settled_last_modified(headers);
        }
    }

    /// The one condition to send: `If-None-Match` wins over `If-Modified-Since`.
    #[must_use]
    pub fn condition(&self) -> Option<(HeaderName, HeaderValue)> {
        let etag = self.etag.clone().map(|etag| (IF_NONE_MATCH, etag));
        etag.or_else(|| self.last_modified.clone().map(|date| (IF_MODIFIED_SINCE, date)))
    }
}

/// `Last-Modified` where it can no longer hide a change.
fn settled_last_modified(headers: &HeaderMap) -> Option<HeaderValue> {
    let value = headers.get(LAST_MODIFIED)?;
    let age = http_date(headers.get(DATE)?)?.duration_since(http_date(value)?).ok()?;
    (age >= LAST_MODIFIED_SETTLED).then(|| value.clone())
}

/// A date of HTTP in any of its three forms (RFC 9110 section 5.6.7).
pub(crate) fn http_date(value: &HeaderValue) -> Option<SystemTime> {
    httpdate::parse_http_date(value.to_str().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: &str = "Sun, 06 Nov 2022 12:00:00 GMT";
    const NOON_1: &str = "Sun, 06 Nov 2022 12:00:01 GMT";
    const NOON_2: &str = "Sun, 06 Nov 2022 12:00:02 GMT";

    fn headers(pairs: &[(HeaderName, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect()
    }

    #[track_caller]
    fn check(validators: &Validators, expected: Option<(HeaderName, &'static str)>) {
        assert_eq!(
            validators.condition(),
            expected.map(|(name, value)| (name, HeaderValue::from_static(value)))
        );
    }

    #[test]
    fn without_validators_the_request_is_unconditional() {
        check(&Validators::of_answer(&headers(&[(DATE, NOON)])), None);
    }

    #[test]
    fn an_etag_wins_over_a_date() {
        let answer = headers(&[(ETAG, "W/\"1\""), (LAST_MODIFIED, NOON), (DATE, NOON_2)]);
        check(&Validators::of_answer(&answer), Some((IF_NONE_MATCH, "W/\"1\"")));
    }

    #[test]
    fn last_modified_counts_only_two_seconds_later() {
        for (date, expected) in [(NOON, None), (NOON_1, None), (NOON_2, Some((IF_MODIFIED_SINCE, NOON)))] {
            check(&Validators::of_answer(&headers(&[(LAST_MODIFIED, NOON), (DATE, date)])), expected);
        }
    }

    #[test]
    fn last_modified_without_a_date_or_in_the_future_does_not_count() {
        check(&Validators::of_answer(&headers(&[(LAST_MODIFIED, NOON)])), None);
        check(&Validators::of_answer(&headers(&[(LAST_MODIFIED, NOON_2), (DATE, NOON)])), None);
        check(&Validators::of_answer(&headers(&[(LAST_MODIFIED, "yesterday"), (DATE, NOON)])), None);
    }

    #[test]
    fn a_304_replaces_what_it_carries_and_keeps_the_rest() {
        let mut validators = Validators::of_answer(&headers(&[(ETAG, "\"1\"")]));
        validators.handle_not_modified(&headers(&[(DATE, NOON)]));
        check(&validators, Some((IF_NONE_MATCH, "\"1\"")));
        validators.handle_not_modified(&headers(&[(ETAG, "\"2\"")]));
        check(&validators, Some((IF_NONE_MATCH, "\"2\"")));
    }

    #[test]
    fn a_304_does_not_weaken_a_settled_date() {
        let mut validators = Validators::of_answer(&headers(&[(LAST_MODIFIED, NOON), (DATE, NOON_2)]));
        validators.handle_not_modified(&headers(&[(LAST_MODIFIED, NOON)]));
        check(&validators, Some((IF_MODIFIED_SINCE, NOON)));
        validators.handle_not_modified(&headers(&[(LAST_MODIFIED, NOON_2), (DATE, NOON_2)]));
        check(&validators, None);
    }
}
