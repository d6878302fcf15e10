//! Following channels of a gateway over `tidegate.v1`, whatever happens to the connection.
//!
//! A [`Follower`] comes back when its connection is lost, resumes every channel after the last position that
//! it read, and says when something is missing. What to ask for is in `channels`, what comes of what it hears in
//! `envelopes`, when to come back in `backoff`, whether at all in `interruption`.

mod backoff;

mod channels;

mod interruption;

mod attempts;

mod query;

mod token;

mod event;

mod link;

mod envelopes;

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_core::Stream;
use tidegate_protocol::client::{write_message, write_unsubscribe};
use tidegate_protocol::{Envelope, Payload, Position, SUBPROTOCOL, Updates};
use tidegate_websocket::CloseCode;
use tokio::time::{Instant, Sleep, sleep};
use url::Url;

use crate::address::{Address, UrlError};
use crate::connect::connect;
use crate::connection::{Connection, SendError};
use crate::event::{Event as Heard, Message};
use crate::failure::ConnectError;
use crate::options;
pub use attempts::Attempts;
pub use backoff::Backoff;
use channels::Channels;
pub use event::Event;
pub use interruption::Interruption;
use link::Link;
pub use token::TokenProvider;

/// Whom to follow, and how.
#[derive(Debug, Clone)]
pub struct Options {
    /// For each connection. The subprotocol is added; a silent gateway is asked every 30 s.
    pub connection: options::Options,
    /// How long to wait before coming back.
    pub backoff: Backoff,
    /// The position after which to begin with the channel of the URL; if none, what its query calls `after`.
    pub after: Option<Position>,
    /// How to hear that a document has changed, for all channels; if whole, what the URL's query calls `updates`.
    pub updates: Updates,
    /// What gives the token for each connection, sent as `Authorization: Bearer`. With it a token that was
    /// refused or has ended (401, 4401) is a reason to come back; without it is the end.
    pub token: Option<TokenProvider>,
    /// Give up after so many attempts in a row without a connection that lasted. None: never.
    pub attempts_max: Option<u32>,
}

/// Follows channels of a gateway, on one connection after the other.
///
/// **Promise.** Each publication of a channel is told once, in order; what could not be had is declared by an
/// [`Event::Open`] with `recovered: false`.
///
/// **Cancel safety.** [`Follower::next`] may be dropped at any time: a connection that is being opened, a
/// wait, and every event stay where they are.
///
/// **Bounds.** 1,000 channels; one connection at a time; nothing is kept of what was not asked for. While
/// nobody calls `next`, nothing is read, and the gateway may close a client that is too slow: then it is
/// resumed.
///
/// **Drop** ends the connection at once.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use tidegate_client::follow::{Event, Follower, Options};
///
/// let mut follower = Follower::new("ws://127.0.0.1:8080/quotes/BTC", Options::default())?;
/// follower.follow("quotes/ETH", None);
/// while let Some(event) = follower.next().await {
///     match event {
///         Event::Message { channel, position, content, .. } => println!("{channel} {position} {content:?}"),
///         Event::Open { channel, recovered: false, .. } => println!("{channel}: something is missing"),
///         Event::Lost { why, retry_in } => eprintln!("{why}; again in {retry_in:?}"),
///         other => eprintln!("{other:?}"),
///     }
/// }
/// # Ok(())
/// # }
/// ```
pub struct Follower {
    url: Url,
    options: Options,
    opener: Opener,
    channels: Channels,
    state: State,
    /// Told before anything else; two at most.
    pending: VecDeque<Event>,
    attempts: Attempts,
}

enum State {
    Waiting(Option<Pin<Box<Sleep>>>),
    Connecting(Opening),
    Open(Box<Link>),
    Ended,
}

/// A connection that is being opened.
pub type Opening = Pin<Box<dyn Future<Output = Result<Connection, ConnectError>> + Send>>;

/// Opens the connections of a follower: takes the URL, the position in its query, and the options.
type Opener = Box<dyn FnMut(Url, options::Options) -> Opening + Send>;

