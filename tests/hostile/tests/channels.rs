//! Names, positions and commands that clients make up: refused in words or answered with a declared gap,
//! in one log line, and never more subscriptions than may be.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tidegate_hostile::canary::Canary;
use tidegate_hostile::gate::Gate;
use tidegate_hostile::log;
use tidegate_hostile::socket::{BINARY, CLOSE, Socket, TEXT, frame, handshake};

/// Opens `/first` with envelopes and takes the first one.
fn open(gate: &Gate) -> Socket {
    let mut socket = Socket::open_envelopes(gate.public, "/first");
    assert_eq!(socket.next_json()["type"], "open");
    socket
}

/// The next reply to the command `id`, whatever comes before it.
fn reply(socket: &mut Socket, id: u64) -> Value {
    loop {
        let envelope = socket.next_json();
        if envelope["type"] == "reply" && envelope["id"] == id {
            return envelope;
        }
    }
}

/// How often each error code is among the next `count` replies; `none` for those that succeeded.
fn codes_of(socket: &mut Socket, count: usize) -> BTreeMap<String, usize> {
    let mut codes = BTreeMap::new();
    let mut left = count;
    while left > 0 {
        let envelope = socket.next_json();
        if envelope["type"] == "reply" {
            *codes.entry(error_of(&envelope).to_owned()).or_insert(0) += 1;
            left -= 1;
        }
    }
    codes
}

fn error_of(envelope: &Value) -> &str {
    envelope["code"]
        .as_str()
        .or_else(|| envelope["error"]["code"].as_str())
        .or_else(|| envelope["error"].as_str())
        .unwrap_or("none")
}

#[test]
fn what_is_no_command_is_answered_and_the_session_goes_on() {
    let gate = Gate::of_channels("ws_max_frames_per_s = 100000");
    let canary = Canary::watch(&gate);
    let mut socket = open(&gate);
    let deep = format!("{{\"type\":\"message\",\"data\":{}{}}}", "[".repeat(30_000), "]".repeat(30_000));
    let unclosed = "[".repeat(60_000);
    for text in [
        "",
        " ",
        "null",
        "1e999",
        "[]",
        "{}",
        "{\"type\":1}",
        "{\"type\":\"nothing\"}",
        "{\"type\":\"subscribe\"}",
        "{\"type\":\"subscribe\",\"channel\":1}",
        "{\"type\":\"subscribe\",\"channel\":[\"a\"]}",
        "{\"type\":\"subscribe\",\"channel\":\"a\",\"after\":1}",
        "{\"type\":\"subscribe\",\"channel\":\"\\ud800\"}",
        "{\"type\":\"unsubscribe\",\"channel\":\"never followed\"}",
        "{\"type\":\"message\",\"binary\":\"not base64!\"}",
        "{\"type\":\"message\"}",
        "{\"type\":\"open\"}",
        "{\"type\":\"subscribe\",\"channel\":\"a\"} trailing",
        "\u{feff}{}",
        &unclosed,
    ] {
        socket.text(text);
        let envelope = socket.next_json();
        assert_eq!(envelope["type"], "error", "{:.60}: {envelope}", text);
        assert_eq!(error_of(&envelope), "bad_request", "{:.60}: {envelope}", text);
    }
    socket.send(frame(BINARY, "{}"));
    assert_eq!(error_of(&socket.next_json()), "bad_request");
    // Depth that nobody recurses into is data like any other; whatever it is, the stack holds.
    socket.text(&deep);
    let _ = socket.next_json();
    socket.text("{\"type\":\"message\",\"data\":\"alive\",\"id\":7}");
    assert!(reply(&mut socket, 7)["position"].is_string());
    canary.finish();
}

#[test]
fn names_that_cannot_be_are_refused_by_name() {
    let gate = Gate::of_channels("");
    let mut socket = open(&gate);
    let long = "x".repeat(256);
    let names =
        ["", "a//b", "../x", "a/..", "./a", "a\0b", "a\nb", "a\u{1b}[31m", "a\u{85}b", "a\u{1f}b", &long];
    for (id, name) in names.iter().enumerate() {
        socket.text(&json!({"type": "subscribe", "channel": name, "id": id}).to_string());
        let answer = reply(&mut socket, id as u64);
        assert_eq!(error_of(&answer), "bad_request", "{name:?}: {answer}");
    }
    for target in ["/a%00b", "/a%0ab", "/a%1fb", "/a%c2%85b", "/a//b", "/a%2Fb", "/%ff", &format!("/{long}")]
    {
        let answer = gate.ask(handshake(target, ""));
        assert_eq!(answer.status, 400, "{target}");
        assert!(answer.body.iter().all(|byte| *byte == b'\n' || !byte.is_ascii_control()), "{answer:?}");
    }
    // Twins of one look are two channels, byte by byte.
    for (name, number) in [("caf%C3%A9", 1), ("cafe%CC%81", 2)] {
        assert_eq!(gate.publish(name, number.to_string()).status, 202);
    }
    assert!(gate.admin("GET", "/channels").text().matches("caf").count() == 2);
}

