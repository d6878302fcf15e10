//! The frames of one direction: found, unmasked, decompressed and judged as they come.
//!
//! Each rule is judged by the codec of `tidegate-websocket` or, between frames, in its words; nothing stops here
//! because a rule was broken.

use tidegate_websocket::close::Close;
use tidegate_websocket::deflate::{OnlookerError, OnlookerInflater, Parameters};
use tidegate_websocket::frame::{HEADER_MAX_BYTES, Header, Side};
use tidegate_websocket::message::MessageError;
use tidegate_websocket::{Extensions, Opcode, mask};

use super::utf8_check::Utf8Check;
use crate::event::{Counts, Direction, Frame, Message, Violation};
use crate::header::WireHeader;
use crate::payload::Payload;

/// Bytes that are unmasked at once.
const PIECE_BYTES: usize = 8 * 1024;

/// What comes out of a direction.
pub(super) enum Found {
    Frame(Box<Frame>),
    Message(Box<Message>),
    /// Why something cannot be shown.
    Unread(OnlookerError),
    /// Frames can be told apart again; so many bytes were passed over.
    Again(u64),
}

/// One direction.
#[derive(Debug)]
pub(super) struct Half {
    dir: Direction,
    extensions: Extensions,
    payload_max_bytes: usize,
    inflater: Option<OnlookerInflater>,
    /// `partial[..partial_length]` is the beginning of a header.
    partial: [u8; HEADER_MAX_BYTES],
    partial_length: usize,
    current: Option<Arriving>,
    message: Option<Assembling>,
    messages_begun: u64,
    /// Bytes that were passed over since it is not known where frames begin.
    lost: Option<u64>,
    /// Fragments may follow whose first one was not seen.
    is_after_gap: bool,
    /// Frames that begin now are counted and not looked at.
    skipping: bool,
    /// How many were.
    pub(super) skipped: u64,
    /// It has been told that a context is missing.
    told_lost: bool,
    /// What the first Close frame said: the code, if it had one.
    pub(super) closed: Option<(Option<u16>, String)>,
    pub(super) counts: Counts,
}

/// A frame whose payload comes.
#[derive(Debug)]
struct Arriving {
    header: WireHeader,
    received: u64,
    /// Number and fragment.
    place: Option<(u64, u32)>,
    compressed: bool,
    is_skipped: bool,
    violations: Vec<Violation>,
    payload: Vec<u8>,
    plain: Vec<u8>,
    inflated: u64,
    /// Some of its payload was not seen; what was kept is what came before.
    is_cut: bool,
    /// What it decompresses to is not known, or not all of it.
    is_unread: bool,
}

/// A message whose frames come.
#[derive(Debug)]
struct Assembling {
    number: u64,
    opcode: Opcode,
    fragments: u32,
    wire: u64,
    compressed: bool,
    /// It cannot be decompressed, or some of it was not seen.
    is_unread: bool,
    /// It is not looked at.
    is_skipped: bool,
    length: u64,
    /// Of a message of several frames.
    kept: Vec<u8>,
    is_one_frame: bool,
    utf8: Utf8Check,
}

impl Half {
    pub(super) fn new(
        dir: Direction,
        extensions: Extensions,
        payload_max_bytes: usize,
        inflated_max_bytes: usize,
    ) -> Self {
        let inflater = |parameters: Parameters| match dir {
            Direction::ToServer => OnlookerInflater::of_client(parameters, inflated_max_bytes),
            Direction::ToClient => OnlookerInflater::of_server(parameters, inflated_max_bytes),
        };
        Self {
            dir,
            extensions,
            payload_max_bytes,
            inflater: extensions.deflate.map(inflater),
            partial: [0; HEADER_MAX_BYTES],
            partial_length: 0,
            current: None,
            message: None,
            messages_begun: 0,
            lost: None,
            is_after_gap: false,
            skipping: false,
            skipped: 0,
            told_lost: false,
            closed: None,
            counts: Counts::default(),
        }
    }

