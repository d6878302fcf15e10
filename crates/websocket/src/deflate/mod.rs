//! permessage-deflate (RFC 7692): what both sides agree on, and the compression of messages.
//!
//! [`Acceptance`] and [`Offer`] are what an application wants, [`Parameters`] what a handshake made of
//! them. Which frames are compressed is decided by `connection`; how a header lists offers is known to
//! `handshake`.

mod parameters;

mod codec;

mod zlib_rs;

#[cfg(feature = "zlib-c")]
#[allow(unsafe_code)]
mod zlib_c;

mod compressor;

mod deflater;

mod inflater;

mod onlooker;

#[cfg(test)]
mod tests;

pub use compressor::Compressor;
pub(crate) use deflater::Deflater;
pub(crate) use inflater::{InflateError, Inflater, Sink};
pub use onlooker::{OnlookerError, OnlookerInflater};
pub use parameters::{Acceptance, AnswerError, Effort, Offer, Parameters};
pub(crate) use parameters::{Direction, NAME, Parameter, accept, confirm, state};
