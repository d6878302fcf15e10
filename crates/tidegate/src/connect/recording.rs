//! `--record FILE`: every event of a command in a file, in the form that the ending of its name says.
//!
//! What cannot be written ends the recording and is the command's failure at its end; whatever is recorded goes on.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use tidegate_inspect::Event;
use tidegate_inspect::recording::{Format, Writer};
use tidegate_inspect::words::known;

use crate::exit::Failure;
use crate::terminal::escape;

/// Bytes that gather before they are written.
const BUFFER_BYTES: usize = 1 << 16;

/// A file that is written to.
#[derive(Debug)]
pub(super) struct Recording {
    path: PathBuf,
    format: Format,
    writer: Writer,
    file: BufWriter<File>,
    bytes: Vec<u8>,
    /// It could not be written.
    failed: Option<io::Error>,
}

impl Recording {
    /// Begins anew in this file, which only its owner can read.
    pub(super) fn create(path: &Path) -> Result<Self, Failure> {
        let format = Format::of_name(&path.to_string_lossy()).ok_or_else(|| {
            let what = format!("{}: the ending says no form of recording", shown(path));
            Failure::of(known::RECORDING_NAME, what).mend("name it .jsonl, .har or .pcapng")
        })?;
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path);
        let file = file.map_err(|error| unwritable(path, &error))?;
        let (writer, file) = (Writer::new(format), BufWriter::with_capacity(BUFFER_BYTES, file));
        Ok(Self { path: path.to_owned(), format, writer, file, bytes: Vec::new(), failed: None })
    }

    /// Its form.
    pub(super) fn format(&self) -> Format {
        self.format
    }

    pub(super) fn take(&mut self, event: &Event) {
        self.bytes.clear();
        self.writer.handle_event(event, &mut self.bytes);
        self.write();
    }

    /// Hands on what has gathered.
    pub(super) fn flush(&mut self) {
        if self.failed.is_none() {
            self.failed = self.file.flush().err();
        }
    }

    /// Whether all of it is in the file.
    pub(super) fn end(mut self) -> Result<(), Failure> {
        self.bytes.clear();
        std::mem::replace(&mut self.writer, Writer::new(Format::Jsonl)).handle_end(&mut self.bytes);
        self.write();
        self.flush();
        self.failed.map_or(Ok(()), |error| Err(unwritable(&self.path, &error)))
    }

    fn write(&mut self) {
        if self.failed.is_none() {
            self.failed = self.file.write_all(&self.bytes).err();
        }
    }
}

fn unwritable(path: &Path, error: &io::Error) -> Failure {
    let what = format!("the recording {} cannot be written: {error}", shown(path));
    Failure::of(known::RECORDING_WRITE, what)
        .mend("name a file in a directory that can be written to and has room")
}

fn shown(path: &Path) -> String {
    escape(&path.to_string_lossy()).into_owned()
}
