//! The bodies of the targets for permessage-deflate: what a peer sends compressed, and what it offers.
//!
//! What comes out is not judged a second time here; that what one end compresses the other reads is.

use crate::connection::{Connection, Role};
use crate::deflate::{Acceptance, Direction, Effort, Offer, Parameters};
use crate::extension::Extensions;
use crate::handshake::client::{ConnectHandshake, ConnectRequest as Ask, HandshakeError};
use crate::handshake::server::{self, ConnectRequest};
use crate::mask::MaskKeys;
use crate::message::{Limits, Message};
use crate::read::Input;

use super::{ANSWER_MAX_BYTES, Told, tell};

/// A decompressor, the message and its buffer, and the little things beside them.
const HEAP_MAX_BYTES: usize = 50 * 1024;

/// A peer's bytes against a connection with compression: byte 0 chooses role and takeover, byte 1 the
/// windows and the limit, byte 2 the pieces, the rest is what came.
///
/// No message is longer than the limit, what is kept is bounded by it, and any cut of the bytes gives the
/// same. A text or binary message that was told can be compressed again, and the peer is told it.
pub fn fuzz_deflate_read(data: &[u8]) {
    let [choice, windows, piece, wire @ ..] = data else { return };
    let is_client = choice & 1 == 1;
    let parameters = Parameters {
        server_no_context_takeover: choice & 2 == 0,
        client_no_context_takeover: choice & 4 == 0,
        server_max_window_bits: 8 + (windows & 7),
        client_max_window_bits: 8 + (windows >> 3 & 7),
        answers_server_max_window_bits: false,
    };
    let max_message_bytes = [0, 100, 5000, 100_000][usize::from(windows >> 6)];
    let limits = Limits { max_message_bytes, max_fragments: 50 };
    let whole = run(is_client, parameters, limits, wire, wire.len());
    let peer = if is_client { parameters.of_server() } else { parameters.of_client() };
    let cut = run(is_client, parameters, limits, wire, usize::from(*piece) + 1);
    if is_exact(peer) {
        assert_eq!(cut, whole);
        assert_eq!(run(is_client, parameters, limits, wire, 1), whole);
    }
    send_again(is_client, parameters, &whole.0);
}

/// Whether what refers too far back is always read, or always refused: C zlib with a small window does
/// either, as the pieces fall.
fn is_exact(peer: Direction) -> bool {
    !peer.takeover || peer.window_bits == 15 || !cfg!(feature = "zlib-c")
}

fn connection(is_client: bool, parameters: Parameters, limits: Limits) -> Connection {
    let role = if is_client { Role::Client(MaskKeys::from_seed([1; 16])) } else { Role::Server };
    let extensions = Extensions { deflate: Some(parameters) };
    Connection::with_extensions(role, limits, extensions, Effort { level: 1, min_bytes: 20 })
}

fn run(
    is_client: bool,
    parameters: Parameters,
    limits: Limits,
    wire: &[u8],
    piece: usize,
) -> (Vec<Told>, Vec<u8>) {
    let mut connection = connection(is_client, parameters, limits);
    let (mut told, mut output) = (Vec::new(), Vec::new());
    let mut ended = false;
    for piece in wire.chunks(piece.max(1)) {
        let mut bytes = piece.to_vec();
        let mut input = Input::new(&mut bytes);
        loop {
            let before = output.len();
            let event = connection.handle_input(&mut input, &mut output).map(tell);
            assert!(output.len() - before <= ANSWER_MAX_BYTES);
            assert!(connection.heap_bytes() <= HEAP_MAX_BYTES + 2 * limits.max_message_bytes);
            let Some(event) = event else { break };
            assert!(!ended, "{event:?} after the end");
            ended = matches!(event, Told::Close(..) | Told::Error(_));
            if let Some(message) = message(&event) {
                assert!(message.as_bytes().len() <= limits.max_message_bytes);
            }
            told.push(event);
        }
        assert!(input.is_empty());
        assert!(!ended || connection.heap_bytes() == 0);
    }
    connection.handle_eof();
    assert_eq!(connection.heap_bytes(), 0);
    (told, output)
}

