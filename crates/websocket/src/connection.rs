//! A WebSocket connection after its handshake, either role: the read side and the write side together.
//!
//! Here is what one side owes to the other: a Ping is answered, a Close is echoed, a broken rule closes the
//! connection. Bytes come from the caller and go into the caller's buffer.

use bytes::buf::Limit;

use crate::close::{Close, CloseCode};
use crate::deflate::{Effort, Parameters};
use crate::extension::Extensions;
use crate::frame::{EncodedHeader, Side};
use crate::mask::MaskKeys;
use crate::message::{Limits, Message, MessageKind};
use crate::opcode::Opcode;
use crate::read::{Arrival, Input, ProtocolError, ReadHalf};
use crate::write::{Fragment, SendError, WriteHalf};

/// Which end of the connection this is.
#[derive(Debug)]
pub enum Role {
    /// Accepted the connection: refuses unmasked frames, sends unmasked ones, ends the TCP connection.
    Server,
    /// Asked for it: refuses masked frames, and masks its own with these keys.
    Client(MaskKeys),
}

/// What came from the peer. It borrows from the input or from the connection until the next call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event<'a> {
    /// A whole message.
    Message(Message<'a>),
    /// A Ping. Its Pong has been written, unless our Close went before.
    Ping(&'a [u8]),
    /// A Pong, asked for or not.
    Pong(&'a [u8]),
    /// The connection ended. No event follows.
    Close(Close<'a>),
    /// The peer broke a rule and the connection ended. No event follows.
    Error(ProtocolError),
}

/// The write side of a connection while an event of its read side is lent.
#[derive(Debug)]
pub struct Answers<'c>(&'c mut WriteHalf);

/// One end of a WebSocket connection.
///
/// The two sides have their own states, and the states of RFC 6455 are their product:
///
/// ```text
///   read side    awaiting frames ──Close frame, broken rule, end of the bytes──▶ ended
///   write side   open ⇄ in a message ──Close frame written──▶ closed
///
///                       awaiting frames + open or in a message
///                                   OPEN, is_open()
///               close()  ╱                                  ╲  Close or a broken rule:
///                       ▼                                    ╲  our Close is written at once
///   awaiting frames + closed                                  ▼
///   CLOSING, is_closing() ──the peer's Close, a broken rule──▶ ended + closed
///                                                              CLOSED, is_closed()
///   any ──end of the bytes──▶ CLOSED
/// ```
///
/// It owns heap only while a frame or message has come in part, or is lent: what came of it, never what its
/// header claims, and at most the message limit and 125 bytes of a control frame beside it. A client's keys are
/// 96 bytes more, and contexts of permessage-deflate that are taken over what [`Connection::heap_bytes`] says.
/// Dropping it writes nothing.
#[derive(Debug)]
pub struct Connection {
    read: ReadHalf,
    write: WriteHalf,
}

impl Connection {
    /// An open connection: the handshake is done, and no frame has come or gone.
    #[must_use]
    pub fn new(role: Role, limits: Limits) -> Self {
        Self::with_extensions(role, limits, Extensions::default(), Effort::default())
    }

    /// An open connection whose handshake agreed on these extensions.
    ///
    /// With permessage-deflate, messages of [`Effort::min_bytes`] and more are compressed where that makes
    /// them shorter, and with takeover of our context always; the first fragment decides for its message.
    /// What the peer compressed is told as if it had not been.
    #[must_use]
    pub fn with_extensions(role: Role, limits: Limits, extensions: Extensions, effort: Effort) -> Self {
        let of_server = extensions.deflate.map(Parameters::of_server);
        let of_client = extensions.deflate.map(Parameters::of_client);
        match role {
            Role::Server => Self {
                read: ReadHalf::new(Side::Client, limits, of_client),
                write: WriteHalf::new(None, of_server, effort),
            },
            Role::Client(keys) => Self {
                read: ReadHalf::new(Side::Server, limits, of_server),
                write: WriteHalf::new(Some(keys), of_client, effort),
            },
        }
    }

    /// Takes one event out of `input`; call it again until it gives none, for then all input is taken.
    ///
    /// What the RFC demands as an answer is appended to `output`, framed: a Pong to a Ping, a Close to a
    /// Close and to a broken rule. **A call appends one frame at most**, so that the bytes it added are that
    /// frame, of 131 bytes at most and, on a server, never more than the frame that it answers (or the
    /// Close of a broken rule). Who cannot write should therefore stop reading, or drop all Pongs but the
    /// last, as section 5.5.3 allows.
    ///
    /// After our own Close, messages still come as events and Pings stay unanswered (section 1.4: nothing
    /// follows a Close). After the peer's Close or a broken rule, input is discarded.
    #[inline]
    pub fn handle_input<'c>(
        &'c mut self,
        input: &'c mut Input<'_>,
        output: &mut Vec<u8>,
    ) -> Option<Event<'c>> {
        self.handle_input_to_answer(input, output).map(|(event, _)| event)
    }

    /// As [`Connection::handle_input`], and lends the write side together with the event, so that a message
    /// can be answered with what it holds and without a copy between.
    #[inline]
    pub fn handle_input_to_answer<'c>(
        &'c mut self,
        input: &'c mut Input<'_>,
        output: &mut Vec<u8>,
    ) -> Option<(Event<'c>, Answers<'c>)> {
        let Self { read, write } = self;
        let event = match read.advance(input) {
            Ok(None) => return None,
            Ok(Some(Arrival::KeptMessage)) => Event::Message(read.kept_message()),
            Ok(Some(Arrival::KeptControl(opcode))) => {
                handle_control(opcode, read.kept_control(), write, output)
            }
            Ok(Some(Arrival::InInput(Opcode::Text, range))) => match text(input.slice(range)) {
                Ok(message) => Event::Message(message),
                Err(error) => fail(read, write, error, output),
            },
            Ok(Some(Arrival::InInput(Opcode::Binary | Opcode::Continuation, range))) => {
                Event::Message(Message::Binary(input.slice(range)))
            }
            Ok(Some(Arrival::InInput(opcode @ (Opcode::Close | Opcode::Ping | Opcode::Pong), range))) => {
                handle_control(opcode, input.slice(range), write, output)
            }
            Err(error) => fail(read, write, error, output),
        };
        Some((event, Answers(write)))
    }

    /// Where the next bytes of the socket may be read to at once, instead of into a buffer that is handed to
    /// [`Connection::handle_input`]: there is one while a long frame of an uncompressed binary message is coming,
    /// and it ends where that frame ends. Reading into it spares a copy.
    ///
    /// It grows with what came, never past the frame. Bytes may only be added. Call
    /// [`Connection::handle_payload`] when some were.
    pub fn payload_room(&mut self) -> Option<Limit<&mut Vec<u8>>> {
        self.read.payload_room()
    }

    /// Takes what was read into [`Connection::payload_room`]; gives the message that it completed.
    pub fn handle_payload(&mut self) -> Option<Event<'_>> {
        self.read.take_room().then(|| Event::Message(self.read.kept_message()))
    }

    /// Says that the peer's bytes ended, by their end or by a reset.
    ///
    /// Gives a Close with code 1006, unless the connection had ended before: by the peer's Close or by a
    /// broken rule, which were told then.
    pub fn handle_eof(&mut self) -> Option<Event<'static>> {
        let was_ended = self.read.is_ended();
        self.read.end();
        self.read.free();
        self.write.end();
        (!was_ended).then_some(Event::Close(Close {
            code: Some(CloseCode::ABNORMAL),
            reason: "",
            clean: false,
        }))
    }

    /// Begins the closing handshake; does nothing if a Close frame has been written or the connection ended.
    ///
    /// The reason is cut to 123 bytes, between characters. [`CloseCode::NO_STATUS`], like every code that
    /// may not stand in a frame, makes the Close frame empty, without reason. The peer's Close should be
    /// awaited only for a time, which the caller takes.
    pub fn close(&mut self, code: CloseCode, reason: &str, output: &mut Vec<u8>) {
        if !self.read.is_ended() {
            self.write.close(Some(code), reason, output);
        }
    }

    /// Appends a text message.
    #[inline]
    pub fn send_text(&mut self, text: &str, output: &mut Vec<u8>) -> Result<(), SendError> {
        self.send(Message::Text(text), output)
    }

    /// Appends a binary message.
    #[inline]
    pub fn send_binary(&mut self, bytes: &[u8], output: &mut Vec<u8>) -> Result<(), SendError> {
        self.send(Message::Binary(bytes), output)
    }

    /// Appends a message.
    #[inline]
    pub fn send(&mut self, message: Message<'_>, output: &mut Vec<u8>) -> Result<(), SendError> {
        self.writable()?.send(message, output)
    }

    /// The header of a message whose payload the caller writes right behind it, from where it lies: `writev` of
    /// both spares the copy of a long payload. It goes uncompressed.
    ///
    /// The caller owes exactly `payload_bytes` bytes, UTF-8 if it is text. None on a client, which has to mask,
    /// and where [`Connection::send`] gives an error.
    #[must_use]
    #[inline]
    pub fn header(&self, kind: MessageKind, payload_bytes: usize) -> Option<EncodedHeader> {
        if self.read.is_ended() { None } else { self.write.header(kind, payload_bytes) }
    }

    /// Appends one fragment of a message. The first decides the kind, and the others must be of it. Text is
    /// cut between characters, so that its parts are text.
    pub fn send_fragment(
        &mut self,
        piece: Message<'_>,
        fragment: Fragment,
        output: &mut Vec<u8>,
    ) -> Result<(), SendError> {
        self.writable()?.send_fragment(piece, fragment, output)
    }

    /// Appends a Ping of 125 bytes at most.
    pub fn send_ping(&mut self, payload: &[u8], output: &mut Vec<u8>) -> Result<(), SendError> {
        self.writable()?.send_control(Opcode::Ping, payload, output)
    }

    /// Appends a Pong of 125 bytes at most. Pings are answered without it; this is the unasked heartbeat of
    /// section 5.5.3.
    pub fn send_pong(&mut self, payload: &[u8], output: &mut Vec<u8>) -> Result<(), SendError> {
        self.writable()?.send_control(Opcode::Pong, payload, output)
    }

    /// Messages may be sent, and may come.
    #[must_use]
    pub fn is_open(&self) -> bool {
        !self.read.is_ended() && !self.write.is_closed()
    }

    /// Our Close was written; the peer's has not come.
    #[must_use]
    pub fn is_closing(&self) -> bool {
        !self.read.is_ended() && self.write.is_closed()
    }

    /// Nothing more will come or go: once `output` is written the TCP connection may be ended. The server
    /// ends it first; a client waits for that, for a time (section 7.1.1).
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.read.is_ended()
    }

    /// True if what the peer says next is the first byte of a message, or of a control frame between messages: who
    /// begins to look at its bytes can begin there.
    #[must_use]
    pub fn is_between_messages(&self) -> bool {
        self.read.is_between_messages()
    }

    /// A message has begun and not ended: a data frame's header has come, its last byte or last fragment
    /// has not. A message that is lent is no longer unfinished.
    #[must_use]
    pub fn has_unfinished_message(&self) -> bool {
        self.read.has_unfinished_message()
    }

    /// Bytes that are kept of headers and payloads: never more than came, or came out of what was compressed.
    #[must_use]
    pub fn unfinished_bytes(&self) -> usize {
        self.read.unfinished_bytes()
    }

    /// Bytes of heap that hold them: 0 between messages, else a fixed part below 200 bytes and at most
    /// twice what came, to which [`Connection::payload_room`] adds 64 KiB at most.
    ///
    /// Compression adds a decompressor of 48 KiB while a compressed message comes. Contexts that are taken
    /// over stay between messages, from the first compressed one on: with the feature `zlib-c` 7 KiB and the
    /// window for the peer's, and four windows and 14 KiB for ours; without it 48 KiB, and four windows and
    /// 144 KiB.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        self.read.heap_bytes() + self.write.heap_bytes()
    }

    #[inline]
    fn writable(&mut self) -> Result<&mut WriteHalf, SendError> {
        if self.read.is_ended() { Err(SendError::Closed) } else { Ok(&mut self.write) }
    }
}

