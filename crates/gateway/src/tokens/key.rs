//! What a token's signature is checked with: a public key or a shared secret, each for exactly one algorithm.
//!
//! Keys are read from PEM files, secrets and key sets; `jsonwebtoken` does the cryptography.

use std::fmt;

use jsonwebtoken::jwk::{AlgorithmParameters, Jwk};
use jsonwebtoken::{Algorithm as Jws, DecodingKey, crypto};

/// A secret shorter than the hash is weaker than it (RFC 7518, section 3.2).
const SECRET_MIN_BYTES: usize = 32;

/// A modulus of 2048 bits (RFC 7518, section 3.3).
const MODULUS_MIN_BYTES: usize = 256;

/// One of 8192 bits: what is larger costs too much time for each token.
const MODULUS_MAX_BYTES: usize = 1024;

/// Bytes of an Ed25519 key.
const ED25519_BYTES: usize = 32;

/// Bytes of an uncompressed point on P-256.
const P256_BYTES: usize = 65;

/// An algorithm that tokens may be signed with (RFC 7518, section 3.1, and RFC 8037).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// HMAC with SHA-256: whoever checks can sign, too.
    Hs256,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// EdDSA, with Ed25519.
    EdDsa,
}

/// A key and the one algorithm that it is for. It is never printed.
#[derive(Clone)]
pub struct VerifyingKey {
    algorithm: Algorithm,
    key: DecodingKey,
}

/// Why something is not a key for an algorithm, and what to give instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeyError {
    pub(crate) what: &'static str,
    pub(crate) mend: &'static str,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::EdDsa, Self::Es256, Self::Rs256, Self::Hs256];

    /// As it is written in a token's header.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Hs256 => "HS256",
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
        }
    }

    pub(crate) fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }

    fn jws(self) -> Jws {
        match self {
            Self::Hs256 => Jws::HS256,
            Self::Rs256 => Jws::RS256,
            Self::Es256 => Jws::ES256,
            Self::EdDsa => Jws::EdDSA,
        }
    }
}

impl VerifyingKey {
    /// For HS256.
    pub(crate) fn of_secret(secret: &[u8]) -> Result<Self, KeyError> {
        if secret.len() < SECRET_MIN_BYTES {
            return Err(KeyError {
                what: "the secret is shorter than 32 bytes",
                mend: "write one such as the output of 'openssl rand -hex 32'",
            });
        }
        Ok(Self { algorithm: Algorithm::Hs256, key: DecodingKey::from_secret(secret) })
    }

    /// A public key in PEM, for one of the algorithms that have them.
    pub(crate) fn of_pem(algorithm: Algorithm, pem: &[u8]) -> Result<Self, KeyError> {
        let text = std::str::from_utf8(pem).unwrap_or_default();
        if text.contains("PRIVATE KEY-----") {
            return Err(KeyError {
                what: "the file holds a private key, which belongs to whoever makes tokens",
                mend: "write the path of its public key: openssl pkey -in private.pem -pubout",
            });
        }
        let read = match algorithm {
            Algorithm::Hs256 => None,
            Algorithm::Rs256 => DecodingKey::from_rsa_pem(pem).ok(),
            Algorithm::Es256 => DecodingKey::from_ec_pem(pem).ok(),
            Algorithm::EdDsa => DecodingKey::from_ed_pem(pem).ok(),
        };
        read.and_then(|key| Self::checked(algorithm, key)).ok_or(KeyError {
            what: match algorithm {
                Algorithm::Hs256 => "HS256 has no public key",
                Algorithm::Rs256 => "the file holds no RSA public key of 2048 to 8192 bits in PEM",
                Algorithm::Es256 => "the file holds no public key on the curve P-256 in PEM",
                Algorithm::EdDsa => "the file holds no Ed25519 public key in PEM",
            },
            mend: "write the path of a file that begins with -----BEGIN PUBLIC KEY-----",
        })
    }

    /// An RSA key of a key set.
    pub(crate) fn of_rsa(modulus: &str, exponent: &str) -> Option<Self> {
        Self::checked(Algorithm::Rs256, DecodingKey::from_rsa_components(modulus, exponent).ok()?)
    }

    /// A P-256 key of a key set.
    pub(crate) fn of_p256(x: &str, y: &str) -> Option<Self> {
        Self::checked(Algorithm::Es256, DecodingKey::from_ec_components(x, y).ok()?)
    }

    /// An Ed25519 key of a key set.
    pub(crate) fn of_ed25519(x: &str) -> Option<Self> {
        Self::checked(Algorithm::EdDsa, DecodingKey::from_ed_components(x).ok()?)
    }

    /// Only keys of the size that the algorithm is for: others would verify nothing, or cost too much.
    fn checked(algorithm: Algorithm, key: DecodingKey) -> Option<Self> {
        let fits = match algorithm {
            Algorithm::Hs256 => false,
            Algorithm::Rs256 => match Jwk::from_decoding_key(&key, None).ok()?.algorithm {
                // Four characters of base64 stand for three bytes.
                AlgorithmParameters::RSA(rsa) => {
                    (MODULUS_MIN_BYTES..=MODULUS_MAX_BYTES).contains(&(rsa.n.len() * 3 / 4))
                }
                _ => false,
            },
            Algorithm::Es256 => key.try_get_as_bytes().is_ok_and(|point| point.len() == P256_BYTES),
            Algorithm::EdDsa => key.try_get_as_bytes().is_ok_and(|point| point.len() == ED25519_BYTES),
        };
        fits.then_some(Self { algorithm, key })
    }

    /// The algorithm that it is for.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Whether `signature`, in base64url, is this key's for `message`.
    pub(crate) fn verifies(&self, message: &str, signature: &str) -> bool {
        crypto::verify(signature, message.as_bytes(), &self.key, self.algorithm.jws()).unwrap_or(false)
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a key for {}", self.algorithm.name())
    }
}
