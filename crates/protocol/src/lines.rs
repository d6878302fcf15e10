//! Lines of JSON: what a client with `Accept: application/x-ndjson` hears. The objects of `tidegate.v1`, one a
//! line.
//!
//! Each function appends whole lines to the caller's buffer. What is published as JSON over several lines
//! stands on one: its line ends are white space, and become spaces.

use tidegate_hub::{ChannelName, Position, PresenceChange, Present, Publication, Updates};

use crate::code::Failing;
use crate::envelope;

/// An empty line keeps proxies from closing an idle stream. Readers of JSON take it for white space.
pub const KEEP_ALIVE: &[u8] = b"\n";

/// One publication.
pub fn write_message(
    output: &mut Vec<u8>,
    channel: &ChannelName,
    position: Position,
    publication: &Publication,
) {
    line(output, |output| envelope::write_message(output, channel, position, publication));
}

/// One publication as the change from that before it.
pub fn write_patch(
    output: &mut Vec<u8>,
    channel: &ChannelName,
    position: Position,
    updates: Updates,
    patch: &[u8],
) {
    line(output, |output| envelope::write_patch(output, channel, position, updates, patch));
}

/// The subscription stands, on a channel that tells who is here among these.
pub fn write_open_among(
    output: &mut Vec<u8>,
    channel: &ChannelName,
    position: Position,
    recovered: bool,
    present: Option<&Present>,
) {
    line(output, |output| envelope::write_open_among(output, channel, position, recovered, present));
}

/// Somebody has come or gone.
pub fn write_presence(output: &mut Vec<u8>, channel: &ChannelName, change: &PresenceChange) {
    line(output, |output| envelope::write_presence(output, channel, change));
}

/// Something failed; the stream goes on.
pub fn write_error(output: &mut Vec<u8>, channel: &ChannelName, failing: Failing<'_>) {
    line(output, |output| envelope::write_error(output, Some(channel.public_part()), failing));
}

/// The last line.
pub fn write_close(output: &mut Vec<u8>, code: u16, reason: &str, reconnect_in_ms: Option<u64>) {
    line(output, |output| envelope::write_close(output, None, code, reason, reconnect_in_ms));
}

fn line(output: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let start = output.len();
    write(output);
    // Strings of JSON hold no line end but escaped: those that stand bare are between its tokens.
    for byte in &mut output[start..] {
        if matches!(byte, b'\n' | b'\r') {
            *byte = b' ';
        }
    }
    output.push(b'\n');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};
    use tidegate_hub::{Epoch, Item, Payload};

    use super::*;
    use crate::code::ErrorCode;

    const POSITION: Position = Position { epoch: Epoch(1), offset: 7 };

    fn channel() -> ChannelName {
        ChannelName::from_text("c").unwrap()
    }

    fn message(item: Item) -> Vec<u8> {
        let mut output = Vec::new();
        write_message(&mut output, &channel(), POSITION, &Publication { offset: 7, item, change: None });
        output
    }

    fn one_line(output: &[u8]) -> Value {
        assert_eq!(output.iter().filter(|byte| **byte == b'\n').count(), 1, "one line");
        assert_eq!(output.last(), Some(&b'\n'), "and it is whole");
        serde_json::from_slice(output).expect("one JSON object")
    }

    #[test]
    fn a_document_of_many_lines_stands_on_one() {
        let item = Payload::from("{\r\n  \"n\": 1.0,\n  \"s\": \"a\\nb\"\n}").into();
        let value = one_line(&message(item));
        assert_eq!(value["data"], json!({ "n": 1.0, "s": "a\nb" }));
        assert_eq!(one_line(&message(Payload::from("two\nlines").into()))["text"], "two\nlines");
    }

    #[test]
    fn what_is_not_a_publication_is_a_line_too() {
        let mut output = Vec::new();
        write_open_among(&mut output, &channel(), POSITION, true, None);
        write_patch(&mut output, &channel(), POSITION, Updates::MergePatch, b"{\"n\":1.0}");
        write_error(
            &mut output,
            &channel(),
            Failing { code: ErrorCode::Upstream, number: "TG-5101", message: "a\nb" },
        );
        write_close(&mut output, 1012, "restarting", Some(500));
        let lines: Vec<Value> = output
            .split(|byte| *byte == b'\n')
            .filter_map(|line| serde_json::from_slice(line).ok())
            .collect();
        let kinds: Vec<_> = lines.iter().map(|line| line["type"].clone()).collect();
        assert_eq!(kinds, ["open", "patch", "error", "close"]);
        assert_eq!((&lines[1]["format"], &lines[1]["patch"]), (&json!("merge"), &json!({ "n": 1.0 })));
        assert_eq!(lines[3]["reconnect_in_ms"], 500);
    }

    /// JSON of a few shapes with white space of every kind between its tokens.
    fn spaced() -> impl Strategy<Value = String> {
        let space = || "[ \t\r\n]{0,3}";
        (space(), space(), space(), "[a-z\u{e9}\u{2028}]{0,5}")
            .prop_map(|(a, b, c, text)| format!("{a}{{{b}\"k\"{c}:{a}[1.50{b},{c}\"{text}\"{a}]{b}}}{c}"))
    }

    proptest! {
        #[test]
        fn any_json_means_the_same_on_one_line(text in spaced()) {
            let value = one_line(&message(Payload::from(text.as_str()).into()));
            prop_assert_eq!(&value["data"], &serde_json::from_str::<Value>(&text).unwrap());
        }

        #[test]
        fn any_text_is_one_line(text in "[a\r\n\"\\\\\u{0}\u{85}]{0,40}") {
            let value = one_line(&message(Payload::from(text.as_str()).into()));
            prop_assert_eq!(&value["type"], "message");
        }
    }
}
