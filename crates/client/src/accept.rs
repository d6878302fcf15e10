//! The server's side of opening: reads a request, lets the application look at it, and answers.
//!
//! Who listens, and how many connections there may be, is the application's. TLS and other streams come in
//! as they are. What a handshake must be is judged in `tidegate-websocket`.

use std::time::Duration;
use std::{fmt, io};

use tidegate_websocket::deflate::{Acceptance, Effort};
use tidegate_websocket::handshake::HeaderError;
use tidegate_websocket::handshake::head::HeadBuffer;
use tidegate_websocket::handshake::server::{self, Refusal, RefusalCause, RequestHead};
use tidegate_websocket::{Limits, Role};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};

use crate::connection::{Connection, Pace};
use crate::keep_alive::Rhythm;
use crate::stream::Stream;

/// How long a client that was refused may take to read why.
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(1);

/// Bytes that such a client may still send.
const REFUSED_MAX_BYTES: usize = 64 * 1024;

/// How to accept. Every field has a default.
#[derive(Debug, Clone)]
pub struct AcceptOptions {
    /// Subprotocols that are supported; the client's order decides between them.
    pub subprotocols: Vec<String>,
    /// What a client may send in one message: 1 MiB in 1,024 fragments.
    pub limits: Limits,
    /// From the first byte that is awaited to the last of the answer. 10 s.
    pub handshake_timeout: Duration,
    /// How long the client's Close is awaited after ours. 3 s.
    pub close_timeout: Duration,
    /// How long a client may take nothing of what waits to be written. 30 s.
    pub stall_timeout: Duration,
    /// What to agree to of permessage-deflate, if a client offers it; none by default, for compression costs
    /// memory and time on both sides.
    pub deflate: Option<Acceptance>,
    /// How hard to compress what is sent, and from which size on, if that was agreed on.
    pub effort: Effort,
    /// Pings are answered. True.
    pub auto_pong: bool,
    /// A Ping is sent when nothing came for this time. 30 s: a client whose network has gone says nothing, for
    /// ever. None: never.
    pub ping_interval: Option<Duration>,
    /// How long anything is awaited after such a Ping. 10 s.
    pub pong_timeout: Duration,
}

/// A request that has come and was not answered yet. Dropping it ends the TCP connection.
#[derive(Debug)]
pub struct Incoming {
    stream: Stream,
    head: Vec<u8>,
    /// What came behind the head.
    first: Vec<u8>,
    options: AcceptOptions,
    deadline: Option<Instant>,
}

/// Why there is no connection. What could be answered has been.
#[derive(Debug)]
pub enum AcceptError {
    /// The request is no handshake, or one that breaks a rule. It was answered with this.
    Refused(Refusal),
    /// The client went away.
    Lost(io::Error),
    /// It took longer than [`AcceptOptions::handshake_timeout`].
    Timeout,
    /// A field of the application's cannot be sent. The application is to blame.
    Header(HeaderError),
}

impl Default for AcceptOptions {
    fn default() -> Self {
        Self {
            subprotocols: Vec::new(),
            limits: Limits { max_message_bytes: 1 << 20, max_fragments: 1024 },
            handshake_timeout: Duration::from_secs(10),
            close_timeout: Duration::from_secs(3),
            stall_timeout: Duration::from_secs(30),
            deflate: None,
            effort: Effort::default(),
            auto_pong: true,
            ping_interval: Some(Duration::from_secs(30)),
            pong_timeout: Duration::from_secs(10),
        }
    }
}

/// Opens a WebSocket on a TCP connection that came in, whatever its path.
///
/// Dropping the future ends the TCP connection. Needs a tokio runtime with IO and time.
pub async fn accept(stream: TcpStream, options: AcceptOptions) -> Result<Connection, AcceptError> {
    receive(stream, options).await?.accept().await
}

/// The same on any stream, such as a server's TLS stream.
pub async fn accept_stream<S>(stream: S, options: AcceptOptions) -> Result<Connection, AcceptError>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    receive_stream(stream, options).await?.accept().await
}

