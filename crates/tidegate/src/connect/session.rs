//! The connections of `connect`, one after the other: lines go out, events come in, until somebody ends it.
//!
//! Who ends it decides the exit code: the peer by its Close, a rule that it breaks, the goal of `-n` and
//! `--expect`, the time, the end of stdin, or Ctrl-C.

use std::future;
use std::io::{self, Read};
use std::rc::Rc;
use std::time::Duration;

use tidegate_client::follow::Interruption;
use tidegate_client::{CloseCode, Connection, Event, Message, SendError};
use tidegate_inspect::event::Direction;
use tokio::signal::unix::Signal;
use tokio::time::{Instant, sleep_until};

use super::place::Place;
use super::prompt::Prompt;
use super::report::Report;
use super::stdin::{Kind, LineError, Lines};
use super::tally::Tally;
use super::typed::{HELP, Typed};
use crate::exit::Exit;
use crate::expectation::Expectation;

/// Largest file that `/file` sends.
const FILE_MAX_BYTES: usize = 16 << 20;

/// What is awaited.
#[derive(Debug, Clone)]
pub(super) struct Goal {
    pub(super) messages: Option<u64>,
    pub(super) expect: Option<Expectation>,
}

/// Where lines come from.
#[derive(Debug)]
pub(super) enum Input {
    Lines(Lines),
    /// From the row of a terminal on which they are edited.
    Typed(Rc<Prompt>),
}

/// What is to be done with a connection, and what has been done.
pub(super) struct Session<'s> {
    pub(super) report: &'s Report,
    pub(super) goal: Goal,
    /// `None` before the first connection and after the end of stdin.
    pub(super) input: Option<Input>,
    pub(super) stdin: Kind,
    /// How long to wait after the end of stdin; `None`: for ever.
    pub(super) linger: Option<Duration>,
    /// When everything is given up.
    pub(super) deadline: Option<Instant>,
    pub(super) auto_pong: bool,
    /// Of the connection, in words.
    pub(super) handshake: String,
    pub(super) progress: Progress,
}

/// How a connection ended.
pub(super) enum Outcome {
    /// With it ends the command.
    Exit(Exit),
    /// It may be opened again. The exit code is for those who do not want that.
    Lost {
        exit: Exit,
        why: Interruption,
        /// When to come back, if the server said so.
        hint: Option<Duration>,
    },
}

/// What the loop knows.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// When stdin ended or, later, the last message came.
    quiet_since: Option<Instant>,
    messages: u64,
    /// Our Close has been queued, and this will be the exit code.
    leaving: Option<Exit>,
    place: Place,
    /// Of this connection.
    tally: Tally,
    opened: Option<Instant>,
}

impl Progress {
    pub(super) fn new(place: Place) -> Self {
        Self { place, ..Self::default() }
    }

    fn totals(&self) -> String {
        self.tally.words(self.opened.map_or(Duration::ZERO, |opened| opened.elapsed()))
    }
}

