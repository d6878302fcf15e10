//! Requests that are too long, too slow, ambiguous or no requests at all. The status that the limits name,
//! and never a second request that the client did not send in so many words.

use std::time::{Duration, Instant};

use tidegate_hostile::backend::{Backend, ok, write};
use tidegate_hostile::canary::Canary;
use tidegate_hostile::gate::Gate;
use tidegate_hostile::socket::{Received, Socket, handshake};
use tidegate_hostile::wire::{End, Wire};

const HOST: &str = "Host: localhost\r\n";

/// Headers `X-0` to the `count - 2`th, so that with Host there are `count`.
fn with_headers(count: usize) -> String {
    let headers: String = (1..count).map(|number| format!("X-{number}: 1\r\n")).collect();
    format!("GET /x HTTP/1.1\r\n{HOST}{headers}\r\n")
}

fn with_target(length: usize) -> String {
    format!("GET /{} HTTP/1.1\r\n{HOST}\r\n", "x".repeat(length - 1))
}

fn with_header_of(bytes: usize) -> String {
    format!("GET /x HTTP/1.1\r\n{HOST}X: {}\r\n\r\n", "x".repeat(bytes))
}

#[test]
fn what_is_too_long_is_refused_with_its_status() {
    let gate = Gate::before(Backend::answering("page").address, "");
    for (request, status) in [
        (with_headers(64), 200),
        (with_headers(65), 431),
        (with_headers(2000), 431),
        (with_target(4096), 200),
        (with_target(4097), 414),
        (with_header_of(15_000), 200),
        (with_header_of(17_000), 431),
        (handshake("/x", &format!("X: {}\r\n", "x".repeat(17_000))), 431),
        (handshake("/x", &"X: 1\r\n".repeat(70)), 431),
        (handshake(&format!("/{}", "x".repeat(4096)), ""), 414),
    ] {
        let answer = gate.ask(&request);
        assert_eq!(answer.status, status, "{}: {}", &request[..60.min(request.len())], answer.text());
    }
}

#[test]
fn a_header_without_end_is_cut_off_early() {
    let gate = Gate::of_channels("");
    let canary = Canary::watch(&gate);
    for chunk in [1, 64 * 1024] {
        let mut wire = gate.connect();
        wire.send(format!("GET / HTTP/1.1\r\n{HOST}X: "));
        let mut sent = 0;
        while sent < 20 << 20 && wire.send("x".repeat(chunk)) {
            sent += chunk;
        }
        assert!(sent < 8 << 20, "{sent} bytes of a header were taken");
        if chunk == 1 {
            assert_eq!(wire.answer().status, 431);
        }
    }
    canary.finish();
}

#[test]
fn a_head_has_its_time_counted_from_its_first_byte() {
    let gate = Gate::of_channels("http_header_timeout = \"300ms\"");
    // One byte at a time does not begin it anew.
    let mut wire = gate.connect();
    let begun = Instant::now();
    let mut head = format!("GET /x HTTP/1.1\r\n{HOST}X: ").into_bytes();
    head.resize(10_000, b'x');
    let mut taken = 0;
    for byte in head.chunks(1) {
        if !wire.send(byte) || !wire.is_silent_for(Duration::from_millis(20)) {
            break;
        }
        taken += 1;
    }
    assert!(taken < 200 && begun.elapsed() < Duration::from_secs(5), "{taken} bytes");
    let answer = wire.answer();
    assert_eq!((answer.status, answer.header("connection")), (408, Some("close")));
    assert_eq!(wire.rest().0, b"");
    // Who says nothing at all is closed without a word.
    let mut silent = gate.connect();
    assert_eq!(silent.rest(), (Vec::new(), End::Closed));
}

