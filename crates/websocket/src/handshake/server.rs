//! The server's part of the handshake (RFC 6455, section 4.2, and RFC 8441 over HTTP/2): judges a request,
//! answers it.
//!
//! A server with an HTTP stack hands in method, version and fields; one without has [`parse`]. What is
//! refused is refused in words that a person can act upon; nothing that the peer sent is repeated in them.

use super::extension_list;
use super::field::{
    Fields, HeaderError, ListError, Repeated, SUBPROTOCOLS_MAX_BYTES, check_extra, write_field,
};
use super::head::HEADERS_MAX;
use super::key::{accept_key, decoded_length};
use crate::deflate::Acceptance;
use crate::extension::Extensions;

/// Version of HTTP that a request was written in. Later ones open WebSockets by another way (RFC 8441).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum HttpVersion {
    /// Cannot open a WebSocket.
    Http10,
    /// Can.
    Http11,
}

/// A request, as far as the handshake judges it.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The method, in its own case of letters.
    pub method: &'a str,
    /// The version.
    pub version: HttpVersion,
    /// The fields in the order in which they came, with every repetition.
    pub headers: &'a [(&'a str, &'a [u8])],
}

/// A request of HTTP/2, as far as the handshake judges it (RFC 8441, section 5).
#[derive(Debug, Clone, Copy)]
pub struct ConnectRequest<'a> {
    /// `:method`.
    pub method: &'a str,
    /// `:protocol`.
    pub protocol: Option<&'a str>,
    /// The fields in the order in which they came, without pseudo-headers.
    pub headers: &'a [(&'a str, &'a [u8])],
}

/// The request is a handshake, and this is what to answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// The value of Sec-WebSocket-Accept: 28 characters. None over HTTP/2, which has no such field.
    pub accept_key: Option<String>,
    /// The first subprotocol of the client's offer that the server supports. Without one the connection
    /// opens with none, and a server that needs one must refuse.
    pub subprotocol: Option<String>,
    /// The extensions that both sides use from now on.
    pub extensions: Extensions,
}

/// The request is not a handshake, or one that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// 400, 405, 426, 431, 501 or 505.
    pub status: u16,
    /// What is wrong and what to send instead, for the body of the answer.
    pub sentence: String,
    /// The answer must carry `Sec-WebSocket-Version: 13` (section 4.4).
    pub version_header: bool,
    /// What was wrong.
    pub cause: RefusalCause,
}

/// What was wrong with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalCause {
    /// Not HTTP.
    Malformed,
    /// More than 16 KiB of head.
    HeadTooLarge,
    /// More than 64 fields.
    TooManyHeaders,
    /// HTTP/1.0, or a version that is none.
    HttpVersion,
    /// Another method than GET, or than CONNECT over HTTP/2.
    Method,
    /// CONNECT, over HTTP/2, for another protocol than `websocket`.
    Protocol,
    /// None, several, or one that cannot be an authority.
    Host,
    /// No `websocket` in Upgrade.
    Upgrade,
    /// No `upgrade` in Connection.
    Connection,
    /// None, several, or one that is not 16 bytes in base64.
    Key,
    /// Sec-WebSocket-Version is not 13.
    Version,
    /// Sec-WebSocket-Protocol cannot be read.
    Subprotocol,
    /// Sec-WebSocket-Extensions cannot be read.
    Extension,
    /// A body, whose bytes could be taken for frames.
    Body,
}

/// The head of a request, parsed. It borrows from the bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestHead<'b> {
    /// The method.
    pub method: &'b str,
    /// The request target as it stands.
    pub target: &'b str,
    /// The version.
    pub version: HttpVersion,
    /// The fields in the order in which they came.
    pub headers: Vec<(&'b str, &'b [u8])>,
    /// Bytes of the head, empty line included. What follows are the client's first frames.
    pub length: usize,
}

impl RequestHead<'_> {
    /// What the handshake judges.
    #[must_use]
    pub fn request(&self) -> Request<'_> {
        Request { method: self.method, version: self.version, headers: &self.headers }
    }
}

/// Whether the request asks for a WebSocket at all, rightly or not: Upgrade lists `websocket`.
#[must_use]
pub fn is_upgrade(request: &Request<'_>) -> bool {
    Fields(request.headers).lists("upgrade", "websocket")
}

