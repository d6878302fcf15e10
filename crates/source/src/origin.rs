//! Whose server a URL names: scheme, host and port (RFC 6454), compared as such and printed without
//! path or credentials. Read from URLs of the configuration and of redirects.

use std::fmt;

use http::Uri;

/// Scheme, host in lower case, and port; of `http` and `https` only.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Origin {
    secure: bool,
    host: String,
    port: u16,
}

impl Origin {
    /// The origin of an absolute `http` or `https` URL.
    #[must_use]
    pub fn of(uri: &Uri) -> Option<Self> {
        let secure = match uri.scheme_str()? {
            "http" => false,
            "https" => true,
            _ => return None,
        };
        let host = uri.host().filter(|host| !host.is_empty())?.to_ascii_lowercase();
        let authority = uri.authority()?.as_str();
        // `:port` of more than 65535 is no port for `Uri`, but it is there.
        let has_port =
            authority.rsplit_once(':').is_some_and(|(_, port)| !port.is_empty() && !port.ends_with(']'));
        let port = match uri.port_u16() {
            Some(port) => port,
            None if has_port => return None,
            None if secure => 443,
            None => 80,
        };
        Some(Self { secure, host, port })
    }

    /// Whether it is reached through TLS.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.secure
    }

    /// The host as a name or address, without the brackets of an IPv6 address.
    #[must_use]
    pub fn host(&self) -> &str {
        self.host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(&self.host)
    }

    /// The port, whether written or not.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, usual) = if self.secure { ("https", 443) } else { ("http", 80) };
        write!(f, "{scheme}://{}", self.host)?;
        if self.port == usual { Ok(()) } else { write!(f, ":{}", self.port) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(url: &str, expected: Option<&str>) {
        let origin = url.parse().ok().and_then(|uri| Origin::of(&uri));
        assert_eq!(origin.map(|origin| origin.to_string()).as_deref(), expected, "{url}");
    }

    #[test]
    fn scheme_host_and_port_make_an_origin() {
        check("http://Example.org/a?b", Some("http://example.org"));
        check("http://example.org:80", Some("http://example.org"));
        check("https://user:word@example.org:8443/", Some("https://example.org:8443"));
        check("https://[::1]:443/", Some("https://[::1]"));
        check("http://[::1]/", Some("http://[::1]"));
        assert_eq!(
            Origin::of(&Uri::from_static("http://[::1]:3000")).map(|origin| origin.host().to_owned()),
            Some("::1".into())
        );
    }

    #[test]
    fn other_urls_have_none() {
        for url in [
            "/path",
            "ftp://example.org",
            "example.org:80",
            "file:///etc/passwd",
            "http://example.org:99999/",
        ] {
            check(url, None);
        }
    }
}
