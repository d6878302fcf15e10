//! What the tabs say of a connection and of the event that is opened: lines, before they are broken to fit.
//!
//! Words come from `tidegate_inspect`; what peers sent is made harmless where it is drawn.

use tidegate_inspect::check::{Outcome, Part, Requirement, check};
use tidegate_inspect::event::{Body, Close, Counts, Direction, Frame, Handshake, Stats};
use tidegate_inspect::payload::Payload;
use tidegate_inspect::words::{close_code, draw};

use super::amounts::{bytes, counted, time};
use super::connection::{Connection, Row, State};
use super::pen::{Line, Tone};
use crate::connect::lay_out;
use crate::terminal::Look;

/// Bytes of a row of hex.
const HEX_BYTES: usize = 16;

/// What to do when nothing is opened.
const NOTHING_OPENED: &str = "No event is opened: Tab to the events, then ↑ or ↓ (k, j).";

const PLAIN: Look = Look { is_terminal: true, colours: false };

fn line(tone: Tone, text: impl Into<String>) -> Line {
    vec![(tone, text.into())]
}

/// A name in a column of its own, and what it is.
fn fact(name: &str, text: impl Into<String>) -> Line {
    vec![(Tone::Dim, format!("{name:<18} ")), (Tone::Plain, text.into())]
}

/// Both heads as they were on the wire, and what RFC 6455 asks of each.
pub(super) fn handshake(connection: &Connection) -> Vec<Line> {
    let (asked, answered) = (connection.request(), connection.answer());
    let requirements = check(asked, answered);
    let broken = requirements.iter().filter(|it| it.is_broken()).count() as u64;
    let mut lines = Vec::new();
    match (asked, answered, broken) {
        (None, None, _) => return vec![line(Tone::Dim, "Of the handshake nothing was seen.")],
        (_, None, 0) => lines.push(line(Tone::Dim, "The request is as it should be; no answer has come.")),
        (_, _, 0) => lines.push(line(Tone::Received, "✓ every requirement is met")),
        (_, _, broken) => {
            lines.push(line(Tone::Error, format!("✗ {} broken", counted(broken, "requirement"))));
        }
    }
    for (head, part, title, tone) in [
        (asked, Part::Request, "Request, of the client", Tone::Sent),
        (answered, Part::Answer, "Answer, of the server", Tone::Received),
    ] {
        let Some(head) = head else { continue };
        lines.push(Line::new());
        lines.push(line(Tone::Strong, title));
        push_head(head, tone, &mut lines);
        for requirement in requirements.iter().filter(|it| it.part == part) {
            push_requirement(requirement, &mut lines);
        }
    }
    lines
}

fn push_head(head: &Handshake, tone: Tone, lines: &mut Vec<Line>) {
    if !head.start.is_empty() {
        lines.push(line(tone, format!("  {}", head.start)));
    }
    for (name, value) in &head.headers {
        lines.push(vec![(tone, format!("  {name}: ")), (Tone::Plain, value.clone())]);
    }
    if let Some(body) = &head.body {
        lines.push(line(Tone::Dim, "  and its body"));
        lines.extend(
            text_lines(&String::from_utf8_lossy(&body.bytes)).map(|it| line(Tone::Plain, format!("  {it}"))),
        );
    }
    if !head.hidden.is_empty() {
        lines.push(line(Tone::Dim, format!("  hidden: {}", head.hidden.join(", "))));
    }
}

fn push_requirement(requirement: &Requirement, lines: &mut Vec<Line>) {
    let (mark, tone) = match requirement.outcome {
        Outcome::Met => ("✓", Tone::Received),
        Outcome::Broken => ("✗", Tone::Error),
        Outcome::Noted => ("·", Tone::Plain),
    };
    let found = requirement.found.as_deref().map(|found| format!(": {found}")).unwrap_or_default();
    lines.push(vec![
        (tone, format!("    {mark} {}", requirement.what)),
        (Tone::Plain, found),
        (Tone::Dim, format!("  ({})", requirement.section)),
    ]);
    if let Some(mend) = &requirement.mend {
        lines.push(line(Tone::Plain, format!("      to mend it: {mend}")));
    }
}

