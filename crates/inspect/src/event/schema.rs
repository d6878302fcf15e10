//! Events as lines of JSON, written and read: version 1 of the schema that `connect`, `inspect`, recordings and
//! pages share.
//!
//! Every line has `v`, `ts` and `type`. A reader passes over members that it does not know, so that members may be
//! added without a new version.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::direction::Direction;
use super::frame::{Frame, Violation};
use super::model::{Body, Event};
use crate::header::{Hex, WireHeader, from_hex};
use crate::payload::Payload;
use crate::timestamp::Timestamp;

/// The version of the schema.
pub const VERSION: u8 = 1;

/// A line that is not an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineError {
    /// What is wrong.
    pub what: String,
    /// Where in the line, in bytes from its start, as far as that is known.
    pub at: usize,
}

/// A line of the schema that is no event: what a single command says of its own work.
#[must_use]
pub fn json_line(ts: Timestamp, kind: &str, body: &impl Serialize) -> String {
    let mut line = Vec::new();
    append(ts, kind, None, body, &mut line);
    String::from_utf8(line).unwrap_or_default()
}

fn append(ts: Timestamp, kind: &str, conn: Option<&str>, body: &impl Serialize, output: &mut Vec<u8>) {
    let ts = ts.rfc3339();
    let line = Line { v: VERSION, ts: ts.as_str(), kind, conn, body };
    // Nothing in the model can fail: keys are strings, and a vector takes all.
    let _ = serde_json::to_writer(output, &line);
}

impl Event {
    /// The event as one line of JSON, without the line's end.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut line = Vec::with_capacity(256);
        self.append_json(&mut line);
        // Serializing gives UTF-8.
        String::from_utf8(line).unwrap_or_default()
    }

    /// Appends the same to `output`.
    pub fn append_json(&self, output: &mut Vec<u8>) {
        match &self.body {
            Body::Open(open) => self.append_line(open, output),
            Body::Handshake(handshake) => self.append_line(handshake, output),
            Body::Frame(frame) => self.append_frame(frame, output),
            Body::Message(message) => self.append_line(message, output),
            Body::Dropped(dropped) => self.append_line(dropped, output),
            Body::Note(note) => self.append_line(note, output),
            Body::Stats(stats) => self.append_line(stats, output),
            Body::Close(close) => self.append_line(close, output),
            Body::Exit(exit) => self.append_line(exit, output),
        }
    }

    fn append_line(&self, body: &impl Serialize, output: &mut Vec<u8>) {
        append(self.ts, self.body.word(), self.conn.as_deref(), body, output);
    }

    /// Most lines are of frames: they are written without going through memory of their own.
    fn append_frame(&self, frame: &Frame, output: &mut Vec<u8>) {
        let ts = self.ts.rfc3339();
        let line = FrameLine::of(frame, ts.as_str(), self.body.word(), self.conn.as_deref());
        let _ = serde_json::to_writer(output, &line);
    }

    /// Reads a line, whose type must be known here.
    pub fn from_json(line: &str) -> Result<Self, LineError> {
        Self::read_json(line)?.ok_or_else(|| LineError::new("its type is not known here"))
    }

    /// Reads a line; none if its type is not known here.
    pub fn read_json(line: &str) -> Result<Option<Self>, LineError> {
        let head: Head<'_> = read(line)?;
        if head.v != u64::from(VERSION) {
            return Err(LineError::new(format!("version {} of the schema; this reads version 1", head.v)));
        }
        let ts: Timestamp = head.ts.parse().map_err(|error| LineError::new(format!("'ts' is {error}")))?;
        let body = match &*head.kind {
            "open" => Body::Open(read(line)?),
            "handshake" => Body::Handshake(read(line)?),
            "frame" => Body::Frame(Box::new(read::<ReadFrame<'_>>(line)?.into_frame()?)),
            "message" => Body::Message(read(line)?),
            "drop" => Body::Dropped(read(line)?),
            "note" => Body::Note(read(line)?),
            "stats" => Body::Stats(read(line)?),
            "close" => Body::Close(read(line)?),
            "exit" => Body::Exit(read(line)?),
            _ => return Ok(None),
        };
        Ok(Some(Self { ts, conn: head.conn.map(|conn| Arc::from(&*conn)), body }))
    }
}

fn read<'l, T: Deserialize<'l>>(line: &'l str) -> Result<T, LineError> {
    serde_json::from_str(line).map_err(|error| {
        let what = error.to_string();
        // The column says the same as `at`, and a line is all that there is.
        let what = what.split(" at line ").next().unwrap_or_default().to_owned();
        LineError { what, at: error.column().saturating_sub(1) }
    })
}

#[derive(Serialize)]
struct Line<'l, B> {
    v: u8,
    ts: &'l str,
    #[serde(rename = "type")]
    kind: &'l str,
    #[serde(skip_serializing_if = "Option::is_none")]
    conn: Option<&'l str>,
    #[serde(flatten)]
    body: &'l B,
}

/// What every line has; the rest is read with the type that it names.
#[derive(Deserialize)]
struct Head<'l> {
    v: u64,
    #[serde(borrow)]
    ts: std::borrow::Cow<'l, str>,
    #[serde(borrow, rename = "type")]
    kind: std::borrow::Cow<'l, str>,
    #[serde(borrow, default)]
    conn: Option<std::borrow::Cow<'l, str>>,
}

