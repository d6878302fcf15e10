//! The position in the query of the URL that is followed, and the kind of updates.
//!
//! They are read and taken out once, when a follower is made; each connection gets its own. What else is in the
//! query is the gateway's and stays as it came.

use tidegate_protocol::{Position, Updates, UpdatesError};
use url::{Url, form_urlencoded};

use crate::address::UrlError;

/// Takes every `after` out of the query. The first one counts, as with the gateway.
pub(super) fn take_after(url: &mut Url) -> Result<Option<Position>, UrlError> {
    let Some(value) = take(url, "after") else { return Ok(None) };
    value.parse().map(Some).map_err(|_| {
        UrlError::Malformed(format!("after is '{value}' in its query, and not a position such as k3f9:41"))
    })
}

/// Takes every `updates` out of the query; the same counts.
pub(super) fn take_updates(url: &mut Url) -> Result<Option<Updates>, UrlError> {
    let Some(value) = take(url, "updates") else { return Ok(None) };
    let updates = value.parse().map(Some);
    updates.map_err(|error: UpdatesError| UrlError::Malformed(format!("in its query: {error}")))
}

/// Takes what has this name out of the query, and gives the first of it.
fn take(url: &mut Url, name: &str) -> Option<String> {
    let is_taken = |pair: &&str| pair.split('=').next() == Some(name);
    let query = url.query()?;
    let first = query.split('&').find(is_taken)?;
    let value = form_urlencoded::parse(first.as_bytes()).next().map(|(_, value)| value.into_owned());
    let rest: Vec<_> = query.split('&').filter(|pair| !is_taken(pair)).collect();
    let rest = Some(rest.join("&")).filter(|rest| !rest.is_empty());
    url.set_query(rest.as_deref());
    Some(value.unwrap_or_default())
}

/// Adds the position to a query that has none.
pub(super) fn add_after(url: &mut Url, position: Position) {
    add(url, &format!("after={position}"));
}

/// Adds what kind of updates is asked for, unless whole documents are.
pub(super) fn add_updates(url: &mut Url, updates: Updates) {
    if let Some(name) = updates.name() {
        add(url, &format!("updates={name}"));
    }
}

fn add(url: &mut Url, pair: &str) {
    let query = match url.query().filter(|query| !query.is_empty()) {
        Some(query) => format!("{query}&{pair}"),
        None => pair.to_owned(),
    };
    url.set_query(Some(&query));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tidegate_protocol::Epoch;

    use super::*;

    fn check(query: &str, after: Option<&str>, rest: &str) {
        let mut url = Url::parse(&format!("ws://gateway/own{query}")).unwrap();
        let taken = take_after(&mut url).unwrap();
        assert_eq!(taken.map(|position| position.to_string()).as_deref(), after, "{query}");
        assert_eq!(url.as_str(), format!("ws://gateway/own{rest}"), "{query}");
    }

    #[test]
    fn only_the_position_is_taken() {
        check("", None, "");
        check("?", None, "?");
        check("?x=1&After=k:1&q=after=k:2&&flag", None, "?x=1&After=k:1&q=after=k:2&&flag");
        check("?after=k%3A41", Some("k:41"), "");
        check("?b=%20y&after=k:1&a=1&after=other", Some("k:1"), "?b=%20y&a=1");
    }

    #[test]
    fn the_kind_of_updates_is_taken() {
        for (query, updates, rest) in [
            ("?x=1&Updates=json-patch", None, "?x=1&Updates=json-patch"),
            ("?x=1&updates=merge-patch&y&updates=json-patch", Some(Updates::MergePatch), "?x=1&y"),
        ] {
            let mut url = Url::parse(&format!("ws://gateway/own{query}")).unwrap();
            assert_eq!(take_updates(&mut url), Ok(updates));
            assert_eq!(url.as_str(), format!("ws://gateway/own{rest}"));
        }
        assert!(take_updates(&mut Url::parse("ws://gateway/own?updates=diff").unwrap()).is_err());
    }

    #[test]
    fn what_is_no_position_is_an_error() {
        for query in ["after", "after=", "after=k", "x=1&after=k:-1", "after=k+:1"] {
            let mut url = Url::parse(&format!("ws://gateway/own?{query}")).unwrap();
            assert!(take_after(&mut url).is_err(), "{query}");
        }
    }

    proptest! {
        #[test]
        fn what_is_added_is_taken(query in "[a-z=&%:?]{0,40}", epoch: u32, offset: u64) {
            let mut url = Url::parse(&format!("ws://gateway/own?{query}")).unwrap();
            if take_after(&mut url).is_ok() {
                let position = Position { epoch: Epoch(epoch), offset };
                add_after(&mut url, position);
                prop_assert_eq!(take_after(&mut url), Ok(Some(position)));
            }
        }
    }
}