#[test]
fn an_idle_connection_is_kept_longer_than_a_head_may_take() {
    let limits = "http_header_timeout = \"100ms\"\nhttp_keepalive_idle = \"1s\"";
    let gate = Gate::before(Backend::answering("page").address, limits);
    let mut wire = gate.connect();
    wire.send(format!("GET /x HTTP/1.1\r\n{HOST}\r\n"));
    assert_eq!(wire.answer().status, 200);
    let idle = wire.await_end();
    assert!(idle > Duration::from_millis(700) && idle < Duration::from_secs(5), "{idle:?}");
}

#[test]
fn a_head_in_single_bytes_is_a_head() {
    let gate = Gate::before(Backend::answering("page").address, "");
    let mut wire = gate.connect();
    for byte in with_header_of(2_000).as_bytes().chunks(1) {
        wire.send(byte);
    }
    assert_eq!(wire.answer().status, 200);
}

#[test]
fn a_body_that_pauses_too_long_is_given_up() {
    let backend = Backend::answering("page");
    let gate = Gate::before(backend.address, "http_body_timeout = \"200ms\"");
    let mut wire = gate.connect();
    wire.send(format!("POST /slow HTTP/1.1\r\n{HOST}Content-Length: 5\r\n\r\nab"));
    assert_eq!(wire.answer().status, 408);
    assert_eq!(backend.count("POST"), 0, "it never had a whole request");
    let (answer, _) = publish_slowly(&gate);
    assert_eq!(answer, 408);
}

fn publish_slowly(gate: &Gate) -> (u16, String) {
    let answer = gate.admin_with("POST", "/channels/canary/9", "Content-Length: 5\r\n", b"ab");
    (answer.status, answer.text())
}