/// Reads a request from a TCP connection that came in, so that the application can look at it before it
/// [accepts](Incoming::accept) it or [answers](Incoming::answer) something else.
pub async fn receive(stream: TcpStream, options: AcceptOptions) -> Result<Incoming, AcceptError> {
    // Without it a small message may wait for an acknowledgement; a socket that refuses works too.
    let _ = stream.set_nodelay(true);
    Box::pin(read_head(Stream::Plain(stream), options)).await
}

/// The same on any stream.
pub async fn receive_stream<S>(stream: S, options: AcceptOptions) -> Result<Incoming, AcceptError>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    Box::pin(read_head(Stream::Other(Box::new(stream)), options)).await
}

impl Incoming {
    /// Method, target and fields as they came.
    #[must_use]
    pub fn head(&self) -> RequestHead<'_> {
        server::parse(&self.head).ok().flatten().expect("it was parsed when it came")
    }

    /// The path, without the query.
    #[must_use]
    pub fn path(&self) -> &str {
        let target = self.head().target;
        target.split_once('?').map_or(target, |(path, _)| path)
    }

    /// The first field with this name, as text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let head = self.head();
        let found = head.headers.iter().find(|(other, _)| other.eq_ignore_ascii_case(name));
        found.and_then(|(_, value)| std::str::from_utf8(value).ok()).map(str::trim)
    }

    /// Whether a WebSocket is asked for at all, rightly or not; else it is a request for a page or the like.
    #[must_use]
    pub fn is_upgrade(&self) -> bool {
        server::is_upgrade(&self.head().request())
    }

    /// Opens the WebSocket, if the request keeps the rules; else it is refused.
    pub async fn accept(self) -> Result<Connection, AcceptError> {
        self.accept_with(&[]).await
    }

    /// The same, with further fields in the answer, such as Set-Cookie.
    pub async fn accept_with(self, headers: &[(&str, &str)]) -> Result<Connection, AcceptError> {
        Box::pin(self.open(headers)).await
    }

    /// Answers with something else than a WebSocket, and ends the connection.
    ///
    /// Content-Length and `Connection: close` are added. What the answer says is the application's.
    pub async fn answer(mut self, status: u16, headers: &[(&str, &str)], body: &[u8]) -> io::Result<()> {
        let mut answer = format!("HTTP/1.1 {status} {}\r\n", phrase(status)).into_bytes();
        for (name, value) in headers {
            let is_safe = |text: &str| !text.bytes().any(|byte| matches!(byte, b'\r' | b'\n' | 0));
            if !is_safe(name) || !is_safe(value) {
                let why = "a header of the answer holds a line end";
                return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
            }
            answer.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
        let tail = format!("Content-Length: {}\r\nConnection: close\r\n\r\n", body.len());
        answer.extend_from_slice(tail.as_bytes());
        answer.extend_from_slice(body);
        Box::pin(say_no(&mut self.stream, &answer)).await
    }

    async fn open(mut self, headers: &[(&str, &str)]) -> Result<Connection, AcceptError> {
        let subprotocols: Vec<&str> = self.options.subprotocols.iter().map(String::as_str).collect();
        let judged = server::accept(&self.head().request(), &subprotocols, self.options.deflate.as_ref());
        let accepted = match judged {
            Ok(accepted) => accepted,
            Err(refusal) => return Err(refuse(&mut self.stream, refusal).await),
        };
        let mut answer = Vec::new();
        server::write_response(&accepted, headers, &mut answer).map_err(AcceptError::Header)?;
        within(self.deadline, write(&mut self.stream, &answer)).await?;
        let AcceptOptions { limits, effort, .. } = self.options;
        let protocol = tidegate_websocket::Connection::with_extensions(
            Role::Server,
            limits,
            accepted.extensions,
            effort,
        );
        let connection = Connection::new(self.stream, protocol, Pace::from(&self.options), self.first);
        Ok(connection.agreed(accepted.subprotocol.as_deref(), None))
    }
}

