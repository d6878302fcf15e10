//! HTTP/2 connections of people who mean harm: floods end the connection and nothing else, and what breaks off
//! in one stream ends that stream.

use std::time::{Duration, Instant};

use tidegate_hostile::canary::Canary;
use tidegate_hostile::cost::{await_descriptors, descriptors, resident_bytes};
use tidegate_hostile::gate::Gate;
use tidegate_hostile::http2::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, Frame, GOAWAY, HEADERS, Http2, PING,
    PREFACE, PRIORITY, RST_STREAM, SETTINGS, WINDOW_UPDATE, block, frame, get, put_string, status, websocket,
};
use tidegate_hostile::log;
use tidegate_hostile::socket::{CLOSE, TEXT, close_frame, frame as message};
use tidegate_hostile::wire::Wire;

/// A GOAWAY comes within this time, machines that are busy allowed for.
const SOON: Duration = Duration::from_secs(10);

/// Sends frames until the peer takes no more or has had `most`; gives the error of its GOAWAY.
fn flood(gate: &Gate, most: usize, mut next: impl FnMut(u32) -> Vec<u8>) -> Option<u32> {
    let mut client = Http2::connect(gate.public);
    let before = gate.metric("tidegate_h2_abuses_total");
    let begun = Instant::now();
    for number in 0..most {
        let stream = 1 + 2 * u32::try_from(number).expect("few streams");
        if !client.wire.send(next(stream)) {
            break;
        }
    }
    let error = client.goaway();
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    gate.await_metric("tidegate_h2_abuses_total", before + 1);
    let _ = log::await_line(&["h2_abuse", "INFO"]);
    error
}

#[test]
fn floods_of_frames_end_the_connection_and_nothing_else() {
    let gate = Gate::of_channels("");
    let canary = Canary::watch(&gate);
    let before = resident_bytes();
    let request = block(&get("/x", &[]));
    // Rapid reset: requests that are taken back at once.
    let error = flood(&gate, 20_000, |stream| {
        let mut bytes = frame(HEADERS, END_HEADERS | END_STREAM, stream, &request);
        bytes.extend(frame(RST_STREAM, 0, stream, 8u32.to_be_bytes()));
        bytes
    });
    assert_eq!(error, Some(ENHANCE_YOUR_CALM), "resets");
    // The same, but the gateway is made to reset them: a window that overflows breaks a rule.
    let error = flood(&gate, 20_000, |stream| {
        let mut bytes = frame(HEADERS, END_HEADERS, stream, &request);
        bytes.extend(frame(WINDOW_UPDATE, 0, stream, 0x7FFF_FFFFu32.to_be_bytes()));
        bytes
    });
    assert_eq!(error, Some(ENHANCE_YOUR_CALM), "errors");
    let floods: [(&str, u8, u8, &[u8]); 4] = [
        ("pings", PING, 0, &[7; 8]),
        ("settings", SETTINGS, 0, &[0, 3, 0, 0, 0, 100]),
        ("priorities", PRIORITY, 0, &[0, 0, 0, 0, 16]),
        ("unknown frames", 0xF0, 0, &[]),
    ];
    for (name, kind, flags, payload) in floods {
        let on_stream = kind == PRIORITY;
        let error =
            flood(&gate, 100_000, |stream| frame(kind, flags, if on_stream { stream } else { 0 }, payload));
        assert_eq!(error, Some(ENHANCE_YOUR_CALM), "{name}");
    }
    let mut first = true;
    let error = flood(&gate, 100_000, |_| {
        let mut bytes = Vec::new();
        if std::mem::take(&mut first) {
            let fields =
                [(":method", "POST"), (":scheme", "http"), (":authority", "localhost"), (":path", "/x")];
            bytes.extend(frame(HEADERS, END_HEADERS, 1, block(&fields)));
        }
        bytes.extend(frame(DATA, 0, 1, []));
        bytes
    });
    assert_eq!(error, Some(ENHANCE_YOUR_CALM), "empty data");
    assert!(resident_bytes().saturating_sub(before) < 32 << 20, "a flood leaves nothing behind");
    canary.finish();
}

