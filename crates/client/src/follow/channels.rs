//! The channels that are followed, each with the last position that was read: what to ask for on a new
//! connection, and what an envelope means for it.
//!
//! No IO and no clock: commands are asked for, envelopes are handed in.

use tidegate_protocol::{Position, Updates};

/// Most channels of one follower.
pub(super) const CHANNELS_MAX: usize = 1000;

/// A set of channels on one socket.
#[derive(Debug, Default)]
pub(super) struct Channels {
    list: Vec<Channel>,
    /// The name of that of the URL, once the gateway has told it. It may be followed again after it ended.
    own_name: Option<String>,
    /// What all channels are asked for with.
    updates: Updates,
    /// The handshake of this connection has asked for that of the URL, and that stands.
    asked_for_own: bool,
    next_id: u64,
}

#[derive(Debug)]
struct Channel {
    /// None: that of the URL, whose name the gateway has not told yet.
    name: Option<String>,
    is_own: bool,
    /// The last position that was read, of an Open or of a publication.
    position: Option<Position>,
    /// What a change after that position is applied to has been told. Without increments nothing depends on it.
    has_document: bool,
    state: State,
    /// An Open has told it on this connection. What comes before it is of a subscription that has ended.
    is_open: bool,
    /// How often in a row it was refused for now on this connection.
    refusals: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// To be asked for on this connection.
    Wanted,
    /// Asked for by the command with this id.
    Asked(u64),
    /// Refused for now.
    Held,
    /// Nothing is to be asked: the handshake did, or the subscription stands.
    Following,
}

/// What is to be said to the gateway.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Subscribe<'c> {
    pub(super) channel: &'c str,
    pub(super) after: Option<Position>,
    pub(super) updates: Updates,
    pub(super) id: u64,
}

/// What a publication's position means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arrived {
    /// It follows the last one.
    Next,
    /// It has been read before.
    Again,
    /// Something before it is missing, and the gateway has not said so.
    AfterGap,
    /// Nobody follows that channel any more, or it is not of the subscription that was asked for.
    Unknown,
}

impl Channels {
    /// None yet.
    pub(super) fn new(updates: Updates) -> Self {
        Self { updates, ..Self::default() }
    }

    /// Adds that of the URL.
    pub(super) fn follow_own(&mut self, after: Option<Position>) {
        self.list.push(Channel::new(None, true, after, State::Following));
    }

    /// Adds one; false if it is followed already, or if there are too many.
    pub(super) fn follow(&mut self, name: &str, after: Option<Position>) -> bool {
        let name = name.strip_prefix('/').unwrap_or(name);
        if self.list.len() >= CHANNELS_MAX || self.find(name).is_some() {
            return false;
        }
        let is_own = self.is_own(name);
        let state = if is_own && self.asked_for_own { State::Following } else { State::Wanted };
        let name = Some(name.to_owned());
        self.list.push(Channel::new(name, is_own, after, state));
        true
    }

    /// Whether the name is known as that of the URL.
    pub(super) fn is_own(&self, name: &str) -> bool {
        self.own_name.as_deref() == Some(name.strip_prefix('/').unwrap_or(name))
    }

    /// Whether a subscription stands on this connection.
    pub(super) fn is_open(&self, name: &str) -> bool {
        self.find(name).is_some_and(|channel| channel.is_open)
    }

    /// Removes one; true if it was there.
    pub(super) fn forget(&mut self, name: &str) -> bool {
        let name = name.strip_prefix('/').unwrap_or(name);
        self.asked_for_own &= !self.is_own(name);
        let before = self.list.len();
        self.list.retain(|channel| !channel.is(name));
        self.list.len() < before
    }

    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub(super) fn own_position(&self) -> Option<Position> {
        self.list.iter().find(|channel| channel.is_own)?.position
    }

    /// The last position that was read; with increments only if its document was read, too.
    pub(super) fn position(&self, name: &str) -> Option<Position> {
        let channel = self.find(name.strip_prefix('/').unwrap_or(name))?;
        channel.position.filter(|_| channel.has_document || self.updates == Updates::Whole)
    }

    /// All is to be asked for anew: the connection is another one.
    pub(super) fn handle_connection(&mut self) {
        self.asked_for_own = true;
        for channel in &mut self.list {
            channel.state = if channel.is_own { State::Following } else { State::Wanted };
            channel.is_open = false;
            channel.refusals = 0;
        }
    }

