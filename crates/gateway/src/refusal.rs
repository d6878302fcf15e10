//! Why a request is answered with something else than it asked for: a status, a sentence for people, and
//! what a backend said where it was the backend that refused.

use std::fmt;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, Response, StatusCode};
use tidegate_hub::Position;
use tidegate_inspect::words::known::{self, Known};
use tidegate_protocol::{ErrorCode, Failing, close_code};
use tidegate_source::UpstreamError;
use tidegate_websocket::CloseCode;

use crate::limits::Limits;
use crate::tokens::Rejected;

/// The field of an answer that has the number of what it is refused for.
const NUMBER: HeaderName = HeaderName::from_static("tidegate-error");

/// An answer that is a refusal.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    /// What it is, for people who ask `tidegate explain`.
    pub(crate) known: &'static Known,
    /// Boxed, so that a result with a refusal stays small.
    headers: Box<HeaderMap>,
    body: Bytes,
    /// For envelopes and logs.
    pub(crate) sentence: String,
    /// What is wrong with the client's credential, as a label of metrics, where it was that.
    pub(crate) credential: Option<&'static str>,
}

impl Refusal {
    /// A refusal of ours: the sentence and the number are the body.
    pub(crate) fn of(known: &'static Known, sentence: impl Into<String>) -> Self {
        debug_assert!(known.goes.status.is_some(), "{known} is met as an answer");
        let status = known.goes.status.and_then(|status| StatusCode::from_u16(status).ok());
        Self::at(status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), known, sentence)
    }

    /// A refusal whose status something else decides.
    pub(crate) fn at(status: StatusCode, known: &'static Known, sentence: impl Into<String>) -> Self {
        let sentence = sentence.into();
        let mut headers = Box::new(HeaderMap::new());
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        let body = Bytes::from(format!("{sentence} ({known})\n"));
        let refusal = Self { status, known, headers, body, sentence, credential: None };
        refusal.with(NUMBER, HeaderValue::from_static(known.tag))
    }

    /// What a request to a backend has failed with.
    pub(crate) fn of_upstream(error: &UpstreamError) -> Self {
        let known = match error {
            UpstreamError::Connect { .. } => known::UPSTREAM_CONNECT,
            UpstreamError::Resolve { .. } => known::UPSTREAM_RESOLVE,
            UpstreamError::Tls { .. } => known::UPSTREAM_TLS,
            UpstreamError::Timeout { .. } => known::UPSTREAM_TIME,
            UpstreamError::TooLarge { .. } => known::UPSTREAM_SIZE,
            UpstreamError::Invalid { .. } => known::UPSTREAM_INVALID,
            UpstreamError::Busy { .. } => known::UPSTREAM_BUSY,
        };
        Self::at(error.status(), known, error.to_string())
    }

    /// What to change in the configuration if such requests are meant to come in.
    pub(crate) fn setting(&self) -> Option<String> {
        let settings =
            [(known::HOST, "access.hosts"), (known::ORIGIN, "access.origins"), (known::NO_ROUTE, "route")];
        let of_credential = |reason| match reason {
            "too_many" => "limits.auth_failures_per_minute",
            _ => "access.tokens",
        };
        let known = settings.iter().find(|(known, _)| known.tag == self.known.tag).map(|(_, key)| *key);
        let known = known.or_else(|| self.credential.map(of_credential)).map(str::to_owned);
        let limit = || self.sentence.split_once(':').and_then(|(key, _)| Limits::row(key));
        known.or_else(|| limit().map(|row| format!("limits.{}", row.key)))
    }

    /// A token is needed and none came.
    pub(crate) fn without_token() -> Self {
        let sentence = "this needs a token: send 'Authorization: Bearer TOKEN'";
        let refusal = Self::of(known::TOKEN_MISSING, sentence).for_credential("missing");
        refusal.with(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"tidegate\""))
    }

    /// The admin listener is for who has its token.
    pub(crate) fn without_admin_token() -> Self {
        let sentence = "the admin listener needs 'Authorization: Bearer TOKEN' with the admin token";
        let refusal = Self::of(known::ADMIN_TOKEN, sentence).for_credential("admin_token");
        refusal.with(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"tidegate\""))
    }

    /// The token that came does not count (RFC 6750, section 3.1).
    pub(crate) fn of_token(rejected: Rejected) -> Self {
        let sentence = rejected.sentence();
        let challenge =
            format!("Bearer realm=\"tidegate\", error=\"invalid_token\", error_description=\"{sentence}\"");
        let refusal = Self::of(rejected.known(), sentence).for_credential(rejected.name());
        let challenge = HeaderValue::from_str(&challenge).unwrap_or(HeaderValue::from_static("Bearer"));
        refusal.with(WWW_AUTHENTICATE, challenge)
    }

    /// The token counts, but not for this.
    pub(crate) fn beyond_token() -> Self {
        Self::of(known::TOKEN_BEYOND, "the token does not grant this channel").for_credential("beyond")
    }

    /// Nobody can say whether the token counts.
    pub(crate) fn without_keys(seconds: u32) -> Self {
        let sentence = "the keys that tokens are checked with cannot be fetched just now";
        let refusal = Self::of(known::KEYS_UNAVAILABLE, sentence).for_credential("keys_unavailable");
        refusal.retry_after(seconds)
    }

    /// The address has brought too many credentials that are no good, or brings too many at once.
    pub(crate) fn too_many_credentials(known: &'static Known, sentence: &str, seconds: u32) -> Self {
        let refusal = Self::of(known, sentence).for_credential("too_many");
        refusal.retry_after(seconds)
    }

    fn for_credential(self, reason: &'static str) -> Self {
        Self { credential: Some(reason), ..self }
    }

    /// Nobody can say whether it was done: the same request may be made again.
    pub(crate) fn unknown_outcome() -> Self {
        let known = known::UNKNOWN_OUTCOME;
        let body = format!("{{\"outcome\":\"unknown\",\"number\":\"{known}\"}}\n");
        Self::of(known, "it is not known whether it was published").with_json(body)
    }

    /// What was to be published depended on a position that is not the channel's: its own, if it has one, is
    /// in the body.
    pub(crate) fn precondition_failed(position: Option<Position>) -> Self {
        let known = known::PRECONDITION;
        let (shown, sentence) = match position {
            Some(position) => (
                format!("\"{position}\""),
                format!("the channel's position is {position}: nothing was published"),
            ),
            None => ("null".to_owned(), "the channel has no position yet: nothing was published".to_owned()),
        };
        Self::of(known, sentence).with_json(format!("{{\"position\":{shown},\"number\":\"{known}\"}}\n"))
    }

    /// The same with a body for programs.
    fn with_json(mut self, body: String) -> Self {
        self.body = Bytes::from(body);
        self.with(CONTENT_TYPE, HeaderValue::from_static("application/json"))
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
        let (status, headers) = (parts.status, Box::new(parts.headers));
        Self { status, known: known::UPSTREAM_REFUSED, headers, body, sentence, credential: None }
    }

    /// What an `error` says of it. Its code follows from the status, which may be a backend's.
    pub(crate) fn failing(&self) -> Failing<'_> {
        Failing { code: self.error_code(), number: self.known.tag, message: &self.sentence }
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

    /// The whole answer as bytes of HTTP/1.1, for a connection that ends with it and never comes to a server of HTTP.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut answer = format!("HTTP/1.1 {}\r\n", self.status).into_bytes();
        for (name, value) in self.headers.iter() {
            answer.extend_from_slice(name.as_str().as_bytes());
            answer.extend_from_slice(b": ");
            answer.extend_from_slice(value.as_bytes());
            answer.extend_from_slice(b"\r\n");
        }
        let length = self.body.len();
        answer.extend_from_slice(format!("content-length: {length}\r\nconnection: close\r\n\r\n").as_bytes());
        answer.extend_from_slice(&self.body);
        answer
    }

    /// The whole answer.
    pub(crate) fn into_response(self) -> Response<Bytes> {
        let mut response = Response::new(self.body);
        *response.status_mut() = self.status;
        *response.headers_mut() = *self.headers;
        response
    }
}

