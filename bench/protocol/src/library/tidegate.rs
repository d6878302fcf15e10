//! tidegate-websocket: no stream inside. A read goes into one buffer, all its messages are taken, and a frame that
//! is not whole stays in the buffer, or is read into its message if it is long. What is written collects up to
//! 16 KiB; a long payload is written from where it lies, if it need not be masked.

use tidegate_websocket::{Connection, Event, Input, Limits, MaskKeys, Message, MessageKind, Role};
use tokio::io::AsyncReadExt;

use super::{MESSAGE_MOST, Taken};
use crate::link::{Link, READ_BYTES, complete};
use crate::row::{Row, Side};

/// What is written collects up to here: it is still in the nearest cache when it leaves.
const WRITE_BYTES: usize = 16 * 1024;
/// From so many bytes on, a payload is written from where it lies.
const LENT_BYTES: usize = 8 * 1024;

fn connection(row: &Row) -> Connection {
    let role = match row.side {
        Side::Server => Role::Server,
        Side::Client => Role::Client(MaskKeys::from_seed([7; 16])),
    };
    Connection::new(role, Limits { max_message_bytes: MESSAGE_MOST, ..Limits::default() })
}

pub(super) fn read(row: &Row, mut link: Link, mut taken: Taken<'_>) {
    let mut connection = connection(row);
    let mut buffer = vec![0; 2 * READ_BYTES];
    let (mut left, mut output) = (0, Vec::new());
    loop {
        if let Some(mut room) = connection.payload_room() {
            complete(link.read_buf(&mut room)).expect("bytes");
            if let Some(event) = connection.handle_payload()
                && !taken.take(message(&event).as_bytes())
            {
                return;
            }
            continue;
        }
        let count = left + link.read(&mut buffer[left..]);
        let mut input = Input::leaving(&mut buffer[..count], READ_BYTES);
        while let Some(event) = connection.handle_input(&mut input, &mut output) {
            if !taken.take(message(&event).as_bytes()) {
                return;
            }
        }
        left = input.remaining();
        buffer.copy_within(count - left..count, 0);
    }
}

fn message<'e>(event: &Event<'e>) -> Message<'e> {
    match event {
        Event::Message(message) => *message,
        _ => panic!("no message"),
    }
}

pub(super) fn write(row: &Row, mut link: Link, messages: u64) {
    let mut connection = connection(row);
    let mut output = Vec::new();
    if row.side == Side::Server && row.size >= LENT_BYTES {
        for _ in 0..messages {
            let header = connection.header(MessageKind::Binary, row.size).expect("an open connection");
            link.write(&header);
            link.write(row.payload());
        }
        return;
    }
    for _ in 0..messages {
        connection.send(Message::Binary(row.payload()), &mut output).expect("an open connection");
        if output.len() >= WRITE_BYTES {
            link.write(&output);
            output.clear();
        }
    }
    link.write(&output);
}
