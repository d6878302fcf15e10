//! Encode and decode are inverse: whatever one end sends, of every kind and length, the other is told, the
//! handshake before it included.

use proptest::prelude::*;
use tidegate_websocket::frame::write_frame;
use tidegate_websocket::handshake::client::{ClientHandshake, ClientRequest, Progress};
use tidegate_websocket::handshake::head::HeadBuffer;
use tidegate_websocket::handshake::server;
use tidegate_websocket::{Connection, Fragment, Limits, MaskKeys, Message, Opcode, PreparedMessage, Role};

use crate::peer::*;

const LIMITS: Limits = Limits { max_message_bytes: 1 << 20, max_fragments: 1000 };

fn end(is_client: bool) -> Connection {
    let role = if is_client { Role::Client(MaskKeys::from_seed([4; 16])) } else { Role::Server };
    Connection::new(role, LIMITS)
}

/// Lengths at which the header changes its form, and others.
fn length() -> impl Strategy<Value = usize> {
    prop_oneof![
        4 => prop::sample::select(vec![0usize, 1, 124, 125, 126, 127, 128]),
        1 => prop::sample::select(vec![65534usize, 65535, 65536, 65537]),
        4 => 0usize..2000,
    ]
}

fn payload() -> impl Strategy<Value = Vec<u8>> {
    (length(), any::<u8>()).prop_map(|(length, seed)| {
        (0..length).map(|place| (place as u8).wrapping_mul(31).wrapping_add(seed)).collect()
    })
}

/// Cuts at these places, rounded to where characters begin.
fn parts<'t>(text: &'t str, cuts: &[usize]) -> Vec<&'t str> {
    let mut places: Vec<usize> = cuts.iter().map(|cut| cut % (text.len() + 1)).collect();
    places.retain(|place| text.is_char_boundary(*place));
    places.extend([0, text.len()]);
    places.sort_unstable();
    places.windows(2).map(|pair| &text[pair[0]..pair[1]]).collect()
}

fn heard(is_client: bool, wire: &[u8], piece: usize) -> Vec<Told> {
    feed_pieces(&mut end(is_client), &wire.chunks(piece).collect::<Vec<_>>()).0
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_message_is_told_as_it_was_sent(is_client: bool, bytes in payload(), piece in 1usize..5000) {
        let (mut sender, mut output) = (end(is_client), Vec::new());
        let text: String = bytes.iter().map(|byte| char::from(*byte)).collect();
        sender.send_binary(&bytes, &mut output).unwrap();
        sender.send_text(&text, &mut output).unwrap();
        let expected = [Told::Binary(bytes.clone()), Told::Text(text)];
        prop_assert_eq!(heard(!is_client, &output, piece), expected);
        if !is_client {
            prop_assert!(output.starts_with(PreparedMessage::binary(&bytes).bytes()));
        }
    }

    #[test]
    fn a_message_in_fragments_is_told_whole(
        is_client: bool, bytes in payload(), cuts in prop::collection::vec(any::<usize>(), 0..20), piece in 1usize..5000
    ) {
        let text: String = bytes.iter().map(|byte| char::from(*byte)).collect();
        let parts = parts(&text, &cuts);
        for is_text in [true, false] {
            let (mut sender, mut output) = (end(is_client), Vec::new());
            for (index, part) in parts.iter().enumerate() {
                let message = if is_text { Message::Text(part) } else { Message::Binary(part.as_bytes()) };
                let last = if index + 1 == parts.len() { Fragment::Last } else { Fragment::More };
                sender.send_fragment(message, last, &mut output).unwrap();
                sender.send_ping(&[index as u8], &mut output).unwrap();
            }
            let mut told = heard(!is_client, &output, piece);
            told.retain(|told| !matches!(told, Told::Ping(_)));
            let expected = if is_text { Told::Text(text.clone()) } else { Told::Binary(text.clone().into_bytes()) };
            prop_assert_eq!(told, [expected]);
        }
    }

    #[test]
    fn a_frame_of_any_key_is_read_as_it_was_written(key: [u8; 4], bytes in payload(), first in 1usize..200) {
        let mut output = Vec::new();
        write_frame(true, Opcode::Binary, Some(key), &bytes, &mut output);
        let (head, tail) = output.split_at(first.min(output.len()));
        prop_assert_eq!(feed_pieces(&mut end(false), &[head, tail]).0, [Told::Binary(bytes)]);
    }

    #[test]
    fn a_session_is_the_same_in_any_pieces_from_its_first_byte(
        texts in prop::collection::vec("\\PC{0,40}", 0..5), cuts in prop::collection::vec(1usize..120, 1..40)
    ) {
        let (mut request, mut frames) = (Vec::new(), [Vec::new(), Vec::new()]);
        let client = open(&mut request);
        for text in &texts {
            end(true).send_text(text, &mut frames[0]).unwrap();
            end(false).send_text(text, &mut frames[1]).unwrap();
        }
        let expected: Vec<Told> = texts.iter().map(|text| Told::Text(text.clone())).collect();
        request.extend_from_slice(&frames[0]);
        let (answer, told) = serve(&request, &cuts);
        prop_assert_eq!(&told, &expected);
        prop_assert_eq!(converse(client, &[answer, frames[1].clone()].concat(), &cuts), expected);
    }
}

fn open(output: &mut Vec<u8>) -> ClientHandshake {
    let request = ClientRequest {
        host: "example.com",
        target: "/",
        key: *b"the sample nonce",
        subprotocols: &["chat"],
        headers: &[("Cookie", "a=b")],
        deflate: None,
    };
    ClientHandshake::new(&request, output).unwrap()
}

/// Pieces of these lengths, over and over.
fn pieces<'w>(mut wire: &'w [u8], cuts: &[usize]) -> Vec<&'w [u8]> {
    let mut pieces = Vec::new();
    for cut in cuts.iter().cycle() {
        if wire.is_empty() {
            break;
        }
        let (piece, rest) = wire.split_at((*cut).min(wire.len()));
        pieces.push(piece);
        wire = rest;
    }
    pieces
}

/// A server's side: the answer, and what it was told behind the request.
fn serve(wire: &[u8], cuts: &[usize]) -> (Vec<u8>, Vec<Told>) {
    let (mut head, mut connection) = (HeadBuffer::default(), None::<Connection>);
    let (mut answer, mut told) = (Vec::new(), Vec::new());
    for mut piece in pieces(wire, cuts) {
        if connection.is_none()
            && let Some(taken) = head.handle_input(piece).unwrap()
        {
            let request = server::parse(head.bytes()).unwrap().unwrap();
            let accepted = server::accept(&request.request(), &["chat"], None).unwrap();
            server::write_response(&accepted, &[], &mut answer).unwrap();
            connection = Some(end(false));
            piece = &piece[taken..];
        }
        if let Some(connection) = &mut connection {
            told.extend(feed(connection, piece).0);
        }
    }
    (answer, told)
}

/// A client's side: what it was told behind the answer.
fn converse(mut handshake: ClientHandshake, wire: &[u8], cuts: &[usize]) -> Vec<Told> {
    let (mut connection, mut told) = (None::<Connection>, Vec::new());
    for mut piece in pieces(wire, cuts) {
        if connection.is_none()
            && let Progress::Done(response) = handshake.handle_input(piece).unwrap()
        {
            assert_eq!(response.subprotocol.as_deref(), Some("chat"));
            connection = Some(end(true));
            piece = &piece[response.consumed..];
        }
        if let Some(connection) = &mut connection {
            told.extend(feed(connection, piece).0);
        }
    }
    told
}
