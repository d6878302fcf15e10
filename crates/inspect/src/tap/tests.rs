//! The tap against connections whose bytes are written out, and against two ends that talk.

use proptest::prelude::*;
use tidegate_websocket::deflate::{Effort, Parameters};
use tidegate_websocket::{Connection, Extensions, Fragment, Limits, MaskKeys, Message, MessageKind, Role};

use super::{Settings, Tap};
use crate::event::{Body, Close, Direction, End, Event, Frame, Handshake, Note};
use crate::timestamp::Timestamp;

use Direction::{ToClient, ToServer};

const REQUEST: &[u8] =
    b"GET /x?token=abc HTTP/1.1\r\nHost: h:1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
const ANSWER: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
/// "Hello" of section 5.7 of the RFC.
const HELLO: &[u8] = &[0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];

/// What a tap told, a millisecond for each piece.
#[derive(Default)]
struct Told {
    events: Vec<Event>,
}

impl Told {
    fn of(mut tap: Tap, pieces: &[(Direction, &[u8])], ends: &[(Direction, End)]) -> Self {
        let mut told = Self::default();
        let mut clock = (0..).map(|tick| Timestamp::from_micros(1000 * tick));
        let mut at = || clock.next().expect("time goes on");
        for (dir, bytes) in pieces {
            tap.handle_input(*dir, bytes, at(), &mut |event| told.events.push(event));
        }
        for (dir, how) in ends {
            tap.handle_end(*dir, *how, at(), &mut |event| told.events.push(event));
        }
        told
    }

    fn words(&self) -> Vec<&'static str> {
        self.events.iter().map(|event| event.body.word()).collect()
    }

    fn frames(&self) -> Vec<&Frame> {
        let frame = |event: &'_ Event| matches!(event.body, Body::Frame(_));
        self.events.iter().filter(|event| frame(event)).filter_map(as_frame).collect()
    }

    fn notes(&self) -> Vec<&Note> {
        let note = |event: &'_ Event| matches!(event.body, Body::Note(_));
        let as_note = |event| match event {
            &Event { body: Body::Note(ref note), .. } => Some(&**note),
            _ => None,
        };
        self.events.iter().filter(|event| note(event)).filter_map(as_note).collect()
    }

    fn close(&self) -> &Close {
        match &self.events.last().expect("an event").body {
            Body::Close(close) => close,
            other => panic!("{other:?}"),
        }
    }
}

fn as_frame(event: &Event) -> Option<&Frame> {
    match &event.body {
        Body::Frame(frame) => Some(frame),
        _ => None,
    }
}

fn open(pieces: &[(Direction, &[u8])]) -> Told {
    let tap = Tap::of_open(None, Settings::default(), Extensions::default(), Timestamp::default());
    Told::of(tap, pieces, &[(ToClient, End::EndOfStream), (ToServer, End::EndOfStream)])
}

#[test]
fn a_whole_connection() {
    let tap = Tap::new(Some("c1".into()), None, Settings::default());
    let pieces: &[(Direction, &[u8])] = &[
        (ToServer, &REQUEST[..20]),
        (ToServer, &REQUEST[20..]),
        (ToClient, b"HTTP/1.1 103 Early Hints\r\n\r\n"),
        (ToClient, &[ANSWER, &[0x89, 1, b'p']].concat()),
        (ToServer, HELLO),
        (ToServer, &[0x8a, 0x81, 0, 0, 0, 0, b'p']),
        (ToClient, &[0x88, 4, 0x03, 0xe8, b'o', b'k']),
        (ToServer, &[0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8]),
    ];
    let told = Told::of(tap, pieces, &[(ToClient, End::EndOfStream), (ToServer, End::EndOfStream)]);
    assert_eq!(
        told.words(),
        [
            "handshake",
            "handshake",
            "handshake",
            "open",
            "frame",
            "frame",
            "frame",
            "frame",
            "frame",
            "stats",
            "close"
        ]
    );
    assert!(told.events.iter().all(|event| event.conn.as_deref() == Some("c1")));
    let Body::Handshake(request) = &told.events[0].body else { panic!() };
    assert_eq!(request.start, "GET /x?token=[hidden] HTTP/1.1");
    let Body::Open(open) = &told.events[3].body else { panic!() };
    assert_eq!((open.url.as_str(), open.handshake_us), ("ws://h:1/x?token=[hidden]", Some(2000)));
    let frames = told.frames();
    assert_eq!(
        (frames[1].payload.text(), frames[1].since_us, frames[1].wire),
        (Some("Hello"), Some(1000), 11)
    );
    assert_eq!((frames[2].word(), frames[2].rtt_us), ("pong", Some(2000)));
    assert_eq!((frames[3].close_code(), frames[3].close_reason()), (Some(1000), Some("ok")));
    assert!(frames.iter().all(|frame| frame.violations.is_empty()));
    let close = told.close();
    assert_eq!(
        (close.code, close.reason.as_str(), close.clean, close.by),
        (1000, "ok", true, Some(ToClient))
    );
    assert_eq!(
        close.what.as_deref(),
        Some("the server closed with 1000 normal closure, and the client answered")
    );
}

