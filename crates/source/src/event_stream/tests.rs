//! Event streams: the standard's examples, every way to cut them, and what was written read back.
//! Streams are written here as text, cut into chunks and handed to the reader; nothing comes from a socket.

use proptest::prelude::*;

use super::*;

const LIMITS: EventLimits = EventLimits { max_line_bytes: 64, max_event_bytes: 160 };

/// All events of a stream that comes in these chunks, and the reader as it stands after them.
fn read_chunks<'a>(
    chunks: impl IntoIterator<Item = &'a [u8]>,
) -> (Result<Vec<ServerEvent>, EventTooLong>, EventStream) {
    let mut stream = EventStream::new(LIMITS, String::new());
    let mut events = Vec::new();
    for mut chunk in chunks {
        loop {
            match stream.next_event(&mut chunk) {
                Ok(Some(event)) => events.push(event),
                Ok(None) => break,
                Err(error) => return (Err(error), stream),
            }
        }
        assert!(chunk.is_empty(), "the input is used up");
        assert!(stream.line.len() <= LIMITS.max_line_bytes && stream.held() <= LIMITS.max_event_bytes);
    }
    (Ok(events), stream)
}

fn read(text: &str) -> Vec<ServerEvent> {
    read_chunks([text.as_bytes()]).0.expect("the stream is within its limits")
}

fn event(event: Option<&str>, data: &str, id: Option<&str>) -> ServerEvent {
    ServerEvent { event: event.map(str::to_owned), data: data.to_owned(), id: id.map(str::to_owned) }
}

#[test]
fn the_examples_of_the_standard() {
    assert_eq!(read("data: YHOO\ndata: +2\ndata: 10\n\n"), [event(None, "YHOO\n+2\n10", None)]);
    assert_eq!(
        read(": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n"),
        [
            event(None, "first event", Some("1")),
            event(None, "second event", None),
            event(None, " third event", None)
        ]
    );
    assert_eq!(read("data\n\ndata\ndata\n\ndata:"), [event(None, "", None), event(None, "\n", None)]);
    assert_eq!(read("data:test\n\ndata: test\n\n"), vec![event(None, "test", None); 2]);
}

#[test]
fn names_are_kept_and_the_default_is_no_name() {
    assert_eq!(
        read("event: add\ndata: 1\n\nevent: message\ndata: 2\n\nevent:\ndata: 3\n\nevent: a\0b\ndata: 4\n\n"),
        [
            event(Some("add"), "1", None),
            event(None, "2", None),
            event(None, "3", None),
            event(Some("a\u{fffd}b"), "4", None)
        ]
    );
    assert_eq!(read("event: lost\n\ndata: 1\n\n"), [event(None, "1", None)]);
}

#[test]
fn lines_end_in_three_ways_and_a_bom_is_dropped_once() {
    let expected = [event(None, "1\n2", Some("7"))];
    for end in ["\n", "\r\n", "\r"] {
        let text = ["\u{feff}data: 1", "id: 7", "data: 2", "", ""].join(end);
        assert_eq!(read(&text), expected, "{end:?}");
        for cut in 0..=text.len() {
            let (head, tail) = text.as_bytes().split_at(cut);
            assert_eq!(
                read_chunks([head, tail]).0.as_deref(),
                Ok(expected.as_slice()),
                "{end:?} cut at {cut}"
            );
        }
    }
    assert_eq!(read("\u{feff}\u{feff}data: 1\n\n"), []);
    assert_eq!(read("a: 1\n\u{feff}data: 1\n\n"), []);
}

#[test]
fn the_last_id_sticks_is_reset_and_never_holds_nul() {
    let last = |text: &str| read_chunks([text.as_bytes()]).1.last_event_id().to_owned();
    assert_eq!(last("id: 1\ndata: a\n\ndata: b\n\n"), "1");
    assert_eq!(last("id: 1\ndata: a\n\nid: 2\n\n"), "2");
    assert_eq!(last("id: 1\ndata: a\n\nid\ndata: b\n\n"), "");
    assert_eq!(last("id: 1\ndata: a\n\nid: 2\0\ndata: b\n\n"), "1");
    assert_eq!(last("id: 1\ndata: a\n\nid: 2\ndata: unfinished\n"), "1");
    assert_eq!(EventStream::new(LIMITS, "9".into()).last_event_id(), "9");
}

