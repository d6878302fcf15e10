//! What compressed messages cost the process while they are unfinished, and contexts while they are kept. One test at
//! a time, for all of them read the same counters.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tidegate_hostile::bomb::{DEFLATED_TEXT, agreed, bomb, channels, deflated, open};
use tidegate_hostile::canary::Canary;
use tidegate_hostile::cost::resident_bytes;
use tidegate_hostile::socket::{Socket, frame};

fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

#[test]
fn a_thousand_bombs_at_once_cost_little() {
    let _alone = alone();
    const SOCKETS: usize = 1000;
    let gate = channels("shared", "ws_close_timeout = \"2s\"");
    let canary = Canary::watch(&gate);
    let mut sockets: Vec<Socket> = (0..SOCKETS).map(|at| open(&gate, &format!("/bombed/{at}"))).collect();
    let large = frame(DEFLATED_TEXT, bomb(62));
    let (begin, end) = large.split_at(large.len() - 10);
    let before = resident_bytes();
    // All of them are unfinished at the same time, far beyond the limit of what comes out.
    for part in [begin, end] {
        sockets.iter_mut().for_each(|socket| assert!(socket.send(part)));
    }
    for socket in &mut sockets {
        assert_eq!(socket.await_code(), 1009);
    }
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown < 150 << 20, "{grown} bytes for {SOCKETS} bombs");
    canary.finish();
    drop(sockets);
    gate.await_empty();
}

#[test]
fn unfinished_compressed_messages_keep_no_more_than_their_limit() {
    let _alone = alone();
    const SOCKETS: usize = 500;
    let gate = channels("shared", "");
    let canary = Canary::watch(&gate);
    let mut sockets: Vec<Socket> = (0..SOCKETS).map(|at| open(&gate, &format!("/held/{at}"))).collect();
    let before = resident_bytes();
    // 60 KiB come out of a hundred bytes, and the end of the message does not come.
    let begun = frame(0x41, deflated(&[b'x'; 60 << 10]));
    sockets.iter_mut().for_each(|socket| assert!(socket.send(&begun)));
    let bytes = (begun.len() * SOCKETS) as u64;
    gate.await_metric("tidegate_inflated_bytes_total", bytes);
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown < SOCKETS * (192 << 10), "{grown} bytes for {SOCKETS} unfinished messages");
    canary.finish();
}

#[test]
fn contexts_are_for_as_many_as_may_have_one() {
    let _alone = alone();
    const SOCKETS: usize = 600;
    const CONTEXTS: usize = 100;
    let gate = channels("takeover", &format!("deflate_max_contexts = {CONTEXTS}"));
    let canary = Canary::watch(&gate);
    let message = frame(DEFLATED_TEXT, deflated("something to remember ".repeat(100).as_bytes()));
    let before = resident_bytes();
    let mut sockets: Vec<Socket> = (0..SOCKETS).map(|at| open(&gate, &format!("/kept/{at}"))).collect();
    let keeps = |socket: &&Socket| !agreed(socket).contains("server_no_context_takeover");
    assert_eq!(sockets.iter().filter(keeps).count(), CONTEXTS);
    let inflates = |socket: &&Socket| !agreed(socket).contains("client_no_context_takeover");
    assert_eq!(sockets.iter().filter(inflates).count(), CONTEXTS);
    assert_eq!(gate.metric("tidegate_deflate_contexts"), CONTEXTS as u64);
    for socket in &mut sockets {
        socket.send(&message);
        assert!(matches!(socket.receive_any(), (0xC1, _)), "its own publication, compressed");
    }
    let grown = resident_bytes().saturating_sub(before);
    let allowed = CONTEXTS * (128 << 10) + SOCKETS * (16 << 10) + (8 << 20);
    assert!(grown < allowed, "{grown} bytes, {allowed} are allowed");
    canary.finish();
    drop(sockets);
    gate.await_metric("tidegate_deflate_contexts", 0);
    let again = open(&gate, "/kept/again");
    assert!(keeps(&&again), "a place that was given back is taken again");
}
