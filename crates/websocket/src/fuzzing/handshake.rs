//! The bodies of the handshake targets. Heads are judged a second time here, field by field and without the
//! code that judges them; the grammar of lists alone is left to the tests of `handshake`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::deflate::{Acceptance, Offer};
use crate::handshake::client::{ClientHandshake, ClientRequest, HandshakeError, Progress, Response};
use crate::handshake::head::{HEAD_MAX_BYTES, HEADERS_MAX, HeadBuffer};
use crate::handshake::server::{self, Accepted, ConnectRequest, HttpVersion, RefusalCause, RequestHead};

/// What the server of these targets speaks.
const SUPPORTED: [&str; 2] = ["chat", "tidegate.v1"];

/// What the client of these targets asks for, and the answer to its key.
const REQUEST: ClientRequest<'_> = ClientRequest {
    host: "example.com",
    target: "/chat",
    key: *b"the sample nonce",
    subprotocols: &["chat", "superchat"],
    headers: &[],
    deflate: Some(Offer { takeover: true, max_window_bits: 15 }),
};
const ACCEPT_KEY: &[u8] = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// Fields of a head.
struct Fields<'h>(Vec<(&'h str, &'h [u8])>);

impl<'h> Fields<'h> {
    fn values(&self, name: &str) -> Vec<&'h [u8]> {
        let named = self.0.iter().filter(|(other, _)| other.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.trim_ascii()).collect()
    }

    /// Any of the values lists this word.
    fn lists(&self, name: &str, word: &str) -> bool {
        let values = self.values(name);
        let mut words = values.iter().flat_map(|value| value.split(|byte| *byte == b','));
        words.any(|found| found.trim_ascii().eq_ignore_ascii_case(word.as_bytes()))
    }

    fn has_no_body(&self) -> bool {
        let zero = |value: &&[u8]| !value.is_empty() && value.iter().all(|byte| *byte == b'0');
        self.values("transfer-encoding").is_empty() && self.values("content-length").iter().all(zero)
    }
}

/// A request's bytes against the server's part: byte 0 chooses the pieces.
///
/// The pieces must not matter; what is accepted is what section 4.2.1 asks for and nothing else; a client
/// with the same key takes the answer; the same fields are judged by the rules of HTTP/2, too.
pub fn fuzz_ws_handshake(data: &[u8]) {
    let [pieces, wire @ ..] = data else { return };
    let whole = collect(wire, wire.len());
    assert_eq!(collect(wire, usize::from(*pieces) + 1), whole);
    let head = match server::parse(wire) {
        Ok(None) => return,
        Ok(Some(head)) => head,
        Err(refusal) => return check_refusal(&refusal),
    };
    assert!(head.length <= HEAD_MAX_BYTES);
    assert_eq!(whole.as_deref(), Some(&wire[..head.length]));
    let fields = Fields(head.headers.clone());
    let judged = server::accept(&head.request(), &SUPPORTED, Some(&Acceptance::default()));
    let lists_fail = judged.as_ref().is_err_and(|refusal| is_list(refusal.cause));
    assert_eq!(judged.is_ok() || lists_fail, is_handshake(&head, &fields), "{judged:?}");
    match &judged {
        Ok(accepted) => check_accepted(accepted, &fields),
        Err(refusal) => check_refusal(refusal),
    }
    check_connect(&head, &fields);
}

fn is_list(cause: RefusalCause) -> bool {
    matches!(cause, RefusalCause::Subprotocol | RefusalCause::Extension)
}

/// Whether the request is what section 4.2.1 asks for, its lists apart.
fn is_handshake(head: &RequestHead<'_>, fields: &Fields<'_>) -> bool {
    let is_host = |host: &[u8]| {
        !host.is_empty()
            && host.iter().all(|byte| (0x21..0x7f).contains(byte) && !b"/\\?#@,\"<>".contains(byte))
    };
    let is_digit = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'+' || *byte == b'/';
    let is_key = |key: &[u8]| key.len() == 24 && key[..22].iter().all(is_digit) && key.ends_with(b"==");
    head.method == "GET"
        && head.version == HttpVersion::Http11
        && matches!(fields.values("host")[..], [host] if is_host(host))
        && fields.lists("upgrade", "websocket")
        && fields.lists("connection", "upgrade")
        && matches!(fields.values("sec-websocket-key")[..], [key] if is_key(key))
        && fields.values("sec-websocket-version") == [b"13"]
        && fields.has_no_body()
}

