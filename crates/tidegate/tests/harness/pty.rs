//! The program on a terminal of its own: a pseudo-terminal, whose other end the test reads and types into.
//!
//! What a program may write to a terminal that shows what peers sent is a short list; anything else ends the test.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::process::{Child, Command};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Instant;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use unicode_width::UnicodeWidthChar;

use super::PATIENCE;

/// The program on a terminal of its own, and our end of that.
pub(crate) fn on_a_terminal(command: &mut Command) -> (Child, File) {
    begin(command, open())
}

/// The program on a terminal of this size, and what that shows.
pub(crate) fn on_a_screen(command: &mut Command, columns: u16, rows: u16) -> (Child, Screen) {
    let ours = open();
    // It is there before the program asks for it.
    set_size(&ours, columns, rows);
    let (child, ours) = begin(command, ours);
    (child, Screen::new(ours, columns.into(), rows.into()))
}

fn open() -> File {
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&ours).unwrap();
    unlockpt(&ours).unwrap();
    File::from(ours)
}

fn begin(command: &mut Command, ours: File) -> (Child, File) {
    let name = ptsname(&ours, Vec::new()).unwrap();
    let theirs = OpenOptions::new().read(true).write(true).open(name.to_str().unwrap()).unwrap();
    command.stdin(theirs.try_clone().unwrap()).stdout(theirs.try_clone().unwrap()).stderr(theirs);
    let child = command.spawn().unwrap();
    // The command holds the other end open, too; ours would otherwise never see the end.
    *command = Command::new("true");
    (child, ours)
}

