//! Events as lines for people: a row for each frame, a few words for everything else.
//!
//! What a peer sent is made harmless here, and cut, so that one frame is one row.

use tidegate_inspect::check::{Requirement, as_text, check};
use tidegate_inspect::event::{
    Body, Close, Counts, Direction, Event, Frame, Handshake, Level, Message, Note, Open, Stats, Violation,
};
use tidegate_inspect::header::digits;
use tidegate_inspect::payload::Payload;
use tidegate_inspect::words::{close_code, draw};

use crate::terminal::{Ink, Look, escape, escape_lines};

/// Characters of a payload that a row shows.
const PREVIEW_MAX_CHARACTERS: usize = 160;

/// Bytes of a binary payload that a row shows.
const PREVIEW_MAX_BYTES: usize = 48;

/// The columns' names; the flags are FIN, the three reserved bits and MASK.
pub(super) const HEADING: &str =
    "time          conn  way op       FR123M     payload        wire  what it holds";

/// How rows are made.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rows {
    pub(super) look: Look,
    /// Draw the header of each frame, and tell each requirement of a handshake.
    pub(super) explain: bool,
}

impl Rows {
    /// The event's lines, without the last line's end. `asked` is the request that an answer belongs to.
    pub(super) fn of(self, event: &Event, asked: Option<&Handshake>) -> String {
        match &event.body {
            Body::Handshake(head) => self.handshake(event, head, asked),
            Body::Open(open) => self.told(event, Ink::Dim, &opened(open)),
            Body::Frame(frame) => self.frame(event, frame),
            Body::Message(message) => self.message(event, message),
            Body::Dropped(dropped) => {
                let text = format!("! {} {} not shown: {}", dropped.count, dropped.what, dropped.reason);
                self.told(event, Ink::Error, &text)
            }
            Body::Note(note) => self.note(event, note),
            Body::Stats(stats) => self.told(event, Ink::Dim, &counted(stats)),
            Body::Close(close) => self.told(event, Ink::Close, &closed(close)),
            Body::Exit(exit) => self.told(event, Ink::Dim, &format!("= exit {} {}", exit.code, exit.reason)),
        }
    }

    /// Time and connection, with which every row begins.
    fn begin(self, event: &Event) -> String {
        let conn = escape(event.conn.as_deref().unwrap_or("-")).into_owned();
        let text = format!("{} {conn:<5}", event.ts.time_of_day());
        self.look.paint(Ink::Dim, &text).into_owned()
    }

    fn told(self, event: &Event, ink: Ink, text: &str) -> String {
        format!("{} {}", self.begin(event), self.look.paint(ink, text))
    }

    fn note(self, event: &Event, note: &Note) -> String {
        let (mark, ink) = match note.level {
            Level::Info => ("*", Ink::Dim),
            Level::Warning | Level::Error => ("!", Ink::Error),
        };
        let section = note.section.as_deref().map(|section| format!(" ({section})")).unwrap_or_default();
        self.told(event, ink, &format!("{mark} {}{section}", escape(&note.message)))
    }

    fn handshake(self, event: &Event, head: &Handshake, asked: Option<&Handshake>) -> String {
        let (mark, ink) = match head.dir {
            Direction::ToServer => (">", Ink::Sent),
            Direction::ToClient => ("<", Ink::Received),
        };
        let start = (!head.start.is_empty()).then(|| head.start.clone());
        let fields = head.headers.iter().map(|(name, value)| format!("{name}: {value}"));
        let lines: Vec<String> =
            start.into_iter().chain(fields).map(|line| format!("{mark} {}", escape(&line))).collect();
        let mut text = self.told(event, ink, lines.first().map_or(mark, String::as_str));
        for line in lines.iter().skip(1) {
            text.push_str(&format!("\n{:20}{}", "", self.look.paint(ink, line)));
        }
        if let Some(body) = &head.body {
            text.push_str(&format!("\n\n  {}\n", escape_lines(&String::from_utf8_lossy(&body.bytes), 2)));
        }
        let requirements = match head.dir {
            Direction::ToServer => check(Some(head), None),
            // The request's have been told.
            Direction::ToClient => {
                let all = check(asked, Some(head));
                let of_request = asked.map_or(0, |asked| check(Some(asked), None).len());
                all.into_iter().skip(of_request).collect()
            }
        };
        self.push_requirements(&requirements, &mut text);
        text
    }

    /// All of them if that was asked for, else what is broken.
    fn push_requirements(self, requirements: &[Requirement], text: &mut String) {
        let is_shown = |it: &&Requirement| self.explain || it.is_broken();
        let shown: Vec<Requirement> = requirements.iter().filter(is_shown).cloned().collect();
        let lines = as_text(&shown);
        // The part is plain from the head that it stands below.
        for line in lines.lines().skip(1) {
            let ink = if line.trim_start().starts_with('✗') { Ink::Error } else { Ink::Dim };
            text.push_str(&format!("\n{:18}{}", "", self.look.paint(ink, line)));
        }
    }

