//! A WebSocket within a stream of HTTP/2 (RFC 8441): between the stream's flow control and the session in the
//! shard. It judges nothing: the handshake is done, and what bytes mean is the shard's business.
//!
//! What comes is read at once, because small frames that lie unread cost the whole connection its budget.
//! While the session is paused it is kept here, and its window is not given back: that bounds it.

use std::future::poll_fn;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::{Reason, RecvStream, SendStream};
use tidegate_hub::SessionId;

use crate::shard::{Gone, ShardRef, StreamPart};

/// What a stream is asked for at once; what it has of it is written.
const PORTION_BYTES: usize = 32 * 1024;

/// See the module's head. Dropping it ends the session.
pub(crate) struct Tunnel {
    shard: ShardRef,
    id: SessionId,
    receive: RecvStream,
    /// What came while the session is paused, `h2_stream_window` at most.
    held: Vec<u8>,
    /// The client has ended its side.
    ended: bool,
    /// Our side is ended.
    finished: bool,
    /// How it ended; that the connection under it did tells nobody but by dropping it.
    gone: Gone,
}

/// How a stream has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sent {
    /// By its end.
    Whole,
    /// By a reset, whoever sent it.
    Reset,
}

/// Why nothing more goes through.
enum Over {
    /// Both sides have ended.
    Done,
    /// The session is gone and the client is to know.
    Cut,
    /// The client has reset the stream, or its connection has ended.
    Lost,
}

impl Tunnel {
    /// A tunnel for a session that was attached as a stream.
    pub(crate) fn new(shard: ShardRef, id: SessionId, receive: RecvStream) -> Self {
        Self { shard, id, receive, held: Vec::new(), ended: false, finished: false, gone: Gone::Under }
    }

    /// Carries bytes both ways until the session or the stream ends.
    pub(crate) async fn run(mut self, mut send: SendStream<Bytes>) -> Sent {
        let over = poll_fn(|context| self.poll(&mut send, context)).await;
        match over {
            Over::Done | Over::Lost => {}
            Over::Cut if self.finished => send.send_reset(Reason::NO_ERROR),
            Over::Cut => send.send_reset(Reason::CANCEL),
        }
        if matches!(over, Over::Done) { Sent::Whole } else { Sent::Reset }
    }

    fn poll(&mut self, send: &mut SendStream<Bytes>, context: &mut Context<'_>) -> Poll<Over> {
        if let Poll::Ready(over) = self.poll_input(context) {
            return Poll::Ready(over);
        }
        if let Poll::Ready(over) = self.poll_output(send, context) {
            return Poll::Ready(over);
        }
        if self.ended
            && self.held.is_empty()
            && !self.shard.look(|shard| shard.keeps_rest(self.id))
            && (self.finished || !self.shard.look(|shard| shard.is_ending(self.id)))
        {
            self.gone = Gone::StreamEnded;
            self.shard.tidy(|shard| shard.stream_ended(self.id));
            // As a socket that is closed: nothing more will come from here either.
            let _ = self.finished || send.send_data(Bytes::new(), true).is_ok();
            return Poll::Ready(Over::Done);
        }
        // It would be heard of by reading, but not after the client's last byte.
        match send.poll_reset(context) {
            Poll::Ready(reset) => {
                self.gone = reset.map_or_else(|error| gone_by(&error), |_| Gone::StreamReset);
                Poll::Ready(Over::Lost)
            }
            Poll::Pending => Poll::Pending,
        }
    }

    /// Takes all that came.
    fn poll_input(&mut self, context: &mut Context<'_>) -> Poll<Over> {
        let paused = self.shard.look(|shard| shard.is_paused(self.id));
        if !paused && !self.held.is_empty() {
            let held = std::mem::take(&mut self.held);
            self.take(&held);
        }
        while !self.ended {
            match ready!(self.receive.poll_data(context)) {
                Some(Ok(bytes)) if self.shard.look(|shard| shard.is_paused(self.id)) => {
                    self.held.extend_from_slice(&bytes);
                }
                Some(Ok(bytes)) => self.take(&bytes),
                Some(Err(error)) => {
                    self.gone = gone_by(&error);
                    return Poll::Ready(Over::Lost);
                }
                None => self.ended = true,
            }
        }
        Poll::Pending
    }

    fn take(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.shard.with(|shard| shard.handle_stream_bytes(self.id, bytes));
        }
        // More than was received cannot be given back, and less is not.
        let _ = self.receive.flow_control().release_capacity(bytes.len());
    }

    /// Writes what waits, as far as the client has room for it.
    fn poll_output(&mut self, send: &mut SendStream<Bytes>, context: &mut Context<'_>) -> Poll<Over> {
        while !self.finished {
            match self.shard.tidy(|shard| shard.look_at_stream(self.id, context.waker())) {
                StreamPart::Waiting(bytes) => {
                    send.reserve_capacity(bytes.min(PORTION_BYTES));
                    let Some(room) = ready!(poll_room(send, context)) else { return Poll::Ready(Over::Lost) };
                    let portion = self.shard.tidy_timed(|shard| shard.take_for_stream(self.id, room));
                    if send.send_data(portion, false).is_err() {
                        return Poll::Ready(Over::Lost);
                    }
                }
                StreamPart::Pending => return Poll::Pending,
                StreamPart::Gone => return Poll::Ready(Over::Cut),
                StreamPart::End => {
                    self.finished = true;
                    if send.send_data(Bytes::new(), true).is_err() {
                        return Poll::Ready(Over::Lost);
                    }
                }
            }
        }
        match self.shard.tidy(|shard| shard.look_at_stream(self.id, context.waker())) {
            StreamPart::Gone => Poll::Ready(Over::Cut),
            StreamPart::Waiting(_) | StreamPart::Pending | StreamPart::End => Poll::Pending,
        }
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        let gone = self.gone;
        self.shard.with(|shard| shard.stream_dropped(self.id, gone));
    }
}

/// What an error of a stream says of its end.
fn gone_by(error: &h2::Error) -> Gone {
    match error.get_io() {
        _ if error.is_reset() => Gone::StreamReset,
        Some(error) if error.kind() == std::io::ErrorKind::ConnectionReset => Gone::Reset,
        _ => Gone::Under,
    }
}

/// How many bytes the client has room for, of those that were asked for; `None` when the stream is over. h2
/// tells of room once, when it grows.
pub(crate) fn poll_room(send: &mut SendStream<Bytes>, context: &mut Context<'_>) -> Poll<Option<usize>> {
    loop {
        let room = send.capacity();
        if room > 0 {
            return Poll::Ready(Some(room));
        }
        match ready!(send.poll_capacity(context)) {
            Some(Ok(_)) => {}
            Some(Err(_)) | None => return Poll::Ready(None),
        }
    }
}
