//! A connection that stands, and what a follower knows of it: on it the channels are asked for.
//! Who opens it, and what becomes of what it hears, is the follower.

use std::pin::Pin;
use std::time::Duration;

use tidegate_protocol::client::write_subscribe;
use tidegate_websocket as websocket;
use tokio::time::{Instant, Sleep};

use super::channels::{Channels, Subscribe};
use crate::connection::{Connection, SendError};

pub(super) struct Link {
    pub(super) connection: Connection,
    pub(super) since: Instant,
    /// What the close envelope said before the Close frame came.
    pub(super) reconnect_in: Option<Duration>,
    /// When what was refused for now is asked for again.
    pub(super) again: Option<Pin<Box<Sleep>>>,
}

impl Link {
    /// Asks for the channels that were not asked for yet, as far as there is room.
    pub(super) fn ask(&mut self, channels: &mut Channels) {
        while self.connection.has_room() && self.connection.is_open() {
            let Some(asked) = channels.poll_subscribe() else { return };
            let Subscribe { channel, after, updates, id } = asked;
            // There is room; a connection that is over asks again on the next one.
            let _ = self.queue(|command| write_subscribe(command, channel, after, updates, id));
        }
    }

    pub(super) fn queue(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> Result<(), SendError> {
        let mut command = Vec::new();
        write(&mut command);
        let text = String::from_utf8(command).expect("commands are JSON");
        self.connection.queue(websocket::Message::Text(&text))
    }
}
