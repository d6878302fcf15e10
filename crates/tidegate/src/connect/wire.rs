//! A connection over HTTP/1.1 whose bytes are recorded on their way, for recordings that hold frames.
//!
//! A tap sees what is read and written, handshake first; what the command itself is told stays as it is.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tidegate_client::{ConnectError, Connection, Opened, Options, RawStream, Reached, Timings};
use tidegate_client::{connect_stream, reach_server};
use tidegate_inspect::event::{Direction, End};
use tidegate_inspect::head::Secrets;
use tidegate_inspect::tap::{Settings, Tap};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::recording::Recording;
use crate::timestamp::now;

/// A recording that the command and its connection write to.
pub(super) type Shared = Arc<Mutex<Recording>>;

/// See the module's head. The end of the connection is told when it is dropped.
struct Wire {
    stream: RawStream,
    tap: Tap,
    recording: Shared,
}

/// Connects, and gives what was agreed on.
pub(super) async fn connect(
    url: &str,
    options: Options,
    recording: Shared,
    secrets: Secrets,
) -> Result<(Connection, Option<Opened>), ConnectError> {
    let Reached { stream, authority, peer, tls, timings } = reach_server(url, &options).await?;
    let scheme = if tls.is_some() { "wss" } else { "ws" };
    let settings = Settings { secrets, ..Settings::for_recording() };
    let tap = Tap::new(None, Some(format!("{scheme}://{authority}")), settings);
    let mut connection = connect_stream(Wire { stream, tap, recording }, url, options).await?;
    let opened = connection.take_opened().map(|opened| Opened {
        peer,
        tls,
        timings: Timings { handshake: opened.timings.handshake, ..timings },
        ..opened
    });
    Ok((connection, opened))
}

impl Wire {
    fn see(&mut self, dir: Direction, bytes: &[u8]) {
        let mut recording = self.recording.lock().unwrap_or_else(PoisonError::into_inner);
        self.tap.handle_input(dir, bytes, now(), &mut |event| recording.take(&event));
        recording.flush();
    }

    fn end(&mut self, dir: Direction, how: End) {
        let mut recording = self.recording.lock().unwrap_or_else(PoisonError::into_inner);
        self.tap.handle_end(dir, how, now(), &mut |event| recording.take(&event));
        recording.flush();
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.end(Direction::ToServer, End::EndOfStream);
        self.end(Direction::ToClient, End::EndOfStream);
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        match &polled {
            Poll::Ready(Ok(())) if buffer.filled().len() > before => {
                self.see(Direction::ToClient, &buffer.filled()[before..]);
            }
            Poll::Ready(Ok(())) if buffer.remaining() > 0 => self.end(Direction::ToClient, End::EndOfStream),
            Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::ConnectionReset => {
                self.end(Direction::ToClient, End::Reset);
            }
            _ => {}
        }
        polled
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(context, bytes);
        if let Poll::Ready(Ok(length)) = polled {
            self.see(Direction::ToServer, &bytes[..length]);
        }
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
