//! The HTTP client towards backends: pooled connections, bounded in time, size and number.
//!
//! It asks exactly what it is given; politeness, redirects and caching are above. Hop-by-hop headers are the
//! caller's to remove.

use std::cell::RefCell;
use std::collections::HashMap;
use std::error::Error;
use std::future::Future;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use std::{fmt, io};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, Uri};
use http_body::{Body, Frame, SizeHint};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::{self, Client};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::timeout;

use crate::connect::{ConnectError, Connector, Roots, RootsError, Trust, Used};
use crate::journal::Journal;
use crate::origin::Origin;

/// The largest head of an answer that is sure to be refused is twice this: one read may go beyond it.
const MAX_HEAD_BYTES: usize = 64 * 1024;
/// Idle connections kept for each backend.
const MAX_IDLE: usize = 32;

/// A body on its way to a backend.
pub type UpstreamBody = UnsyncBoxBody<Bytes, Box<dyn Error + Send + Sync>>;

/// What a backend may cost. The defaults suit a backend in the same network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamLimits {
    /// To resolve the host and connect; tried twice.
    pub connect_timeout: Duration,
    /// From the request to the head of the answer, connecting included; a request body that moves extends it.
    pub first_byte_timeout: Duration,
    /// From the request to the end of the answer, where the whole answer is wanted.
    pub total_timeout: Duration,
    /// Between two reads of a stream.
    pub stream_idle_timeout: Duration,
    /// The largest whole answer, and the largest event of a stream.
    pub max_response_bytes: usize,
    /// The longest line of a stream.
    pub max_line_bytes: usize,
    /// Requests to one backend that wait for an answer at the same time; those that are passed through for
    /// clients and the gateway's own are counted apart.
    pub max_in_flight: usize,
    /// How long an unused connection is kept.
    pub pool_idle: Duration,
}

impl Default for UpstreamLimits {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(1),
            first_byte_timeout: Duration::from_secs(10),
            total_timeout: Duration::from_secs(30),
            stream_idle_timeout: Duration::from_secs(60),
            max_response_bytes: 1024 * 1024,
            max_line_bytes: 64 * 1024,
            max_in_flight: 256,
            pool_idle: Duration::from_secs(55),
        }
    }
}

/// The client of one shard. Cloning shares the pool and the counts of requests in flight.
///
/// Dropping a future of it gives the request up and closes its connection.
#[derive(Clone)]
pub struct Upstream {
    inner: Rc<Inner>,
    /// Where the requests of one source are noted.
    journal: Option<Rc<Journal>>,
}

struct Inner {
    limits: UpstreamLimits,
    client: Client<Connector, UpstreamBody>,
    /// Only backends with a request in flight have an entry; it is never 0.
    in_flight: RefCell<HashMap<(Origin, Asker), usize>>,
}

/// On whose behalf a request is made: clients' own requests must not keep those that serve all waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Asker {
    /// A poll, a stream or a client's message.
    Gateway,
    /// A request that is passed through.
    Client,
}

/// What a backend did not do in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Awaited {
    /// Accept a connection, TLS included.
    Connection,
    /// Begin to answer.
    FirstByte,
    /// Finish its answer.
    WholeAnswer,
}

/// Why a request got no answer. The texts are for people, and carry nothing of what the backend sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UpstreamError {
    /// No address of the host accepts.
    Connect {
        /// The origin that was asked, as in all variants.
        backend: String,
        /// What the system says.
        reason: String,
    },
    /// The host has no address.
    Resolve {
        /// See [`UpstreamError::Connect`].
        backend: String,
        /// What the resolver says.
        reason: String,
    },
    /// No TLS, or a certificate that is not believed.
    Tls {
        /// See [`UpstreamError::Connect`].
        backend: String,
        /// What TLS says.
        reason: String,
    },
    /// Too slow.
    Timeout {
        /// See [`UpstreamError::Connect`].
        backend: String,
        /// What was waited for.
        awaited: Awaited,
        /// And how long.
        limit: Duration,
    },
    /// The answer is larger than its bound.
    TooLarge {
        /// See [`UpstreamError::Connect`].
        backend: String,
        /// The bound in bytes.
        limit: usize,
    },
    /// The answer is not HTTP, breaks off, or means nothing here.
    Invalid {
        /// See [`UpstreamError::Connect`].
        backend: String,
        /// What is wrong with it.
        reason: String,
    },
    /// As many requests as may be are in flight.
    Busy {
        /// See [`UpstreamError::Connect`].
        backend: String,
        /// How many that are.
        limit: usize,
    },
}

