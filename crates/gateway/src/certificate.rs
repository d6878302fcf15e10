//! The certificate and the key of the public listeners: two PEM files, read, held against each other and
//! judged by their dates.
//!
//! Nothing is served here: `settings` reads a pair to report what is wrong with it, `tls` to use it.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;
use rustls::{CertificateError as Judgement, Error, InconsistentKeys, RootCertStore};

/// Largest file of certificates, or of a key.
const FILE_MAX_BYTES: usize = 1 << 20;

/// Where the certificate and its key are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// PEM: the server's own certificate, then those between it and the one that clients know.
    pub certificate: PathBuf,
    /// PEM: the private key of the first certificate.
    pub key: PathBuf,
}

/// Which of the two files is to blame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Blame {
    Certificate,
    Key,
}

/// Why a pair cannot be used, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PairError {
    pub(crate) blame: Blame,
    pub(crate) what: String,
    pub(crate) mend: &'static str,
}

/// What the dates of a certificate say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Validity {
    Valid,
    /// For so long.
    Expired(Duration),
    /// It begins in so long.
    NotYet(Duration),
}

const ONE_CERTIFICATE: &str = "write the path of a PEM file that begins with the server's own certificate";
const ONE_KEY: &str = "write the path of a PEM file with the certificate's private key, not encrypted";

/// Reads both files; what is given belongs together.
pub(crate) fn load(files: &TlsFiles) -> Result<CertifiedKey, PairError> {
    let bytes = read(&files.certificate).map_err(|what| wrong(Blame::Certificate, what, ONE_CERTIFICATE))?;
    let chain = chain(&bytes).map_err(|what| {
        wrong(Blame::Certificate, format!("{} {what}", shown(&files.certificate)), ONE_CERTIFICATE)
    })?;
    let bytes = read(&files.key).map_err(|what| wrong(Blame::Key, what, ONE_KEY))?;
    let key = PrivateKeyDer::from_pem_slice(&bytes).map_err(|error| {
        let what = match error {
            pem::Error::NoItemsFound => "holds no private key".to_owned(),
            error => format!("is cut off or not PEM: {error:?}"),
        };
        wrong(Blame::Key, format!("{} {what}", shown(&files.key)), ONE_KEY)
    })?;
    CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider()).map_err(|error| match error {
        Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => wrong(
            Blame::Key,
            format!("{} is not the key of {}", shown(&files.key), shown(&files.certificate)),
            "write the key that the certificate was made for; the server's own certificate stands first in its file",
        ),
        Error::InvalidCertificate(reason) => {
            let what = format!("{} holds no certificate that can be read: {reason}", shown(&files.certificate));
            wrong(Blame::Certificate, what, ONE_CERTIFICATE)
        }
        error => wrong(Blame::Key, format!("{} cannot be used: {error}", shown(&files.key)), ONE_KEY),
    })
}

/// What the dates of the server's own certificate say at `now`.
pub(crate) fn validity(pair: &CertifiedKey, now: SystemTime) -> Validity {
    let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let Some(Ok(own)) = pair.cert.first().map(ParsedCertificate::try_from) else { return Validity::Valid };
    let algorithms = aws_lc_rs::default_provider().signature_verification_algorithms;
    // Nobody is asked whether the issuer is known; the dates are judged before that.
    let judged = rustls::client::verify_server_cert_signed_by_trust_anchor(
        &own,
        &RootCertStore::empty(),
        &[],
        UnixTime::since_unix_epoch(now),
        algorithms.all,
    );
    let between = |later: u64, earlier: u64| Duration::from_secs(later.saturating_sub(earlier));
    match judged {
        Err(Error::InvalidCertificate(Judgement::ExpiredContext { time, not_after })) => {
            Validity::Expired(between(time.as_secs(), not_after.as_secs()))
        }
        Err(Error::InvalidCertificate(Judgement::NotValidYetContext { time, not_before })) => {
            Validity::NotYet(between(not_before.as_secs(), time.as_secs()))
        }
        _ => Validity::Valid,
    }
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(FILE_MAX_BYTES as u64 + 1).read_to_end(&mut bytes))
        .map_err(|error| format!("cannot read {}: {error}", shown(path)))?;
    if bytes.len() > FILE_MAX_BYTES {
        return Err(format!("{} is larger than 1 MiB", shown(path)));
    }
    Ok(bytes)
}

