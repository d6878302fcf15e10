//! Raw bytes of frames in words: who sent them, each header drawn, the payload, and what rules they break.
//!
//! They are read by the tap, so that what is said is what `inspect` says.

use tidegate_websocket::deflate::Parameters;
use tidegate_websocket::{Extensions, Opcode};

use super::bits::draw;
use super::close_codes::close_code;
use super::explanation::Explanation;
use crate::event::{Body, Direction, End, Frame};
use crate::header::{WireHeader, hex};
use crate::inert::escape;
use crate::tap::{Settings, Tap};
use crate::timestamp::Timestamp;

/// Frames that are explained of one text.
const FRAMES_MAX: usize = 16;

/// Bytes of a payload that are shown.
const SHOWN_MAX_BYTES: usize = 256;

/// Bytes that are not even the header of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotFrames;

/// What these bytes are, if they begin with the header of a frame.
pub fn explain_bytes(bytes: &[u8]) -> Result<Explanation, NotFrames> {
    let first = WireHeader::find(bytes).ok_or(NotFrames)?;
    let dir = if first.mask().is_some() { Direction::ToServer } else { Direction::ToClient };
    // Whether it was agreed on is not in the bytes; that RSV1 is set says that the sender thinks so.
    let deflate = first.rsv()[0].then(Parameters::default);
    let mut tap = Tap::of_open(None, Settings::default(), Extensions { deflate }, Timestamp::default());
    let mut frames = Vec::new();
    let mut rest = Vec::new();
    let mut tell = |event: crate::Event| match event.body {
        Body::Frame(frame) if frames.len() < FRAMES_MAX => frames.push(frame),
        Body::Note(note) => rest.push(note.message),
        _ => {}
    };
    tap.handle_input(dir, bytes, Timestamp::default(), &mut tell);
    for dir in [dir, dir.opposite()] {
        tap.handle_end(dir, End::EndOfStream, Timestamp::default(), &mut tell);
    }
    let mut text: Vec<String> = frames.iter().flat_map(|frame| describe(frame)).collect();
    text.extend(rest);
    let count = if frames.len() == 1 { "one frame".to_owned() } else { format!("{} frames", frames.len()) };
    let title = format!("{count} of a {}, {} bytes", dir.sender(), bytes.len());
    let text = text.into_iter().map(Into::into).collect();
    Ok(Explanation { title: title.into(), text, beware: None, section: "RFC 6455, section 5.2".into() })
}

fn describe(frame: &Frame) -> Vec<String> {
    let mut text = vec![indented(&draw(&frame.header))];
    let missing = frame.header.payload_length().saturating_sub(frame.came());
    if missing > 0 {
        text.push(format!("Of its payload {missing} bytes are missing."));
    }
    if frame.header.opcode() == Some(Opcode::Close) {
        text.push(close_words(frame));
    } else if !frame.payload.bytes.is_empty() {
        let compressed = frame.plain.is_some();
        let what = if compressed { "It is compressed, and gives" } else { "Its payload is" };
        text.push(format!("{what} {}", shown(&frame.shown().bytes)));
    }
    for violation in &frame.violations {
        text.push(format!("It breaks a rule: {} ({}).", violation.text, violation.section));
    }
    text
}

fn close_words(frame: &Frame) -> String {
    let Some(code) = frame.close_code() else {
        return "A Close frame without a code: an application is told 1005.".to_owned();
    };
    let words = close_code(code);
    let name = words.name.map(|name| format!(" {name}")).unwrap_or_default();
    let reason = frame.close_reason().filter(|reason| !reason.is_empty());
    let reason = reason.map(|reason| format!(", \"{}\"", escape(reason))).unwrap_or_default();
    format!("It closes with {code}{name}{reason}. {}", words.meaning)
}

/// Text in quotation marks, or bytes in hex.
fn shown(bytes: &[u8]) -> String {
    let cut = &bytes[..bytes.len().min(SHOWN_MAX_BYTES)];
    let more = if cut.len() < bytes.len() {
        format!(" and {} more bytes", bytes.len() - cut.len())
    } else {
        String::new()
    };
    match std::str::from_utf8(cut) {
        Ok(text) => format!("\"{}\"{more}", escape(text)),
        Err(_) => format!("{}{more}", hex(cut)),
    }
}

/// So that it is shown as it stands.
fn indented(drawing: &str) -> String {
    drawing.lines().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(bytes: &[u8], parts: &[&str]) {
        let text = explain_bytes(bytes).expect("frames").to_string();
        for part in parts {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
    }

    #[test]
    fn frames_in_words() {
        let hello = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
        check(&hello, &["one frame of a client, 11 bytes", "0x1  text", "Its payload is \"Hello\""]);
        check(&[0x88, 0x02, 0x03, 0xe9], &["of a server", "It closes with 1001 going away."]);
        check(&[0x88, 0x00], &["an application is told 1005"]);
        check(&[0x82, 0x02, 0xff, 0x00], &["Its payload is ff00"]);
        check(&[0x81, 0x05, b'a'], &["4 bytes are missing"]);
        check(&[0x81, 0x03, 0x1b, b'[', b'A'], &["\"\\u{1b}[A\""]);
        check(&[0x83, 0x00, 0x81], &["reserved", "It breaks a rule: a frame has the reserved opcode 0x3"]);
        // Section 7.2.3.1 of RFC 7692.
        let compressed = [0xc1, 0x07, 0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
        check(&compressed, &["compressed", "gives \"Hello\""]);
        assert_eq!(explain_bytes(&[0x81]), Err(NotFrames));
    }

    proptest! {
        #[test]
        fn any_bytes_are_explained_or_not(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            if let Ok(explanation) = explain_bytes(&bytes) {
                let text = explanation.to_string();
                prop_assert!(text.chars().all(|character| character == '\n' || !character.is_control()), "{text:?}");
            }
        }
    }
}
