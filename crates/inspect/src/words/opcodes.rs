//! Opcodes and what else stands in the header of a frame.
//!
//! The rules are RFC 6455's, section 5; compression is RFC 7692's.

use super::explanation::Row;

pub(super) const ROWS: &[Row] = &[
    Row {
        names: &["continuation", "0x0"],
        text: &[
            "A further fragment of the message that an earlier frame began. It has neither kind nor compression of its \
             own: both are said by the first frame.",
        ],
        beware: None,
        section: "RFC 6455, section 5.4",
    },
    Row {
        names: &["text", "0x1"],
        text: &[
            "A text message, or its first fragment. All of its fragments together are UTF-8; a fragment may end within a character.",
        ],
        beware: None,
        section: "RFC 6455, section 5.6",
    },
    Row {
        names: &["binary", "0x2"],
        text: &["A binary message, or its first fragment. What the bytes mean is between the applications."],
        beware: None,
        section: "RFC 6455, section 5.6",
    },
    Row {
        names: &["close", "0x8"],
        text: &[
            "The last frame that an endpoint sends. Its payload is empty, or a code of two bytes and as many as 123 bytes \
             of UTF-8 that say why. The other side answers with one of its own, and then the server ends TCP.",
        ],
        beware: Some(
            "a Close frame does not end the connection by itself: what the other side had sent before its own comes first.",
        ),
        section: "RFC 6455, section 5.5.1",
    },
    Row {
        names: &["ping", "0x9"],
        text: &[
            "Asks for a Pong with the same payload of 125 bytes at most: is the other side still there? It may stand \
             between the fragments of a message.",
        ],
        beware: Some("pages can neither send Pings nor see them; browsers answer them by themselves."),
        section: "RFC 6455, section 5.5.2",
    },
    Row {
        names: &["pong", "0xa"],
        text: &[
            "Answers a Ping with the same payload, or is a sign of life that nobody asked for. Of several Pings only the last needs an answer.",
        ],
        beware: None,
        section: "RFC 6455, section 5.5.3",
    },
    Row {
        names: &["fin"],
        text: &[
            "The first bit of a frame: this is the last fragment of its message. Control frames always have it.",
        ],
        beware: Some("it has nothing to do with TCP's FIN."),
        section: "RFC 6455, section 5.2",
    },
    Row {
        names: &["rsv1", "rsv2", "rsv3", "rsv"],
        text: &[
            "Three bits that are zero unless an extension was agreed on that gives them a meaning. permessage-deflate owns \
             RSV1: on the first frame of a message it says that the message is compressed.",
        ],
        beware: None,
        section: "RFC 6455, section 5.2, and RFC 7692, section 6",
    },
    Row {
        names: &["mask", "masking", "masking key", "masking-key"],
        text: &[
            "A client XORs each payload with four random bytes that stand in the header; a server never does. So a script \
             cannot choose the bytes that a proxy sees on the wire, and cannot make them look like an HTTP request whose \
             answer the proxy would keep for others.",
        ],
        beware: Some(
            "masking is not secrecy. The key stands in front of what it masks; TLS (wss://) is what hides.",
        ),
        section: "RFC 6455, sections 5.3 and 10.3",
    },
    Row {
        names: &["length", "payload length", "payload-length"],
        text: &[
            "Seven bits if the payload has at most 125 bytes. 126 says that the length is in the next two bytes, 127 that it \
             is in the next eight, most significant byte first and in the shortest form.",
        ],
        beware: None,
        section: "RFC 6455, section 5.2",
    },
    Row {
        names: &["opcode"],
        text: &[
            "Four bits that say what a frame is: 0 continuation, 1 text, 2 binary, 8 close, 9 ping, A pong. The others are reserved.",
        ],
        beware: None,
        section: "RFC 6455, section 5.2",
    },
    Row {
        names: &["fragment", "fragmentation", "fragments"],
        text: &[
            "A message may come in several frames: the first says its kind, the others are continuations, the last has FIN. \
             Control frames may stand between them, other messages not.",
        ],
        beware: Some("fragments have no meaning for applications; a proxy may join or split them."),
        section: "RFC 6455, section 5.4",
    },
];
