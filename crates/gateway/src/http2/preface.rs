//! Which version of HTTP a client on a plain socket speaks: one that knows beforehand that HTTP/2 is served
//! begins with its preface (RFC 9113, section 3.3). The bytes are looked at and left where they are.

use std::io;

use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};
use tokio::io::Interest;
use tokio::net::TcpStream;

use super::PREFACE;

/// What the first bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Beginning {
    /// A request of HTTP/1.1, or nothing that is known.
    Http1,
    /// The whole preface of HTTP/2.
    Http2,
}

/// Waits for the first bytes of a client, or their end.
pub(crate) async fn beginning(stream: &TcpStream) -> Beginning {
    loop {
        let Ok(ready) = stream.ready(Interest::READABLE).await else { return Beginning::Http1 };
        // "Would block" makes tokio wait for more than what lies there already.
        match stream.try_io(Interest::READABLE, || look(stream)) {
            Ok(beginning) => return beginning,
            // Behind the end there is no more, and tokio would never wait again: hyper meets that end.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && !ready.is_read_closed() => {}
            Err(_) => return Beginning::Http1,
        }
    }
}

fn look(stream: &TcpStream) -> io::Result<Beginning> {
    let mut bytes = [0; PREFACE.len()];
    let count = loop {
        match recv(stream, bytes.as_mut_slice(), RecvFlags::PEEK) {
            Ok((_, count)) => break count,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    };
    judge(&bytes[..count]).ok_or_else(|| io::ErrorKind::WouldBlock.into())
}

/// `None` where more bytes are needed to tell. No bytes are the end of them.
fn judge(bytes: &[u8]) -> Option<Beginning> {
    if bytes.is_empty() || !PREFACE.starts_with(bytes) {
        return Some(Beginning::Http1);
    }
    (bytes.len() >= PREFACE.len()).then_some(Beginning::Http2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_preface_tells() {
        for (bytes, expected) in [
            ("", Some(Beginning::Http1)),
            ("G", Some(Beginning::Http1)),
            ("P", None),
            ("PR", None),
            ("PRI", None),
            ("PRI * HTTP/2.0\r\n\r\n", None),
            ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Some(Beginning::Http2)),
            ("PRI * HTTP/2.0\r\nHost", Some(Beginning::Http1)),
            ("PRO", Some(Beginning::Http1)),
            ("PRIX", Some(Beginning::Http1)),
            ("POST", Some(Beginning::Http1)),
        ] {
            assert_eq!(judge(bytes.as_bytes()), expected, "{bytes}");
        }
    }
}
