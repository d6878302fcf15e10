//! The client's part of the handshake (RFC 6455, section 4.1, and RFC 8441 over HTTP/2): writes the request,
//! judges the answer.
//!
//! Bytes come from the caller, so does the key's randomness. An answer other than 101 is handed back with
//! its status, fields and what came of its body: a redirect or a demand for credentials is the caller's.

use std::fmt;

use super::extension_list::{self, NotConfirmed};
use super::field::{Fields, HeaderError, check_extra, token, write_field};
use super::head::{HEADERS_MAX, HeadBuffer};
use super::key::{accept_key, encode_key};
use crate::deflate::{AnswerError, Offer};
use crate::extension::Extensions;

/// What to ask a server for.
#[derive(Debug, Clone, Copy)]
pub struct ClientRequest<'a> {
    /// The Host header: name or address, with the port unless it is the scheme's own.
    pub host: &'a str,
    /// Path and query, beginning with a slash.
    pub target: &'a str,
    /// 16 bytes from a random source, drawn anew for each connection.
    pub key: [u8; 16],
    /// Subprotocols to offer, the preferred one first.
    pub subprotocols: &'a [&'a str],
    /// Further fields, such as Origin, Cookie or Authorization.
    pub headers: &'a [(&'a str, &'a str)],
    /// What to offer of permessage-deflate, if anything.
    pub deflate: Option<Offer>,
}

/// What to ask a server for over HTTP/2. `:scheme`, `:authority` and `:path` are the caller's.
#[derive(Debug, Clone, Copy)]
pub struct ConnectRequest<'a> {
    /// Subprotocols to offer, the preferred one first.
    pub subprotocols: &'a [&'a str],
    /// Further fields, such as Origin, Cookie or Authorization.
    pub headers: &'a [(&'a str, &'a str)],
    /// What to offer of permessage-deflate, if anything.
    pub deflate: Option<Offer>,
}

/// The request cannot be written. The application is to blame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestError {
    /// The host is empty or holds a character that no authority has.
    Host,
    /// The target does not begin with a slash, or holds a space, a control character, a fragment or a
    /// character that must be percent-encoded.
    Target,
    /// A subprotocol is not a token, or stands twice.
    Subprotocol,
    /// A field of the caller's.
    Header(HeaderError),
}

/// A handshake that awaits its answer.
#[derive(Debug)]
pub struct ClientHandshake {
    accept_key: String,
    offered: Offered,
    head: HeadBuffer,
}

/// A handshake over HTTP/2 (RFC 8441) that awaits its answer.
#[derive(Debug)]
pub struct ConnectHandshake {
    fields: Vec<(String, String)>,
    offered: Offered,
}

/// What the answer may choose from.
#[derive(Debug)]
struct Offered {
    subprotocols: Vec<String>,
    deflate: Option<Offer>,
}

/// How far the answer has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// All bytes were taken; more must come.
    NeedMore,
    /// The connection is open.
    Done(Response),
}

/// The head of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The fields as they came: order, case of letters and repetitions.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The subprotocol that the server chose.
    pub subprotocol: Option<String>,
    /// The extensions that both sides use from now on.
    pub extensions: Extensions,
    /// Bytes of the last input that belong to the head. What follows are the server's first frames.
    pub consumed: usize,
}

/// The answer is no handshake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HandshakeError {
    /// A head of more than 16 KiB.
    HeadTooLarge,
    /// More than 64 fields.
    TooManyHeaders,
    /// Not HTTP/1.1.
    Malformed,
    /// Another status than 101 (than 2xx over HTTP/2), with what came of the body in the same input.
    Refused(Box<Refused>),
    /// No `Upgrade: websocket`.
    Upgrade,
    /// No `Connection: Upgrade`.
    Connection,
    /// Sec-WebSocket-Accept is missing, repeated or does not belong to our key.
    AcceptKey,
    /// A subprotocol that was not offered, or several.
    Subprotocol,
    /// An extension that was not offered, or a list that cannot be read.
    Extension,
    /// permessage-deflate, and not as it was offered.
    Deflate(AnswerError),
}

/// An answer that is not 101.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Its head.
    pub response: Response,
    /// What of its body came together with the end of the head.
    pub body: Vec<u8>,
}

impl ClientHandshake {
    /// Appends the request to `output`, and awaits the answer. Nothing is appended if it cannot be written.
    pub fn new(request: &ClientRequest<'_>, output: &mut Vec<u8>) -> Result<Self, RequestError> {
        check_request(request)?;
        let key = encode_key(request.key);
        write_request(request, &key, output);
        Ok(Self {
            accept_key: accept_key(&key),
            offered: Offered::new(request.subprotocols, request.deflate),
            head: HeadBuffer::default(),
        })
    }

