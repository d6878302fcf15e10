//! Clients that do not take what they asked for: they are closed, and those beside them get everything.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use tidegate_hostile::backend::{Backend, write};
use tidegate_hostile::canary::Canary;
use tidegate_hostile::gate::Gate;
use tidegate_hostile::log;
use tidegate_hostile::socket::{PONG, Received, Socket, frame, handshake};
use tidegate_hostile::wire::Wire;

const SMALL_QUEUE: &str = "max_publication = \"64 KiB\"\nws_out_queue_bytes = \"256 KiB\"\n\
    ws_write_timeout = \"1s\"\nws_close_timeout = \"500ms\"";

/// The `number`th message of `bytes`.
fn numbered(number: usize, bytes: usize) -> String {
    format!("{number:09}{}", "x".repeat(bytes - 9))
}

/// Publishes `count` numbered messages of `bytes` each.
fn publish(gate: &Gate, channel: &str, count: usize, bytes: usize) {
    for number in 0..count {
        let answer = gate.publish(channel, numbered(number, bytes));
        assert!(matches!(answer.status, 201 | 202), "{answer:?}");
    }
}

#[test]
fn who_does_not_read_is_closed_and_tears_no_frame() {
    let gate = Gate::of_channels(SMALL_QUEUE);
    let canary = Canary::watch(&gate);
    let mut slow = Socket::over(Wire::connect_narrow(gate.public), "/feed", "");
    let mut good = Socket::open(gate.public, "/feed");
    gate.await_subscribers("feed", 2);
    const COUNT: usize = 200;
    for number in 0..COUNT {
        let _ = gate.publish("feed", numbered(number, 20_000));
        assert_eq!(good.next_text(), numbered(number, 20_000), "the other subscriber gets everything");
    }
    // What it got is whole and in order; then the Close, if it still gets that far.
    let mut next = 0;
    loop {
        match slow.receive() {
            Received::Text(text) => {
                assert_eq!(text, numbered(next, 20_000));
                next += 1;
            }
            Received::Ping(_) => {}
            Received::Close(code, reason) => {
                assert_eq!((code, reason.as_str()), (Some(1013), "slow_consumer (TG-4020)"));
                break;
            }
            Received::End(_) => break,
            other => panic!("{other:?}"),
        }
    }
    assert!(next < COUNT, "it cannot have got everything");
    assert_eq!(gate.metric("tidegate_closes_total{code=\"1013\"}"), 1);
    let _ = log::await_line(&["slow_consumer", "WARN"]);
    canary.finish();
}

#[test]
fn a_slow_client_that_reads_on_hears_why() {
    let gate =
        Gate::of_channels(&SMALL_QUEUE.replace("ws_close_timeout = \"500ms\"", "ws_close_timeout = \"10s\""));
    let mut slow = Socket::over(Wire::connect_narrow(gate.public), "/feed", "");
    gate.await_subscribers("feed", 1);
    // More than the kernel and the queue hold, at once, so that the queue is over its bound before the stall counts.
    publish(&gate, "feed", 400, 20_000);
    gate.await_metric("tidegate_slow_consumers_queue_total", 1);
    assert_eq!(slow.await_close(), Some((Some(1013), "slow_consumer (TG-4020)".to_owned())));
    assert_eq!(gate.metric("tidegate_slow_consumers_stall_total"), 0);
}

/// A route on which only the newest counts.
fn gate_of_latest() -> Gate {
    let limits = "max_publication = \"64 KiB\"\nws_out_queue_bytes = \"256 KiB\"";
    Gate::start(limits, "[[route]]\npath = \"/{*rest}\"\nchannel = {}\nslow = \"latest\"\n")
}

#[test]
fn where_the_newest_counts_a_slow_client_is_told_of_the_gap_and_gets_it() {
    const COUNT: usize = 400;
    let gate = gate_of_latest();
    let canary = Canary::watch(&gate);
    let wire = Wire::connect_narrow(gate.public);
    let mut slow = Socket::over(wire, "/feed", "Sec-WebSocket-Protocol: tidegate.v1\r\n");
    assert_eq!(slow.next_json()["type"], "open");
    let mut good = Socket::open(gate.public, "/feed");
    gate.await_subscribers("feed", 2);
    for number in 0..COUNT {
        let _ = gate.publish("feed", numbered(number, 20_000));
        assert_eq!(good.next_text(), numbered(number, 20_000), "the other subscriber gets everything");
    }
    assert!(gate.metric("tidegate_slow_consumers_latest_total") >= 1);
    let (mut next, mut gaps) = (1, 0);
    while next <= COUNT {
        let envelope = slow.next_json();
        let position = envelope["position"].as_str().unwrap_or_default();
        let offset: usize = position.split_once(':').expect("a position").1.parse().expect("an offset");
        if envelope["type"] == "open" {
            assert_eq!(envelope["recovered"], false);
            assert!(offset >= next, "{offset} after {next}");
            (next, gaps) = (offset + 1, gaps + 1);
        } else {
            assert_eq!(offset, next, "a gap is told");
            assert_eq!(envelope["text"], numbered(offset - 1, 20_000));
            next += 1;
        }
    }
    assert!(gaps >= 1, "it cannot have got everything");
    // It is as live as the others.
    let answer = gate.publish("feed", "last");
    assert_eq!(answer.status, 201);
    assert_eq!(slow.next_json()["text"], "last");
    assert_eq!(gate.metric("tidegate_closes_total{code=\"1013\"}"), 0);
    canary.finish();
}

