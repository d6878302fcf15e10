//! HTTP/1.1 by hand, so that a test sees what is on the wire: heads, bodies in their pieces, a client. No
//! redirect is followed, no field added but Host and the length.

use std::fmt;
use std::io;
use std::net::SocketAddr;

use crate::deadline::Deadline;
use crate::stream::Stream;

/// Header fields in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers(pub Vec<(String, String)>);

/// The head of a message: its first line and its fields.
#[derive(Debug, Clone, Default)]
pub struct Head {
    /// The first line.
    pub line: String,
    /// The fields.
    pub headers: Headers,
}

/// What is left of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body {
    /// So many bytes.
    Length(u64),
    /// Chunks.
    Chunked,
    /// Whatever comes until the connection ends.
    UntilEnd,
}

/// A request to be sent.
#[derive(Debug, Clone)]
pub struct Request {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Option<Vec<u8>>,
}

/// A whole answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The fields.
    pub headers: Headers,
    /// The body, without its framing.
    pub body: Vec<u8>,
}

/// An answer whose body is still to come.
#[derive(Debug)]
pub struct Incoming {
    /// The status code.
    pub status: u16,
    /// The fields.
    pub headers: Headers,
    /// The connection that it comes by.
    pub stream: Stream,
    body: Body,
}

impl Headers {
    /// The value of the first field of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The values of all fields of this name.
    pub fn all<'h>(&'h self, name: &'h str) -> impl Iterator<Item = &'h str> {
        self.0.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

impl Head {
    /// Reads a head; `None` if the connection ends before one begins.
    pub fn read(stream: &mut Stream, deadline: Deadline) -> io::Result<Option<Self>> {
        let Some(line) = stream.line(deadline)? else { return Ok(None) };
        let mut headers = Vec::new();
        loop {
            let field = stream.line(deadline)?.ok_or(io::ErrorKind::UnexpectedEof)?;
            if field.is_empty() {
                return Ok(Some(Self { line, headers: Headers(headers) }));
            }
            let (name, value) = field.split_once(':').ok_or(io::ErrorKind::InvalidData)?;
            headers.push((name.to_owned(), value.trim().to_owned()));
        }
    }

    /// The word at this place of the first line.
    #[must_use]
    pub fn word(&self, place: usize) -> &str {
        self.line.split(' ').nth(place).unwrap_or_default()
    }
}

impl Body {
    /// How the body of a message with these fields is framed; `without` is how if none of them says.
    #[must_use]
    pub fn of(headers: &Headers, without: Self) -> Self {
        if headers.get("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked")) {
            return Self::Chunked;
        }
        headers.get("content-length").and_then(|value| value.parse().ok()).map_or(without, Self::Length)
    }

    /// The next piece of the body as it came, `None` at its end. A body that is cut short is an error.
    pub fn piece(&mut self, stream: &mut Stream, deadline: Deadline) -> io::Result<Option<Vec<u8>>> {
        match self {
            Self::Length(0) => Ok(None),
            Self::Length(left) => {
                if stream.came().is_empty() && stream.fill(deadline)? == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                let piece = stream.take(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= piece.len() as u64;
                Ok(Some(piece))
            }
            Self::Chunked => {
                let piece = chunk(stream, deadline)?;
                if piece.is_none() {
                    *self = Self::Length(0);
                }
                Ok(piece)
            }
            Self::UntilEnd => {
                let ended = stream.came().is_empty() && stream.fill(deadline)? == 0;
                Ok((!ended).then(|| stream.take(usize::MAX)))
            }
        }
    }

    /// All that is left of the body.
    pub fn whole(&mut self, stream: &mut Stream, deadline: Deadline) -> io::Result<Vec<u8>> {
        let mut all = Vec::new();
        while let Some(piece) = self.piece(stream, deadline)? {
            all.extend_from_slice(&piece);
        }
        Ok(all)
    }
}

/// One chunk with its line ends; the last one takes the trailer with it.
fn chunk(stream: &mut Stream, deadline: Deadline) -> io::Result<Option<Vec<u8>>> {
    let line = stream.line(deadline)?.ok_or(io::ErrorKind::UnexpectedEof)?;
    let size = line.split(';').next().unwrap_or_default().trim();
    let size = usize::from_str_radix(size, 16).map_err(|_| io::ErrorKind::InvalidData)?;
    if size == 0 {
        while stream.line(deadline)?.is_some_and(|line| !line.is_empty()) {}
        return Ok(None);
    }
    let bytes = stream.exactly(size, deadline)?;
    stream.exactly(2, deadline)?;
    Ok(Some(bytes))
}

impl Request {
    /// A request without fields and body.
    #[must_use]
    pub fn new(method: &str, target: &str) -> Self {
        Self { method: method.to_owned(), target: target.to_owned(), headers: Vec::new(), body: None }
    }

    /// A GET.
    #[must_use]
    pub fn get(target: &str) -> Self {
        Self::new("GET", target)
    }

    /// A POST with a body.
    #[must_use]
    pub fn post(target: &str, body: impl Into<Vec<u8>>) -> Self {
        Self { body: Some(body.into()), ..Self::new("POST", target) }
    }

    /// One field more. A Host takes the place of the one that would be sent.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl fmt::Display) -> Self {
        self.headers.push((name.to_owned(), value.to_string()));
        self
    }

    /// Sends it on a connection of its own and reads the whole answer.
    ///
    /// # Panics
    ///
    /// If there is no whole answer.
    #[track_caller]
    pub fn send(&self, address: SocketAddr) -> Answer {
        let line = format!("{} {}", self.method, self.target);
        self.try_send(address).unwrap_or_else(|error| panic!("{line}: {error}"))
    }

    /// The same, for answers that may break off.
    pub fn try_send(&self, address: SocketAddr) -> io::Result<Answer> {
        self.begin(Stream::connect(address)?)?.whole()
    }

    /// Sends it and reads the head of the answer.
    pub fn begin(&self, mut stream: Stream) -> io::Result<Incoming> {
        let host = stream.peer()?.to_string();
        stream.send(&self.bytes(&host))?;
        Incoming::read(stream, self.method == "HEAD")
    }

    /// The request as it goes onto the wire.
    #[must_use]
    pub fn bytes(&self, host: &str) -> Vec<u8> {
        let mut text = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        if !self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            text += &format!("Host: {host}\r\n");
        }
        for (name, value) in &self.headers {
            text += &format!("{name}: {value}\r\n");
        }
        if let Some(body) = &self.body {
            text += &format!("Content-Length: {}\r\n", body.len());
        }
        let mut bytes = (text + "\r\n").into_bytes();
        bytes.extend_from_slice(self.body.as_deref().unwrap_or_default());
        bytes
    }
}

