//! What moves a connection: takes events out of the bytes that came, writes, reads, and watches the time.
//!
//! One poll goes on until there is an event or everything would wait. What was queued while events were
//! taken is written when no more can be taken, so that the replies of one read leave together.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tidegate_websocket as websocket;
use tidegate_websocket::CloseCode;
use tokio::io::AsyncWrite;
use tokio::time::{Instant, sleep_until};

use super::{Connection, Link, Replies, Room, State, UNWRITTEN_MAX_BYTES};
use crate::event::{Close, End, Event, owned};
use crate::keep_alive::Due;

/// Unwritten bytes of answers (Pongs) beyond which nothing is read: a peer that asks and does not take the
/// answers gets no more of them.
const ANSWERS_MAX_BYTES: usize = 16 * 1024;

/// How long the end of the peer's bytes is awaited after a broken rule, so that a reset does not take away
/// the Close frame that says which (RFC 6455, section 7.1.1).
const GOODBYE_TIMEOUT: Duration = Duration::from_secs(1);

/// How long a peer is still read when what is awaited of it is late: a caller who comes late himself is told
/// what came in time, and a peer that never stops talking is not waited for.
const LATE_TIMEOUT: Duration = Duration::from_secs(1);

/// An event on its way to the caller.
pub(super) enum Taken<'t> {
    Flowing(websocket::Event<'t>, Replies<'t>),
    /// Close or Error.
    Last(Event),
}

/// The last event, and what is to be done before it is told.
#[derive(Debug)]
pub(super) struct Ending {
    event: Event,
    /// When it is told all the same; none is never.
    deadline: Option<Instant>,
    step: Step,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Our last bytes, the Close frame behind them.
    Write,
    /// The end of our side.
    Shutdown,
    /// The end of the peer's side, after a rule was broken.
    Drain,
    Done,
}

