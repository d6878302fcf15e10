//! A token's text: three parts of base64url between dots (RFC 7515, section 7.1), of which the header is read
//! before anything is believed, to find the key.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::{Deserialize, Deserializer};

use super::Rejected;
use super::key::{Algorithm, VerifyingKey};
use super::key_set::KeySet;

/// Longest name of a key.
const KID_MAX_BYTES: usize = 256;

/// A token whose signature has not been looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Compact<'t> {
    pub(super) algorithm: Algorithm,
    /// The name of the key, for looking it up among those that are there.
    pub(super) kid: Option<String>,
    /// What is signed: header and payload as they stand.
    pub(super) message: &'t str,
    pub(super) payload: &'t str,
    pub(super) signature: &'t str,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    #[serde(default, deserialize_with = "present")]
    kid: Option<String>,
    #[serde(default, deserialize_with = "present")]
    crit: Option<serde::de::IgnoredAny>,
}

impl<'t> Compact<'t> {
    /// Reads a token of at most `max_bytes`.
    pub(crate) fn parse(token: &'t str, max_bytes: usize) -> Result<Self, Rejected> {
        if token.len() > max_bytes {
            return Err(Rejected::TooLong);
        }
        let (message, signature) = token.rsplit_once('.').ok_or(Rejected::Malformed)?;
        let (header, payload) = message.split_once('.').ok_or(Rejected::Malformed)?;
        let header: Header = read_part(header).ok_or(Rejected::Malformed)?;
        if payload.contains('.') || header.kid.as_ref().is_some_and(|kid| kid.len() > KID_MAX_BYTES) {
            return Err(Rejected::Malformed);
        }
        if header.crit.is_some() {
            return Err(Rejected::Critical);
        }
        let algorithm = Algorithm::of_name(&header.alg).ok_or(Rejected::Algorithm)?;
        Ok(Self { algorithm, kid: header.kid, message, payload, signature })
    }

    /// Whether a key set can have its key: secrets are not published.
    pub(crate) fn is_by_public_key(&self) -> bool {
        self.algorithm != Algorithm::Hs256
    }

    /// Its key, if the set has it.
    pub(crate) fn key_in<'s>(&self, set: &'s KeySet) -> Option<&'s VerifyingKey> {
        set.find(self.algorithm, self.kid.as_deref())
    }
}

/// The JSON of one part. Nesting is bounded by serde_json, names that stand twice are refused.
pub(super) fn read_part<T: for<'de> Deserialize<'de>>(part: &str) -> Option<T> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(part).ok()?;
    serde_json::from_slice(&bytes).ok()
}

/// A member that may be absent, but is what it must be if it is there: `null` is not absent.
pub(super) fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(from).map(Some)
}
