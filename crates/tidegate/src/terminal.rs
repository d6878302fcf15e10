//! What our streams can show, and colours by their meaning.
//!
//! What a peer sent is made harmless by `tidegate_inspect::inert` before it comes here.

use std::borrow::Cow;
use std::io::IsTerminal;

use anstream::{AutoStream, ColorChoice};
pub(crate) use tidegate_inspect::inert::{escape, escape_json, escape_lines};

/// Colours by their meaning: the 16 that every terminal has.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Ink {
    Sent,
    Received,
    Dim,
    Key,
    Close,
    Error,
}

/// What a stream of ours can show.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Look {
    /// It is a terminal.
    pub(crate) is_terminal: bool,
    /// Colours are wanted: by NO_COLOR, CLICOLOR_FORCE, TERM and whether it is a terminal.
    pub(crate) colours: bool,
}

impl Look {
    pub(crate) fn of_stdout() -> Self {
        let stdout = std::io::stdout();
        let colours = AutoStream::choice(&stdout) != ColorChoice::Never;
        Self { is_terminal: stdout.is_terminal(), colours }
    }

    pub(crate) fn of_stderr() -> Self {
        let stderr = std::io::stderr();
        let colours = AutoStream::choice(&stderr) != ColorChoice::Never;
        Self { is_terminal: stderr.is_terminal(), colours }
    }

    /// The text in that colour, if there are colours.
    pub(crate) fn paint<'t>(self, ink: Ink, text: &'t str) -> Cow<'t, str> {
        if !self.colours {
            return Cow::Borrowed(text);
        }
        let code = match ink {
            Ink::Sent => 36,
            Ink::Received => 32,
            Ink::Dim => 2,
            Ink::Key => 34,
            Ink::Close => 33,
            Ink::Error => 31,
        };
        Cow::Owned(format!("\u{1b}[{code}m{text}\u{1b}[0m"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_only_where_wanted() {
        let plain = Look { is_terminal: true, colours: false };
        assert_eq!(plain.paint(Ink::Error, "x"), "x");
        let colours = Look { colours: true, ..plain };
        assert_eq!(colours.paint(Ink::Error, "x"), "\u{1b}[31mx\u{1b}[0m");
    }
}
