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
    Row {
        names: &["keep-alive", "keepalive", "heartbeat"],
        text: &[
            "Proxies and routers forget a connection that is silent, mostly after 60 s or some minutes, and tell neither end. \
             Pings of the server keep it alive and show who is gone; Tidegate sends one each ws_ping_interval (25 s).",
        ],
        beware: Some(
            "a page needs no setInterval() that sends \"ping\": the browser answers the server's Pings by itself. TCP's own \
             keep-alive begins after two hours.",
        ),
        section: "RFC 6455, section 5.5.2",
    },
    Row {
        names: &["delivery", "guarantee", "lost messages"],
        text: &[
            "Messages come whole and in order as long as the connection stands. What was on its way when it broke is lost, and \
             neither end knows how much: whoever needs it numbers messages and resumes, as with Tidegate's positions.",
        ],
        beware: Some(
            "send() that returns does not say that it arrived, nor that it left: look at bufferedAmount. WebSockets have no \
             acknowledgement.",
        ),
        section: "RFC 6455, section 1.5, and docs/coming-back.md",
    },
    Row {
        names: &["position", "after", "epoch"],
        text: &[
            "Where a publication stands in its channel, such as k3f9:41: the epoch, which is another one after the channel began \
             anew, and an offset that grows by one. A client that comes back gives the last one as `after`, and gets all that \
             it missed, or is told that it cannot be had.",
        ],
        beware: Some(
            "it is neither a time nor a number to count with: keep it whole, and hand it back as it came.",
        ),
        section: "Tidegate, docs/coming-back.md, section Positions",
    },
    Row {
        names: &["proxy", "nginx", "load balancer"],
        text: &[
            "A proxy must pass Upgrade and Connection on, speak HTTP/1.1 to the server behind it, and let a silent connection live \
             longer than the interval of Pings. A WebSocket stays with the server that accepted it.",
        ],
        beware: Some(
            "sticky sessions are no need of WebSockets: one connection is one server anyway. Only libraries that begin with \
             several requests need them.",
        ),
        section: "Tidegate, docs/operation.md, section Behind a proxy",
    },
];
