//! HTTP/2 on the public listener: one task owns a client's connection, and each of its streams is answered
//! like a request of HTTP/1.1, by the same doors. WebSockets are streams as well (RFC 8441).
//!
//! h2 speaks the protocol, here is when it begins and ends and what it may cost; `meter` watches what comes
//! before h2 sees it, `request` and `response` are the two ways between a stream and what the doors know.

mod meter;
pub(crate) mod preface;
mod request;
mod response;

use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use h2::server::{Builder, Connection, SendResponse};
use h2::{Reason, RecvStream};
use http::header::EXPECT;
use http::{Method, Request, Response, StatusCode};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

use self::meter::{Meter, Metered};
use crate::answer::{answer, refuse};
use crate::client_socket::ClientSocket;
use crate::http_body::Visit;
use crate::limits::Limits;
use crate::tunnel::Sent;

/// The first bytes of every connection (RFC 9113, section 3.4).
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Time for the last bytes of a connection that is to end.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// A connection of a client.
type Client<S> = Connection<Metered<S>, Bytes>;

/// What a connection does next.
enum Next {
    Request(Box<(Request<RecvStream>, SendResponse<Bytes>)>),
    /// All streams are done and nothing follows.
    Ended,
    Failed(h2::Error),
    /// The meter has seen too much.
    Flooded,
}

/// Serves one connection until it ends. `visit` is that of the connection; each stream has its own.
pub(crate) async fn serve_http2<S: ClientSocket>(visit: Rc<Visit>, stream: S, limits: &Limits) {
    let meter = Rc::new(Meter::new(limits.h2_max_control_frames_per_s));
    let stream = Metered::new(stream, Rc::clone(&meter), limits.http_keepalive_idle);
    match timeout(limits.http_header_timeout, builder(limits).handshake(stream)).await {
        Ok(Ok(connection)) => {
            visit.shard.tidy(|shard| shard.counters.h2_connections += 1);
            Serving::new(&visit, limits).run(connection, &meter).await;
        }
        Ok(Err(error)) => {
            tracing::debug!(event = "http_connection_failed", remote = %visit.remote, %error, "ended");
        }
        // Nothing but a part of the preface has come: there is nobody to answer.
        Err(_) => tracing::debug!(event = "http_connection_failed", remote = %visit.remote, "no preface"),
    }
}

/// h2, within the limits.
fn builder(limits: &Limits) -> Builder {
    let size = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX);
    let mut builder = Builder::new();
    builder
        .max_concurrent_streams(limits.h2_max_concurrent_streams)
        .initial_window_size(size(limits.h2_stream_window))
        .initial_connection_window_size(size(limits.h2_conn_window))
        // Frames that wait for a slow backend cost more than their bytes, and are no attack yet.
        .data_frame_budget(limits.h2_conn_window)
        .max_header_list_size(size(limits.h2_max_header_list))
        .max_send_buffer_size(limits.h2_max_send_buffer)
        .max_pending_accept_reset_streams(limits.h2_max_concurrent_streams as usize)
        .max_local_error_reset_streams(Some(limits.h2_max_error_resets as usize))
        .enable_connect_protocol();
    builder
}

/// One connection that is being served.
struct Serving<'a> {
    visit: &'a Rc<Visit>,
    limits: &'a Limits,
    /// Aborted when the connection ends.
    streams: JoinSet<()>,
    served: u32,
    /// Streams after which no more are taken.
    most: u32,
    /// When a connection without streams ends, or one that is to end is cut.
    deadline: Instant,
    /// No more streams are taken.
    ending: bool,
}

impl<'a> Serving<'a> {
    fn new(visit: &'a Rc<Visit>, limits: &'a Limits) -> Self {
        // A connection that comes late still hears why it is not served.
        let late = visit.shard.process.is_draining();
        Self {
            visit,
            limits,
            streams: JoinSet::new(),
            served: 0,
            most: if late { 1 } else { limits.http_max_requests_per_conn },
            deadline: Instant::now() + limits.http_header_timeout,
            ending: false,
        }
    }

