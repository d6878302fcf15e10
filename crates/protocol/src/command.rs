//! What a `tidegate.v1` client may say: one JSON object a text message.
//!
//! Fields that are not known are passed over, so that a newer client can talk to an older gateway; a
//! type that is not known is refused.

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use tidegate_hub::{Payload, Updates, UpdatesError};

/// Longest `id` in bytes, quotes included: it comes back in the reply.
pub const REQUEST_ID_MAX_BYTES: usize = 64;

/// The `id` that a command carried, as it stood there: a JSON number or string.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(Box<str>);

/// A command. Channel names are as the client wrote them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Follow a channel, from a position if one is given.
    Subscribe {
        /// The channel's name.
        channel: String,
        /// The position after which to resume, not yet parsed.
        after: Option<String>,
        /// How to hear of changes.
        updates: Updates,
        /// Comes back in the reply.
        id: Option<RequestId>,
    },
    /// Follow it no longer.
    Unsubscribe {
        /// The channel's name.
        channel: String,
        /// Comes back in the reply.
        id: Option<RequestId>,
    },
    /// A message to the channel: published, or handed to the server behind it.
    Message {
        /// The channel's name; the socket's own path if absent.
        channel: Option<String>,
        /// What to hand on.
        content: Content,
        /// Comes back in the reply.
        id: Option<RequestId>,
    },
}

/// The content of a client's message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// Text for `data` and `text`, binary for `binary`.
    pub payload: Payload,
    /// It came as `data`: it is JSON.
    pub json: bool,
}

/// The message is no command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandError {
    /// The sentence for the client.
    pub message: String,
    /// The command's `id`, if that much could be read.
    pub id: Option<RequestId>,
}

#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(rename = "type", default)]
    kind: Option<String>,
    #[serde(default)]
    channel: Option<String>,
    #[serde(default)]
    after: Option<String>,
    #[serde(default)]
    updates: Option<String>,
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "even_null")]
    data: Option<&'a RawValue>,
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    binary: Option<String>,
}

/// A field whose value may be `null`: that is a value, and only a field that is not there is none.
pub(crate) fn even_null<'de: 'a, 'a, D: Deserializer<'de>>(
    field: D,
) -> Result<Option<&'a RawValue>, D::Error> {
    <&RawValue>::deserialize(field).map(Some)
}

impl Command {
    /// Reads one text message.
    pub fn parse(text: &str) -> Result<Self, CommandError> {
        let wire: Wire<'_> = serde_json::from_str(text).map_err(|error| CommandError {
            message: format!("not a tidegate.v1 command: {error}"),
            id: None,
        })?;
        let id = wire.id.map(RequestId::parse).transpose()?;
        let failed = |message: &str| CommandError { message: message.to_owned(), id: id.clone() };
        let kind = wire.kind.as_deref().ok_or_else(|| failed("the field 'type' is missing"))?;
        match kind {
            "subscribe" | "unsubscribe" => {
                let channel = wire.channel.ok_or_else(|| failed("the field 'channel' is missing"))?;
                if kind == "unsubscribe" {
                    return Ok(Self::Unsubscribe { channel, id });
                }
                let updates = wire.updates.as_deref().map_or(Ok(Updates::Whole), str::parse);
                let updates = updates.map_err(|error: UpdatesError| failed(&error.to_string()))?;
                Ok(Self::Subscribe { channel, after: wire.after, updates, id })
            }
            "message" => {
                let content = Content::of(wire.data, wire.text, wire.binary).map_err(failed)?;
                Ok(Self::Message { channel: wire.channel, content, id })
            }
            _ => Err(failed("the field 'type' must be 'subscribe', 'unsubscribe' or 'message'")),
        }
    }
}

impl Content {
    fn of(
        data: Option<&RawValue>,
        text: Option<String>,
        binary: Option<String>,
    ) -> Result<Self, &'static str> {
        match (data, text, binary) {
            (Some(data), None, None) => Ok(Self { payload: data.get().into(), json: true }),
            (None, Some(text), None) => Ok(Self { payload: text.as_str().into(), json: false }),
            (None, None, Some(binary)) => match BASE64_STANDARD.decode(binary) {
                Ok(bytes) => Ok(Self { payload: Payload::binary(Bytes::from(bytes)), json: false }),
                Err(_) => Err("the field 'binary' is not base64"),
            },
            _ => Err("a message carries exactly one of 'data', 'text' and 'binary'"),
        }
    }
}

