//! One connection of `connect`: lines go out, events come in, until somebody ends it.
//!
//! Who ends it decides the exit code: the peer by its Close, a rule that it breaks, the goal of `-n` and
//! `--expect`, the time, the end of stdin, or Ctrl-C.

use std::future;
use std::io::{self, Read};
use std::time::Duration;

use regex::Regex;
use tidegate_client::{CloseCode, Connection, Event, Message, SendError};
use tokio::signal::unix::Signal;
use tokio::time::{Instant, sleep_until};

use super::report::Report;
use super::stdin::{Kind, LineError, Lines};
use super::typed::{HELP, Typed};
use crate::exit::{Exit, say};

/// Largest file that `/file` sends.
const FILE_MAX_BYTES: usize = 16 << 20;

/// What is awaited.
#[derive(Debug)]
pub(super) struct Goal {
    pub(super) messages: Option<u64>,
    pub(super) expect: Option<Regex>,
}

/// One connection and what is to be done with it.
pub(super) struct Session<'s> {
    pub(super) connection: Connection,
    pub(super) report: &'s Report,
    pub(super) goal: Goal,
    /// Of stdin; `None` after its end.
    pub(super) lines: Option<Lines>,
    pub(super) stdin: Kind,
    /// How long to wait after the end of stdin; `None`: for ever.
    pub(super) linger: Option<Duration>,
    /// When everything is given up.
    pub(super) deadline: Option<Instant>,
    pub(super) auto_pong: bool,
}

/// What the loop knows.
#[derive(Debug, Clone, Copy)]
struct Progress {
    /// When stdin ended or, later, the last message came.
    quiet_since: Option<Instant>,
    messages: u64,
    /// Our Close has been queued, and this will be the exit code.
    leaving: Option<Exit>,
}

impl Session<'_> {
    /// Runs to the end.
    pub(super) async fn run(mut self, interrupts: &mut Signal) -> Exit {
        let mut progress = Progress { quiet_since: None, messages: 0, leaving: None };
        loop {
            let quiet_until = self.linger.zip(progress.quiet_since).map(|(linger, since)| since + linger);
            let quiet_until = quiet_until.filter(|_| progress.leaving.is_none());
            let deadline = self.deadline.filter(|_| progress.leaving.is_none());
            let takes_lines = self.connection.is_open() && self.connection.has_room();
            tokio::select! {
                event = self.connection.next() => {
                    // After Close and Error nothing is asked for, so that there always is an event.
                    let Some(event) = event else { return progress.leaving.unwrap_or(Exit::Other) };
                    if let Some(exit) = self.take_event(&event, &mut progress) {
                        return exit;
                    }
                }
                line = next_line(&mut self.lines), if takes_lines => self.take_line(line, &mut progress),
                // An answer cannot come to what has not gone out.
                () = at(quiet_until) => match self.connection.has_unwritten() {
                    true => progress.quiet_since = Some(Instant::now()),
                    false => self.leave(Exit::Done, &mut progress),
                },
                () = at(deadline) => {
                    let exit = if self.goal.expect.is_some() { Exit::Expectation } else { Exit::Timeout };
                    self.report.note("= the time is over");
                    self.leave(exit, &mut progress);
                }
                _ = interrupts.recv() => {
                    if progress.leaving == Some(Exit::Interrupted) {
                        return Exit::Interrupted;
                    }
                    self.leave(Exit::Interrupted, &mut progress);
                }
            }
        }
    }

    /// Begins the closing handshake; what comes until the peer's Close is not shown.
    fn leave(&mut self, exit: Exit, progress: &mut Progress) {
        self.connection.queue_close(CloseCode::NORMAL, "");
        progress.leaving = Some(exit);
    }

    /// Gives the exit code when the connection has ended.
    fn take_event(&mut self, event: &Event, progress: &mut Progress) -> Option<Exit> {
        let is_end = matches!(event, Event::Close(_) | Event::Error(_));
        if progress.leaving.is_some() && !is_end {
            return None;
        }
        if self.report.event(event, self.auto_pong).is_err() {
            // The reader of stdout has seen enough.
            self.leave(Exit::Done, progress);
        }
        match event {
            Event::Message(message) => self.take_message(message, progress),
            Event::Ping(_) | Event::Pong(_) => {}
            Event::Error(_) => return Some(progress.leaving.unwrap_or(Exit::Protocol)),
            Event::Close(close) => {
                return Some(progress.leaving.unwrap_or_else(|| self.goal.unmet(close.code)));
            }
        }
        None
    }

    fn take_message(&mut self, message: &Message, progress: &mut Progress) {
        progress.messages += 1;
        if let Some(since) = &mut progress.quiet_since {
            *since = Instant::now();
        }
        if let Some(exit) = self.goal.judge(message, progress.messages) {
            self.leave(exit, progress);
        }
    }

    fn take_line(&mut self, line: Option<Result<String, LineError>>, progress: &mut Progress) {
        match line {
            None => {
                self.lines = None;
                progress.quiet_since = Some(Instant::now());
            }
            Some(Err(LineError(why))) => {
                say(format_args!("tidegate: {why}"));
                self.lines = None;
                self.leave(Exit::Other, progress);
            }
            Some(Ok(line)) if self.stdin == Kind::Terminal => self.obey(&line, progress),
            Some(Ok(line)) => self.send(tidegate_websocket::Message::Text(&line)),
        }
    }

    /// What a person typed.
    fn obey(&mut self, line: &str, progress: &mut Progress) {
        match Typed::parse(line) {
            Typed::Text(text) => self.send(tidegate_websocket::Message::Text(text)),
            Typed::Binary(bytes) => self.send(tidegate_websocket::Message::Binary(&bytes)),
            Typed::Ping(payload) => {
                let result = self.connection.queue_ping(payload.as_bytes());
                self.tell(result);
            }
            Typed::Close(code, reason) => {
                self.connection.queue_close(code, reason);
                progress.leaving = Some(Exit::Done);
            }
            Typed::File(path) => match read_file(&path) {
                Ok(bytes) => match std::str::from_utf8(&bytes) {
                    Ok(text) => self.send(tidegate_websocket::Message::Text(text)),
                    Err(_) => self.send(tidegate_websocket::Message::Binary(&bytes)),
                },
                Err(error) => self.report.note(&format!("{}: {error}", path.display())),
            },
            Typed::Help => self.report.note(HELP),
            Typed::Wrong(why) => self.report.note(&why),
        }
    }

    fn send(&mut self, message: tidegate_websocket::Message<'_>) {
        let result = self.connection.queue(message);
        // On a terminal a typed line is on the screen already.
        if result.is_ok() && self.stdin != Kind::Terminal {
            // A reader that has gone is noticed with what is received.
            let _ = self.report.sent(&message);
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
    /// The exit code, if this message, the `count`th, decides it.
    fn judge(&self, message: &Message, count: u64) -> Option<Exit> {
        let enough = self.messages.is_some_and(|wanted| count >= wanted);
        match &self.expect {
            Some(regex) if regex.is_match(&String::from_utf8_lossy(message.as_bytes())) => Some(Exit::Done),
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

async fn next_line(lines: &mut Option<Lines>) -> Option<Result<String, LineError>> {
    match lines {
        Some(lines) => lines.recv().await,
        None => future::pending().await,
    }
}

async fn at(time: Option<Instant>) {
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
