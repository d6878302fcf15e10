//! Ordinary HTTP through the gateway: what a client sends reaches the backend and what the backend answers comes
//! back, streamed and unchanged, but for what HTTP itself wants changed on the way.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use tidegate_end_to_end::backend::{Backend, Gate, Reply};
use tidegate_end_to_end::deadline::Deadline;
use tidegate_end_to_end::gateway::Gateway;
use tidegate_end_to_end::http::{Incoming, Request};
use tidegate_end_to_end::stream::Stream;
use tidegate_end_to_end::websocket::Dial;

/// Bytes of the large bodies.
const LARGE: usize = 50 * 1024 * 1024;

/// Bytes in one write of them.
const PIECE: usize = 256 * 1024;

/// Large bodies repeat this many bytes, which no power of two divides: a piece that is lost, doubled or moved
/// shows.
const PERIOD: usize = 251;

/// `length` bytes from `from` on of a large body; at most a piece of it.
fn large(from: usize, length: usize) -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    let cycle = || (0..PIECE + PERIOD).map(|place| u8::try_from(place % PERIOD).unwrap_or(0)).collect();
    let begin = from % PERIOD;
    &BYTES.get_or_init(cycle)[begin..begin + length]
}

/// Whether `bytes` are what stands at `from` of a large body.
fn is_large(bytes: &[u8], from: usize) -> bool {
    let mut pieces = bytes.chunks(PIECE).enumerate();
    pieces.all(|(number, piece)| piece == large(from + number * PIECE, piece.len()))
}

fn connect(gateway: &Gateway) -> Stream {
    Stream::connect(gateway.public()).expect("the gateway listens")
}

#[test]
fn answers_come_back_as_they_are() {
    let backend = Backend::start(|asked| {
        let reply = Reply::ok(format!("{} {}", asked.method, asked.target)).header("X-Own", "kept");
        match asked.target.as_str() {
            "/404" => Reply::status(404).body("not here").header("X-Own", "kept"),
            "/500" => Reply::status(500).body("broken").header("X-Own", "kept"),
            "/204" => Reply::status(204).header("X-Own", "kept"),
            "/302" => Reply::status(302).header("Location", "/elsewhere").header("X-Own", "kept"),
            "/401" => Reply::status(401).header("WWW-Authenticate", "Basic").header("X-Own", "kept"),
            "/cookies" => reply.header("Set-Cookie", "a=1").header("Set-Cookie", "b=2"),
            _ => reply,
        }
    });
    let gateway = Gateway::before(&backend.url(), &[]);
    for (target, status, body) in [
        ("/404", 404, "not here"),
        ("/500", 500, "broken"),
        ("/204", 204, ""),
        ("/302", 302, ""),
        ("/401", 401, ""),
        ("/", 200, "GET /"),
        ("/a%2Fb/%41?x=%20&after=1&token=t", 200, "GET /a%2Fb/%41?x=%20&after=1&token=t"),
    ] {
        let through = Request::get(target).send(gateway.public());
        assert_eq!((through.status, through.text().as_str()), (status, body), "{target}");
        assert_eq!(through.headers.get("x-own"), Some("kept"));
        let direct = Request::get(target).send(backend.address());
        for name in ["location", "www-authenticate", "content-length"] {
            assert_eq!(through.headers.get(name), direct.headers.get(name), "{name} of {target}");
        }
    }
    let cookies = Request::get("/cookies").send(gateway.public());
    assert_eq!(cookies.headers.all("set-cookie").collect::<Vec<_>>(), ["a=1", "b=2"]);
    for method in ["PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND"] {
        let answer = Request::new(method, "/any").send(gateway.public());
        assert_eq!((answer.status, answer.text()), (200, format!("{method} /any")));
    }
}

#[test]
fn a_head_keeps_its_length_and_has_no_body() {
    let backend = Backend::start(|_| Reply::ok("twelve bytes"));
    let gateway = Gateway::before(&backend.url(), &[]);
    let head = Request::new("HEAD", "/x").begin(connect(&gateway)).expect("an answer");
    assert_eq!(head.headers.get("content-length"), Some("12"));
    let (_, stream) = head.whole_and_stream().expect("no body");
    // The connection can only serve on if nothing of a body was sent.
    let next = Request::get("/x").begin(stream).and_then(Incoming::whole).expect("an answer");
    assert_eq!(next.text(), "twelve bytes");
    assert_eq!(backend.asked("/x")[0].method, "HEAD");
}