/// The bits of a frame's header, and which rules it breaks.
pub(super) fn header(row: Option<&Row>) -> Vec<Line> {
    let Some(row) = row else { return vec![line(Tone::Dim, NOTHING_OPENED)] };
    let Body::Frame(frame) = &row.event.body else {
        let what = match &row.event.body {
            Body::Message(message) => match message.fragments {
                Some(count) => format!("This is a whole message; its header is in {count} frames above."),
                None => "Only the message was recorded, not its frames.".to_owned(),
            },
            _ => "This is no frame: only frames have a header of this kind.".to_owned(),
        };
        return vec![line(Tone::Dim, what)];
    };
    let mut lines = vec![line(Tone::Strong, "bytes                    bits       field     what it says")];
    lines.extend(draw(&frame.header).lines().map(|it| line(Tone::Plain, it)));
    for violation in &frame.violations {
        let at = violation.at.map(|at| format!(", at byte {at} of the message")).unwrap_or_default();
        let text =
            format!("✗ {}{at} ({}; answered with {})", violation.text, violation.section, violation.code);
        lines.push(line(Tone::Error, text));
    }
    lines.push(Line::new());
    lines.extend(sizes(frame));
    lines
}

fn sizes(frame: &Frame) -> Vec<Line> {
    let header = frame.header.as_bytes().len() as u64;
    let mut lines =
        vec![fact("on the wire", format!("{} of header + {} = {} B", header, frame.came(), frame.wire))];
    if let Some(inflated) = frame.inflated {
        let percent = (frame.came() * 100).checked_div(inflated).unwrap_or(100);
        let text = format!("{} B became {inflated} B: {percent} % of it went over the wire", frame.came());
        lines.push(fact("compressed", text));
    }
    if frame.came() < frame.header.payload_length() {
        let text = format!("{} B of {} came", frame.came(), frame.header.payload_length());
        lines.push(fact("cut off", text));
    }
    if let (Some(message), Some(fragment)) = (frame.message, frame.fragment) {
        let text = format!("number {} this way; this is its frame {}", message + 1, fragment + 1);
        lines.push(fact("message", text));
    }
    lines
}

/// The payload as text, laid out if it is JSON, or as bytes.
pub(super) fn payload(row: Option<&Row>, as_hex: bool) -> Vec<Line> {
    let Some(row) = row else { return vec![line(Tone::Dim, NOTHING_OPENED)] };
    let (payload, length) = match &row.event.body {
        Body::Frame(frame) => (frame.shown(), frame.inflated.unwrap_or(frame.header.payload_length())),
        Body::Message(message) => (&message.payload, message.len),
        Body::Note(note) => return text_lines(&note.message).map(|it| line(Tone::Plain, it)).collect(),
        Body::Handshake(_) => return vec![line(Tone::Dim, "See the tab Handshake: h.")],
        Body::Close(_) => return vec![line(Tone::Dim, "See the tab Close.")],
        _ => return vec![line(Tone::Dim, "This has no payload.")],
    };
    let held = payload.bytes.len() as u64;
    let kept = if held < length { format!(", of which {} are held", bytes(held)) } else { String::new() };
    let text = payload.text().filter(|_| !as_hex);
    let laid_out = text.and_then(|text| lay_out(text, 0, PLAIN));
    let form = match (&laid_out, text, as_hex) {
        (Some(_), ..) => "JSON, laid out",
        (None, Some(_), _) => "text",
        (.., true) => "bytes",
        _ => "bytes, for it is no UTF-8",
    };
    let mut lines =
        vec![line(Tone::Dim, format!("{}{kept}; {form}; x changes between text and hex", bytes(length)))];
    match laid_out.as_deref().or(text) {
        Some(text) => lines.extend(text_lines(text).map(json_line)),
        None => lines.extend(hex(payload)),
    }
    lines
}

/// Lines of a text; its line ends are not shown, other control characters are.
fn text_lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
}

/// The name of a member in its colour.
fn json_line(text: &str) -> Line {
    let trimmed = text.trim_start();
    let name = trimmed.strip_prefix('"').and_then(|rest| rest.find("\": ")).map(|at| at + 2);
    match name {
        Some(end) => {
            let (name, rest) = text.split_at(text.len() - trimmed.len() + end);
            vec![(Tone::Key, name.to_owned()), (Tone::Plain, rest.to_owned())]
        }
        None => line(Tone::Plain, text),
    }
}