#[test]
fn a_bare_client_that_was_slow_ends_with_the_newest() {
    const COUNT: usize = 400;
    let gate = gate_of_latest();
    let mut slow = Socket::over(Wire::connect_narrow(gate.public), "/feed", "");
    gate.await_subscribers("feed", 1);
    publish(&gate, "feed", COUNT, 20_000);
    let (mut before, mut came) = (None, 0);
    while before != Some(COUNT - 1) {
        let number: usize = slow.next_text()[..9].parse().expect("a number");
        assert!(Some(number) > before, "{number} after {before:?}");
        (before, came) = (Some(number), came + 1);
    }
    assert!(came < COUNT, "it cannot have got everything");
}

#[test]
fn a_trickle_is_not_enough() {
    let gate = Gate::of_channels(SMALL_QUEUE);
    let mut slow = Socket::over(Wire::connect_narrow(gate.public), "/feed", "");
    gate.await_subscribers("feed", 1);
    let (stop, stopped) = mpsc::sync_channel::<()>(1);
    let reader = std::thread::spawn(move || {
        // A KiB now and then is progress each time, yet less than what is published.
        while stopped.recv_timeout(Duration::from_millis(50)).is_err() {
            if slow.wire.take(1024).is_err() {
                return;
            }
        }
    });
    publish(&gate, "feed", 600, 20_000);
    gate.await_metric("tidegate_closes_total{code=\"1013\"}", 1);
    gate.await_metric("tidegate_open_connections{door=\"websocket\"}", 0);
    // The reader may have ended with the connection.
    let _ = stop.try_send(());
    reader.join().expect("reading to the end is no failure");
}

#[test]
fn an_event_stream_that_nobody_reads_really_ends() {
    let gate = Gate::of_channels(SMALL_QUEUE);
    let canary = Canary::watch(&gate);
    let mut slow = Wire::connect_narrow(gate.public);
    slow.send("GET /feed HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n");
    let mut good = Socket::open(gate.public, "/feed");
    gate.await_subscribers("feed", 2);
    for number in 0..300 {
        let _ = gate.publish("feed", numbered(number, 20_000));
        assert_eq!(good.next_text(), numbered(number, 20_000), "who reads gets everything");
    }
    gate.await_metric("tidegate_open_connections{door=\"event_stream\"}", 0);
    // What the kernel holds and the last word are there to be read, and no more.
    while !slow.unread.ends_with(b"0\r\n\r\n") && slow.read().is_ok() {}
    let text = String::from_utf8_lossy(&slow.unread);
    assert!(!text.contains("000000299x"), "it got the last one");
    assert_eq!(gate.metric("tidegate_closes_total{code=\"1013\"}"), 1);
    canary.finish();
}

#[test]
fn an_idle_event_stream_is_cut_when_its_client_stops_taking() {
    let gate = Gate::of_channels(
        "ws_write_timeout = \"500ms\"\nws_ping_interval = \"200ms\"\nws_pong_timeout = \"100ms\"",
    );
    let mut slow = Wire::connect_narrow(gate.public);
    slow.send("GET /feed HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n");
    gate.await_subscribers("feed", 1);
    publish(&gate, "feed", 8, 1 << 20);
    gate.await_metric("tidegate_open_connections{door=\"event_stream\"}", 0);
}

#[test]
fn a_connection_that_takes_nothing_of_its_answer_gives_its_place_back() {
    let backend = Backend::start(|_, stream| {
        write(stream, "HTTP/1.1 200 OK\r\nContent-Length: 104857600\r\n\r\n");
        (0..1600).all(|_| write(stream, [b'x'; 1 << 16]))
    });
    let limits = "max_connections = 1\nhttp_keepalive_idle = \"1s\"\nws_write_timeout = \"500ms\"";
    let routes = format!(
        "[[route]]\npath = \"/download\"\nauto = {{ url = \"http://{}\" }}\n\
         [[route]]\npath = \"/feed\"\nchannel = {{}}\n",
        backend.address
    );
    let gate = Gate::start(limits, &routes);
    for (head, accept) in [("GET /download", "*/*"), ("GET /feed", "text/event-stream")] {
        // The one before may not have left its place yet.
        let stalled = loop {
            let mut wire = Wire::connect_narrow(gate.public);
            wire.send(format!("{head} HTTP/1.1\r\nHost: localhost\r\nAccept: {accept}\r\n\r\n"));
            assert!(wire.read().is_ok());
            if wire.unread.starts_with(b"HTTP/1.1 200") {
                break wire;
            }
        };
        if head == "GET /feed" {
            gate.await_subscribers("feed", 1);
            publish(&gate, "feed", 16, 1 << 20);
        }
        let begun = Instant::now();
        while gate.get("/feed").status == 503 {
            assert!(begun.elapsed() < Duration::from_secs(10), "{head}: the place is never given back");
        }
        drop(stalled);
    }
}

