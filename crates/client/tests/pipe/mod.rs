//! An accepted connection on a pipe, and the bytes of the request that opens it: the peer is what the test
//! writes, with no WebSocket library of its own.

#![allow(dead_code, reason = "each test program uses a part of it")]

use tidegate_client::{AcceptOptions, Connection, accept_stream};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

/// What a client sends first. It offers neither a subprotocol nor an extension.
pub(crate) const REQUEST: &[u8] =
    b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
      Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// An accepted connection, and the peer's end after its handshake. The pipe holds `room` bytes.
pub(crate) async fn open(room: usize, options: AcceptOptions) -> (Connection, DuplexStream) {
    let (mut peer, stream) = duplex(room);
    let opening = tokio::spawn(accept_stream(stream, options));
    peer.write_all(REQUEST).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(peer.read_u8().await.unwrap());
    }
    (opening.await.unwrap().unwrap(), peer)
}