    /// Says that what came before was not seen.
    pub(super) fn lose_context(&mut self) {
        if let Some(inflater) = &mut self.inflater {
            inflater.skip();
        }
    }

    pub(super) fn set_payload_max_bytes(&mut self, most: usize) {
        self.payload_max_bytes = most;
    }

    pub(super) fn set_skipping(&mut self, skipping: bool) {
        self.skipping = skipping;
    }

    /// Takes bytes, and tells what has come whole with them.
    pub(super) fn handle_input(&mut self, mut bytes: &[u8], tell: &mut dyn FnMut(Found)) {
        if let Some(passed) = self.lost {
            if !begins_frames(bytes, self.side(), self.extensions) {
                self.lost = Some(passed.saturating_add(bytes.len() as u64));
                return;
            }
            self.lost = None;
            tell(Found::Again(passed));
        }
        while !bytes.is_empty() {
            if self.current.is_none() {
                let Some(header) = self.take_header(&mut bytes) else { return };
                self.begin(header);
            }
            self.pass_over(&mut bytes);
            self.take_payload(&mut bytes, tell);
            if self.current.as_ref().is_some_and(Arriving::is_whole) {
                self.end_frame(tell);
            }
        }
    }

    /// Takes note that so many bytes were not seen. Gives false if frames cannot be told apart behind them; then they are
    /// looked for at the beginning of each further piece.
    pub(super) fn handle_missing(&mut self, count: u64, tell: &mut dyn FnMut(Found)) -> bool {
        if let Some(passed) = &mut self.lost {
            *passed = passed.saturating_add(count);
            return false;
        }
        match &mut self.current {
            Some(current) if count <= current.left() => {
                current.received += count;
                current.is_cut = true;
                let (is_data, is_whole) = (current.place.is_some(), current.is_whole());
                if let Some(message) = self.message.as_mut().filter(|_| is_data) {
                    message.wire = message.wire.saturating_add(count);
                    message.length =
                        message.length.saturating_add(if message.compressed { 0 } else { count });
                    message.is_unread = true;
                    let inflater = self.inflater.as_mut().filter(|_| message.compressed);
                    inflater.into_iter().for_each(OnlookerInflater::skip);
                }
                if is_whole {
                    self.end_frame(tell);
                }
                true
            }
            _ => {
                self.lose_place(count, tell);
                false
            }
        }
    }

    /// Bytes that were passed over at the end.
    pub(super) fn lost(&self) -> Option<u64> {
        self.lost
    }

    /// Nobody knows where the next frame begins; the current one ends as far as it came.
    fn lose_place(&mut self, count: u64, tell: &mut dyn FnMut(Found)) {
        self.handle_end(tell);
        if let Some(inflater) = &mut self.inflater {
            inflater.skip();
        }
        self.message = None;
        self.is_after_gap = true;
        self.lost = Some(count);
    }

    fn side(&self) -> Side {
        match self.dir {
            Direction::ToServer => Side::Client,
            Direction::ToClient => Side::Server,
        }
    }

    /// Says that no more bytes come: what is unfinished is told as far as it came. Gives the beginning of a header.
    pub(super) fn handle_end(&mut self, tell: &mut dyn FnMut(Found)) -> &[u8] {
        if let Some(current) = self.current.take() {
            self.count(&current);
            tell(Found::Frame(Box::new(current.into_frame(self.dir, self.payload_max_bytes))));
        }
        let length = std::mem::take(&mut self.partial_length);
        &self.partial[..length]
    }

    fn take_header(&mut self, bytes: &mut &[u8]) -> Option<WireHeader> {
        if self.partial_length == 0
            && let Some(header) = WireHeader::find(bytes)
        {
            *bytes = &bytes[header.as_bytes().len()..];
            return Some(header);
        }
        while let Some((first, rest)) = bytes.split_first() {
            *self.partial.get_mut(self.partial_length)? = *first;
            self.partial_length += 1;
            *bytes = rest;
            if let Some(header) = WireHeader::find(&self.partial[..self.partial_length]) {
                self.partial_length = 0;
                return Some(header);
            }
        }
        None
    }