/// Whether the request asks for a WebSocket over HTTP/2 (RFC 8441, section 4).
#[must_use]
pub fn is_connect(request: &ConnectRequest<'_>) -> bool {
    request.method == "CONNECT" && request.protocol == Some("websocket")
}

/// Judges a request by section 4.2.1. `subprotocols` are those that the server supports; the client's order
/// decides. `deflate` says what of permessage-deflate may be agreed to, if anything: the first offer that
/// fits is taken, and when none fits the connection opens without.
///
/// The path, the origin and any credentials have been judged by the caller, or will be before it answers.
/// HTTP/1.0 is refused with 400, not 505: the server may well speak it, but not for this.
pub fn accept(
    request: &Request<'_>,
    subprotocols: &[&str],
    deflate: Option<&Acceptance>,
) -> Result<Accepted, Refusal> {
    let fields = Fields(request.headers);
    check_request_line(request)?;
    check_host(fields)?;
    check_upgrade(fields)?;
    check_version(fields)?;
    let key = check_key(fields)?;
    check_no_body(fields)?;
    choose(fields, Some(accept_key(key)), subprotocols, deflate)
}

/// Judges a request of HTTP/2 by RFC 8441, section 5: CONNECT for `websocket`, version 13; the rest is as in
/// [`accept`]. No key comes and none is answered: one that came is not looked at.
///
/// `:scheme`, `:authority` and `:path` are the caller's. The answer is any 2xx with the subprotocol and the
/// extensions as its fields; a refusal of the version is 400, because 426 speaks of Upgrade, which HTTP/2
/// has not.
pub fn accept_connect(
    request: &ConnectRequest<'_>,
    subprotocols: &[&str],
    deflate: Option<&Acceptance>,
) -> Result<Accepted, Refusal> {
    let fields = Fields(request.headers);
    if request.method != "CONNECT" {
        let sentence = "A WebSocket handshake over HTTP/2 is a CONNECT request with ':protocol: websocket'.";
        return Err(refuse(405, RefusalCause::Method, sentence));
    }
    if !is_connect(request) {
        let sentence = "CONNECT is served for ':protocol: websocket' alone.";
        return Err(refuse(501, RefusalCause::Protocol, sentence));
    }
    check_version(fields).map_err(|refusal| Refusal { status: 400, ..refusal })?;
    check_no_body(fields)?;
    choose(fields, None, subprotocols, deflate)
}

/// What follows for a request that is a handshake.
fn choose(
    fields: Fields<'_>,
    accept_key: Option<String>,
    subprotocols: &[&str],
    deflate: Option<&Acceptance>,
) -> Result<Accepted, Refusal> {
    let offered =
        fields.tokens("sec-websocket-protocol", SUBPROTOCOLS_MAX_BYTES).map_err(refuse_subprotocol)?;
    let extensions = extension_list::accept(fields, deflate).map_err(refuse_extensions)?;
    let supported = |offer: &&str| subprotocols.contains(offer);
    let subprotocol = offered.into_iter().find(supported).map(str::to_owned);
    Ok(Accepted { accept_key, subprotocol, extensions })
}

fn check_request_line(request: &Request<'_>) -> Result<(), Refusal> {
    if request.method != "GET" {
        return Err(refuse(405, RefusalCause::Method, "A WebSocket handshake is a GET request."));
    }
    if request.version < HttpVersion::Http11 {
        let sentence = "A WebSocket handshake needs HTTP/1.1; this request is HTTP/1.0. A proxy in between may have lowered it.";
        return Err(bad(RefusalCause::HttpVersion, sentence));
    }
    Ok(())
}

fn check_host(fields: Fields<'_>) -> Result<(), Refusal> {
    let sentence = match fields.only("host") {
        Ok(Some(host)) if is_authority(host) => return Ok(()),
        Ok(Some(_)) => "The Host header is not a host name or address with an optional port.",
        Ok(None) => "The Host header is missing; send it exactly once.",
        Err(Repeated) => "The Host header came more than once; send it exactly once.",
    };
    Err(bad(RefusalCause::Host, sentence))
}

