//! The closing handshake between two ends (RFC 6455, section 7): who begins, what crosses it on the wire, and
//! who ends the TCP connection.

use tidegate_websocket::Fragment;

use crate::endpoint::Ended;
use crate::pair::{CLIENT, Pair, SERVER};
use crate::told::{Told, text};

const BOTH: [usize; 2] = [CLIENT, SERVER];

fn close(code: u16, reason: &str) -> Told {
    Told::Close(Some(code), reason.to_owned())
}

/// Both ends are through, in the same unit in which the last bytes arrived, and each sent one Close.
fn check_ended(pair: &mut Pair, units: u32) {
    let begun = pair.now;
    pair.pass_until_ended(units);
    assert_eq!(pair.now, begun.plus(units), "it took another time");
    for end in BOTH {
        assert_eq!(pair.ended(end), Some(Ended::WithPeer));
        assert!(pair.sent(end).last().is_some_and(|frame| frame.is_close()));
    }
}

#[test]
fn either_end_closes_and_the_other_answers_with_its_code() {
    for (closer, other) in [(CLIENT, SERVER), (SERVER, CLIENT)] {
        let mut pair = Pair::new();
        pair.text(closer, "last words");
        pair.close(closer, 4001, "done");
        check_ended(&mut pair, 0);
        assert_eq!(pair.told(other), [text("last words"), close(4001, "done")]);
        assert_eq!(pair.told(closer), [close(4001, "")]);
    }
}

#[test]
fn both_close_at_once_and_each_hears_the_others_code() {
    for delay in [0, 1, 2] {
        let mut pair = Pair::new();
        pair.links.iter_mut().for_each(|link| link.delay = delay);
        pair.close(CLIENT, 1000, "client");
        pair.close(SERVER, 1001, "server");
        // The server ends TCP when the client's Close has come; that end takes its time, and the answer to it.
        check_ended(&mut pair, 3 * delay);
        assert_eq!(pair.told(CLIENT), [close(1001, "server")]);
        assert_eq!(pair.told(SERVER), [close(1000, "client")]);
        assert_eq!((pair.sent(CLIENT).len(), pair.sent(SERVER).len()), (1, 1), "no second Close answers");
    }
}

#[test]
fn messages_that_cross_a_close_still_arrive() {
    for (closer, other) in [(CLIENT, SERVER), (SERVER, CLIENT)] {
        let mut pair = Pair::new();
        pair.links.iter_mut().for_each(|link| link.delay = 2);
        pair.text(other, "under way");
        pair.close(closer, 1000, "");
        pair.text(other, "sent after it, heard before it");
        pair.pass_until_ended(10);
        assert_eq!(
            pair.told(closer),
            [text("under way"), text("sent after it, heard before it"), close(1000, "")]
        );
        assert_eq!(pair.told(other), [close(1000, "")]);
    }
}

#[test]
fn a_ping_that_crosses_a_close_stays_unanswered() {
    for (closer, other) in [(CLIENT, SERVER), (SERVER, CLIENT)] {
        let mut pair = Pair::new();
        pair.links.iter_mut().for_each(|link| link.delay = 1);
        pair.ping(other, b"there?");
        pair.close(closer, 1000, "");
        pair.pass_until_ended(10);
        assert_eq!(pair.told(closer), [Told::Ping(b"there?".to_vec()), close(1000, "")]);
        assert_eq!(pair.told(other), [close(1000, "")], "no Pong followed the Close");
        assert_eq!(pair.sent(closer).len(), 1);
    }
}

#[test]
fn a_ping_before_the_close_is_answered_before_it() {
    for (closer, other) in [(CLIENT, SERVER), (SERVER, CLIENT)] {
        let mut pair = Pair::new();
        pair.ping(closer, b"first");
        pair.close(closer, 1000, "");
        check_ended(&mut pair, 0);
        assert_eq!(pair.told(closer), [Told::Pong(b"first".to_vec()), close(1000, "")]);
        assert_eq!(pair.told(other), [Told::Ping(b"first".to_vec()), close(1000, "")]);
    }
}

