//! Server-sent events: what a client with `Accept: text/event-stream` hears (WHATWG HTML, section 9.2).
//!
//! Each function appends whole events to the caller's buffer. A payload is split into `data` lines at
//! every line end that the format knows, so that nothing a payload holds can end or forge an event.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use tidegate_hub::{ChannelName, Payload, PayloadKind, Position, PresenceChange, Present, Publication};

use crate::code::Failing;
use crate::envelope;

/// A comment that keeps proxies from closing an idle stream.
pub const KEEP_ALIVE: &[u8] = b":\n\n";

/// One publication: the default event or the source's own name, the position as `id`.
pub fn write_message(output: &mut Vec<u8>, position: Position, publication: &Publication) {
    if let Some(event) = &publication.item.event {
        line(output, "event", event);
    }
    line(output, "id", &position.to_string());
    data(output, &publication.item.payload);
    output.push(b'\n');
}

/// `tidegate-patch`: one publication as the change from that before it, bare like a payload. What kind of patch it is,
/// the client has asked for.
pub fn write_patch(output: &mut Vec<u8>, position: Position, patch: &[u8]) {
    own(output, "tidegate-patch", Some(position), |body| body.extend_from_slice(patch));
}

/// `tidegate-open`: the subscription stands. Its position becomes the stream's id, from which an EventSource resumes,
/// only where the client has what was published there.
pub fn write_open(
    output: &mut Vec<u8>,
    channel: &ChannelName,
    position: Position,
    recovered: bool,
    is_held: bool,
) {
    write_open_among(output, channel, position, recovered, is_held, None);
}

/// The same on a channel that tells who is here.
pub fn write_open_among(
    output: &mut Vec<u8>,
    channel: &ChannelName,
    position: Position,
    recovered: bool,
    is_held: bool,
    present: Option<&Present>,
) {
    own(output, "tidegate-open", Some(position).filter(|_| is_held), |body| {
        envelope::write_open_among(body, channel, position, recovered, present)
    });
}

/// `tidegate-presence`: somebody has come or gone.
pub fn write_presence(output: &mut Vec<u8>, channel: &ChannelName, change: &PresenceChange) {
    own(output, "tidegate-presence", None, |body| envelope::write_presence(body, channel, change));
}

/// `tidegate-error`: something failed; the stream goes on.
pub fn write_error(output: &mut Vec<u8>, channel: &ChannelName, failing: Failing<'_>) {
    own(output, "tidegate-error", None, |body| {
        envelope::write_error(body, Some(channel.public_part()), failing);
    });
}

/// `tidegate-close`: the stream ends; `retry:` tells the client's own reconnection when to come back.
pub fn write_close(output: &mut Vec<u8>, code: u16, reason: &str, reconnect_in_ms: Option<u64>) {
    if let Some(after) = reconnect_in_ms {
        line(output, "retry", &after.to_string());
    }
    own(output, "tidegate-close", None, |body| {
        envelope::write_close(body, None, code, reason, reconnect_in_ms)
    });
}

fn own(output: &mut Vec<u8>, event: &str, id: Option<Position>, write: impl FnOnce(&mut Vec<u8>)) {
    line(output, "event", event);
    if let Some(position) = id {
        line(output, "id", &position.to_string());
    }
    output.extend_from_slice(b"data: ");
    // JSON on one line: its strings escape every control character.
    write(output);
    output.extend_from_slice(b"\n\n");
}

fn data(output: &mut Vec<u8>, payload: &Payload) {
    match (payload.kind(), payload.as_text()) {
        (PayloadKind::Text, Some(text)) => {
            let mut rest = text;
            loop {
                let end = rest.find(['\r', '\n']);
                line(output, "data", &rest[..end.unwrap_or(rest.len())]);
                let Some(end) = end else { return };
                let width = if rest[end..].starts_with("\r\n") { 2 } else { 1 };
                rest = &rest[end + width..];
            }
        }
        (PayloadKind::Text, None) | (PayloadKind::Binary, _) => {
            line(output, "data", &BASE64_STANDARD.encode(payload.bytes()));
        }
    }
}

/// `value` holds no line end: event names and ids are refused at their source if they do.
fn line(output: &mut Vec<u8>, field: &str, value: &str) {
    debug_assert!(!value.contains(['\r', '\n']), "a value must not end its line");
    output.extend_from_slice(field.as_bytes());
    output.extend_from_slice(b": ");
    output.extend_from_slice(value.as_bytes());
    output.push(b'\n');
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;
    use tidegate_hub::{Epoch, Item};

    use super::*;
    use crate::code::ErrorCode;

    const POSITION: Position = Position { epoch: Epoch(1), offset: 7 };

    fn event(item: Item) -> String {
        let mut output = Vec::new();
        write_message(&mut output, POSITION, &Publication { offset: 7, item, change: None });
        String::from_utf8(output).unwrap()
    }

    /// The specification's own way to read one event: its `data` lines joined by LF.
    fn read_data(stream: &str) -> String {
        let unified = stream.replace("\r\n", "\n").replace('\r', "\n");
        let (first, rest) = unified.split_once("\n\n").expect("one event");
        assert_eq!(rest, "", "nothing follows the event");
        let lines: Vec<_> = first
            .lines()
            .filter_map(|line| line.strip_prefix("data:"))
            .map(|value| value.strip_prefix(' ').unwrap_or(value))
            .collect();
        lines.join("\n")
    }

    #[test]
    fn an_event_carries_its_position_and_its_source_name() {
        assert_eq!(event(Payload::from("a").into()), "id: 1:7\ndata: a\n\n");
        let named = Item { event: Some("tick".into()), ..Payload::from("a\nb").into() };
        assert_eq!(event(named), "event: tick\nid: 1:7\ndata: a\ndata: b\n\n");
        assert_eq!(event(Payload::binary(Bytes::from_static(b"\xff")).into()), "id: 1:7\ndata: /w==\n\n");
    }

    #[test]
    fn our_own_events_are_named() {
        let channel = ChannelName::from_text("c").unwrap();
        let mut output = Vec::new();
        write_open(&mut output, &channel, POSITION, true, true);
        write_patch(&mut output, POSITION, b"[]");
        write_error(
            &mut output,
            &channel,
            Failing { code: ErrorCode::Upstream, number: "TG-5101", message: "a\nb" },
        );
        write_close(&mut output, 1012, "restarting", Some(500));
        let text = String::from_utf8(output).unwrap();
        let events: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("event: ")).collect();
        assert_eq!(events, ["tidegate-open", "tidegate-patch", "tidegate-error", "tidegate-close"]);
        assert!(text.contains("event: tidegate-patch\nid: 1:7\ndata: []\n\n"));
        assert!(text.contains("retry: 500\n"));
        assert!(text.contains(r#""message":"a\nb""#));
    }

    #[test]
    fn nobody_resumes_from_a_document_that_is_still_to_come() {
        let channel = ChannelName::from_text("c").unwrap();
        let mut output = Vec::new();
        write_open(&mut output, &channel, POSITION, true, false);
        assert!(!String::from_utf8(output).unwrap().contains("id:"));
    }

    proptest! {
        #[test]
        fn any_text_comes_back_with_its_line_ends_unified(text in "[a\r\n:é ]{0,40}") {
            let expected = text.replace("\r\n", "\n").replace('\r', "\n");
            prop_assert_eq!(read_data(&event(Payload::from(text.as_str()).into())), expected);
        }
    }
}
