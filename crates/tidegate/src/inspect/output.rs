//! Where events go: rows, JSON lines or a view on stdout, as far as the filter shows them, and all of them into recordings.
//!
//! Every source of events has one: it gives them to `take` and its words to `say`, ends when nobody looks any more (`left`,
//! `is_idle`), and hands its outcome to `end`. Each place where events go has a thread that writes. A slow disk holds up what goes by as soon as its queue is full, and so does a slow
//! reader of stdout, so that neither misses anything; what a terminal does not take in time is passed over and
//! counted. Credentials are hidden before they come here.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tidegate_inspect::event::{Body, Direction, Dropped, Event, Handshake};
use tidegate_inspect::filter::{Facts, Filter};
use tidegate_inspect::recording::{Format, Writer};
use tidegate_inspect::tap::Settings;
use tidegate_inspect::words::known;

use super::rows::{HEADING, Rows};
use super::sink::{Full, Sink};
use super::view::{self, About, View};
use crate::arguments::Inspect;
use crate::exit::{Exit, Failure, say};
use crate::terminal::{Ink, Look, escape, escape_json};
use crate::timestamp::now;

/// Requests whose answers are awaited or whose connections are open; of more nothing is known beside the event.
const REQUESTS_MAX: usize = 10_000;

/// Bytes that wait for a disk: a second of 50,000 frames of 32 bytes.
const RECORDING_MAX_BYTES: usize = 16 << 20;

/// Bytes that wait for whoever reads stdout. On a terminal that is some seconds, more would be shown too late.
const SHOWN_MAX_BYTES: usize = 256 << 10;

/// How long a disk may take for what waits at the end.
const DISK_TIME: Duration = Duration::from_secs(30);

/// How long whoever reads stdout may take for it when somebody wants to go.
const READER_TIME: Duration = Duration::from_secs(2);

/// The same otherwise: a person may look at a page of it for as long as he likes.
const PATIENT_TIME: Duration = Duration::from_secs(86_400);

/// See the module's head.
pub(super) struct Output {
    form: Form,
    filter: Filter,
    recording: Option<Recording>,
    stdout: Sink,
    /// What stdout does not take in time is passed over.
    passes_over: bool,
    passed_over: u64,
    requests: HashMap<Option<Arc<str>>, Handshake>,
}

enum Form {
    Rows(Rows),
    Json,
    View(View),
}

struct Recording {
    path: PathBuf,
    writer: Writer,
    sink: Sink,
    /// Somebody has been told that it could not be written.
    has_failed: bool,
}

impl Output {
    /// `is_live`: what is shown does not wait for a terminal.
    pub(super) fn new(arguments: &Inspect, is_live: bool) -> Result<Self, Failure> {
        let other = |error| Failure::of(known::OUTPUT, error);
        let recording = arguments.record.as_ref().map(Recording::new).transpose()?;
        let stdout = Sink::new(SHOWN_MAX_BYTES, io::stdout()).map_err(other)?;
        let output = Self {
            form: Form::new(arguments, is_live).map_err(other)?,
            filter: arguments.filter.clone().unwrap_or_default(),
            recording,
            stdout,
            passes_over: is_live && Look::of_stdout().is_terminal,
            passed_over: 0,
            requests: HashMap::new(),
        };
        if let Form::Rows(rows) = &output.form {
            output.write_line(&rows.look.paint(Ink::Dim, HEADING));
        }
        Ok(output)
    }

    /// What a tap keeps: payloads whole if they are recorded.
    pub(super) fn settings(&self) -> Settings {
        match (&self.recording, &self.form) {
            (Some(_), _) => Settings::for_recording(),
            (None, Form::View(_)) => {
                Settings { payload_max_bytes: view::PAYLOAD_MAX_BYTES, ..Settings::default() }
            }
            (None, Form::Rows(_) | Form::Json) => Settings::default(),
        }
    }

    /// Nobody reads what is shown and nothing is recorded, or somebody has left the view.
    pub(super) fn is_idle(&self) -> bool {
        match &self.form {
            Form::View(view) => view.feed().has_left(),
            Form::Rows(_) | Form::Json => self.recording.is_none() && self.stdout.has_failed(),
        }
    }

    /// Waits until somebody has left the view; for ever if there is none. **Cancel safe.**
    pub(super) fn left(&self) -> impl Future<Output = ()> + use<> {
        let feed = match &self.form {
            Form::View(view) => Some(view.feed().clone()),
            Form::Rows(_) | Form::Json => None,
        };
        async move {
            match feed {
                Some(feed) => feed.left().await,
                None => std::future::pending().await,
            }
        }
    }

    /// Tells people something beside the events.
    pub(super) fn say(&self, words: impl std::fmt::Display) {
        match &self.form {
            Form::View(view) => view.feed().say(words.to_string()),
            Form::Rows(_) | Form::Json => say(words),
        }
    }

    /// Tells where clients connect instead: `lines` on stderr, the address in a view.
    pub(super) fn greet(&self, address: String, lines: impl std::fmt::Display) {
        match &self.form {
            Form::View(view) => view.feed().listens_at(address),
            Form::Rows(_) | Form::Json => say(lines),
        }
    }

