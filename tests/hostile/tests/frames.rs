//! Frames that break RFC 6455 or a limit: the close code, soon, and nothing for anybody else.

use std::time::Duration;

use tidegate_hostile::backend::{Backend, ok, write};
use tidegate_hostile::canary::Canary;
use tidegate_hostile::gate::Gate;
use tidegate_hostile::log;
use tidegate_hostile::socket::{
    BINARY, CLOSE, PING, PONG, Received, Socket, TEXT, close_frame, frame, header,
};
use tidegate_hostile::wire::End;

/// A frame that says it has `length` bytes and brings one.
fn claiming(first: u8, length: u64) -> Vec<u8> {
    [header(first, length, true), vec![1, 2, 3, 4, b'x']].concat()
}

/// Bytes with their lengths written longer than need be.
fn overlong(marker: u8, length: &[u8]) -> Vec<u8> {
    [&[TEXT, 0x80 | marker], length, &[0, 0, 0, 0], b"hello"].concat()
}

fn close_of(payload: &[u8]) -> Vec<u8> {
    frame(CLOSE, payload)
}

#[test]
fn what_breaks_a_rule_is_closed_with_its_code() {
    let gate = Gate::of_channels("");
    let canary = Canary::watch(&gate);
    let mut unmasked = header(TEXT, 2, false);
    unmasked.extend(b"hi");
    let cases: Vec<(&str, Vec<u8>, u16)> = vec![
        ("2^63", claiming(BINARY, 1 << 63), 1002),
        ("2^64-1", claiming(BINARY, u64::MAX), 1002),
        ("2^63-1", claiming(BINARY, (1 << 63) - 1), 1009),
        ("64 MiB", claiming(BINARY, 64 << 20), 1009),
        ("one too many", claiming(TEXT, 65_537), 1009),
        ("one too many in parts", [frame(0x01, vec![b'x'; 65_536]), frame(0x80, "y")].concat(), 1009),
        ("sum beyond 2^64", [frame(0x02, "x"), claiming(0x80, (1 << 63) - 1)].concat(), 1009),
        ("126 for 5", overlong(126, &[0, 5]), 1002),
        ("127 for 5", overlong(127, &[0, 0, 0, 0, 0, 0, 0, 5]), 1002),
        ("127 for 65535", overlong(127, &[0, 0, 0, 0, 0, 0, 0xFF, 0xFF]), 1002),
        ("RSV1", frame(TEXT | 0x40, "x"), 1002),
        ("RSV2", frame(TEXT | 0x20, "x"), 1002),
        ("RSV3", frame(TEXT | 0x10, "x"), 1002),
        ("opcode 3", frame(0x83, "x"), 1002),
        ("opcode 7 of 10 GB", claiming(0x87, 10 << 30), 1002),
        ("opcode 11", frame(0x8B, ""), 1002),
        ("opcode 15", frame(0x8F, ""), 1002),
        ("no mask", unmasked, 1002),
        ("fragmented ping", frame(0x09, "x"), 1002),
        ("ping of 126", frame(PING, [0; 126]), 1002),
        ("close of 126", close_of(&[0x03; 126]), 1002),
        ("continuation of nothing", frame(0x80, "x"), 1002),
        ("text within text", [frame(0x01, "a"), frame(TEXT, "b")].concat(), 1002),
        ("binary within text", [frame(0x01, "a"), frame(BINARY, "b")].concat(), 1002),
        ("close of one byte", close_of(&[3]), 1002),
        ("close 999", close_frame(999, ""), 1002),
        ("close 1004", close_frame(1004, ""), 1002),
        ("close 1005", close_frame(1005, ""), 1002),
        ("close 1006", close_frame(1006, ""), 1002),
        ("close 1015", close_frame(1015, ""), 1002),
        ("close 2999", close_frame(2999, ""), 1002),
        ("close 5000", close_frame(5000, ""), 1002),
        ("close 65535", close_frame(65535, ""), 1002),
        ("close with a bad reason", close_of(&[0x03, 0xE8, 0xFF]), 1007),
        ("bad UTF-8", frame(TEXT, [0xC3, 0x28]), 1007),
        ("overlong UTF-8", frame(TEXT, [0xC0, 0xAF]), 1007),
        ("surrogate", frame(TEXT, [0xED, 0xA0, 0x80]), 1007),
        ("beyond U+10FFFF", frame(TEXT, [0xF4, 0x90, 0x80, 0x80]), 1007),
        ("cut character", frame(TEXT, [0xE2, 0x82]), 1007),
        ("bad in the first of many", [frame(0x01, [b'a', 0xFF]), header(0x00, 5, true)].concat(), 1007),
    ];
    for (name, bytes, code) in cases {
        for slice in [bytes.len(), 1] {
            let mut socket = Socket::open(gate.public, "/attacked");
            bytes.chunks(slice).all(|part| socket.send(part));
            let (said, reason) = socket.await_close().unwrap_or_else(|| panic!("{name}: no Close"));
            assert_eq!(said, Some(code), "{name} in slices of {slice}: {reason}");
            assert!(!reason.is_empty(), "{name}: says why");
            // What follows is not looked at, and the server ends the connection first.
            socket.send(frame(TEXT, "more"));
            assert_eq!(socket.receive(), Received::End(End::Closed), "{name}");
        }
    }
    gate.await_metric("tidegate_open_connections{door=\"websocket\"}", 4);
    assert_eq!(gate.metric("tidegate_received_messages_total"), 0, "nothing of it was a message");
    canary.finish();
}

