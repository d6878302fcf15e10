//! A chat: what one says, all hear. A server of its own, with a page for browsers.
//!
//! `cargo run -p tidegate-client --example chat -- 127.0.0.1:9002`, then open the printed URL twice.
//!
//! It shows how to look at a request before it is accepted (path, Origin), how to answer something else
//! than a WebSocket, and how to read and write in one task. Nobody waits for a slow client: who is 64
//! messages behind is sent away with 1013 and may come back.

use std::net::SocketAddr;
use std::sync::Arc;
use std::{env, io, process};

use tidegate_client::{
    AcceptOptions, CloseCode, Connection, Event, Incoming, Limits, Message, SendError, receive,
};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast::Sender;
use tokio::sync::broadcast::error::RecvError;

/// Messages that a client may be behind.
const BEHIND_MAX: usize = 64;

const PAGE: &str = "<!doctype html><title>chat</title><ul id=list></ul><form id=form><input id=text autofocus></form>
<script>
const socket = new WebSocket(location.href.replace(/^http/, 'ws') + 'chat');
const show = (text) => { const item = document.createElement('li'); item.textContent = text; list.append(item); };
socket.onmessage = (event) => show(event.data);
socket.onclose = (event) => show(`closed: ${event.code} ${event.reason}`);
form.onsubmit = () => { socket.send(text.value); text.value = ''; return false; };
</script>
";

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let words: Vec<String> = env::args().skip(1).collect();
    let address = match &words[..] {
        [address] => address.parse::<SocketAddr>().ok(),
        _ => None,
    };
    let Some(address) = address else {
        eprintln!("usage: chat ADDRESS, such as chat 127.0.0.1:9002");
        process::exit(2);
    };
    let listener = TcpListener::bind(address).await?;
    println!("http://{}/", listener.local_addr()?);
    let room = Sender::new(BEHIND_MAX);
    loop {
        let (stream, from) = listener.accept().await?;
        let room = room.clone();
        tokio::spawn(async move {
            if let Err(why) = serve(stream, from, room).await {
                eprintln!("{from}: {why}");
            }
        });
    }
}

fn options() -> AcceptOptions {
    AcceptOptions {
        limits: Limits { max_message_bytes: 4096, max_fragments: 16 },
        ..AcceptOptions::default()
    }
}

async fn serve(
    stream: TcpStream,
    from: SocketAddr,
    room: Sender<Arc<str>>,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let asked = receive(stream, options()).await?;
    match (asked.path(), asked.is_upgrade()) {
        ("/", false) => asked.answer(200, &[("Content-Type", "text/html")], PAGE.as_bytes()).await?,
        ("/chat", true) if is_own_page(&asked) => talk(asked.accept().await?, from, room).await?,
        ("/chat", true) => asked.answer(403, &[], b"Another site's page asks for this.\n").await?,
        _ => asked.answer(404, &[], b"There is / for browsers and /chat for WebSockets.\n").await?,
    }
    Ok(())
}

/// A page of another site could use its visitors' network otherwise. Programs send no Origin.
fn is_own_page(asked: &Incoming) -> bool {
    match (asked.header("origin"), asked.header("host")) {
        (Some(origin), Some(host)) => origin.strip_prefix("http://") == Some(host),
        (None, _) => true,
        (Some(_), None) => false,
    }
}

/// Until one of both goes. Every future in the `select!` may be dropped before it is ready.
async fn talk(mut connection: Connection, from: SocketAddr, room: Sender<Arc<str>>) -> Result<(), SendError> {
    let mut heard = room.subscribe();
    say(&room, &format!("{from} is here"));
    loop {
        tokio::select! {
            event = connection.next() => match event {
                Some(Event::Message(Message::Text(text))) => say(&room, &format!("{from}: {text}")),
                Some(Event::Message(Message::Binary(_))) => {
                    connection.queue_close(CloseCode::UNSUPPORTED_DATA, "text only");
                }
                Some(Event::Ping(_) | Event::Pong(_)) => {}
                Some(Event::Close(_) | Event::Error(_)) | None => break,
            },
            text = heard.recv() => match text {
                // It is written while the next event is awaited: a client that does not read is left behind.
                Ok(text) if connection.is_open() && connection.has_room() => {
                    connection.queue(tidegate_websocket::Message::Text(&text))?;
                }
                Ok(_) => {}
                Err(RecvError::Lagged(_)) => connection.queue_close(CloseCode::TRY_AGAIN_LATER, "too slow"),
                Err(RecvError::Closed) => break,
            },
        }
    }
    say(&room, &format!("{from} has gone"));
    Ok(())
}

fn say(room: &Sender<Arc<str>>, text: &str) {
    // That nobody is there is no fault.
    let _ = room.send(text.into());
}
