//! Section 4.2: what a server accepts, and what it refuses with which words.

use tidegate_websocket::handshake::head::HEAD_MAX_BYTES;
use tidegate_websocket::handshake::server::{
    Accepted, HttpVersion, Refusal, RefusalCause, Request, accept, is_upgrade, parse, write_refusal,
    write_response,
};
use tidegate_websocket::handshake::{HeaderError, accept_key};

type Headers<'a> = Vec<(&'a str, &'a [u8])>;

fn good() -> Headers<'static> {
    vec![
        ("Host", b"server.example.com"),
        ("Upgrade", b"websocket"),
        ("Connection", b"Upgrade"),
        ("Sec-WebSocket-Key", b"dGhlIHNhbXBsZSBub25jZQ=="),
        ("Origin", b"http://example.com"),
        ("Sec-WebSocket-Version", b"13"),
    ]
}

/// The good request with this field instead of its own, or without it.
fn with<'a>(name: &'a str, value: Option<&'a [u8]>) -> Headers<'a> {
    let mut headers = good();
    headers.retain(|(other, _)| *other != name);
    headers.extend(value.map(|value| (name, value)));
    headers
}

fn judge(headers: &Headers<'_>) -> Result<Accepted, Refusal> {
    accept(&Request { method: "GET", version: HttpVersion::Http11, headers }, &["superchat", "chat"], None)
}

fn check_refused(headers: &Headers<'_>, status: u16, cause: RefusalCause) {
    let refusal = judge(headers).unwrap_err();
    assert_eq!((refusal.status, refusal.cause), (status, cause), "{headers:?}");
    assert_eq!(refusal.version_header, status == 426);
    assert!(refusal.sentence.ends_with('.'), "{}", refusal.sentence);
}

