//! The first request of a client, whose Host header names the proxy and must name the server behind it.
//!
//! That line is all that is changed of what goes through; everything else passes as it came.

use tidegate_websocket::handshake::head::HeadBuffer;

/// A request that has not come whole.
#[derive(Debug, Default)]
pub(super) struct FirstRequest {
    head: HeadBuffer,
}

impl FirstRequest {
    /// Takes bytes; gives all that may go on once the head is whole, or is none that can be read. Until then what
    /// came is kept.
    pub(super) fn handle_input(&mut self, bytes: &[u8], authority: &str) -> Option<Vec<u8>> {
        match self.head.handle_input(bytes) {
            Ok(None) => None,
            Ok(Some(taken)) => Some([&with_host(self.head.bytes(), authority), &bytes[taken..]].concat()),
            Err(_) => Some([self.head.bytes(), bytes].concat()),
        }
    }

    /// What was kept when nothing more comes.
    pub(super) fn kept(&self) -> &[u8] {
        self.head.bytes()
    }
}

/// The head with this value in its Host line.
fn with_host(head: &[u8], authority: &str) -> Vec<u8> {
    let mut changed = Vec::with_capacity(head.len() + authority.len());
    for line in head.split_inclusive(|byte| *byte == b'\n') {
        let is_host = line.get(..5).is_some_and(|name| name.eq_ignore_ascii_case(b"host:"));
        if !is_host {
            changed.extend_from_slice(line);
            continue;
        }
        changed.extend_from_slice(&line[..5]);
        changed.push(b' ');
        changed.extend_from_slice(authority.as_bytes());
        changed.extend_from_slice(if line.ends_with(b"\r\n") { b"\r\n" } else { b"\n" });
    }
    changed
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pass(bytes: &[u8], piece: usize) -> Vec<u8> {
        let mut first = FirstRequest::default();
        let mut passed = None;
        for piece in bytes.chunks(piece) {
            match &mut passed {
                None => passed = first.handle_input(piece, "h:1"),
                Some(passed) => passed.extend_from_slice(piece),
            }
        }
        passed.unwrap_or_else(|| first.kept().to_vec())
    }

    #[test]
    fn only_the_host_line_is_changed() {
        let request = b"GET / HTTP/1.1\r\nhOST:x\r\nHosts: y\r\nX:  z \r\n\r\nHost: body";
        let expected = b"GET / HTTP/1.1\r\nhOST: h:1\r\nHosts: y\r\nX:  z \r\n\r\nHost: body";
        for piece in 1..request.len() {
            assert_eq!(pass(request, piece), expected, "{piece}");
        }
    }

    proptest! {
        #[test]
        fn what_has_no_host_passes_as_it_came(bytes in prop::collection::vec(any::<u8>(), 0..100), piece in 1usize..20) {
            prop_assume!(!bytes.to_ascii_lowercase().windows(5).any(|five| five == b"host:"));
            prop_assert_eq!(pass(&bytes, piece), bytes);
        }
    }

    #[test]
    fn what_is_no_head_passes_too() {
        let bytes = vec![b'x'; 40_000];
        assert_eq!(pass(&bytes, 1000), bytes);
    }
}
