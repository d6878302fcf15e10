//! Every future of a connection is dropped at every place where it can wait, and nothing is lost or doubled.
//! The stream beneath takes and gives a byte at a time and waits before each.

#![allow(missing_docs, reason = "a test program")]

mod pipe;

use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use pipe::REQUEST;
use tidegate_client::{AcceptOptions, CloseCode, Connection, Event, Message, Replies, accept_stream};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf, duplex};

/// Waits at every second call, and moves one byte at most at the others.
struct Halting {
    inner: DuplexStream,
    reads: usize,
    writes: usize,
}

impl AsyncRead for Halting {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.reads += 1;
        if self.reads % 2 == 1 {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let mut byte = [0];
        let mut one = ReadBuf::new(&mut byte);
        let result = Pin::new(&mut self.inner).poll_read(context, &mut one);
        buffer.put_slice(one.filled());
        result
    }
}

impl AsyncWrite for Halting {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.writes += 1;
        if self.writes % 2 == 1 {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Pin::new(&mut self.inner).poll_write(context, &bytes[..1])
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

async fn open() -> (Connection, DuplexStream) {
    let (mut peer, inner) = duplex(64 * 1024);
    peer.write_all(REQUEST).await.unwrap();
    let connection =
        accept_stream(Halting { inner, reads: 0, writes: 0 }, AcceptOptions::default()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(peer.read_u8().await.unwrap());
    }
    (connection, peer)
}

fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).unwrap();
    [&[first, 0x80 | length, 0, 0, 0, 0], payload].concat()
}

/// Polls once and drops.
fn poll_once<T>(future: impl Future<Output = T>) -> Poll<T> {
    // Otherwise tokio makes everything wait once this task has done much.
    pin!(tokio::task::unconstrained(future)).poll(&mut Context::from_waker(Waker::noop()))
}

/// Polls `times` times and drops; what it gave, if it was ready before.
fn poll_times<T>(future: impl Future<Output = T>, times: usize) -> Option<T> {
    let mut future = pin!(tokio::task::unconstrained(future));
    for _ in 0..times {
        if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return Some(value);
        }
    }
    None
}

/// What the peer sends in these tests, and the events that it must become.
fn script() -> (Vec<u8>, Vec<Event>) {
    let frames = [
        masked(0x01, b"he"),
        masked(0x89, b"p"),
        masked(0x80, "llö".as_bytes()),
        masked(0x82, &[7; 100]),
        masked(0x8a, b"q"),
    ];
    let events = vec![
        Event::Ping(bytes::Bytes::from_static(b"p")),
        Event::Message(Message::Text("hellö".to_owned())),
        Event::Message(Message::Binary(vec![7; 100].into())),
        Event::Pong(bytes::Bytes::from_static(b"q")),
    ];
    (frames.concat(), events)
}

#[tokio::test]
async fn next_loses_no_event_wherever_it_is_dropped() {
    let (mut connection, mut peer) = open().await;
    let (bytes, expected) = script();
    peer.write_all(&bytes).await.unwrap();
    let (mut events, mut dropped) = (Vec::new(), 0);
    while events.len() < expected.len() {
        match poll_once(connection.next()) {
            Poll::Ready(event) => events.push(event.unwrap()),
            Poll::Pending => dropped += 1,
        }
    }
    assert_eq!(events, expected);
    assert!(dropped > bytes.len() / 2, "it hardly ever waited: {dropped}");
    let mut pong = [0; 3];
    while poll_once(connection.flush()).is_pending() {}
    peer.read_exact(&mut pong).await.unwrap();
    assert_eq!(pong, *b"\x8a\x01p");
}

#[tokio::test]
async fn next_with_takes_each_event_once() {
    let (mut connection, mut peer) = open().await;
    let (bytes, expected) = script();
    peer.write_all(&bytes).await.unwrap();
    let mut taken = 0;
    let (mut ready, mut dropped) = (0, 0);
    while ready < expected.len() {
        let take = |event: tidegate_websocket::Event<'_>, replies: &mut Replies<'_>| {
            taken += 1;
            if let tidegate_websocket::Event::Message(message) = event {
                replies.send(message).unwrap();
            }
        };
        match poll_once(connection.next_with(take)) {
            Poll::Ready(_) => ready += 1,
            Poll::Pending => dropped += 1,
        }
    }
    assert_eq!((taken, dropped > bytes.len() / 2), (expected.len(), true));
    while poll_once(connection.flush()).is_pending() {}
    let mut sent = vec![0; 3 + 8 + 102];
    peer.read_exact(&mut sent).await.unwrap();
    assert!(sent.starts_with(b"\x8a\x01p\x81\x06hell\xc3\xb6\x82\x64"));
}

/// What is sent while `send` is dropped after any number of polls arrives exactly once.
#[tokio::test]
async fn a_message_is_queued_or_written_and_never_twice() {
    for times in 1..40 {
        let (mut connection, mut peer) = open().await;
        let result = poll_times(connection.send_text("once"), times);
        assert!(result.is_none_or(|result| result == Ok(())));
        while poll_once(connection.flush()).is_pending() {}
        drop(connection);
        let mut sent = Vec::new();
        peer.read_to_end(&mut sent).await.unwrap();
        assert_eq!(sent, b"\x81\x04once", "after {times} polls");
    }
}

/// A future that was never polled has done nothing.
#[tokio::test]
async fn what_is_not_polled_does_nothing() {
    let (mut connection, mut peer) = open().await;
    drop(connection.send_text("never"));
    drop(connection.close(CloseCode::NORMAL, ""));
    assert!(connection.is_open() && !connection.has_unwritten());
    drop(connection);
    let mut sent = Vec::new();
    peer.read_to_end(&mut sent).await.unwrap();
    assert_eq!(sent, b"");
}

#[tokio::test]
async fn a_close_goes_out_once_wherever_it_is_dropped() {
    for times in 1..20 {
        let (mut connection, mut peer) = open().await;
        poll_times(connection.close(CloseCode::new(4000), "why"), times);
        poll_times(connection.close(CloseCode::new(4001), "again"), 1);
        peer.write_all(&masked(0x88, b"\x0f\xa0")).await.unwrap();
        let mut last = None;
        while last.is_none() {
            last = match poll_once(connection.next()) {
                Poll::Ready(event) => event,
                Poll::Pending => None,
            };
        }
        let Some(Event::Close(close)) = last else { panic!("{last:?}") };
        assert!(close.is_clean(), "{close:?}");
        drop(connection);
        let mut sent = Vec::new();
        peer.read_to_end(&mut sent).await.unwrap();
        assert_eq!(sent, b"\x88\x05\x0f\xa0why", "after {times} polls");
    }
}

#[tokio::test]
async fn both_halves_survive_cancellation() {
    for times in 1..40 {
        let (connection, mut peer) = open().await;
        let (mut reader, mut writer) = connection.split();
        let (bytes, expected) = script();
        peer.write_all(&bytes).await.unwrap();
        poll_times(writer.send_text("once"), times);
        let mut events = Vec::new();
        while events.len() < expected.len() {
            if let Poll::Ready(event) = poll_once(reader.next()) {
                events.push(event.unwrap());
            }
        }
        assert_eq!(events, expected);
        while poll_once(writer.flush()).is_pending() {}
        drop((reader, writer));
        let mut sent = Vec::new();
        peer.read_to_end(&mut sent).await.unwrap();
        assert_eq!(sent, b"\x81\x04once\x8a\x01p", "after {times} polls");
    }
}
