//! What an open connection that waits costs: bytes of heap, counted by the allocator.
//!
//! The task that an application runs it in is counted, too; what tokio keeps of a socket is not.

#![allow(missing_docs, reason = "a test program")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use tidegate_client::{AcceptOptions, Connection, Event, Options, Replies, accept, connect};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// Connections that are counted together.
const CONNECTIONS: usize = 64;

/// What one of them may cost.
const HEAP_MAX_BYTES: usize = 1024;

/// The system's allocator, and the bytes that are in use.
struct Counting;

static IN_USE: AtomicUsize = AtomicUsize::new(0);

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: every call goes to the system's allocator as it came; counting touches no memory of theirs.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        IN_USE.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        IN_USE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `dealloc`, and `alloc` gave what `System` gave.
        unsafe { System.dealloc(pointer, layout) }
    }
}

fn in_use() -> usize {
    IN_USE.load(Ordering::Relaxed)
}

/// Runs a connection as applications do, and says when each message has come.
async fn run(mut connection: Connection, came: mpsc::Sender<()>) {
    let echo = |event: tidegate_websocket::Event<'_>, replies: &mut Replies<'_>| match event {
        tidegate_websocket::Event::Message(message) if message.as_bytes() == b"ask" => {
            let _ = replies.send(tidegate_websocket::Message::Text("answer"));
            true
        }
        tidegate_websocket::Event::Message(_) => true,
        _ => false,
    };
    while let Some(is_message) = connection.next_with(echo).await {
        if is_message {
            let _ = came.send(()).await;
        }
    }
}

/// Heap of a connection that has opened, sent a message, got one, and waits.
async fn per_connection(counted: impl AsyncFn(mpsc::Sender<()>) -> (Connection, Connection)) -> usize {
    let (sender, mut came) = mpsc::channel(4 * CONNECTIONS);
    let mut others = Vec::with_capacity(2 * CONNECTIONS);
    let mut tasks = JoinSet::new();
    // The first fill what is shared: buffers of the thread, tables of the runtime.
    for _ in 0..CONNECTIONS {
        let (mine, other) = counted(sender.clone()).await;
        tasks.spawn(run(mine, sender.clone()));
        others.push(other);
    }
    let mut sizes = Vec::with_capacity(CONNECTIONS);
    for _ in 0..CONNECTIONS {
        let before = in_use();
        let (mine, mut other) = counted(sender.clone()).await;
        // The other end is not what is counted.
        let own = in_use();
        other.queue(tidegate_websocket::Message::Text("ask")).unwrap();
        tasks.spawn(run(mine, sender.clone()));
        assert!(matches!(other.next().await, Some(Event::Message(_))));
        came.recv().await.unwrap();
        sizes.push((own - before, in_use().saturating_sub(own)));
        others.push(other);
    }
    sizes.sort_unstable();
    let (opened, task) = sizes[CONNECTIONS / 2];
    println!("both ends {opened} bytes, task {task} bytes");
    opened / 2 + task
}

/// What tokio keeps of a socket.
async fn per_socket(listener: &TcpListener) -> usize {
    let address = listener.local_addr().unwrap();
    let mut others = Vec::with_capacity(2 * CONNECTIONS);
    let mut sizes = Vec::with_capacity(CONNECTIONS);
    for _ in 0..CONNECTIONS {
        let before = in_use();
        let (one, other) = tokio::join!(TcpStream::connect(address), listener.accept());
        sizes.push(in_use() - before);
        others.push((one.unwrap(), other.unwrap()));
    }
    sizes.sort_unstable();
    sizes[CONNECTIONS / 2] / 2
}

#[tokio::test(flavor = "current_thread")]
async fn an_idle_connection_has_at_most_a_kibibyte() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let socket = per_socket(&listener).await;
    let pair = async |_: mpsc::Sender<()>| {
        let (client, server) = tokio::join!(connect(&url, Options::default()), async {
            accept(listener.accept().await.unwrap().0, AcceptOptions::default()).await
        });
        let mut client = client.unwrap();
        client.take_opened();
        (client, server.unwrap())
    };
    let as_client = per_connection(&pair).await;
    let as_server = per_connection(async |came| {
        let (client, server) = pair(came).await;
        (server, client)
    })
    .await;
    for (side, bytes) in [("client", as_client), ("server", as_server)] {
        let bytes = bytes - socket;
        println!("an idle {side} connection: {bytes} bytes, beside {socket} of tokio's socket");
        assert!(bytes <= HEAP_MAX_BYTES, "an idle {side} connection costs {bytes} bytes");
    }
}
