//! What stands between a session and a channel's home: the question, its ticket, the answer, and the word that
//! a subscription has ended. Values only; the hub and the engine act on them.

use crate::name::ChannelName;
use crate::position::{Epoch, Position};
use crate::updates::Updates;

/// Why a subscription could not be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubscribeError {
    /// The session is gone.
    Gone,
    /// It follows the channel already.
    Twice,
    /// It follows as many channels as it may (`channels.max_per_conn`).
    TooMany,
}

/// A question to a channel's home. Its answer bears it, so that a session that has left meanwhile and asks
/// again does not take the old answer for the new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticket(pub(crate) u32);

/// A subscription has ended: the channel's home must be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// The channel.
    pub channel: ChannelName,
    /// The life of the channel that was followed. Another one since has not lost this follower.
    pub epoch: Epoch,
    /// What was asked for.
    pub updates: Updates,
}

/// What becomes of a subscriber that does not take what it asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Slow {
    /// Its session ends: nothing is left out without a word.
    #[default]
    Disconnect,
    /// It is passed over, and gets the newest publication when it has taken what is queued.
    Latest,
}

/// Where a subscription begins, or goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beginning {
    /// After this position, if one was asked for.
    After(Option<Position>),
    /// At the newest publication, whole: it was passed over.
    Newest,
}

/// A subscription that got nothing until its queue had run empty, which it has: what the channel's home is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Behind {
    /// The question's.
    pub ticket: Ticket,
    /// What was followed, and is as far as the home knows.
    pub left: Left,
    /// What it is to get.
    pub beginning: Beginning,
}

/// One that gets nothing until its queue has run empty.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PassedOver {
    /// Its session's place.
    pub(crate) at: u32,
    /// What it gets then.
    pub(crate) beginning: Beginning,
}

/// One channel that a session follows or has asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Subscription {
    /// The channel's place in the hub.
    pub(crate) channel: u32,
    pub(crate) state: SubscriptionState,
}

/// How far a subscription has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SubscriptionState {
    /// The home has been asked.
    AwaitHome(Updates, Ticket),
    /// At this place of the channel's list for the session's form and packing and these updates.
    Live(Updates, u32),
    /// It is among those passed over by its channel: nothing is queued until its queue has run empty.
    PassedOver(Updates),
}

impl SubscriptionState {
    /// What was asked for, if `ticket` is that of the question that awaits its answer.
    pub(crate) fn awaited_by(self, ticket: Ticket) -> Option<Updates> {
        match self {
            Self::AwaitHome(updates, own) if own == ticket => Some(updates),
            Self::AwaitHome(..) | Self::Live(..) | Self::PassedOver(_) => None,
        }
    }
}
