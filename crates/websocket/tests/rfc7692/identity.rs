//! What must hold for all inputs: what one end compresses the other is told, whatever was agreed on and
//! however the bytes are cut; and bytes that nobody compressed do no harm.

use proptest::prelude::*;
use tidegate_websocket::deflate::{Effort, Parameters};
use tidegate_websocket::{Connection, Extensions, Fragment, Limits, MaskKeys, Message, Role};

use crate::peer::*;

const LIMITS: Limits = Limits { max_message_bytes: 1 << 20, max_fragments: 1000 };

fn end(is_client: bool, parameters: Parameters, effort: Effort) -> Connection {
    let role = if is_client { Role::Client(MaskKeys::from_seed([5; 16])) } else { Role::Server };
    Connection::with_extensions(role, LIMITS, Extensions { deflate: Some(parameters) }, effort)
}

fn parameters() -> impl Strategy<Value = Parameters> {
    (any::<bool>(), any::<bool>(), 9u8..=15, 9u8..=15).prop_map(
        |(server, client, server_bits, client_bits)| Parameters {
            server_no_context_takeover: server,
            client_no_context_takeover: client,
            server_max_window_bits: server_bits,
            client_max_window_bits: client_bits,
            answers_server_max_window_bits: true,
        },
    )
}

/// Text with repetitions near and far, and some without any.
fn message() -> impl Strategy<Value = String> {
    prop_oneof![
        "\\PC{0,60}",
        ("[a-e]{1,10}", 0usize..3000).prop_map(|(word, count)| word.repeat(count)),
        (0u32..1000, 0u32..300).prop_map(|(from, count)| {
            (from..from + count).map(|n| format!("{{\"id\":{n},\"name\":\"κ{}\"}}", n % 10)).collect()
        }),
    ]
}

fn cut(text: &str, at: usize) -> (&str, &str) {
    let mut at = at % (text.len() + 1);
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    text.split_at(at)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn what_one_end_compresses_the_other_is_told(
        is_client: bool, parameters in parameters(), level in 0u8..10, min_bytes in 0usize..200,
        messages in prop::collection::vec((message(), prop::option::of(0usize..5000)), 1..8),
        piece in 1usize..3000
    ) {
        let mut sender = end(is_client, parameters, Effort { level, min_bytes });
        let mut receiver = end(!is_client, parameters, EAGER);
        let (mut wire, mut expected) = (Vec::new(), Vec::new());
        for (message, fragments) in &messages {
            match fragments {
                None => sender.send_text(message, &mut wire).unwrap(),
                Some(at) => {
                    let (head, tail) = cut(message, *at);
                    sender.send_fragment(Message::Text(head), Fragment::More, &mut wire).unwrap();
                    sender.send_fragment(Message::Text(tail), Fragment::Last, &mut wire).unwrap();
                }
            }
            expected.push(text(message));
        }
        prop_assert_eq!(feed(&mut receiver, &wire, piece).0, expected);
    }

    #[test]
    fn damaged_bytes_end_in_a_word_about_it(
        message in message(), place: prop::sample::Index, damage in 1u8..=255, parameters in parameters(),
        piece in 1usize..100
    ) {
        let mut payload = deflated(message.as_bytes());
        let place = place.index(payload.len());
        payload[place] ^= damage;
        let limits = Limits { max_message_bytes: 3000, max_fragments: 1 };
        let mut connection = server(parameters, limits);
        let (told, _) = feed(&mut connection, &frame(0xc1, &payload), piece);
        prop_assert_eq!(told.len(), 1);
        match &told[0] {
            Told::Text(text) => prop_assert!(text.len() <= 3000),
            Told::Error(error) => prop_assert!([1007, 1009].contains(&error.code().get())),
            other => prop_assert!(false, "{:?}", other),
        }
        prop_assert!(connection.heap_bytes() < 48 * 1024 + 3 * 3000);
    }

    #[test]
    fn any_payload_ends_the_same_in_any_pieces(
        payload in prop::collection::vec(any::<u8>(), 0..300), first in prop::sample::select(vec![0xc1u8, 0xc2]),
        takeover: bool, piece in 1usize..20
    ) {
        let parameters = if takeover { kept(15) } else { stateless() };
        let limits = Limits { max_message_bytes: 2000, max_fragments: 1 };
        let wire = frame(first, &payload);
        let whole = feed(&mut server(parameters, limits), &wire, wire.len());
        prop_assert_eq!(feed(&mut server(parameters, limits), &wire, piece), whole.clone());
        prop_assert_eq!(feed(&mut server(parameters, limits), &wire, 1), whole);
    }
}

#[test]
fn contexts_last_over_many_messages_in_every_window() {
    for window_bits in 9..=15 {
        for is_client in [false, true] {
            let mut sender = end(is_client, kept(window_bits), Effort { level: 1, min_bytes: 0 });
            let mut receiver = end(!is_client, kept(window_bits), EAGER);
            let mut sizes = (0, 0);
            for n in 0..2000usize {
                let message =
                    format!("{{\"n\":{n},\"price\":{},\"name\":\"Ärger {}\"}}", n * 37 % 1000, n % 13);
                let mut wire = Vec::new();
                sender.send_text(&message, &mut wire).unwrap();
                sizes = (sizes.0 + message.len(), sizes.1 + wire.len());
                assert_eq!(feed(&mut receiver, &wire, 1 + n % 40).0, [text(&message)]);
            }
            assert!(sizes.1 < sizes.0 * 7 / 10, "{window_bits}: {sizes:?}");
        }
    }
}