    /// The positions mean nothing any more.
    pub(super) fn forget_positions(&mut self) {
        self.list.iter_mut().for_each(|channel| (channel.position, channel.has_document) = (None, false));
    }

    /// What to ask for next; call it until it gives none.
    pub(super) fn poll_subscribe(&mut self) -> Option<Subscribe<'_>> {
        let id = self.next_id;
        let channel = self.list.iter_mut().find(|channel| channel.state == State::Wanted)?;
        self.next_id += 1;
        channel.state = State::Asked(id);
        let (after, updates) = (channel.position, self.updates);
        Some(Subscribe { channel: channel.name.as_deref()?, after, updates, id })
    }

    /// A number for a command that is not asked for here.
    pub(super) fn new_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id - 1
    }

    /// The name of the channel that a command was about.
    pub(super) fn handle_reply(&mut self, id: u64) -> Option<&str> {
        let channel = self.list.iter_mut().find(|channel| channel.state == State::Asked(id))?;
        channel.state = State::Following;
        channel.name.as_deref()
    }

    /// How often in a row a channel was refused for now.
    pub(super) fn refusals(&self, name: &str) -> u32 {
        self.find(name).map_or(0, |channel| channel.refusals)
    }

    /// What it was about was refused for now: it is asked for again after [`Channels::release`].
    pub(super) fn hold(&mut self, name: &str) {
        let held = self.list.iter_mut().find(|channel| channel.is(name));
        if let Some(channel) = held {
            channel.state = State::Held;
            channel.refusals = channel.refusals.saturating_add(1);
        }
    }

    /// What was refused for now is to be asked for again.
    pub(super) fn release(&mut self) {
        for channel in self.list.iter_mut().filter(|channel| channel.state == State::Held) {
            channel.state = State::Wanted;
        }
    }

    /// A subscription stands, or stands again: gives the place that is to be told, and whether all before it
    /// was had. None: nobody follows that channel, and it is to be unsubscribed.
    ///
    /// With nothing missing the place stays that of what was read last: an Open may lie behind it or before
    /// it, and what comes next shows what is new. The place of an Open is one to resume from even if its document
    /// has not been read: what follows may be whole, and a change that cannot be applied shows.
    pub(super) fn handle_open(
        &mut self,
        name: &str,
        position: Position,
        recovered: bool,
    ) -> Option<(Position, bool)> {
        let Some(channel) = self.find_or_own(name) else {
            self.asked_for_own &= !self.is_own(name);
            return None;
        };
        channel.is_open = true;
        channel.refusals = 0;
        let told = match channel.position {
            None => (position, recovered),
            Some(last) if recovered && last.epoch == position.epoch => (last, true),
            Some(_) => (position, false),
        };
        if channel.position.is_none() || !told.1 {
            // Before the first publication there is no document.
            channel.has_document = position.offset == 0;
        }
        channel.position = Some(told.0);
        Some(told)
    }

    /// A publication came as a change.
    pub(super) fn handle_patch(&mut self, name: &str, position: Position) -> Arrived {
        let has_document = self.find(name).is_some_and(|channel| channel.has_document);
        match self.handle_message(name, position) {
            Arrived::Next if !has_document => Arrived::AfterGap,
            arrived => arrived,
        }
    }

    /// What was read of a channel is of no use: it is asked for again from its newest publication on.
    pub(super) fn begin_anew(&mut self, name: &str) {
        if let Some(channel) = self.list.iter_mut().find(|channel| channel.is(name)) {
            (channel.position, channel.has_document) = (None, false);
            (channel.state, channel.is_open) = (State::Wanted, false);
        }
    }

    /// A publication came.
    pub(super) fn handle_message(&mut self, name: &str, position: Position) -> Arrived {
        let open = self.list.iter_mut().find(|channel| channel.is_open && channel.is(name));
        let Some(channel) = open else { return Arrived::Unknown };
        let arrived = match channel.position {
            Some(last) if last.epoch != position.epoch => Arrived::AfterGap,
            Some(last) if position.offset <= last.offset => return Arrived::Again,
            Some(last) if position.offset - last.offset > 1 => Arrived::AfterGap,
            Some(_) | None => Arrived::Next,
        };
        (channel.position, channel.has_document) = (Some(position), true);
        arrived
    }

    /// A subscription does not fit what is followed. True if that is because an Open has told the channel
    /// already: then its name is that of the URL, which nobody knew when it was asked for.
    pub(super) fn handle_misfit(&mut self, name: &str) -> bool {
        let Some(index) = self.list.iter().position(|channel| channel.is_open && channel.is(name)) else {
            return false;
        };
        if self.own_name.is_none() {
            self.list[index].is_own = true;
            self.own_name = Some(name.to_owned());
            self.list.retain(|channel| channel.name.is_some());
        }
        true
    }

    fn find(&self, name: &str) -> Option<&Channel> {
        self.list.iter().find(|channel| channel.is(name))
    }

    /// The channel of this name. A name that was not asked for is that of the URL.
    fn find_or_own(&mut self, name: &str) -> Option<&mut Channel> {
        let by_name = self.list.iter().position(|channel| channel.is(name));
        let index = by_name.or_else(|| self.list.iter().position(|channel| channel.name.is_none()))?;
        let channel = &mut self.list[index];
        if channel.name.is_none() {
            channel.name = Some(name.to_owned());
            self.own_name = Some(name.to_owned());
        }
        Some(channel)
    }
}

