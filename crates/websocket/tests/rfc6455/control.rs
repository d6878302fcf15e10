//! Sections 5.5, 5.5.2 and 5.5.3: Ping and Pong.

use tidegate_websocket::frame::FrameError;
use tidegate_websocket::{CloseCode, Input, Limits, Opcode};

use crate::peer::*;

#[test]
fn a_ping_is_answered_with_its_own_payload() {
    for payload in [&b""[..], b"x", &[0xff; 125]] {
        let (told, output) = feed(&mut server(), &masked(0x89, payload));
        assert_eq!(told, [Told::Ping(payload.to_vec())]);
        assert_eq!(output, unmasked(0x8a, payload));
    }
}

#[test]
fn a_client_masks_its_pong() {
    let (_, output) = feed(&mut client(), &unmasked(0x89, b"hi"));
    assert_eq!((output[0], output[1]), (0x8a, 0x82));
    assert_eq!(feed(&mut server(), &output).0, [Told::Pong(b"hi".to_vec())]);
}

#[test]
fn ten_pings_in_a_row_get_ten_pongs_in_order() {
    let wire: Vec<u8> = (0..10).flat_map(|n| masked(0x89, &[n])).collect();
    let expected: Vec<u8> = (0..10).flat_map(|n| unmasked(0x8a, &[n])).collect();
    assert_eq!(feed(&mut server(), &wire).1, expected);
}

#[test]
fn one_call_answers_with_one_frame_never_longer_than_the_ping() {
    let mut wire: Vec<u8> = (0..50).flat_map(|n| masked(0x89, &vec![n; usize::from(n)])).collect();
    let mut connection = server();
    let (mut input, mut output) = (Input::new(&mut wire), Vec::new());
    loop {
        let (before, written) = (input.remaining(), output.len());
        if connection.handle_input(&mut input, &mut output).is_none() {
            break;
        }
        assert!(output.len() - written <= before - input.remaining());
    }
}

#[test]
fn an_unasked_pong_gets_no_answer() {
    let (told, output) = feed(&mut server(), &masked(0x8a, b"alive"));
    assert_eq!((told, output), (vec![Told::Pong(b"alive".to_vec())], vec![]));
}

#[test]
fn control_frames_are_never_fragmented() {
    for (first, opcode) in [(0x08, Opcode::Close), (0x09, Opcode::Ping), (0x0a, Opcode::Pong)] {
        check_refused(Limits::default(), &masked(first, b""), FrameError::FragmentedControl(opcode));
    }
}

#[test]
fn control_frames_carry_125_bytes_at_most() {
    for (first, opcode) in [(0x88, Opcode::Close), (0x89, Opcode::Ping), (0x8a, Opcode::Pong)] {
        check_refused(Limits::default(), &masked(first, &[0; 126]), FrameError::LongControl(opcode));
        check_refused(Limits::default(), &header(first, 0x80, 1 << 40), FrameError::LongControl(opcode));
    }
}

#[test]
fn a_ping_in_pieces_is_kept_and_given_back() {
    let wire = masked(0x89, &[5; 125]);
    let mut connection = server();
    feed(&mut connection, &wire[..60]);
    assert!(!connection.has_unfinished_message());
    assert_eq!(connection.unfinished_bytes(), 54);
    let (told, output) = feed(&mut connection, &wire[60..]);
    assert_eq!((told, output), (vec![Told::Ping(vec![5; 125])], unmasked(0x8a, &[5; 125])));
    assert_eq!(connection.heap_bytes(), 0);
}

#[test]
fn pings_in_pieces_inside_a_message_do_not_run_together() {
    let wire = [masked(0x01, b"a"), masked(0x89, b"one"), masked(0x89, b"two"), masked(0x80, b"b")].concat();
    let (told, output) = feed_pieces(&mut server(), &wire.chunks(1).collect::<Vec<_>>());
    assert_eq!(told, [Told::Ping(b"one".to_vec()), Told::Ping(b"two".to_vec()), text("ab")]);
    assert_eq!(output, [unmasked(0x8a, b"one"), unmasked(0x8a, b"two")].concat());
}

#[test]
fn no_pong_follows_our_close() {
    let mut connection = server();
    connection.close(CloseCode::NORMAL, "", &mut Vec::new());
    let (told, output) = feed(&mut connection, &masked(0x89, b"late"));
    assert_eq!((told, output), (vec![Told::Ping(b"late".to_vec())], vec![]));
}