#[test]
fn broken_rules_are_told_and_read_on() {
    for (bytes, section, text) in [
        (&[0x81, 0x01, b'x'][..], "RFC 6455, section 5.1", "is not masked"),
        (&[0xc1, 0x81, 0, 0, 0, 0, b'x'], "RFC 6455, section 5.2", "reserved bit"),
        (&[0x83, 0x80, 0, 0, 0, 0], "RFC 6455, section 5.2", "reserved opcode 0x3"),
        (&[0x81, 0xfe, 0, 1, 0, 0, 0, 0, b'x'], "RFC 6455, section 5.2", "more bytes than it needs"),
        (&[0x09, 0x80, 0, 0, 0, 0], "RFC 6455, section 5.5", "without FIN"),
        (&[0x80, 0x80, 0, 0, 0, 0], "RFC 6455, section 5.4", "no message had begun"),
        (&[0x81, 0x82, 0, 0, 0, 0, b'x', 0xff], "RFC 6455, section 8.1", "the byte at 1"),
        (&[0x81, 0x81, 0, 0, 0, 0, 0xe6], "RFC 6455, section 8.1", "the byte at 0"),
        (&[0x88, 0x81, 0, 0, 0, 0, 3], "RFC 6455, section 5.5.1", "body of one byte"),
        (&[0x88, 0x82, 0, 0, 0, 0, 0x03, 0xed], "RFC 6455, section 7.4", "carries 1005"),
    ] {
        let told = open(&[(ToServer, &[bytes, HELLO].concat())]);
        let frames = told.frames();
        let violation = &frames[0].violations[0];
        assert_eq!((violation.section.as_str(), frames.len()), (section, 2), "{bytes:x?}");
        assert!(violation.text.contains(text), "{violation:?}");
        assert_eq!(frames[1].payload.text(), Some("Hello"), "{bytes:x?}");
    }
}

#[test]
fn what_follows_a_close_frame_and_what_interrupts_a_message() {
    let told = open(&[(ToClient, &[0x01, 0, 0x81, 0, 0x88, 0, 0x81, 0])]);
    let violations: Vec<_> =
        told.frames().iter().map(|frame| frame.violations.first().map(|it| it.section.as_str())).collect();
    assert_eq!(violations, [None, Some("RFC 6455, section 5.4"), None, Some("RFC 6455, section 5.5.1")]);
    let close = told.close();
    assert_eq!((close.code, close.clean, close.by), (1005, false, Some(ToClient)));
}

