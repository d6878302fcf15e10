//! The origin of a backend, `http://host:port`, and the splitting of a configured URL.
//!
//! A host stands in the configuration or on the command line; nothing that a client sends ever gets into
//! it. Connecting is the business of whoever asks for a URI here.

use std::fmt;

use http::Uri;
use http::uri::{Authority, Parts, PathAndQuery, Scheme};

/// Where a backend is reached: scheme, host and port, always the same for one route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backend {
    scheme: Scheme,
    authority: Authority,
    host: String,
    port: u16,
}

/// Why a text is not the URL that is needed, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UrlError {
    /// What is wrong.
    pub what: String,
    /// What to write instead.
    pub mend: String,
}

impl Backend {
    /// Reads `http://host[:port]` or `https://host[:port]`, with at most a slash behind it: the path of a
    /// request is added as it came.
    pub fn parse(url: &str) -> Result<Self, UrlError> {
        let (backend, rest) = Self::split(url)?;
        if rest.is_empty() || rest == "/" {
            return Ok(backend);
        }
        Err(wrong(
            "the URL has a path, but each request's own path goes to the backend",
            format!("write \"{backend}\""),
        ))
    }

    /// Reads the origin of a URL; what follows it comes back as it stands.
    pub(super) fn split(url: &str) -> Result<(Self, &str), UrlError> {
        if url.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(wrong(
                "the URL has a space or a control character",
                "write %20 for a space".to_owned(),
            ));
        }
        let Some((scheme, rest)) = url.split_once("://") else {
            return Err(wrong("the URL has no scheme", format!("write \"http://{}\"", short(url))));
        };
        let scheme = read_scheme(scheme)?;
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, rest) = rest.split_at(end);
        Ok((Self::of(scheme, authority)?, rest))
    }

    fn of(scheme: Scheme, text: &str) -> Result<Self, UrlError> {
        if text.contains(['{', '}']) {
            return Err(wrong(
                "a {parameter} in the host would let clients choose the server",
                "write the host as it is; parameters stand in the path or the query".to_owned(),
            ));
        }
        if text.contains('@') {
            return Err(wrong(
                "the URL carries a user name",
                "remove it together with the '@'; URLs are logged".to_owned(),
            ));
        }
        let mend = || "write http://host or http://host:port".to_owned();
        let Ok(authority) = text.to_ascii_lowercase().parse::<Authority>() else {
            return Err(wrong(&format!("{:?} is not a host", short(text)), mend()));
        };
        let host = authority.host().to_owned();
        let after = text.get(host.len()..).unwrap_or_default();
        let default = if scheme == Scheme::HTTPS { 443 } else { 80 };
        let port = match after.strip_prefix(':') {
            None if after.is_empty() => default,
            Some(port) if port.bytes().all(|byte| byte.is_ascii_digit()) => port.parse().unwrap_or(0),
            _ => 0,
        };
        if port == 0 || !is_host(&host) {
            return Err(wrong(&format!("{:?} is not a host and a port", short(text)), mend()));
        }
        Ok(Self { scheme, authority, host, port })
    }

    /// The URI of a path on this backend.
    #[must_use]
    pub fn uri(&self, path_and_query: PathAndQuery) -> Uri {
        let mut parts = Parts::default();
        parts.scheme = Some(self.scheme.clone());
        parts.authority = Some(self.authority.clone());
        parts.path_and_query = Some(path_and_query);
        Uri::from_parts(parts).expect("scheme, authority and path are all there")
    }

    /// True for `https`.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.scheme == Scheme::HTTPS
    }

    /// The host, an IPv6 address in brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, the scheme's own where none is written.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Host and port as they are written, which is what a `Host` field carries.
    #[must_use]
    pub fn authority(&self) -> &Authority {
        &self.authority
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.authority)
    }
}

fn read_scheme(text: &str) -> Result<Scheme, UrlError> {
    match text.to_ascii_lowercase().as_str() {
        "http" => Ok(Scheme::HTTP),
        "https" => Ok(Scheme::HTTPS),
        other @ ("ws" | "wss") => Err(wrong(
            &format!("a backend over {other}:// is not available in this version"),
            "write an http:// or https:// URL".to_owned(),
        )),
        _ if text.contains(['{', '}']) => Err(wrong(
            "a {parameter} in the scheme would let clients choose the server",
            "write http:// or https://".to_owned(),
        )),
        _ => Err(wrong(
            &format!("{:?} is not a scheme of a backend", short(text)),
            "write http:// or https://".to_owned(),
        )),
    }
}

/// A name of letters, digits, `-`, `_` and `.`, or an address; IPv6 in brackets.
fn is_host(host: &str) -> bool {
    match host.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')) {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            !host.is_empty()
                && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
        }
    }
}

pub(super) fn short(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(80).collect()
}

pub(super) fn wrong(what: &str, mend: String) -> UrlError {
    UrlError { what: what.to_owned(), mend }
}

impl fmt::Display for UrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.what, self.mend)
    }
}

impl std::error::Error for UrlError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_has_scheme_host_and_port() {
        for (url, text, host, port) in [
            ("http://localhost:3000", "http://localhost:3000", "localhost", 3000),
            ("http://localhost:3000/", "http://localhost:3000", "localhost", 3000),
            ("HTTPS://Example.COM", "https://example.com", "example.com", 443),
            ("http://[::1]:9000", "http://[::1]:9000", "[::1]", 9000),
            ("http://[::1]", "http://[::1]", "[::1]", 80),
            ("http://10.0.0.1", "http://10.0.0.1", "10.0.0.1", 80),
        ] {
            let backend = Backend::parse(url).unwrap();
            assert_eq!(backend.to_string(), text);
            assert_eq!((backend.host(), backend.port()), (host, port), "{url}");
        }
    }

    #[test]
    fn what_is_no_origin_is_refused() {
        for url in [
            "",
            "localhost:3000",
            "http://",
            "http:///x",
            "http://:80",
            "http://a:0",
            "http://a:",
            "http://a:65536",
            "http://a:+1",
            "http://a:b",
            "http://a@b",
            "http://u:p@b/",
            "http://{h}/",
            "{s}://h",
            "ftp://h",
            "ws://h",
            "wss://h",
            "http://a/x",
            "http://a?x",
            "http://a#x",
            "http://a b",
            "http://[::1",
            "http://[x]",
            "http://a,b",
            "http://\u{e9}",
            "http://a\n",
        ] {
            assert!(Backend::parse(url).is_err(), "{url}");
        }
    }
}
