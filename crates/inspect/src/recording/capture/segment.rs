//! From a packet to the TCP segment in it: Ethernet with VLANs, Linux cooked captures, loopback and plain IP, of both
//! versions of IP.
//!
//! Lengths are those that the packet states, for a capture may have kept less of it, and Ethernet pads short ones.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::packet_file::Packet;

/// LINKTYPE_… (https://www.tcpdump.org/linktypes.html).
const NULL: u32 = 0;
const ETHERNET: u32 = 1;
const RAW: [u32; 5] = [12, 14, 101, 228, 229];
const LOOP: u32 = 108;
const LINUX_COOKED: u32 = 113;
const LINUX_COOKED_2: u32 = 276;

/// Types that stand in front of a tag and the type behind it (IEEE 802.1Q).
const TAGS: [u16; 3] = [0x8100, 0x88a8, 0x9100];
const IP_TYPES: [u16; 2] = [0x0800, 0x86dd];

const TCP: u8 = 6;
/// Headers of IPv6 that stand in front of TCP: hop by hop, routing, destination.
const EXTENSIONS: [u8; 3] = [0, 43, 60];
const FRAGMENT: u8 = 44;

pub(super) const FIN: u8 = 0x01;
pub(super) const SYN: u8 = 0x02;
pub(super) const RST: u8 = 0x04;
pub(super) const ACK: u8 = 0x10;

/// Address and port.
pub(super) type Endpoint = (IpAddr, u16);

/// What TCP says in a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Segment<'p> {
    pub(super) from: Endpoint,
    pub(super) to: Endpoint,
    pub(super) sequence: u32,
    pub(super) acknowledged: u32,
    pub(super) flags: u8,
    /// As much as was captured.
    pub(super) payload: &'p [u8],
    /// Bytes of payload that were on the network.
    pub(super) length: usize,
}

/// What is in a packet.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Content<'p> {
    Tcp(Segment<'p>),
    /// A part of a packet of IP.
    Fragment,
    /// TCP of which not even the header was captured.
    Cut,
    Other,
}

/// A part of a packet: what was captured, and how long it was.
#[derive(Clone, Copy)]
struct Part<'p> {
    bytes: &'p [u8],
    length: usize,
}

/// Finds it.
pub(super) fn content<'p>(packet: &Packet<'p>) -> Content<'p> {
    let part = Part { bytes: packet.bytes, length: packet.length };
    behind_link(packet.link, part).and_then(|ip| of_ip(ip)).unwrap_or(Content::Other)
}

impl<'p> Part<'p> {
    fn behind(self, length: usize) -> Option<Self> {
        let bytes = self.bytes.get(length..)?;
        Some(Self { bytes, length: self.length - length })
    }

    /// As long as a header says. It says nothing where the network card was to cut the packet.
    fn of_length(self, stated: usize) -> Self {
        let length = if stated == 0 { self.length } else { stated.min(self.length) };
        Self { bytes: &self.bytes[..self.bytes.len().min(length)], length }
    }

    fn u16(self, at: usize) -> Option<u16> {
        Some(u16::from_be_bytes(*self.bytes.get(at..)?.first_chunk()?))
    }

    fn u32(self, at: usize) -> Option<u32> {
        Some(u32::from_be_bytes(*self.bytes.get(at..)?.first_chunk()?))
    }
}