#[test]
fn a_query_makes_no_channel_where_nothing_stands_behind_the_route() {
    let gate = Gate::of_channels("");
    let mut socket = open(&gate);
    for (id, name) in ["first?", "first?0", "/first?after=1", "first?a?b"].iter().enumerate() {
        for kind in ["subscribe", "message"] {
            socket.text(&json!({"type": kind, "channel": name, "data": 1, "id": id}).to_string());
            let answer = reply(&mut socket, id as u64);
            assert_eq!(error_of(&answer), "bad_request", "{kind} {name}: {answer}");
            assert!(answer.to_string().contains("the name is first"), "{kind} {name}: {answer}");
        }
        let refused = gate.publish(&name.trim_start_matches('/').replace('?', "%3F"), "x");
        assert_eq!(refused.status, 400, "{name}: {refused:?}");
    }
    // At the doors the query is no part of the name.
    let mut bare = Socket::open(gate.public, "/first?0");
    gate.await_subscribers("first", 2);
    assert_eq!(gate.publish("first", "x").status, 201);
    assert_eq!(bare.next_text(), "x");
    assert_eq!(gate.metric("tidegate_channels"), 1);
}

#[test]
fn positions_that_clients_make_up_never_replay_and_never_crash() {
    let gate = Gate::of_channels("");
    let other = gate.publish("other", "secret of another channel").text();
    let other: Value = serde_json::from_str(&other).expect("JSON");
    let other = other["position"].as_str().expect("a position").to_owned();
    for number in 0..3 {
        let _ = gate.publish("mine", number.to_string());
    }
    let mine: Value = serde_json::from_str(&gate.admin("GET", "/channels/mine").text()).expect("JSON");
    let mine = mine["position"].as_str().expect("a position").to_owned();
    let epoch = mine.split(':').next().expect("an epoch");
    let encoded = |after: &str| after.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
    let mut malformed: Vec<String> =
        [":", "x", "x:y", "-1:-1", "zzzzzzzzzzzz:1", "\u{1f600}:1", "a:b:c", "\0:1"]
            .map(str::to_owned)
            .into();
    malformed
        .extend(["18446744073709551616", "-1", "1e3", " 1", "01"].map(|offset| format!("{epoch}:{offset}")));
    for after in malformed {
        let answer = gate.ask(handshake(&format!("/mine?after={}", encoded(&after)), ""));
        assert_eq!(answer.status, 400, "{after}");
        assert!(answer.text().contains("a position is written epoch:offset"), "{after}: {answer:?}");
    }
    let made_up = ["0:0".to_owned(), other, format!("{epoch}:18446744073709551615"), format!("{epoch}:99")];
    for after in made_up {
        let target = encoded(&after);
        let mut socket = Socket::open_envelopes(gate.public, &format!("/mine?after={target}"));
        let envelope = socket.next_json();
        assert_eq!(
            (&envelope["type"], &envelope["recovered"]),
            (&"open".into(), &false.into()),
            "{after}: {envelope}"
        );
        let mut bare = Socket::open(gate.public, &format!("/mine?after={target}"));
        assert_eq!(bare.await_code(), 4409, "{after}");
    }
    let mut socket = Socket::open_envelopes(gate.public, &format!("/mine?after={epoch}:1"));
    assert_eq!(socket.next_json()["recovered"], true);
    assert_eq!((&socket.next_json()["data"], &socket.next_json()["data"]), (&1.into(), &2.into()));
}

#[test]
fn channels_and_subscriptions_have_their_numbers() {
    let gate = Gate::of_channels("channels_max_per_conn = 128\nsubscribe_rate = 1\nsubscribe_burst = 200");
    let canary = Canary::watch(&gate);
    let mut socket = open(&gate);
    for id in 0..160u64 {
        socket.text(&json!({"type": "subscribe", "channel": format!("many/{id}"), "id": id}).to_string());
    }
    let codes = codes_of(&mut socket, 160);
    assert_eq!(codes.into_iter().collect::<Vec<_>>(), [("limit".to_owned(), 33), ("none".to_owned(), 127)]);
    for id in 200..400u64 {
        socket.text(&json!({"type": "subscribe", "channel": "many/0", "id": id}).to_string());
    }
    let codes = codes_of(&mut socket, 200);
    assert!(codes["rate_limited"] > 100 && codes["bad_request"] >= 40, "{codes:?}");
    drop(socket);
    gate.await_metric("tidegate_open_connections{door=\"tidegate.v1\"}", 0);
    canary.finish();
}

