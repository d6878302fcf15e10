//! Rules that bind both ends, held by a client as well: it refuses what a server refuses, and masks its word
//! about it.

use proptest::prelude::*;
use tidegate_websocket::close::CloseError;
use tidegate_websocket::frame::FrameError;
use tidegate_websocket::message::MessageError;
use tidegate_websocket::{CloseCode, Connection, Limits, MaskKeys, Opcode, ProtocolError, Role};

use crate::peer::*;

const LIMITS: Limits = Limits { max_message_bytes: 1000, max_fragments: 4 };

/// The wire of a server, and the rule that it breaks at its end.
fn broken() -> Vec<(Vec<u8>, ProtocolError)> {
    let too_big = MessageError::TooBig { max_message_bytes: 1000 };
    let too_many = MessageError::TooManyFragments { max_fragments: 4 };
    vec![
        (unmasked(0xc1, b""), FrameError::ReservedBits.into()),
        (unmasked(0xa2, b""), FrameError::ReservedBits.into()),
        (unmasked(0x99, b""), FrameError::ReservedBits.into()),
        (unmasked(0x83, b""), FrameError::ReservedOpcode(3).into()),
        (unmasked(0x8f, b""), FrameError::ReservedOpcode(15).into()),
        (unmasked(0x09, b""), FrameError::FragmentedControl(Opcode::Ping).into()),
        (unmasked(0x8a, &[0; 126]), FrameError::LongControl(Opcode::Pong).into()),
        (masked(0x81, b"masked"), FrameError::Masked.into()),
        (vec![0x82, 126, 0, 125], FrameError::LengthNotMinimal.into()),
        (vec![0x82, 127, 0, 0, 0, 0, 0, 0, 255, 255], FrameError::LengthNotMinimal.into()),
        (vec![0x82, 127, 128, 0, 0, 0, 0, 0, 0, 0], FrameError::LengthOver63Bits.into()),
        (header(0x82, 0, (1 << 63) - 1), too_big.into()),
        (header(0x82, 0, 1001), too_big.into()),
        ([unmasked(0x02, b"begun"), header(0x80, 0, (1 << 63) - 1)].concat(), too_big.into()),
        ([unmasked(0x02, b""), unmasked(0x00, b"").repeat(4)].concat(), too_many.into()),
        (unmasked(0x80, b""), MessageError::NothingToContinue.into()),
        ([unmasked(0x01, b"a"), unmasked(0x82, b"b")].concat(), MessageError::Interrupted.into()),
        (unmasked(0x81, b"\xc0\xaf"), MessageError::NotUtf8.into()),
        ([unmasked(0x01, b"\xe2"), unmasked(0x80, b"\x82")].concat(), MessageError::NotUtf8.into()),
        (unmasked(0x88, b"\x03"), CloseError::HalfCode.into()),
        (unmasked(0x88, b"\x03\xed"), CloseError::Code(CloseCode::NO_STATUS).into()),
        (unmasked(0x88, b"\x03\xe8\xff"), CloseError::ReasonNotUtf8.into()),
    ]
}

#[test]
fn a_client_refuses_what_a_server_refuses() {
    for (wire, error) in broken() {
        for piece in [wire.len(), 3, 1] {
            let mut connection = Connection::new(Role::Client(MaskKeys::from_seed([9; 16])), LIMITS);
            let (told, output) = feed_pieces(&mut connection, &wire.chunks(piece).collect::<Vec<_>>());
            assert_eq!(told, [Told::Error(error)], "{wire:x?}");
            let heard = feed(&mut server(), &output).0;
            assert_eq!(heard, [Told::Close(Some(error.code().get()), error.reason().to_owned())]);
            assert!(connection.is_closed() && connection.heap_bytes() == 0);
            assert_eq!(feed(&mut connection, &unmasked(0x81, b"late")), (vec![], vec![]));
            assert_eq!(connection.handle_eof(), None);
        }
    }
}

#[test]
fn a_client_echoes_closes_of_all_kinds() {
    for body in [&b""[..], b"\x03\xe8", b"\x0f\xa0bye"] {
        let mut connection = client();
        let (told, output) = feed(&mut connection, &unmasked(0x88, body));
        assert!(matches!(told[..], [Told::Close(..)]));
        let code = body.first_chunk().map(|code| u16::from_be_bytes(*code));
        assert_eq!(feed(&mut server(), &output).0, [Told::Close(code, String::new())]);
    }
}

proptest! {
    #[test]
    fn a_flood_of_control_frames_leaves_nothing_behind(
        is_client: bool, payloads in prop::collection::vec((any::<bool>(), 0usize..126), 0..300), piece in 1usize..200
    ) {
        let mut connection = if is_client { client() } else { server() };
        let write = if is_client { unmasked } else { masked };
        let begun = write(0x01, b"begun");
        feed(&mut connection, &begun);
        let floor = connection.heap_bytes();
        for (is_ping, length) in payloads {
            let wire = write(if is_ping { 0x89 } else { 0x8a }, &vec![7; length]);
            let (told, output) = feed_pieces(&mut connection, &wire.chunks(piece).collect::<Vec<_>>());
            prop_assert_eq!(told.len(), 1);
            let most = if is_ping { length + 6 } else { 0 };
            prop_assert!(output.len() <= most);
            prop_assert!(connection.heap_bytes() <= floor + 125, "{}", connection.heap_bytes());
        }
        prop_assert!(connection.has_unfinished_message());
    }
}