#[test]
fn who_ended_it_without_a_close_frame() {
    let tap = Tap::of_open(None, Settings::default(), Extensions::default(), Timestamp::default());
    let mut events = Vec::new();
    let mut tap = tap;
    let second = |seconds: u64| Timestamp::from_micros(seconds * 1_000_000);
    tap.handle_input(ToServer, HELLO, second(1), &mut |event| events.push(event));
    tap.handle_end(ToClient, End::Reset, second(61), &mut |event| events.push(event));
    tap.handle_end(ToServer, End::EndOfStream, second(62), &mut |event| events.push(event));
    tap.handle_end(ToServer, End::EndOfStream, second(63), &mut |event| events.push(event));
    let told = Told { events };
    assert_eq!(told.words(), ["frame", "stats", "close"]);
    let close = told.close();
    assert_eq!((close.code, close.by, close.end), (1006, Some(ToClient), Some(End::Reset)));
    let what = close.what.as_deref().unwrap_or_default();
    assert!(what.contains("RST") && what.contains("60.0 s") && what.contains("proxy_read_timeout"), "{what}");
}

#[test]
fn what_is_cut_off_is_told_as_far_as_it_came() {
    let told = open(&[(ToServer, &HELLO[..9]), (ToClient, &[0x81])]);
    assert_eq!(told.words(), ["frame", "note", "note", "stats", "close"]);
    assert_eq!((told.frames()[0].wire, told.frames()[0].payload.text()), (9, Some("Hel")));
    assert!(told.notes()[1].message.ends_with("within a frame's header: 81"));
}

#[test]
fn what_is_no_websocket_is_told_with_its_body() {
    let no = b"HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\n\r\nnot ";
    let pieces: &[(Direction, &[u8])] =
        &[(ToServer, REQUEST), (ToClient, no), (ToClient, b"there"), (ToServer, b"GET / HTTP/1.1\r\n\r\n")];
    let ends = [(ToServer, End::EndOfStream), (ToClient, End::EndOfStream)];
    let told = Told::of(Tap::new(None, None, Settings::default()), pieces, &ends);
    assert_eq!(told.words(), ["handshake", "handshake", "note", "drop", "close"]);
    let Body::Handshake(answer) = &told.events[1].body else { panic!() };
    let Handshake { status, body, .. } = &**answer;
    assert_eq!((*status, body.as_ref().and_then(|body| body.text())), (Some(404), Some("not there")));
    assert_eq!(told.notes()[0].status, Some(404));
    let told = Told::of(Tap::new(None, None, Settings::default()), &pieces[..2], &ends);
    assert_eq!(told.words(), ["handshake", "handshake", "note", "close"]);
    let told = Told::of(Tap::new(None, None, Settings::default()), &pieces[..1], &ends);
    assert_eq!(told.words(), ["handshake", "note", "close"]);
}

#[test]
fn nothing_grows_without_a_bound() {
    let flood = vec![b'x'; 17 * 1024];
    for pieces in [&[(ToServer, &flood[..])][..], &[(ToServer, REQUEST), (ToClient, &flood)]] {
        let told = Told::of(Tap::new(None, None, Settings::default()), pieces, &[]);
        assert!(
            told.notes().last().is_some_and(|note| note.message.contains("16 KiB")),
            "{:?}",
            told.words()
        );
    }
    let early = vec![b'x'; 65 * 1024];
    let told =
        Told::of(Tap::new(None, None, Settings::default()), &[(ToServer, REQUEST), (ToServer, &early)], &[]);
    assert!(told.notes()[0].message.contains("64 KiB"));
    let large = [&[0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0], vec![7; 65_536].as_slice()].concat();
    let told = open(&[(ToClient, &large)]);
    let frame = told.frames()[0];
    assert_eq!((frame.payload.bytes.len(), frame.payload.truncated, frame.wire), (4096, true, 65_546));
    let pings: Vec<u8> = (0..100u8).flat_map(|n| [0x89, 1, n]).collect();
    let pongs: Vec<u8> = [3, 99].iter().flat_map(|n| [0x8a, 0x81, 0, 0, 0, 0, *n]).collect();
    let told = open(&[(ToClient, &pings), (ToServer, &pongs)]);
    let times: Vec<_> = told.frames().iter().skip(100).map(|frame| frame.rtt_us).collect();
    assert_eq!(times, [None, Some(1000)], "the oldest Pings are forgotten");
}

