//! Sec-WebSocket-Extensions: its grammar (RFC 6455, section 9.1), and which of the listed extensions are
//! agreed on.
//!
//! What the parameters of an extension mean is known to the extension's own module. The list is bounded by
//! `field` before it is read.

use std::borrow::Cow;

use super::field::{Fields, ListError, OFFERS_MAX, OFFERS_MAX_BYTES, is_token_byte};
use crate::deflate::{self, Acceptance, AnswerError, Offer, Parameter};
use crate::extension::Extensions;

const HEADER: &str = "sec-websocket-extensions";

/// One extension of the list.
struct Element<'a> {
    name: &'a str,
    parameters: Vec<Parameter<'a>>,
}

/// An extension as it stands in an offer or an answer, whatever its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedExtension {
    /// Its name.
    pub name: String,
    /// Its parameters in their order, with their values without quotes.
    pub parameters: Vec<(String, Option<String>)>,
}

/// Why the answer to an offer is none.
pub(super) enum NotConfirmed {
    /// Not in the grammar, repeated, or nothing that was offered.
    NotOffered,
    /// permessage-deflate, but not as it was offered.
    Parameters(AnswerError),
}

/// The server's part: the first offer that can be accepted. None is no failure (section 9.1).
pub(super) fn accept(fields: Fields<'_>, deflate: Option<&Acceptance>) -> Result<Extensions, ListError> {
    let offers = read(fields)?;
    let deflate = deflate.and_then(|acceptance| {
        let mut offers = offers.iter().filter(|offer| offer.name == deflate::NAME);
        offers.find_map(|offer| deflate::accept(&offer.parameters, acceptance))
    });
    Ok(Extensions { deflate })
}

/// The client's part: what an answer means, which may only hold what was offered.
pub(super) fn confirm(fields: Fields<'_>, deflate: Option<&Offer>) -> Result<Extensions, NotConfirmed> {
    if fields.all(HEADER).all(<[u8]>::is_empty) {
        return Ok(Extensions::default());
    }
    let answers = read(fields).map_err(|_| NotConfirmed::NotOffered)?;
    match (answers.as_slice(), deflate) {
        ([answer], Some(offer)) if answer.name == deflate::NAME => {
            let parameters = deflate::confirm(&answer.parameters, offer).map_err(NotConfirmed::Parameters)?;
            Ok(Extensions { deflate: Some(parameters) })
        }
        _ => Err(NotConfirmed::NotOffered),
    }
}

/// The extensions that these fields list, for who only looks on; none if the list breaks its grammar or is longer
/// than a handshake needs.
#[must_use]
pub fn list_extensions(headers: &[(&str, &[u8])]) -> Option<Vec<ListedExtension>> {
    let elements = read(Fields(headers)).ok()?;
    let owned = |element: &Element<'_>| ListedExtension {
        name: element.name.to_owned(),
        parameters: element
            .parameters
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.as_deref().map(str::to_owned)))
            .collect(),
    };
    Some(elements.iter().map(owned).collect())
}

/// What an answer agrees to, for who only looks on and does not judge it by the offer; none if it lists anything
/// but one permessage-deflate that can be read, so that the meaning of the frames is not known.
#[must_use]
pub fn stated_extensions(headers: &[(&str, &[u8])]) -> Option<Extensions> {
    let elements = read(Fields(headers)).ok()?;
    match elements.as_slice() {
        [] => Some(Extensions::default()),
        [answer] if answer.name == deflate::NAME => {
            Some(Extensions { deflate: Some(deflate::state(&answer.parameters)?) })
        }
        _ => None,
    }
}

/// All extensions, in the order of the fields and within them; empty if there is no such field.
fn read(fields: Fields<'_>) -> Result<Vec<Element<'_>>, ListError> {
    fields.check_length(HEADER, OFFERS_MAX_BYTES)?;
    let mut elements = Vec::new();
    for value in fields.all(HEADER) {
        Scanner(value).read_list(&mut elements)?;
    }
    Ok(elements)
}

/// What of a value has not been read.
struct Scanner<'a>(&'a [u8]);

impl<'a> Scanner<'a> {
    /// Reads a whole list, which must not be empty.
    fn read_list(mut self, elements: &mut Vec<Element<'a>>) -> Result<(), ListError> {
        let before = elements.len();
        loop {
            while self.skip(b',') {}
            if self.0.is_empty() {
                return if elements.len() > before { Ok(()) } else { Err(ListError::Malformed) };
            }
            if elements.len() == OFFERS_MAX {
                return Err(ListError::TooLong);
            }
            elements.push(self.element().ok_or(ListError::Malformed)?);
            if !self.0.is_empty() && !self.skip(b',') {
                return Err(ListError::Malformed);
            }
        }
    }

