//! What attacks cost the process: memory and descriptors go back to where they were. One test at a time,
//! for all of them read the same counters.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tidegate_hostile::backend::{Backend, await_gone, ok, write};
use tidegate_hostile::canary::Canary;
use tidegate_hostile::cost::{await_descriptors, descriptors, resident_bytes};
use tidegate_hostile::gate::Gate;
use tidegate_hostile::socket::{PING, PONG, Received, Socket, TEXT, close_frame, frame, handshake, header};
use tidegate_hostile::wire::{End, Wire};

fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

#[test]
fn a_ping_flood_that_nobody_reads_ends_and_costs_little() {
    let _alone = alone();
    let gate = Gate::of_channels("ws_write_timeout = \"500ms\"\nws_close_timeout = \"500ms\"");
    let canary = Canary::watch(&gate);
    let before = resident_bytes();
    let flood = frame(PING, [7; 125]).repeat(500);
    let mut wires = Vec::new();
    for _ in 0..50 {
        let mut wire = Wire::connect_narrow(gate.public);
        wire.send(handshake("/x", ""));
        let _ = wire.answer();
        wire.send_until_stalled(&flood, Duration::from_millis(50), 1 << 20);
        wires.push(wire);
    }
    gate.await_metric("tidegate_open_connections{door=\"websocket\"}", 4);
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown < 16 << 20, "{grown} bytes for fifty pinging clients");
    canary.finish();
}

#[test]
fn connections_opened_and_dropped_leave_nothing() {
    let _alone = alone();
    let gate = Gate::of_channels("");
    let canary = Canary::watch(&gate);
    let fds = descriptors();
    let round = |count: usize| {
        for number in 0..count {
            let mut wire = gate.connect();
            match number % 4 {
                0 => {}
                1 => drop(wire.send(handshake(&format!("/churn/{number}"), ""))),
                2 => drop(Socket::over(wire, &format!("/churn/{number}"), "")),
                _ => {
                    wire.send(handshake("/churn", ""));
                    wire.reset();
                }
            }
        }
        await_descriptors(fds);
    };
    round(2000);
    let before = resident_bytes();
    round(4000);
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown < 8 << 20, "{grown} bytes are left of four thousand connections");
    gate.await_metric("tidegate_open_connections{door=\"websocket\"}", 4);
    canary.finish();
}

#[test]
fn messages_beyond_the_pending_ones_wait_in_the_kernel() {
    let _alone = alone();
    const ANSWERED: usize = 100;
    let backend = Backend::start(|asked, stream| {
        if asked.head.starts_with("POST /held") {
            await_gone(stream);
            return false;
        }
        write(stream, ok("."))
    });
    let gate = Gate::before(backend.address, "messages_max_pending = 4\nws_max_frames_per_s = 1000000");
    // Each answer must not let in more than it took out.
    let counted = std::sync::atomic::AtomicUsize::new(0);
    let slow = Backend::start(move |asked, stream| {
        if asked.head.starts_with("POST")
            && counted.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == ANSWERED
        {
            await_gone(stream);
            return false;
        }
        write(stream, ok("."))
    });
    let gates = [gate, Gate::before(slow.address, "messages_max_pending = 4\nws_max_frames_per_s = 1000000")];
    for (gate, target) in gates.iter().zip(["/held", "/slow"]) {
        let mut socket = Socket::open(gate.public, target);
        assert_eq!(socket.next_text(), ".");
        let large = frame(TEXT, vec![b'x'; 60_000]);
        let before = resident_bytes();
        let taken = socket.wire.send_until_stalled(&large, Duration::from_secs(1), 256 << 20);
        let grown = resident_bytes().saturating_sub(before);
        assert!(taken < 64 << 20 && grown < 12 << 20, "{target}: {taken} bytes were taken and {grown} kept");
    }
    assert_eq!(slow.count("POST"), ANSWERED + 1);
}
#[test]
fn a_session_may_break_off_at_every_byte() {
    let _alone = alone();
    let gate = Gate::of_channels("");
    let canary = Canary::watch(&gate);
    let whole = [
        handshake("/cut", "").into_bytes(),
        frame(TEXT, "hello"),
        frame(0x01, [b'x'; 200]),
        frame(PING, "p"),
        frame(0x80, "rest"),
        close_frame(1000, "bye"),
    ]
    .concat();
    let fds = descriptors();
    for length in 0..=whole.len() {
        let mut wire = gate.connect();
        wire.send(&whole[..length]);
        match length % 3 {
            0 => wire.reset(),
            1 => drop(wire),
            _ => wire.finish(),
        }
    }
    gate.await_metric("tidegate_open_connections{door=\"websocket\"}", 4);
    await_descriptors(fds);
    canary.finish();
}

