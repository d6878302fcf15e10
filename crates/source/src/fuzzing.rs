//! Bodies of fuzz targets, one a parser: any bytes in, invariants asserted. The first byte of an input says
//! how the rest is cut into chunks. The corpora in `fuzz/corpus/` are replayed by an ordinary test.

use bytes::Bytes;

use crate::difference::Difference;
use crate::event_stream::{EventLimits, EventStream, EventTooLong, ServerEvent};
use crate::json;
use crate::lines::{LineTooLong, Lines};

const MAX_LINE_BYTES: usize = 1024;
const MAX_EVENT_BYTES: usize = 4096;

/// However an event stream is cut, it is read the same; nothing is held beyond its bounds.
pub fn event_stream(input: &[u8]) {
    let Some((size, text)) = input.split_first() else { return };
    let whole = events(text.chunks(text.len().max(1)));
    let cut = events(text.chunks(usize::from(*size) + 1));
    assert_eq!(whole, cut, "chunks do not matter");
    for event in whole.0.iter().flatten() {
        assert!(event.data.len() <= MAX_EVENT_BYTES);
        for name in event.event.iter().chain(&event.id) {
            assert!(!name.is_empty() && !name.contains(['\r', '\n', '\0']), "names are one line");
        }
    }
}

/// However lines are cut, they are read the same; each is within its bound and holds no line end.
pub fn lines(input: &[u8]) {
    let Some((size, text)) = input.split_first() else { return };
    let whole = read_lines(text.chunks(text.len().max(1)));
    let cut = read_lines(text.chunks(usize::from(*size) + 1));
    assert_eq!(whole, cut, "chunks do not matter");
    for line in whole.iter().flatten() {
        assert!(!line.is_empty() && line.len() <= MAX_LINE_BYTES && !line.contains(&b'\n'));
    }
}

/// Sameness follows the canonical forms and is symmetric. The input is cut in two at its first NUL.
pub fn json_same(input: &[u8]) {
    let (left, right) = input.split_at(input.iter().position(|byte| *byte == 0).unwrap_or(input.len()));
    let right = right.strip_prefix(&[0]).unwrap_or(right);
    let same = json::same(left, right);
    assert_eq!(same, json::same(right, left), "sameness is symmetric");
    let expected = match (json::canonical(left), json::canonical(right)) {
        (Ok(left), Ok(right)) => left == right,
        _ => left == right,
    };
    assert_eq!(same, expected);
    if json::canonical(left).is_ok() {
        assert!(json::same(left, &[b" ", left, b"\n"].concat()), "white space does not count");
    }
}

/// A patch is JSON and smaller than the document; there are none but between strict documents, and a document differs
/// from itself in nothing. The input is cut in two at its first NUL.
pub fn difference(input: &[u8]) {
    let (before, after) = input.split_at(input.iter().position(|byte| *byte == 0).unwrap_or(input.len()));
    let after = after.strip_prefix(&[0]).unwrap_or(after);
    let Some(difference) = Difference::between(before, after) else { return };
    assert!(json::canonical(before).is_ok() && json::canonical(after).is_ok(), "both are strict");
    for patch in difference.json_patch().iter().chain(&difference.merge_patch()) {
        assert!(patch.len() < after.len());
        assert!(json::canonical(patch).is_ok(), "a patch is JSON");
    }
    if json::same(before, after) && after.len() > 2 {
        assert_eq!(difference.json_patch().as_deref(), Some(&b"[]"[..]));
    }
}

type Read = (Result<Vec<ServerEvent>, EventTooLong>, String);

fn events<'a>(chunks: impl Iterator<Item = &'a [u8]>) -> Read {
    let limits = EventLimits { max_line_bytes: MAX_LINE_BYTES, max_event_bytes: MAX_EVENT_BYTES };
    let mut stream = EventStream::new(limits, String::new());
    let mut events = Vec::new();
    for mut chunk in chunks {
        loop {
            match stream.next_event(&mut chunk) {
                Ok(Some(event)) => events.push(event),
                Ok(None) => break,
                Err(error) => return (Err(error), String::new()),
            }
        }
    }
    let last = stream.last_event_id().to_owned();
    (Ok(events), last)
}

fn read_lines<'a>(chunks: impl Iterator<Item = &'a [u8]>) -> Result<Vec<Bytes>, LineTooLong> {
    let mut lines = Lines::new(MAX_LINE_BYTES);
    let mut read = Vec::new();
    for mut chunk in chunks {
        while let Some(line) = lines.next_line(&mut chunk)? {
            read.push(line);
        }
    }
    read.extend(lines.finish()?);
    Ok(read)
}
