//! What is lost is counted: messages on their way to clients, histories, resumes, and what sources bring where there is
//! no place for it, which comes later where it can.

use tidegate_gateway::Options;
use tidegate_hostile::backend::Backend;
use tidegate_hostile::gate::{Gate, configuration};
use tidegate_hostile::socket::{CLOSE, Socket, close_frame, frame};
use tidegate_hostile::wire::Wire;

const LIMITS: &str = "max_publication = \"64 KiB\"\nws_out_queue_bytes = \"256 KiB\"\nws_write_timeout = \"1s\"\n\
    ws_close_timeout = \"500ms\"\nhistory_ttl = \"1h\"";

/// Messages that were queued, that went out, and that were dropped for each reason.
fn messages(gate: &Gate) -> (u64, u64, Vec<u64>) {
    let dropped = ["slow_consumer", "pong_timeout", "close_timeout", "gone"];
    let dropped = dropped.map(|reason| format!("tidegate_dropped_messages_total{{reason=\"{reason}\"}}"));
    (
        gate.metric("tidegate_enqueued_messages_total"),
        gate.metric("tidegate_written_messages_total"),
        dropped.iter().map(|sample| gate.metric(sample)).collect(),
    )
}

fn ask(target: &str, accept: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: localhost\r\nAccept: {accept}\r\n\r\n")
}

#[test]
fn each_message_is_written_or_dropped_or_waits() {
    let gate = Gate::of_channels(LIMITS);
    let first = gate.publish("feed", "0").text();
    let first: serde_json::Value = serde_json::from_str(&first).expect("JSON");
    let after = first["position"].as_str().expect("a position");
    let mut bare = Socket::open(gate.public, "/feed");
    gate.await_subscribers("feed", 1);
    for number in 1..=10 {
        assert_eq!(gate.publish("feed", number.to_string()).status, 201);
        assert_eq!(bare.next_text(), number.to_string());
    }
    // One whom they reached has them all.
    gate.await_metric("tidegate_written_messages_total", 10);
    assert_eq!(messages(&gate), (10, 10, vec![0; 4]));
    // Replays count like what is live, at every door.
    let mut envelopes = Socket::open_envelopes(gate.public, &format!("/feed?after={after}"));
    (0..11).for_each(|_| drop(envelopes.next_json()));
    let mut lines = gate.connect();
    lines.send(ask(&format!("/feed?after={after}"), "application/x-ndjson"));
    let mut events = gate.connect();
    events.send(ask(&format!("/feed?after={after}"), "text/event-stream"));
    assert_eq!(gate.get(&format!("/feed?after={after}&wait=1")).status, 200);
    gate.await_metric("tidegate_written_messages_total", 10 + 3 * 11 + 10);
    assert_eq!(messages(&gate), (53, 53, vec![0; 4]));
    // Some go while much waits for them, and one is closed for it.
    let mut slow: Vec<_> =
        (0..4).map(|_| Socket::over(Wire::connect_narrow(gate.public), "/much", "")).collect();
    let mut stream = Wire::connect_narrow(gate.public);
    stream.send(ask("/much", "text/event-stream"));
    gate.await_subscribers("much", 5);
    let text = "x".repeat(60_000);
    while gate.metric("tidegate_slow_consumers_queue_total") == 0 {
        assert_eq!(gate.publish("much", &text).status, 201);
        if let Some(gone) = slow.pop() {
            gone.wire.reset();
        }
    }
    stream.reset();
    bare.send(close_frame(1000, ""));
    envelopes.send(frame(CLOSE, []));
    drop((slow, lines, events));
    gate.await_empty();
    let (enqueued, written, dropped) = messages(&gate);
    assert_eq!(enqueued, written + dropped.iter().sum::<u64>(), "{written} and {dropped:?}");
    assert!(dropped[0] > 0, "{dropped:?}");
}

#[test]
fn histories_and_resumes_that_are_lost_are_counted() {
    let gate = Gate::of_channels(&format!("{LIMITS}\nhistory_max_total = \"1 MiB\""));
    let text = "x".repeat(60_000);
    for _ in 0..30 {
        assert_eq!(gate.publish("feed", &text).status, 202);
    }
    // Half of it is the home's.
    assert_eq!(gate.metric("tidegate_evicted_total"), 30 - 8);
    let mut socket = Socket::open_envelopes(gate.public, "/feed?after=k3f9:1");
    assert_eq!(socket.next_json()["recovered"], false);
    assert_eq!(Socket::open(gate.public, "/feed?after=k3f9:1").await_code(), 4409);
    let mut fresh = Socket::open_envelopes(gate.public, "/feed");
    assert_eq!(fresh.next_json()["recovered"], true);
    assert_eq!(gate.metric("tidegate_unrecovered_total"), 2);
}

#[test]
fn a_document_for_which_there_was_no_place_comes_when_there_is() {
    let backend = Backend::answering("{\"always\":\"the same\"}");
    for kind in ["poll = { url = \"http://B/doc\", interval = \"100ms\" }", "auto = { url = \"http://B\" }"] {
        let route = kind.replace('B', &backend.address.to_string());
        let routes = format!(
            "[[route]]\npath = \"/doc\"\n{route}\n[[route]]\npath = \"/{{*rest}}\"\nchannel = {{}}\n"
        );
        let limits = format!("{LIMITS}\nchannels_max_total = 1");
        let text = configuration(&limits, &routes).replace("shards = 2", "shards = 1");
        let gate = Gate::start_with(&text, Options::default());
        assert_eq!(gate.publish("other", "x").status, 202);
        assert_eq!(Socket::open(gate.public, "/doc").await_code(), 1013, "{kind}");
        gate.await_metric("tidegate_source_refused_total", 1);
        assert_eq!(gate.admin("DELETE", "/channels/other").status, 200);
        let mut socket = Socket::open(gate.public, "/doc");
        assert_eq!(socket.next_text(), "{\"always\":\"the same\"}", "{kind}");
        assert_eq!(gate.metric("tidegate_source_refused_total"), 1, "{kind}: it found its place");
    }
}
