//! Opening a connection: TCP, TLS, the handshake, all within one time.
//!
//! The parts are in modules of their own; here is their order.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tidegate_websocket::{MaskKeys, Role};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout_at;

use crate::address::Address;
use crate::asked::{self, Answer};
use crate::connection::{Connection, Pace};
use crate::dial::dial;
use crate::event::{Opened, Timings};
use crate::failure::{ConnectError, Http2Error, Phase};
use crate::options::Options;
use crate::stream::{RawStream, Stream};
use crate::version::Http;
use crate::{http1, http2, tls};

/// Connects to a `ws://` or `wss://` URL; `http` and `https` stand for them.
///
/// Dropping the future gives the attempt up. Needs a tokio runtime with IO and time.
pub async fn connect(url: &str, options: Options) -> Result<Connection, ConnectError> {
    // On the heap for as long as it takes, so that a task that connects does not stay as large as that.
    Box::pin(open(url, options)).await
}

/// The same over a stream that is there already: a Unix socket, a proxy's tunnel, TLS of the caller's.
///
/// The URL says what to ask for; nothing is dialled, and `wss` adds no TLS. [`Http::Auto`] is HTTP/1.1.
pub async fn connect_stream<S>(stream: S, url: &str, options: Options) -> Result<Connection, ConnectError>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let address = Address::parse(url).map_err(ConnectError::Url)?;
    let handshake = Handshake::new(&address, &options, options.http == Http::V2)?;
    let within = Within::new(options.connect_timeout);
    let way =
        Way { stream: Stream::Other(Box::new(stream)), peer: None, tls: None, timings: Timings::default() };
    Box::pin(finish(way, handshake, &options, &within)).await
}

/// Connects to the server of a URL and speaks to it no further: TCP, and TLS for `wss` with `http/1.1` by ALPN.
///
/// Of the options those count that say whom to believe and how long to wait. For whoever relays bytes.
pub async fn reach_server(url: &str, options: &Options) -> Result<Reached, ConnectError> {
    let address = Address::parse(url).map_err(ConnectError::Url)?;
    let within = Within::new(options.connect_timeout);
    let (way, _) = Box::pin(reach(&address, options, Http::V1, &within)).await?;
    let Way { stream, peer, tls, timings } = way;
    Ok(Reached { stream: RawStream(stream), authority: address.authority, peer, tls, timings })
}

/// A server that was reached, and nothing was said.
#[derive(Debug)]
pub struct Reached {
    /// What goes to and comes from it.
    pub stream: RawStream,
    /// What stands in a Host header for it.
    pub authority: String,
    /// Its address.
    pub peer: Option<SocketAddr>,
    /// Version and key exchange of TLS.
    pub tls: Option<String>,
    /// How long it took; nothing was awaited of a handshake.
    pub timings: Timings,
}

/// A request in its version of HTTP.
enum Handshake {
    V1(http1::Handshake),
    V2(http2::Handshake),
}

/// A stream to the server, and what it took to get it.
struct Way {
    stream: Stream,
    peer: Option<SocketAddr>,
    tls: Option<String>,
    timings: Timings,
}

async fn open(url: &str, options: Options) -> Result<Connection, ConnectError> {
    let address = Address::parse(url).map_err(ConnectError::Url)?;
    let within = Within::new(options.connect_timeout);
    let mut http = match options.http {
        Http::Auto if !address.secure => Http::V1,
        http => http,
    };
    // What cannot be sent is said before anything is opened.
    Handshake::new(&address, &options, http == Http::V2)?;
    loop {
        let (way, is_v2) = reach(&address, &options, http, &within).await?;
        let handshake = Handshake::new(&address, &options, is_v2)?;
        match finish(way, handshake, &options, &within).await {
            // The server speaks HTTP/2, but not for this. Ask it again in the other way.
            Err(ConnectError::Http2(Http2Error::NoConnect)) if http == Http::Auto => http = Http::V1,
            other => return other,
        }
    }
}

/// TCP and TLS. Gives whether HTTP/2 is spoken on it.
async fn reach(
    address: &Address,
    options: &Options,
    http: Http,
    within: &Within,
) -> Result<(Way, bool), ConnectError> {
    let trust = if address.secure {
        Some(tls::load(options.trust.clone(), http).await.map_err(ConnectError::Trust)?)
    } else {
        None
    };
    let dialled = within.run(Phase::Connect, dial(address)).await?.map_err(ConnectError::Dial)?;
    let peer = Some(dialled.socket.peer_addr().map_err(ConnectError::Lost)?);
    let mut timings = Timings { resolve: dialled.resolve, connect: dialled.connect, ..Timings::default() };
    let Some(trust) = trust else {
        let way = Way { stream: Stream::Plain(dialled.socket), peer, tls: None, timings };
        return Ok((way, http == Http::V2));
    };
    let began = Instant::now();
    let securing = tls::secure(trust, &address.host, dialled.socket);
    let stream = within.run(Phase::Tls, securing).await?.map_err(not_secured)?;
    timings.tls = Some(began.elapsed());
    let is_v2 = tls::has_chosen_http2(&stream);
    if http == Http::V2 && !is_v2 {
        return Err(ConnectError::Http2(Http2Error::NotAgreed));
    }
    let description = tls::describe(&stream);
    let way = Way { stream: Stream::Tls(Box::new(stream)), peer, tls: Some(description), timings };
    Ok((way, is_v2))
}

fn not_secured(error: io::Error) -> ConnectError {
    match error {
        error if tls::is_of_authority(&error) => ConnectError::Authority(error),
        error if tls::is_no_tls(&error) => ConnectError::NotTls(error),
        error => ConnectError::Tls(error),
    }
}

/// The handshake, and the connection behind it.
async fn finish(
    way: Way,
    handshake: Handshake,
    options: &Options,
    within: &Within,
) -> Result<Connection, ConnectError> {
    let Way { mut stream, peer, tls, mut timings } = way;
    let began = Instant::now();
    let (http, answer, stream) = match handshake {
        Handshake::V1(handshake) => {
            let answer = within.run(Phase::Handshake, handshake.run(&mut stream)).await??;
            (Http::V1, answer, stream)
        }
        Handshake::V2(handshake) => {
            let (answer, stream) = within.run(Phase::Handshake, handshake.run(stream)).await??;
            (Http::V2, answer, stream)
        }
    };
    timings.handshake = began.elapsed();
    let Answer { response, request, first } = answer;
    let role = Role::Client(MaskKeys::from_seed(asked::random()?));
    let protocol = tidegate_websocket::Connection::with_extensions(
        role,
        options.limits,
        response.extensions,
        options.effort,
    );
    let subprotocol = response.subprotocol.clone();
    let opened = Opened {
        http,
        status: response.status,
        headers: response.headers,
        subprotocol: response.subprotocol,
        extensions: response.extensions,
        request,
        peer,
        tls,
        timings,
    };
    let connection = Connection::new(stream, protocol, Pace::from(options), first);
    Ok(connection.agreed(subprotocol.as_deref(), Some(Box::new(opened))))
}

impl Handshake {
    fn new(address: &Address, options: &Options, is_v2: bool) -> Result<Self, ConnectError> {
        Ok(match is_v2 {
            false => Self::V1(http1::Handshake::new(address, options)?),
            true => Self::V2(http2::Handshake::new(address, options)?),
        })
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
