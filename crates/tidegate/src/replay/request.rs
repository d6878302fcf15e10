//! What a connection asks for again: the recorded path, fields, subprotocols and Origin, unless the command line has others.
//!
//! What the recording hides is not sent; it is told, and how to give it.

use tidegate_client::Options;
use tidegate_client::deflate::Offer;
use tidegate_inspect::replay::Script;
use tidegate_inspect::secrets::HIDDEN;
use tidegate_inspect::words::known;

use crate::arguments::Replay;
use crate::connect::trust;
use crate::exit::Failure;
use crate::terminal::escape;

/// Fields that belong to the connection of then, or are sent in another way.
const OWN: [&str; 8] = [
    "host",
    "connection",
    "upgrade",
    "content-length",
    "transfer-encoding",
    "origin",
    "keep-alive",
    "proxy-connection",
];

/// See the module's head.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) url: String,
    pub(super) options: Options,
    /// Fields that the recording hides and nobody gave.
    pub(super) hidden: Vec<String>,
}

impl Request {
    pub(super) fn new(arguments: &Replay, script: &Script) -> Result<Self, Failure> {
        let is_given =
            |name: &str| arguments.header.iter().any(|(other, _)| other.eq_ignore_ascii_case(name));
        let recorded = script.request.as_ref().map(|head| head.headers.as_slice()).unwrap_or_default();
        let mut headers = arguments.header.clone();
        let mut hidden = Vec::new();
        for (name, value) in recorded {
            let plain = name.trim_end().to_ascii_lowercase();
            let is_own = OWN.contains(&plain.as_str()) || plain.starts_with("sec-websocket-");
            if plain.is_empty() || plain.starts_with(':') || is_own || is_given(&plain) {
                continue;
            }
            if value.contains(HIDDEN) {
                hidden.push(name.clone());
            } else {
                headers.push((name.trim_end().to_owned(), value.clone()));
            }
        }
        let defaults = Options::default();
        let options = Options {
            headers,
            subprotocols: subprotocols(arguments, script, &mut hidden),
            origin: arguments.origin.clone().or_else(|| field(script, "origin")),
            deflate: arguments.compress.then(Offer::default),
            trust: trust(arguments.cacert.as_ref(), arguments.insecure),
            connect_timeout: arguments.timeout,
            ..defaults
        };
        Ok(Self { url: url(arguments, script)?, options, hidden })
    }
}

fn field(script: &Script, name: &str) -> Option<String> {
    script.request.as_ref()?.header(name).map(str::to_owned)
}

/// A token among them is no secret that the server could do without, so that it is told.
fn subprotocols(arguments: &Replay, script: &Script, hidden: &mut Vec<String>) -> Vec<String> {
    if !arguments.subprotocol.is_empty() {
        return arguments.subprotocol.clone();
    }
    let offered = script.request.iter().flat_map(|head| head.all("sec-websocket-protocol"));
    let names = offered.flat_map(|value| value.split(',')).map(str::trim).filter(|name| !name.is_empty());
    let (secret, plain): (Vec<&str>, Vec<&str>) = names.partition(|name| name.contains(HIDDEN));
    if !secret.is_empty() {
        hidden.push("Sec-WebSocket-Protocol".to_owned());
    }
    plain.into_iter().map(str::to_owned).collect()
}

/// A URL without a path has that of the recording.
fn url(arguments: &Replay, script: &Script) -> Result<String, Failure> {
    let url = &arguments.url;
    let behind = url.split_once("://").map_or("", |(_, behind)| behind);
    let Some(target) = script.target().filter(|_| !behind.contains(['/', '?'])) else {
        return Ok(url.clone());
    };
    if target.contains(HIDDEN) {
        let what =
            format!("the recording hides credentials in the query of {}: {}", script.conn, escape(target));
        let mend = format!(
            "give the URL with its path and query, and --connection {} if there are several",
            script.conn
        );
        return Err(Failure::of(known::HIDDEN_CREDENTIALS, what).mend(mend));
    }
    Ok(format!("{url}{target}"))
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use tidegate_inspect::event::Direction;
    use tidegate_inspect::head::{Secrets, of_http1};

    use super::*;
    use crate::arguments::{Arguments, Command};
    use crate::exit::Exit;

    const REQUEST: &[u8] = b"GET /chat?a=1 HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Origin: http://o\r\nUser-Agent: u\r\nCookie: sid=1\r\nAuthorization: Bearer x\r\nSec-WebSocket-Version: 13\r\n\
        Sec-WebSocket-Key: k\r\nSec-WebSocket-Protocol: a, bearer.x, b\r\n\r\n";

    fn request(line: &str, head: &[u8]) -> Result<Request, Failure> {
        let words = ["tidegate", "replay", "f"].into_iter().chain(line.split_whitespace());
        let Some(Command::Replay(arguments)) = Arguments::parse_from(words).command else { panic!("{line}") };
        let head = of_http1(Direction::ToServer, head, Secrets::Hide);
        let mut script = Script::default();
        (script.conn, script.request) = ("c1".to_owned(), Some(head));
        Request::new(&arguments, &script)
    }

    #[test]
    fn what_was_recorded_is_asked_for_again() {
        let request = request("ws://x:1", REQUEST).expect("a request");
        assert_eq!(request.url, "ws://x:1/chat?a=1");
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(request.options.headers, [header("User-Agent", "u")]);
        assert_eq!(request.options.subprotocols, ["a", "b"]);
        assert_eq!(request.options.origin.as_deref(), Some("http://o"));
        assert_eq!(request.hidden, ["Cookie", "Authorization", "Sec-WebSocket-Protocol"]);
    }

    #[test]
    fn the_command_line_counts_before_the_recording() {
        let line = "ws://x/ -H cookie:sid=2 -H authorization:y --subprotocol c --origin http://p";
        let request = request(line, REQUEST).expect("a request");
        assert_eq!(request.url, "ws://x/");
        let names: Vec<_> = request.options.headers.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!((names, request.hidden.len()), (vec!["cookie", "authorization", "User-Agent"], 0));
        assert_eq!(
            (request.options.subprotocols, request.options.origin.as_deref()),
            (vec!["c".to_owned()], Some("http://p"))
        );
    }

    #[test]
    fn a_query_that_is_hidden_must_be_given() {
        let head = b"GET /chat?token=1 HTTP/1.1\r\n\r\n";
        let failure = request("ws://x", head).expect_err("it is hidden");
        assert!(failure.exit == Exit::Usage && failure.what.contains("/chat?token=[hidden]"), "{failure}");
        assert!(
            request("ws://x/chat?token=2", head).is_ok_and(|request| request.url == "ws://x/chat?token=2")
        );
    }
}
