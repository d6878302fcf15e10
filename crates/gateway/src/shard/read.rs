//! Reading: from ready sockets through the shard's one buffer, TLS where there is any, and the WebSocket
//! protocol into the inbox. What a message means is decided above the shard.

use std::io::{self, Read};
use std::time::{Duration, Instant};

use tidegate_hub::{Form, Payload, SessionId};
use tidegate_inspect::words::known::{self, Known};
use tidegate_websocket::connection::Event;
use tidegate_websocket::message::Message;
use tidegate_websocket::{CloseCode, Input, ProtocolError};

use super::connection::{Connection, End, Transport};
use super::ending::{Cause, Ended, Gone};
use super::inbox::{READS_A_ROUND, Said};
use super::records::{self, Opened};
use super::wheel::Tick;
use super::{Closing, SCRATCH_BYTES, Shard};

/// What a look at one event of the protocol decided, so that the borrow of the input can end.
enum Step {
    Said(Said),
    Alive,
    TooMany(&'static Known, Cause),
    PeerClosed(Option<u16>, Box<str>),
    Broken(ProtocolError),
}

enum Reading {
    /// As much as there was room for: there may be more.
    Full,
    /// Nothing more for now, unless it is the end.
    Short,
    /// Nothing more for now.
    Drained,
    /// The end of the peer's bytes, or an error.
    Ended(Gone),
}

impl Shard {
    /// Reads what is ready. True if the poller had more events than were taken.
    pub(super) fn read_ready(&mut self) -> io::Result<bool> {
        for _ in 0..self.unread.len() {
            if self.inbox.is_full() {
                break;
            }
            let Some(id) = self.unread.pop_front() else { break };
            if let Some(session) = self.hub.session_mut(id) {
                session.attachment.unread = false;
            }
            // Its end may have been told while it waited: read until there is nothing.
            self.read(id, true);
        }
        let mut events = std::mem::replace(&mut self.events, mio::Events::with_capacity(0));
        if let Err(error) = self.poll.poll(&mut events, Some(Duration::ZERO))
            && error.kind() != io::ErrorKind::Interrupted
        {
            self.events = events;
            return Err(error);
        }
        let mut count = 0;
        for event in &events {
            count += 1;
            let Some(id) = self.hub.id_at(event.token().0) else { continue };
            if event.is_writable() {
                self.has_room(id);
            }
            if event.is_readable() || event.is_read_closed() || event.is_error() {
                self.read(id, event.is_read_closed() || event.is_error());
            }
        }
        self.events = events;
        Ok(count == super::POLL_EVENTS)
    }

    /// Says how many letters of a client wait for their server. While as many do as may, no more of it is read:
    /// what it sends waits in the kernel.
    pub(crate) fn note_letters(&mut self, id: SessionId, waiting: usize) {
        let now = self.wheel.now();
        let most = self.generation.settings.limits.messages_max_pending as usize;
        let Some(session) = self.hub.session_mut(id) else { return };
        let connection = &mut session.attachment;
        connection.letters = u16::try_from(waiting).unwrap_or(u16::MAX);
        let was_paused = std::mem::replace(&mut connection.paused, waiting >= most);
        if was_paused && !connection.paused {
            connection.clock.excuse(now);
            connection.transport.wake();
            self.read_later(id);
        }
    }

    /// What the clients said since this was last called.
    pub(crate) fn take_inbox(&mut self) -> Vec<(SessionId, Said)> {
        self.inbox.take()
    }

    /// Reads a session in the next round.
    pub(super) fn read_later(&mut self, id: SessionId) {
        let Some(session) = self.hub.session_mut(id) else { return };
        if !std::mem::replace(&mut session.attachment.unread, true) {
            self.unread.push_back(id);
        }
    }

    /// Takes one from the session's allowance of subscriptions.
    pub(crate) fn may_subscribe(&mut self, id: SessionId) -> bool {
        let now = self.wheel.now();
        let limits = &self.generation.settings.limits;
        let (rate, burst) = (limits.subscribe_rate, limits.subscribe_burst);
        let Some(session) = self.hub.session_mut(id) else { return false };
        session.attachment.subscribes.take(rate, burst, now)
    }

    /// Reads one socket until it is drained or has had its share. `closed` says that the end is among
    /// what is to be read.
    fn read(&mut self, id: SessionId, closed: bool) {
        let waits = |connection: &Connection| connection.paused || connection.unread;
        if self.hub.session(id).is_none_or(|session| waits(&session.attachment)) {
            return;
        }
        if self.inbox.is_full() || !self.begin_turn(id) {
            self.read_later(id);
            return;
        }
        let mut scratch = std::mem::take(&mut self.scratch);
        if scratch.is_empty() {
            scratch = vec![0; SCRATCH_BYTES].into();
        }
        let mut turn = 0;
        loop {
            let reading = self.read_once(id, &mut scratch);
            if self.keeps_rest(id) {
                // An end that came with it is found again behind it.
                self.read_later(id);
                break;
            }
            match reading {
                // A short read has drained the socket, unless its end is still to be read.
                Reading::Short if closed => {}
                Reading::Full => {}
                Reading::Short | Reading::Drained => break,
                Reading::Ended(gone) => {
                    self.peer_ended(id, gone);
                    break;
                }
            }
            turn += 1;
            if turn == READS_A_ROUND {
                self.read_later(id);
                break;
            }
        }
        self.scratch = scratch;
    }

