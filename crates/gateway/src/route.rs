//! Routes: which rule a path reaches, and what that rule says.
//!
//! A route is a value made once from the configuration or the command line and shared by all shards. No
//! request is answered and no backend is asked here.

mod backend;
mod path;
mod pattern;
mod template;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use tidegate_hub::{Increments, Slow};

pub use self::backend::{Backend, UrlError};
pub use self::pattern::{Parameter, Pattern, PatternError};
pub use self::template::{Parameters, ResolveError, UrlTemplate};

pub(crate) use self::path::of_name as path_of_name;

/// Most routes of one gateway.
pub const ROUTES_MAX: usize = 10_000;

/// A rule: a path pattern, what stands behind it, who may use it, its limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The paths that it is about.
    pub pattern: Pattern,
    /// What stands behind it.
    pub kind: Kind,
    /// Who may subscribe; `None` where it is not stated, which only a loopback listener allows.
    pub subscribe: Option<Subscribe>,
    /// Who may publish by sending a message.
    pub publish: Publish,
    /// What a channel of this route keeps.
    pub history: HistoryPolicy,
    /// What becomes of a client's messages that are not publications.
    pub messages: Messages,
    /// What subscribers may have instead of whole documents.
    pub increments: Increments,
    /// How WebSocket messages are compressed for clients that offer it.
    pub compression: Compression,
    /// What becomes of a subscriber that does not keep up.
    pub slow: Slow,
    /// Whether subscribers are told who is here.
    pub presence: bool,
    /// Which of the doors that take a plain GET it has.
    pub doors: Doors,
    /// The limits that hold here: the route's own, else those of the gateway.
    pub limits: RouteLimits,
}

/// What stands behind a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A backend that is asked first, and then polled, followed or tunnelled to as it answers.
    Auto {
        /// The backend; each request's own path is used on it.
        base: Backend,
        /// Which clients share one upstream request.
        share: Share,
    },
    /// One request an interval for all clients.
    Poll {
        /// What is asked.
        template: UrlTemplate,
        /// How often; `None` leaves it to the answer's `max-age`.
        interval: Option<Duration>,
        /// What of a client's request is part of the question.
        forward: Forward,
    },
    /// One stream for all clients: SSE or NDJSON.
    Stream {
        /// What is followed.
        template: UrlTemplate,
    },
    /// Filled by publishing.
    Channel,
}

/// Who may subscribe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subscribe {
    /// Everybody who reaches the listener.
    Anyone,
    /// Who has a token that grants the channel.
    Token,
}

/// Who may publish from the public listener.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Publish {
    /// Nobody: publications come from the admin listener or from the backend.
    #[default]
    Nobody,
    /// Everybody who may subscribe.
    Anyone,
    /// Who has a token that grants it.
    Token,
}

/// Which clients of one path share an upstream request in an `auto` route.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Share {
    /// Those with the same `Cookie` and `Authorization`.
    #[default]
    Identity,
    /// All of them; neither field reaches the backend.
    Public,
    /// Those with the same value of this one cookie.
    Cookie(String),
    /// Those with the same `Authorization`.
    Authorization,
}

/// Which fields of a client's request go with a poll and so become part of its key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Forward {
    /// The `Cookie` field.
    pub cookie: bool,
    /// The `Authorization` field.
    pub authorization: bool,
}

/// What a channel keeps for those who come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HistoryPolicy {
    /// Publications at the most; 0 keeps none.
    pub size: u32,
    /// Age at the most.
    pub ttl: Duration,
}

/// What becomes of a client's message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Messages {
    /// It is posted to the route's URL, and the answer goes back to that client alone.
    Post {
        /// The `Content-Type` of the request; `None`: `text/plain` or `application/octet-stream`, after
        /// the message.
        content_type: Option<String>,
    },
    /// It is answered with an error, or on a bare WebSocket with close 1003.
    Refused,
}

/// How WebSocket messages are compressed (permessage-deflate, RFC 7692).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Compression {
    /// Not at all: the extension is declined.
    Off,
    /// A publication once for all who offered it, without context takeover in either direction.
    #[default]
    Shared,
    /// By a compressor for each connection, which remembers what it sent.
    Takeover,
}

/// Doors that a plain GET may come by. A `channel` has them; elsewhere such requests are the backend's unless
/// the route says otherwise, because a backend may have pages and formats like these itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Doors {
    /// `after` or `wait` in the query make a long poll.
    pub long_poll: bool,
    /// `Accept: application/x-ndjson` gets lines of JSON.
    pub lines: bool,
}

/// Limits that a route may set for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RouteLimits {
    /// A client's message, after reassembly, in bytes.
    pub ws_max_message: usize,
    /// Frames a second of one client.
    pub ws_max_frames_per_s: u32,
}

/// All routes, and the way from a path to one of them. Never changed after it was made.
#[derive(Debug, Clone, Default)]
pub struct Routes {
    list: Vec<Arc<Route>>,
    router: matchit::Router<usize>,
}

/// The route of a path, and what its parameters stand for.
#[derive(Debug, Clone)]
pub struct Found<'a> {
    /// The route.
    pub route: &'a Arc<Route>,
    /// In the order of the route's pattern.
    pub parameters: Parameters,
}

/// Two routes that match the same paths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// The place, in the list, of the route that could not be added.
    pub index: usize,
    /// Its pattern.
    pub pattern: String,
    /// The pattern that was there before.
    pub with: String,
    /// The place of that one in the list, where it is known.
    pub with_index: Option<usize>,
}

/// The text is not a way of sharing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShareError;

