//! Tokens of clients: JSON Web Tokens (RFC 7519) in compact form, read, checked and turned into what they
//! grant.
//!
//! ```text
//!  text ── compact ──▶ header ── issuer, key_set ──▶ key: the signature holds ── claims ──▶ Authority
//! ```
//!
//! Nothing here reads a clock, a request or a file, and nothing in a token chooses where keys come from. Who
//! presents a token, and what a refusal looks like, is decided in `credential`.

mod rejected;
pub(crate) mod key;
pub(crate) mod authority;
mod key_set;
mod compact;
mod claims;
pub(crate) mod issuer;

pub(crate) use self::authority::{Authority, Grants};
pub(crate) use self::compact::Compact;
pub use self::issuer::{Issuer, IssuerKeys};
pub use self::key::{Algorithm, VerifyingKey};
pub(crate) use self::key_set::KeySet;
pub(crate) use self::rejected::Rejected;

#[cfg(test)]
mod tests;
