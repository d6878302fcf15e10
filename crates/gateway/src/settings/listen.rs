//! `[listen]`: where the public and the admin listener are bound, and whether TLS is spoken there.
//!
//! Addresses and paths; binding is the business of the server. The files of TLS are read once here, to tell
//! what is wrong with them.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::path::Path;

use tidegate_inspect::words::known;

use super::document::Section;
use super::fault::{Collector, shown};
use super::vocabulary;
use crate::certificate::{Blame, TlsFiles, load};

/// Most public listeners.
const PUBLIC_MAX: usize = 64;

/// Most shards; more than any machine has cores for.
const SHARDS_MAX: u32 = 1024;

/// Where the gateway listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listen {
    /// For clients. Never empty.
    pub public: Vec<Listener>,
    /// For publishing, status and metrics.
    pub admin: SocketAddr,
    /// What the public listeners speak TLS with; `None`: they speak plain HTTP.
    pub tls: Option<TlsFiles>,
}

/// Where the paths of TLS stand in the text.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct TlsPlaces {
    certificate: usize,
    key: usize,
}

/// One public listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listener {
    /// An address and a port; port 0 leaves the choice to the system.
    Tcp(SocketAddr),
}

/// Why a text is not an address to listen on, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenError {
    /// What is wrong.
    pub what: String,
    /// What to write instead.
    pub mend: String,
}

impl Default for Listen {
    /// Port 8080 for clients, 8081 for the admin listener, both on 127.0.0.1.
    fn default() -> Self {
        let local = |port| SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port));
        Self { public: vec![Listener::Tcp(local(8080))], admin: local(8081), tls: None }
    }
}

impl Listen {
    /// The first public listener that others than this machine can reach.
    #[must_use]
    pub fn exposed(&self) -> Option<&Listener> {
        self.public.iter().find(|listener| !listener.is_local())
    }

    /// Reports what is wrong with the files of TLS.
    pub(super) fn check_tls(&self, places: TlsPlaces, faults: &mut Collector<'_>) {
        if let Some(Err(error)) = self.tls.as_ref().map(load) {
            let at = match error.blame {
                Blame::Certificate => places.certificate,
                Blame::Key => places.key,
            };
            faults.add(known::BAD_CERTIFICATE, at, error.what, error.mend);
        }
    }

    /// Two listeners on one place, if there are.
    pub(super) fn collision(&self) -> Option<String> {
        let admin = Listener::Tcp(self.admin);
        let all: Vec<&Listener> = self.public.iter().chain([&admin]).collect();
        let pairs =
            all.iter().enumerate().flat_map(|(index, one)| all[..index].iter().map(move |two| (*two, *one)));
        let mut colliding = pairs.filter(|(one, two)| one.collides(two));
        colliding.next().map(|(one, two)| format!("{one} and {two} cannot both be listened on"))
    }
}

impl Listener {
    /// Reads `ADDRESS:PORT`.
    pub fn parse(text: &str) -> Result<Self, ListenError> {
        match text.strip_prefix("unix:") {
            Some(_) => Err(wrong(
                "listening on a Unix socket is not available in this version",
                "write an address and a port, such as \"127.0.0.1:8080\"",
            )),
            None => parse_address(text).map(Self::Tcp),
        }
    }

    /// True for loopback addresses: only this machine reaches them.
    #[must_use]
    pub fn is_local(&self) -> bool {
        match self {
            Self::Tcp(address) => address.ip().to_canonical().is_loopback(),
        }
    }

    fn collides(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Tcp(one), Self::Tcp(two)) => {
                let covers = |one: &SocketAddr, two: &SocketAddr| {
                    one.ip().is_unspecified() && (one.is_ipv4() == two.is_ipv4() || one.is_ipv6())
                };
                let same = one.ip() == two.ip() || covers(one, two) || covers(two, one);
                one.port() == two.port() && one.port() != 0 && same
            }
        }
    }
}

/// Reads `ADDRESS:PORT`; names are refused, because they may resolve to more than was meant.
pub fn parse_address(text: &str) -> Result<SocketAddr, ListenError> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let what = format!("\"{}\" is not an address and a port", shown(text));
    let port = text.rsplit(':').next().and_then(|port| port.parse::<u16>().ok());
    let Some(port) = port else {
        return Err(wrong(&what, "write such as \"127.0.0.1:8080\""));
    };
    let mend = if text == port.to_string() || text.starts_with(':') || text.starts_with('*') {
        format!("write \"127.0.0.1:{port}\" for this machine alone or \"0.0.0.0:{port}\" for everybody")
    } else {
        format!("write the address in numbers, such as \"127.0.0.1:{port}\" or \"[::1]:{port}\"")
    };
    Err(wrong(&what, &mend))
}

/// Reads the table, the number of shards in it, and where its paths stand.
pub(super) fn read(
    section: Section<'_>,
    folder: &Path,
    faults: &mut Collector<'_>,
) -> (Listen, Option<usize>, TlsPlaces) {
    let mut listen = Listen::default();
    if let Some(texts) = section.texts("public", faults) {
        listen.public = read_public(section, texts, faults);
    }
    if let Some((text, at)) = section.text("admin", faults) {
        match parse_address(text) {
            Ok(address) => listen.admin = address,
            Err(error) => faults.add(known::BAD_ADDRESS, at, error.what, error.mend),
        }
    }
    let places = read_tls(section, folder, &mut listen, faults).unwrap_or_default();
    (listen, read_shards(section, faults), places)
}

