//! Server-sent events as they are read by the rules of the HTML standard (section 9.2.6), over an HTTP answer
//! that is seen in full: head, comments, how the stream ended.

use std::io;
use std::net::SocketAddr;

use serde_json::Value;

use crate::deadline::Deadline;
use crate::http::{Headers, Incoming, Request};
use crate::stream::Stream;

/// An open stream.
#[derive(Debug)]
pub struct EventStream {
    /// The fields of the answer.
    pub headers: Headers,
    answer: Incoming,
    text: Vec<u8>,
    last_id: String,
}

/// One event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Event {
    /// Its name; empty for the default `message`.
    pub name: String,
    /// The `data` lines, joined.
    pub data: String,
    /// The `id` in force after it.
    pub id: String,
    /// A `retry` that came with it, in milliseconds.
    pub retry: Option<u64>,
}

impl EventStream {
    /// Asks for the events of a path.
    #[track_caller]
    #[must_use]
    pub fn open(address: SocketAddr, target: &str) -> Self {
        Self::ask(address, Request::get(target))
    }

    /// The same, going on after an event.
    #[track_caller]
    #[must_use]
    pub fn resume(address: SocketAddr, target: &str, last_id: &str) -> Self {
        Self::ask(address, Request::get(target).header("Last-Event-ID", last_id))
    }

    /// Sends a request that asks for events.
    ///
    /// # Panics
    ///
    /// If the answer is no stream of events.
    #[track_caller]
    #[must_use]
    pub fn ask(address: SocketAddr, request: Request) -> Self {
        match Self::try_ask(address, &request) {
            Ok(stream) => stream,
            Err(error) => panic!("{request:?}: {error}"),
        }
    }

    /// The same, for those that may be refused.
    pub fn try_ask(address: SocketAddr, request: &Request) -> io::Result<Self> {
        let request = request.clone().header("Accept", "text/event-stream");
        let answer = request.begin(Stream::connect(address)?)?;
        let kind = answer.headers.get("content-type").unwrap_or_default().to_owned();
        if answer.status != 200 || kind != "text/event-stream" {
            return Err(io::Error::other(format!("{} {kind}", answer.status)));
        }
        Ok(Self { headers: answer.headers.clone(), answer, text: Vec::new(), last_id: String::new() })
    }

    /// Waits for the next event; `None` at the end of the stream.
    pub fn next_by(&mut self, deadline: Deadline) -> io::Result<Option<Event>> {
        loop {
            while let Some(end) = self.text.windows(2).position(|pair| pair == b"\n\n") {
                let block: Vec<u8> = self.text.drain(..end + 2).collect();
                if let Some(event) = self.read(&String::from_utf8_lossy(&block)) {
                    return Ok(Some(event));
                }
            }
            match self.answer.piece_by(deadline)? {
                Some(piece) => self.text.extend_from_slice(&piece),
                None => return Ok(None),
            }
        }
    }

    /// The next event.
    ///
    /// # Panics
    ///
    /// If none comes.
    #[track_caller]
    pub fn event(&mut self) -> Event {
        match self.next_by(Deadline::of_patience()) {
            Ok(Some(event)) => event,
            Ok(None) => panic!("the stream has ended"),
            Err(error) => panic!("no event came: {error}"),
        }
    }

    /// The next event, which is of this name; its data as JSON.
    ///
    /// # Panics
    ///
    /// If something else comes.
    #[track_caller]
    pub fn named(&mut self, name: &str) -> Value {
        let event = self.event();
        assert_eq!(event.name, name, "{event:?}");
        serde_json::from_str(&event.data).unwrap_or_else(|error| panic!("{error} in {event:?}"))
    }

    /// The next event, which has no name.
    ///
    /// # Panics
    ///
    /// If something else comes.
    #[track_caller]
    pub fn message(&mut self) -> Event {
        let event = self.event();
        assert_eq!(event.name, "", "{event:?}");
        event
    }

    /// Sees to it that the stream ends now, in the way of its framing.
    ///
    /// # Panics
    ///
    /// If it does not.
    #[track_caller]
    pub fn ended(&mut self) {
        match self.next_by(Deadline::of_patience()) {
            Ok(None) => {}
            other => panic!("the end of the stream was expected, and this came: {other:?}"),
        }
    }

    fn read(&mut self, block: &str) -> Option<Event> {
        let mut event = Event::default();
        let mut data = Vec::new();
        let mut told = false;
        for line in block.lines().filter(|line| !line.is_empty() && !line.starts_with(':')) {
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "event" => value.clone_into(&mut event.name),
                "data" => data.push(value),
                "id" => value.clone_into(&mut self.last_id),
                "retry" => event.retry = value.parse().ok(),
                other => panic!("a field that no standard knows: {other:?} in {block:?}"),
            }
            told = true;
        }
        event.data = data.join("\n");
        event.id.clone_from(&self.last_id);
        told.then_some(event)
    }
}
