//! Where a connection is in its channel, as the envelopes of `tidegate.v1` say: from there it is resumed.
//!
//! What was asked for counts until they say something else. A bare WebSocket says nothing: its place is known until a
//! message has come. Channels that were subscribed by hand are not followed here.

use std::time::Duration;

use tidegate_client::{Message, Position};
use tidegate_protocol::{Envelope, SUBPROTOCOL};

/// What the envelopes have said so far.
#[derive(Debug, Default)]
pub(super) struct Place {
    /// Where the next connection resumes: at first as it was asked for.
    position: Option<String>,
    /// When to come back, from the envelope before the Close frame.
    pub(super) hint: Option<Duration>,
    /// The URL's channel: the first that opens.
    channel: Option<String>,
    has_envelopes: bool,
    /// What comes are changes: a position counts only with the document that stands there.
    is_incremental: bool,
}

impl Place {
    pub(super) fn new(after: Option<String>, is_incremental: bool) -> Self {
        Self { position: after, is_incremental, ..Self::default() }
    }

    /// Where to resume.
    pub(super) fn position(&self) -> Option<&str> {
        self.position.as_deref()
    }

    /// The next connection begins anew.
    pub(super) fn forget(&mut self) {
        self.position = None;
    }

    /// Another connection, with this subprotocol.
    pub(super) fn handle_connection(&mut self, subprotocol: Option<&str>) {
        self.has_envelopes = subprotocol == Some(SUBPROTOCOL);
        self.hint = None;
    }

    /// A message came. Gives it back as an envelope, if it is one.
    pub(super) fn handle_message(&mut self, message: &Message) -> Option<Envelope> {
        if !self.has_envelopes {
            self.position = None;
        }
        let (true, Message::Text(text)) = (self.has_envelopes, message) else { return None };
        let envelope = Envelope::parse(text).ok()?;
        match &envelope {
            Envelope::Open { channel, position, recovered, .. } => {
                self.handle_open(channel, *position, *recovered);
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

    /// Before the first publication there is no document that could be missing.
    fn handle_open(&mut self, channel: &str, position: Position, recovered: bool) {
        let goes_on = recovered && self.position.is_some();
        match self.is_incremental {
            true if goes_on => {}
            true => self.handle_position(channel, Some(position).filter(|position| position.offset == 0)),
            false => self.handle_position(channel, Some(position)),
        }
    }

    fn handle_position(&mut self, channel: &str, position: Option<Position>) {
        if self.channel.get_or_insert_with(|| channel.to_owned()) == channel {
            self.position = position.map(|position| position.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_go_on_from_a_document() {
        let mut place = Place::new(None, true);
        place.handle_connection(Some(SUBPROTOCOL));
        for (text, position) in [
            (r#"{"type":"open","channel":"a","position":"k:1","recovered":true}"#, None),
            (r#"{"type":"message","channel":"a","position":"k:2","data":1}"#, Some("k:2")),
            (r#"{"type":"patch","channel":"a","position":"k:3","patch":[]}"#, Some("k:3")),
            (r#"{"type":"open","channel":"a","position":"k:3","recovered":true}"#, Some("k:3")),
            (r#"{"type":"open","channel":"a","position":"z:8","recovered":false}"#, None),
            (r#"{"type":"open","channel":"a","position":"y:0","recovered":false}"#, Some("y:0")),
        ] {
            place.handle_message(&Message::Text(text.to_owned()));
            assert_eq!(place.position(), position, "{text}");
        }
    }

    #[test]
    fn the_first_channel_that_opens_is_that_of_the_url() {
        let mut place = Place::default();
        let open =
            Message::Text(r#"{"type":"open","channel":"a","position":"k:1","recovered":true}"#.to_owned());
        place.handle_message(&open);
        assert_eq!(place.position(), None, "without the subprotocol it is a payload like any other");
        place.handle_connection(Some(SUBPROTOCOL));
        place.handle_message(&open);
        for (text, position) in [
            (r#"{"type":"message","channel":"b","position":"z:9","data":1}"#, "k:1"),
            (r#"{"type":"message","channel":"a","position":"k:2","data":1}"#, "k:2"),
            ("not an envelope", "k:2"),
            (r#"{"type":"close","code":1012,"reason":"restarting","reconnect_in_ms":3400}"#, "k:2"),
        ] {
            place.handle_message(&Message::Text(text.to_owned()));
            assert_eq!(place.position(), Some(position), "{text}");
        }
        assert_eq!(place.hint, Some(Duration::from_millis(3400)));
    }

    #[test]
    fn what_was_asked_for_counts_until_something_else_is_known() {
        let open =
            Message::Text(r#"{"type":"open","channel":"a","position":"k:5","recovered":true}"#.to_owned());
        for is_incremental in [false, true] {
            let mut place = Place::new(Some("k:5".to_owned()), is_incremental);
            place.handle_connection(Some(SUBPROTOCOL));
            assert_eq!(place.position(), Some("k:5"));
            place.handle_message(&open);
            assert_eq!(place.position(), Some("k:5"), "it has been taken");
            place.forget();
            assert_eq!(place.position(), None);
        }
        let mut bare = Place::new(Some("k:5".to_owned()), false);
        bare.handle_connection(None);
        assert_eq!(bare.position(), Some("k:5"));
        bare.handle_message(&Message::Text("the next".to_owned()));
        assert_eq!(bare.position(), None, "nobody knows how many followed it");
    }
}
