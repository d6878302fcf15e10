//! Clients that come faster than a gateway takes them in: who is turned away and how, and that nobody else
//! notices.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use tidegate_gateway::Options;
use tidegate_hostile::canary::Canary;
use tidegate_hostile::gate::{Gate, configuration};
use tidegate_hostile::socket::handshake;
use tidegate_hostile::wire::{Answer, PATIENCE, Wire};

const TURNED_AWAY: &str = "tidegate_turned_away_total{limit=\"accept_rate\"}";

/// A gateway that takes who connects from this machine for others, as those of a proxy.
fn gate(limits: &str) -> Gate {
    let routes = "[[route]]\npath = \"/{*rest}\"\nchannel = {}\n";
    let text = configuration(limits, routes);
    Gate::start_with(
        &text.replace("[limits]", "trusted_proxies = [\"127.0.0.1\"]\n[limits]"),
        Options::default(),
    )
}

/// What a refusal must say; gives the seconds after which to come back.
#[track_caller]
fn check_refusal(answer: &Answer) -> u32 {
    assert_eq!(answer.status, 503, "{answer:?}");
    assert!(answer.text().starts_with("accept_rate: "), "{answer:?}");
    let seconds = answer.header("retry-after").and_then(|seconds| seconds.parse().ok());
    seconds.filter(|seconds| (1..=10).contains(seconds)).unwrap_or_else(|| panic!("{answer:?}"))
}

#[test]
fn who_comes_beyond_the_rate_is_told_when_to_come_back() {
    let gate = gate("accept_rate = 20\naccept_rate_from = 0");
    let canary = Canary::watch(&gate);
    let begun = Instant::now();
    let answers: Vec<Answer> = (0..200).map(|_| gate.ask(handshake("/x", ""))).collect();
    // What was admitted in the meantime, and the last one that is due.
    let most = 40 + (begun.elapsed().as_secs_f64() * 20.0) as usize + 1;
    let (inside, outside): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 101);
    assert!(inside.len() <= most, "{} of {most}", inside.len());
    let mut seconds: Vec<u32> = outside.iter().map(|answer| check_refusal(answer)).collect();
    seconds.sort_unstable();
    seconds.dedup();
    assert!(outside.len() < 30 || seconds.len() >= 3, "they would come back together: {seconds:?}");
    assert_eq!(gate.metric(TURNED_AWAY), outside.len() as u64, "the admin listener is not counted");
    let begun = Instant::now();
    while gate.ask(handshake("/x", "")).status != 101 {
        assert!(begun.elapsed() < PATIENCE, "the rate goes on");
    }
    canary.finish();
}

#[test]
fn a_gateway_that_is_not_busy_takes_everybody() {
    let gate = gate("accept_rate = 1\naccept_rate_from = 100");
    for _ in 0..100 {
        assert_eq!(gate.ask(handshake("/x", "")).status, 101);
    }
    assert_eq!(gate.metric(TURNED_AWAY), 0);
}

#[test]
fn whoever_is_on_the_machine_itself_is_no_crowd() {
    let gate = Gate::of_channels("accept_rate = 1\naccept_rate_from = 0");
    for _ in 0..100 {
        assert_eq!(gate.ask(handshake("/x", "")).status, 101);
    }
}

#[test]
fn a_busy_shard_holds_the_crowd_off() {
    const TALKERS: usize = 4;
    let gate = gate("accept_rate = 1\naccept_rate_from = 10\nhttp_max_requests_per_conn = 1000000000");
    let public = gate.public;
    let (done, ready) = (AtomicBool::new(false), Barrier::new(TALKERS + 1));
    std::thread::scope(|scope| {
        for _ in 0..TALKERS {
            scope.spawn(|| {
                let mut wire = Wire::connect(public);
                ready.wait();
                while !done.load(Ordering::Relaxed) {
                    wire.send("GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n");
                    let _ = wire.answer();
                }
            });
        }
        ready.wait();
        let begun = Instant::now();
        let refused = loop {
            let answer = gate.get("/x");
            if answer.status == 503 {
                break answer;
            }
            assert!(begun.elapsed() < PATIENCE, "nobody notices that it is busy");
        };
        done.store(true, Ordering::Relaxed);
        check_refusal(&refused);
    });
}
