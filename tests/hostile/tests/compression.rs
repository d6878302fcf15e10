//! Compression as a weapon: bombs, damage, offers that make no sense. Each gets its close
//! code or no agreement, and nobody else notices.

use tidegate_hostile::bomb::{DEFLATED_TEXT, OFFER, agreed, bomb, channels, deflated, open};
use tidegate_hostile::canary::Canary;
use tidegate_hostile::socket::{Received, Socket, TEXT, close_frame, frame, handshake};
use tidegate_hostile::wire::End;

/// A message in frames of so many bytes, of which only the first has RSV1.
fn fragments(payload: &[u8], bytes: usize) -> Vec<u8> {
    let pieces: Vec<_> = payload.chunks(bytes).collect();
    let last = pieces.len() - 1;
    let first = |at: usize| if at == 0 { 0x41 } else { 0 } | if at == last { 0x80 } else { 0 };
    pieces.iter().enumerate().flat_map(|(at, piece)| frame(first(at), piece)).collect()
}

#[test]
fn a_bomb_is_closed_with_1009_when_its_output_passes_the_limit() {
    let gates = [channels("shared", ""), channels("takeover", "")];
    for gate in &gates {
        let canary = Canary::watch(gate);
        let large = bomb(62);
        assert!(large.len() < 65_536, "{} bytes on the wire are within the limit", large.len());
        for wire in [
            frame(DEFLATED_TEXT, &large),
            fragments(&large, 1000),
            frame(DEFLATED_TEXT, deflated(&[b'x'; 65_537])),
            fragments(&deflated(&[b'x'; 65_537]), 1),
        ] {
            let mut socket = open(gate, "/bombed");
            socket.send(wire);
            let (code, reason) = socket.await_close().expect("a Close");
            assert_eq!(code, Some(1009), "{reason}");
            socket.send(frame(TEXT, "more"));
            assert_eq!(socket.receive(), Received::End(End::Closed));
        }
        assert_eq!(gate.metric("tidegate_received_messages_total"), 0, "nothing of it was a message");
        canary.finish();
    }
}

#[test]
fn the_largest_message_is_one_however_small_it_came() {
    let gate = channels("shared", "");
    let mut socket = open(&gate, "/large");
    socket.send(frame(DEFLATED_TEXT, deflated(&[b'x'; 65_536])));
    socket.send(fragments(&deflated(&[b'y'; 65_536]), 7));
    socket.send(close_frame(1000, ""));
    while !matches!(socket.receive_any(), (0x88, _)) {}
    gate.await_metric("tidegate_published_total", 2);
}

#[test]
fn what_was_not_agreed_on_is_not_inflated() {
    let (off, shared) = (channels("off", ""), channels("shared", ""));
    let declined = Socket::open_with(off.public, "/x", OFFER);
    assert_eq!(agreed(&declined), "");
    let not_offered = Socket::open(shared.public, "/x");
    for mut socket in [declined, not_offered] {
        socket.send(frame(DEFLATED_TEXT, bomb(62)));
        assert_eq!(socket.await_code(), 1002);
    }
    let mut agreed = open(&shared, "/x");
    // RSV1 stands on the first frame of a data message and nowhere else.
    agreed.send([frame(0x01, "x"), frame(0xC0, "y")].concat());
    assert_eq!(agreed.await_code(), 1002);
    let mut agreed = open(&shared, "/x");
    agreed.send(frame(0xC9, "ping"));
    assert_eq!(agreed.await_code(), 1002);
}

