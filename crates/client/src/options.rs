//! How to connect: what to ask for, whom to believe, and every time and bound, each with its default.
//! Nothing is checked here; that is the parts' that use it.

use std::time::Duration;

use tidegate_websocket::Limits;
use tidegate_websocket::deflate::{Effort, Offer};

use crate::connection::Pace;
use crate::keep_alive::Rhythm;
use crate::tls::Trust;
use crate::version::Http;

/// How to connect. Every field has a default.
#[derive(Debug, Clone)]
pub struct Options {
    /// Further fields of the request, such as Cookie or Authorization.
    pub headers: Vec<(String, String)>,
    /// Subprotocols to offer, the preferred one first.
    pub subprotocols: Vec<String>,
    /// The Origin field. Programs send none.
    pub origin: Option<String>,
    /// The version of HTTP for the handshake. [`Http::V1`].
    pub http: Http,
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

impl Default for Options {
    fn default() -> Self {
        Self {
            headers: Vec::new(),
            subprotocols: Vec::new(),
            origin: None,
            http: Http::V1,
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

impl From<&Options> for Pace {
    fn from(options: &Options) -> Self {
        Self {
            auto_pong: options.auto_pong,
            close_timeout: options.close_timeout,
            stall_timeout: options.stall_timeout,
            rhythm: Rhythm { interval: options.ping_interval, timeout: options.pong_timeout },
        }
    }
}
