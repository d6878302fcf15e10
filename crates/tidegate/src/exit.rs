//! How the program ends: the exit codes, and what is said when something failed.
//!
//! A failure says what and why and what to do next; it goes to stderr and nowhere else.

use std::fmt;
use std::io::Write;
use std::process::ExitCode;

use tidegate_inspect::words::known::Known;

/// The table for `--help`.
pub(crate) const TABLE: &str = "\
Exit codes:
   0  done                            7  protocol error
   1  other failure                   8  closed by the peer, not with 1000 or 1001
   2  usage                           9  expectation not met
   3  configuration                  10  time-out
   4  cannot resolve or connect      11  refused by the server
   5  TLS                           130  interrupted
   6  handshake refused";

/// An exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    Done = 0,
    Other = 1,
    Usage = 2,
    Configuration = 3,
    Unreachable = 4,
    Tls = 5,
    HandshakeRefused = 6,
    Protocol = 7,
    ClosedByPeer = 8,
    Expectation = 9,
    Timeout = 10,
    Refused = 11,
    Interrupted = 130,
}

impl Exit {
    /// The number that the shell sees.
    pub(crate) fn code(self) -> u8 {
        self as u8
    }

    /// The word for it in JSON lines.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Other => "other",
            Self::Usage => "usage",
            Self::Configuration => "configuration",
            Self::Unreachable => "unreachable",
            Self::Tls => "tls",
            Self::HandshakeRefused => "handshake refused",
            Self::Protocol => "protocol error",
            Self::ClosedByPeer => "closed by the peer",
            Self::Expectation => "expectation not met",
            Self::Timeout => "time-out",
            Self::Refused => "refused by the server",
            Self::Interrupted => "interrupted",
        }
    }
}

impl Exit {
    const ALL: [Self; 13] = [
        Self::Done,
        Self::Other,
        Self::Usage,
        Self::Configuration,
        Self::Unreachable,
        Self::Tls,
        Self::HandshakeRefused,
        Self::Protocol,
        Self::ClosedByPeer,
        Self::Expectation,
        Self::Timeout,
        Self::Refused,
        Self::Interrupted,
    ];

    /// The one that goes with an error.
    fn of(known: &Known) -> Self {
        debug_assert!(known.goes.exit.is_some(), "{known} ends a command");
        let exit = known.goes.exit.and_then(|code| Self::ALL.into_iter().find(|exit| exit.code() == code));
        exit.unwrap_or(Self::Other)
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        exit.code().into()
    }
}

/// Why a command did not do what was asked.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    /// Which error it is, for `tidegate explain`.
    pub(crate) known: Option<&'static Known>,
    /// What failed and why.
    pub(crate) what: String,
    /// What to do, or the next line to type.
    pub(crate) mend: Option<String>,
}

impl Failure {
    pub(crate) fn new(exit: Exit, what: impl fmt::Display) -> Self {
        Self { exit, known: None, what: what.to_string(), mend: None }
    }

    /// One that has a number, and the exit code that goes with it.
    pub(crate) fn of(known: &'static Known, what: impl fmt::Display) -> Self {
        Self { known: Some(known), ..Self::new(Exit::of(known), what) }
    }

    pub(crate) fn mend(self, mend: impl fmt::Display) -> Self {
        Self { mend: Some(mend.to_string()), ..self }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.known {
            Some(known) => write!(f, "error[{known}]: {}", self.what)?,
            None => write!(f, "error: {}", self.what)?,
        }
        match (&self.mend, self.known) {
            (Some(mend), _) => write!(f, "\n  next: {mend}"),
            (None, Some(known)) => write!(f, "\n  next: tidegate explain {known}"),
            (None, None) => Ok(()),
        }
    }
}

/// Writes a line to stderr. That nobody reads it is no reason to stop.
pub(crate) fn say(line: impl fmt::Display) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

#[cfg(test)]
mod tests {
    use tidegate_inspect::words::known;

    use super::*;

    #[test]
    fn every_exit_code_of_the_table_of_errors_is_one() {
        for known in known::all() {
            let Some(code) = known.goes.exit else { continue };
            assert_eq!(Exit::of(known).code(), code, "{known}");
        }
    }

    #[test]
    fn a_failure_says_what_and_its_number_and_what_next() {
        let failure = Failure::of(known::CONNECT, "cannot connect to h");
        assert_eq!(
            failure.to_string(),
            "error[TG-8005]: cannot connect to h\n  next: tidegate explain TG-8005"
        );
        let failure = failure.mend("is it running?");
        assert_eq!(failure.to_string(), "error[TG-8005]: cannot connect to h\n  next: is it running?");
        assert_eq!(Failure::new(Exit::Other, "no").to_string(), "error: no");
    }
}
