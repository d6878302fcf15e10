//! A backend that plays a script: raw bytes for each request, and what the connection does after them.
//! Also a runner for sources, which hands out their events one by one.
#![allow(dead_code, unreachable_pub)]

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{HeaderMap, Uri};
use tidegate_hub::{Item, Payload};
use tidegate_source::{Event, Roots, Target, Upstream, UpstreamLimits};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

/// A test that waits so long has failed.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Clone)]
pub enum Then {
    KeepAlive,
    Close,
    /// Says nothing more and keeps the connection.
    Hang,
}

#[derive(Clone)]
pub struct Reply {
    bytes: Vec<u8>,
    then: Then,
}

/// A request as it came: head, body, on which connection, when.
#[derive(Debug, Clone)]
pub struct Seen {
    pub head: String,
    pub body: Vec<u8>,
    pub connection: usize,
    pub at: Instant,
}

pub struct Backend {
    pub address: SocketAddr,
    seen: watch::Sender<Vec<Seen>>,
}

struct Play {
    script: Vec<Reply>,
    seen: watch::Sender<Vec<Seen>>,
}

impl Reply {
    pub fn raw(bytes: impl AsRef<[u8]>, then: Then) -> Self {
        Self { bytes: bytes.as_ref().to_vec(), then }
    }

    /// Status line and headers as written (`"200 OK\r\nETag: x"`), and a body of the right length.
    pub fn new(head: &str, body: impl AsRef<[u8]>) -> Self {
        let body = body.as_ref();
        let mut bytes = format!("HTTP/1.1 {head}\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes();
        bytes.extend_from_slice(body);
        Self { bytes, then: Then::KeepAlive }
    }

    pub fn ok(body: &str) -> Self {
        Self::new("200 OK", body)
    }

    pub fn not_modified() -> Self {
        Self::raw("HTTP/1.1 304 Not Modified\r\n\r\n", Then::KeepAlive)
    }

    /// The beginning of a chunked answer, which goes on by `then`.
    pub fn stream(content_type: &str, parts: &[&str], then: Then) -> Self {
        let mut bytes =
            format!("HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nTransfer-Encoding: chunked\r\n\r\n");
        for part in parts {
            bytes += &format!("{:x}\r\n{part}\r\n", part.len());
        }
        Self::raw(bytes, then)
    }

    /// A chunked answer with its end.
    pub fn whole_stream(content_type: &str, parts: &[&str]) -> Self {
        let mut reply = Self::stream(content_type, parts, Then::KeepAlive);
        reply.bytes.extend_from_slice(b"0\r\n\r\n");
        reply
    }
}

impl Backend {
    /// Plays one reply for each request, whatever the connection; the last one again and again.
    pub async fn start(script: Vec<Reply>) -> Self {
        Self::start_inner(script, None).await
    }

    pub async fn start_tls(script: Vec<Reply>, acceptor: TlsAcceptor) -> Self {
        Self::start_inner(script, Some(acceptor)).await
    }

    async fn start_inner(script: Vec<Reply>, acceptor: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let seen = watch::Sender::new(Vec::new());
        let play = Arc::new(Play { script, seen: seen.clone() });
        tokio::spawn(async move {
            for connection in 0.. {
                let Ok((socket, _)) = listener.accept().await else { return };
                let (play, acceptor) = (play.clone(), acceptor.clone());
                tokio::spawn(async move {
                    match acceptor {
                        None => play.serve(socket, connection).await,
                        Some(acceptor) => match acceptor.accept(socket).await {
                            Ok(stream) => play.serve(stream, connection).await,
                            Err(_) => None,
                        },
                    }
                });
            }
        });
        Self { address, seen }
    }

    pub fn uri(&self, path: &str) -> Uri {
        format!("http://{}{path}", self.address).parse().expect("a URL")
    }

    pub fn target(&self, path: &str) -> Target {
        Target { uri: self.uri(path), headers: HeaderMap::new() }
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.seen.borrow().clone()
    }

    /// Waits until so many requests have come.
    pub async fn asked(&self, times: usize) {
        let mut seen = self.seen.subscribe();
        seen.wait_for(|seen| seen.len() >= times).await.expect("the backend is there");
    }

