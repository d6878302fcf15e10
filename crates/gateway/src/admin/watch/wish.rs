//! What a watcher says: JSON of 64 KiB at most, from which a wish is read. Whether it can be fulfilled is
//! judged by the feed that it names.

use serde::Deserialize;

/// What a watcher asks for. Which members count is a matter of `what`; others are passed over.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct Wish {
    /// Chosen by the watcher; it stands in each message of the feed.
    pub(super) id: u64,
    pub(super) what: String,
    pub(super) filter: Option<String>,
    pub(super) sort: Option<String>,
    pub(super) limit: Option<usize>,
    pub(super) prefix: Option<String>,
    pub(super) connection: Option<String>,
    pub(super) channel: Option<String>,
    pub(super) level: Option<String>,
    /// Of a `body`: the event's number on its connection.
    pub(super) event: Option<u64>,
}

/// A message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Said {
    Watch(Wish),
    Unwatch(u64),
    Body(Wish),
}

/// A message that cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Misunderstood {
    /// Of the message, if it has one.
    pub(super) id: Option<u64>,
    pub(super) sentence: String,
}

#[derive(Deserialize)]
struct Message {
    #[serde(rename = "type")]
    kind: Option<String>,
    id: Option<u64>,
    #[serde(flatten)]
    rest: serde_json::Map<String, serde_json::Value>,
}

impl Said {
    /// Reads a message.
    pub(super) fn parse(text: &str) -> Result<Self, Misunderstood> {
        let wrong = |id, sentence: String| Misunderstood { id, sentence };
        let message: Message = serde_json::from_str(text).map_err(|error| {
            wrong(None, format!("this is not an object of JSON with type and id: {error}"))
        })?;
        let Message { kind: Some(kind), id: Some(id), mut rest } = message else {
            return Err(wrong(message.id, "a message has a type, and an id that is a number".to_owned()));
        };
        rest.insert("id".to_owned(), id.into());
        let wish = || {
            serde_json::from_value(rest.into())
                .map_err(|error| wrong(Some(id), format!("a member is not what it should be: {error}")))
        };
        match kind.as_str() {
            "watch" => wish().map(Self::Watch),
            "unwatch" => Ok(Self::Unwatch(id)),
            "body" => wish().map(Self::Body),
            _ => Err(wrong(Some(id), "the types are watch, unwatch and body".to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_understood() {
        let wish = Wish { id: 7, what: "events".to_owned(), limit: Some(3), ..Wish::default() };
        let text = r#"{"type":"watch","id":7,"what":"events","limit":3,"later":[1],"filter":null}"#;
        assert_eq!(Said::parse(text), Ok(Said::Watch(wish)));
        assert_eq!(Said::parse(r#"{"type":"unwatch","id":2}"#), Ok(Said::Unwatch(2)));
        let body = Wish { id: 9, connection: Some("0-1a.3".to_owned()), event: Some(123), ..Wish::default() };
        let text = r#"{"type":"body","id":9,"connection":"0-1a.3","event":123}"#;
        assert_eq!(Said::parse(text), Ok(Said::Body(body)));
    }

    #[test]
    fn what_is_not() {
        for (text, id, sentence) in [
            ("", None, "EOF"),
            ("[]", None, "invalid"),
            ("{}", None, "an id"),
            (r#"{"type":"watch"}"#, None, "an id"),
            (r#"{"id":1}"#, Some(1), "a type"),
            (r#"{"type":"watch","id":-1}"#, None, "invalid value"),
            (r#"{"type":"watch","id":1,"what":2}"#, Some(1), "invalid type"),
            (r#"{"type":"watch","id":1,"limit":"many"}"#, Some(1), "invalid type"),
            (r#"{"type":"see","id":1}"#, Some(1), "the types are"),
        ] {
            let wrong = Said::parse(text).expect_err(text);
            assert_eq!(wrong.id, id, "{text}");
            assert!(wrong.sentence.contains(sentence), "{text}: {}", wrong.sentence);
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in ".{0,80}", id: u64, what in "[a-z]{0,9}") {
            let _ = Said::parse(&text);
            let said = Said::parse(&serde_json::json!({ "type": "watch", "id": id, "what": what }).to_string());
            prop_assert_eq!(said, Ok(Said::Watch(Wish { id, what, ..Wish::default() })));
        }
    }
}
