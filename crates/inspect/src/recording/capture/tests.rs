//! What captures of every kind tell: ours, and others made of the same packets.

use proptest::prelude::*;

use super::CaptureReader;
use crate::event::{Body, Direction, End, Event, Frame};
use crate::recording::{Format, RecordingError, Writer};
use crate::tap::{Settings, Tap};
use crate::timestamp::Timestamp;

use Direction::{ToClient, ToServer};

const REQUEST: &[u8] = b"GET /x HTTP/1.1\r\nHost: h:1\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
const ANSWER: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
const HELLO: &[u8] = &[0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
/// Seconds since 1970 at which everything begins.
const BEGIN: u64 = 1_700_000_000;

const PIECES: [(Direction, &[u8]); 8] = [
    (ToServer, REQUEST),
    (ToClient, ANSWER),
    (ToServer, HELLO),
    (ToClient, &[0x01, 3, b'a', b'b', b'c']),
    (ToClient, &[0x89, 1, b'p']),
    (ToClient, &[0x80, 1, b'd']),
    (ToClient, &[0x82, 2, 0xff, 0]),
    (ToClient, &[0x88, 2, 0x03, 0xe9]),
];

/// The packets of a connection: three to begin, one for each of `PIECES`, three to end.
fn conversation(conn: &str) -> Vec<Event> {
    let mut events = Vec::new();
    let mut tap = Tap::new(Some(conn.into()), None, Settings::for_recording());
    let mut clock = (0..).map(|tick| Timestamp::from_micros(BEGIN * 1_000_000 + 1500 * tick));
    let mut at = || clock.next().expect("time goes on");
    for (dir, bytes) in PIECES {
        tap.handle_input(dir, bytes, at(), &mut |event| events.push(event));
    }
    for dir in [ToClient, ToServer] {
        tap.handle_end(dir, End::EndOfStream, at(), &mut |event| events.push(event));
    }
    events
}

fn recorded(events: &[Event]) -> Vec<u8> {
    let mut writer = Writer::new(Format::Pcapng);
    let mut bytes = Vec::new();
    events.iter().for_each(|event| writer.handle_event(event, &mut bytes));
    writer.handle_end(&mut bytes);
    bytes
}

/// A packet of IP, and its time in microseconds.
type Packet = (u64, Vec<u8>);

/// The packets of a pcapng of ours.
fn packets(bytes: &[u8]) -> Vec<Packet> {
    let mut packets = Vec::new();
    let mut file = super::packet_file::PacketFile::default();
    file.handle_input(bytes, &mut |packet| packets.push((packet.at.as_micros(), packet.bytes.to_vec())))
        .expect("a capture of ours");
    packets
}

fn of_connection() -> Vec<Packet> {
    packets(&recorded(&conversation("c1")))
}

/// pcap of plain IP, times in microseconds; `snaplen` bytes of each packet.
fn pcap(packets: &[Packet], snaplen: usize) -> Vec<u8> {
    let word = u32::to_be_bytes;
    let mut file = [word(0xa1b2_c3d4), [0, 2, 0, 4], word(0), word(0), word(65_535), word(101)].concat();
    for (at, packet) in packets {
        let kept = &packet[..packet.len().min(snaplen)];
        let numbers =
            [(at / 1_000_000) as u32, (at % 1_000_000) as u32, kept.len() as u32, packet.len() as u32];
        file.extend(numbers.map(word).as_flattened());
        file.extend(kept);
    }
    file
}

fn read_pieces(file: &[u8], piece: usize) -> (Vec<Event>, Result<(), RecordingError>) {
    let mut reader = CaptureReader::new(Settings::for_recording());
    let mut events = Vec::new();
    let mut result = Ok(());
    for piece in file.chunks(piece.max(1)) {
        result = reader.handle_input(piece, &mut |event| events.push(event));
        if result.is_err() {
            break;
        }
    }
    let ended = reader.handle_end(&mut |event| events.push(event));
    (events, result.and(ended))
}

fn read(file: &[u8]) -> Vec<Event> {
    let (events, result) = read_pieces(file, usize::MAX);
    assert_eq!(result, Ok(()));
    events
}

fn frames(events: &[Event]) -> Vec<&Frame> {
    let frames =
        events.iter().map(|event| if let Body::Frame(frame) = &event.body { Some(&**frame) } else { None });
    frames.flatten().collect()
}

fn notes(events: &[Event]) -> Vec<&str> {
    let notes = events
        .iter()
        .map(|event| if let Body::Note(note) = &event.body { Some(note.message.as_str()) } else { None });
    notes.flatten().collect()
}

/// Texts of messages and frames, `…` behind what is not whole.
fn texts(events: &[Event]) -> Vec<String> {
    let text = |frame: &&Frame| {
        let more = if frame.payload.truncated { "…" } else { "" };
        format!("{}{more}", String::from_utf8_lossy(&frame.payload.bytes))
    };
    frames(events).iter().filter(|frame| !frame.header.is_control()).map(text).collect()
}

#[test]
fn ours_is_read_as_it_was_told() {
    let events = conversation("c1");
    let read = read(&recorded(&events));
    assert_eq!(notes(&read), ["TCP from 192.0.2.1:49152 to 192.0.2.254:80"]);
    let others: Vec<Event> = read.into_iter().filter(|event| !matches!(event.body, Body::Note(_))).collect();
    assert_eq!(others.len(), events.len());
    for (read, told) in others.iter().zip(&events) {
        match (&read.body, &told.body) {
            // In the packets both ends are done at one time.
            (Body::Stats(_), Body::Stats(_)) => {}
            (Body::Close(read), Body::Close(told)) => {
                assert_eq!((read.code, read.clean, read.by), (told.code, told.clean, told.by));
            }
            _ => assert_eq!(read, told),
        }
    }
}

#[test]
fn pcap_and_pcapng_of_both_byte_orders_tell_the_same() {
    let packets = of_connection();
    let expected = read(&recorded(&conversation("c1")));
    let big = pcap(&packets, usize::MAX);
    assert_eq!(read(&big), expected);
    // The same with the numbers the other way round, and in nanoseconds.
    let mut little = Vec::new();
    little.extend(0xa1b2_3c4d_u32.to_le_bytes());
    little.extend([2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 101, 0, 0, 0]);
    for (at, packet) in &packets {
        let length = packet.len() as u32;
        for number in [(at / 1_000_000) as u32, (at % 1_000_000) as u32 * 1000, length, length] {
            little.extend(number.to_le_bytes());
        }
        little.extend(packet);
    }
    assert_eq!(read(&little), expected);
    let two = pcapng_of_two_interfaces(&packets);
    assert_eq!(read(&two), expected);
    // What is passed over comes in many pieces.
    assert_eq!(read_pieces(&two, 5), (expected, Ok(())));
}

/// Big-endian; Ethernet in nanoseconds, and plain IP in 2^-20 s a year later than it says.
fn pcapng_of_two_interfaces(packets: &[Packet]) -> Vec<u8> {
    const YEAR: u64 = 365 * 24 * 3600;
    let mut file = Vec::new();
    let block = |kind: u32, body: &[&[u8]], file: &mut Vec<u8>| {
        let body = body.concat();
        let length = (body.len() as u32 + 12).to_be_bytes();
        file.extend([&kind.to_be_bytes()[..], &length, &body, &length].concat());
    };
    block(0x0a0d_0d0a, &[&[0x1a, 0x2b, 0x3c, 0x4d, 0, 1, 0, 0], &[0xff; 8]], &mut file);
    // Names of the resolution, a comment, the end.
    block(
        1,
        &[&[0, 1, 0, 0], &[0; 4], &[0, 9, 0, 1, 9, 0, 0, 0], &[0, 1, 0, 1, b'x', 0, 0, 0], &[0; 4]],
        &mut file,
    );
    let before = (-YEAR.cast_signed()).to_be_bytes();
    block(
        1,
        &[&[0, 101, 0, 0], &[0; 4], &[0, 9, 0, 1, 0x94, 0, 0, 0, 0, 14, 0, 8], &before, &[0; 4]],
        &mut file,
    );
    // A block that nobody knows is passed over.
    block(0x8000_0001, &[&[7; 40]], &mut file);
    for (number, (at, packet)) in packets.iter().enumerate() {
        let is_ethernet = number % 2 == 0;
        let link: &[u8] = if is_ethernet { &[1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 8, 0] } else { &[] };
        let packet = [link, packet].concat();
        let units = match is_ethernet {
            true => at * 1000,
            false => ((u128::from(at + YEAR * 1_000_000) << 20).div_ceil(1_000_000)) as u64,
        };
        let length = (packet.len() as u32).to_be_bytes();
        let padding = vec![0; packet.len().next_multiple_of(4) - packet.len()];
        let interface = u32::from(!is_ethernet).to_be_bytes();
        block(6, &[&interface, &units.to_be_bytes(), &length, &length, &packet, &padding], &mut file);
    }
    file
}

#[test]
fn a_packet_without_a_time_has_that_of_the_one_before() {
    let packets = of_connection();
    let mut file = recorded(&[]);
    for (_, packet) in &packets {
        let body = [&(packet.len() as u32).to_le_bytes()[..], packet].concat();
        let length = body.len().next_multiple_of(4) + 12;
        file.extend(3u32.to_le_bytes());
        file.extend((length as u32).to_le_bytes());
        file.extend(&body);
        file.resize(file.len() + length - 12 - body.len(), 0);
        file.extend((length as u32).to_le_bytes());
    }
    assert_eq!(texts(&read(&file)), ["Hello", "abc", "d", "\u{fffd}\0"]);
}

#[test]
fn packets_may_be_doubled_and_out_of_order() {
    let packets = of_connection();
    let mut mixed = packets.clone();
    mixed.swap(6, 8);
    mixed.insert(7, packets[6].clone());
    mixed.push(packets[9].clone());
    let read = read(&pcap(&mixed, usize::MAX));
    assert_eq!(texts(&read), ["Hello", "abc", "d", "\u{fffd}\0"]);
    assert!(matches!(read.last().map(|event| &event.body), Some(Body::Close(close)) if close.code == 1001));
}

#[test]
fn what_is_missing_is_told_and_what_follows_is_read() {
    let mut packets = of_connection();
    // The ping, which stands between two frames.
    packets.remove(7);
    let read_without = read(&pcap(&packets, usize::MAX));
    let told = notes(&read_without);
    let offset = ANSWER.len() + 5;
    let missing = format!("3 bytes at byte {offset} of what the server sent are not in the capture");
    assert!(told.iter().any(|note| note.starts_with(&missing)), "{told:?}");
    assert!(told.iter().any(|note| note.contains("the server's frames go on")), "{told:?}");
    assert_eq!(texts(&read_without), ["Hello", "abc", "d", "\u{fffd}\0"]);
}

#[test]
fn cut_packets_are_known_by_their_length() {
    let mut events = conversation("c1");
    let long = [&[0x81, 126, 1, 0][..], &[b'x'; 256], &[0x81, 1, b'y']].concat();
    let mut tap =
        Tap::of_open(Some("c1".into()), Settings::for_recording(), Default::default(), events[0].ts);
    let at = events[5].ts;
    let mut further = Vec::new();
    tap.handle_input(ToClient, &long, at, &mut |event| further.push(event));
    events.splice(3..3, further);
    let read = read(&pcap(&packets(&recorded(&events)), 240));
    assert_eq!(texts(&read)[..2], [format!("{}…", "x".repeat(196)), "y".to_owned()]);
    let frame = frames(&read)[0];
    assert_eq!((frame.wire, frame.header.payload_length()), (260, 256));
    assert!(notes(&read).iter().any(|note| note.starts_with("60 bytes at byte ")), "{:?}", notes(&read));
}

/// The packet with other bytes in it, of the same length or not.
fn with_payload(packet: &Packet, payload: &[u8]) -> Packet {
    let mut bytes = packet.1[..40].to_vec();
    bytes.extend(payload);
    let length = bytes.len() as u16;
    bytes[2..4].copy_from_slice(&length.to_be_bytes());
    (packet.0, bytes)
}

#[test]
fn a_handshake_is_found_on_any_port_and_behind_other_requests() {
    let mut packets = of_connection();
    for (_, packet) in &mut packets {
        for at in [20, 22] {
            if packet[at..at + 2] == [0, 80] {
                packet[at..at + 2].copy_from_slice(&8123u16.to_be_bytes());
            }
        }
    }
    // A plain request and its answer come first: the numbers of all that follows are higher.
    let plain =
        [&b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"[..], b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"];
    let mut first = vec![with_payload(&packets[3], plain[0]), with_payload(&packets[4], plain[1])];
    for (_, packet) in &mut packets[3..] {
        let is_client = packet[20..22] != 8123u16.to_be_bytes();
        let more = plain[usize::from(!is_client)].len() as u32;
        let sequence = u32::from_be_bytes(packet[24..28].try_into().expect("four bytes")) + more;
        packet[24..28].copy_from_slice(&sequence.to_be_bytes());
    }
    let rest = packets.split_off(3);
    packets.append(&mut first);
    packets.extend(rest);
    let read = read(&pcap(&packets, usize::MAX));
    assert_eq!(notes(&read), ["TCP from 192.0.2.1:49152 to 192.0.2.254:8123"]);
    assert_eq!(texts(&read), ["Hello", "abc", "d", "\u{fffd}\0"]);
    // Without its request the answer says enough.
    packets.remove(5);
    let (events, result) = read_pieces(&pcap(&packets, usize::MAX), 7);
    assert_eq!((texts(&events).len(), result), (4, Ok(())));
}

#[test]
fn several_connections_at_once_and_a_capture_that_ends_early() {
    let mut events = conversation("a");
    events.extend(conversation("b"));
    events.sort_by_key(|event| event.ts);
    let mut packets = packets(&recorded(&events));
    packets.truncate(packets.len() - 6);
    let read = read(&pcap(&packets, usize::MAX));
    for conn in ["c1", "c2"] {
        let of: Vec<Event> =
            read.iter().filter(|event| event.conn.as_deref() == Some(conn)).cloned().collect();
        assert_eq!(texts(&of), ["Hello", "abc", "d", "\u{fffd}\0"]);
        assert_eq!(notes(&of).last(), Some(&"the capture ends here; the connection went on"));
    }
}

#[test]
fn what_holds_no_websocket_says_so() {
    let packets = of_connection();
    let tls = with_payload(&packets[3], &[0x16, 3, 1, 0, 0]);
    let mut fragment = packets[5].clone();
    fragment.1[6] = 0x20;
    let read = read(&pcap(&[tls, fragment], usize::MAX));
    assert_eq!(
        notes(&read),
        [
            "no handshake of a WebSocket in 2 packets, 0 TCP connections in plain text",
            "1 connections are encrypted (TLS); capture behind what ends it",
            "1 fragments of IP packets were passed over"
        ]
    );
}

#[test]
fn what_is_no_capture_or_broken_says_where() {
    let good = recorded(&conversation("c1"));
    let pcap = pcap(&of_connection(), usize::MAX);
    let fault = |file: &[u8]| read_pieces(file, 11).1.expect_err("a fault");
    assert_eq!(fault(b"").to_string(), "byte 0: the file is empty");
    assert_eq!(fault(b"{\"v\":1}").to_string(), "byte 0: neither pcapng nor pcap");
    assert_eq!(fault(&[0xa1]).to_string(), "byte 0: neither pcapng nor pcap");
    let patched = |at: usize, with: &[u8]| {
        let mut file = good.clone();
        file[at..at + with.len()].copy_from_slice(with);
        fault(&file).to_string()
    };
    let section = u32::from_le_bytes(good[4..8].try_into().expect("four bytes")) as usize;
    assert!(patched(8, &[0; 4]).starts_with("byte 8: the section does not say"));
    assert!(patched(section + 4, &[7, 0]).contains("a block of 7 bytes cannot be"));
    assert!(patched(section + 20 + 4, &[0xfc, 0xff, 0xff, 0x7f]).contains("is more than is read"));
    assert!(patched(section + 20 + 8, &[9]).contains("of interface 9, which is not described"));
    assert!(patched(section + 20 + 20, &[0xff, 0xff]).contains("a packet is longer than its block"));
    assert!(patched(section + 16, &[21]).contains("the length at the block's end is another one"));
    for file in [&good, &pcap] {
        for cut in 0..file.len() {
            if let (_, Err(error)) = read_pieces(&file[..cut], usize::MAX) {
                assert!(error.offset <= cut as u64, "{error}");
            }
        }
    }
    assert!(fault(&good[..good.len() - 1]).what.contains("ends within the block"));
    assert!(fault(&pcap[..pcap.len() - 1]).what.contains("ends within the packet"));
    let lying = [&pcap[..24], &[0, 0, 0, 0, 0, 0, 0, 0, 0x7f, 0, 0, 0, 0x7f, 0, 0, 0]].concat();
    assert!(fault(&lying).what.contains("is more than is read"));
}

#[test]
fn connections_beyond_the_bound_give_up_the_oldest() {
    let syn = &of_connection()[0];
    let mut packets = Vec::new();
    for number in 0..10_050u32 {
        let mut packet = syn.1.clone();
        packet[12..16].copy_from_slice(&number.to_be_bytes());
        packets.push((syn.0 + u64::from(number), packet));
    }
    let mut reader = CaptureReader::new(Settings::default());
    reader.handle_input(&pcap(&packets, usize::MAX), &mut |_| {}).expect("a capture");
    assert_eq!(reader.followed(), 10_000);
}

proptest! {
    /// Whatever happens to the packets, what is told of frames is what was sent, or nothing.
    #[test]
    fn damaged_captures_invent_nothing(
        lost in prop::collection::btree_set(3usize..11, 0..3), doubled in 0usize..14, snaplen in 41usize..200,
        piece in 1usize..400,
    ) {
        let mut packets = of_connection();
        packets.insert(doubled, packets[doubled].clone());
        let mut number = 0;
        packets.retain(|_| { number += 1; !lost.contains(&(number - 1)) });
        let file = pcap(&packets, snaplen);
        let (events, result) = read_pieces(&file, piece);
        prop_assert_eq!(result, Ok(()));
        prop_assert_eq!(&events, &read(&file), "however the file is cut");
        for text in texts(&events) {
            let known = ["Hello", "abc", "d", "\u{fffd}\0"].iter().any(|sent| sent.starts_with(text.trim_end_matches('…')));
            prop_assert!(known, "{text}");
        }
    }

    #[test]
    fn any_change_of_a_file_is_read_or_told(
        at in any::<prop::sample::Index>(), with in prop::collection::vec(any::<u8>(), 1..5), is_pcap: bool,
    ) {
        let mut file = if is_pcap { pcap(&of_connection(), 99) } else { recorded(&conversation("c")) };
        let at = at.index(file.len() - with.len());
        file[at..at + with.len()].copy_from_slice(&with);
        if let (_, Err(error)) = read_pieces(&file, usize::MAX) {
            prop_assert!(error.offset <= file.len() as u64, "{error}");
        }
    }
}
