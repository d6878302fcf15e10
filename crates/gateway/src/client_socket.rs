//! What HTTP needs of a client's socket beside bytes, whether it is plain or under TLS: to say something
//! last without waiting, and the plain socket below.

use std::io::Write;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

/// Reads of what a client sent and nobody wants, before its socket is closed.
const UNREAD_MAX: usize = 16;

/// A client's socket, as it was accepted or after the TLS handshake.
pub(crate) trait ClientSocket: AsyncRead + AsyncWrite + Unpin + Send + 'static {
    /// The socket itself.
    fn socket(&self) -> &TcpStream;

    /// Writes what the socket takes at once, and says that nothing follows.
    fn say_last(&mut self, bytes: &[u8]);
}

impl ClientSocket for TcpStream {
    fn socket(&self) -> &TcpStream {
        self
    }

    fn say_last(&mut self, bytes: &[u8]) {
        // It fits into the buffer of a socket that was not written to, or its owner does not read.
        let _ = self.try_write(bytes);
    }
}

impl ClientSocket for TlsStream<TcpStream> {
    fn socket(&self) -> &TcpStream {
        self.get_ref().0
    }

    fn say_last(&mut self, bytes: &[u8]) {
        let (socket, tls) = self.get_mut();
        let mut records = Vec::new();
        // Writing into memory fails only where TLS itself has: then there is nothing to say.
        let _ = tls.writer().write_all(bytes);
        tls.send_close_notify();
        while tls.wants_write() && tls.write_tls(&mut records).is_ok() {}
        let _ = socket.try_write(&records);
    }
}

/// Reads what is there and nobody wants: a socket closed with unread bytes is reset, which may cost the
/// client our last answer (RFC 9112, section 9.6).
pub(crate) fn take_unread(socket: &TcpStream) {
    let mut unread = [0; 4096];
    for _ in 0..UNREAD_MAX {
        if !matches!(socket.try_read(&mut unread), Ok(1..)) {
            break;
        }
    }
}
