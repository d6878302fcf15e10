//! One GET of a source: the fixed headers, at most one redirect within the origin, and what an answer that
//! is no document means. Used by polls, streams and the GET that decides; it neither waits nor repeats.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{
    ACCEPT, ACCEPT_ENCODING, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, HeaderMap,
    HeaderName, HeaderValue, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE,
    LOCATION, RANGE, TE, TRAILER, TRANSFER_ENCODING, UPGRADE, USER_AGENT,
};
use http::{Method, Request, StatusCode, Uri};

use crate::freshness::{elements, printable, retry_after};
use crate::origin::Origin;
use crate::upstream::{Pending, Upstream, UpstreamError};

const AGENT: HeaderValue = HeaderValue::from_static(concat!("tidegate/", env!("CARGO_PKG_VERSION")));
/// The id that a stream is to go on from.
pub(crate) const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// What every source accepts unless it says otherwise.
pub(crate) const ANYTHING: HeaderValue = HeaderValue::from_static("*/*");
/// What a client's own request may carry that has no place in one of ours.
const NOT_OURS: [HeaderName; 10] = [
    ACCEPT_ENCODING,
    CONTENT_TYPE,
    EXPECT,
    IF_MATCH,
    IF_MODIFIED_SINCE,
    IF_NONE_MATCH,
    IF_RANGE,
    IF_UNMODIFIED_SINCE,
    LAST_EVENT_ID,
    RANGE,
];

/// What is asked for, and as whom.
#[derive(Debug, Clone)]
pub struct Target {
    /// An absolute `http` or `https` URL.
    pub uri: Uri,
    /// The headers of the identity (`Cookie`, `Authorization`), or a client's own for a request that is
    /// shared with nobody.
    pub headers: HeaderMap,
}

/// What came of one GET.
pub(crate) struct Answer {
    pub(crate) pending: Pending,
    /// Where to ask from now on (301, 308).
    pub(crate) moved: Option<Uri>,
}

/// An answer that is neither a document nor "not modified".
pub(crate) enum Refusal {
    /// The backend does not want this identity.
    Unauthorized(String),
    /// It may be well later.
    Failing {
        /// A sentence for people.
        reason: String,
        /// When to ask again.
        retry_after: Option<Duration>,
    },
}

/// Asks once, and once more where the answer leads to another URL of the same origin.
pub(crate) async fn get(
    upstream: &Upstream,
    target: &Target,
    accept: HeaderValue,
    extra: Option<(HeaderName, HeaderValue)>,
) -> Result<Answer, UpstreamError> {
    let mut request = Request::new(Bytes::new());
    *request.method_mut() = Method::GET;
    *request.uri_mut() = target.uri.clone();
    *request.headers_mut() = request_headers(target, accept, extra);
    let pending = upstream.ask(&request).await?;
    let Some(next) =
        redirect(&target.uri, &pending).filter(|next| Origin::of(next).as_ref() == Some(&pending.origin))
    else {
        return Ok(Answer { pending, moved: None });
    };
    let permanent =
        matches!(pending.response.status(), StatusCode::MOVED_PERMANENTLY | StatusCode::PERMANENT_REDIRECT);
    // Read to its end so that the connection can serve the next request; what goes wrong shows there.
    let _ = upstream.within_total(request.uri(), upstream.collect(pending)).await;
    *request.uri_mut() = next.clone();
    let pending = upstream.ask(&request).await?;
    Ok(Answer { pending, moved: permanent.then_some(next) })
}

impl Answer {
    pub(crate) fn status(&self) -> StatusCode {
        self.pending.response.status()
    }

    pub(crate) fn headers(&self) -> &HeaderMap {
        self.pending.response.headers()
    }

    /// Why the answer cannot be used, if it cannot: it is no success, or encoded in a way not asked for.
    pub(crate) fn refusal(&self, asked: &Uri) -> Option<Refusal> {
        let status = self.status();
        let origin = &self.pending.origin;
        if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            return Some(Refusal::Unauthorized(format!("{origin} answered {status}")));
        }
        if let Some(next) = redirect(asked, &self.pending) {
            return Some(match Origin::of(&next) {
                Some(next) if next == *origin => {
                    failing(format!("{origin} redirects more than once: {status}"))
                }
                Some(next) => Refusal::Unauthorized(format!("{origin} sends elsewhere: {status} to {next}")),
                None => Refusal::Unauthorized(format!("{origin} sends elsewhere: {status}")),
            });
        }
        if !status.is_success() || status == StatusCode::PARTIAL_CONTENT {
            let retry_after = retry_after(self.headers(), SystemTime::now());
            return Some(Refusal::Failing { reason: format!("{origin} answered {status}"), retry_after });
        }
        self.foreign_encoding().map(failing)
    }

    /// A content encoding, though none was asked for.
    pub(crate) fn foreign_encoding(&self) -> Option<String> {
        let encodings = self.headers().get_all(CONTENT_ENCODING);
        let foreign = encodings.iter().find(|value| !value.as_bytes().eq_ignore_ascii_case(b"identity"))?;
        let (origin, encoding) = (&self.pending.origin, printable(foreign));
        Some(format!("{origin} encodes its answer ({encoding}) though only identity was asked for"))
    }
}

fn failing(reason: String) -> Refusal {
    Refusal::Failing { reason, retry_after: None }
}

fn request_headers(
    target: &Target,
    accept: HeaderValue,
    extra: Option<(HeaderName, HeaderValue)>,
) -> HeaderMap {
    let mut headers = target.headers.clone();
    strip_hop_by_hop(&mut headers);
    for name in NOT_OURS {
        headers.remove(name);
    }
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    headers.entry(ACCEPT).or_insert(accept);
    headers.entry(USER_AGENT).or_insert(AGENT);
    headers.extend(extra);
    headers
}

/// Removes what belongs to one connection (RFC 9110 section 7.6.1), and the length, which whoever sends the
/// message on writes anew.
pub(crate) fn strip_hop_by_hop(headers: &mut HeaderMap) {
    let nominated: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .flat_map(|line| elements(line.as_bytes()))
        .filter_map(|name| HeaderName::from_bytes(name).ok())
        .collect();
    for name in
        nominated.into_iter().chain([CONNECTION, CONTENT_LENGTH, TE, TRAILER, TRANSFER_ENCODING, UPGRADE])
    {
        headers.remove(name);
    }
    for name in ["keep-alive", "proxy-connection", "proxy-authenticate", "proxy-authorization"] {
        headers.remove(name);
    }
}

/// The media type of a message in lower case, without its parameters; empty where there is none.
pub(crate) fn media_type(headers: &HeaderMap) -> String {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// Where a redirect leads; relative references are resolved (RFC 9110 section 10.2.2).
fn redirect(asked: &Uri, pending: &Pending) -> Option<Uri> {
    use StatusCode as S;
    let redirects =
        [S::MOVED_PERMANENTLY, S::FOUND, S::SEE_OTHER, S::TEMPORARY_REDIRECT, S::PERMANENT_REDIRECT];
    if !redirects.contains(&pending.response.status()) {
        return None;
    }
    let location = pending.response.headers().get(LOCATION)?.to_str().ok()?;
    let mut next = url::Url::parse(&asked.to_string()).ok()?.join(location).ok()?;
    next.set_fragment(None);
    next.as_str().parse().ok()
}