/// Bytes, the status of the answer (0: closed without one), whether the backend hears of it.
const FRAMING: &[(&str, u16, bool)] = &[
    // RFC 9112, section 6.3: chunks count, and the connection is closed after the answer.
    ("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 200, true),
    ("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n", 200, true),
    ("Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcd", 400, false),
    ("Content-Length: 4, 4\r\n\r\nabcd", 400, false),
    ("Content-Length: +4\r\n\r\nabcd", 400, false),
    ("Content-Length: -4\r\n\r\nabcd", 400, false),
    ("Content-Length: 0x4\r\n\r\nabcd", 400, false),
    ("Content-Length:\r\n\r\n", 400, false),
    ("Content-Length: 99999999999999999999\r\n\r\n", 400, false),
    ("Transfer-Encoding: identity\r\n\r\n", 400, false),
    ("Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 400, false),
    ("Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", 400, false),
    ("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n", 400, false),
    ("Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400, false),
    ("Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", 400, false),
    ("Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", 400, false),
    ("Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", 400, false),
    ("Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n", 400, false),
    ("X: a\r\n b\r\nContent-Length: 0\r\n\r\n", 400, false),
    ("X: a\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, false),
    ("X: a\0b\r\nContent-Length: 0\r\n\r\n", 400, false),
    (": x\r\nContent-Length: 0\r\n\r\n", 400, false),
    ("Transfer-Encoding: chunked\r\n\r\n0x5\r\nabcde\r\n0\r\n\r\n", 400, false),
    ("Transfer-Encoding: chunked\r\n\r\n-1\r\nabcde\r\n0\r\n\r\n", 400, false),
    ("Transfer-Encoding: chunked\r\n\r\n10000000000000005\r\nabcde\r\n0\r\n\r\n", 400, false),
    ("Transfer-Encoding: chunked\r\n\r\n5;a\nbcde\r\nabcde\r\n0\r\n\r\n", 400, false),
    ("Transfer-Encoding: chunked\r\n\r\n5\nabcde\n0\n\n", 400, false),
    ("Transfer-Encoding: chunked\r\n\r\n5\r\nabcdeXX0\r\n\r\n", 400, false),
    ("Host: localhost\r\nContent-Length: 0\r\n\r\n", 400, false),
];

#[test]
fn ambiguous_framing_never_makes_two_requests_of_one() {
    let backend = Backend::answering("page");
    let gate = Gate::before(backend.address, "");
    for (number, (rest, status, heard)) in FRAMING.iter().enumerate() {
        let before = backend.asked().len();
        let mut wire = gate.connect();
        wire.send(format!("POST /{number} HTTP/1.1\r\n{HOST}{rest}GET /smuggled HTTP/1.1\r\n{HOST}\r\n"));
        let answer = wire.try_answer();
        assert_eq!(answer.as_ref().map_or(0, |answer| answer.status), *status, "{rest:?}: {answer:?}");
        // What was ambiguous is the connection's last: the bytes behind it are nobody's request.
        if rest.starts_with("Host") {
            assert_eq!(wire.answer().status, 200, "only Host was wrong: the connection goes on");
        } else {
            let (after, _) = wire.rest();
            assert_eq!(String::from_utf8_lossy(&after), "", "{rest:?}");
            assert_eq!(backend.asked().len() - before, usize::from(*heard), "{rest:?}");
        }
    }
    assert_eq!(backend.count("GET /smuggled"), 1);
}

#[test]
fn transfer_encoding_on_http_1_0_is_refused() {
    let gate = Gate::before(Backend::answering("page").address, "");
    let request = format!("POST /p HTTP/1.0\r\n{HOST}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
    assert_eq!(gate.ask(request).status, 400);
}

#[test]
fn a_backend_gets_one_framing_made_anew() {
    let backend = Backend::answering("page");
    let gate = Gate::before(backend.address, "");
    let mut wire = gate.connect();
    wire.send(format!(
        "POST /p HTTP/1.1\r\n{HOST}Connection: close, X-Own\r\nX-Own: 1\r\nX_Forwarded_For: 1.2.3.4\r\n\
         X-Forwarded-For: 1.2.3.4\r\nTE: trailers\r\nTrailer: X-T\r\nUpgrade: h2c\r\nContent-Length: 3\r\n\
         Transfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\nContent-Length: 99\r\nX-T: 1\r\n\r\n"
    ));
    assert_eq!(wire.answer().status, 200);
    let asked = backend.await_nth("POST /p", 1);
    let head = asked.head.to_ascii_lowercase();
    for absent in ["content-length", "x-own", "x_forwarded", "1.2.3.4", "te: ", "trailer: ", "upgrade"] {
        assert!(!head.contains(&format!("\n{absent}")) && !head.contains("1.2.3.4"), "{absent} in {head}");
    }
    assert!(
        head.contains("transfer-encoding: chunked") && head.contains("x-forwarded-for: 127.0.0.1"),
        "{head}"
    );
    assert_eq!(asked.body, b"5\r\nabcde\r\n0\r\n\r\n", "no trailer goes on");
}

/// Target, status of GET, status of a handshake.
const TARGETS: &[(&str, u16, u16)] = &[
    ("/x", 200, 101),
    ("http://localhost/x", 200, 101),
    ("http://localhost", 200, 101),
    ("http://other/x", 400, 400),
    ("http://user@localhost/x", 400, 400),
    ("localhost:80", 400, 400),
    ("*", 404, 404),
    ("?x", 400, 400),
    ("x", 400, 400),
    ("\\x", 400, 400),
    ("/a b", 400, 400),
    ("/a\0b", 400, 400),
    ("/a\x1b[31m", 400, 400),
    ("/a?b\x7f", 400, 400),
    ("/%zz", 404, 404),
    ("/%", 404, 404),
    ("/../x", 404, 404),
    ("/%2e%2e/x", 404, 404),
    ("/a/%2E", 404, 404),
    // What only another server can judge passes on plain HTTP, as it came.
    ("//x", 200, 400),
    ("/a%00b", 200, 400),
    ("/a%0d%0ab", 200, 400),
    ("/a%1b[31m", 200, 400),
    ("/a%2fb", 200, 400),
    ("/%ff", 200, 400),
    ("/x?after=e:18446744073709551616", 200, 400),
    ("/x?after=%00%ff", 200, 400),
    ("/x?after=e:18446744073709551615", 200, 101),
];

#[test]
fn a_target_has_one_meaning() {
    let backend = Backend::answering("page");
    let gate = Gate::before(backend.address, "");
    for (target, get, open) in TARGETS {
        let before = backend.asked().len();
        assert_eq!(gate.get(target).status, *get, "GET {target:?}");
        if *get == 200 {
            let path = target.strip_prefix("http://localhost").unwrap_or(target);
            let path = if path.is_empty() { "/" } else { path };
            assert_eq!(backend.asked()[before].head.split(' ').nth(1), Some(path), "what is passed on");
        } else {
            assert_eq!(backend.asked().len(), before, "{target:?}");
        }
        assert_eq!(gate.ask(handshake(target, "")).status, *open, "handshake {target:?}");
    }
}

#[test]
fn methods_that_are_not_for_a_gateway_are_refused() {
    let backend = Backend::answering("page");
    let gate = Gate::before(backend.address, "");
    for (line, status) in [
        ("CONNECT /x HTTP/1.1", 405),
        ("CONNECT localhost HTTP/1.1", 404),
        ("TRACE /x HTTP/1.1", 405),
        ("OPTIONS * HTTP/1.1", 404),
        ("PRI * HTTP/2.0", 400),
        ("GET /x HTTP/1.2", 400),
        ("GET /x HTTP/3.0", 400),
        ("GET /x", 400),
        ("G=T /x HTTP/1.1", 400),
    ] {
        assert_eq!(gate.ask(format!("{line}\r\n{HOST}\r\n")).status, status, "{line}");
    }
    assert_eq!(backend.asked().len(), 0);
}

#[test]
fn a_request_that_comes_back_again_and_again_is_a_loop() {
    let gate = Gate::before(Backend::answering("page").address, "");
    let via = "Via: 1.1 tidegate\r\n".repeat(10);
    assert_eq!(gate.ask(format!("GET /x HTTP/1.1\r\n{HOST}{via}\r\n")).status, 508);
}

#[test]
fn other_protocols_end_soon() {
    let gate = Gate::of_channels("http_header_timeout = \"300ms\"");
    let mut tls = vec![0x16, 3, 1, 0, 0xF5, 1, 0, 0, 0xF1, 3, 3];
    tls.extend([7; 200]);
    for hello in [
        &tls[..],
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSSH",
        b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n",
        b"\0\0\0\0\0\0\0\0",
        b"\r\n\r\n\r\n\r\n",
        &[0xFF; 1000],
    ] {
        let mut wire = gate.connect();
        wire.send(hello);
        let (said, _) = wire.rest();
        let status = String::from_utf8_lossy(&said[..said.len().min(12)]).into_owned();
        assert!(matches!(&*status, "" | "HTTP/1.1 400" | "HTTP/1.1 408"), "{status}");
    }
}

#[test]
fn a_thousand_requests_at_once_are_served_one_by_one() {
    let backend = Backend::answering("page");
    let gate = Gate::before(backend.address, "http_max_requests_per_conn = 500");
    let mut wire = gate.connect();
    let request = format!("GET /x HTTP/1.1\r\n{HOST}\r\n");
    wire.send(request.repeat(1000));
    for number in 1..=500 {
        let answer = wire.answer();
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("connection") == Some("close"), number == 500, "{number}");
    }
    assert_eq!(wire.rest().0, b"");
    assert_eq!(backend.asked().len(), 500);
}

#[test]
fn a_publication_that_is_too_large_is_refused_before_it_is_read() {
    let gate = Gate::of_channels("");
    let large = [
        ("Content-Length: 1048577\r\n", ""),
        ("Content-Length: 10737418240\r\n", "Expect: 100-continue\r\n"),
    ];
    for (length, expect) in large {
        let mut wire = Wire::connect(gate.admin);
        let token = tidegate_hostile::gate::TOKEN;
        wire.send(format!(
            "POST /channels/x HTTP/1.1\r\n{HOST}Authorization: Bearer {token}\r\n{length}{expect}\r\n"
        ));
        let answer = wire.answer();
        assert_eq!(answer.status, 413, "{}", answer.text());
        assert!(answer.text().contains("publish_max_body"));
    }
    let endless = gate.admin_with("POST", "/channels/x", "Transfer-Encoding: chunked\r\n", &{
        let chunk = [&b"10000\r\n"[..], &[b'x'; 0x10000], b"\r\n"].concat();
        chunk.repeat(20)
    });
    assert_eq!(endless.status, 413);
    assert_eq!(gate.publish("x", vec![b'x'; 1 << 20]).status, 202, "just what may be");
}

#[test]
fn a_connection_serves_on_after_a_refused_handshake() {
    let gate = Gate::before(Backend::answering("page").address, "");
    let mut wire = gate.connect();
    wire.send(handshake("/x", "Origin: https://evil.example\r\n"));
    assert_eq!(wire.answer().status, 403);
    wire.send(format!("GET /x HTTP/1.1\r\n{HOST}\r\n"));
    assert_eq!(wire.answer().text(), "page");
    let mut socket = Socket::over(wire, "/x", "");
    assert_eq!(socket.receive(), Received::Text("page".to_owned()));
}

#[test]
fn what_a_backend_answers_cannot_desync_a_client() {
    let backend = Backend::start(|asked, stream| {
        let answer = match asked.head.split(' ').nth(1) {
            Some("/101") => "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nHTTP/1.1 200 OK\r\n\r\n".to_owned(),
            Some("/both") => "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nA\r\n0123456789\r\n0\r\n\r\n".to_owned(),
            Some("/twice") => "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd".to_owned(),
            Some("/more") => "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwrong".to_owned(),
            Some("/204") => "HTTP/1.1 204 No Content\r\nContent-Length: 3\r\n\r\nabc".to_owned(),
            Some("/garbage") => "SSH-2.0-OpenSSH_9.2\r\n".to_owned(),
            Some("/fields") => format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: 1\r\n".repeat(50_000)),
            Some("/interim") => "HTTP/1.1 100 Continue\r\n\r\n".repeat(3) + &ok("late"),
            _ => ok("right"),
        };
        write(stream, answer)
    });
    let gate = Gate::before(backend.address, "");
    for (target, status, body) in [
        ("/101", 502, None),
        ("/both", 200, None),
        ("/twice", 502, None),
        ("/more", 200, Some("abc")),
        ("/204", 204, Some("")),
        ("/garbage", 502, None),
        ("/fields", 502, None),
        ("/interim", 200, Some("late")),
    ] {
        let mut wire = gate.connect();
        wire.send(format!("GET {target} HTTP/1.1\r\n{HOST}\r\n"));
        let answer = wire.answer();
        assert_eq!(answer.status, status, "{target}: {}", answer.text());
        if let Some(body) = body {
            assert_eq!(answer.text(), body, "{target}");
        }
        for _ in 0..3 {
            assert_eq!(gate.get("/next").text(), "right", "after {target}");
        }
    }
}

#[test]
fn an_answer_that_breaks_off_is_never_passed_for_whole() {
    let backend = Backend::start(|asked, stream| {
        let answer = if asked.head.starts_with("GET /length") {
            "HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\n0123"
        } else {
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nA\r\n0123456789\r\n"
        };
        write(stream, answer);
        false
    });
    let gate = Gate::before(backend.address, "");
    for target in ["/length", "/chunks"] {
        let mut wire = gate.connect();
        wire.send(format!("GET {target} HTTP/1.1\r\n{HOST}\r\n"));
        let (said, _) = wire.rest();
        let said = String::from_utf8_lossy(&said).into_owned();
        let whole = said.ends_with("\r\n0\r\n\r\n")
            || target == "/length" && said.len() > 30 + said.find("\r\n\r\n").unwrap_or(0);
        assert!(said.starts_with("HTTP/1.1 502") || !whole, "{said}");
    }
}
