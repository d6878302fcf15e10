//! TLS as a client: whose certificates are believed, and what was agreed on.
//!
//! Reading certificates blocks; it is done on a thread for such work.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fmt, io};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, OtherError, RootCertStore, SignatureScheme,
};
use tokio::net::TcpStream;
use tokio::task::spawn_blocking;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use url::Host;

use crate::version::Http;

/// HTTP/2's name in ALPN (RFC 9113, section 3.2).
const HTTP2: &[u8] = b"h2";

/// Whose certificates are believed.
#[derive(Debug, Clone, Default)]
pub enum Trust {
    /// Those that the system believes.
    #[default]
    System,
    /// Only those in this PEM file.
    File(PathBuf),
    /// Only those in this text, one or more certificates in PEM.
    Pem(Vec<u8>),
    /// Only these.
    Roots(Arc<RootCertStore>),
    /// Every certificate: whoever is between can read and change everything. For trying things out.
    Anyone,
}

/// The certificates to believe cannot be read.
#[derive(Debug)]
pub struct TrustError {
    path: Option<PathBuf>,
    reason: String,
}

/// Reads the certificates and makes a configuration of them.
pub(crate) async fn load(trust: Trust, http: Http) -> Result<Arc<ClientConfig>, TrustError> {
    spawn_blocking(move || configuration(&trust, http))
        .await
        .unwrap_or_else(|error| Err(TrustError { path: None, reason: error.to_string() }))
}

/// The TLS handshake. How long it may take is the caller's.
pub(crate) async fn secure(
    configuration: Arc<ClientConfig>,
    host: &Host<String>,
    socket: TcpStream,
) -> io::Result<TlsStream<TcpStream>> {
    let name = match host {
        Host::Domain(name) => ServerName::try_from(name.clone()).map_err(io::Error::other)?,
        Host::Ipv4(ip) => ServerName::IpAddress((*ip).into()),
        Host::Ipv6(ip) => ServerName::IpAddress((*ip).into()),
    };
    TlsConnector::from(configuration).connect(name, socket).await
}

/// True if the handshake failed because the server's own certificate is an authority's.
///
/// rustls has no variant for it; it keeps the error of its verifier, the name of which is all that it shows.
pub(crate) fn is_of_authority(error: &io::Error) -> bool {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    let Some(rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(why)))) = inner else {
        return false;
    };
    why.to_string() == "CaUsedAsEndEntity"
}

/// True if the handshake failed because what came is not of TLS.
pub(crate) fn is_no_tls(error: &io::Error) -> bool {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    matches!(inner, Some(rustls::Error::InvalidMessage(_)))
}

/// True if the server chose HTTP/2 by ALPN.
pub(crate) fn has_chosen_http2(stream: &TlsStream<TcpStream>) -> bool {
    stream.get_ref().1.alpn_protocol() == Some(HTTP2)
}

/// Version and cipher suite in a few words.
pub(crate) fn describe(stream: &TlsStream<TcpStream>) -> String {
    let (_, session) = stream.get_ref();
    let version = session.protocol_version().and_then(|version| version.as_str()).unwrap_or("TLS");
    let group = session.negotiated_key_exchange_group();
    let group = group.map(|group| format!(" {:?}", group.name())).unwrap_or_default();
    format!("{}{group}", version.replace('_', "."))
}

fn configuration(trust: &Trust, http: Http) -> Result<Arc<ClientConfig>, TrustError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .expect("the provider has the default versions");
    let mut configuration = match trust {
        Trust::Anyone => builder.dangerous().with_custom_certificate_verifier(Arc::new(Anyone(provider))),
        Trust::System => builder.with_root_certificates(system_roots()?),
        Trust::File(path) => builder.with_root_certificates(
            file_roots(path).map_err(|reason| TrustError { path: Some(path.clone()), reason })?,
        ),
        Trust::Pem(text) => builder
            .with_root_certificates(pem_roots(text).map_err(|reason| TrustError { path: None, reason })?),
        Trust::Roots(store) => builder.with_root_certificates(Arc::clone(store)),
    }
    .with_no_client_auth();
    let protocols: &[&[u8]] = match http {
        Http::V1 => &[b"http/1.1"],
        Http::V2 => &[HTTP2],
        Http::Auto => &[HTTP2, b"http/1.1"],
    };
    configuration.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    Ok(Arc::new(configuration))
}

fn system_roots() -> Result<RootCertStore, TrustError> {
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if store.is_empty() {
        return Err(TrustError { path: None, reason: "the system has none".to_owned() });
    }
    Ok(store)
}

fn file_roots(path: &Path) -> Result<RootCertStore, String> {
    roots(CertificateDer::pem_file_iter(path).map_err(|error| error.to_string())?)
}

fn pem_roots(text: &[u8]) -> Result<RootCertStore, String> {
    roots(CertificateDer::pem_slice_iter(text))
}

fn roots(
    certificates: impl Iterator<Item = Result<CertificateDer<'static>, pem::Error>>,
) -> Result<RootCertStore, String> {
    let mut store = RootCertStore::empty();
    for certificate in certificates {
        let certificate = certificate.map_err(|error| error.to_string())?;
        store.add(certificate).map_err(|error| error.to_string())?;
    }
    if store.is_empty() { Err("there is no certificate in it".to_owned()) } else { Ok(store) }
}

/// Believes every certificate; signatures are checked all the same, so that a broken server is seen.
#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

impl fmt::Display for TrustError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.path {
            Some(path) => {
                write!(f, "cannot read root certificates from {}: {}", path.display(), self.reason)
            }
            None => write!(f, "cannot read root certificates: {}", self.reason),
        }
    }
}

impl std::error::Error for TrustError {}