#[test]
fn what_concerns_one_connection_stays_on_it() {
    let backend = Backend::start(|_| {
        Reply::ok("x")
            .header("Connection", "X-Hop")
            .header("X-Hop", "1")
            .header("Keep-Alive", "timeout=5")
            .header("Proxy-Authenticate", "Basic")
            .header("X-End", "1")
    });
    let gateway = Gateway::before(&backend.url(), &[]);
    let answer = Request::get("/x")
        .header("Connection", "X-Mine, keep-alive")
        .header("X-Mine", "1")
        .header("Keep-Alive", "timeout=5")
        .header("TE", "trailers")
        .header("Upgrade", "h2c")
        .header("Proxy-Connection", "keep-alive")
        .header("X_Forwarded_For", "10.0.0.1")
        .header("Accept-Encoding", "br")
        .header("Cookie", "a=1; b=2")
        .send(gateway.public());
    for absent in ["x-hop", "keep-alive", "proxy-authenticate"] {
        assert_eq!(answer.headers.get(absent), None, "{absent} of the answer");
    }
    assert_eq!(answer.headers.get("x-end"), Some("1"));
    let asked = &backend.asked("/x")[0];
    for absent in ["x-mine", "keep-alive", "te", "upgrade", "proxy-connection", "x_forwarded_for"] {
        assert_eq!(asked.header(absent), None, "{absent} of the request");
    }
    assert_eq!((asked.header("accept-encoding"), asked.header("cookie")), (Some("br"), Some("a=1; b=2")));
}

#[test]
fn the_backend_learns_who_asked_for_which_host_and_how() {
    let backend = Backend::start(|_| Reply::ok("x"));
    let gateway = Gateway::before(&backend.url(), &[]);
    let host = format!("localhost:{}", gateway.public().port());
    Request::get("/x")
        .header("Host", &host)
        .header("X-Forwarded-For", "10.0.0.1")
        .header("X-Forwarded-Proto", "https")
        .header("Forwarded", "for=10.0.0.1")
        .header("Via", "1.0 before")
        .send(gateway.public());
    let asked = &backend.asked("/x")[0];
    assert_eq!(asked.header("host"), Some(host.as_str()), "as it would be without the gateway");
    assert_eq!(asked.header("x-forwarded-for"), Some("127.0.0.1"), "a client cannot speak for another");
    assert_eq!(asked.header("x-forwarded-host"), Some(host.as_str()));
    assert_eq!(asked.header("x-forwarded-proto"), Some("http"));
    let forwarded = format!("for=127.0.0.1;host=\"{host}\";proto=http");
    assert_eq!(asked.header("forwarded"), Some(forwarded.as_str()));
    assert_eq!(asked.header("via"), Some("1.0 before, 1.1 tidegate"));
}

#[test]
fn a_trusted_proxy_speaks_for_its_clients() {
    let backend = Backend::start(|_| Reply::ok("x"));
    let proxies = "[access]\ntrusted_proxies = [\"127.0.0.1\"]\n";
    let gateway = Gateway::before_configured(&backend.url(), &[], proxies);
    Request::get("/x")
        .header("Host", "app.example")
        .header("X-Forwarded-For", "192.0.2.7")
        .header("X-Forwarded-Proto", "https")
        .send(gateway.public());
    let asked = &backend.asked("/x")[0];
    assert_eq!(asked.header("x-forwarded-for"), Some("192.0.2.7, 127.0.0.1"));
    assert_eq!(asked.header("x-forwarded-proto"), Some("https"));
    assert_eq!(asked.header("host"), Some("app.example"));
}

#[test]
fn connections_are_kept_on_both_sides() {
    let ports: Arc<Mutex<Vec<u16>>> = Arc::default();
    let seen = Arc::clone(&ports);
    let backend = Backend::exchanging(move |exchange| {
        seen.lock().unwrap().push(exchange.stream.peer()?.port());
        exchange.reply(&Reply::ok("x")).map(Some)
    });
    // One shard: each has connections of its own.
    let gateway = Gateway::before(&backend.url(), &["--shards", "1"]);
    let mut stream = connect(&gateway);
    for _ in 0..5 {
        let answer = Request::get("/x").begin(stream).expect("an answer");
        let whole;
        (whole, stream) = answer.whole_and_stream().expect("the whole answer");
        assert_eq!(whole.text(), "x");
    }
    let ports = ports.lock().unwrap();
    assert_eq!(ports.len(), 5);
    assert!(ports.iter().all(|port| *port == ports[0]), "the backend saw {ports:?}");
}

#[test]
fn a_download_of_50_mb_is_streamed() {
    let gate = Gate::default();
    let held = gate.clone();
    let backend = Backend::exchanging(move |mut exchange| {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {LARGE}\r\n\r\n");
        exchange.stream.send(head.as_bytes())?;
        exchange.stream.send(large(0, PIECE))?;
        // The rest exists only after the client has seen the beginning.
        held.pass();
        (PIECE..LARGE).step_by(PIECE).try_for_each(|from| exchange.stream.send(large(from, PIECE)))?;
        Ok(Some(exchange.stream))
    });
    let gateway = Gateway::before(&backend.url(), &[]);
    let mut answer = Request::get("/x").begin(connect(&gateway)).expect("an answer");
    assert_eq!(answer.headers.get("content-length"), Some(LARGE.to_string().as_str()));
    let mut length = 0;
    while let Some(piece) = answer.piece().expect("the whole body") {
        assert!(is_large(&piece, length), "a piece at {length} is wrong");
        length += piece.len();
        gate.open();
    }
    assert_eq!(length, LARGE);
}