impl Default for Options {
    fn default() -> Self {
        let connection =
            options::Options { ping_interval: Some(Duration::from_secs(30)), ..options::Options::default() };
        let (backoff, updates) = (Backoff::default(), Updates::Whole);
        Self { connection, backoff, after: None, updates, token: None, attempts_max: None }
    }
}

impl Follower {
    /// Follows the channel of a URL. Nothing is opened before the first call of [`Follower::next`]. An `after`
    /// in its query is where the follower begins, and no part of the URL of later connections; `updates` there counts as
    /// in the options.
    pub fn new(url: &str, options: Options) -> Result<Self, UrlError> {
        Self::opened_by(url, options, |url, options| {
            Box::pin(async move { connect(url.as_str(), options).await })
        })
    }

    /// The same over connections that are opened in another way, such as
    /// [`connect_stream`](crate::connect_stream) through a proxy.
    pub fn opened_by(
        url: &str,
        mut options: Options,
        opener: impl FnMut(Url, options::Options) -> Opening + Send + 'static,
    ) -> Result<Self, UrlError> {
        Address::parse(url)?;
        let mut url = Url::parse(url).map_err(|error| UrlError::Malformed(error.to_string()))?;
        let after = query::take_after(&mut url)?;
        let updates = query::take_updates(&mut url)?.filter(|_| options.updates == Updates::Whole);
        options.updates = updates.unwrap_or(options.updates);
        options.connection.subprotocols = vec![SUBPROTOCOL.to_owned()];
        query::add_updates(&mut url, options.updates);
        let mut channels = Channels::new(options.updates);
        channels.follow_own(options.after.or(after));
        let state = State::Waiting(None);
        let renews = options.token.is_some();
        let attempts = Attempts::new(options.backoff, options.attempts_max).with_tokens(renews);
        let opener = Box::new(opener);
        Ok(Self { url, options, opener, channels, state, pending: VecDeque::new(), attempts })
    }

    /// Follows one more channel on the same socket. False if it is followed already, or if there are 1,000.
    /// Whether it is allowed is told by an event.
    pub fn follow(&mut self, channel: &str, after: Option<Position>) -> bool {
        let is_added = self.channels.follow(channel, after);
        let has_asked = matches!(self.state, State::Connecting(_)) && self.channels.is_own(channel);
        if is_added && has_asked && after.is_some() {
            // The request that is under way names no position.
            self.state = State::Connecting(self.attempt());
        }
        is_added
    }

    /// Follows a channel no longer. False if it was not followed. That of the URL has a name once it has been
    /// opened.
    pub fn unfollow(&mut self, channel: &str) -> bool {
        let was_followed = self.channels.forget(channel);
        if was_followed {
            self.unsubscribe(channel);
        }
        was_followed
    }

    /// The last position of a channel that was read.
    #[must_use]
    pub fn position(&self, channel: &str) -> Option<Position> {
        self.channels.position(channel)
    }

    /// Queues a message to a channel, that of the URL if none is named. It is sent once and never again: who
    /// must know whether it came looks for its publication.
    pub fn queue(&mut self, channel: Option<&str>, payload: &Payload) -> Result<(), SendError> {
        let State::Open(link) = &mut self.state else { return Err(SendError::Closed) };
        let id = self.channels.new_id();
        link.queue(|command| write_message(command, channel, payload, id))
    }

    /// Waits for the next event. `None` after [`Event::Ended`]. Cancel safe.
    pub async fn next(&mut self) -> Option<Event> {
        poll_fn(|context| self.poll_event(context)).await
    }

