//! Bodies of fuzz targets: any bytes in, as what a client says is its token and as what an issuer says are its
//! keys; invariants asserted. The corpora in `fuzz/corpus/` are replayed by an ordinary test.

use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm as Jws, EncodingKey, crypto};

use crate::tokens::{Algorithm, Authority, Compact, Issuer, IssuerKeys, KeySet, Rejected, VerifyingKey};

/// The key that counts.
const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";

/// A key of the same kind that does not.
const FORGED: &[u8] = b"another secret of thirty-two bytes";

/// When all of this happens: in the year 2027.
const NOW: Duration = Duration::from_secs(1_800_000_000);

/// As in the limits.
const MAX_BYTES: usize = 8192;

/// Bytes as a whole token, and, cut at their first NUL, as header and payload of one. Only what the key has signed
/// counts, and what it grants is within its bounds.
pub fn token(input: &[u8]) {
    if let Ok(text) = std::str::from_utf8(input)
        && judge(text).is_ok()
    {
        let (message, signature) = text.rsplit_once('.').expect("three parts");
        assert_eq!(signature, sign(message, SECRET), "accepted, and signed by nobody");
    }
    let (header, payload) = input.split_at(input.iter().position(|byte| *byte == 0).unwrap_or(input.len()));
    let payload = payload.strip_prefix(&[0]).unwrap_or(payload);
    let [header, payload] = [header, payload].map(|part| BASE64_URL_SAFE_NO_PAD.encode(part));
    let message = format!("{header}.{payload}");
    for signature in [String::new(), payload, sign(&message, FORGED)] {
        assert!(judge(&format!("{message}.{signature}")).is_err(), "accepted with {signature:?}");
    }
    if let Ok(authority) = judge(&format!("{message}.{}", sign(&message, SECRET))) {
        assert!(!authority.is_expired(SystemTime::UNIX_EPOCH + NOW));
        assert!(authority.user.is_none_or(|user| !user.is_empty() && user.len() <= 255));
        assert!(authority.info.is_none_or(|info| info.len() <= 2048 && info.starts_with('{')));
    }
}

/// Bytes as a key set. What is read of it are public keys, each found under its own algorithm alone, and none takes
/// a token for signed that has no signature.
pub fn key_set(input: &[u8]) {
    let Ok(set) = KeySet::parse(input) else { return };
    for algorithm in Algorithm::ALL {
        let header = BASE64_URL_SAFE_NO_PAD.encode(format!(r#"{{"alg":"{}"}}"#, algorithm.name()));
        let text = format!("{header}.e30.");
        let token = Compact::parse(&text, MAX_BYTES).expect("a token without a signature");
        let Some(key) = token.key_in(&set) else { continue };
        assert_eq!(key.algorithm(), algorithm);
        assert_ne!(algorithm, Algorithm::Hs256, "a secret that everybody can read");
        assert!(!key.verifies(&text[..text.len() - 1], ""));
    }
}

fn judge(text: &str) -> Result<Authority, Rejected> {
    let key = VerifyingKey::of_secret(SECRET).expect("it is long enough");
    let keys = IssuerKeys::Fixed(key.clone());
    let issuer = Issuer { keys, issuers: Vec::new(), audiences: Vec::new(), cookie: None };
    issuer.judge(&Compact::parse(text, MAX_BYTES)?, &key, SystemTime::UNIX_EPOCH + NOW)
}

fn sign(message: &str, secret: &[u8]) -> String {
    crypto::sign(message.as_bytes(), &EncodingKey::from_secret(secret), Jws::HS256).expect("a secret signs")
}
