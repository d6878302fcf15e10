//! Packets of IPv4 and TCP around bytes that never were on a network in this form (RFC 791, RFC 9293).
//!
//! Addresses are those that are set aside for documentation; sequence numbers and checksums are right.

/// Bytes of payload that fit into one packet.
pub(super) const PAYLOAD_MAX_BYTES: usize = 65_535 - HEADERS_BYTES;

pub(super) const HEADERS_BYTES: usize = 40;

pub(super) const SYN: u8 = 0x02;
pub(super) const FIN: u8 = 0x01;
pub(super) const RST: u8 = 0x04;
pub(super) const PSH: u8 = 0x08;
pub(super) const ACK: u8 = 0x10;

/// Protocol number of TCP.
const TCP: u8 = 6;
const TIME_TO_LIVE: u8 = 64;
const WINDOW: u16 = 65_535;

/// One end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Endpoint {
    pub(super) address: [u8; 4],
    pub(super) port: u16,
}

/// What TCP says in a packet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Segment {
    pub(super) from: Endpoint,
    pub(super) to: Endpoint,
    pub(super) sequence: u32,
    pub(super) acknowledged: u32,
    pub(super) flags: u8,
    /// Bytes of payload that the packet had; fewer may have been kept.
    pub(super) length: usize,
}

/// The packet with as much of its payload as was kept.
pub(super) fn packet(segment: &Segment, payload: &[u8]) -> Vec<u8> {
    let Segment { from, to, sequence, acknowledged, flags, length } = *segment;
    let total = u16::try_from(HEADERS_BYTES + length).unwrap_or(u16::MAX);
    let mut ip = vec![0x45, 0];
    ip.extend(total.to_be_bytes());
    // No identification; not to be fragmented.
    ip.extend([0, 0, 0x40, 0, TIME_TO_LIVE, TCP, 0, 0]);
    ip.extend(from.address);
    ip.extend(to.address);
    let checksum = !folded(sum(0, &ip));
    ip[10..12].copy_from_slice(&checksum.to_be_bytes());
    let mut tcp = Vec::with_capacity(20 + payload.len());
    tcp.extend(from.port.to_be_bytes());
    tcp.extend(to.port.to_be_bytes());
    tcp.extend(sequence.to_be_bytes());
    tcp.extend(acknowledged.to_be_bytes());
    tcp.extend([0x50, flags]);
    tcp.extend(WINDOW.to_be_bytes());
    tcp.extend([0, 0, 0, 0]);
    tcp.extend_from_slice(payload);
    let pseudo_header = [&from.address[..], &to.address, &[0, TCP], &(total - 20).to_be_bytes()].concat();
    let checksum = !folded(sum(sum(0, &pseudo_header), &tcp));
    tcp[16..18].copy_from_slice(&checksum.to_be_bytes());
    ip.extend(tcp);
    ip
}

/// Adds 16-bit words; an odd byte counts as the first of one.
fn sum(before: u32, bytes: &[u8]) -> u32 {
    let (words, odd) = bytes.as_chunks::<2>();
    let add = |sum: u32, word: u16| u32::from(folded(sum)) + u32::from(word);
    let total = words.iter().fold(before, |sum, word| add(sum, u16::from_be_bytes(*word)));
    odd.first().map_or(total, |byte| add(total, u16::from_be_bytes([*byte, 0])))
}

/// Adds the carries (RFC 1071).
fn folded(sum: u32) -> u16 {
    let sum = (sum & 0xffff) + (sum >> 16);
    ((sum & 0xffff) + (sum >> 16)) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_add_up() {
        let from = Endpoint { address: [192, 0, 2, 1], port: 49_152 };
        let to = Endpoint { address: [192, 0, 2, 2], port: 80 };
        for payload in [&b""[..], b"x", b"\xff\xff\xff\xff\xff"] {
            let segment =
                Segment { from, to, sequence: 7, acknowledged: 9, flags: PSH | ACK, length: payload.len() };
            let packet = packet(&segment, payload);
            assert_eq!(packet.len(), HEADERS_BYTES + payload.len());
            // Over what holds its own checksum the sum is all ones.
            assert_eq!(folded(sum(0, &packet[..20])), 0xffff);
            let length = u16::try_from(packet.len() - 20).expect("a short packet");
            let pseudo_header = [&from.address[..], &to.address, &[0, TCP], &length.to_be_bytes()].concat();
            assert_eq!(folded(sum(sum(0, &pseudo_header), &packet[20..])), 0xffff);
        }
    }
}
