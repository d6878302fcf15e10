//! What is recorded is read again; what is broken says where.

use proptest::prelude::*;

use super::{Format, LineReader, RecordingError, Writer, read_har};
use crate::event::{Body, Close, Direction, End, Event, Note, samples};
use crate::tap::{Settings, Tap};
use crate::timestamp::Timestamp;

use Direction::{ToClient, ToServer};

const REQUEST: &[u8] = b"GET /x HTTP/1.1\r\nHost: h:1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
const ANSWER: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
const HELLO: &[u8] = &[0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];

/// A connection with a message each way, one in fragments, one of bytes, a Ping, and the end.
const PIECES: [(Direction, &[u8]); 8] = [
    (ToServer, REQUEST),
    (ToClient, ANSWER),
    (ToServer, HELLO),
    (ToClient, &[0x01, 1, b'a']),
    (ToClient, &[0x89, 1, b'p']),
    (ToClient, &[0x80, 1, b'b']),
    (ToClient, &[0x82, 2, 0xff, 0]),
    (ToClient, &[0x88, 2, 0x03, 0xe9]),
];

fn connection() -> Vec<Event> {
    let mut events = Vec::new();
    let mut tap = Tap::new(Some("c1".into()), None, Settings::for_recording());
    let mut clock = (0..).map(|tick| Timestamp::from_micros(1_700_000_000_000_000 + 1500 * tick));
    let mut at = || clock.next().expect("time goes on");
    for (dir, bytes) in PIECES {
        tap.handle_input(dir, bytes, at(), &mut |event| events.push(event));
    }
    for dir in [ToClient, ToServer] {
        tap.handle_end(dir, End::EndOfStream, at(), &mut |event| events.push(event));
    }
    events
}

fn recorded(format: Format, events: &[Event]) -> Vec<u8> {
    let mut writer = Writer::new(format);
    let mut bytes = Vec::new();
    events.iter().for_each(|event| writer.handle_event(event, &mut bytes));
    writer.handle_end(&mut bytes);
    bytes
}

fn read_lines(bytes: &[u8]) -> Result<Vec<Event>, (Vec<Event>, RecordingError)> {
    let mut reader = LineReader::default();
    let mut events = Vec::new();
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        match reader.handle_line(line) {
            Ok(event) => events.extend(event),
            Err(error) => return Err((events, error)),
        }
    }
    Ok(events)
}

/// What an application heard.
fn messages(events: &[Event]) -> Vec<(Direction, String, Vec<u8>)> {
    let message = |event: &Event| match &event.body {
        Body::Message(message) => Some((message.dir, message.op.clone(), message.payload.bytes.clone())),
        Body::Frame(frame) if frame.is_whole_message() => {
            Some((frame.dir, frame.word().to_owned(), frame.shown().bytes.clone()))
        }
        _ => None,
    };
    events.iter().filter_map(message).collect()
}

#[test]
fn the_ending_says_the_form() {
    for (name, format) in [
        ("a.jsonl", Some(Format::Jsonl)),
        ("x/a.b.HAR", Some(Format::Har)),
        ("a.pcapng", Some(Format::Pcapng)),
        ("a.pcap", None),
        ("jsonl", None),
    ] {
        assert_eq!(Format::of_name(name), format, "{name}");
    }
}

#[test]
fn types_that_are_not_known_and_empty_lines_are_passed_over() {
    let mut bytes =
        b"\n{\"v\":1,\"ts\":\"2026-01-01T00:00:00Z\",\"type\":\"presence\",\"channel\":\"a\"}\r\n".to_vec();
    bytes.extend(recorded(Format::Jsonl, &connection()));
    assert_eq!(read_lines(&bytes).map(|events| events.len()), Ok(connection().len()));
}

#[test]
fn a_har_has_messages_as_chrome_has_them_and_the_rest_beside() {
    let events = connection();
    let bytes = recorded(Format::Har, &events);
    let har: serde_json::Value = serde_json::from_slice(&bytes).expect("JSON");
    let entry = &har["log"]["entries"][0];
    assert_eq!((&har["log"]["version"], &entry["_resourceType"]), (&"1.2".into(), &"websocket".into()));
    assert_eq!((&entry["request"]["url"], &entry["response"]["status"]), (&"ws://h:1/x".into(), &101.into()));
    let first = &entry["_webSocketMessages"][0];
    assert_eq!(
        (&first["type"], &first["opcode"], &first["data"], &first["time"]),
        (&"send".into(), &1.into(), &"Hello".into(), &1_700_000_000.003.into())
    );
    assert_eq!(entry["_webSocketMessages"][2]["data"], "/wA=");
    let read = read_har(&bytes).expect("a HAR");
    assert_eq!(messages(&read), messages(&events));
    let pings =
        read.iter().filter(|event| matches!(&event.body, Body::Frame(frame) if frame.word() == "ping"));
    assert_eq!(pings.count(), 1);
    let Body::Close(close) = &read.last().expect("events").body else { panic!("{read:?}") };
    let Close { code, by, .. } = &**close;
    assert_eq!((*code, *by), (1001, Some(ToClient)));
}

