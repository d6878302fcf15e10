//! Long polls and lines of JSON in the hands of those who mean no good: crowds that wait, clients that leave,
//! positions that are none, readers that do not read.

use std::time::{Duration, Instant};

use tidegate_hostile::canary::Canary;
use tidegate_hostile::cost::{await_descriptors, descriptors, resident_bytes};
use tidegate_hostile::gate::Gate;
use tidegate_hostile::http2::{DATA, END_STREAM, HEADERS, Http2, RST_STREAM, WINDOW_UPDATE, get, status};
use tidegate_hostile::socket::Socket;
use tidegate_hostile::wire::Wire;

const OPEN: &str = "tidegate_open_connections{door=\"longpoll\"}";
const LINES: &str = "tidegate_open_connections{door=\"ndjson\"}";

/// The position of a channel's newest publication.
fn position(gate: &Gate, channel: &str) -> String {
    let answer = gate.admin("GET", &format!("/channels/{channel}")).text();
    let status: serde_json::Value = serde_json::from_str(&answer).expect("JSON");
    status["position"].as_str().expect("a position").to_owned()
}

/// A poll of `/feed` as bytes.
fn poll(after: &str, wait: &str) -> String {
    format!("GET /feed?after={after}&wait={wait} HTTP/1.1\r\nHost: localhost\r\n\r\n")
}

#[test]
fn ten_thousand_who_wait_are_bounded_and_cost_little() {
    const CONNECTIONS: u32 = 100;
    const EACH: u32 = 100;
    const WAITING: u64 = (CONNECTIONS * EACH) as u64;
    // The canary has five places, the crowd has those of its connections and its polls.
    let places = WAITING + u64::from(CONNECTIONS) + 5 + 8;
    let gate = Gate::of_channels(&format!("max_connections = {places}"));
    let canary = Canary::watch(&gate);
    assert_eq!(gate.publish("feed", "one").status, 202);
    let target = format!("/feed?after={}&wait=60", position(&gate, "feed"));
    let before = resident_bytes();
    let mut crowd: Vec<_> = (0..CONNECTIONS).map(|_| Http2::connect(gate.public)).collect();
    for client in &mut crowd {
        for number in 0..EACH {
            client.open(1 + 2 * number, &get(&target, &[]), END_STREAM);
        }
    }
    gate.await_subscribers("feed", WAITING);
    assert_eq!(gate.metric(OPEN), WAITING);
    let each = resident_bytes().saturating_sub(before) / WAITING as usize;
    assert!(each < 12 << 10, "{each} bytes for each poll that waits, the stream's own included");
    // What is beyond the bound is refused with its name; those who wait are not touched.
    let mut beyond = 0;
    let mut late = Http2::connect(gate.public);
    for number in 0..20 {
        late.open(1 + 2 * number, &get(&target, &[]), END_STREAM);
    }
    while beyond < 8 {
        let frame = late.await_frame(|frame| frame.kind == HEADERS);
        assert_eq!(status(&frame.payload), Some(503));
        beyond += 1;
    }
    drop(late);
    // One publication is the answer to all of them.
    let begun = Instant::now();
    assert_eq!(gate.publish("feed", "two").status, 201);
    for client in &mut crowd {
        for _ in 0..EACH {
            let frame = client.await_frame(|frame| frame.kind == HEADERS);
            assert_eq!(status(&frame.payload), Some(200));
        }
    }
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    gate.await_metric(OPEN, 0);
    gate.await_subscribers("feed", 0);
    // The publication was written once on each shard.
    assert!(gate.metric("tidegate_encoded_total") < WAITING);
    canary.finish();
}

#[test]
fn who_asks_for_a_minute_and_leaves_leaves_nothing() {
    let gate = Gate::of_channels("");
    let canary = Canary::watch(&gate);
    let _ = gate.publish("feed", "one");
    let after = position(&gate, "feed");
    let fds = descriptors();
    let round = |count: usize| {
        for number in 0..count {
            let mut wire = gate.connect();
            wire.send(poll(&after, "60"));
            match number % 3 {
                0 => wire.reset(),
                1 => drop(wire),
                _ => wire.finish(),
            }
        }
        await_descriptors(fds);
        gate.await_metric(OPEN, 0);
    };
    round(500);
    let before = resident_bytes();
    round(1500);
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown < 8 << 20, "{grown} bytes are left of fifteen hundred polls");
    gate.await_subscribers("feed", 0);
    // The same on streams of one connection, each reset while it waits.
    let mut client = Http2::connect(gate.public);
    for number in 0..50 {
        client.open(1 + 2 * number, &get(&format!("/feed?after={after}&wait=60"), &[]), END_STREAM);
    }
    gate.await_subscribers("feed", 50);
    drop(client);
    gate.await_subscribers("feed", 0);
    canary.finish();
}

