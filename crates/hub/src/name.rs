//! The name of a channel: a path without its leading slash.
//!
//! Names come from request targets (public listener, admin API) and from nowhere else; what cannot be a
//! name is refused here, so that everything behind holds a name that is printable and bounded.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

/// Longest name in bytes, query included (`channels.max_name`).
pub const NAME_MAX_BYTES: usize = 255;

/// Divides a name from the suffix of a private channel. It is a control character, which no name that
/// somebody writes may hold, so nobody can name a private channel.
const PRIVATE_MARK: char = '\u{1f}';

/// A channel's name: the path without its leading slash, percent-decoded once; `/` for the root.
///
/// Compared byte for byte. Cloning shares the text.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChannelName(Arc<str>);

/// Why a request target does not name a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameError {
    /// Nothing where a name was expected.
    Empty,
    /// More than [`NAME_MAX_BYTES`].
    TooLong,
    /// A `%` that two hexadecimal digits do not follow.
    BadEscape,
    /// `%2F`: an encoded slash would make two paths one name.
    EncodedSlash,
    /// `%3F`: an encoded question mark would make a path and a query one name.
    EncodedQuestionMark,
    /// A segment `.` or `..`, plain or encoded, or an empty one.
    BadSegment,
    /// A control character, or one that turns the direction of the text around it.
    Control,
    /// Escapes that do not decode to UTF-8.
    NotUtf8,
}

impl ChannelName {
    /// The name that `path` (of a request target, still percent-encoded, with its leading slash) stands
    /// for, extended by `query` as it stands where the route polls distinct URLs.
    pub fn from_path(path: &str, query: Option<&str>) -> Result<Self, NameError> {
        let encoded = path.strip_prefix('/').unwrap_or(path);
        if encoded.is_empty() && query.is_none() {
            return Ok(Self("/".into()));
        }
        let mut name = if encoded.is_empty() { "/".to_owned() } else { decode(encoded)? };
        if name.contains('?') {
            return Err(NameError::EncodedQuestionMark);
        }
        if name != "/" {
            check_segments(&name)?;
        }
        if let Some(query) = query {
            name.push('?');
            name.push_str(query);
        }
        Self::checked(name)
    }

    /// The name in the rest of an admin path (`/channels/{channel}`): there `%3F` stands for the
    /// question mark of a polled URL, and `/` or `%2F` alone for the root.
    pub fn from_admin_path(rest: &str) -> Result<Self, NameError> {
        if rest.is_empty() {
            return Err(NameError::Empty);
        }
        if rest == "/" || rest.eq_ignore_ascii_case("%2f") {
            return Ok(Self("/".into()));
        }
        let name = decode(rest)?;
        let path = name.split('?').next().unwrap_or_default();
        if path != "/" {
            check_segments(path)?;
        }
        Self::checked(name)
    }

    /// A name as it stands in an envelope or on the command line, not percent-encoded.
    pub fn from_text(text: &str) -> Result<Self, NameError> {
        let text = if text == "/" { text } else { text.strip_prefix('/').unwrap_or(text) };
        if text.is_empty() {
            return Err(NameError::Empty);
        }
        let path = text.split('?').next().unwrap_or_default();
        if path != "/" {
            check_segments(path)?;
        }
        Self::checked(text.to_owned())
    }

    /// The channel of one identity under this name. `suffix` is opaque and printable.
    #[must_use]
    pub fn private(&self, suffix: &str) -> Self {
        Self(format!("{}{PRIVATE_MARK}{suffix}", self.0).into())
    }

    /// True for what [`ChannelName::private`] made: listed, but never published or subscribed by name.
    #[must_use]
    pub fn is_private(&self) -> bool {
        self.0.contains(PRIVATE_MARK)
    }

    /// The name that clients know: without the suffix of a private channel.
    #[must_use]
    pub fn public_part(&self) -> &str {
        self.0.split(PRIVATE_MARK).next().unwrap_or_default()
    }

    /// The path part: without query and suffix.
    #[must_use]
    pub fn path_part(&self) -> &str {
        self.public_part().split('?').next().unwrap_or_default()
    }

    /// What stands behind the question mark, if there is one.
    #[must_use]
    pub fn query(&self) -> Option<&str> {
        self.public_part().split_once('?').map(|(_, query)| query)
    }

    /// The last of what could be shown as `text`: a place in the order of [`Self::cmp_shown`], not a channel.
    pub(crate) fn end_of_shown(text: &str) -> Self {
        Self(text.into())
    }

    /// The order of names as they are shown. Of two that are shown alike the private one comes first.
    pub(crate) fn cmp_shown(&self, other: &Self) -> Ordering {
        self.shown().cmp(other.shown()).then_with(|| self.cmp(other))
    }

    /// The bytes of what `Display` writes: a suffix holds no mark of its own.
    fn shown(&self) -> impl Iterator<Item = u8> {
        self.0.bytes().map(|byte| if char::from(byte) == PRIVATE_MARK { b'#' } else { byte })
    }

    fn checked(name: String) -> Result<Self, NameError> {
        if name.len() > NAME_MAX_BYTES {
            return Err(NameError::TooLong);
        }
        if name.chars().any(|character| character.is_control() || turns_text(character)) {
            return Err(NameError::Control);
        }
        Ok(Self(name.into()))
    }
}