    /// Takes the bytes that came. It is to be called until it says Done or an error, and not after that.
    ///
    /// Interim answers (100, 103) are passed over, as RFC 9110, section 15.2 demands.
    pub fn handle_input(&mut self, bytes: &[u8]) -> Result<Progress, HandshakeError> {
        let mut consumed = 0;
        loop {
            let taken =
                self.head.handle_input(&bytes[consumed..]).map_err(|_| HandshakeError::HeadTooLarge)?;
            let Some(taken) = taken else { return Ok(Progress::NeedMore) };
            consumed += taken;
            let mut response = parse(self.head.bytes())?;
            response.consumed = consumed;
            match response.status {
                101 => {
                    self.check(&mut response)?;
                    return Ok(Progress::Done(response));
                }
                100..=199 => self.head.await_next(),
                _ => {
                    let body = bytes[consumed..].to_vec();
                    return Err(HandshakeError::Refused(Box::new(Refused { response, body })));
                }
            }
        }
    }

    /// Judges a 101 by section 4.1, and fills in what it chose.
    fn check(&self, response: &mut Response) -> Result<(), HandshakeError> {
        let fields: Vec<_> =
            response.headers.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect();
        let fields = Fields(&fields);
        match fields.only("upgrade") {
            Ok(Some(value)) if value.eq_ignore_ascii_case(b"websocket") => {}
            _ => return Err(HandshakeError::Upgrade),
        }
        if !fields.lists("connection", "upgrade") {
            return Err(HandshakeError::Connection);
        }
        match fields.only("sec-websocket-accept") {
            Ok(Some(value)) if value == self.accept_key.as_bytes() => {}
            _ => return Err(HandshakeError::AcceptKey),
        }
        (response.extensions, response.subprotocol) = self.offered.check(fields)?;
        Ok(())
    }
}

impl ConnectHandshake {
    /// The `:method` of the request.
    pub const METHOD: &'static str = "CONNECT";
    /// The `:protocol` of the request.
    pub const PROTOCOL: &'static str = "websocket";

    /// The request's fields, checked; it awaits the answer to them.
    pub fn new(request: &ConnectRequest<'_>) -> Result<Self, RequestError> {
        check_fields(request.subprotocols, request.headers)?;
        let mut fields = vec![("sec-websocket-version".to_owned(), "13".to_owned())];
        if !request.subprotocols.is_empty() {
            fields.push(("sec-websocket-protocol".to_owned(), request.subprotocols.join(", ")));
        }
        if let Some(offer) = request.deflate {
            fields.push(("sec-websocket-extensions".to_owned(), offer.request()));
        }
        let further = |(name, value): &(&str, &str)| (name.to_ascii_lowercase(), (*value).to_owned());
        fields.extend(request.headers.iter().map(further));
        Ok(Self { fields, offered: Offered::new(request.subprotocols, request.deflate) })
    }

    /// The fields to send beside the pseudo-headers, names in lower case: no key, for HTTP/2 needs none.
    #[must_use]
    pub fn fields(&self) -> &[(String, String)] {
        &self.fields
    }

    /// Judges the answer (RFC 8441, section 5): 2xx opens the connection. Interim answers are the caller's
    /// to pass over. A refusal carries no body: what follows on the stream is the caller's, too.
    pub fn check(&self, status: u16, headers: &[(&str, &[u8])]) -> Result<Response, HandshakeError> {
        let owned = |(name, value): &(&str, &[u8])| ((*name).to_owned(), value.to_vec());
        let headers_owned = headers.iter().map(owned).collect();
        let mut response = Response {
            status,
            headers: headers_owned,
            subprotocol: None,
            extensions: Extensions::default(),
            consumed: 0,
        };
        if !(200..300).contains(&status) {
            return Err(HandshakeError::Refused(Box::new(Refused { response, body: Vec::new() })));
        }
        (response.extensions, response.subprotocol) = self.offered.check(Fields(headers))?;
        Ok(response)
    }
}

impl Offered {
    fn new(subprotocols: &[&str], deflate: Option<Offer>) -> Self {
        Self { subprotocols: subprotocols.iter().map(|name| (*name).to_owned()).collect(), deflate }
    }