impl Incoming {
    /// Reads the head of an answer, passing over interim ones.
    pub fn read(mut stream: Stream, without_body: bool) -> io::Result<Self> {
        loop {
            let deadline = Deadline::of_patience();
            let head = Head::read(&mut stream, deadline)?.ok_or(io::ErrorKind::UnexpectedEof)?;
            let status: u16 = head.word(1).parse().map_err(|_| io::ErrorKind::InvalidData)?;
            if (100..200).contains(&status) && status != 101 {
                continue;
            }
            let empty = without_body || matches!(status, 101 | 204 | 304);
            let body = if empty { Body::Length(0) } else { Body::of(&head.headers, Body::UntilEnd) };
            return Ok(Self { status, headers: head.headers, stream, body });
        }
    }

    /// The next piece of the body, `None` at its end.
    pub fn piece(&mut self) -> io::Result<Option<Vec<u8>>> {
        self.body.piece(&mut self.stream, Deadline::of_patience())
    }

    /// The same, giving up at a moment.
    pub fn piece_by(&mut self, deadline: Deadline) -> io::Result<Option<Vec<u8>>> {
        self.body.piece(&mut self.stream, deadline)
    }

    /// The whole answer.
    pub fn whole(self) -> io::Result<Answer> {
        self.whole_and_stream().map(|(answer, _)| answer)
    }

    /// The whole answer, and the connection for the next one.
    pub fn whole_and_stream(mut self) -> io::Result<(Answer, Stream)> {
        let body = self.body.whole(&mut self.stream, Deadline::of_patience())?;
        Ok((Answer { status: self.status, headers: self.headers, body }, self.stream))
    }
}

impl Answer {
    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Panics
    ///
    /// If it is none.
    #[track_caller]
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {}", self.text()))
    }
}
