//! The plain HTTP server behind `tidegate demo`: figures of this machine as JSON, and a page that draws
//! them.
//!
//! It knows nothing of WebSockets: that is what it is for. The gateway in front of it polls
//! `/machine.json` once for everybody; the figures come from `/proc` through `figures`.

use std::convert::Infallible;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HOST, HeaderMap, HeaderValue,
    IF_NONE_MATCH, X_CONTENT_TYPE_OPTIONS,
};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;
use tokio::task::{JoinHandle, JoinSet, spawn_blocking};
use tokio::time::sleep;

mod proc;

mod figures;

use figures::{Documents, Figures, Moment};

/// Most connections at once; further ones wait in the listener's backlog. The gateway needs a few.
const CONNECTIONS_MAX: usize = 64;

/// How long a client may take for a request's head, and a connection may idle.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// Largest head of a request in bytes.
const HEAD_MAX_BYTES: usize = 16 * 1024;

/// Pause after a failed accept, which mostly means that descriptors have run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The page: it loads nothing from anywhere, and may connect to where it came from.
const PAGE: &[u8] = include_bytes!("page.html");

const PAGE_POLICY: &str = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; \
    img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'";

/// The running server. It and its connections end when this is dropped.
#[derive(Debug)]
pub(crate) struct Backend {
    /// Where it listens: a free port on 127.0.0.1.
    pub(crate) address: SocketAddr,
    server: JoinHandle<()>,
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// A plain HTTP server on a free loopback port; serves until dropped. Needs a tokio runtime with time and
/// IO, of either kind. `/proc` is read on the runtime's threads for blocking work.
pub(crate) async fn start() -> io::Result<Backend> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    let figures = spawn_blocking(|| Figures::new(Path::new("/proc"), Moment::now())).await?;
    let server = tokio::spawn(accept(listener, Arc::new(Mutex::new(figures))));
    Ok(Backend { address, server })
}

type SharedFigures = Arc<Mutex<Figures>>;

async fn accept(listener: TcpListener, figures: SharedFigures) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Some(_) = connections.join_next() => {}
            accepted = listener.accept(), if connections.len() < CONNECTIONS_MAX => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(serve(stream, Arc::clone(&figures)));
                }
                Err(_) => sleep(ACCEPT_PAUSE).await,
            }
        }
    }
}

/// One connection. How it ends is of no interest to anybody: the gateway sees it on its side.
async fn serve(stream: TcpStream, figures: SharedFigures) {
    let service = service_fn(|request| {
        let figures = Arc::clone(&figures);
        async move { Ok::<_, Infallible>(respond(request, figures).await) }
    });
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_MAX_BYTES)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn respond(request: Request<Incoming>, figures: SharedFigures) -> Response<Full<Bytes>> {
    if !is_own_host(request.headers()) {
        return refusal(
            StatusCode::MISDIRECTED_REQUEST,
            "this server answers to localhost and addresses only",
        );
    }
    let Some(resource) = Resource::at(request.uri().path()) else {
        return refusal(StatusCode::NOT_FOUND, "no such resource: /, /machine.json and its parts are here");
    };
    if request.method() != Method::GET && request.method() != Method::HEAD {
        let mut response = refusal(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD");
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    let body = match resource {
        Resource::Page => Bytes::from_static(PAGE),
        Resource::Figures(part) => match documents(figures).await {
            Some(documents) => part(&documents).clone(),
            None => return refusal(StatusCode::INTERNAL_SERVER_ERROR, "the figures could not be read"),
        },
    };
    resource.answer(body, request.headers())
}

/// The figures of now. Whoever comes first samples, off the runtime's thread; the others wait for that.
async fn documents(figures: SharedFigures) -> Option<Arc<Documents>> {
    let mut figures = figures.lock_owned().await;
    let now = Moment::now();
    if let Some(documents) = figures.fresh(now) {
        return Some(documents);
    }
    spawn_blocking(move || figures.sample(now)).await.ok()
}

/// What is here to be asked for.
#[derive(Clone, Copy)]
enum Resource {
    Page,
    /// A document of figures.
    Figures(fn(&Documents) -> &Bytes),
}

impl Resource {
    fn at(path: &str) -> Option<Self> {
        Some(match path {
            "/" => Self::Page,
            "/machine.json" => Self::Figures(|documents| &documents.machine),
            "/load.json" => Self::Figures(|documents| &documents.load),
            "/memory.json" => Self::Figures(|documents| &documents.memory),
            "/network.json" => Self::Figures(|documents| &documents.network),
            "/processes.json" => Self::Figures(|documents| &documents.processes),
            _ => return None,
        })
    }

    /// 200 with `body`, or 304 to a client that has it. For HEAD hyper leaves the body out.
    fn answer(self, body: Bytes, request: &HeaderMap) -> Response<Full<Bytes>> {
        let tag = entity_tag(&body);
        let unchanged = is_known(request, &tag);
        let mut response = Response::new(Full::new(if unchanged { Bytes::new() } else { body }));
        if unchanged {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
        }
        let headers = response.headers_mut();
        if let Ok(tag) = HeaderValue::try_from(tag) {
            headers.insert(ETAG, tag);
        }
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        let (content_type, caching) = match self {
            Self::Page => ("text/html; charset=utf-8", "no-cache"),
            Self::Figures(_) => ("application/json", "public, max-age=1"),
        };
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static(caching));
        if matches!(self, Self::Page) {
            headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(PAGE_POLICY));
        }
        response
    }
}

/// A refusal in JSON. `reason` is plain text without quotation marks.
fn refusal(status: StatusCode, reason: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(format!("{{\"error\":\"{reason}\"}}"))));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// False for a host that is a name other than localhost: a foreign page may have let its own name point
/// here (DNS rebinding), and what runs on this machine is not for it. An address cannot be rebound.
fn is_own_host(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(HOST) else { return true };
    let Ok(authority) = host.to_str().unwrap_or_default().parse::<hyper::http::uri::Authority>() else {
        return false;
    };
    let name = authority.host();
    let address = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost") || address.parse::<IpAddr>().is_ok()
}

/// A strong validator: the hash of the body.
fn entity_tag(body: &Bytes) -> String {
    let mut hasher = DefaultHasher::new();
    body.hash(&mut hasher);
    format!("\"{:016x}\"", hasher.finish())
}

/// True when `If-None-Match` names `tag`, compared weakly (RFC 9110, section 13.1.2). Our tags hold no
/// comma, so that a list may be cut at commas.
fn is_known(headers: &HeaderMap, tag: &str) -> bool {
    headers
        .get_all(IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .any(|known| known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag)
}

#[cfg(test)]
mod tests;
