//! A certificate for `localhost` made for one test, its key, and a client's side of TLS that believes it
//! alone.

use std::path::Path;
use std::sync::Arc;

use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, ClientConnection, RootCertStore};

/// A certificate that is its own issuer.
#[derive(Debug, Clone)]
pub struct Certificate {
    /// The certificate as PEM.
    pub pem: String,
    /// Its private key as PEM.
    pub key: String,
    der: CertificateDer<'static>,
}

impl Certificate {
    /// One that is valid now.
    #[must_use]
    pub fn valid() -> Self {
        Self::until(2090)
    }

    /// One whose time was over long ago.
    #[must_use]
    pub fn expired() -> Self {
        Self::until(2002)
    }

    fn until(year: i32) -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(["localhost".to_owned()]).expect("a name");
        (params.not_before, params.not_after) = (date_time_ymd(2001, 1, 1), date_time_ymd(year, 1, 1));
        let made = params.self_signed(&key).expect("a certificate");
        Self { pem: made.pem(), key: key.serialize_pem(), der: made.der().clone() }
    }

    /// Writes both into a folder, as `cert.pem` and `key.pem`, each by renaming.
    pub fn write(&self, folder: &Path) {
        replace(&folder.join("cert.pem"), &self.pem);
        replace(&folder.join("key.pem"), &self.key);
    }

    /// The beginning of a TLS connection to `localhost` that believes this certificate.
    #[must_use]
    pub fn client(&self) -> ClientConnection {
        let mut roots = RootCertStore::empty();
        roots.add(self.der.clone()).expect("a certificate");
        let config = ClientConfig::builder_with_provider(aws_lc_rs::default_provider().into())
            .with_safe_default_protocol_versions()
            .expect("versions that there are")
            .with_root_certificates(roots)
            .with_no_client_auth();
        ClientConnection::new(Arc::new(config), "localhost".try_into().expect("a name")).expect("a client")
    }
}

/// Replaces a file as certificate tools do.
///
/// # Panics
///
/// If the folder cannot be written to.
pub fn replace(file: &Path, text: &str) {
    let aside = file.with_extension("new");
    std::fs::write(&aside, text).expect("a temporary folder");
    std::fs::rename(&aside, file).expect("a temporary folder");
}
