//! One entry of `[access] tokens`: whose tokens count, and by which keys they are known. Made by `settings`;
//! where keys are published, `credential` looks for the one that a token names.

use std::time::SystemTime;

use http::Uri;

use super::authority::Authority;
use super::claims;
use super::compact::Compact;
use super::key::VerifyingKey;
use super::rejected::Rejected;

/// See the module's head.
#[derive(Debug, Clone)]
pub struct Issuer {
    /// What its signatures are checked with.
    pub keys: IssuerKeys,
    /// `iss` must be one of these; any if there is none.
    pub issuers: Vec<String>,
    /// `aud` must have one of these; without any, a token that has an `aud` is for somebody else.
    pub audiences: Vec<String>,
    /// The cookie in which its tokens come, beside the other ways.
    pub cookie: Option<String>,
}

/// Where keys come from.
#[derive(Debug, Clone)]
pub enum IssuerKeys {
    /// From the configuration.
    Fixed(VerifyingKey),
    /// From a key set (RFC 7517) at this URL.
    Published(Uri),
}

impl Issuer {
    /// What a token grants at `now`, if one of the keys signed it.
    pub(crate) fn judge(
        &self,
        token: &Compact<'_>,
        key: &VerifyingKey,
        now: SystemTime,
    ) -> Result<Authority, Rejected> {
        if key.algorithm() != token.algorithm {
            return Err(Rejected::Algorithm);
        }
        if !key.verifies(token.message, token.signature) {
            return Err(Rejected::Signature);
        }
        claims::judge(token.payload, &self.issuers, &self.audiences, now)
    }

    /// Where its keys are published, if they are.
    pub(crate) fn url(&self) -> Option<&Uri> {
        match &self.keys {
            IssuerKeys::Fixed(_) => None,
            IssuerKeys::Published(url) => Some(url),
        }
    }
}
