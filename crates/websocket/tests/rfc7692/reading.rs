//! Sections 6 and 7.2.2: which frames are compressed, and what comes out of them.

use tidegate_websocket::frame::FrameError;
use tidegate_websocket::message::MessageError;
use tidegate_websocket::{Limits, Opcode};

use crate::peer::*;

fn told(wire: &[u8], expected: &[Told]) {
    check_told(Limits::default(), wire, expected);
}

fn refused(wire: &[u8], error: impl Into<tidegate_websocket::ProtocolError>) {
    check_refused(Limits::default(), wire, error);
}

#[test]
fn the_compressed_hello_of_section_7_2_3_1() {
    told(&frame(0xc1, &HELLO), &[text("Hello")]);
    told(&frame(0xc2, &HELLO), &[Told::Binary(b"Hello".to_vec())]);
    let fragments = [frame(0x41, &HELLO[..3]), frame(0x80, &HELLO[3..])].concat();
    told(&fragments, &[text("Hello")]);
}

#[test]
fn the_shared_window_of_section_7_2_3_2() {
    let second = [0xf2, 0x00, 0x11, 0x00, 0x00];
    let wire = [frame(0xc1, &HELLO), frame(0xc1, &second)].concat();
    for piece in [wire.len(), 1] {
        let mut connection = server(kept(15), Limits::default());
        assert_eq!(feed(&mut connection, &wire, piece).0, [text("Hello"), text("Hello")]);
        // Without takeover the second refers to what is gone.
        let mut connection = server(stateless(), Limits::default());
        let expected = [text("Hello"), Told::Error(MessageError::NotDeflate.into())];
        assert_eq!(feed(&mut connection, &wire, piece).0, expected);
    }
}

#[test]
fn the_stored_block_of_section_7_2_3_3() {
    let stored = [0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00];
    told(&frame(0xc1, &stored), &[text("Hello")]);
}

#[test]
fn the_final_block_of_section_7_2_3_4() {
    let last = [0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00];
    told(&frame(0xc1, &last), &[text("Hello")]);
    told(&[frame(0xc1, &last), frame(0xc1, &HELLO)].concat(), &[text("Hello"), text("Hello")]);
    // Another block may follow the padding (section 7.2.1).
    told(&frame(0xc1, &[&last[..7], &HELLO].concat()), &[text("HelloHello")]);
}

#[test]
fn the_two_blocks_of_section_7_2_3_5() {
    let blocks = [0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00];
    told(&frame(0xc1, &blocks), &[text("Hello")]);
}

#[test]
fn the_empty_message_of_section_7_2_3_6() {
    told(&frame(0xc1, &[0x00]), &[text("")]);
    told(&frame(0xc2, &[0x02, 0x00]), &[Told::Binary(vec![])]);
    // A flush of nothing gives nothing in some compressors, so that not even the block is there.
    let wire = [frame(0xc1, &[]), frame(0xc1, &HELLO), frame(0x41, &[]), frame(0x80, &[])].concat();
    told(&wire, &[text(""), text("Hello"), text("")]);
}

#[test]
fn uncompressed_messages_may_stand_between() {
    let second = [0xf2, 0x00, 0x11, 0x00, 0x00];
    let wire = [
        frame(0xc1, &HELLO),
        frame(0x81, b"plain"),
        frame(0x01, b"pl"),
        frame(0x80, b"ain"),
        frame(0xc1, &second),
    ]
    .concat();
    for piece in [wire.len(), 1] {
        let (told, _) = feed(&mut server(kept(15), Limits::default()), &wire, piece);
        assert_eq!(told, [text("Hello"), text("plain"), text("plain"), text("Hello")]);
    }
}

#[test]
fn control_frames_may_stand_between_fragments() {
    let wire = [frame(0x41, &HELLO[..4]), frame(0x89, b"ping"), frame(0x00, &[]), frame(0x80, &HELLO[4..])];
    told(&wire.concat(), &[Told::Ping(b"ping".to_vec()), text("Hello")]);
}

