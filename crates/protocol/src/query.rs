//! The query of a request to follow a channel: three parameters are the gateway's, on long polls a fourth; the
//! rest is the backend's and goes on as it came.

use std::borrow::Cow;

/// What the gateway reads from a query. Values are percent-decoded; the first of each name counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OwnParameters {
    /// `after`: the position to resume from, not yet parsed.
    pub after: Option<String>,
    /// `updates`: the form of increments asked for.
    pub updates: Option<String>,
    /// `token`: a credential.
    pub token: Option<String>,
    /// `wait`: how long to wait, not yet parsed; only on long polls.
    pub wait: Option<String>,
}

/// Takes the gateway's parameters out of `query`; what remains keeps its order and its encoding, `None`
/// if nothing remains.
#[must_use]
pub fn split_query(query: Option<&str>) -> (OwnParameters, Option<String>) {
    split(query, false)
}

/// The same for a long poll, where `wait` is the gateway's, too.
#[must_use]
pub fn split_long_poll_query(query: Option<&str>) -> (OwnParameters, Option<String>) {
    split(query, true)
}

fn split(query: Option<&str>, long_poll: bool) -> (OwnParameters, Option<String>) {
    let mut own = OwnParameters::default();
    let Some(query) = query else { return (own, None) };
    let mut rest = String::new();
    for pair in query.split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let place = match name {
            "after" => &mut own.after,
            "updates" => &mut own.updates,
            "token" => &mut own.token,
            "wait" if long_poll => &mut own.wait,
            _ => {
                if !rest.is_empty() {
                    rest.push('&');
                }
                rest.push_str(pair);
                continue;
            }
        };
        place.get_or_insert_with(|| decode(value).into_owned());
    }
    (own, Some(rest).filter(|rest| !rest.is_empty()))
}

fn decode(value: &str) -> Cow<'_, str> {
    percent_encoding::percent_decode_str(value).decode_utf8_lossy()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(query: &str, after: Option<&str>, rest: Option<&str>) {
        let (own, remaining) = split_query(Some(query));
        assert_eq!((own.after.as_deref(), remaining.as_deref()), (after, rest), "{query}");
    }

    #[test]
    fn only_our_own_parameters_are_taken() {
        check("after=k3f9%3A41", Some("k3f9:41"), None);
        check("a=1&after=k:1&b=%20x&flag", Some("k:1"), Some("a=1&b=%20x&flag"));
        check("After=1&x", None, Some("After=1&x"));
        check("after=1&after=2", Some("1"), None);
        check("q=after=1", None, Some("q=after=1"));
        assert_eq!(split_query(None), (OwnParameters::default(), None));
        let (own, _) = split_query(Some("token=s3&updates=json-patch"));
        assert_eq!((own.token.as_deref(), own.updates.as_deref()), (Some("s3"), Some("json-patch")));
    }

    #[test]
    fn wait_is_ours_on_long_polls_alone() {
        let query = Some("page=2&wait=30&after=k:1");
        let (own, rest) = split_query(query);
        assert_eq!((own.wait, rest.as_deref()), (None, Some("page=2&wait=30")));
        let (own, rest) = split_long_poll_query(query);
        assert_eq!((own.wait.as_deref(), rest.as_deref()), (Some("30"), Some("page=2")));
        assert_eq!(own.after.as_deref(), Some("k:1"));
    }
}
