//! The header fields of a handshake, and the parameters of permessage-deflate.
//!
//! What a field must be is judged by `check`; here is what it is for.

use super::explanation::{Explanation, Row, find};

/// What a field of the handshake is for; none for fields that have no part in it.
#[must_use]
pub fn header(name: &str) -> Option<Explanation> {
    find(ROWS, &name.to_ascii_lowercase()).map(Row::explanation)
}

pub(super) const ROWS: &[Row] = &[
    Row {
        names: &["sec-websocket-key"],
        text: &[
            "16 random bytes in base64, 24 characters, drawn by the client anew for each connection. The server's \
             Sec-WebSocket-Accept is computed from it, which shows that the answer belongs to this request and comes from \
             somebody who speaks WebSocket.",
        ],
        beware: Some("it is no credential and no key of any encryption."),
        section: "RFC 6455, section 4.1, and section 11.3.1",
    },
    Row {
        names: &["sec-websocket-accept", "guid", "258eafa5-e914-47da-95ca-c5ab0dc85b11"],
        text: &[
            "The server's proof that it read the request: base64(SHA-1(key + GUID)), where key is the text of \
             Sec-WebSocket-Key as it stands and GUID is 258EAFA5-E914-47DA-95CA-C5AB0DC85B11.",
            "  key     dGhlIHNhbXBsZSBub25jZQ==\n  accept  s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
        ],
        beware: Some(
            "the GUID is part of it: without it, or with the key decoded first, every client refuses the answer. And \
             SHA-1 is no weakness here, for nothing is secured by it.",
        ),
        section: "RFC 6455, section 4.2.2",
    },
    Row {
        names: &["sec-websocket-version"],
        text: &[
            "13 in every request. A server that wants another version answers 426 and lists those that it speaks in a \
             header of this name.",
        ],
        beware: None,
        section: "RFC 6455, section 4.4",
    },
    Row {
        names: &["sec-websocket-protocol"],
        text: &[
            "The subprotocols that the client offers, the preferred one first; the server answers with one of them, or \
             leaves the header out. Pages set it by the second argument of new WebSocket(), and nothing else: hence tokens \
             are found in it.",
        ],
        beware: Some(
            "a server must not answer with one that was not offered: browsers then close the connection.",
        ),
        section: "RFC 6455, section 4.1, and section 11.3.4",
    },
    Row {
        names: &["sec-websocket-extensions"],
        text: &[
            "The extensions that the client offers, each with parameters, and in the answer those that both use from now on, \
             in their order. permessage-deflate (RFC 7692) is the one that is in use.",
        ],
        beware: Some("an offer is no promise: only what the answer lists is agreed on."),
        section: "RFC 6455, section 9.1",
    },
    Row {
        names: &["permessage-deflate", "deflate", "compression"],
        text: &[
            "Messages are compressed with DEFLATE, each for itself or with what came before as context. RSV1 on a message's \
             first frame says that it is compressed; each message may be or not.",
            "The context is what costs memory: a window of 2^bits bytes and tables beside it for each direction that keeps \
             it, about 44 KiB to read and, with zlib's defaults, 256 KiB to write.",
        ],
        beware: Some(
            "it makes small messages smaller only with a context, and beside secrets it can betray them (as CRIME did to TLS).",
        ),
        section: "RFC 7692, section 7",
    },
    Row {
        names: &["server_no_context_takeover"],
        text: &[
            "The server compresses each of its messages by itself. The client may free its window after each message; \
             one compressed form can go to many clients.",
        ],
        beware: None,
        section: "RFC 7692, section 7.1.1.1",
    },
    Row {
        names: &["client_no_context_takeover"],
        text: &[
            "The client compresses each of its messages by itself, and the server need not keep a window between them.",
        ],
        beware: None,
        section: "RFC 7692, section 7.1.1.2",
    },
    Row {
        names: &["server_max_window_bits"],
        text: &[
            "The largest window of the server's messages, as a power of two: 8 (256 bytes) to 15 (32 KiB, as if it were not there).",
        ],
        beware: None,
        section: "RFC 7692, section 7.1.2.1",
    },
    Row {
        names: &["client_max_window_bits"],
        text: &[
            "In an offer: the client can be told a window for its own messages, with or without a value. In an answer: the \
             largest that it may use, 8 to 15.",
        ],
        beware: Some("a server must not answer with it unless the client offered it."),
        section: "RFC 7692, section 7.1.2.2",
    },
    Row {
        names: &["upgrade"],
        text: &[
            "`websocket` in request and answer. It concerns one hop: a proxy that does not pass it on makes the request a plain GET.",
        ],
        beware: None,
        section: "RFC 6455, section 4.1, and RFC 9110, section 7.8",
    },
    Row {
        names: &["connection"],
        text: &[
            "Lists `Upgrade` (in any case of letters, perhaps beside keep-alive), without which the Upgrade header does not count.",
        ],
        beware: Some(
            "nginx sends neither of the two to a backend unless it is told: proxy_set_header Upgrade $http_upgrade.",
        ),
        section: "RFC 6455, section 4.1, and RFC 9110, section 7.6.1",
    },
    Row {
        names: &["host", ":authority"],
        text: &["The server's name, with the port unless it is the scheme's own."],
        beware: None,
        section: "RFC 6455, section 4.1",
    },
    Row {
        names: &["origin"],
        text: &[
            "The page's scheme, host and port, which browsers always send and scripts cannot change. The same-origin \
             policy does not hold for WebSockets: the server must judge the Origin itself, or any page can use the \
             visitor's cookies.",
        ],
        beware: Some(
            "CORS has no part in it: no preflight is sent, and Access-Control headers mean nothing here.",
        ),
        section: "RFC 6455, section 10.2",
    },
    Row {
        names: &["cookie", "authorization"],
        text: &[
            "Credentials as in any HTTP request. Pages cannot add Authorization to a WebSocket; programs can.",
        ],
        beware: None,
        section: "RFC 6455, section 10.5",
    },
    Row {
        names: &[":protocol", ":method", ":path", ":scheme", "extended connect", "rfc8441"],
        text: &[
            "Over HTTP/2 and HTTP/3 a WebSocket is a stream: the request is CONNECT with ':protocol: websocket', the answer \
             is 200, and there are neither key nor accept, neither Upgrade nor Connection. The server must have said \
             SETTINGS_ENABLE_CONNECT_PROTOCOL before.",
        ],
        beware: None,
        section: "RFC 8441, sections 4 and 5",
    },
];
