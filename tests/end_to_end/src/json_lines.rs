//! Lines of JSON over an HTTP answer that is seen in full: head, empty lines, how the stream ended.

use std::io;
use std::net::SocketAddr;

use serde_json::Value;

use crate::deadline::Deadline;
use crate::http::{Headers, Incoming, Request};
use crate::stream::Stream;

/// The media type that is asked for unless a test says otherwise.
pub const MEDIA_TYPE: &str = "application/x-ndjson";

/// An open stream.
#[derive(Debug)]
pub struct JsonLines {
    /// The fields of the answer.
    pub headers: Headers,
    /// Empty lines that came.
    pub empty: usize,
    answer: Incoming,
    text: Vec<u8>,
}

impl JsonLines {
    /// Asks for the lines of a path.
    ///
    /// # Panics
    ///
    /// If the answer is no stream of lines.
    #[track_caller]
    #[must_use]
    pub fn open(address: SocketAddr, target: &str) -> Self {
        match Self::try_ask(address, &Request::get(target), MEDIA_TYPE) {
            Ok(stream) => stream,
            Err(error) => panic!("{target}: {error}"),
        }
    }

    /// The same for a request of any kind, which may be refused.
    pub fn try_ask(address: SocketAddr, request: &Request, media_type: &str) -> io::Result<Self> {
        let request = request.clone().header("Accept", media_type);
        let answer = request.begin(Stream::connect(address)?)?;
        let kind = answer.headers.get("content-type").unwrap_or_default();
        if answer.status != 200 || kind != media_type {
            return Err(io::Error::other(format!("{} {kind}", answer.status)));
        }
        Ok(Self { headers: answer.headers.clone(), empty: 0, answer, text: Vec::new() })
    }

    /// Waits for the next line that is not empty; `None` at the end of the stream.
    pub fn next_by(&mut self, deadline: Deadline) -> io::Result<Option<Value>> {
        loop {
            while let Some(end) = self.text.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.text.drain(..=end).collect();
                if line != b"\n" {
                    return serde_json::from_slice(&line).map(Some).map_err(io::Error::from);
                }
                self.empty += 1;
            }
            match self.answer.piece_by(deadline)? {
                Some(piece) => self.text.extend_from_slice(&piece),
                None => return Ok(None),
            }
        }
    }

    /// The next line, whose object is of this type.
    ///
    /// # Panics
    ///
    /// If something else comes.
    #[track_caller]
    pub fn envelope(&mut self, kind: &str) -> Value {
        match self.next_by(Deadline::of_patience()) {
            Ok(Some(envelope)) => {
                assert_eq!(envelope["type"], kind, "{envelope}");
                envelope
            }
            other => panic!("{kind} was expected, and this came: {other:?}"),
        }
    }

    /// Waits until so many empty lines have come, and nothing else.
    ///
    /// # Panics
    ///
    /// If they do not come.
    #[track_caller]
    pub fn kept_alive(&mut self, count: usize) {
        let deadline = Deadline::of_patience();
        while self.empty < count {
            let piece = self.answer.piece_by(deadline).expect("the stream goes on");
            let piece = piece.expect("the stream has not ended");
            assert!(piece.iter().all(|byte| *byte == b'\n'), "{}", String::from_utf8_lossy(&piece));
            self.empty += piece.len();
        }
    }

    /// Sees to it that the stream ends now, in the way of its framing.
    ///
    /// # Panics
    ///
    /// If it does not.
    #[track_caller]
    pub fn ended(&mut self) {
        match self.next_by(Deadline::of_patience()) {
            Ok(None) => {}
            other => panic!("the end of the stream was expected, and this came: {other:?}"),
        }
    }
}
