//! Lines of JSON, one event each, as they are read from a file.
//!
//! Whoever has the file hands in line after line; how long a line may be is for him to bound.

use super::fault::RecordingError;
use crate::event::Event;

/// Counts lines and bytes, so that a fault can be found.
#[derive(Debug, Clone, Copy, Default)]
pub struct LineReader {
    offset: u64,
    line: u64,
}

impl LineReader {
    /// Takes the next line with its end; none for an empty one and for a type of event that is not known here.
    pub fn handle_line(&mut self, line: &[u8]) -> Result<Option<Event>, RecordingError> {
        let (before, number) = (self.offset, self.line + 1);
        self.offset += line.len() as u64;
        self.line = number;
        let cut = if line.ends_with(b"\n") { "" } else { "; the recording ends within this line" };
        let fault = |at: usize, what: &str| RecordingError {
            offset: before + at as u64,
            line: Some(number),
            what: format!("{what}{cut}"),
        };
        let text = std::str::from_utf8(line).map_err(|error| fault(error.valid_up_to(), "not UTF-8"))?;
        if text.trim().is_empty() {
            return Ok(None);
        }
        Event::read_json(text.trim_end_matches(['\r', '\n'])).map_err(|error| fault(error.at, &error.what))
    }
}
