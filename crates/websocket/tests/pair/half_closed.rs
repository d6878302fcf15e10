//! Links that end on one side, on none, or at once: what is told, and how long the other end holds on.

use tidegate_websocket::Fragment;
use tidegate_websocket::timing::{Due, Tick};

use crate::endpoint::{Ended, TIMEOUTS};
use crate::pair::{CLIENT, Pair, SERVER};
use crate::told::{Told, text};

const BOTH: [usize; 2] = [CLIENT, SERVER];

fn close(code: u16) -> Told {
    Told::Close(Some(code), String::new())
}

#[test]
fn an_end_without_a_close_is_told_once_to_both() {
    for ender in BOTH {
        let mut pair = Pair::new();
        pair.act(ender, |connection, output| connection.send_text("all", output)).unwrap();
        pair.fragment(ender, "half", Fragment::More);
        pair.end_side(ender);
        pair.pass_until_ended(0);
        assert_eq!(pair.told(1 - ender), [text("all"), Told::Lost]);
        assert_eq!(pair.told(ender), [Told::Lost]);
        assert_eq!(BOTH.map(|end| pair.ended(end)), [Some(Ended::WithPeer); 2]);
        assert!(pair.sent(1 - ender).is_empty(), "a Close that nobody asked for");
    }
}

#[test]
fn an_end_right_behind_the_close_is_a_clean_one() {
    for ender in BOTH {
        let mut pair = Pair::new();
        pair.close(ender, 1000, "");
        pair.end_side(ender);
        pair.pass_until_ended(0);
        assert_eq!(BOTH.map(|end| pair.told(end)), [[close(1000)], [close(1000)]]);
    }
}

#[test]
fn an_end_while_our_close_awaits_its_answer_is_1006() {
    for closer in BOTH {
        let mut pair = Pair::new();
        pair.links[1 - closer].delay = 1;
        pair.close(closer, 1000, "");
        pair.end_side(1 - closer);
        pair.pass_until_ended(5);
        assert_eq!(pair.told(closer), [Told::Lost]);
        assert_eq!(pair.ended(closer), Some(Ended::WithPeer));
    }
}

#[test]
fn a_peer_that_never_answers_our_close_is_cut() {
    for closer in BOTH {
        let mut pair = Pair::new();
        pair.links[1 - closer].is_stopped = true;
        pair.close(closer, 1001, "bye");
        let begun = pair.now;
        pair.pass(TIMEOUTS.close - 1);
        assert_eq!((pair.ended(closer), pair.told(closer)), (None, &[][..]));
        pair.pass(1);
        assert_eq!(pair.now, begun.plus(TIMEOUTS.close));
        assert_eq!(pair.ended(closer), Some(Ended::TimedOut(Due::CloseTimeout)));
        assert_eq!(pair.told(closer), [Told::Lost]);
    }
}

#[test]
fn a_peer_that_sends_messages_instead_of_a_close_is_cut_too() {
    let mut pair = Pair::new();
    pair.links[CLIENT].is_stopped = true;
    pair.close(SERVER, 1001, "");
    for _ in 0..TIMEOUTS.close {
        pair.text(CLIENT, "chatter");
        pair.pass(1);
    }
    assert_eq!(pair.ended(SERVER), Some(Ended::TimedOut(Due::CloseTimeout)));
    assert_eq!(pair.told(SERVER).len(), TIMEOUTS.close as usize + 1);
    assert_eq!(pair.told(SERVER).last(), Some(&Told::Lost));
}

#[test]
fn a_peer_that_answers_the_close_but_never_ends_tcp_is_cut() {
    for closer in BOTH {
        let mut pair = Pair::new();
        pair.close(closer, 1000, "");
        pair.deliver(1 - closer, usize::MAX);
        // The Close of the other end arrives, the end of its bytes never does.
        pair.deliver(closer, usize::MAX);
        pair.links.iter_mut().for_each(|link| link.is_stopped = true);
        pair.pass_until_ended(TIMEOUTS.close);
        let cut = Some(Ended::TimedOut(Due::CloseTimeout));
        assert_eq!(BOTH.map(|end| pair.ended(end)), [cut, cut]);
        assert_eq!(BOTH.map(|end| pair.told(end)), [[close(1000)], [close(1000)]], "it stays a clean close");
    }
}

#[test]
fn a_reset_is_told_once_wherever_it_falls() {
    for messages in 0..3 {
        for closes in [false, true] {
            let mut pair = Pair::new();
            for n in 0..messages {
                pair.text(CLIENT, &n.to_string());
                pair.fragment(SERVER, "x", if n == 1 { Fragment::Last } else { Fragment::More });
                pair.deliver(SERVER, 5);
            }
            if closes {
                pair.close(SERVER, 1000, "");
            }
            pair.reset();
            pair.pass_until_ended(0);
            for end in BOTH {
                assert_eq!(pair.ended(end), Some(Ended::Reset));
                assert_eq!(pair.told(end).last(), Some(&Told::Lost));
                assert_eq!(pair.ends[end].connection.heap_bytes(), 0);
            }
        }
    }
}

#[test]
fn a_session_may_break_off_behind_every_byte() {
    let script = |pair: &mut Pair| {
        pair.text(CLIENT, "grüße");
        pair.fragment(CLIENT, "a", Fragment::More);
        pair.ping(CLIENT, b"p");
        pair.fragment(CLIENT, "b", Fragment::Last);
        pair.close(CLIENT, 4000, "end");
    };
    let mut whole = Pair::new();
    script(&mut whole);
    let length = whole.ends[CLIENT].sent.len();
    whole.pass_until_ended(0);
    for offset in 0..length {
        let mut pair = Pair::new();
        script(&mut pair);
        if offset > 0 {
            pair.deliver(SERVER, offset);
        }
        pair.reset();
        pair.pass_until_ended(0);
        let (end, before) = pair.told(SERVER).split_last().unwrap();
        assert_eq!(*end, Told::Lost);
        assert!(whole.told(SERVER).starts_with(before), "{offset}: {before:?}");
    }
}

#[test]
fn a_link_that_goes_dead_without_a_word_is_noticed_by_both() {
    let mut pair = Pair::new();
    pair.links.iter_mut().for_each(|link| link.is_stopped = true);
    pair.pass_until_ended(crate::endpoint::PING_INTERVAL + TIMEOUTS.pong);
    let gone = Some(Ended::TimedOut(Due::PongTimeout));
    assert_eq!(BOTH.map(|end| pair.ended(end)), [gone, gone]);
    assert_eq!(BOTH.map(|end| pair.told(end)), [[Told::Lost], [Told::Lost]]);
    assert_eq!(pair.now, Tick(1).plus(crate::endpoint::PING_INTERVAL + TIMEOUTS.pong));
}
