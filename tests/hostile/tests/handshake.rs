//! Handshakes that break a rule, come from a foreign page, or bring more than a handshake.

use std::time::Duration;

use tidegate_hostile::backend::{Backend, ok, write};
use tidegate_hostile::gate::Gate;
use tidegate_hostile::socket::{KEY, Received, Socket, TEXT, close_frame, frame, handshake};
use tidegate_hostile::wire::End;

/// What is changed in a right handshake, into what, and the status.
const RULES: &[(&str, &str, u16)] = &[
    ("GET /", "POST /", 405),
    ("GET /", "PUT /", 405),
    ("HTTP/1.1", "HTTP/1.0", 400),
    ("Sec-WebSocket-Version: 13\r\n", "", 426),
    ("Version: 13", "Version: 8", 426),
    ("Version: 13", "Version: 99", 426),
    ("Version: 13", "Version: 13, 8", 426),
    ("Version: 13", "Version: 777777777777777777777777", 426),
    ("Version: 13", "Version: 13\r\nSec-WebSocket-Version: 13", 400),
    ("Connection: Upgrade", "Connection: keep-alive", 400),
    ("Connection: Upgrade", "Connection: notupgrade", 400),
    ("Connection: Upgrade\r\n", "", 400),
    (KEY, "", 400),
    (KEY, "dGhlIHNhbXBsZSBub25jZQ", 400),
    (KEY, "AAAA", 400),
    (KEY, "dGhlIHNhbXBsZSBub25jZSBsb25nZXI=", 400),
    (KEY, "????????????????????????", 400),
    (KEY, "dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", 400),
    ("Host: localhost\r\n", "", 400),
    ("Host: localhost", "Host: localhost\r\nHost: localhost", 400),
    ("Host: localhost", "Host: localhost\r\nContent-Length: 5", 400),
    ("Host: localhost", "Host: localhost\r\nTransfer-Encoding: chunked", 400),
    // Right in unusual letters.
    (
        "Upgrade: websocket\r\nConnection: Upgrade",
        "UPGRADE: WebSocket\r\nconnection: keep-alive, UPGRADE",
        101,
    ),
    ("Host: localhost", "Host: LOCALHOST:8080", 101),
    ("Host: localhost", "Host: localhost\r\nContent-Length: 0", 101),
];

#[test]
fn each_rule_of_the_handshake_has_its_status() {
    let backend = Backend::answering("page");
    let gate = Gate::before(backend.address, "");
    for (part, changed, status) in RULES {
        let before = backend.asked().len();
        let request = handshake("/x", "").replacen(part, changed, 1);
        let mut wire = gate.connect();
        wire.send(&request);
        let answer = wire.answer();
        assert_eq!(answer.status, *status, "{changed:?}: {}", answer.text());
        if *status == 426 {
            assert_eq!(answer.header("sec-websocket-version"), Some("13"), "{changed:?}");
        }
        if *status != 101 {
            assert_eq!(backend.asked().len(), before, "{changed:?} is not the backend's matter");
        }
    }
}

/// Host headers and the statuses of a handshake on a loopback listener.
const HOSTS: &[(&str, u16)] = &[
    ("127.0.0.1", 101),
    ("127.0.0.1:8080", 101),
    ("[::1]:8080", 101),
    ("localhost.", 421),
    ("evil.example", 421),
    ("localhost.evil.example", 421),
    ("127.0.0.1.nip.io", 421),
    ("127.1", 421),
    ("2130706433", 421),
    ("0.0.0.0", 421),
    ("[::ffff:127.0.0.1]", 421),
    ("user@localhost", 400),
    ("localhost:99999", 400),
    ("localhost:x", 400),
    ("localhost/x", 400),
    ("localhost, evil.example", 400),
    ("local host", 400),
    ("\"localhost\"", 400),
    ("", 400),
    ("\u{e9}", 400),
];