#[test]
fn retry_is_digits_only() {
    let retry = |text: &str| read_chunks([text.as_bytes()]).1.retry();
    assert_eq!(retry("retry: 300\n"), Some(Duration::from_millis(300)));
    assert_eq!(
        retry("retry: 300\nretry: 1s\nretry: -1\nretry\nretry: +5\n"),
        Some(Duration::from_millis(300))
    );
    assert_eq!(retry("retry: 99999999999999999999\n"), Some(Duration::from_millis(u32::MAX.into())));
    assert_eq!(retry("data: 1\n"), None);
}

#[test]
fn invalid_utf8_is_replaced() {
    let (events, _) = read_chunks([b"data: a\xffb\xe2\x82".as_slice(), b"\n\n"]);
    assert_eq!(events, Ok(vec![event(None, "a\u{fffd}b\u{fffd}", None)]));
    let (events, _) = read_chunks([b"data: \xe2".as_slice(), b"\x82\xac\n\n"]);
    assert_eq!(events, Ok(vec![event(None, "\u{20ac}", None)]));
}

#[test]
fn lines_and_events_are_bounded() {
    let line = "x".repeat(LIMITS.max_line_bytes + 1);
    assert_eq!(read_chunks([line.as_bytes()]).0, Err(EventTooLong::Line(64)));
    assert_eq!(read_chunks(line.as_bytes().chunks(1)).0, Err(EventTooLong::Line(64)));
    let event = format!("data: {}\n", "x".repeat(50)).repeat(4);
    assert_eq!(read_chunks([event.as_bytes()]).0, Err(EventTooLong::Event(160)));
    assert_eq!(read(&":keep-alive\n".repeat(1000)), []);
}

fn fields() -> impl Strategy<Value = String> {
    "[a-zé \\u{0}:,{}0-9]{0,8}"
}

fn written() -> impl Strategy<Value = ServerEvent> {
    let name =
        prop::option::of("[a-z]{1,6}".prop_filter("the default has no name", |name| name != "message"));
    let data = prop::collection::vec(fields(), 1..4).prop_map(|lines| lines.join("\n"));
    (name, data, prop::option::of("[a-z0-9]{1,6}")).prop_map(|(event, data, id)| ServerEvent {
        event,
        data,
        id,
    })
}

fn write(event: &ServerEvent, end: &str) -> String {
    let field = |name: &str, value: &str| format!("{name}: {value}{end}");
    let mut text = String::new();
    text.extend(event.event.iter().map(|name| field("event", name)));
    text.extend(event.id.iter().map(|id| field("id", id)));
    text.extend(event.data.split('\n').map(|line| field("data", line)));
    text + end
}

proptest! {
    #[test]
    fn what_was_written_is_read(events in prop::collection::vec(written(), 0..5), end in "\n|\r|\r\n", size in 1usize..9) {
        let text: String = events.iter().map(|event| write(event, &end)).collect();
        prop_assert_eq!(read_chunks(text.as_bytes().chunks(size)).0, Ok(events));
    }

    /// However a stream is cut, it is read the same.
    #[test]
    fn chunks_do_not_matter(text in "((data|id|event|retry|x)?:? ?[ab\\u{0}é\\u{feff}]{0,3}(\n|\r|\r\n|)){0,12}", size in 1usize..5) {
        let (whole, one) = read_chunks([text.as_bytes()]);
        let (cut, other) = read_chunks(text.as_bytes().chunks(size));
        prop_assert_eq!(whole, cut);
        prop_assert_eq!(one.last_event_id(), other.last_event_id());
        prop_assert_eq!(one.retry(), other.retry());
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), size in 1usize..50) {
        let _ = read_chunks(bytes.chunks(size));
    }
}
