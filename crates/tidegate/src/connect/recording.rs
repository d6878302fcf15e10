//! `--record FILE`: every event of the command as a line of JSON, whatever is shown.
//!
//! What cannot be written ends the recording and is the command's failure at its end; the connection goes on.

use std::cell::RefCell;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use tidegate_inspect::Event;

use crate::exit::{Exit, Failure};
use crate::terminal::escape;

/// The form that there is.
const ENDING: &str = "jsonl";

/// A file that is written to.
#[derive(Debug)]
pub(super) struct Recording {
    path: PathBuf,
    state: RefCell<State>,
}

#[derive(Debug)]
enum State {
    Written(File),
    Failed(io::Error),
}

impl Recording {
    /// Begins anew in this file, which only its owner can read.
    pub(super) fn create(path: &Path) -> Result<Self, Failure> {
        if path.extension().is_none_or(|ending| ending != ENDING) {
            let what = format!("--record {}: only lines of JSON can be recorded", shown(path));
            return Err(Failure::new(Exit::Usage, what).mend("give the file a name that ends in .jsonl"));
        }
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path);
        let file = file.map_err(|error| unwritable(path, &error))?;
        Ok(Self { path: path.to_owned(), state: RefCell::new(State::Written(file)) })
    }

    pub(super) fn take(&self, event: &Event) {
        let mut state = self.state.borrow_mut();
        let State::Written(file) = &mut *state else { return };
        let mut line = event.to_json();
        line.push('\n');
        if let Err(error) = file.write_all(line.as_bytes()) {
            *state = State::Failed(error);
        }
    }

    /// Whether all of it is in the file.
    pub(super) fn end(&self) -> Result<(), Failure> {
        match &*self.state.borrow() {
            State::Written(_) => Ok(()),
            State::Failed(error) => Err(unwritable(&self.path, error)),
        }
    }
}

fn unwritable(path: &Path, error: &io::Error) -> Failure {
    let what = format!("the recording {} cannot be written: {error}", shown(path));
    Failure::new(Exit::Other, what).mend("name a file in a directory that can be written to and has room")
}

fn shown(path: &Path) -> String {
    escape(&path.to_string_lossy()).into_owned()
}