    /// The same for those who write futures.
    pub fn poll_event(&mut self, context: &mut Context<'_>) -> Poll<Option<Event>> {
        loop {
            if let Some(event) = self.pending.pop_front() {
                return Poll::Ready(Some(event));
            }
            match &mut self.state {
                State::Ended => return Poll::Ready(None),
                State::Waiting(time) => {
                    if let Some(time) = time {
                        ready!(time.as_mut().poll(context));
                    }
                    self.state = State::Connecting(self.attempt());
                }
                State::Connecting(attempt) => match ready!(attempt.as_mut().poll(context)) {
                    Ok(connection) => self.begin(connection),
                    Err(error) => self.interrupt(Interruption::Connect(error), None),
                },
                State::Open(link) => {
                    if link.again.as_mut().is_some_and(|again| again.as_mut().poll(context).is_ready()) {
                        link.again = None;
                        self.channels.release();
                    }
                    link.ask(&mut self.channels);
                    let event = ready!(link.connection.poll_event(context));
                    self.take(event);
                }
            }
        }
    }

    /// Ends the connection in order, with Close 1000.
    pub async fn close(mut self) {
        if let State::Open(link) = &mut self.state {
            link.connection.close(CloseCode::NORMAL, "").await;
            while link.connection.next().await.is_some() {}
        }
    }

    fn attempt(&mut self) -> Opening {
        let mut url = self.url.clone();
        if let Some(position) = self.channels.own_position() {
            query::add_after(&mut url, position);
        }
        let mut options = self.options.connection.clone();
        options.headers.extend(self.options.token.as_ref().map(TokenProvider::header));
        (self.opener)(url, options)
    }

    fn begin(&mut self, mut connection: Connection) {
        connection.take_opened();
        if connection.subprotocol() != Some(SUBPROTOCOL) {
            return self.interrupt(Interruption::NotSpoken, None);
        }
        self.channels.handle_connection();
        let since = Instant::now();
        let link = Link { connection, since, reconnect_in: None, again: None };
        self.state = State::Open(Box::new(link));
    }

    fn take(&mut self, event: Option<Heard>) {
        match event {
            Some(Heard::Message(Message::Text(text))) => match Envelope::parse(&text) {
                Ok(envelope) => self.hear(envelope),
                Err(error) => self.interrupt(Interruption::Unreadable(error), None),
            },
            Some(Heard::Message(Message::Binary(_)) | Heard::Ping(_) | Heard::Pong(_)) => {}
            Some(Heard::Close(close)) => {
                let hint = match &self.state {
                    State::Open(link) => link.reconnect_in,
                    State::Waiting(_) | State::Connecting(_) | State::Ended => None,
                };
                self.interrupt(Interruption::Closed(close), hint);
            }
            Some(Heard::Error(error)) => self.interrupt(Interruption::Protocol(error), None),
            None => self.state = State::Ended,
        }
    }

    fn unsubscribe(&mut self, channel: &str) {
        let channel = channel.strip_prefix('/').unwrap_or(channel);
        let id = self.channels.new_id();
        if let State::Open(link) = &mut self.state {
            // If it cannot be said, the connection is over, and the next one does not ask for the channel.
            let _ = link.queue(|command| write_unsubscribe(command, channel, id));
        }
    }

    /// The connection is over: waits and comes back, or gives up. `hint` is what the gateway told this client.
    fn interrupt(&mut self, why: Interruption, hint: Option<Duration>) {
        if let State::Open(link) = &self.state {
            self.attempts.handle_end(link.since.elapsed());
        }
        let Some(retry_in) = self.attempts.wait(&why, hint) else { return self.end(why) };
        if why.loses_position() {
            self.channels.forget_positions();
        }
        self.state = State::Waiting(Some(Box::pin(sleep(retry_in))));
        self.pending.push_back(Event::Lost { why, retry_in });
    }

    fn end(&mut self, why: Interruption) {
        self.state = State::Ended;
        self.pending.push_back(Event::Ended(why));
    }
}

/// As [`Follower::next`].
impl Stream for Follower {
    type Item = Event;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Event>> {
        self.get_mut().poll_event(context)
    }
}

impl fmt::Debug for Follower {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.state {
            State::Waiting(_) => "waiting",
            State::Connecting(_) => "connecting",
            State::Open(_) => "open",
            State::Ended => "ended",
        };
        f.debug_struct("Follower")
            .field("url", &self.url.as_str())
            .field("state", &state)
            .finish_non_exhaustive()
    }
}