#[test]
fn a_close_may_leave_a_message_unfinished_in_either_direction() {
    for (closer, other) in [(CLIENT, SERVER), (SERVER, CLIENT)] {
        for unfinished in BOTH {
            let mut pair = Pair::new();
            pair.fragment(unfinished, "begun, ", Fragment::More);
            pair.step();
            let hearer = 1 - unfinished;
            assert!(pair.ends[hearer].connection.has_unfinished_message());
            pair.close(closer, 1000, "");
            check_ended(&mut pair, 0);
            assert_eq!(pair.told(closer), [close(1000, "")]);
            assert_eq!(pair.told(other), [close(1000, "")]);
            assert!(!pair.ends[hearer].connection.has_unfinished_message());
        }
    }
}

#[test]
fn a_message_that_was_begun_may_end_after_the_other_ends_close() {
    let mut pair = Pair::new();
    pair.fragment(CLIENT, "begun, ", Fragment::More);
    pair.step();
    pair.close(SERVER, 1001, "restart");
    pair.fragment(CLIENT, "ended", Fragment::Last);
    check_ended(&mut pair, 0);
    assert_eq!(pair.told(SERVER), [text("begun, ended"), close(1001, "")]);
}

#[test]
fn nothing_is_sent_after_our_close_even_if_the_peer_goes_on() {
    let mut pair = Pair::new();
    pair.links[CLIENT].delay = 3;
    pair.close(SERVER, 1001, "");
    for round in 0..3 {
        pair.ping(CLIENT, b"there?");
        pair.text(CLIENT, &round.to_string());
        pair.pass(1);
    }
    pair.pass_until_ended(10);
    assert_eq!(pair.sent(SERVER).len(), 1);
    assert_eq!(pair.told(SERVER).len(), 7, "three Pings, three messages, the Close");
}

#[test]
fn bytes_after_the_peers_close_are_not_heard_whatever_they_are() {
    for (closer, other) in [(CLIENT, SERVER), (SERVER, CLIENT)] {
        for piece in [1, 2, usize::MAX] {
            let mut pair = Pair::new();
            pair.piece = piece;
            pair.close(closer, 1000, "");
            pair.inject(other, b"\x81\x04late\xff\xff\xff\x88\x02\x03\xe8");
            check_ended(&mut pair, 0);
            assert_eq!(pair.told(other), [close(1000, "")]);
            assert_eq!(pair.ends[other].connection.heap_bytes(), 0);
        }
    }
}

#[test]
fn a_broken_rule_is_told_to_the_peer_who_closes_with_its_code() {
    for (breaker, judge) in [(CLIENT, SERVER), (SERVER, CLIENT)] {
        let mut pair = Pair::new();
        pair.text(breaker, "good");
        pair.inject(judge, b"\x83\x00");
        pair.text(breaker, "behind it");
        check_ended(&mut pair, 0);
        assert!(matches!(pair.told(judge), [Told::Text(_), Told::Error(_)]), "{:?}", pair.told(judge));
        assert_eq!(pair.told(breaker), [close(1002, "reserved opcode")]);
        assert_eq!(pair.sent_code(breaker), Some(1002));
    }
}

#[test]
fn a_rule_broken_while_a_close_is_on_its_way_sends_no_second_one() {
    for (closer, breaker) in [(CLIENT, SERVER), (SERVER, CLIENT)] {
        let mut pair = Pair::new();
        pair.links[breaker].delay = 2;
        pair.close(closer, 1000, "");
        pair.inject(closer, b"\x83\x00");
        check_ended(&mut pair, if closer == SERVER { 2 } else { 4 });
        assert!(matches!(pair.told(closer), [Told::Error(_)]));
        assert_eq!(pair.told(breaker), [close(1000, "")]);
        assert_eq!(pair.sent(closer).len(), 1);
    }
}

#[test]
fn the_server_ends_tcp_and_the_client_waits_for_it() {
    let mut pair = Pair::new();
    pair.links[CLIENT].delay = 2;
    pair.close(SERVER, 1000, "");
    pair.pass(2);
    assert!(pair.ends[CLIENT].connection.is_closed());
    assert_eq!(pair.ended(CLIENT), None, "both have said Close, but the server has not ended TCP");
    check_ended(&mut pair, 2);
}
