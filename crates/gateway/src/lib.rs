//! The server: shards, doors, pass-through, admin listener, configuration.
//!
//! ```text
//!  public ──▶ doors (websocket │ http_stream │ long_poll) ──▶ open ──▶ sources       at the channel's home
//!    │                  │                                     │ items
//!    │                  ▼                                     ▼
//!    │        shard: sockets ◀─ send queues ◀─ hub ◀─ mailbox ◀─ engine ◀─ publish ◀─ admin, messages
//!    └──▶ forward ──▶ backend
//! ```
//!
//! Begin with [`Gateway`]; the round of a shard is in `shard`, its loop in `driver`.
#![forbid(unsafe_code)]

// What may be asked for, and what it may cost.
pub mod limits;
mod certificate;
pub mod route;
mod tokens;
pub mod settings;

// What all shards share, and one shard.
mod refusal;
mod access;
mod key_sets;
mod network;
mod arrivals;
mod failures;
mod process;
mod compression;
mod store;
mod metrics;
mod sources;
mod shard;
mod tunnel;

// Channels are opened and filled.
mod open;
mod publish;
mod messages;

// HTTP.
mod first_heads;
mod handshake;
mod http_body;
mod credential;
mod client_body;
mod client_socket;
mod head_timer;
mod tls;
mod doors;
mod cors;
mod forward;
mod answer;
mod http2;
mod public;
mod admin;

// The process.
mod open_store;
mod watched;
mod drain;
mod driver;
mod token;
mod gateway;

#[doc(hidden)]
pub mod fuzzing;

pub use admin::{ADMIN_CALLS, AdminCall};
pub use gateway::{Gateway, Options, StartError, Stopped};
pub use store::StoreError;
pub use token::{read_token, token_path};