#[test]
fn the_example_of_section_1_3() {
    assert_eq!(accept_key("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    let accepted = judge(&good()).unwrap();
    assert_eq!(accepted.accept_key.as_deref(), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    assert_eq!(accepted.subprotocol, None);
    let mut output = Vec::new();
    write_response(&accepted, &[("Set-Cookie", "a=b")], &mut output).unwrap();
    let expected = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSet-Cookie: a=b\r\n\r\n";
    assert_eq!(String::from_utf8(output).unwrap(), expected);
}

#[test]
fn only_get_over_http_1_1_opens_a_websocket() {
    let headers = good();
    for method in ["POST", "get", "CONNECT", ""] {
        let request = Request { method, version: HttpVersion::Http11, headers: &headers };
        let refusal = accept(&request, &[], None).unwrap_err();
        assert_eq!((refusal.status, refusal.cause), (405, RefusalCause::Method), "{method}");
    }
    let request = Request { method: "GET", version: HttpVersion::Http10, headers: &headers };
    let refusal = accept(&request, &[], None).unwrap_err();
    assert_eq!((refusal.status, refusal.cause), (400, RefusalCause::HttpVersion));
}

#[test]
fn exactly_one_host() {
    check_refused(&with("Host", None), 400, RefusalCause::Host);
    for host in [&b""[..], b"a b", b"a, b", b"user@host", b"host/path"] {
        check_refused(&with("Host", Some(host)), 400, RefusalCause::Host);
    }
    let twice = [good(), vec![("host", &b"server.example.com"[..])]].concat();
    check_refused(&twice, 400, RefusalCause::Host);
    for host in [&b"localhost:8080"[..], b"[::1]:8080", b"127.0.0.1"] {
        assert!(judge(&with("Host", Some(host))).is_ok());
    }
}

#[test]
fn upgrade_and_connection_are_lists_in_any_case() {
    for value in [&b"WebSocket"[..], b"WEBSOCKET", b"h2c, websocket", b" websocket ,x"] {
        assert!(judge(&with("Upgrade", Some(value))).is_ok(), "{}", value.escape_ascii());
    }
    for value in [None, Some(&b""[..]), Some(b"h2c"), Some(b"websocketx"), Some(b"web socket")] {
        check_refused(&with("Upgrade", value), 400, RefusalCause::Upgrade);
    }
    for value in [&b"keep-alive, Upgrade"[..], b"UPGRADE", b"upgrade,"] {
        assert!(judge(&with("Connection", Some(value))).is_ok(), "{}", value.escape_ascii());
    }
    for value in [None, Some(&b""[..]), Some(b"keep-alive"), Some(b"xupgrade")] {
        check_refused(&with("Connection", value), 400, RefusalCause::Connection);
    }
    let spread = [with("Connection", Some(b"keep-alive")), vec![("connection", &b"upgrade"[..])]].concat();
    assert!(judge(&spread).is_ok());
}

#[test]
fn exactly_one_key_of_16_bytes() {
    let bad: [Option<&[u8]>; 7] = [
        None,
        Some(b""),
        Some(b"SGVsbG8sIHdvcmxkIQ=="),
        Some(b"AAAAAAAAAAAAAAAAAAAAAAA="),
        Some(b"dGhlIHNhbXBsZSBub25jZQ"),
        Some(b"not base64 at all!!!!!!!"),
        Some(&[b'A'; 2000]),
    ];
    for key in bad {
        check_refused(&with("Sec-WebSocket-Key", key), 400, RefusalCause::Key);
    }
    let sentence = judge(&with("Sec-WebSocket-Key", Some(b"SGVsbG8sIHdvcmxkIQ=="))).unwrap_err().sentence;
    assert!(sentence.contains("13 bytes"), "{sentence}");
    let twice = [good(), vec![("sec-websocket-key", &b"dGhlIHNhbXBsZSBub25jZQ=="[..])]].concat();
    check_refused(&twice, 400, RefusalCause::Key);
    assert!(judge(&with("Sec-WebSocket-Key", Some(b" AAAAAAAAAAAAAAAAAAAAAB== "))).is_ok());
}

#[test]
fn the_version_is_13() {
    for version in [None, Some(&b"8"[..]), Some(b"99"), Some(b"013"), Some(b"13, 8"), Some(b"")] {
        check_refused(&with("Sec-WebSocket-Version", version), 426, RefusalCause::Version);
    }
    let twice = [good(), vec![("Sec-WebSocket-Version", &b"13"[..])]].concat();
    check_refused(&twice, 400, RefusalCause::Version);
}

#[test]
fn the_clients_order_of_subprotocols_decides() {
    for (offer, chosen) in [
        (&b"chat, superchat"[..], Some("chat")),
        (b"other, superchat ,chat", Some("superchat")),
        (b"other", None),
        (b"Chat", None),
    ] {
        let accepted = judge(&with("Sec-WebSocket-Protocol", Some(offer))).unwrap();
        assert_eq!(accepted.subprotocol.as_deref(), chosen);
    }
    let spread =
        [good(), vec![("sec-websocket-protocol", &b"x"[..]), ("Sec-WebSocket-Protocol", b"chat")]].concat();
    let accepted = judge(&spread).unwrap();
    let mut output = Vec::new();
    write_response(&accepted, &[], &mut output).unwrap();
    assert!(output.windows(30).any(|line| line == b"Sec-WebSocket-Protocol: chat\r\n"));
}

#[test]
fn offers_that_cannot_be_read_are_refused() {
    let commas = vec![b','; 16 * 1024];
    let quotes = vec![b'"'; 16 * 1024];
    let many = vec!["a"; 5000].join(",").into_bytes();
    for value in [&b""[..], b",", b"a b", b"a,a", &commas, &quotes, &many] {
        check_refused(&with("Sec-WebSocket-Protocol", Some(value)), 400, RefusalCause::Subprotocol);
    }
    for value in [&b""[..], b",", b"a b", b"a;", b"a;b=", &commas, &quotes, &many] {
        check_refused(&with("Sec-WebSocket-Extensions", Some(value)), 400, RefusalCause::Extension);
    }
    let spread: Headers<'_> = (0..17).fold(good(), |mut headers, _| {
        headers.push(("Sec-WebSocket-Extensions", b"x"));
        headers
    });
    check_refused(&spread, 400, RefusalCause::Extension);
    let deflate = with("Sec-WebSocket-Extensions", Some(b"permessage-deflate; client_max_window_bits"));
    assert!(judge(&deflate).is_ok());
}

#[test]
fn a_body_would_be_taken_for_frames() {
    for (name, value) in
        [("Content-Length", &b"5"[..]), ("Transfer-Encoding", b"chunked"), ("content-length", b"")]
    {
        check_refused(&[good(), vec![(name, value)]].concat(), 400, RefusalCause::Body);
    }
    assert!(judge(&[good(), vec![("Content-Length", &b"0"[..])]].concat()).is_ok());
}

#[test]
fn is_upgrade_asks_only_what_the_client_wants() {
    let is =
        |headers: &Headers<'_>| is_upgrade(&Request { method: "GET", version: HttpVersion::Http11, headers });
    assert!(is(&good()));
    assert!(is(&with("Sec-WebSocket-Key", None)));
    assert!(!is(&with("Upgrade", None)));
    assert!(!is(&with("Upgrade", Some(b"h2c"))));
}

#[test]
fn an_answer_cannot_be_split_by_a_field_of_the_caller() {
    let accepted = judge(&good()).unwrap();
    for (name, value, error) in [
        ("X", "a\r\nSet-Cookie: b", HeaderError::Value),
        ("X:", "a", HeaderError::Name),
        ("sec-websocket-extensions", "permessage-deflate", HeaderError::Reserved),
    ] {
        let mut output = Vec::new();
        assert_eq!(write_response(&accepted, &[("Ok", "ok"), (name, value)], &mut output), Err(error));
        assert!(output.is_empty());
    }
}

#[test]
fn a_refusal_on_the_wire_says_what_the_rfcs_demand() {
    let written = |refusal: &Refusal| {
        let mut output = Vec::new();
        write_refusal(refusal, &mut output);
        String::from_utf8(output).unwrap()
    };
    let version = written(&judge(&with("Sec-WebSocket-Version", Some(b"8"))).unwrap_err());
    assert!(version.starts_with("HTTP/1.1 426 Upgrade Required\r\n"));
    assert!(
        version.contains("\r\nSec-WebSocket-Version: 13\r\n")
            && version.contains("\r\nUpgrade: websocket\r\n")
    );
    let headers = good();
    let post = Request { method: "POST", version: HttpVersion::Http11, headers: &headers };
    let method = written(&accept(&post, &[], None).unwrap_err());
    assert!(method.contains("\r\nAllow: GET\r\n") && method.contains("\r\nConnection: close\r\n"));
    let (head, body) = method.split_once("\r\n\r\n").unwrap();
    assert!(head.contains(&format!("Content-Length: {}", body.len())));
}

const HEAD: &str = "GET /chat?a=b HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

#[test]
fn a_head_is_read_from_bytes() {
    let wire = format!("{HEAD}\u{1}frames");
    let head = parse(wire.as_bytes()).unwrap().unwrap();
    assert_eq!((head.method, head.target, head.length), ("GET", "/chat?a=b", HEAD.len()));
    assert!(accept(&head.request(), &[], None).is_ok());
    for end in 0..HEAD.len() {
        assert_eq!(parse(&HEAD.as_bytes()[..end]), Ok(None), "{end}");
    }
}

#[test]
fn heads_that_cannot_be_read_are_refused() {
    let many = |count: usize| format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(count));
    assert_eq!(parse(many(64).as_bytes()).unwrap().unwrap().headers.len(), 64);
    let long = |length: usize| format!("GET / HTTP/1.1\r\nA: {}\r\n\r\n", "x".repeat(length - 23));
    assert_eq!(parse(long(HEAD_MAX_BYTES).as_bytes()).unwrap().unwrap().length, HEAD_MAX_BYTES);
    for (head, status, cause) in [
        (many(65), 431, RefusalCause::TooManyHeaders),
        (long(HEAD_MAX_BYTES + 1), 431, RefusalCause::HeadTooLarge),
        ("x".repeat(HEAD_MAX_BYTES), 431, RefusalCause::HeadTooLarge),
        ("GET / HTTP/2.0\r\n\r\n".into(), 505, RefusalCause::HttpVersion),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".into(), 505, RefusalCause::HttpVersion),
        ("SSH-2.0-OpenSSH_9.6\r\n".into(), 400, RefusalCause::Malformed),
        ("\u{16}\u{3}\u{1}".into(), 400, RefusalCause::Malformed),
        ("GET / HTTP/1.1\r\nBad Name: x\r\n\r\n".into(), 400, RefusalCause::Malformed),
        ("GET / HTTP/1.1\r\nHost : x\r\n\r\n".into(), 400, RefusalCause::Malformed),
        ("GET / HTTP/1.1\r\nA: b\r\n folded\r\n\r\n".into(), 400, RefusalCause::Malformed),
        ("GET / HTTP/1.1\r\nA: b\0\r\n\r\n".into(), 400, RefusalCause::Malformed),
    ] {
        let refusal = parse(head.as_bytes()).unwrap_err();
        assert_eq!((refusal.status, refusal.cause), (status, cause), "{:.40}", head.escape_debug());
    }
}
