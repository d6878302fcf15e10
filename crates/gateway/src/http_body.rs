//! Bodies of the gateway's own HTTP answers, and the small vocabulary that all doors share: the visit of
//! one client's connection.

use std::cell::{Cell, RefCell};
use std::error::Error;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::rc::Rc;

use bytes::Bytes;
use http::{HeaderMap, Response};
use http_body_util::{BodyExt, Full};
use tokio::sync::Notify;

use crate::handshake::Marks;
use crate::process::Seat;
use crate::refusal::Refusal;
use crate::settings::Settings;
use crate::shard::ShardRef;
use crate::shard::connection::TlsVersion;
use crate::tunnel::Tunnel;

/// What leaves in an HTTP answer.
pub(crate) type Body = Pin<Box<dyn http_body::Body<Data = Bytes, Error = Box<dyn Error + Send + Sync>>>>;

/// One HTTP connection of a client, as its requests see it.
pub(crate) struct Visit {
    pub(crate) shard: ShardRef,
    /// The socket's other end, which may be a proxy.
    pub(crate) remote: SocketAddr,
    /// The address that the client connected to.
    pub(crate) local: IpAddr,
    /// The version of TLS that it speaks; `None` for plain HTTP.
    pub(crate) tls: Option<TlsVersion>,
    /// Ends the connection whatever hyper is doing with it.
    pub(crate) cut: Rc<Notify>,
    /// Its place among the open connections; a WebSocket takes it along.
    pub(crate) seat: RefCell<Option<Seat>>,
    /// For a stream of HTTP/2, which is a visit of its own: where the WebSocket door leaves the session that
    /// the stream carries from now on.
    pub(crate) tunnel: Option<RefCell<Option<Tunnel>>>,
    /// What is noted of a handshake on its way.
    pub(crate) marks: Cell<Marks>,
}

/// A whole body.
pub(crate) fn full(bytes: impl Into<Bytes>) -> Body {
    Box::pin(Full::new(bytes.into()).map_err(|never| match never {}))
}

/// The whole answer of a refusal.
pub(crate) fn refusal_response(refusal: Refusal) -> Response<Body> {
    refusal.into_response().map(full)
}

impl Visit {
    /// Whether it is a stream of an HTTP/2 connection.
    pub(crate) fn is_http2(&self) -> bool {
        self.tunnel.is_some()
    }

    /// One stream of this connection.
    pub(crate) fn stream(&self) -> Self {
        Self {
            shard: self.shard.clone(),
            remote: self.remote,
            local: self.local,
            tls: self.tls,
            cut: Rc::default(),
            seat: RefCell::default(),
            tunnel: Some(RefCell::default()),
            marks: Cell::default(),
        }
    }

    /// Notes something of a handshake.
    pub(crate) fn mark<R>(&self, note: impl FnOnce(&mut Marks) -> R) -> R {
        let mut marks = self.marks.get();
        let result = note(&mut marks);
        self.marks.set(marks);
        result
    }

    /// The place of a session that is about to begin. A WebSocket takes that of its HTTP/1.1 connection along,
    /// an event stream leaves it there; on HTTP/2, where a connection carries many, each session has its own.
    pub(crate) fn seat_session(&self, settings: &Settings, websocket: bool) -> Result<Option<Seat>, Refusal> {
        if !self.is_http2() {
            return Ok(if websocket { self.seat.borrow_mut().take() } else { None });
        }
        let most = if self.is_proxy(settings) { u32::MAX } else { settings.limits.max_connections_per_ip };
        let seat = self.shard.process.admit(self.remote.ip().to_canonical(), most);
        seat.map(Some).map_err(|crowded| {
            self.shard.tidy(|shard| shard.counters.turned_away_by(crowded.limit()));
            crowded.refusal()
        })
    }

    /// Whether the other end of the socket is a proxy that may speak for others.
    pub(crate) fn is_proxy(&self, settings: &Settings) -> bool {
        let remote = self.remote.ip().to_canonical();
        settings.access.trusted_proxies.iter().any(|net| net.contains(remote))
    }

    /// The client's address and the scheme it used: what trusted proxies say, or the socket.
    pub(crate) fn client(&self, headers: &HeaderMap, settings: &Settings) -> (IpAddr, &'static str) {
        let remote = self.remote.ip().to_canonical();
        let trusted =
            |address: IpAddr| settings.access.trusted_proxies.iter().any(|net| net.contains(address));
        if !trusted(remote) {
            return (remote, self.scheme());
        }
        let scheme = match headers.get("x-forwarded-proto") {
            Some(proto) if proto == "https" => "https",
            Some(_) => "http",
            None => self.scheme(),
        };
        let chain = headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok());
        let addresses: Vec<IpAddr> =
            chain.flat_map(|line| line.split(',')).filter_map(|one| one.trim().parse().ok()).collect();
        let client = addresses.iter().rev().find(|address| !trusted(**address)).copied();
        (client.unwrap_or(remote), scheme)
    }

    /// What is spoken on the socket.
    fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }
}