impl Session<'_> {
    /// Runs to the end of the connection.
    pub(super) async fn run(&mut self, mut connection: Connection, interrupts: &mut Signal) -> Outcome {
        self.progress.place.handle_connection(connection.subprotocol());
        self.progress.tally = Tally::default();
        self.progress.opened = Some(Instant::now());
        loop {
            let leaving = self.progress.leaving;
            let quiet_until =
                self.linger.zip(self.progress.quiet_since).map(|(linger, since)| since + linger);
            let quiet_until = quiet_until.filter(|_| leaving.is_none());
            let deadline = self.deadline.filter(|_| leaving.is_none());
            let takes_lines = connection.is_open() && connection.has_room();
            tokio::select! {
                event = connection.next() => {
                    // After Close and Error nothing is asked for, so that there always is an event.
                    let Some(event) = event else { return Outcome::Exit(leaving.unwrap_or(Exit::Other)) };
                    if let Some(outcome) = self.take_event(event, &mut connection) {
                        return outcome;
                    }
                }
                line = next_line(&mut self.input), if takes_lines => self.take_line(line, &mut connection),
                // An answer cannot come to what has not gone out.
                () = at(quiet_until) => match connection.has_unwritten() {
                    true => self.progress.quiet_since = Some(Instant::now()),
                    false => self.leave(Exit::Done, &mut connection),
                },
                () = at(deadline) => {
                    let exit = self.goal.late();
                    self.report.note("= the time is over");
                    self.leave(exit, &mut connection);
                }
                _ = interrupts.recv() => {
                    if leaving == Some(Exit::Interrupted) {
                        return Outcome::Exit(Exit::Interrupted);
                    }
                    self.leave(Exit::Interrupted, &mut connection);
                }
            }
        }
    }

    /// Where the next connection resumes, if anything is known of it.
    pub(super) fn position(&self) -> Option<&str> {
        self.progress.place.position()
    }

    /// The next connection begins anew.
    pub(super) fn forget_position(&mut self) {
        self.progress.place.forget();
    }

    /// Begins the closing handshake; what comes until the peer's Close is not shown.
    fn leave(&mut self, exit: Exit, connection: &mut Connection) {
        connection.queue_close(CloseCode::NORMAL, "");
        self.progress.leaving = Some(exit);
    }

    /// Gives the outcome when the connection has ended.
    fn take_event(&mut self, event: Event, connection: &mut Connection) -> Option<Outcome> {
        let is_end = matches!(event, Event::Close(_) | Event::Error(_));
        if self.progress.leaving.is_some() && !is_end {
            return None;
        }
        if self.report.event(&event, self.auto_pong, self.progress.leaving.is_some()).is_err() {
            // The reader of stdout has seen enough.
            self.leave(Exit::Done, connection);
        }
        let (exit, why) = match event {
            Event::Message(message) => {
                self.take_message(&message, connection);
                return None;
            }
            Event::Ping(_) | Event::Pong(_) => return None,
            Event::Error(error) => (Exit::Protocol, Interruption::Protocol(error)),
            Event::Close(close) => (self.goal.unmet(close.code), Interruption::Closed(close)),
        };
        self.report.ended(ended_by(&why, self.progress.leaving.is_some()), &self.progress.totals());
        Some(match self.progress.leaving {
            Some(exit) => Outcome::Exit(exit),
            None => Outcome::Lost { exit, why, hint: self.progress.place.hint },
        })
    }

    fn take_message(&mut self, message: &Message, connection: &mut Connection) {
        self.progress.messages += 1;
        self.progress.tally.handle_message(Direction::ToClient, message.as_bytes().len());
        let envelope = self.progress.place.handle_message(message);
        if envelope.is_some_and(|envelope| self.report.presence(&envelope).is_err()) {
            self.leave(Exit::Done, connection);
        }
        if let Some(since) = &mut self.progress.quiet_since {
            *since = Instant::now();
        }
        if let Some(exit) = self.goal.judge(message, self.progress.messages) {
            self.leave(exit, connection);
        }
    }

    fn take_line(&mut self, line: Option<Result<String, LineError>>, connection: &mut Connection) {
        match line {
            None => {
                self.input = None;
                self.progress.quiet_since = Some(Instant::now());
            }
            Some(Err(LineError(why))) => {
                self.report.unsent(&why);
                self.input = None;
                self.leave(Exit::Other, connection);
            }
            Some(Ok(line)) if self.stdin == Kind::Terminal => self.obey(&line, connection),
            Some(Ok(line)) => self.send(tidegate_websocket::Message::Text(&line), connection),
        }
    }

    /// What a person typed.
    fn obey(&mut self, line: &str, connection: &mut Connection) {
        let typed = Typed::parse(line);
        if !matches!(typed, Typed::Text(_)) {
            self.report.typed(line);
        }
        match typed {
            Typed::Text(text) => self.send(tidegate_websocket::Message::Text(text), connection),
            Typed::Binary(bytes) => self.send(tidegate_websocket::Message::Binary(&bytes), connection),
            Typed::Ping(payload) => {
                let result = connection.queue_ping(payload.as_bytes());
                if result.is_ok() {
                    // A reader that has gone is noticed with what is received.
                    let _ = self.report.pinged(payload.as_bytes());
                }
                self.tell(result);
            }
            Typed::Close(code, reason) => {
                connection.queue_close(code, reason);
                self.progress.leaving = Some(Exit::Done);
            }
            Typed::File(path) => match read_file(&path) {
                Ok(bytes) => match std::str::from_utf8(&bytes) {
                    Ok(text) => self.send(tidegate_websocket::Message::Text(text), connection),
                    Err(_) => self.send(tidegate_websocket::Message::Binary(&bytes), connection),
                },
                Err(error) => self.report.note(&format!("{}: {error}", path.display())),
            },
            Typed::Stats => self.report.note(&format!("= open {}", self.progress.totals())),
            Typed::Headers => self.report.note(&self.handshake),
            Typed::Filter(text) => self.report.show_only(text),
            Typed::Save(path) => self.report.save(&path),
            Typed::Help => self.report.note(HELP),
            Typed::Wrong(why) => self.report.note(&why),
        }
    }

    fn send(&mut self, message: tidegate_websocket::Message<'_>, connection: &mut Connection) {
        let result = connection.queue(message);
        if result.is_ok() {
            self.progress.tally.handle_message(Direction::ToServer, message.as_bytes().len());
            // On a terminal a typed line is on the screen already, unless it was edited there.
            let is_echoed = self.stdin == Kind::Terminal && !matches!(self.input, Some(Input::Typed(_)));
            // A reader that has gone is noticed with what is received.
            let _ = self.report.sent(&message, is_echoed);
        }
        self.tell(result);
    }

    fn tell(&self, result: Result<(), SendError>) {
        if let Err(error) = result {
            self.report.note(&format!("not sent: {error}"));
        }
    }
}

