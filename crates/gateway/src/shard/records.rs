//! TLS records of one connection: opened from what its socket had, sealed from its queue. No socket is read
//! or written here but through [`Wire`]; `read` and `flush` say when.
//!
//! rustls keeps what is between: a record that has not come whole, and sealed records that the socket has
//! not taken, at most [`SEALED_MAX`] and their overhead.

use std::io::{self, IoSlice, Read, Write};

use mio::net::TcpStream;
use rustix::net::{SendAncillaryBuffer, SendFlags, sendmsg};
use rustls::ServerConnection;
use tidegate_hub::SendQueue;

/// Bytes of a queue that are sealed before the socket has taken them: four whole records, so that one write
/// is worth its system call.
pub(super) const SEALED_MAX: usize = 64 * 1024;

/// Slices of a queue that are sealed at once. What is beyond them goes with the next.
const SLICES: usize = 64;

/// rustls's own portion of reading. Its buffer grows beyond that for large records only.
const READ_PORTION: usize = 4096;

/// What came of bytes of the socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Opened {
    /// So many bytes of the client.
    Bytes(usize),
    /// All is taken; what is left is the beginning of a record.
    Nothing,
    /// The client has said that nothing follows.
    Ended,
    /// It broke TLS.
    Broken,
}

/// Opens the next records of `sealed` until there are bytes of the client. To be called until it gives
/// something else: only then is `sealed` used up.
pub(super) fn open(tls: &mut ServerConnection, sealed: &mut &[u8], plain: &mut [u8]) -> Opened {
    let large = sealed.len() > READ_PORTION;
    loop {
        match tls.reader().read(plain) {
            Ok(0) => return Opened::Ended,
            Ok(count) => return Opened::Bytes(count),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => return Opened::Broken,
        }
        if sealed.is_empty() {
            if large {
                shrink(tls);
            }
            return Opened::Nothing;
        }
        let processed = tls.read_tls(sealed).map(|_| tls.process_new_packets());
        if let Err(error) = processed.and_then(|processed| processed.map_err(io::Error::other)) {
            tracing::debug!(event = "tls_broken", %error, "a client broke TLS");
            return Opened::Broken;
        }
    }
}

/// Lets rustls drop what it needed for large records: it does so when it begins to read.
fn shrink(tls: &mut ServerConnection) {
    struct NothingYet;
    impl Read for NothingYet {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::ErrorKind::WouldBlock.into())
        }
    }
    // It cannot be but that there is nothing yet.
    let _ = tls.read_tls(&mut NothingYet);
}

/// Seals what TLS takes of a queue; how much that was, and none if this connection can seal nothing more.
pub(super) fn seal(tls: &mut ServerConnection, queue: &SendQueue) -> usize {
    let mut slices = [IoSlice::new(&[]); SLICES];
    let count = queue.fill(&mut slices);
    tls.writer().write_vectored(&slices[..count]).unwrap_or_default()
}

/// The socket, as rustls writes to it: each call is counted, and goes to the kernel as those of plain
/// connections do.
pub(super) struct Wire<'a> {
    pub(super) stream: &'a TcpStream,
    pub(super) writes: &'a mut u64,
}

impl Write for Wire<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        *self.writes += 1;
        let mut control = SendAncillaryBuffer::default();
        Ok(sendmsg(self.stream, slices, &mut control, SendFlags::NOSIGNAL)?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