#[test]
fn a_compressed_message_that_grows_too_much_is_told_so() {
    let settings = Settings { inflated_max_bytes: 100, ..Settings::default() };
    let extensions = Extensions { deflate: Some(Parameters::default()) };
    let mut server = Connection::with_extensions(
        Role::Server,
        Limits::default(),
        extensions,
        Effort { level: 6, min_bytes: 0 },
    );
    let mut bytes = Vec::new();
    server.send_text(&"a".repeat(1000), &mut bytes).expect("it is open");
    server.send_text(&"a".repeat(50), &mut bytes).expect("it is open");
    let tap = Tap::of_open(None, settings, extensions, Timestamp::default());
    let told = Told::of(tap, &[(ToClient, &bytes)], &[]);
    assert_eq!(told.words(), ["note", "frame", "note", "frame"]);
    assert!(told.notes()[1].message.contains("refers to one"), "{:?}", told.notes());
    assert!(told.frames().iter().all(|frame| frame.violations.is_empty()));
}

/// A message in so many fragments.
#[derive(Debug, Clone)]
struct Said {
    kind: MessageKind,
    parts: Vec<String>,
}

fn said() -> impl Strategy<Value = Said> {
    let kind = prop_oneof![Just(MessageKind::Text), Just(MessageKind::Binary)];
    (kind, prop::collection::vec("[a-cé水]{0,80}", 1..4)).prop_map(|(kind, parts)| Said { kind, parts })
}

fn say(connection: &mut Connection, said: &Said) -> Vec<u8> {
    let mut bytes = Vec::new();
    let message = |part| match said.kind {
        MessageKind::Text => Message::Text(part),
        MessageKind::Binary => Message::Binary(str::as_bytes(part)),
    };
    for (number, part) in said.parts.iter().enumerate() {
        let fragment = if number + 1 == said.parts.len() { Fragment::Last } else { Fragment::More };
        connection.send_fragment(message(part), fragment, &mut bytes).expect("it is open");
    }
    bytes
}

proptest! {
    #[test]
    fn what_two_ends_say_is_what_is_told(
        turns in prop::collection::vec((any::<bool>(), said()), 1..8),
        deflate in prop::option::of(any::<(bool, bool)>()),
        min_bytes in prop::sample::select(vec![0usize, 40]),
        cut in 1usize..40,
    ) {
        let deflate = deflate.map(|(client, server)| Parameters {
            client_no_context_takeover: client, server_no_context_takeover: server, ..Parameters::default()
        });
        let extensions = Extensions { deflate };
        let effort = Effort { level: 6, min_bytes };
        let end = |role| Connection::with_extensions(role, Limits::default(), extensions, effort);
        let mut client = end(Role::Client(MaskKeys::from_seed([7; 16])));
        let mut server = end(Role::Server);
        let mut tap = Tap::of_open(None, Settings::default(), extensions, Timestamp::default());
        let mut events = Vec::new();
        for (is_client, said) in &turns {
            let (dir, end) = if *is_client { (ToServer, &mut client) } else { (ToClient, &mut server) };
            for piece in say(end, said).chunks(cut) {
                tap.handle_input(dir, piece, Timestamp::default(), &mut |event| events.push(event));
            }
        }
        let mut heard = Vec::new();
        for event in &events {
            match &event.body {
                Body::Frame(frame) => {
                    prop_assert!(frame.violations.is_empty(), "{frame:?}");
                    if frame.is_whole_message() {
                        heard.push((frame.dir, frame.word().to_owned(), frame.shown().bytes.clone()));
                    }
                }
                Body::Message(message) => {
                    heard.push((message.dir, message.op.clone(), message.payload.bytes.clone()));
                }
                other => prop_assert!(false, "{other:?}"),
            }
        }
        let expected: Vec<_> = turns.iter().map(|(is_client, said)| {
            let dir = if *is_client { ToServer } else { ToClient };
            (dir, said.kind.opcode().to_string(), said.parts.concat().into_bytes())
        }).collect();
        prop_assert_eq!(heard, expected);
    }
}

/// Two ends that agreed on permessage-deflate with contexts that are kept.
fn deflated() -> (Connection, Extensions) {
    let extensions = Extensions { deflate: Some(Parameters::default()) };
    let effort = Effort { level: 6, min_bytes: 0 };
    (Connection::with_extensions(Role::Server, Limits::default(), extensions, effort), extensions)
}