#[test]
fn an_upload_of_50_mb_is_streamed_with_a_length_and_in_chunks() {
    for chunked in [false, true] {
        let gate = Gate::default();
        let held = gate.clone();
        let backend = Backend::exchanging(move |mut exchange| {
            let mut length = 0;
            let mut right = true;
            while let Some(piece) = exchange.body.piece(&mut exchange.stream, Deadline::of_patience())? {
                right &= is_large(&piece, length);
                length += piece.len();
                held.open();
            }
            exchange.reply(&Reply::ok(format!("{length} {right}"))).map(Some)
        });
        let gateway = Gateway::before(&backend.url(), &[]);
        let mut stream = connect(&gateway);
        let request = Request::new("POST", "/x");
        let request = match chunked {
            true => request.header("Transfer-Encoding", "chunked"),
            false => request.header("Content-Length", LARGE),
        };
        stream.send(&request.bytes("localhost")).expect("the head is taken");
        let mut send = |from: usize| {
            let piece = large(from, PIECE);
            let frame = if chunked { (format!("{PIECE:x}\r\n"), "\r\n") } else { (String::new(), "") };
            stream.send(frame.0.as_bytes())?;
            stream.send(piece)?;
            stream.send(frame.1.as_bytes())
        };
        send(0).expect("the first piece is taken");
        // The rest is sent only after the backend has seen the beginning.
        gate.pass();
        (PIECE..LARGE).step_by(PIECE).try_for_each(&mut send).expect("the rest is taken");
        if chunked {
            stream.send(b"0\r\n\r\n").expect("the end is taken");
        }
        let answer = Incoming::read(stream, false).and_then(Incoming::whole).expect("an answer");
        assert_eq!(answer.text(), format!("{LARGE} true"), "chunked: {chunked}");
    }
}

#[test]
fn who_waits_for_100_continue_gets_it() {
    let backend = Backend::start(|asked| Reply::ok(asked.text()));
    let gateway = Gateway::before(&backend.url(), &[]);
    let mut stream = connect(&gateway);
    let request = Request::new("POST", "/x").header("Content-Length", 5).header("Expect", "100-continue");
    stream.send(&request.bytes("localhost")).expect("the head is taken");
    let line = stream.line(Deadline::of_patience()).expect("an interim answer");
    assert_eq!(line.as_deref(), Some("HTTP/1.1 100 Continue"));
    stream.send(b"hello").expect("the body is taken");
    assert_eq!(stream.line(Deadline::of_patience()).expect("its end").as_deref(), Some(""));
    let answer = Incoming::read(stream, false).and_then(Incoming::whole).expect("an answer");
    assert_eq!(answer.text(), "hello");
}

#[test]
fn an_answer_before_the_end_of_the_upload_comes_at_once() {
    let backend = Backend::exchanging(|exchange| {
        exchange.reply(&Reply::status(413).body("too large").header("Connection", "close")).map(|_| None)
    });
    let gateway = Gateway::before(&backend.url(), &[]);
    let mut stream = connect(&gateway);
    let request = Request::new("POST", "/x").header("Content-Length", LARGE);
    stream.send(&request.bytes("localhost")).expect("the head is taken");
    stream.send(large(0, 1000)).expect("the first bytes are taken");
    let answer = Incoming::read(stream, false).and_then(Incoming::whole).expect("an answer");
    assert_eq!((answer.status, answer.text().as_str()), (413, "too large"));
}

/// An address where nobody listens.
fn nobody() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port")
}

#[test]
fn a_backend_that_is_not_there_is_a_502_with_a_sentence() {
    let address = nobody();
    let gateway = Gateway::before(&format!("http://{address}"), &[]);
    let answer = Request::get("/x").send(gateway.public());
    assert_eq!(answer.status, 502);
    let sentence = answer.text();
    assert!(
        sentence.contains(&address.to_string()) && sentence.contains("is the server running?"),
        "{sentence}"
    );
    let handshake = Dial::new(gateway.public(), "/x").refused();
    assert_eq!((handshake.status, handshake.text()), (502, sentence));
}

