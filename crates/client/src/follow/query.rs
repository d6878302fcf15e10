//! The position in the query of the URL that is followed, and the kind of updates.
//!
//! It is read and taken out once, when a follower is made; each connection gets its own. What else is in the
//! query is the gateway's and stays as it came.

use tidegate_protocol::{Position, Updates};
use url::{Url, form_urlencoded};

use crate::address::UrlError;

/// Takes every `after` out of the query. The first one counts, as with the gateway.
pub(super) fn take_after(url: &mut Url) -> Result<Option<Position>, UrlError> {
    let Some(query) = url.query() else { return Ok(None) };
    let is_after = |pair: &&str| pair.split('=').next() == Some("after");
    let Some(first) = query.split('&').find(is_after) else { return Ok(None) };
    let value = form_urlencoded::parse(first.as_bytes()).next().map(|(_, value)| value.into_owned());
    let value = value.unwrap_or_default();
    let position = value.parse().map_err(|_| {
        UrlError::Malformed(format!("after is '{value}' in its query, and not a position such as k3f9:41"))
    })?;
    let rest: Vec<_> = query.split('&').filter(|pair| !is_after(pair)).collect();
    let rest = Some(rest.join("&")).filter(|rest| !rest.is_empty());
    url.set_query(rest.as_deref());
    Ok(Some(position))
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
