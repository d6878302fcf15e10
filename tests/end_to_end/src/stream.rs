//! A TCP connection read with deadlines, and what came of it but was not yet taken. It knows bytes and lines,
//! no protocol.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};

use crate::deadline::{Deadline, PATIENCE};

/// Bytes of one read.
const READ_BYTES: usize = 16 * 1024;

/// A connection.
#[derive(Debug)]
pub struct Stream {
    socket: TcpStream,
    buffer: Vec<u8>,
    taken: usize,
}

impl Stream {
    /// Connects, or says why not.
    pub fn connect(address: SocketAddr) -> io::Result<Self> {
        TcpStream::connect_timeout(&address, PATIENCE).and_then(Self::new)
    }

    /// Takes a connection that somebody else opened.
    pub fn new(socket: TcpStream) -> io::Result<Self> {
        socket.set_nodelay(true)?;
        socket.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { socket, buffer: Vec::new(), taken: 0 })
    }

    /// Sends all of it.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.socket.write_all(bytes)
    }

    /// Says that nothing more will be sent.
    pub fn finish(&mut self) -> io::Result<()> {
        self.socket.shutdown(Shutdown::Write)
    }

    /// Ends both directions at once.
    pub fn cut(&mut self) {
        // It may have ended already.
        let _ = self.socket.shutdown(Shutdown::Both);
    }

    /// The other end's address.
    pub fn peer(&self) -> io::Result<SocketAddr> {
        self.socket.peer_addr()
    }

    /// Our end's address.
    pub fn local(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// What came and was not taken.
    pub fn came(&self) -> &[u8] {
        &self.buffer[self.taken..]
    }

    /// Takes what came, `most` bytes of it.
    pub fn take(&mut self, most: usize) -> Vec<u8> {
        let end = self.buffer.len().min(self.taken.saturating_add(most));
        let bytes = self.buffer[self.taken..end].to_vec();
        self.taken = end;
        if self.taken == self.buffer.len() {
            self.buffer.clear();
            self.taken = 0;
        }
        bytes
    }

    /// Waits for more bytes; gives their number, 0 at the end.
    pub fn fill(&mut self, deadline: Deadline) -> io::Result<usize> {
        let left = deadline.left().ok_or(io::ErrorKind::TimedOut)?;
        self.socket.set_read_timeout(Some(left))?;
        self.buffer.drain(..self.taken);
        self.taken = 0;
        let before = self.buffer.len();
        self.buffer.resize(before + READ_BYTES, 0);
        let read = self.socket.read(&mut self.buffer[before..]);
        self.buffer.truncate(before + *read.as_ref().unwrap_or(&0));
        match read {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(io::ErrorKind::TimedOut.into()),
            read => read,
        }
    }

    /// Takes exactly `count` bytes.
    pub fn exactly(&mut self, count: usize, deadline: Deadline) -> io::Result<Vec<u8>> {
        while self.came().len() < count {
            if self.fill(deadline)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(self.take(count))
    }

    /// Takes one line, without its end; `None` if the stream ends before one begins.
    pub fn line(&mut self, deadline: Deadline) -> io::Result<Option<String>> {
        let mut seen = 0;
        loop {
            if let Some(end) = self.came()[seen..].iter().position(|byte| *byte == b'\n') {
                let line = self.take(seen + end + 1);
                let text = String::from_utf8_lossy(&line);
                return Ok(Some(text.trim_end_matches(['\r', '\n']).to_owned()));
            }
            seen = self.came().len();
            if self.fill(deadline)? == 0 {
                return if seen == 0 { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
            }
        }
    }
}
