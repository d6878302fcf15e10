//! RFC 8441: a WebSocket over HTTP/2 is asked for by CONNECT, and negotiates the rest as ever.

use tidegate_websocket::deflate::{Acceptance, Offer};
use tidegate_websocket::handshake::HeaderError;
use tidegate_websocket::handshake::client::{self, ConnectHandshake, HandshakeError, RequestError};
use tidegate_websocket::handshake::server::{
    Accepted, ConnectRequest, Refusal, RefusalCause, accept_connect, is_connect,
};

type Headers<'a> = Vec<(&'a str, &'a [u8])>;

fn judge(protocol: Option<&str>, headers: &Headers<'_>) -> Result<Accepted, Refusal> {
    let request = ConnectRequest { method: "CONNECT", protocol, headers };
    assert_eq!(is_connect(&request), protocol == Some("websocket"));
    accept_connect(&request, &["chat"], Some(&Acceptance::default()))
}

fn good() -> Headers<'static> {
    vec![
        ("sec-websocket-version", b"13"),
        ("sec-websocket-protocol", b"x, chat"),
        ("sec-websocket-extensions", b"permessage-deflate; client_max_window_bits"),
    ]
}

#[test]
fn a_connect_request_is_judged_without_a_key() {
    let accepted = judge(Some("websocket"), &good()).unwrap();
    assert_eq!((accepted.accept_key, accepted.subprotocol.as_deref()), (None, Some("chat")));
    let expected = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
    assert_eq!(accepted.extensions.header_value().as_deref(), Some(expected));
}

#[test]
fn what_is_no_connect_handshake_is_refused_in_words() {
    let version = |value: Option<&'static [u8]>| {
        value.map(|value| ("sec-websocket-version", value)).into_iter().collect::<Headers<'_>>()
    };
    let body = [good(), vec![("content-length", &b"3"[..])]].concat();
    let offer = [good(), vec![("sec-websocket-extensions", &b"a b"[..])]].concat();
    for (protocol, headers, status, cause) in [
        (None, good(), 501, RefusalCause::Protocol),
        (Some("connect-udp"), good(), 501, RefusalCause::Protocol),
        (Some("WebSocket"), good(), 501, RefusalCause::Protocol),
        (Some("websocket"), version(None), 400, RefusalCause::Version),
        (Some("websocket"), version(Some(b"8")), 400, RefusalCause::Version),
        (Some("websocket"), body, 400, RefusalCause::Body),
        (Some("websocket"), offer, 400, RefusalCause::Extension),
    ] {
        let refusal = judge(protocol, &headers).unwrap_err();
        assert_eq!((refusal.status, refusal.cause), (status, cause), "{headers:?}");
        assert_eq!(refusal.version_header, cause == RefusalCause::Version);
        assert!(refusal.sentence.ends_with('.'));
    }
    let get = ConnectRequest { method: "GET", protocol: Some("websocket"), headers: &good() };
    assert!(!is_connect(&get));
    assert_eq!(accept_connect(&get, &[], None).unwrap_err().cause, RefusalCause::Method);
}

const REQUEST: client::ConnectRequest<'_> = client::ConnectRequest {
    subprotocols: &["chat", "superchat"],
    headers: &[("Origin", "https://example.com")],
    deflate: Some(Offer { takeover: false, max_window_bits: 15 }),
};

#[test]
fn a_client_sends_no_key_and_what_it_sends_is_accepted() {
    let handshake = ConnectHandshake::new(&REQUEST).unwrap();
    let names: Vec<_> = handshake.fields().iter().map(|(name, _)| name.as_str()).collect();
    let expected = ["sec-websocket-version", "sec-websocket-protocol", "sec-websocket-extensions", "origin"];
    assert_eq!(names, expected);
    let fields: Headers<'_> =
        handshake.fields().iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    let (method, protocol) = (ConnectHandshake::METHOD, Some(ConnectHandshake::PROTOCOL));
    let request = ConnectRequest { method, protocol, headers: &fields };
    let accepted = accept_connect(&request, &["superchat"], Some(&Acceptance::default())).unwrap();
    let value = accepted.extensions.header_value().unwrap();
    let answer: [(&str, &[u8]); 2] =
        [("sec-websocket-protocol", b"superchat"), ("sec-websocket-extensions", value.as_bytes())];
    for status in [200, 204] {
        let response = handshake.check(status, &answer).unwrap();
        assert_eq!(response.subprotocol, accepted.subprotocol);
        assert_eq!(response.extensions, accepted.extensions);
    }
}

#[test]
fn a_client_takes_only_what_it_asked_for() {
    let handshake = ConnectHandshake::new(&REQUEST).unwrap();
    for status in [101, 199, 301, 400, 503] {
        let refused = handshake.check(status, &[("x", b"y")]).unwrap_err();
        let HandshakeError::Refused(refused) = refused else { panic!("{refused:?}") };
        assert_eq!((refused.response.status, refused.response.headers.len()), (status, 1));
    }
    let check = |name: &str, value: &str| handshake.check(200, &[(name, value.as_bytes())]).unwrap_err();
    assert_eq!(check("sec-websocket-protocol", "other"), HandshakeError::Subprotocol);
    assert_eq!(check("sec-websocket-extensions", "x"), HandshakeError::Extension);
    let answer = check("sec-websocket-extensions", "permessage-deflate");
    assert!(matches!(answer, HandshakeError::Deflate(_)));
    for (headers, error) in [
        (("Sec-WebSocket-Key", "x"), HeaderError::Reserved),
        (("X\n", "x"), HeaderError::Name),
        (("X", "x\r\ny"), HeaderError::Value),
    ] {
        let request = client::ConnectRequest { headers: &[headers], ..REQUEST };
        assert_eq!(ConnectHandshake::new(&request).unwrap_err(), RequestError::Header(error));
    }
}