    /// What must be waited for before more events are taken.
    pub(super) fn full(&self) -> Option<Full> {
        let recording = self.recording.as_ref().and_then(|recording| recording.sink.full());
        recording.or_else(|| if self.passes_over { None } else { self.stdout.full() })
    }

    pub(super) fn take(&mut self, event: &Event) {
        if let Some(recording) = &mut self.recording {
            recording.take(event);
        }
        if let Form::View(view) = &self.form {
            return view.feed().take(event);
        }
        self.note_request(event);
        if !self.stdout.has_failed() && self.is_shown(event) {
            self.show(event);
        }
    }

    /// To be called now and then: says what was passed over, and that a recording has failed.
    pub(super) fn tick(&mut self) {
        self.tell_passed_over();
        if let Some(recording) = &mut self.recording
            && let Some(error) = recording.sink.take_failure()
        {
            recording.has_failed = true;
            let failure = unwritable(&recording.path, &error);
            self.say(failure);
        }
    }

    /// Waits for that, in a thread that has nothing else to do.
    pub(super) fn wait(&self) {
        while let Some(full) = self.full() {
            full.wait();
        }
    }

    /// Ends recordings, and waits until what is shown has been read, or somebody leaves the view; not long if the user has
    /// interrupted. Gives how the command ends.
    pub(super) fn end(mut self, outcome: Result<Exit, Failure>) -> Result<Exit, Failure> {
        let recorded = self.recording.take().map_or(Ok(()), Recording::end);
        if let Form::View(view) = self.form {
            return view.end(outcome.and_then(|exit| recorded.map(|()| exit)));
        }
        self.passes_over = false;
        self.tell_passed_over();
        let is_interrupted = matches!(outcome, Ok(Exit::Interrupted));
        // Whoever reads no more has seen enough.
        let _ = self.stdout.end(if is_interrupted { READER_TIME } else { PATIENT_TIME });
        outcome.and_then(|exit| recorded.map(|()| exit))
    }

    fn show(&mut self, event: &Event) {
        if self.passes_over && !self.stdout.has_room() {
            self.passed_over += 1;
            return;
        }
        self.tell_passed_over();
        match &self.form {
            Form::Json => self.write_line(&escape_json(event.to_json())),
            Form::Rows(rows) => self.write_line(&rows.of(event, self.requests.get(&event.conn))),
            // It has a feed of its own.
            Form::View(_) => {}
        }
    }

    fn tell_passed_over(&mut self) {
        if self.passed_over == 0 || (self.passes_over && !self.stdout.has_room()) {
            return;
        }
        let count = std::mem::take(&mut self.passed_over);
        let reason = match self.recording {
            Some(_) => "the terminal is slower than they come; the recording has them",
            None => "the terminal is slower than they come; a --filter shows less, --record keeps all",
        };
        let dropped = Dropped { what: "events".to_owned(), count, reason: reason.to_owned() };
        let event = Event { ts: now(), conn: None, body: Body::Dropped(dropped) };
        match &self.form {
            Form::Json => self.write_line(&escape_json(event.to_json())),
            Form::Rows(rows) => self.write_line(&rows.of(&event, None)),
            Form::View(_) => {}
        }
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

    fn write_line(&self, line: &str) {
        self.stdout.append(|pending| {
            pending.extend_from_slice(line.as_bytes());
            pending.push(b'\n');
        });
    }
}

impl Form {
    fn new(arguments: &Inspect, is_live: bool) -> io::Result<Self> {
        if arguments.json {
            return Ok(Self::Json);
        }
        if arguments.plain || !view::is_possible() {
            return Ok(Self::Rows(Rows { look: Look::of_stdout(), explain: arguments.explain }));
        }
        let about = About {
            title: arguments.target.clone(),
            is_live,
            filter: arguments.filter.clone().unwrap_or_default(),
            explains: arguments.explain,
        };
        View::open(about).map(Self::View)
    }
}

impl Recording {
    fn new(path: &PathBuf) -> Result<Self, Failure> {
        let format = Format::of_name(&path.to_string_lossy()).ok_or_else(|| {
            let what = format!("{}: the ending says no form of recording", escape(&path.to_string_lossy()));
            Failure::of(known::RECORDING_NAME, what).mend("name it .jsonl, .har or .pcapng")
        })?;
        let sink = File::create(path).and_then(|file| Sink::new(RECORDING_MAX_BYTES, file));
        let sink = sink.map_err(|error| unwritable(path, &error))?;
        Ok(Self { path: path.clone(), writer: Writer::new(format), sink, has_failed: false })
    }

    fn take(&mut self, event: &Event) {
        self.sink.append(|pending| self.writer.handle_event(event, pending));
    }

    fn end(self) -> Result<(), Failure> {
        self.sink.append(|pending| self.writer.handle_end(pending));
        match self.sink.end(DISK_TIME) {
            Err(error) => Err(unwritable(&self.path, &error)),
            Ok(()) if self.has_failed => {
                let what = format!("{}: it is not whole", escape(&self.path.to_string_lossy()));
                Err(Failure::of(known::RECORDING_WRITE, what).mend("why was said when it happened"))
            }
            Ok(()) => Ok(()),
        }
    }
}

fn unwritable(path: &Path, error: &io::Error) -> Failure {
    Failure::of(known::RECORDING_WRITE, format!("{}: {error}", escape(&path.to_string_lossy())))
        .mend("is there room, and may this user write there?")
}