fn read_tls(
    section: Section<'_>,
    folder: &Path,
    listen: &mut Listen,
    faults: &mut Collector<'_>,
) -> Option<TlsPlaces> {
    let section = section.section("tls", &vocabulary::TLS, faults)?;
    let (certificate, key) = (section.get("certificate"), section.get("key"));
    let (Some(certificate), Some(key)) = (certificate, key) else {
        let absent = if certificate.is_none() { "certificate" } else { "key" };
        let mend = "write tls = { certificate = \"cert.pem\", key = \"key.pem\" }";
        faults.add(known::MISSING_KEY, section.at, format!("[listen].tls has no {absent}"), mend);
        return None;
    };
    let ((certificate, certificate_at), (key, key_at)) = (certificate.text(faults)?, key.text(faults)?);
    listen.tls = Some(TlsFiles { certificate: folder.join(certificate), key: folder.join(key) });
    Some(TlsPlaces { certificate: certificate_at, key: key_at })
}

fn read_public(section: Section<'_>, texts: Vec<(&str, usize)>, faults: &mut Collector<'_>) -> Vec<Listener> {
    let at = section.get("public").map_or(section.at, |entry| entry.at);
    if texts.is_empty() && section.get("public").is_some_and(|entry| entry.value.is_array()) {
        faults.add(
            known::MISSING_KEY,
            at,
            "'public' is an empty list",
            "write public = \"127.0.0.1:8080\", or remove the line",
        );
    }
    if texts.len() > PUBLIC_MAX {
        faults.add(
            known::TOO_MANY,
            at,
            format!("'public' has more than {PUBLIC_MAX} entries"),
            "shorten the list",
        );
        return Vec::new();
    }
    let mut public = Vec::new();
    for (text, at) in texts {
        match Listener::parse(text) {
            Ok(listener) => public.push(listener),
            Err(error) => faults.add(known::BAD_ADDRESS, at, error.what, error.mend),
        }
    }
    public
}

fn read_shards(section: Section<'_>, faults: &mut Collector<'_>) -> Option<usize> {
    let entry = section.get("shards")?;
    let count = match crate::limits::quantity::written_count(entry.written(faults)?) {
        Ok(count) => count,
        Err(error) => {
            faults.add(known::OUT_OF_BOUNDS, entry.at, error.what, error.mend);
            return None;
        }
    };
    if count == 0 || count > SHARDS_MAX {
        let mend = format!("write a number from 1 to {SHARDS_MAX}, or remove the line for one a core");
        faults.add(known::OUT_OF_BOUNDS, entry.at, format!("{count} is no number of shards"), mend);
        return None;
    }
    usize::try_from(count).ok()
}

fn wrong(what: &str, mend: &str) -> ListenError {
    ListenError { what: what.to_owned(), mend: mend.to_owned() }
}

impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
        }
    }
}

impl fmt::Display for ListenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.what, self.mend)
    }
}

impl std::error::Error for ListenError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn listen(public: &[&str], admin: &str) -> Listen {
        let public = public.iter().map(|text| Listener::parse(text).unwrap()).collect();
        Listen { public, admin: admin.parse().unwrap(), tls: None }
    }

    #[test]
    fn loopback_is_not_exposed() {
        for text in ["127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
            assert!(Listener::parse(text).unwrap().is_local(), "{text}");
        }
        for text in ["0.0.0.0:1", "[::]:1", "10.0.0.1:1"] {
            assert!(!Listener::parse(text).unwrap().is_local(), "{text}");
        }
        let listen = listen(&["127.0.0.1:1", "10.0.0.1:1"], "127.0.0.1:2");
        assert_eq!(listen.exposed().unwrap().to_string(), "10.0.0.1:1");
    }

    #[test]
    fn two_listeners_need_two_places() {
        for (public, admin) in [
            (&["127.0.0.1:1"][..], "127.0.0.1:1"),
            (&["0.0.0.0:1"], "127.0.0.1:1"),
            (&["[::]:1"], "127.0.0.1:1"),
            (&["127.0.0.1:1", "127.0.0.1:1"], "127.0.0.1:2"),
        ] {
            assert!(listen(public, admin).collision().is_some(), "{public:?} {admin}");
        }
        for (public, admin) in [
            (&["127.0.0.1:0"][..], "127.0.0.1:0"),
            (&["127.0.0.1:1", "[::1]:1"], "127.0.0.1:2"),
            (&["0.0.0.0:1"], "[::1]:1"),
        ] {
            assert_eq!(listen(public, admin).collision(), None, "{public:?} {admin}");
        }
    }

    #[test]
    fn what_is_no_address_names_one() {
        for (text, mend) in [
            (":8080", "127.0.0.1:8080"),
            ("8080", "0.0.0.0:8080"),
            ("*:8080", "0.0.0.0:8080"),
            ("localhost:8080", "[::1]:8080"),
            ("", "127.0.0.1:8080"),
            ("127.0.0.1", "127.0.0.1:8080"),
            ("unix:/run/x", "127.0.0.1:8080"),
        ] {
            let error = Listener::parse(text).unwrap_err();
            assert!(error.mend.contains(mend), "{text}: {error}");
        }
    }
}
