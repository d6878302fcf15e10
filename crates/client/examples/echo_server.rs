//! An echo server: every message goes back as it came.
//!
//! `cargo run --release -p tidegate-client --example echo_server -- 127.0.0.1:9001 [--cores]`
//!
//! It prints the address that it is bound to, so that port 0 will do. Each connection is a task; with
//! `--cores` each core has a runtime and a listener of its own, else there is one. Messages are echoed out
//! of the buffer that they were read into, and the replies of one read leave in one write. The limits are
//! raised for Autobahn's cases of 16 MiB and of 65,537 fragments; compression is agreed to.

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;
use std::{env, io, process, thread};

use tidegate_client::deflate::Acceptance;
use tidegate_client::{AcceptOptions, Connection, Limits, Replies, SendError, accept};
use tidegate_websocket::Event;

fn main() -> io::Result<()> {
    let words: Vec<String> = env::args().skip(1).collect();
    let (address, every_core) = match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [address] => (address, false),
        [address, "--cores"] => (address, true),
        _ => usage(),
    };
    let Ok(address) = address.parse::<SocketAddr>() else { usage() };
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    println!("{}", listener.local_addr()?);
    let cores = thread::available_parallelism().map_or(1, usize::from);
    for _ in 1..if every_core { cores } else { 1 } {
        let listener = listener.try_clone()?;
        thread::spawn(move || serve(listener));
    }
    serve(listener)
}

fn usage() -> ! {
    eprintln!("usage: echo_server ADDRESS [--cores], such as echo_server 127.0.0.1:9001");
    process::exit(2)
}

fn serve(listener: TcpListener) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    tokio::spawn(async move {
                        match accept(stream, options()).await {
                            Ok(connection) => echo(connection).await,
                            Err(error) => eprintln!("{error}"),
                        }
                    });
                }
                // No descriptor left, or the client has gone: what holds now may be over soon.
                Err(error) => {
                    eprintln!("cannot accept: {error}");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    })
}

fn options() -> AcceptOptions {
    AcceptOptions {
        limits: Limits { max_message_bytes: 16 << 20, max_fragments: 65_537 },
        deflate: Some(Acceptance { takeover: true, ..Acceptance::default() }),
        ..AcceptOptions::default()
    }
}

async fn echo(mut connection: Connection) {
    let answer = |event: Event<'_>, replies: &mut Replies<'_>| -> Result<(), SendError> {
        match event {
            Event::Message(message) => replies.send(message),
            Event::Ping(_) | Event::Pong(_) | Event::Close(_) | Event::Error(_) => Ok(()),
        }
    };
    while let Some(Ok(())) = connection.next_with(answer).await {}
}
