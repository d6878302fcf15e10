//! The client's side of `tidegate.v1`: writes commands, reads envelopes.
//!
//! It reads what `envelope` writes, and what `command` reads is written here. Fields that are not known are
//! passed over, and so is an envelope of a type that is not known: a newer gateway may say more.

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use tidegate_hub::{Payload, Position, PresenceChange, Present, Updates};

use crate::command::{Content, even_null};
use crate::envelope::{begin, field, write_payload};
use crate::member::WireMember;

/// What the gateway says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Envelope {
    /// The subscription stands.
    Open {
        /// The channel's name.
        channel: String,
        /// The place before what follows.
        position: Position,
        /// False: something is missing before it.
        recovered: bool,
        /// Who is here, where the channel's route tells.
        present: Option<Present>,
    },
    /// Somebody has come to a channel or gone.
    Presence {
        /// The channel's name.
        channel: String,
        /// Who, and how many are here now.
        change: PresenceChange,
    },
    /// A publication.
    Message {
        /// The channel's name.
        channel: String,
        /// Its place.
        position: Position,
        /// What was published.
        content: Content,
        /// The name that a stream gave it.
        event: Option<String>,
        /// The id that a stream gave it.
        source_id: Option<String>,
    },
    /// A publication as the change from that before it.
    Patch {
        /// The channel's name.
        channel: String,
        /// Its place.
        position: Position,
        /// Of which kind it is, never [`Updates::Whole`].
        updates: Updates,
        /// The patch as JSON.
        patch: String,
    },
    /// Something failed; the connection goes on.
    Error {
        /// The channel that it is about.
        channel: Option<String>,
        /// Why, as a word.
        failure: Failure,
        /// Whether it may succeed later.
        retry: bool,
    },
    /// The end of a subscription, or of the connection if no channel is named.
    Close {
        /// The channel.
        channel: Option<String>,
        /// The code of the Close frame that follows, where one does.
        code: u16,
        /// Why, in words.
        reason: String,
        /// When to come back.
        reconnect_in_ms: Option<u64>,
    },
    /// The answer to a command.
    Reply {
        /// The command's id as JSON; none for the answer to a message that carried none.
        id: Option<String>,
        /// The channel that the command was about.
        channel: Option<String>,
        /// What came of it.
        outcome: Outcome,
    },
    /// A type that this version does not know.
    Unknown,
}

/// A code and its sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Which error of Tidegate it is, such as `TG-2101`; earlier gateways say none.
    pub number: Option<String>,
    /// Such as `upstream`: see [`ErrorCode`](crate::ErrorCode). A newer gateway may know more of them.
    pub code: String,
    /// For people.
    pub message: String,
}

/// What came of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Done.
    Done,
    /// Published at this position.
    Published(Position),
    /// What the server behind the channel answered.
    Answer(Content),
    /// Refused.
    Failed(Failure),
}

/// The text is no envelope: the peer does not speak `tidegate.v1`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvelopeError(String);

#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(rename = "type")]
    kind: String,
    channel: Option<String>,
    position: Option<String>,
    recovered: Option<bool>,
    // In envelopes that are not known these may be anything.
    #[serde(borrow)]
    present: Option<&'a RawValue>,
    #[serde(borrow)]
    join: Option<&'a RawValue>,
    #[serde(borrow)]
    leave: Option<&'a RawValue>,
    #[serde(borrow)]
    count: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "even_null")]
    data: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "even_null")]
    patch: Option<&'a RawValue>,
    format: Option<String>,
    text: Option<String>,
    binary: Option<String>,
    event: Option<String>,
    source_id: Option<String>,
    // A number in `close`, a word in `error`.
    #[serde(borrow)]
    code: Option<&'a RawValue>,
    #[serde(borrow)]
    number: Option<&'a RawValue>,
    message: Option<String>,
    retry: Option<bool>,
    reason: Option<String>,
    reconnect_in_ms: Option<u64>,
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    error: Option<WireFailure>,
}

#[derive(Deserialize)]
struct WireFailure {
    code: String,
    number: Option<String>,
    message: String,
}

/// Appends a command to follow a channel.
pub fn write_subscribe(
    output: &mut Vec<u8>,
    channel: &str,
    after: Option<Position>,
    updates: Updates,
    id: u64,
) {
    begin(output, "subscribe");
    field(output, "channel", channel);
    if let Some(after) = after {
        field(output, "after", &after.to_string());
    }
    if let Some(name) = updates.name() {
        field(output, "updates", name);
    }
    end(output, id);
}

/// Appends a command to follow it no longer.
pub fn write_unsubscribe(output: &mut Vec<u8>, channel: &str, id: u64) {
    begin(output, "unsubscribe");
    field(output, "channel", channel);
    end(output, id);
}

