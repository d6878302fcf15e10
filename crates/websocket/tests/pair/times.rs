//! Time-outs, each at its last good moment and one unit later.

use tidegate_websocket::Fragment;
use tidegate_websocket::timing::{Due, Tick};

use crate::endpoint::{Ended, PING_INTERVAL, TIMED_PING, TIMEOUTS};
use crate::pair::{CLIENT, Pair, SERVER};
use crate::told::{Told, text};

const BOTH: [usize; 2] = [CLIENT, SERVER];

fn pong() -> Told {
    Told::Pong(TIMED_PING.to_vec())
}

/// A pair in which only one end pings.
fn pinged_by(end: usize) -> Pair {
    let mut pair = Pair::new();
    pair.ends[1 - end].timing.ping_due = Tick::NEVER;
    pair
}

#[test]
fn an_idle_pair_pings_and_lives() {
    let mut pair = Pair::new();
    pair.pass(10 * PING_INTERVAL);
    for end in BOTH {
        assert_eq!(pair.ended(end), None);
        let (pings, pongs): (Vec<_>, Vec<_>) =
            pair.told(end).iter().partition(|told| matches!(told, Told::Ping(_)));
        assert_eq!((pings.len(), pongs.len()), (10, 10));
    }
}

#[test]
fn a_pong_in_the_last_unit_counts_and_one_later_does_not() {
    for pinger in BOTH {
        for (late, outcome) in [(0, None), (1, Some(Ended::TimedOut(Due::PongTimeout)))] {
            let mut pair = pinged_by(pinger);
            pair.links[pinger].delay = TIMEOUTS.pong + late;
            pair.pass(PING_INTERVAL + TIMEOUTS.pong);
            assert_eq!(pair.ended(pinger), outcome);
            assert_eq!(pair.told(pinger), if late == 0 { [pong()] } else { [Told::Lost] });
            assert_eq!(pair.sent(pinger).len(), 1, "one Ping, and no Close to a peer that is gone");
        }
    }
}

#[test]
fn any_bytes_of_the_peer_prove_that_it_lives() {
    let mut pair = pinged_by(SERVER);
    pair.links[CLIENT].is_stopped = true;
    for _ in 0..5 * PING_INTERVAL {
        pair.text(CLIENT, "busy");
        pair.pass(1);
    }
    assert_eq!(pair.ended(SERVER), None);
}

#[test]
fn what_was_not_read_is_excused() {
    let mut pair = pinged_by(SERVER);
    pair.pass(PING_INTERVAL - 1);
    pair.ends[SERVER].reads = false;
    pair.pass(10 * TIMEOUTS.pong);
    assert_eq!(pair.ended(SERVER), None, "the Pong lies unread in the link");
    pair.ends[SERVER].reads = true;
    pair.deliver(SERVER, usize::MAX);
    assert_eq!(pair.told(SERVER), [pong()]);
    let mut dead = pinged_by(SERVER);
    dead.links[CLIENT].is_stopped = true;
    dead.ends[SERVER].reads = false;
    dead.pass(PING_INTERVAL + TIMEOUTS.pong + 5);
    dead.ends[SERVER].reads = true;
    let resumed = dead.now;
    while dead.ended(SERVER).is_none() {
        dead.pass(1);
    }
    assert_eq!(dead.ended(SERVER), Some(Ended::TimedOut(Due::PongTimeout)), "an excuse is no pardon");
    assert!(dead.now <= resumed.plus(TIMEOUTS.pong));
}

#[test]
fn a_message_has_its_time_however_lively_the_peer_is() {
    for (sender, hearer) in [(CLIENT, SERVER), (SERVER, CLIENT)] {
        for (late, told) in [(0, text("begun, ended")), (1, Told::Close(Some(1008), String::new()))] {
            let mut pair = Pair::new();
            pair.fragment(sender, "begun, ", Fragment::More);
            pair.step();
            for _ in 1..TIMEOUTS.message + late {
                pair.ping(sender, b"");
                pair.pass(1);
            }
            if late == 0 {
                pair.fragment(sender, "ended", Fragment::Last);
            }
            pair.pass(1);
            assert_eq!(pair.told(hearer).last(), Some(&told));
            let heard = matches!(pair.told(sender).last(), Some(Told::Close(Some(1008), reason)) if reason == "message_timeout");
            assert_eq!(heard, late == 1);
        }
    }
}

#[test]
fn a_frame_without_an_end_counts_as_a_message_without_one() {
    let mut pair = Pair::new();
    pair.inject(SERVER, &[0x82, 0xFE, 0x07, 0x00, 1, 2, 3, 4]);
    pair.step();
    for _ in 0..TIMEOUTS.message {
        pair.inject(SERVER, b"x");
        pair.pass(1);
    }
    assert_eq!(pair.sent_code(SERVER), Some(1008));
    pair.pass_until_ended(TIMEOUTS.close);
    assert_eq!(pair.told(SERVER), [Told::Lost], "the client's Close was taken for payload");
}

#[test]
fn who_takes_nothing_is_cut_and_who_takes_a_byte_is_not() {
    for (sender, hearer) in [(CLIENT, SERVER), (SERVER, CLIENT)] {
        let mut pair = Pair::new();
        pair.ends.iter_mut().for_each(|end| end.timing.ping_due = Tick::NEVER);
        pair.links[hearer].room = 100;
        pair.ends[hearer].reads = false;
        pair.act(sender, |connection, output| connection.send_binary(&[7; 1000], output)).unwrap();
        for _ in 0..5 {
            pair.pass(TIMEOUTS.write - 1);
            pair.ends[hearer].reads = true;
            assert!(pair.deliver(hearer, 1));
            pair.ends[hearer].reads = false;
            pair.step();
        }
        assert_eq!(pair.ended(sender), None, "a byte each time is enough");
        pair.pass(TIMEOUTS.write - 1);
        assert_eq!(pair.ended(sender), None);
        pair.pass(1);
        assert_eq!(pair.ended(sender), Some(Ended::TimedOut(Due::WriteTimeout)));
        assert_eq!(pair.told(sender), [Told::Lost]);
    }
}

#[test]
fn a_close_that_cannot_be_written_ends_in_its_own_time() {
    let mut pair = Pair::new();
    pair.links[CLIENT].room = 10;
    pair.ends[CLIENT].reads = false;
    pair.act(SERVER, |connection, output| connection.send_binary(&[7; 1000], output)).unwrap();
    pair.close(SERVER, 1001, "restart");
    pair.pass(TIMEOUTS.close);
    assert_eq!(pair.ended(SERVER), Some(Ended::TimedOut(Due::CloseTimeout)));
    assert_eq!(pair.told(SERVER), [Told::Lost]);
}

#[test]
fn no_ping_goes_out_after_a_close() {
    let mut pair = Pair::new();
    pair.links[SERVER].delay = 3;
    pair.pass(PING_INTERVAL - 2);
    pair.close(SERVER, 1000, "");
    pair.pass_until_ended(10);
    assert_eq!(pair.sent(SERVER).len(), 1);
}
