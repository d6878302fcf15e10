//! The codes of `error` envelopes, the same on every door, and Tidegate's own close codes. What they
//! mean to a client is in `docs/protocol.md`.

use std::fmt;

/// Close codes of the private range (RFC 6455, section 7.4.2) with one meaning on every door. They follow
/// the HTTP statuses: 44xx means that coming back the same way does not help, but for 4429.
pub mod close_code {
    /// What the client sent cannot be read.
    pub const BAD_REQUEST: u16 = 4400;
    /// Credentials are missing, expired or refused.
    pub const UNAUTHORIZED: u16 = 4401;
    /// The route does not allow it.
    pub const FORBIDDEN: u16 = 4403;
    /// No such route.
    pub const NOT_FOUND: u16 = 4404;
    /// The client was too slow to say what it must say.
    pub const TIMEOUT: u16 = 4408;
    /// The position asked for cannot be resumed and there is no document instead.
    pub const POSITION_UNRECOVERABLE: u16 = 4409;
    /// Too many in too short a time.
    pub const RATE_LIMITED: u16 = 4429;
}

/// Why something that a client asked for, or waits for, is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorCode {
    /// The server behind the gateway fails; it may come back.
    Upstream,
    /// A credential is missing or was refused.
    Unauthorized,
    /// The route does not allow it.
    Forbidden,
    /// No route for the channel.
    NotFound,
    /// The command cannot be read.
    BadRequest,
    /// More bytes than the limit.
    TooLarge,
    /// Too many in too short a time.
    RateLimited,
    /// A limit on numbers, named in the message.
    Limit,
    /// The position asked for cannot be resumed.
    Unrecoverable,
    /// The gateway's own fault.
    Internal,
}

/// What an `error` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failing<'a> {
    /// Of which kind it is.
    pub code: ErrorCode,
    /// Which error of Tidegate it is, such as `TG-2101`, for people who look it up.
    pub number: &'static str,
    /// A sentence.
    pub message: &'a str,
}

impl ErrorCode {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Upstream,
        Self::Unauthorized,
        Self::Forbidden,
        Self::NotFound,
        Self::BadRequest,
        Self::TooLarge,
        Self::RateLimited,
        Self::Limit,
        Self::Unrecoverable,
        Self::Internal,
    ];

    /// The code that stands so in an envelope.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.as_str() == name)
    }

    /// The code as it stands in an envelope.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Upstream => "upstream",
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::BadRequest => "bad_request",
            Self::TooLarge => "too_large",
            Self::RateLimited => "rate_limited",
            Self::Limit => "limit",
            Self::Unrecoverable => "unrecoverable",
            Self::Internal => "internal",
        }
    }

    /// Whether the same request may succeed later.
    #[must_use]
    pub fn retry(self) -> bool {
        match self {
            Self::Upstream | Self::RateLimited | Self::Limit | Self::Internal => true,
            Self::Unauthorized
            | Self::Forbidden
            | Self::NotFound
            | Self::BadRequest
            | Self::TooLarge
            | Self::Unrecoverable => false,
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