/// Appends a message to a channel, that of the URL if none is named. Text that is JSON goes as `data`.
pub fn write_message(output: &mut Vec<u8>, channel: Option<&str>, payload: &Payload, id: u64) {
    begin(output, "message");
    if let Some(channel) = channel {
        field(output, "channel", channel);
    }
    write_payload(output, payload);
    end(output, id);
}

fn end(output: &mut Vec<u8>, id: u64) {
    output.extend_from_slice(format!(",\"id\":{id}}}").as_bytes());
}

impl Envelope {
    /// Reads one text message.
    pub fn parse(text: &str) -> Result<Self, EnvelopeError> {
        let wire: Wire<'_> = serde_json::from_str(text).map_err(|error| EnvelopeError(error.to_string()))?;
        match wire.kind.as_str() {
            "open" => Ok(Self::Open {
                position: wire.position()?,
                recovered: wire.recovered.ok_or_else(|| missing("recovered"))?,
                present: wire.present()?,
                channel: wire.channel.ok_or_else(|| missing("channel"))?,
            }),
            "presence" => wire.presence(),
            "message" => Ok(Self::Message {
                position: wire.position()?,
                content: wire.content()?.ok_or_else(|| missing("data"))?,
                channel: wire.channel.ok_or_else(|| missing("channel"))?,
                event: wire.event,
                source_id: wire.source_id,
            }),
            "patch" => Ok(Self::Patch {
                position: wire.position()?,
                updates: wire.format()?,
                patch: wire.patch.ok_or_else(|| missing("patch"))?.get().to_owned(),
                channel: wire.channel.ok_or_else(|| missing("channel"))?,
            }),
            "error" => {
                let code = wire.code().ok_or_else(|| missing("code"))?;
                let number = wire.number.and_then(|number| serde_json::from_str(number.get()).ok());
                let failure = Failure { code, number, message: wire.message.unwrap_or_default() };
                Ok(Self::Error { channel: wire.channel, failure, retry: wire.retry.unwrap_or(false) })
            }
            "close" => Ok(Self::Close {
                code: wire.code().ok_or_else(|| missing("code"))?,
                channel: wire.channel,
                reason: wire.reason.unwrap_or_default(),
                reconnect_in_ms: wire.reconnect_in_ms,
            }),
            "reply" => Ok(Self::Reply {
                outcome: wire.outcome()?,
                id: wire.id.map(|id| id.get().to_owned()),
                channel: wire.channel,
            }),
            _ => Ok(Self::Unknown),
        }
    }
}

impl<'a> Wire<'a> {
    fn position(&self) -> Result<Position, EnvelopeError> {
        let text = self.position.as_deref().ok_or_else(|| missing("position"))?;
        text.parse().map_err(|_| EnvelopeError("the field 'position' is not EPOCH:OFFSET".to_owned()))
    }

    fn presence(self) -> Result<Envelope, EnvelopeError> {
        let (joined, member) = match (self.join, self.leave) {
            (Some(member), _) => (true, member),
            (None, Some(member)) => (false, member),
            (None, None) => return Ok(Envelope::Unknown),
        };
        let member: WireMember<'_> = read("join' or 'leave", member)?;
        let count = read("count", self.count.ok_or_else(|| missing("count"))?)?;
        let channel = self.channel.ok_or_else(|| missing("channel"))?;
        Ok(Envelope::Presence { channel, change: PresenceChange { member: member.into(), joined, count } })
    }

    /// None on a channel that does not tell who is here.
    fn present(&self) -> Result<Option<Present>, EnvelopeError> {
        let Some(present) = self.present else { return Ok(None) };
        let members: Vec<WireMember<'_>> = read("present", present)?;
        let count = self.count.map_or(Ok(members.len()), |count| read("count", count))?;
        Ok(Some(Present { members: members.into_iter().map(Into::into).collect(), count }))
    }

    fn content(&self) -> Result<Option<Content>, EnvelopeError> {
        Ok(Some(match (self.data, &self.text, &self.binary) {
            (Some(data), _, _) => Content { payload: data.get().into(), json: true },
            (None, Some(text), _) => Content { payload: text.as_str().into(), json: false },
            (None, None, Some(binary)) => {
                let bytes = BASE64_STANDARD
                    .decode(binary)
                    .map_err(|_| EnvelopeError("the field 'binary' is not base64".to_owned()))?;
                Content { payload: Payload::binary(Bytes::from(bytes)), json: false }
            }
            (None, None, None) => return Ok(None),
        }))
    }

    fn format(&self) -> Result<Updates, EnvelopeError> {
        match self.format.as_deref() {
            None => Ok(Updates::JsonPatch),
            Some("merge") => Ok(Updates::MergePatch),
            Some(_) => Err(EnvelopeError("the field 'format' is not 'merge'".to_owned())),
        }
    }

