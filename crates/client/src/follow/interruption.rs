//! Why a follower has no connection, and whether coming back can help.
//!
//! What helps is decided by the status of a refusal and by the close code; both are API (docs/protocol.md).

use std::fmt;
use std::time::{Duration, SystemTime};

use tidegate_protocol::{EnvelopeError, close_code};
use tidegate_websocket::ProtocolError;

use super::backoff::Asked;
use crate::event::Close;
use crate::failure::{ConnectError, Http2Error};
use crate::refusal::Refused;

/// What ended a connection, or kept it from being opened.
#[derive(Debug)]
pub enum Interruption {
    /// It could not be opened.
    Connect(ConnectError),
    /// It was closed, or it broke.
    Closed(Close),
    /// The gateway broke a rule of the WebSocket protocol.
    Protocol(ProtocolError),
    /// The server did not agree to `tidegate.v1`: it is no gateway, or the route is not one of channels.
    NotSpoken,
    /// What came is no envelope.
    Unreadable(EnvelopeError),
    /// Every channel that was followed has ended.
    NothingLeft,
}

/// Whether and when to come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    ComeBack(Asked),
    /// The same, but what was followed cannot be resumed.
    ComeBackWithout,
    GiveUp,
}

impl Interruption {
    /// What was followed cannot be resumed where it was; without a position the gateway takes the client.
    #[must_use]
    pub fn loses_position(&self) -> bool {
        matches!(self, Self::Closed(close) if of_code(close.code.get()) == Verdict::ComeBackWithout)
    }

    /// Whether another token may help.
    pub(super) fn is_about_credentials(&self) -> bool {
        match self {
            Self::Connect(ConnectError::Refused(refused)) => refused.status == 401,
            Self::Closed(close) => close.code.get() == close_code::UNAUTHORIZED,
            _ => false,
        }
    }

    pub(super) fn verdict(&self, now: SystemTime) -> Verdict {
        match self {
            Self::Connect(error) => of_failure(error, now),
            Self::Closed(close) => of_code(close.code.get()),
            Self::Protocol(_) | Self::NotSpoken | Self::Unreadable(_) | Self::NothingLeft => Verdict::GiveUp,
        }
    }
}

fn of_failure(error: &ConnectError, now: SystemTime) -> Verdict {
    match error {
        ConnectError::Refused(refused) => match refused.status {
            408 | 429 | 500..=599 => Verdict::ComeBack(retry_after(refused, now)),
            // Others mean that the same request will not do, or that it is not for this URL.
            _ => Verdict::GiveUp,
        },
        ConnectError::Dial(_)
        | ConnectError::Lost(_)
        | ConnectError::Timeout { .. }
        | ConnectError::Http2(Http2Error::Broken(_)) => Verdict::ComeBack(Asked::Nothing),
        // A certificate that is not believed, and not a network that broke.
        ConnectError::Tls(error) if error.kind() == std::io::ErrorKind::InvalidData => Verdict::GiveUp,
        ConnectError::Tls(_) => Verdict::ComeBack(Asked::Nothing),
        ConnectError::Url(_)
        | ConnectError::Request(_)
        | ConnectError::Trust(_)
        | ConnectError::Authority(_)
        | ConnectError::NotTls(_)
        | ConnectError::Handshake(_)
        | ConnectError::Http2(Http2Error::NotAgreed | Http2Error::NoConnect) => Verdict::GiveUp,
    }
}

/// Seconds, or a date (RFC 9110, section 10.2.3).
fn retry_after(refused: &Refused, now: SystemTime) -> Asked {
    let Some(text) = refused.header("retry-after") else { return Asked::Nothing };
    if let Ok(seconds) = text.parse() {
        return Asked::AtLeast(Duration::from_secs(seconds));
    }
    match httpdate::parse_http_date(text) {
        Ok(date) => Asked::AtLeast(date.duration_since(now).unwrap_or_default()),
        Err(_) => Asked::Nothing,
    }
}

