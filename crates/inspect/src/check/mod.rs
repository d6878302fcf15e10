//! A handshake against what the RFCs ask of it: each requirement met or broken, with its section and what mends it.
//!
//! It judges what was on the wire, both heads; what an origin or a credential is worth is the server's to know.

mod requirement;

mod fields;

mod request;

mod compression;

mod answer;

#[cfg(test)]
mod tests;

pub use requirement::{Outcome, Part, Requirement, as_text};

use crate::event::Handshake;

/// Every requirement of the heads that came, in the order in which one reads them; the request's first.
///
/// HTTP/1.1 is judged by RFC 6455, HTTP/2 by RFC 8441.
#[must_use]
pub fn check(asked: Option<&Handshake>, answered: Option<&Handshake>) -> Vec<Requirement> {
    let mut requirements = Vec::new();
    if let Some(asked) = asked {
        request::check(asked, &mut requirements);
    }
    if let Some(answered) = answered {
        answer::check(asked, answered, &mut requirements);
    }
    requirements
}

/// What both sides agreed to do with messages, and what memory that costs.
#[must_use]
pub fn compression_in_words(answered: &Handshake) -> Vec<String> {
    compression::in_words(answered)
}
