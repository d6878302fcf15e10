//! Echo servers, one for each library and a floor without any: tokio with one thread and one task a connection, as
//! the libraries' own examples have it, and replies as those examples send them. Ours is there a second time without
//! tokio, on connections as the gateway's shard has them. The load generator always sends the key of RFC 6455,
//! section 1.3, so that the answer to the handshake is always the same.

mod floor;
mod peers;
mod slab;

use std::net::{SocketAddr, TcpListener};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What answers that key.
const ANSWER: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
/// Longest request head that is waited for.
const HEAD_BYTES: usize = 4096;

/// One server, which serves until it is killed.
pub struct Server {
    pub name: &'static str,
    serve: fn(TcpListener) -> Result<(), String>,
}

/// All of them.
pub const SERVERS: &[Server] = &[
    Server { name: "floor", serve: floor::serve },
    Server { name: "tidegate-websocket", serve: peers::tidegate },
    Server { name: "tidegate-websocket, slab", serve: slab::serve },
    Server { name: "fastwebsockets", serve: peers::fastwebsockets },
    Server { name: "tokio-tungstenite", serve: peers::tungstenite },
    Server { name: "tokio-tungstenite, forward", serve: peers::tungstenite_forward },
    Server { name: "tokio-tungstenite, 4 KiB", serve: peers::tungstenite_small },
    Server { name: "tokio-websockets", serve: peers::tokio_websockets },
    Server { name: "sockudo-ws", serve: peers::sockudo },
    Server { name: "sockudo-ws, feed", serve: peers::sockudo_feed },
    Server { name: "yawc", serve: peers::yawc },
];

/// Serves on this address; prints where.
pub fn run(name: &str, address: SocketAddr) -> Result<(), String> {
    let found = SERVERS.iter().find(|server| server.name == name);
    let server = found.ok_or_else(|| format!("there is no server {name}"))?;
    let listener = TcpListener::bind(address).map_err(|error| format!("{address}: {error}"))?;
    println!("{}", listener.local_addr().map_err(|error| error.to_string())?);
    (server.serve)(listener)
}

/// Serves each connection with `echo`, after the handshake, on a task of its own.
fn serve<F: Future<Output = ()> + 'static>(
    listener: TcpListener,
    echo: impl Fn(TcpStream) -> F + Copy + 'static,
) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let tasks = tokio::task::LocalSet::new();
    let runtime = runtime.map_err(|error| error.to_string())?;
    listener.set_nonblocking(true).map_err(|error| error.to_string())?;
    runtime.block_on(tasks.run_until(async {
        let listener = tokio::net::TcpListener::from_std(listener).map_err(|error| error.to_string())?;
        loop {
            let (mut stream, _) = listener.accept().await.map_err(|error| error.to_string())?;
            tokio::task::spawn_local(async move {
                if open(&mut stream).await.is_ok() {
                    echo(stream).await;
                }
            });
        }
    }))
}

async fn open(stream: &mut TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut head = Vec::with_capacity(HEAD_BYTES);
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() == HEAD_BYTES || stream.read_buf(&mut head).await? == 0 {
            return Err(std::io::ErrorKind::InvalidData.into());
        }
    }
    stream.write_all(ANSWER).await
}