fn set_size(terminal: &File, columns: u16, rows: u16) {
    let size = Winsize { ws_col: columns, ws_row: rows, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(terminal, size).unwrap();
}

/// A terminal as far as it is needed, which knows the sequences of ours and no others.
pub(crate) struct Screen {
    pub(crate) terminal: File,
    pieces: Option<Receiver<Vec<u8>>>,
    /// What has come and is not whole.
    rest: Vec<u8>,
    cells: Vec<Vec<char>>,
    cursor: (usize, usize),
    /// The view's own screen is seen.
    pub(crate) is_alternate: bool,
    pub(crate) is_cursor_shown: bool,
    /// What was written beside the view's own screen.
    pub(crate) outside: String,
    /// How often the cursor was hidden, which every draw does.
    pub(crate) draws: usize,
    /// A colour was asked for.
    pub(crate) has_colours: bool,
    is_over: bool,
    /// What comes may still be for another size.
    is_resized: bool,
}

impl Screen {
    fn new(terminal: File, columns: usize, rows: usize) -> Self {
        Self {
            terminal,
            pieces: None,
            rest: Vec::new(),
            cells: vec![vec![' '; columns]; rows],
            cursor: (0, 0),
            is_alternate: false,
            is_cursor_shown: true,
            outside: String::new(),
            draws: 0,
            has_colours: false,
            is_over: false,
            is_resized: false,
        }
    }

    pub(crate) fn keys(&mut self, keys: &str) {
        self.terminal.write_all(keys.as_bytes()).unwrap();
    }

    pub(crate) fn resize(&mut self, columns: u16, rows: u16) {
        set_size(&self.terminal, columns, rows);
        self.cells = vec![vec![' '; columns.into()]; rows.into()];
        self.is_resized = true;
    }

    /// The rows, without the spaces at their ends.
    pub(crate) fn text(&self) -> String {
        let row = |cells: &Vec<char>| {
            cells.iter().filter(|it| **it != '\0').collect::<String>().trim_end().to_owned()
        };
        self.cells.iter().map(row).collect::<Vec<_>>().join("\n")
    }

    /// Reads until this is on the screen; gives what is.
    pub(crate) fn until(&mut self, part: &str) -> String {
        self.until_that(part, |screen| screen.text().contains(part))
    }

    /// Reads until all of these are on the screen.
    pub(crate) fn until_all(&mut self, parts: &[&str]) -> String {
        let missing = |screen: &Self| {
            let text = screen.text();
            parts.iter().any(|part| !text.contains(part))
        };
        self.until_that(&format!("{parts:?}"), |screen| !missing(screen))
    }

    /// Reads until this holds.
    pub(crate) fn until_that(&mut self, what: &str, holds: impl Fn(&Self) -> bool) -> String {
        let began = Instant::now();
        while !holds(self) {
            assert!(
                self.read() && began.elapsed() < PATIENCE,
                "{what:?} did not come:\n{}\n{}",
                self.text(),
                self.outside
            );
        }
        self.text()
    }

    /// Reads until the program has gone.
    pub(crate) fn read_to_end(&mut self) {
        while self.read() {}
    }

    /// False at the end.
    fn read(&mut self) -> bool {
        let pieces = self.pieces.get_or_insert_with(|| {
            let mut terminal = self.terminal.try_clone().unwrap();
            let (sender, receiver) = sync_channel(1000);
            std::thread::spawn(move || {
                let mut piece = [0; 4096];
                // When the program has gone, reading fails.
                while let Ok(length @ 1..) = terminal.read(&mut piece) {
                    if sender.send(piece[..length].to_vec()).is_err() {
                        return;
                    }
                }
            });
            receiver
        });
        if self.is_over {
            return false;
        }
        match pieces.recv_timeout(PATIENCE) {
            Ok(piece) => {
                self.rest.extend(piece);
                self.take();
                true
            }
            Err(error) => {
                let is_gone = error == RecvTimeoutError::Disconnected;
                assert!(is_gone, "nothing came:\n{}\n{}", self.text(), self.outside);
                self.is_over = true;
                false
            }
        }
    }

    fn take(&mut self) {
        let bytes = std::mem::take(&mut self.rest);
        let valid = match std::str::from_utf8(&bytes) {
            Ok(text) => text.len(),
            Err(error) => {
                assert!(error.error_len().is_none(), "no UTF-8: {bytes:?}");
                error.valid_up_to()
            }
        };
        let text = std::str::from_utf8(&bytes[..valid]).unwrap();
        let mut left = text;
        while let Some(first) = left.chars().next() {
            let taken = match first {
                '\x1b' => match sequence(left) {
                    Some(length) => {
                        self.obey(&left[2..length]);
                        length
                    }
                    None => break,
                },
                _ => {
                    self.put(first);
                    first.len_utf8()
                }
            };
            left = &left[taken..];
        }
        self.rest = [left.as_bytes(), &bytes[valid..]].concat();
    }

    fn put(&mut self, character: char) {
        if !self.is_alternate {
            assert!(!character.is_control() || matches!(character, '\r' | '\n'), "{character:?} is alive");
            self.outside.push(character);
            return;
        }
        assert!(!character.is_control(), "{character:?} is alive:\n{}", self.text());
        let (row, column) = self.cursor;
        let width = character.width().unwrap_or_else(|| panic!("{character:?}"));
        if self.is_resized || width == 0 {
            return;
        }
        let cells = &mut self.cells[row];
        assert!(column + width <= cells.len(), "{character:?} is beyond the end of row {row}");
        cells[column] = character;
        if width == 2 {
            cells[column + 1] = '\0';
        }
        self.cursor.1 += width;
    }

    /// What stands between `ESC [` and its end, that counted.
    fn obey(&mut self, sequence: &str) {
        let numbers =
            |text: &str| text.split(';').map(|it| it.parse::<usize>().unwrap_or(1)).collect::<Vec<_>>();
        let (body, end) = sequence.split_at(sequence.len() - 1);
        match (body, end) {
            ("?1049", "h") => {
                self.is_alternate = true;
                self.cells.iter_mut().for_each(|row| row.fill(' '));
            }
            ("?1049", "l") => self.is_alternate = false,
            ("?25", "l") => {
                self.draws += 1;
                self.is_cursor_shown = false;
            }
            ("?25", "h") => self.is_cursor_shown = true,
            ("?7" | "?2004", "h" | "l") => {}
            ("2", "J") => {
                self.cells.iter_mut().for_each(|row| row.fill(' '));
                self.is_resized = false;
            }
            (place, "H") => {
                let place = numbers(place);
                self.cursor = (place[0] - 1, place.get(1).copied().unwrap_or(1) - 1);
                assert!(self.is_resized || self.cursor.0 < self.cells.len(), "{sequence:?}");
            }
            (colours, "m") => {
                let is_colour = |number: &str| matches!(number, "31" | "32" | "33" | "34" | "36");
                self.has_colours |= colours.split(';').any(is_colour) || colours.contains("38;5;");
            }
            _ => panic!("the sequence ESC [ {sequence} is none of ours"),
        }
    }
}

/// Bytes of the sequence at the beginning; none if it is not whole.
fn sequence(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    if bytes.len() < 2 {
        return None;
    }
    assert_eq!(bytes[1], b'[', "{text:?} is none of ours");
    bytes.iter().skip(2).position(|byte| (0x40..0x7f).contains(byte)).map(|at| at + 3)
}
