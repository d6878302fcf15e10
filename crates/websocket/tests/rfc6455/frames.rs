//! Sections 5.1 to 5.3 and 5.7: headers, lengths, masks.

use tidegate_websocket::extension::Extensions;
use tidegate_websocket::frame::{FrameError, Header, Side, write_frame};
use tidegate_websocket::mask;
use tidegate_websocket::{Connection, Limits, Opcode, PreparedMessage, Role};

use crate::peer::*;

fn refused(wire: &[u8], error: FrameError) {
    check_refused(Limits::default(), wire, error);
}

#[test]
fn the_examples_of_section_5_7() {
    let hello = [text("Hello")];
    assert_eq!(feed(&mut client(), b"\x81\x05Hello").0, hello);
    assert_eq!(feed(&mut server(), b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58").0, hello);
    assert_eq!(feed(&mut client(), b"\x01\x03Hel\x80\x02lo").0, hello);
    assert_eq!(feed(&mut client(), b"\x89\x05Hello").0, [Told::Ping(b"Hello".to_vec())]);
    let pong = feed(&mut server(), b"\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58");
    assert_eq!(pong.0, [Told::Pong(b"Hello".to_vec())]);
    for length in [256, 65536] {
        let payload = vec![7; length];
        assert_eq!(feed(&mut client(), &unmasked(0x82, &payload)).0, [Told::Binary(payload)]);
    }
}

#[test]
fn every_form_of_length_is_read_and_written_shortest() {
    for (length, header_bytes) in [(0, 2), (125, 2), (126, 4), (65535, 4), (65536, 10), (70000, 10)] {
        let payload: Vec<u8> = (0..length).map(|n| n as u8).collect();
        let limits = Limits { max_message_bytes: 100_000, ..Limits::default() };
        let mut connection = Connection::new(Role::Server, limits);
        assert_eq!(feed(&mut connection, &masked(0x82, &payload)).0, [Told::Binary(payload.clone())]);
        let mut output = Vec::new();
        connection.send_binary(&payload, &mut output).unwrap();
        assert_eq!(output, unmasked(0x82, &payload));
        assert_eq!(output.len(), header_bytes + payload.len());
        assert_eq!(PreparedMessage::binary(&payload).bytes(), &output);
        assert_eq!(PreparedMessage::binary(&payload).payload(), payload);
    }
}

#[test]
fn a_length_in_more_bytes_than_it_needs_is_refused() {
    for length in [0u16, 1, 125] {
        refused(&[&[0x82, 0xfe][..], &length.to_be_bytes()].concat(), FrameError::LengthNotMinimal);
    }
    for length in [0u64, 125, 126, 65535] {
        refused(&[&[0x82, 0xff][..], &length.to_be_bytes()].concat(), FrameError::LengthNotMinimal);
    }
}

#[test]
fn a_length_of_2_63_or_more_is_refused() {
    for length in [1u64 << 63, u64::MAX] {
        refused(&[&[0x82, 0xff][..], &length.to_be_bytes()].concat(), FrameError::LengthOver63Bits);
    }
}

#[test]
fn a_client_must_mask_and_a_server_must_not() {
    refused(&unmasked(0x81, b"hi"), FrameError::Unmasked);
    refused(&unmasked(0x81, b""), FrameError::Unmasked);
    let mut connection = client();
    let (told, output) = feed(&mut connection, &masked(0x81, b"hi"));
    assert_eq!(told, [Told::Error(FrameError::Masked.into())]);
    let (seen, _) = feed(&mut server(), &output);
    assert_eq!(seen, [Told::Close(Some(1002), "server frame with mask".into())]);
}

#[test]
fn every_reserved_bit_is_refused_on_every_opcode() {
    for bit in [0x40, 0x20, 0x10, 0x70] {
        for opcode in [0x0, 0x1, 0x2, 0x8, 0x9, 0xa] {
            refused(&masked(0x80 | bit | opcode, b""), FrameError::ReservedBits);
        }
    }
}

#[test]
fn reserved_opcodes_are_refused_by_their_first_byte_whatever_they_claim() {
    for bits in (0x3..=0x7).chain(0xb..=0xf) {
        refused(&masked(0x80 | bits, b""), FrameError::ReservedOpcode(bits));
        refused(&header(0x80 | bits, 0x80, 10_000_000_000), FrameError::ReservedOpcode(bits));
        let mut connection = server();
        assert_eq!(feed(&mut connection, &[0x80 | bits]).0.len(), 1);
        assert_eq!(connection.heap_bytes(), 0);
    }
}

#[test]
fn masking_is_undone_at_any_place_of_the_input() {
    for shift in 0..9 {
        let ping = masked(0x89, &vec![1; shift]);
        let payload: Vec<u8> = (0..100).collect();
        let (told, _) = feed(&mut server(), &[ping, masked(0x82, &payload)].concat());
        assert_eq!(told[1], Told::Binary(payload));
    }
}

#[test]
fn a_header_reads_as_it_was_written() {
    for payload_length in [0, 125, 126, 65535, 65536, (1 << 63) - 1] {
        for (sent_by, mask) in [(Side::Client, Some([1, 2, 3, 4])), (Side::Server, None)] {
            let header =
                Header { fin: false, compressed: false, opcode: Opcode::Binary, mask, payload_length };
            let encoded = header.encode();
            let decode = |bytes: &[u8]| Header::decode(bytes, sent_by, Extensions::default());
            assert_eq!(decode(&encoded), Ok(Some((header, encoded.len()))));
            assert_eq!(decode(&[&encoded[..], b"rest"].concat()), Ok(Some((header, encoded.len()))));
            assert!((0..encoded.len()).all(|end| decode(&encoded[..end]) == Ok(None)));
        }
    }
}

#[test]
fn write_frame_masks_only_its_own_payload() {
    let mut output = b"before".to_vec();
    write_frame(true, Opcode::Text, Some([0x37, 0xfa, 0x21, 0x3d]), b"Hello", &mut output);
    assert_eq!(output, b"before\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58");
    let mut tail = output.split_off(12);
    mask::apply(&mut tail, [0x37, 0xfa, 0x21, 0x3d], 0);
    assert_eq!(tail, b"Hello");
}
