//! The admin listener: publishing, status, metrics. One for the process, on the first shard.
//!
//! Everything but the two health checks and the page itself needs the token; pages of other origins get nothing.

mod channels;
mod connections;
mod handshakes;
mod backends;
mod watch;
mod page;

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use http::header::{ALLOW, AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue, ORIGIN};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::service::service_fn;
use tidegate_hub::ShardId;
use tidegate_inspect::words::known;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use crate::access::check_host;
use crate::credential::of_subprotocols;
use crate::head_timer::timed;
use crate::http_body::{Body, Visit, full, refusal_response};
use crate::metrics::{self, Counters};
use crate::process::Generation;
use crate::public::builder;
use crate::refusal::Refusal;
use crate::settings::Secret;
use crate::shard::{Shard, ShardRef};

/// Admin connections at the same time; publishers keep theirs.
const CONNECTIONS_MAX: usize = 1024;

/// One call of the admin listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AdminCall {
    /// Its path; what begins with `{` stands for the rest.
    pub path: &'static str,
    /// The methods that it takes; a call that needs no token takes any.
    pub methods: &'static [&'static str],
    /// Whether it needs the admin token.
    pub needs_token: bool,
    what: What,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Live,
    Ready,
    Metrics,
    Channels,
    Channel,
    Connections,
    Connection,
    Handshakes,
    Backends,
    Watch,
    Page,
}

/// All calls of the admin listener; there are no others.
pub const ADMIN_CALLS: &[AdminCall] = &[
    AdminCall { path: "/live", methods: &["GET", "HEAD"], needs_token: false, what: What::Live },
    AdminCall { path: "/ready", methods: &["GET", "HEAD"], needs_token: false, what: What::Ready },
    AdminCall { path: "/metrics", methods: &["GET", "HEAD"], needs_token: true, what: What::Metrics },
    AdminCall { path: "/channels", methods: &["GET", "HEAD"], needs_token: true, what: What::Channels },
    AdminCall {
        path: "/channels/{channel}",
        methods: &["GET", "HEAD", "POST", "DELETE"],
        needs_token: true,
        what: What::Channel,
    },
    AdminCall { path: "/backends", methods: &["GET", "HEAD"], needs_token: true, what: What::Backends },
    AdminCall { path: "/handshakes", methods: &["GET", "HEAD"], needs_token: true, what: What::Handshakes },
    AdminCall { path: "/connections", methods: &["GET", "HEAD"], needs_token: true, what: What::Connections },
    AdminCall {
        path: "/connections/{id}",
        methods: &["GET", "HEAD", "DELETE"],
        needs_token: true,
        what: What::Connection,
    },
    AdminCall { path: "/watch", methods: &["GET"], needs_token: true, what: What::Watch },
    AdminCall { path: "/", methods: &["GET", "HEAD"], needs_token: false, what: What::Page },
    AdminCall { path: "/page/{file}", methods: &["GET", "HEAD"], needs_token: false, what: What::Page },
];

impl AdminCall {
    /// The part of a path that stands for the braces, if the path is this call's.
    fn rest<'p>(&self, path: &'p str) -> Option<&'p str> {
        match self.path.split_once('{') {
            Some((before, _)) => path.strip_prefix(before),
            None => (path == self.path).then_some(""),
        }
    }
}

