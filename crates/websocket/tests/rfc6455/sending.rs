//! What the application sends: frames of both roles, fragments, and what is refused.

use tidegate_websocket::{CloseCode, Event, Fragment, Input, Message, Opcode, PreparedMessage, SendError};

use crate::peer::*;

#[test]
fn a_server_sends_unmasked_frames() {
    let (mut connection, mut output) = (server(), Vec::new());
    connection.send_text("hé", &mut output).unwrap();
    connection.send_binary(&[0xff], &mut output).unwrap();
    connection.send_ping(b"p", &mut output).unwrap();
    connection.send_pong(b"q", &mut output).unwrap();
    let expected = [
        unmasked(0x81, "hé".as_bytes()),
        unmasked(0x82, &[0xff]),
        unmasked(0x89, b"p"),
        unmasked(0x8a, b"q"),
    ];
    assert_eq!(output, expected.concat());
}

#[test]
fn a_client_masks_each_frame_with_a_new_key() {
    let (mut connection, mut output) = (client(), Vec::new());
    (0..20).for_each(|_| connection.send_text("same", &mut output).unwrap());
    let keys: std::collections::BTreeSet<&[u8]> = output.chunks(10).map(|frame| &frame[2..6]).collect();
    assert_eq!(keys.len(), 20);
    assert_eq!(feed(&mut server(), &output).0, vec![text("same"); 20]);
}

#[test]
fn fragments_are_sent_with_pings_between_them() {
    let (mut connection, mut output) = (server(), Vec::new());
    connection.send_fragment(Message::Text("a"), Fragment::More, &mut output).unwrap();
    connection.send_ping(b"", &mut output).unwrap();
    connection.send_fragment(Message::Text(""), Fragment::More, &mut output).unwrap();
    connection.send_fragment(Message::Text("b"), Fragment::Last, &mut output).unwrap();
    connection.send_fragment(Message::Binary(b"c"), Fragment::Last, &mut output).unwrap();
    let expected = [
        unmasked(0x01, b"a"),
        unmasked(0x89, b""),
        unmasked(0x00, b""),
        unmasked(0x80, b"b"),
        unmasked(0x82, b"c"),
    ];
    assert_eq!(output, expected.concat());
}

#[test]
fn no_other_message_may_stand_between_fragments() {
    let (mut connection, mut output) = (server(), Vec::new());
    connection.send_fragment(Message::Text("a"), Fragment::More, &mut output).unwrap();
    let written = output.len();
    assert_eq!(connection.send_text("b", &mut output), Err(SendError::MessageUnfinished));
    let other = connection.send_fragment(Message::Binary(b"b"), Fragment::Last, &mut output);
    assert_eq!(other, Err(SendError::MessageUnfinished));
    assert_eq!(output.len(), written);
}

#[test]
fn a_ping_of_126_bytes_is_not_sent() {
    let mut output = Vec::new();
    assert_eq!(server().send_ping(&[0; 125], &mut output), Ok(()));
    assert_eq!(output.len(), 127);
    assert_eq!(server().send_ping(&[0; 126], &mut output), Err(SendError::LongControl));
    assert_eq!(server().send_pong(&[0; 126], &mut output), Err(SendError::LongControl));
    assert_eq!(output.len(), 127);
}

#[test]
fn nothing_follows_a_close() {
    let mut ours = server();
    ours.close(CloseCode::NORMAL, "", &mut Vec::new());
    let mut theirs = server();
    feed(&mut theirs, &masked(0x88, b""));
    let mut failed = server();
    feed(&mut failed, &[0xff]);
    for mut connection in [ours, theirs, failed] {
        let mut output = Vec::new();
        assert_eq!(connection.send_text("x", &mut output), Err(SendError::Closed));
        assert_eq!(connection.send_ping(b"", &mut output), Err(SendError::Closed));
        assert_eq!(connection.send_pong(b"", &mut output), Err(SendError::Closed));
        let fragment = connection.send_fragment(Message::Text("x"), Fragment::More, &mut output);
        assert_eq!(fragment, Err(SendError::Closed));
        assert!(output.is_empty());
    }
}

#[test]
fn a_prepared_message_is_what_the_server_would_send() {
    let mut output = Vec::new();
    server().send_text("shared", &mut output).unwrap();
    let prepared = PreparedMessage::text("shared");
    assert_eq!(prepared.clone().into_bytes(), output);
    assert_eq!(prepared.bytes().as_ptr(), prepared.clone().bytes().as_ptr());
    assert_eq!(prepared.payload(), "shared");
    assert_eq!(PreparedMessage::new(Opcode::Ping, b"").bytes(), &unmasked(0x89, b""));
}

#[test]
fn a_message_that_a_close_cut_off_is_not_sent_on() {
    for is_ours in [true, false] {
        let (mut connection, mut output) = (server(), Vec::new());
        connection.send_fragment(Message::Text("a"), Fragment::More, &mut output).unwrap();
        if is_ours {
            connection.close(CloseCode::NORMAL, "", &mut output);
        } else {
            output.extend(feed(&mut connection, &masked(0x88, &1000u16.to_be_bytes())).1);
        }
        let rest = connection.send_fragment(Message::Text("b"), Fragment::Last, &mut output);
        assert_eq!(rest, Err(SendError::Closed));
        assert_eq!(output, [unmasked(0x01, b"a"), close_frame(1000, "")].concat());
    }
}

#[test]
fn a_lent_message_is_answered_from_where_it_lies() {
    let mut server = server();
    let mut bytes = *b"\x81\x82\0\0\0\0hi\x88\x80\0\0\0\0";
    let mut input = Input::new(&mut bytes);
    let mut output = Vec::new();
    let (event, mut answers) = server.handle_input_to_answer(&mut input, &mut output).unwrap();
    let Event::Message(message) = event else { panic!("{event:?}") };
    answers.send(message, &mut output).unwrap();
    assert_eq!(output, b"\x81\x02hi");
    let (event, mut answers) = server.handle_input_to_answer(&mut input, &mut output).unwrap();
    assert!(matches!(event, Event::Close(_)));
    assert_eq!(answers.send(Message::Text("late"), &mut output), Err(SendError::Closed));
    assert_eq!(output, b"\x81\x02hi\x88\x00");
}
