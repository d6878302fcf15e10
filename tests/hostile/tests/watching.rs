//! Watchers that do not read, and clients that flood whoever watches them: nobody else pays for it, and what is kept
//! has a bound.

use tidegate_hostile::canary::Canary;
use tidegate_hostile::cost::{begin_peak, peak_resident_bytes, resident_bytes};
use tidegate_hostile::gate::{Gate, TOKEN};
use tidegate_hostile::socket::{Socket, frame};
use tidegate_hostile::wire::Wire;

/// A watcher of everything, over a connection that holds little.
fn watcher(gate: &Gate) -> Socket {
    let extra = format!("Authorization: Bearer {TOKEN}\r\nSec-WebSocket-Protocol: tidegate.watch.v1\r\n");
    let mut watcher = Socket::over(Wire::connect_narrow(gate.admin), "/watch", &extra);
    assert!(watcher.text(r#"{"type":"watch","id":1,"what":"events"}"#));
    watcher
}

#[test]
fn a_watcher_that_does_not_read_costs_the_clients_nothing() {
    const COUNT: usize = 3000;
    const BYTES: usize = 20_000;
    let gate = Gate::of_channels("inspect_ring_bytes = \"256 KiB\"");
    let canary = Canary::watch(&gate);
    let mut client = Socket::open(gate.public, "/feed");
    gate.await_subscribers("feed", 1);
    let mut silent = [(); 4].map(|()| watcher(&gate));
    // The first event shows that the watch has begun.
    for watcher in &mut silent {
        assert_eq!(watcher.next_json()["type"], "events");
    }
    begin_peak();
    let before = resident_bytes();
    for number in 0..COUNT {
        let text = format!("{number:09}{}", "x".repeat(BYTES - 9));
        assert!(matches!(gate.publish("feed", &text).status, 201 | 202));
        assert_eq!(client.next_text(), text, "the client gets everything");
    }
    let grown = peak_resident_bytes().saturating_sub(before);
    assert!(grown < COUNT * BYTES / 2, "{grown} bytes for what nobody took");
    canary.finish();
    // Who reads at last is told how much it has missed.
    let [first, ..] = &mut silent;
    let mut lost = 0;
    while lost == 0 {
        let told = first.next_json();
        lost = told["lost"].as_u64().unwrap_or_default();
    }
}

#[test]
fn a_client_that_floods_is_counted_and_not_looked_at() {
    let gate = Gate::of_channels("ws_max_frames_per_s = 100000\nws_max_control_frames_per_s = 100000");
    let canary = Canary::watch(&gate);
    let mut watcher = watcher(&gate);
    assert_eq!(watcher.next_json()["type"], "events", "of the canary");
    let mut flood = Socket::open_envelopes(gate.public, "/feed");
    let pings = frame(0x89, "").repeat(20_000);
    assert!(flood.send(&pings));
    let mut lost = 0;
    while lost < 10_000 {
        let told = watcher.next_json();
        lost += told["lost"].as_u64().unwrap_or_default();
    }
    canary.finish();
}

#[test]
fn what_watchers_say_has_a_bound() {
    let gate = Gate::of_channels("");
    let mut garbage = watcher(&gate);
    assert!(garbage.text("{\"type\":\"watch\",\"id\":1e99}"));
    loop {
        if garbage.next_json()["type"] == "error" {
            break;
        }
    }
    // 65 KiB in one frame, and in many fragments.
    let mut long = watcher(&gate);
    assert!(long.send(frame(0x81, "x".repeat(65 * 1024))));
    assert_eq!(long.await_code(), 1009);
    let mut pieces = watcher(&gate);
    assert!(pieces.send([frame(0x01, "x"), frame(0x00, "x".repeat(1000)).repeat(70)].concat()));
    assert!(matches!(pieces.await_code(), 1008 | 1009));
    let mut unmasked = watcher(&gate);
    assert!(unmasked.send([0x81, 0x02, b'{', b'}']));
    assert_eq!(unmasked.await_code(), 1002);
    let mut left: Vec<Socket> = Vec::new();
    let full = loop {
        let answer = gate.admin_with("GET", "/watch", UPGRADE, b"");
        if answer.status == 503 {
            break answer;
        }
        left.push(watcher(&gate));
        assert!(left.len() <= 16, "more watch than may");
    };
    assert!(full.text().contains("inspect_max_watchers"), "{}", full.text());
}

/// The fields of a handshake, behind those that every request of the tools has.
const UPGRADE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: tidegate.watch.v1\r\n";
