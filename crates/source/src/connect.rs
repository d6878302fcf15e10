//! Connections to backends: the host is resolved, its addresses are tried side by side (RFC 8305), and
//! TLS is spoken where the scheme says so. Not a pool; the HTTP client above keeps what is made here.

use std::future::Future;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use std::{fmt, io};

use http::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tower_service::Service;

use crate::origin::Origin;

/// How often a connection that nobody answers is tried.
const TRIES: usize = 2;
/// The head start of an address before the next one is tried too (RFC 8305 section 5).
const HEAD_START: Duration = Duration::from_millis(250);
/// More addresses of one name are not tried.
const MAX_ADDRESSES: usize = 8;
const TLS_HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);

/// Whose certificates are believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Roots {
    /// The system's. A system without any is no error until `https` is asked for.
    System,
    /// Only those in this PEM file.
    File(PathBuf),
}

/// The file with the root certificates cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RootsError {
    path: PathBuf,
    reason: String,
}

/// Root certificates, read once and shared by all shards.
#[derive(Clone)]
pub struct Trust(Arc<ClientConfig>);

impl Trust {
    /// Reads the certificates; this blocks, so call it before serving.
    pub fn load(roots: &Roots) -> Result<Self, RootsError> {
        let mut store = RootCertStore::empty();
        match roots {
            Roots::System => {
                store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            }
            Roots::File(path) => {
                read_roots(path, &mut store).map_err(|reason| RootsError { path: path.clone(), reason })?
            }
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider has the default versions")
            .with_root_certificates(store)
            .with_no_client_auth();
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self(Arc::new(tls)))
    }
}

fn read_roots(path: &Path, store: &mut RootCertStore) -> Result<(), String> {
    for certificate in CertificateDer::pem_file_iter(path).map_err(|error| error.to_string())? {
        let certificate = certificate.map_err(|error| error.to_string())?;
        store.add(certificate).map_err(|error| error.to_string())?;
    }
    if store.is_empty() { Err("there is no certificate in it".to_owned()) } else { Ok(()) }
}

/// Why there is no connection.
#[derive(Debug)]
pub(crate) enum ConnectError {
    /// The URL names no host that can be asked.
    Url,
    /// The name has no address.
    Resolve(io::Error),
    /// No address accepted.
    Connect(io::Error),
    /// The handshake failed, or the certificate is not believed.
    Tls(io::Error),
    /// Nobody answered in this time.
    Timeout(Duration),
}

/// Makes connections for the pool.
#[derive(Clone)]
pub(crate) struct Connector {
    pub(crate) trust: Trust,
    pub(crate) connect_timeout: Duration,
}

impl Service<Uri> for Connector {
    type Response = Link;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<Link, ConnectError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connector = self.clone();
        Box::pin(async move {
            let origin = Origin::of(&uri).ok_or(ConnectError::Url)?;
            let socket = connector.reach(&origin).await?;
            // Without it a small request may wait for an acknowledgement; a socket that refuses works too.
            let _ = socket.set_nodelay(true);
            let socket = if origin.is_secure() {
                connector.secure(&origin, socket).await?
            } else {
                Socket::Plain(TokioIo::new(socket))
            };
            Ok(Link { socket, used: Used::default() })
        })
    }
}

impl Connector {
    /// Resolves and connects; what nobody answers is tried once more, what is refused is not.
    async fn reach(&self, origin: &Origin) -> Result<TcpStream, ConnectError> {
        for _ in 0..TRIES {
            if let Ok(result) = timeout(self.connect_timeout, resolve_and_connect(origin)).await {
                return result;
            }
        }
        Err(ConnectError::Timeout(self.connect_timeout))
    }

    async fn secure(&self, origin: &Origin, socket: TcpStream) -> Result<Socket, ConnectError> {
        let name = ServerName::try_from(origin.host().to_owned())
            .map_err(|error| ConnectError::Tls(io::Error::other(error)))?;
        let handshake = TlsConnector::from(self.trust.0.clone()).connect(name, socket);
        let stream = timeout(TLS_HANDSHAKE_TIMEOUT, handshake)
            .await
            .map_err(|_| ConnectError::Timeout(TLS_HANDSHAKE_TIMEOUT))?;
        Ok(Socket::Tls(Box::new(TokioIo::new(stream.map_err(ConnectError::Tls)?))))
    }
}

async fn resolve_and_connect(origin: &Origin) -> Result<TcpStream, ConnectError> {
    let addresses =
        tokio::net::lookup_host((origin.host(), origin.port())).await.map_err(ConnectError::Resolve)?;
    connect_to_any(in_turn(addresses.take(MAX_ADDRESSES).collect())).await.map_err(ConnectError::Connect)
}

