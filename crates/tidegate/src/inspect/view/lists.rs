//! The two lists: connections, and the events of the chosen one.
//!
//! A row each. What is chosen is reversed where the keys go, and underlined elsewhere.

use std::borrow::Cow;

use ratatui::layout::Rect;
use tidegate_inspect::check::check;
use tidegate_inspect::event::{Body, Direction, Event, Frame, Level};
use tidegate_inspect::timestamp::Timestamp;

use super::amounts::{bytes, count, time};
use super::columns::{self, OfConnection, OfEvent};
use super::connection::{Connection, Row, State};
use super::model::{Model, Pane, Times};
use super::pen::{Pen, Tone};
use crate::inspect::rows;

/// The connections, below their columns' names.
pub(super) fn connections(pen: &mut Pen<'_>, area: Rect, model: &mut Model, now: Timestamp) {
    let columns = columns::of_connections(area.width);
    columns::heading(pen, Rect { height: 1, ..area }, columns);
    let height = area.height.saturating_sub(1);
    model.fitted.connections = height.into();
    let listed = model.listed();
    let at = listed.iter().position(|it| Some(it.key) == model.chosen).unwrap_or_default();
    // The chosen one is in sight.
    let last = listed.len().saturating_sub(height.into());
    let top = model.connections_top.min(at).max((at + 1).saturating_sub(height.into())).min(last);
    for (y, connection) in (area.y + 1..area.bottom()).zip(&listed[top.min(listed.len())..]) {
        let row = Rect { y, height: 1, ..area };
        columns::cells(pen, row, columns, |column| of_connection(connection, column.of, now));
        if Some(connection.key) == model.chosen {
            pen.mark(row, model.pane == Pane::Connections);
        }
    }
    model.connections_top = top;
}

fn of_connection(connection: &Connection, of: OfConnection, now: Timestamp) -> (Cow<'_, str>, Tone) {
    let [up, down] = connection.counts;
    let text: Cow<'_, str> = match of {
        OfConnection::Mark => mark(connection.state()).0.into(),
        OfConnection::State => mark(connection.state()).1.into(),
        OfConnection::Id => connection.name().into(),
        OfConnection::Path => connection.path().into(),
        OfConnection::Age => time(age(connection, now)).into(),
        OfConnection::MessagesUp => count(up.messages).into(),
        OfConnection::BytesUp => bytes(up.wire).into(),
        OfConnection::MessagesDown => count(down.messages).into(),
        OfConnection::BytesDown => bytes(down.wire).into(),
        OfConnection::Close => return closed(connection),
    };
    let tone = match (of, connection.state()) {
        (OfConnection::Mark | OfConnection::State, State::Refused) => Tone::Error,
        (OfConnection::Mark | OfConnection::State, State::Open) => Tone::Received,
        (_, State::Closed | State::Refused) => Tone::Dim,
        _ => Tone::Plain,
    };
    (text, tone)
}

fn mark(state: State) -> (&'static str, &'static str) {
    match state {
        State::Opening => ("…", "… opening"),
        State::Open => ("●", "● open"),
        State::Closed => ("○", "○ closed"),
        State::Refused => ("✗", "✗ refused"),
    }
}

fn closed(connection: &Connection) -> (Cow<'static, str>, Tone) {
    let status = connection.answer().and_then(|answer| answer.status);
    match (&connection.close, connection.state(), status) {
        (_, State::Refused, Some(status)) => (status.to_string().into(), Tone::Error),
        (Some(close), ..) if close.clean => (close.code.to_string().into(), Tone::Close),
        (Some(close), ..) => (format!("{} !", close.code).into(), Tone::Error),
        _ => ("".into(), Tone::Plain),
    }
}

/// Microseconds; of what has ended up to its end.
pub(super) fn age(connection: &Connection, now: Timestamp) -> u64 {
    let until = if connection.is_over { connection.last } else { now.max(connection.last) };
    until.micros_since(connection.began)
}

/// The events of the chosen connection, below their columns' names.
pub(super) fn events(pen: &mut Pen<'_>, area: Rect, model: &mut Model) {
    let (times, name) = match model.times {
        Times::Clock => (Times::Clock, "time (UTC)"),
        Times::Beginning => (Times::Beginning, "since begin"),
        Times::Before => (Times::Before, "since last"),
    };
    let columns = columns::of_events(area.width, name);
    columns::heading(pen, Rect { height: 1, ..area }, &columns);
    let height = area.height.saturating_sub(1);
    model.fitted.events = height.into();
    let rows = model.rows();
    let first = model.first_in_sight(&rows);
    let Some(connection) = model.connection() else { return };
    let opened = model.opened.map(|number| rows.partition_point(|row| row.number < number));
    for (y, (at, row)) in (area.y + 1..area.bottom()).zip(rows.iter().enumerate().skip(first)) {
        let place = Rect { y, height: 1, ..area };
        let before = at.checked_sub(1).map(|before| rows[before].event.ts);
        let since = match times {
            Times::Clock => None,
            Times::Beginning => Some(row.event.ts.micros_since(connection.began)),
            Times::Before => Some(before.map_or(0, |before| row.event.ts.micros_since(before))),
        };
        let tone = tone(&row.event);
        columns::cells(pen, place, &columns, |column| {
            (of_event(connection, row, column.of, since), if is_dim(column.of) { Tone::Dim } else { tone })
        });
        if opened == Some(at) && Some(row.number) == model.opened {
            pen.mark(place, model.pane == Pane::Events);
        }
    }
}

