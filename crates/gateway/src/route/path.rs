//! The one spelling of a path: every octet that may stand bare in a segment stands bare, every other one
//! is escaped with upper-case digits (RFC 3986, section 6.2.2).
//!
//! Two spellings of a path name one channel, so they must reach one route. Paths come from requests,
//! patterns and templates; nothing is decoded for good here.

use std::borrow::Cow;

const DIGITS: &[u8; 16] = b"0123456789ABCDEF";

/// The canonical spelling of an encoded path; `None` where a `%` is not followed by two hexadecimal
/// digits. Slashes stay, and so does `%2F`: it is no separator.
pub(super) fn canonical(path: &str) -> Option<Cow<'_, str>> {
    if path.bytes().all(|byte| byte == b'/' || stands_bare(byte)) {
        return Some(Cow::Borrowed(path));
    }
    let mut spelled = String::with_capacity(path.len() + 16);
    let mut rest = path.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'/' => spelled.push('/'),
            b'%' => push(&mut spelled, escaped(&mut rest)?, stands_bare),
            byte => push(&mut spelled, byte, stands_bare),
        }
    }
    Some(Cow::Owned(spelled))
}

/// The octets that one encoded segment or value stands for; `None` as with [`canonical`].
pub(super) fn decoded(encoded: &str) -> Option<Vec<u8>> {
    let mut octets = Vec::with_capacity(encoded.len());
    let mut rest = encoded.bytes();
    while let Some(byte) = rest.next() {
        octets.push(if byte == b'%' { escaped(&mut rest)? } else { byte });
    }
    Some(octets)
}

/// Appends octets as part of a path segment; a slash among them is escaped.
pub(super) fn push_segment(text: &mut String, octets: &[u8]) {
    octets.iter().for_each(|octet| push(text, *octet, stands_bare));
}

/// Appends octets as part of a query's value: everything but unreserved characters is escaped, so that
/// `&`, `=` and `+` are data.
pub(super) fn push_query_value(text: &mut String, octets: &[u8]) {
    octets.iter().for_each(|octet| push(text, *octet, unreserved));
}

/// The path of a decoded name: a leading slash, and each segment in its canonical spelling.
pub(crate) fn of_name(name: &str) -> String {
    let mut path = String::with_capacity(name.len() + 16);
    path.push('/');
    for octet in name.trim_start_matches('/').bytes() {
        push(&mut path, octet, |octet| octet == b'/' || stands_bare(octet));
    }
    path
}

/// True if a segment of a canonical path is `.` or `..`: a backend would read another path than the one
/// that was matched.
pub(super) fn has_dot_segment(canonical: &str) -> bool {
    canonical.split('/').any(|segment| segment == "." || segment == "..")
}

/// RFC 3986: `pchar` without escapes.
pub(super) fn stands_bare(octet: u8) -> bool {
    unreserved(octet) || b"!$&'()*+,;=:@".contains(&octet)
}

fn unreserved(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || b"-._~".contains(&octet)
}

fn push(text: &mut String, octet: u8, bare: impl Fn(u8) -> bool) {
    if bare(octet) {
        text.push(char::from(octet));
    } else {
        text.push('%');
        text.push(char::from(DIGITS[usize::from(octet >> 4)]));
        text.push(char::from(DIGITS[usize::from(octet & 15)]));
    }
}

/// The octet of the two hexadecimal digits that follow a `%`.
fn escaped(rest: &mut impl Iterator<Item = u8>) -> Option<u8> {
    let mut digit = || rest.next().and_then(|byte| char::from(byte).to_digit(16));
    let octet = digit()? << 4 | digit()?;
    u8::try_from(octet).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_path_has_one_spelling() {
        for (path, spelled) in [
            ("/quotes/BTC", "/quotes/BTC"),
            ("/%71uotes/%42TC", "/quotes/BTC"),
            ("/a%2fb", "/a%2Fb"),
            ("/a%24b", "/a$b"),
            ("/caf\u{e9}", "/caf%C3%A9"),
            ("/caf%c3%a9", "/caf%C3%A9"),
            ("/%2e%2E/x", "/../x"),
            ("/a b{c}\\", "/a%20b%7Bc%7D%5C"),
            ("/%252e", "/%252e"),
        ] {
            assert_eq!(canonical(path).as_deref(), Some(spelled), "{path}");
        }
        for path in ["/%", "/%4", "/%zz", "/%4\u{e9}"] {
            assert_eq!(canonical(path), None, "{path}");
        }
    }

    #[test]
    fn a_name_becomes_the_path_that_it_came_from() {
        assert_eq!(of_name("/"), "/");
        assert_eq!(of_name("caf\u{e9}/100%"), "/caf%C3%A9/100%25");
    }

    proptest! {
        #[test]
        fn spelling_twice_changes_nothing_and_keeps_the_octets(path in "(/|%[0-9a-fA-F]{2}|\\PC){0,12}") {
            if let Some(once) = canonical(&path) {
                let twice = canonical(&once);
                prop_assert_eq!(twice.as_deref(), Some(&*once));
                prop_assert_eq!(decoded(&once), decoded(&path));
            }
        }
    }
}
