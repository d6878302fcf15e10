//! yawc, with the check of UTF-8 that it leaves off by default, because the protocol demands it.
//! Messages are fed to its sink, which writes when it has enough.

use futures_util::SinkExt;
use yawc::{Frame, Options, Role, WebSocket};

use super::{MESSAGE_MOST, Taken};
use crate::link::{Link, complete};
use crate::row::{Row, Side};

/// What all its connections are opened with.
pub fn options() -> Options {
    Options::default().with_utf8().with_limits(MESSAGE_MOST, 2 * MESSAGE_MOST)
}

fn socket(row: &Row, link: Link) -> WebSocket<Link> {
    let role = if row.side == Side::Server { Role::Server } else { Role::Client };
    WebSocket::from_stream(link, role, options()).expect("a connection")
}

pub(super) fn read(row: &Row, link: Link, mut taken: Taken<'_>) {
    complete(async {
        let mut socket = socket(row, link);
        while taken.take(socket.next_frame().await.expect("a message").payload()) {}
    });
}

pub(super) fn write(row: &Row, link: Link, messages: u64) {
    complete(async {
        let mut socket = socket(row, link);
        for _ in 0..messages {
            socket.feed(Frame::binary(row.payload().clone())).await.expect("an open connection");
        }
        socket.flush().await.expect("an open connection");
    });
}
