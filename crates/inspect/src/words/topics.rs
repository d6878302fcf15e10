//! What is neither a code nor a header and yet asked for.
//!
//! The events of a connection that bear such names are explained where they are made.

use super::explanation::Row;

pub(super) const ROWS: &[Row] = &[
    Row {
        names: &["handshake", "upgrade request", "websocket"],
        text: &[
            "A WebSocket begins as an HTTP/1.1 GET that asks for an upgrade. The server's 101 ends HTTP on this connection; \
             from then on both sides send frames.",
        ],
        beware: Some("a WebSocket is not HTTP, and not raw TCP: what travels are messages in frames."),
        section: "RFC 6455, section 1.3",
    },
    Row {
        names: &["frame", "frames"],
        text: &[
            "What travels after the handshake: a header of 2 to 14 bytes, then payload. `tidegate explain HEX` draws one.",
        ],
        beware: None,
        section: "RFC 6455, section 5.2",
    },
    Row {
        names: &["wss", "ws", "tls"],
        text: &[
            "wss:// is WebSocket over TLS, on port 443 unless another is said; ws:// is in the clear, on port 80. Pages that came by https may only use wss.",
        ],
        beware: None,
        section: "RFC 6455, section 3",
    },
    Row {
        names: &["readystate", "onerror"],
        text: &[
            "What a page sees: CONNECTING, OPEN, CLOSING, CLOSED; `error` says nothing on purpose, `close` has the code. A \
             refused handshake is 1006 without a reason, so that pages cannot look into other networks.",
        ],
        beware: Some(
            "the reason of a refusal is not hidden by the server: see it with `tidegate connect -i URL` or `tidegate inspect URL`.",
        ),
        section: "WHATWG WebSockets Standard, section 4",
    },
];
