//! Writing: what a session's queue holds leaves in one vectored write, or as TLS records in portions, and
//! the rest waits for room. Bytes come from the hub's queues.

use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::task::Waker;

use bytes::Bytes;
use mio::net::TcpStream;
use rustix::io::Errno;
use rustix::net::{SendAncillaryBuffer, SendFlags, send, sendmsg};
use rustls::ServerConnection;
use tidegate_hub::{SendQueue, SessionId};

use super::Shard;
use super::connection::{Connection, End, Transport};
use super::ending::{Cause, Ended, Gone};
use super::records::{self, Wire};
use super::tally::Tally;
use super::wheel::Tick;
use crate::metrics::Counters;

/// Slices of one vectored write. What is beyond them goes with the next.
const SLICES: usize = 64;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flushed {
    /// All is written.
    Empty,
    /// The socket took what it could.
    Blocked,
    /// The socket is broken.
    Broken,
    /// Handed to the task that owns the body.
    Handed,
}

/// What a queue held before the transport took something of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Waiting {
    bytes: usize,
    messages: u32,
}

impl Waiting {
    pub(super) fn of(queue: &SendQueue) -> Self {
        Self { bytes: queue.bytes(), messages: queue.messages() }
    }

    /// Counts what was taken: gives its bytes.
    pub(super) fn count_sent(
        self,
        queue: &SendQueue,
        counters: &mut Counters,
        tally: &mut Tally,
        now: Tick,
    ) -> usize {
        let left = Self::of(queue);
        let sent = Self { bytes: self.bytes - left.bytes, messages: self.messages - left.messages };
        if sent.bytes > 0 {
            sent.count_all(counters, tally, now);
        }
        sent.bytes
    }

    /// The same where all was taken.
    #[inline]
    fn count_all(self, counters: &mut Counters, tally: &mut Tally, now: Tick) {
        tally.count_sent(self.bytes, self.messages, now);
        counters.sent_bytes += self.bytes as u64;
        counters.written_messages += u64::from(self.messages);
    }
}

impl Shard {
    /// Writes what waits for one session.
    pub(super) fn flush(&mut self, id: SessionId) {
        let Some(session) = self.hub.session_mut(id) else { return };
        let connection = &mut session.attachment;
        let (flushed, progress) = match &mut connection.transport {
            Transport::Socket { stream, .. } => {
                let waiting = Waiting::of(&session.queue);
                let (queue, writes) = (&mut session.queue, &mut self.counters.writes);
                let flushed = if connection.tally.is_tapped {
                    let now = self.wheel.now();
                    write_all_it_takes(stream, queue, writes, |queue, count| {
                        self.taps.went_of(id, queue, count, now);
                    })
                } else {
                    write_all_it_takes(stream, queue, writes, |_, _| {})
                };
                if flushed == Flushed::Empty && connection.end == End::Open {
                    waiting.count_all(&mut self.counters, &mut connection.tally, self.wheel.now());
                    connection.clock.stalled = Tick(0);
                    if session.is_behind() {
                        self.catch_up(id);
                    }
                    return;
                }
                let (tally, now) = (&mut connection.tally, self.wheel.now());
                let sent = waiting.count_sent(&session.queue, &mut self.counters, tally, now);
                (flushed, sent > 0)
            }
            Transport::Tls { stream, tls, .. } => {
                let waiting = Waiting::of(&session.queue);
                let (is_tapped, now) = (connection.tally.is_tapped, self.wheel.now());
                let (queue, writes) = (&mut session.queue, &mut self.counters.writes);
                let flushed = seal_all_it_takes(stream, tls, queue, writes, |queue, count| {
                    if is_tapped {
                        self.taps.went_of(id, queue, count, now);
                    }
                });
                let tally = &mut connection.tally;
                waiting.count_sent(&session.queue, &mut self.counters, tally, now);
                flushed
            }
            transport @ (Transport::Body { .. } | Transport::Stream { .. } | Transport::LongPoll(_)) => {
                transport.wake();
                (Flushed::Handed, false)
            }
        };
        self.after_flush(id, flushed, progress);
    }

    fn after_flush(&mut self, id: SessionId, flushed: Flushed, progress: bool) {
        let now = self.wheel.now();
        let Some(session) = self.hub.session_mut(id) else { return };
        let is_behind = session.is_behind();
        let connection = &mut session.attachment;
        match flushed {
            Flushed::Empty => {
                connection.clock.stalled = Tick(0);
                if connection.end == End::Open && is_behind {
                    self.catch_up(id);
                    return;
                }
                match (connection.end, &connection.transport) {
                    (End::Closing(code), _) => self.shut_if_closed(id, code),
                    (End::AwaitEof(_), Transport::Tls { stream, .. }) => {
                        let _ = stream.shutdown(Shutdown::Write);
                    }
                    _ => {}
                }
            }
            Flushed::Blocked => {
                connection.tally.note_queue(session.queue.bytes());
                let first = connection.clock.stalled == Tick(0);
                if first || progress {
                    connection.clock.stalled = now;
                }
                if first {
                    self.look_anew(id);
                }
            }
            Flushed::Handed => {
                connection.tally.note_queue(session.queue.bytes());
                if connection.clock.stalled == Tick(0) && !session.queue.is_empty() {
                    connection.clock.stalled = now;
                    self.look_anew(id);
                }
            }
            Flushed::Broken => {
                let ended = Ended { code: 1006, cause: Cause::Bytes };
                self.log_close(id, ended, "the connection broke while writing");
                self.forget(id, Gone::WriteFailed);
            }
        }
    }

