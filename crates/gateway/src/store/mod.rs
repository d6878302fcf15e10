//! Channels on disk: what a shard hands over to be kept is written by one thread, in the order in which it came,
//! as much at once as has gathered, and confirmed when it is out of this process' hands.
//!
//! ```text
//!  shard ── order ──▶ writer ── one batch ──▶ disk        words (kept, broken, well) ──▶ shard
//! ```
//!
//! Nothing of a shard is known here: words go out through functions that are given at the start.

mod order;
mod record;
#[cfg(feature = "durable")]
mod tables;
#[cfg(not(feature = "durable"))]
#[path = "no_tables.rs"]
mod tables;
mod progress;
mod dormant;
mod contents;
mod disk;
mod writer;

pub(crate) use self::contents::{Found, Loaded};
pub use self::disk::StoreError;
pub(crate) use self::disk::{Disk, boot};
pub(crate) use self::dormant::Dormant;
pub(crate) use self::order::{Act, Order, Word};
pub(crate) use self::record::age;
pub(crate) use self::writer::{Figures, Store, Tell, Writer};

#[cfg(all(test, feature = "durable"))]
mod tests;