/// Rough: no white space, list or user name, nothing of a path. Which hosts are served is the caller's.
fn is_authority(host: &[u8]) -> bool {
    !host.is_empty() && host.iter().all(|byte| byte.is_ascii_graphic() && !b"/\\?#@,\"<>".contains(byte))
}

fn check_upgrade(fields: Fields<'_>) -> Result<(), Refusal> {
    if !fields.lists("upgrade", "websocket") {
        let sentence = "This is no WebSocket handshake: send 'Upgrade: websocket' and 'Connection: Upgrade'. A proxy in between may have removed them.";
        return Err(bad(RefusalCause::Upgrade, sentence));
    }
    if !fields.lists("connection", "upgrade") {
        let sentence = "The Connection header must list 'Upgrade'. A proxy in between may have replaced it.";
        return Err(bad(RefusalCause::Connection, sentence));
    }
    Ok(())
}

fn check_version(fields: Fields<'_>) -> Result<(), Refusal> {
    let sentence = match fields.only("sec-websocket-version") {
        Ok(Some(b"13")) => return Ok(()),
        Ok(Some(_)) => {
            "This server speaks version 13 of the WebSocket protocol; send 'Sec-WebSocket-Version: 13'."
        }
        Ok(None) => "The Sec-WebSocket-Version header is missing; send 'Sec-WebSocket-Version: 13'.",
        Err(Repeated) => {
            let sentence = "The Sec-WebSocket-Version header came more than once; send it exactly once.";
            return Err(bad(RefusalCause::Version, sentence));
        }
    };
    Err(Refusal { version_header: true, ..refuse(426, RefusalCause::Version, sentence) })
}

fn check_key(fields: Fields<'_>) -> Result<&str, Refusal> {
    let key = match fields.only("sec-websocket-key") {
        Ok(Some(key)) => key,
        Ok(None) => {
            let sentence = "The Sec-WebSocket-Key header is missing; send 16 random bytes in base64.";
            return Err(bad(RefusalCause::Key, sentence));
        }
        Err(Repeated) => {
            let sentence = "The Sec-WebSocket-Key header came more than once; send it exactly once.";
            return Err(bad(RefusalCause::Key, sentence));
        }
    };
    match (decoded_length(key), std::str::from_utf8(key)) {
        (Some(16), Ok(key)) => Ok(key),
        (Some(length), _) => {
            let sentence =
                format!("The Sec-WebSocket-Key decodes to {length} bytes; it must be 16 bytes in base64.");
            Err(bad(RefusalCause::Key, &sentence))
        }
        (None, _) => {
            let sentence =
                "The Sec-WebSocket-Key is not base64; send 16 random bytes in base64, 24 characters.";
            Err(bad(RefusalCause::Key, sentence))
        }
    }
}

fn check_no_body(fields: Fields<'_>) -> Result<(), Refusal> {
    let is_zero = |value: &[u8]| !value.is_empty() && value.iter().all(|byte| *byte == b'0');
    if fields.all("transfer-encoding").next().is_none() && fields.all("content-length").all(is_zero) {
        return Ok(());
    }
    Err(bad(
        RefusalCause::Body,
        "A WebSocket handshake has no body; leave out Content-Length and Transfer-Encoding.",
    ))
}

fn refuse_subprotocol(error: ListError) -> Refusal {
    bad(
        RefusalCause::Subprotocol,
        match error {
            ListError::Malformed => {
                "Sec-WebSocket-Protocol must list one or more distinct tokens, divided by commas."
            }
            ListError::TooLong => "Sec-WebSocket-Protocol may list 16 subprotocols in 8192 bytes.",
        },
    )
}

fn refuse_extensions(error: ListError) -> Refusal {
    bad(
        RefusalCause::Extension,
        match error {
            ListError::Malformed => {
                "Sec-WebSocket-Extensions must list extensions such as 'permessage-deflate; client_max_window_bits', divided by commas."
            }
            ListError::TooLong => "Sec-WebSocket-Extensions may list 16 extensions in 1024 bytes.",
        },
    )
}

fn bad(cause: RefusalCause, sentence: &str) -> Refusal {
    refuse(400, cause, sentence)
}

fn refuse(status: u16, cause: RefusalCause, sentence: &str) -> Refusal {
    Refusal { status, sentence: sentence.to_owned(), version_header: false, cause }
}

