//! One connection through the proxy: bytes go both ways as they come, and a tap looks at them.
//!
//! Each direction has a buffer of 16 KiB and waits until the other side has taken it.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tidegate_client::{Options, Reached, reach_server};
use tidegate_inspect::Event;
use tidegate_inspect::event::{Body, Direction, End, Handshake};
use tidegate_inspect::head::Secrets;
use tidegate_inspect::tap::{Settings, Tap};
use tidegate_inspect::words::known;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;

use super::output::Output;
use super::request::FirstRequest;
use crate::connect::connect_failure;
use crate::exit::Failure;
use crate::timestamp::now;

const BUFFER_BYTES: usize = 16 * 1024;

/// How long a client may take to read an answer with which everything ends.
const REFUSAL_TIME: Duration = Duration::from_secs(1);

/// What is relayed, and how.
pub(super) struct Target {
    pub(super) url: String,
    pub(super) options: Options,
    /// The client's own Host goes on.
    pub(super) keeps_host: bool,
    pub(super) secrets: Secrets,
}

/// How a connection ended.
pub(super) struct Relayed {
    /// A WebSocket was open.
    pub(super) was_open: bool,
    /// The server cannot be reached, or is no WebSocket server.
    pub(super) failure: Option<Failure>,
}

/// What both directions share.
struct Shared {
    tap: Tap,
    output: Rc<RefCell<Output>>,
    asks_for_websocket: bool,
    was_open: bool,
    failure: Option<Failure>,
    refused: Rc<Notify>,
}

/// Relays until both sides have ended.
pub(super) async fn relay(
    client: TcpStream,
    conn: Arc<str>,
    target: Rc<Target>,
    output: Rc<RefCell<Output>>,
) -> Relayed {
    let reached = match reach_server(&target.url, &target.options).await {
        Ok(reached) => reached,
        Err(error) => {
            let (failure, _) = connect_failure(&target.url, &error);
            return Relayed { was_open: false, failure: Some(failure) };
        }
    };
    // A socket that refuses works too, with more delay.
    let _ = client.set_nodelay(true);
    let Reached { stream: server, authority, .. } = reached;
    let scheme = if target.url.starts_with("wss") || target.url.starts_with("https") { "wss" } else { "ws" };
    let settings = Settings { secrets: target.secrets, ..output.borrow().settings() };
    let refused = Rc::new(Notify::new());
    let shared = RefCell::new(Shared {
        tap: Tap::new(Some(conn), Some(format!("{scheme}://{authority}")), settings),
        output,
        asks_for_websocket: false,
        was_open: false,
        failure: None,
        refused: Rc::clone(&refused),
    });
    let first = (!target.keeps_host).then(|| (FirstRequest::default(), authority));
    let (client_read, client_write) = client.into_split();
    let (server_read, server_write) = tokio::io::split(server);
    let both = async {
        tokio::try_join!(
            pipe(client_read, server_write, Direction::ToServer, first, &shared),
            pipe(server_read, client_write, Direction::ToClient, None, &shared),
        )
    };
    let ended = tokio::select! {
        ended = both => ended.map(drop),
        () = async { refused.notified().await; tokio::time::sleep(REFUSAL_TIME).await } => Ok(()),
    };
    let mut shared = shared.into_inner();
    if let Err(Broken { dir, how }) = ended {
        shared.end(dir, how);
    }
    for dir in [Direction::ToClient, Direction::ToServer] {
        shared.end(dir, End::EndOfStream);
    }
    Relayed { was_open: shared.was_open, failure: shared.failure }
}

/// A direction that did not end as it should.
struct Broken {
    dir: Direction,
    how: End,
}

async fn pipe(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    dir: Direction,
    mut first: Option<(FirstRequest, String)>,
    shared: &RefCell<Shared>,
) -> Result<(), Broken> {
    let broken = |dir, error: &io::Error| {
        let how = if error.kind() == io::ErrorKind::ConnectionReset { End::Reset } else { End::Failure };
        Broken { dir, how }
    };
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let length = match from.read(&mut buffer).await {
            Ok(length) => length,
            // TLS without a close_notify is how many servers end.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => 0,
            Err(error) => return Err(broken(dir, &error)),
        };
        let changed = match (&mut first, length) {
            (Some((request, _)), 0) => Some(request.kept().to_vec()),
            (Some((request, authority)), _) => match request.handle_input(&buffer[..length], authority) {
                Some(bytes) => Some(bytes),
                None => continue,
            },
            (None, _) => None,
        };
        if changed.is_some() {
            first = None;
        }
        let bytes = changed.as_deref().unwrap_or(&buffer[..length]);
        shared.borrow_mut().see(dir, bytes);
        room(shared).await;
        // Who does not take it has gone; that is told of his own direction.
        let written = async {
            to.write_all(bytes).await?;
            to.flush().await
        }
        .await;
        written.map_err(|error| broken(dir.opposite(), &error))?;
        if length == 0 {
            shared.borrow_mut().end(dir, End::EndOfStream);
            let _ = to.shutdown().await;
            return Ok(());
        }
    }
}

/// Waits until what is seen next can be taken, so that none of it is lost.
async fn room(shared: &RefCell<Shared>) {
    loop {
        let full = shared.borrow().output.borrow().full();
        match full {
            Some(full) => full.opened().await,
            None => return,
        }
    }
}

impl Shared {
    fn see(&mut self, dir: Direction, bytes: &[u8]) {
        let mut seen = Vec::new();
        self.tap.handle_input(dir, bytes, now(), &mut |event| seen.push(event));
        self.tell(&seen);
    }

    fn end(&mut self, dir: Direction, how: End) {
        let mut seen = Vec::new();
        self.tap.handle_end(dir, how, now(), &mut |event| seen.push(event));
        self.tell(&seen);
    }

    fn tell(&mut self, events: &[Event]) {
        for event in events {
            match &event.body {
                Body::Handshake(head) if head.dir == Direction::ToServer => {
                    let upgrades =
                        head.all("upgrade").any(|value| value.to_ascii_lowercase().contains("websocket"));
                    self.asks_for_websocket = upgrades;
                }
                Body::Handshake(head) if self.asks_for_websocket => self.judge(head),
                Body::Open(_) => self.was_open = true,
                _ => {}
            }
            self.output.borrow_mut().take(event);
        }
    }

    /// An answer that says that there is no WebSocket here. Others may become one with other credentials, or later.
    fn judge(&mut self, answer: &Handshake) {
        let what = match answer.status {
            None => "its answer is not HTTP".to_owned(),
            Some(status @ (200..=299 | 400 | 404 | 405 | 426 | 501)) => {
                format!("it answered {status} instead of 101")
            }
            Some(_) => return,
        };
        let what = format!("this is no WebSocket server: {what}; the whole answer is above");
        let mend = "is the path right? tidegate connect -i URL asks for it alone";
        self.failure = Some(Failure::of(known::NOT_WEBSOCKET, what).mend(mend));
        self.refused.notify_one();
    }
}