fn message(told: &Told) -> Option<Message<'_>> {
    match told {
        Told::Text(text) => Some(Message::Text(text)),
        Told::Binary(bytes) => Some(Message::Binary(bytes)),
        _ => None,
    }
}

/// What was told goes out on one end, and is told on the other.
fn send_again(is_client: bool, parameters: Parameters, told: &[Told]) {
    let limits = Limits { max_message_bytes: usize::MAX, max_fragments: 1 };
    let mut sender = connection(is_client, parameters, limits);
    let messages: Vec<_> = told.iter().filter(|told| message(told).is_some()).cloned().collect();
    let mut wire = Vec::new();
    for message in messages.iter().filter_map(message) {
        sender.send(message, &mut wire).expect("the connection is open");
    }
    let (heard, answers) =
        run(!is_client, parameters, Limits { max_message_bytes: 1 << 20, ..limits }, &wire, 4096);
    assert_eq!(heard, messages);
    assert!(answers.is_empty());
}

/// Header fields against both sides' negotiation: byte 0 chooses what the server accepts and the client
/// offers, each line of the rest is one field.
///
/// What a server answers, a client that offered everything takes, and both know the same. What a client
/// takes is within its offer.
pub fn fuzz_deflate_offer(data: &[u8]) {
    let [choice, text @ ..] = data else { return };
    let fields: Vec<(&str, &[u8])> =
        text.split(|byte| *byte == b'\n').map(|line| ("sec-websocket-extensions", line)).collect();
    let acceptance = Acceptance { takeover: choice & 1 == 1, max_window_bits: choice >> 1 & 15 };
    judge_offer(&fields, acceptance);
    let offer = Offer { takeover: choice & 1 == 1, max_window_bits: choice >> 1 & 15 };
    match confirm(offer, &fields) {
        Ok(Extensions { deflate: Some(agreed) }) => {
            assert!(
                offer.takeover || (agreed.server_no_context_takeover && agreed.client_no_context_takeover)
            );
            let bits = 8..=offer.max_window_bits.clamp(9, 15);
            assert!(
                bits.contains(&agreed.server_max_window_bits)
                    && bits.contains(&agreed.client_max_window_bits)
            );
        }
        Ok(Extensions { deflate: None }) => assert!(text.trim_ascii().is_empty()),
        Err(HandshakeError::Extension | HandshakeError::Deflate(_)) => {}
        Err(other) => panic!("{other:?}"),
    }
}

fn judge_offer(fields: &[(&str, &[u8])], acceptance: Acceptance) {
    let headers = [&[("sec-websocket-version", &b"13"[..])], fields].concat();
    let request = ConnectRequest { method: "CONNECT", protocol: Some("websocket"), headers: &headers };
    let Ok(accepted) = server::accept_connect(&request, &[], Some(&acceptance)) else { return };
    let Some(agreed) = accepted.extensions.deflate else { return };
    assert!(acceptance.takeover || (agreed.server_no_context_takeover && agreed.client_no_context_takeover));
    assert!((9..=acceptance.max_window_bits.clamp(9, 15)).contains(&agreed.server_max_window_bits));
    assert!((8..=15).contains(&agreed.client_max_window_bits));
    let value = accepted.extensions.header_value().expect("what is agreed on is answered");
    let answer = [("sec-websocket-extensions", value.as_bytes())];
    let Ok(Extensions { deflate: Some(confirmed) }) = confirm(Offer::default(), &answer) else {
        panic!("a client refuses {value}");
    };
    assert_eq!(confirmed.of_server(), agreed.of_server());
    assert_eq!(confirmed.of_client(), agreed.of_client());
}

fn confirm(offer: Offer, answer: &[(&str, &[u8])]) -> Result<Extensions, HandshakeError> {
    let ask = Ask { subprotocols: &[], headers: &[], deflate: Some(offer) };
    let handshake = ConnectHandshake::new(&ask).expect("the request can be written");
    handshake.check(200, answer).map(|response| response.extensions)
}