    fn begin(&mut self, header: WireHeader) {
        let mut violations = Vec::new();
        if let Err(error) = Header::decode(header.as_bytes(), self.side(), self.extensions) {
            violations.push(Violation::of(error.rule(), error.to_string()));
        }
        if self.closed.is_some() {
            violations.push(Violation {
                text: "a frame after the Close frame".to_owned(),
                section: "RFC 6455, section 5.5.1".to_owned(),
                code: 1002,
                at: None,
            });
        }
        let place = self.place(&header, &mut violations);
        let compressed = place.is_some() && self.message.as_ref().is_some_and(|message| message.compressed);
        let is_skipped = match place {
            Some(_) => self.skips_message(),
            None => self.skipping && header.opcode() != Some(Opcode::Close),
        };
        self.current = Some(Arriving {
            is_skipped,
            header,
            received: 0,
            place,
            compressed,
            violations,
            payload: Vec::new(),
            plain: Vec::new(),
            inflated: 0,
            is_cut: false,
            is_unread: false,
        });
        if let Some(message) = &mut self.message
            && place.is_some()
        {
            message.wire = message.wire.saturating_add(header.as_bytes().len() as u64);
        }
    }

    /// Whether a frame of a message is not looked at. Of a message of which a part was not, nothing else is.
    fn skips_message(&mut self) -> bool {
        let Some(message) = &mut self.message else { return false };
        if self.skipping && !message.is_skipped {
            message.is_skipped = true;
            message.is_unread = true;
            if let Some(inflater) = self.inflater.as_mut().filter(|_| message.compressed) {
                inflater.skip();
            }
        }
        message.is_skipped
    }

    /// Takes what the input has of a payload that is not looked at.
    fn pass_over(&mut self, bytes: &mut &[u8]) {
        let Some(current) = self.current.as_mut().filter(|current| current.is_skipped) else { return };
        let length = usize::try_from(current.left()).unwrap_or(usize::MAX).min(bytes.len());
        *bytes = &bytes[length..];
        current.received += length as u64;
    }

    /// Which fragment of which message this is, if it belongs to one.
    fn place(&mut self, header: &WireHeader, violations: &mut Vec<Violation>) -> Option<(u64, u32)> {
        let mut broken =
            |error: MessageError| violations.push(Violation::of(error.rule(), error.to_string()));
        match (header.opcode(), &mut self.message) {
            (Some(opcode @ (Opcode::Text | Opcode::Binary)), begun) => {
                if let Some(interrupted) = begun {
                    broken(MessageError::Interrupted);
                    // What came of it stays in the context, as far as it goes.
                    let inflater = self.inflater.as_mut().filter(|_| interrupted.compressed);
                    let _ = inflater.map(OnlookerInflater::finish);
                }
                let compressed = header.rsv()[0] && self.extensions.deflate.is_some();
                let message = Assembling::new(self.messages_begun, opcode, compressed, header.fin());
                self.messages_begun += 1;
                self.is_after_gap = false;
                let place = (message.number, 0);
                *begun = Some(message);
                Some(place)
            }
            (Some(Opcode::Continuation), Some(message)) => {
                let fragment = message.fragments;
                message.fragments = fragment.saturating_add(1);
                Some((message.number, fragment))
            }
            (Some(Opcode::Continuation), None) if self.is_after_gap => None,
            (Some(Opcode::Continuation), None) => {
                broken(MessageError::NothingToContinue);
                None
            }
            _ => None,
        }
    }

