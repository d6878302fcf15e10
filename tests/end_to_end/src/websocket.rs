//! A WebSocket client that shows everything: the answer to its handshake, each frame's event, how the
//! connection ended. Bytes go through `tidegate-websocket` in the role of a client, over a plain socket.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tidegate_websocket::deflate::{Effort, Offer, Parameters};
use tidegate_websocket::handshake::client::{
    ClientHandshake, ClientRequest, HandshakeError, Progress, Refused, Response,
};
use tidegate_websocket::{CloseCode, Connection, Event, Input, Limits, MaskKeys, Message, Role};

use crate::deadline::{Deadline, PATIENCE};
use crate::http::{Answer, Body, Headers};
use crate::stream::Stream;

/// The largest message that a test expects.
const MESSAGE_MAX_BYTES: usize = 64 * 1024 * 1024;

/// What a handshake asks for.
#[derive(Debug, Clone)]
pub struct Dial {
    address: SocketAddr,
    target: String,
    headers: Vec<(String, String)>,
    subprotocols: Vec<String>,
    deflate: Option<Offer>,
}

/// An open connection.
#[derive(Debug)]
pub struct WebSocket {
    /// The 101.
    pub answer: Response,
    stream: Stream,
    connection: Connection,
    came: VecDeque<Came>,
    wire_bytes: u64,
}

/// What came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Came {
    /// A text message.
    Text(String),
    /// A binary message.
    Binary(Vec<u8>),
    /// The end, by a Close frame.
    Close(u16, String),
    /// The end of the bytes, without a Close frame or after one.
    End,
}

impl Dial {
    /// A handshake without anything special.
    #[must_use]
    pub fn new(address: SocketAddr, target: &str) -> Self {
        let target = target.to_owned();
        Self { address, target, headers: Vec::new(), subprotocols: Vec::new(), deflate: None }
    }

    /// A field more.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl fmt::Display) -> Self {
        self.headers.push((name.to_owned(), value.to_string()));
        self
    }

    /// Offers a subprotocol.
    #[must_use]
    pub fn subprotocol(mut self, name: &str) -> Self {
        self.subprotocols.push(name.to_owned());
        self
    }

    /// Offers permessage-deflate, and compresses what it sends if that is agreed on.
    #[must_use]
    pub fn deflate(mut self, offer: Offer) -> Self {
        self.deflate = Some(offer);
        self
    }

    /// Connects.
    ///
    /// # Panics
    ///
    /// If the answer is not 101.
    #[track_caller]
    #[must_use]
    pub fn open(&self) -> WebSocket {
        match self.try_open() {
            Ok(Ok(socket)) => socket,
            Ok(Err(refused)) => {
                panic!("{} was refused: {} {}", self.target, refused.status, refused.text())
            }
            Err(error) => panic!("{}: {error}", self.target),
        }
    }

    /// Connects and expects to be refused; gives the answer.
    ///
    /// # Panics
    ///
    /// If it is not refused, or if there is no answer.
    #[track_caller]
    #[must_use]
    pub fn refused(&self) -> Answer {
        match self.try_open() {
            Ok(Ok(_)) => panic!("{} was not refused", self.target),
            Ok(Err(refused)) => refused,
            Err(error) => panic!("{}: {error}", self.target),
        }
    }

    /// Connects; gives the open connection, or the answer that refused it.
    pub fn try_open(&self) -> io::Result<Result<WebSocket, Answer>> {
        let mut stream = Stream::connect(self.address)?;
        let host = self.address.to_string();
        let headers: Vec<_> =
            self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let subprotocols: Vec<_> = self.subprotocols.iter().map(String::as_str).collect();
        let key = fastrand::u128(..).to_ne_bytes();
        let target = &self.target;
        let request = ClientRequest {
            host: &host,
            target,
            key,
            subprotocols: &subprotocols,
            headers: &headers,
            deflate: self.deflate,
        };
        let mut output = Vec::new();
        let mut handshake = ClientHandshake::new(&request, &mut output).map_err(io::Error::other)?;
        stream.send(&output)?;
        let deadline = Deadline::of_patience();
        loop {
            if stream.fill(deadline)? == 0 {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "no answer to the handshake"));
            }
            let bytes = stream.take(usize::MAX);
            match handshake.handle_input(&bytes) {
                Ok(Progress::NeedMore) => {}
                Ok(Progress::Done(answer)) => {
                    return Ok(Ok(WebSocket::new(stream, answer, &bytes)));
                }
                Err(HandshakeError::Refused(refused)) => return whole(*refused, stream).map(Err),
                Err(error) => return Err(io::Error::other(error)),
            }
        }
    }
}

