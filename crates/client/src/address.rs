//! A WebSocket URL (RFC 6455, section 3) as the parts that a connection needs.
//!
//! `http` and `https` stand for `ws` and `wss`, as in browsers. Nothing is resolved here.

use std::fmt;

use url::{Host, Position, Url};

/// Where to connect and what to ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) secure: bool,
    pub(crate) host: Host<String>,
    pub(crate) port: u16,
    /// For the Host header: the port is in it unless it is the scheme's own.
    pub(crate) authority: String,
    /// Path and query.
    pub(crate) target: String,
}

/// Why a text is not a WebSocket URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UrlError {
    /// It is no URL; the words are the parser's.
    Malformed(String),
    /// Another scheme than ws, wss, http and https.
    Scheme(String),
    /// A fragment, which section 3 forbids.
    Fragment,
    /// A user name or password, which would be shown wherever the URL is.
    Credentials,
}

impl Address {
    pub(crate) fn parse(text: &str) -> Result<Self, UrlError> {
        let url = Url::parse(text).map_err(|error| UrlError::Malformed(error.to_string()))?;
        let secure = match url.scheme() {
            "ws" | "http" => false,
            "wss" | "https" => true,
            other => return Err(UrlError::Scheme(other.to_owned())),
        };
        if url.fragment().is_some() {
            return Err(UrlError::Fragment);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(UrlError::Credentials);
        }
        let host = url.host().ok_or_else(|| UrlError::Malformed("no host".to_owned()))?.to_owned();
        let port = url.port().unwrap_or(if secure { 443 } else { 80 });
        let authority = url[Position::BeforeHost..Position::AfterPort].to_owned();
        let target = url[Position::BeforePath..Position::AfterQuery].to_owned();
        Ok(Self { secure, host, port, authority, target })
    }
}

impl fmt::Display for UrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(why) => write!(f, "not a URL: {why}"),
            Self::Scheme(scheme) => write!(f, "the scheme is '{scheme}', not ws or wss"),
            Self::Fragment => {
                f.write_str("a WebSocket URL has no fragment ('#'); write %23 for the character")
            }
            Self::Credentials => {
                f.write_str("credentials do not belong into the URL; send an Authorization header")
            }
        }
    }
}

impl std::error::Error for UrlError {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(url: &str, authority: &str, target: &str, port: u16, secure: bool) {
        let address = Address::parse(url).unwrap();
        assert_eq!(
            (address.authority.as_str(), address.target.as_str(), address.port, address.secure),
            (authority, target, port, secure),
            "{url}"
        );
    }

    #[test]
    fn parts() {
        check(
            "ws://localhost:8080/quotes/BTC?after=a:1",
            "localhost:8080",
            "/quotes/BTC?after=a:1",
            8080,
            false,
        );
        check("wss://Example.com", "example.com", "/", 443, true);
        check("wss://example.com:443/", "example.com", "/", 443, true);
        check("http://127.0.0.1/a%20b", "127.0.0.1", "/a%20b", 80, false);
        check("https://[::1]:9/x y", "[::1]:9", "/x%20y", 9, true);
    }

    #[test]
    fn what_is_refused() {
        for (url, error) in [
            ("ftp://x/", UrlError::Scheme("ftp".to_owned())),
            ("ws://x/#a", UrlError::Fragment),
            ("ws://u:p@x/", UrlError::Credentials),
            ("ws://u@x/", UrlError::Credentials),
        ] {
            assert_eq!(Address::parse(url), Err(error));
        }
        assert!(matches!(Address::parse("localhost"), Err(UrlError::Malformed(_))));
        assert!(matches!(Address::parse("ws://"), Err(UrlError::Malformed(_))));
    }

    proptest! {
        #[test]
        fn whatever_is_read_can_stand_in_a_request(text in "\\PC{0,40}") {
            if let Ok(address) = Address::parse(&format!("ws://{text}")) {
                prop_assert!(address.target.starts_with('/'));
                prop_assert!(address.target.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#'));
                prop_assert!(address.authority.bytes().all(|byte| byte.is_ascii_graphic()));
            }
        }
    }
}