/// A line of a frame. What the header says stands in words, too.
#[derive(Serialize)]
struct FrameLine<'f> {
    v: u8,
    ts: &'f str,
    #[serde(rename = "type")]
    kind: &'f str,
    #[serde(skip_serializing_if = "Option::is_none")]
    conn: Option<&'f str>,
    dir: Direction,
    fin: bool,
    rsv: [u8; 3],
    opcode: u8,
    op: &'static str,
    masked: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    mask: Option<Hex>,
    hdr: Hex,
    len: u64,
    wire: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    inflated: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    msg: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    frag: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    us: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rtt_us: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<u16>,
    payload: &'f Payload,
    #[serde(skip_serializing_if = "Option::is_none")]
    plain: Option<&'f Payload>,
    #[serde(skip_serializing_if = "<[Violation]>::is_empty")]
    violations: &'f [Violation],
}

/// What of that is read: the rest is in the header.
#[derive(Deserialize)]
struct ReadFrame<'f> {
    dir: Direction,
    #[serde(borrow)]
    hdr: std::borrow::Cow<'f, str>,
    wire: u64,
    inflated: Option<u64>,
    msg: Option<u64>,
    frag: Option<u32>,
    us: Option<u64>,
    rtt_us: Option<u64>,
    payload: Payload,
    plain: Option<Payload>,
    #[serde(default)]
    violations: Vec<Violation>,
}

impl<'f> FrameLine<'f> {
    fn of(frame: &'f Frame, ts: &'f str, kind: &'f str, conn: Option<&'f str>) -> Self {
        let header = &frame.header;
        let mask = header.mask();
        Self {
            v: VERSION,
            ts,
            kind,
            conn,
            dir: frame.dir,
            fin: header.fin(),
            rsv: header.rsv().map(u8::from),
            opcode: header.opcode_bits(),
            op: frame.word(),
            masked: mask.is_some(),
            mask: mask.map(|key| Hex::of(&key)),
            hdr: header.hex(),
            len: header.payload_length(),
            wire: frame.wire,
            inflated: frame.inflated,
            msg: frame.message,
            frag: frame.fragment,
            us: frame.since_us,
            rtt_us: frame.rtt_us,
            code: frame.close_code(),
            payload: &frame.payload,
            plain: frame.plain.as_ref(),
            violations: &frame.violations,
        }
    }
}

impl ReadFrame<'_> {
    fn into_frame(self) -> Result<Frame, LineError> {
        let header = from_hex(&self.hdr).and_then(|bytes| WireHeader::from_bytes(&bytes).ok());
        let header = header.ok_or_else(|| LineError::new("'hdr' is not the header of a frame in hex"))?;
        Ok(Frame {
            dir: self.dir,
            header,
            wire: self.wire,
            message: self.msg,
            fragment: self.frag,
            inflated: self.inflated,
            since_us: self.us,
            rtt_us: self.rtt_us,
            payload: self.payload,
            plain: self.plain,
            violations: self.violations,
        })
    }
}

impl LineError {
    fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), at: 0 }
    }
}

impl std::fmt::Display for LineError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for LineError {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::event::samples;

    #[test]
    fn a_frame_in_json() {
        let event = Event {
            ts: Timestamp::from_micros(1_500_000),
            conn: Some("c7f3a".into()),
            body: Body::Frame(Box::new(samples::hello())),
        };
        let json = concat!(
            r#"{"v":1,"ts":"1970-01-01T00:00:01.500000Z","type":"frame","conn":"c7f3a","dir":"c2s","fin":true,"#,
            r#""rsv":[0,0,0],"opcode":1,"op":"text","masked":true,"mask":"37fa213d","hdr":"818537fa213d","len":5,"#,
            r#""wire":11,"msg":12,"frag":0,"us":931,"payload":{"enc":"utf8","data":"Hello","truncated":false}}"#,
        );
        assert_eq!(event.to_json(), json);
    }

    #[test]
    fn what_is_no_event_is_refused_with_its_place() {
        let exit =
            r#"{"v":1,"ts":"1970-01-01T00:00:00Z","type":"exit","code":0,"reason":"done","later":[1]}"#;
        assert!(Event::from_json(exit).is_ok());
        for (line, what, at) in [
            ("", "EOF while parsing", 0),
            ("{\"v\":1,\"ts\":\"x\"}", "missing field `type`", 15),
            (&exit[..40], "EOF while parsing", 39),
            (&exit.replace("\"v\":1", "\"v\":2"), "version 2 of the schema", 0),
            (&exit.replace("1970", "197"), "'ts' is not a time", 0),
            (&exit.replace("\"exit\"", "\"x\""), "type is not known", 0),
            (&exit.replace(":0,", ":900,"), "invalid value: integer `900`", 58),
        ] {
            let error = Event::from_json(line).expect_err(line);
            assert!(error.what.contains(what), "{line} {error:?}");
            assert_eq!(error.at, at, "{line} {error:?}");
        }
        let frame =
            Event { ts: Timestamp::default(), conn: None, body: Body::Frame(Box::new(samples::hello())) };
        let broken = frame.to_json().replace("818537fa213d", "8185");
        assert!(Event::from_json(&broken).is_err_and(|error| error.what.contains("'hdr'")));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(event in samples::event()) {
            let json = event.to_json();
            prop_assert!(!json.contains('\n'));
            prop_assert_eq!(Event::from_json(&json), Ok(event));
        }

        #[test]
        fn any_text_is_an_event_or_not(event in samples::event(), cut in 0usize..400, with in "\\PC{0,3}") {
            let mut json = event.to_json();
            let cut = (0..=cut.min(json.len() - 1)).rev().find(|cut| json.is_char_boundary(*cut)).unwrap_or(0);
            json.insert_str(cut, &with);
            let _ = Event::from_json(&json);
            json.truncate(cut);
            prop_assert!(Event::from_json(&json).is_err());
        }
    }
}