    /// Takes what the input has of the current payload, in pieces.
    fn take_payload(&mut self, bytes: &mut &[u8], tell: &mut dyn FnMut(Found)) {
        let mut room = [0; PIECE_BYTES];
        while let Some(current) = &mut self.current {
            let left = usize::try_from(current.left()).unwrap_or(usize::MAX);
            let length = left.min(bytes.len()).min(PIECE_BYTES);
            if length == 0 {
                return;
            }
            let (piece, rest) = bytes.split_at(length);
            *bytes = rest;
            let piece = match current.header.mask() {
                None => piece,
                Some(key) => {
                    let room = &mut room[..length];
                    room.copy_from_slice(piece);
                    mask::apply(room, key, (current.received % 4) as usize);
                    &*room
                }
            };
            current.received += length as u64;
            if !current.is_cut {
                keep(&mut current.payload, piece, self.payload_max_bytes);
            }
            if current.place.is_some() {
                self.take_data(piece, tell);
            }
        }
    }

    /// Takes unmasked payload of a message.
    fn take_data(&mut self, piece: &[u8], tell: &mut dyn FnMut(Found)) {
        let most = self.payload_max_bytes;
        let (Some(current), Some(message)) = (&mut self.current, &mut self.message) else { return };
        message.wire = message.wire.saturating_add(piece.len() as u64);
        if !current.compressed {
            message.take(piece, most, &mut current.violations);
            return;
        }
        let Some(inflater) = self.inflater.as_mut().filter(|_| !message.is_unread) else {
            current.is_unread = true;
            return;
        };
        let result = inflater.push(piece, |output| {
            keep(&mut current.plain, output, most);
            current.inflated += output.len() as u64;
            message.take(output, most, &mut current.violations);
        });
        if let Err(error) = result {
            message.is_unread = true;
            let is_told = error == OnlookerError::Lost && std::mem::replace(&mut self.told_lost, true);
            match is_told {
                true => current.is_unread = true,
                false => unread(error, current, tell),
            }
        }
    }

    fn end_frame(&mut self, tell: &mut dyn FnMut(Found)) {
        let Some(mut current) = self.current.take() else { return };
        let message = match current.place {
            Some(_) if current.header.fin() => self.message.take(),
            _ => None,
        };
        let message = message.map(|message| self.end_message(message, &mut current, tell));
        if current.header.opcode() == Some(Opcode::Close) && !current.is_cut {
            self.note_close(&mut current);
        }
        self.count(&current);
        if current.is_skipped {
            self.skipped += 1;
            return;
        }
        tell(Found::Frame(Box::new(current.into_frame(self.dir, self.payload_max_bytes))));
        if let Some(message) = message.filter(|message| message.fragments > 1) {
            tell(Found::Message(Box::new(message.into_message(self.dir))));
        }
    }

    /// Judges what can be judged only when the last fragment has come.
    fn end_message(
        &mut self,
        mut message: Assembling,
        current: &mut Arriving,
        tell: &mut dyn FnMut(Found),
    ) -> Assembling {
        if let Some(inflater) = self.inflater.as_mut().filter(|_| message.compressed) {
            let result = inflater.finish();
            if let Err(error) = result
                && !message.is_unread
            {
                message.is_unread = true;
                unread(error, current, tell);
            }
        }
        if message.opcode == Opcode::Text
            && !message.is_unread
            && let Some(at) = message.utf8.finish()
        {
            current.violations.push(not_utf8(at));
        }
        self.counts.messages += 1;
        self.counts.payload = self.counts.payload.saturating_add(message.length);
        message
    }

    fn note_close(&mut self, current: &mut Arriving) {
        let body = &current.payload;
        if let Err(error) = Close::decode(body) {
            current.violations.push(Violation::of(error.rule(), error.to_string()));
        }
        let code = body.first_chunk().map(|code| u16::from_be_bytes(*code));
        let reason = String::from_utf8_lossy(body.get(2..).unwrap_or_default()).into_owned();
        self.closed.get_or_insert((code, reason));
    }

    fn count(&mut self, current: &Arriving) {
        self.counts.frames += 1;
        self.counts.wire = self.counts.wire.saturating_add(current.wire());
    }
}

impl Arriving {
    fn left(&self) -> u64 {
        self.header.payload_length() - self.received
    }

    fn is_whole(&self) -> bool {
        self.left() == 0
    }

