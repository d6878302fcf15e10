//! A JSON Web Key Set (RFC 7517, section 5): the public keys of an issuer, each with its name and for one
//! algorithm. Comes from the issuer's own URL; what is no key that tokens are checked with is passed over.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::key::{Algorithm, VerifyingKey};

/// Keys in one set.
const KEYS_MAX: usize = 100;

/// Bytes of one set: what is read in well under a millisecond.
const SET_MAX_BYTES: usize = 128 * 1024;

/// See the module's head. It has at least one key.
#[derive(Debug)]
pub(crate) struct KeySet(Vec<NamedKey>);

#[derive(Debug)]
struct NamedKey {
    kid: Option<String>,
    key: VerifyingKey,
}

#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(borrow)]
    keys: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct Member {
    kty: String,
    kid: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    alg: Option<String>,
    crv: Option<String>,
    x: Option<String>,
    y: Option<String>,
    n: Option<String>,
    e: Option<String>,
}

impl KeySet {
    /// Reads the body of an answer; the error says what is wrong with it.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, &'static str> {
        if body.len() > SET_MAX_BYTES {
            return Err("it is larger than 128 KiB");
        }
        let wire: Wire<'_> = serde_json::from_slice(body).map_err(|_| "it is not a JSON Web Key Set")?;
        if wire.keys.len() > KEYS_MAX {
            return Err("it has more than 100 keys");
        }
        let keys: Vec<_> = wire.keys.into_iter().filter_map(|raw| NamedKey::parse(raw.get())).collect();
        if keys.is_empty() {
            return Err("it has no key for EdDSA, ES256 or RS256");
        }
        Ok(Self(keys))
    }

    /// The key that a token names. One that names none is checked with the only key of its algorithm.
    pub(super) fn find(&self, algorithm: Algorithm, kid: Option<&str>) -> Option<&VerifyingKey> {
        let of_algorithm = self.0.iter().filter(|named| named.key.algorithm() == algorithm);
        let mut found = of_algorithm.filter(|named| kid.is_none() || named.kid.as_deref() == kid);
        match (found.next(), found.next()) {
            (Some(named), None) => Some(&named.key),
            // Which of two it would be is nobody's to guess.
            _ => None,
        }
    }
}

impl NamedKey {
    fn parse(text: &str) -> Option<Self> {
        let Member { kty, kid, purpose, alg, crv, x, y, n, e } = serde_json::from_str(text).ok()?;
        if purpose.is_some_and(|purpose| purpose != "sig") {
            return None;
        }
        let key = match (kty.as_str(), crv.as_deref()) {
            ("RSA", _) => VerifyingKey::of_rsa(&n?, &e?)?,
            ("EC", Some("P-256")) => VerifyingKey::of_p256(&x?, &y?)?,
            ("OKP", Some("Ed25519")) => VerifyingKey::of_ed25519(&x?)?,
            // Others, and secrets, which have no place where everybody reads them.
            _ => return None,
        };
        let fits = alg.is_none_or(|alg| alg == key.algorithm().name());
        fits.then_some(Self { kid, key })
    }
}