/// The answer that refused a handshake, with all of its body.
fn whole(refused: Refused, mut stream: Stream) -> io::Result<Answer> {
    let text =
        |(name, value): &(String, Vec<u8>)| (name.clone(), String::from_utf8_lossy(value).into_owned());
    let headers = Headers(refused.response.headers.iter().map(text).collect());
    let mut body = refused.body;
    if let Body::Length(length) = Body::of(&headers, Body::Length(0)) {
        let missing = usize::try_from(length).unwrap_or(usize::MAX).saturating_sub(body.len());
        body.extend(stream.exactly(missing, Deadline::of_patience())?);
    }
    Ok(Answer { status: refused.response.status, headers, body })
}

impl WebSocket {
    /// Connects to a path.
    #[track_caller]
    #[must_use]
    pub fn open(address: SocketAddr, target: &str) -> Self {
        Dial::new(address, target).open()
    }

    /// Connects to a path and speaks `tidegate.v1`.
    #[track_caller]
    #[must_use]
    pub fn enveloped(address: SocketAddr, target: &str) -> Self {
        Dial::new(address, target).subprotocol("tidegate.v1").open()
    }

    fn new(stream: Stream, answer: Response, read: &[u8]) -> Self {
        let keys = MaskKeys::from_seed(fastrand::u128(..).to_ne_bytes());
        let limits = Limits { max_message_bytes: MESSAGE_MAX_BYTES, ..Limits::default() };
        let extensions = answer.extensions;
        let connection =
            Connection::with_extensions(Role::Client(keys), limits, extensions, Effort::default());
        let early = read[answer.consumed..].to_vec();
        let mut socket = Self { answer, stream, connection, came: VecDeque::new(), wire_bytes: 0 };
        // What cannot be answered shows at the next read.
        let _ = socket.handle(early);
        socket
    }

    /// Headers of the 101.
    #[must_use]
    pub fn headers(&self) -> Headers {
        let text = |(name, value): &(String, Vec<u8>)| (name.clone(), String::from_utf8_lossy(value).into());
        Headers(self.answer.headers.iter().map(text).collect())
    }

    /// Bytes that came after the handshake.
    #[must_use]
    pub fn wire_bytes(&self) -> u64 {
        self.wire_bytes
    }

    /// What was agreed on of permessage-deflate.
    #[must_use]
    pub fn deflate(&self) -> Option<Parameters> {
        self.answer.extensions.deflate
    }

    /// Waits for what comes next; an error where nothing comes in time or the connection breaks.
    pub fn next_by(&mut self, deadline: Deadline) -> io::Result<Came> {
        loop {
            if let Some(came) = self.came.pop_front() {
                return Ok(came);
            }
            if self.stream.fill(deadline)? == 0 {
                return Ok(Came::End);
            }
            let bytes = self.stream.take(usize::MAX);
            self.handle(bytes)?;
        }
    }

    /// What comes next.
    ///
    /// # Panics
    ///
    /// If nothing comes.
    #[track_caller]
    pub fn came(&mut self) -> Came {
        self.next_by(Deadline::of_patience()).unwrap_or_else(|error| panic!("nothing came: {error}"))
    }