/// By the meaning of the codes: what was asked for will not do, or not now.
fn of_code(code: u16) -> Verdict {
    match code {
        1012 => Verdict::ComeBack(Asked::Restart),
        close_code::POSITION_UNRECOVERABLE => Verdict::ComeBackWithout,
        close_code::TIMEOUT | close_code::RATE_LIMITED => Verdict::ComeBack(Asked::Nothing),
        // The end was meant; or we broke a rule, and would again; or 44xx and its like of the registry.
        1000 | 1002 | 1003 | 1007 | 1009 | 1010 | 3000 | 3003 | 4400..=4499 => Verdict::GiveUp,
        _ => Verdict::ComeBack(Asked::Nothing),
    }
}

impl fmt::Display for Interruption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(error) => error.fmt(f),
            Self::Closed(close) if close.reason.is_empty() => write!(f, "closed with {}", close.code.get()),
            Self::Closed(close) => write!(f, "closed with {}: {}", close.code.get(), close.reason),
            Self::Protocol(error) => error.fmt(f),
            Self::NotSpoken => f.write_str("the server does not speak tidegate.v1"),
            Self::Unreadable(error) => error.fmt(f),
            Self::NothingLeft => f.write_str("every channel has ended"),
        }
    }
}

impl std::error::Error for Interruption {}

#[cfg(test)]
mod tests {
    use std::io;
    use std::time::UNIX_EPOCH;

    use tidegate_websocket::CloseCode;

    use super::*;
    use crate::event::End;

    fn refused(status: u16, retry_after: Option<&str>) -> Verdict {
        let headers = retry_after.map(|text| ("Retry-After".to_owned(), text.as_bytes().to_vec()));
        let headers = headers.into_iter().collect();
        let refused = Refused { status, headers, body: Vec::new(), complete: true };
        Interruption::Connect(ConnectError::Refused(Box::new(refused))).verdict(UNIX_EPOCH)
    }

    #[test]
    fn refusals() {
        for status in [301, 400, 401, 403, 404, 405, 421, 426, 431] {
            assert_eq!(refused(status, Some("1")), Verdict::GiveUp, "{status}");
        }
        for status in [408, 429, 500, 502, 503, 504] {
            assert_eq!(refused(status, None), Verdict::ComeBack(Asked::Nothing), "{status}");
        }
        let seconds = |seconds| Verdict::ComeBack(Asked::AtLeast(Duration::from_secs(seconds)));
        assert_eq!(refused(503, Some("7")), seconds(7));
        assert_eq!(refused(503, Some("Thu, 01 Jan 1970 00:01:00 GMT")), seconds(60));
        assert_eq!(refused(503, Some("soon")), Verdict::ComeBack(Asked::Nothing));
    }

    #[test]
    fn close_codes() {
        let verdict = |code| {
            let close = Close { code: CloseCode::new(code), reason: String::new(), end: End::CloseFrame };
            Interruption::Closed(close).verdict(UNIX_EPOCH)
        };
        for code in [1000, 1002, 1009, 3000, 3003, 4400, 4401, 4403, 4404, 4499] {
            assert_eq!(verdict(code), Verdict::GiveUp, "{code}");
        }
        for code in [1001, 1005, 1006, 1008, 1011, 1013, 1014, 4000, 4408, 4429, 4999] {
            assert_eq!(verdict(code), Verdict::ComeBack(Asked::Nothing), "{code}");
        }
        assert_eq!(verdict(1012), Verdict::ComeBack(Asked::Restart));
        assert_eq!(verdict(4409), Verdict::ComeBackWithout);
    }

    #[test]
    fn a_network_that_broke_is_not_a_certificate_that_is_not_believed() {
        let tls = |kind| Interruption::Connect(ConnectError::Tls(io::Error::from(kind))).verdict(UNIX_EPOCH);
        assert_eq!(tls(io::ErrorKind::InvalidData), Verdict::GiveUp);
        assert_eq!(tls(io::ErrorKind::ConnectionReset), Verdict::ComeBack(Asked::Nothing));
    }
}
