//! Where events go: rows or JSON lines on stdout, as far as the filter shows them, and all of them into recordings.
//!
//! Credentials are hidden before they come here.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufWriter, Stdout, Write};
use std::path::PathBuf;
use std::sync::Arc;

use tidegate_inspect::event::{Body, Direction, Event, Handshake};
use tidegate_inspect::filter::{Facts, Filter};
use tidegate_inspect::recording::{Format, Writer};

use super::rows::{HEADING, Rows};
use crate::arguments::Inspect;
use crate::exit::{Exit, Failure};
use crate::terminal::{Look, escape, escape_json};
use crate::timestamp::now;

/// Requests whose answers are awaited or whose connections are open; of more nothing is known beside the event.
const REQUESTS_MAX: usize = 10_000;

/// See the module's head.
pub(super) struct Output {
    form: Form,
    filter: Filter,
    recording: Option<Recording>,
    stdout: BufWriter<Stdout>,
    requests: HashMap<Option<Arc<str>>, Handshake>,
    /// Nobody reads stdout any more.
    is_left: bool,
}

enum Form {
    Rows(Rows),
    Json,
}

struct Recording {
    path: PathBuf,
    writer: Writer,
    file: BufWriter<File>,
    bytes: Vec<u8>,
    /// It could not be written.
    failed: Option<io::Error>,
}

impl Output {
    pub(super) fn new(arguments: &Inspect) -> Result<Self, Failure> {
        let form = match arguments.json {
            true => Form::Json,
            false => Form::Rows(Rows { look: Look::of_stdout(), explain: arguments.explain }),
        };
        let recording = arguments.record.as_ref().map(Recording::new).transpose()?;
        let mut output = Self {
            form,
            filter: arguments.filter.clone().unwrap_or_default(),
            recording,
            stdout: BufWriter::new(io::stdout()),
            requests: HashMap::new(),
            is_left: false,
        };
        if let Form::Rows(rows) = &output.form {
            let heading = rows.look.paint(crate::terminal::Ink::Dim, HEADING).into_owned();
            output.write_line(&heading);
        }
        Ok(output)
    }

    /// True if payloads are wanted whole.
    pub(super) fn records(&self) -> bool {
        self.recording.is_some()
    }

    /// Nobody reads what is shown, and nothing is recorded.
    pub(super) fn is_idle(&self) -> bool {
        self.is_left && self.recording.is_none()
    }

    pub(super) fn take(&mut self, event: &Event) {
        if let Some(recording) = &mut self.recording {
            recording.take(event);
        }
        self.note_request(event);
        if self.is_left || !self.is_shown(event) {
            return;
        }
        let line = match &self.form {
            Form::Json => escape_json(event.to_json()),
            Form::Rows(rows) => rows.of(event, self.requests.get(&event.conn)),
        };
        self.write_line(&line);
    }

    /// Hands on what has gathered.
    pub(super) fn flush(&mut self) {
        self.is_left |= self.stdout.flush().is_err();
        if let Some(recording) = &mut self.recording {
            recording.flush();
        }
    }

    /// Ends recordings.
    pub(super) fn end(&mut self) -> Result<(), Failure> {
        self.flush();
        self.recording.take().map_or(Ok(()), Recording::end)
    }

    fn is_shown(&self, event: &Event) -> bool {
        if self.filter.is_empty() {
            return true;
        }
        let target = self.requests.get(&event.conn).and_then(Handshake::request).map(|(_, target)| target);
        let path = target.map(|target| target.split('?').next().unwrap_or_default());
        self.filter.matches(event, Facts { path, ..Facts::default() }, now())
    }

    fn note_request(&mut self, event: &Event) {
        match &event.body {
            Body::Handshake(head)
                if head.dir == Direction::ToServer && self.requests.len() < REQUESTS_MAX =>
            {
                self.requests.insert(event.conn.clone(), (**head).clone());
            }
            // Of the end itself nothing is asked that the request answers.
            Body::Close(_) => drop(self.requests.remove(&event.conn)),
            _ => {}
        }
    }

    fn write_line(&mut self, line: &str) {
        self.is_left |= writeln!(self.stdout, "{line}").is_err();
    }
}

impl Recording {
    fn new(path: &PathBuf) -> Result<Self, Failure> {
        let format = Format::of_name(&path.to_string_lossy()).ok_or_else(|| {
            let what = format!("{}: the ending says no form of recording", escape(&path.to_string_lossy()));
            Failure::new(Exit::Usage, what).mend("name it .jsonl, .har or .pcapng")
        })?;
        let file = File::create(path).map_err(|error| unwritable(path, &error))?;
        let (writer, file) = (Writer::new(format), BufWriter::with_capacity(1 << 16, file));
        Ok(Self { path: path.clone(), writer, file, bytes: Vec::new(), failed: None })
    }

    fn take(&mut self, event: &Event) {
        self.bytes.clear();
        self.writer.handle_event(event, &mut self.bytes);
        self.write();
    }

    fn write(&mut self) {
        if self.failed.is_none() {
            self.failed = self.file.write_all(&self.bytes).err();
        }
    }

    fn flush(&mut self) {
        if self.failed.is_none() {
            self.failed = self.file.flush().err();
        }
    }

    fn end(mut self) -> Result<(), Failure> {
        self.bytes.clear();
        std::mem::replace(&mut self.writer, Writer::new(Format::Jsonl)).handle_end(&mut self.bytes);
        self.write();
        self.flush();
        self.failed.map_or(Ok(()), |error| Err(unwritable(&self.path, &error)))
    }
}

fn unwritable(path: &std::path::Path, error: &io::Error) -> Failure {
    Failure::new(Exit::Other, format!("{}: {error}", escape(&path.to_string_lossy())))
        .mend("is there room, and may this user write there?")
}