#[test]
fn a_har_of_chrome_is_read() {
    let har = br#"{"log":{"version":"1.2","creator":{"name":"WebInspector","version":"537.36"},"pages":[],"entries":[
      {"_initiator":{"type":"script"},"_priority":"High","_resourceType":"script","cache":{},
       "startedDateTime":"2026-03-01T12:03:04.512Z","time":3.5,"request":{"method":"GET","url":"http://h/a.js"},
       "response":{"status":200},"timings":{"blocked":-1,"send":0,"wait":1,"receive":1}},
      {"_resourceType":"websocket","_webSocketMessages":[
        {"type":"send","time":1772366584.6,"opcode":1,"data":"hi"},
        {"type":"receive","time":1772366584.7,"opcode":2,"data":"AAE="}],
       "cache":{},"connection":"","request":{"method":"GET","url":"ws://h:8080/chat?x=1","httpVersion":"HTTP/1.1",
        "headers":[{"name":"Upgrade","value":"websocket"}],"queryString":[],"cookies":[],"headersSize":1,"bodySize":0},
       "response":{"status":101,"statusText":"Switching Protocols","httpVersion":"HTTP/1.1",
        "headers":[{"name":"Sec-WebSocket-Protocol","value":"a"}],"_transferSize":0,"_error":null},
       "startedDateTime":"2026-03-01T12:03:04.512Z","time":200.5,"timings":{"blocked":-1,"wait":2.5,"receive":-1,"send":0.1}}]}}"#;
    let events = read_har(har).expect("a HAR");
    let words: Vec<_> = events.iter().map(|event| event.body.word()).collect();
    assert_eq!(words, ["handshake", "handshake", "open", "message", "message"]);
    let Body::Handshake(request) = &events[0].body else { panic!() };
    assert_eq!(
        (request.start.as_str(), request.header("upgrade")),
        ("GET /chat?x=1 HTTP/1.1", Some("websocket"))
    );
    let Body::Open(open) = &events[2].body else { panic!() };
    assert_eq!((open.subprotocol.as_deref(), open.handshake_us), (Some("a"), Some(2500)));
    assert_eq!(events[3].ts.to_string(), "2026-03-01T12:03:04.600000Z");
    assert_eq!(messages(&events)[1], (ToClient, "binary".to_owned(), vec![0, 1]));
}

#[test]
fn times_of_a_har_are_in_seconds_or_in_milliseconds() {
    let of = |time: &str| {
        let har = format!(
            r#"{{"log":{{"version":"1.2","creator":{{}},"entries":[{{"startedDateTime":"2026-03-01T12:03:04.512Z",
            "_webSocketMessages":[{{"type":"send","time":{time},"opcode":1,"data":"hi"}}]}}]}}}}"#
        );
        let events = read_har(har.as_bytes()).expect("a HAR");
        events.iter().find(|event| event.body.word() == "message").map(|event| event.ts.to_string())
    };
    for time in ["1772366584.6", "1772366584600"] {
        assert_eq!(of(time).as_deref(), Some("2026-03-01T12:03:04.600000Z"));
    }
    // Where times were left out.
    assert_eq!(of("-1").as_deref(), Some("2026-03-01T12:03:04.512000Z"));
}

#[test]
fn a_har_that_is_broken_says_where() {
    let har = recorded(Format::Har, &connection());
    let error = read_har(&har[..har.len() / 2]).expect_err("it ends early");
    assert!(error.what.contains("ends too early") && error.offset > 0, "{error}");
    for (from, to, what) in [
        ("\"type\":\"send\"", "\"type\":\"other\"", "a message is of type 'other'"),
        ("/wA=", "/wA", "a message's data"),
        ("2023-", "23-", "startedDateTime is not a time"),
    ] {
        let text = String::from_utf8(har.clone()).expect("UTF-8").replacen(from, to, 1);
        let error = read_har(text.as_bytes()).expect_err(to);
        assert!(error.what.contains(what) && error.what.contains("entry 1"), "{error}");
    }
    let error = read_har(b"{\"log\":\n x").expect_err("no JSON");
    assert_eq!((error.offset, error.line), (9, Some(2)));
}

/// The packets of a pcapng: what each carried, and how long it had been.
fn packets(mut bytes: &[u8]) -> Vec<(Vec<u8>, usize)> {
    let word = |bytes: &[u8], at: usize| {
        u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes")) as usize
    };
    let mut packets = Vec::new();
    let mut kinds = Vec::new();
    while !bytes.is_empty() {
        let length = word(bytes, 4);
        assert!(
            length.is_multiple_of(4) && word(bytes, length - 4) == length,
            "a block's length stands twice"
        );
        kinds.push(word(bytes, 0));
        if kinds.len() > 2 {
            let (kept, had) = (word(bytes, 20), word(bytes, 24));
            packets.push((bytes[28..28 + kept].to_vec(), had));
        }
        bytes = &bytes[length..];
    }
    assert_eq!(kinds[..2], [0x0a0d_0d0a, 1]);
    packets
}

