//! What a follower tells. It comes out of `envelopes` where the gateway said it, and out of the follower itself
//! where a connection was lost; it is no event of a connection.

use std::time::Duration;

use tidegate_protocol::{Content, Member, Position, Present, Updates};

use super::interruption::Interruption;

/// What is told.
#[derive(Debug)]
pub enum Event {
    /// A subscription stands: for the first time, or again on a new connection.
    Open {
        /// The channel.
        channel: String,
        /// The place before what follows.
        position: Position,
        /// False: something before it is missing.
        recovered: bool,
        /// Who is here, where the channel's route tells; it takes the place of all that was told of that before.
        /// None says nothing. After an [`Event::Lost`] it is not known until the next one.
        present: Option<Present>,
    },
    /// A publication. Each is told once, in order.
    Message {
        /// The channel.
        channel: String,
        /// Its place; keep the last one to resume in another process.
        position: Position,
        /// What was published.
        content: Content,
        /// The name that a stream gave it.
        event: Option<String>,
        /// The id that a stream gave it.
        source_id: Option<String>,
    },
    /// Somebody has come to a channel. In large ones that is not told: the count of an `Open` is what there is.
    Join {
        /// The channel.
        channel: String,
        /// Who.
        member: Member,
        /// How many are here now.
        count: usize,
    },
    /// Somebody has gone.
    Leave {
        /// The channel.
        channel: String,
        /// Who.
        member: Member,
        /// How many are here now.
        count: usize,
    },
    /// A publication as the change from the one before it, which has been told; only where
    /// [`updates`](super::Options::updates) asks for it.
    Patch {
        /// The channel.
        channel: String,
        /// Its place; who keeps it must keep the document with it.
        position: Position,
        /// The kind of patch.
        updates: Updates,
        /// The patch as JSON.
        patch: String,
    },
    /// Something failed, and the gateway said so: behind a channel, or with something that was asked for.
    Error {
        /// The channel.
        channel: Option<String>,
        /// As in docs/protocol.md.
        code: String,
        /// For people.
        message: String,
        /// It may be well again later; a subscription stays. Without it the channel is followed no longer, if
        /// it was its subscription that failed. That comes with `limit`, too, after eight refusals in a row.
        retry: bool,
    },
    /// What a message that was sent came to: an answer from behind the channel.
    Answer {
        /// The channel.
        channel: Option<String>,
        /// What was answered.
        content: Content,
    },
    /// The gateway ended one subscription. It is followed no longer.
    Close {
        /// The channel.
        channel: String,
        /// Why, as a close code.
        code: u16,
        /// Why, in words.
        reason: String,
    },
    /// There is no connection. It will be tried again.
    Lost {
        /// Why.
        why: Interruption,
        /// After this time.
        retry_in: Duration,
    },
    /// There is no connection, and there will be none. Nothing follows.
    Ended(Interruption),
}
