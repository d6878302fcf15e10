//! Extensions: what was offered, what was agreed on, whether it may be, and what memory that costs.
//!
//! permessage-deflate is the only one whose parameters are known (RFC 7692, section 7.1).

use tidegate_websocket::deflate::Parameters;
use tidegate_websocket::handshake::{ListedExtension, list_extensions, stated_extensions};

use super::fields::{joined, pairs};
use super::requirement::{Part, Requirement};
use crate::event::Handshake;

const DEFLATE: &str = "permessage-deflate";
const SECTION: &str = "RFC 7692, section 7.1";

/// What zlib takes beside the window to compress, at its default of memLevel 8.
const DEFLATE_TABLE_BYTES: u64 = 128 * 1024;
/// What zlib takes beside the window to decompress.
const INFLATE_STATE_BYTES: u64 = 7 * 1024;

pub(super) fn check(asked: Option<&Handshake>, head: &Handshake, requirements: &mut Vec<Requirement>) {
    let Some(found) = joined(head, "sec-websocket-extensions").filter(|found| !found.is_empty()) else {
        let offered = asked.and_then(|asked| joined(asked, "sec-websocket-extensions"));
        requirements.extend(offered.map(|offered| {
            let what = "no extension was agreed on: messages go uncompressed";
            Requirement::noted(Part::Answer, what, "RFC 6455, section 9.1")
                .found(format!("offered {offered}"))
        }));
        return;
    };
    let new = |is_met, what: &'static str, section| Requirement::new(Part::Answer, is_met, what, section);
    let Some(chosen) = list_extensions(&pairs(head)) else {
        let requirement = new(false, "Sec-WebSocket-Extensions in its grammar", "RFC 6455, section 9.1");
        requirements.push(
            requirement.found(found).mend("names with parameters behind semicolons, divided by commas"),
        );
        return;
    };
    if let Some(asked) = asked {
        let offered = list_extensions(&pairs(asked)).unwrap_or_default();
        let is_offered = |one: &ListedExtension| offered.iter().any(|offer| offer.name == one.name);
        let is_met = chosen.iter().all(is_offered) && is_each_once(&chosen);
        let requirement =
            new(is_met, "extensions: only such as were offered, each once", "RFC 6455, section 9.1");
        requirements.push(requirement.found(found).mend("leave out what was not offered"));
        for answer in chosen.iter().filter(|one| one.name == DEFLATE && is_offered(one)) {
            let offers = offered.iter().filter(|offer| offer.name == DEFLATE);
            requirements.push(parameters(answer, offers));
        }
    }
    if stated_extensions(&pairs(head)).is_some_and(|extensions| extensions.deflate.is_some()) {
        for words in in_words(head) {
            requirements.push(Requirement::noted(Part::Answer, words, SECTION));
        }
    }
}

fn is_each_once(chosen: &[ListedExtension]) -> bool {
    chosen.iter().enumerate().all(|(at, one)| chosen[..at].iter().all(|other| other.name != one.name))
}

/// The parameters of the answer against the offers, one of which must allow them.
fn parameters<'o>(
    answer: &ListedExtension,
    offers: impl Iterator<Item = &'o ListedExtension>,
) -> Requirement {
    let mut why = None;
    for offer in offers {
        match refused(answer, offer) {
            None => {
                return Requirement::new(Part::Answer, true, "permessage-deflate as it was offered", SECTION);
            }
            Some(reason) => why = Some(reason),
        }
    }
    let requirement = Requirement::new(Part::Answer, false, "permessage-deflate as it was offered", SECTION);
    requirement.mend(why.unwrap_or("agree to an offer"))
}

/// Why the answer does not fit this offer; none if it does.
fn refused(answer: &ListedExtension, offer: &ListedExtension) -> Option<&'static str> {
    let Some(stated) = stated(answer) else {
        return Some("a parameter is unknown, stands twice or has a value that it cannot have");
    };
    let has = |one: &ListedExtension, name: &str| one.parameters.iter().any(|(other, _)| other == name);
    let bits = |one: &ListedExtension, name: &str| {
        let value =
            one.parameters.iter().find(|(other, _)| other == name).and_then(|(_, value)| value.as_deref());
        value.and_then(|value| value.parse::<u8>().ok())
    };
    if has(answer, "client_max_window_bits") && bits(answer, "client_max_window_bits").is_none() {
        return Some("client_max_window_bits has a value in an answer");
    }
    if has(offer, "server_no_context_takeover") && !stated.server_no_context_takeover {
        return Some("agree to server_no_context_takeover, which was offered, or decline");
    }
    if let Some(most) = bits(offer, "server_max_window_bits")
        && (!has(answer, "server_max_window_bits") || stated.server_max_window_bits > most)
    {
        return Some("answer server_max_window_bits, no larger than offered, or decline");
    }
    if has(answer, "client_max_window_bits") && !has(offer, "client_max_window_bits") {
        return Some("leave out client_max_window_bits, which was not offered");
    }
    if bits(offer, "client_max_window_bits").is_some_and(|most| stated.client_max_window_bits > most)
        && has(answer, "client_max_window_bits")
    {
        return Some("answer client_max_window_bits no larger than offered");
    }
    None
}

/// What an answer's parameters mean; none if they cannot be read.
fn stated(answer: &ListedExtension) -> Option<Parameters> {
    let mut text = answer.name.clone();
    for (name, value) in &answer.parameters {
        text.push_str(&format!("; {name}"));
        if let Some(value) = value {
            text.push_str(&format!("={value}"));
        }
    }
    stated_extensions(&[("sec-websocket-extensions", text.as_bytes())])?.deflate
}

/// What was agreed on in words; empty if nothing was.
pub(super) fn in_words(head: &Handshake) -> Vec<String> {
    let Some(agreed) = stated_extensions(&pairs(head)).and_then(|extensions| extensions.deflate) else {
        return Vec::new();
    };
    let side = |sender: &str, receiver: &str, bits: u8, no_takeover: bool| {
        let window = 1u64 << bits;
        let (write, read) = (4 * window + DEFLATE_TABLE_BYTES, window + INFLATE_STATE_BYTES);
        let kept = match no_takeover {
            true => "each message by itself; memory only while one is on its way",
            false => "with earlier messages as context; memory as long as the connection is open",
        };
        format!(
            "{sender}'s messages: window of {} bytes ({bits} bits), {kept}: with zlib {} KiB at the {sender}, {} KiB at the {receiver}",
            window,
            write / 1024,
            read / 1024,
        )
    };
    vec![
        side("server", "client", agreed.server_max_window_bits, agreed.server_no_context_takeover),
        side("client", "server", agreed.client_max_window_bits, agreed.client_no_context_takeover),
    ]
}
