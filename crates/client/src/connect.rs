//! Opening a connection: TCP, TLS, the handshake of RFC 6455, all within one time.
//!
//! What fails says who is to blame: the name or network, TLS, the server's answer, its protocol, or time.

use std::time::{Duration, Instant};
use std::{fmt, io};

use tidegate_websocket::deflate::{Effort, Offer};
use tidegate_websocket::handshake::client::{
    ClientHandshake, ClientRequest, HandshakeError, Progress, RequestError, Response,
};
use tidegate_websocket::{Limits, MaskKeys, Role};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout_at;

use crate::address::{Address, UrlError};
use crate::connection::{Connection, Pace};
use crate::dial::{DialError, dial};
use crate::event::{Opened, Timings};
use crate::refusal::{self, Refused};
use crate::stream::Stream;
use crate::tls::{self, Trust, TrustError};

/// How to connect. Every field has a default.
#[derive(Debug, Clone)]
pub struct Options {
    /// Further fields of the request, such as Cookie or Authorization.
    pub headers: Vec<(String, String)>,
    /// Subprotocols to offer, the preferred one first.
    pub subprotocols: Vec<String>,
    /// The Origin field. Programs send none.
    pub origin: Option<String>,
    /// Whose certificates are believed.
    pub trust: Trust,
    /// For everything until the connection is open. 10 s.
    pub connect_timeout: Duration,
    /// How long the peer's Close is awaited after ours. 3 s.
    pub close_timeout: Duration,
    /// How long a peer may take nothing of what waits to be written. 30 s.
    pub stall_timeout: Duration,
    /// What the peer may send in one message: 16 MiB in 1,024 fragments.
    pub limits: Limits,
    /// What to offer of permessage-deflate; none by default, for compression costs memory and time on both
    /// sides.
    pub deflate: Option<Offer>,
    /// How hard to compress what is sent, and from which size on, if that was agreed on.
    pub effort: Effort,
    /// Pings are answered. True.
    pub auto_pong: bool,
    /// A Ping is sent when nothing came for this time. None: never, for a server that cares about the silence
    /// of its clients pings them.
    pub ping_interval: Option<Duration>,
    /// How long anything is awaited after such a Ping. 10 s.
    pub pong_timeout: Duration,
}

/// Why there is no connection.
#[derive(Debug)]
pub enum ConnectError {
    /// The URL. The caller is to blame.
    Url(UrlError),
    /// A header, subprotocol or the like that cannot be sent. The caller is to blame.
    Request(RequestError),
    /// The certificates to believe cannot be read.
    Trust(TrustError),
    /// The host cannot be resolved or reached.
    Dial(DialError),
    /// TLS failed, or the certificate is not believed.
    Tls(io::Error),
    /// The connection broke before the whole answer had come.
    Lost(io::Error),
    /// The server answered, and the answer is no.
    Refused(Box<Refused>),
    /// The server's answer breaks the protocol.
    Handshake(HandshakeError),
    /// It took too long.
    Timeout {
        /// What was awaited.
        phase: Phase,
        /// The time that was given.
        limit: Duration,
    },
}

/// A part of opening a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// The name's addresses and TCP.
    Connect,
    /// TLS.
    Tls,
    /// The answer to the handshake.
    Handshake,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            headers: Vec::new(),
            subprotocols: Vec::new(),
            origin: None,
            trust: Trust::default(),
            connect_timeout: Duration::from_secs(10),
            close_timeout: Duration::from_secs(3),
            stall_timeout: Duration::from_secs(30),
            limits: Limits { max_message_bytes: 16 << 20, max_fragments: 1024 },
            deflate: None,
            effort: Effort::default(),
            auto_pong: true,
            ping_interval: None,
            pong_timeout: Duration::from_secs(10),
        }
    }
}

/// Connects to a `ws://` or `wss://` URL; `http` and `https` stand for them.
///
/// Dropping the future gives the attempt up. Needs a tokio runtime with IO and time.
pub async fn connect(url: &str, options: Options) -> Result<Connection, ConnectError> {
    // On the heap for as long as it takes, so that a task that connects does not stay as large as that.
    Box::pin(open(url, options)).await
}

async fn open(url: &str, options: Options) -> Result<Connection, ConnectError> {
    let address = Address::parse(url).map_err(ConnectError::Url)?;
    let mut request = Vec::new();
    let mut handshake = begin_handshake(&address, &options, &mut request)?;
    let within = Within::new(options.connect_timeout);
    let trust = if address.secure {
        Some(tls::load(options.trust.clone()).await.map_err(ConnectError::Trust)?)
    } else {
        None
    };
    let dialled = within.run(Phase::Connect, dial(&address)).await?.map_err(ConnectError::Dial)?;
    let peer = dialled.socket.peer_addr().map_err(ConnectError::Lost)?;
    let mut timings = Timings { resolve: dialled.resolve, connect: dialled.connect, ..Timings::default() };
    let (mut stream, tls) = match trust {
        None => (Stream::Plain(dialled.socket), None),
        Some(trust) => {
            let began = Instant::now();
            let securing = tls::secure(trust, &address.host, dialled.socket);
            let stream = within.run(Phase::Tls, securing).await?.map_err(ConnectError::Tls)?;
            timings.tls = Some(began.elapsed());
            let description = tls::describe(&stream);
            (Stream::Tls(Box::new(stream)), Some(description))
        }
    };
    let began = Instant::now();
    let exchange = exchange(&mut stream, &request, &mut handshake);
    let (response, first) = within.run(Phase::Handshake, exchange).await??;
    timings.handshake = began.elapsed();
    let opened = Opened {
        status: response.status,
        headers: response.headers,
        subprotocol: response.subprotocol,
        extensions: response.extensions,
        request,
        peer,
        tls,
        timings,
    };
    let role = Role::Client(MaskKeys::from_seed(random()?));
    let protocol = tidegate_websocket::Connection::with_extensions(
        role,
        options.limits,
        opened.extensions,
        options.effort,
    );
    let subprotocol = opened.subprotocol.clone();
    let connection = Connection::new(stream, protocol, Pace::of(&options), first);
    Ok(connection.agreed(subprotocol.as_deref(), Some(Box::new(opened))))
}