impl Channel {
    /// Who begins after a position has the document that stands there.
    fn new(name: Option<String>, is_own: bool, after: Option<Position>, state: State) -> Self {
        let has_document = after.is_some();
        Self { name, is_own, position: after, has_document, state, is_open: false, refusals: 0 }
    }

    fn is(&self, name: &str) -> bool {
        self.name.as_deref() == Some(name)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tidegate_protocol::Epoch;

    use super::*;

    fn at(epoch: u32, offset: u64) -> Position {
        Position { epoch: Epoch(epoch), offset }
    }

    #[test]
    fn the_name_that_nobody_asked_for_is_that_of_the_url() {
        let mut channels = Channels::default();
        channels.follow_own(None);
        assert!(channels.follow("/other", Some(at(1, 7))));
        assert!(!channels.follow("other", None), "it is followed already");
        assert!(channels.handle_open("other", at(1, 7), true).is_some());
        assert!(channels.handle_open("own", at(2, 0), true).is_some());
        assert!(channels.handle_open("third", at(2, 0), true).is_none());
        assert_eq!((channels.own_position(), channels.position("/other")), (Some(at(2, 0)), Some(at(1, 7))));
        assert!(channels.forget("own") && channels.forget("other") && channels.is_empty());
    }

    #[test]
    fn a_new_connection_asks_for_all_but_its_own_from_where_it_was() {
        let mut channels = Channels::default();
        channels.follow_own(None);
        channels.follow("a", None);
        let asked = channels.poll_subscribe().unwrap();
        assert_eq!((asked.channel, asked.after, asked.id), ("a", None, 0));
        assert_eq!(channels.poll_subscribe(), None);
        assert_eq!(channels.handle_reply(0), Some("a"));
        assert_eq!(channels.handle_reply(0), None, "a reply comes once");
        channels.hold("a");
        assert_eq!(channels.poll_subscribe(), None);
        assert_eq!(channels.refusals("a"), 1);
        channels.release();
        assert_eq!(channels.poll_subscribe().unwrap().id, 1);
        channels.handle_open("a", at(1, 3), true);
        assert_eq!(channels.refusals("a"), 0);
        assert_eq!(channels.handle_message("a", at(1, 4)), Arrived::Next);
        channels.handle_connection();
        let asked = channels.poll_subscribe().unwrap();
        assert_eq!((asked.channel, asked.after, asked.id), ("a", Some(at(1, 4)), 2));
        channels.forget_positions();
        channels.handle_connection();
        assert_eq!(channels.poll_subscribe().unwrap().after, None);
    }

    #[test]
    fn what_a_position_means() {
        let mut channels = Channels::default();
        channels.follow_own(Some(at(1, 4)));
        assert_eq!(channels.handle_message("own", at(1, 5)), Arrived::Unknown, "it is not open");
        channels.handle_open("own", at(1, 4), true);
        for (position, arrived) in [
            (at(1, 4), Arrived::Again),
            (at(1, 5), Arrived::Next),
            (at(1, 5), Arrived::Again),
            (at(1, 7), Arrived::AfterGap),
            (at(1, 8), Arrived::Next),
            (at(2, 1), Arrived::AfterGap),
            (at(2, 2), Arrived::Next),
        ] {
            assert_eq!(channels.handle_message("own", position), arrived, "{position}");
        }
        assert_eq!(channels.handle_message("other", at(1, 1)), Arrived::Unknown);
    }

    #[test]
    fn there_is_a_bound() {
        let mut channels = Channels::default();
        let taken = (0..CHANNELS_MAX + 5).filter(|index| channels.follow(&index.to_string(), None)).count();
        assert_eq!(taken, CHANNELS_MAX);
    }

    #[test]
    fn what_an_open_means() {
        let mut channels = Channels::default();
        channels.follow_own(None);
        for (position, recovered, told) in [
            (at(1, 4), true, (at(1, 4), true)),
            (at(1, 3), true, (at(1, 4), true)),
            (at(1, 9), true, (at(1, 4), true)),
            (at(1, 9), false, (at(1, 9), false)),
            (at(2, 1), true, (at(2, 1), false)),
        ] {
            assert_eq!(channels.handle_open("own", position, recovered), Some(told), "{position}");
        }
    }

    #[test]
    fn with_increments_a_position_is_that_of_a_document() {
        let mut channels = Channels::new(Updates::JsonPatch);
        channels.follow_own(None);
        assert_eq!(channels.handle_open("own", at(1, 4), true), Some((at(1, 4), true)));
        assert_eq!(channels.position("own"), None, "its document is still to come");
        assert_eq!(channels.own_position(), Some(at(1, 4)), "and may be whole");
        assert_eq!(channels.handle_patch("own", at(1, 5)), Arrived::AfterGap);
        channels.begin_anew("own");
        let asked = channels.poll_subscribe().unwrap();
        assert_eq!((asked.channel, asked.after, asked.updates), ("own", None, Updates::JsonPatch));
        assert_eq!(channels.handle_message("own", at(1, 5)), Arrived::Unknown, "of the subscription before");
        channels.handle_open("own", at(1, 4), true);
        assert_eq!(channels.handle_message("own", at(1, 5)), Arrived::Next);
        assert_eq!(channels.handle_patch("own", at(1, 6)), Arrived::Next);
        assert_eq!(channels.handle_patch("own", at(1, 6)), Arrived::Again);
        assert_eq!(channels.handle_open("own", at(1, 6), true), Some((at(1, 6), true)));
        assert_eq!(channels.own_position(), Some(at(1, 6)));
        assert_eq!(channels.handle_patch("own", at(1, 8)), Arrived::AfterGap);
        channels.handle_open("own", at(1, 9), false);
        assert_eq!(channels.position("own"), None);
    }

    #[test]
    fn with_increments_an_open_before_the_first_document_is_a_place_like_others() {
        for offset in [0, 4] {
            let mut channels = Channels::new(Updates::JsonPatch);
            channels.follow_own(None);
            channels.handle_open("own", at(1, offset), true);
            channels.handle_connection();
            assert_eq!(channels.own_position(), Some(at(1, offset)));
            assert_eq!(channels.handle_open("own", at(1, offset), true), Some((at(1, offset), true)));
            assert_eq!(channels.handle_message("own", at(1, offset + 1)), Arrived::Next);
            assert_eq!(channels.handle_patch("own", at(1, offset + 2)), Arrived::Next);
            channels.handle_connection();
            let told = channels.handle_open("own", at(2, 7), true);
            assert_eq!(told, Some((at(2, 7), false)), "what is lost is declared");
            channels.handle_connection();
            assert_eq!(channels.own_position(), Some(at(2, 7)));
        }
    }

    proptest! {
        /// Whatever comes, what is told as next is what follows, and nothing is told twice.
        #[test]
        fn nothing_is_told_twice(offsets in prop::collection::vec(1_u64..20, 0..60)) {
            let mut channels = Channels::default();
            channels.follow_own(Some(at(1, 0)));
            channels.handle_open("own", at(1, 0), true);
            let mut told = 0;
            for offset in offsets {
                match channels.handle_message("own", at(1, offset)) {
                    Arrived::Next => prop_assert_eq!(offset, told + 1),
                    Arrived::AfterGap => prop_assert!(offset > told + 1),
                    Arrived::Again => { prop_assert!(offset <= told); continue }
                    Arrived::Unknown => prop_assert!(false, "it is followed"),
                }
                told = offset;
            }
        }
    }
}