    fn frame(self, event: &Event, frame: &Frame) -> String {
        let length = frame.inflated.unwrap_or(frame.header.payload_length());
        let mut text = self.row(event, frame.dir, frame.word(), &flags(frame), length, Some(frame.wire));
        text.push_str(&marks(frame));
        text.push_str(&holds(frame));
        text.truncate(text.trim_end().len());
        for violation in &frame.violations {
            text.push_str(&self.broken(violation));
        }
        if self.explain {
            let drawing = draw(&frame.header).replace('\n', "\n                    ");
            text.push_str(&format!("\n                    {}", self.look.paint(Ink::Dim, &drawing)));
        }
        text
    }

    fn broken(self, violation: &Violation) -> String {
        let text = format!(
            "✗ {} ({}; answered with {})",
            escape(&violation.text),
            violation.section,
            violation.code
        );
        format!("\n{:20}{}", "", self.look.paint(Ink::Error, &text))
    }

    fn message(self, event: &Event, message: &Message) -> String {
        let flags = message.fragments.map_or_else(|| "whole".to_owned(), |count| format!("{count} fr."));
        let mut text = self.row(event, message.dir, &message.op, &flags, message.len, message.wire);
        text.push_str(&preview(&message.payload, message.op != "binary"));
        text
    }

    fn row(
        self,
        event: &Event,
        dir: Direction,
        op: &str,
        flags: &str,
        length: u64,
        wire: Option<u64>,
    ) -> String {
        let ink = match (dir, op) {
            (_, "ping" | "pong") => Ink::Dim,
            (_, "close") => Ink::Close,
            (Direction::ToServer, _) => Ink::Sent,
            (Direction::ToClient, _) => Ink::Received,
        };
        let op = if op == "continuation" { "continue" } else { op };
        let (length, wire) =
            (format!("{length} B"), wire.map(|wire| format!("{wire} B")).unwrap_or_default());
        let text = format!("{}   {:<8} {flags:<6} {length:>11} {wire:>11}  ", dir.arrow(), escape(op));
        format!("{} {}", self.begin(event), self.look.paint(ink, &text))
    }
}

/// FIN, RSV1 to 3 and MASK, a dot for each that is not set.
pub(super) fn flags(frame: &Frame) -> String {
    let header = &frame.header;
    let [rsv1, rsv2, rsv3] = header.rsv();
    let bit = |is_set: bool, letter: char| if is_set { letter } else { '·' };
    [
        bit(header.fin(), 'F'),
        bit(rsv1, '1'),
        bit(rsv2, '2'),
        bit(rsv3, '3'),
        bit(header.mask().is_some(), 'M'),
    ]
    .into_iter()
    .collect()
}

/// What is worth a word before the payload.
pub(super) fn marks(frame: &Frame) -> String {
    let mut marks = Vec::new();
    if frame.inflated.is_some() {
        let (from, to) = (frame.inflated.unwrap_or_default(), frame.came());
        let percent =
            (to * 100).checked_div(from).map(|percent| format!(", {percent} %")).unwrap_or_default();
        marks.push(format!("[compressed {from} → {to} B{percent}]"));
    }
    if let Some(fragment) = frame.fragment.filter(|_| !frame.is_whole_message()) {
        let last = if frame.header.fin() { ", the last" } else { "" };
        marks.push(format!("[fragment {}{last}]", fragment + 1));
    }
    if let Some(rtt) = frame.rtt_us {
        marks.push(format!("[{} after its Ping]", milliseconds(rtt)));
    }
    marks.iter().map(|mark| format!("{mark} ")).collect()
}

pub(super) fn holds(frame: &Frame) -> String {
    let Some(code) = frame.close_code() else {
        return preview(frame.shown(), frame.header.opcode_bits() != 2);
    };
    let name = close_code(code).name.map(|name| format!(" {name}")).unwrap_or_default();
    let reason = frame.close_reason().filter(|reason| !reason.is_empty());
    format!("{code}{name}{}", reason.map(|reason| format!(" \"{}\"", escape(reason))).unwrap_or_default())
}

pub(super) fn preview(payload: &Payload, prefers_text: bool) -> String {
    let text = payload.text().filter(|_| prefers_text);
    let (shown, is_cut) = match text {
        Some(text) => {
            let end = text.char_indices().nth(PREVIEW_MAX_CHARACTERS).map(|(at, _)| at);
            (escape(&text[..end.unwrap_or(text.len())]).into_owned(), end.is_some())
        }
        None => {
            let cut = &payload.bytes[..payload.bytes.len().min(PREVIEW_MAX_BYTES)];
            let spaced = cut.iter().flat_map(|byte| [b' '].into_iter().chain(digits(*byte)));
            (spaced.skip(1).map(char::from).collect(), cut.len() < payload.bytes.len())
        }
    };
    format!("{shown}{}", if is_cut || payload.truncated { " …" } else { "" })
}

pub(super) fn opened(open: &Open) -> String {
    let mut text = format!("= open {}", escape(&open.url));
    if let Some(subprotocol) = &open.subprotocol {
        text.push_str(&format!("  subprotocol {}", escape(subprotocol)));
    }
    if let Some(extensions) = &open.extensions {
        text.push_str(&format!("  {}", escape(extensions)));
    }
    if let Some(time) = open.handshake_us {
        text.push_str(&format!("  in {}", milliseconds(time)));
    }
    text
}

