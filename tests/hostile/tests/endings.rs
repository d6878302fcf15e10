//! What the gateway says of connections that have ended: who ended each, and what really happened. Real sockets end
//! in every way that sockets can, plain, under TLS and as streams of HTTP/2.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;
use tidegate_gateway::Options;
use tidegate_hostile::backend::{Backend, ok, write};
use tidegate_hostile::certificate::Certificate;
use tidegate_hostile::gate::{Gate, TOKEN};
use tidegate_hostile::http2::{DATA, END_STREAM, Http2, RST_STREAM, websocket};
use tidegate_hostile::socket::{CLOSE, PING, Received, Socket, TEXT, close_frame, frame};
use tidegate_hostile::wire::{PATIENCE, Wire};

/// The row of the connection to this path, once it has ended.
fn ended(gate: &Gate, path: &str) -> Value {
    let begun = Instant::now();
    loop {
        let answer = gate.admin("GET", "/connections?state=closed&limit=1000").text();
        let list: Value = serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{error}: {answer}"));
        let rows = list["connections"].as_array().expect("a list");
        if let Some(row) = rows.iter().find(|row| row["path"] == path) {
            assert_eq!(row["state"], "closed", "{row}");
            return row.clone();
        }
        assert!(begun.elapsed() < PATIENCE, "nothing of {path} in {answer}");
    }
}

/// Asserts how the connection to this path ended; gives its `close`.
fn assert_ended(gate: &Gate, path: &str, by: &str, code: u16, clean: bool, what: &str) -> Value {
    let close = ended(gate, path)["close"].clone();
    let said = close["what_happened"].as_str().expect("a sentence");
    assert!(said.contains(what), "{path}: {said:?} lacks {what:?}");
    assert_eq!((close["by"].as_str(), close["clean"].as_bool()), (Some(by), Some(clean)), "{path}: {close}");
    assert_eq!(close["code"], code, "{path}: {close}");
    assert!(close["at"].as_u64().is_some_and(|at| at > 1_700_000_000_000), "{close}");
    close
}