#[test]
fn many_slow_clients_cost_the_others_nothing() {
    let gate = Gate::of_channels(SMALL_QUEUE);
    let canary = Canary::watch(&gate);
    let slow: Vec<_> =
        (0..100).map(|_| Socket::over(Wire::connect_narrow(gate.public), "/feed", "")).collect();
    let mut good = Socket::open(gate.public, "/feed");
    gate.await_subscribers("feed", 101);
    for number in 0..100 {
        let _ = gate.publish("feed", numbered(number, 60_000));
        assert_eq!(good.next_text(), numbered(number, 60_000), "who reads gets everything");
    }
    gate.await_metric("tidegate_closes_total{code=\"1013\"}", 100);
    drop(slow);
    canary.finish();
}

#[test]
fn who_does_not_answer_pings_is_gone() {
    let gate = Gate::of_channels("ws_ping_interval = \"300ms\"\nws_pong_timeout = \"200ms\"");
    let mut dead = Socket::open(gate.public, "/x");
    let mut alive = Socket::open(gate.public, "/x");
    for _ in 0..6 {
        assert!(matches!(alive.receive(), Received::Ping(_)));
        alive.send(frame(PONG, ""));
    }
    assert!(matches!(dead.receive(), Received::Ping(_)));
    assert!(matches!(dead.receive(), Received::End(_)), "cut without another word");
    gate.await_metric("tidegate_open_connections{door=\"websocket\"}", 1);
}

#[test]
fn bytes_that_are_no_answer_do_not_count_as_a_pong() {
    // Half a frame header, byte by byte, is not a sign of life of the protocol, but it is one of TCP.
    let gate = Gate::of_channels(
        "ws_ping_interval = \"300ms\"\nws_pong_timeout = \"200ms\"\nws_message_timeout = \"500ms\"",
    );
    let mut socket = Socket::open(gate.public, "/x");
    let begun = Instant::now();
    socket.send([0x81, 0xFE, 0xFF, 0xFF, 1, 2, 3, 4]);
    while socket.send("x") && begun.elapsed() < Duration::from_secs(10) {
        let _ = socket.wire.is_silent_for(Duration::from_millis(20));
    }
    assert!(begun.elapsed() < Duration::from_secs(8), "a message that never ends is ended");
}

#[test]
fn a_download_that_nobody_reads_costs_the_backend_one_connection_and_others_nothing() {
    let backend = Backend::start(|asked, stream| {
        if asked.head.starts_with("GET /large") {
            let part = vec![b'x'; 1 << 16];
            write(stream, "HTTP/1.1 200 OK\r\nContent-Length: 104857600\r\n\r\n");
            return (0..1600).all(|_| write(stream, &part));
        }
        write(stream, tidegate_hostile::backend::ok("page"))
    });
    let gate = Gate::before(backend.address, "upstream_max_inflight = 4");
    let canary = Canary::watch(&gate);
    let stalled: Vec<_> = (0..40)
        .map(|_| {
            let mut wire = Wire::connect_narrow(gate.public);
            wire.send("GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n");
            assert!(wire.read().is_ok());
            wire
        })
        .collect();
    assert_eq!(gate.get("/other").text(), "page");
    drop(stalled);
    canary.finish();
}

#[test]
fn a_crowd_is_turned_away_with_the_limits_name() {
    let gate = Gate::of_channels("max_connections = 20");
    let canary = Canary::watch(&gate);
    let mut inside: Vec<_> = (0..16).map(|_| Socket::open(gate.public, "/x")).collect();
    for _ in 0..50 {
        let answer = gate.ask(handshake("/x", ""));
        assert_eq!(answer.status, 503);
        assert!(answer.text().contains("max_connections") && answer.header("retry-after").is_some());
    }
    inside.pop();
    let begun = Instant::now();
    while gate.ask(handshake("/x", "")).status != 101 {
        assert!(begun.elapsed() < Duration::from_secs(10), "a place that was given back is one");
    }
    canary.finish();
    assert!(inside[0].wire.is_silent_for(Duration::from_millis(10)), "who is inside stays");
}