#[test]
fn a_head_that_does_not_end_is_cut() {
    let gate = Gate::of_channels("");
    let canary = Canary::watch(&gate);
    let before = resident_bytes();
    let filler = block(&[("x-filler", &"a".repeat(1000))]);
    for _ in 0..20 {
        let mut client = Http2::connect(gate.public);
        client.send(HEADERS, 0, 1, block(&get("/x", &[])));
        let begun = Instant::now();
        while client.send(CONTINUATION, 0, 1, &filler) {}
        let error = client.goaway();
        assert!(error.is_none_or(|error| error == ENHANCE_YOUR_CALM || error == 9), "{error:?}");
        assert!(begun.elapsed() < SOON);
    }
    assert!(resident_bytes().saturating_sub(before) < 32 << 20);
    canary.finish();
}

#[test]
fn a_head_that_unfolds_is_refused() {
    let gate = Gate::of_channels("");
    let mut client = Http2::connect(gate.public);
    // One entry of 4,000 bytes goes into the table, then a byte for each time that it is meant again.
    let mut bomb = block(&get("/x", &[]));
    bomb.push(0x40);
    put_string(&mut bomb, b"x-bomb");
    put_string(&mut bomb, &[b'a'; 3900]);
    bomb.extend([0xBE; 8000]);
    client.send(HEADERS, END_HEADERS | END_STREAM, 1, bomb);
    assert_eq!(client.goaway(), Some(ENHANCE_YOUR_CALM));
    gate.await_metric("tidegate_h2_abuses_total", 1);
    // What is simply too long is told, and the connection goes on.
    let mut client = Http2::connect(gate.public);
    let long = "a".repeat(15_000);
    client.send(HEADERS, END_STREAM, 3, block(&get("/x", &[("x-long", &long)])));
    client.send(CONTINUATION, END_HEADERS, 3, block(&[("x-longer", &long)]));
    assert_eq!(client.status(3), 431);
    let many: Vec<_> = (0..70).map(|number| (format!("x-{number}"), "1")).collect();
    let many: Vec<_> = many.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    client.open(5, &get("/x", &many), END_STREAM);
    assert_eq!(client.status(5), 431);
    client.open(7, &get("/x", &[]), END_STREAM);
    assert_eq!(client.status(7), 404);
}

#[test]
fn what_cannot_be_said_in_http1_is_refused() {
    let gate = Gate::of_channels("");
    let check = |fields: &[(&str, &str)], flags: u8, data: &[u8], expected: &[u16]| {
        let mut client = Http2::connect(gate.public);
        client.open(1, fields, flags);
        if !data.is_empty() {
            client.send(DATA, END_STREAM, 1, data);
        }
        // A value that is none is an error of the connection.
        let ends =
            |frame: &Frame| matches!((frame.stream, frame.kind), (1, HEADERS | RST_STREAM) | (0, GOAWAY));
        let answer = client.await_frame(ends);
        let got = if answer.kind == HEADERS { status(&answer.payload).expect("a status") } else { 0 };
        assert!(expected.contains(&got), "{fields:?}: {got}");
    };
    let replaced = |name: &'static str, value: &'static str| {
        let mut fields = get("/x", &[]);
        fields.iter_mut().filter(|(own, _)| *own == name).for_each(|field| field.1 = value);
        fields
    };
    // Zero stands for a reset, or the connection's end.
    for path in ["", "x", "/a b", "/a\r\nx: y", "/a\0", "//\u{7f}", "*"] {
        check(&replaced(":path", path), END_STREAM, b"", &[0, 400]);
    }
    for authority in ["", "a b", "user@localhost", "localhost\r\n", "localhost,other", "evil.example"] {
        check(&replaced(":authority", authority), END_STREAM, b"", &[0, 400, 421]);
    }
    for (name, value) in [
        ("transfer-encoding", "chunked"),
        ("connection", "close"),
        ("upgrade", "websocket"),
        ("keep-alive", "1"),
        ("proxy-connection", "close"),
        ("te", "gzip"),
        ("host", "other.example"),
        ("x-split", "a\r\nb: c"),
        ("x-nul", "a\0b"),
        ("X-Large", "letters"),
        ("x name", "a"),
        ("", "a"),
        ("content-length", "+5"),
        ("content-length", "5,5"),
        ("content-length", "0x5"),
        (":path", "/twice"),
        (":status", "200"),
        (":unknown", "1"),
    ] {
        check(&get("/x", &[(name, value)]), END_STREAM, b"", &[0, 400]);
    }
    let post = |length: &'static str| {
        let mut fields = get("/x", &[("content-length", length)]);
        fields[0].1 = "POST";
        fields
    };
    check(&post("5"), 0, b"only", &[0, 400, 405]);
    check(&post("3"), 0, b"more", &[0, 400, 405]);
    check(&get("/x", &[("content-length", "1"), ("content-length", "1")]), 0, b"1", &[0, 400]);
    check(&[(":method", "CONNECT"), (":authority", "localhost:80")], END_STREAM, b"", &[405]);
    check(&get("/x", &[]), END_STREAM, b"", &[404]);
}

