//! What goes over the wire, as far as a load generator needs it: the client's half of a handshake (RFC 6455,
//! section 4.1), server frames, pongs, answers to an event stream, and the stamp that every payload carries.

/// `WSL`, 16 digits of the time of sending, 8 digits of the number. As text it survives being wrapped.
pub const STAMP_BYTES: usize = 3 + 16 + 8;
const MARK: &[u8; 3] = b"WSL";

/// The example of RFC 6455, section 1.3; nobody measures randomness here.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &[u8] = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
/// What browsers offer.
const OFFER: &str = "permessage-deflate; client_max_window_bits";
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// By which door a client comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// A WebSocket.
    WebSocket,
    /// A WebSocket that offers permessage-deflate, and has failed if the offer is declined.
    Deflated,
    /// Server-sent events.
    EventStream,
}

/// The request that opens a connection.
pub fn opening(door: Door, host: &str, path: &str) -> Vec<u8> {
    let upgrade = format!(
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n"
    );
    let fields = match door {
        Door::WebSocket => upgrade,
        Door::Deflated => format!("{upgrade}Sec-WebSocket-Extensions: {OFFER}\r\n"),
        Door::EventStream => "Accept: text/event-stream\r\n".to_owned(),
    };
    format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n").into_bytes()
}

/// Reads the answer to it: `None` while it is not whole, its length if it opens the connection, else its
/// beginning as text.
pub fn opened(door: Door, bytes: &[u8]) -> Option<Result<usize, String>> {
    let end = find(bytes, b"\r\n\r\n")?;
    let head = &bytes[..end];
    let switched = head.starts_with(b"HTTP/1.1 101") && find(head, ACCEPT).is_some();
    let accepted = match door {
        Door::WebSocket => switched,
        Door::Deflated => switched && find(head, b"permessage-deflate").is_some(),
        Door::EventStream => head.starts_with(b"HTTP/1.1 200"),
    };
    Some(if accepted {
        Ok(end + 4)
    } else {
        Err(String::from_utf8_lossy(&head[..end.min(120)]).into_owned())
    })
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

/// One frame of the server, which carries no mask.
#[derive(Debug, PartialEq, Eq)]
pub struct Frame<'b> {
    /// The opcode.
    pub opcode: u8,
    /// RSV1: the payload is deflated.
    pub compressed: bool,
    /// The payload.
    pub payload: &'b [u8],
    /// Bytes of the whole frame.
    pub length: usize,
}

/// The first frame in `bytes`, if it is whole.
pub fn frame(bytes: &[u8]) -> Option<Frame<'_>> {
    let [first, second, rest @ ..] = bytes else { return None };
    let (head, length) = match second & 0x7f {
        126 => (4, u64::from(u16::from_be_bytes(*rest.first_chunk()?))),
        127 => (10, u64::from_be_bytes(*rest.first_chunk()?)),
        length => (2, u64::from(length)),
    };
    let length = usize::try_from(length).ok()?.checked_add(head)?;
    let payload = bytes.get(head..length)?;
    Some(Frame { opcode: first & 15, compressed: first & 0x40 != 0, payload, length })
}

/// Appends the answer to a ping, whose payload is at most 125 bytes.
pub fn append_pong(payload: &[u8], output: &mut Vec<u8>) {
    output.extend_from_slice(&[0x8a, 0x80 | payload.len() as u8]);
    output.extend_from_slice(&MASK);
    output.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
}

/// A binary message as a client sends it.
pub fn message(payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x82];
    match payload.len() {
        length @ 0..126 => frame.push(0x80 | length as u8),
        length @ 126..0x1_0000 => frame.extend([&[0x80 | 126][..], &(length as u16).to_be_bytes()].concat()),
        length => frame.extend([&[0x80 | 127][..], &(length as u64).to_be_bytes()].concat()),
    }
    frame.extend_from_slice(&MASK);
    frame.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

/// A payload of `size` bytes that begins with a stamp.
pub fn payload(size: usize, sent_at: u64, number: u32) -> Vec<u8> {
    let mut text = format!("WSL{sent_at:016x}{number:08x}").into_bytes();
    text.resize(size, b'x');
    text
}

/// The same with a part of a JSON document behind the stamp, another one for each number.
pub fn records(size: usize, sent_at: u64, number: u32) -> Vec<u8> {
    let mut text = payload(STAMP_BYTES, sent_at, number);
    let mut drawn = number;
    while text.len() < size {
        drawn = drawn.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let (symbol, price, volume) = (drawn >> 27, drawn >> 12 & 0xffff, drawn >> 4 & 0xfff);
        let record = format!(
            "{{\"symbol\":\"EX{symbol:02}\",\"bid\":{}.{:02},\"volume\":{volume},\"currency\":\"EUR\"}},",
            price / 100,
            price % 100
        );
        text.extend_from_slice(record.as_bytes());
    }
    text.truncate(size);
    text
}

/// The time of sending and the number, if a payload begins with a stamp.
pub fn stamp(payload: &[u8]) -> Option<(u64, u32)> {
    let text = payload.get(..STAMP_BYTES)?.strip_prefix(MARK)?;
    let (time, number) = std::str::from_utf8(text).ok()?.split_at_checked(16)?;
    Some((u64::from_str_radix(time, 16).ok()?, u32::from_str_radix(number, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_read_back_and_nothing_else_is_one() {
        let text = payload(64, 0x0123_4567_89ab_cdef, 0xdead_beef);
        assert_eq!((text.len(), stamp(&text)), (64, Some((0x0123_4567_89ab_cdef, 0xdead_beef))));
        assert_eq!(stamp(&text[1..]), None);
        assert_eq!(stamp(&text[..STAMP_BYTES - 1]), None);
        let text = records(1024, 7, 8);
        assert_eq!((text.len(), stamp(&text)), (1024, Some((7, 8))));
    }

    #[test]
    fn every_form_of_a_length_is_read() {
        for size in [0usize, 125, 126, 65_535, 65_536] {
            let mut bytes = vec![0x82];
            match size {
                0..=125 => bytes.push(size as u8),
                126..=65_535 => bytes.extend([&[126][..], &(size as u16).to_be_bytes()].concat()),
                _ => bytes.extend([&[127][..], &(size as u64).to_be_bytes()].concat()),
            }
            bytes.resize(bytes.len() + size, 7);
            let read = frame(&bytes).expect("a whole frame");
            assert_eq!((read.opcode, read.payload.len(), read.length), (2, size, bytes.len()));
            assert_eq!(frame(&bytes[..bytes.len() - 1]), None);
        }
    }

    #[test]
    fn an_answer_opens_or_says_why_not() {
        let head = b"HTTP/1.1 101 x\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\nrest";
        assert_eq!(opened(Door::WebSocket, head), Some(Ok(head.len() - 4)));
        assert_eq!(opened(Door::WebSocket, &head[..20]), None);
        let refused = opened(Door::EventStream, b"HTTP/1.1 404 Not Found\r\n\r\n");
        assert_eq!(refused, Some(Err("HTTP/1.1 404 Not Found".to_owned())));
    }
}