/// Unicode's bidirectional controls: in a log or on a terminal they make a line read as another one.
fn turns_text(character: char) -> bool {
    matches!(character, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn check_segments(path: &str) -> Result<(), NameError> {
    let trimmed = path.strip_suffix('/').unwrap_or(path);
    let bad = |segment: &str| segment.is_empty() || segment == "." || segment == "..";
    if trimmed.split('/').any(bad) { Err(NameError::BadSegment) } else { Ok(()) }
}

fn decode(encoded: &str) -> Result<String, NameError> {
    let mut bytes = Vec::with_capacity(encoded.len().min(NAME_MAX_BYTES + 1));
    let mut rest = encoded.as_bytes().iter().copied();
    while let Some(byte) = rest.next() {
        if bytes.len() > NAME_MAX_BYTES {
            return Err(NameError::TooLong);
        }
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digits = (rest.next().and_then(hex), rest.next().and_then(hex));
        let (Some(high), Some(low)) = digits else { return Err(NameError::BadEscape) };
        match high << 4 | low {
            b'/' => return Err(NameError::EncodedSlash),
            decoded => bytes.push(decoded),
        }
    }
    String::from_utf8(bytes).map_err(|_| NameError::NotUtf8)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

impl AsRef<str> for ChannelName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ChannelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.split_once(PRIVATE_MARK) {
            Some((name, suffix)) => write!(f, "{name}#{suffix}"),
            None => f.write_str(&self.0),
        }
    }
}

impl fmt::Debug for ChannelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChannelName({self})")
    }
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "the channel name is empty",
            Self::TooLong => "the channel name is longer than 255 bytes",
            Self::BadEscape => "a % is not followed by two hexadecimal digits",
            Self::EncodedSlash => "%2F is not allowed in a channel's path",
            Self::EncodedQuestionMark => "%3F is not allowed in a channel's path",
            Self::BadSegment => "an empty, '.' or '..' segment is not allowed in a channel's path",
            Self::Control => {
                "control characters, and those that turn text round, are not allowed in a channel name"
            }
            Self::NotUtf8 => "the channel name does not decode to UTF-8",
        })
    }
}

impl std::error::Error for NameError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(path: &str) -> Result<String, NameError> {
        ChannelName::from_path(path, None).map(|name| name.to_string())
    }

    #[test]
    fn a_path_without_its_slash_is_the_name() {
        assert_eq!(name("/quotes/BTC").unwrap(), "quotes/BTC");
        assert_eq!(name("/").unwrap(), "/");
        assert_eq!(name("/caf%C3%A9").unwrap(), "café");
        assert_eq!(name("/dir/").unwrap(), "dir/");
    }

    #[test]
    fn the_query_stands_as_it_came() {
        let name = ChannelName::from_path("/q", Some("a=%20b")).unwrap();
        assert_eq!(name.to_string(), "q?a=%20b");
        assert_eq!(name.path_part(), "q");
        assert_eq!(ChannelName::from_path("/", Some("x")).unwrap().to_string(), "/?x");
    }

    #[test]
    fn what_cannot_be_a_name_is_refused_with_its_reason() {
        for (path, error) in [
            ("/a%2Fb", NameError::EncodedSlash),
            ("/a%3Fb", NameError::EncodedQuestionMark),
            ("/a%", NameError::BadEscape),
            ("/a%4", NameError::BadEscape),
            ("/a%zz", NameError::BadEscape),
            ("/a//b", NameError::BadSegment),
            ("/a/../b", NameError::BadSegment),
            ("/a/%2e%2E/b", NameError::BadSegment),
            ("/a%00", NameError::Control),
            ("/a%1fb", NameError::Control),
            ("/a%e2%80%ae", NameError::Control),
            ("/%ff", NameError::NotUtf8),
        ] {
            assert_eq!(name(path), Err(error), "{path}");
        }
        assert_eq!(name(&format!("/{}", "x".repeat(255))).unwrap().len(), 255);
        assert_eq!(name(&format!("/{}", "x".repeat(256))), Err(NameError::TooLong));
    }

    #[test]
    fn the_admin_path_names_the_same_channel() {
        let polled = ChannelName::from_path("/q", Some("a=1")).unwrap();
        assert_eq!(ChannelName::from_admin_path("q%3Fa=1").unwrap(), polled);
        assert_eq!((polled.path_part(), polled.private("k3f9").query()), ("q", Some("a=1")));
        assert_eq!(ChannelName::from_text("q").unwrap().query(), None);
        assert_eq!(ChannelName::from_admin_path("%2F").unwrap(), ChannelName::from_path("/", None).unwrap());
        assert_eq!(ChannelName::from_admin_path(""), Err(NameError::Empty));
    }

    #[test]
    fn a_private_channel_cannot_be_named() {
        let private = ChannelName::from_text("q").unwrap().private("k3f9");
        assert!(private.is_private());
        assert_eq!(private.to_string(), "q#k3f9");
        assert_eq!(private.public_part(), "q");
        assert_ne!(ChannelName::from_admin_path("q%23k3f9").unwrap(), private);
        assert_eq!(ChannelName::from_admin_path("q%1Fk3f9"), Err(NameError::Control));
    }
}
