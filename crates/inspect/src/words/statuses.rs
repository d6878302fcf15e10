//! What a server's status says when it answers a handshake.
//!
//! Only what concerns WebSockets; what a status means otherwise is HTTP's.

use super::explanation::{Explanation, Row, find};

/// What this status means as an answer to a handshake.
pub(super) fn explanation(status: &str) -> Option<Explanation> {
    find(ROWS, status).map(Row::explanation)
}

pub(super) const ROWS: &[Row] = &[
    Row {
        names: &["101"],
        text: &[
            "Switching Protocols: the handshake is accepted, frames follow the empty line behind the answer's head.",
        ],
        beware: None,
        section: "RFC 6455, section 4.2.2",
    },
    Row {
        names: &["200"],
        text: &[
            "As an answer to an upgrade: the server, or a proxy before it, did not see a WebSocket handshake. Over HTTP/2 it is what accepts one.",
        ],
        beware: None,
        section: "RFC 6455, section 4.1, and RFC 8441, section 5",
    },
    Row {
        names: &["301", "302", "307", "308"],
        text: &["The server wants another URL, see Location. Browsers do not follow it for WebSockets."],
        beware: None,
        section: "RFC 6455, section 4.1",
    },
    Row {
        names: &["400"],
        text: &[
            "Something in the handshake is missing or wrong; often a proxy took Upgrade and Connection away.",
        ],
        beware: None,
        section: "RFC 6455, section 4.2.1",
    },
    Row {
        names: &["401", "403"],
        text: &["Credentials, or the Origin, are not accepted."],
        beware: None,
        section: "RFC 6455, sections 4.2.2 and 10.2",
    },
    Row {
        names: &["404"],
        text: &["There is no WebSocket under this path."],
        beware: None,
        section: "RFC 9110, section 15.5.5",
    },
    Row {
        names: &["426"],
        text: &[
            "Upgrade Required: the server wants another protocol, or another Sec-WebSocket-Version than 13.",
        ],
        beware: None,
        section: "RFC 6455, section 4.4",
    },
    Row {
        names: &["429", "503"],
        text: &["Too much at the moment: come back after the time in Retry-After."],
        beware: None,
        section: "RFC 9110, section 10.2.3",
    },
    Row {
        names: &["502", "504"],
        text: &["A proxy did not get an answer from the server behind it."],
        beware: None,
        section: "RFC 9110, section 15.6",
    },
];
