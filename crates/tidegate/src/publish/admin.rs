//! Requests to an admin listener: HTTP/1.1 over one kept-alive connection.
//!
//! Publishing is repeated once when a kept connection turned out to be closed; the idempotency key makes
//! that harmless. Answers are read within a bound.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderValue, IF_MATCH};
use hyper::{Method, Request, Uri};
use hyper_util::rt::TokioIo;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use tidegate_hub::{ChannelName, Position};
use tidegate_inspect::words::known;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::exit::Failure;
use crate::terminal::escape;

/// For connecting, and for one answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Largest answer.
const ANSWER_MAX_BYTES: usize = 64 * 1024;

/// What stands as it is in a path: all but unreserved characters and the slash is escaped.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// Where publications go.
pub(super) struct Admin {
    base: Uri,
    authorization: Option<HeaderValue>,
    sender: Option<SendRequest<Full<Bytes>>>,
}

/// What a publication became.
#[derive(Debug, Deserialize)]
pub(super) struct Published {
    pub(super) position: String,
    pub(super) subscribers: u64,
}

/// One publication.
pub(super) struct Item {
    pub(super) content_type: &'static str,
    pub(super) body: Bytes,
    /// Names the publication, so that sending it twice publishes it once.
    pub(super) key: String,
    /// Where the channel must stand for it to be published.
    pub(super) if_match: Option<Position>,
}

/// Why there is no answer.
enum NoAnswer {
    /// The connection was closed before the answer.
    Closed(hyper::Error),
    Late,
    Unreachable(io::Error),
}

impl Admin {
    /// `url` is that of the listener, without a path.
    pub(super) fn new(url: &str, token: Option<&str>) -> Result<Self, Failure> {
        let base = parse(url)?;
        let authorization = match token {
            None => None,
            Some(token) => {
                let mut value = HeaderValue::try_from(format!("Bearer {token}")).map_err(|_| {
                    Failure::of(known::BAD_TOKEN, "the token holds characters that no header has")
                        .mend("look at --token and TIDEGATE_ADMIN_TOKEN: was a line end copied with it?")
                })?;
                value.set_sensitive(true);
                Some(value)
            }
        };
        Ok(Self { base, authorization, sender: None })
    }

    /// Publishes, and waits for the answer.
    pub(super) async fn publish(&mut self, channel: &ChannelName, item: &Item) -> Result<Published, Failure> {
        let was_used = self.sender.is_some();
        let answer = match self.exchange(channel, item).await {
            Err(NoAnswer::Closed(_)) if was_used => {
                self.sender = None;
                self.exchange(channel, item).await
            }
            other => other,
        };
        let (status, body) = answer.map_err(|error| self.unanswered(&error))?;
        let has_token = self.authorization.is_some();
        match status {
            200..=202 => serde_json::from_slice(&body).map_err(|_| {
                Failure::of(known::NOT_ADMIN, format!("{} does not answer as an admin listener", self.base))
                    .mend("is this the admin listener? --admin URL or TIDEGATE_ADMIN_URL")
            }),
            _ => Err(refusal(status, &body, has_token)),
        }
    }

    async fn exchange(&mut self, channel: &ChannelName, item: &Item) -> Result<(u16, Bytes), NoAnswer> {
        let request = self.request(channel, item);
        let sender = match &mut self.sender {
            Some(sender) => sender,
            empty => empty.insert(connect(&self.base).await?),
        };
        let exchange = async {
            sender.ready().await?;
            let response = sender.send_request(request).await?;
            let status = response.status().as_u16();
            // A body that is too long or broken says nothing; the status does.
            let body = Limited::new(response.into_body(), ANSWER_MAX_BYTES).collect().await;
            Ok((status, body.map(|body| body.to_bytes()).unwrap_or_default()))
        };
        match timeout(TIMEOUT, exchange).await {
            Ok(answer) => answer.map_err(NoAnswer::Closed),
            Err(_) => Err(NoAnswer::Late),
        }
    }

