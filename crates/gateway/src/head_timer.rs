//! How long a client may take for the head of a request, how long its connection may be idle before it, and
//! how long it may take nothing of an answer: the timer that hyper runs while it awaits a head, and the
//! stream that tells the timer of bytes.
//!
//! hyper has one limit for the first two and closes without a word. Here a head has its time from its first
//! byte and is answered with 408 when that is over; without a byte there is nobody to answer. The heads of the first
//! exchange go to `first_heads` on their way.

use std::future::Future;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use hyper::rt::{Read, ReadBufCursor, Sleep, Timer, Write};
use hyper_util::rt::TokioIo;
use tokio::io::ReadBuf;
use tokio::net::TcpStream;

use crate::client_socket::{ClientSocket, Patience, take_unread};
use crate::first_heads::FirstHeads;
use crate::limits::Limits;
use crate::refusal::Refusal;
use tidegate_inspect::words::known;

/// Bytes that are read at once of what may belong to the first head.
const READ_NOTED_BYTES: usize = 4096;

/// What the last word of the gateway is to a client that was too slow.
fn late() -> Vec<u8> {
    let sentence = "http_header_timeout: the head of the request did not come in time";
    Refusal::of(known::HEADER_TIME, sentence).to_bytes()
}

/// What the stream, the timer and the task of one connection tell each other.
#[derive(Debug)]
pub(crate) struct Told {
    reads: AtomicU64,
    late: AtomicBool,
    pub(crate) heads: FirstHeads,
}

/// A client's socket, as hyper sees it.
#[derive(Debug)]
pub(crate) struct ClientStream<S: ClientSocket> {
    /// Taken out when the socket leaves HTTP.
    stream: Option<TokioIo<S>>,
    told: Arc<Told>,
    patience: Patience,
}

/// The timer of one connection.
#[derive(Debug)]
pub(crate) struct HeadTimer {
    told: Arc<Told>,
    head: Duration,
    idle: Duration,
}

/// The stream and the timer for it, and what they tell. `keeps` is whether the first heads are wanted.
pub(crate) fn timed<S: ClientSocket>(
    stream: S,
    limits: &Limits,
    keeps: bool,
) -> (ClientStream<S>, HeadTimer, Arc<Told>) {
    let heads = FirstHeads::new(keeps);
    let told = Arc::new(Told { reads: AtomicU64::new(0), late: AtomicBool::new(false), heads });
    let timer = HeadTimer {
        told: Arc::clone(&told),
        head: limits.http_header_timeout,
        idle: limits.http_keepalive_idle,
    };
    let patience = Patience::new(limits.http_keepalive_idle);
    let stream = ClientStream { stream: Some(TokioIo::new(stream)), told: Arc::clone(&told), patience };
    (stream, timer, told)
}

impl<S: ClientSocket> ClientStream<S> {
    /// The socket, when HTTP is done with it.
    pub(crate) fn into_inner(mut self) -> Option<S> {
        self.stream.take().map(TokioIo::into_inner)
    }

    /// Writes in one way or another, as long as the client takes something.
    fn output<T>(
        &mut self,
        context: &mut Context<'_>,
        act: impl FnOnce(Pin<&mut S>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        let stream = self.stream.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        self.patience.poll(stream.inner_mut(), context, act)
    }

    fn note_written(&self, polled: &Poll<io::Result<usize>>, slices: &[io::IoSlice<'_>]) {
        if let Poll::Ready(Ok(written)) = polled {
            self.told.heads.went(slices, *written);
        }
    }
}

/// Reads what may belong to the first head.
fn read_noted<S: ClientSocket>(
    stream: &mut S,
    heads: &FirstHeads,
    context: &mut Context<'_>,
    mut into: ReadBufCursor<'_>,
) -> Poll<io::Result<()>> {
    let mut bytes = [const { MaybeUninit::uninit() }; READ_NOTED_BYTES];
    let most = into.remaining().min(bytes.len());
    let mut buffer = ReadBuf::uninit(&mut bytes[..most]);
    ready!(Pin::new(stream).poll_read(context, &mut buffer))?;
    heads.came(buffer.filled());
    into.put_slice(buffer.filled());
    Poll::Ready(Ok(()))
}

impl<S: ClientSocket> Drop for ClientStream<S> {
    fn drop(&mut self) {
        let Some(mut stream) = self.stream.take() else { return };
        if self.told.late.load(Ordering::Relaxed) {
            stream.inner_mut().say_last(&late());
        }
        take_unread(stream.inner().socket());
    }
}

/// Tells a client that has begun a request, and not got far enough for hyper to await the rest.
pub(crate) fn say_late(mut stream: TcpStream) {
    let mut first = [0; 1];
    if matches!(stream.try_read(&mut first), Ok(1..)) {
        stream.say_last(&late());
        take_unread(&stream);
    }
}

impl Timer for HeadTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        self.sleep_until(Instant::now() + duration)
    }

    /// hyper asks for one of these whenever it begins to await a head. The first head of a connection is
    /// awaited no longer than a head may take.
    fn sleep_until(&self, _: Instant) -> Pin<Box<dyn Sleep>> {
        let reads_before = self.told.reads.load(Ordering::Relaxed);
        let most = if reads_before == 0 { self.head } else { self.idle };
        Box::pin(AwaitHead {
            told: Arc::clone(&self.told),
            reads_before,
            begun: false,
            head: self.head,
            sleep: Box::pin(tokio::time::sleep(most)),
        })
    }
}

/// The wait for one head.
struct AwaitHead {
    told: Arc<Told>,
    reads_before: u64,
    /// Its first byte has come.
    begun: bool,
    head: Duration,
    sleep: Pin<Box<tokio::time::Sleep>>,
}

impl Sleep for AwaitHead {}

impl Future for AwaitHead {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if !self.begun && self.told.reads.load(Ordering::Relaxed) > self.reads_before {
            self.begun = true;
            let deadline = tokio::time::Instant::now() + self.head;
            self.sleep.as_mut().reset(deadline);
        }
        let over = self.sleep.as_mut().poll(context);
        if over.is_ready() && self.begun {
            self.told.late.store(true, Ordering::Relaxed);
        }
        over
    }
}

impl<S: ClientSocket> Read for ClientStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { stream, told, .. } = &mut *self;
        let stream = stream.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        let polled = match told.heads.awaits_request() {
            true => read_noted(stream.inner_mut(), &told.heads, context, into),
            false => Pin::new(stream).poll_read(context, into),
        };
        if polled.is_ready() {
            // The end of the bytes counts too; nothing is awaited after it.
            told.reads.fetch_add(1, Ordering::Relaxed);
        }
        polled
    }
}

impl<S: ClientSocket> Write for ClientStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = self.output(context, |stream, context| stream.poll_write(context, bytes));
        self.note_written(&polled, &[io::IoSlice::new(bytes)]);
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.output(context, |stream, context| stream.poll_flush(context))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.output(context, |stream, context| stream.poll_shutdown(context))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.as_ref().is_some_and(Write::is_write_vectored)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = self.output(context, |stream, context| stream.poll_write_vectored(context, slices));
        self.note_written(&polled, slices);
        polled
    }
}
