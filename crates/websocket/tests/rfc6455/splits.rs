//! What must hold for all inputs: no cut of the bytes changes anything, what one end sends the other gets.

use proptest::prelude::*;
use tidegate_websocket::{CloseCode, Connection, Fragment, Input, Limits, MaskKeys, Message, Role, fuzzing};

use crate::told::Told;

/// First byte of a Ping's payload, and so of the Pong that answers it.
const PING: u8 = 1;
/// First byte of the payload of a Pong that nobody asked for.
const PONG: u8 = 2;

/// One thing that an application does.
#[derive(Debug, Clone)]
enum Act {
    Text(String),
    Binary(Vec<u8>),
    Fragments(Vec<String>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
}

fn act() -> impl Strategy<Value = Act> {
    let bytes = |length| prop::collection::vec(any::<u8>(), 0..length);
    prop_oneof![
        "\\PC{0,80}".prop_map(Act::Text),
        bytes(300).prop_map(Act::Binary),
        prop::collection::vec("\\PC{0,20}", 1..5).prop_map(Act::Fragments),
        bytes(125).prop_map(|payload| Act::Ping([vec![PING], payload].concat())),
        bytes(125).prop_map(|payload| Act::Pong([vec![PONG], payload].concat())),
    ]
}

impl Act {
    fn send(&self, connection: &mut Connection, output: &mut Vec<u8>) {
        match self {
            Self::Text(text) => connection.send_text(text, output).unwrap(),
            Self::Binary(bytes) => connection.send_binary(bytes, output).unwrap(),
            Self::Ping(payload) => connection.send_ping(payload, output).unwrap(),
            Self::Pong(payload) => connection.send_pong(payload, output).unwrap(),
            Self::Fragments(parts) => {
                for (index, part) in parts.iter().enumerate() {
                    let last = index + 1 == parts.len();
                    let fragment = if last { Fragment::Last } else { Fragment::More };
                    connection.send_fragment(Message::Text(part), fragment, output).unwrap();
                }
            }
        }
    }

    /// As the other end is told of it.
    fn told(&self) -> Told {
        match self {
            Self::Text(text) => Told::Text(text.clone()),
            Self::Binary(bytes) => Told::Binary(bytes.clone()),
            Self::Ping(payload) => Told::Ping(payload.clone()),
            Self::Pong(payload) => Told::Pong(payload.clone()),
            Self::Fragments(parts) => Told::Text(parts.concat()),
        }
    }
}

/// Two ends and the bytes between them, which arrive in pieces of scripted length.
struct Pair {
    ends: [Connection; 2],
    /// `wires[n]` leads to `ends[n]`.
    wires: [Vec<u8>; 2],
    told: [Vec<Told>; 2],
}

impl Pair {
    fn new() -> Self {
        let client = Role::Client(MaskKeys::from_seed([3; 16]));
        Self {
            ends: [
                Connection::new(client, Limits::default()),
                Connection::new(Role::Server, Limits::default()),
            ],
            wires: [Vec::new(), Vec::new()],
            told: [Vec::new(), Vec::new()],
        }
    }

    /// Lets this many bytes arrive at one end.
    fn deliver(&mut self, end: usize, length: usize) {
        let length = length.min(self.wires[end].len());
        let mut bytes: Vec<u8> = self.wires[end].drain(..length).collect();
        let mut input = Input::new(&mut bytes);
        while let Some(event) = self.ends[end].handle_input(&mut input, &mut self.wires[1 - end]) {
            self.told[end].push(event.into());
        }
    }

