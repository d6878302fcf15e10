//! Reading: from ready sockets through the shard's one buffer, TLS where there is any, and the WebSocket
//! protocol into the inbox. What a message means is decided above the shard.

use std::io::{self, Read};
use std::time::Duration;

use tidegate_hub::{Payload, SessionId};
use tidegate_websocket::connection::Event;
use tidegate_websocket::message::Message;
use tidegate_websocket::{CloseCode, Input, ProtocolError};

use super::connection::{End, Transport};
use super::records::{self, Opened};
use super::wheel::Tick;
use super::{Closing, SCRATCH_BYTES, Shard};

/// Reads of one socket in a round; what is left waits for the next, so that one talker does not hold up all.
const READS_A_ROUND: usize = 8;

/// What a client said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Said {
    /// A whole message.
    Message(Payload),
}

/// What a look at one event of the protocol decided, so that the borrow of the input can end.
enum Step {
    Said(Said),
    Alive,
    TooMany(&'static str),
    PeerClosed(Option<u16>),
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
    Ended,
}

impl Shard {
    /// Reads what is ready. True if the poller had more events than were taken.
    pub(super) fn read_ready(&mut self) -> io::Result<bool> {
        for _ in 0..self.unread.len() {
            let Some(id) = self.unread.pop_front() else { break };
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

    /// Reads no more of a client until [`Shard::resume_reading`]: what it sends waits in the kernel.
    pub(crate) fn pause_reading(&mut self, id: SessionId) {
        if let Some(session) = self.hub.session_mut(id) {
            session.attachment.paused = true;
        }
    }

    /// Reads on.
    pub(crate) fn resume_reading(&mut self, id: SessionId) {
        let now = self.wheel.now();
        let Some(session) = self.hub.session_mut(id) else { return };
        if std::mem::take(&mut session.attachment.paused) {
            session.attachment.clock.excuse(now);
            session.attachment.transport.wake();
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
        if self.hub.session(id).is_none_or(|session| session.attachment.paused) {
            return;
        }
        let mut scratch = std::mem::take(&mut self.scratch);
        if scratch.is_empty() {
            scratch = vec![0; SCRATCH_BYTES].into();
        }
        let mut turn = 0;
        loop {
            match self.read_once(id, &mut scratch) {
                // A short read has drained the socket, unless its end is still to be read.
                Reading::Short if closed => {}
                Reading::Full => {}
                Reading::Short | Reading::Drained => break,
                Reading::Ended => {
                    self.peer_ended(id);
                    break;
                }
            }
            turn += 1;
            if turn == READS_A_ROUND {
                self.unread.push_back(id);
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
                    self.handle_bytes(id, &mut scratch[..count]);
                }
                reading
            }
            Transport::Tls { stream, .. } => {
                let (sealed, plain) = scratch.split_at_mut(SCRATCH_BYTES / 2);
                let (count, reading) = read_socket(stream, sealed);
                if self.open_records(id, &sealed[..count], plain) { reading } else { Reading::Ended }
            }
            Transport::Body { .. } | Transport::Stream { .. } => Reading::Drained,
        }
    }

    /// Takes records off bytes of the socket, and hands on what was in them. False at the end of what the
    /// client says, or if it broke TLS.
    fn open_records(&mut self, id: SessionId, mut sealed: &[u8], plain: &mut [u8]) -> bool {
        loop {
            let Some(session) = self.hub.session_mut(id) else { return true };
            let Transport::Tls { tls, .. } = &mut session.attachment.transport else { return true };
            let opened = records::open(tls, &mut sealed, plain);
            match opened {
                Opened::Bytes(count) => self.handle_bytes(id, &mut plain[..count]),
                Opened::Nothing | Opened::Ended => {
                    // Answers of TLS itself: to a change of keys, or the alert that says what was wrong.
                    if tls.wants_write() {
                        self.hub.mark_dirty(id);
                    }
                    return matches!(opened, Opened::Nothing);
                }
            }
        }
    }

    /// Hands bytes of a client to the protocol and what comes of it to the inbox.
    pub(super) fn handle_bytes(&mut self, id: SessionId, bytes: &mut [u8]) {
        let now = self.wheel.now();
        self.counters.received_bytes += bytes.len() as u64;
        if self.hub.session(id).is_some_and(|session| session.attachment.about.agreed.inflates()) {
            self.counters.inflated_bytes += bytes.len() as u64;
        }
        let mut replies = std::mem::take(&mut self.replies);
        replies.clear();
        let mut input = Input::new(bytes);
        let mut end = None;
        while let Some(step) = self.next_step(id, &mut input, &mut replies, now) {
            match step {
                Step::Alive => {}
                Step::Said(said) => self.inbox.push((id, said)),
                other => {
                    end = Some(other);
                    break;
                }
            }
        }
        match end {
            Some(Step::PeerClosed(code)) => self.peer_closed(id, code, &replies),
            Some(Step::Broken(error)) => self.peer_broke(id, error, &replies),
            Some(Step::TooMany(reason)) => {
                // The rest goes through the protocol, so that it stands between two frames when more comes.
                while self.next_step(id, &mut input, &mut replies, now).is_some() {}
                self.close(id, Closing { code: CloseCode::POLICY_VIOLATION, reason, ..Closing::default() });
            }
            Some(Step::Said(_) | Step::Alive) | None => {
                if !replies.is_empty() {
                    self.send(id, bytes::Bytes::copy_from_slice(&replies), 0);
                }
                self.note_unfinished(id, now);
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
            return Some(Step::TooMany("ws_max_frames_per_s"));
        }
        Some(match event {
            Event::Message(message) => {
                self.counters.received_messages += 1;
                if connection.about.agreed.inflates() {
                    self.counters.inflated_to_bytes += message.as_bytes().len() as u64;
                }
                Step::Said(Said::Message(payload_of(message)))
            }
            Event::Ping(_) | Event::Pong(_) => {
                if connection.control_frames.take(control_rate, control_rate.saturating_mul(2), now) {
                    Step::Alive
                } else {
                    Step::TooMany("ws_max_control_frames_per_s")
                }
            }
            Event::Close(close) => Step::PeerClosed(close.code.map(CloseCode::get)),
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
    fn peer_ended(&mut self, id: SessionId) {
        self.log_end_of_peer(id);
        self.leaving.push(id);
    }

    pub(super) fn log_end_of_peer(&mut self, id: SessionId) {
        let Some(session) = self.hub.session(id) else { return };
        match session.attachment.end {
            End::AwaitEof(code) => self.log_close(id, code, "closing handshake complete"),
            End::Closing(code) => self.log_close(id, code, "the client ended before our close was answered"),
            End::Open => self.log_close(id, 1006, "the client ended without a close frame"),
        }
    }
}

/// How much came, and what that says about the next time.
fn read_socket(stream: &mut mio::net::TcpStream, into: &mut [u8]) -> (usize, Reading) {
    loop {
        return match stream.read(into) {
            Ok(0) => (0, Reading::Ended),
            Ok(count) if count == into.len() => (count, Reading::Full),
            Ok(count) => (count, Reading::Short),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => (0, Reading::Drained),
            Err(_) => (0, Reading::Ended),
        };
    }
}

fn payload_of(message: Message<'_>) -> Payload {
    match message {
        Message::Text(text) => text.into(),
        Message::Binary(bytes) => Payload::binary(bytes::Bytes::copy_from_slice(bytes)),
    }
}
