//! What time does to a connection, with a clock that the test moves: keep-alive, silence, half-closed
//! links, close races. The peer is bytes on a pipe.

#![allow(missing_docs, reason = "a test program")]

mod pipe;

use std::time::Duration;

use pipe::open;
use tidegate_client::{AcceptOptions, CloseCode, Connection, End, Event, Message};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::time::{Instant, timeout};

/// More than is ever written at once.
const ROOM: usize = 64 * 1024;

async fn frame<const N: usize>(peer: &mut DuplexStream) -> [u8; N] {
    let mut frame = [0; N];
    peer.read_exact(&mut frame).await.unwrap();
    frame
}

async fn end(connection: &mut Connection) -> (u16, End) {
    let Some(Event::Close(close)) = connection.next().await else { panic!("a Close") };
    assert_eq!(connection.next().await, None);
    (close.code.get(), close.end)
}

#[tokio::test(start_paused = true)]
async fn silence_is_asked_and_then_given_up() {
    let (mut connection, mut peer) = open(ROOM, AcceptOptions::default()).await;
    let began = Instant::now();
    let peering = tokio::spawn(async move {
        assert_eq!(frame(&mut peer).await, [0x89, 0x00]);
        assert_eq!(began.elapsed().as_secs(), 30);
        // An answer, and then none.
        peer.write_all(b"\x8a\x80\0\0\0\0").await.unwrap();
        assert_eq!(frame(&mut peer).await, [0x89, 0x00]);
        assert_eq!(began.elapsed().as_secs(), 60);
        peer
    });
    assert_eq!(connection.next().await, Some(Event::Pong(bytes::Bytes::new())));
    assert_eq!(end(&mut connection).await, (1006, End::NoPong));
    assert_eq!(began.elapsed().as_secs(), 70);
    peering.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn whatever_comes_is_a_sign_of_life() {
    let (mut connection, mut peer) = open(ROOM, AcceptOptions::default()).await;
    let began = Instant::now();
    let peering = tokio::spawn(async move {
        // A message of one byte in twenty minutes.
        for byte in b"\x81\x8f\0\0\0\0byte after byte".iter().take(20) {
            tokio::time::advance(Duration::from_secs(29)).await;
            peer.write_all(&[*byte]).await.unwrap();
            tokio::task::yield_now().await;
        }
        peer.write_all(b"e").await.unwrap();
        peer
    });
    let event = connection.next().await;
    assert_eq!(event, Some(Event::Message(Message::Text("byte after byte".to_owned()))));
    assert!(began.elapsed() >= Duration::from_secs(20 * 29));
    let mut peer = peering.await.unwrap();
    assert!(timeout(Duration::ZERO, peer.read_u8()).await.is_err(), "no Ping was needed");
}

#[tokio::test(start_paused = true)]
async fn without_an_interval_nothing_is_asked() {
    let options = AcceptOptions { ping_interval: None, ..AcceptOptions::default() };
    let (mut connection, mut peer) = open(ROOM, options).await;
    assert!(timeout(Duration::from_secs(24 * 3600), connection.next()).await.is_err());
    assert!(timeout(Duration::ZERO, peer.read_u8()).await.is_err());
}

/// The peer ended its side without a Close frame: what it said before is told, and then 1006.
#[tokio::test(start_paused = true)]
async fn a_half_closed_link() {
    let (mut connection, mut peer) = open(ROOM, AcceptOptions::default()).await;
    peer.write_all(b"\x81\x82\0\0\0\0hi\x81\x85\0\0\0\0wh").await.unwrap();
    peer.shutdown().await.unwrap();
    assert_eq!(connection.next().await, Some(Event::Message(Message::Text("hi".to_owned()))));
    assert_eq!(end(&mut connection).await, (1006, End::EndOfStream));
}

/// Both Close frames cross: each side takes the other's as the answer to its own.
#[tokio::test(start_paused = true)]
async fn closes_that_cross() {
    let (mut connection, mut peer) = open(ROOM, AcceptOptions::default()).await;
    connection.queue_close(CloseCode::new(4000), "mine");
    peer.write_all(b"\x88\x82\0\0\0\0\x0f\xa1").await.unwrap();
    assert_eq!(end(&mut connection).await, (4001, End::CloseFrame));
    let mut sent = Vec::new();
    peer.read_to_end(&mut sent).await.unwrap();
    assert_eq!(sent, b"\x88\x06\x0f\xa0mine", "one Close frame and no other");
}

/// Messages that the peer had sent before it saw our Close are still told.
#[tokio::test(start_paused = true)]
async fn messages_before_the_answer_to_a_close() {
    let (mut connection, mut peer) = open(ROOM, AcceptOptions::default()).await;
    connection.close(CloseCode::NORMAL, "").await;
    peer.write_all(b"\x81\x82\0\0\0\0hi\x89\x80\0\0\0\0\x88\x82\0\0\0\0\x03\xe8").await.unwrap();
    assert_eq!(connection.next().await, Some(Event::Message(Message::Text("hi".to_owned()))));
    assert_eq!(connection.next().await, Some(Event::Ping(bytes::Bytes::new())));
    assert_eq!(end(&mut connection).await, (1000, End::CloseFrame));
    let mut sent = Vec::new();
    peer.read_to_end(&mut sent).await.unwrap();
    assert_eq!(sent, b"\x88\x02\x03\xe8", "no Pong follows a Close");
}

#[tokio::test(start_paused = true)]
async fn a_close_that_nobody_answers_has_its_time() {
    let (mut connection, _peer) = open(ROOM, AcceptOptions::default()).await;
    let began = Instant::now();
    connection.close(CloseCode::NORMAL, "").await;
    assert_eq!(end(&mut connection).await, (1006, End::NoAnswer));
    assert_eq!(began.elapsed().as_secs(), 3);
}

/// After a broken rule the Close frame is written, and the peer's end awaited, but not for ever.
#[tokio::test(start_paused = true)]
async fn a_peer_that_broke_a_rule_and_stays() {
    let (mut connection, mut peer) = open(ROOM, AcceptOptions::default()).await;
    let began = Instant::now();
    peer.write_all(b"\x81\x02hi").await.unwrap();
    let Some(Event::Error(error)) = connection.next().await else { panic!("an Error") };
    assert_eq!((error.code().get(), began.elapsed().as_secs()), (1002, 1));
    assert_eq!(frame(&mut peer).await, [0x88]);
}

/// A peer that takes what we had queued piece by piece has all the time it needs, whoever writes: its Close
/// is awaited from the last byte on that it took.
#[tokio::test(start_paused = true)]
async fn a_slow_peer_has_time_to_answer_a_close() {
    let (mut connection, mut peer) = open(ROOM, AcceptOptions::default()).await;
    connection.queue(tidegate_websocket::Message::Binary(&[0; 200_000])).unwrap();
    let began = Instant::now();
    let peering = tokio::spawn(async move {
        take_slowly(&mut peer, 200_010 + 4, Duration::from_millis(500)).await;
        pass(Duration::from_millis(500)).await;
        peer.write_all(b"\x88\x82\0\0\0\0\x03\xe8").await.unwrap();
        peer
    });
    connection.close(CloseCode::NORMAL, "").await;
    assert!(began.elapsed() > Duration::from_secs(3), "longer than a Close is awaited");
    assert_eq!(end(&mut connection).await, (1000, End::CloseFrame));
    peering.await.unwrap();
}

/// While something waits to be written, a Ping would stand behind it and say nothing: what the peer takes is
/// the sign of life then, and silence is judged only after that.
#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_slowly_is_alive() {
    let (mut connection, mut peer) = open(ROOM, AcceptOptions::default()).await;
    connection.queue(tidegate_websocket::Message::Binary(&[0; 200_000])).unwrap();
    let peering = tokio::spawn(async move {
        take_slowly(&mut peer, 200_010, Duration::from_secs(9)).await;
        let taken = Instant::now();
        assert_eq!(frame(&mut peer).await, [0x89, 0x00]);
        (taken, peer)
    });
    assert_eq!(end(&mut connection).await, (1006, End::NoPong));
    drop(connection);
    let (taken, _peer) = peering.await.unwrap();
    assert!(taken.elapsed() < Duration::from_secs(40), "it was given up all the same when it fell silent");
}

