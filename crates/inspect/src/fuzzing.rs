//! The bodies of the fuzz targets: each takes any bytes and asserts what must hold for all of them.
//!
//! They are public so that `fuzz/` can name them and ordinary tests can feed them; no user of the library needs them.
//! A panic here is a finding.

use tidegate_websocket::Extensions;
use tidegate_websocket::deflate::Parameters;

use crate::event::{Body, Direction, End, Event};
use crate::head::Secrets;
use crate::recording::{CaptureReader, Format, LineReader, RecordingError, Writer, read_har};
use crate::tap::{Settings, Tap};
use crate::timestamp::Timestamp;

/// Time of everything that is fuzzed.
const AT: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

/// Bytes of a connection against the tap: byte 0 says whether it is open and compressed, byte 1 how it is cut, and
/// behind each third byte what follows goes the other way.
///
/// However the bytes of one direction are cut, the same is told; frames make the bytes again that they were made of;
/// and every event is the same when it has been written and read.
pub fn fuzz_tap(data: &[u8]) {
    let [mode, cut, rest @ ..] = data else { return };
    let pieces: Vec<(Direction, &[u8])> = pieces(rest);
    let whole = told(*mode, &pieces, usize::MAX);
    let cut = told(*mode, &pieces, usize::from(*cut) + 1);
    assert_eq!(whole, cut, "what is told depends on how the bytes are cut");
    for event in &whole {
        let read = Event::from_json(&event.to_json());
        assert_eq!(read.as_ref(), Ok(event), "an event is not what was written");
    }
    if is_open(*mode) {
        for dir in [Direction::ToServer, Direction::ToClient] {
            check_bytes(dir, &whole, &pieces);
        }
    }
}

/// Bytes of a file against what reads recordings: byte 0 says which form.
///
/// What is read can be written as lines and is the same when it is read again; a fault lies within the file.
pub fn fuzz_recording(data: &[u8]) {
    let [form, file @ ..] = data else { return };
    let read = match form % 3 {
        0 => read_lines(file),
        1 => read_har(file),
        _ => read_capture(file),
    };
    let events = match read {
        Ok(events) => events,
        Err(error) => return assert!(error.offset <= file.len() as u64, "{error}"),
    };
    for format in [Format::Har, Format::Pcapng] {
        recorded(format, &events);
    }
    assert_eq!(read_lines(&recorded(Format::Jsonl, &events)), Ok(events));
}

fn recorded(format: Format, events: &[Event]) -> Vec<u8> {
    let mut writer = Writer::new(format);
    let mut bytes = Vec::new();
    events.iter().for_each(|event| writer.handle_event(event, &mut bytes));
    writer.handle_end(&mut bytes);
    bytes
}

fn read_lines(file: &[u8]) -> Result<Vec<Event>, RecordingError> {
    let mut reader = LineReader::default();
    let lines = file.split_inclusive(|byte| *byte == b'\n').map(|line| reader.handle_line(line));
    lines.filter_map(Result::transpose).collect()
}

/// However the file is cut, the same is told, up to the same fault.
fn read_capture(file: &[u8]) -> Result<Vec<Event>, RecordingError> {
    let read = |piece: usize| {
        let mut reader = CaptureReader::new(Settings::default());
        let mut events = Vec::new();
        let mut pieces = file.chunks(piece);
        let result = pieces.try_for_each(|piece| reader.handle_input(piece, &mut |event| events.push(event)));
        let ended = reader.handle_end(&mut |event| events.push(event));
        (events, result.and(ended))
    };
    let (events, result) = read(file.len().max(1));
    assert_eq!((&events, &result), (&read(7).0, &read(7).1), "what is told depends on how the file is cut");
    result.map(|()| events)
}

fn is_open(mode: u8) -> bool {
    mode & 1 != 0
}

