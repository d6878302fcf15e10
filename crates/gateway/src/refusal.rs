//! Why a request is answered with something else than it asked for: a status, a sentence for people, and
//! what a backend said where it was the backend that refused.

use std::fmt;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, Response, StatusCode};
use tidegate_hub::Position;
use tidegate_protocol::{ErrorCode, close_code};
use tidegate_websocket::CloseCode;

use crate::tokens::Rejected;

/// An answer that is a refusal.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    /// Boxed, so that a result with a refusal stays small.
    headers: Box<HeaderMap>,
    body: Bytes,
    /// For envelopes and logs.
    pub(crate) sentence: String,
    /// What is wrong with the client's credential, as a label of metrics, where it was that.
    pub(crate) credential: Option<&'static str>,
}

impl Refusal {
    /// A refusal of ours: the sentence is the body.
    pub(crate) fn new(status: StatusCode, sentence: impl Into<String>) -> Self {
        let sentence = sentence.into();
        let mut headers = Box::new(HeaderMap::new());
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        let body = Bytes::from(format!("{sentence}\n"));
        Self { status, headers, body, sentence, credential: None }
    }

    /// A token is needed and none came.
    pub(crate) fn without_token() -> Self {
        let sentence = "this needs a token: send 'Authorization: Bearer TOKEN'";
        let refusal = Self::new(StatusCode::UNAUTHORIZED, sentence).for_credential("missing");
        refusal.with(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"tidegate\""))
    }

    /// The admin listener is for who has its token.
    pub(crate) fn without_admin_token() -> Self {
        let sentence = "the admin listener needs 'Authorization: Bearer TOKEN' with the admin token";
        let refusal = Self::new(StatusCode::UNAUTHORIZED, sentence).for_credential("admin_token");
        refusal.with(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"tidegate\""))
    }

    /// The token that came does not count (RFC 6750, section 3.1).
    pub(crate) fn of_token(rejected: Rejected) -> Self {
        let sentence = rejected.sentence();
        let challenge =
            format!("Bearer realm=\"tidegate\", error=\"invalid_token\", error_description=\"{sentence}\"");
        let refusal = Self::new(StatusCode::UNAUTHORIZED, sentence).for_credential(rejected.name());
        let challenge = HeaderValue::from_str(&challenge).unwrap_or(HeaderValue::from_static("Bearer"));
        refusal.with(WWW_AUTHENTICATE, challenge)
    }

    /// The token counts, but not for this.
    pub(crate) fn beyond_token() -> Self {
        Self::new(StatusCode::FORBIDDEN, "the token does not grant this channel").for_credential("beyond")
    }

    /// Nobody can say whether the token counts.
    pub(crate) fn without_keys(seconds: u32) -> Self {
        let sentence = "the keys that tokens are checked with cannot be fetched just now";
        let refusal = Self::new(StatusCode::SERVICE_UNAVAILABLE, sentence).for_credential("keys_unavailable");
        refusal.retry_after(seconds)
    }

    /// The address has brought too many credentials that are no good, or brings too many at once.
    pub(crate) fn too_many_credentials(sentence: &str, seconds: u32) -> Self {
        let refusal = Self::new(StatusCode::TOO_MANY_REQUESTS, sentence).for_credential("too_many");
        refusal.retry_after(seconds)
    }

    fn for_credential(self, reason: &'static str) -> Self {
        Self { credential: Some(reason), ..self }
    }

    /// Nobody can say whether it was done: the same request may be made again.
    pub(crate) fn unknown_outcome() -> Self {
        let mut refusal =
            Self::new(StatusCode::SERVICE_UNAVAILABLE, "it is not known whether it was published");
        refusal.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        refusal.body = Bytes::from_static(b"{\"outcome\":\"unknown\"}\n");
        refusal
    }

    /// What was to be published depended on a position that is not the channel's: its own, if it has one, is
    /// in the body.
    pub(crate) fn precondition_failed(position: Option<Position>) -> Self {
        let (body, sentence) = match position {
            Some(position) => (
                format!("{{\"position\":\"{position}\"}}\n"),
                format!("the channel's position is {position}: nothing was published"),
            ),
            None => (
                "{\"position\":null}\n".to_owned(),
                "the channel has no position yet: nothing was published".to_owned(),
            ),
        };
        let mut refusal = Self::new(StatusCode::PRECONDITION_FAILED, sentence);
        refusal.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        refusal.body = Bytes::from(body);
        refusal
    }

    /// The same with one more header.
    #[must_use]
    pub(crate) fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// The same with a hint when to come back.
    #[must_use]
    pub(crate) fn retry_after(self, seconds: u32) -> Self {
        self.with(RETRY_AFTER, HeaderValue::from(seconds))
    }

    /// What the backend answered instead.
    pub(crate) fn of_backend(answer: Response<Bytes>) -> Self {
        let (parts, body) = answer.into_parts();
        let sentence = format!("the backend answered {}", parts.status);
        Self { status: parts.status, headers: Box::new(parts.headers), body, sentence, credential: None }
    }

    /// The code of an `error` envelope that says the same.
    pub(crate) fn error_code(&self) -> ErrorCode {
        match self.status.as_u16() {
            400 | 414 | 431 => ErrorCode::BadRequest,
            401 => ErrorCode::Unauthorized,
            403 | 421 => ErrorCode::Forbidden,
            404 => ErrorCode::NotFound,
            413 => ErrorCode::TooLarge,
            429 => ErrorCode::RateLimited,
            503 => ErrorCode::Limit,
            _ => ErrorCode::Upstream,
        }
    }

    /// The close code that says the same, for a connection that is open already.
    pub(crate) fn close_code(&self) -> CloseCode {
        CloseCode::new(match self.error_code() {
            ErrorCode::BadRequest => close_code::BAD_REQUEST,
            ErrorCode::Unauthorized => close_code::UNAUTHORIZED,
            ErrorCode::Forbidden => close_code::FORBIDDEN,
            ErrorCode::NotFound => close_code::NOT_FOUND,
            ErrorCode::RateLimited => close_code::RATE_LIMITED,
            ErrorCode::TooLarge => return CloseCode::MESSAGE_TOO_BIG,
            ErrorCode::Limit | ErrorCode::Unrecoverable => return CloseCode::TRY_AGAIN_LATER,
            ErrorCode::Upstream => return CloseCode::BAD_GATEWAY,
            ErrorCode::Internal => return CloseCode::INTERNAL_ERROR,
        })
    }

    /// The whole answer.
    pub(crate) fn into_response(self) -> Response<Bytes> {
        let mut response = Response::new(self.body);
        *response.status_mut() = self.status;
        *response.headers_mut() = *self.headers;
        response
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.status, self.sentence)
    }
}