fn check_refusal(refusal: &server::Refusal) {
    assert!([400, 405, 426, 431, 505].contains(&refusal.status));
    assert_eq!(refusal.version_header, refusal.status == 426);
    assert!(refusal.sentence.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()));
    let mut answer = Vec::new();
    server::write_refusal(refusal, &mut answer);
    let (status, length) = parse_answer(&answer);
    assert_eq!(status, refusal.status);
    assert_eq!(&answer[length..], format!("{}\n", refusal.sentence).as_bytes());
}

/// The answer is HTTP, and a client that sent this key takes it.
fn check_accepted(accepted: &Accepted, fields: &Fields<'_>) {
    let mut answer = Vec::new();
    server::write_response(accepted, &[("Server", "x")], &mut answer).expect("the field may be sent");
    assert_eq!(parse_answer(&answer), (101, answer.len()));
    if let Some(subprotocol) = &accepted.subprotocol {
        assert!(SUPPORTED.contains(&subprotocol.as_str()));
        assert!(fields.lists("sec-websocket-protocol", subprotocol));
    }
    let offers = fields.values("sec-websocket-extensions").join(&b", "[..]);
    let offers_deflate = offers.windows(18).any(|name| name == b"permessage-deflate");
    assert!(accepted.extensions.deflate.is_none() || offers_deflate);
    let key = fields.values("sec-websocket-key")[0];
    let Some(Ok(bytes)) = STANDARD.decode(key).ok().map(<[u8; 16]>::try_from) else { return };
    let request = ClientRequest { key: bytes, subprotocols: &SUPPORTED, ..REQUEST };
    let mut client = ClientHandshake::new(&request, &mut Vec::new()).expect("the request can be written");
    match client.handle_input(&answer) {
        Ok(Progress::Done(response)) => {
            assert_eq!(response.consumed, answer.len());
            assert_eq!(response.subprotocol, accepted.subprotocol);
            assert_eq!(response.extensions, accepted.extensions);
        }
        other => panic!("a client does not take our answer: {other:?}"),
    }
}

fn parse_answer(answer: &[u8]) -> (u16, usize) {
    let mut headers = [httparse::EMPTY_HEADER; 12];
    let mut response = httparse::Response::new(&mut headers);
    let Ok(httparse::Status::Complete(length)) = response.parse(answer) else {
        panic!("our answer is no HTTP: {}", answer.escape_ascii())
    };
    (response.code.unwrap_or_default(), length)
}

/// The same fields as they would come over HTTP/2.
fn check_connect(head: &RequestHead<'_>, fields: &Fields<'_>) {
    let request = ConnectRequest { method: "CONNECT", protocol: Some("websocket"), headers: &head.headers };
    let judged = server::accept_connect(&request, &SUPPORTED, Some(&Acceptance::default()));
    let is_good = fields.values("sec-websocket-version") == [b"13"] && fields.has_no_body();
    let lists_fail = judged.as_ref().is_err_and(|refusal| is_list(refusal.cause));
    assert_eq!(judged.is_ok() || lists_fail, is_good, "{judged:?}");
    assert!(judged.is_ok_and(|accepted| accepted.accept_key.is_none()) || !is_good || lists_fail);
}

/// The head that a buffer finds when the bytes come in pieces.
fn collect(wire: &[u8], piece: usize) -> Option<Vec<u8>> {
    let mut head = HeadBuffer::default();
    for piece in wire.chunks(piece.max(1)) {
        if head.handle_input(piece).ok()?.is_some() {
            let head = head.bytes();
            assert_ne!(server::parse(head), Ok(None), "a whole head must be read or refused");
            return Some(head.to_vec());
        }
        assert!(head.bytes().len() <= HEAD_MAX_BYTES);
    }
    None
}

