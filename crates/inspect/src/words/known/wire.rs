//! 7000 to 7999: rules of WebSockets that a peer broke, whichever side it was.
//!
//! The rule itself and its section stand in the message.

use super::row::{Goes, Known, table};

table! { WIRE:
    CLIENT_BROKE_RULE = 7001, "client broke a rule", [close 1002, log "protocol_error"],
        "A client broke a rule of RFC 6455 or RFC 7692, and was closed with 1002.",
        "Its library has a fault, something between changes bytes, or what speaks there is no WebSocket.",
        "`tidegate inspect` between the two shows the frame and the rule; the log line has the section.";
    CLIENT_BROKE_TEXT = 7002, "text is not UTF-8", [close 1007, log "protocol_error"],
        "A client sent a text message, or the reason of a Close, that is not UTF-8; or one that does not inflate.",
        "Bytes are sent as text, or a message is cut within a character.",
        "Send bytes as binary messages; `tidegate inspect` shows the offset of the first bad byte.";
    SERVER_BROKE_RULE = 7003, "server broke a rule", [exit 7],
        "The server broke a rule of the protocol on an open WebSocket.",
        "Its library has a fault, or a proxy between changes bytes.",
        "`tidegate inspect URL` shows the frame; the message has the section of the rule.";
    SERVER_NOT_WEBSOCKET = 7004, "answer breaks the handshake", [exit 7],
        "The server accepted, but its answer is none to this handshake.",
        "Sec-WebSocket-Accept is missing or wrong, mostly because a server or proxy answers without reading the key.",
        "`tidegate inspect URL` ticks and crosses each requirement, with the accept key recomputed.";
    HTTP2_BROKEN = 7005, "HTTP/2 broke", [exit 7],
        "The server broke HTTP/2 or ended it.",
        "It does not speak HTTP/2 in the clear, or a proxy resets the stream.",
        "Try --http 1.1.";
}