/// Appends the 101 that opens the connection, with further fields of the caller's. Nothing is appended if
/// one of them may not be sent. It answers what [`accept`] judged: over HTTP/2 there is no such text.
pub fn write_response(
    accepted: &Accepted,
    headers: &[(&str, &str)],
    output: &mut Vec<u8>,
) -> Result<(), HeaderError> {
    headers.iter().try_for_each(|(name, value)| check_extra(name, value))?;
    output.extend_from_slice(b"HTTP/1.1 101 Switching Protocols\r\n");
    write_field("Upgrade", "websocket", output);
    write_field("Connection", "Upgrade", output);
    if let Some(accept_key) = &accepted.accept_key {
        write_field("Sec-WebSocket-Accept", accept_key, output);
    }
    if let Some(subprotocol) = &accepted.subprotocol {
        write_field("Sec-WebSocket-Protocol", subprotocol, output);
    }
    if let Some(extensions) = accepted.extensions.header_value() {
        write_field("Sec-WebSocket-Extensions", &extensions, output);
    }
    headers.iter().for_each(|(name, value)| write_field(name, value, output));
    output.extend_from_slice(b"\r\n");
    Ok(())
}

/// Appends the answer to a request that was refused; the TCP connection ends after it.
pub fn write_refusal(refusal: &Refusal, output: &mut Vec<u8>) {
    let phrase = match refusal.status {
        405 => "Method Not Allowed",
        426 => "Upgrade Required",
        431 => "Request Header Fields Too Large",
        501 => "Not Implemented",
        505 => "HTTP Version Not Supported",
        _ => "Bad Request",
    };
    output.extend_from_slice(format!("HTTP/1.1 {} {phrase}\r\n", refusal.status).as_bytes());
    if refusal.status == 426 {
        write_field("Upgrade", "websocket", output);
    }
    write_field("Connection", if refusal.status == 426 { "close, Upgrade" } else { "close" }, output);
    if refusal.version_header {
        write_field("Sec-WebSocket-Version", "13", output);
    }
    if refusal.status == 405 {
        write_field("Allow", "GET", output);
    }
    write_field("Content-Type", "text/plain; charset=utf-8", output);
    write_field("Content-Length", &(refusal.sentence.len() + 1).to_string(), output);
    output.extend_from_slice(format!("\r\n{}\n", refusal.sentence).as_bytes());
}

/// Reads the head of a request from the start of `bytes`; none if more must come.
///
/// It reads from the start each time: who gets a head in pieces collects it in a
/// [`HeadBuffer`](super::head::HeadBuffer) first, which bounds it, too.
pub fn parse(bytes: &[u8]) -> Result<Option<RequestHead<'_>>, Refusal> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut request = httparse::Request::new(&mut headers);
    let length = match request.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return too_large(bytes.len()).map_or(Ok(None), Err),
        Err(error) => return Err(refuse_malformed(error)),
    };
    if let Some(refusal) = too_large(length.saturating_sub(1)) {
        return Err(refusal);
    }
    let (Some(method), Some(target)) = (request.method, request.path) else {
        return Err(refuse_malformed(httparse::Error::Token));
    };
    let version = if request.version == Some(1) { HttpVersion::Http11 } else { HttpVersion::Http10 };
    let headers = request.headers.iter().map(|header| (header.name, header.value)).collect();
    Ok(Some(RequestHead { method, target, version, headers, length }))
}

/// Refuses a head of more bytes than these.
fn too_large(bytes: usize) -> Option<Refusal> {
    let sentence = "The request's head is longer than 16 KiB; send fewer or shorter headers.";
    (bytes >= super::head::HEAD_MAX_BYTES).then(|| refuse(431, RefusalCause::HeadTooLarge, sentence))
}

fn refuse_malformed(error: httparse::Error) -> Refusal {
    match error {
        httparse::Error::TooManyHeaders => {
            refuse(431, RefusalCause::TooManyHeaders, "The request has more than 64 headers; send fewer.")
        }
        httparse::Error::Version => refuse(
            505,
            RefusalCause::HttpVersion,
            "This is no version of HTTP that can open a WebSocket; use HTTP/1.1.",
        ),
        _ => {
            bad(RefusalCause::Malformed, "The request is not HTTP: its head breaks the grammar of RFC 9112.")
        }
    }
}