    /// What the answer chose, which must have been offered.
    fn check(&self, fields: Fields<'_>) -> Result<(Extensions, Option<String>), HandshakeError> {
        let extensions =
            extension_list::confirm(fields, self.deflate.as_ref()).map_err(|error| match error {
                NotConfirmed::NotOffered => HandshakeError::Extension,
                NotConfirmed::Parameters(error) => HandshakeError::Deflate(error),
            })?;
        let chosen = fields.only("sec-websocket-protocol").map_err(|_| HandshakeError::Subprotocol)?;
        let Some(chosen) = chosen else { return Ok((extensions, None)) };
        let offered = self.subprotocols.iter().find(|name| name.as_bytes() == chosen);
        let subprotocol = offered.cloned().ok_or(HandshakeError::Subprotocol)?;
        Ok((extensions, Some(subprotocol)))
    }
}

fn check_request(request: &ClientRequest<'_>) -> Result<(), RequestError> {
    let is_host = |byte: u8| byte.is_ascii_graphic() && !b"/\\?#@,\"<>".contains(&byte);
    if request.host.is_empty() || !request.host.bytes().all(is_host) {
        return Err(RequestError::Host);
    }
    let is_target = |byte: u8| byte.is_ascii_graphic() && byte != b'#';
    if !request.target.starts_with('/') || !request.target.bytes().all(is_target) {
        return Err(RequestError::Target);
    }
    check_fields(request.subprotocols, request.headers)
}

fn check_fields(subprotocols: &[&str], headers: &[(&str, &str)]) -> Result<(), RequestError> {
    for (index, name) in subprotocols.iter().enumerate() {
        if token(name.as_bytes()).is_none() || subprotocols[..index].contains(name) {
            return Err(RequestError::Subprotocol);
        }
    }
    for (name, value) in headers {
        if name.eq_ignore_ascii_case("host") {
            return Err(RequestError::Header(HeaderError::Reserved));
        }
        check_extra(name, value).map_err(RequestError::Header)?;
    }
    Ok(())
}

fn write_request(request: &ClientRequest<'_>, key: &str, output: &mut Vec<u8>) {
    output.extend_from_slice(format!("GET {} HTTP/1.1\r\n", request.target).as_bytes());
    write_field("Host", request.host, output);
    write_field("Upgrade", "websocket", output);
    write_field("Connection", "Upgrade", output);
    write_field("Sec-WebSocket-Key", key, output);
    write_field("Sec-WebSocket-Version", "13", output);
    if !request.subprotocols.is_empty() {
        write_field("Sec-WebSocket-Protocol", &request.subprotocols.join(", "), output);
    }
    if let Some(offer) = request.deflate {
        write_field("Sec-WebSocket-Extensions", &offer.request(), output);
    }
    request.headers.iter().for_each(|(name, value)| write_field(name, value, output));
    output.extend_from_slice(b"\r\n");
}

/// Reads a head that has come whole.
fn parse(head: &[u8]) -> Result<Response, HandshakeError> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut response = httparse::Response::new(&mut headers);
    match response.parse(head) {
        Ok(httparse::Status::Complete(_)) => {}
        Err(httparse::Error::TooManyHeaders) => return Err(HandshakeError::TooManyHeaders),
        Ok(httparse::Status::Partial) | Err(_) => return Err(HandshakeError::Malformed),
    }
    let status = response.code.ok_or(HandshakeError::Malformed)?;
    if status == 101 && response.version != Some(1) {
        return Err(HandshakeError::Malformed);
    }
    let owned = |header: &httparse::Header<'_>| (header.name.to_owned(), header.value.to_vec());
    let headers = response.headers.iter().map(owned).collect();
    Ok(Response { status, headers, subprotocol: None, extensions: Extensions::default(), consumed: 0 })
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host => f.write_str("the host cannot stand in a Host header"),
            Self::Target => f.write_str("the request target must begin with '/' and be percent-encoded"),
            Self::Subprotocol => f.write_str("subprotocols must be distinct tokens"),
            Self::Header(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for RequestError {}

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HeadTooLarge => f.write_str("the server's answer has a head of more than 16 KiB"),
            Self::TooManyHeaders => f.write_str("the server's answer has more than 64 headers"),
            Self::Malformed => f.write_str("the server's answer is not HTTP/1.1"),
            Self::Refused(refused) => {
                write!(f, "the server answered {} instead of 101", refused.response.status)
            }
            Self::Upgrade => f.write_str("the server's 101 has no 'Upgrade: websocket'"),
            Self::Connection => f.write_str("the server's 101 has no 'Connection: Upgrade'"),
            Self::AcceptKey => f.write_str("the server's Sec-WebSocket-Accept does not belong to our key"),
            Self::Subprotocol => f.write_str("the server chose a subprotocol that was not offered"),
            Self::Extension => f.write_str("the server chose an extension that was not offered"),
            Self::Deflate(error) => {
                write!(f, "the server's answer to the offer of permessage-deflate is not valid: {error}")
            }
        }
    }
}

impl std::error::Error for HandshakeError {}
