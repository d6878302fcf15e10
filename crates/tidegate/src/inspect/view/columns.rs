//! Columns of a table: names, widths and sides, chosen by how much room there is.
//!
//! Whole words stand where they have room; what is told elsewhere, too, goes first.

use ratatui::layout::Rect;

use super::pen::{Pen, Tone};

/// A column. The one without a width takes what is left.
#[derive(Debug, Clone, Copy)]
pub(super) struct Column<Of> {
    pub(super) of: Of,
    name: &'static str,
    width: u16,
    side: Side,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Left,
    Right,
}

/// What a column of connections says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OfConnection {
    Mark,
    State,
    Id,
    Path,
    Age,
    MessagesUp,
    BytesUp,
    MessagesDown,
    BytesDown,
    Close,
}

/// What a column of events says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OfEvent {
    Number,
    Time,
    Arrow,
    Direction,
    Opcode,
    Flags,
    Payload,
    Wire,
    Holds,
}

const fn left<Of>(of: Of, name: &'static str, width: u16) -> Column<Of> {
    Column { of, name, width, side: Side::Left }
}

const fn right<Of>(of: Of, name: &'static str, width: u16) -> Column<Of> {
    Column { of, name, width, side: Side::Right }
}

/// The columns of connections for so much room.
pub(super) fn of_connections(room: u16) -> &'static [Column<OfConnection>] {
    use OfConnection::{Age, BytesDown, BytesUp, Close, Id, Mark, MessagesDown, MessagesUp, Path, State};
    match room {
        76.. => {
            &const {
                [
                    left(State, "state", 9),
                    left(Id, "id", 5),
                    left(Path, "path", 0),
                    right(Age, "age", 7),
                    right(MessagesUp, "↑ messages", 10),
                    right(BytesUp, "bytes", 7),
                    right(MessagesDown, "↓ messages", 10),
                    right(BytesDown, "bytes", 7),
                    right(Close, "close", 6),
                ]
            }
        }
        40.. => {
            &const {
                [
                    left(Mark, "", 1),
                    left(Id, "id", 4),
                    left(Path, "path", 0),
                    right(Age, "age", 7),
                    right(MessagesUp, "↑ msg", 5),
                    right(MessagesDown, "↓ msg", 5),
                    right(Close, "close", 6),
                ]
            }
        }
        _ => {
            &const {
                [
                    left(Mark, "", 1),
                    left(Id, "id", 4),
                    left(Path, "path", 0),
                    right(Age, "age", 7),
                    right(Close, "close", 6),
                ]
            }
        }
    }
}

/// The columns of events for so much room.
pub(super) fn of_events(room: u16, times: &'static str) -> Vec<Column<OfEvent>> {
    use OfEvent::{Arrow, Direction, Flags, Holds, Number, Opcode, Payload, Time, Wire};
    let number = right(Number, "#", 5);
    let holds = left(Holds, "what it holds", 0);
    match room {
        100.. => vec![
            number,
            right(Time, times, 12),
            left(Direction, "direction", 11),
            left(Opcode, "opcode", 12),
            left(Flags, "flags", 5),
            right(Payload, "payload", 8),
            right(Wire, "on wire", 8),
            holds,
        ],
        78.. => vec![
            number,
            right(Time, times, 12),
            left(Arrow, "way", 3),
            left(Opcode, "opcode", 8),
            left(Flags, "flags", 5),
            right(Payload, "payload", 7),
            right(Wire, "on wire", 7),
            holds,
        ],
        56.. => vec![
            number,
            right(Time, times, 12),
            left(Arrow, "way", 3),
            left(Opcode, "opcode", 8),
            left(Flags, "flags", 5),
            right(Payload, "payload", 7),
            holds,
        ],
        _ => vec![number, left(Arrow, "way", 3), left(Opcode, "opcode", 8), holds],
    }
}

/// The names of the columns, in one row.
pub(super) fn heading<Of: Copy>(pen: &mut Pen<'_>, row: Rect, columns: &[Column<Of>]) {
    cells(pen, row, columns, |column| (column.name.into(), Tone::Strong));
}

/// A row of cells.
pub(super) fn cells<'t, Of: Copy>(
    pen: &mut Pen<'_>,
    row: Rect,
    columns: &[Column<Of>],
    mut cell: impl FnMut(&Column<Of>) -> (std::borrow::Cow<'t, str>, Tone),
) {
    let fixed: u16 = columns.iter().map(|column| column.width).sum();
    let gaps = u16::try_from(columns.len().saturating_sub(1)).unwrap_or_default();
    let rest = row.width.saturating_sub(fixed + gaps);
    let mut x = row.x;
    for column in columns {
        let width = if column.width == 0 { rest } else { column.width };
        let end = (x + width).min(row.right());
        let (text, tone) = cell(column);
        match column.side {
            Side::Left => drop(pen.text(x, row.y, end, &text, tone)),
            Side::Right => pen.right(x, row.y, end, &text, tone),
        }
        x = end + 1;
    }
}