    /// Reads once and hands on what came.
    fn read_once(&mut self, id: SessionId, scratch: &mut [u8]) -> Reading {
        let Some(session) = self.hub.session_mut(id) else { return Reading::Drained };
        match &mut session.attachment.transport {
            Transport::Socket { stream, .. } => {
                let (count, reading) = read_socket(stream, scratch);
                if count > 0 {
                    self.take_bytes(id, &mut scratch[..count]);
                }
                reading
            }
            Transport::Tls { stream, .. } => {
                let (sealed, plain) = scratch.split_at_mut(SCRATCH_BYTES / 2);
                let (count, reading) = read_socket(stream, sealed);
                match self.open_records(id, &sealed[..count], plain) {
                    Ok(()) => reading,
                    Err(gone) => Reading::Ended(gone),
                }
            }
            Transport::Body { .. } | Transport::Stream { .. } | Transport::LongPoll(_) => Reading::Drained,
        }
    }

    /// Takes records off bytes of the socket, and hands on what was in them. An error is the end of what the
    /// client says, or that it broke TLS.
    fn open_records(&mut self, id: SessionId, mut sealed: &[u8], plain: &mut [u8]) -> Result<(), Gone> {
        loop {
            let Some(session) = self.hub.session_mut(id) else { return Ok(()) };
            let Transport::Tls { tls, .. } = &mut session.attachment.transport else { return Ok(()) };
            let opened = records::open(tls, &mut sealed, plain);
            match opened {
                Opened::Bytes(count) => self.take_bytes(id, &mut plain[..count]),
                Opened::Nothing | Opened::Ended | Opened::Broken => {
                    // Answers of TLS itself: to a change of keys, or the alert that says what was wrong.
                    if tls.wants_write() {
                        self.hub.mark_dirty(id);
                    }
                    return match opened {
                        Opened::Ended => Err(Gone::CloseNotify),
                        Opened::Broken => Err(Gone::BadTls),
                        Opened::Nothing | Opened::Bytes(_) => Ok(()),
                    };
                }
            }
        }
    }

    /// Begins a turn of a session with what its last has left. False if nothing more is to come in this one.
    fn begin_turn(&mut self, id: SessionId) -> bool {
        let most = self.generation.settings.limits.messages_max_pending;
        let Some(session) = self.hub.session_mut(id) else { return false };
        let form = session.form();
        let connection = &mut session.attachment;
        let messages = if form == Form::Envelope || connection.about.route.posts() {
            // Any of them may become a letter, and how many did is known when the inbox was taken.
            let spoke = std::mem::replace(&mut connection.spoke, self.inbox.taken());
            if spoke == connection.spoke {
                0
            } else {
                most.saturating_sub(u32::from(connection.letters)).max(1) as usize
            }
        } else {
            usize::MAX
        };
        self.inbox.begin_turn(messages);
        if connection.rest.is_empty() {
            return self.inbox.has_room();
        }
        let mut rest = connection.rest.take();
        self.handle_bytes(id, &mut rest);
        let done = !self.keeps_rest(id);
        if done && let Some(session) = self.hub.session_mut(id) {
            // The task of a stream keeps back what came meanwhile.
            session.attachment.transport.wake();
        }
        done && self.inbox.has_room()
    }

    /// Takes bytes that came by another way than [`Shard::read`].
    pub(super) fn hear(&mut self, id: SessionId, bytes: &mut [u8]) {
        self.begin_turn(id);
        self.take_bytes(id, bytes);
        if self.keeps_rest(id) {
            self.read_later(id);
        }
    }

    /// Takes bytes that came; behind others that wait they wait, too.
    fn take_bytes(&mut self, id: SessionId, bytes: &mut [u8]) {
        let Some(session) = self.hub.session_mut(id) else { return };
        let connection = &mut session.attachment;
        if connection.tally.is_tapped {
            self.taps.came(id, bytes, connection.is_between_messages(), self.wheel.now());
        }
        connection.tally.count_received(bytes.len(), self.wheel.now());
        self.counters.received_bytes += bytes.len() as u64;
        if connection.about.agreed.inflates() {
            self.counters.inflated_bytes += bytes.len() as u64;
        }
        if connection.rest.is_empty() {
            self.handle_bytes(id, bytes);
        } else {
            connection.rest.push(bytes);
        }
    }