/// Any bytes as pieces that go to and fro: a length, and as many bytes.
fn pieces(mut data: &[u8]) -> Vec<(Direction, &[u8])> {
    let mut pieces = Vec::new();
    let mut dir = Direction::ToServer;
    while let Some((length, rest)) = data.split_first() {
        let (piece, rest) = rest.split_at(rest.len().min(usize::from(*length)));
        pieces.push((dir, piece));
        (data, dir) = (rest, dir.opposite());
    }
    pieces
}

fn told(mode: u8, pieces: &[(Direction, &[u8])], cut: usize) -> Vec<Event> {
    let settings = Settings {
        payload_max_bytes: if mode & 2 == 0 { 1 << 20 } else { 130 },
        inflated_max_bytes: 1 << 20,
        secrets: if mode & 4 == 0 { Secrets::Show } else { Secrets::Hide },
    };
    let extensions = Extensions { deflate: (mode & 8 != 0).then(Parameters::default) };
    let mut tap = match is_open(mode) {
        true => Tap::of_open(None, settings, extensions, AT),
        false => Tap::new(None, None, settings),
    };
    let mut events = Vec::new();
    for (dir, piece) in pieces {
        for piece in piece.chunks(cut) {
            tap.handle_input(*dir, piece, AT, &mut |event| events.push(event));
        }
    }
    for dir in [Direction::ToClient, Direction::ToServer] {
        tap.handle_end(dir, End::EndOfStream, AT, &mut |event| events.push(event));
    }
    events
}

/// The frames of a direction are its bytes, but for a header without its end.
fn check_bytes(dir: Direction, events: &[Event], pieces: &[(Direction, &[u8])]) {
    let sent: Vec<u8> =
        pieces.iter().filter(|(to, _)| *to == dir).flat_map(|(_, piece)| *piece).copied().collect();
    let mut at = 0;
    for event in events {
        let Body::Frame(frame) = &event.body else { continue };
        if frame.dir != dir {
            continue;
        }
        let bytes = frame.wire_bytes();
        assert_eq!(&sent[at..at + bytes.len()], bytes, "a frame is not the bytes that it was made of");
        at += usize::try_from(frame.wire).expect("no more than came");
        assert!(frame.payload.truncated || frame.wire == bytes.len() as u64);
    }
    assert!(sent.len() - at < 14, "bytes are missing");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::event::samples;

    proptest! {
        #[test]
        fn recordings_with_faults_say_where(
            form in 0u8..3, events in prop::collection::vec(samples::event(), 1..4),
            at in any::<prop::sample::Index>(), with in prop::collection::vec(any::<u8>(), 0..3), gone in 0usize..3,
        ) {
            let format = [Format::Jsonl, Format::Har, Format::Pcapng][usize::from(form)];
            let mut file = recorded(format, &events);
            let at = at.index(file.len());
            let until = (at + gone).min(file.len());
            file.splice(at..until, with);
            file.insert(0, form);
            fuzz_recording(&file);
        }

    #[test]
    fn any_bytes_are_told_the_same_however_they_are_cut(data in prop::collection::vec(any::<u8>(), 0..300)) {
        fuzz_tap(&data);
    }

    /// Bytes that look like frames reach further than any bytes.
    #[test]
    fn frames_with_faults_are_told_the_same_however_they_are_cut(
        mode: u8, cut in 0u8..9,
        frames in prop::collection::vec((prop::sample::select(vec![
            0x81u8, 0x01, 0x80, 0x00, 0x82, 0xc1, 0x41, 0x88, 0x89, 0x8a, 0x83, 0x09,
        ]), any::<bool>(), prop::collection::vec(any::<u8>(), 0..20)), 1..12),
    ) {
        let mut data = vec![mode | 1, cut];
        for (first, masked, payload) in frames {
            let key: &[u8] = if masked { &[1, 2, 3, 4] } else { &[] };
            let second = payload.len() as u8 | if masked { 0x80 } else { 0 };
            let frame = [&[first, second], key, &payload].concat();
            data.push(frame.len() as u8);
            data.extend(frame);
        }
        fuzz_tap(&data);
    }
    }
}
