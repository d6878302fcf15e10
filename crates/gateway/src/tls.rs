//! TLS on the public listeners: the handshake, within its time, with the certificate in force, which may be
//! exchanged while the gateway runs. What is said after the handshake is HTTP's.
//!
//! One of these is shared by all shards. It is locked for a moment in each handshake, never for a byte.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use rustls::crypto::aws_lc_rs;
use rustls::server::{ClientHello, ResolvesServerCert, ServerSessionMemoryCache};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls::{Error, ProtocolVersion, ServerConfig};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::certificate::{PairError, TlsFiles, Validity, load, validity};
use crate::client_socket::{ClientSocket, take_unread};
use crate::refusal::Refusal;
use crate::shard::connection::TlsVersion;
use tidegate_inspect::words::known;

/// What is spoken over TLS, the preferred first. What is offered here is told apart in `public`.
const PROTOCOLS: [&[u8]; 2] = [HTTP2, b"http/1.1"];

const HTTP2: &[u8] = b"h2";

/// Sessions of TLS 1.2 clients without tickets that can be resumed; the oldest go first. Tickets need no
/// memory here: their keys are made at the start and exchanged every six hours.
const SESSIONS_MAX: usize = 256;

/// The alert `internal_error` as a record of its own, for those who are turned away before any handshake
/// (RFC 8446, section 6.2).
pub(crate) const TURNED_AWAY: [u8; 7] = [21, 3, 3, 0, 2, 2, 80];

/// See the module's head.
pub(crate) struct Tls {
    acceptor: TlsAcceptor,
    in_force: Arc<InForce>,
}

/// Why there is no TLS connection.
#[derive(Debug)]
pub(crate) struct Failed {
    /// One of a few words, for the metrics.
    pub(crate) reason: &'static str,
    /// For the log.
    pub(crate) error: io::Error,
}

/// The certificate that handshakes begin with.
#[derive(Debug)]
struct InForce(Mutex<Arc<CertifiedKey>>);

impl ResolvesServerCert for InForce {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}

impl Tls {
    /// Reads the files. A certificate whose time is over is used all the same, and said so: clients that do
    /// not mind are served.
    pub(crate) fn start(files: &TlsFiles) -> Result<Self, String> {
        let pair = load(files).map_err(|error| format!("{}; {}", error.what, error.mend))?;
        let validity = validity(&pair, SystemTime::now());
        if validity != Validity::Valid {
            tracing::warn!(event = "certificate_not_valid", number = %known::CERTIFICATE_NOT_VALID, "{validity}: clients will refuse it");
        }
        let in_force = Arc::new(InForce(Mutex::new(Arc::new(pair))));
        let unusable = |error: Error| format!("TLS cannot be set up: {error}");
        let builder = ServerConfig::builder_with_provider(aws_lc_rs::default_provider().into())
            .with_protocol_versions(&[&TLS13, &TLS12])
            .map_err(unusable)?;
        let mut config = builder.with_no_client_auth().with_cert_resolver(Arc::clone(&in_force) as _);
        config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
        config.session_storage = ServerSessionMemoryCache::new(SESSIONS_MAX);
        config.ticketer = aws_lc_rs::Ticketer::new().map_err(unusable)?;
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)), in_force })
    }

    /// Puts another pair in force for the handshakes to come, if it is whole and valid. Connections stay as
    /// they are.
    pub(crate) fn renew(&self, files: &TlsFiles) -> Result<(), String> {
        let told = |PairError { what, mend, .. }: PairError| format!("{what}; {mend}");
        let pair = load(files).map_err(told)?;
        let validity = validity(&pair, SystemTime::now());
        if validity != Validity::Valid {
            return Err(format!("{validity}; write one that is valid now"));
        }
        *self.in_force.0.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(pair);
        Ok(())
    }

    /// Makes a TLS connection of an accepted socket, within `limit`.
    pub(crate) async fn handshake(
        &self,
        stream: TcpStream,
        limit: Duration,
    ) -> Result<TlsStream<TcpStream>, Failed> {
        match timeout(limit, self.shake_hands(stream)).await {
            Ok(done) => done,
            Err(_) => {
                let error = io::Error::new(io::ErrorKind::TimedOut, "tls_handshake_timeout");
                Err(Failed { reason: "timeout", error })
            }
        }
    }

    async fn shake_hands(&self, mut stream: TcpStream) -> Result<TlsStream<TcpStream>, Failed> {
        let mut first = [0];
        let count = stream.peek(&mut first).await.map_err(Failed::of)?;
        if count == 1 && first[0].is_ascii_uppercase() {
            // A method of HTTP begins so, and no record of TLS.
            stream.say_last(&Refusal::of(known::PLAIN_HTTP, "this port speaks TLS: use https://").to_bytes());
            take_unread(&stream);
            let error =
                io::Error::new(io::ErrorKind::InvalidData, "HTTP without TLS on a port that speaks TLS");
            return Err(Failed { reason: "plain_http", error });
        }
        self.acceptor.accept(stream).into_fallible().await.map_err(|(error, stream)| {
            // The alert that says why has been written.
            take_unread(&stream);
            Failed::of(error)
        })
    }
}

impl Failed {
    fn of(error: io::Error) -> Self {
        let cause = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
        let reason = match cause {
            None => "ended",
            Some(Error::NoApplicationProtocol) => "protocol",
            Some(Error::PeerIncompatible(_)) => "incompatible",
            Some(Error::AlertReceived(_)) => "alert",
            Some(_) => "broken",
        };
        Self { reason, error }
    }
}

/// Whether HTTP/2 was agreed on.
pub(crate) fn speaks_http2(stream: &TlsStream<TcpStream>) -> bool {
    stream.get_ref().1.alpn_protocol() == Some(HTTP2)
}

/// The version of TLS that was agreed on.
pub(crate) fn version(stream: &TlsStream<TcpStream>) -> TlsVersion {
    match stream.get_ref().1.protocol_version() {
        Some(ProtocolVersion::TLSv1_3) => TlsVersion::V1_3,
        _ => TlsVersion::V1_2,
    }
}