    /// Hands bytes of a client to the protocol and what comes of it to the inbox, while there is room.
    fn handle_bytes(&mut self, id: SessionId, bytes: &mut [u8]) {
        let now = self.wheel.now();
        let mut replies = std::mem::take(&mut self.replies);
        replies.clear();
        let mut input = Input::new(bytes);
        let mut end = None;
        while self.inbox.has_room() {
            let Some(step) = self.next_step(id, &mut input, &mut replies, now) else { break };
            match step {
                Step::Alive => {}
                Step::Said(said) => self.inbox.push(id, said),
                other => {
                    end = Some(other);
                    break;
                }
            }
        }
        match end {
            Some(Step::PeerClosed(code, reason)) => self.peer_closed(id, code, &reason, &replies),
            Some(Step::Broken(error)) => self.peer_broke(id, error, &replies),
            Some(Step::TooMany(known, cause)) => {
                // The rest goes through the protocol, so that it stands between two frames when more comes.
                while self.next_step(id, &mut input, &mut replies, now).is_some() {}
                self.close(id, Closing { cause, ..Closing::of(known, known.name) });
            }
            Some(Step::Said(_) | Step::Alive) | None => {
                if !replies.is_empty() {
                    self.send(id, bytes::Bytes::copy_from_slice(&replies), 0);
                }
                self.note_unfinished(id, now);
                let left = input.remaining();
                if left > 0
                    && let Some(session) = self.hub.session_mut(id)
                {
                    session.attachment.rest.push(&bytes[bytes.len() - left..]);
                }
            }
        }
        self.replies = replies;
    }

    fn next_step(
        &mut self,
        id: SessionId,
        input: &mut Input<'_>,
        replies: &mut Vec<u8>,
        now: Tick,
    ) -> Option<Step> {
        let session = self.hub.session_mut(id)?;
        let connection = &mut session.attachment;
        connection.clock.pinged = Tick(0);
        let limits = &connection.about.route.limits;
        let control_rate = self.generation.settings.limits.ws_max_control_frames_per_s;
        let websocket = connection.transport.websocket_mut()?;
        let event = websocket.handle_input(input, replies)?;
        let rate = limits.ws_max_frames_per_s;
        if !connection.frames.take(rate, rate.saturating_mul(2), now) {
            return Some(Step::TooMany(known::FRAME_RATE, Cause::Frames));
        }
        Some(match event {
            Event::Message(message) => {
                self.counters.received_messages += 1;
                connection.tally.received_messages = connection.tally.received_messages.wrapping_add(1);
                if connection.about.agreed.inflates() {
                    self.counters.inflated_to_bytes += message.as_bytes().len() as u64;
                }
                Step::Said(Said::Message(payload_of(message)))
            }
            event @ (Event::Ping(_) | Event::Pong(_)) => {
                if matches!(event, Event::Pong(_)) {
                    connection.tally.pong_came(micros_since(self.started));
                }
                if connection.control_frames.take(control_rate, control_rate.saturating_mul(2), now) {
                    Step::Alive
                } else {
                    Step::TooMany(known::CONTROL_RATE, Cause::ControlFrames)
                }
            }
            Event::Close(close) => Step::PeerClosed(close.code.map(CloseCode::get), close.reason.into()),
            Event::Error(error) => Step::Broken(error),
        })
    }

    fn note_unfinished(&mut self, id: SessionId, now: Tick) {
        let Some(session) = self.hub.session_mut(id) else { return };
        let Some(websocket) = session.attachment.transport.websocket() else { return };
        let unfinished = websocket.has_unfinished_message();
        let clock = &mut session.attachment.clock;
        if !unfinished {
            clock.message_begun = Tick(0);
        } else if clock.message_begun == Tick(0) {
            clock.message_begun = now;
            self.look_anew(id);
        }
    }

    /// The peer's bytes have ended.
    fn peer_ended(&mut self, id: SessionId, gone: Gone) {
        self.log_end_of_peer(id);
        self.leaving.push((id, gone));
    }

    pub(super) fn log_end_of_peer(&mut self, id: SessionId) {
        let Some(session) = self.hub.session(id) else { return };
        // An end that was begun has been noted then.
        if session.attachment.end == End::Open {
            self.log_close(
                id,
                Ended { code: 1006, cause: Cause::Bytes },
                "the client ended without a close frame",
            );
        }
    }
}

/// How much came, and what that says about the next time.
fn read_socket(stream: &mut mio::net::TcpStream, into: &mut [u8]) -> (usize, Reading) {
    loop {
        return match stream.read(into) {
            Ok(0) => (0, Reading::Ended(Gone::Fin)),
            Ok(count) if count == into.len() => (count, Reading::Full),
            Ok(count) => (count, Reading::Short),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => (0, Reading::Drained),
            Err(error) => (0, Reading::Ended(Gone::of(&error))),
        };
    }
}

/// Microseconds since a moment.
pub(super) fn micros_since(start: Instant) -> u64 {
    u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX)
}

fn payload_of(message: Message<'_>) -> Payload {
    match message {
        Message::Text(text) => text.into(),
        Message::Binary(bytes) => Payload::binary(bytes::Bytes::copy_from_slice(bytes)),
    }
}
