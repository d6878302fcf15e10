//! fastwebsockets: whole messages come from its `FragmentCollector`; what is sent is lent to it.
//! It writes every message at once, a long payload from where it lies.

use fastwebsockets::{FragmentCollector, Frame, Payload, Role, WebSocket};

use super::{MESSAGE_MOST, Taken};
use crate::link::{Link, complete};
use crate::row::{Row, Side};

fn socket(row: &Row, link: Link) -> WebSocket<Link> {
    let role = if row.side == Side::Server { Role::Server } else { Role::Client };
    let mut socket = WebSocket::after_handshake(link, role);
    socket.set_max_message_size(MESSAGE_MOST);
    socket
}

pub(super) fn read(row: &Row, link: Link, mut taken: Taken<'_>) {
    complete(async {
        let mut socket = FragmentCollector::new(socket(row, link));
        while taken.take(&socket.read_frame().await.expect("a message").payload) {}
    });
}

pub(super) fn write(row: &Row, link: Link, messages: u64) {
    complete(async {
        let mut socket = socket(row, link);
        for _ in 0..messages {
            let frame = Frame::binary(Payload::Borrowed(row.payload()));
            socket.write_frame(frame).await.expect("an open connection");
        }
        socket.flush().await.expect("an open connection");
    });
}