    fn request(&self, channel: &ChannelName, item: &Item) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(item.body.clone()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = target(channel);
        let headers = request.headers_mut();
        if let Some(host) = self.base.authority().and_then(|host| HeaderValue::try_from(host.as_str()).ok()) {
            headers.insert(HOST, host);
        }
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(item.content_type));
        // Without it an empty message would be a request without a body.
        headers.insert(CONTENT_LENGTH, HeaderValue::from(item.body.len()));
        if let Ok(key) = HeaderValue::try_from(&item.key) {
            headers.insert("idempotency-key", key);
        }
        if let Some(position) = item.if_match.and_then(|at| HeaderValue::try_from(at.to_string()).ok()) {
            headers.insert(IF_MATCH, position);
        }
        if let Some(authorization) = &self.authorization {
            headers.insert(AUTHORIZATION, authorization.clone());
        }
        request
    }

    fn unanswered(&self, error: &NoAnswer) -> Failure {
        let base = &self.base;
        match error {
            NoAnswer::Unreachable(error) if error.kind() == io::ErrorKind::TimedOut => {
                Failure::of(known::ADMIN_TIME, format!("no connection to {base} within {TIMEOUT:?}"))
            }
            NoAnswer::Unreachable(error) => {
                Failure::of(known::UNREACHABLE, format!("cannot connect to {base}: {error}")).mend(
                    "is the gateway running? tidegate serve; its admin listener is named with --admin URL",
                )
            }
            NoAnswer::Closed(error) => Failure::of(
                known::NO_ANSWER,
                format!("{base} ended the connection without an answer: {error}"),
            )
            .mend("whether it was published is unknown; the gateway's log may say why"),
            NoAnswer::Late => {
                Failure::of(known::ADMIN_TIME, format!("no answer from {base} within {TIMEOUT:?}"))
                    .mend("whether it was published is unknown")
            }
        }
    }
}

fn parse(url: &str) -> Result<Uri, Failure> {
    let wrong = |why: &str| {
        Failure::of(known::ADMIN_URL, format!("{}: {why}", escape(url)))
            .mend("write such as http://127.0.0.1:8081")
    };
    let uri: Uri = url.parse().map_err(|_| wrong("not a URL"))?;
    match uri.scheme_str() {
        Some("http") => {}
        Some("https") => return Err(wrong("the admin listener does not speak TLS")),
        _ => return Err(wrong("not an http:// URL")),
    }
    if !matches!(uri.path_and_query().map(|rest| rest.as_str()), None | Some("/")) {
        return Err(wrong("a path or query does not belong there"));
    }
    match uri.authority() {
        Some(authority) if !authority.as_str().contains('@') => Ok(uri),
        _ => Err(wrong("no host, or credentials before it; the token goes into --token")),
    }
}

/// `/channels/` and the name, its question mark and all but plain characters escaped.
fn target(channel: &ChannelName) -> Uri {
    let name = channel.to_string();
    let encoded = utf8_percent_encode(&name, ESCAPED);
    format!("/channels/{encoded}").parse().unwrap_or_else(|_| Uri::from_static("/channels/"))
}

async fn connect(base: &Uri) -> Result<SendRequest<Full<Bytes>>, NoAnswer> {
    let host = base.host().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let connecting = TcpStream::connect((host, base.port_u16().unwrap_or(80)));
    let late = |_| NoAnswer::Unreachable(io::ErrorKind::TimedOut.into());
    let stream = timeout(TIMEOUT, connecting).await.map_err(late)?.map_err(NoAnswer::Unreachable)?;
    // A small request should not wait for an acknowledgement; a socket that refuses works too.
    let _ = stream.set_nodelay(true);
    let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(NoAnswer::Closed)?;
    // How it ends is told by the sender.
    tokio::spawn(async move {
        let _ = connection.await;
    });
    Ok(sender)
}

