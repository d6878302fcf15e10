//! Publications in wire form: made once for each form and round, shared by all subscribers. Called by
//! the hub's fan-out; queues nothing.

use bytes::{BufMut, Bytes, BytesMut};
use tidegate_hub::{ChannelName, Encode, Epoch, Form, PayloadKind, Position, Publication, Updates};
use tidegate_protocol::{envelope, event_stream, lines, long_poll};
use tidegate_websocket::deflate::Effort;
use tidegate_websocket::frame::Header;
use tidegate_websocket::opcode::Opcode;

use super::answers::{Answers, Content};
use super::connection::Connection;
use super::packer::Packer;

/// Longest header of a server's frame: two bytes and a length in eight more (RFC 6455, section 5.2).
const SERVER_HEADER_MAX_BYTES: usize = 10;

/// Encodes for all doors of a shard. Keeps one buffer for envelopes.
#[derive(Debug)]
pub(crate) struct Encoder {
    text: Vec<u8>,
    frames: u64,
    answers: Answers,
    pub(super) packer: Packer,
}

impl Encoder {
    pub(crate) fn new(effort: Effort) -> Self {
        Self { text: Vec::new(), frames: 0, answers: Answers::default(), packer: Packer::new(effort) }
    }

    /// How many publications were encoded, over all forms.
    pub(crate) fn encoded(&self) -> u64 {
        self.frames
    }

    /// Lets go what is kept for answers and no answer holds any more.
    pub(crate) fn let_go(&mut self) {
        self.answers.let_go();
    }

    /// One text message to one client.
    pub(crate) fn text_frame(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> Bytes {
        self.text.clear();
        write(&mut self.text);
        frame_of(Opcode::Text, &self.text)
    }
}

impl Encoder {
    /// Publications as they stand in the answers to long polls.
    fn encode_answer(
        &mut self,
        updates: Updates,
        channel: &ChannelName,
        epoch: Epoch,
        publications: &[Publication],
    ) -> Bytes {
        let Some(content) = Content::of(channel, epoch, updates, publications) else { return Bytes::new() };
        if let Some(bytes) = self.answers.find(&content) {
            return bytes;
        }
        let mut output = Vec::with_capacity(publications.iter().map(|one| one.size_as(updates)).sum());
        self.frames += publications.len() as u64;
        for publication in publications {
            let position = Position { epoch, offset: publication.offset };
            match publication.patch(updates) {
                Some(patch) => long_poll::write_patch(&mut output, position, updates, patch),
                None => long_poll::write_publication(&mut output, position, publication),
            }
        }
        // An answer may be on its way for long, and no longer than it must be.
        let bytes = Bytes::from(output.into_boxed_slice());
        self.answers.note(content, &bytes);
        bytes
    }
}

/// A whole, unmasked frame, as a server sends it.
pub(crate) fn frame_of(opcode: Opcode, payload: &[u8]) -> Bytes {
    let mut output = BytesMut::with_capacity(payload.len() + SERVER_HEADER_MAX_BYTES);
    put_frame(&mut output, opcode, payload);
    output.freeze()
}

fn put_frame(output: &mut BytesMut, opcode: Opcode, payload: &[u8]) {
    let payload_length = payload.len() as u64;
    let header = Header { fin: true, compressed: false, opcode, mask: None, payload_length };
    output.put_slice(&header.encode());
    output.put_slice(payload);
}

impl Encode<Connection> for Encoder {
    fn encode(
        &mut self,
        form: Form,
        updates: Updates,
        channel: &ChannelName,
        epoch: Epoch,
        publications: &[Publication],
    ) -> Bytes {
        if form == Form::LongPoll {
            return self.encode_answer(updates, channel, epoch, publications);
        }
        let payload: usize = publications.iter().map(|one| one.size_as(updates)).sum();
        let mut output = BytesMut::with_capacity(payload + publications.len() * SERVER_HEADER_MAX_BYTES);
        self.frames += publications.len() as u64;
        for publication in publications {
            let position = Position { epoch, offset: publication.offset };
            match form {
                Form::Bare => {
                    let payload = &publication.item.payload;
                    put_frame(&mut output, opcode_of(payload.kind()), payload.bytes());
                }
                Form::Envelope => {
                    self.text.clear();
                    match publication.patch(updates) {
                        Some(patch) => {
                            envelope::write_patch(&mut self.text, channel, position, updates, patch);
                        }
                        None => envelope::write_message(&mut self.text, channel, position, publication),
                    }
                    put_frame(&mut output, Opcode::Text, &self.text);
                }
                Form::EventStream => {
                    self.text.clear();
                    match publication.patch(updates) {
                        Some(patch) => event_stream::write_patch(&mut self.text, position, patch),
                        None => event_stream::write_message(&mut self.text, position, publication),
                    }
                    output.put_slice(&self.text);
                }
                // It has been encoded above.
                Form::LongPoll => {}
                Form::Lines => {
                    self.text.clear();
                    match publication.patch(updates) {
                        Some(patch) => {
                            lines::write_patch(&mut self.text, channel, position, updates, patch);
                        }
                        None => lines::write_message(&mut self.text, channel, position, publication),
                    }
                    output.put_slice(&self.text);
                }
            }
        }
        output.freeze()
    }

    fn deflate(&mut self, encoded: &Bytes) -> Bytes {
        self.packer.shared(encoded)
    }

    fn deflate_own(&mut self, encoded: &Bytes, connection: &mut Connection) -> Bytes {
        match connection.transport.websocket_mut() {
            Some(websocket) => self.packer.own(encoded, websocket),
            None => encoded.clone(),
        }
    }
}

/// The opcode of a message with such a payload.
pub(crate) fn opcode_of(kind: PayloadKind) -> Opcode {
    match kind {
        PayloadKind::Text => Opcode::Text,
        PayloadKind::Binary => Opcode::Binary,
    }
}
