//! One connection of the recording, once more: its steps go out when they are due, and what comes is compared.
//!
//! In step, a message also waits for what had come before it; the end of the connection always does. What does not come
//! in time is missing, and the rest goes on without it.

use std::future;
use std::time::Duration;

use tidegate_client::{CloseCode, ConnectError, Connection, Event, Message, connect};
use tidegate_inspect::event::Direction;
use tidegate_inspect::filter::JsonPlaces;
use tidegate_inspect::head::Secrets;
use tidegate_inspect::replay::{Action, Alignment, Heard, Script, Step};
use tidegate_inspect::timestamp::Timestamp;
use tidegate_websocket as websocket;
use tokio::time::{Instant, sleep_until};

use super::report::Report;
use super::request::Request;
use crate::arguments::Speed;
use crate::connect::{closed_event, connect_failure, message_event, open_event};
use crate::exit::Failure;

/// What holds for all connections.
pub(super) struct Plan {
    pub(super) speed: Speed,
    pub(super) in_step: bool,
    /// How long what is due may be late.
    pub(super) timeout: Duration,
    /// How long more than was recorded is listened for.
    pub(super) linger: Duration,
    pub(super) ignore: Vec<JsonPlaces>,
    pub(super) unordered: bool,
}

/// How it ended.
pub(super) enum Ended {
    Played,
    /// The server broke a rule.
    Broken,
    /// There was no connection.
    Failed(Failure),
}

struct Player<'p> {
    plan: &'p Plan,
    report: &'p Report,
    conn: &'p str,
    began: Instant,
    /// When what happens at `began` now happened then.
    first: Timestamp,
    steps: &'p [Step],
    /// Steps that were taken.
    taken: usize,
    expected: usize,
    /// When the last message of the server had come.
    last_expected: Timestamp,
    came: usize,
    /// The last time that anything came or went.
    last: Instant,
    /// The server's close.
    close: Option<&'p (Timestamp, u16, String)>,
    alignment: Alignment,
    /// Our Close has been queued.
    is_leaving: bool,
    /// What did not come is not awaited any more.
    has_given_up: bool,
}

/// What the loop waits for beside events of the connection.
enum Next {
    /// To take the next step at this time.
    Step(Instant),
    /// To give up what is late at this time.
    GiveUp(Instant),
    /// To close at this time, if nothing more comes.
    Leave(Instant),
    Nothing,
}

/// Plays the script to its end.
pub(super) async fn play(request: Request, script: Script, plan: &Plan, report: &Report) -> Ended {
    let Script { conn, opened, began: first, steps, expected, close, refused, .. } = script;
    report.hidden(&conn, &request.hidden);
    let connected = connect(&request.url, request.options.clone()).await;
    let mut connection = match (connected, refused) {
        (Err(ConnectError::Refused(now)), Some(then)) if opened.is_none() => {
            report.refused(&conn, then, Some(now.status));
            return Ended::Played;
        }
        (Err(error), _) => {
            let (mut failure, status) = connect_failure(&request.url, &error);
            if matches!(status, Some(401 | 403)) && !request.hidden.is_empty() {
                failure.mend =
                    Some(format!("the recording hides {}: give it with -H", request.hidden.join(", ")));
            }
            return Ended::Failed(failure);
        }
        (Ok(connection), _) => connection,
    };
    if let Some(opened) = connection.take_opened() {
        report.event(&conn, || open_event(&request.url, &opened, Secrets::Hide));
    }
    if let Some(then) = refused.filter(|_| opened.is_none()) {
        report.refused(&conn, then, None);
    }
    let last_expected = expected.last().map_or(first, |heard: &Heard| heard.at);
    let mut player = Player {
        plan,
        report,
        conn: &conn,
        began: Instant::now(),
        first: opened.unwrap_or(first),
        steps: &steps,
        taken: 0,
        expected: expected.len(),
        last_expected,
        came: 0,
        last: Instant::now(),
        close: close.as_ref(),
        alignment: Alignment::new(expected, plan.ignore.clone(), plan.unordered),
        is_leaving: false,
        has_given_up: false,
    };
    player.run(&mut connection).await
}