pub(super) fn counted(stats: &Stats) -> String {
    let way = |counts: &Counts| {
        format!(
            "{} messages, {} frames, {} B, {} B of them payload",
            counts.messages, counts.frames, counts.wire, counts.payload
        )
    };
    format!("= ↑ {}  ↓ {}", way(&stats.c2s), way(&stats.s2c))
}

pub(super) fn closed(close: &Close) -> String {
    let name = close.name.as_deref().map(|name| format!(" {}", escape(name))).unwrap_or_default();
    let reason = match close.reason.as_str() {
        "" => String::new(),
        reason => format!(" \"{}\"", escape(reason)),
    };
    let what = close.what.as_deref().map(|what| format!(": {}", escape(what))).unwrap_or_default();
    format!("= closed {}{name}{reason}{what}", close.code)
}

fn milliseconds(micros: u64) -> String {
    format!("{:.1} ms", micros as f64 / 1000.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tidegate_inspect::tap::{Settings, Tap};
    use tidegate_inspect::timestamp::Timestamp;
    use tidegate_websocket::Extensions;
    use tidegate_websocket::deflate::Parameters;

    use super::*;

    const PLAIN: Rows = Rows { look: Look { is_terminal: false, colours: false }, explain: false };

    fn rows(rows: Rows, dir: Direction, bytes: &[u8]) -> Vec<String> {
        let extensions = Extensions { deflate: Some(Parameters::default()) };
        let mut tap = Tap::of_open(Some("c1".into()), Settings::default(), extensions, Timestamp::default());
        let mut lines = Vec::new();
        tap.handle_input(dir, bytes, Timestamp::default(), &mut |event| lines.push(rows.of(&event, None)));
        lines
    }

    #[test]
    fn a_row_for_each_frame_below_its_heading() {
        let hello = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
        let lines = rows(PLAIN, Direction::ToServer, &hello);
        assert_eq!(lines, ["00:00:00.000Z c1    ↑   text     F···M          5 B        11 B  Hello"]);
        let column = |line: &str, word: &str| line.split(word).next().map(|before| before.chars().count());
        for (name, value) in
            [("conn", "c1"), ("way", "↑"), ("op", "text"), ("FR123M", "F···M"), ("what", "Hello")]
        {
            assert_eq!(column(HEADING, name), column(&lines[0], value), "{name}");
        }
        let bytes = [
            &[0xc1, 0x07, 0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00][..],
            &[0x02, 1, 0xff, 0x80, 1, 0],
            &[0x88, 0x05, 0x0f, 0xa0, b'b', b'y', 0x1b],
            &[0x83, 0],
        ]
        .concat();
        let lines = rows(PLAIN, Direction::ToClient, &bytes);
        for (line, part) in lines.iter().zip([
            "↓   text     F1···          5 B         9 B  [compressed 5 → 7 B, 140 %] Hello",
            "↓   binary   ·····          1 B         3 B  [fragment 1] ff",
            "↓   continue F····          1 B         3 B  [fragment 2, the last]",
            "↓   binary   2 fr.          2 B         6 B  ff 00",
            "↓   close    F····          5 B         7 B  4000 \"by\\u{1b}\"",
            "✗ a frame has the reserved opcode 0x3 (RFC 6455, section 5.2; answered with 1002)",
        ]) {
            assert!(line.contains(part), "{line}\n{part}");
        }
    }

    #[test]
    fn long_payloads_are_cut() {
        let text = [&[0x81, 126, 0, 200][..], "é".repeat(100).as_bytes()].concat();
        assert!(rows(PLAIN, Direction::ToClient, &text)[0].ends_with("éé"));
        let text = [&[0x81, 126, 0x01, 0x90][..], "é".repeat(200).as_bytes()].concat();
        assert!(rows(PLAIN, Direction::ToClient, &text)[0].ends_with("é …"));
        let bytes = [&[0x82, 100][..], &[0; 100]].concat();
        assert!(rows(PLAIN, Direction::ToClient, &bytes)[0].ends_with("00 00 …"));
    }

    #[test]
    fn explained_frames_are_drawn() {
        let lines = rows(Rows { explain: true, ..PLAIN }, Direction::ToClient, &[0x89, 0]);
        assert!(lines[0].contains("1... ....  FIN       1  the last fragment"), "{}", lines[0]);
    }

    proptest! {
        #[test]
        fn nothing_that_terminals_act_on_is_left(
            bytes in prop::collection::vec(any::<u8>(), 0..80), explain: bool, first in 0x80u8..0x8b
        ) {
            let mut frame = vec![first, bytes.len() as u8];
            frame.extend(&bytes);
            for line in rows(Rows { explain, ..PLAIN }, Direction::ToClient, &frame) {
                prop_assert!(!line.chars().any(|it| it.is_control() && it != '\n'), "{line:?}");
            }
        }
    }
}