#[test]
fn a_backend_that_says_nothing_is_a_504_with_a_sentence() {
    let backend = Backend::exchanging(|mut exchange| {
        // Nothing is said until the gateway gives up.
        exchange.stream.fill(Deadline::of_patience()).map(|_| None)
    });
    let limits = "[limits]\nupstream_first_byte = \"200ms\"\n";
    let gateway = Gateway::before_configured(&backend.url(), &[], limits);
    let answer = Request::get("/x").send(gateway.public());
    assert_eq!(answer.status, 504);
    assert!(answer.text().contains("did not begin to answer within 200ms"), "{}", answer.text());
    let handshake = Dial::new(gateway.public(), "/x").refused();
    assert_eq!((handshake.status, handshake.text()), (504, answer.text()));
}

#[test]
fn an_answer_that_is_none_is_a_502() {
    for nonsense in ["no HTTP at all\r\n\r\n", "HTTP/1.1 2 0 0\r\n\r\n", ""] {
        let backend =
            Backend::exchanging(|mut exchange| exchange.stream.send(nonsense.as_bytes()).map(|()| None));
        let gateway = Gateway::before(&backend.url(), &[]);
        let answer = Request::get("/x").send(gateway.public());
        assert_eq!(answer.status, 502, "{nonsense:?}");
        assert!(answer.text().contains("gave no valid answer"), "{}", answer.text());
    }
}

#[test]
fn a_body_that_is_cut_short_is_cut_short_for_the_client_too() {
    for framing in
        ["Content-Length: 100\r\n\r\nten bytes.", "Transfer-Encoding: chunked\r\n\r\na\r\nten bytes.\r\n"]
    {
        let text = format!("HTTP/1.1 200 OK\r\n{framing}");
        let backend =
            Backend::exchanging(move |mut exchange| exchange.stream.send(text.as_bytes()).map(|()| None));
        let gateway = Gateway::before(&backend.url(), &[]);
        let mut answer = Request::get("/x").begin(connect(&gateway)).expect("a head");
        assert_eq!(answer.status, 200);
        let mut came = Vec::new();
        let end = loop {
            match answer.piece() {
                Ok(Some(piece)) => came.extend(piece),
                end => break end,
            }
        };
        let error = end.expect_err("half an answer must not look whole");
        assert!(
            matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset),
            "{error}"
        );
        assert_eq!(came, b"ten bytes.");
    }
}

#[test]
fn a_gateway_before_itself_is_found_out() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("its address");
    drop(taken);
    let own = address.to_string();
    let gateway = Gateway::before(&format!("http://{own}"), &["--listen", &own]);
    let answer = Request::get("/x").send(address);
    assert_eq!(answer.status, 508, "{}", answer.text());
    drop(gateway);
}

#[test]
fn a_backend_that_ends_kept_connections_without_a_word_is_no_trouble() {
    let backend = Backend::exchanging(|exchange| exchange.reply(&Reply::ok("x")).map(|_| None));
    let gateway = Gateway::before(&backend.url(), &["--shards", "1"]);
    for number in 0..30 {
        let answer = Request::get("/x").send(gateway.public());
        assert_eq!((answer.status, answer.text().as_str()), (200, "x"), "request {number}");
    }
}

#[test]
fn a_body_may_take_longer_than_the_time_for_whole_answers() {
    let gate = Gate::default();
    let held = gate.clone();
    let backend = Backend::exchanging(move |mut exchange| {
        exchange.stream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf")?;
        held.pass();
        exchange.stream.send(b"rest").map(|()| None)
    });
    let limits = "[limits]\nupstream_connect_timeout = \"100ms\"\nupstream_first_byte = \"200ms\"\n\
                  upstream_total = \"200ms\"\n";
    let gateway = Gateway::before_configured(&backend.url(), &[], limits);
    let mut answer = Request::get("/x").begin(connect(&gateway)).expect("a head");
    assert_eq!(answer.piece().expect("the first half").as_deref(), Some(b"half".as_slice()));
    let pause = answer.piece_by(Deadline::after(Duration::from_millis(600)));
    assert_eq!(pause.expect_err("nothing is sent meanwhile").kind(), io::ErrorKind::TimedOut);
    gate.open();
    assert_eq!(answer.piece().expect("the second half").as_deref(), Some(b"rest".as_slice()));
}

#[test]
fn a_client_of_http_1_0_gets_what_it_can_read() {
    let backend = Backend::exchanging(|mut exchange| {
        let text = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n";
        exchange.stream.send(text).map(|()| Some(exchange.stream))
    });
    let gateway = Gateway::before(&backend.url(), &[]);
    let mut stream = connect(&gateway);
    stream.send(b"GET /x HTTP/1.0\r\nHost: localhost\r\n\r\n").expect("it is taken");
    let answer = Incoming::read(stream, false).expect("a head");
    assert_eq!(answer.headers.get("transfer-encoding"), None);
    assert_eq!(answer.whole().expect("the whole").text(), "onetwo");
}
