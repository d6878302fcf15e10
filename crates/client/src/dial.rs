//! From an address to a connected socket: the name is resolved, and its addresses are tried with a small
//! head start each (RFC 8305). TLS comes after this.

use std::net::SocketAddr;
use std::time::{Duration, Instant};
use std::{fmt, io};

use tokio::net::{TcpStream, lookup_host};
use tokio::task::JoinSet;
use tokio::time::timeout;
use url::Host;

use crate::address::Address;

/// The head start of an address before the next one is tried too (RFC 8305, section 5).
const HEAD_START: Duration = Duration::from_millis(250);

/// More addresses of one name are not tried.
const ADDRESSES_MAX: usize = 8;

/// No TCP connection.
#[derive(Debug)]
pub enum DialError {
    /// The name has no address.
    Resolve {
        /// The name.
        host: String,
        /// What the resolver said.
        error: io::Error,
    },
    /// No address accepted.
    Connect {
        /// The address that failed last, if there was one.
        address: Option<SocketAddr>,
        /// Why it failed.
        error: io::Error,
    },
}

/// A connected socket, and how long its parts took.
pub(crate) struct Dialled {
    pub(crate) socket: TcpStream,
    pub(crate) resolve: Duration,
    pub(crate) connect: Duration,
}

/// Resolves and connects. How long that may take is the caller's.
pub(crate) async fn dial(address: &Address) -> Result<Dialled, DialError> {
    let began = Instant::now();
    let addresses = resolve(address).await?;
    let resolved = Instant::now();
    let socket = connect_to_any(in_turn(addresses)).await?;
    // Without it a small message may wait for an acknowledgement; a socket that refuses works too.
    let _ = socket.set_nodelay(true);
    Ok(Dialled { socket, resolve: resolved - began, connect: resolved.elapsed() })
}

async fn resolve(address: &Address) -> Result<Vec<SocketAddr>, DialError> {
    match &address.host {
        Host::Ipv4(ip) => Ok(vec![(*ip, address.port).into()]),
        Host::Ipv6(ip) => Ok(vec![(*ip, address.port).into()]),
        Host::Domain(name) => {
            let found = lookup_host((name.as_str(), address.port)).await;
            found
                .map(|addresses| addresses.take(ADDRESSES_MAX).collect())
                .map_err(|error| DialError::Resolve { host: name.clone(), error })
        }
    }
}

/// The resolver's order, with the two families taking turns.
fn in_turn(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first_is_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (preferred, other): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| address.is_ipv6() == first_is_v6);
    let mut other = other.into_iter();
    let mut ordered = Vec::new();
    for address in preferred {
        ordered.push(address);
        ordered.extend(other.next());
    }
    ordered.extend(other);
    ordered
}

/// The first connection that succeeds; dropping the set gives up the others.
async fn connect_to_any(addresses: Vec<SocketAddr>) -> Result<TcpStream, DialError> {
    let mut untried = addresses.into_iter();
    let mut attempts = JoinSet::new();
    let mut last = DialError::Connect {
        address: None,
        error: io::Error::new(io::ErrorKind::NotFound, "the name has no address"),
    };
    loop {
        let next = untried.next();
        let is_last = next.is_none();
        if let Some(address) = next {
            attempts.spawn(async move { (address, TcpStream::connect(address).await) });
        }
        let head_start = if is_last { Duration::MAX } else { HEAD_START };
        match timeout(head_start, attempts.join_next()).await {
            Ok(Some(Ok((_, Ok(socket))))) => return Ok(socket),
            Ok(Some(Ok((address, Err(error))))) => {
                last = DialError::Connect { address: Some(address), error };
            }
            Ok(Some(Err(error))) => {
                last = DialError::Connect { address: None, error: io::Error::other(error) };
            }
            Ok(None) => return Err(last),
            Err(_) => {}
        }
    }
}

impl fmt::Display for DialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Resolve { host, error } => write!(f, "cannot resolve {host}: {error}"),
            Self::Connect { address: Some(address), error } => {
                write!(f, "cannot connect to {address}: {error}")
            }
            Self::Connect { address: None, error } => write!(f, "cannot connect: {error}"),
        }
    }
}

impl std::error::Error for DialError {}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[test]
    fn families_take_turns() {
        let parse =
            |texts: &[&str]| -> Vec<SocketAddr> { texts.iter().map(|text| text.parse().unwrap()).collect() };
        let resolved = parse(&["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1", "2.2.2.2:1"]);
        let ordered = parse(&["[::1]:1", "1.1.1.1:1", "[::2]:1", "2.2.2.2:1", "[::3]:1"]);
        assert_eq!(in_turn(resolved), ordered);
        let resolved = parse(&["1.1.1.1:1", "[::1]:1", "[::2]:1"]);
        assert_eq!(in_turn(resolved), parse(&["1.1.1.1:1", "[::1]:1", "[::2]:1"]));
    }

    #[tokio::test]
    async fn an_address_that_refuses_does_not_hide_the_next() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (open, closed) = (listener.local_addr().unwrap(), gone.local_addr().unwrap());
        drop(gone);
        let socket = connect_to_any(vec![closed, open]).await.unwrap();
        assert_eq!(socket.peer_addr().unwrap(), open);
        let refused = connect_to_any(vec![closed]).await.unwrap_err();
        let DialError::Connect { address, error } = refused else { panic!("{refused}") };
        assert_eq!((address, error.kind()), (Some(closed), io::ErrorKind::ConnectionRefused));
    }
}