/// What the server said, and what can be done about it.
fn refusal(status: u16, body: &[u8], has_token: bool) -> Failure {
    let text = String::from_utf8_lossy(body);
    let sentence = sentence(&text).unwrap_or_else(|| text.trim().to_owned());
    let sentence = if sentence.is_empty() { String::new() } else { format!(": {}", escape(&sentence)) };
    let known = if (400..500).contains(&status) { known::REFUSED } else { known::FAILED };
    let failure = Failure::of(known, format!("the server refused it with {status}{sentence}"));
    match status {
        401 | 403 if has_token => {
            failure.mend("the token is not that of this gateway: --token or TIDEGATE_ADMIN_TOKEN")
        }
        401 | 403 => failure.mend("give the admin token: --token or TIDEGATE_ADMIN_TOKEN"),
        404 => {
            failure.mend("no route is a channel that can be published to under this name; see tidegate check")
        }
        412 => {
            failure.mend("somebody has published in between: read what, then publish after the new position")
        }
        413 => failure.mend("send less, or raise max_publication under [limits]"),
        429 => failure.mend("publish more slowly: --lines --rate N"),
        503 => failure.mend("whether it was published is unknown; publishing again may publish it twice"),
        _ => failure,
    }
}

/// The sentence in a JSON answer of a server.
pub(crate) fn sentence(body: &str) -> Option<String> {
    let answer: serde_json::Value = serde_json::from_str(body).ok()?;
    match answer.get("position") {
        Some(serde_json::Value::String(position)) => {
            return Some(numbered(&answer, format!("the channel stands at {position}")));
        }
        Some(_) => return Some(numbered(&answer, "the channel has no position".to_owned())),
        None => {}
    }
    if let Some(outcome) = answer.get("outcome").and_then(serde_json::Value::as_str) {
        return Some(numbered(&answer, format!("the outcome is {outcome}")));
    }
    let found = ["message", "error", "reason"].iter().find_map(|name| answer.get(name));
    let found = found?;
    let text = found.as_str().or_else(|| found.get("message").and_then(serde_json::Value::as_str));
    text.map(str::to_owned)
}

/// The sentence with the number that a gateway gives for it.
fn numbered(answer: &serde_json::Value, sentence: String) -> String {
    match answer.get("number").and_then(serde_json::Value::as_str) {
        Some(number) => format!("{sentence} ({number})"),
        None => sentence,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::Exit;

    #[test]
    fn names_as_targets() {
        for (name, path) in [
            ("quotes/BTC", "/channels/quotes/BTC"),
            ("/quotes/BTC", "/channels/quotes/BTC"),
            ("/", "/channels//"),
            ("search?q=a b&c=%20", "/channels/search%3Fq%3Da%20b%26c%3D%2520"),
            ("50%", "/channels/50%25"),
            ("münze", "/channels/m%C3%BCnze"),
        ] {
            let name = ChannelName::from_text(name).expect("a name");
            let target = target(&name);
            assert_eq!(target.to_string(), path);
            let rest = target.path().strip_prefix("/channels/").expect("the prefix");
            assert_eq!(ChannelName::from_admin_path(rest), Ok(name));
        }
    }

    #[test]
    fn urls() {
        for url in ["http://127.0.0.1:8081", "http://localhost/", "http://[::1]:9"] {
            assert!(parse(url).is_ok(), "{url}");
        }
        for url in ["https://x", "ws://x", "localhost:8081", "http://x/y", "http://u:p@x", "http://", "/x"] {
            assert_eq!(parse(url).expect_err(url).exit, Exit::Usage);
        }
    }

    #[test]
    fn refusals_carry_the_servers_sentence() {
        for (status, body, exit, text) in [
            (401, "{\"error\":\"no token\"}", Exit::Refused, "refused it with 401: no token"),
            (404, "{\"error\":{\"code\":\"x\",\"message\":\"no route\"}}", Exit::Refused, "404: no route"),
            (
                412,
                "{\"position\":\"k3f9:42\",\"number\":\"TG-6002\"}\n",
                Exit::Refused,
                "stands at k3f9:42 (TG-6002)",
            ),
            (412, "{\"position\":null}\n", Exit::Refused, "412: the channel has no position"),
            (413, "too \u{1b}[1mlarge\n", Exit::Refused, "413: too \\u{1b}[1mlarge"),
            (429, "", Exit::Refused, "with 429"),
            (503, "{\"outcome\":\"unknown\"}", Exit::Other, "503: the outcome is unknown"),
        ] {
            let failure = refusal(status, body.as_bytes(), false);
            assert_eq!(failure.exit, exit);
            assert!(failure.what.ends_with(text), "{}", failure.what);
        }
    }
}