impl Answers<'_> {
    /// Appends a message, as [`Connection::send`] does. After a Close or a broken rule nothing may be sent.
    pub fn send(&mut self, message: Message<'_>, output: &mut Vec<u8>) -> Result<(), SendError> {
        self.0.send(message, output)
    }
}

/// A text message that lies in the input.
#[inline]
fn text(payload: &[u8]) -> Result<Message<'_>, ProtocolError> {
    let text = simdutf8::compat::from_utf8(payload).map_err(|_| crate::message::MessageError::NotUtf8)?;
    Ok(Message::Text(text))
}

/// Answers a control frame, and tells it.
fn handle_control<'c>(
    opcode: Opcode,
    payload: &'c [u8],
    write: &mut WriteHalf,
    output: &mut Vec<u8>,
) -> Event<'c> {
    match opcode {
        Opcode::Ping => {
            // Fails only after our Close, when no answer is due.
            let _ = write.send_control(Opcode::Pong, payload, output);
            Event::Ping(payload)
        }
        Opcode::Close => match Close::decode(payload) {
            Ok(close) => {
                write.close(close.code, "", output);
                Event::Close(close)
            }
            Err(error) => tell_peer(write, error.into(), output),
        },
        Opcode::Pong | Opcode::Continuation | Opcode::Text | Opcode::Binary => Event::Pong(payload),
    }
}

/// Fails the connection (section 7.1.7): says why, if our Close has not gone yet, and reads no further.
fn fail(
    read: &mut ReadHalf,
    write: &mut WriteHalf,
    error: ProtocolError,
    output: &mut Vec<u8>,
) -> Event<'static> {
    read.end();
    read.free();
    tell_peer(write, error, output)
}

fn tell_peer(write: &mut WriteHalf, error: ProtocolError, output: &mut Vec<u8>) -> Event<'static> {
    write.close(Some(error.code()), error.reason(), output);
    Event::Error(error)
}
