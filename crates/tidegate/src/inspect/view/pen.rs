//! The only way onto the screen: text that is steady, in a place with an end.
//!
//! Colours have meanings and are never alone; without them words, marks and brightness are left.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};

use super::steady::{columns, steady, width};
use crate::terminal::Ink;

/// What a piece of text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    Plain,
    /// Headings.
    Strong,
    Dim,
    Sent,
    Received,
    Key,
    Close,
    Error,
}

/// Pieces of a line, one behind the other.
pub(super) type Line = Vec<(Tone, String)>;

/// Draws text into a buffer.
pub(super) struct Pen<'b> {
    buffer: &'b mut Buffer,
    colours: bool,
}

impl<'b> Pen<'b> {
    pub(super) fn new(buffer: &'b mut Buffer, colours: bool) -> Self {
        Self { buffer, colours }
    }

    /// Writes as much of the text as has room before `end`, and a mark where it is cut. Gives the column behind it.
    pub(super) fn text(&mut self, x: u16, y: u16, end: u16, text: &str, tone: Tone) -> u16 {
        let end = end.min(self.buffer.area.right());
        if y >= self.buffer.area.bottom() || x >= end {
            return x;
        }
        let text = steady(text);
        let room = usize::from(end - x);
        let is_cut = text.len() > room && width(&text) > room;
        let style = self.style(tone);
        let mut at = x;
        for character in text.chars() {
            let wide = columns(character).unwrap_or(1) as u16;
            if is_cut && at + wide >= end {
                self.set(at, y, "…", style);
                at += 1;
                break;
            }
            match wide {
                // It stands on the character before it.
                0 => self.add_accent(at, x, y, character),
                _ => {
                    self.set(at, y, character.encode_utf8(&mut [0; 4]), style);
                    if wide == 2 {
                        // Not a space: what comes to stand there is written again, whatever the terminal left.
                        self.set(at + 1, y, "", style);
                    }
                    at += wide;
                }
            }
        }
        at
    }

    /// The pieces of a line, and the column behind them.
    pub(super) fn line(&mut self, x: u16, y: u16, end: u16, line: &[(Tone, String)]) -> u16 {
        line.iter().fold(x, |x, (tone, text)| self.text(x, y, end, text, *tone))
    }

    /// The same at the right.
    pub(super) fn right(&mut self, x: u16, y: u16, end: u16, text: &str, tone: Tone) {
        let taken = u16::try_from(width(&steady(text))).unwrap_or(u16::MAX);
        self.text(end.saturating_sub(taken).max(x), y, end, text, tone);
    }

    /// A row that is chosen: reversed where the keys go, else underlined.
    pub(super) fn mark(&mut self, row: Rect, has_keys: bool) {
        let style = match has_keys {
            // One bar, whatever its cells mean.
            true => {
                Style::new().fg(Color::Reset).remove_modifier(Modifier::DIM).add_modifier(Modifier::REVERSED)
            }
            false => Style::new().add_modifier(Modifier::UNDERLINED),
        };
        self.buffer.set_style(row.intersection(self.buffer.area), style);
    }

    fn set(&mut self, x: u16, y: u16, symbol: &str, style: Style) {
        if let Some(cell) = self.buffer.cell_mut((x, y)) {
            cell.set_symbol(symbol).set_style(style);
        }
    }

    fn add_accent(&mut self, at: u16, first: u16, y: u16, accent: char) {
        let before = (first..at).rev().take(2);
        let places: Vec<u16> = before.collect();
        let Some(x) = places.into_iter().find(|x| self.is_base(*x, y)) else { return };
        if let Some(cell) = self.buffer.cell_mut((x, y)) {
            let symbol = format!("{}{accent}", cell.symbol());
            cell.set_symbol(&symbol);
        }
    }

    /// Something stands there that is not the second half of a wide character.
    fn is_base(&self, x: u16, y: u16) -> bool {
        let wide_before = x.checked_sub(1).and_then(|x| self.buffer.cell((x, y)));
        let is_half = wide_before.is_some_and(|cell| width(cell.symbol()) == 2);
        !is_half && self.buffer.cell((x, y)).is_some()
    }

    fn style(&self, tone: Tone) -> Style {
        let ink = |colour| if self.colours { Style::new().fg(colour) } else { Style::new() };
        match tone {
            Tone::Plain => Style::new(),
            Tone::Strong => Style::new().add_modifier(Modifier::BOLD),
            Tone::Dim => Style::new().add_modifier(Modifier::DIM),
            Tone::Sent => ink(Color::Cyan),
            Tone::Received => ink(Color::Green),
            Tone::Key => ink(Color::Blue),
            Tone::Close => ink(Color::Yellow),
            Tone::Error => ink(Color::Red).add_modifier(Modifier::BOLD),
        }
    }
}

