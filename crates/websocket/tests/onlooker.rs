//! What an onlooker makes of compressed messages, against the connections that write them.

#![allow(missing_docs, reason = "a test program")]

use proptest::prelude::*;
use tidegate_websocket::deflate::{Effort, OnlookerError, OnlookerInflater, Parameters};
use tidegate_websocket::{Connection, Extensions, Limits, Role};

/// The payloads of a server's messages, as they go over the wire; none for one that did not shrink.
fn payloads(parameters: Parameters, messages: &[Vec<u8>]) -> Vec<Option<Vec<u8>>> {
    let extensions = Extensions { deflate: Some(parameters) };
    let effort = Effort { level: 6, min_bytes: 0 };
    let mut server = Connection::with_extensions(Role::Server, Limits::default(), extensions, effort);
    let payload = |message: &Vec<u8>| {
        let mut frame = Vec::new();
        server.send_binary(message, &mut frame).expect("it is open");
        let is_compressed = frame[0] & 0x40 != 0;
        let header = match frame[1] {
            126 => 4,
            127 => 10,
            _ => 2,
        };
        is_compressed.then(|| frame.split_off(header))
    };
    messages.iter().map(payload).collect()
}

fn read(inflater: &mut OnlookerInflater, payload: &[u8], cut: usize) -> Result<Vec<u8>, OnlookerError> {
    let mut read = Vec::new();
    for piece in payload.chunks(cut) {
        inflater.push(piece, |bytes| read.extend_from_slice(bytes))?;
    }
    inflater.finish().map(|()| read)
}

#[test]
fn what_cannot_be_read_costs_later_messages_only_where_they_refer_to_it() {
    let messages = [vec![b'a'; 300], vec![b'a'; 200]];
    for takeover in [false, true] {
        let parameters = Parameters { server_no_context_takeover: !takeover, ..Parameters::default() };
        let wire: Vec<_> = payloads(parameters, &messages).into_iter().flatten().collect();
        for (bad, why) in [
            (&b"\xff\xff\xff"[..], OnlookerError::Corrupt),
            (&wire[0][..2], OnlookerError::Incomplete),
            (&wire[0], OnlookerError::TooBig),
        ] {
            let mut inflater = OnlookerInflater::of_server(parameters, 299);
            assert_eq!(read(&mut inflater, bad, 5), Err(why), "{bad:x?}");
            let _ = inflater.finish();
            let next = read(&mut inflater, &wire[1], 5);
            let expected = if takeover { Err(OnlookerError::Lost) } else { Ok(messages[1].clone()) };
            assert_eq!(next, expected);
        }
    }
}

proptest! {
    #[test]
    fn messages_are_read_whatever_was_agreed_and_however_they_are_cut(
        messages in prop::collection::vec(prop::collection::vec(0u8..4, 1..600), 1..6),
        server_no_context_takeover: bool,
        server_max_window_bits in 9u8..=15,
        cut in 1usize..50,
    ) {
        let parameters =
            Parameters { server_no_context_takeover, server_max_window_bits, ..Parameters::default() };
        let mut inflater = OnlookerInflater::of_server(parameters, 600);
        for (message, payload) in messages.iter().zip(payloads(parameters, &messages)) {
            let Some(payload) = payload else { continue };
            prop_assert_eq!(&read(&mut inflater, &payload, cut), &Ok(message.clone()));
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200), most in 0usize..500) {
        let mut inflater = OnlookerInflater::of_client(Parameters::default(), most);
        prop_assert!(read(&mut inflater, &bytes, 7).unwrap_or_default().len() <= most);
    }
}
