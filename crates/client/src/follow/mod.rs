//! Following channels of a gateway over `tidegate.v1`, whatever happens to the connection.
//!
//! A [`Follower`] comes back when its connection is lost, resumes every channel after the last position that
//! it read, and says when something is missing. What to ask for is in `channels`, when to come back in
//! `backoff`, whether at all in `interruption`.

mod backoff;

mod channels;

mod interruption;

mod attempts;

mod query;

mod token;

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_core::Stream;
use tidegate_protocol::client::{Failure, Outcome, write_message, write_subscribe, write_unsubscribe};
use tidegate_protocol::{Content, Envelope, Payload, Position, SUBPROTOCOL, Updates};
use tidegate_websocket as websocket;
use tidegate_websocket::CloseCode;
use tokio::time::{Instant, Sleep, sleep};
use url::Url;

use crate::address::{Address, UrlError};
use crate::connect::connect;
use crate::connection::{Connection, SendError};
use crate::event;
use crate::failure::ConnectError;
use crate::options;
pub use attempts::Attempts;
use attempts::random;
use backoff::Asked;
pub use backoff::Backoff;
use channels::{Arrived, Channels, Subscribe};
pub use interruption::Interruption;
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
    /// How to hear that a document has changed, for all channels.
    pub updates: Updates,
    /// What gives the token for each connection, sent as `Authorization: Bearer`. With it a token that was
    /// refused or has ended (401, 4401) is a reason to come back; without it is the end.
    pub token: Option<TokenProvider>,
    /// Give up after so many attempts in a row without a connection that lasted. None: never.
    pub attempts_max: Option<u32>,
}

/// What is told.
#[derive(Debug)]
pub enum Event {
    /// A subscription stands: for the first time, or again on a new connection.
    Open {
        /// The channel.
        channel: String,
        /// The place before what follows.
        position: Position,
        /// False: something before it is missing.
        recovered: bool,
    },
    /// A publication. Each is told once, in order.
    Message {
        /// The channel.
        channel: String,
        /// Its place; keep the last one to resume in another process.
        position: Position,
        /// What was published.
        content: Content,
        /// The name that a stream gave it.
        event: Option<String>,
        /// The id that a stream gave it.
        source_id: Option<String>,
    },
    /// A publication as the change from the one before it, which has been told; only where [`Options::updates`] asks
    /// for it.
    Patch {
        /// The channel.
        channel: String,
        /// Its place; who keeps it must keep the document with it.
        position: Position,
        /// The kind of patch.
        updates: Updates,
        /// The patch as JSON.
        patch: String,
    },
    /// Something failed, and the gateway said so: behind a channel, or with something that was asked for.
    Error {
        /// The channel.
        channel: Option<String>,
        /// As in docs/protocol.md.
        code: String,
        /// For people.
        message: String,
        /// It may be well again later; a subscription stays. Without it the channel is followed no longer, if
        /// it was its subscription that failed. That comes with `limit`, too, after eight refusals in a row.
        retry: bool,
    },
    /// What a message that was sent came to: an answer from behind the channel.
    Answer {
        /// The channel.
        channel: Option<String>,
        /// What was answered.
        content: Content,
    },
    /// The gateway ended one subscription. It is followed no longer.
    Close {
        /// The channel.
        channel: String,
        /// Why, as a close code.
        code: u16,
        /// Why, in words.
        reason: String,
    },
    /// There is no connection. It will be tried again.
    Lost {
        /// Why.
        why: Interruption,
        /// After this time.
        retry_in: Duration,
    },
    /// There is no connection, and there will be none. Nothing follows.
    Ended(Interruption),
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

struct Link {
    connection: Connection,
    since: Instant,
    /// What the close envelope said before the Close frame came.
    reconnect_in: Option<Duration>,
    /// When what was refused for now is asked for again.
    again: Option<Pin<Box<Sleep>>>,
}

/// A channel whose subscription was refused so often in a row because of a limit is followed no longer: the
/// limit is not one of the moment. With the default back-off that is after half a minute.
const LIMIT_REFUSALS_MAX: u32 = 8;

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
    /// in its query is where the follower begins, and no part of the URL of later connections.
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

    fn take(&mut self, event: Option<event::Event>) {
        match event {
            Some(event::Event::Message(event::Message::Text(text))) => match Envelope::parse(&text) {
                Ok(envelope) => self.hear(envelope),
                Err(error) => self.interrupt(Interruption::Unreadable(error), None),
            },
            Some(
                event::Event::Message(event::Message::Binary(_))
                | event::Event::Ping(_)
                | event::Event::Pong(_),
            ) => {}
            Some(event::Event::Close(close)) => {
                let hint = match &self.state {
                    State::Open(link) => link.reconnect_in,
                    State::Waiting(_) | State::Connecting(_) | State::Ended => None,
                };
                self.interrupt(Interruption::Closed(close), hint);
            }
            Some(event::Event::Error(error)) => self.interrupt(Interruption::Protocol(error), None),
            None => self.state = State::Ended,
        }
    }

