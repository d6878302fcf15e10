//! Who is here, as the envelopes of a connection say: in words for people, and as fields of a JSON line.
//!
//! Names come from tokens and are somebody's: words are escaped here, JSON lines where they are written.

use serde::Serialize;
use serde_json::value::RawValue;
use tidegate_protocol::{Envelope, Member, PresenceChange, Present};

use crate::terminal::escape;

/// Members that people are shown by name.
const NAMED_MAX: usize = 10;

/// What an envelope says of it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Presence<'e> {
    /// Those who are here.
    Present { channel: &'e str, present: &'e Present },
    /// Somebody came or went.
    Change { channel: &'e str, change: &'e PresenceChange },
}

#[derive(Serialize)]
pub(super) struct PresenceBody<'e> {
    channel: &'e str,
    #[serde(skip_serializing_if = "Option::is_none")]
    present: Option<Vec<MemberBody<'e>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    join: Option<MemberBody<'e>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    leave: Option<MemberBody<'e>>,
    count: usize,
}

#[derive(Serialize)]
struct MemberBody<'e> {
    id: &'e str,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    info: Option<&'e RawValue>,
}

impl<'e> Presence<'e> {
    /// None if the envelope says nothing of it.
    pub(super) fn of(envelope: &'e Envelope) -> Option<Self> {
        match envelope {
            Envelope::Open { channel, present: Some(present), .. } => {
                Some(Self::Present { channel, present })
            }
            Envelope::Presence { channel, change } => Some(Self::Change { channel, change }),
            _ => None,
        }
    }

    /// One line.
    pub(super) fn words(self) -> String {
        match self {
            Self::Present { channel, present: Present { members, count } } => {
                let named: Vec<String> = members.iter().take(NAMED_MAX).map(name).collect();
                let more = match count.saturating_sub(named.len()) {
                    0 => String::new(),
                    more => format!(" and {more} more"),
                };
                format!("{}: {}: {}{more}", escape(channel), here(*count), named.join(", "))
            }
            Self::Change { channel, change: PresenceChange { member, joined, count } } => {
                let verb = if *joined { "came" } else { "went" };
                format!("{}: {} {verb}, {}", escape(channel), name(member), here(*count))
            }
        }
    }

    pub(super) fn body(self) -> PresenceBody<'e> {
        match self {
            Self::Present { channel, present } => PresenceBody {
                channel,
                present: Some(present.members.iter().map(MemberBody::of).collect()),
                join: None,
                leave: None,
                count: present.count,
            },
            Self::Change { channel, change } => {
                let member = Some(MemberBody::of(&change.member));
                let (join, leave) = if change.joined { (member, None) } else { (None, member) };
                PresenceBody { channel, present: None, join, leave, count: change.count }
            }
        }
    }
}

impl<'e> MemberBody<'e> {
    fn of(member: &'e Member) -> Self {
        let info = member.info.as_deref().and_then(|info| serde_json::from_str(info).ok());
        Self { id: &member.id, user: member.user.as_deref(), info }
    }
}

/// The user, where a token said who it is, and the connection.
fn name(member: &Member) -> String {
    match &member.user {
        Some(user) => format!("{} ({})", escape(user), escape(&member.id)),
        None => escape(&member.id).into_owned(),
    }
}

fn here(count: usize) -> String {
    format!("{count} {} here", if count == 1 { "is" } else { "are" })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, words: &str, json: &str) {
        let envelope = Envelope::parse(text).expect("an envelope");
        let presence = Presence::of(&envelope).expect("it says who is here");
        assert_eq!(presence.words(), words);
        assert_eq!(serde_json::to_string(&presence.body()).expect("JSON"), json);
    }

    #[test]
    fn who_is_here_in_words_and_as_json() {
        check(
            r#"{"type":"open","channel":"c","position":"k:1","recovered":true,"present":[{"id":"0-1"}],"count":1}"#,
            "c: 1 is here: 0-1",
            r#"{"channel":"c","present":[{"id":"0-1"}],"count":1}"#,
        );
        check(
            r#"{"type":"presence","channel":"c","join":{"id":"1-2","user":"Ann","info":{"n": 1.0}},"count":2}"#,
            "c: Ann (1-2) came, 2 are here",
            r#"{"channel":"c","join":{"id":"1-2","user":"Ann","info":{"n": 1.0}},"count":2}"#,
        );
        check(
            r#"{"type":"presence","channel":"c","leave":{"id":"1-2","user":"\u001b[2J"},"count":0}"#,
            "c: \\u{1b}[2J (1-2) went, 0 are here",
            r#"{"channel":"c","leave":{"id":"1-2","user":"\u001b[2J"},"count":0}"#,
        );
    }

    #[test]
    fn of_many_only_some_are_named() {
        let members: Vec<Member> = (0..20_u32)
            .map(|number| Member { id: number.to_string().into(), user: None, info: None })
            .collect();
        let present = Present { members, count: 1234 };
        let words = Presence::Present { channel: "c", present: &present }.words();
        assert_eq!(words, "c: 1234 are here: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 1224 more");
    }
}