fn chain(bytes: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(bytes).collect();
    match all {
        Ok(chain) if chain.is_empty() => Err("holds no certificate".to_owned()),
        Ok(chain) => Ok(chain),
        Err(error) => Err(format!("is cut off or not PEM: {error:?}")),
    }
}

fn wrong(blame: Blame, what: String, mend: &'static str) -> PairError {
    PairError { blame, what, mend }
}

/// A path as a fault or a log line shows it.
fn shown(path: &Path) -> String {
    path.to_string_lossy().escape_debug().collect()
}

impl std::fmt::Display for Validity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let hours = |time: &Duration| time.as_secs() / 3600;
        match self {
            Self::Valid => f.write_str("the certificate is valid"),
            Self::Expired(since) => {
                write!(
                    f,
                    "the certificate expired {} days and {} hours ago",
                    hours(since) / 24,
                    hours(since) % 24
                )
            }
            Self::NotYet(until) => {
                write!(
                    f,
                    "the certificate is valid only in {} days and {} hours",
                    hours(until) / 24,
                    hours(until) % 24
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    fn pair(years: std::ops::Range<i32>) -> (String, String) {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).expect("parameters");
        (params.not_before, params.not_after) =
            (date_time_ymd(years.start, 1, 1), date_time_ymd(years.end, 1, 1));
        (params.self_signed(&key).expect("a certificate").pem(), key.serialize_pem())
    }

    fn load_texts(certificate: &str, key: &str) -> Result<CertifiedKey, PairError> {
        let folder = tempfile::tempdir().expect("a folder");
        let files =
            TlsFiles { certificate: folder.path().join("cert.pem"), key: folder.path().join("key.pem") };
        std::fs::write(&files.certificate, certificate).expect("a file");
        std::fs::write(&files.key, key).expect("a file");
        load(&files)
    }

    #[test]
    fn a_pair_is_loaded_and_a_broken_one_says_which_file() {
        let (certificate, key) = pair(2020..2090);
        let (_, other) = pair(2020..2090);
        assert!(load_texts(&certificate, &key).is_ok());
        let half = |text: &str| text[..text.len() / 2].to_owned();
        let long = "x".repeat(FILE_MAX_BYTES + 1);
        for (certificate, key, blame, what) in [
            ("", &*key, Blame::Certificate, "holds no certificate"),
            (&*key, &*key, Blame::Certificate, "holds no certificate"),
            (&*half(&certificate), &*key, Blame::Certificate, "is cut off"),
            (&*long, &*key, Blame::Certificate, "larger than 1 MiB"),
            (&*certificate, "", Blame::Key, "holds no private key"),
            (&*certificate, &*certificate, Blame::Key, "holds no private key"),
            (&*certificate, &*half(&key), Blame::Key, "is cut off"),
            (&*certificate, &*other, Blame::Key, "is not the key of"),
        ] {
            let error = load_texts(certificate, key).expect_err(what);
            assert_eq!(error.blame, blame, "{error:?}");
            assert!(error.what.contains(what), "{error:?}");
        }
    }

    #[test]
    fn the_dates_are_those_of_the_servers_own_certificate() {
        let judge = |years| {
            let (certificate, key) = pair(years);
            validity(&load_texts(&certificate, &key).expect("a pair"), SystemTime::now())
        };
        assert_eq!(judge(2020..2090), Validity::Valid);
        assert!(
            matches!(judge(2001..2002), Validity::Expired(since) if since > Duration::from_secs(1 << 29))
        );
        assert!(matches!(judge(2089..2090), Validity::NotYet(until) if until > Duration::from_secs(1 << 29)));
        assert_eq!(
            Validity::Expired(Duration::from_secs(90_000)).to_string(),
            "the certificate expired 1 days and 1 hours ago"
        );
    }
}
