//! What is asked of a client's request: RFC 6455, sections 4.1 and 4.2.1; over HTTP/2 RFC 8441, section 5.
//!
//! The bounds of a server's own (bytes, fields) are not requirements and are not judged.

use tidegate_websocket::handshake::{decoded_length, list_extensions};

use super::fields::{Times, joined, lists, pairs, times, tokens};
use super::requirement::{Part, Requirement};
use crate::event::Handshake;

const ASKED: &str = "RFC 6455, section 4.1";

pub(super) fn check(head: &Handshake, requirements: &mut Vec<Requirement>) {
    if head.http == "2" {
        check_pseudo_headers(head, requirements);
    } else {
        requirements.extend([
            method(head),
            version_of_http(head),
            host(head),
            upgrade(head),
            connection(head),
            key(head),
        ]);
        requirements.extend(lines(head));
    }
    requirements.push(version(head));
    requirements.extend([origin(head), subprotocols(head), extensions(head)].into_iter().flatten());
    requirements.push(body(head));
}

fn new(is_met: bool, what: &'static str, section: &'static str) -> Requirement {
    Requirement::new(Part::Request, is_met, what, section)
}

fn method(head: &Handshake) -> Requirement {
    let method = head.request().map_or("", |(method, _)| method);
    new(method == "GET", "method GET", ASKED).found(method).mend("send the handshake as a GET")
}

fn version_of_http(head: &Handshake) -> Requirement {
    let version = head.start.rsplit(' ').next().unwrap_or_default();
    new(version == "HTTP/1.1", "HTTP/1.1", ASKED).found(version).mend(
        "speak HTTP/1.1; a proxy in between may have lowered the version (nginx: proxy_http_version 1.1)",
    )
}

fn host(head: &Handshake) -> Requirement {
    let requirement = |is_met| new(is_met, "Host, once", ASKED);
    match times(head, "host") {
        Times::Once(host) => {
            let is_authority = |byte: u8| byte.is_ascii_graphic() && !b"/\\?#@,\"<>".contains(&byte);
            requirement(!host.is_empty() && host.bytes().all(is_authority))
                .found(host)
                .mend("name or address, and a port")
        }
        Times::Never => requirement(false).mend("send the server's name in Host"),
        Times::Often => requirement(false).mend("send Host once"),
    }
}

fn upgrade(head: &Handshake) -> Requirement {
    let requirement = new(lists(head, "upgrade", "websocket"), "Upgrade lists websocket", ASKED);
    with_found(requirement, joined(head, "upgrade"))
        .mend("send 'Upgrade: websocket'; a proxy that does not pass it on takes it away (nginx: proxy_set_header Upgrade $http_upgrade)")
}

fn connection(head: &Handshake) -> Requirement {
    let requirement = new(lists(head, "connection", "upgrade"), "Connection lists Upgrade", ASKED);
    with_found(requirement, joined(head, "connection"))
        .mend("send 'Connection: Upgrade'; a proxy in between may have replaced it (nginx: proxy_set_header Connection upgrade)")
}

fn key(head: &Handshake) -> Requirement {
    let requirement = |is_met| new(is_met, "Sec-WebSocket-Key, once, 16 bytes in base64", ASKED);
    let mend = "send 16 random bytes in base64, 24 characters, new for each connection";
    match times(head, "sec-websocket-key") {
        Times::Once(key) => {
            let length = decoded_length(key.as_bytes());
            let words = match length {
                Some(length) => format!("{key}, {length} bytes"),
                None => format!("{key}, not base64"),
            };
            requirement(length == Some(16)).found(words).mend(mend)
        }
        Times::Never => requirement(false).mend(mend),
        Times::Often => requirement(false).mend("send it once"),
    }
}

fn version(head: &Handshake) -> Requirement {
    let requirement = |is_met| new(is_met, "Sec-WebSocket-Version 13, once", ASKED);
    match times(head, "sec-websocket-version") {
        Times::Once(version) => {
            requirement(version == "13").found(version).mend("send 'Sec-WebSocket-Version: 13'")
        }
        Times::Never => requirement(false).mend("send 'Sec-WebSocket-Version: 13'"),
        Times::Often => requirement(false).mend("send it once"),
    }
}