#[test]
fn who_does_not_end_tcp_is_cut() {
    let _alone = alone();
    let gate = Gate::of_channels("ws_close_timeout = \"300ms\"");
    let fds = descriptors();
    // The client closes and then keeps its side open.
    let mut socket = Socket::open(gate.public, "/x");
    socket.send(close_frame(1000, ""));
    assert_eq!(socket.await_code(), 1000);
    assert_eq!(socket.receive(), Received::End(End::Closed));
    // The gateway closes and the client goes on talking.
    let mut talker = Socket::open(gate.public, "/x");
    let id = connection_on(&gate, 0);
    assert_eq!(gate.admin("DELETE", &format!("/connections/{id}?code=4000&reason=enough")).status, 200);
    let begun = Instant::now();
    while talker.send(frame(PONG, "still here")) && begun.elapsed() < Duration::from_secs(10) {
        if talker.wire.is_silent_for(Duration::from_millis(5)) {
            continue;
        }
    }
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    gate.await_empty();
    drop((socket, talker));
    await_descriptors(fds);
}

fn connection_on(gate: &Gate, after: usize) -> String {
    let begun = Instant::now();
    loop {
        let list: serde_json::Value =
            serde_json::from_str(&gate.admin("GET", "/connections").text()).expect("JSON");
        let open: Vec<_> = list["connections"]
            .as_array()
            .expect("a list")
            .iter()
            .filter(|one| one["closing"] == false)
            .collect();
        if let Some(id) = open.get(after).and_then(|one| one["id"].as_str()) {
            return id.to_owned();
        }
        assert!(begun.elapsed() < Duration::from_secs(10), "{list}");
    }
}

#[test]
fn early_bytes_of_a_slow_handshake_wait_in_the_kernel() {
    let _alone = alone();
    let (release, gated) = std::sync::mpsc::sync_channel::<()>(1);
    let gated = Mutex::new(gated);
    let backend = Backend::start(move |_, stream| {
        let _ = gated.lock().expect("nobody panics here").recv_timeout(Duration::from_secs(20));
        write(stream, ok("page"))
    });
    let gate = Gate::before(backend.address, "");
    let mut wire = gate.connect();
    wire.send(handshake("/slow", ""));
    let _ = backend.await_nth("GET /slow", 1);
    let before = resident_bytes();
    let frames = frame(0x8A, [7; 100]).repeat(4096);
    let taken = wire.send_until_stalled(&frames, Duration::from_millis(300), 64 << 20);
    assert!(taken < 32 << 20, "{taken} bytes were taken before the 101");
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown < 8 << 20, "{grown} bytes are held for {taken} that came early");
    release.send(()).expect("the backend waits");
    assert_eq!(wire.answer().status, 101);
}

#[test]
fn what_a_header_claims_is_not_allocated() {
    let _alone = alone();
    let gate = Gate::of_channels("");
    let canary = Canary::watch(&gate);
    let before = resident_bytes();
    let claim = [header(TEXT, 65_536, true), vec![1, 2, 3, 4, b'x']].concat();
    let begun = [frame(0x01, "x"), header(0x80, 65_535, true), vec![1, 2, 3, 4, b'x']].concat();
    let sockets: Vec<_> = (0..1000)
        .map(|number| {
            let mut socket = Socket::open(gate.public, "/claims");
            socket.send(if number % 2 == 0 { &claim } else { &begun });
            socket
        })
        .collect();
    gate.await_metric("tidegate_open_connections{door=\"websocket\"}", 1004);
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown < 12 << 20, "{grown} bytes for a thousand unfinished messages of a byte or two");
    drop(sockets);
    canary.finish();
}