#[test]
fn the_largest_message_is_one_whatever_its_parts() {
    let gate = Gate::of_channels("");
    let largest = "x".repeat(65_536);
    let mut all = Vec::new();
    all.push(frame(TEXT, &largest));
    let pieces = |size: usize| -> Vec<u8> {
        let parts: Vec<_> = largest.as_bytes().chunks(size).collect();
        let last = parts.len() - 1;
        let first_byte = |at: usize| u8::from(at == 0) | if at == last { 0x80 } else { 0 };
        parts.iter().enumerate().flat_map(|(at, part)| frame(first_byte(at), part)).collect()
    };
    all.push(pieces(256));
    all.push(pieces(40_000));
    for bytes in all {
        let mut socket = Socket::open(gate.public, "/large");
        // Its own publication comes back: by then the subscription stands or it does not.
        socket.send(bytes);
        socket.send(close_frame(1000, ""));
        let mut lengths = Vec::new();
        let code = loop {
            match socket.receive() {
                Received::Text(text) => lengths.push(text.len()),
                Received::Close(code, _) => break code,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(code, Some(1000));
        assert!(lengths.iter().all(|length| *length == 65_536));
    }
    gate.await_metric("tidegate_published_total", 3);
}

#[test]
fn fragments_and_frames_have_their_numbers() {
    let limits = "ws_max_fragments = 16\nws_max_frames_per_s = 200\nws_max_control_frames_per_s = 20";
    let gate = Gate::of_channels(limits);
    let canary = Canary::watch(&gate);
    for (name, bytes, reason) in [
        ("fragments", [frame(0x01, "x"), frame(0x00, "x").repeat(16)].concat(), "fragments"),
        ("empty fragments", [frame(0x01, ""), frame(0x00, "").repeat(1000)].concat(), "fragments"),
        ("pings", frame(PING, [7; 125]).repeat(10_000), "ws_max_control_frames_per_s"),
        ("pongs", frame(PONG, "").repeat(10_000), "ws_max_control_frames_per_s"),
        ("messages", frame(TEXT, "").repeat(10_000), "ws_max_frames_per_s"),
    ] {
        let mut socket = Socket::open(gate.public, "/flooded");
        socket.send(bytes);
        let (code, said) = socket.await_close().unwrap_or_else(|| panic!("{name}: no Close"));
        assert_eq!(code, Some(1008), "{name}: {said}");
        assert!(said.contains(reason), "{name}: {said}");
    }
    let published = gate.metric("tidegate_published_total");
    canary.finish();
    assert!(published > 0);
    gate.await_empty();
}

#[test]
fn a_message_has_its_time() {
    let gate = Gate::of_channels("ws_message_timeout = \"300ms\"\nws_close_timeout = \"300ms\"");
    for begun in [frame(0x01, "begun"), claiming(TEXT, 100), [frame(0x01, "a"), frame(PING, "b")].concat()] {
        let mut socket = Socket::open(gate.public, "/x");
        socket.send(begun);
        assert_eq!(socket.await_close(), Some((Some(1008), "message_timeout (TG-4019)".to_owned())));
        // The Close is not answered: the connection is cut.
        assert!(matches!(socket.receive(), Received::End(_)));
    }
    gate.await_empty();
}

#[test]
fn closes_are_answered_with_their_code_and_logged_in_one_line() {
    let gate = Gate::of_channels("");
    let long = "r".repeat(123);
    for (code, reason) in [
        (1000, ""),
        (1001, "going"),
        (1003, "x"),
        (1011, &*long),
        (1014, "x"),
        (3000, "line\nfeed \u{1b}[31mred \u{202e}bidi \0nul"),
        (4999, "\u{1f600}"),
    ] {
        let mut socket = Socket::open(gate.public, &format!("/closed/{code}"));
        socket.send([close_frame(code, reason), frame(TEXT, "after"), vec![0xFF; 5000]].concat());
        assert_eq!(socket.await_close(), Some((Some(code), String::new())), "{code}");
        assert_eq!(socket.receive(), Received::End(End::Closed), "{code}");
        let _ = log::await_line(&["connection_closed", &format!("channel=closed/{code} ")]);
    }
    let mut socket = Socket::open(gate.public, "/closed/without");
    socket.send(frame(CLOSE, ""));
    assert_eq!(socket.await_close(), Some((None, String::new())));
    for line in log::lines() {
        assert!(!line.chars().any(|character| character.is_control() || character == '\u{202e}'), "{line:?}");
    }
    assert_eq!(gate.metric("tidegate_published_total"), 0, "what came after a Close was not heard");
}

#[test]
fn messages_where_none_are_taken_close_with_1003() {
    let gate = Gate::start("", "[[route]]\npath = \"/{*rest}\"\nchannel = {}\n");
    let mut socket = Socket::open(gate.public, "/x");
    socket.text("hello");
    assert_eq!(socket.await_code(), 1003);
}

#[test]
fn a_pending_answer_pauses_reading_and_costs_no_pong() {
    // The backend sits on the first POST while the client goes on talking, longer than a pong may take.
    let (release, gated) = std::sync::mpsc::sync_channel::<()>(1);
    let gated = std::sync::Mutex::new(gated);
    let backend = Backend::start(move |asked, stream| {
        if !asked.head.starts_with("POST") {
            return write(stream, ok("page"));
        }
        if asked.body.starts_with(b"first") {
            let _ = gated.lock().expect("nobody panics here").recv_timeout(Duration::from_secs(20));
        }
        write(stream, ok(&format!("{}", asked.body.len())))
    });
    let limits = "messages_max_pending = 4\nws_ping_interval = \"200ms\"\nws_pong_timeout = \"200ms\"\n\
                  upstream_first_byte = \"20s\"";
    let gate = Gate::before(backend.address, limits);
    let canary = Canary::watch(&gate);
    let mut socket = Socket::open(gate.public, "/posts");
    assert_eq!(socket.next_text(), "page");
    socket.text("first");
    let _ = backend.await_nth("POST /posts", 1);
    for number in 0..20 {
        socket.text(&format!("{number:060000}"));
    }
    // A second of pings goes by, told by another client that is pinged too.
    let mut other = Socket::open(gate.public, "/canary/pinged");
    for _ in 0..5 {
        assert!(matches!(other.receive(), Received::Ping(_)));
        other.send(frame(PONG, ""));
    }
    release.send(()).expect("the backend waits");
    let mut answers = 0;
    while answers < 21 {
        match socket.receive() {
            Received::Text(length) => {
                assert_eq!(length, if answers == 0 { "5" } else { "60000" });
                answers += 1;
            }
            Received::Ping(payload) => drop(socket.send(frame(PONG, payload))),
            other => panic!("{other:?} after {answers} answers"),
        }
    }
    canary.finish();
}

#[test]
fn a_connection_ends_once_whatever_it_goes_on_to_send() {
    let gate = Gate::of_channels("ws_max_frames_per_s = 100\nws_max_control_frames_per_s = 10");
    for _ in 0..10 {
        let mut socket = Socket::open(gate.public, "/flooded");
        // Frames of an odd length, so that any cut of the input leaves the middle of one.
        socket.send(frame(TEXT, "odd").repeat(30_000));
        assert_eq!(socket.await_code(), 1008);
        socket.send([0xFF; 1000]);
        socket.send(close_frame(1000, ""));
    }
    gate.await_empty();
    let closes: Vec<_> = gate
        .admin("GET", "/metrics")
        .text()
        .lines()
        .filter(|line| line.starts_with("tidegate_closes_total"))
        .map(str::to_owned)
        .collect();
    assert_eq!(closes, ["tidegate_closes_total{code=\"1008\"} 10"]);
    assert_eq!(gate.metric("tidegate_protocol_errors_total"), 0);
    assert!(gate.metric("tidegate_published_total") <= 10 * 220, "no more than the burst was heard");
}
