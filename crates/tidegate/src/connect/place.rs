//! Where a connection is in its channel, as the envelopes of `tidegate.v1` say: from there it is resumed.
//!
//! A bare WebSocket says nothing of it. Channels that were subscribed by hand are not followed here.

use std::time::Duration;

use tidegate_client::{Message, Position};
use tidegate_protocol::{Envelope, SUBPROTOCOL};

/// What the envelopes have said so far.
#[derive(Debug, Default)]
pub(super) struct Place {
    /// The last position of the URL's channel.
    pub(super) position: Option<Position>,
    /// When to come back, from the envelope before the Close frame.
    pub(super) hint: Option<Duration>,
    /// The URL's channel: the first that opens.
    channel: Option<String>,
    has_envelopes: bool,
    /// What comes are changes: a position counts only with the document that stands there.
    is_incremental: bool,
}

impl Place {
    pub(super) fn new(is_incremental: bool) -> Self {
        Self { is_incremental, ..Self::default() }
    }

    /// Another connection, with this subprotocol.
    pub(super) fn handle_connection(&mut self, subprotocol: Option<&str>) {
        self.has_envelopes = subprotocol == Some(SUBPROTOCOL);
        self.hint = None;
    }

    /// A message came. Gives it back as an envelope, if it is one.
    pub(super) fn handle_message(&mut self, message: &Message) -> Option<Envelope> {
        let (true, Message::Text(text)) = (self.has_envelopes, message) else { return None };
        let envelope = Envelope::parse(text).ok()?;
        match &envelope {
            Envelope::Open { channel, position, recovered, .. } => {
                if !self.is_incremental {
                    self.handle_position(channel, Some(*position));
                } else if !recovered {
                    self.handle_position(channel, None);
                }
            }
            Envelope::Message { channel, position, .. } | Envelope::Patch { channel, position, .. } => {
                self.handle_position(channel, Some(*position));
            }
            Envelope::Close { channel: None, reconnect_in_ms, .. } => {
                self.hint = reconnect_in_ms.map(Duration::from_millis);
            }
            _ => {}
        }
        Some(envelope)
    }

    fn handle_position(&mut self, channel: &str, position: Option<Position>) {
        if self.channel.get_or_insert_with(|| channel.to_owned()) == channel {
            self.position = position;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_go_on_from_a_document() {
        let mut place = Place::new(true);
        place.handle_connection(Some(SUBPROTOCOL));
        for (text, position) in [
            (r#"{"type":"open","channel":"a","position":"k:1","recovered":true}"#, None),
            (r#"{"type":"message","channel":"a","position":"k:2","data":1}"#, Some("k:2")),
            (r#"{"type":"patch","channel":"a","position":"k:3","patch":[]}"#, Some("k:3")),
            (r#"{"type":"open","channel":"a","position":"k:3","recovered":true}"#, Some("k:3")),
            (r#"{"type":"open","channel":"a","position":"z:8","recovered":false}"#, None),
        ] {
            place.handle_message(&Message::Text(text.to_owned()));
            assert_eq!(place.position.map(|position| position.to_string()).as_deref(), position, "{text}");
        }
    }

    #[test]
    fn the_first_channel_that_opens_is_that_of_the_url() {
        let mut place = Place::default();
        let open =
            Message::Text(r#"{"type":"open","channel":"a","position":"k:1","recovered":true}"#.to_owned());
        place.handle_message(&open);
        assert_eq!(place.position, None, "without the subprotocol it is a payload like any other");
        place.handle_connection(Some(SUBPROTOCOL));
        place.handle_message(&open);
        for (text, position) in [
            (r#"{"type":"message","channel":"b","position":"z:9","data":1}"#, "k:1"),
            (r#"{"type":"message","channel":"a","position":"k:2","data":1}"#, "k:2"),
            ("not an envelope", "k:2"),
            (r#"{"type":"close","code":1012,"reason":"restarting","reconnect_in_ms":3400}"#, "k:2"),
        ] {
            place.handle_message(&Message::Text(text.to_owned()));
            assert_eq!(place.position, position.parse().ok(), "{text}");
        }
        assert_eq!(place.hint, Some(Duration::from_millis(3400)));
    }
}