    async fn run<S: ClientSocket>(mut self, mut connection: Client<S>, meter: &Meter) {
        let process = &self.visit.shard.process;
        let late = process.is_draining();
        let mut drain_begun = pin!(process.drain_begun());
        loop {
            tokio::select! {
                next = next(&mut connection, meter) => match next {
                    Next::Request(stream) => self.begin(*stream, &mut connection),
                    Next::Ended => return,
                    Next::Failed(error) => return self.failed(&error),
                    Next::Flooded => return self.flooded(connection).await,
                },
                Some(_) = self.streams.join_next() => {
                    self.deadline = Instant::now() + self.limits.http_keepalive_idle;
                    if self.ending {
                        self.deadline = Instant::now() + LAST_WORDS;
                    }
                }
                () = sleep_until(self.deadline), if self.streams.is_empty() => {
                    if self.ending {
                        return;
                    }
                    self.end(&mut connection);
                }
                () = drain_begun.as_mut(), if !self.ending && !late => self.end(&mut connection),
            }
        }
    }

    fn begin<S: ClientSocket>(
        &mut self,
        (request, respond): (Request<RecvStream>, SendResponse<Bytes>),
        connection: &mut Client<S>,
    ) {
        self.visit.shard.tidy(|shard| shard.counters.h2_streams += 1);
        self.served += 1;
        self.streams.spawn_local(serve_stream(Rc::new(self.visit.stream()), request, respond));
        if self.served >= self.most && !self.ending {
            self.end(connection);
        }
    }

    /// Says that no more streams are taken; those that are there go on.
    fn end<S: ClientSocket>(&mut self, connection: &mut Client<S>) {
        connection.graceful_shutdown();
        self.ending = true;
        self.deadline = Instant::now() + LAST_WORDS;
    }

    fn failed(&self, error: &h2::Error) {
        let remote = self.visit.remote;
        if error.is_library() && error.is_go_away() {
            self.visit.shard.tidy(|shard| shard.counters.h2_abuses += 1);
            tracing::info!(event = "h2_abuse", %remote, %error, "an HTTP/2 connection was ended");
        } else {
            tracing::debug!(event = "http_connection_failed", %remote, %error, "ended");
        }
    }

    async fn flooded<S: ClientSocket>(&self, mut connection: Client<S>) {
        self.visit.shard.tidy(|shard| shard.counters.h2_abuses += 1);
        tracing::info!(
            event = "h2_abuse",
            remote = %self.visit.remote,
            "h2_max_control_frames_per_s: an HTTP/2 connection was ended"
        );
        connection.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
        // It says so and no more; who does not read it need not hear it.
        let _ = timeout(LAST_WORDS, poll_fn(|context| connection.poll_closed(context))).await;
    }
}

/// Drives the connection until something is to be done.
async fn next<S: ClientSocket>(connection: &mut Client<S>, meter: &Meter) -> Next {
    let mut accept = pin!(connection.accept());
    poll_fn(|context| {
        meter.begin_turn();
        let accepted = accept.as_mut().poll(context);
        if meter.is_flooded() {
            return Poll::Ready(Next::Flooded);
        }
        accepted.map(|accepted| match accepted {
            Some(Ok(stream)) => Next::Request(Box::new(stream)),
            Some(Err(error)) => Next::Failed(error),
            None => Next::Ended,
        })
    })
    .await
}

/// Answers one stream.
async fn serve_stream(visit: Rc<Visit>, request: Request<RecvStream>, mut respond: SendResponse<Bytes>) {
    let generation = visit.shard.look(|shard| Arc::clone(&shard.generation));
    let limits = &generation.settings.limits;
    let is_head = request.method() == Method::HEAD;
    if request.headers().get(EXPECT).is_some_and(|expected| expected == "100-continue") {
        let mut go_on = Response::new(());
        *go_on.status_mut() = StatusCode::CONTINUE;
        // A stream that is over already is seen below.
        let _ = respond.send_informational(go_on);
    }
    let answered = tokio::select! {
        biased;
        // The client wants no answer any more: what asks for it, at a backend too, ends.
        _ = poll_fn(|context| respond.poll_reset(context)) => None,
        response = async {
            match request::translate(request, limits) {
                Ok(request) => answer(&visit, request, None).await,
                Err(refusal) => refuse(&visit, refusal),
            }
        } => Some(response),
    };
    let tunnel = visit.tunnel.as_ref().and_then(|place| place.borrow_mut().take());
    let sent = match (answered, tunnel) {
        (None, _) => Sent::Reset,
        (Some(response), Some(tunnel)) => match response::begin(&mut respond, response) {
            Some(stream) => tunnel.run(stream).await,
            None => Sent::Reset,
        },
        (Some(response), None) => tokio::select! {
            sent = response::send(&mut respond, response, is_head, limits.http_keepalive_idle) => sent,
            () = visit.cut.notified() => Sent::Reset,
        },
    };
    if sent == Sent::Reset {
        visit.shard.tidy(|shard| shard.counters.h2_streams_reset += 1);
    }
}
