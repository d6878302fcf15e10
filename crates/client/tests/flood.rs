//! Peers that never stop talking: what is awaited of them has its time all the same.
//! The peer is a stream that always has bytes, each read of which takes a tenth of a second of a clock that
//! stands still otherwise.

#![allow(missing_docs, reason = "a test program")]

mod pipe;

use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use pipe::REQUEST;
use tidegate_client::{AcceptOptions, CloseCode, Connection, End, Event, accept_stream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

const TEXT: &[u8] = b"\x81\x82\0\0\0\0hi";

/// Reads until the stream ends, so that a test that fails ends, too.
const READS: usize = 1000;

/// The request, then the same bytes again and again.
struct Flood {
    bytes: &'static [u8],
    reads: usize,
    /// Nothing but the answer to the request is taken.
    takes_nothing: bool,
    has_answer: bool,
}

impl AsyncRead for Flood {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.reads += 1;
        match self.reads {
            1 => buffer.put_slice(REQUEST),
            READS.. => {}
            _ => {
                // The clock moves with the first poll; what is left is a courtesy to other tasks.
                let _ = pin!(tokio::time::advance(Duration::from_millis(100))).poll(context);
                buffer.put_slice(self.bytes);
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Flood {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.takes_nothing && self.has_answer {
            return Poll::Pending;
        }
        self.has_answer = true;
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

async fn open(bytes: &'static [u8], takes_nothing: bool) -> Connection {
    let flood = Flood { bytes, reads: 0, takes_nothing, has_answer: false };
    accept_stream(flood, AcceptOptions::default()).await.unwrap()
}

/// The last event, and the whole seconds until it came.
async fn last(connection: &mut Connection) -> (Event, u64) {
    let began = Instant::now();
    loop {
        match connection.next().await.unwrap() {
            Event::Message(_) => {}
            last => return (last, began.elapsed().as_secs()),
        }
    }
}

async fn end(connection: &mut Connection) -> (End, u64) {
    match last(connection).await {
        (Event::Close(close), seconds) => (close.end, seconds),
        (other, _) => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_close_is_not_awaited_for_ever() {
    let mut connection = open(TEXT, false).await;
    connection.close(CloseCode::NORMAL, "").await;
    // The time of a Close, and a second in which a caller who comes late is still told what came.
    assert_eq!(end(&mut connection).await, (End::NoAnswer, 4));
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_nothing_is_given_up() {
    let mut connection = open(TEXT, true).await;
    connection.queue_ping(b"").unwrap();
    assert_eq!(end(&mut connection).await, (End::Lost(io::ErrorKind::TimedOut), 31));
}

/// The peer goes on after it broke a rule.
#[tokio::test(start_paused = true)]
async fn a_goodbye_does_not_last_for_ever() {
    let mut connection = open(b"\x81\x02hi", false).await;
    let (event, seconds) = last(&mut connection).await;
    assert!(matches!(event, Event::Error(_)), "{event:?}");
    assert_eq!(seconds, 1);
}
