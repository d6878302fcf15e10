//! Sec-WebSocket-Key and the Sec-WebSocket-Accept that answers it (RFC 6455, section 4.2.2).
//!
//! They prove that the answer comes from a server that speaks WebSocket, and nothing more.

use base64::Engine;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use sha1::{Digest, Sha1};

/// Appended to every key, so that no other protocol gives this answer by chance.
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Reads keys whose last character has bits to spare that are not zero: what counts is the text.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
);

/// The Sec-WebSocket-Accept for this Sec-WebSocket-Key: 28 characters.
#[must_use]
pub fn accept_key(key: &str) -> String {
    STANDARD.encode(Sha1::new().chain_update(key).chain_update(GUID).finalize())
}

/// The key of these random bytes: 24 characters.
pub(super) fn encode_key(nonce: [u8; 16]) -> String {
    STANDARD.encode(nonce)
}

/// How many bytes a Sec-WebSocket-Key decodes to, 16 if it is one; none if it is not base64, or longer than any key.
#[must_use]
pub fn decoded_length(key: &[u8]) -> Option<usize> {
    let mut decoded = [0; 64];
    LENIENT.decode_slice(key, &mut decoded).ok()
}