/// An answer's bytes against the client's part: byte 0 chooses the pieces.
///
/// The pieces must not matter; a 101 is taken if section 4.1 allows it, and not otherwise.
pub fn fuzz_client_handshake(data: &[u8]) {
    let [pieces, wire @ ..] = data else { return };
    let whole = run_client(wire, wire.len());
    let cut = run_client(wire, usize::from(*pieces) + 1);
    check_outcome(wire, &whole);
    match (whole, cut) {
        (Err(HandshakeError::Refused(whole)), Err(HandshakeError::Refused(cut))) => {
            assert_eq!(whole.response, cut.response);
            assert!(whole.body.starts_with(&cut.body));
        }
        (whole, cut) => assert_eq!(whole, cut),
    }
}

/// The outcome, with `consumed` counted from the first byte; none if more must come.
fn run_client(wire: &[u8], piece: usize) -> Result<Option<Response>, HandshakeError> {
    let mut handshake = ClientHandshake::new(&REQUEST, &mut Vec::new()).expect("the request can be written");
    let mut taken = 0;
    for piece in wire.chunks(piece.max(1)) {
        match handshake.handle_input(piece) {
            Ok(Progress::NeedMore) => taken += piece.len(),
            Ok(Progress::Done(mut response)) => {
                assert_eq!(response.status, 101);
                assert!(response.consumed <= piece.len());
                response.consumed += taken;
                return Ok(Some(response));
            }
            Err(HandshakeError::Refused(mut refused)) => {
                assert_ne!(refused.response.status, 101);
                refused.response.consumed += taken;
                return Err(HandshakeError::Refused(refused));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// Compares with a second judgement of the last head.
fn check_outcome(wire: &[u8], outcome: &Result<Option<Response>, HandshakeError>) {
    let Some(head) = last_head(wire) else {
        assert!(matches!(
            outcome,
            Ok(None)
                | Err(HandshakeError::Malformed
                    | HandshakeError::HeadTooLarge
                    | HandshakeError::TooManyHeaders)
        ));
        return;
    };
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut response = httparse::Response::new(&mut headers);
    let is_read = matches!(response.parse(&head), Ok(httparse::Status::Complete(_)));
    let fields = Fields(response.headers.iter().map(|header| (header.name, header.value)).collect());
    match (response.code, response.version) {
        (Some(101), Some(1)) if is_read => {
            let extends = fields.values("sec-websocket-extensions").iter().any(|value| !value.is_empty());
            let is_good = is_answer(&fields);
            assert!(if extends { outcome.is_err() || is_good } else { outcome.is_ok() == is_good });
        }
        _ => assert!(outcome.is_err()),
    }
}

/// Whether section 4.1 takes the answer, its extensions apart.
fn is_answer(fields: &Fields<'_>) -> bool {
    matches!(fields.values("upgrade")[..], [value] if value.eq_ignore_ascii_case(b"websocket"))
        && fields.lists("connection", "upgrade")
        && fields.values("sec-websocket-accept") == [ACCEPT_KEY]
        && matches!(fields.values("sec-websocket-protocol")[..], [] | [b"chat"] | [b"superchat"])
}

/// The first head that is no interim answer, if the bytes hold all of it.
fn last_head(mut wire: &[u8]) -> Option<Vec<u8>> {
    let mut head = HeadBuffer::default();
    loop {
        let taken = head.handle_input(wire).ok()??;
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut response = httparse::Response::new(&mut headers);
        let is_read = response.parse(head.bytes()).is_ok_and(|status| status.is_complete());
        let is_interim = matches!(response.code, Some(100 | 102..=199));
        if !is_read || !is_interim {
            return Some(head.bytes().to_vec());
        }
        head.await_next();
        wire = &wire[taken..];
    }
}
