//! The check against heads with one fault each, and against the judgement of both ends.

use proptest::prelude::*;
use tidegate_websocket::deflate::Offer;
use tidegate_websocket::handshake::client::{ClientHandshake, ClientRequest, Progress};
use tidegate_websocket::handshake::server::{HttpVersion, Request, accept};

use super::{Outcome, Requirement, as_text, check, compression_in_words};
use crate::event::{Direction, Handshake};
use crate::head::{Secrets, http1_bytes, of_http1, of_http2};

const REQUEST: &str = "GET /x HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: a, b\r\n\
    Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n";
const ANSWER: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: b\r\n\
    Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_max_window_bits=10\r\n\r\n";

fn request(text: &str) -> Handshake {
    of_http1(Direction::ToServer, text.as_bytes(), Secrets::Hide)
}

fn answer(text: &str) -> Handshake {
    of_http1(Direction::ToClient, text.as_bytes(), Secrets::Hide)
}

fn broken(requirements: &[Requirement]) -> Vec<&str> {
    requirements.iter().filter(|it| it.is_broken()).map(|it| &*it.what).collect()
}

#[test]
fn a_handshake_without_a_fault() {
    let requirements = check(Some(&request(REQUEST)), Some(&answer(ANSWER)));
    assert_eq!(broken(&requirements), [""; 0]);
    let text = as_text(&requirements);
    for part in [
        "✓ method GET: GET  (RFC 6455, section 4.1)",
        "✓ Sec-WebSocket-Accept belongs to the key: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
        "✓ permessage-deflate as it was offered",
        "server's messages: window of 32768 bytes (15 bits), each message by itself",
        "with zlib 256 KiB at the server, 39 KiB at the client",
        "client's messages: window of 1024 bytes (10 bits), with earlier messages",
        "· no Origin: a program, not a page",
    ] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
}

#[test]
fn one_fault_in_a_request() {
    for (from, to, what) in [
        ("GET", "POST", "method GET"),
        ("HTTP/1.1", "HTTP/1.0", "HTTP/1.1"),
        ("Host: h\r\n", "", "Host, once"),
        ("Host: h", "Host: h\r\nhost: i", "Host, once"),
        ("Host: h", "Host: h/x", "Host, once"),
        ("Upgrade: websocket", "Upgrade: h2c", "Upgrade lists websocket"),
        ("keep-alive, Upgrade", "keep-alive", "Connection lists Upgrade"),
        ("dGhlIHNhbXBsZSBub25jZQ==", "dGhl", "Sec-WebSocket-Key, once, 16 bytes in base64"),
        ("dGhlIHNhbXBsZSBub25jZQ==", "?", "Sec-WebSocket-Key, once, 16 bytes in base64"),
        ("Version: 13", "Version: 8", "Sec-WebSocket-Version 13, once"),
        ("a, b", "a, a", "Sec-WebSocket-Protocol: distinct tokens"),
        ("deflate; client", "deflate;; client", "Sec-WebSocket-Extensions in its grammar"),
        ("Host: h", "Host: h\r\nContent-Length: 5", "no body"),
        (
            "Upgrade: websocket",
            "Upgrade: websocket\r\n  folded",
            "each line is a field: a name, a colon at once, a value",
        ),
    ] {
        let requirements = check(Some(&request(&REQUEST.replacen(from, to, 1))), None);
        assert_eq!(broken(&requirements), [what], "{to}");
        assert!(requirements.iter().all(|it| it.mend.is_some() == it.is_broken()));
    }
}

