//! The form of a row: an error of Tidegate's own, its number, and what is said of it.
//!
//! Rows are made by the tables beside this file, and by nothing else.

use std::fmt;

/// One of Tidegate's own errors.
#[derive(Debug, PartialEq, Eq)]
pub struct Known {
    /// As people write it: `TG-2101`.
    pub tag: &'static str,
    /// A few words.
    pub name: &'static str,
    /// What happened.
    pub what: &'static str,
    /// Why it mostly happens.
    pub why: &'static str,
    /// What to do next: a key of the configuration, a command, or a look at something.
    pub next: &'static str,
    /// What comes with it.
    pub goes: Goes,
}

/// What comes with an error, where it is met as such.
#[derive(Debug, PartialEq, Eq)]
pub struct Goes {
    /// The status of an HTTP answer.
    pub status: Option<u16>,
    /// The close code of a WebSocket.
    pub close: Option<u16>,
    /// The code of an `error` on the doors that have such.
    pub code: Option<&'static str>,
    /// The exit code of a command.
    pub exit: Option<u8>,
    /// The event of a line in the log.
    pub log: Option<&'static str>,
}

impl Goes {
    pub(super) const WITH_NOTHING: Self =
        Self { status: None, close: None, code: None, exit: None, log: None };

    /// All of it, in words.
    #[must_use]
    pub fn in_words(&self) -> String {
        let parts = [
            self.status.map(|status| format!("HTTP {status}")),
            self.close.map(|code| format!("close {code}")),
            self.code.map(|code| format!("`error` with `{code}`")),
            self.exit.map(|code| format!("exit {code}")),
            self.log.map(|event| format!("`{event}` in the log")),
        ];
        parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}

impl fmt::Display for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.tag)
    }
}

/// Makes a constant of each row, and the list of them under the name that comes first.
macro_rules! table {
    ($rows:ident: $($constant:ident = $number:literal, $name:literal, [$($kind:ident $value:literal),* $(,)?],
        $what:literal, $why:literal, $next:literal;)*) => {
        $(
            #[doc = concat!("`", $name, "`: what happened, why and what next stand in its members.")]
            pub const $constant: &Known = &Known {
                tag: concat!("TG-", $number),
                name: $name,
                what: $what,
                why: $why,
                next: $next,
                goes: Goes { $($kind: Some($value),)* ..Goes::WITH_NOTHING },
            };
        )*

        /// All of this file, in the order of their numbers.
        pub(super) const $rows: &[&Known] = &[$($constant),*];
    };
}

pub(super) use table;
