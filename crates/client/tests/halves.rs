//! The two halves of a connection in tasks of their own, and the ecosystem's traits.
//! The peer is bytes on a pipe that holds as much as the test wants.

#![allow(missing_docs, reason = "a test program")]

mod pipe;

use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use futures_core::Stream;
use futures_sink::Sink;
use pipe::open;
use tidegate_client::{AcceptOptions, CloseCode, Event, Message, SendError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn text(text: &str) -> Option<Event> {
    Some(Event::Message(Message::Text(text.to_owned())))
}

#[tokio::test]
async fn one_task_reads_and_another_writes() {
    let (connection, mut peer) = open(64, AcceptOptions::default()).await;
    let (mut reader, mut writer) = connection.split();
    let reading = tokio::spawn(async move { (reader.next().await, reader.next().await, reader) });
    let writing = tokio::spawn(async move {
        writer.send_text(&"x".repeat(100)).await.unwrap();
        writer
    });
    let mut frame = [0; 102];
    peer.read_exact(&mut frame).await.unwrap();
    assert_eq!(frame[..3], *b"\x81\x64x");
    // The Pong is the reader's to write.
    peer.write_all(b"\x81\x82\0\0\0\0hi\x89\x80\0\0\0\0").await.unwrap();
    let (first, second, reader) = reading.await.unwrap();
    assert_eq!((first, second), (text("hi"), Some(Event::Ping(bytes::Bytes::new()))));
    let mut connection = reader.unsplit(writing.await.unwrap()).unwrap();
    connection.flush().await.unwrap();
    let mut pong = [0; 2];
    peer.read_exact(&mut pong).await.unwrap();
    assert_eq!(pong, *b"\x8a\x00");
}

/// The writer waits when the bound is reached, and goes on when the peer takes what there is, whichever half
/// writes it.
#[tokio::test(start_paused = true)]
async fn a_writer_waits_for_a_slow_peer() {
    let (connection, mut peer) = open(1000, AcceptOptions::default()).await;
    let (mut reader, mut writer) = connection.split();
    let reading = tokio::spawn(async move { while reader.next().await.is_some() {} });
    let payload = vec![1; 100_000];
    let mut queued = 0;
    while tokio::time::timeout(Duration::from_secs(1), writer.ready()).await.is_ok() {
        writer.queue(tidegate_websocket::Message::Binary(&payload)).unwrap();
        queued += 1;
    }
    assert_eq!(queued, 3, "256 KiB, and the last message");
    assert_eq!(writer.queue(tidegate_websocket::Message::Text("x")), Err(SendError::Full));
    let taking = tokio::spawn(async move {
        let mut taken = vec![0; 3 * 100_010];
        peer.read_exact(&mut taken).await.unwrap();
        peer
    });
    writer.flush().await.unwrap();
    assert_eq!(writer.ready().await, Ok(()));
    drop((taking.await.unwrap(), writer));
    reading.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_nothing_ends_the_wait() {
    let (connection, _peer) = open(1000, AcceptOptions::default()).await;
    let (_reader, mut writer) = connection.split();
    let began = tokio::time::Instant::now();
    let result = writer.send_binary(&[0; 5000]).await;
    assert_eq!((result, began.elapsed().as_secs()), (Err(SendError::Stalled), 30));
}

/// A reader that has nothing to wait for but the peer's Close is woken by the writer's.
#[tokio::test(start_paused = true)]
async fn a_writer_that_closes_sets_the_readers_time() {
    let (connection, mut peer) = open(1000, AcceptOptions::default()).await;
    let (mut reader, mut writer) = connection.split();
    let reading = tokio::spawn(async move { reader.next().await });
    tokio::task::yield_now().await;
    writer.close(CloseCode::new(4000), "").await;
    assert_eq!(writer.send_text("late").await, Err(SendError::Closed));
    let mut close = [0; 4];
    peer.read_exact(&mut close).await.unwrap();
    let Some(Event::Close(close)) = reading.await.unwrap() else { panic!("a Close") };
    assert_eq!(close.end, tidegate_client::End::NoAnswer);
}

/// The reader's last event came while the writer waited: what it waits for cannot come any more.
#[tokio::test(start_paused = true)]
async fn a_writer_does_not_outlive_the_goodbye() {
    let (connection, mut peer) = open(1000, AcceptOptions::default()).await;
    let (mut reader, mut writer) = connection.split();
    let began = tokio::time::Instant::now();
    let reading = tokio::spawn(async move { (reader.next().await, reader.next().await) });
    // A frame that is not masked.
    peer.write_all(b"\x81\x02hi").await.unwrap();
    let sending = writer.send_binary(&[0; 5000]);
    let result = tokio::time::timeout(Duration::from_secs(600), sending).await;
    assert_eq!((result, began.elapsed().as_secs()), (Ok(Err(SendError::Closed)), 1));
    assert!(matches!(reading.await.unwrap(), (Some(Event::Error(_)), None)));
}

/// A reader that has no time to watch leaves the writer's alone.
#[tokio::test(start_paused = true)]
async fn a_writer_keeps_its_time_when_the_reader_has_none() {
    let options = AcceptOptions { close_timeout: Duration::MAX, ..AcceptOptions::default() };
    let (connection, _peer) = open(1000, options).await;
    let (mut reader, mut writer) = connection.split();
    let reading = tokio::spawn(async move { reader.next().await });
    writer.queue(tidegate_websocket::Message::Binary(&[0; 5000])).unwrap();
    let began = tokio::time::Instant::now();
    let closing = writer.close(CloseCode::NORMAL, "");
    assert!(tokio::time::timeout(Duration::from_secs(600), closing).await.is_ok());
    assert_eq!(began.elapsed().as_secs(), 30);
    reading.abort();
}

#[tokio::test]
async fn the_writer_learns_of_the_end() {
    let (connection, mut peer) = open(1000, AcceptOptions::default()).await;
    let (mut reader, mut writer) = connection.split();
    let writing = tokio::spawn(async move { writer.send_binary(&[0; 500_000]).await });
    tokio::task::yield_now().await;
    peer.write_all(b"\x88\x80\0\0\0\0").await.unwrap();
    let reading = tokio::spawn(async move { reader.next().await });
    let taking = tokio::spawn(async move { peer.read_to_end(&mut Vec::new()).await });
    assert!(matches!(reading.await.unwrap(), Some(Event::Close(_))));
    // What was queued before the Close went out before it.
    assert_eq!(writing.await.unwrap(), Ok(()));
    taking.await.unwrap().unwrap();
}

#[tokio::test]
async fn halves_of_different_connections_do_not_join() {
    let (one, _peer) = open(1000, AcceptOptions::default()).await;
    let (other, _peer) = open(1000, AcceptOptions::default()).await;
    let ((reader, _), (_, writer)) = (one.split(), other.split());
    let error = reader.unsplit(writer).unwrap_err();
    assert_eq!(error.to_string(), "the two halves belong to different connections");
}

#[tokio::test]
async fn streams_and_sinks() {
    let (mut connection, mut peer) = open(1000, AcceptOptions::default()).await;
    peer.write_all(b"\x81\x82\0\0\0\0hi").await.unwrap();
    let event = std::future::poll_fn(|context| Pin::new(&mut connection).poll_next(context)).await;
    assert_eq!(event, text("hi"));
    let (reader, mut writer) = connection.split();
    let mut stream: Pin<Box<dyn Stream<Item = Event> + Send>> = Box::pin(reader);
    std::future::poll_fn(|context| Sink::poll_ready(Pin::new(&mut writer), context)).await.unwrap();
    Pin::new(&mut writer).start_send(Message::Text("there".to_owned())).unwrap();
    std::future::poll_fn(|context| Sink::poll_close(Pin::new(&mut writer), context)).await.unwrap();
    let mut sent = [0; 11];
    peer.read_exact(&mut sent).await.unwrap();
    assert_eq!(sent, *b"\x81\x05there\x88\x02\x03\xe8");
    drop(peer);
    let last = std::future::poll_fn(|context| stream.as_mut().poll_next(context)).await;
    assert!(matches!(last, Some(Event::Close(_))));
    let next = std::future::poll_fn(|context| Poll::Ready(stream.as_mut().poll_next(context))).await;
    assert_eq!(next, Poll::Ready(None));
}