#[test]
fn one_fault_in_an_answer() {
    for (from, to, what) in [
        ("101", "200", "status 101 of HTTP/1.1"),
        ("HTTP/1.1", "HTTP/1.0", "status 101 of HTTP/1.1"),
        ("Upgrade: websocket\r\n", "", "Upgrade is websocket"),
        ("Connection: Upgrade", "Connection: close", "Connection lists Upgrade"),
        ("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "x", "Sec-WebSocket-Accept belongs to the key"),
        ("Protocol: b", "Protocol: c", "subprotocol: one that was offered"),
        ("permessage-deflate", "x-other", "extensions: only such as were offered, each once"),
        ("bits=10", "bits", "permessage-deflate as it was offered"),
        ("bits=10", "bits=16", "permessage-deflate as it was offered"),
        ("; server", ";; server", "Sec-WebSocket-Extensions in its grammar"),
    ] {
        let requirements = check(Some(&request(REQUEST)), Some(&answer(&ANSWER.replacen(from, to, 1))));
        assert_eq!(broken(&requirements), [what], "{to}");
    }
    let without_bits = REQUEST.replace("; client_max_window_bits", "");
    let requirements = check(Some(&request(&without_bits)), Some(&answer(ANSWER)));
    assert_eq!(broken(&requirements), ["permessage-deflate as it was offered"]);
}

#[test]
fn the_mistake_that_is_made_most_often_is_recognised() {
    // The key hashed without the GUID.
    let wrong = ANSWER.replace("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "hHLtf2V1k8aDQZfNjw3Ia1hCwt0=");
    let text = as_text(&check(Some(&request(REQUEST)), Some(&answer(&wrong))));
    assert!(text.contains("not s3pPLMBiTxaQ9kYGzzhZRbK+xOo=; the GUID was left out"), "{text}");
}

#[test]
fn over_http2() {
    let lines = ":method: CONNECT\r\n:protocol: websocket\r\n:scheme: https\r\n:authority: h\r\n:path: /x\r\n\
                 sec-websocket-version: 13\r\nsec-websocket-protocol: bearer.abc\r\n";
    let head = |lines: &str| of_http2(Direction::ToServer, lines.as_bytes(), Secrets::Hide);
    let status = |lines: &str| of_http2(Direction::ToClient, lines.as_bytes(), Secrets::Hide);
    let ok = status(":status: 200\r\n");
    assert_eq!(broken(&check(Some(&head(lines)), Some(&ok))), [""; 0]);
    for (from, to, what) in [
        ("CONNECT", "GET", ":method CONNECT"),
        (":protocol: websocket\r\n", "", ":protocol websocket"),
        (":path: /x\r\n", "", ":path"),
        ("version: 13", "version: 8", "Sec-WebSocket-Version 13, once"),
        (":path", "upgrade: websocket\r\n:path", "no Connection and no Upgrade"),
    ] {
        assert_eq!(broken(&check(Some(&head(&lines.replacen(from, to, 1))), Some(&ok))), [what], "{to}");
    }
    assert_eq!(broken(&check(None, Some(&status(":status: 404\r\n")))), ["status 2xx"]);
}

#[test]
fn what_a_peer_sent_is_inert() {
    let text = as_text(&check(Some(&request("GET\x1b[2J / HTTP/1.1\r\nOrigin: \x1b]0;x\x07\r\n\r\n")), None));
    assert!(!text.contains('\x1b') && text.contains("\\u{1b}]0;x\\u{7}"), "{text}");
}

/// Fields of a request, right and wrong.
fn fields() -> impl Strategy<Value = Vec<(&'static str, &'static str)>> {
    let field = |name, values: &'static [&'static str]| {
        prop::sample::select(values).prop_map(move |value| (name, value)).boxed()
    };
    let all = vec![
        field("Host", &["h", "h", "h", "", "a b"]),
        field("Upgrade", &["websocket", "WebSocket", "h2c, websocket", "h2c"]),
        field("Connection", &["Upgrade", "keep-alive, upgrade", "close"]),
        field("Sec-WebSocket-Key", &["dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZR==", "dGhl", "?"]),
        field("Sec-WebSocket-Version", &["13", "13", "8"]),
    ];
    let odd = prop_oneof![
        field("Sec-WebSocket-Protocol", &["a", "a, b", "a, a", "", "a b", "bearer.x"]),
        field("Sec-WebSocket-Extensions", &["permessage-deflate", "x; y=1", ";", ""]),
        field("Content-Length", &["0", "5"]),
        field("Host", &["h"]),
        field("Cookie", &["a=b"]),
    ];
    (all, prop::collection::vec(odd, 0..3), prop::option::of(0usize..5)).prop_map(
        |(mut all, odd, without)| {
            if let Some(without) = without.filter(|without| *without % 2 == 0) {
                all.remove(without);
            }
            all.extend(odd);
            all
        },
    )
}

proptest! {
    #[test]
    fn a_request_is_without_a_fault_where_a_server_accepts_it(
        fields in fields(), method in prop::sample::select(vec!["GET", "GET", "GET", "POST"])
    ) {
        // Of tokens that are hidden the check cannot see that they are the same.
        prop_assume!(fields.iter().filter(|(_, value)| value.starts_with("bearer.")).count() < 2);
        let lines: String = fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let head = request(&format!("{method} / HTTP/1.1\r\n{lines}\r\n"));
        let headers: Vec<(&str, &[u8])> = fields.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
        let asked = Request { method, version: HttpVersion::Http11, headers: &headers };
        let accepted = accept(&asked, &[], None);
        let found = check(Some(&head), None);
        prop_assert_eq!(broken(&found).is_empty(), accepted.is_ok(), "{:?} {}", accepted, as_text(&found));
    }

    #[test]
    fn an_answer_is_without_a_fault_where_a_client_accepts_it(
        status in prop::sample::select(vec!["HTTP/1.1 101 S", "HTTP/1.1 101 S", "HTTP/1.1 101 S", "HTTP/1.1 400 B", "HTTP/1.0 101 S"]),
        upgrade in prop::sample::select(vec!["Upgrade: websocket\r\n", "upgrade: WebSocket\r\n", "", "Upgrade: x\r\n"]),
        accepted in prop::sample::select(vec!["s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "x"]),
        chosen in prop::option::of(prop::sample::select(vec!["a", "b", "c", "a, b"])),
        extensions in prop::option::of(prop::sample::select(vec![
            "permessage-deflate", "permessage-deflate; server_max_window_bits=9", "permessage-deflate; client_max_window_bits",
            "permessage-deflate; client_max_window_bits=8; server_no_context_takeover", "x", "permessage-deflate, permessage-deflate",
            "permessage-deflate; unknown", ";", "permessage-deflate; server_max_window_bits=16",
        ])),
    ) {
        let mut text = format!("{status}\r\n{upgrade}Connection: Upgrade\r\nSec-WebSocket-Accept: {accepted}\r\n");
        if let Some(chosen) = chosen { text.push_str(&format!("Sec-WebSocket-Protocol: {chosen}\r\n")); }
        if let Some(extensions) = extensions { text.push_str(&format!("Sec-WebSocket-Extensions: {extensions}\r\n")); }
        text.push_str("\r\n");
        let asked = ClientRequest {
            host: "h", target: "/", key: *b"the sample nonce", subprotocols: &["a", "b"], headers: &[],
            deflate: Some(Offer::default()),
        };
        let mut bytes = Vec::new();
        let mut client = ClientHandshake::new(&asked, &mut bytes).expect("it can be asked");
        let sent = of_http1(Direction::ToServer, &bytes, Secrets::Hide);
        prop_assert_eq!(http1_bytes(&sent), bytes);
        let judged = client.handle_input(text.as_bytes());
        let found = check(Some(&sent), Some(&answer(&text)));
        let is_open = matches!(judged, Ok(Progress::Done(_)));
        prop_assert_eq!(broken(&found).is_empty(), is_open, "{:?} {}", judged, as_text(&found));
    }

    #[test]
    fn any_heads_are_judged(asked in prop::collection::vec(any::<u8>(), 0..120), answered in "[ -~\r\n]{0,120}") {
        let asked = of_http1(Direction::ToServer, &asked, Secrets::Hide);
        let answered = answer(&format!("HTTP/1.1 101 x\r\n{answered}"));
        let requirements = check(Some(&asked), Some(&answered));
        prop_assert!(requirements.iter().any(|it| it.outcome != Outcome::Noted));
        let _ = (as_text(&requirements), compression_in_words(&answered));
    }
}