/// Where RFC 6455, RFC 7692 or RFC 9112 states the rule that an answer broke; none for a bound of ours and for an
/// answer that is a proper refusal.
#[must_use]
pub fn handshake_section(error: &HandshakeError) -> Option<&'static str> {
    match error {
        HandshakeError::HeadTooLarge | HandshakeError::TooManyHeaders | HandshakeError::Refused(_) => None,
        HandshakeError::Malformed => Some("RFC 9112, section 4"),
        HandshakeError::Upgrade
        | HandshakeError::Connection
        | HandshakeError::AcceptKey
        | HandshakeError::Subprotocol
        | HandshakeError::Extension => Some("RFC 6455, section 4.1"),
        HandshakeError::Deflate(_) => Some("RFC 7692, section 7.1"),
    }
}

/// One time for several phases.
struct Within {
    limit: Duration,
    deadline: tokio::time::Instant,
}

impl Within {
    fn new(limit: Duration) -> Self {
        let now = tokio::time::Instant::now();
        // A limit beyond what the clock can say is as good as thirty years.
        let deadline = now.checked_add(limit).unwrap_or(now + Duration::from_secs(30 * 365 * 24 * 3600));
        Self { limit, deadline }
    }

    async fn run<T>(&self, phase: Phase, work: impl Future<Output = T>) -> Result<T, ConnectError> {
        timeout_at(self.deadline, work).await.map_err(|_| ConnectError::Timeout { phase, limit: self.limit })
    }
}

impl Pace {
    fn of(options: &Options) -> Self {
        Self {
            auto_pong: options.auto_pong,
            close_timeout: options.close_timeout,
            stall_timeout: options.stall_timeout,
            ping_interval: options.ping_interval,
            pong_timeout: options.pong_timeout,
        }
    }
}

fn begin_handshake(
    address: &Address,
    options: &Options,
    request: &mut Vec<u8>,
) -> Result<ClientHandshake, ConnectError> {
    let mut headers: Vec<(&str, &str)> = Vec::new();
    if let Some(origin) = &options.origin {
        headers.push(("Origin", origin));
    }
    headers.extend(options.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    let subprotocols: Vec<&str> = options.subprotocols.iter().map(String::as_str).collect();
    let asked = ClientRequest {
        host: &address.authority,
        target: &address.target,
        key: random()?,
        subprotocols: &subprotocols,
        headers: &headers,
        deflate: options.deflate,
    };
    ClientHandshake::new(&asked, request).map_err(ConnectError::Request)
}

/// Sends the request and reads until the answer's head has come; gives what followed it, too.
async fn exchange(
    stream: &mut Stream,
    request: &[u8],
    handshake: &mut ClientHandshake,
) -> Result<(Response, Vec<u8>), ConnectError> {
    stream.write_all(request).await.map_err(ConnectError::Lost)?;
    stream.flush().await.map_err(ConnectError::Lost)?;
    let mut buffer = vec![0; 4096];
    loop {
        let length = stream.read(&mut buffer).await.map_err(ConnectError::Lost)?;
        if length == 0 {
            let why = "the server ended the connection without an answer";
            return Err(ConnectError::Lost(io::Error::new(io::ErrorKind::UnexpectedEof, why)));
        }
        match handshake.handle_input(&buffer[..length]) {
            Ok(Progress::NeedMore) => {}
            Ok(Progress::Done(response)) => {
                let first = buffer[response.consumed..length].to_vec();
                return Ok((response, first));
            }
            Err(HandshakeError::Refused(refused)) => {
                let refused = refusal::read(*refused, stream).await;
                return Err(ConnectError::Refused(Box::new(refused)));
            }
            Err(error) => return Err(ConnectError::Handshake(error)),
        }
    }
}

/// Bytes for the handshake's key and for masks: a peer must not be able to foresee them (section 10.3).
fn random() -> Result<[u8; 16], ConnectError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| ConnectError::Lost(io::Error::other(error)))?;
    Ok(bytes)
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(error) => error.fmt(f),
            Self::Request(error) => error.fmt(f),
            Self::Trust(error) => error.fmt(f),
            Self::Dial(error) => error.fmt(f),
            Self::Tls(error) => write!(f, "TLS: {error}"),
            Self::Lost(error) => write!(f, "the connection broke during the handshake: {error}"),
            Self::Refused(refused) => refused.fmt(f),
            Self::Handshake(error) => match handshake_section(error) {
                Some(section) => write!(f, "{error} ({section})"),
                None => error.fmt(f),
            },
            Self::Timeout { phase, limit } => write!(f, "no {phase} within {limit:?}"),
        }
    }
}

impl std::error::Error for ConnectError {}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "connection",
            Self::Tls => "TLS handshake",
            Self::Handshake => "answer to the handshake",
        })
    }
}
