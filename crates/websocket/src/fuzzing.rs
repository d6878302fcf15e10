//! The bodies of the fuzz targets: each takes any bytes and asserts what must hold for all of them.
//!
//! They are public so that `fuzz/` can name them and the stored corpora can be replayed by an ordinary test;
//! no user of the library needs them. A panic here is a finding.

mod deflate;
mod handshake;
mod reference;

use crate::close::CloseCode;
use crate::connection::{Connection, Event, Role};
use crate::frame::{CONTROL_PAYLOAD_MAX_BYTES, HEADER_MAX_BYTES};
use crate::mask::{self, MaskKeys};
use crate::message::{Limits, Message};
use crate::read::{Input, ProtocolError};
use crate::utf8::Validator;

pub use deflate::{fuzz_deflate_offer, fuzz_deflate_read};
pub use handshake::{fuzz_client_handshake, fuzz_ws_handshake};

/// Longest frame that one call may answer with: a masked control frame.
const ANSWER_MAX_BYTES: usize = 131;

/// Fixed part of what a connection may keep on the heap, and the least that a vector takes.
const HEAP_FIXED_BYTES: usize = 208;

/// An event without its borrow.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Told {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<CloseCode>, String, bool),
    Error(ProtocolError),
}

/// A client's bytes against a server: byte 0 chooses the limits, byte 1 the pieces, the rest is what came.
///
/// Events and answers must be those of a second reading of the RFC, and the same for any cut of the bytes;
/// the other side must take the answers; what is kept is bounded by what came and by the limits.
pub fn fuzz_ws_server(data: &[u8]) {
    judge_session(false, data);
}

/// A server's bytes against a client, as in [`fuzz_ws_server`].
pub fn fuzz_ws_client(data: &[u8]) {
    judge_session(true, data);
}

fn judge_session(is_client: bool, data: &[u8]) {
    let [choice, seed, wire @ ..] = data else { return };
    let limits = match choice & 3 {
        0 => Limits::default(),
        1 => Limits { max_message_bytes: 200, max_fragments: 3 },
        2 => Limits { max_message_bytes: 0, max_fragments: 0 },
        _ => Limits { max_message_bytes: usize::MAX, max_fragments: u32::MAX },
    };
    let expected = reference::told(is_client, limits, wire);
    let (told, answers) = run_session(is_client, limits, [wire].into_iter());
    assert_eq!(told, expected);
    let whole = (told, answers);
    assert_eq!(run_session(is_client, limits, wire.chunks(1)), whole);
    assert_eq!(
        run_session(is_client, limits, Pieces { rest: wire, seed: *seed, state: u32::from(*seed) }),
        whole
    );
    let (heard, _) = run_session(!is_client, Limits::default(), [&whole.1[..]].into_iter());
    assert_eq!(heard, reference::answers(&expected));
}

/// Pieces whose lengths a seed decides: short ones for a small seed, of all lengths for a large one.
struct Pieces<'w> {
    rest: &'w [u8],
    seed: u8,
    state: u32,
}

impl<'w> Iterator for Pieces<'w> {
    type Item = &'w [u8];

    fn next(&mut self) -> Option<&'w [u8]> {
        self.state = self.state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let length = 1 + (self.state >> 16) as usize % (2 + usize::from(self.seed));
        let (piece, rest) = self.rest.split_at(length.min(self.rest.len()));
        self.rest = rest;
        (!piece.is_empty()).then_some(piece)
    }
}

fn run_session<'w>(
    is_client: bool,
    limits: Limits,
    pieces: impl Iterator<Item = &'w [u8]>,
) -> (Vec<Told>, Vec<u8>) {
    let role = if is_client { Role::Client(MaskKeys::from_seed([1; 16])) } else { Role::Server };
    let mut connection = Connection::new(role, limits);
    let (mut told, mut output) = (Vec::new(), Vec::new());
    let (mut seen, mut ended) = (0, false);
    for piece in pieces {
        let mut bytes = piece.to_vec();
        let mut input = Input::new(&mut bytes);
        loop {
            let before = output.len();
            let event = connection.handle_input(&mut input, &mut output).map(tell);
            assert!(output.len() - before <= ANSWER_MAX_BYTES);
            let Some(event) = event else { break };
            assert!(!ended, "{event:?} after the end");
            ended = matches!(event, Told::Close(..) | Told::Error(_));
            assert_eq!(connection.is_closed(), ended);
            told.push(event);
        }
        assert!(input.is_empty());
        seen += piece.len();
        check_memory(&connection, limits, seen);
        assert!(!ended || (connection.heap_bytes() == 0 && !connection.has_unfinished_message()));
    }
    assert_eq!(connection.handle_eof().is_some(), !ended);
    assert_eq!(connection.heap_bytes(), 0);
    (told, output)
}

/// What is kept is never more than came, nor than the limits allow of a message beside a control frame.
fn check_memory(connection: &Connection, limits: Limits, seen: usize) {
    let most = limits.max_message_bytes.saturating_add(CONTROL_PAYLOAD_MAX_BYTES + HEADER_MAX_BYTES);
    assert!(connection.unfinished_bytes() <= seen.min(most));
    assert!(connection.heap_bytes() <= HEAP_FIXED_BYTES + seen.min(most).saturating_mul(2));
}

fn tell(event: Event<'_>) -> Told {
    match event {
        Event::Message(Message::Text(text)) => Told::Text(text.to_owned()),
        Event::Message(Message::Binary(bytes)) => Told::Binary(bytes.to_vec()),
        Event::Ping(payload) => Told::Ping(payload.to_vec()),
        Event::Pong(payload) => Told::Pong(payload.to_vec()),
        Event::Close(close) => Told::Close(close.code, close.reason.to_owned(), close.clean),
        Event::Error(error) => {
            assert!(error.code().is_allowed_on_wire() && error.reason().len() <= 123);
            Told::Error(error)
        }
    }
}

/// Bytes in pieces against the standard library: byte 0 is their length. What cannot be mended must be
/// refused with the piece that broke it.
pub fn fuzz_utf8(data: &[u8]) {
    let [piece, bytes @ ..] = data else { return };
    let (mut validator, mut text, mut seen) = (Validator::default(), String::new(), 0);
    for piece in bytes.chunks(usize::from(*piece).max(1)) {
        seen += piece.len();
        let outcome = validator.push(piece, &mut text);
        let whole = std::str::from_utf8(&bytes[..seen]);
        let is_hopeless = whole.is_err_and(|error| error.error_len().is_some());
        assert_eq!(outcome.is_err(), is_hopeless);
        if is_hopeless {
            return;
        }
        assert_eq!(text.len() + validator.carried(), seen);
        assert!(bytes.starts_with(text.as_bytes()));
    }
    assert_eq!(validator.finish().is_ok(), std::str::from_utf8(bytes).is_ok());
}

/// Masking in two pieces against the RFC's formula: four bytes of key, one of cut, the rest is payload.
pub fn fuzz_mask(data: &[u8]) {
    let [a, b, c, d, cut, payload @ ..] = data else { return };
    let key = [*a, *b, *c, *d];
    let expected: Vec<u8> = payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key).collect();
    let cut = usize::from(*cut).min(payload.len());
    let mut masked = payload.to_vec();
    let (head, tail) = masked.split_at_mut(cut);
    mask::apply(head, key, 0);
    mask::apply(tail, key, cut);
    assert_eq!(masked, expected);
    mask::apply(&mut masked, key, 0);
    assert_eq!(masked, payload);
}
