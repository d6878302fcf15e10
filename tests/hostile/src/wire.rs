//! A TCP connection as an attacker has it, under TLS if wished: any bytes go out, what comes back is read as
//! an HTTP answer or as it is. Every wait ends with a failed test.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use rustls::ClientConnection;

use crate::certificate::Certificate;

/// How long a test waits for what must happen.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// See the module's head.
#[derive(Debug)]
pub struct Wire {
    stream: TcpStream,
    tls: Option<Box<ClientConnection>>,
    /// What came and was not looked at.
    pub unread: Vec<u8>,
}

/// An HTTP answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The head, as text.
    pub head: String,
    /// The body.
    pub body: Vec<u8>,
}

/// How the peer's bytes ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// With a FIN.
    Closed,
    /// With an RST.
    Reset,
    /// With a FIN where TLS had not said that nothing follows.
    Truncated,
}

impl Wire {
    /// Connects.
    #[must_use]
    pub fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("the gateway accepts");
        Self::over(stream)
    }

    /// Connects with a receive buffer as small as the system allows, so that what is not read soon stalls.
    #[must_use]
    pub fn connect_narrow(address: SocketAddr) -> Self {
        let socket = socket2::Socket::new(socket2::Domain::for_address(address), socket2::Type::STREAM, None);
        let socket = socket.expect("a socket");
        socket.set_recv_buffer_size(4096).expect("a small buffer");
        socket.connect(&address.into()).expect("the gateway accepts");
        Self::over(socket.into())
    }

    /// Over a socket that is connected.
    #[must_use]
    pub fn of_socket(socket: socket2::Socket) -> Self {
        Self::over(socket.into())
    }

    fn over(stream: TcpStream) -> Self {
        stream.set_nodelay(true).expect("an option of every socket");
        stream.set_read_timeout(Some(PATIENCE)).expect("more than zero");
        stream.set_write_timeout(Some(PATIENCE)).expect("more than zero");
        Self { stream, tls: None, unread: Vec::new() }
    }

    /// Goes through a TLS handshake that believes this certificate; all that follows is under TLS.
    #[must_use]
    pub fn secure(self, certificate: &Certificate) -> Self {
        self.try_secure(certificate).unwrap_or_else(|error| panic!("no handshake: {error}"))
    }

    /// The same where it may fail.
    pub fn try_secure(self, certificate: &Certificate) -> io::Result<Self> {
        self.go_on(certificate.client())
    }

    /// The same with a handshake that is under way.
    pub fn go_on(mut self, mut tls: ClientConnection) -> io::Result<Self> {
        while tls.is_handshaking() || tls.wants_write() {
            tls.complete_io(&mut self.stream)?;
        }
        self.tls = Some(Box::new(tls));
        Ok(self)
    }

    /// Takes TLS off without a word to the peer: what is sent from now on is no record.
    pub fn strip(&mut self) -> Option<Box<ClientConnection>> {
        self.tls.take()
    }

    /// Sends bytes one by one, each in a packet and a record of its own.
    pub fn trickle(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        bytes.as_ref().iter().all(|byte| self.send([*byte]))
    }

    /// The other end.
    #[must_use]
    pub fn peer(&self) -> SocketAddr {
        self.stream.peer_addr().expect("a connected socket")
    }

    /// Sends bytes. A peer that closed meanwhile is no failure here: what it answered shows later.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        let sent = match &mut self.tls {
            None => self.stream.write_all(bytes.as_ref()),
            Some(tls) => rustls::Stream::new(&mut **tls, &mut self.stream).write_all(bytes.as_ref()),
        };
        match sent {
            Ok(()) => true,
            Err(error) if is_end(&error) => false,
            Err(error) => panic!("the peer takes nothing: {error}"),
        }
    }

    /// Sends until the peer takes no more for `pause`; gives the number of bytes taken.
    pub fn send_until_stalled(&mut self, bytes: &[u8], pause: Duration, most: usize) -> usize {
        self.stream.set_write_timeout(Some(pause)).expect("more than zero");
        let mut taken = 0;
        while taken < most {
            match self.stream.write(&bytes[..bytes.len().min(most - taken)]) {
                Ok(count) => taken += count,
                Err(_) => break,
            }
        }
        self.stream.set_write_timeout(Some(PATIENCE)).expect("more than zero");
        taken
    }

    /// Ends our side.
    pub fn finish(&mut self) {
        // A peer that reset the connection has ended both sides.
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// Closes with an RST.
    pub fn reset(self) {
        let socket = socket2::SockRef::from(&self.stream);
        socket.set_linger(Some(Duration::ZERO)).expect("an option of every socket");
    }

    /// Reads something, or gives the end.
    pub fn read(&mut self) -> Result<(), End> {
        let mut chunk = [0; 16 * 1024];
        let read = match &mut self.tls {
            None => self.stream.read(&mut chunk),
            Some(tls) => rustls::Stream::new(&mut **tls, &mut self.stream).read(&mut chunk),
        };
        match read {
            Ok(0) => Err(End::Closed),
            Ok(count) => {
                self.unread.extend_from_slice(&chunk[..count]);
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(End::Truncated),
            Err(error) if is_end(&error) => Err(End::Reset),
            Err(error) => panic!("nothing came for {PATIENCE:?} ({error}) after {:?}", self.shown()),
        }
    }

    /// Whether nothing comes within `time`, not even the end.
    #[must_use]
    pub fn is_silent_for(&mut self, time: Duration) -> bool {
        self.stream.set_read_timeout(Some(time)).expect("more than zero");
        let mut chunk = [0; 4096];
        let silent = match self.stream.read(&mut chunk) {
            Ok(count) => {
                self.unread.extend_from_slice(&chunk[..count]);
                false
            }
            Err(error) => matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut),
        };
        self.stream.set_read_timeout(Some(PATIENCE)).expect("more than zero");
        silent
    }

    /// Takes `count` bytes, waiting for them.
    pub fn take(&mut self, count: usize) -> Result<Vec<u8>, End> {
        while self.unread.len() < count {
            self.read()?;
        }
        let rest = self.unread.split_off(count);
        Ok(std::mem::replace(&mut self.unread, rest))
    }

    /// All bytes until the end, and the end.
    pub fn rest(&mut self) -> (Vec<u8>, End) {
        loop {
            if let Err(end) = self.read() {
                return (std::mem::take(&mut self.unread), end);
            }
        }
    }

    /// Waits for the end; gives how long that took.
    pub fn await_end(&mut self) -> Duration {
        let begun = Instant::now();
        while self.read().is_ok() {
            self.unread.clear();
        }
        begun.elapsed()
    }

    /// The head of the next answer, and its body as far as Content-Length says. Interim answers are passed
    /// over.
    #[must_use]
    pub fn answer(&mut self) -> Answer {
        self.try_answer()
            .unwrap_or_else(|end| panic!("{end:?} instead of an answer after {:?}", self.shown()))
    }

    /// The same where the peer may say nothing.
    pub fn try_answer(&mut self) -> Result<Answer, End> {
        loop {
            let length = loop {
                match self.unread.windows(4).position(|four| four == b"\r\n\r\n") {
                    Some(at) => break at + 4,
                    None => self.read()?,
                }
            };
            let head = String::from_utf8_lossy(&self.take(length)?).into_owned();
            let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
            let status = status.unwrap_or_else(|| panic!("no answer of HTTP: {head:?}"));
            if status == 100 {
                continue;
            }
            let length = header(&head, "content-length").and_then(|value| value.parse().ok()).unwrap_or(0);
            let body = self.take(length)?;
            return Ok(Answer { status, head, body });
        }
    }

    fn shown(&self) -> String {
        String::from_utf8_lossy(&self.unread[..self.unread.len().min(2000)]).into_owned()
    }
}

impl Answer {
    /// The value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.head, name)
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Sends `request` on a connection of its own and gives the answer.
#[must_use]
pub fn ask(address: SocketAddr, request: impl AsRef<[u8]>) -> Answer {
    let mut wire = Wire::connect(address);
    wire.send(request);
    wire.answer()
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let lines = head.split("\r\n").filter_map(|line| line.split_once(':'));
    lines.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).next()
}

fn is_end(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(error.kind(), Kind::ConnectionReset | Kind::BrokenPipe | Kind::ConnectionAborted)
}
