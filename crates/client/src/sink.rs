//! Connections as the ecosystem's `Stream` of events and `Sink` of messages, for its combinators.
//!
//! Nothing is decided here: each method is one of the type's own.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use futures_sink::Sink;
use tidegate_websocket as websocket;
use tidegate_websocket::CloseCode;

use crate::connection::{Connection, SendError};
use crate::event::{Event, Message};
use crate::split::{Reader, Writer};

impl Message {
    /// The message without its ownership.
    #[must_use]
    pub fn as_borrowed(&self) -> websocket::Message<'_> {
        match self {
            Self::Text(text) => websocket::Message::Text(text),
            Self::Binary(bytes) => websocket::Message::Binary(bytes),
        }
    }
}

/// As [`Connection::next`].
impl Stream for Connection {
    type Item = Event;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Event>> {
        self.get_mut().poll_event(context)
    }
}

/// As [`Reader::next`].
impl Stream for Reader {
    type Item = Event;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Event>> {
        self.get_mut().poll_event(context)
    }
}

/// Ready is room for a message, as in [`Connection::has_room`]; the end is Close 1000.
impl Sink<Message> for Connection {
    type Error = SendError;

    fn poll_ready(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        self.get_mut().poll_room(context)
    }

    fn start_send(self: Pin<&mut Self>, message: Message) -> Result<(), SendError> {
        self.get_mut().queue(message.as_borrowed())
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        self.get_mut().poll_flush(context)
    }

    fn poll_close(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        let connection = self.get_mut();
        connection.queue_close(CloseCode::NORMAL, "");
        ready!(connection.poll_flush(context))?;
        Poll::Ready(Ok(()))
    }
}

/// As [`Writer::ready`], [`Writer::queue`] and [`Writer::flush`]; the end is Close 1000.
impl Sink<Message> for Writer {
    type Error = SendError;

    fn poll_ready(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        self.get_mut().poll_room(context)
    }

    fn start_send(self: Pin<&mut Self>, message: Message) -> Result<(), SendError> {
        self.get_mut().queue(message.as_borrowed())
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        self.get_mut().poll_flush(context)
    }

    fn poll_close(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        self.get_mut().poll_close(context)
    }
}
