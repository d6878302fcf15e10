//! An open connection against a scripted server: events, answers, endings, bounds and cancellation.
//! The peer is a script of frames in plain bytes; no test waits for anything but an event.

#![allow(missing_docs, reason = "a test program")]

mod peer;

use std::future::Future;
use std::io::Write;
use std::pin::pin;
use std::sync::mpsc;
use std::task::{Context, Waker};
use std::time::Duration;

use bytes::Bytes;
use peer::{Peer, close, frame, serve};
use tidegate_client::{CloseCode, Connection, End, Event, Message, Options, SendError, connect};

async fn open(url: &str) -> Connection {
    connect(url, Options::default()).await.unwrap()
}

fn text(text: &str) -> Option<Event> {
    Some(Event::Message(Message::Text(text.to_owned())))
}

fn bytes(bytes: &'static [u8]) -> Bytes {
    Bytes::from_static(bytes)
}

/// The last event: code, reason and what ended it; nothing follows.
async fn end(connection: &mut Connection) -> (u16, String, End) {
    let Some(Event::Close(close)) = connection.next().await else { panic!("a Close") };
    assert_eq!(connection.next().await, None);
    assert!(!connection.is_open());
    assert_eq!(connection.send_text("x").await, Err(SendError::Closed));
    (close.code.get(), close.reason, close.end)
}

#[tokio::test]
async fn every_event() {
    let (url, server) = serve(|peer: &mut Peer| {
        peer.send(&frame(0x81, b"hello"));
        peer.send(&frame(0x01, b"he"));
        peer.send(&frame(0x89, b"there?"));
        peer.send(&frame(0x80, b"llo"));
        peer.send(&frame(0x82, b"\x00\xff"));
        peer.send(&frame(0x8a, b"unasked"));
        assert_eq!(peer.frame(), (0x8a, b"there?".to_vec()));
        peer.send(&close(4000, "why \u{1b}"));
        assert_eq!(peer.frame(), (0x88, vec![0x0f, 0xa0]));
        assert!(peer.is_at_end());
    });
    let mut connection = open(&url).await;
    assert_eq!(connection.next().await, text("hello"));
    assert_eq!(connection.next().await, Some(Event::Ping(bytes(b"there?"))));
    assert_eq!(connection.next().await, text("hello"));
    assert_eq!(connection.next().await, Some(Event::Message(Message::Binary(bytes(b"\x00\xff")))));
    assert_eq!(connection.next().await, Some(Event::Pong(bytes(b"unasked"))));
    assert_eq!(end(&mut connection).await, (4000, "why \u{1b}".to_owned(), End::CloseFrame));
    server.join().unwrap();
}

#[tokio::test]
async fn what_is_sent_arrives() {
    let (url, server) = serve(|peer: &mut Peer| {
        let received: Vec<_> = (0..4).map(|_| peer.frame()).collect();
        peer.send(&close(1000, ""));
        received
    });
    let mut connection = open(&url).await;
    connection.send_text("hello").await.unwrap();
    connection.send_binary(b"\x00").await.unwrap();
    connection.ping(b"p").await.unwrap();
    assert_eq!(connection.ping(&[0; 126]).await, Err(SendError::LongPing));
    connection.close(CloseCode::new(4001), "bye").await;
    assert_eq!(connection.send_text("late").await, Err(SendError::Closed));
    assert_eq!(connection.next().await.map(|event| matches!(event, Event::Close(_))), Some(true));
    let close = [&4001_u16.to_be_bytes()[..], b"bye"].concat();
    let expected = [(0x81, b"hello".to_vec()), (0x82, vec![0]), (0x89, b"p".to_vec()), (0x88, close)];
    assert_eq!(server.join().unwrap(), expected);
}

#[tokio::test]
async fn pings_can_stay_unanswered() {
    let (url, server) = serve(|peer: &mut Peer| {
        peer.send(&frame(0x89, b"there?"));
        peer.frame()
    });
    let options = Options { auto_pong: false, ..Options::default() };
    let mut connection = connect(&url, options).await.unwrap();
    assert_eq!(connection.next().await, Some(Event::Ping(bytes(b"there?"))));
    connection.send_text("no").await.unwrap();
    assert_eq!(server.join().unwrap(), (0x81, b"no".to_vec()));
}