#[test]
fn no_more_channels_exist_than_may() {
    let gate = Gate::of_channels("channels_max_total = 16\nhistory_ttl = \"1s\"");
    let mut refused = 0;
    for number in 0..64 {
        let answer = gate.publish(&format!("n/{number}"), "x");
        assert!(matches!(answer.status, 202 | 503), "{answer:?}");
        refused += usize::from(answer.status == 503);
    }
    assert!(refused >= 48, "{refused}");
    let mut socket = Socket::open(gate.public, "/one/more");
    assert_eq!(socket.await_code(), 1013);
}

#[test]
fn whoever_asks_for_many_names_keeps_no_place_from_others() {
    let gate = Gate::of_channels("channels_max_total = 64");
    let mut canary = Socket::open(gate.public, "/mine");
    let mut wire = gate.connect();
    for number in 0..1000 {
        wire.send(format!("GET /n/{number}?wait=0 HTTP/1.1\r\nHost: localhost\r\n\r\n"));
        let answer = wire.answer();
        assert_eq!(answer.status, 200, "{number}: {answer:?}");
    }
    let mut socket = Socket::open(gate.public, "/one/more");
    for (channel, socket) in [("mine", &mut canary), ("one/more", &mut socket)] {
        gate.await_subscribers(channel, 1);
        assert_eq!(gate.publish(channel, "x").status, 201);
        assert_eq!(socket.next_text(), "x");
    }
}

#[test]
fn payloads_cannot_break_out_of_an_event_stream() {
    let gate = Gate::of_channels("");
    let mut wire = gate.connect();
    wire.send(
        "GET /feed HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\nLast-Event-ID: a:1\r\n\r\n",
    );
    while !wire.unread.windows(13).any(|part| part == b"tidegate-open") {
        wire.read().expect("the stream goes on");
    }
    let payload = "a\nid: forged\n\nevent: tidegate-close\rdata: x\r\n\r\nretry: 1\0\u{2028}: end";
    assert_eq!(gate.publish("feed", payload).status, 201);
    while !wire.unread.windows(5).any(|part| part == b": end") {
        wire.read().expect("the stream goes on");
    }
    let text = String::from_utf8_lossy(&wire.unread).replace("\r\n", "\n").replace('\r', "\n");
    let lines: Vec<_> = text.lines().collect();
    for forged in ["id: forged", "event: tidegate-close", "retry: 1"] {
        assert!(!lines.iter().any(|line| line.starts_with(forged)), "{forged:?} in {text}");
    }
    for id in ["a\0b", "\u{e9}", "999999999999999999999999:1", ""] {
        let answer = gate.ask(format!("GET /feed HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\nLast-Event-ID: {id}\r\n\r\n"));
        assert!(matches!(answer.status, 200 | 400), "{id:?}: {}", answer.status);
    }
}

#[test]
fn a_log_line_stays_one_line() {
    let gate = Gate::of_channels("");
    let marks = ["%0aINFO", "%1b[2J", "%c2%9b31m"];
    for mark in marks {
        let _ =
            gate.ask(handshake(&format!("/log/{mark}"), &format!("User-Agent: {}\r\n", "\u{9b}31m\u{202e}")));
        let _ = gate.ask(handshake("/log", "Origin: http://x\u{9b}\u{202e}\r\n"));
        let _ = gate.get(&format!("/log/{mark}"));
        let _ = gate.admin("GET", &format!("/channels/log{mark}"));
    }
    let mut socket = open(&gate);
    socket.text("{\"type\":\"\\u001b[31m\\n\\u202e\"}");
    let answer = socket.next_json();
    assert!(!answer.to_string().chars().any(char::is_control));
    let mut payload = vec![0x0F, 0xA1];
    payload.extend("end of the story\n\u{1b}[31m\u{202e}\u{9b}".as_bytes());
    socket.send(frame(CLOSE, payload));
    assert_eq!(socket.await_code(), 4001);
    let _ = log::await_line(&["connection_closed", "channel=first", "code=4001"]);
    let mut broken = Socket::open(gate.public, "/log/broken");
    broken.send(frame(TEXT, [0xFF]));
    assert_eq!(broken.await_code(), 1007);
    let _ = log::await_line(&["protocol_error", "code=1007"]);
    for line in log::lines() {
        assert!(!line.chars().any(char::is_control), "{line:?}");
    }
}

#[test]
fn a_name_cannot_turn_a_log_line_round() {
    let gate = Gate::of_channels("");
    let answer = gate.ask(handshake("/turned/%e2%80%ae", ""));
    assert_eq!(answer.status, 400);
    let sentence = String::from_utf8_lossy(&answer.body);
    assert!(sentence.contains("turn text round"), "{sentence}");
}
