//! What is wrong with a recording, and where.
//!
//! A recording that ends early is as wrong as one with a fault in it: both say how far it is good.

use std::fmt;

/// A recording that cannot be read any further.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordingError {
    /// Bytes in front of the fault.
    pub offset: u64,
    /// The line that it is in, from 1, where the recording has lines.
    pub line: Option<u64>,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for RecordingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "byte {}", self.offset)?;
        if let Some(line) = self.line {
            write!(f, " (line {line})")?;
        }
        write!(f, ": {}", self.what)
    }
}

impl std::error::Error for RecordingError {}
