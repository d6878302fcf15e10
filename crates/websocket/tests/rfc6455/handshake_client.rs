//! Section 4.1: what a client asks, and what it takes for an answer.

use tidegate_websocket::handshake::HeaderError;
use tidegate_websocket::handshake::client::{
    ClientHandshake, ClientRequest, HandshakeError, Progress, RequestError, Response,
};
use tidegate_websocket::handshake::server;

const REQUEST: ClientRequest<'_> = ClientRequest {
    host: "server.example.com",
    target: "/chat?x=1",
    key: *b"the sample nonce",
    subprotocols: &["chat", "superchat"],
    headers: &[("Origin", "http://example.com")],
    deflate: None,
};

/// The answer to [`REQUEST`] with these lines after the status line.
fn judge(status: &str, lines: &[&str]) -> Result<Response, HandshakeError> {
    let wire = format!(
        "HTTP/1.1 {status}\r\n{}\r\nrest",
        lines.iter().map(|line| format!("{line}\r\n")).collect::<String>()
    );
    match ClientHandshake::new(&REQUEST, &mut Vec::new()).unwrap().handle_input(wire.as_bytes())? {
        Progress::Done(response) => {
            assert_eq!(&wire[response.consumed..], "rest");
            Ok(response)
        }
        Progress::NeedMore => panic!("the head is whole: {wire}"),
    }
}

const UPGRADE: &str = "Upgrade: websocket";
const CONNECTION: &str = "Connection: Upgrade";
const ACCEPT: &str = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

fn check_refused(lines: &[&str], error: HandshakeError) {
    assert_eq!(judge("101 Switching Protocols", lines), Err(error), "{lines:?}");
}

#[test]
fn the_request_is_that_of_section_1_3() {
    let mut output = Vec::new();
    ClientHandshake::new(&REQUEST, &mut output).unwrap();
    let expected = "GET /chat?x=1 HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
        Sec-WebSocket-Protocol: chat, superchat\r\nOrigin: http://example.com\r\n\r\n";
    assert_eq!(String::from_utf8(output).unwrap(), expected);
}

#[test]
fn client_and_server_agree() {
    let mut request = Vec::new();
    let mut client = ClientHandshake::new(&REQUEST, &mut request).unwrap();
    let head = server::parse(&request).unwrap().unwrap();
    let accepted = server::accept(&head.request(), &["superchat"], None).unwrap();
    let mut answer = Vec::new();
    server::write_response(&accepted, &[], &mut answer).unwrap();
    for byte in &answer[..answer.len() - 1] {
        assert_eq!(client.handle_input(&[*byte]), Ok(Progress::NeedMore));
    }
    let Ok(Progress::Done(response)) = client.handle_input(b"\n\x81\x00") else {
        panic!("the answer is whole")
    };
    assert_eq!((response.subprotocol.as_deref(), response.consumed), (Some("superchat"), 1));
}

#[test]
fn a_request_that_cannot_be_written_writes_nothing() {
    let base = ClientRequest { subprotocols: &[], headers: &[], ..REQUEST };
    let header = |error| RequestError::Header(error);
    for (request, error) in [
        (ClientRequest { host: "", ..base }, RequestError::Host),
        (ClientRequest { host: "a\r\nX: y", ..base }, RequestError::Host),
        (ClientRequest { host: "user@host", ..base }, RequestError::Host),
        (ClientRequest { target: "", ..base }, RequestError::Target),
        (ClientRequest { target: "http://x/", ..base }, RequestError::Target),
        (ClientRequest { target: "/a b", ..base }, RequestError::Target),
        (ClientRequest { target: "/a#b", ..base }, RequestError::Target),
        (ClientRequest { target: "/\u{e9}", ..base }, RequestError::Target),
        (ClientRequest { target: "/\r\n", ..base }, RequestError::Target),
        (ClientRequest { subprotocols: &["a b"], ..base }, RequestError::Subprotocol),
        (ClientRequest { subprotocols: &[""], ..base }, RequestError::Subprotocol),
        (ClientRequest { subprotocols: &["a", "a"], ..base }, RequestError::Subprotocol),
        (ClientRequest { headers: &[("X", "a\r\nY: b")], ..base }, header(HeaderError::Value)),
        (ClientRequest { headers: &[("X\n", "a")], ..base }, header(HeaderError::Name)),
        (ClientRequest { headers: &[("host", "a")], ..base }, header(HeaderError::Reserved)),
        (ClientRequest { headers: &[("Upgrade", "a")], ..base }, header(HeaderError::Reserved)),
        (ClientRequest { headers: &[("sec-websocket-version", "8")], ..base }, header(HeaderError::Reserved)),
    ] {
        let mut output = Vec::new();
        assert_eq!(ClientHandshake::new(&request, &mut output).unwrap_err(), error, "{request:?}");
        assert!(output.is_empty());
    }
}

