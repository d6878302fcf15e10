//! `[access]`: the admin token, allowed origins, Host names, trusted proxies. Clients' tokens are in `tokens`.
//!
//! Reads them into values that compare exactly; who is let in is decided by the listeners.

use std::fmt;
use std::io::Read;
use std::net::IpAddr;
use std::path::Path;

use tidegate_inspect::words::known;

use super::document::{Entry, Section};
use super::fault::{Collector, shown};
use super::vocabulary;
use crate::tokens::Issuer;

/// Longest secret in bytes; it travels in a header field.
const SECRET_MAX_BYTES: usize = 4096;

/// Longest list of origins, Host names or proxies.
const LIST_MAX: usize = 1000;

/// Who may do what, beside what routes say.
#[derive(Debug, Clone, Default)]
pub struct Access {
    /// The credential of the admin listener; `None` where one is to be made at start.
    pub admin_token: Option<Secret>,
    /// Whose tokens count.
    pub tokens: Vec<Issuer>,
    /// Origins beside the gateway's own that may open connections.
    pub origins: Vec<Origin>,
    /// Proxies whose word about a client's address and scheme counts.
    pub trusted_proxies: Vec<Network>,
}

/// A secret. It is never printed, and compared without telling by the time taken where it differs.
#[derive(Clone)]
pub struct Secret(String);

/// An allowed origin, `scheme://host[:port]`, in the form in which browsers send it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin(String);

/// A range of addresses, such as `10.0.0.0/8`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

/// Why a text is not a secret, an origin or a network, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessError {
    /// What is wrong.
    pub what: String,
    /// What to write instead.
    pub mend: String,
}

impl Secret {
    /// Takes a secret; it must be one or more visible ASCII characters, because it travels in a header.
    pub fn parse(text: &str) -> Result<Self, AccessError> {
        if text.is_empty() {
            return Err(wrong(
                "the secret is empty",
                "write one, such as the output of 'openssl rand -hex 32'",
            ));
        }
        if text.len() > SECRET_MAX_BYTES || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(wrong(
                "the secret is not 1 to 4096 visible ASCII characters",
                "write one without spaces, such as the output of 'openssl rand -hex 32'",
            ));
        }
        Ok(Self(text.to_owned()))
    }

    /// True if a credential is this secret. The time depends on the lengths alone.
    #[must_use]
    pub fn is(&self, candidate: &[u8]) -> bool {
        let ours = self.0.as_bytes();
        let differs = ours.iter().zip(candidate).fold(0, |differs, (a, b)| differs | (a ^ b));
        std::hint::black_box(differs) == 0 && ours.len() == candidate.len()
    }

    /// The secret itself, for the one place that shows it to its owner.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl Origin {
    /// Reads `scheme://host[:port]`: exact, without path, wildcard or user name. `null` is no origin: any
    /// sandboxed page has it.
    pub fn parse(text: &str) -> Result<Self, AccessError> {
        let mend = "write it as browsers send it, such as \"https://app.example\"";
        if text.eq_ignore_ascii_case("null") {
            return Err(wrong("'null' is the origin of any sandboxed page", "list the page's own origin"));
        }
        if text.contains('*') {
            return Err(wrong("an origin has no wildcard", "list each origin by itself"));
        }
        let Some((scheme, host)) = text.split_once("://") else {
            return Err(wrong(&format!("\"{}\" has no scheme", shown(text)), mend));
        };
        if host.contains(['/', '?', '#', '@']) {
            return Err(wrong("an origin ends with the host and the port", mend));
        }
        let (scheme, host) = (scheme.to_ascii_lowercase(), host.to_ascii_lowercase());
        let (name, port) = split_port(&host);
        if !is_scheme(&scheme) || !is_host(name) || port.is_some_and(|port| !is_port(port)) {
            return Err(wrong(&format!("\"{}\" is not an origin", shown(text)), mend));
        }
        let default = matches!((scheme.as_str(), port), ("http", Some("80")) | ("https", Some("443")));
        let host = if default { name } else { &host };
        Ok(Self(format!("{scheme}://{host}")))
    }

    /// True if an `Origin` field is exactly this origin.
    #[must_use]
    pub fn is(&self, field: &str) -> bool {
        self.0.eq_ignore_ascii_case(field)
    }

    /// The origin as browsers send it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Network {
    /// Reads an address, or an address and the number of its bits that count: `10.0.0.0/8`.
    pub fn parse(text: &str) -> Result<Self, AccessError> {
        let mend = "write an address or a range, such as \"10.0.0.0/8\"";
        let (address, prefix) =
            text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let Ok(address) = address.parse::<IpAddr>() else {
            return Err(wrong(&format!("\"{}\" is not an address", shown(text)), mend));
        };
        let most = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => most,
            Some(bits) if bits.bytes().all(|byte| byte.is_ascii_digit()) => bits.parse().unwrap_or(u8::MAX),
            Some(_) => u8::MAX,
        };
        if prefix > most {
            return Err(wrong(&format!("\"{}\" is not a range of addresses", shown(text)), mend));
        }
        let network = Self { address: masked(address, prefix), prefix };
        if network.address != address {
            let what = format!("\"{}\" has bits beyond its range", shown(text));
            return Err(AccessError { what, mend: format!("write \"{network}\"") });
        }
        Ok(network)
    }

    /// True if the address lies in this range. An IPv4 address in IPv6 clothes counts as what it is.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.address.is_ipv4() && masked(address, self.prefix) == self.address
    }
}