    fn hear(&mut self, envelope: Envelope) {
        match envelope {
            Envelope::Open { channel, position, recovered } => {
                if let Some((position, recovered)) = self.channels.handle_open(&channel, position, recovered)
                {
                    self.pending.push_back(Event::Open { channel, position, recovered });
                } else {
                    // That of the URL, which the application does not follow any more.
                    self.unsubscribe(&channel);
                }
            }
            Envelope::Message { channel, position, content, event, source_id } => {
                let arrived = self.channels.handle_message(&channel, position);
                if matches!(arrived, Arrived::Again | Arrived::Unknown) {
                    return;
                }
                if arrived == Arrived::AfterGap {
                    let before = Position { offset: position.offset.saturating_sub(1), ..position };
                    let channel = channel.clone();
                    self.pending.push_back(Event::Open { channel, position: before, recovered: false });
                }
                self.pending.push_back(Event::Message { channel, position, content, event, source_id });
            }
            Envelope::Patch { channel, position, updates, patch } => {
                match self.channels.handle_patch(&channel, position) {
                    Arrived::Next => {
                        self.pending.push_back(Event::Patch { channel, position, updates, patch });
                    }
                    Arrived::Again | Arrived::Unknown => {}
                    // There is nothing that it could be applied to.
                    Arrived::AfterGap => {
                        self.unsubscribe(&channel);
                        self.channels.begin_anew(&channel);
                        self.pending.push_back(Event::Open { channel, position, recovered: false });
                    }
                }
            }
            Envelope::Error { channel, failure, retry } => {
                let (code, message) = (failure.code, failure.message);
                self.pending.push_back(Event::Error { channel, code, message, retry });
            }
            Envelope::Close { channel: Some(channel), code, reason, .. } => {
                self.channels.forget(&channel);
                self.pending.push_back(Event::Close { channel, code, reason });
                self.end_if_nothing_is_left();
            }
            Envelope::Close { channel: None, reconnect_in_ms, .. } => {
                if let State::Open(link) = &mut self.state {
                    link.reconnect_in = reconnect_in_ms.map(Duration::from_millis);
                }
            }
            Envelope::Reply { id, channel, outcome } => self.hear_reply(id, channel, outcome),
            Envelope::Unknown => {}
        }
    }

    fn hear_reply(&mut self, id: Option<String>, channel: Option<String>, outcome: Outcome) {
        let id = id.and_then(|id| id.parse().ok());
        let subscribed = id.and_then(|id| self.channels.handle_reply(id)).map(str::to_owned);
        match outcome {
            Outcome::Done | Outcome::Published(_) => {}
            Outcome::Answer(content) => self.pending.push_back(Event::Answer { channel, content }),
            Outcome::Failed(failure) => self.hear_failure(subscribed, channel, failure),
        }
    }

    /// A command failed; `subscribed` is the channel if it was to follow one.
    fn hear_failure(&mut self, subscribed: Option<String>, channel: Option<String>, failure: Failure) {
        let Failure { code, message } = failure;
        let is_misfit = code == "bad_request";
        if is_misfit && subscribed.as_ref().is_some_and(|name| self.channels.handle_misfit(name)) {
            return;
        }
        let retry = match code.as_str() {
            "limit" => !subscribed.as_ref().is_some_and(|name| self.is_limited(name)),
            code => matches!(code, "upstream" | "rate_limited" | "internal"),
        };
        let channel = subscribed.clone().or(channel);
        self.pending.push_back(Event::Error { channel, code, message, retry });
        match subscribed {
            Some(name) if retry => self.ask_again(&name),
            Some(name) => {
                self.channels.forget(&name);
                self.end_if_nothing_is_left();
            }
            None => {}
        }
    }

    /// One more refusal because of a limit is the last one.
    fn is_limited(&self, name: &str) -> bool {
        self.channels.refusals(name).saturating_add(1) >= LIMIT_REFUSALS_MAX
    }

    /// A subscription was refused for now: it is asked for again on this connection, together with others
    /// that were refused meanwhile.
    fn ask_again(&mut self, name: &str) {
        let delay = self.options.backoff.delay(self.channels.refusals(name), Asked::Nothing, random());
        self.channels.hold(name);
        if let State::Open(link) = &mut self.state {
            link.again.get_or_insert_with(|| Box::pin(sleep(delay)));
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

    fn end_if_nothing_is_left(&mut self) {
        if self.channels.is_empty() {
            self.interrupt(Interruption::NothingLeft, None);
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

impl Link {
    /// Asks for the channels that were not asked for yet, as far as there is room.
    fn ask(&mut self, channels: &mut Channels) {
        while self.connection.has_room() && self.connection.is_open() {
            let Some(asked) = channels.poll_subscribe() else { return };
            let Subscribe { channel, after, updates, id } = asked;
            // There is room; a connection that is over asks again on the next one.
            let _ = self.queue(|command| write_subscribe(command, channel, after, updates, id));
        }
    }

    fn queue(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> Result<(), SendError> {
        let mut command = Vec::new();
        write(&mut command);
        let text = String::from_utf8(command).expect("commands are JSON");
        self.connection.queue(websocket::Message::Text(&text))
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