#[test]
fn waits_and_positions_of_any_bytes_are_an_answer() {
    let gate = Gate::of_channels("");
    let canary = Canary::watch(&gate);
    let _ = gate.publish("feed", "one");
    let mut random = fastrand::Rng::with_seed(7);
    let mut wire = gate.connect();
    for number in 0..600 {
        let mut garbage = || -> String {
            let bytes = std::iter::repeat_with(|| random.u8(..)).take(number % 40);
            bytes.map(|byte| format!("%{byte:02x}")).collect()
        };
        let (after, wait) = (garbage(), garbage());
        let target = match number % 3 {
            0 => format!("after={after}&wait=0"),
            1 => format!("wait={wait}"),
            _ => format!("after={after}&wait={wait}&after=k:1"),
        };
        wire.send(format!("GET /feed?{target} HTTP/1.1\r\nHost: localhost\r\n\r\n"));
        let answer = wire.answer();
        assert!(matches!(answer.status, 200 | 204 | 400), "{target}: {answer:?}");
        assert!(answer.body.iter().all(|byte| *byte == b'\n' || !byte.is_ascii_control()), "{answer:?}");
        if answer.status == 400 {
            let sentence = answer.text();
            assert!(sentence.contains("'wait'") || sentence.contains("'after'"), "{target}: {sentence}");
        }
    }
    // A position is a position of this channel or of none, whatever it looks like.
    let other = gate.publish("other", "secret of another channel");
    assert_eq!(other.status, 202);
    let answer = gate.ask(poll(&position(&gate, "other"), "0"));
    assert!(answer.text().contains("\"recovered\":false") && !answer.text().contains("secret"), "{answer:?}");
    canary.finish();
}

#[test]
fn requests_behind_one_that_waits_wait_in_the_kernel() {
    let gate = Gate::of_channels("");
    let _ = gate.publish("feed", "one");
    let after = position(&gate, "feed");
    let before = resident_bytes();
    let mut wire = gate.connect();
    wire.send(poll(&after, "60"));
    gate.await_subscribers("feed", 1);
    let taken =
        wire.send_until_stalled(poll(&after, "60").repeat(1000).as_bytes(), Duration::from_secs(1), 64 << 20);
    assert!(taken < 64 << 20, "it is taken without end");
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown < 8 << 20, "{grown} bytes for what is not answered yet");
    assert_eq!(gate.metric(OPEN), 1, "one after another");
    drop(wire);
}

const INITIAL_WINDOW_SIZE: u16 = 4;
const STALLED: &str = "tidegate_slow_consumers_stall_total";

/// Publishes so many times 300 KB to `/feed`; gives the target that asks for all of it.
fn large_answer(gate: &Gate, count: usize) -> String {
    let first = gate.publish("feed", "first").status;
    assert_eq!(first, 202);
    let target = format!("/feed?after={}", position(gate, "feed"));
    for _ in 0..count {
        assert_eq!(gate.publish("feed", "x".repeat(300_000)).status, 202);
    }
    target
}

#[test]
fn answers_that_nobody_takes_are_shared_and_counted_and_do_not_stay() {
    const CLIENTS: u64 = 3;
    const EACH: u64 = 50;
    let gate = Gate::of_channels("ws_write_timeout = \"2s\"");
    let canary = Canary::watch(&gate);
    let target = large_answer(&gate, 3);
    let before = resident_bytes();
    let shut = [(INITIAL_WINDOW_SIZE, 0)];
    let mut clients: Vec<_> = (0..CLIENTS).map(|_| Http2::with_settings(gate.public, &shut)).collect();
    for client in &mut clients {
        for number in 0..EACH as u32 {
            client.open(1 + 2 * number, &get(&target, &[]), END_STREAM);
        }
    }
    gate.await_metric(OPEN, CLIENTS * EACH);
    gate.await_subscribers("feed", 0);
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown < 24 << 20, "{grown} bytes for {} answers of 900 KB", CLIENTS * EACH);
    for client in &mut clients {
        (0..EACH).for_each(|_| drop(client.await_frame(|frame| frame.kind == RST_STREAM)));
    }
    gate.await_metric(OPEN, 0);
    assert_eq!(gate.metric(STALLED), CLIENTS * EACH);
    canary.finish();
}