#[test]
fn a_plain_socket_ends_in_every_way() {
    let gate = Gate::of_channels("ws_close_timeout = \"300ms\"");
    let mut fin = Socket::open(gate.public, "/fin");
    fin.wire.finish();
    let close = assert_ended(&gate, "/fin", "client", 1006, false, "ended with FIN, 0.");
    assert_eq!(
        (close["end"].as_str(), close["name"].as_str()),
        (Some("end of stream"), Some("abnormal closure"))
    );
    assert!(close["hint"].as_str().is_some_and(|hint| hint.contains("without close()")), "{close}");

    Socket::open(gate.public, "/rst").wire.reset();
    let close = assert_ended(&gate, "/rst", "network", 1006, false, "reset (RST)");
    assert_eq!(close["end"], "reset");

    let mut clean = Socket::open(gate.public, "/clean");
    clean.wire.send(close_frame(4000, "I am done"));
    assert!(matches!(clean.receive(), Received::Close(Some(4000), _)));
    clean.wire.finish();
    let close = assert_ended(
        &gate,
        "/clean",
        "client",
        4000,
        true,
        "the client closed with 4000, and the gateway answered",
    );
    assert_eq!((close["reason"].as_str(), close["end"].as_str()), (Some("I am done"), Some("close frame")));

    let mut silent = Socket::open(gate.public, "/nocode");
    silent.wire.send(frame(CLOSE, []));
    silent.wire.finish();
    assert_ended(&gate, "/nocode", "client", 1005, true, "no code (1005)");

    let mut rude = Socket::open(gate.public, "/rude");
    rude.wire.send([TEXT, 1, b'x']);
    let close = assert_ended(&gate, "/rude", "gateway", 1002, false, "broke a rule of the protocol");
    assert!(close["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{close}");
}

#[test]
fn limits_and_silence_name_their_keys() {
    let gate = Gate::of_channels(
        "ws_ping_interval = \"300ms\"\nws_pong_timeout = \"300ms\"\nws_message_timeout = \"200ms\"\n\
         ws_max_frames_per_s = 20\nws_max_control_frames_per_s = 10\nws_close_timeout = \"200ms\"\n\
         ws_max_message = \"1 KiB\"",
    );
    let _silent = Socket::open(gate.public, "/silent");
    let close = assert_ended(&gate, "/silent", "network", 1006, false, "nothing came after a Ping");
    assert_eq!((close["limit"].as_str(), close["end"].as_str()), (Some("ws_pong_timeout"), Some("time-out")));

    let mut half = Socket::open(gate.public, "/half");
    half.wire.send(frame(0x01, "a beginning"));
    let close = assert_ended(&gate, "/half", "gateway", 1008, false, "was begun and not finished");
    assert_eq!(close["limit"], "ws_message_timeout");
    assert!(close["what_happened"].as_str().is_some_and(|what| what.contains("ws_close_timeout")), "{close}");

    let mut flood = Socket::open(gate.public, "/flood");
    flood.wire.send(frame(TEXT, "x").repeat(60));
    let close = assert_ended(&gate, "/flood", "gateway", 1008, false, "more frames a second");
    assert_eq!(close["limit"], "ws_max_frames_per_s");
    assert!(close["hint"].as_str().is_some_and(|hint| hint.contains("[limits]")), "{close}");

    let mut pings = Socket::open(gate.public, "/pings");
    pings.wire.send(frame(PING, "x").repeat(30));
    let close = assert_ended(&gate, "/pings", "gateway", 1008, false, "more control frames");
    assert_eq!(close["limit"], "ws_max_control_frames_per_s");

    let mut large = Socket::open(gate.public, "/large");
    large.wire.send(frame(TEXT, [b'x'; 2000]));
    let close = assert_ended(&gate, "/large", "gateway", 1009, false, "larger than it may be");
    assert_eq!(close["limit"], "ws_max_message");
}

#[test]
fn a_slow_consumer_is_told_from_one_that_takes_nothing() {
    let gate = Gate::of_channels(
        "max_publication = \"64 KiB\"\nws_out_queue_bytes = \"128 KiB\"\nws_write_timeout = \"1s\"\n\
         ws_close_timeout = \"1s\"",
    );
    let mut slow = Socket::over(Wire::connect_narrow(gate.public), "/slow", "");
    let begun = Instant::now();
    while gate.metric("tidegate_slow_consumers_queue_total") == 0 {
        assert!(begun.elapsed() < PATIENCE, "it is never too much");
        let _ = gate.publish("slow", vec![b'x'; 60_000]);
    }
    // It goes on reading, so that it hears of it.
    while !matches!(slow.receive(), Received::Close(..) | Received::End(_)) {}
    slow.wire.send(close_frame(1013, ""));
    slow.wire.finish();
    let row = ended(&gate, "/slow");
    assert_eq!(
        (&row["close"]["limit"], &row["close"]["code"]),
        (&"ws_out_queue_bytes".into(), &1013.into()),
        "{row}"
    );
    assert!(row["queue_max_bytes"].as_u64().is_some_and(|most| most > 60_000), "{row}");
    assert!(row["sent_bytes"].as_u64().is_some_and(|sent| sent > 60_000), "{row}");

    let _nothing = Socket::over(Wire::connect_narrow(gate.public), "/nothing", "");
    let begun = Instant::now();
    while gate.metric("tidegate_slow_consumers_stall_total") == 0 {
        assert!(begun.elapsed() < PATIENCE, "it is never cut");
        let listed = gate.admin("GET", "/connections").text();
        if listed.contains("\"queue_bytes\":0") || listed.contains("\"connections\":[]") {
            let _ = gate.publish("nothing", vec![b'x'; 60_000]);
        }
    }
    let close = assert_ended(&gate, "/nothing", "gateway", 1013, false, "took nothing of what waited");
    assert_eq!(close["limit"], "ws_write_timeout");
}

#[test]
fn operators_and_backends_end_connections_too() {
    let gate = Gate::of_channels("ws_close_timeout = \"300ms\"");
    let mut told = Socket::open(gate.public, "/told");
    let list: Value = serde_json::from_str(&gate.admin("GET", "/connections").text()).expect("JSON");
    let id = list["connections"][0]["id"].as_str().expect("an id").to_owned();
    assert_eq!(gate.admin("DELETE", &format!("/connections/{id}?code=4321&reason=maintenance")).status, 200);
    assert!(matches!(told.receive(), Received::Close(Some(4321), _)));
    told.wire.send(close_frame(4321, ""));
    told.wire.finish();
    let close = assert_ended(
        &gate,
        "/told",
        "gateway",
        4321,
        true,
        "an operator asked for it: maintenance; the client answered",
    );
    assert_eq!(close["reason"], "maintenance");
    // It is shown by its name as well, although it is no more.
    let row: Value =
        serde_json::from_str(&gate.admin("GET", &format!("/connections/{id}")).text()).expect("JSON");
    assert_eq!((&row["state"], &row["close"]), (&"closed".into(), &close));

    let mut dropped = Socket::open(gate.public, "/dropped");
    gate.await_subscribers("dropped", 1);
    assert_eq!(gate.admin("DELETE", "/channels/dropped").status, 200);
    assert!(matches!(dropped.receive(), Received::Close(Some(1001), _)));
    assert_ended(&gate, "/dropped", "gateway", 1001, false, "an operator");

    let asked = AtomicUsize::new(0);
    let backend = Backend::start(move |_, stream| match asked.fetch_add(1, Ordering::SeqCst) {
        0 => write(stream, ok("\"a document\"")),
        _ => write(stream, "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n"),
    });
    let gate = Gate::before(backend.address, "");
    let mut refused = Socket::open(gate.public, "/refused");
    assert_eq!(refused.next_text(), "\"a document\"");
    assert!(matches!(refused.receive(), Received::Close(Some(4401), _)));
    refused.wire.send(close_frame(4401, ""));
    refused.wire.finish();
    assert_ended(&gate, "/refused", "backend", 4401, true, "the backend ended the channel");
}

#[test]
fn who_is_under_tls_ends_with_a_word_or_without() {
    let folder = tempfile::tempdir().expect("a folder");
    let certificate = Certificate::valid();
    certificate.write(folder.path());
    let place = folder.path().display();
    let text = format!(
        "[listen]\npublic = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\n\
         tls = {{ certificate = \"{place}/cert.pem\", key = \"{place}/key.pem\" }}\n\
         [access]\nadmin_token = \"{TOKEN}\"\n[[route]]\npath = \"/{{*rest}}\"\nchannel = {{}}\n"
    );
    let gate = Gate::start_with(&text, Options::default());
    let open = |path: &str| Socket::over(gate.connect().secure(&certificate), path, "");

    let mut notified = open("/notified");
    let mut tls = notified.wire.strip().expect("it is under TLS");
    tls.send_close_notify();
    let mut record = Vec::new();
    tls.write_tls(&mut record).expect("an alert");
    notified.wire.send(record);
    assert_ended(&gate, "/notified", "client", 1006, false, "close_notify");

    open("/fin").wire.finish();
    assert_ended(&gate, "/fin", "client", 1006, false, "ended with FIN");

    let mut broken = open("/broken");
    broken.wire.strip();
    broken.wire.send("no record at all");
    assert_ended(&gate, "/broken", "network", 1006, false, "what is no TLS");

    open("/rst").wire.reset();
    let close = assert_ended(&gate, "/rst", "network", 1006, false, "reset (RST)");
    assert_eq!(close["end"], "reset");
    assert_eq!(
        (&ended(&gate, "/rst")["tls"], &ended(&gate, "/rst")["transport"]),
        (&"1.3".into(), &"h1".into())
    );
}

#[test]
fn streams_of_http2_end_alone_or_with_their_connection() {
    let gate = Gate::of_channels("");
    let mut client = Http2::connect(gate.public);
    for (stream, path) in [(1, "/clean"), (3, "/reset"), (5, "/ended"), (7, "/under")] {
        client.open(stream, &websocket(path), 0);
        assert_eq!(client.status(stream), 200);
    }
    client.send(DATA, END_STREAM, 1, close_frame(1000, "done"));
    client.send(RST_STREAM, 0, 3, 8u32.to_be_bytes());
    client.send(DATA, END_STREAM, 5, []);
    let close = assert_ended(&gate, "/clean", "client", 1000, true, "and the gateway answered");
    assert_eq!(close["reason"], "done");
    assert_ended(&gate, "/reset", "client", 1006, false, "RST_STREAM");
    assert_ended(&gate, "/ended", "client", 1006, false, "END_STREAM");
    client.wire.reset();
    let close = assert_ended(&gate, "/under", "network", 1006, false, "no Close frame either way");
    assert_eq!(ended(&gate, "/under")["transport"], "h2", "{close}");
}

#[test]
fn streams_and_long_polls_have_no_close_frame() {
    let gate = Gate::of_channels("");
    let mut stream = gate.connect();
    stream.send("GET /stream HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n");
    assert_eq!(stream.answer().status, 200);
    stream.reset();
    let close = assert_ended(&gate, "/stream", "client", 1006, false, "ended the HTTP connection");
    assert_eq!(ended(&gate, "/stream")["door"], "event_stream", "{close}");

    assert_eq!(gate.get("/poll?wait=0").status, 200);
    assert_ended(&gate, "/poll", "gateway", 1000, true, "the long poll was answered");
}

#[test]
fn so_many_ends_are_kept_and_no_more() {
    let gate = Gate::start("inspect_ring = 3", "[[route]]\npath = \"/{*rest}\"\nchannel = {}\n");
    for number in 0..20 {
        Socket::open(gate.public, &format!("/ring/{number}")).wire.reset();
        gate.await_metric("tidegate_closes_total{code=\"1006\"}", number + 1);
    }
    gate.await_empty();
    let answer = gate.admin("GET", "/connections?state=closed&limit=1000").text();
    let list: Value = serde_json::from_str(&answer).expect("JSON");
    let rows = list["connections"].as_array().expect("a list");
    // There are two shards.
    assert!((3..=6).contains(&rows.len()), "{answer}");
    assert!(rows.iter().any(|row| row["path"] == "/ring/19"), "{answer}");

    let none = Gate::start("inspect_ring = 0", "[[route]]\npath = \"/{*rest}\"\nchannel = {}\n");
    Socket::open(none.public, "/forgotten").wire.reset();
    none.await_metric("tidegate_closes_total{code=\"1006\"}", 1);
    none.await_empty();
    let answer = none.admin("GET", "/connections?state=closed").text();
    assert!(answer.contains("\"connections\":[]"), "{answer}");
}

#[test]
fn a_row_counts_what_goes_over_its_connection() {
    let gate = Gate::of_channels("ws_ping_interval = \"200ms\"\nws_pong_timeout = \"200ms\"");
    let mut socket = Socket::open(gate.public, "/counted");
    socket.wire.send(frame(TEXT, "hello"));
    assert_eq!(socket.next_text(), "hello");
    let begun = Instant::now();
    let row = loop {
        // Pongs let it live, and tell the round trip.
        if let Received::Ping(payload) = socket.receive() {
            socket.wire.send(frame(0x8A, payload));
        }
        let list: Value = serde_json::from_str(&gate.admin("GET", "/connections").text()).expect("JSON");
        let row = list["connections"][0].clone();
        if row["rtt_ms"].is_f64() {
            break row;
        }
        assert!(begun.elapsed() < PATIENCE, "{row}");
    };
    assert_eq!((&row["state"], &row["close"]), (&"open".into(), &Value::Null), "{row}");
    assert_eq!((&row["sent_messages"], &row["received_messages"]), (&1.into(), &1.into()), "{row}");
    // Five bytes and a header of two; Pings are counted, too, and what comes has a mask.
    assert!(row["sent_bytes"].as_u64().is_some_and(|bytes| bytes >= 7 + 2), "{row}");
    assert!(row["received_bytes"].as_u64().is_some_and(|bytes| bytes >= 11 + 6), "{row}");
    assert!(row["idle_ms"].as_u64().is_some_and(|idle| idle < 10_000), "{row}");
    assert!(
        row["opened_ms"].as_u64().is_some_and(|at| at / 1000 == row["opened"].as_u64().unwrap_or(0)),
        "{row}"
    );
    assert!(row["rtt_ms"].as_f64().is_some_and(|rtt| rtt > 0.0 && rtt < 20_000.0), "{row}");
    assert!(begun.elapsed() < Duration::from_secs(20));
}