impl Upstream {
    /// A client with the certificates read now.
    pub fn new(limits: UpstreamLimits, roots: Roots) -> Result<Self, RootsError> {
        Ok(Self::with_trust(limits, Trust::load(&roots)?))
    }

    /// A client for one more shard, with certificates that were read before.
    #[must_use]
    pub fn with_trust(limits: UpstreamLimits, trust: Trust) -> Self {
        let connector = Connector { trust, connect_timeout: limits.connect_timeout };
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(limits.pool_idle)
            .pool_max_idle_per_host(MAX_IDLE)
            .http1_max_buf_size(MAX_HEAD_BYTES)
            .build(connector);
        Self { inner: Rc::new(Inner { limits, client, in_flight: RefCell::default() }), journal: None }
    }

    /// The same client, whose requests for a source are noted from now on.
    #[must_use]
    pub fn noting(&self, journal: Rc<Journal>) -> Self {
        Self { inner: Rc::clone(&self.inner), journal: Some(journal) }
    }

    /// Says when the next request of a source is due, and how long it is from one to the next.
    pub(crate) fn note_next(&self, at: Instant, interval: Option<Duration>) {
        if let Some(journal) = &self.journal {
            journal.note_next(at, interval);
        }
    }

    /// The limits that it was made with.
    #[must_use]
    pub fn limits(&self) -> &UpstreamLimits {
        &self.inner.limits
    }

    /// One request, its body streamed up; the head of the answer, its body to be streamed down. The request
    /// counts as in flight until the head is there; the bodies have no time-out here. A GET or HEAD without a
    /// body that met a kept connection at its end is sent once more (RFC 9112 section 9.3.1).
    pub async fn send(&self, request: Request<UpstreamBody>) -> Result<Response<Incoming>, UpstreamError> {
        let origin = asked_origin(&request)?;
        let _slot = self.slot(&origin, Asker::Client)?;
        let again = matches!(*request.method(), Method::GET | Method::HEAD) && request.body().is_end_stream();
        let copy = again.then(|| without_body(&request));
        let answer = match (self.head(&origin, request).await, copy) {
            (Err(failure), Some(copy)) if failure.stale => self.head(&origin, copy).await,
            (answer, _) => answer,
        };
        answer.map_err(|failure| failure.error)
    }

    /// One request and its whole answer, within `total_timeout` and `max_response_bytes`.
    pub async fn fetch(&self, request: Request<Bytes>) -> Result<Response<Bytes>, UpstreamError> {
        let whole = async { self.collect(self.ask(&request).await?).await };
        self.within_total(request.uri(), whole).await
    }

    /// Runs what makes up a whole answer within `total_timeout`.
    pub(crate) async fn within_total<T>(
        &self,
        uri: &Uri,
        whole: impl Future<Output = Result<T, UpstreamError>>,
    ) -> Result<T, UpstreamError> {
        let limit = self.inner.limits.total_timeout;
        let late = |_| UpstreamError::Timeout { backend: backend(uri), awaited: Awaited::WholeAnswer, limit };
        timeout(limit, whole).await.map_err(late)?
    }

    /// One request up to the head of its answer. A GET or HEAD that failed because the backend closed a kept
    /// connection at that moment is sent once more (RFC 9112 section 9.3.1).
    pub(crate) async fn ask(&self, request: &Request<Bytes>) -> Result<Pending, UpstreamError> {
        let begun = Instant::now();
        let asked = self.ask_unnoted(request).await;
        if let Some(journal) = &self.journal {
            let status = asked.as_ref().ok().map(|pending| pending.response.status());
            journal.note(status, begun.elapsed());
        }
        asked
    }

    async fn ask_unnoted(&self, request: &Request<Bytes>) -> Result<Pending, UpstreamError> {
        let origin = asked_origin(request)?;
        let slot = self.slot(&origin, Asker::Gateway)?;
        let boxed =
            || request.clone().map(|body| Full::new(body).map_err(|never| match never {}).boxed_unsync());
        let mut answer = self.head(&origin, boxed()).await;
        let again = matches!(*request.method(), Method::GET | Method::HEAD);
        if again && answer.as_ref().is_err_and(|failure| failure.stale) {
            answer = self.head(&origin, boxed()).await;
        }
        let response = answer.map_err(|failure| failure.error)?;
        if response.status().is_informational() {
            let reason =
                format!("status {} to a request that asked for no upgrade", response.status().as_u16());
            return Err(UpstreamError::Invalid { backend: origin.to_string(), reason });
        }
        Ok(Pending { origin, response, slot })
    }

