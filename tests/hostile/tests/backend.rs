//! Servers behind the gateway that are absent, silent, slow, endless or mad: the client gets the status
//! that says so, and what stays open recovers.

use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use tidegate_hostile::backend::{Asked, Backend, await_gone, ok, write};
use tidegate_hostile::canary::Canary;
use tidegate_hostile::gate::Gate;
use tidegate_hostile::log;
use tidegate_hostile::socket::{Received, Socket, handshake};

/// Small, so that what is slow is soon too slow.
const LIMITS: &str = "upstream_connect_timeout = \"300ms\"\nupstream_first_byte = \"500ms\"\n\
    upstream_total = \"1s\"\nupstream_stream_idle = \"1s\"\nupstream_max_response = \"64 KiB\"\n\
    max_publication = \"64 KiB\"\nupstream_max_line = \"4 KiB\"";

/// An address where nobody listens.
fn nowhere() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").expect("a port")
}

/// Statuses of a plain GET, of a handshake and of an event stream.
fn statuses(gate: &Gate, target: &str) -> [u16; 3] {
    let stream = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n");
    [gate.get(target).status, gate.ask(handshake(target, "")).status, gate.ask(stream).status]
}

fn misbehave(asked: &Asked, stream: &mut TcpStream) -> bool {
    let drip = |stream: &mut TcpStream| {
        // Progress all the time and never done; ends when the gateway gives up.
        while write(stream, "x") {
            std::thread::park_timeout(Duration::from_millis(20));
        }
        false
    };
    match asked.head.split(' ').nth(1).unwrap_or_default() {
        "/silent" => {
            await_gone(stream);
            false
        }
        "/head-drips" => write(stream, "HTTP/1.1 200 OK\r\nX: ") && drip(stream),
        "/body-drips" => write(stream, "HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n") && drip(stream),
        "/large" => {
            write(stream, "HTTP/1.1 200 OK\r\nContent-Length: 104857600\r\n\r\n");
            let part = [b'x'; 1 << 16];
            (0..1600).all(|_| write(stream, part))
        }
        "/endless" => {
            write(stream, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
            let part = [b"10000\r\n".to_vec(), vec![b'x'; 1 << 16], b"\r\n".to_vec()].concat();
            while write(stream, &part) {}
            false
        }
        "/head-endless" => {
            write(stream, "HTTP/1.1 200 OK\r\n");
            while write(stream, "X: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n".repeat(100)) {}
            false
        }
        "/short" => {
            write(stream, "HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\n0123");
            false
        }
        "/garbage" => write(stream, [0xFFu8; 4096]),
        "/nothing" => false,
        "/500" => write(stream, "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 4\r\n\r\noops"),
        "/404" => write(stream, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"),
        "/encoded" => {
            write(stream, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nxx")
        }
        "/elsewhere" => write(
            stream,
            "HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n",
        ),
        "/101" => write(
            stream,
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
        ),
        _ => write(stream, ok("page")),
    }
}

#[test]
fn each_failure_of_a_backend_has_its_status() {
    let backend = Backend::start(misbehave);
    let gate = Gate::before(backend.address, LIMITS);
    let canary = Canary::watch(&gate);
    // A plain GET is passed through, so a body that fails later is the client's to notice (0).
    for (target, plain, open) in [
        ("/silent", 504, 504),
        ("/head-drips", 504, 504),
        ("/body-drips", 0, 504),
        ("/large", 0, 502),
        ("/endless", 0, 502),
        ("/head-endless", 502, 502),
        ("/short", 0, 502),
        ("/garbage", 502, 502),
        ("/nothing", 502, 502),
        ("/101", 502, 502),
        ("/500", 500, 500),
        ("/404", 404, 404),
        ("/encoded", 0, 502),
    ] {
        let mut doors = vec![gate.ask(handshake(target, "")).status];
        doors.push(
            gate.ask(format!(
                "GET {target} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n"
            ))
            .status,
        );
        assert_eq!(doors, [open, open], "{target}");
        if plain != 0 {
            assert_eq!(gate.get(target).status, plain, "{target}");
        }
        assert_eq!(gate.get("/well").text(), "page", "after {target}");
    }
    let answer = gate.ask(handshake("/elsewhere", ""));
    assert!(!matches!(answer.status, 101 | 200), "{answer:?}");
    canary.finish();
}

#[test]
fn a_backend_that_is_not_there_is_502_and_one_that_does_not_accept_504() {
    let refused = nowhere();
    let address = refused.local_addr().expect("bound");
    drop(refused);
    let gate = Gate::before(address, LIMITS);
    assert_eq!(statuses(&gate, "/x"), [502; 3]);
    // A listener whose queue is full drops what comes, like a host that is gone.
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
    socket.bind(&"127.0.0.1:0".parse::<std::net::SocketAddr>().expect("an address").into()).expect("a port");
    socket.listen(0).expect("a listener");
    let full = socket.local_addr().expect("bound").as_socket().expect("IPv4");
    let mut inside = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&full, Duration::from_millis(200)) {
        inside.push(stream);
        assert!(inside.len() < 10, "the queue is never full");
    }
    let gate = Gate::before(full, LIMITS);
    let begun = Instant::now();
    assert_eq!(statuses(&gate, "/x"), [504; 3]);
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    let missing = "[[route]]\npath = \"/{*rest}\"\nauto = { url = \"http://no-such-host.invalid\" }\n";
    let gate = Gate::start(LIMITS, missing);
    assert_eq!(statuses(&gate, "/x"), [502; 3]);
}

#[test]
fn a_silent_backend_holds_up_no_other() {
    let silent = Backend::start(|_, stream| {
        await_gone(stream);
        false
    });
    let well = Backend::answering("page");
    let routes = format!(
        "[[route]]\npath = \"/silent/{{*rest}}\"\nauto = {{ url = \"http://{}\" }}\n\
         [[route]]\npath = \"/well/{{*rest}}\"\nauto = {{ url = \"http://{}\" }}\n",
        silent.address, well.address
    );
    let gate = Gate::start("upstream_max_inflight = 8\nupstream_first_byte = \"5s\"", &routes);
    let mut waiting: Vec<_> = (0..100).map(|_| gate.connect()).collect();
    for (number, wire) in waiting.iter_mut().enumerate() {
        wire.send(format!("GET /silent/{number} HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    }
    let _ = silent.await_nth("GET /silent", 8);
    assert_eq!(gate.get("/well/x").text(), "page");
    // Beyond the bound the answer is there at once.
    let mut statuses: Vec<_> = waiting.iter_mut().map(|wire| wire.answer().status).collect();
    statuses.sort_unstable();
    assert!(statuses.iter().all(|status| matches!(status, 503 | 504)), "{statuses:?}");
    assert!(
        statuses.iter().filter(|status| **status == 503).count() >= 84,
        "8 a shard are in flight: {statuses:?}"
    );
}

#[test]
fn a_poll_whose_backend_comes_later_begins_then() {
    let place = nowhere();
    let address = place.local_addr().expect("bound");
    drop(place);
    let routes = format!(
        "[[route]]\npath = \"/quotes\"\npoll = {{ url = \"http://{address}/quotes\", interval = \"100ms\" }}\n"
    );
    let gate = Gate::start(LIMITS, &routes);
    let mut bare = Socket::open(gate.public, "/quotes");
    let mut enveloped = Socket::open_envelopes(gate.public, "/quotes");
    let open = enveloped.next_json();
    assert_eq!(open["type"], "open", "{open}");
    let error = enveloped.next_json();
    assert_eq!(
        (error["type"].as_str(), error["code"].as_str()),
        (Some("error"), Some("upstream")),
        "{error}"
    );
    let _ = log::await_line(&["upstream_failing", "channel=quotes"]);
    let listener = TcpListener::bind(address).expect("the port is still free");
    let _backend = Backend::start_on(listener, |_, stream| write(stream, ok("1")));
    assert_eq!(bare.next_text(), "1", "a bare client sees nothing of the failure");
    let mut types = Vec::new();
    while !types.contains(&"message".to_owned()) {
        let envelope = enveloped.next_json();
        types.push(envelope["type"].as_str().unwrap_or_default().to_owned());
    }
    assert!(types.iter().all(|kind| matches!(&**kind, "open" | "error" | "message")), "{types:?}");
    assert_eq!(gate.publish("quotes", "forged").status, 409, "what a poll fills nobody else fills");
}

#[test]
fn a_poll_that_flaps_publishes_changes_only() {
    let count = std::sync::atomic::AtomicUsize::new(0);
    let backend =
        Backend::start(move |_, stream| match count.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
            0..=2 => write(stream, ok("{\"a\":1,\"b\":2}")),
            3 => write(stream, ok("{\"b\":2, \"a\":1}")),
            4 => write(stream, "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"),
            5 => write(stream, ok("{\"a\":1,\"b\":2}")),
            _ => write(stream, ok("{\"a\":2}")),
        });
    let routes = format!(
        "[[route]]\npath = \"/q\"\npoll = {{ url = \"http://{}/q\", interval = \"100ms\" }}\n",
        backend.address
    );
    let gate = Gate::start("", &routes);
    let mut one = Socket::open(gate.public, "/q");
    let mut two = Socket::open(gate.public, "/q");
    for socket in [&mut one, &mut two] {
        assert_eq!(socket.next_text(), "{\"a\":1,\"b\":2}");
        assert_eq!(socket.next_text(), "{\"a\":2}");
    }
}

#[test]
fn a_stream_of_nonsense_is_bounded_and_goes_on() {
    let backend = Backend::start(|asked, stream| {
        let start = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";
        let head = asked.head.to_ascii_lowercase();
        if !head.contains("last-event-id") {
            write(stream, format!("{start}: comment\nid: 7\ndata: first\n\nid: \0\ndata: un"));
            return false;
        }
        if asked.head.contains("7") {
            write(stream, format!("{start}retry: 100\nid: 8\ndata: second\nunknown: x\n\ndata: "));
            write(stream, "x".repeat(1 << 20));
            return false;
        }
        write(stream, format!("{start}id: 9\ndata: third\n\n"));
        await_gone(stream);
        false
    });
    let routes = format!(
        "[[route]]\npath = \"/events\"\nstream = {{ url = \"http://{}/events\" }}\n",
        backend.address
    );
    let gate = Gate::start("upstream_max_line = \"4 KiB\"", &routes);
    let mut socket = Socket::open(gate.public, "/events");
    assert_eq!(socket.next_text(), "first");
    assert_eq!(socket.next_text(), "second");
    let asked = backend.await_nth("GET /events", 2);
    assert!(asked.head.to_ascii_lowercase().contains("last-event-id: 7"), "{}", asked.head);
}

#[test]
fn a_backend_that_denies_closes_with_4401() {
    let count = std::sync::atomic::AtomicUsize::new(0);
    let backend =
        Backend::start(move |_, stream| match count.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
            0 => write(stream, ok("yours")),
            _ => write(stream, "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n"),
        });
    let routes = format!(
        "[[route]]\npath = \"/q\"\npoll = {{ url = \"http://{}/q\", interval = \"100ms\" }}\n",
        backend.address
    );
    let gate = Gate::start("", &routes);
    let mut socket = Socket::open(gate.public, "/q");
    assert_eq!(socket.receive(), Received::Text("yours".to_owned()));
    assert_eq!(socket.await_code(), 4401);
}

#[test]
fn no_more_urls_are_polled_than_may_be() {
    let backend = Backend::answering("page");
    let gate = Gate::before(backend.address, "poll_max_urls = 5");
    let canary = Canary::watch(&gate);
    let _inside: Vec<_> = (0..5).map(|number| Socket::open(gate.public, &format!("/x?n={number}"))).collect();
    for number in 5..30 {
        let answer = gate.ask(handshake(&format!("/x?n={number}"), ""));
        assert_eq!(answer.status, 503);
        assert!(answer.text().contains("poll_max_urls"), "{}", answer.text());
    }
    let _shared = Socket::open(gate.public, "/x?n=1");
    assert_eq!(gate.get("/x?n=77").text(), "page", "pass-through is no poll");
    canary.finish();
}

#[test]
fn answers_of_a_backend_never_write_the_gateways_headers() {
    let backend = Backend::start(|asked, stream| {
        let body = "page";
        match asked.head.split(' ').nth(1) {
            Some("/cr") => {
                write(stream, format!("HTTP/1.1 200 OK\r\nX: a\rb\r\nContent-Length: 4\r\n\r\n{body}"))
            }
            Some("/nul") => {
                write(stream, format!("HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 4\r\n\r\n{body}"))
            }
            Some("/hop") => write(
                stream,
                format!(
                    "HTTP/1.1 200 OK\r\nConnection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nContent-Length: 4\r\n\r\n{body}"
                ),
            ),
            _ => write(stream, ok(body)),
        }
    });
    let gate = Gate::before(backend.address, "");
    assert_eq!((gate.get("/cr").status, gate.get("/nul").status), (502, 502));
    let answer = gate.get("/hop");
    assert_eq!((answer.status, answer.header("x-hop"), answer.header("keep-alive")), (200, None, None));
}

#[test]
fn uploads_that_trickle_do_not_keep_polls_from_the_backend() {
    let backend = Backend::answering("page");
    let gate = Gate::before(backend.address, "upstream_max_inflight = 2");
    let _uploads: Vec<_> = (0..20)
        .map(|_| {
            let mut wire = gate.connect();
            wire.send("POST /upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nx");
            wire
        })
        .collect();
    gate.await_metric("tidegate_refused_total{status=\"503\"}", 16);
    assert_eq!(gate.ask(handshake("/polled", "")).status, 101);
}
