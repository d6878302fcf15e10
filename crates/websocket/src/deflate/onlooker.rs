//! Decompressing for somebody who only watches a connection: pieces go to a function and are not kept.
//!
//! What the handshake agreed on comes from both heads, payloads from the frames of one direction. Nothing is
//! decided about the connection here: what its own ends make of a payload is `message`'s.

use std::fmt;

use super::inflater::{InflateError, Inflater, Sink};
use super::parameters::{Direction, Parameters};

/// The farthest that DEFLATE refers back, in bytes (RFC 1951, section 2).
const WINDOW_MAX_BYTES: usize = 32 * 1024;

/// Reads the compressed messages of one direction.
///
/// It has at most one decompressor (some 44 KiB) and 64 KiB of what the current message gave lately.
#[derive(Debug)]
pub struct OnlookerInflater {
    direction: Direction,
    inflater: Option<Box<Inflater>>,
    message: Given,
    is_lost: bool,
}

/// Why a payload cannot be shown decompressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnlookerError {
    /// It is not DEFLATE.
    Corrupt,
    /// It ends within a block, or lacks what follows its last block (RFC 7692, section 7.2.1).
    Incomplete,
    /// It gives more than the onlooker wants to see of one message.
    TooBig,
    /// It refers to an earlier message that could not be read.
    Lost,
}

/// What the current message gave.
#[derive(Debug)]
struct Given {
    recent: Vec<u8>,
    bytes: usize,
    most_bytes: usize,
}

/// A message's output on its way.
struct Passing<'g, F> {
    given: &'g mut Given,
    take: F,
}

impl OnlookerInflater {
    /// For the client's messages. `message_max_bytes` is how much of one message is decompressed at most.
    #[must_use]
    pub fn of_client(parameters: Parameters, message_max_bytes: usize) -> Self {
        Self::new(parameters.of_client(), message_max_bytes)
    }

    /// For the server's messages.
    #[must_use]
    pub fn of_server(parameters: Parameters, message_max_bytes: usize) -> Self {
        Self::new(parameters.of_server(), message_max_bytes)
    }

    fn new(direction: Direction, most_bytes: usize) -> Self {
        let message = Given { recent: Vec::new(), bytes: 0, most_bytes };
        Self { direction, inflater: None, message, is_lost: false }
    }

    /// Takes the next bytes of a message's payload, unmasked, and hands on what they give.
    ///
    /// After an error the rest of the message is not to be handed in; [`OnlookerInflater::finish`] goes on with
    /// the next one.
    pub fn push(&mut self, payload: &[u8], take: impl FnMut(&[u8])) -> Result<(), OnlookerError> {
        if self.is_lost {
            return Err(OnlookerError::Lost);
        }
        let inflater = self.inflater.get_or_insert_with(|| Box::new(Inflater::new(self.direction)));
        let result = inflater.push(payload, &mut Passing { given: &mut self.message, take });
        self.note(result)
    }

    /// Says that the message's payload has come whole.
    pub fn finish(&mut self) -> Result<(), OnlookerError> {
        let result = match &mut self.inflater {
            Some(inflater) => inflater.finish().map_err(OnlookerError::from),
            None => Ok(()),
        };
        self.message.bytes = 0;
        self.message.recent = Vec::new();
        if !self.direction.takeover {
            self.inflater = None;
        }
        self.note(result)
    }

    /// Says that bytes of the current message were not seen; its rest is not to be handed in either.
    pub fn skip(&mut self) {
        self.inflater = None;
        self.is_lost |= self.direction.takeover;
    }

    /// Without its context the next message cannot be read; without takeover there is none to lose.
    fn note(&mut self, result: Result<(), OnlookerError>) -> Result<(), OnlookerError> {
        if result.is_err() {
            self.skip();
        }
        result
    }
}

impl<F: FnMut(&[u8])> Sink for Passing<'_, F> {
    type Error = OnlookerError;

    fn room(&self) -> usize {
        self.given.most_bytes - self.given.bytes
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), OnlookerError> {
        if bytes.len() > self.room() {
            return Err(OnlookerError::TooBig);
        }
        let Given { recent, bytes: given, .. } = &mut *self.given;
        *given += bytes.len();
        recent.extend_from_slice(bytes);
        if recent.len() > 2 * WINDOW_MAX_BYTES {
            recent.drain(..recent.len() - WINDOW_MAX_BYTES);
        }
        (self.take)(bytes);
        Ok(())
    }

    fn recent(&self) -> Vec<u8> {
        self.given.recent[self.given.recent.len().saturating_sub(WINDOW_MAX_BYTES)..].to_vec()
    }
}

impl From<InflateError> for OnlookerError {
    fn from(error: InflateError) -> Self {
        match error {
            InflateError::Corrupt => Self::Corrupt,
            InflateError::Incomplete => Self::Incomplete,
        }
    }
}

impl fmt::Display for OnlookerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Corrupt => "a compressed payload is not DEFLATE",
            Self::Incomplete => {
                "a compressed payload ends within a block, or lacks what follows its last one"
            }
            Self::TooBig => "a compressed message is longer than what is decompressed of one",
            Self::Lost => "a compressed message refers to one that could not be read",
        })
    }
}

impl std::error::Error for OnlookerError {}
