//! Bytes of a payload, or as many of its first ones as were kept, and their form in JSON.
//!
//! UTF-8 stands as text, anything else as base64, so that the same bytes come back. Nothing is escaped for a
//! terminal or a page here: that is for whoever shows them.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A payload, unmasked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Payload {
    /// The bytes that were kept: the first ones.
    pub bytes: Vec<u8>,
    /// There were more.
    pub truncated: bool,
}

/// The two ways in which bytes stand in JSON.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Encoding {
    Utf8,
    Base64,
}

#[derive(Serialize, Deserialize)]
struct Written<'p> {
    enc: Encoding,
    #[serde(borrow)]
    data: Cow<'p, str>,
    #[serde(default)]
    truncated: bool,
}

impl Payload {
    /// All of these bytes.
    #[must_use]
    pub fn whole(bytes: &[u8]) -> Self {
        Self { bytes: bytes.to_vec(), truncated: false }
    }

    /// The text, if it is UTF-8. A character that was cut off at the end is left out.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match std::str::from_utf8(&self.bytes) {
            Ok(text) => Some(text),
            Err(error) if self.truncated && error.error_len().is_none() => {
                std::str::from_utf8(&self.bytes[..error.valid_up_to()]).ok()
            }
            Err(_) => None,
        }
    }
}

impl Serialize for Payload {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (enc, data) = match std::str::from_utf8(&self.bytes) {
            Ok(text) => (Encoding::Utf8, Cow::Borrowed(text)),
            Err(_) => (Encoding::Base64, Cow::Owned(STANDARD.encode(&self.bytes))),
        };
        Written { enc, data, truncated: self.truncated }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Payload {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Written { enc, data, truncated } = Written::deserialize(deserializer)?;
        let bytes = match enc {
            Encoding::Utf8 => data.into_owned().into_bytes(),
            Encoding::Base64 => STANDARD.decode(data.as_bytes()).map_err(D::Error::custom)?,
        };
        Ok(Self { bytes, truncated })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn text_and_bytes_in_json() {
        for (payload, json) in [
            (Payload::whole("水\u{1b}".as_bytes()), r#"{"enc":"utf8","data":"水\u001b","truncated":false}"#),
            (Payload::whole(b"\xff\x00"), r#"{"enc":"base64","data":"/wA=","truncated":false}"#),
            (Payload { bytes: Vec::new(), truncated: true }, r#"{"enc":"utf8","data":"","truncated":true}"#),
        ] {
            assert_eq!(serde_json::to_string(&payload).expect("JSON"), json);
        }
        for wrong in [r#"{"enc":"hex","data":""}"#, r#"{"enc":"base64","data":"?"}"#, r#"{"data":""}"#] {
            assert!(serde_json::from_str::<Payload>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_character_that_was_cut_off_is_left_out_of_the_text() {
        let cut = |bytes: &[u8], truncated| Payload { bytes: bytes.to_vec(), truncated };
        assert_eq!(cut(b"a\xe6\xb0", true).text(), Some("a"));
        assert_eq!(cut(b"a\xe6\xb0", false).text(), None);
        assert_eq!(cut(b"a\xff", true).text(), None);
    }

    proptest! {
        #[test]
        fn the_same_bytes_come_back(bytes in prop::collection::vec(any::<u8>(), 0..50), truncated: bool) {
            let payload = Payload { bytes, truncated };
            let json = serde_json::to_string(&payload).expect("JSON");
            prop_assert_eq!(serde_json::from_str::<Payload>(&json).expect("a payload"), payload);
        }
    }
}
