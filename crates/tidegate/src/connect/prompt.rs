//! The row of a terminal on which a line is typed, below what is shown: keys come in, rows go out above it.
//!
//! Everything is written by one thread, so that what comes in never tears the line. The terminal gets its modes back when
//! this is dropped. Ctrl-C stays a signal, and the system goes on ending rows as it did.

use std::cell::RefCell;
use std::fmt;
use std::future::poll_fn;
use std::io::{self, IsTerminal, Write};
use std::pin::Pin;

use crossterm::event::{self, EventStream, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use futures_core::Stream;
use rustix::termios::{
    InputModes, LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcgetwinsize, tcsetattr,
};

use super::edited::{Edited, Key, Step, View};

/// Columns of a terminal that does not say how many it has.
const COLUMNS: u16 = 80;

/// To the first column, and nothing on the row.
const CLEAR: &str = "\r\u{1b}[K";

/// Pasted text comes in brackets, told apart from keys; and no more.
const PASTE_IN_BRACKETS: &str = "\u{1b}[?2004h";
const PASTE_AS_KEYS: &str = "\u{1b}[?2004l";

/// See the module's head.
pub(super) struct Prompt {
    /// As the terminal was.
    modes: Termios,
    /// What is on the row.
    row: RefCell<Option<View>>,
    typing: RefCell<Typing>,
}

struct Typing {
    edited: Edited,
    events: EventStream,
}

/// Lines can be edited: stdin and stdout are a terminal that can move its cursor.
pub(super) fn is_possible() -> bool {
    let can_move = std::env::var_os("TERM").is_some_and(|name| !name.is_empty() && name != "dumb");
    can_move && io::stdin().is_terminal() && io::stdout().is_terminal()
}

impl Prompt {
    /// Takes the terminal.
    pub(super) fn open() -> io::Result<Self> {
        let stdin = io::stdin();
        let modes = tcgetattr(&stdin)?;
        let mut ours = modes.clone();
        ours.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO | LocalModes::IEXTEN);
        ours.input_modes.remove(InputModes::ICRNL | InputModes::INLCR | InputModes::IXON);
        ours.special_codes[SpecialCodeIndex::VMIN] = 1;
        ours.special_codes[SpecialCodeIndex::VTIME] = 0;
        // Who stops the program finds the terminal in these modes: that key is off. Ctrl-C ends it in order.
        ours.special_codes[SpecialCodeIndex::VSUSP] = 0;
        ours.special_codes[SpecialCodeIndex::VQUIT] = 0;
        tcsetattr(&stdin, OptionalActions::Now, &ours)?;
        let typing = Typing { edited: Edited::default(), events: EventStream::new() };
        let prompt = Self { modes, row: RefCell::new(None), typing: RefCell::new(typing) };
        prompt.write(PASTE_IN_BRACKETS)?;
        prompt.draw()?;
        Ok(prompt)
    }

    /// Writes rows above the line that is being typed.
    pub(super) fn show(&self, rows: &str) -> io::Result<()> {
        let row = self.row.borrow();
        let below = row.as_ref().map(drawn).unwrap_or_default();
        self.write(&format!("{CLEAR}{rows}\n{below}"))
    }

    /// The next line that was entered; none at the end. **Cancel safe**: what was typed stays.
    pub(super) async fn next_line(&self) -> Option<String> {
        loop {
            let event = poll_fn(|context| {
                let mut typing = self.typing.borrow_mut();
                Pin::new(&mut typing.events).poll_next(context)
            });
            let Some(Ok(event)) = event.await else { return self.end() };
            let key = match event {
                event::Event::Key(event) if event.kind != KeyEventKind::Release => key_of(event),
                event::Event::Paste(text) => {
                    Some(Key::Insert(text.replace("\r\n", "\n").replace('\r', "\n")))
                }
                event::Event::Resize(..) => None,
                _ => continue,
            };
            let step = key.map(|key| self.typing.borrow_mut().edited.handle_key(key));
            // That nobody sees it is noticed with what is shown next.
            let _ = self.draw();
            match step {
                Some(Step::Entered(line)) => return Some(line),
                Some(Step::Ended) => return self.end(),
                Some(Step::Changed) | None => {}
            }
        }
    }

    /// Nothing more is typed: the row is given up.
    fn end(&self) -> Option<String> {
        *self.row.borrow_mut() = None;
        let _ = self.write(CLEAR);
        None
    }

    fn draw(&self) -> io::Result<()> {
        let size = tcgetwinsize(io::stdout()).map_or(0, |size| size.ws_col);
        let columns = if size == 0 { COLUMNS } else { size };
        let view = self.typing.borrow().edited.view(columns.into());
        let text = format!("{CLEAR}{}", drawn(&view));
        *self.row.borrow_mut() = Some(view);
        self.write(&text)
    }

    fn write(&self, text: &str) -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(text.as_bytes())?;
        stdout.flush()
    }
}

impl Drop for Prompt {
    fn drop(&mut self) {
        // Whoever has no terminal any more has no modes to be put back.
        let _ = self.write(&format!("{CLEAR}{PASTE_AS_KEYS}"));
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.modes);
    }
}

impl fmt::Debug for Prompt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prompt").field("row", &self.row).finish_non_exhaustive()
    }
}

/// The row with the cursor in its place.
fn drawn(view: &View) -> String {
    match view.cursor {
        0 => format!("{}\r", view.text),
        cursor => format!("{}\r\u{1b}[{cursor}C", view.text),
    }
}

/// The keys that shells have, too.
pub(crate) fn key_of(event: KeyEvent) -> Option<Key> {
    let has = |modifier| event.modifiers.contains(modifier);
    Some(match event.code {
        KeyCode::Char(letter) if has(KeyModifiers::CONTROL) => match letter {
            'a' => Key::Home,
            'b' => Key::Left,
            'd' => Key::EndOrDelete,
            'e' => Key::End,
            'f' => Key::Right,
            'h' => Key::Backspace,
            'j' | 'm' => Key::Enter,
            'k' => Key::EraseEnd,
            'n' => Key::Newer,
            'p' => Key::Older,
            'u' => Key::EraseStart,
            'w' => Key::EraseWord,
            _ => return None,
        },
        KeyCode::Char(_) if has(KeyModifiers::ALT) => return None,
        KeyCode::Char(letter) => Key::Insert(letter.to_string()),
        KeyCode::Tab => Key::Insert("\t".to_owned()),
        KeyCode::Enter => Key::Enter,
        KeyCode::Left => Key::Left,
        KeyCode::Right => Key::Right,
        KeyCode::Home => Key::Home,
        KeyCode::End => Key::End,
        KeyCode::Up => Key::Older,
        KeyCode::Down => Key::Newer,
        KeyCode::Backspace => Key::Backspace,
        KeyCode::Delete => Key::Delete,
        _ => return None,
    })
}
