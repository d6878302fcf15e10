//! Who may see an answer: everybody, everybody with the same cookie and authorization, or only the one
//! who asked. Read from `Cache-Control` and `Vary`; decided here, acted upon by the gateway.

use http::HeaderMap;
use http::header::VARY;

use crate::freshness::{CacheControl, elements};

/// Among whom an answer may be shared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shared {
    /// Among all: the answer says `public` or `s-maxage`, and does not vary with the identity.
    Public,
    /// Among those whose `Cookie` and `Authorization` are the same.
    Identity,
    /// With nobody; the reason is for the log.
    Private(String),
}

impl Shared {
    /// Reads an answer. Where it contradicts itself the narrower meaning counts.
    #[must_use]
    pub fn of_answer(headers: &HeaderMap) -> Self {
        let control = CacheControl::from_headers(headers);
        let mut public = (control.public || control.s_maxage) && !control.private && !control.no_store;
        for name in headers.get_all(VARY).iter().flat_map(|line| elements(line.as_bytes())) {
            match name.to_ascii_lowercase().as_slice() {
                b"accept-encoding" | b"accept" => {}
                b"cookie" | b"authorization" => public = false,
                _ => return Self::Private(format!("the answer varies with {}", name.escape_ascii())),
            }
        }
        if public { Self::Public } else { Self::Identity }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[track_caller]
    fn check(pairs: &[(&'static str, &'static str)], expected: Shared) {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_static(value));
        }
        assert_eq!(Shared::of_answer(&headers), expected, "{pairs:?}");
    }

    #[test]
    fn silence_means_the_identity() {
        check(&[], Shared::Identity);
        check(&[("cache-control", "max-age=60")], Shared::Identity);
        check(&[("cache-control", "private")], Shared::Identity);
    }

    #[test]
    fn public_has_to_be_said() {
        check(&[("cache-control", "Public, max-age=1")], Shared::Public);
        check(&[("cache-control", "s-maxage=10")], Shared::Public);
        check(&[("cache-control", "public"), ("vary", "Accept-Encoding, Accept")], Shared::Public);
    }

    #[test]
    fn contradictions_are_read_narrowly() {
        check(&[("cache-control", "public"), ("vary", "Cookie")], Shared::Identity);
        check(
            &[("cache-control", "public"), ("vary", "accept"), ("vary", "AUTHORIZATION")],
            Shared::Identity,
        );
        check(&[("cache-control", "public, private")], Shared::Identity);
        check(&[("cache-control", "public"), ("cache-control", "no-store")], Shared::Identity);
    }

    #[test]
    fn what_varies_with_anything_else_is_private() {
        let private = |name: &str| Shared::Private(format!("the answer varies with {name}"));
        check(&[("cache-control", "public"), ("vary", "*")], private("*"));
        check(&[("vary", "Accept-Encoding, Accept-Language")], private("Accept-Language"));
        check(&[("vary", "Accept"), ("vary", "Cookie, Origin")], private("Origin"));
    }
}
