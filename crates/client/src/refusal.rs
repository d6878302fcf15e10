//! An answer that is not 101: its head and the beginning of its body, which mostly says why.
//!
//! The body is read within a bound of bytes and of time, and only to be shown.

use std::fmt;
use std::time::Duration;

use tidegate_websocket::handshake::client;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::timeout;

/// Bytes of a body that are kept.
const BODY_MAX_BYTES: usize = 16 * 1024;

/// How long the rest of a body is awaited.
const BODY_TIMEOUT: Duration = Duration::from_secs(1);

/// A server's refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The status code.
    pub status: u16,
    /// The fields as they came: order, case of letters and repetitions.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The beginning of the body, 16 KiB at most.
    pub body: Vec<u8>,
    /// The body is all there; false also when its end did not come within a second.
    pub complete: bool,
}

/// What ends a body (RFC 9112, section 6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    Length(u64),
    Chunked,
    EndOfStream,
}

impl Refused {
    /// The first field with this name, as text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(other, _)| other.eq_ignore_ascii_case(name));
        found.and_then(|(_, value)| std::str::from_utf8(value).ok()).map(str::trim)
    }

    fn framing(&self) -> Framing {
        if matches!(self.status, 204 | 304) {
            return Framing::Length(0);
        }
        if self.header("transfer-encoding").is_some() {
            return Framing::Chunked;
        }
        let length = self.header("content-length").and_then(|length| length.parse().ok());
        length.map_or(Framing::EndOfStream, Framing::Length)
    }
}

/// Reads on from what came together with the head.
pub(crate) async fn read(refused: client::Refused, stream: &mut (impl AsyncRead + Unpin)) -> Refused {
    let client::Refused { response, body } = refused;
    let mut refused =
        Refused { status: response.status, headers: response.headers, body: Vec::new(), complete: false };
    let framing = refused.framing();
    let mut raw = body;
    // A body that does not come in time is shown as far as it came.
    let ended = timeout(BODY_TIMEOUT, read_raw(framing, &mut raw, stream)).await.unwrap_or(false);
    raw.truncate(BODY_MAX_BYTES);
    (refused.body, refused.complete) = match framing {
        Framing::Chunked => decode_chunks(&raw),
        Framing::EndOfStream => (raw, ended),
        Framing::Length(length) => {
            let length = usize::try_from(length).unwrap_or(usize::MAX);
            let complete = raw.len() >= length;
            raw.truncate(length);
            (raw, complete)
        }
    };
    refused
}

/// Reads until the body is there or too long; true at the end of the stream. Cancelling it loses nothing
/// that is in `raw`.
async fn read_raw(framing: Framing, raw: &mut Vec<u8>, stream: &mut (impl AsyncRead + Unpin)) -> bool {
    while raw.len() < BODY_MAX_BYTES {
        let is_whole = match framing {
            Framing::Length(length) => raw.len() as u64 >= length,
            Framing::Chunked => decode_chunks(raw).1,
            Framing::EndOfStream => false,
        };
        if is_whole {
            return false;
        }
        let mut part = [0; 2048];
        match stream.read(&mut part).await {
            Ok(0) | Err(_) => return true,
            Ok(length) => raw.extend_from_slice(&part[..length]),
        }
    }
    false
}

/// The payload of the chunks (RFC 9112, section 7.1) as far as they came, and whether the last was there.
fn decode_chunks(mut raw: &[u8]) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    while let Some(end) = raw.windows(2).position(|pair| pair == b"\r\n") {
        let line = std::str::from_utf8(&raw[..end]).unwrap_or_default();
        let size = line.split(';').next().unwrap_or_default().trim();
        let Ok(size) = usize::from_str_radix(size, 16) else { break };
        if size == 0 {
            return (body, true);
        }
        let rest = &raw[end + 2..];
        body.extend_from_slice(&rest[..size.min(rest.len())]);
        let Some(rest) = size.checked_add(2).and_then(|next| rest.get(next..)) else { break };
        raw = rest;
    }
    (body, false)
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the server answered {} instead of 101", self.status)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    async fn check(head: &[(&str, &str)], came: &[u8], mut later: &[u8], body: &[u8], complete: bool) {
        let headers = head.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()));
        let response = client::Response {
            status: 403,
            headers: headers.collect(),
            subprotocol: None,
            extensions: Default::default(),
            consumed: 0,
        };
        let refused = read(client::Refused { response, body: came.to_vec() }, &mut later).await;
        assert_eq!((refused.body.as_slice(), refused.complete), (body, complete), "{head:?}");
    }

    #[tokio::test]
    async fn bodies_end_as_their_heads_say() {
        let length = [("Content-Length", "5")];
        check(&length, b"he", b"llo, and more", b"hello", true).await;
        check(&length, b"he", b"", b"he", false).await;
        check(&[], b"he", b"llo", b"hello", true).await;
        let chunked = [("transfer-encoding", "chunked")];
        check(&chunked, b"2\r\nhe\r\n", b"3;x=y\r\nllo\r\n0\r\n\r\n", b"hello", true).await;
        check(&chunked, b"ffffffffffffffff\r\nhe", b"", b"he", false).await;
        check(&chunked, b"zz\r\nhe", b"", b"", false).await;
    }

    #[tokio::test]
    async fn a_body_has_a_bound() {
        let endless = vec![b'x'; BODY_MAX_BYTES * 2];
        check(&[], b"", &endless, &endless[..BODY_MAX_BYTES], false).await;
        check(&[("content-length", "99999999")], b"", &endless, &endless[..BODY_MAX_BYTES], false).await;
    }

    proptest! {
        #[test]
        fn any_bytes_as_chunks(raw in prop::collection::vec(any::<u8>(), 0..100)) {
            let (body, _) = decode_chunks(&raw);
            prop_assert!(body.len() <= raw.len());
        }

        #[test]
        fn what_is_chunked_is_unchunked(chunks in prop::collection::vec("[a-z]{1,20}", 0..6)) {
            let mut raw: String = chunks.iter().map(|chunk| format!("{:x}\r\n{chunk}\r\n", chunk.len())).collect();
            raw.push_str("0\r\n\r\n");
            prop_assert_eq!(decode_chunks(raw.as_bytes()), (chunks.concat().into_bytes(), true));
        }
    }
}
