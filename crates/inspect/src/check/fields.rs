//! Fields of a head as requirements want them: how often, as tokens of a list, as pairs.
//!
//! A credential that was hidden counts as what it was.

use crate::event::Handshake;
use crate::secrets::HIDDEN;

/// How often a field stands in a head.
pub(super) enum Times<'h> {
    Never,
    Once(&'h str),
    Often,
}

pub(super) fn times<'h>(head: &'h Handshake, name: &'static str) -> Times<'h> {
    let mut values = head.all(name);
    match (values.next(), values.next()) {
        (None, _) => Times::Never,
        (Some(value), None) => Times::Once(value),
        (Some(_), Some(_)) => Times::Often,
    }
}

/// All values of a field as one, as HTTP reads them; none if it is absent.
pub(super) fn joined(head: &Handshake, name: &'static str) -> Option<String> {
    let values: Vec<&str> = head.all(name).collect();
    (!values.is_empty()).then(|| values.join(", "))
}

/// Whether a list field has this element, in any case of letters.
pub(super) fn lists(head: &Handshake, name: &'static str, element: &str) -> bool {
    head.all(name).flat_map(|value| value.split(',')).any(|found| found.trim().eq_ignore_ascii_case(element))
}

/// The elements of a list of tokens; none if one is no token, stands twice, or a field has none.
pub(super) fn tokens(head: &Handshake, name: &'static str) -> Option<Vec<String>> {
    let mut tokens: Vec<String> = Vec::new();
    for value in head.all(name) {
        let before = tokens.len();
        for element in value.split(',').map(str::trim).filter(|element| !element.is_empty()) {
            // Two tokens that were hidden look the same.
            let is_hidden = element.ends_with(HIDDEN);
            let is_token = is_hidden || element.bytes().all(is_token_byte);
            if !is_token || (!is_hidden && tokens.iter().any(|token| token == element)) {
                return None;
            }
            tokens.push(element.to_owned());
        }
        if tokens.len() == before {
            return None;
        }
    }
    Some(tokens)
}

fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// The fields as `tidegate-websocket` takes them.
pub(super) fn pairs(head: &Handshake) -> Vec<(&str, &[u8])> {
    head.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect()
}