impl From<Ink> for Tone {
    fn from(ink: Ink) -> Self {
        match ink {
            Ink::Sent => Self::Sent,
            Ink::Received => Self::Received,
            Ink::Dim => Self::Dim,
            Ink::Key => Self::Key,
            Ink::Close => Self::Close,
            Ink::Error => Self::Error,
        }
    }
}

/// A line in as many rows as it needs; what follows the first stands below the line's last column, or is indented.
pub(super) fn wrapped(line: &Line, room: usize, rows: &mut Vec<Line>) {
    let room = room.max(8);
    let indent = hanging(line.first().map_or("", |(_, text)| text), room);
    let (mut row, mut taken): (Line, usize) = (Vec::new(), 0);
    for (tone, text) in line {
        let steady = steady(text);
        let mut piece = String::new();
        for word in words(&steady) {
            for part in parts(word, room - indent) {
                let wide = width(part);
                if taken + wide > room && taken > indent {
                    row.push((*tone, std::mem::take(&mut piece)));
                    rows.push(std::mem::replace(&mut row, vec![(Tone::Plain, " ".repeat(indent))]));
                    taken = indent;
                }
                piece.push_str(part);
                taken += wide;
            }
        }
        row.push((*tone, piece));
    }
    rows.push(row);
}

/// Columns before what follows the first row: where the last gap of two spaces or more ends, if that leaves room.
fn hanging(text: &str, room: usize) -> usize {
    let leading = text.len() - text.trim_start_matches(' ').len();
    let gap = text.rfind("  ").map_or(0, |at| width(&text[..at + 2]));
    match gap {
        gap if gap > leading && gap <= room * 3 / 5 => gap,
        _ if leading + 2 <= room / 2 => leading + 2,
        _ => 0,
    }
}

/// The words of a text with the spaces behind them.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split_inclusive(' ')
}

/// A word in pieces that have room.
fn parts(word: &str, room: usize) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut begin, mut taken) = (0, 0);
    for (at, character) in word.char_indices() {
        let wide = columns(character).unwrap_or(1);
        if taken + wide > room && taken > 0 {
            parts.push(&word[begin..at]);
            (begin, taken) = (at, 0);
        }
        taken += wide;
    }
    parts.push(&word[begin..]);
    parts
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn drawn(text: &str, room: u16) -> Vec<String> {
        let mut buffer = Buffer::empty(Rect::new(0, 0, room + 2, 1));
        Pen::new(&mut buffer, false).text(1, 0, room + 1, text, Tone::Plain);
        buffer.content().iter().map(|cell| cell.symbol().to_owned()).collect()
    }

    #[test]
    fn text_has_an_end() {
        for (text, cells) in [
            ("abc", [" ", "a", "b", "c", " ", " "]),
            ("abcde", [" ", "a", "b", "c", "…", " "]),
            ("a水水", [" ", "a", "水", "", "…", " "]),
            ("水e\u{301}x", [" ", "水", "", "e\u{301}", "x", " "]),
            ("水\u{301}", [" ", "水\u{301}", "", " ", " ", " "]),
        ] {
            assert_eq!(drawn(text, 4), cells, "{text}");
        }
    }

    #[test]
    fn long_lines_are_broken_between_words_or_where_they_must() {
        let text = |line: &str, room| {
            let mut rows = Vec::new();
            wrapped(&vec![(Tone::Plain, line.to_owned())], room, &mut rows);
            let rows = rows.into_iter().map(|row| row.into_iter().map(|(_, text)| text).collect::<String>());
            rows.collect::<Vec<_>>()
        };
        assert_eq!(text("one two three four", 10), ["one two ", "  three ", "  four"]);
        assert_eq!(text("abcdefghijklmnop", 10), ["abcdefgh", "  ijklmnop"]);
        assert_eq!(text("a    one two", 10), ["a    one ", "     two"]);
        assert_eq!(text("", 10), [""]);
    }

    proptest! {
        #[test]
        fn whatever_is_written_stays_within_its_place(text in any::<String>(), room in 1u16..20) {
            let cells = drawn(&text, room);
            prop_assert_eq!((cells[0].as_str(), cells[usize::from(room) + 1].as_str()), (" ", " "));
            let mut at = 0;
            while at < cells.len() {
                prop_assert!(!cells[at].chars().any(char::is_control));
                at += width(&cells[at]).max(1);
            }
            prop_assert_eq!(at, cells.len(), "a wide character has both its columns");
        }

        #[test]
        fn what_is_wrapped_loses_nothing_and_has_room(text in any::<String>(), room in 8usize..40) {
            let mut rows = Vec::new();
            wrapped(&vec![(Tone::Plain, text.clone())], room, &mut rows);
            let shown: String = rows.iter().flatten().map(|(_, text)| text.as_str()).collect();
            let strip = |text: &str| text.replace(' ', "");
            prop_assert_eq!(strip(&shown), strip(&steady(&text)));
            for row in rows {
                let taken: usize = row.iter().map(|(_, text)| width(text)).sum();
                prop_assert!(taken <= room, "{row:?}");
            }
        }
    }
}