fn behind_link(link: u32, packet: Part<'_>) -> Option<Part<'_>> {
    match link {
        ETHERNET => behind_type(packet, 12),
        LINUX_COOKED => behind_type(packet, 14),
        LINUX_COOKED_2 if IP_TYPES.contains(&packet.u16(0)?) => packet.behind(20),
        NULL | LOOP => packet.behind(4),
        link if RAW.contains(&link) => Some(packet),
        _ => None,
    }
}

/// What follows the type at that place, and tags behind it.
fn behind_type(packet: Part<'_>, mut at: usize) -> Option<Part<'_>> {
    while TAGS.contains(&packet.u16(at)?) {
        at += 4;
    }
    if IP_TYPES.contains(&packet.u16(at)?) { packet.behind(at + 2) } else { None }
}

fn of_ip(packet: Part<'_>) -> Option<Content<'_>> {
    match packet.bytes.first()? >> 4 {
        4 => of_ipv4(packet),
        6 => of_ipv6(packet),
        _ => None,
    }
}

/// RFC 791, section 3.1.
fn of_ipv4(packet: Part<'_>) -> Option<Content<'_>> {
    if *packet.bytes.get(9)? != TCP {
        return None;
    }
    let address = |at: usize| {
        packet.bytes.get(at..)?.first_chunk().map(|bytes: &[u8; 4]| IpAddr::V4(Ipv4Addr::from(*bytes)))
    };
    let (from, to) = (address(12)?, address(16)?);
    // More fragments, or not the first one.
    if packet.u16(6)? & 0x3fff != 0 {
        return Some(Content::Fragment);
    }
    let header = usize::from(packet.bytes[0] & 0x0f) * 4;
    let packet = packet.of_length(usize::from(packet.u16(2)?));
    if header < 20 || packet.length < header {
        return None;
    }
    Some(packet.behind(header).and_then(|tcp| of_tcp(tcp, from, to)).unwrap_or(Content::Cut))
}

/// RFC 8200, section 3.
fn of_ipv6(packet: Part<'_>) -> Option<Content<'_>> {
    let address = |at: usize| {
        packet.bytes.get(at..)?.first_chunk().map(|bytes: &[u8; 16]| IpAddr::V6(Ipv6Addr::from(*bytes)))
    };
    let (from, to) = (address(8)?, address(24)?);
    let mut next = packet.bytes[6];
    let mut rest = packet.behind(40)?.of_length(usize::from(packet.u16(4)?));
    while EXTENSIONS.contains(&next) {
        next = *rest.bytes.first()?;
        let length = (usize::from(*rest.bytes.get(1)?) + 1) * 8;
        rest = if rest.length < length { return None } else { rest.behind(length)? };
    }
    match next {
        FRAGMENT => Some(Content::Fragment),
        TCP => Some(of_tcp(rest, from, to).unwrap_or(Content::Cut)),
        _ => None,
    }
}

/// RFC 9293, section 3.1.
fn of_tcp(packet: Part<'_>, from: IpAddr, to: IpAddr) -> Option<Content<'_>> {
    let header = usize::from(*packet.bytes.get(12)? >> 4) * 4;
    let flags = *packet.bytes.get(13)?;
    if header < 20 || packet.length < header {
        return Some(Content::Other);
    }
    // Options that were not captured are none of the payload.
    let payload = packet.bytes.get(header..).unwrap_or_default();
    Some(Content::Tcp(Segment {
        from: (from, packet.u16(0)?),
        to: (to, packet.u16(2)?),
        sequence: packet.u32(4)?,
        acknowledged: packet.u32(8)?,
        flags,
        payload,
        length: packet.length - header,
    }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::timestamp::Timestamp;

    fn found(link: u32, bytes: &[u8], length: usize) -> Content<'_> {
        content(&Packet { at: Timestamp::default(), link, bytes, length })
    }

    fn tcp(payload: &[u8]) -> Vec<u8> {
        let mut tcp = vec![0x1f, 0x90, 0xc0, 0, 0, 0, 0, 7, 0, 0, 0, 9, 0x50, ACK, 0, 0, 0, 0, 0, 0];
        tcp.extend(payload);
        tcp
    }

    fn ipv4(tcp: &[u8]) -> Vec<u8> {
        let mut ip = vec![0x45, 0];
        ip.extend((20 + tcp.len() as u16).to_be_bytes());
        ip.extend([0, 0, 0x40, 0, 64, TCP, 0, 0, 127, 0, 0, 1, 127, 0, 0, 2]);
        ip.extend(tcp);
        ip
    }

    fn ipv6(extension: &[u8], tcp: &[u8]) -> Vec<u8> {
        let mut ip = vec![0x60, 0, 0, 0];
        ip.extend((extension.len() as u16 + tcp.len() as u16).to_be_bytes());
        ip.extend([if extension.is_empty() { TCP } else { 60 }, 64]);
        ip.extend(Ipv6Addr::LOCALHOST.octets());
        ip.extend(Ipv6Addr::LOCALHOST.octets());
        ip.extend(extension);
        ip.extend(tcp);
        ip
    }

    #[test]
    fn the_segment_behind_every_kind_of_link() {
        let (four, six) = (ipv4(&tcp(b"hi")), ipv6(&[], &tcp(b"hi")));
        let long = ipv6(&[TCP, 0, 1, 4, 0, 0, 0, 0], &tcp(b"hi"));
        for (link, before, ip) in [
            (ETHERNET, &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0][..], &four),
            (ETHERNET, &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x86, 0xdd], &six),
            (ETHERNET, &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x88, 0xa8, 0, 5, 0x81, 0, 0, 7, 8, 0], &four),
            (LINUX_COOKED, &[0, 0, 3, 4, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0], &four),
            (LINUX_COOKED_2, &[8, 0, 0, 0, 0, 0, 0, 1, 3, 4, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0], &four),
            (NULL, &[2, 0, 0, 0], &four),
            (NULL, &[0, 0, 0, 30], &six),
            (LOOP, &[0, 0, 0, 24], &six),
            (101, &[], &four),
            (228, &[], &four),
            (229, &[], &long),
        ] {
            // Ethernet pads short frames.
            let packet = [before, ip, &[0; 9]].concat();
            let Content::Tcp(segment) = found(link, &packet, packet.len()) else {
                panic!("{link} {before:x?}")
            };
            assert_eq!((segment.from.1, segment.to.1), (8080, 49_152), "{link}");
            assert_eq!((segment.sequence, segment.acknowledged, segment.flags), (7, 9, ACK));
            assert_eq!((segment.payload, segment.length), (&b"hi"[..], 2), "{link}");
        }
    }

    #[test]
    fn what_was_cut_off_counts_and_what_is_none_of_ours_does_not() {
        let packet = ipv4(&tcp(b"hello"));
        let Content::Tcp(segment) = found(101, &packet[..42], packet.len()) else { panic!("TCP") };
        assert_eq!((segment.payload, segment.length), (&b"he"[..], 5));
        let Content::Tcp(segment) = found(101, &packet[..40], packet.len()) else { panic!("TCP") };
        assert_eq!((segment.payload, segment.length), (&b""[..], 5));
        assert_eq!(found(101, &packet[..30], packet.len()), Content::Cut);
        let mut offloaded = packet.clone();
        offloaded[2..4].fill(0);
        let Content::Tcp(segment) = found(101, &offloaded, packet.len()) else { panic!("TCP") };
        assert_eq!(segment.length, 5, "the card was to fill the length in");
        let mut fragment = packet.clone();
        fragment[6] = 0x20;
        assert_eq!(found(101, &fragment, packet.len()), Content::Fragment);
        let mut datagram = packet.clone();
        datagram[9] = 17;
        assert_eq!(found(101, &datagram, packet.len()), Content::Other);
        assert_eq!(found(147, &packet, packet.len()), Content::Other, "a link that is not known");
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_packet_or_not(
            link in prop::sample::select(vec![0, 1, 12, 101, 108, 113, 276, 5]),
            bytes in prop::collection::vec(any::<u8>(), 0..90), more in 0usize..9, version in 0u8..3,
        ) {
            let mut bytes = bytes;
            if let Some(first) = bytes.first_mut().filter(|_| version > 0) {
                *first = if version == 1 { 0x45 } else { 0x60 };
            }
            if let Content::Tcp(segment) = found(link, &bytes, bytes.len() + more) {
                prop_assert!(segment.payload.len() <= segment.length);
            }
        }
    }
}