impl Routes {
    /// All routes of a list; their order means nothing. Every conflict is reported.
    pub fn new(list: Vec<Route>) -> Result<Self, Vec<Conflict>> {
        let mut routes =
            Self { list: list.into_iter().map(Arc::new).collect(), router: matchit::Router::new() };
        let mut conflicts = Vec::new();
        for (index, route) in routes.list.iter().enumerate() {
            if let Err(error) = routes.router.insert(route.pattern.canonical(), index) {
                conflicts.push(routes.conflict(index, error));
            }
        }
        routes.add_empty_rests();
        if conflicts.is_empty() { Ok(routes) } else { Err(conflicts) }
    }

    /// The route of an encoded path, without its query.
    ///
    /// Literal segments win over parameters, a parameter over `{*rest}`. Patterns are held against the
    /// canonical spelling of the path, in which every character that needs no escape stands bare: two
    /// spellings of one channel cannot reach two routes. There is no route for a path with a segment `.`
    /// or `..`, plain or encoded, nor for one with a `%` that two hexadecimal digits do not follow.
    /// No parameter is ever `.` or `..`, a part of a segment neither. `%2F` stays within its segment.
    #[must_use]
    pub fn find(&self, path: &str) -> Option<Found<'_>> {
        let path = path::canonical(path)?;
        if path::has_dot_segment(&path) {
            return None;
        }
        let matched = self.router.at(&path).ok()?;
        let route = self.list.get(*matched.value)?;
        let mut values = Vec::with_capacity(route.pattern.parameters().len());
        for parameter in route.pattern.parameters() {
            let value = matched.params.get(&parameter.name).unwrap_or_default();
            if matches!(value, "." | "..") || !parameter.rest && (value.is_empty() || value.contains('/')) {
                return None;
            }
            values.push(value.to_owned());
        }
        Some(Found { route, parameters: Parameters::new(values) })
    }

    /// The route of a channel's name, which is a decoded path without its leading slash and its query; `/`
    /// for the root.
    #[must_use]
    pub fn find_name(&self, name: &str) -> Option<Found<'_>> {
        self.find(&path::of_name(name))
    }

    /// All routes, in the order in which they were given.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Route>> {
        self.list.iter()
    }

    /// The number of routes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// True without any route.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    fn conflict(&self, index: usize, error: matchit::InsertError) -> Conflict {
        let with = match error {
            matchit::InsertError::Conflict { with } => with,
            other => other.to_string(),
        };
        let with_index = self.list[..index].iter().position(|route| route.pattern.canonical() == with);
        Conflict { index, pattern: self.list[index].pattern.as_str().to_owned(), with, with_index }
    }

    /// `{*rest}` may stand for nothing. A route that names just that path is more exact and keeps it.
    fn add_empty_rests(&mut self) {
        for (index, route) in self.list.iter().enumerate() {
            if let Some(before) = route.pattern.before_rest() {
                let _kept_by_the_exact_route = self.router.insert(before, index);
            }
        }
    }
}

impl Route {
    /// The backend of the route; a `channel` has none.
    #[must_use]
    pub fn backend(&self) -> Option<&Backend> {
        match &self.kind {
            Kind::Auto { base, .. } => Some(base),
            Kind::Poll { template, .. } | Kind::Stream { template } => Some(template.backend()),
            Kind::Channel => None,
        }
    }

    /// True if something here is for those who have a token.
    #[must_use]
    pub fn asks_for_tokens(&self) -> bool {
        self.subscribe == Some(Subscribe::Token) || self.publish == Publish::Token
    }

    /// True if what bare clients say is posted to the backend.
    #[must_use]
    pub fn posts(&self) -> bool {
        self.publish == Publish::Nobody && matches!(self.messages, Messages::Post { .. })
    }
}

impl Kind {
    /// The word for it in the configuration.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Auto { .. } => "auto",
            Self::Poll { .. } => "poll",
            Self::Stream { .. } => "stream",
            Self::Channel => "channel",
        }
    }
}

impl Compression {
    /// The word for it in the configuration.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Shared => "shared",
            Self::Takeover => "takeover",
        }
    }
}

impl Doors {
    /// All of them.
    pub const ALL: Self = Self { long_poll: true, lines: true };

    /// Their words in the configuration.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        [("longpoll", self.long_poll), ("ndjson", self.lines)]
            .into_iter()
            .filter(|(_, open)| *open)
            .map(|(name, _)| name)
    }
}

impl FromStr for Share {
    type Err = ShareError;

    /// `identity`, `public`, `authorization` or `cookie:NAME`.
    fn from_str(text: &str) -> Result<Self, ShareError> {
        match text {
            "identity" => Ok(Self::Identity),
            "public" => Ok(Self::Public),
            "authorization" => Ok(Self::Authorization),
            _ => match text.strip_prefix("cookie:") {
                Some(name) if is_token(name) => Ok(Self::Cookie(name.to_owned())),
                _ => Err(ShareError),
            },
        }
    }
}

/// A cookie's name is a token of RFC 9110, section 5.6.2.
pub(crate) fn is_token(name: &str) -> bool {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.len() <= 256 && name.bytes().all(token)
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Identity => f.write_str("identity"),
            Self::Public => f.write_str("public"),
            Self::Cookie(name) => write!(f, "cookie:{name}"),
            Self::Authorization => f.write_str("authorization"),
        }
    }
}

impl fmt::Display for ShareError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("share is one of identity, public, authorization and cookie:NAME")
    }
}

impl std::error::Error for ShareError {}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} and {} match the same paths", self.pattern, self.with)
    }
}

#[cfg(test)]
mod tests;