fn is_dim(of: OfEvent) -> bool {
    matches!(of, OfEvent::Number | OfEvent::Time)
}

fn of_event<'e>(connection: &Connection, row: &'e Row, of: OfEvent, since: Option<u64>) -> Cow<'e, str> {
    let event = &row.event;
    let frame = frame(event);
    match of {
        OfEvent::Number => row.number.to_string().into(),
        OfEvent::Time => match since {
            Some(since) => time(since).into(),
            None => event.ts.time_of_day().trim_end_matches('Z').to_owned().into(),
        },
        OfEvent::Arrow => direction(event).map_or("", Direction::arrow).into(),
        OfEvent::Direction => match direction(event) {
            Some(Direction::ToServer) => "↑ to server".into(),
            Some(Direction::ToClient) => "↓ to client".into(),
            None => "".into(),
        },
        OfEvent::Opcode => word(event).into(),
        OfEvent::Flags => frame.map(rows::flags).unwrap_or_default().into(),
        OfEvent::Payload => match &event.body {
            Body::Frame(frame) => bytes(frame.inflated.unwrap_or(frame.header.payload_length())).into(),
            Body::Message(message) => bytes(message.len).into(),
            _ => "".into(),
        },
        OfEvent::Wire => match &event.body {
            Body::Frame(frame) => bytes(frame.wire).into(),
            Body::Message(message) => message.wire.map(bytes).unwrap_or_default().into(),
            _ => "".into(),
        },
        OfEvent::Holds => holds(connection, event).into(),
    }
}

fn frame(event: &Event) -> Option<&Frame> {
    match &event.body {
        Body::Frame(frame) => Some(frame),
        _ => None,
    }
}

fn direction(event: &Event) -> Option<Direction> {
    match &event.body {
        Body::Frame(frame) => Some(frame.dir),
        Body::Message(message) => Some(message.dir),
        Body::Handshake(head) => Some(head.dir),
        _ => None,
    }
}

/// The opcode, or what else happened.
fn word(event: &Event) -> &str {
    match &event.body {
        Body::Frame(frame) if frame.word() == "continuation" => "continue",
        Body::Frame(frame) => frame.word(),
        Body::Message(message) if message.fragments.is_some() => "= whole",
        Body::Message(message) => &message.op,
        Body::Handshake(head) if head.dir == Direction::ToServer => "request",
        Body::Handshake(_) => "answer",
        Body::Open(_) => "= open",
        Body::Note(_) => "! note",
        Body::Dropped(_) => "! lost",
        Body::Stats(_) => "= totals",
        Body::Close(_) => "= closed",
        Body::Exit(_) => "= exit",
    }
}

fn tone(event: &Event) -> Tone {
    match &event.body {
        Body::Frame(frame) if !frame.violations.is_empty() => Tone::Error,
        Body::Frame(frame) if frame.word() == "close" => Tone::Close,
        Body::Frame(frame) if frame.header.is_control() => Tone::Dim,
        Body::Note(note) if note.level == Level::Info => Tone::Dim,
        Body::Note(_) | Body::Dropped(_) => Tone::Error,
        Body::Close(_) => Tone::Close,
        Body::Open(_) | Body::Stats(_) | Body::Exit(_) => Tone::Plain,
        _ => match direction(event) {
            Some(Direction::ToServer) => Tone::Sent,
            Some(Direction::ToClient) => Tone::Received,
            None => Tone::Plain,
        },
    }
}

/// What is broken, marks, and the beginning of the payload.
fn holds(connection: &Connection, event: &Event) -> String {
    match &event.body {
        Body::Frame(frame) => {
            let broken: String =
                frame.violations.iter().map(|violation| format!("✗ {}  ", violation.text)).collect();
            format!("{broken}{}{}", rows::marks(frame), rows::holds(frame))
        }
        Body::Message(message) => {
            let frames = message.fragments.map(|count| format!("[of {count} frames] ")).unwrap_or_default();
            format!("{frames}{}", rows::preview(&message.payload, message.op != "binary"))
        }
        Body::Handshake(head) => {
            let requirements = match head.dir {
                Direction::ToServer => check(Some(head), None),
                Direction::ToClient => check(connection.request(), Some(head)),
            };
            let broken = requirements.iter().filter(|it| it.is_broken()).count();
            let start = if head.start.is_empty() { "over HTTP/2" } else { head.start.as_str() };
            if broken == 0 { start.to_owned() } else { format!("✗ {broken} broken, see h  {start}") }
        }
        Body::Open(open) => rows::opened(open).trim_start_matches("= open ").to_owned(),
        Body::Note(note) => note.message.clone(),
        Body::Dropped(dropped) => format!("{} {} not shown: {}", dropped.count, dropped.what, dropped.reason),
        Body::Stats(stats) => rows::counted(stats).trim_start_matches("= ").to_owned(),
        Body::Close(close) => rows::closed(close).trim_start_matches("= closed ").to_owned(),
        Body::Exit(exit) => format!("{} {}", exit.code, exit.reason),
    }
}