#[test]
fn a_websocket_that_breaks_off_ends_alone() {
    let gate = Gate::of_channels("");
    let mut client = Http2::connect(gate.public);
    client.open(1, &websocket("/stays"), 0);
    assert_eq!(client.status(1), 200);
    // A stream for another protocol, one of a version that is not spoken, and one that ends with its request.
    let mut other = websocket("/x");
    other[1].1 = "webtransport";
    client.open(3, &other, 0);
    assert_eq!(client.status(3), 501);
    let mut old = websocket("/x");
    old[5].1 = "8";
    client.open(5, &old, 0);
    assert_eq!(client.status(5), 400);
    // Data before the answer is taken once the answer is there.
    client.open(7, &websocket("/early"), 0);
    client.send(DATA, 0, 7, message(TEXT, "early"));
    assert_eq!(client.status(7), 200);
    assert_eq!(client.of_stream(7).payload, b"\x81\x05early");
    // Reset in the middle of a frame.
    client.send(DATA, 0, 7, &message(TEXT, "torn")[..4]);
    client.send(RST_STREAM, 0, 7, 8u32.to_be_bytes());
    gate.await_metric("tidegate_closes_total{code=\"1006\"}", 1);
    gate.await_metric("tidegate_h2_streams_reset_total", 1);
    // The end without a Close.
    client.open(9, &websocket("/x"), 0);
    assert_eq!(client.status(9), 200);
    client.send(DATA, END_STREAM, 9, []);
    let end = client.of_stream(9);
    assert_eq!((end.kind, end.flags & END_STREAM), (DATA, END_STREAM));
    gate.await_metric("tidegate_closes_total{code=\"1006\"}", 2);
    // A broken rule: a frame without a mask.
    client.open(11, &websocket("/x"), 0);
    assert_eq!(client.status(11), 200);
    client.send(DATA, 0, 11, b"\x81\x01a");
    let close = client.of_stream(11);
    assert_eq!(close.payload[..4], [CLOSE, close.payload[1], 0x03, 0xEA]);
    assert_eq!(client.of_stream(11).flags & END_STREAM, END_STREAM);
    client.send(DATA, END_STREAM, 11, []);
    // The whole closing handshake: our Close, its Close, our end.
    client.open(13, &websocket("/x"), 0);
    assert_eq!(client.status(13), 200);
    client.send(DATA, END_STREAM, 13, close_frame(1000, "done"));
    assert_eq!(client.of_stream(13).payload[..4], [CLOSE, 2, 0x03, 0xE8]);
    assert_eq!(client.of_stream(13).flags & END_STREAM, END_STREAM);
    gate.await_metric("tidegate_closes_total{code=\"1000\"}", 1);
    // All the time the first has stood.
    client.send(DATA, 0, 1, message(TEXT, "here"));
    assert_eq!(client.of_stream(1).payload, b"\x81\x04here");
    gate.await_metric("tidegate_open_connections{door=\"websocket\"}", 1);
    client.wire.reset();
    gate.await_empty();
}