    /// The rest of an answer, in memory of its own.
    pub(crate) async fn collect(&self, pending: Pending) -> Result<Response<Bytes>, UpstreamError> {
        let Pending { origin, response, slot } = pending;
        let limit = self.inner.limits.max_response_bytes;
        let too_large = || UpstreamError::TooLarge { backend: origin.to_string(), limit };
        let (head, mut body) = response.into_parts();
        if body.size_hint().lower() > limit as u64 {
            return Err(too_large());
        }
        let mut whole = Vec::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| UpstreamError::of_body(&origin, &error))?;
            let Ok(data) = frame.into_data() else { continue };
            if whole.len() + data.len() > limit {
                return Err(too_large());
            }
            whole.extend_from_slice(&data);
        }
        whole.shrink_to_fit();
        drop(slot);
        Ok(Response::from_parts(head, whole.into()))
    }

    /// Sends and waits for the head, as long as the request body moves or `first_byte_timeout` lasts.
    async fn head(
        &self,
        origin: &Origin,
        request: Request<UpstreamBody>,
    ) -> Result<Response<Incoming>, Failure> {
        let limit = self.inner.limits.first_byte_timeout;
        let moved = Arc::new(AtomicBool::new(false));
        let request = request.map(|body| UpstreamBody::new(Watched { body, moved: moved.clone() }));
        let mut answer = pin!(self.inner.client.request(request));
        loop {
            match timeout(limit, &mut answer).await {
                Ok(Ok(response)) => {
                    response.extensions().get::<Used>().into_iter().for_each(Used::set);
                    return Ok(response);
                }
                Ok(Err(error)) => {
                    return Err(Failure::new(origin, &error));
                }
                Err(_) if moved.swap(false, Ordering::Relaxed) => {}
                Err(_) => {
                    let error = UpstreamError::Timeout {
                        backend: origin.to_string(),
                        awaited: Awaited::FirstByte,
                        limit,
                    };
                    return Err(Failure { error, stale: false });
                }
            }
        }
    }

    fn slot(&self, origin: &Origin, asker: Asker) -> Result<Slot, UpstreamError> {
        let limit = self.inner.limits.max_in_flight;
        let mut in_flight = self.inner.in_flight.borrow_mut();
        let place = (origin.clone(), asker);
        let count = in_flight.get(&place).copied().unwrap_or_default();
        if count >= limit {
            return Err(UpstreamError::Busy { backend: origin.to_string(), limit });
        }
        in_flight.insert(place.clone(), count + 1);
        Ok(Slot { inner: self.inner.clone(), place })
    }
}

/// The same request, of one that has no body.
fn without_body(request: &Request<UpstreamBody>) -> Request<UpstreamBody> {
    let mut copy = Request::new(UpstreamBody::default());
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.version_mut() = request.version();
    *copy.headers_mut() = request.headers().clone();
    copy
}

fn asked_origin<T>(request: &Request<T>) -> Result<Origin, UpstreamError> {
    Origin::of(request.uri()).ok_or_else(|| UpstreamError::Invalid {
        backend: backend(request.uri()),
        reason: "its URL is not an http or https URL".to_owned(),
    })
}

fn backend(uri: &Uri) -> String {
    Origin::of(uri).map_or_else(|| "the backend".to_owned(), |origin| origin.to_string())
}

/// An answer whose body is still to come; it counts as in flight.
pub(crate) struct Pending {
    pub(crate) origin: Origin,
    pub(crate) response: Response<Incoming>,
    slot: Slot,
}

impl Pending {
    /// The body of a stream, which is not in flight any more.
    pub(crate) fn into_stream(self) -> Incoming {
        self.response.into_body()
    }
}

/// One request in flight, until it is dropped.
struct Slot {
    inner: Rc<Inner>,
    place: (Origin, Asker),
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut in_flight = self.inner.in_flight.borrow_mut();
        match in_flight.get_mut(&self.place) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(in_flight.remove(&self.place)),
        }
    }
}