    fn code<T: Deserialize<'a>>(&self) -> Option<T> {
        serde_json::from_str(self.code?.get()).ok()
    }

    fn outcome(&self) -> Result<Outcome, EnvelopeError> {
        if let Some(WireFailure { code, number, message }) = &self.error {
            let (code, number, message) = (code.clone(), number.clone(), message.clone());
            return Ok(Outcome::Failed(Failure { code, number, message }));
        }
        if let Some(content) = self.content()? {
            return Ok(Outcome::Answer(content));
        }
        if self.position.is_some() { self.position().map(Outcome::Published) } else { Ok(Outcome::Done) }
    }
}

fn read<'a, T: Deserialize<'a>>(field: &str, value: &'a RawValue) -> Result<T, EnvelopeError> {
    serde_json::from_str(value.get()).map_err(|error| EnvelopeError(format!("the field '{field}': {error}")))
}

fn missing(field: &str) -> EnvelopeError {
    EnvelopeError(format!("the field '{field}' is missing or of another type"))
}

impl fmt::Display for EnvelopeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not a tidegate.v1 envelope: {}", self.0)
    }
}

impl std::error::Error for EnvelopeError {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tidegate_hub::{ChannelName, Epoch, Item, Member, Publication};

    use super::*;
    use crate::code::{ErrorCode, Failing};
    use crate::command::Command;
    use crate::envelope::{self, Reply};

    const DOWN: Failing<'_> = Failing { code: ErrorCode::Upstream, number: "TG-5101", message: "down" };

    const POSITION: Position = Position { epoch: Epoch(939_437), offset: 42 };

    fn channel() -> ChannelName {
        ChannelName::from_text("quotes/\"BTC\"").unwrap()
    }

    fn read(write: impl FnOnce(&mut Vec<u8>)) -> Envelope {
        let mut output = Vec::new();
        write(&mut output);
        Envelope::parse(std::str::from_utf8(&output).unwrap()).unwrap()
    }

    fn message(item: Item) -> Content {
        let publication = Publication { offset: 42, item, change: None };
        let read = read(|output| envelope::write_message(output, &channel(), POSITION, &publication));
        let Envelope::Message { channel: name, position, content, .. } = read else { panic!("{read:?}") };
        assert_eq!((name.as_str(), position), (channel().public_part(), POSITION));
        content
    }

    #[test]
    fn what_the_gateway_writes_is_read() {
        assert_eq!(
            read(|output| envelope::write_open(output, &channel(), POSITION, false)),
            Envelope::Open {
                channel: "quotes/\"BTC\"".into(),
                position: POSITION,
                recovered: false,
                present: None
            }
        );
        let failure =
            Failure { code: "upstream".into(), number: Some("TG-5101".into()), message: "down".into() };
        assert_eq!(
            read(|output| envelope::write_error(output, Some("c"), DOWN)),
            Envelope::Error { channel: Some("c".into()), failure, retry: true }
        );
        assert_eq!(
            read(|output| envelope::write_close(output, None, 1012, "restarting", Some(3400))),
            Envelope::Close {
                channel: None,
                code: 1012,
                reason: "restarting".into(),
                reconnect_in_ms: Some(3400)
            }
        );
    }

