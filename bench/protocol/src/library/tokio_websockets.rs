//! tokio-websockets, with its default configuration, masking keys from fastrand.
//! Messages are fed to its sink, which writes when it has enough.

use futures_util::{SinkExt, StreamExt};
use tokio_websockets::{ClientBuilder, Config, Limits, Message, ServerBuilder, WebSocketStream};

use super::Taken;
use crate::link::{Link, complete};
use crate::row::{Row, Side};

fn socket(row: &Row, link: Link) -> WebSocketStream<Link> {
    let config = Config::default();
    match row.side {
        Side::Server => ServerBuilder::new().config(config).limits(Limits::unlimited()).serve(link),
        Side::Client => ClientBuilder::new().config(config).limits(Limits::unlimited()).take_over(link),
    }
}

pub(super) fn read(row: &Row, link: Link, mut taken: Taken<'_>) {
    complete(async {
        let mut socket = socket(row, link);
        loop {
            let message = socket.next().await.expect("a message").expect("a message");
            if !taken.take(&message.into_payload()) {
                return;
            }
        }
    });
}

pub(super) fn write(row: &Row, link: Link, messages: u64) {
    complete(async {
        let mut socket = socket(row, link);
        for _ in 0..messages {
            socket.feed(Message::binary(row.payload().clone())).await.expect("an open connection");
        }
        socket.flush().await.expect("an open connection");
    });
}
