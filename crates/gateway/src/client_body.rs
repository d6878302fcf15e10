//! A client's request body, whatever version of HTTP brings it, and the same on its way to a backend: its
//! pauses are bounded there, and what is wrong with it is the client's fault and not the backend's.

use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use h2::RecvStream;
use http::HeaderMap;
use http::header::CONTENT_LENGTH;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep, sleep};

use crate::refusal::Refusal;
use tidegate_inspect::words::known::{self, Known};

/// A body as the client sends it.
pub(crate) enum RequestBody {
    /// Over HTTP/1.1.
    Http1(Incoming),
    /// On a stream of HTTP/2: its room is given back as the body is taken.
    Http2(StreamBody),
}

/// What comes on a stream of HTTP/2.
pub(crate) struct StreamBody {
    stream: RecvStream,
    /// What is still to come, if the client has said so; h2 holds it to its word.
    left: Option<u64>,
}

impl StreamBody {
    /// The body of a request with these fields.
    pub(crate) fn new(stream: RecvStream, headers: &HeaderMap) -> Self {
        let said = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        Self { stream, left: said }
    }

    /// The stream itself, for what is no body.
    pub(crate) fn into_stream(self) -> RecvStream {
        self.stream
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, h2::Error>>> {
        if let Some(data) = ready!(self.stream.poll_data(context)) {
            let data = data?;
            self.left = self.left.map(|left| left.saturating_sub(data.len() as u64));
            self.stream.flow_control().release_capacity(data.len())?;
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        let trailers = ready!(self.stream.poll_trailers(context));
        Poll::Ready(trailers.transpose().map(|trailers| trailers.map(Frame::trailers)))
    }

    fn size_hint(&self) -> SizeHint {
        match self.left {
            _ if self.stream.is_end_stream() => SizeHint::with_exact(0),
            Some(left) => SizeHint::with_exact(left),
            None => SizeHint::default(),
        }
    }
}

/// A body on its way to a backend. See the module's head.
pub(crate) struct ClientBody {
    body: RequestBody,
    pause: Duration,
    /// Runs while the client is waited for.
    late: Pin<Box<Sleep>>,
    waiting: bool,
    blame: Arc<OnceLock<Refusal>>,
}

impl ClientBody {
    /// The body, and what the client is to be told if it spoils it.
    pub(crate) fn new(body: RequestBody, pause: Duration) -> (Self, Arc<OnceLock<Refusal>>) {
        let blame = Arc::new(OnceLock::new());
        let late = Box::pin(sleep(pause));
        (Self { body, pause, late, waiting: false, blame: Arc::clone(&blame) }, blame)
    }

    fn spoiled(&self, known: &'static Known, sentence: &'static str) -> Box<dyn Error + Send + Sync> {
        // The first fault is the one to tell.
        let _ = self.blame.set(Refusal::of(known, sentence));
        sentence.into()
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = Box<dyn Error + Send + Sync>;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match self.get_mut() {
            Self::Http1(body) => {
                Pin::new(body).poll_frame(context).map(|frame| frame.map(|frame| frame.map_err(Into::into)))
            }
            Self::Http2(body) => body.poll(context).map(|frame| frame.map(|frame| frame.map_err(Into::into))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Http1(body) => body.is_end_stream(),
            Self::Http2(body) => body.stream.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Http1(body) => body.size_hint(),
            Self::Http2(body) => body.size_hint(),
        }
    }
}

impl Body for ClientBody {
    type Data = Bytes;
    type Error = Box<dyn Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
            self.waiting = false;
            let broken = |_| self.spoiled(known::BODY_BROKE_OFF, "the request's body broke off");
            return Poll::Ready(frame.map(|frame| frame.map_err(broken)));
        }
        if !self.waiting {
            self.waiting = true;
            let deadline = Instant::now() + self.pause;
            self.late.as_mut().reset(deadline);
        }
        self.late.as_mut().poll(context).map(|()| {
            let sentence = "http_body_timeout: the request's body did not come in time";
            Some(Err(self.spoiled(known::BODY_TIME, sentence)))
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