    #[test]
    fn who_is_here_is_read() {
        let member = |id: &str, user: Option<&str>, info: Option<&str>| Member {
            id: id.into(),
            user: user.map(Into::into),
            info: info.map(Into::into),
        };
        let ada = member("0-1.2", Some("ada\""), Some(r#"{"name": "Ada"}"#));
        let given = Present { members: vec![ada.clone(), member("1-2.3", None, None)], count: 7 };
        let open =
            read(|output| envelope::write_open_among(output, &channel(), POSITION, true, Some(&given)));
        let Envelope::Open { present, .. } = open else { panic!("{open:?}") };
        assert_eq!(present, Some(given));
        for joined in [true, false] {
            let change = PresenceChange { member: ada.clone(), joined, count: 3 };
            let read = read(|output| envelope::write_presence(output, &channel(), &change));
            assert_eq!(read, Envelope::Presence { channel: "quotes/\"BTC\"".into(), change });
        }
        // A newer gateway may say other things of those who are here.
        for other in [
            r#"{"type":"presence","channel":"c","away":{"id":"1"},"count":1}"#,
            r#"{"type":"tide","present":"moon","join":1,"leave":[],"count":"many"}"#,
        ] {
            assert_eq!(Envelope::parse(other), Ok(Envelope::Unknown));
        }
    }

    #[test]
    fn patches_are_read() {
        for (updates, patch) in [(Updates::JsonPatch, "[{}]"), (Updates::MergePatch, r#"{"n":1.0}"#)] {
            assert_eq!(
                read(|output| envelope::write_patch(output, &channel(), POSITION, updates, patch.as_bytes())),
                Envelope::Patch {
                    channel: "quotes/\"BTC\"".into(),
                    position: POSITION,
                    updates,
                    patch: patch.into()
                }
            );
        }
    }

    #[test]
    fn replies_are_read() {
        let outcome = |reply: Reply<'_>| {
            let read = read(|output| envelope::write_reply(output, None, Some("c"), reply));
            let Envelope::Reply { id: None, outcome, .. } = read else { panic!("{read:?}") };
            outcome
        };
        assert_eq!(outcome(Reply::Done), Outcome::Done);
        assert_eq!(outcome(Reply::Published(POSITION)), Outcome::Published(POSITION));
        let content = Content { payload: "{}".into(), json: true };
        assert_eq!(outcome(Reply::Answer(&"{}".into())), Outcome::Answer(content));
        let failure =
            Failure { code: "limit".into(), number: Some("TG-4012".into()), message: "full".into() };
        let full = Failing { code: ErrorCode::Limit, number: "TG-4012", message: "full" };
        assert_eq!(outcome(Reply::Failed(full)), Outcome::Failed(failure));
        let reply = Envelope::parse(r#"{"type":"reply","id":7,"channel":"c"}"#).unwrap();
        assert!(matches!(reply, Envelope::Reply { id: Some(id), .. } if id == "7"));
    }

    #[test]
    fn commands_are_what_the_gateway_reads() {
        let parsed = |write: &dyn Fn(&mut Vec<u8>)| {
            let mut output = Vec::new();
            write(&mut output);
            Command::parse(std::str::from_utf8(&output).unwrap()).unwrap()
        };
        let command =
            parsed(&|output| write_subscribe(output, "a\"b", Some(POSITION), Updates::MergePatch, 7));
        let Command::Subscribe { channel, after, updates: Updates::MergePatch, id: Some(id) } = command
        else {
            panic!("{command:?}")
        };
        assert_eq!((channel.as_str(), after, id.as_json()), ("a\"b", Some(POSITION.to_string()), "7"));
        let command = parsed(&|output| write_unsubscribe(output, "a", 8));
        assert!(matches!(command, Command::Unsubscribe { channel, .. } if channel == "a"));
        let command = parsed(&|output| write_message(output, None, &"{\"n\":1}".into(), 9));
        let Command::Message { channel: None, content, .. } = command else { panic!("{command:?}") };
        assert_eq!(content, Content { payload: "{\"n\":1}".into(), json: true });
    }

    #[test]
    fn what_is_no_envelope() {
        for text in [
            "",
            "7",
            "[]",
            "{}",
            r#"{"type":"open"}"#,
            r#"{"type":"open","channel":"c","position":"c","recovered":true}"#,
            r#"{"type":"message","channel":"c","position":"k:1"}"#,
            r#"{"type":"message","channel":"c","position":"k:1","binary":"?"}"#,
            r#"{"type":"close","code":"x"}"#,
            r#"{"type":"presence","channel":"c","join":{},"count":1}"#,
            r#"{"type":"presence","channel":"c","join":{"id":"1"}}"#,
            r#"{"type":"presence","join":{"id":"1"},"count":1}"#,
            r#"{"type":"open","channel":"c","position":"k:1","recovered":true,"present":[{"user":"a"}]}"#,
            r#"{"type":"patch","channel":"c","position":"k:1"}"#,
            r#"{"type":"patch","channel":"c","position":"k:1","patch":{},"format":"xml"}"#,
        ] {
            assert!(Envelope::parse(text).is_err(), "{text}");
        }
        assert_eq!(Envelope::parse(r#"{"type":"tide","height":{}}"#), Ok(Envelope::Unknown));
    }

    #[test]
    fn null_is_a_value() {
        let null = Content { payload: "null".into(), json: true };
        assert_eq!(message(Payload::from("null").into()), null);
        let answer = read(|output| envelope::write_reply(output, None, None, Reply::Answer(&"null".into())));
        assert!(
            matches!(answer, Envelope::Reply { outcome: Outcome::Answer(content), .. } if content == null)
        );
        let patch = read(|output| {
            envelope::write_patch(output, &channel(), POSITION, Updates::MergePatch, b"null");
        });
        assert!(matches!(patch, Envelope::Patch { patch, .. } if patch == "null"));
    }

    proptest! {
        #[test]
        fn any_payload_comes_back(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let payload = Payload::guess(Bytes::from(bytes));
            let content = message(payload.clone().into());
            if content.json {
                prop_assert_eq!(content.payload.as_text(), payload.as_text().map(str::trim));
            } else {
                prop_assert_eq!(content.payload, payload);
            }
        }

        #[test]
        fn no_text_panics(text in ".*") {
            let _ = Envelope::parse(&text);
        }
    }
}
