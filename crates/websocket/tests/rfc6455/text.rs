//! Section 8.1: text is UTF-8, across frames and pieces, and fails at the byte that breaks it.

use tidegate_websocket::Limits;
use tidegate_websocket::message::MessageError;

use crate::peer::*;

#[test]
fn characters_may_be_cut_between_fragments() {
    let whole = "κόσμε 🍉 aß水";
    let bytes = whole.as_bytes();
    for cut in 0..=bytes.len() {
        let wire = [masked(0x01, &bytes[..cut]), masked(0x00, b""), masked(0x80, &bytes[cut..])].concat();
        assert_eq!(feed(&mut server(), &wire).0, [text(whole)]);
        assert_eq!(feed_pieces(&mut server(), &wire.chunks(1).collect::<Vec<_>>()).0, [text(whole)]);
    }
}

#[test]
fn bytes_that_are_not_utf8_are_refused() {
    for bad in [
        &b"\x80"[..],
        b"\xc0\xaf",
        b"\xe0\x80\xaf",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"\xff",
        b"ok\xce",
        b"\xf0\x9f\x8d",
    ] {
        check_refused(Limits::default(), &masked(0x81, bad), MessageError::NotUtf8);
        let wire = [masked(0x01, b"ok"), masked(0x80, bad)].concat();
        check_refused(Limits::default(), &wire, MessageError::NotUtf8);
        let (told, _) = feed(&mut server(), &masked(0x82, bad));
        assert_eq!(told, [Told::Binary(bad.to_vec())]);
    }
}

#[test]
fn long_text_is_judged_at_each_place() {
    let good = "水".repeat(1000);
    assert_eq!(feed(&mut server(), &masked(0x81, good.as_bytes())).0, [text(&good)]);
    for place in [0, 63, 64, 65, 1500, 2999] {
        let mut bad = good.clone().into_bytes();
        bad[place] = 0xff;
        assert_eq!(feed(&mut server(), &masked(0x81, &bad)).0, [Told::Error(MessageError::NotUtf8.into())]);
    }
}

#[test]
fn what_cannot_be_mended_fails_before_its_frame_has_arrived() {
    // A frame of 20 bytes whose 13th is wrong, as in Autobahn's 6.4: refused when that byte comes.
    let payload = b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xf4\x90\x80\x80edited";
    let wire = masked(0x81, payload);
    let place = wire.len() - payload.len() + 12;
    let mut connection = server();
    assert_eq!(feed(&mut connection, &wire[..place]).0, []);
    assert_eq!(feed(&mut connection, &wire[place..=place]).0, [Told::Error(MessageError::NotUtf8.into())]);
    assert!(connection.is_closed());
}

#[test]
fn what_cannot_be_mended_fails_before_the_last_fragment() {
    let wire = [masked(0x01, b"\xf4"), masked(0x00, b"\x90")].concat();
    assert_eq!(feed(&mut server(), &wire).0, [Told::Error(MessageError::NotUtf8.into())]);
}
