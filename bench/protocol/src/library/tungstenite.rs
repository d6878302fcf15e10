//! tokio-tungstenite: with its default read buffer of 128 KiB and with one of 4 KiB.
//! Messages are fed to its sink, which writes when it has enough.

use futures_util::{SinkExt, StreamExt};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

use super::Taken;
use crate::link::{Link, complete};
use crate::row::{Row, Side};

/// The small read buffer.
pub fn small() -> WebSocketConfig {
    WebSocketConfig::default().read_buffer_size(4096)
}

pub(super) fn read(row: &Row, link: Link, taken: Taken<'_>) {
    read_with(WebSocketConfig::default(), row, link, taken);
}

pub(super) fn read_small(row: &Row, link: Link, taken: Taken<'_>) {
    read_with(small(), row, link, taken);
}

pub(super) fn write(row: &Row, link: Link, messages: u64) {
    write_with(WebSocketConfig::default(), row, link, messages);
}

pub(super) fn write_small(row: &Row, link: Link, messages: u64) {
    write_with(small(), row, link, messages);
}

async fn socket(config: WebSocketConfig, row: &Row, link: Link) -> WebSocketStream<Link> {
    let role = if row.side == Side::Server { Role::Server } else { Role::Client };
    WebSocketStream::from_raw_socket(link, role, Some(config)).await
}

fn read_with(config: WebSocketConfig, row: &Row, link: Link, mut taken: Taken<'_>) {
    complete(async {
        let mut socket = socket(config, row, link).await;
        loop {
            let message = socket.next().await.expect("a message").expect("a message");
            let more = match &message {
                Message::Text(text) => taken.take(text.as_bytes()),
                Message::Binary(bytes) => taken.take(bytes),
                _ => panic!("no message"),
            };
            if !more {
                return;
            }
        }
    });
}

fn write_with(config: WebSocketConfig, row: &Row, link: Link, messages: u64) {
    complete(async {
        let mut socket = socket(config, row, link).await;
        for _ in 0..messages {
            socket.feed(Message::Binary(row.payload().clone())).await.expect("an open connection");
        }
        socket.flush().await.expect("an open connection");
    });
}