    fn deliver_all(&mut self) {
        while !self.wires.iter().all(Vec::is_empty) {
            self.deliver(0, usize::MAX);
            self.deliver(1, usize::MAX);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn what_one_end_sends_the_other_gets_in_order(
        script in prop::collection::vec((0usize..2, act(), 0usize..40), 0..20), closer in 0usize..2
    ) {
        let mut pair = Pair::new();
        let mut sent = [Vec::new(), Vec::new()];
        for (end, act, length) in &script {
            act.send(&mut pair.ends[*end], &mut pair.wires[1 - end]);
            sent[*end].push(act.told());
            pair.deliver(0, *length);
            pair.deliver(1, *length);
        }
        pair.deliver_all();
        pair.ends[closer].close(CloseCode::NORMAL, "done", &mut pair.wires[1 - closer]);
        pair.deliver_all();
        for end in 0..2 {
            prop_assert!(pair.ends[end].is_closed());
            let reason = if end == closer { "" } else { "done" };
            prop_assert_eq!(pair.told[end].pop(), Some(Told::Close(Some(1000), reason.to_owned())));
            let (answers, got): (Vec<_>, Vec<_>) = pair.told[end].drain(..).partition(is_answer);
            prop_assert_eq!(&got, &sent[1 - end]);
            prop_assert_eq!(answers, sent[end].iter().filter_map(answer).collect::<Vec<_>>());
        }
    }

    #[test]
    fn any_bytes_give_the_same_in_any_pieces(data in prop::collection::vec(any::<u8>(), 0..200)) {
        fuzzing::fuzz_ws_server(&data);
        fuzzing::fuzz_ws_client(&data);
    }

    #[test]
    fn likely_bytes_give_the_same_in_any_pieces(
        choice: u8, pieces: u8, frames in prop::collection::vec(frame(), 0..20)
    ) {
        fuzzing::fuzz_ws_server(&[vec![choice, pieces], wire(false, &frames)].concat());
        fuzzing::fuzz_ws_client(&[vec![choice, pieces], wire(true, &frames)].concat());
    }

    #[test]
    fn likely_requests_are_judged_the_same_in_any_pieces(pieces: u8, lines in prop::collection::vec(line(), 0..12)) {
        let head = format!("GET / HTTP/1.1\r\n{}\r\nrest", lines.concat());
        fuzzing::fuzz_ws_handshake(&[&[pieces], head.as_bytes()].concat());
        let head = format!("HTTP/1.1 101 OK\r\n{}\r\nrest", lines.concat());
        fuzzing::fuzz_client_handshake(&[&[pieces], head.as_bytes()].concat());
    }

    #[test]
    fn any_request_is_judged_the_same_in_any_pieces(data in prop::collection::vec(any::<u8>(), 0..300)) {
        fuzzing::fuzz_ws_handshake(&data);
        fuzzing::fuzz_client_handshake(&data);
        fuzzing::fuzz_utf8(&data);
        fuzzing::fuzz_mask(&data);
    }
}

fn is_answer(told: &Told) -> bool {
    matches!(told, Told::Pong(payload) if payload[0] == PING)
}

/// The Pong that a Ping brings.
fn answer(told: &Told) -> Option<Told> {
    match told {
        Told::Ping(payload) => Some(Told::Pong(payload.clone())),
        _ => None,
    }
}

/// First byte, payload, and whether the mask is wrong: a frame that is right more often than not.
fn frame() -> impl Strategy<Value = (u8, Vec<u8>, bool)> {
    let first = prop_oneof![
        30 => prop::sample::select(vec![0x81, 0x82, 0x01, 0x02, 0x00, 0x00, 0x00, 0x80, 0x89, 0x89, 0x8a]),
        1 => prop::sample::select(vec![0x88, 0x83, 0xc1, 0x09]),
    ];
    let payload = prop_oneof![
        6 => "[a-z€🍉]{0,30}".prop_map(String::into_bytes),
        1 => prop::collection::vec(any::<u8>(), 0..200),
        1 => (999u16..5001).prop_map(|code| code.to_be_bytes().to_vec()),
    ];
    (first, payload, prop::bool::weighted(0.02))
}

/// What the peer of a client or a server sends.
fn wire(is_client: bool, frames: &[(u8, Vec<u8>, bool)]) -> Vec<u8> {
    let write = |(first, payload, is_wrong): &(u8, Vec<u8>, bool)| {
        let write = if is_client == *is_wrong { crate::peer::masked } else { crate::peer::unmasked };
        write(*first, payload)
    };
    frames.iter().flat_map(write).collect()
}

/// A header line that matters to a handshake, right more often than not.
fn line() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "Host: example.com\r\n",
        "Upgrade: websocket\r\n",
        "Connection: keep-alive, Upgrade\r\n",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
        "Sec-WebSocket-Version: 13\r\n",
        "Sec-WebSocket-Protocol: chat, superchat\r\n",
        "Sec-WebSocket-Protocol: chat\r\n",
        "Sec-WebSocket-Extensions: permessage-deflate; a=\"b\"\r\n",
        "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n",
        "Content-Length: 0\r\n",
        "X: \u{e9}\n",
        "Bad Name: x\r\n",
        "Sec-WebSocket-Version: 8\r\n",
        "\r\n",
    ])
}
