//! The token that a gateway of this user left in a file, for commands that talk to its admin listener.
//!
//! Which file that is, and whether it can be believed, is the gateway's to know.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// The token of the gateway whose admin listener has this URL. A name other than localhost may be another machine.
pub(crate) fn of(admin: &str) -> Option<String> {
    let uri: hyper::Uri = admin.parse().ok()?;
    let ip: IpAddr = match uri.host()? {
        "localhost" => Ipv4Addr::LOCALHOST.into(),
        host => host.trim_start_matches('[').trim_end_matches(']').parse().ok()?,
    };
    let token = tidegate_gateway::read_token(SocketAddr::new(ip, uri.port_u16().unwrap_or(80)));
    token.ok().filter(|token| !token.is_empty())
}