    fn element(&mut self) -> Option<Element<'a>> {
        let name = self.token()?;
        let mut parameters = Vec::new();
        while self.skip(b';') {
            parameters.push(self.parameter()?);
        }
        Some(Element { name, parameters })
    }

    fn parameter(&mut self) -> Option<Parameter<'a>> {
        let name = self.token()?;
        if !self.skip(b'=') {
            return Some((name, None));
        }
        let value = if self.skip(b'"') { self.quoted_token()? } else { self.token()?.into() };
        Some((name, Some(value)))
    }

    /// Takes a byte and the white space on both sides, if it is the next.
    fn skip(&mut self, byte: u8) -> bool {
        match self.0.trim_ascii_start().split_first() {
            Some((first, rest)) if *first == byte => {
                self.0 = if byte == b'"' { rest } else { rest.trim_ascii_start() };
                true
            }
            _ => false,
        }
    }

    fn token(&mut self) -> Option<&'a str> {
        let length = self.0.iter().take_while(|byte| is_token_byte(**byte)).count();
        let (token, rest) = self.0.split_at(length);
        self.0 = rest.trim_ascii_start();
        std::str::from_utf8(token).ok().filter(|token| !token.is_empty())
    }

    /// The rest of a quoted string, whose content must be a token once its backslashes are gone.
    fn quoted_token(&mut self) -> Option<Cow<'a, str>> {
        let mut content = String::new();
        loop {
            let (mut byte, mut rest) = self.0.split_first()?;
            if *byte == b'"' {
                self.0 = rest.trim_ascii_start();
                return (!content.is_empty()).then_some(content.into());
            }
            if *byte == b'\\' {
                (byte, rest) = rest.split_first()?;
            }
            if !is_token_byte(*byte) {
                return None;
            }
            self.0 = rest;
            content.push(char::from(*byte));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The list as it was understood, in one spelling.
    fn check(value: &str) -> Option<String> {
        let fields = [("Sec-WebSocket-Extensions", value.as_bytes())];
        let elements = read(Fields(&fields)).ok()?;
        let spell = |element: &Element<'_>| {
            let parameters = element.parameters.iter().map(|(name, value)| match value {
                Some(value) => format!(";{name}={value}"),
                None => format!(";{name}"),
            });
            [element.name.to_owned()].into_iter().chain(parameters).collect::<String>()
        };
        Some(elements.iter().map(spell).collect::<Vec<_>>().join(","))
    }

    #[test]
    fn the_grammar_of_extensions() {
        for (value, read) in [
            ("permessage-deflate", "permessage-deflate"),
            ("permessage-deflate; client_max_window_bits, x", "permessage-deflate;client_max_window_bits,x"),
            ("a;b=1;c=\"2\" , d ; e = f,", "a;b=1;c=2,d;e=f"),
            (r#"a; b="\t\o\k""#, "a;b=tok"),
            (", ,a", "a"),
        ] {
            assert_eq!(check(value).as_deref(), Some(read), "{value}");
        }
        for value in [
            "",
            ",",
            "a b",
            "a;",
            "a;;b",
            ";a",
            "a;b=",
            "a;b=\"",
            "a;b=\"\"",
            "a;b=\"c d\"",
            "a;b=\"c\\",
            "a=b",
        ] {
            assert_eq!(check(value), None, "{value}");
        }
    }

    #[test]
    fn an_onlooker_reads_what_an_answer_says_by_itself() {
        let stated = |value: &str| {
            let extensions = stated_extensions(&[("sec-websocket-extensions", value.as_bytes())])?;
            Some(extensions.header_value().unwrap_or_default())
        };
        let deflate = "permessage-deflate; client_no_context_takeover; server_max_window_bits=10";
        assert_eq!(stated(deflate).as_deref(), Some(deflate));
        assert_eq!(stated("permessage-deflate").as_deref(), Some("permessage-deflate"));
        for unknown in ["x", "permessage-deflate, x", "permessage-deflate; x", "permessage-deflate;;", ""] {
            assert_eq!(stated(unknown), None, "{unknown}");
        }
        assert_eq!(stated_extensions(&[("x", b"y")]), Some(Extensions::default()));
        let listed = list_extensions(&[("Sec-WebSocket-Extensions", b"a; b=1; c")]);
        let parameters = vec![("b".to_owned(), Some("1".to_owned())), ("c".to_owned(), None)];
        assert_eq!(listed, Some(vec![ListedExtension { name: "a".to_owned(), parameters }]));
    }

    #[test]
    fn a_list_is_bounded() {
        let many = |count: usize| (0..count).map(|n| format!("p{n}")).collect::<Vec<_>>().join(",");
        assert_eq!(check(&many(16)), Some(many(16)));
        assert_eq!(check(&many(17)), None);
        assert_eq!(check(&"x".repeat(1025)), None);
    }
}
