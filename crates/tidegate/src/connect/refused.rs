//! Why there is no connection, in words: what, why, what to do, and the exit code.
//!
//! What a server answered is shown whole, because it mostly says what it wants.

use tidegate_client::{ConnectError, DialError, Http2Error, Phase, Refused};

use tidegate_inspect::secrets::hide_in_target;
use tidegate_inspect::words::known;

use super::report::headers;
use crate::exit::Failure;
use crate::terminal::{escape, escape_lines};

/// The failure, and the status of a refusal.
pub(crate) fn failure(url: &str, error: &ConnectError) -> (Failure, Option<u16>) {
    let url = hide_in_target(url);
    let url = escape(&url);
    let text = error.to_string();
    let text = escape(&text);
    let failure = match error {
        ConnectError::Url(_) => Failure::of(known::URL, format!("{url}: {text}"))
            .mend("write such as ws://localhost:8080/quotes/BTC"),
        ConnectError::Request(_) => Failure::of(known::REQUEST, format!("the request cannot be sent: {text}"))
            .mend("look at -H, --origin, --subprotocol and --token"),
        ConnectError::Trust(_) => {
            Failure::of(known::TRUST, &text).mend("name a PEM file with --cacert FILE, or use --insecure")
        }
        ConnectError::Dial(DialError::Resolve { .. }) => {
            Failure::of(known::RESOLVE, &text).mend("look at the host's name, and at the network")
        }
        ConnectError::Dial(DialError::Connect { .. }) => {
            Failure::of(known::CONNECT, &text).mend("is the server running, and is the port right?")
        }
        ConnectError::Lost(_) => {
            Failure::of(known::LOST, &text).mend("does a WebSocket or HTTP server listen there?")
        }
        ConnectError::Tls(_) => Failure::of(known::TLS, &text)
            .mend("believe its certificate with --cacert FILE, or any with --insecure"),
        ConnectError::NotTls(_) => Failure::of(known::NOT_TLS, &text).mend("try ws://, which is without TLS"),
        ConnectError::Authority(_) => Failure::of(known::AUTHORITY, &text).mend(
            "give the server a certificate made with basicConstraints=CA:FALSE, or believe any with --insecure",
        ),
        ConnectError::Refused(refused) => {
            let failure = Failure::of(known::HANDSHAKE_REFUSED, shown(refused));
            return (failure.mend(advice(refused.status)), Some(refused.status));
        }
        ConnectError::Handshake(_) => Failure::of(known::SERVER_NOT_WEBSOCKET, &text)
            .mend("the server, or a proxy before it, does not speak WebSocket here"),
        ConnectError::Http2(why) => {
            let known = match why {
                Http2Error::NotAgreed | Http2Error::NoConnect => known::HTTP2_UNAVAILABLE,
                Http2Error::Broken(_) => known::HTTP2_BROKEN,
            };
            Failure::of(known, &text).mend("try it with --http 1.1")
        }
        ConnectError::Timeout { phase, .. } => Failure::of(known::TIME, &text).mend(match phase {
            Phase::Connect => "is the host right, and does a firewall let it through?",
            Phase::Tls => "does it speak TLS there? ws:// is without",
            Phase::Handshake => "the server accepted, but did not answer; try it with curl",
        }),
    };
    (failure, None)
}

/// Status, headers and body.
fn shown(refused: &Refused) -> String {
    let mut text = format!("the server refused the handshake with {}", refused.status);
    text.push_str(&headers(&refused.headers));
    if !refused.body.is_empty() {
        text.push_str("\n\n  ");
        text.push_str(&escape_lines(&String::from_utf8_lossy(&refused.body), 2));
        text.push_str(if refused.complete { "" } else { "\n  (the body is longer)" });
        text.push('\n');
    }
    text
}

fn advice(status: u16) -> &'static str {
    match status {
        200..=299 => "it answers as plain HTTP: is this the path of a WebSocket?",
        300..=399 => "it wants another URL: see Location",
        401 => "it wants credentials: --token TOKEN, or -H 'Authorization: ...'",
        403 => "the Origin or the credentials are not accepted: see --origin and -H",
        404 => "there is nothing under this path",
        426 => "it wants another protocol: see Upgrade and Sec-WebSocket-Version",
        429 | 503 => "try again later: see Retry-After",
        502 | 504 => "the server behind it does not answer",
        _ => "the answer above is all that is known",
    }
}