/// Accepts for ever.
pub(crate) async fn serve(shard: ShardRef, listener: TcpListener, token: Arc<Secret>) {
    let places = Arc::new(tokio::sync::Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let (shard, token) = (shard.clone(), Arc::clone(&token));
                tokio::task::spawn_local(async move {
                    serve_connection(shard, stream, token).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(event = "accept_failed", number = %known::ACCEPT_FAILED, %error, "the admin listener cannot accept just now");
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
        }
    }
}

async fn serve_connection(shard: ShardRef, stream: TcpStream, token: Arc<Secret>) {
    let (Ok(remote), Ok(local)) = (stream.peer_addr(), stream.local_addr()) else { return };
    let _ = stream.set_nodelay(true);
    let visit = Rc::new(Visit {
        shard,
        remote,
        local: local.ip(),
        tls: None,
        cut: Rc::new(Notify::new()),
        seat: RefCell::new(None),
        tunnel: None,
        marks: Cell::default(),
    });
    let limits = visit.shard.look(|shard| shard.generation.settings.limits.clone());
    let service = service_fn(move |request| {
        let (visit, token) = (Rc::clone(&visit), Arc::clone(&token));
        async move {
            let _open = visit.shard.process.begin_request();
            let head = *request.method() == Method::HEAD;
            let response = answer(&visit, &token, request).await.unwrap_or_else(|refusal| {
                visit.shard.tidy(|shard| {
                    shard.counters.refused_with(refusal.status.as_u16());
                    shard.counters.credential_refused(refusal.credential);
                });
                refusal_response(refusal)
            });
            Ok::<_, Infallible>(if head { response.map(|_| full("")) } else { response })
        }
    });
    let (stream, timer, _) = timed(stream, &limits, false);
    if let Err(error) = builder(&limits, timer).serve_connection(stream, service).with_upgrades().await {
        tracing::debug!(event = "http_connection_failed", %remote, %error, "an admin connection ended");
    }
}

async fn answer(
    visit: &Visit,
    token: &Secret,
    request: Request<Incoming>,
) -> Result<Response<Body>, Refusal> {
    let generation = visit.shard.look(|shard| Arc::clone(&shard.generation));
    let host = check_host(request.headers(), request.uri(), visit.local, &generation.settings, false)?;
    let path = request.uri().path().to_owned();
    let call = ADMIN_CALLS.iter().find_map(|call| Some((call, call.rest(&path)?)));
    let is_page = call.is_some_and(|(call, _)| call.what == What::Page);
    if !(is_page && page::is_visit(request.headers())) {
        refuse_foreign_pages(request.headers(), &host)?;
    }
    if call.is_none_or(|(call, _)| call.needs_token) {
        let watching = call.is_some_and(|(call, _)| call.what == What::Watch);
        check_token(visit, &generation, request.headers(), token, watching)?;
    }
    let Some((call, rest)) = call else {
        let sentence = "there is nothing of this name on the admin listener";
        return Err(Refusal::of(known::NO_ADMIN_CALL, sentence));
    };
    if call.needs_token {
        allow(request.method(), call.methods)?;
    }
    match call.what {
        What::Live => Ok(json(StatusCode::OK, r#"{"live":true}"#)),
        What::Ready => Ok(ready(&visit.shard)),
        What::Metrics => metrics_text(&visit.shard).await,
        What::Channels => channels::list(visit, request.uri().query()).await,
        What::Channel => channels::handle(visit, &generation, rest, request).await,
        What::Backends => backends::list(visit, request.uri().query()).await,
        What::Handshakes => handshakes::list(visit, request.uri().query()).await,
        What::Connections => connections::list(visit, request.uri().query()).await,
        What::Page => page::answer(request.method(), rest, request.headers()),
        What::Connection => connections::handle(visit, rest, request.method(), request.uri().query()).await,
        What::Watch => watch::handle(visit, &generation, request),
    }
}

/// A page of another origin has no business here, with or without the token.
fn refuse_foreign_pages(headers: &HeaderMap, host: &str) -> Result<(), Refusal> {
    let own = format!("http://{host}");
    let foreign =
        headers.get_all(ORIGIN).iter().any(|origin| !origin.as_bytes().eq_ignore_ascii_case(own.as_bytes()));
    let cross_site = headers.get("sec-fetch-site").is_some_and(|site| site == "cross-site");
    if foreign || cross_site {
        let sentence = "pages of other origins may not use the admin listener";
        return Err(Refusal::of(known::ADMIN_ORIGIN, sentence));
    }
    Ok(())
}

fn check_token(
    visit: &Visit,
    generation: &Generation,
    headers: &HeaderMap,
    token: &Secret,
    watching: bool,
) -> Result<(), Refusal> {
    let (client, _) = visit.client(headers, &generation.settings);
    let failures = &visit.shard.process.failures;
    failures.check(client, &generation.settings.limits)?;
    let mut fields = headers.get_all(AUTHORIZATION).iter();
    let credential = fields.next().map(HeaderValue::as_bytes).unwrap_or_default();
    let (scheme, candidate) = credential.split_at(credential.len().min(7));
    if fields.next().is_none() && scheme.eq_ignore_ascii_case(b"bearer ") && token.is(candidate) {
        return Ok(());
    }
    // Pages can set no other field for a WebSocket.
    let offered = if watching && credential.is_empty() { of_subprotocols(headers) } else { None };
    if offered.is_some_and(|candidate| token.is(candidate.as_bytes())) {
        return Ok(());
    }
    if !credential.is_empty() || offered.is_some() {
        failures.note(client, Instant::now());
    }
    Err(Refusal::without_admin_token())
}

fn allow(method: &Method, allowed: &[&str]) -> Result<(), Refusal> {
    if allowed.contains(&method.as_str()) {
        return Ok(());
    }
    let list = allowed.join(", ");
    let value = HeaderValue::from_str(&list).unwrap_or(HeaderValue::from_static("GET"));
    Err(Refusal::of(known::ADMIN_METHOD, format!("this takes {list}")).with(ALLOW, value))
}

fn ready(shard: &ShardRef) -> Response<Body> {
    if shard.process.is_draining() {
        json(StatusCode::SERVICE_UNAVAILABLE, r#"{"ready":false,"reason":"draining"}"#)
    } else if shard.look(Shard::is_store_broken) {
        // All but publishing goes on, and for that no other gateway could stand in.
        json(StatusCode::OK, r#"{"ready":true,"store":"the disk takes nothing"}"#)
    } else {
        json(StatusCode::OK, r#"{"ready":true}"#)
    }
}

async fn metrics_text(shard: &ShardRef) -> Result<Response<Body>, Refusal> {
    let mut sum = Counters::default();
    for counters in ask_all(shard, Shard::count).await {
        sum.add(&counters);
    }
    let text =
        metrics::text(sum).map_err(|_| Refusal::of(known::METRICS, "the metrics could not be written"))?;
    let mut response = Response::new(full(text));
    let kind = HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    Ok(response)
}

/// Asks each shard in turn.
async fn ask_all<R: Send + 'static>(
    shard: &ShardRef,
    act: impl Fn(&mut Shard) -> R + Clone + Send + 'static,
) -> Vec<R> {
    let mut answers = Vec::new();
    for target in 0..shard.process.shards {
        answers.extend(shard.ask(ShardId(target), act.clone()).await);
    }
    answers
}

fn json(status: StatusCode, body: impl Into<String>) -> Response<Body> {
    let mut body = body.into();
    body.push('\n');
    let mut response = Response::new(full(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(HeaderName::from_static("x-content-type-options"), HeaderValue::from_static("nosniff"));
    response
}

/// One parameter of an admin request's query, percent-decoded.
fn parameter(query: Option<&str>, name: &str) -> Option<String> {
    let pairs = query.unwrap_or_default().split('&');
    let value = pairs.filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name)?.1;
    let spaced = value.replace('+', " ");
    Some(percent_encoding::percent_decode_str(&spaced).decode_utf8_lossy().into_owned())
}

/// `limit` of a list.
fn limit(query: Option<&str>) -> Result<usize, Refusal> {
    const DEFAULT: usize = 100;
    const MAX: usize = 1000;
    match parameter(query, "limit").map(|text| text.parse::<usize>()) {
        None => Ok(DEFAULT),
        Some(Ok(limit)) if (1..=MAX).contains(&limit) => Ok(limit),
        Some(_) => Err(Refusal::of(known::BAD_PARAMETER, format!("'limit' is a number from 1 to {MAX}"))),
    }
}