#[tokio::test]
async fn a_broken_rule_is_told_to_the_peer() {
    let (url, server) = serve(|peer: &mut Peer| {
        // Masked, and more behind it that nobody will read.
        peer.send(b"\x81\x81\0\0\0\0x");
        peer.send(&vec![0x81; 100_000]);
        let (first, payload) = peer.frame();
        (first, u16::from_be_bytes([payload[0], payload[1]]), peer.is_at_end())
    });
    let mut connection = open(&url).await;
    let Some(Event::Error(error)) = connection.next().await else { panic!("an error") };
    assert_eq!((error.code().get(), error.section()), (1002, "5.1"));
    assert_eq!(connection.next().await, None);
    drop(connection);
    assert_eq!(server.join().unwrap(), (0x88, 1002, true));
}

#[tokio::test]
async fn a_message_over_the_limit_is_refused() {
    let (url, server) = serve(|peer: &mut Peer| {
        peer.send(&frame(0x82, &[0; 200]));
        peer.frame()
    });
    let mut options = Options::default();
    options.limits.max_message_bytes = 199;
    let mut connection = connect(&url, options).await.unwrap();
    let Some(Event::Error(error)) = connection.next().await else { panic!("an error") };
    assert_eq!(error.code(), CloseCode::MESSAGE_TOO_BIG);
    drop(connection);
    assert_eq!(server.join().unwrap().1[..2], 1009_u16.to_be_bytes());
}

#[tokio::test]
async fn endings_without_a_close_frame() {
    let (url, server) = serve(|peer: &mut Peer| peer.send(b"\x81\x05he"));
    let mut connection = open(&url).await;
    assert_eq!(end(&mut connection).await, (1006, String::new(), End::EndOfStream));
    server.join().unwrap();

    let (sent, was_sent) = mpsc::sync_channel(1);
    let (url, server) = serve(move |_: &mut Peer| was_sent.recv().unwrap());
    let mut connection = open(&url).await;
    connection.send_text("never read").await.unwrap();
    sent.send(()).unwrap();
    server.join().unwrap();
    let (code, _, ended) = end(&mut connection).await;
    assert_eq!((code, ended), (1006, End::Lost(std::io::ErrorKind::ConnectionReset)));
}

#[tokio::test]
async fn a_close_that_nobody_answers() {
    let (done, is_done) = mpsc::sync_channel(1);
    let (url, server) = serve(move |peer: &mut Peer| {
        let frame = peer.frame();
        is_done.recv().unwrap();
        frame
    });
    let options = Options { close_timeout: Duration::from_millis(30), ..Options::default() };
    let mut connection = connect(&url, options).await.unwrap();
    connection.close(CloseCode::NORMAL, "").await;
    assert_eq!(end(&mut connection).await, (1006, String::new(), End::NoAnswer));
    done.send(()).unwrap();
    assert_eq!(server.join().unwrap(), (0x88, 1000_u16.to_be_bytes().to_vec()));
}

#[tokio::test]
async fn both_sides_may_send_at_once() {
    const LENGTH: usize = 15 << 20;
    let (url, server) = serve(|peer: &mut Peer| {
        // All of it before anything is read: it ends only if the client reads while it writes.
        peer.send(&frame(0x82, &vec![1; LENGTH]));
        let (first, payload) = peer.frame();
        (first, payload.len())
    });
    let mut connection = open(&url).await;
    connection.queue(tidegate_websocket::Message::Binary(&vec![2; LENGTH])).unwrap();
    assert!(!connection.has_room());
    let refused = connection.queue(tidegate_websocket::Message::Text("more"));
    assert_eq!(refused, Err(SendError::Full));
    let Some(Event::Message(message)) = connection.next().await else { panic!("a message") };
    assert_eq!(message.as_bytes().len(), LENGTH);
    connection.flush().await.unwrap();
    assert!(connection.has_room());
    assert_eq!(server.join().unwrap(), (0x82, LENGTH));
}

