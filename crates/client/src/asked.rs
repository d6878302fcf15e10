//! What a handshake asks for and what it brings, whatever the version of HTTP.
//! It comes from the caller's options; how it goes out is in `http1` and `http2`.

use std::io;

use tidegate_websocket::handshake::client::Response;

use crate::failure::ConnectError;
use crate::options::Options;

/// An answer that opens the connection.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) response: Response,
    /// The request as it went out, or as text if it went out in another form.
    pub(crate) request: Vec<u8>,
    /// What came behind the answer's head.
    pub(crate) first: Vec<u8>,
}

/// The caller's fields, Origin before them.
pub(crate) fn headers(options: &Options) -> Vec<(&str, &str)> {
    let origin = options.origin.iter().map(|origin| ("Origin", origin.as_str()));
    origin.chain(options.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()))).collect()
}

/// The names of the subprotocols to offer.
pub(crate) fn subprotocols(options: &Options) -> Vec<&str> {
    options.subprotocols.iter().map(String::as_str).collect()
}

/// Bytes for the handshake's key and for masks: a peer must not be able to foresee them (RFC 6455, section
/// 10.3).
pub(crate) fn random() -> Result<[u8; 16], ConnectError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| ConnectError::Lost(io::Error::other(error)))?;
    Ok(bytes)
}