/// The address with all bits behind the prefix cleared.
fn masked(address: IpAddr, prefix: u8) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
            IpAddr::V4((address.to_bits() & mask).into())
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
            IpAddr::V6((address.to_bits() & mask).into())
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl fmt::Display for AccessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.what, self.mend)
    }
}

impl std::error::Error for AccessError {}

/// Reads the table, but for the tokens, and the Host names in it.
pub(super) fn read(
    section: Section<'_>,
    environment: &dyn Fn(&str) -> Option<String>,
    folder: &Path,
    faults: &mut Collector<'_>,
) -> (Access, Vec<String>) {
    let admin_token =
        section.get("admin_token").and_then(|entry| read_secret(entry, environment, folder, faults));
    let origins = read_list(section, "origins", Origin::parse, faults);
    let trusted_proxies = read_list(section, "trusted_proxies", Network::parse, faults);
    let hosts = read_list(section, "hosts", parse_host, faults);
    (Access { admin_token, tokens: Vec::new(), origins, trusted_proxies }, hosts)
}

fn read_list<T>(
    section: Section<'_>,
    key: &str,
    parse: impl Fn(&str) -> Result<T, AccessError>,
    faults: &mut Collector<'_>,
) -> Vec<T> {
    let mut list = Vec::new();
    for (text, at) in section.texts(key, faults).unwrap_or_default() {
        if list.len() == LIST_MAX {
            faults.add(
                known::TOO_MANY,
                at,
                format!("'{key}' has more than {LIST_MAX} entries"),
                "shorten the list",
            );
            break;
        }
        match parse(text) {
            Ok(value) => list.push(value),
            Err(error) => faults.add(known::BAD_ACCESS, at, error.what, error.mend),
        }
    }
    list
}

/// A Host name, without its port: that of the listener counts.
fn parse_host(text: &str) -> Result<String, AccessError> {
    let host = text.to_ascii_lowercase();
    if is_host(&host) {
        return Ok(host);
    }
    Err(wrong(
        &format!("\"{}\" is not a host name", shown(text)),
        "write the name alone, such as \"dev.example\"",
    ))
}

/// A secret as a string, from the environment or from a file beside the configuration.
pub(super) fn read_secret(
    entry: Entry<'_>,
    environment: &dyn Fn(&str) -> Option<String>,
    folder: &Path,
    faults: &mut Collector<'_>,
) -> Option<Secret> {
    let (text, at) = if entry.value.is_table() {
        let section = entry.section(&vocabulary::SECRET, faults)?;
        match (section.text("env", faults), section.text("file", faults)) {
            (Some((name, at)), None) => (from_environment(name, at, environment, faults)?, at),
            (None, Some((file, at))) => (from_secret_file(&folder.join(file), at, faults)?, at),
            _ => {
                let variable =
                    if entry.key == "admin_token" { "TIDEGATE_ADMIN_TOKEN" } else { "TIDEGATE_TOKEN_SECRET" };
                let mend =
                    format!("write {} = {{ env = \"{variable}\" }} or {{ file = \"token\" }}", entry.key);
                faults.add(
                    known::BAD_SECRET,
                    entry.at,
                    "the secret comes from exactly one of 'env' and 'file'",
                    mend,
                );
                return None;
            }
        }
    } else {
        let (text, at) = entry.text(faults)?;
        (text.to_owned(), at)
    };
    Secret::parse(&text).map_err(|error| faults.add(known::BAD_SECRET, at, error.what, error.mend)).ok()
}

