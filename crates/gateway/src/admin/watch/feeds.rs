//! All feeds by their names; there are no others. Who writes one adds its module and a row here: what a row is
//! called is what watchers ask for.

use super::backends::Backends;
use super::channel::Channel;
use super::channels::Channels;
use super::connection::Connection;
use super::connections::Connections;
use super::events::Events;
use super::feed::{Begin, Bell, Feed};
use super::figures::Figures;
use super::handshakes::Handshakes;
use super::wish::Wish;
use crate::shard::ShardRef;

/// The name in `what`, and what begins it.
const FEEDS: &[(&str, Begin)] = &[
    ("figures", |wish, _, _| Ok(Box::new(Figures::new(wish.id)))),
    ("connection", Connection::begin),
    ("channel", Channel::begin),
    ("events", Events::begin),
    ("connections", |wish, _, _| Ok(Box::new(Connections::new(wish)?))),
    ("channels", |wish, _, _| Ok(Box::new(Channels::new(wish)?))),
    ("backends", |wish, _, _| Ok(Box::new(Backends::new(wish)))),
    ("handshakes", |wish, _, _| Ok(Box::new(Handshakes::new(wish)))),
];

/// Begins what is wished for.
pub(super) fn begin(wish: &Wish, shard: &ShardRef, bell: &Bell) -> Result<Box<dyn Feed>, String> {
    match FEEDS.iter().find(|(name, _)| *name == wish.what) {
        Some((_, begin)) => begin(wish, shard, bell),
        None => {
            let names: Vec<&str> = FEEDS.iter().map(|(name, _)| *name).collect();
            Err(format!("'what' is one of {}", names.join(", ")))
        }
    }
}