    fn wire(&self) -> u64 {
        (self.header.as_bytes().len() as u64).saturating_add(self.received)
    }

    fn into_frame(self, dir: Direction, most: usize) -> Frame {
        let wire = self.wire();
        let compressed = self.compressed && (self.inflated > 0 || !self.is_unread);
        let plain = |bytes: Vec<u8>| Payload {
            truncated: self.is_cut || self.is_unread || self.inflated > most as u64,
            bytes,
        };
        Frame {
            dir,
            header: self.header,
            wire,
            message: self.place.map(|(message, _)| message),
            fragment: self.place.map(|(_, fragment)| fragment),
            inflated: compressed.then_some(self.inflated),
            since_us: None,
            rtt_us: None,
            payload: Payload { truncated: self.is_cut || self.received > most as u64, bytes: self.payload },
            plain: compressed.then(|| plain(self.plain)),
            violations: self.violations,
        }
    }
}

impl Assembling {
    fn new(number: u64, opcode: Opcode, compressed: bool, is_one_frame: bool) -> Self {
        Self {
            number,
            opcode,
            fragments: 1,
            wire: 0,
            compressed,
            is_unread: false,
            is_skipped: false,
            length: 0,
            kept: Vec::new(),
            is_one_frame,
            utf8: Utf8Check::default(),
        }
    }

    /// Takes the next bytes as the application sees them.
    fn take(&mut self, bytes: &[u8], most: usize, violations: &mut Vec<Violation>) {
        self.length = self.length.saturating_add(bytes.len() as u64);
        if self.is_unread {
            return;
        }
        if self.opcode == Opcode::Text
            && let Some(at) = self.utf8.push(bytes)
        {
            violations.push(not_utf8(at));
        }
        if !self.is_one_frame {
            keep(&mut self.kept, bytes, most);
        }
    }

    fn into_message(self, dir: Direction) -> Message {
        let truncated = self.length > self.kept.len() as u64 || self.is_unread;
        Message {
            dir,
            op: self.opcode.to_string(),
            len: self.length,
            message: Some(self.number),
            fragments: Some(self.fragments),
            wire: Some(self.wire),
            compressed: self.compressed,
            payload: Payload { bytes: self.kept, truncated },
        }
    }
}

/// Whether these bytes look like frames from their first byte on: each header keeps the rules, and those that are here
/// whole follow each other.
fn begins_frames(mut bytes: &[u8], side: Side, extensions: Extensions) -> bool {
    let mut found = 0;
    while !bytes.is_empty() {
        match Header::decode(bytes, side, extensions) {
            Err(_) => return false,
            // The rest of a header comes later.
            Ok(None) => return found > 0,
            Ok(Some((header, length))) => {
                found += 1;
                let payload = usize::try_from(header.payload_length).unwrap_or(usize::MAX);
                bytes = bytes.get(length.saturating_add(payload)..).unwrap_or_default();
            }
        }
    }
    found > 0
}

/// A payload that cannot be read breaks a rule, or is beyond what is looked at.
fn unread(error: OnlookerError, current: &mut Arriving, tell: &mut dyn FnMut(Found)) {
    current.is_unread = true;
    let rule = match error {
        OnlookerError::Corrupt => MessageError::NotDeflate,
        OnlookerError::Incomplete => MessageError::DeflateIncomplete,
        OnlookerError::TooBig | OnlookerError::Lost => return tell(Found::Unread(error)),
    };
    current.violations.push(Violation::of(rule.rule(), error.to_string()));
}

fn not_utf8(at: u64) -> Violation {
    let text = format!("{}: the byte at {at} belongs to no character", MessageError::NotUtf8);
    Violation { at: Some(at), ..Violation::of(MessageError::NotUtf8.rule(), text) }
}

/// Keeps as much as there is room for.
fn keep(kept: &mut Vec<u8>, bytes: &[u8], most: usize) {
    let room = most.saturating_sub(kept.len());
    kept.extend_from_slice(&bytes[..bytes.len().min(room)]);
}
