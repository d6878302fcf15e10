//! Two ends that agreed on compression, with every set of parameters: fewer bytes, the same messages, and
//! nothing else changed.

use tidegate_websocket::deflate::{Effort, Parameters};
use tidegate_websocket::{Extensions, Fragment};

use crate::pair::{CLIENT, Pair, SERVER};
use crate::told::Told;

const EAGER: Effort = Effort { level: 6, min_bytes: 0 };

/// Every agreement that a handshake can come to.
fn agreements() -> impl Iterator<Item = Parameters> {
    let flags = [(false, false), (false, true), (true, false), (true, true)];
    let windows = (9..=15).flat_map(|server| (8..=15).map(move |client| (server, client)));
    windows.flat_map(move |(server_max_window_bits, client_max_window_bits)| {
        flags.map(|(server_no_context_takeover, client_no_context_takeover)| Parameters {
            server_no_context_takeover,
            client_no_context_takeover,
            server_max_window_bits,
            client_max_window_bits,
            ..Parameters::default()
        })
    })
}

fn pair(parameters: Parameters) -> Pair {
    Pair::with_extensions(Extensions { deflate: Some(parameters) }, EAGER)
}

/// Text that repeats what lies near, and what lies further back than the smallest windows reach.
fn long() -> String {
    let words: String = (0..150).map(|n| format!("word{} ", n % 40)).collect();
    words.repeat(2).chars().take(1900).collect()
}

#[test]
fn every_agreement_carries_every_message() {
    let text = long();
    for parameters in agreements() {
        let mut pair = pair(parameters);
        pair.piece = 100;
        for end in [CLIENT, SERVER] {
            for _ in 0..3 {
                pair.text(end, &text);
                pair.text(end, "short");
                pair.fragment(end, &text[..700], Fragment::More);
                pair.ping(end, b"between");
                pair.fragment(end, &text[700..], Fragment::Last);
            }
        }
        pair.close(SERVER, 1000, "");
        pair.pass_until_ended(0);
        for end in [CLIENT, SERVER] {
            let texts: Vec<_> = pair.told(end).iter().filter(|told| matches!(told, Told::Text(_))).collect();
            let expected = [Told::Text(text.clone()), Told::Text("short".into()), Told::Text(text.clone())];
            assert!(texts.into_iter().eq(expected.iter().cycle().take(9)), "{parameters:?}");
            let plain: usize = 3 * (2 * text.len() + 5);
            let sent: usize = pair.sent(end).iter().map(|frame| frame.payload.len()).sum();
            // A client cannot compress into a window of 256 bytes and sends as it is.
            let compresses = end == SERVER || parameters.client_max_window_bits > 8;
            assert_eq!(sent < plain / 2, compresses, "{parameters:?}: {sent} of {plain}");
        }
    }
}

#[test]
fn a_context_is_taken_over_where_it_was_agreed_on_and_nowhere_else() {
    let text = long();
    for parameters in agreements().filter(|parameters| parameters.client_max_window_bits > 8) {
        let mut pair = pair(parameters);
        let forgets = [parameters.client_no_context_takeover, parameters.server_no_context_takeover];
        let windows = [parameters.client_max_window_bits, parameters.server_max_window_bits];
        for end in [CLIENT, SERVER] {
            (0..2).for_each(|_| pair.text(end, &text));
            let sent = pair.sent(end);
            let [first, second] = &sent[..] else { panic!("one frame each: {}", sent.len()) };
            if forgets[end] {
                assert_eq!(first.payload, second.payload, "{parameters:?}");
            } else if windows[end] >= 12 {
                assert!(second.payload.len() * 4 < first.payload.len(), "{parameters:?}");
            }
        }
    }
}

#[test]
fn control_frames_and_closes_are_as_without_compression() {
    let mut pair = pair(Parameters::default());
    pair.ping(CLIENT, &[b'a'; 125]);
    pair.close(CLIENT, 4000, &"a".repeat(123));
    pair.pass_until_ended(0);
    assert_eq!(pair.told(SERVER), [Told::Ping(vec![b'a'; 125]), Told::Close(Some(4000), "a".repeat(123))]);
    assert_eq!(pair.told(CLIENT), [Told::Pong(vec![b'a'; 125]), Told::Close(Some(4000), String::new())]);
}
