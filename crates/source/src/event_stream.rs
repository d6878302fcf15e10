//! Server-sent events as bytes (`text/event-stream`, WHATWG HTML section 9.2.6): chunks in, events out.
//!
//! Knows nothing of requests or of coming back; it keeps only the unfinished line and event, both bounded.
//! UTF-8 is decoded with replacement, as the standard asks.

use std::fmt;
use std::time::Duration;

/// One event, as the stream named and numbered it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerEvent {
    /// `event`; nothing for the default, `message`. Never CR, LF or NUL.
    pub event: Option<String>,
    /// The lines of `data`, joined by LF.
    pub data: String,
    /// The `id` that stood in this very event, unless it was empty. Never CR, LF or NUL.
    pub id: Option<String>,
}

/// How much of a stream is held before it is given up.
#[derive(Debug, Clone, Copy)]
pub struct EventLimits {
    /// The longest line.
    pub max_line_bytes: usize,
    /// The longest event: its data, name and id together.
    pub max_event_bytes: usize,
}

/// A line or an event is longer than its bound; the stream cannot be read on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventTooLong {
    /// A line of more than this many bytes.
    Line(usize),
    /// An event of more than this many bytes.
    Event(usize),
}

/// The reading side of one event stream.
///
/// `line` holds a line whose end has not come; `data`, `event` and `id` hold the event whose blank line has
/// not come. What is unfinished when the stream ends is dropped with this.
#[derive(Debug)]
pub struct EventStream {
    limits: EventLimits,
    line: Vec<u8>,
    first_line: bool,
    after_cr: bool,
    data: Option<String>,
    event: String,
    id: Option<String>,
    last_event_id: String,
    retry: Option<Duration>,
}

impl EventStream {
    /// A stream from its beginning. `last_event_id` is what an earlier connection left behind.
    #[must_use]
    pub fn new(limits: EventLimits, last_event_id: String) -> Self {
        Self {
            limits,
            line: Vec::new(),
            first_line: true,
            after_cr: false,
            data: None,
            event: String::new(),
            id: None,
            last_event_id,
            retry: None,
        }
    }

    /// Reads from `input` up to the end of the next event and advances it; nothing means that the input is
    /// used up. Call again until then.
    pub fn next_event(&mut self, input: &mut &[u8]) -> Result<Option<ServerEvent>, EventTooLong> {
        while let Some(first) = input.first() {
            if std::mem::take(&mut self.after_cr) && *first == b'\n' {
                *input = &input[1..];
                continue;
            }
            let Some(end) = memchr::memchr2(b'\r', b'\n', input) else {
                self.hold(std::mem::take(input))?;
                return Ok(None);
            };
            self.hold(&input[..end])?;
            self.after_cr = input[end] == b'\r';
            *input = &input[end + 1..];
            if let Some(event) = self.handle_line()? {
                return Ok(Some(event));
            }
        }
        Ok(None)
    }

    /// The id to come back with; empty where none was given.
    #[must_use]
    pub fn last_event_id(&self) -> &str {
        &self.last_event_id
    }

    /// The pause before coming back that the stream last asked for.
    #[must_use]
    pub fn retry(&self) -> Option<Duration> {
        self.retry
    }

    fn hold(&mut self, part: &[u8]) -> Result<(), EventTooLong> {
        if self.line.len() + part.len() > self.limits.max_line_bytes {
            return Err(EventTooLong::Line(self.limits.max_line_bytes));
        }
        self.line.extend_from_slice(part);
        Ok(())
    }

    fn handle_line(&mut self) -> Result<Option<ServerEvent>, EventTooLong> {
        let held = std::mem::take(&mut self.line);
        let mut line = held.as_slice();
        if std::mem::take(&mut self.first_line) {
            line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
        }
        if line.is_empty() {
            return Ok(self.dispatch());
        }
        let colon = memchr::memchr(b':', line).unwrap_or(line.len());
        let value = line.get(colon + 1..).unwrap_or_default();
        let value = String::from_utf8_lossy(value.strip_prefix(b" ").unwrap_or(value));
        match &line[..colon] {
            b"data" => self.data = Some(joined(self.data.take(), &value)),
            b"event" => self.event = value.replace('\0', "\u{fffd}"),
            b"id" if !value.contains('\0') => self.id = Some(value.into_owned()),
            b"retry" => self.retry = milliseconds(&value).or(self.retry),
            _ => {}
        }
        if self.held() > self.limits.max_event_bytes {
            return Err(EventTooLong::Event(self.limits.max_event_bytes));
        }
        Ok(None)
    }

    /// A blank line: the event is complete. One without data only moves the id.
    fn dispatch(&mut self) -> Option<ServerEvent> {
        let id = self.id.take();
        if let Some(id) = &id {
            self.last_event_id.clone_from(id);
        }
        let event = std::mem::take(&mut self.event);
        Some(ServerEvent {
            data: self.data.take()?,
            event: (!event.is_empty() && event != "message").then_some(event),
            id: id.filter(|id| !id.is_empty()),
        })
    }

    fn held(&self) -> usize {
        self.data.as_ref().map_or(0, String::len) + self.event.len() + self.id.as_ref().map_or(0, String::len)
    }
}

fn joined(data: Option<String>, line: &str) -> String {
    match data {
        None => line.to_owned(),
        Some(mut data) => {
            data.push('\n');
            data.push_str(line);
            data
        }
    }
}

/// ASCII digits only; more than a number holds means "very long".
fn milliseconds(value: &str) -> Option<Duration> {
    let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| Duration::from_millis(value.parse::<u32>().unwrap_or(u32::MAX).into()))
}

impl fmt::Display for EventTooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(limit) => write!(f, "the event stream has a line of more than {limit} bytes"),
            Self::Event(limit) => write!(f, "the event stream has an event of more than {limit} bytes"),
        }
    }
}

impl std::error::Error for EventTooLong {}

#[cfg(test)]
mod tests;
