//! Whoever makes tokens, rightly or not: any header and any claims, signed with a key of its own. Public keys
//! come out as PEM and as members of a key set.

use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
    RsaPublicKeyComponents,
};
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};

/// A key of one algorithm.
#[derive(Debug)]
pub enum Signer {
    /// HS256, with this secret.
    Secret(Vec<u8>),
    /// EdDSA.
    Ed25519(Ed25519KeyPair),
    /// ES256.
    P256(EcdsaKeyPair),
    /// RS256.
    Rsa(RsaKeyPair),
}

impl Signer {
    /// HS256 with a secret that somebody else may know, too.
    #[must_use]
    pub fn secret(secret: impl Into<Vec<u8>>) -> Self {
        Self::Secret(secret.into())
    }

    /// A new key for EdDSA.
    #[must_use]
    pub fn ed25519() -> Self {
        Self::Ed25519(Ed25519KeyPair::generate().expect("a key"))
    }

    /// A new key for ES256.
    #[must_use]
    pub fn p256() -> Self {
        Self::P256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key"))
    }

    /// A new key for RS256.
    #[must_use]
    pub fn rsa() -> Self {
        Self::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).expect("a key"))
    }

    /// As it is written in a header.
    #[must_use]
    pub fn algorithm(&self) -> &'static str {
        match self {
            Self::Secret(_) => "HS256",
            Self::Ed25519(_) => "EdDSA",
            Self::P256(_) => "ES256",
            Self::Rsa(_) => "RS256",
        }
    }

    /// A token with an ordinary header.
    #[must_use]
    pub fn token(&self, claims: &str) -> String {
        self.token_with(&format!(r#"{{"alg":"{}","typ":"JWT"}}"#, self.algorithm()), claims)
    }

    /// A token that names its key.
    #[must_use]
    pub fn token_of(&self, kid: &str, claims: &str) -> String {
        self.token_with(&format!(r#"{{"alg":"{}","kid":"{kid}"}}"#, self.algorithm()), claims)
    }

    /// A token with any header, signed by this key all the same.
    #[must_use]
    pub fn token_with(&self, header: &str, claims: &str) -> String {
        let message = format!("{}.{}", part(header), part(claims));
        let signature = self.sign(message.as_bytes());
        format!("{message}.{}", part(signature))
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        match self {
            Self::Secret(secret) => {
                hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message).as_ref().to_vec()
            }
            Self::Ed25519(key) => key.sign(message).as_ref().to_vec(),
            Self::P256(key) => {
                key.sign(&SystemRandom::new(), message).expect("a signature").as_ref().to_vec()
            }
            Self::Rsa(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature)
                    .expect("a signature");
                signature
            }
        }
    }

    /// The public key in PEM.
    ///
    /// # Panics
    ///
    /// For a secret, which has none.
    #[must_use]
    pub fn public_pem(&self) -> String {
        let der: PublicKeyX509Der<'_> = match self {
            Self::Secret(_) => panic!("a secret has no public key"),
            Self::Ed25519(key) => key.public_key().as_der().expect("DER"),
            Self::P256(key) => key.public_key().as_der().expect("DER"),
            Self::Rsa(key) => key.public_key().as_der().expect("DER"),
        };
        let text = BASE64_STANDARD.encode(der.as_ref());
        let lines: Vec<&str> =
            text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).expect("ASCII")).collect();
        format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n"))
    }

    /// The public key as a member of a key set.
    ///
    /// # Panics
    ///
    /// For a secret, which has none.
    #[must_use]
    pub fn jwk(&self, kid: &str) -> String {
        match self {
            Self::Secret(_) => panic!("a secret has no public key"),
            Self::Ed25519(key) => {
                format!(r#"{{"kty":"OKP","crv":"Ed25519","kid":"{kid}","x":"{}"}}"#, part(key.public_key()))
            }
            Self::P256(key) => {
                let (x, y) = key.public_key().as_ref()[1..].split_at(32);
                let (x, y) = (part(x), part(y));
                format!(r#"{{"kty":"EC","crv":"P-256","kid":"{kid}","x":"{x}","y":"{y}"}}"#)
            }
            Self::Rsa(key) => {
                let RsaPublicKeyComponents { n, e } =
                    RsaPublicKeyComponents::<Vec<u8>>::from(key.public_key());
                let (n, e) = (part(n), part(e));
                format!(r#"{{"kty":"RSA","use":"sig","alg":"RS256","kid":"{kid}","n":"{n}","e":"{e}"}}"#)
            }
        }
    }
}

/// One part of a token.
#[must_use]
pub fn part(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// Seconds since 1970, so many from now.
#[must_use]
pub fn seconds_from_now(seconds: i64) -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    i64::try_from(now).expect("a date of our time") + seconds
}

/// Claims that are good for an hour, with these members beside `exp`.
#[must_use]
pub fn claims(members: &str) -> String {
    let comma = if members.is_empty() { "" } else { "," };
    format!(r#"{{"exp":{}{comma}{members}}}"#, seconds_from_now(3600))
}
