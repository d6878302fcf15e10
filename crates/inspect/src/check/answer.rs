//! What is asked of a server's answer: RFC 6455, sections 4.1 and 4.2.2; over HTTP/2 RFC 8441, section 5.
//!
//! What was chosen is judged by what was offered, so that the request belongs to it.

use tidegate_websocket::handshake::accept_key;

use super::compression;
use super::fields::{Times, joined, lists, times, tokens};
use super::requirement::{Part, Requirement};
use crate::event::Handshake;

const ANSWERED: &str = "RFC 6455, section 4.2.2";
/// What a client must make of it.
const JUDGED: &str = "RFC 6455, section 4.1";

pub(super) fn check(asked: Option<&Handshake>, head: &Handshake, requirements: &mut Vec<Requirement>) {
    let status = status(head);
    let is_accepted = !status.is_broken();
    requirements.push(status);
    if !is_accepted {
        return;
    }
    if head.http != "2" {
        requirements.extend([upgrade(head), connection(head), accept(asked, head)]);
    }
    requirements.extend(subprotocol(asked, head));
    compression::check(asked, head, requirements);
}

fn new(is_met: bool, what: &'static str, section: &'static str) -> Requirement {
    Requirement::new(Part::Answer, is_met, what, section)
}

fn status(head: &Handshake) -> Requirement {
    let requirement = match head.http.as_str() {
        "2" => {
            let is_met = head.status.is_some_and(|status| (200..300).contains(&status));
            new(is_met, "status 2xx", "RFC 8441, section 5")
        }
        _ => {
            let is_met = head.status == Some(101) && head.start.starts_with("HTTP/1.1 ");
            new(is_met, "status 101 of HTTP/1.1", ANSWERED)
        }
    };
    let found =
        if head.http == "2" { head.header(":status").unwrap_or_default() } else { head.start.as_str() };
    requirement.found(found).mend(advice(head.status))
}

/// What to do about a refusal.
fn advice(status: Option<u16>) -> &'static str {
    match status {
        Some(101) => "answer with HTTP/1.1: clients refuse a 101 of another version",
        Some(200..=299) => {
            "the server answered as to a plain request: is this the path of a WebSocket, and did a proxy pass Upgrade on?"
        }
        Some(300..=399) => "the server wants another URL, see Location; browsers do not follow it",
        Some(400) => "see the requirements of the request above; the body may say which is broken",
        Some(401) => "send credentials: tidegate connect --token TOKEN, or -H 'Authorization: ...'",
        Some(403) => {
            "the Origin or the credentials are not accepted; of a Tidegate see [access] origins and the route's subscribe"
        }
        Some(404) => "there is nothing under this path",
        Some(405) => "the method must be GET",
        Some(421) => "the Host is none that the server answers to",
        Some(426) => "see Upgrade and Sec-WebSocket-Version in the answer for what the server wants",
        Some(429 | 503) => "come back after the time in Retry-After; of a Tidegate the body names the limit",
        Some(502 | 504) => "a proxy got no answer from the server behind it",
        Some(500..) => "the server's log says what happened",
        Some(_) => "the answer is all that is known",
        None => "does an HTTP server listen there?",
    }
}

fn upgrade(head: &Handshake) -> Requirement {
    let requirement = |is_met| new(is_met, "Upgrade is websocket", ANSWERED);
    match times(head, "upgrade") {
        Times::Once(value) => requirement(value.eq_ignore_ascii_case("websocket"))
            .found(value)
            .mend("answer 'Upgrade: websocket'"),
        Times::Never | Times::Often => requirement(false).mend("answer 'Upgrade: websocket', once"),
    }
}

fn connection(head: &Handshake) -> Requirement {
    let requirement = new(lists(head, "connection", "upgrade"), "Connection lists Upgrade", ANSWERED);
    let found = joined(head, "connection");
    Requirement { found, ..requirement }.mend("answer 'Connection: Upgrade'")
}

fn accept(asked: Option<&Handshake>, head: &Handshake) -> Requirement {
    let key = asked.and_then(|asked| asked.header("sec-websocket-key"));
    let Times::Once(found) = times(head, "sec-websocket-accept") else {
        return new(false, "Sec-WebSocket-Accept, once", ANSWERED)
            .mend("answer base64(SHA-1(key + GUID)), once");
    };
    let Some(key) = key else {
        let what = "Sec-WebSocket-Accept, which cannot be judged without the key";
        return Requirement::noted(Part::Answer, what, ANSWERED).found(found);
    };
    let expected = accept_key(key);
    let is_met = found == expected;
    let requirement = new(is_met, "Sec-WebSocket-Accept belongs to the key", ANSWERED);
    if is_met {
        return requirement.found(found);
    }
    let why = if found == accept_without_guid(key) { "; the GUID was left out" } else { "" };
    requirement.found(format!("{found}, not {expected}{why}")).mend(
        "answer base64(SHA-1(key + \"258EAFA5-E914-47DA-95CA-C5AB0DC85B11\")), with the key as it stands; an answer from a \
         cache is none",
    )
}

/// What comes out if the key alone is hashed: the mistake that is made most often.
fn accept_without_guid(key: &str) -> String {
    use base64::Engine;
    use sha1::Digest;
    base64::engine::general_purpose::STANDARD.encode(sha1::Sha1::digest(key))
}

fn subprotocol(asked: Option<&Handshake>, head: &Handshake) -> Option<Requirement> {
    let offered = asked.and_then(|asked| tokens(asked, "sec-websocket-protocol")).unwrap_or_default();
    let requirement = |is_met| new(is_met, "subprotocol: one that was offered", JUDGED);
    match times(head, "sec-websocket-protocol") {
        Times::Never if offered.is_empty() => None,
        Times::Never => {
            let what = "no subprotocol was chosen: browsers accept that, some clients do not";
            Some(
                Requirement::noted(Part::Answer, what, JUDGED)
                    .found(format!("offered {}", offered.join(", "))),
            )
        }
        Times::Once(chosen) => {
            let is_met = asked.is_none() || offered.iter().any(|name| name == chosen);
            Some(
                requirement(is_met)
                    .found(chosen)
                    .mend("answer one of those that were offered, or leave it out"),
            )
        }
        Times::Often => Some(requirement(false).mend("answer one, once")),
    }
}