#[test]
fn a_window_that_stays_shut_is_a_slow_consumer() {
    const INITIAL_WINDOW_SIZE: u16 = 4;
    let limits = "max_publication = \"64 KiB\"\nws_out_queue_bytes = \"128 KiB\"\nws_write_timeout = \"1s\"";
    let gate = Gate::of_channels(limits);
    let canary = Canary::watch(&gate);
    let mut client = Http2::with_settings(gate.public, &[(INITIAL_WINDOW_SIZE, 0)]);
    client.open(1, &websocket("/feed"), 0);
    assert_eq!(client.status(1), 200);
    client.open(3, &websocket("/other"), 0);
    assert_eq!(client.status(3), 200);
    client.send(WINDOW_UPDATE, 0, 3, 60_000u32.to_be_bytes());
    // It takes nothing: cut after the write time-out, and its neighbour stands.
    while gate.publish("feed", "a").status == 202 {}
    assert_eq!(client.reset(1), 8);
    assert_eq!(gate.metric("tidegate_slow_consumers_stall_total"), 1);
    // Another lets its queue run full, and takes the Close when it opens its window at last.
    client.open(5, &websocket("/feed"), 0);
    assert_eq!(client.status(5), 200);
    // An empty queue takes whatever comes in one round, so how many it takes is the shard's turns to say.
    while gate.metric("tidegate_slow_consumers_queue_total") == 0 {
        let _ = gate.publish("feed", "b".repeat(60_000));
        assert_eq!(gate.metric("tidegate_slow_consumers_stall_total"), 1, "full before it counts as stalled");
    }
    client.send(WINDOW_UPDATE, 0, 5, 60_000u32.to_be_bytes());
    let close = client.of_stream(5);
    assert_eq!(close.payload[2..4], 1013u16.to_be_bytes());
    client.send(DATA, 0, 3, message(TEXT, "here"));
    assert_eq!(client.of_stream(3).payload, b"\x81\x04here");
    canary.finish();
}

#[test]
fn a_window_that_opens_bit_by_bit_on_a_quiet_shard_is_no_slow_consumer() {
    const INITIAL_WINDOW_SIZE: u16 = 4;
    const BIT: u32 = 16 << 10;
    // The frame's header counts too.
    const WHOLE: usize = 300_000 + 10;
    let gate = Gate::of_channels("ws_write_timeout = \"1s\"");
    let mut client = Http2::with_settings(gate.public, &[(INITIAL_WINDOW_SIZE, 0)]);
    client.send(WINDOW_UPDATE, 0, 0, (1u32 << 20).to_be_bytes());
    client.open(1, &websocket("/feed"), 0);
    assert_eq!(client.status(1), 200);
    while gate.publish("feed", "x".repeat(300_000)).status == 202 {}
    let mut came = 0;
    while came < WHOLE {
        client.send(WINDOW_UPDATE, 0, 1, BIT.to_be_bytes());
        let wanted = WHOLE.min(came + BIT as usize);
        while came < wanted {
            let frame = client.of_stream(1);
            assert_eq!(frame.kind, DATA, "{came} of {WHOLE} bytes, then {frame:?}");
            came += frame.payload.len();
        }
        // All of it takes longer than a client may take nothing, and nothing else happens meanwhile.
        let _ = client.wire.is_silent_for(Duration::from_millis(100));
    }
    assert_eq!(gate.metric("tidegate_slow_consumers_stall_total"), 0);
}

#[test]
fn tiny_frames_that_lie_unread_do_not_end_the_connection() {
    let gate = Gate::of_channels("ws_max_frames_per_s = 1000000");
    let mut client = Http2::connect(gate.public);
    client.open(1, &websocket("/x"), 0);
    assert_eq!(client.status(1), 200);
    let mut bytes = Vec::new();
    for byte in message(TEXT, "a".repeat(8000)) {
        bytes.extend(frame(DATA, 0, 1, [byte]));
    }
    client.wire.send(bytes);
    let mut echoed = 0;
    while echoed < 8004 {
        echoed += client.of_stream(1).payload.len();
    }
}