    /// All of a closing session's bytes are written: once both sides have said Close, or there is nothing
    /// to wait for, the server ends the connection first (RFC 6455, section 7.1.1).
    fn shut_if_closed(&mut self, id: SessionId, code: u16) {
        let Some(session) = self.hub.session_mut(id) else { return };
        let connection = &mut session.attachment;
        let closed = connection.transport.websocket().is_some_and(tidegate_websocket::Connection::is_closed);
        if !closed || connection.end != End::Closing(code) {
            return;
        }
        connection.end = End::AwaitEof(code);
        match &mut connection.transport {
            Transport::Socket { stream, .. } => {
                // Dropping a socket with unread bytes would reset it and could cost the peer our last frame.
                let _ = stream.shutdown(Shutdown::Write);
            }
            Transport::Tls { tls, .. } => {
                // The socket is shut when this has left (RFC 8446, section 6.1).
                tls.send_close_notify();
                self.hub.mark_dirty(id);
            }
            Transport::Body { .. } | Transport::Stream { .. } | Transport::LongPoll(_) => {}
        }
    }

    /// A socket that had no room has some again.
    pub(super) fn has_room(&mut self, id: SessionId) {
        let waits = |session: &tidegate_hub::Session<Connection>| {
            !session.queue.is_empty() || session.attachment.transport.has_records()
        };
        if self.hub.session(id).is_some_and(waits) {
            self.hub.mark_dirty(id);
        }
    }
}

/// Writes until the queue is empty or the socket takes no more: once, but for very long queues. `wrote` is told of
/// what was taken before the queue is rid of it.
///
/// The calls go to the kernel without the C library's wrappers, whose cancellation points cost as much in
/// user space as all else that a delivery does here.
fn write_all_it_takes(
    stream: &TcpStream,
    queue: &mut SendQueue,
    writes: &mut u64,
    mut wrote: impl FnMut(&SendQueue, usize),
) -> Flushed {
    while !queue.is_empty() {
        *writes += 1;
        let written = match queue.single() {
            Some(bytes) => send(stream, bytes, SendFlags::NOSIGNAL),
            None => {
                let mut slices = [IoSlice::new(&[]); SLICES];
                let count = queue.fill(&mut slices);
                let mut control = SendAncillaryBuffer::default();
                sendmsg(stream, &slices[..count], &mut control, SendFlags::NOSIGNAL)
            }
        };
        match written {
            Ok(0) => return Flushed::Broken,
            Ok(count) => {
                wrote(queue, count);
                queue.advance(count);
            }
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => return Flushed::Blocked,
            Err(_) => return Flushed::Broken,
        }
    }
    Flushed::Empty
}

/// Writes until the queue is empty and all records made of it have left, or the socket takes no more. Says
/// too whether it took anything. What is not made into records stays in the queue, where it counts.
fn seal_all_it_takes(
    stream: &TcpStream,
    tls: &mut ServerConnection,
    queue: &mut SendQueue,
    writes: &mut u64,
    mut sealed: impl FnMut(&SendQueue, usize),
) -> (Flushed, bool) {
    let mut progress = false;
    loop {
        while tls.wants_write() {
            match tls.write_tls(&mut Wire { stream, writes }) {
                Ok(0) => return (Flushed::Broken, progress),
                Ok(_) => progress = true,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return (Flushed::Blocked, progress);
                }
                Err(_) => return (Flushed::Broken, progress),
            }
        }
        if queue.is_empty() {
            return (Flushed::Empty, progress);
        }
        let count = records::seal(tls, queue);
        if count == 0 {
            return (Flushed::Broken, progress);
        }
        sealed(queue, count);
        queue.advance(count);
    }
}

/// What an HTTP body gets from its session.
pub(crate) enum BodyPart {
    Bytes(Bytes),
    /// Nothing now; the waker is kept.
    Pending,
    /// All was taken and nothing follows.
    End,
}

impl Shard {
    /// Takes what waits for a session whose transport is an HTTP body.
    pub(crate) fn take_body(&mut self, id: SessionId, waiting: &Waker) -> BodyPart {
        let Some(session) = self.hub.session_mut(id) else { return BodyPart::End };
        session.attachment.clock.stalled = Tick(0);
        if !session.queue.is_empty() {
            let waiting = Waiting::of(&session.queue);
            let bytes = session.queue.take_joined();
            if session.attachment.tally.is_tapped {
                self.taps.went(id, &bytes, self.wheel.now());
            }
            let (tally, now) = (&mut session.attachment.tally, self.wheel.now());
            waiting.count_sent(&session.queue, &mut self.counters, tally, now);
            self.catch_up(id);
            return BodyPart::Bytes(bytes);
        }
        if session.is_ending() {
            return BodyPart::End;
        }
        if let Transport::Body { waker, .. } = &mut session.attachment.transport {
            *waker = Some(waiting.clone());
        }
        BodyPart::Pending
    }

    /// The HTTP answer is over, whoever ended it.
    pub(crate) fn body_dropped(&mut self, id: SessionId) {
        let Some(session) = self.hub.session(id) else { return };
        let gone = match session.attachment.end {
            End::Closing(_) | End::AwaitEof(_) if session.queue.is_empty() => Gone::Answered,
            End::Open | End::Closing(_) | End::AwaitEof(_) => Gone::Broken,
        };
        // An end that was begun has been noted then.
        self.log_close(id, Ended { code: 1006, cause: Cause::Bytes }, "the client ended the stream");
        self.forget(id, gone);
    }
}
