//! The echo loop of each library, over the socket of an accepted connection, after a handshake that is the same for
//! all. What each is configured with is what the rows in memory use.

use std::cell::RefCell;
use std::io;
use std::net::TcpListener;

use futures_util::{SinkExt, StreamExt, future};
use tidegate_websocket::{Connection, Event, Input, Limits, Role};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{self, WebSocketConfig};

use super::serve;
use crate::library::{sockudo_config, tungstenite_small as small, yawc_options};
use crate::link::READ_BYTES;

type Served = Result<(), String>;

thread_local! {
    /// One for all connections: nothing is left in it between two reads.
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_BYTES]);
}

/// Reads into a shared buffer, and writes the answers to what one read brought together.
pub(super) fn tidegate(listener: TcpListener) -> Served {
    serve(listener, |mut stream| async move {
        let mut connection = Connection::new(Role::Server, Limits::default());
        let mut output = Vec::new();
        while let Ok(true) = read(&mut stream, &mut connection, &mut output).await {
            if !output.is_empty() && stream.write_all(&output).await.is_err() {
                return;
            }
            output.clear();
            output.shrink_to(READ_BYTES);
        }
    })
}

/// Takes one read; false at the end.
async fn read(stream: &mut TcpStream, connection: &mut Connection, output: &mut Vec<u8>) -> io::Result<bool> {
    stream.readable().await?;
    BUFFER.with_borrow_mut(|buffer| {
        let count = match stream.try_read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(true),
            read => read?,
        };
        // Less than there was room for: the socket is empty, and asking it again would be in vain.
        if count > 0 && count < buffer.len() {
            let _ = stream.try_io(tokio::io::Interest::READABLE, || -> io::Result<()> {
                Err(io::ErrorKind::WouldBlock.into())
            });
        }
        answer(&mut buffer[..count], connection, output);
        Ok(count > 0)
    })
}

/// Echoes the messages of one read.
pub(super) fn answer(bytes: &mut [u8], connection: &mut Connection, output: &mut Vec<u8>) {
    let mut input = Input::new(bytes);
    while let Some((event, mut answers)) = connection.handle_input_to_answer(&mut input, output) {
        if let Event::Message(message) = event {
            // The next event says that the connection is over, if it is.
            let _ = answers.send(message, output);
        }
    }
}

pub(super) fn fastwebsockets(listener: TcpListener) -> Served {
    use fastwebsockets::{FragmentCollector, OpCode, Role, WebSocket};
    serve(listener, |stream| {
        tokio::task::unconstrained(async move {
            let mut socket = FragmentCollector::new(WebSocket::after_handshake(stream, Role::Server));
            while let Ok(frame) = socket.read_frame().await {
                let more = match frame.opcode {
                    OpCode::Text | OpCode::Binary => socket.write_frame(frame).await.is_ok(),
                    OpCode::Close => false,
                    _ => true,
                };
                if !more {
                    return;
                }
            }
        })
    })
}

/// Its example `echo-server`, but with `send` for each message.
pub(super) fn tungstenite(listener: TcpListener) -> Served {
    serve(listener, |stream| tungstenite_send(stream, WebSocketConfig::default()))
}

pub(super) fn tungstenite_small(listener: TcpListener) -> Served {
    serve(listener, |stream| tungstenite_send(stream, small()))
}

async fn tungstenite_send(stream: TcpStream, config: WebSocketConfig) {
    let mut socket = WebSocketStream::from_raw_socket(stream, protocol::Role::Server, Some(config)).await;
    while let Some(Ok(message)) = socket.next().await {
        if (message.is_text() || message.is_binary()) && socket.send(message).await.is_err() {
            return;
        }
    }
}

/// Its example `echo-server` as it is: a stream forwarded to its sink.
pub(super) fn tungstenite_forward(listener: TcpListener) -> Served {
    serve(listener, |stream| async move {
        let socket = WebSocketStream::from_raw_socket(stream, protocol::Role::Server, None).await;
        let (write, read) = socket.split();
        let data = read.filter(|message| {
            future::ready(message.as_ref().map_or(true, |message| message.is_text() || message.is_binary()))
        });
        drop(data.forward(write).await);
    })
}

pub(super) fn tokio_websockets(listener: TcpListener) -> Served {
    use tokio_websockets::{Config, Limits, ServerBuilder};
    serve(listener, |stream| {
        tokio::task::unconstrained(async move {
            let config = Config::default().frame_size(usize::MAX);
            let builder = ServerBuilder::new().config(config).limits(Limits::unlimited());
            let mut socket = builder.serve(stream);
            while let Some(Ok(item)) = socket.next().await {
                if (item.is_text() || item.is_binary()) && socket.send(item).await.is_err() {
                    return;
                }
            }
        })
    })
}

/// Its example `simple_echo`.
pub(super) fn sockudo(listener: TcpListener) -> Served {
    serve(listener, |stream| async move {
        let mut socket = sockudo_ws::WebSocketStream::server(stream, sockudo_config());
        while let Some(Ok(message)) = socket.next().await {
            if (message.is_text() || message.is_binary()) && socket.send(message).await.is_err() {
                return;
            }
        }
    })
}

/// The loop that its README shows for batches of replies.
pub(super) fn sockudo_feed(listener: TcpListener) -> Served {
    serve(listener, |stream| async move {
        let mut socket = sockudo_ws::WebSocketStream::server(stream, sockudo_config());
        while let Some(Ok(message)) = socket.next().await {
            if (message.is_text() || message.is_binary()) && socket.feed(message).await.is_err() {
                return;
            }
        }
    })
}

pub(super) fn yawc(listener: TcpListener) -> Served {
    use yawc::{Role, WebSocket};
    serve(listener, |stream| async move {
        let Ok(mut socket) = WebSocket::from_stream(stream, Role::Server, yawc_options()) else { return };
        while let Ok(frame) = socket.next_frame().await {
            if !frame.opcode().is_control() && socket.send(frame).await.is_err() {
                return;
            }
        }
    })
}