/// The resolver's order, with the two families taking turns.
fn in_turn(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first_is_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (first, second): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| address.is_ipv6() == first_is_v6);
    let mut ranked: Vec<(usize, SocketAddr)> = first.into_iter().enumerate().collect();
    ranked.extend(second.into_iter().enumerate());
    ranked.sort_by_key(|(rank, _)| *rank);
    ranked.into_iter().map(|(_, address)| address).collect()
}

/// The first connection that succeeds; the others are given up. Ends by the caller's time-out.
async fn connect_to_any(addresses: Vec<SocketAddr>) -> io::Result<TcpStream> {
    let mut untried = addresses.into_iter();
    let mut attempts = JoinSet::new();
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    loop {
        if let Some(address) = untried.next() {
            attempts.spawn(TcpStream::connect(address));
        }
        match timeout(HEAD_START, attempts.join_next()).await {
            Ok(Some(Ok(Ok(socket)))) => return Ok(socket),
            Ok(Some(Ok(Err(error)))) => last = error,
            Ok(Some(Err(error))) => last = io::Error::other(error),
            Ok(None) => return Err(last),
            Err(_) => {}
        }
    }
}

/// Set once an answer came through the connection: what fails after that may be the fault of a backend that
/// closed it while it was idle.
#[derive(Debug, Clone, Default)]
pub(crate) struct Used(Arc<AtomicBool>);

impl Used {
    pub(crate) fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// One connection to a backend.
pub(crate) struct Link {
    socket: Socket,
    used: Used,
}

enum Socket {
    Plain(TokioIo<TcpStream>),
    Tls(Box<TokioIo<TlsStream<TcpStream>>>),
}

impl Connection for Link {
    fn connected(&self) -> Connected {
        Connected::new().extra(self.used.clone())
    }
}

impl Read for Link {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.socket {
            Socket::Plain(socket) => Pin::new(socket).poll_read(context, buffer),
            Socket::Tls(socket) => Pin::new(socket).poll_read(context, buffer),
        }
    }
}

impl Write for Link {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.socket {
            Socket::Plain(socket) => Pin::new(socket).poll_write(context, bytes),
            Socket::Tls(socket) => Pin::new(socket).poll_write(context, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.socket {
            Socket::Plain(socket) => Pin::new(socket).poll_flush(context),
            Socket::Tls(socket) => Pin::new(socket).poll_flush(context),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.socket {
            Socket::Plain(socket) => Pin::new(socket).poll_shutdown(context),
            Socket::Tls(socket) => Pin::new(socket).poll_shutdown(context),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.socket {
            Socket::Plain(socket) => socket.is_write_vectored(),
            Socket::Tls(socket) => socket.is_write_vectored(),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.socket {
            Socket::Plain(socket) => Pin::new(socket).poll_write_vectored(context, parts),
            Socket::Tls(socket) => Pin::new(socket).poll_write_vectored(context, parts),
        }
    }
}

impl fmt::Display for RootsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot read root certificates from {}: {}", self.path.display(), self.reason)
    }
}

impl std::error::Error for RootsError {}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url => f.write_str("not an http or https URL"),
            Self::Resolve(error) | Self::Connect(error) | Self::Tls(error) => error.fmt(f),
            Self::Timeout(limit) => write!(f, "no answer within {limit:?}"),
        }
    }
}

impl std::error::Error for ConnectError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().expect("a test writes addresses")).collect()
    }

    #[test]
    fn families_take_turns() {
        let resolved = addresses(&["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1", "2.2.2.2:1"]);
        assert_eq!(
            in_turn(resolved),
            addresses(&["[::1]:1", "1.1.1.1:1", "[::2]:1", "2.2.2.2:1", "[::3]:1"])
        );
        assert_eq!(in_turn(Vec::new()), []);
    }

    #[tokio::test]
    async fn an_address_that_refuses_does_not_hide_the_next() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let (open, closed) = (listener.local_addr().expect("bound"), gone.local_addr().expect("bound"));
        drop(gone);
        let socket = connect_to_any(vec![closed, open]).await.expect("the second address accepts");
        assert_eq!(socket.peer_addr().expect("connected"), open);
        let refused = connect_to_any(vec![closed]).await.expect_err("nobody listens");
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    }

    #[test]
    fn a_file_of_roots_must_hold_a_certificate() {
        let missing = Trust::load(&Roots::File("/nonexistent/roots.pem".into())).map(|_| ());
        assert!(missing.is_err_and(|error| error.to_string().contains("/nonexistent/roots.pem")));
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        let empty = Trust::load(&Roots::File(file.path().into())).map(|_| ());
        assert!(empty.is_err_and(|error| error.to_string().ends_with("there is no certificate in it")));
    }
}