#[test]
fn rsv1_stands_on_first_frames_alone() {
    for opcode in [Opcode::Ping, Opcode::Pong, Opcode::Close, Opcode::Continuation] {
        refused(&frame(0xc0 | opcode.bits(), b""), FrameError::Compressed(opcode));
    }
    let wire = [frame(0x41, &HELLO[..3]), frame(0xc0, &HELLO[3..])].concat();
    refused(&wire, FrameError::Compressed(Opcode::Continuation));
    let plain = [frame(0x01, b"a"), frame(0xc0, b"b")].concat();
    refused(&plain, FrameError::Compressed(Opcode::Continuation));
    assert_eq!(FrameError::Compressed(Opcode::Ping).rule().code.get(), 1002);
    refused(&frame(0xe1, &HELLO), FrameError::ReservedBits);
    refused(&frame(0xa1, &HELLO), FrameError::ReservedBits);
    let mut without =
        tidegate_websocket::Connection::new(tidegate_websocket::Role::Server, Limits::default());
    let (told, _) = feed(&mut without, &frame(0xc1, &HELLO), 100);
    assert_eq!(told, [Told::Error(FrameError::ReservedBits.into())]);
}

#[test]
fn what_is_not_deflate_is_refused() {
    for payload in [
        &[0x07][..],                                       // a block of the reserved type
        &[0xff; 20],                                       //
        &[0x00, 0x05, 0x00, 0xfa, 0xfe, 0x48],             // a stored block whose lengths differ
        &[0x02, 0x08, 0x20],                               // a reference to before the beginning
        &[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x07], // a final block, and no block behind it
    ] {
        let mut connection = server(stateless(), Limits::default());
        let (told, _) = feed(&mut connection, &frame(0xc2, payload), 1);
        let [Told::Error(error)] = told.as_slice() else { panic!("{payload:x?}: {told:?}") };
        assert_eq!((error.code().get(), error.rule().rfc), (1007, 7692), "{payload:x?}");
    }
    refused(&frame(0x42, &[0xff; 20]), MessageError::NotDeflate);
}

#[test]
fn what_ends_too_early_is_refused() {
    for payload in [
        &HELLO[..1],
        &HELLO[..3],
        &HELLO[..6],
        &[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00], // a final block without what follows it
        &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00, 0x00, 0xff, 0xff], // with its end
        &[0x00, 0x05, 0x00, 0xfa, 0xff, 0x48],
        &[0x00, 0x05, 0x00],
    ] {
        refused(&frame(0xc2, payload), MessageError::DeflateIncomplete);
        let (first, second) = payload.split_at(payload.len() / 2);
        refused(&[frame(0x42, first), frame(0x80, second)].concat(), MessageError::DeflateIncomplete);
    }
    assert_eq!(MessageError::DeflateIncomplete.rule().code.get(), 1007);
}

#[test]
fn text_is_judged_as_it_comes_out() {
    told(&frame(0xc1, &deflated("κόσμε 🍉".as_bytes())), &[text("κόσμε 🍉")]);
    refused(&frame(0xc1, &deflated(b"ab\xff")), MessageError::NotUtf8);
    refused(&frame(0xc1, &deflated(b"ab\xf0\x9f")), MessageError::NotUtf8);
    // Before the frame has come whole: the first of many fragments holds the bad byte.
    let payload = deflated(&[&b"\xce\xba\xff"[..], &[b'x'; 50]].concat());
    let whole = [frame(0x41, &payload), frame(0x00, &[])].concat();
    refused(&whole, MessageError::NotUtf8);
}

#[test]
fn a_client_reads_what_a_server_compressed() {
    let mut connection = client(kept(15), Limits::default());
    let wire = [&[0xc1, 7][..], &HELLO].concat();
    assert_eq!(feed(&mut connection, &wire, 1).0, [text("Hello")]);
}