/// A request body that notes when a part of it, but not its last, went on.
struct Watched {
    body: UpstreamBody,
    moved: Arc<AtomicBool>,
}

impl Body for Watched {
    type Data = Bytes;
    type Error = Box<dyn Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if matches!(polled, Poll::Ready(Some(_))) && !self.body.is_end_stream() {
            self.moved.store(true, Ordering::Relaxed);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// `stale`: the connection had served before, and was closed before a byte of the answer.
struct Failure {
    error: UpstreamError,
    stale: bool,
}

impl Failure {
    fn new(origin: &Origin, error: &legacy::Error) -> Self {
        let backend = origin.to_string();
        if let Some(error) = cause::<ConnectError>(error) {
            return Self { error: UpstreamError::of_connecting(backend, error), stale: false };
        }
        let mut extras = http::Extensions::new();
        error.connect_info().into_iter().for_each(|connected| connected.get_extras(&mut extras));
        let used = extras.get::<Used>().is_some_and(Used::is_set);
        let error = cause::<hyper::Error>(error);
        let reason = error.map_or_else(|| "the request could not be sent".to_owned(), describe);
        Self {
            error: UpstreamError::Invalid { backend, reason },
            stale: used && error.is_some_and(broke_off),
        }
    }
}

impl UpstreamError {
    /// What a client of ours that waits for the answer is told.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Timeout { .. } => StatusCode::GATEWAY_TIMEOUT,
            Self::Busy { .. } => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::BAD_GATEWAY,
        }
    }

    /// A body that did not come to its end.
    pub(crate) fn of_body(origin: &Origin, error: &hyper::Error) -> Self {
        Self::Invalid { backend: origin.to_string(), reason: describe(error) }
    }

    fn of_connecting(backend: String, error: &ConnectError) -> Self {
        let reason = error.to_string();
        match error {
            ConnectError::Url => Self::Invalid { backend, reason },
            ConnectError::Resolve(_) => Self::Resolve { backend, reason },
            ConnectError::Connect(error) => Self::Connect { backend, reason: refusal(error) },
            ConnectError::Tls(_) => Self::Tls { backend, reason },
            ConnectError::Timeout(limit) => {
                Self::Timeout { backend, awaited: Awaited::Connection, limit: *limit }
            }
        }
    }
}

/// The innermost meaning of an error that others wrapped.
fn cause<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    let mut layer = Some(error);
    while let Some(error) = layer {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        layer = error.source();
    }
    None
}

fn broke_off(error: &hyper::Error) -> bool {
    use io::ErrorKind as K;
    let kind = cause::<io::Error>(error).map(io::Error::kind);
    error.is_incomplete_message()
        || error.is_closed()
        || matches!(kind, Some(K::ConnectionReset | K::BrokenPipe | K::UnexpectedEof))
}

fn describe(error: &hyper::Error) -> String {
    if broke_off(error) {
        "it closed the connection in the middle of its answer".to_owned()
    } else if error.is_parse_too_large() {
        format!("the head of its answer is larger than {MAX_HEAD_BYTES} bytes")
    } else if error.is_parse() {
        "what it sent is not HTTP/1.1".to_owned()
    } else {
        cause::<io::Error>(error).map_or_else(|| error.to_string(), ToString::to_string)
    }
}

fn refusal(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused; is the server running?".to_owned(),
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => "no way leads to it".to_owned(),
        _ => error.to_string(),
    }
}

impl fmt::Display for UpstreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect { backend, reason } => write!(f, "cannot connect to {backend}: {reason}"),
            Self::Resolve { backend, reason } => write!(f, "cannot find the host of {backend}: {reason}"),
            Self::Tls { backend, reason } => write!(f, "cannot speak TLS with {backend}: {reason}"),
            Self::Timeout { backend, awaited, limit } => write!(f, "{backend} {awaited} within {limit:?}"),
            Self::TooLarge { backend, limit } => write!(f, "{backend} answered with more than {limit} bytes"),
            Self::Invalid { backend, reason } => write!(f, "{backend} gave no valid answer: {reason}"),
            Self::Busy { backend, limit } => {
                write!(f, "{backend} has {limit} requests in flight, no more are sent")
            }
        }
    }
}

impl Error for UpstreamError {}

impl fmt::Display for Awaited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connection => "did not accept a connection",
            Self::FirstByte => "did not begin to answer",
            Self::WholeAnswer => "did not finish its answer",
        })
    }
}
