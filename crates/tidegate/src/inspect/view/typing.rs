//! The last line while something is typed on it: a filter, or the name of a file.
//!
//! Each key is followed by a look at whether it can be entered; what is wrong is told with its column.

use std::path::PathBuf;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use tidegate_inspect::filter::Filter;
use tidegate_inspect::recording::Format;

use crate::connect::{Edited, Key, Step, View, key_of};

/// What is typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    Filter,
    Export,
}

/// What came of a key.
#[derive(Debug)]
pub(super) enum Typed {
    /// The line is to be shown again.
    More,
    Abandoned,
    Filter(Filter),
    Export(PathBuf),
}

/// See the module's head.
#[derive(Debug)]
pub(super) struct Typing {
    pub(super) purpose: Purpose,
    edited: Edited,
    /// What is wrong, and in front of which character.
    pub(super) wrong: Option<(String, usize)>,
}

impl Typing {
    /// With this text to begin with.
    pub(super) fn new(purpose: Purpose, text: &str) -> Self {
        let mut typing = Self { purpose, edited: Edited::default(), wrong: None };
        typing.insert(text);
        typing
    }

    pub(super) fn handle_key(&mut self, key: KeyEvent) -> Typed {
        let is_control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Esc => return Typed::Abandoned,
            // One line is typed, and there are no others to come back to.
            KeyCode::Enter => return self.enter(),
            KeyCode::Char('m' | 'j') if is_control => return self.enter(),
            KeyCode::Up | KeyCode::Down | KeyCode::Tab | KeyCode::BackTab => return Typed::More,
            KeyCode::Char('n' | 'p') if is_control => return Typed::More,
            _ => {}
        }
        let Some(key) = key_of(key) else { return Typed::More };
        if self.edited.handle_key(key) == Step::Ended {
            return Typed::Abandoned;
        }
        self.judge();
        Typed::More
    }

    /// What was pasted; line ends become spaces.
    pub(super) fn paste(&mut self, text: &str) {
        self.insert(&text.replace(['\r', '\n'], " "));
    }

    pub(super) fn view(&self, columns: usize) -> View {
        self.edited.view(columns)
    }

    fn insert(&mut self, text: &str) {
        self.edited.handle_key(Key::Insert(text.to_owned()));
        self.judge();
    }

    fn judge(&mut self) {
        self.wrong = match self.purpose {
            Purpose::Filter => {
                let error = self.edited.text().parse::<Filter>().err();
                error.map(|error| (format!("column {}: {}", error.column, error.what), error.column - 1))
            }
            Purpose::Export => match Format::of_name(self.edited.text()) {
                Some(_) => None,
                None => Some(("end the name with .jsonl, .har or .pcapng".to_owned(), 0)),
            },
        };
    }

    fn enter(&mut self) -> Typed {
        let text = self.edited.text();
        match self.purpose {
            _ if self.wrong.is_some() => Typed::More,
            Purpose::Filter => text.parse().map_or(Typed::More, Typed::Filter),
            Purpose::Export => Typed::Export(text.into()),
        }
    }
}
