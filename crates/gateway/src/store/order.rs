//! What a shard and the store say to each other: orders one way, words the other.
//!
//! Values only; `writer` carries orders out, and the shard acts on words.

use std::ops::Range;
use std::sync::Arc;
use std::time::SystemTime;

use tidegate_hub::{ChannelName, Item, Position, ShardId};

/// What an order costs in the queue beside its payload: itself, its channel and its place in a batch.
const ORDER_BYTES: usize = 256;

/// Something to be kept, from one shard. The words about it follow the order in which orders were given.
#[derive(Debug)]
pub(crate) struct Order {
    /// The life of the store that it was given in; one of an earlier life is not carried out, since its shard has
    /// given it up.
    pub(crate) term: u64,
    pub(crate) shard: ShardId,
    /// Counts the orders of its shard.
    pub(crate) number: u64,
    pub(crate) act: Act,
}

/// What is to be done.
#[derive(Debug)]
pub(crate) enum Act {
    /// A publication has its place.
    Append {
        channel: ChannelName,
        position: Position,
        item: Item,
        /// The key that it was published under.
        key: Option<Arc<str>>,
        at: SystemTime,
        /// Offsets of the channel that are not kept any more.
        forgotten: Range<u64>,
    },
    /// These offsets are not kept any more; the channel goes on.
    Forget { channel: ChannelName, forgotten: Range<u64> },
    /// The channel is over; it may have publications at these offsets.
    Remove { channel: ChannelName, offsets: Range<u64> },
}

/// What the store says to a shard.
#[derive(Debug, Clone)]
pub(crate) enum Word {
    /// All its orders up to this number are kept.
    Kept { term: u64, number: u64 },
    /// None of the orders that were not confirmed is kept, for this reason; none is taken until the store is well.
    Broken { term: u64, reason: Arc<str> },
    /// Orders of this term are taken.
    Well { term: u64 },
}

impl Order {
    /// What it costs in the queue.
    pub(crate) fn bytes(&self) -> usize {
        self.act.bytes()
    }
}

impl Act {
    /// What it costs in the queue.
    pub(crate) fn bytes(&self) -> usize {
        let payload = match self {
            Self::Append { item, key, .. } => {
                item.payload.bytes().len() + key.as_ref().map_or(0, |key| key.len())
            }
            Self::Forget { .. } | Self::Remove { .. } => 0,
        };
        ORDER_BYTES + payload
    }
}