#[test]
fn damage_is_closed_with_1007_and_hurts_nobody_else() {
    let gate = channels("shared", "");
    let canary = Canary::watch(&gate);
    let text = "what is published ".repeat(50);
    let right = deflated(text.as_bytes());
    let mut other = open(&gate, "/other");
    for (name, payload) in [
        ("a block of the reserved kind", vec![0x07]),
        ("a stored block with another length", vec![0x00, 5, 0, 5, 0, b'h', b'e', b'l', b'l', b'o']),
        ("a distance before the beginning", vec![0x02, 0x02]),
        ("cut in the middle", right[..right.len() / 2].to_vec()),
        ("text that is not UTF-8", deflated(&[0xC3, 0x28].repeat(400))),
        ("text cut within a character", deflated(&[0xE2, 0x82])),
        ("noise", (0..2000u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8 | 7).collect()),
    ] {
        for wire in [frame(DEFLATED_TEXT, &payload), fragments(&payload, 1)] {
            let mut socket = open(&gate, "/damaged");
            socket.send(wire.get(..100_000).unwrap_or(&wire));
            let (code, reason) = socket.await_close().unwrap_or_else(|| panic!("{name}: no Close"));
            // In frames of one byte there may be too many before the damage shows.
            assert!(
                code == Some(1007) || (code == Some(1008) && payload.len() > 256),
                "{name}: {code:?} {reason}"
            );
        }
        other.send(frame(DEFLATED_TEXT, &right));
        assert!(matches!(other.receive_any(), (0xC1, _)), "its own publication, compressed");
    }
    canary.finish();
}

#[test]
fn each_offer_is_answered_or_declined_and_never_an_end() {
    let gate = channels("shared", "");
    let both = "; server_no_context_takeover; client_no_context_takeover";
    let table: &[(&str, Option<&str>)] = &[
        ("", Some("")),
        ("; client_max_window_bits", Some("")),
        ("; client_max_window_bits=8", Some("; client_max_window_bits=8")),
        ("; client_max_window_bits=15", Some("")),
        ("; client_max_window_bits=\"10\"", Some("; client_max_window_bits=10")),
        ("; server_max_window_bits=15", Some("; server_max_window_bits=15")),
        ("; server_max_window_bits=9", Some("; server_max_window_bits=9")),
        ("; server_no_context_takeover; client_no_context_takeover", Some("")),
        ("; server_max_window_bits=8", None),
        ("; server_max_window_bits=7", None),
        ("; server_max_window_bits=16", None),
        ("; server_max_window_bits=08", None),
        ("; server_max_window_bits=+9", None),
        ("; server_max_window_bits=4294967305", None),
        ("; server_max_window_bits", None),
        ("; client_max_window_bits=7", None),
        ("; client_max_window_bits=16", None),
        ("; client_max_window_bits=0x9", None),
        ("; server_no_context_takeover=1", None),
        ("; client_no_context_takeover; client_no_context_takeover", None),
        ("; server_max_window_bits=9; server_max_window_bits=10", None),
        ("; unknown", None),
        ("; unknown=1", None),
    ];
    for (offer, expected) in table {
        let line = format!("Sec-WebSocket-Extensions: permessage-deflate{offer}\r\n");
        let mut socket = Socket::open_with(gate.public, "/x", &line);
        let expected = expected.map(|rest| format!("permessage-deflate{both}{rest}")).unwrap_or_default();
        assert_eq!(agreed(&socket), expected, "{offer:?}");
        // It stands, whatever was agreed on.
        socket.text("hello");
        socket.send(close_frame(1000, ""));
        assert_eq!(socket.await_code(), 1000, "{offer:?}");
    }
    for value in [
        "; server_max_window_bits=",
        "; =9",
        ";;",
        "; server_max_window_bits=\"9",
        "; server_max_window_bits=\u{1}",
    ] {
        let line = format!("Sec-WebSocket-Extensions: permessage-deflate{value}\r\n");
        assert_eq!(gate.ask(handshake("/x", &line)).status, 400, "{value:?}");
    }
    let several = "Sec-WebSocket-Extensions: x-other, permessage-deflate; server_max_window_bits=8, permessage-deflate\r\n";
    let socket = Socket::open_with(gate.public, "/x", several);
    assert_eq!(agreed(&socket), format!("permessage-deflate{both}"));
}