#[test]
fn an_answer_that_nobody_reads_ends_its_connection() {
    // More than the system takes for a client that does not read.
    let gate = Gate::of_channels("ws_write_timeout = \"500ms\"\nws_out_queue_bytes = \"64 MiB\"");
    let canary = Canary::watch(&gate);
    let target = large_answer(&gate, 60);
    let mut slow = Wire::connect_narrow(gate.public);
    slow.send(format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    gate.await_metric(STALLED, 1);
    assert_eq!(gate.metric(OPEN), 0);
    let (taken, _) = slow.rest();
    assert!(taken.len() < 16_000_000, "{} bytes", taken.len());
    canary.finish();
}

#[test]
fn an_answer_that_is_taken_bit_by_bit_is_taken_whole() {
    const BIT: u32 = 64 << 10;
    let gate = Gate::of_channels("ws_write_timeout = \"1s\"");
    let target = large_answer(&gate, 3);
    let whole = gate.get(&target).body;
    let mut client = Http2::with_settings(gate.public, &[(INITIAL_WINDOW_SIZE, 0)]);
    client.send(WINDOW_UPDATE, 0, 0, (1u32 << 20).to_be_bytes());
    client.open(1, &get(&target, &[]), END_STREAM);
    assert_eq!(client.status(1), 200);
    let mut came = Vec::new();
    while came.len() < whole.len() {
        client.send(WINDOW_UPDATE, 0, 1, BIT.to_be_bytes());
        let wanted = whole.len().min(came.len() + BIT as usize);
        while came.len() < wanted {
            let frame = client.of_stream(1);
            assert_eq!(frame.kind, DATA, "{} bytes, then {frame:?}", came.len());
            came.extend(frame.payload);
        }
        // All of it takes longer than a client may take nothing.
        let _ = client.wire.is_silent_for(Duration::from_millis(100));
    }
    assert_eq!(came, whole);
    gate.await_metric(OPEN, 0);
    assert_eq!(gate.metric(STALLED), 0);
}

#[test]
fn lines_that_nobody_reads_really_end() {
    let gate = Gate::of_channels(
        "max_publication = \"64 KiB\"\nws_out_queue_bytes = \"256 KiB\"\nws_write_timeout = \"1s\"\n\
         ws_close_timeout = \"500ms\"",
    );
    let canary = Canary::watch(&gate);
    let mut slow = Wire::connect_narrow(gate.public);
    slow.send("GET /feed HTTP/1.1\r\nHost: localhost\r\nAccept: application/x-ndjson\r\n\r\n");
    let mut good = Socket::open(gate.public, "/feed");
    gate.await_subscribers("feed", 2);
    for number in 0..300 {
        let text = format!("{number:09}{}", "x".repeat(20_000));
        let _ = gate.publish("feed", &text);
        assert_eq!(good.next_text(), text, "who reads gets everything");
    }
    gate.await_metric(LINES, 0);
    while !slow.unread.ends_with(b"0\r\n\r\n") && slow.read().is_ok() {}
    let text = String::from_utf8_lossy(&slow.unread);
    assert!(!text.contains("000000299x"), "it got the last one");
    assert_eq!(gate.metric("tidegate_closes_total{code=\"1013\"}"), 1);
    canary.finish();
}

#[test]
fn payloads_cannot_break_out_of_a_line_or_an_answer() {
    let gate = Gate::of_channels("");
    let mut wire = gate.connect();
    wire.send("GET /feed HTTP/1.1\r\nHost: localhost\r\nAccept: application/x-ndjson\r\n\r\n");
    while !wire.unread.windows(6).any(|part| part == b"\"open\"") {
        wire.read().expect("the stream goes on");
    }
    let forged = "x\n{\"type\":\"close\",\"code\":1000}\r\n";
    let json = "{\"a\":\n[1,\r\n2],\n\"b\":\"]}\"}";
    for payload in [forged, json, "end"] {
        assert!(matches!(gate.publish("feed", payload).status, 201));
    }
    while !wire.unread.windows(5).any(|part| part == b"\"end\"") {
        wire.read().expect("the stream goes on");
    }
    // Chunks end with line ends of their own, behind the one of each line.
    let text = String::from_utf8_lossy(&wire.unread).into_owned();
    let lines: Vec<serde_json::Value> = text
        .lines()
        .filter(|line| line.starts_with('{'))
        .map(|line| serde_json::from_str(line).expect(line))
        .collect();
    let kinds: Vec<_> = lines.iter().map(|line| line["type"].as_str().unwrap_or_default()).collect();
    assert_eq!(kinds, ["open", "message", "message", "message"], "{text}");
    let answer = gate.get("/feed?wait=0");
    let whole: serde_json::Value = serde_json::from_slice(&answer.body).expect("JSON");
    assert_eq!(whole["publications"][0]["text"], "end");
    let first = lines[0]["position"].as_str().expect("a position");
    let all: serde_json::Value =
        serde_json::from_slice(&gate.get(&format!("/feed?after={first}")).body).expect("JSON");
    assert_eq!(all["publications"][0]["text"], forged);
    assert_eq!(
        all["publications"][1]["data"],
        serde_json::from_str::<serde_json::Value>(json).expect("JSON")
    );
}