/// Nothing is broken without one: programs need not send it.
fn origin(head: &Handshake) -> Option<Requirement> {
    let section = "RFC 6455, section 10.2";
    Some(match joined(head, "origin") {
        Some(origin) => {
            Requirement::noted(Part::Request, "Origin, which the server must judge", section).found(origin)
        }
        None => Requirement::noted(Part::Request, "no Origin: a program, not a page", section),
    })
}

fn subprotocols(head: &Handshake) -> Option<Requirement> {
    let offered = joined(head, "sec-websocket-protocol")?;
    let is_met = tokens(head, "sec-websocket-protocol").is_some();
    let requirement = new(is_met, "Sec-WebSocket-Protocol: distinct tokens", ASKED);
    Some(requirement.found(offered).mend("list names without spaces or quotes, divided by commas, each once"))
}

fn extensions(head: &Handshake) -> Option<Requirement> {
    let offered = joined(head, "sec-websocket-extensions")?;
    let is_met = list_extensions(&pairs(head)).is_some();
    let requirement = new(is_met, "Sec-WebSocket-Extensions in its grammar", "RFC 6455, section 9.1");
    Some(requirement.found(offered).mend("names with parameters behind semicolons, divided by commas"))
}

fn body(head: &Handshake) -> Requirement {
    let is_zero = |value: &str| !value.is_empty() && value.bytes().all(|byte| byte == b'0');
    let is_met = head.header("transfer-encoding").is_none() && head.all("content-length").all(is_zero);
    new(is_met, "no body", "RFC 6455, section 4.1, and RFC 9110, section 9.3.1")
        .mend("leave out Content-Length and Transfer-Encoding")
}

/// Lines that are no fields; only a fault is worth a line.
fn lines(head: &Handshake) -> Option<Requirement> {
    let (_, line) = head.headers.iter().find(|(name, _)| name.is_empty() || name.ends_with([' ', '\t']))?;
    let requirement =
        new(false, "each line is a field: a name, a colon at once, a value", "RFC 9112, section 5");
    Some(
        requirement
            .found(line.as_str())
            .mend("send each field on a line of its own, without white space in front of the colon"),
    )
}

fn check_pseudo_headers(head: &Handshake, requirements: &mut Vec<Requirement>) {
    let section = "RFC 8441, section 4";
    let field = |name: &'static str, what: &'static str, is_met: fn(&str) -> bool| {
        let found = head.header(name);
        let requirement = new(found.is_some_and(is_met), what, section);
        with_found(requirement, found.map(str::to_owned))
    };
    requirements.extend([
        field(":method", ":method CONNECT", |method| method == "CONNECT")
            .mend("send the handshake as a CONNECT"),
        field(":protocol", ":protocol websocket", |protocol| protocol == "websocket")
            .mend("without ':protocol: websocket' it is a tunnel to another host"),
        field(":scheme", ":scheme", |scheme| !scheme.is_empty())
            .mend("send it: extended CONNECT has a scheme"),
        field(":authority", ":authority", |authority| !authority.is_empty()).mend("send the server's name"),
        field(":path", ":path", |path| path.starts_with('/')).mend("send it: extended CONNECT has a path"),
    ]);
    let hop = ["connection", "upgrade", "keep-alive", "transfer-encoding"];
    let stray = head.headers.iter().find(|(name, _)| hop.iter().any(|hop| name.eq_ignore_ascii_case(hop)));
    let requirement = new(stray.is_none(), "no Connection and no Upgrade", "RFC 9113, section 8.2.2");
    requirements.push(
        with_found(requirement, stray.map(|(name, _)| name.clone())).mend("leave it out: it is HTTP/1.1's"),
    );
    if let Some(key) = head.header("sec-websocket-key") {
        let what = "Sec-WebSocket-Key has no meaning over HTTP/2";
        requirements.push(Requirement::noted(Part::Request, what, "RFC 8441, section 5").found(key));
    }
}

fn with_found(requirement: Requirement, found: Option<String>) -> Requirement {
    Requirement { found, ..requirement }
}