fn said_by(end: &mut Connection, text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    end.send_text(text, &mut bytes).expect("it is open");
    bytes
}

#[test]
fn what_refers_to_what_was_not_seen_is_not_guessed_at() {
    let (mut server, extensions) = deflated();
    let _before = said_by(&mut server, "a message that nobody saw, and that others refer to");
    let bytes = [
        said_by(&mut server, "a message that nobody saw, and that others refer to"),
        said_by(&mut server, "a message that nobody saw, once more"),
    ];
    let tap = Tap::of_running(None, Settings::default(), extensions, Timestamp::default());
    let told = Told::of(tap, &[(ToClient, &bytes[0]), (ToClient, &bytes[1])], &[]);
    assert_eq!(told.words(), ["note", "frame", "frame"], "it is said once");
    assert!(told.notes()[0].message.contains("refers to one"), "{:?}", told.notes());
    for frame in told.frames() {
        assert_eq!((&frame.plain, frame.inflated, frame.violations.len()), (&None, None, 0));
    }
}

#[test]
fn what_is_skipped_is_counted_and_read_on() {
    let pieces = [b"one".as_slice(), b"two", b"three", b"four"];
    let frames: Vec<Vec<u8>> =
        pieces.iter().map(|piece| [&[0x81, piece.len() as u8], *piece].concat()).collect();
    let mut tap = Tap::of_open(None, Settings::default(), Extensions::default(), Timestamp::default());
    let mut events = Vec::new();
    let mut hand_in = |tap: &mut Tap, bytes: &[u8]| {
        tap.handle_input(ToClient, bytes, Timestamp::default(), &mut |event| events.push(event));
    };
    hand_in(&mut tap, &frames[0]);
    tap.set_skipping(true);
    // A fragment and what follows it is one message.
    hand_in(&mut tap, &[&frames[1][..], &[0x01, 0x01, 0xe6], &[0x89, 0x00]].concat());
    tap.set_skipping(false);
    hand_in(&mut tap, &[&[0x89, 0x00, 0x80, 0x02, 0xb0, 0xb4][..], &frames[3]].concat());
    tap.set_skipping(true);
    hand_in(&mut tap, &[0x88, 0x00]);
    assert_eq!(tap.skipped(), 4);
    let told = Told { events };
    let frames: Vec<_> = told.frames().iter().map(|frame| (frame.word(), frame.message)).collect();
    assert_eq!(frames, [("text", Some(0)), ("ping", None), ("text", Some(3)), ("close", None)]);
    assert!(told.frames().iter().all(|frame| frame.violations.is_empty()));
}

#[test]
fn what_is_skipped_takes_its_context_along() {
    let (mut server, extensions) = deflated();
    let bytes = ["first", "second of the same words", "third of the same words"]
        .map(|text| said_by(&mut server, text));
    let mut tap = Tap::of_open(None, Settings::default(), extensions, Timestamp::default());
    let mut events = Vec::new();
    for (place, bytes) in bytes.iter().enumerate() {
        tap.set_skipping(place == 1);
        tap.handle_input(ToClient, bytes, Timestamp::default(), &mut |event| events.push(event));
    }
    let told = Told { events };
    assert_eq!(told.words(), ["frame", "note", "frame"]);
    assert_eq!(told.frames()[0].shown().text(), Some("first"));
    assert_eq!(told.frames()[1].plain, None);
}

#[test]
fn less_is_kept_when_less_is_wanted() {
    let long = [&[0x82, 126, 1, 0][..], &[7; 256]].concat();
    let mut tap = Tap::of_open(None, Settings::default(), Extensions::default(), Timestamp::default());
    let mut kept = Vec::new();
    for most in [4096, 0, 200] {
        tap.set_payload_max_bytes(most);
        tap.handle_input(ToClient, &long, Timestamp::default(), &mut |event| {
            if let Body::Frame(frame) = event.body {
                kept.push(frame.payload.bytes.len());
            }
        });
    }
    assert_eq!(kept, [256, 125, 200]);
}
