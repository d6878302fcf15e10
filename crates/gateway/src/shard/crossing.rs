//! What shards say to each other: the only things that cross from one shard to another.
//!
//! A round's crossings for one shard travel as one batch through that shard's mailbox, so that their order
//! is kept and an idle shard is woken once. `S` is the shard itself, which this module does not know.

use std::sync::Arc;

use tidegate_hub::{
    Beginning, Behind, ChannelName, Epoch, Left, Member, Position, PresenceChange, Present, Publication,
    Recovery, Retention, SessionId, ShardId, Ticket, Told, Updates,
};
use tidegate_inspect::words::known::Known;

/// Batches that wait in a mailbox. A sender that finds it full keeps its batch and adds to it.
pub(crate) const MAILBOX_BATCHES: usize = 1024;

/// Crossings of one shard that may wait for another before publishing is refused.
pub(crate) const OUTBOX_MAX: usize = 65_536;

/// One thing that crosses.
pub(crate) enum Crossing<S> {
    /// To a channel's home: a session wants to follow it.
    Follow(Follow),
    /// To a channel's home: a session that got nothing for a while has taken what it had, and goes on.
    GoOn {
        /// The session.
        session: SessionId,
        /// Where it is.
        shard: ShardId,
        /// What it follows.
        behind: Behind,
        /// Who it is, on a channel that tells who is here: in a later life of the channel nobody knows it yet.
        member: Option<Member>,
    },
    /// From the home: the answer. What is live follows it in the same mailbox.
    Followed(Followed),
    /// To the home: a subscription of `shard` has ended.
    Leave {
        /// What was followed.
        left: Left,
        /// Whose the subscription was.
        session: SessionId,
        /// Where it was.
        shard: ShardId,
    },
    /// From the home: a publication, once for each shard that follows.
    Publication {
        /// The channel.
        channel: ChannelName,
        /// Its epoch.
        epoch: Epoch,
        /// The publication.
        publication: Publication,
    },
    /// From the home: something happened to the channel's source.
    Notice {
        /// The channel.
        channel: ChannelName,
        /// What happened.
        notice: Notice,
    },
    /// Something rare to be done over there.
    Call(Box<dyn FnOnce(&mut S) + Send>),
}

/// Where a subscription begins, and how it hears of changes.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Resume {
    pub(crate) after: Option<Position>,
    pub(crate) updates: Updates,
}

/// A wish to follow a channel.
#[derive(Debug, Clone)]
pub(crate) struct Follow {
    pub(crate) session: SessionId,
    pub(crate) ticket: Ticket,
    pub(crate) shard: ShardId,
    pub(crate) channel: ChannelName,
    pub(crate) resume: Resume,
    /// It is answered once: the newest publication is an answer, although it is no document, and so is a part of
    /// what was missed.
    pub(crate) answered_once: bool,
    pub(crate) retention: Retention,
    /// Only with a running source is there something to follow.
    pub(crate) sourced: bool,
    /// Who it is, on a channel that tells who is here.
    pub(crate) member: Option<Member>,
}

/// What is said of a channel that is on disk alone.
pub(crate) const NOT_READ: &str = "the channel is on disk and not in memory, since for a time no route wanted it \
                                   or channels_max_total had no room: a restart of the gateway reads it";

/// Why a home lets nobody follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotFollowed {
    /// `channels_max_total`.
    TooManyChannels,
    /// The source has ended since the channel was opened.
    SourceEnded,
    /// The channel is on disk and was not read.
    Dormant,
}

/// The home's answer to a [`Follow`], or to [`Crossing::GoOn`].
#[derive(Debug, Clone)]
pub(crate) struct Followed {
    pub(crate) session: SessionId,
    pub(crate) ticket: Ticket,
    pub(crate) channel: ChannelName,
    pub(crate) updates: Updates,
    /// Where it begins, as it was asked.
    pub(crate) beginning: Beginning,
    pub(crate) recovery: Result<Recovery, NotFollowed>,
    /// The channel holds whole documents.
    pub(crate) document: bool,
    /// Who is here, on a channel that tells.
    pub(crate) present: Option<Present>,
    /// The source fails just now, for this reason.
    pub(crate) trouble: Option<Arc<str>>,
}

/// What a source says about itself.
#[derive(Debug, Clone)]
pub(crate) enum Notice {
    /// It fails; subscribers stay.
    Failing(Arc<str>),
    /// It is well again; the channel's newest publication is at this position.
    Recovered(Position),
    /// Somebody has come or gone.
    Presence(Arc<PresenceChange>),
    /// It is over: subscribers of the channel are told and closed.
    Over {
        /// What it is: the code of the close, and of the `error` before it.
        known: &'static Known,
        /// A sentence.
        reason: Arc<str>,
    },
}

impl Notice {
    /// What each subscriber is told by it, about.
    pub(crate) fn told(&self) -> Told {
        /// Of an envelope, without what it tells.
        const AROUND_BYTES: usize = 128;
        let (messages, bytes) = match self {
            Self::Failing(reason) => (1, reason.len()),
            Self::Recovered(_) => (1, 0),
            Self::Presence(change) => {
                let Member { id, user, info } = &change.member;
                (
                    1,
                    [Some(id), user.as_ref(), info.as_ref()]
                        .into_iter()
                        .flatten()
                        .map(|text| text.len())
                        .sum(),
                )
            }
            // An error and a close.
            Self::Over { reason, .. } => (2, 2 * reason.len()),
        };
        Told { messages, bytes: bytes + AROUND_BYTES * messages }
    }
}