    /// The next message, which is text.
    ///
    /// # Panics
    ///
    /// If something else comes.
    #[track_caller]
    pub fn text(&mut self) -> String {
        match self.came() {
            Came::Text(text) => text,
            other => panic!("a text was expected, and this came: {other:?}"),
        }
    }

    /// The next message, which is JSON.
    ///
    /// # Panics
    ///
    /// If something else comes.
    #[track_caller]
    pub fn json(&mut self) -> Value {
        let text = self.text();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error} in {text}"))
    }

    /// The next message, which is an envelope of this type.
    ///
    /// # Panics
    ///
    /// If something else comes.
    #[track_caller]
    pub fn envelope(&mut self, kind: &str) -> Value {
        let envelope = self.json();
        assert_eq!(envelope["type"], kind, "{envelope}");
        envelope
    }

    /// The next event, which is the Close.
    ///
    /// # Panics
    ///
    /// If something else comes.
    #[track_caller]
    pub fn closed(&mut self) -> (u16, String) {
        match self.came() {
            Came::Close(code, reason) => (code, reason),
            other => panic!("a close was expected, and this came: {other:?}"),
        }
    }

    /// Sees to it that nothing comes in this time.
    ///
    /// # Panics
    ///
    /// If something does.
    #[track_caller]
    pub fn silent_for(&mut self, time: Duration) {
        match self.next_by(Deadline::after(time)) {
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {}
            other => panic!("nothing was expected, and this came: {other:?}"),
        }
    }

    /// Sends a text message.
    ///
    /// # Panics
    ///
    /// If the connection is closed or broken.
    #[track_caller]
    pub fn send(&mut self, text: &str) {
        let mut output = Vec::new();
        self.connection.send_text(text, &mut output).expect("an open connection");
        self.stream.send(&output).expect("a connection that takes bytes");
    }

    /// Sends a binary message.
    ///
    /// # Panics
    ///
    /// If the connection is closed or broken.
    #[track_caller]
    pub fn send_binary(&mut self, bytes: &[u8]) {
        let mut output = Vec::new();
        self.connection.send(Message::Binary(bytes), &mut output).expect("an open connection");
        self.stream.send(&output).expect("a connection that takes bytes");
    }

    /// Closes with 1000 and waits for the answer, passing over what came before it.
    ///
    /// # Panics
    ///
    /// If the answer is not 1000.
    #[track_caller]
    pub fn close(mut self) {
        let mut output = Vec::new();
        self.connection.close(CloseCode::NORMAL, "", &mut output);
        self.stream.send(&output).expect("a connection that takes bytes");
        let deadline = Deadline::after(PATIENCE);
        loop {
            match self.next_by(deadline).expect("an answer to the close") {
                Came::Close(code, _) => return assert_eq!(code, 1000, "the answer to our close"),
                Came::End => panic!("the connection ended without an answer to our close"),
                Came::Text(_) | Came::Binary(_) => {}
            }
        }
    }

    /// Ends the connection without a word.
    pub fn cut(&mut self) {
        self.stream.cut();
    }

    fn handle(&mut self, mut bytes: Vec<u8>) -> io::Result<()> {
        self.wire_bytes += bytes.len() as u64;
        let mut input = Input::new(&mut bytes);
        let mut output = Vec::new();
        while let Some(event) = self.connection.handle_input(&mut input, &mut output) {
            match event {
                Event::Message(Message::Text(text)) => self.came.push_back(Came::Text(text.to_owned())),
                Event::Message(Message::Binary(bytes)) => self.came.push_back(Came::Binary(bytes.to_vec())),
                Event::Close(close) => {
                    self.came.push_back(Came::Close(close.status().get(), close.reason.to_owned()));
                }
                Event::Error(error) => return Err(io::Error::other(format!("the gateway erred: {error:?}"))),
                Event::Ping(_) | Event::Pong(_) => {}
            }
        }
        if output.is_empty() { Ok(()) } else { self.stream.send(&output) }
    }
}