impl From<&AcceptOptions> for Pace {
    fn from(options: &AcceptOptions) -> Self {
        Self {
            auto_pong: options.auto_pong,
            close_timeout: options.close_timeout,
            stall_timeout: options.stall_timeout,
            rhythm: Rhythm { interval: options.ping_interval, timeout: options.pong_timeout },
        }
    }
}

async fn read_head(mut stream: Stream, options: AcceptOptions) -> Result<Incoming, AcceptError> {
    let deadline = Instant::now().checked_add(options.handshake_timeout);
    let mut head = HeadBuffer::default();
    let mut buffer = [0; 2048];
    loop {
        let length = within(deadline, stream.read(&mut buffer)).await?;
        if length == 0 {
            let why = "the client ended the connection before its request was whole";
            return Err(AcceptError::Lost(io::Error::new(io::ErrorKind::UnexpectedEof, why)));
        }
        let end = match head.handle_input(&buffer[..length]) {
            Ok(None) => continue,
            Ok(Some(end)) => end,
            Err(_) => return Err(refuse(&mut stream, too_large()).await),
        };
        if let Err(refusal) = server::parse(head.bytes()) {
            return Err(refuse(&mut stream, refusal).await);
        }
        let (head, first) = (head.bytes().to_vec(), buffer[end..length].to_vec());
        return Ok(Incoming { stream, head, first, options, deadline });
    }
}

fn too_large() -> Refusal {
    Refusal {
        status: 431,
        sentence: "The request's head is longer than 16 KiB; send fewer or shorter headers.".to_owned(),
        version_header: false,
        cause: RefusalCause::HeadTooLarge,
    }
}

async fn within<T>(
    deadline: Option<Instant>,
    work: impl Future<Output = io::Result<T>>,
) -> Result<T, AcceptError> {
    match deadline {
        Some(deadline) => timeout_at(deadline, work).await.map_err(|_| AcceptError::Timeout)?,
        None => work.await,
    }
    .map_err(AcceptError::Lost)
}

async fn write(stream: &mut Stream, bytes: &[u8]) -> io::Result<()> {
    stream.write_all(bytes).await?;
    stream.flush().await
}

async fn refuse(stream: &mut Stream, refusal: Refusal) -> AcceptError {
    let mut answer = Vec::new();
    server::write_refusal(&refusal, &mut answer);
    // That the client did not wait for the answer changes nothing.
    let _ = say_no(stream, &answer).await;
    AcceptError::Refused(refusal)
}

/// Writes an answer and awaits the client's end, within bounds: bytes that nobody read would make the end a
/// reset, which can take the answer away.
async fn say_no(stream: &mut Stream, answer: &[u8]) -> io::Result<()> {
    let talk = async {
        write(stream, answer).await?;
        stream.shutdown().await?;
        let (mut buffer, mut left) = ([0; 2048], REFUSED_MAX_BYTES);
        while left > 0 {
            match stream.read(&mut buffer).await {
                Ok(0) | Err(_) => break,
                Ok(length) => left = left.saturating_sub(length),
            }
        }
        Ok(())
    };
    timeout(REFUSAL_TIMEOUT, talk).await.unwrap_or(Ok(()))
}

fn phrase(status: u16) -> &'static str {
    match status {
        200 => "OK",
        204 => "No Content",
        301 => "Moved Permanently",
        302 => "Found",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        // Empty is allowed (RFC 9112, section 4).
        _ => "",
    }
}

impl fmt::Display for AcceptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => write!(f, "refused with {}: {}", refusal.status, refusal.sentence),
            Self::Lost(error) => write!(f, "the client went away: {error}"),
            Self::Timeout => f.write_str("the client took too long for its request"),
            Self::Header(error) => write!(f, "a header of the answer cannot be sent: {error}"),
        }
    }
}

impl std::error::Error for AcceptError {}
