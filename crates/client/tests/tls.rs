//! TLS with a certificate made for the test: believed by its file, by nobody else, or without question.
//! The server is one of tokio-rustls, in the test's own runtime.

#![allow(missing_docs, reason = "a test program")]

use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::Acceptor;
use tidegate_client::{ConnectError, Event, Message, Options, Trust, connect};
use tidegate_websocket::handshake::accept_key;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::{LazyConfigAcceptor, TlsAcceptor};

/// Serves with a certificate for `localhost` that signed itself.
async fn serve() -> (SocketAddr, String) {
    serve_as(IsCa::NoCa).await
}

/// Accepts until the runtime ends; says hello, then closes. Gives its address and its certificate as PEM.
async fn serve_as(is_ca: IsCa) -> (SocketAddr, String) {
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.is_ca = is_ca;
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let configuration = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(configuration));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            // A client that does not believe us goes away.
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            let head = String::from_utf8(head).unwrap();
            let key = head.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).unwrap();
            let answer = format!(
                "HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Accept: {}\r\n\r\n",
                accept_key(key)
            );
            stream.write_all(answer.as_bytes()).await.unwrap();
            stream.write_all(b"\x81\x05hello\x88\x02\x03\xe8").await.unwrap();
            stream.flush().await.unwrap();
            // Its Close, and the end.
            let _ = stream.read_to_end(&mut Vec::new()).await;
        }
    });
    (address, certificate.pem())
}

async fn check(port: u16, trust: Trust) -> Result<(), ConnectError> {
    let options = Options { trust, ..Options::default() };
    let mut connection = connect(&format!("wss://localhost:{port}/"), options).await?;
    let opened = connection.take_opened().unwrap();
    assert!(opened.tls.as_ref().is_some_and(|tls| tls.starts_with("TLSv1.3")));
    assert!(opened.timings.tls.is_some());
    assert_eq!(connection.next().await, Some(Event::Message(Message::Text("hello".to_owned()))));
    assert!(matches!(connection.next().await, Some(Event::Close(close)) if close.is_clean()));
    Ok(())
}

#[tokio::test]
async fn whom_to_believe() {
    let (address, pem) = serve().await;
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(pem.as_bytes()).unwrap();
    check(address.port(), Trust::File(file.path().to_owned())).await.unwrap();
    check(address.port(), Trust::Anyone).await.unwrap();
    check(address.port(), Trust::Pem(pem.clone().into_bytes())).await.unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()).unwrap();
    check(address.port(), Trust::Roots(Arc::new(roots))).await.unwrap();
    let error = check(address.port(), Trust::Pem(b"nothing".to_vec())).await.unwrap_err();
    assert_eq!(error.to_string(), "cannot read root certificates: there is no certificate in it");
    let (_, other) = serve().await;
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(other.as_bytes()).unwrap();
    let error = check(address.port(), Trust::File(file.path().to_owned())).await.unwrap_err();
    assert!(matches!(error, ConnectError::Tls(_)), "{error}");
}

#[tokio::test]
async fn the_certificate_of_an_authority_is_not_a_servers() {
    let (address, pem) = serve_as(IsCa::Ca(BasicConstraints::Unconstrained)).await;
    let (_, other) = serve().await;
    for roots in [&pem, &other] {
        let error = check(address.port(), Trust::Pem(roots.clone().into_bytes())).await.unwrap_err();
        assert!(matches!(error, ConnectError::Authority(_)), "{error:?}");
        assert!(error.to_string().contains("the certificate of an authority (CA:TRUE)"), "{error}");
    }
    check(address.port(), Trust::Anyone).await.unwrap();
}

/// The name that a client asks a server for, before either has shown anything else.
async fn name_asked_for(host: &str) -> Option<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("wss://{host}:{}/", listener.local_addr().unwrap().port());
    let (asked, connected) = tokio::join!(
        async {
            let (stream, _) = listener.accept().await.unwrap();
            let hello = LazyConfigAcceptor::new(Acceptor::default(), stream).await.unwrap();
            hello.client_hello().server_name().map(str::to_owned)
        },
        connect(&url, Options { trust: Trust::Anyone, ..Options::default() })
    );
    // The server went away without an answer.
    let error = connected.unwrap_err();
    assert!(matches!(error, ConnectError::Tls(_)), "{error:?}");
    asked
}

#[tokio::test]
async fn the_handshake_names_the_server() {
    assert_eq!(name_asked_for("localhost").await.as_deref(), Some("localhost"));
    assert_eq!(name_asked_for("LocalHost").await.as_deref(), Some("localhost"));
    // An address is no name (RFC 6066, section 3).
    assert_eq!(name_asked_for("127.0.0.1").await, None);
}

#[tokio::test]
async fn files_without_certificates() {
    let empty = tempfile::NamedTempFile::new().unwrap();
    for path in [Path::new("/nonexistent/roots.pem"), empty.path()] {
        let error = check(1, Trust::File(path.to_owned())).await.unwrap_err();
        assert!(matches!(error, ConnectError::Trust(_)), "{error}");
        assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
    }
}