fn from_environment(
    name: &str,
    at: usize,
    environment: &dyn Fn(&str) -> Option<String>,
    faults: &mut Collector<'_>,
) -> Option<String> {
    let value = environment(name);
    if value.is_none() {
        let name = shown(name);
        let what = format!("the environment variable {name} is not set");
        faults.add(known::BAD_SECRET, at, what, format!("set it before starting: {name}=..."));
    }
    value
}

/// The first 4096 bytes of a file, without the line end that editors add.
fn from_secret_file(path: &Path, at: usize, faults: &mut Collector<'_>) -> Option<String> {
    let mut text = String::new();
    let read = std::fs::File::open(path)
        .and_then(|file| file.take(SECRET_MAX_BYTES as u64 + 2).read_to_string(&mut text));
    match read {
        Ok(_) => Some(text.trim_end_matches(['\r', '\n']).to_owned()),
        Err(error) => {
            let path = shown(&path.to_string_lossy());
            faults.add(
                known::BAD_SECRET,
                at,
                format!("cannot read {path}: {error}"),
                "write the path of a readable text file",
            );
            None
        }
    }
}

fn split_port(host: &str) -> (&str, Option<&str>) {
    let end = host.rfind(']').map_or(0, |at| at + 1);
    match host[end..].find(':') {
        Some(at) => (&host[..end + at], Some(&host[end + at + 1..])),
        None => (host, None),
    }
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok_and(|port| port > 0)
}

fn is_scheme(text: &str) -> bool {
    let rest = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    text.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic()) && text.bytes().all(rest)
}

fn is_host(text: &str) -> bool {
    match text.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')) {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
            !text.is_empty() && text.len() <= 253 && text.bytes().all(allowed)
        }
    }
}

fn wrong(what: &str, mend: &str) -> AccessError {
    AccessError { what: what.to_owned(), mend: mend.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_kept_as_browsers_send_it() {
        for (text, origin) in [
            ("https://App.Example", "https://app.example"),
            ("https://app.example:443", "https://app.example"),
            ("http://app.example:443", "http://app.example:443"),
            ("http://localhost:3000", "http://localhost:3000"),
            ("http://[::1]:3000", "http://[::1]:3000"),
            ("capacitor://localhost", "capacitor://localhost"),
        ] {
            assert_eq!(Origin::parse(text).unwrap().as_str(), origin);
        }
        let origin = Origin::parse("https://app.example").unwrap();
        assert!(origin.is("https://app.example"));
        for field in ["http://app.example", "https://app.example.evil", "https://x.app.example", "null", ""] {
            assert!(!origin.is(field), "{field}");
        }
    }

    #[test]
    fn what_is_no_origin_is_refused() {
        for text in [
            "",
            "null",
            "NULL",
            "*",
            "https://*.a.b",
            "a.example",
            "https://",
            "https://a/",
            "https://a/b",
            "https://u@a",
            "https://a:0",
            "https://a:x",
            "https://a:",
            "https://a b",
            "1http://a",
            "https://[::1",
            "https://a:1:2",
        ] {
            assert!(Origin::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_network_contains_its_addresses() {
        let network = Network::parse("10.0.0.0/8").unwrap();
        assert!(network.contains("10.255.0.1".parse().unwrap()));
        assert!(network.contains("::ffff:10.0.0.1".parse().unwrap()));
        assert!(!network.contains("11.0.0.1".parse().unwrap()));
        assert!(!network.contains("::1".parse().unwrap()));
        assert!(Network::parse("0.0.0.0/0").unwrap().contains("8.8.8.8".parse().unwrap()));
        assert!(Network::parse("::1").unwrap().contains("::1".parse().unwrap()));
        assert_eq!(Network::parse("10.1.0.0/8").unwrap_err().mend, "write \"10.0.0.0/8\"");
        for text in ["", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/+8", "x", "::/129", "10.0.0/8"] {
            assert!(Network::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_secret_is_compared_and_never_printed() {
        let secret = Secret::parse("hunter2").unwrap();
        assert_eq!(format!("{secret:?}"), "***");
        assert!(secret.is(b"hunter2"));
        for other in [&b"hunter"[..], b"hunter22", b"Hunter2", b""] {
            assert!(!secret.is(other));
        }
        assert!(Secret::parse("").is_err());
        assert!(Secret::parse("a b").is_err());
    }
}