/// What an `error` says of something that is met as such.
pub(crate) fn failing<'m>(known: &'static Known, message: &'m str) -> Failing<'m> {
    let code = known.goes.code.and_then(ErrorCode::of_name);
    debug_assert!(code.is_some(), "{known} is met as an `error`");
    Failing { code: code.unwrap_or(ErrorCode::Internal), number: known.tag, message }
}

/// The close code that goes with an error.
pub(crate) fn close_code_of(known: &Known) -> CloseCode {
    debug_assert!(known.goes.close.is_some(), "{known} is met as a close");
    known.goes.close.map_or(CloseCode::INTERNAL_ERROR, CloseCode::new)
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.status, self.sentence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_error_says_is_what_the_table_of_errors_says() {
        for known in known::all().filter(|known| known.goes.status.is_some()) {
            let refusal = Refusal::of(known, "why");
            assert_eq!(refusal.failing().number, known.tag);
            let code = refusal.error_code().as_str();
            assert!(known.goes.code.is_none_or(|expected| expected == code), "{known}: {code}");
        }
    }

    #[test]
    fn every_code_of_the_table_of_errors_is_one() {
        for known in known::all() {
            assert!(known.goes.code.is_none_or(|code| ErrorCode::of_name(code).is_some()), "{known}");
        }
    }

    #[test]
    fn a_refusal_carries_its_number_in_a_field_and_in_words() {
        let text =
            String::from_utf8(Refusal::of(known::NO_ROUTE, "no route for /x").to_bytes()).expect("text");
        assert!(text.starts_with("HTTP/1.1 404 Not Found\r\n"), "{text}");
        assert!(text.contains("\r\ntidegate-error: TG-2101\r\n"), "{text}");
        assert!(text.contains("\r\ncontent-length: 26\r\nconnection: close\r\n"), "{text}");
        assert!(text.ends_with("\r\n\r\nno route for /x (TG-2101)\n"), "{text}");
    }
}
