//! sockudo-ws: its stream over tokio, timers off, to whose sink messages are fed; and its `Protocol`, which has no
//! stream inside, as ours.

use bytes::BytesMut;
use futures_util::{SinkExt, StreamExt};
use sockudo_ws::protocol::{Message, Protocol};
use sockudo_ws::{Config, Role, WebSocketStream};

use super::{MESSAGE_MOST, Taken};
use crate::link::{Link, READ_BYTES, complete};
use crate::row::{Row, Side};

fn role(row: &Row) -> Role {
    if row.side == Side::Server { Role::Server } else { Role::Client }
}

/// What all its connections are opened with: larger limits, and no timers.
pub fn config() -> Config {
    Config {
        max_message_size: MESSAGE_MOST,
        max_frame_size: MESSAGE_MOST,
        idle_timeout: 0,
        auto_ping: false,
        ..Config::default()
    }
}

fn socket(row: &Row, link: Link) -> WebSocketStream<Link> {
    WebSocketStream::from_raw(link, role(row), config())
}

pub(super) fn read(row: &Row, link: Link, mut taken: Taken<'_>) {
    complete(async {
        let mut socket = socket(row, link);
        while taken.take(socket.next().await.expect("a message").expect("a message").as_bytes()) {}
    });
}

pub(super) fn write(row: &Row, link: Link, messages: u64) {
    complete(async {
        let mut socket = socket(row, link);
        for _ in 0..messages {
            socket.feed(Message::Binary(row.payload().clone())).await.expect("an open connection");
        }
        socket.flush().await.expect("an open connection");
    });
}

pub(super) fn read_protocol(row: &Row, mut link: Link, mut taken: Taken<'_>) {
    let mut protocol = Protocol::new(role(row), MESSAGE_MOST, MESSAGE_MOST);
    let mut buffer = BytesMut::with_capacity(READ_BYTES);
    let mut messages = Vec::new();
    loop {
        complete(tokio::io::AsyncReadExt::read_buf(&mut link, &mut buffer)).expect("bytes");
        protocol.process_into(&mut buffer, &mut messages).expect("messages");
        for message in messages.drain(..) {
            if !taken.take(message.as_bytes()) {
                return;
            }
        }
        buffer.reserve(READ_BYTES);
    }
}

pub(super) fn write_protocol(row: &Row, mut link: Link, messages: u64) {
    let mut protocol = Protocol::new(role(row), MESSAGE_MOST, MESSAGE_MOST);
    let mut buffer = BytesMut::new();
    for _ in 0..messages {
        let message = Message::Binary(row.payload().clone());
        protocol.encode_message(&message, &mut buffer).expect("an open connection");
        if buffer.len() >= READ_BYTES {
            link.write(&buffer);
            buffer.clear();
        }
    }
    link.write(&buffer);
}
