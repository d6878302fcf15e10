//! What `--expect` waits for: a regular expression, or a test of a place in JSON.
//!
//! It comes from the command line and is asked of each message that came.

use regex::Regex;
use tidegate_inspect::filter::JsonTest;

/// The first message of which it holds is the one.
#[derive(Debug, Clone)]
pub(crate) enum Expectation {
    /// Somewhere in the payload; bytes that are no UTF-8 count as U+FFFD.
    Matches(Regex),
    /// Of the payload, which then is JSON.
    Json(JsonTest),
}

impl Expectation {
    /// Reads `re:REGEX`, or `$…` as the filter language has it behind `json:`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if let Some(pattern) = text.strip_prefix("re:") {
            return Regex::new(pattern).map(Self::Matches).map_err(|error| error.to_string());
        }
        if !text.starts_with('$') {
            return Err(
                "an expectation is re:REGEX, such as 're:\"ok\":true', or a test, such as '$.ok==true'"
                    .to_owned(),
            );
        }
        let column = |at: usize| text[..at].chars().count() + 1;
        JsonTest::parse(text).map(Self::Json).map_err(|(at, why)| format!("column {}: {why}", column(at)))
    }

    pub(crate) fn is_met(&self, payload: &[u8]) -> bool {
        match self {
            Self::Matches(regex) => regex.is_match(&String::from_utf8_lossy(payload)),
            Self::Json(test) => serde_json::from_slice(payload).is_ok_and(|document| test.matches(&document)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str, payload: &[u8]) -> bool {
        Expectation::parse(text).expect("an expectation").is_met(payload)
    }

    #[test]
    fn of_text_and_of_json() {
        assert!(check("re:^a+$", b"aa"));
        assert!(!check("re:^a+$", b"ab"));
        assert!(check("re:b", b"\xffb"));
        assert!(check("$.type==\"trade\"", br#" {"type": "trade"} "#));
        assert!(check("$[0].price>=10", br#"[{"price":10.5}]"#));
        for payload in [&br#"{"type":"x"}"#[..], b"trade", b"", b"\xff", br#"{"type":"trade"} x"#] {
            assert!(!check("$.type==\"trade\"", payload), "{payload:?}");
        }
    }

    #[test]
    fn what_is_none_says_where() {
        for (text, part) in
            [("a", "re:REGEX"), ("re:(", "unclosed"), ("$.é=1", "column 4:"), ("$.", "column 3:")]
        {
            let why = Expectation::parse(text).expect_err(text);
            assert!(why.contains(part), "{why}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_an_expectation_or_not(text in "(re:|[$])?\\PC{0,20}", payload in any::<Vec<u8>>()) {
            if let Ok(expectation) = Expectation::parse(&text) {
                expectation.is_met(&payload);
            }
        }
    }
}