#[test]
fn a_preface_may_be_slow_but_not_for_ever() {
    let gate = Gate::of_channels("http_header_timeout = \"1s\"\nhttp_keepalive_idle = \"2s\"");
    // Byte by byte.
    let mut client = Http2 { wire: Wire::connect(gate.public) };
    assert!(PREFACE.iter().all(|byte| client.wire.send([*byte])));
    client.send(SETTINGS, 0, 0, []);
    client.open(1, &get("/x", &[]), END_STREAM);
    assert_eq!(client.of_stream(1).kind, HEADERS);
    // After its last stream it is idle, and told so before it ends.
    assert_eq!(client.goaway(), Some(0));
    // Half a word, a whole word without the rest, the whole preface and nothing more.
    for beginning in ["P", "PRI ", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] {
        let mut wire = Wire::connect(gate.public);
        wire.send(beginning);
        assert!(wire.await_end() < SOON, "{beginning}");
    }
    // A method that begins like the preface is no preface.
    let mut wire = Wire::connect(gate.public);
    wire.send("P");
    wire.send("ROPFIND /x HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(wire.answer().status, 405);
    // Something else behind it is a request that is none.
    let mut wire = Wire::connect(gate.public);
    wire.send("PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n");
    assert_eq!(wire.answer().status, 400);
}

#[test]
fn a_preface_that_breaks_off_ends_its_connection_and_hangs_nobody() {
    // What ends must end because the client did, not because of a limit.
    let gate = Gate::of_channels("http_header_timeout = \"60s\"\nhttp_request_timeout = \"60s\"");
    let canary = Canary::watch(&gate);
    let before = descriptors();
    for length in 1..PREFACE.len() {
        let mut wire = Wire::connect(gate.public);
        wire.send(&PREFACE[..length]);
        wire.finish();
        wire.await_end();
        // The same with nobody there to hear anything.
        let mut wire = Wire::connect(gate.public);
        wire.send(&PREFACE[..length]);
        drop(wire);
        // The end may come later than the bytes.
        let mut wire = Wire::connect(gate.public);
        wire.send(&PREFACE[..length]);
        assert!(wire.is_silent_for(Duration::from_millis(5)), "{length}: more may come");
        wire.finish();
        wire.await_end();
    }
    await_descriptors(before);
    canary.finish();
}

#[test]
fn each_websocket_has_a_seat_of_its_own() {
    let gate = Gate::of_channels("max_connections = 3");
    let mut client = Http2::connect(gate.public);
    for stream in [1, 3] {
        client.open(stream, &websocket("/x"), 0);
        assert_eq!(client.status(stream), 200);
    }
    client.open(5, &websocket("/x"), 0);
    assert_eq!(client.status(5), 503);
    let events = get("/x", &[("accept", "text/event-stream")]);
    client.open(7, &events, END_STREAM);
    assert_eq!(client.status(7), 503);
    // A seat is free again when its WebSocket has ended.
    client.send(RST_STREAM, 0, 1, 8u32.to_be_bytes());
    gate.await_metric("tidegate_open_connections{door=\"websocket\"}", 1);
    client.open(9, &events, END_STREAM);
    assert_eq!(client.status(9), 200);
}

#[test]
fn more_streams_than_may_be_open_are_refused_one_by_one() {
    let gate = Gate::of_channels("h2_max_concurrent_streams = 2");
    let mut client = Http2::connect(gate.public);
    for stream in [1, 3] {
        client.open(stream, &websocket("/x"), 0);
        assert_eq!(client.status(stream), 200);
    }
    client.open(5, &websocket("/x"), 0);
    assert_eq!(client.reset(5), 7, "REFUSED_STREAM: it may be tried again");
    client.send(DATA, 0, 1, message(TEXT, "here"));
    assert_eq!(client.of_stream(1).payload, b"\x81\x04here");
    client.send(GOAWAY, 0, 0, [0; 8]);
}