impl Goal {
    /// The exit code when the time is over.
    pub(super) fn late(&self) -> Exit {
        if self.expect.is_some() { Exit::Expectation } else { Exit::Timeout }
    }

    /// The exit code, if this message, the `count`th, decides it.
    fn judge(&self, message: &Message, count: u64) -> Option<Exit> {
        let enough = self.messages.is_some_and(|wanted| count >= wanted);
        match &self.expect {
            Some(expectation) if expectation.is_met(message.as_bytes()) => Some(Exit::Done),
            Some(_) => enough.then_some(Exit::Expectation),
            None => enough.then_some(Exit::Done),
        }
    }

    /// The exit code when the peer closed with this code and nothing had been decided.
    fn unmet(&self, code: CloseCode) -> Exit {
        let is_normal = matches!(code, CloseCode::NORMAL | CloseCode::GOING_AWAY);
        match (self.expect.is_some(), is_normal, self.messages.is_some()) {
            (true, ..) | (false, true, true) => Exit::Expectation,
            (false, true, false) => Exit::Done,
            (false, false, _) => Exit::ClosedByPeer,
        }
    }
}

/// Who ended a connection: `is_ours`, our Close was the first.
fn ended_by(why: &Interruption, is_ours: bool) -> &'static str {
    match why {
        Interruption::Closed(close) if !close.is_clean() => "lost",
        Interruption::Closed(_) if is_ours => "closed by us",
        Interruption::Closed(_) => "closed by the server",
        _ => "broken off",
    }
}

async fn next_line(input: &mut Option<Input>) -> Option<Result<String, LineError>> {
    match input {
        Some(Input::Lines(lines)) => lines.recv().await,
        Some(Input::Typed(prompt)) => prompt.next_line().await.map(Ok),
        None => future::pending().await,
    }
}

pub(super) async fn at(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => future::pending().await,
    }
}

fn read_file(path: &std::path::Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(FILE_MAX_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > FILE_MAX_BYTES {
        return Err(io::Error::other(format!("larger than {FILE_MAX_BYTES} bytes")));
    }
    Ok(bytes)
}
