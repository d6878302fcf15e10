//! The media type of a payload that stands alone, as the body of an HTTP answer. What stands in envelopes has
//! its kind in the name of its field.

use tidegate_hub::{Payload, PayloadKind};

use crate::envelope::is_json;

/// JSON where an envelope would have it in `data`, other text, or bytes.
#[must_use]
pub fn media_type(payload: &Payload) -> &'static str {
    match (payload.kind(), payload.as_text()) {
        (PayloadKind::Text, Some(text)) if is_json(text) => "application/json",
        (PayloadKind::Text, _) => "text/plain; charset=utf-8",
        (PayloadKind::Binary, _) => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn a_payload_is_named_for_what_it_is() {
        for (payload, name) in [
            (Payload::from(" {\"n\":1}\n"), "application/json"),
            (Payload::from("7"), "application/json"),
            (Payload::from("{\"n\":"), "text/plain; charset=utf-8"),
            (Payload::from("<script>"), "text/plain; charset=utf-8"),
            (Payload::from(""), "text/plain; charset=utf-8"),
            (Payload::binary(Bytes::from_static(b"{}")), "application/octet-stream"),
        ] {
            assert_eq!(media_type(&payload), name, "{payload:?}");
        }
    }
}
