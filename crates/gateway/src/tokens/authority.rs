//! What a token grants to the connection that brought it: who the user is, which channels it may follow and
//! publish to, and until when. Made by `claims` of a token whose signature holds.

use std::time::SystemTime;

use tidegate_hub::ChannelName;

use crate::route::{Pattern, path_of_name};

/// See the module's head. It travels with the session, and is asked wherever a channel is followed or
/// published to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Authority {
    /// `sub`.
    pub(crate) user: Option<Box<str>>,
    /// `exp`: from then on it grants nothing.
    pub(crate) expires: SystemTime,
    /// What may be followed.
    pub(crate) subscribe: Grants,
    /// What may be published to.
    pub(crate) publish: Grants,
    /// `info`: what is to be known about the user, as the JSON object that it is.
    pub(crate) info: Option<Box<str>>,
}

/// Channels, by patterns of their paths. Without a pattern it is none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Grants(Box<[Pattern]>);

impl Grants {
    pub(super) fn new(patterns: Vec<Pattern>) -> Self {
        Self(patterns.into())
    }

    /// Whether the channel is among them. Its query does not matter.
    pub(crate) fn has(&self, channel: &ChannelName) -> bool {
        if self.0.is_empty() {
            return false;
        }
        let path = path_of_name(channel.path_part());
        self.0.iter().any(|pattern| pattern.matches(&path))
    }
}

impl Authority {
    /// Whether it has come to its end.
    pub(crate) fn is_expired(&self, now: SystemTime) -> bool {
        self.expires <= now
    }
}
