//! Channels, positions, publications, history, subscriptions, fan-out and send queues, without IO.
//!
//! ```text
//!  source, publisher ── item ──▶ engine: append → offset → history        (on the channel's home shard)
//!                                   │ publication, once for each shard that follows
//!                                   ▼
//!  session ── subscribe ──▶ hub: channel → fan-out → send queues, dirty list     (on each shard)
//! ```
//!
//! Nothing here reads a clock, draws a random number, takes a lock or knows a socket: time and random
//! bytes are arguments, bytes and values go out.
#![forbid(unsafe_code)]

pub mod name;
pub mod position;
pub mod updates;
pub mod publication;
pub mod queue;
pub mod log;
mod subscription;
pub mod engine;
pub mod repeats;
mod session_id;
pub mod presence;
pub mod encode;
mod audience;
pub mod hub;

pub use encode::{Encode, FORMS, Form, Packing};
pub use engine::{
    Appended, Basis, ChannelStatus, Engine, EngineLimits, Fresh, NotStaged, Precondition, ShardId, Staged,
    Swept, TooManyChannels,
};
pub use hub::{Hub, Session, Told};
pub use log::{Log, Recovery, Restored, Retention};
pub use name::{ChannelName, NameError};
pub use position::{Epoch, Position, PositionError};
pub use presence::{Member, Presence, PresenceChange, Present};
pub use publication::{Item, Payload, PayloadKind, Publication};
pub use queue::{Full, Outgoing, QueueLimits, SendQueue};
pub use repeats::{IDEMPOTENCY_KEY_MAX_BYTES, RepeatLimits, Repeats};
pub use session_id::SessionId;
pub use subscription::{Beginning, Behind, Left, Slow, SubscribeError, Ticket};
pub use updates::{Change, Compared, Increments, Updates, UpdatesError};