impl Player<'_> {
    async fn run(&mut self, connection: &mut Connection) -> Ended {
        loop {
            let next = if connection.has_room() { self.next() } else { Next::Nothing };
            tokio::select! {
                event = connection.next() => match event {
                    Some(Event::Message(message)) => self.take(&message),
                    Some(Event::Ping(_) | Event::Pong(_)) => {}
                    Some(Event::Close(close)) => {
                        self.report.event(self.conn, || closed_event(&close, self.is_leaving));
                        self.end(close.code.get(), &close.reason);
                        return Ended::Played;
                    }
                    Some(Event::Error(error)) => {
                        self.end(error.rule().code.get(), "");
                        self.report.broken(self.conn, &error);
                        return Ended::Broken;
                    }
                    None => return Ended::Played,
                },
                () = until(&next) => match next {
                    Next::Step(_) => {
                        if self.step(connection) {
                            return Ended::Played;
                        }
                    }
                    Next::GiveUp(_) => {
                        self.has_given_up = true;
                        self.report.late(self.conn, self.came, self.expected, self.close.is_some());
                        self.last = Instant::now();
                    }
                    Next::Leave(_) => self.leave(connection, CloseCode::NORMAL, ""),
                    Next::Nothing => {}
                },
            }
        }
    }

    fn next(&self) -> Next {
        if self.is_leaving {
            return Next::Nothing;
        }
        let late = || Next::GiveUp(self.last.max(self.due(self.last_expected)) + self.plan.timeout);
        let Some(step) = self.steps.get(self.taken) else {
            // The server closes, or nobody did.
            return match self.close {
                Some((at, ..)) if !self.has_given_up => {
                    Next::GiveUp(self.last.max(self.due(*at)) + self.plan.timeout)
                }
                None if !self.has_given_up && self.came < self.expected => late(),
                _ => Next::Leave(self.last + self.plan.linger),
            };
        };
        let is_end = step.action.is_end();
        if (is_end || self.plan.in_step) && self.came < step.after && !self.has_given_up {
            return late();
        }
        let due = self.due(step.at);
        // Where times do not count, more than was recorded would come behind the end.
        let is_hurried = is_end && self.plan.speed == Speed::Max;
        Next::Step(if is_hurried { due.max(self.last + self.plan.linger) } else { due })
    }

    fn due(&self, at: Timestamp) -> Instant {
        self.plan.due(self.began, self.first, at)
    }

    /// Takes the next step. True if the connection is left with it.
    fn step(&mut self, connection: &mut Connection) -> bool {
        let Some(step) = self.steps.get(self.taken) else { return false };
        self.taken += 1;
        let (report, conn) = (self.report, self.conn);
        let sent = match &step.action {
            Action::Text(text) => connection.queue(websocket::Message::Text(text)),
            Action::Binary(bytes) => connection.queue(websocket::Message::Binary(bytes)),
            Action::Ping(payload) => connection.queue_ping(payload),
            Action::Close(code, reason) => {
                self.leave(connection, CloseCode::new(*code), reason);
                Ok(())
            }
            Action::Leave => {
                self.finish();
                return true;
            }
        };
        match (&step.action, sent) {
            (_, Err(error)) => report.unsent(conn, &error),
            (Action::Text(text), Ok(())) => report.sent(conn, "text", text.as_bytes()),
            (Action::Binary(bytes), Ok(())) => report.sent(conn, "binary", bytes),
            _ => {}
        }
        if !self.plan.in_step {
            self.last = Instant::now();
        }
        false
    }

    fn leave(&mut self, connection: &mut Connection, code: CloseCode, reason: &str) {
        connection.queue_close(code, reason);
        self.is_leaving = true;
    }

    fn take(&mut self, message: &Message) {
        self.came += 1;
        self.last = Instant::now();
        let is_text = matches!(message, Message::Text(_));
        let op = if is_text { "text" } else { "binary" };
        self.report.event(self.conn, || message_event(Direction::ToClient, op, message.as_bytes()));
        let (report, conn) = (self.report, self.conn);
        self.alignment
            .handle_message(is_text, message.as_bytes(), &mut |outcome| report.outcome(conn, &outcome));
    }

    /// The connection has ended with this code.
    fn end(&mut self, code: u16, reason: &str) {
        self.finish();
        let unsent = self.steps[self.taken..].iter().filter(|step| step.action.is_message()).count();
        let recorded = self.close.map(|(_, code, reason)| (*code, reason.as_str()));
        match recorded {
            // We closed, as was recorded or for want of an end; the answer's code is ours.
            None if self.is_leaving => {}
            Some((then, why)) if !self.is_leaving && then == code && why == reason && unsent == 0 => {}
            recorded => {
                self.report.close(self.conn, recorded, (!self.is_leaving).then_some((code, reason)), unsent)
            }
        }
    }

    fn finish(&mut self) {
        let (report, conn) = (self.report, self.conn);
        self.alignment.handle_end(&mut |outcome| report.outcome(conn, &outcome));
    }
}

async fn until(next: &Next) {
    match next {
        Next::Step(time) | Next::GiveUp(time) | Next::Leave(time) => sleep_until(*time).await,
        Next::Nothing => future::pending().await,
    }
}