/// The bytes that one end sent, by its sequence numbers.
fn stream(packets: &[(Vec<u8>, usize)], port: u16) -> Vec<u8> {
    let mut stream = Vec::new();
    for (packet, had) in packets {
        let from = u16::from_be_bytes([packet[20], packet[21]]);
        let sequence = u32::from_be_bytes(packet[24..28].try_into().expect("four bytes")) as usize;
        if from == port && packet.len() > 40 {
            assert_eq!(sequence, stream.len() + 1, "nothing is missing and nothing stands twice");
            assert_eq!(u16::from_be_bytes([packet[2], packet[3]]) as usize, *had);
            stream.extend_from_slice(&packet[40..]);
        }
    }
    stream
}

#[test]
fn packets_carry_the_bytes_of_the_wire() {
    let packets = packets(&recorded(Format::Pcapng, &connection()));
    let sent = |way: Direction| {
        PIECES.iter().filter(|(dir, _)| *dir == way).map(|(_, bytes)| *bytes).collect::<Vec<_>>().concat()
    };
    assert_eq!(stream(&packets, 49_152), sent(ToServer));
    assert_eq!(stream(&packets, 80), sent(ToClient));
    // One packet for each head and frame, three to begin, three to end.
    assert_eq!(packets.len(), 3 + PIECES.len() + 3);
}

#[test]
fn what_was_not_kept_is_missing_from_its_packet_only() {
    let mut frame = samples::hello();
    frame.payload.bytes.truncate(2);
    frame.payload.truncated = true;
    let event = Event { ts: Timestamp::default(), conn: None, body: Body::Frame(Box::new(frame)) };
    let packets = packets(&recorded(Format::Pcapng, &[event.clone(), event]));
    let [.., (first, first_had), (second, _)] = packets.as_slice() else { panic!() };
    assert_eq!((first.len(), *first_had), (40 + 8, 40 + 11));
    let sequence = |packet: &[u8]| u32::from_be_bytes(packet[24..28].try_into().expect("four bytes"));
    assert_eq!(sequence(second) - sequence(first), 11);
}

#[test]
fn an_empty_recording_is_one() {
    assert!(recorded(Format::Jsonl, &[]).is_empty());
    assert_eq!(read_har(&recorded(Format::Har, &[])), Ok(Vec::new()));
    assert!(packets(&recorded(Format::Pcapng, &[])).is_empty());
}

proptest! {
    #[test]
    fn lines_lose_nothing(events in prop::collection::vec(samples::event(), 0..6)) {
        let bytes = recorded(Format::Jsonl, &events);
        prop_assert_eq!(read_lines(&bytes), Ok(events));
    }

    #[test]
    fn lines_that_are_cut_off_say_where(events in prop::collection::vec(samples::event(), 1..4), cut in 1usize..80) {
        let bytes = recorded(Format::Jsonl, &events);
        // Not at the very end of a line, where nothing is missing but the line's own end.
        let cut = bytes.len().saturating_sub(cut + 1);
        let begins_line = cut == 0 || bytes[cut - 1] == b'\n';
        let ends_line = bytes[cut] == b'\n';
        match read_lines(&bytes[..cut]) {
            Ok(read) => prop_assert!((begins_line || ends_line) && events.starts_with(&read)),
            Err((read, error)) => {
                prop_assert!(events.starts_with(&read));
                prop_assert!(error.offset <= cut as u64 && error.line == Some(read.len() as u64 + 1), "{error}");
                prop_assert!(error.what.contains("ends within this line"), "{error}");
            }
        }
    }

    #[test]
    fn any_events_make_packets_and_a_har(events in prop::collection::vec(samples::event(), 0..8)) {
        packets(&recorded(Format::Pcapng, &events));
        let read = read_har(&recorded(Format::Har, &events));
        prop_assert!(read.is_ok(), "{read:?}");
        let kept = read.unwrap_or_default().iter().filter(|event| matches!(event.body, Body::Close(_))).count();
        let told = events.iter().filter(|event| matches!(event.body, Body::Close(_))).count();
        prop_assert_eq!(kept, told);
    }
}

#[test]
fn a_note_of_a_status_is_no_message() {
    let note = Body::Note(Box::new(Note::new(crate::event::Level::Error, "refused")));
    let bytes = recorded(Format::Har, &[Event { ts: Timestamp::default(), conn: None, body: note.clone() }]);
    let read = read_har(&bytes).expect("a HAR");
    assert!(read.iter().any(|event| event.body == note) && messages(&read).is_empty());
}