    pub fn paths(&self) -> Vec<String> {
        self.seen().iter().map(|seen| seen.head.split(' ').nth(1).unwrap_or_default().to_owned()).collect()
    }

    /// The values of a header, request by request.
    pub fn header(&self, name: &str) -> Vec<Option<String>> {
        self.seen().iter().map(|seen| seen.header(name)).collect()
    }
}

impl Seen {
    pub fn header(&self, name: &str) -> Option<String> {
        self.head
            .lines()
            .filter_map(|line| line.split_once(": "))
            .find_map(|(field, value)| field.eq_ignore_ascii_case(name).then(|| value.to_owned()))
    }
}

impl Play {
    async fn serve(&self, mut socket: impl AsyncRead + AsyncWrite + Unpin, connection: usize) -> Option<()> {
        let mut buffer = Vec::new();
        loop {
            let head_end = read_until(&mut socket, &mut buffer, |bytes| {
                bytes.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + 4)
            });
            let head_end = head_end.await?;
            let head = String::from_utf8_lossy(&buffer[..head_end]).into_owned();
            let seen = Seen { head, body: Vec::new(), connection, at: Instant::now() };
            let length: usize =
                seen.header("content-length").and_then(|text| text.parse().ok()).unwrap_or_default();
            let end = read_until(&mut socket, &mut buffer, |bytes| {
                (bytes.len() >= head_end + length).then_some(head_end + length)
            });
            let end = end.await?;
            let body = buffer[head_end..end].to_vec();
            buffer.drain(..end);
            let turn = self.seen.borrow().len().min(self.script.len() - 1);
            self.seen.send_modify(|requests| requests.push(Seen { body, ..seen }));
            let reply = &self.script[turn];
            socket.write_all(&reply.bytes).await.ok()?;
            match reply.then {
                Then::KeepAlive => {}
                Then::Close => {
                    socket.shutdown().await.ok()?;
                    return None;
                }
                Then::Hang => return std::future::pending().await,
            }
        }
    }
}

async fn read_until(
    socket: &mut (impl AsyncRead + Unpin),
    buffer: &mut Vec<u8>,
    found: impl Fn(&[u8]) -> Option<usize>,
) -> Option<usize> {
    loop {
        if let Some(end) = found(buffer) {
            return Some(end);
        }
        if socket.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    }
}

pub fn upstream(change: impl FnOnce(&mut UpstreamLimits)) -> Upstream {
    let mut limits = UpstreamLimits::default();
    change(&mut limits);
    Upstream::new(limits, Roots::System).expect("system roots are never an error")
}

/// A source that runs while the test waits for its next event.
pub struct Running {
    future: Option<Pin<Box<dyn Future<Output = ()>>>>,
    events: mpsc::Receiver<Event>,
}

pub fn run<F: Future<Output = ()> + 'static>(start: impl FnOnce(Box<dyn FnMut(Event)>) -> F) -> Running {
    let (sender, events) = mpsc::channel(64);
    let emit = move |event| sender.try_send(event).expect("the test listens and keeps up");
    Running { future: Some(Box::pin(start(Box::new(emit)))), events }
}

impl Running {
    /// The next event; nothing once the source has returned.
    pub async fn next(&mut self) -> Option<Event> {
        timeout(PATIENCE, self.step()).await.expect("an event in time")
    }

    /// Runs on until the backend was asked so often; no event may come until then.
    pub async fn until_asked(&mut self, backend: &Backend, times: usize) {
        let asked = async {
            tokio::select! {
                event = self.step() => panic!("no event was expected, but {event:?} came"),
                () = backend.asked(times) => {}
            }
        };
        timeout(PATIENCE, asked).await.expect("the requests in time");
    }

    async fn step(&mut self) -> Option<Event> {
        if let Some(future) = &mut self.future {
            tokio::select! {
                biased;
                event = self.events.recv() => return event,
                () = future => self.future = None,
            }
        }
        self.events.recv().await
    }
}

pub fn text(text: &str) -> Option<Event> {
    Some(Event::Publication(Item::from(Payload::from(text))))
}

#[track_caller]
pub fn assert_failing(event: Option<Event>, part: &str) {
    match event {
        Some(Event::Failing { reason }) if reason.contains(part) => {}
        other => panic!("expected Failing with {part:?}, got {other:?}"),
    }
}
