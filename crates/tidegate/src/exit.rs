//! How the program ends: the exit codes, and what is said when something failed.
//!
//! A failure says what and why and what to do next; it goes to stderr and nowhere else.

use std::fmt;
use std::io::Write;
use std::process::ExitCode;

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

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        exit.code().into()
    }
}

/// Why a command did not do what was asked.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    /// What failed and why.
    pub(crate) what: String,
    /// What to do, or the next line to type.
    pub(crate) mend: Option<String>,
}

impl Failure {
    pub(crate) fn new(exit: Exit, what: impl fmt::Display) -> Self {
        Self { exit, what: what.to_string(), mend: None }
    }

    pub(crate) fn mend(self, mend: impl fmt::Display) -> Self {
        Self { mend: Some(mend.to_string()), ..self }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tidegate: {}", self.what)?;
        match &self.mend {
            Some(mend) => write!(f, "\n  {mend}"),
            None => Ok(()),
        }
    }
}

/// Writes a line to stderr. That nobody reads it is no reason to stop.
pub(crate) fn say(line: impl fmt::Display) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}