#[test]
fn a_loopback_listener_answers_to_its_own_names_alone() {
    let gate = Gate::of_channels("");
    for (host, status) in HOSTS {
        let request = handshake("/x", "").replacen("Host: localhost", &format!("Host: {host}"), 1);
        let answer = gate.ask(request);
        assert_eq!(answer.status, *status, "{host:?}: {}", answer.text());
        let mut admin = tidegate_hostile::wire::Wire::connect(gate.admin);
        admin.send(format!("GET /live HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        let expected = if *status == 101 { 200 } else { *status };
        assert_eq!(admin.answer().status, expected, "{host:?} on the admin listener");
    }
}

/// Origins (`HOST` stands for the listener's own authority) and whether pages of them may connect.
const ORIGINS: &[(&str, bool)] = &[
    ("http://localhost:8080", true),
    ("HTTP://LOCALHOST:8080", true),
    ("https://app.example", true),
    ("https://APP.example", true),
    ("https://localhost:8080", false),
    ("http://localhost", false),
    ("http://localhost:80", false),
    ("http://localhost:8081", false),
    ("http://127.0.0.1:8080", false),
    ("http://app.example", false),
    ("https://app.example:443", false),
    ("https://app.example:444", false),
    ("https://app.example.evil.example", false),
    ("https://evilapp.example", false),
    ("https://evil.example/https://app.example", false),
    ("https://user@app.example", false),
    ("https://app.example/", false),
    ("https://app.example, https://evil.example", false),
    ("https://xn--app-example", false),
    ("https://app.example\u{200b}", false),
    ("null", false),
    ("", false),
    ("*", false),
    ("file://", false),
];

#[test]
fn pages_of_other_origins_stay_outside() {
    let gate = Gate::of_channels("");
    for (origin, may) in ORIGINS {
        let extra = format!("Origin: {origin}\r\nCookie: session=1\r\n");
        let request = handshake("/x", &extra).replacen("Host: localhost", "Host: localhost:8080", 1);
        assert_eq!(gate.ask(request).status, if *may { 101 } else { 403 }, "{origin:?} WebSocket");
        let mut wire = gate.connect();
        wire.send(format!(
            "GET /x HTTP/1.1\r\nHost: localhost:8080\r\nAccept: text/event-stream\r\n{extra}\r\n"
        ));
        assert_eq!(wire.answer().status, if *may { 200 } else { 403 }, "{origin:?} event stream");
    }
    let twice = "Origin: https://app.example\r\nOrigin: https://app.example\r\n";
    assert_eq!(gate.ask(handshake("/x", twice)).status, 403);
}

#[test]
fn a_cookie_counts_only_where_no_foreign_page_can_have_sent_it() {
    let backend = Backend::answering("page");
    let gate = Gate::before(backend.address, "");
    for (path, extra, counts) in [
        ("/program", "Cookie: sid=1\r\n", false),
        ("/foreign", "Cookie: sid=1\r\nSec-Fetch-Site: cross-site\r\n", false),
        ("/own", "Cookie: sid=1\r\nSec-Fetch-Site: same-origin\r\n", true),
        ("/listed", "Cookie: sid=1\r\nOrigin: https://app.example\r\n", true),
        ("/bearer", "Authorization: Bearer sid=1\r\n", true),
    ] {
        let _socket = Socket::open_with(gate.public, path, extra);
        let asked = backend.await_nth(&format!("GET {path} "), 1);
        assert_eq!(asked.head.contains("sid=1"), counts, "{path}: {}", asked.head);
    }
}

#[test]
fn lists_of_offers_are_bounded() {
    let gate = Gate::of_channels("");
    let many = "a, ".repeat(5000);
    let commas = ",".repeat(12_000);
    // A subprotocol may be as long as a credential.
    for (name, long) in [("Sec-WebSocket-Protocol", 8193), ("Sec-WebSocket-Extensions", 1025)] {
        let long = "x".repeat(long);
        for value in [many.as_str(), &commas, &"\"".repeat(1000), &"a;".repeat(800), &long] {
            let answer = gate.ask(handshake("/x", &format!("{name}: {value}\r\n")));
            assert_eq!(answer.status, 400, "{name}: {}", &value[..20]);
        }
    }
    for value in ["tidegate.v1 x", "tidegate.v1\u{e9}", "@", "a/b"] {
        let answer = gate.ask(handshake("/x", &format!("Sec-WebSocket-Protocol: {value}\r\n")));
        assert_eq!(answer.status, 400, "{value}");
    }
    let answer = gate.ask(handshake("/x", "Sec-WebSocket-Protocol: other, tidegate.v2\r\n"));
    assert_eq!((answer.status, answer.header("sec-websocket-protocol")), (101, None));
    let offer = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=99\r\n";
    let answer = gate.ask(handshake("/x", offer));
    assert_eq!((answer.status, answer.header("sec-websocket-extensions")), (101, None));
}

#[test]
fn frames_behind_a_handshake_are_heard_after_it() {
    let backend = Backend::start(|asked, stream| {
        let body = if asked.head.starts_with("POST") {
            format!("to {}", String::from_utf8_lossy(&asked.body))
        } else {
            "page".to_owned()
        };
        write(stream, ok(&body))
    });
    let gate = Gate::before(backend.address, "");
    let mut wire = gate.connect();
    let mut packet = handshake("/x", "").into_bytes();
    packet.extend(frame(TEXT, "early"));
    packet.extend(frame(0x01, "in ha"));
    wire.send(packet);
    assert_eq!(wire.answer().status, 101);
    let mut socket = Socket {
        answer: tidegate_hostile::wire::Answer { status: 101, head: String::new(), body: Vec::new() },
        wire,
    };
    // The document and the answer come from different requests to the backend: either may be first.
    let mut heard = [socket.next_text(), socket.next_text()];
    heard.sort();
    assert_eq!(heard, ["page", "to early"]);
    socket.send(frame(0x80, "lf"));
    assert_eq!(socket.next_text(), "to in half");
    socket.send(close_frame(1000, ""));
    assert_eq!(socket.await_code(), 1000);
}

#[test]
fn a_close_behind_a_handshake_is_answered() {
    let gate = Gate::of_channels("");
    let mut wire = gate.connect();
    let mut packet = handshake("/x", "").into_bytes();
    packet.extend(close_frame(4321, "already"));
    wire.send(packet);
    assert_eq!(wire.answer().status, 101);
    let (rest, end) = wire.rest();
    assert_eq!((&rest[..], end), (&[0x88, 2, 0x10, 0xE1][..], End::Closed));
    gate.await_empty();
}

#[test]
fn a_request_behind_a_refused_handshake_is_a_request_and_behind_a_good_one_a_broken_frame() {
    let backend = Backend::answering("page");
    let gate = Gate::before(backend.address, "");
    let smuggled = "GET /internal HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let mut wire = gate.connect();
    wire.send(format!("{}{smuggled}", handshake("/x", "")));
    assert_eq!(wire.answer().status, 101);
    let (rest, _) = wire.rest();
    assert!(rest.windows(4).any(|four| four[0] == 0x88 && four[2..] == 1002u16.to_be_bytes()), "{rest:?}");
    assert_eq!(backend.count("GET /internal"), 0);
    let mut wire = gate.connect();
    wire.send(format!("{}{smuggled}", handshake("/x", "").replace("Version: 13", "Version: 777")));
    assert_eq!((wire.answer().status, wire.answer().text()), (426, "page".to_owned()));
}

#[test]
fn a_client_that_leaves_during_its_handshake_leaves_nothing() {
    let (release, gated) = std::sync::mpsc::sync_channel::<()>(1);
    let gated = std::sync::Mutex::new(gated);
    let backend = Backend::start(move |asked, stream| {
        if asked.head.starts_with("GET /slow") {
            let _ = gated.lock().expect("nobody panics here").recv_timeout(Duration::from_secs(20));
        }
        write(stream, ok("page"))
    });
    let gate = Gate::before(backend.address, "");
    for leave in [|wire: tidegate_hostile::wire::Wire| drop(wire), tidegate_hostile::wire::Wire::reset] {
        let mut wire = gate.connect();
        wire.send(handshake("/slow", ""));
        let _ = backend.await_nth("GET /slow", 1);
        leave(wire);
    }
    release.send(()).expect("the backend waits");
    let mut socket = Socket::open(gate.public, "/slow");
    assert_eq!(socket.receive(), Received::Text("page".to_owned()));
    drop(socket);
    gate.await_empty();
}