#[test]
fn an_answer_is_taken_with_its_fields_as_they_came() {
    let response =
        judge("101 X", &[UPGRADE, "connection: keep-alive, upgrade", ACCEPT, "X-b: 1", "x-B: 2"]).unwrap();
    let names: Vec<_> = response.headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["Upgrade", "connection", "Sec-WebSocket-Accept", "X-b", "x-B"]);
    assert_eq!((response.status, response.subprotocol), (101, None));
}

#[test]
fn upgrade_connection_and_accept_are_demanded() {
    check_refused(&[CONNECTION, ACCEPT], HandshakeError::Upgrade);
    check_refused(&["Upgrade: h2c", CONNECTION, ACCEPT], HandshakeError::Upgrade);
    check_refused(&[UPGRADE, ACCEPT], HandshakeError::Connection);
    check_refused(&[UPGRADE, "Connection: close", ACCEPT], HandshakeError::Connection);
    check_refused(&[UPGRADE, CONNECTION], HandshakeError::AcceptKey);
    check_refused(&[UPGRADE, CONNECTION, ACCEPT, ACCEPT], HandshakeError::AcceptKey);
    let other_case = "Sec-WebSocket-Accept: S3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
    check_refused(&[UPGRADE, CONNECTION, other_case], HandshakeError::AcceptKey);
}

#[test]
fn what_was_not_offered_is_refused() {
    let protocol = |value: &str| format!("Sec-WebSocket-Protocol: {value}");
    let chosen = judge("101 X", &[UPGRADE, CONNECTION, ACCEPT, &protocol("superchat")]).unwrap();
    assert_eq!(chosen.subprotocol.as_deref(), Some("superchat"));
    for value in ["other", "Chat", "chat, superchat", ""] {
        check_refused(&[UPGRADE, CONNECTION, ACCEPT, &protocol(value)], HandshakeError::Subprotocol);
    }
    let twice = [UPGRADE, CONNECTION, ACCEPT, &protocol("chat"), &protocol("chat")];
    check_refused(&twice, HandshakeError::Subprotocol);
    let deflate = "Sec-WebSocket-Extensions: permessage-deflate";
    check_refused(&[UPGRADE, CONNECTION, ACCEPT, deflate], HandshakeError::Extension);
}

#[test]
fn another_status_comes_back_with_fields_and_body() {
    let Err(HandshakeError::Refused(refused)) = judge("401 Unauthorized", &["WWW-Authenticate: Basic"])
    else {
        panic!("401 is a refusal")
    };
    assert_eq!((refused.response.status, &refused.body[..]), (401, &b"rest"[..]));
    assert_eq!(refused.response.headers, [("WWW-Authenticate".to_owned(), b"Basic".to_vec())]);
    assert!(matches!(judge("200 OK", &[UPGRADE, CONNECTION, ACCEPT]), Err(HandshakeError::Refused(_))));
}

#[test]
fn interim_answers_are_passed_over() {
    let lines = [UPGRADE, CONNECTION, ACCEPT].join("\r\n");
    let wire = format!(
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 101 X\r\n{lines}\r\n\r\n"
    );
    for piece in 1..=wire.len() {
        let mut handshake = ClientHandshake::new(&REQUEST, &mut Vec::new()).unwrap();
        let mut progress = wire.as_bytes().chunks(piece).map(|piece| handshake.handle_input(piece));
        assert!(progress.any(|progress| matches!(progress, Ok(Progress::Done(_)))), "{piece}");
    }
    let mut handshake = ClientHandshake::new(&REQUEST, &mut Vec::new()).unwrap();
    let endless = "HTTP/1.1 100 Continue\r\n\r\n".repeat(1000);
    assert_eq!(handshake.handle_input(endless.as_bytes()), Err(HandshakeError::HeadTooLarge));
}

#[test]
fn an_answer_is_bounded_and_http_1_1() {
    let judge = |wire: &[u8]| ClientHandshake::new(&REQUEST, &mut Vec::new()).unwrap().handle_input(wire);
    assert_eq!(judge(&vec![b'x'; 16 * 1024]), Ok(Progress::NeedMore));
    assert_eq!(judge(&vec![b'x'; 16 * 1024 + 1]), Err(HandshakeError::HeadTooLarge));
    let many = format!("HTTP/1.1 101 X\r\n{}\r\n", "A: b\r\n".repeat(65));
    assert_eq!(judge(many.as_bytes()), Err(HandshakeError::TooManyHeaders));
    for wire in [&b"SSH-2.0-OpenSSH\r\n\r\n"[..], b"HTTP/1.0 101 X\r\n\r\n", b"HTTP/1.1 x\r\n\r\n"] {
        assert_eq!(judge(wire), Err(HandshakeError::Malformed));
    }
}
