//! Events for tests: one frame of the RFC, and any events at all.
//!
//! They are made by the members, not by a tap, so that what no tap makes is among them.

use proptest::option;
use proptest::prelude::*;

use super::direction::Direction;
use super::frame::{Frame, Message, Violation};
use super::model::{Body, Close, Counts, Dropped, End, Event, Exit, Handshake, Level, Note, Open, Stats};
use crate::header::WireHeader;
use crate::payload::Payload;
use crate::timestamp::Timestamp;

/// "Hello", masked, as in section 5.7 of RFC 6455.
pub(crate) fn hello() -> Frame {
    Frame {
        dir: Direction::ToServer,
        header: WireHeader::from_bytes(&[0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d]).expect("a header"),
        wire: 11,
        message: Some(12),
        fragment: Some(0),
        inflated: None,
        since_us: Some(931),
        rtt_us: None,
        payload: Payload::whole(b"Hello"),
        plain: None,
        violations: Vec::new(),
    }
}

pub(crate) fn event() -> impl Strategy<Value = Event> {
    let ts = (0u64..4_000_000_000_000_000).prop_map(Timestamp::from_micros);
    let conn = option::of("[a-z0-9]{1,6}".prop_map(|conn| std::sync::Arc::from(conn.as_str())));
    (ts, conn, body()).prop_map(|(ts, conn, body)| Event { ts, conn, body })
}

fn body() -> impl Strategy<Value = Body> {
    prop_oneof![
        8 => frame().prop_map(|frame| Body::Frame(Box::new(frame))),
        2 => message().prop_map(|message| Body::Message(Box::new(message))),
        2 => handshake().prop_map(|handshake| Body::Handshake(Box::new(handshake))),
        1 => open().prop_map(|open| Body::Open(Box::new(open))),
        1 => close().prop_map(|close| Body::Close(Box::new(close))),
        1 => ("\\PC{0,9}", any::<u64>()).prop_map(|(what, count)| {
            Body::Dropped(Dropped { what, count, reason: String::new() })
        }),
        1 => (".{0,9}", option::of(any::<u16>()), option::of(any::<u64>())).prop_map(|(message, status, wait)| {
            let note = Note { status, retry_in_ms: wait, ..Note::new(Level::Error, message) };
            Body::Note(Box::new(note))
        }),
        1 => (counts(), counts()).prop_map(|(c2s, s2c)| Body::Stats(Box::new(Stats { c2s, s2c, age_us: 7 }))),
        1 => any::<u8>().prop_map(|code| Body::Exit(Exit { code, reason: "x".to_owned() })),
    ]
}

fn direction() -> impl Strategy<Value = Direction> {
    any::<bool>().prop_map(|up| if up { Direction::ToServer } else { Direction::ToClient })
}

fn payload() -> impl Strategy<Value = Payload> {
    let bytes = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..20),
        ".{0,20}".prop_map(String::into_bytes),
        "[{}\":a-z0-9,]{0,20}".prop_map(String::into_bytes),
    ];
    (bytes, any::<bool>()).prop_map(|(bytes, truncated)| Payload { bytes, truncated })
}

fn violation() -> impl Strategy<Value = Violation> {
    (".{0,9}", any::<u16>(), option::of(any::<u64>())).prop_map(|(text, code, at)| Violation {
        text,
        section: "RFC 6455, section 5.2".to_owned(),
        code,
        at,
    })
}

pub(crate) fn frame() -> impl Strategy<Value = Frame> {
    let header = prop::collection::vec(any::<u8>(), 14)
        .prop_map(|bytes| WireHeader::find(&bytes).expect("fourteen bytes are enough"));
    let numbers =
        (any::<u32>(), option::of(any::<u64>()), option::of(any::<u32>()), option::of(any::<u64>()));
    let parts = (direction(), header, numbers, payload(), option::of(payload()));
    (parts, prop::collection::vec(violation(), 0..2)).prop_map(|(parts, violations)| {
        let (dir, header, (wire, message, fragment, since_us), payload, plain) = parts;
        Frame {
            dir,
            header,
            wire: u64::from(wire),
            message,
            fragment,
            inflated: plain.is_some().then_some(9),
            since_us,
            rtt_us: message,
            payload,
            plain,
            violations,
        }
    })
}

fn message() -> impl Strategy<Value = Message> {
    (direction(), any::<bool>(), payload(), option::of(any::<u64>())).prop_map(
        |(dir, compressed, payload, message)| Message {
            dir,
            op: "text".to_owned(),
            len: payload.bytes.len() as u64,
            message,
            fragments: message.map(|_| 3),
            wire: message,
            compressed,
            payload,
        },
    )
}

fn handshake() -> impl Strategy<Value = Handshake> {
    let headers = prop::collection::vec(("[A-Za-z-]{1,9}", ".{0,9}"), 0..4);
    (direction(), headers, option::of(any::<u16>()), option::of(payload())).prop_map(
        |(dir, headers, status, body)| Handshake {
            dir,
            http: "1.1".to_owned(),
            start: "GET / HTTP/1.1".to_owned(),
            status,
            headers,
            hidden: Vec::new(),
            raw: body.clone(),
            body,
        },
    )
}

fn open() -> impl Strategy<Value = Open> {
    (".{0,9}", option::of("[a-z]{1,5}"), option::of(any::<u64>())).prop_map(|(url, subprotocol, time)| Open {
        url,
        subprotocol,
        connect_us: time,
        ..Open::default()
    })
}

fn close() -> impl Strategy<Value = Close> {
    (any::<u16>(), ".{0,9}", any::<bool>(), option::of(direction())).prop_map(|(code, reason, clean, by)| {
        Close { code, name: None, reason, clean, by, end: by.map(|_| End::Reset), idle_us: None, what: None }
    })
}

fn counts() -> impl Strategy<Value = Counts> {
    (any::<u64>(), any::<u64>()).prop_map(|(frames, wire)| Counts { frames, wire, messages: 0, payload: 1 })
}