/// Place, bytes and characters.
fn hex(payload: &Payload) -> impl Iterator<Item = Line> {
    payload.bytes.chunks(HEX_BYTES).enumerate().map(|(index, bytes)| {
        let digits: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let (left, right) = digits.split_at(digits.len().min(8));
        let shown: String = bytes
            .iter()
            .map(|byte| if byte.is_ascii_graphic() || *byte == b' ' { char::from(*byte) } else { '·' })
            .collect();
        let text = format!("{:<23}  {:<23}", left.join(" "), right.join(" "));
        vec![
            (Tone::Dim, format!("{:06x}  ", index * HEX_BYTES)),
            (Tone::Plain, text),
            (Tone::Dim, format!("  {shown}")),
        ]
    })
}

/// How long everything took.
pub(super) fn timing(connection: &Connection, row: Option<&Row>, age: u64) -> Vec<Line> {
    let mut lines = vec![line(Tone::Strong, "This connection")];
    lines.push(fact("began", format!("{} (UTC)", connection.began.time_of_day().trim_end_matches('Z'))));
    if let Some(open) = connection.open() {
        let steps =
            [("TCP took", open.connect_us), ("TLS took", open.tls_us), ("handshake took", open.handshake_us)];
        lines.extend(steps.iter().filter_map(|(name, took)| took.map(|took| fact(name, time(took)))));
    }
    let age = connection.stats.as_ref().map_or(age, |stats: &Stats| stats.age_us);
    lines.push(fact(if connection.is_over { "lasted" } else { "age" }, time(age)));
    let (last, pongs) = connection.round_trips;
    if pongs > 0 {
        lines.push(fact(
            "Ping to Pong",
            format!("{} the last time, of {}", time(last), counted(pongs, "answer")),
        ));
    }
    for (name, counts) in
        [("↑ to the server", connection.counts[0]), ("↓ to the client", connection.counts[1])]
    {
        lines.push(fact(name, volume(counts, age)));
    }
    if let Some(row) = row {
        lines.push(Line::new());
        lines.push(line(Tone::Strong, format!("Event {}", row.number)));
        lines.push(fact("at", format!("{} (UTC)", row.event.ts.time_of_day().trim_end_matches('Z'))));
        lines.push(fact("since it began", time(row.event.ts.micros_since(connection.began))));
        if let Body::Frame(frame) = &row.event.body {
            lines.extend(frame.since_us.map(|since| fact("since last frame", time(since))));
            lines.extend(frame.rtt_us.map(|rtt| fact("since its Ping", time(rtt))));
        }
    }
    lines
}

fn volume(counts: Counts, age_us: u64) -> String {
    let a_second = counts.messages as f64 * 1e6 / age_us.max(1_000_000) as f64;
    let rate = if a_second >= 0.1 { format!(", {a_second:.1} messages a second") } else { String::new() };
    format!(
        "{}, {}, {} on the wire, {} of it payload{rate}",
        counted(counts.messages, "message"),
        counted(counts.frames, "frame"),
        bytes(counts.wire),
        bytes(counts.payload),
    )
}

/// Who ended the connection, with what code, and what really happened.
pub(super) fn close(connection: &Connection) -> Vec<Line> {
    let Some(close) = &connection.close else {
        let text = match connection.state() {
            State::Opening => "It is not open yet.",
            State::Open => "It is open: nobody has closed it.",
            State::Refused | State::Closed => "Its end is not in the recording.",
        };
        return vec![line(Tone::Dim, text)];
    };
    let words = close_code(close.code);
    let name = close.name.as_deref().or(words.name).unwrap_or("a code without a registered name");
    let mut lines = vec![line(Tone::Close, format!("{} {name}", close.code))];
    lines.extend(close.what.as_deref().map(|what| fact("what happened", what)));
    if let Some(refused) = connection.answer().filter(|_| connection.state() == State::Refused) {
        lines.push(fact("the answer was", refused.start.clone()));
    }
    lines.push(fact("who was first", who(close)));
    if !close.reason.is_empty() {
        lines.push(fact("reason given", close.reason.clone()));
    }
    let clean = if close.clean {
        "yes: Close frames went both ways"
    } else {
        "no: not both sides sent a Close frame"
    };
    lines.push(fact("clean", clean));
    lines.extend(close.idle_us.map(|idle| fact("silence before", time(idle))));
    lines.push(Line::new());
    lines.push(fact("what the code is", words.meaning));
    lines.push(fact("", words.sender));
    lines.extend(words.advice.map(|advice| fact("what to do", advice)));
    lines
}

fn who(close: &Close) -> &'static str {
    match close.by {
        Some(Direction::ToServer) => "the client",
        Some(Direction::ToClient) => "the server",
        None => "not known",
    }
}
