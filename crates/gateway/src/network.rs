//! What stands for a client's address where clients are counted: one address of IPv4, one network of IPv6.
//! State and limits are elsewhere.

use std::net::{IpAddr, Ipv4Addr};

/// See the module's head. It lies in each connection, so it is small.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Network {
    V4(Ipv4Addr),
    /// The first 64 bits: whoever has a network has all of its addresses (RFC 4291, section 2.5.4).
    V6([u8; 8]),
}

impl Network {
    /// Where an address belongs. None for loopback, where everybody has the same one and nobody is counted.
    pub(crate) fn of(address: IpAddr) -> Option<Self> {
        match address.to_canonical() {
            address if address.is_loopback() => None,
            IpAddr::V4(address) => Some(Self::V4(address)),
            IpAddr::V6(address) => {
                let [a, b, c, d, e, f, g, h, ..] = address.octets();
                Some(Self::V6([a, b, c, d, e, f, g, h]))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_known_in_other_clothes_and_a_network_by_each_of_its_own() {
        let of = |text: &str| Network::of(text.parse().expect("an address"));
        for (one, other, same) in [
            ("192.0.2.1", "192.0.2.1", true),
            ("192.0.2.1", "::ffff:192.0.2.1", true),
            ("192.0.2.1", "192.0.2.2", false),
            ("::ffff:192.0.2.1", "::ffff:192.0.2.2", false),
            ("2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff", true),
            ("2001:db8::1", "2001:db8:0:1::1", false),
            ("2001:db8::1", "2001:db9::1", false),
        ] {
            assert_eq!(of(one) == of(other), same, "{one} {other}");
            assert!(of(one).is_some() && of(other).is_some(), "{one} {other}");
        }
        for loopback in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"] {
            assert_eq!(of(loopback), None, "{loopback}");
        }
    }
}