#[tokio::test]
async fn a_peer_that_takes_nothing() {
    let (done, is_done) = mpsc::sync_channel(1);
    let (url, server) = serve(move |_: &mut Peer| is_done.recv().unwrap());
    let options = Options { stall_timeout: Duration::from_millis(50), ..Options::default() };
    let mut connection = connect(&url, options).await.unwrap();
    let result = connection.send_binary(&vec![0; 64 << 20]).await;
    assert_eq!(result, Err(SendError::Stalled));
    assert!(connection.has_unwritten());
    assert_eq!(end(&mut connection).await, (1006, String::new(), End::Lost(std::io::ErrorKind::TimedOut)));
    done.send(()).unwrap();
    server.join().unwrap();
}

/// A peer that asks and never takes the answers is no longer read.
#[tokio::test]
async fn answers_have_a_bound() {
    let (url, server) = serve(|peer: &mut Peer| {
        let pings = frame(0x89, &[0; 125]).repeat(1000);
        peer.stream.set_write_timeout(Some(Duration::from_millis(300))).unwrap();
        // Far more than the buffers of the system hold.
        (0..1000).any(|_| peer.stream.write_all(&pings).is_err())
    });
    let mut connection = open(&url).await;
    let reading = tokio::spawn(async move { while connection.next().await.is_some() {} });
    let was_held_up = tokio::task::spawn_blocking(|| server.join().unwrap()).await.unwrap();
    assert!(was_held_up);
    // The server has gone, and so everything ends.
    reading.await.unwrap();
}

/// Polls once and drops.
fn poll_once<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut context = Context::from_waker(Waker::noop());
    match pin!(future).poll(&mut context) {
        std::task::Poll::Ready(value) => Some(value),
        std::task::Poll::Pending => None,
    }
}

#[tokio::test]
async fn events_survive_cancellation() {
    let (go, is_cancelled) = mpsc::sync_channel(1);
    let (url, server) = serve(move |peer: &mut Peer| {
        is_cancelled.recv().unwrap();
        let frames =
            [frame(0x81, "wörld".as_bytes()), frame(0x89, b"p"), frame(0x82, &[7; 300]), close(1000, "")];
        for byte in frames.concat() {
            peer.send(&[byte]);
        }
        peer.frame()
    });
    let mut connection = open(&url).await;
    let mut events = Vec::new();
    assert_eq!(poll_once(connection.next()), None, "nothing has been sent");
    go.send(()).unwrap();
    loop {
        match poll_once(connection.next()) {
            Some(Some(event)) => events.push(event),
            Some(None) => break,
            None => tokio::task::yield_now().await,
        }
    }
    assert_eq!(events[..2], [text("wörld").unwrap(), Event::Ping(bytes(b"p"))]);
    assert_eq!(events[2], Event::Message(Message::Binary(bytes(&[7; 300]))));
    assert!(matches!(&events[3..], [Event::Close(close)] if close.is_clean()));
    assert_eq!(server.join().unwrap(), (0x8a, b"p".to_vec()));
}

#[tokio::test]
async fn messages_survive_cancellation() {
    const LENGTH: usize = 12 << 20;
    let (url, server) = serve(|peer: &mut Peer| {
        let (first, last) = (peer.frame(), peer.frame());
        peer.send(&close(1000, ""));
        (first.1.len(), last)
    });
    let mut connection = open(&url).await;
    let payload = vec![3; LENGTH];
    // It cannot fit into the buffers of the system, so the future is dropped halfway.
    assert_eq!(poll_once(connection.send_binary(&payload)), None);
    assert_eq!(connection.queue(tidegate_websocket::Message::Text("not yet")), Err(SendError::Full));
    connection.flush().await.unwrap();
    connection.send_text("after").await.unwrap();
    assert!(matches!(connection.next().await, Some(Event::Close(_))));
    assert_eq!(server.join().unwrap(), (LENGTH, (0x81, b"after".to_vec())));
}