impl RequestId {
    fn parse(raw: &RawValue) -> Result<Self, CommandError> {
        let text = raw.get();
        let scalar = text.starts_with(['"', '-']) || text.starts_with(|first: char| first.is_ascii_digit());
        if scalar && text.len() <= REQUEST_ID_MAX_BYTES {
            return Ok(Self(text.into()));
        }
        let message =
            format!("the field 'id' must be a number or a string of at most {REQUEST_ID_MAX_BYTES} bytes");
        Err(CommandError { message, id: None })
    }

    /// The id as JSON.
    #[must_use]
    pub fn as_json(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for CommandError {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn id(text: &str) -> Option<RequestId> {
        Some(RequestId(text.into()))
    }

    #[test]
    fn the_commands_are_read() {
        assert_eq!(
            Command::parse(r#"{"type":"subscribe","channel":"q","after":"k:1","id":1,"more":[]}"#),
            Ok(Command::Subscribe {
                channel: "q".into(),
                after: Some("k:1".into()),
                updates: Updates::Whole,
                id: id("1")
            })
        );
        let asked = Command::parse(r#"{"type":"subscribe","channel":"q","updates":"merge-patch"}"#);
        assert!(matches!(asked, Ok(Command::Subscribe { updates: Updates::MergePatch, .. })));
        assert_eq!(
            Command::parse(r#"{"type":"unsubscribe","channel":"q","id":"x"}"#),
            Ok(Command::Unsubscribe { channel: "q".into(), id: id("\"x\"") })
        );
        let content = Content { payload: r#"{"n":1.0}"#.into(), json: true };
        assert_eq!(
            Command::parse(r#"{"type":"message","data":{"n":1.0}}"#),
            Ok(Command::Message { channel: None, content, id: None }),
            "data passes as it stands"
        );
        let content = Content { payload: "null".into(), json: true };
        assert_eq!(
            Command::parse(r#"{"type":"message","data":null,"id":1}"#),
            Ok(Command::Message { channel: None, content, id: id("1") }),
            "null is a value"
        );
        let content = Content { payload: Payload::binary(Bytes::from_static(b"\0\xff")), json: false };
        assert_eq!(
            Command::parse(r#"{"type":"message","channel":"c","binary":"AP8="}"#),
            Ok(Command::Message { channel: Some("c".into()), content, id: None })
        );
    }

    #[test]
    fn what_is_no_command_gets_a_sentence() {
        for (text, sentence) in [
            ("", "not a tidegate.v1 command"),
            ("[]", "'type' is missing"),
            ("7", "not a tidegate.v1 command"),
            ("{}", "'type' is missing"),
            (r#"{"type":"join"}"#, "must be 'subscribe'"),
            (r#"{"type":"subscribe"}"#, "'channel' is missing"),
            (r#"{"type":"subscribe","channel":"q","updates":"diff"}"#, "json-patch or merge-patch"),
            (r#"{"type":"message"}"#, "exactly one of"),
            (r#"{"type":"message","data":1,"text":""}"#, "exactly one of"),
            (r#"{"type":"message","data":null,"text":""}"#, "exactly one of"),
            (r#"{"type":"message","binary":"?"}"#, "not base64"),
            (r#"{"type":"message","data":1,"id":{}}"#, "'id' must be"),
        ] {
            let error = Command::parse(text).unwrap_err();
            assert!(error.message.contains(sentence), "{text}: {error}");
        }
        let long = format!(r#"{{"type":"message","data":1,"id":"{}"}}"#, "x".repeat(63));
        assert!(Command::parse(&long).unwrap_err().message.contains("'id' must be"));
        let error = Command::parse(r#"{"type":"join","id":7}"#).unwrap_err();
        assert_eq!(error.id, id("7"), "the reply can still be addressed");
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".*") {
            let _ = Command::parse(&text);
        }

        #[test]
        fn nesting_is_bounded(depth in 0usize..100_000) {
            let text = format!(r#"{{"type":"message","data":{}}}"#, "[".repeat(depth));
            prop_assert!(Command::parse(&text).is_err());
        }
    }
}
