//! What a `tidegate.v1` client hears: one JSON object a text message.
//!
//! Each function appends one object to the caller's buffer. Payloads that are JSON stand in `data` byte
//! for byte; other text is a string in `text`, binary is base64 in `binary`.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use serde::de::IgnoredAny;
use tidegate_hub::{
    ChannelName, Member, Payload, PayloadKind, Position, PresenceChange, Present, Publication, Updates,
};

use crate::code::Failing;
use crate::command::RequestId;

/// The result of a command that carried an id.
#[derive(Debug, Clone, Copy)]
pub enum Reply<'a> {
    /// Done, nothing to say.
    Done,
    /// Published at this position.
    Published(Position),
    /// What the server behind the channel answered.
    Answer(&'a Payload),
    /// Refused.
    Failed(Failing<'a>),
}

/// The subscription stands: what follows it is `position` and on.
pub fn write_open(output: &mut Vec<u8>, channel: &ChannelName, position: Position, recovered: bool) {
    write_open_among(output, channel, position, recovered, None);
}

/// The same on a channel that tells who is here.
pub fn write_open_among(
    output: &mut Vec<u8>,
    channel: &ChannelName,
    position: Position,
    recovered: bool,
    present: Option<&Present>,
) {
    begin(output, "open");
    field(output, "channel", channel.public_part());
    let tail = format!(r#","position":"{position}","recovered":{recovered}"#);
    output.extend_from_slice(tail.as_bytes());
    if let Some(present) = present {
        output.extend_from_slice(b",\"present\":");
        write_members(output, &present.members);
        output.extend_from_slice(format!(r#","count":{}"#, present.count).as_bytes());
    }
    output.push(b'}');
}

/// Somebody has come to the channel or gone.
pub fn write_presence(output: &mut Vec<u8>, channel: &ChannelName, change: &PresenceChange) {
    begin(output, "presence");
    field(output, "channel", channel.public_part());
    output.extend_from_slice(if change.joined { b",\"join\":" } else { b",\"leave\":" });
    write_member(output, &change.member);
    output.extend_from_slice(format!(r#","count":{}}}"#, change.count).as_bytes());
}

/// An array of those who are here.
pub fn write_members(output: &mut Vec<u8>, members: &[Member]) {
    output.push(b'[');
    for (number, member) in members.iter().enumerate() {
        if number > 0 {
            output.push(b',');
        }
        write_member(output, member);
    }
    output.push(b']');
}

fn write_member(output: &mut Vec<u8>, member: &Member) {
    output.extend_from_slice(b"{\"id\":");
    string(output, &member.id);
    if let Some(user) = &member.user {
        field(output, "user", user);
    }
    if let Some(info) = &member.info {
        output.extend_from_slice(b",\"info\":");
        output.extend_from_slice(info.as_bytes());
    }
    output.push(b'}');
}

/// One publication.
pub fn write_message(
    output: &mut Vec<u8>,
    channel: &ChannelName,
    position: Position,
    publication: &Publication,
) {
    begin(output, "message");
    field(output, "channel", channel.public_part());
    output.extend_from_slice(format!(r#","position":"{position}""#).as_bytes());
    write_content(output, publication);
    output.push(b'}');
}

/// What a source said of a publication, and the payload.
pub(crate) fn write_content(output: &mut Vec<u8>, publication: &Publication) {
    if let Some(event) = &publication.item.event {
        field(output, "event", event);
    }
    if let Some(source_id) = &publication.item.source_id {
        field(output, "source_id", source_id);
    }
    write_payload(output, &publication.item.payload);
}

/// One publication as the change from that before it: a patch of this kind, which is JSON on one line.
pub fn write_patch(
    output: &mut Vec<u8>,
    channel: &ChannelName,
    position: Position,
    updates: Updates,
    patch: &[u8],
) {
    begin(output, "patch");
    field(output, "channel", channel.public_part());
    output.extend_from_slice(format!(r#","position":"{position}""#).as_bytes());
    write_change(output, updates, patch);
    output.push(b'}');
}

/// A patch, and of which kind it is where that is not JSON Patch.
pub(crate) fn write_change(output: &mut Vec<u8>, updates: Updates, patch: &[u8]) {
    if updates == Updates::MergePatch {
        output.extend_from_slice(b",\"format\":\"merge\"");
    }
    output.extend_from_slice(b",\"patch\":");
    output.extend_from_slice(patch);
}

/// Something failed; the subscription goes on.
pub fn write_error(output: &mut Vec<u8>, channel: Option<&str>, failing: Failing<'_>) {
    begin(output, "error");
    if let Some(channel) = channel {
        field(output, "channel", channel);
    }
    output.push(b',');
    write_failing(output, failing);
    output.extend_from_slice(format!(r#","retry":{}}}"#, failing.code.retry()).as_bytes());
}

/// What has failed, as the first members of its object.
pub(crate) fn write_failing(output: &mut Vec<u8>, failing: Failing<'_>) {
    output.extend_from_slice(b"\"code\":");
    string(output, failing.code.as_str());
    field(output, "number", failing.number);
    field(output, "message", failing.message);
}

/// The end: of one channel's subscription, or of the whole connection where no channel is named.
pub fn write_close(
    output: &mut Vec<u8>,
    channel: Option<&ChannelName>,
    code: u16,
    reason: &str,
    reconnect_in_ms: Option<u64>,
) {
    begin(output, "close");
    if let Some(channel) = channel {
        field(output, "channel", channel.public_part());
    }
    output.extend_from_slice(format!(r#","code":{code}"#).as_bytes());
    field(output, "reason", reason);
    if let Some(after) = reconnect_in_ms {
        output.extend_from_slice(format!(r#","reconnect_in_ms":{after}"#).as_bytes());
    }
    output.push(b'}');
}

/// The answer to a command; without an id it is what the server behind the channel answered to a message
/// that carried none.
pub fn write_reply(output: &mut Vec<u8>, id: Option<&RequestId>, channel: Option<&str>, reply: Reply<'_>) {
    begin(output, "reply");
    if let Some(id) = id {
        output.extend_from_slice(b",\"id\":");
        output.extend_from_slice(id.as_json().as_bytes());
    }
    if let Some(channel) = channel {
        field(output, "channel", channel);
    }
    match reply {
        Reply::Done => {}
        Reply::Published(position) => field(output, "position", &position.to_string()),
        Reply::Answer(payload) => write_payload(output, payload),
        Reply::Failed(failing) => {
            output.extend_from_slice(b",\"error\":{");
            write_failing(output, failing);
            output.push(b'}');
        }
    }
    output.push(b'}');
}

/// `,"data":…`, `,"text":…` or `,"binary":…`.
pub fn write_payload(output: &mut Vec<u8>, payload: &Payload) {
    match (payload.kind(), payload.as_text()) {
        (PayloadKind::Text, Some(text)) if is_json(text) => {
            output.extend_from_slice(b",\"data\":");
            output.extend_from_slice(text.trim().as_bytes());
        }
        (PayloadKind::Text, Some(text)) => field(output, "text", text),
        (PayloadKind::Text, None) | (PayloadKind::Binary, _) => {
            field(output, "binary", &BASE64_STANDARD.encode(payload.bytes()));
        }
    }
}

/// Deepest nesting that stands in `data`: readers of the envelope give up not far beyond it.
const JSON_MAX_DEPTH: usize = 128;

/// Whether the text may stand in an envelope as it is. What nests too deeply goes as text.
pub(crate) fn is_json(text: &str) -> bool {
    if depth(text) > JSON_MAX_DEPTH {
        return false;
    }
    let mut reader = serde_json::Deserializer::from_str(text);
    IgnoredAny::deserialize(&mut reader).is_ok() && reader.end().is_ok()
}

/// How deep the brackets outside strings nest.
fn depth(text: &str) -> usize {
    let (mut deepest, mut open, mut in_string, mut escaped) = (0, 0usize, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = in_string,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => {
                open += 1;
                deepest = deepest.max(open);
            }
            b']' | b'}' if !in_string => open = open.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

pub(crate) fn begin(output: &mut Vec<u8>, kind: &str) {
    output.extend_from_slice(b"{\"type\":\"");
    output.extend_from_slice(kind.as_bytes());
    output.push(b'"');
}

pub(crate) fn field(output: &mut Vec<u8>, name: &str, value: &str) {
    output.extend_from_slice(b",\"");
    output.extend_from_slice(name.as_bytes());
    output.extend_from_slice(b"\":");
    string(output, value);
}

fn string(output: &mut Vec<u8>, value: &str) {
    // Writing a str to a Vec cannot fail: there is no IO and every str is a JSON string.
    let written = serde_json::to_writer(&mut *output, value);
    debug_assert!(written.is_ok(), "a string is JSON");
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;
    use serde_json::{Value, json};
    use tidegate_hub::{Epoch, Item};

    use super::*;
    use crate::code::ErrorCode;

    fn channel() -> ChannelName {
        ChannelName::from_text("quotes/\"BTC\"").unwrap()
    }

    const POSITION: Position = Position { epoch: Epoch(943_893), offset: 42 };

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> Value {
        let mut output = Vec::new();
        write(&mut output);
        serde_json::from_slice(&output).expect("one JSON object")
    }

    fn message(item: Item) -> Value {
        written(|output| {
            write_message(output, &channel(), POSITION, &Publication { offset: 42, item, change: None })
        })
    }

    #[test]
    fn a_payload_stands_in_data_text_or_binary() {
        let data = message(Payload::from(" {\"n\":1}\n").into());
        assert_eq!(
            data,
            json!({"type":"message","channel":"quotes/\"BTC\"","position":"k8b9:42","data":{"n":1}})
        );
        assert_eq!(message(Payload::from("{\"n\":").into())["text"], "{\"n\":");
        assert_eq!(message(Payload::from("1 2").into())["text"], "1 2");
        assert_eq!(message(Payload::binary(Bytes::from_static(b"\xff")).into())["binary"], "/w==");
    }

    #[test]
    fn a_stream_keeps_its_event_and_its_id() {
        let item =
            Item { event: Some("tick".into()), source_id: Some("7".into()), ..Payload::from("1").into() };
        let value = message(item);
        assert_eq!((&value["event"], &value["source_id"]), (&json!("tick"), &json!("7")));
    }

    #[test]
    fn a_patch_says_of_which_format_it_is() {
        let patch = |updates, patch: &str| {
            written(|output| write_patch(output, &channel(), POSITION, updates, patch.as_bytes()))
        };
        assert_eq!(
            patch(Updates::JsonPatch, r#"[{"op":"remove","path":"/a"}]"#),
            json!({"type":"patch","channel":"quotes/\"BTC\"","position":"k8b9:42","patch":[{"op":"remove","path":"/a"}]})
        );
        let merge = patch(Updates::MergePatch, r#"{"a":null}"#);
        assert_eq!((&merge["format"], &merge["patch"]), (&json!("merge"), &json!({"a":null})));
    }

    #[test]
    fn the_other_envelopes_say_what_happened() {
        let open = written(|output| write_open(output, &channel(), POSITION, false));
        assert_eq!((&open["type"], &open["recovered"]), (&json!("open"), &json!(false)));
        let down = Failing { code: ErrorCode::Upstream, number: "TG-5101", message: "down" };
        let error = written(|output| write_error(output, Some("c"), down));
        assert_eq!(
            error,
            json!({"type":"error","channel":"c","code":"upstream","number":"TG-5101","message":"down","retry":true})
        );
        let close = written(|output| write_close(output, None, 1012, "restarting", Some(3400)));
        assert_eq!(close, json!({"type":"close","code":1012,"reason":"restarting","reconnect_in_ms":3400}));
        let full = Failing { code: ErrorCode::Limit, number: "TG-4012", message: "full" };
        let reply = written(|output| write_reply(output, None, None, Reply::Failed(full)));
        assert_eq!(reply["error"], json!({"code":"limit","number":"TG-4012","message":"full"}));
        let published = written(|output| write_reply(output, None, Some("c"), Reply::Published(POSITION)));
        assert_eq!(published["position"], "k8b9:42");
    }

    #[test]
    fn who_is_here_stands_in_open_and_in_presence() {
        let member = |id: &str, user: Option<&str>, info: Option<&str>| Member {
            id: id.into(),
            user: user.map(Into::into),
            info: info.map(Into::into),
        };
        let (ada, other) =
            (member("0-1.2", Some("ada\""), Some(r#"{"name":"Ada"}"#)), member("1-2.3", None, None));
        let present = Present { members: vec![ada.clone(), other.clone()], count: 7 };
        let open = written(|output| write_open_among(output, &channel(), POSITION, true, Some(&present)));
        let ada_shown = json!({"id":"0-1.2","user":"ada\"","info":{"name":"Ada"}});
        assert_eq!((&open["present"], &open["count"]), (&json!([ada_shown, {"id":"1-2.3"}]), &json!(7)));
        let joined = PresenceChange { member: ada, joined: true, count: 1 };
        let text = written(|output| write_presence(output, &channel(), &joined));
        assert_eq!(
            (&text["type"], &text["join"], &text["count"]),
            (&json!("presence"), &ada_shown, &json!(1))
        );
        let left = PresenceChange { member: other, joined: false, count: 0 };
        let text = written(|output| write_presence(output, &channel(), &left));
        assert_eq!((&text["leave"], &text["join"]), (&json!({"id":"1-2.3"}), &Value::Null));
    }

    #[test]
    fn what_nests_too_deeply_goes_as_text() {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(message(Payload::from(deep.as_str()).into())["text"].is_string());
    }

    proptest! {
        #[test]
        fn any_payload_makes_one_json_object(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let value = message(Payload::guess(Bytes::from(bytes)).into());
            prop_assert_eq!(&value["type"], "message");
        }
    }
}
