//! What a `Connection` told, kept: an event without its borrow, to be compared with what was expected.
//! All test programs of this crate compare with it.

use tidegate_websocket::{Close, CloseCode, Event, Message, ProtocolError};

/// An event without its borrow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Told {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<u16>, String),
    /// 1006: the bytes ended without a Close frame.
    Lost,
    Error(ProtocolError),
}

impl From<Event<'_>> for Told {
    fn from(event: Event<'_>) -> Self {
        match event {
            Event::Message(Message::Text(text)) => Self::Text(text.to_owned()),
            Event::Message(Message::Binary(bytes)) => Self::Binary(bytes.to_vec()),
            Event::Ping(payload) => Self::Ping(payload.to_vec()),
            Event::Pong(payload) => Self::Pong(payload.to_vec()),
            Event::Close(Close { code, clean: false, .. }) => {
                assert_eq!(code, Some(CloseCode::ABNORMAL));
                Self::Lost
            }
            Event::Close(close) => Self::Close(close.code.map(CloseCode::get), close.reason.to_owned()),
            Event::Error(error) => Self::Error(error),
        }
    }
}

pub(crate) fn text(text: &str) -> Told {
    Told::Text(text.to_owned())
}