/// Reading is held back while a peer takes no replies; what it said meanwhile lies unread, and is no silence.
#[tokio::test(start_paused = true)]
async fn a_peer_that_is_not_read_is_not_silent() {
    let (mut connection, mut peer) = open(ROOM, AcceptOptions::default()).await;
    connection.queue(tidegate_websocket::Message::Binary(&[0; 400_000])).unwrap();
    peer.write_all(b"\x81\x82\0\0\0\0hi").await.unwrap();
    let peering = tokio::spawn(async move {
        take_slowly(&mut peer, 400_010, Duration::from_secs(25)).await;
        peer
    });
    let event = connection.next_with(|event, _| matches!(event, tidegate_websocket::Event::Message(_))).await;
    assert_eq!(event, Some(true));
    drop(connection);
    peering.abort();
}

/// Lets the others go on until the clock, which moves only when all wait, has moved by so much.
async fn pass(duration: Duration) {
    let _ = timeout(duration, std::future::pending::<()>()).await;
}

/// Takes so many bytes, 20,000 at a time.
async fn take_slowly(peer: &mut DuplexStream, length: usize, pause: Duration) {
    let mut bytes = vec![0; length];
    for piece in bytes.chunks_mut(20_000) {
        pass(pause).await;
        peer.read_exact(piece).await.unwrap();
    }
}

/// Answers count until they are written, even if something else always waits behind them.
#[tokio::test(start_paused = true)]
async fn output_that_is_never_empty_does_not_stop_reading() {
    let options = AcceptOptions { ping_interval: None, ..AcceptOptions::default() };
    let (mut connection, mut peer) = open(ROOM, options).await;
    connection.queue(tidegate_websocket::Message::Binary(&[0; 200_000])).unwrap();
    let ping = [b"\x89\xfd\0\0\0\0".as_slice(), &[0; 125]].concat();
    let mut taken = vec![0; 127 + 10_004];
    for round in 0..200 {
        peer.write_all(&ping).await.unwrap();
        let event = timeout(Duration::from_secs(1), connection.next()).await;
        assert!(matches!(event, Ok(Some(Event::Ping(_)))), "round {round}: {event:?}");
        connection.queue(tidegate_websocket::Message::Binary(&[0; 10_000])).unwrap();
        assert!(connection.has_unwritten());
        peer.read_exact(&mut taken).await.unwrap();
    }
}
