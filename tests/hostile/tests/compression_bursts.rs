//! Many legal messages that are small on the wire and large behind it, all in one read: they are taken as fast as
//! they could be without compression, and what clients leave behind is bounded. One test at a time, for they read
//! the same counters.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use tidegate_hostile::backend::{Backend, ok, write};
use tidegate_hostile::bomb::{DEFLATED_TEXT, OFFER, deflated, open};
use tidegate_hostile::canary::Canary;
use tidegate_hostile::cost::{begin_peak, peak_resident_bytes, resident_bytes};
use tidegate_hostile::gate::Gate;
use tidegate_hostile::http2::{DATA, Http2, websocket};
use tidegate_hostile::socket::{Socket, frame};

/// Bytes of a message once it is inflated.
const LARGE: usize = 65_000;

/// As many as the burst of `ws_max_frames_per_s` lets through.
const BURST: usize = 999;

fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A gateway on whose routes messages are posted, and the backend behind it, which answers posts with their first
/// four bytes once `held` can be read.
fn posting(limits: &str, held: &Arc<RwLock<()>>) -> (Gate, Backend) {
    let held = Arc::clone(held);
    let backend = Backend::start(move |asked, stream| {
        if !asked.head.starts_with("POST") {
            return write(stream, ok("page"));
        }
        drop(held.read());
        write(stream, ok(&String::from_utf8_lossy(&asked.body[..4])))
    });
    let limits = format!("upstream_first_byte = \"60s\"\nupstream_total = \"60s\"\n{limits}");
    (Gate::before(backend.address, &limits), backend)
}

#[test]
fn a_burst_to_a_route_that_takes_none_costs_no_more_than_its_share() {
    let _alone = alone();
    const SOCKETS: usize = 30;
    let gate = Gate::start("", "[[route]]\npath = \"/{*rest}\"\nchannel = {}\n");
    let canary = Canary::watch(&gate);
    let burst = frame(DEFLATED_TEXT, deflated(&[b'x'; LARGE])).repeat(BURST);
    let mut sockets: Vec<Socket> = (0..SOCKETS).map(|_| open(&gate, "/refused")).collect();
    begin_peak();
    let before = resident_bytes();
    sockets.iter_mut().for_each(|socket| assert!(socket.send(&burst)));
    sockets.iter_mut().for_each(|socket| assert_eq!(socket.await_code(), 1003));
    let grown = peak_resident_bytes().saturating_sub(before);
    assert!(grown < 64 << 20, "{grown} bytes for {SOCKETS} bursts");
    canary.finish();
}

#[test]
fn of_a_burst_to_a_backend_as_many_wait_as_may() {
    let _alone = alone();
    const SOCKETS: usize = 10;
    let held = Arc::new(RwLock::new(()));
    let holding = held.write();
    let (gate, _backend) = posting("", &held);
    let canary = Canary::watch(&gate);
    let burst = frame(DEFLATED_TEXT, deflated(&[b'x'; LARGE])).repeat(BURST);
    let mut sockets: Vec<Socket> = (0..SOCKETS).map(|at| open(&gate, &format!("/posts/{at}"))).collect();
    begin_peak();
    let before = resident_bytes();
    sockets.iter_mut().for_each(|socket| assert!(socket.send(&burst)));
    // Sixteen wait and one is on its way.
    gate.await_metric("tidegate_received_messages_total", 17 * SOCKETS as u64);
    canary.finish();
    assert_eq!(gate.metric("tidegate_received_messages_total"), 17 * SOCKETS as u64);
    let grown = peak_resident_bytes().saturating_sub(before);
    assert!(grown < 48 << 20, "{grown} bytes for {SOCKETS} bursts");
    drop(holding);
}

#[test]
fn on_http2_no_more_wait_either() {
    let _alone = alone();
    let held = Arc::new(RwLock::new(()));
    let holding = held.write();
    let (gate, backend) = posting("", &held);
    let mut client = Http2::connect(gate.public);
    let mut fields = websocket("/posts");
    fields.push(("sec-websocket-extensions", "permessage-deflate"));
    client.open(1, &fields, 0);
    assert_eq!(client.status(1), 200);
    let message = frame(DEFLATED_TEXT, deflated(&[b'x'; LARGE]));
    let count = 60_000 / message.len();
    begin_peak();
    let before = resident_bytes();
    for portion in message.repeat(count).chunks(16_000) {
        client.send(DATA, 0, 1, portion);
    }
    gate.await_metric("tidegate_received_messages_total", 17);
    let _ = gate.get("/another");
    assert_eq!(gate.metric("tidegate_received_messages_total"), 17);
    let grown = peak_resident_bytes().saturating_sub(before);
    assert!(grown < 16 << 20, "{grown} bytes for {count} messages");
    drop(holding);
    // All of them come in the end, though the client has ended its side.
    client.send(DATA, 1, 1, []);
    let _ = backend.await_nth("POST /posts", count);
}

#[test]
fn a_burst_is_taken_whole_and_in_order() {
    let _alone = alone();
    let held = Arc::new(RwLock::new(()));
    let (gate, _backend) = posting("", &held);
    let mut socket = Socket::open_with(gate.public, "/posts", OFFER);
    assert_eq!(socket.next_text(), "page");
    let said = |number: usize| frame(DEFLATED_TEXT, deflated(format!("{number:<LARGE$}").as_bytes()));
    socket.send((1000..1200).flat_map(said).collect::<Vec<_>>());
    for number in 1000..1200 {
        assert_eq!(socket.next_text(), number.to_string());
    }
}

#[test]
fn who_is_gone_keeps_the_place_until_the_last_letter_has_gone() {
    let _alone = alone();
    const PLACES: usize = 4;
    let held = Arc::new(RwLock::new(()));
    let holding = held.write();
    let (gate, backend) = posting(&format!("max_connections = {PLACES}"), &held);
    let letter = frame(DEFLATED_TEXT, deflated(&[b'x'; LARGE]));
    for at in 0..PLACES {
        let mut socket = open(&gate, &format!("/posts/{at}"));
        socket.send(letter.repeat(3));
        let _ = backend.await_nth(&format!("POST /posts/{at}"), 1);
        socket.wire.reset();
        gate.await_empty();
    }
    assert_eq!(
        gate.get("/posts/more").status,
        503,
        "else letters would pile up with each who comes and goes"
    );
    drop(holding);
    for at in 0..PLACES {
        let _ = backend.await_nth(&format!("POST /posts/{at}"), 3);
    }
    while gate.get("/posts/more").status == 503 {}
}
