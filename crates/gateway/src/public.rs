//! The public listener of one shard: accepts, goes through the TLS handshake where TLS is spoken, and lets
//! hyper or h2 speak HTTP. What is answered is decided in `answer` and behind the doors.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::header::{CONNECTION, HeaderValue};
use http::{Request, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use tidegate_inspect::words::known;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::answer::answer;
use crate::arrivals::Load;
use crate::client_body::RequestBody;
use crate::client_socket::{ClientSocket, take_unread};
use crate::first_heads::FirstHeads;
use crate::handshake::{Marks, answered_as, micros};
use crate::head_timer::{HeadTimer, say_late, timed};
use crate::http_body::Visit;
use crate::http2::preface::{Beginning, beginning};
use crate::http2::serve_http2;
use crate::limits::Limits;
use crate::process::{Crowded, Generation, Seat};
use crate::shard::connection::TlsVersion;
use crate::shard::handshakes::Timing;
use crate::shard::{Shard, ShardRef};
use crate::tls::{TURNED_AWAY, Tls, speaks_http2, version};

/// The first pause after accepting failed.
const FIRST_PAUSE: Duration = Duration::from_millis(10);

/// The pause between two log lines about it.
const TELL_AGAIN: Duration = Duration::from_secs(10);

/// hyper's least buffer for a request's head.
const LEAST_HEAD_BYTES: usize = 8192;

/// Accepts for ever. What goes wrong with one connection is that connection's matter.
pub(crate) async fn serve(shard: ShardRef, listener: TcpListener, tls: Option<Arc<Tls>>) {
    let local = listener.local_addr().map_or(IpAddr::from([0, 0, 0, 0]), |address| address.ip());
    let mut pause = FIRST_PAUSE;
    let mut told = None;
    let runtime = Handle::current().metrics();
    let mut load = Load::new(Instant::now(), Duration::ZERO);
    loop {
        match listener.accept().await {
            Ok((stream, remote)) => {
                pause = FIRST_PAUSE;
                // The one thread of this runtime is the shard.
                let busy = load.percent(Instant::now(), runtime.worker_total_busy_duration(0));
                welcome(&shard, stream, remote, local, tls.as_ref(), busy);
            }
            Err(error) => {
                // It fails again and again while it fails: once in a while is enough to know.
                if told.is_none_or(|told: Instant| told.elapsed() >= TELL_AGAIN) {
                    told = Some(Instant::now());
                    tracing::warn!(event = "accept_failed", number = %known::ACCEPT_FAILED, %error, "no connection can be accepted just now");
                }
                let most = shard.look(|shard| shard.generation.settings.limits.accept_error_backoff);
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(most);
            }
        }
    }
}

/// A connection that has its place, and is not known to speak anything yet.
struct Arrival {
    shard: ShardRef,
    generation: Arc<Generation>,
    remote: SocketAddr,
    local: IpAddr,
    cut: Rc<Notify>,
    seat: Seat,
}

/// Lets a connection in, or not; `busy` is how busy the shard is, in percent.
fn welcome(
    shard: &ShardRef,
    stream: TcpStream,
    remote: SocketAddr,
    local: IpAddr,
    tls: Option<&Arc<Tls>>,
    busy: u32,
) {
    let generation = shard.look(|shard| Arc::clone(&shard.generation));
    let seat = match admit(shard, &generation, remote.ip().to_canonical(), busy) {
        Ok(seat) => seat,
        Err(crowded) => {
            turn_away(&stream, crowded, tls.is_some());
            shard.tidy(|shard| {
                shard.counters.refused_with(crowded.refusal().status.as_u16());
                shard.counters.turned_away_by(crowded.limit());
            });
            return;
        }
    };
    // A listener hands the option on; where it does not, a lone message must still not wait.
    let _ = stream.set_nodelay(true);
    let cut = Rc::new(Notify::new());
    let arrival = Arrival { shard: shard.clone(), generation, remote, local, cut: Rc::clone(&cut), seat };
    let tls = tls.map(Arc::clone);
    tokio::task::spawn_local(async move {
        let served = async {
            match tls {
                // A future of its own size, so that a plain connection does not carry it.
                Some(tls) => Box::pin(serve_tls(arrival, stream, &tls)).await,
                None => serve_plain(arrival, stream).await,
            }
        };
        tokio::select! {
            () = served => {}
            () = cut.notified() => {}
        }
    });
}

/// A place for a connection, if there is one. Whoever has none for another reason takes nothing of the rate.
fn admit(shard: &ShardRef, generation: &Generation, address: IpAddr, busy: u32) -> Result<Seat, Crowded> {
    let limits = &generation.settings.limits;
    let proxy = generation.settings.access.trusted_proxies.iter().any(|net| net.contains(address));
    let seat = shard.process.admit(address, if proxy { u32::MAX } else { limits.max_connections_per_ip })?;
    // Who is on this machine, and brings nobody else, is no crowd.
    let alone = address.is_loopback() && !proxy;
    let in_time = alone || shard.process.arrivals.count(limits.accept_rate, Instant::now());
    if in_time || busy < limits.accept_rate_from { Ok(seat) } else { Err(Crowded::Rate) }
}

async fn serve_plain(arrival: Arrival, stream: TcpStream) {
    let (visit, generation) = arrival.visit(None, None);
    let limits = &generation.settings.limits;
    let process = &visit.shard.process;
    // A connection that comes later still hears why it is not served.
    let late = process.is_draining();
    let begun = tokio::select! {
        begun = timeout(limits.http_header_timeout, beginning(&stream)) => begun,
        // Nothing was asked, so nothing is owed.
        () = process.drain_begun(), if !late => return,
    };
    match begun {
        Ok(Beginning::Http1) => serve_http1(visit, stream, limits).await,
        // Of its own size, as well.
        Ok(Beginning::Http2) => Box::pin(serve_http2(visit, stream, limits)).await,
        Err(_) => say_late(stream),
    }
}

/// Serves what TLS and the client agree on.
async fn serve_tls(arrival: Arrival, stream: TcpStream, tls: &Tls) {
    let limit = arrival.generation.settings.limits.tls_handshake_timeout;
    let begun = Instant::now();
    match tls.handshake(stream, limit).await {
        Ok(stream) => {
            arrival.shard.tidy(|shard| shard.counters.tls_handshakes += 1);
            let (visit, generation) = arrival.visit(Some(version(&stream)), Some(micros(begun.elapsed())));
            let limits = &generation.settings.limits;
            match speaks_http2(&stream) {
                true => serve_http2(visit, stream, limits).await,
                // It is what a client without ALPN speaks, too.
                false => serve_http1(visit, stream, limits).await,
            }
        }
        Err(failed) => {
            arrival.shard.tidy(|shard| shard.counters.no_handshake(failed.reason));
            let (reason, error) = (failed.reason, failed.error);
            tracing::debug!(event = "tls_handshake_failed", remote = %arrival.remote, reason, %error, "ended");
        }
    }
}

impl Arrival {
    /// `took` is how long the TLS handshake did, in microseconds.
    fn visit(self, tls: Option<TlsVersion>, took: Option<u32>) -> (Rc<Visit>, Arc<Generation>) {
        let Self { shard, generation, remote, local, cut, seat } = self;
        let marks = Marks {
            ready: Some(Instant::now()),
            timing: Timing { tls: took, ..Timing::default() },
            ..Marks::default()
        };
        let (seat, marks) = (RefCell::new(Some(seat)), Cell::new(marks));
        let visit = Visit { shard, remote, local, tls, cut, seat, tunnel: None, marks };
        (Rc::new(visit), generation)
    }
}

/// A short answer without any state; who is turned away in a crowd must cost nothing.
fn turn_away(stream: &TcpStream, crowded: Crowded, tls: bool) {
    if tls {
        // An answer in words would take a handshake.
        let _ = stream.try_write(&TURNED_AWAY);
        return;
    }
    // A fresh socket takes so little at once, or its owner has gone.
    let _ = stream.try_write(&crowded.refusal().to_bytes());
    take_unread(stream);
}

/// Serves HTTP/1.1 on a client's socket, plain or under TLS, until it ends or leaves HTTP.
async fn serve_http1<S: ClientSocket>(visit: Rc<Visit>, stream: S, limits: &Limits) {
    let remote = visit.remote;
    if let Err(error) = serve_requests(visit, stream, limits).await {
        tracing::debug!(event = "http_connection_failed", %remote, %error, "ended");
    }
}

async fn serve_requests<S: ClientSocket>(visit: Rc<Visit>, stream: S, limits: &Limits) -> hyper::Result<()> {
    let served = Rc::new(Cell::new(0u32));
    let most = limits.http_max_requests_per_conn;
    let process = Arc::clone(&visit.shard.process);
    let keeps = visit.shard.look(Shard::keeps_handshakes);
    let (stream, timer, told) = timed(stream, limits, keeps);
    let (shard, noted) = (visit.shard.clone(), Arc::clone(&told));
    let service = service_fn(move |request: Request<Incoming>| {
        let (visit, served, told) = (Rc::clone(&visit), Rc::clone(&served), Arc::clone(&told));
        async move {
            served.set(served.get() + 1);
            let asked = told.heads.take_request();
            let is_first = asked.is_some();
            let mut response = answer(&visit, request.map(RequestBody::Http1), asked).await;
            if let Some(number) = visit.mark(|marks| marks.number).filter(|_| is_first) {
                told.heads.await_answer(number);
            }
            let last = served.get() >= most || visit.shard.process.is_draining();
            if last && response.status() != StatusCode::SWITCHING_PROTOCOLS {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, Infallible>(response)
        }
    });
    // A connection that comes later still hears why it is not served.
    let late = process.is_draining();
    let mut connection = pin!(builder(limits, timer).serve_connection(stream, service).with_upgrades());
    tokio::select! {
        served = keeping_answer(connection.as_mut(), &shard, &noted.heads) => return served,
        () = process.drain_begun(), if !late => {}
    }
    // What is being answered is answered; then the connection ends.
    connection.as_mut().graceful_shutdown();
    keeping_answer(connection, &shard, &noted.heads).await
}

/// Drives a connection, and keeps the head of the answer to its first request where that was a handshake.
async fn keeping_answer<C: Future>(
    mut connection: Pin<&mut C>,
    shard: &ShardRef,
    heads: &FirstHeads,
) -> C::Output {
    poll_fn(|context| {
        let polled = connection.as_mut().poll(context);
        if let Some(head) = heads.take_answer() {
            let (answered, truncated) = answered_as(&head);
            shard.tidy(|shard| shard.handshakes.answered(head.number, answered, truncated));
        }
        polled
    })
    .await
}

/// hyper, within the limits.
pub(crate) fn builder(limits: &Limits, timer: HeadTimer) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(timer)
        .header_read_timeout(limits.http_header_timeout)
        .max_buf_size(limits.http_max_header_bytes.max(LEAST_HEAD_BYTES))
        .max_headers(limits.http_max_headers as usize);
    builder
}

/// Binds one listening socket that shares its port with those of the other shards.
pub(crate) fn bind_shared(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    bind(address, true)
}

/// Binds a listening socket that wants its port for itself.
pub(crate) fn bind_alone(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    bind(address, false)
}

fn bind(address: SocketAddr, shared: bool) -> io::Result<std::net::TcpListener> {
    /// Connections that wait to be accepted; the system cuts it to its own bound.
    const BACKLOG: i32 = 4096;
    let socket = socket2::Socket::new(
        socket2::Domain::for_address(address),
        socket2::Type::STREAM,
        Some(socket2::Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shared)?;
    socket.set_nonblocking(true)?;
    // Accepted sockets inherit it: a lone message leaves at once.
    socket.set_tcp_nodelay(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}