impl Connection {
    /// Ready when `take` was called with an event, or with none at the end. `needs_room`: an event is taken
    /// only when there is room for its answer.
    pub(super) fn poll_take<T>(
        &mut self,
        context: &mut Context<'_>,
        needs_room: bool,
        take: impl FnOnce(Taken<'_>) -> T,
    ) -> Poll<Option<T>> {
        loop {
            match self.0.state {
                State::Ended => return Poll::Ready(None),
                State::Ending(_) => {
                    ready!(self.poll_goodbye(context));
                    self.0.timer = None;
                    self.0.output.abandon();
                    let State::Ending(ending) = std::mem::replace(&mut self.0.state, State::Ended) else {
                        return Poll::Ready(None);
                    };
                    return Poll::Ready(Some(take(Taken::Last(ending.event))));
                }
                State::Open | State::AwaitingClose(_) => {}
            }
            if self.may_take(needs_room) && !self.0.input.is_empty() {
                let Link { protocol, input, output, pace, .. } = &mut *self.0;
                let mut unread = websocket::Input::new(input.unread());
                let before = output.unwritten();
                let appended = output.bytes().len();
                match protocol.handle_input_to_answer(&mut unread, output.bytes()) {
                    None => {
                        let remaining = unread.remaining();
                        input.keep(remaining);
                        output.settle();
                    }
                    Some((event @ (websocket::Event::Close(_) | websocket::Event::Error(_)), _)) => {
                        let event = owned(event);
                        input.clear();
                        self.end(event);
                    }
                    Some((event, answers)) => {
                        if let websocket::Event::Ping(_) = event {
                            if !pace.auto_pong {
                                // What a call appends is the one frame that answers.
                                output.bytes().truncate(appended);
                            }
                            output.note_answers(output.unwritten() - before);
                        }
                        let full = output.written() + UNWRITTEN_MAX_BYTES;
                        let room = Room { answers, output: output.bytes(), full };
                        let taken = take(Taken::Flowing(event, Replies(Some(room))));
                        let remaining = unread.remaining();
                        input.keep(remaining);
                        output.settle();
                        return Poll::Ready(Some(taken));
                    }
                }
                continue;
            }
            match ready!(self.poll_progress(context, needs_room)) {
                Ok(()) => {}
                Err(end) => self.end_without_close(end),
            }
        }
    }

    /// The peer must first take what it asked for.
    fn may_take(&self, needs_room: bool) -> bool {
        self.0.output.answers() <= ANSWERS_MAX_BYTES && (!needs_room || self.has_room())
    }

    /// Writes and reads at once: a peer that waits for us to read is read while it is written to. Ready when
    /// something came, or can be taken again; or when it is over.
    fn poll_progress(&mut self, context: &mut Context<'_>, needs_room: bool) -> Poll<Result<(), End>> {
        while self.0.output.is_pending() && self.poll_write(context).is_ready() {}
        if self.0.input.is_empty() {
            if let Some(end) = self.too_late() {
                return Poll::Ready(Err(end));
            }
            if let Poll::Ready(result) = self.poll_read(context) {
                return Poll::Ready(result);
            }
        } else if self.may_take(needs_room) {
            return Poll::Ready(Ok(()));
        }
        self.poll_deadline(context)
    }

    /// Writes once. Ready when something was written or flushed, or writing failed. Whoever writes does it
    /// here, so that what the peer takes counts.
    pub(super) fn poll_write(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let before = self.0.output.unwritten();
        let has_waited = self.0.output.has_waited();
        ready!(self.0.output.poll_write(&mut self.0.stream, context));
        if self.0.output.unwritten() < before {
            self.be_patient();
        }
        if has_waited {
            // There was no room on the way to the peer, and now there is: it took something. Bytes that are
            // taken without a wait may lie in buffers on this side.
            self.0.keep_alive.handle_life(self.0.pace.rhythm);
        }
        Poll::Ready(())
    }

    fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<Result<(), End>> {
        let result = match ready!(self.0.input.poll_read(&mut self.0.stream, context)) {
            Ok(0) => Err(End::EndOfStream),
            Ok(_) => {
                self.0.keep_alive.handle_life(self.0.pace.rhythm);
                Ok(())
            }
            // A TLS stream that ends without its own close notification is an end as any other.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(End::EndOfStream),
            Err(error) => Err(End::Lost(error.kind())),
        };
        Poll::Ready(result)
    }

    /// The peer took something: the time for its Close begins anew.
    fn be_patient(&mut self) {
        if let State::AwaitingClose(deadline) = &mut self.0.state {
            *deadline = Instant::now().checked_add(self.0.pace.close_timeout);
        }
    }

    /// The end, if what is awaited of the peer is late by so much that no more is read.
    fn too_late(&mut self) -> Option<End> {
        let (deadline, end) = match self.0.state {
            State::AwaitingClose(deadline) => (deadline, End::NoAnswer),
            _ => (self.stalled_at(), End::Lost(io::ErrorKind::TimedOut)),
        };
        let Some(now) = deadline.and_then(|at| Some(Instant::now()).filter(|now| at <= *now)) else {
            self.0.late_since = None;
            return None;
        };
        let since = *self.0.late_since.get_or_insert(now);
        (now.duration_since(since) >= LATE_TIMEOUT).then_some(end)
    }

    /// Ready when something that is awaited did not come in time, or when a Ping was due.
    fn poll_deadline(&mut self, context: &mut Context<'_>) -> Poll<Result<(), End>> {
        if let State::AwaitingClose(deadline) = self.0.state {
            ready!(self.poll_timer(deadline, context));
            return Poll::Ready(Err(End::NoAnswer));
        }
        let stalled = self.stalled_at();
        let silent = self.poll_silence();
        let silent_at = silent.map(|(at, _)| at);
        let first = stalled.into_iter().chain(silent_at).min();
        ready!(self.poll_timer(first, context));
        match silent {
            Some((at, due)) if Some(at) == first => match due {
                Due::GiveUp => Poll::Ready(Err(End::NoPong)),
                Due::Ping => {
                    self.0.keep_alive.handle_ping();
                    // There is room, for nothing waits; on a closing connection nothing is awaited but its end.
                    let _ = self.queue_ping(b"");
                    Poll::Ready(Ok(()))
                }
            },
            _ => Poll::Ready(Err(End::Lost(io::ErrorKind::TimedOut))),
        }
    }

    /// What silence makes due. While something waits to be written, a Ping would stand behind it, and the
    /// peer may not even be read (see `may_take`): what it takes is what counts then.
    fn poll_silence(&self) -> Option<(Instant, Due)> {
        if self.0.output.is_pending() {
            return None;
        }
        self.0.keep_alive.poll_timeout(self.0.pace.rhythm)
    }

    /// Ready when the peer took nothing for too long.
    pub(super) fn poll_stalled(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let at = self.stalled_at();
        self.poll_timer(at, context)
    }

    fn stalled_at(&mut self) -> Option<Instant> {
        self.0.output.stalled_since()?.checked_add(self.0.pace.stall_timeout)
    }

    /// Ready at the time; without one never. A timer that is armed for earlier is left alone until it fires,
    /// because times mostly move on.
    fn poll_timer(&mut self, at: Option<Instant>, context: &mut Context<'_>) -> Poll<()> {
        let Some(at) = at else {
            // While something waits to be written, the other half of a split connection may watch the time.
            if !self.0.output.is_pending() {
                self.0.timer = None;
            }
            return Poll::Pending;
        };
        let timer = self.0.timer.get_or_insert_with(|| Box::pin(sleep_until(at)));
        if timer.deadline() > at {
            timer.as_mut().reset(at);
        }
        loop {
            ready!(timer.as_mut().poll(context));
            if timer.deadline() >= at {
                self.0.timer = None;
                return Poll::Ready(());
            }
            timer.as_mut().reset(at);
        }
    }

    fn end_without_close(&mut self, end: End) {
        // The connection ends here whatever the protocol has to say.
        let _ = self.0.protocol.handle_eof();
        self.0.output.is_broken = true;
        self.0.input.clear();
        self.end(Event::Close(Close { code: CloseCode::ABNORMAL, reason: String::new(), end }));
    }

    fn end(&mut self, event: Event) {
        let patience = match event {
            Event::Error(_) => self.0.pace.close_timeout.min(GOODBYE_TIMEOUT),
            _ => self.0.pace.close_timeout,
        };
        self.0.output.settle();
        let step = if self.0.output.is_broken { Step::Done } else { Step::Write };
        let deadline = Instant::now().checked_add(patience);
        self.0.state = State::Ending(Box::new(Ending { event, deadline, step }));
    }

    /// Writes our Close frame, ends our side, and after a broken rule awaits the end of the other. Ready
    /// when that is done, has failed, or takes too long.
    fn poll_goodbye(&mut self, context: &mut Context<'_>) -> Poll<()> {
        loop {
            let State::Ending(ending) = &mut self.0.state else { return Poll::Ready(()) };
            let (step, deadline) = (ending.step, ending.deadline);
            let next = match step {
                Step::Done => return Poll::Ready(()),
                Step::Write if self.0.output.is_pending() => {
                    self.0.output.poll_write(&mut self.0.stream, context).map(|()| Step::Write)
                }
                Step::Write if self.0.output.is_broken => Poll::Ready(Step::Done),
                Step::Write => Poll::Ready(Step::Shutdown),
                Step::Shutdown => match Pin::new(&mut self.0.stream).poll_shutdown(context) {
                    Poll::Ready(Ok(())) if matches!(ending.event, Event::Error(_)) => {
                        Poll::Ready(Step::Drain)
                    }
                    other => other.map(|_| Step::Done),
                },
                Step::Drain if deadline.is_some_and(|deadline| deadline <= Instant::now()) => {
                    Poll::Ready(Step::Done)
                }
                Step::Drain => {
                    self.0.input.poll_read(&mut self.0.stream, context).map(|result| match result {
                        Ok(0) | Err(_) => Step::Done,
                        Ok(_) => Step::Drain,
                    })
                }
            };
            let next = match next {
                Poll::Ready(next) => next,
                Poll::Pending => {
                    ready!(self.poll_timer(deadline, context));
                    Step::Done
                }
            };
            self.0.input.clear();
            if let State::Ending(ending) = &mut self.0.state {
                ending.step = next;
            }
        }
    }
}
