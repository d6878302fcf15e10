//! The listener: a task for each connection, until somebody ends it.
//!
//! Everything runs on one thread, so that what is shown is in the order in which it happened.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tidegate_client::Options;
use tidegate_inspect::words::known;
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::{JoinSet, LocalSet};
use url::{Position, Url};

use super::output::Output;
use super::relay::{Relayed, Target, relay};
use super::secrets;
use crate::arguments::Inspect;
use crate::connect::trust;
use crate::exit::{Exit, Failure};
use crate::terminal::escape;

/// Connections at a time; more wait to be accepted.
const CONNECTIONS_MAX: usize = 1000;

/// How often it is looked whether somebody still reads.
const TICK_TIME: Duration = Duration::from_millis(250);

pub(super) fn run(arguments: &Inspect, output: Output) -> Result<Exit, Failure> {
    let target = target(arguments)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::of(known::SYSTEM, error))?;
    let output = Rc::new(RefCell::new(output));
    let ended = LocalSet::new().block_on(&runtime, serve(arguments, Rc::new(target), &output));
    // A name that is still being resolved is not waited for.
    runtime.shutdown_background();
    // The relays went with their runtime, and what they held of it.
    match Rc::into_inner(output) {
        Some(output) => output.into_inner().end(ended),
        None => ended,
    }
}

fn target(arguments: &Inspect) -> Result<Target, Failure> {
    let url = &arguments.target;
    let parsed =
        Url::parse(url).ok().filter(|parsed| matches!(parsed.scheme(), "ws" | "wss" | "http" | "https"));
    if parsed.is_none() {
        return Err(Failure::of(known::URL, format!("{}: not a URL of a WebSocket", escape(url)))
            .mend("write such as ws://localhost:8080/quotes/BTC"));
    }
    let options =
        Options { trust: trust(arguments.cacert.as_ref(), arguments.insecure), ..Options::default() };
    Ok(Target { url: url.clone(), options, keeps_host: arguments.keep_host, secrets: secrets(arguments) })
}

async fn serve(
    arguments: &Inspect,
    target: Rc<Target>,
    output: &Rc<RefCell<Output>>,
) -> Result<Exit, Failure> {
    let other = |error: std::io::Error| Failure::of(known::SYSTEM, error);
    let mut interrupts = signal(SignalKind::interrupt()).map_err(other)?;
    let mut terminations = signal(SignalKind::terminate()).map_err(other)?;
    let listener = TcpListener::bind(arguments.listen).await.map_err(|error| {
        Failure::of(known::LISTEN, format!("cannot listen on {}: {error}", arguments.listen))
            .mend("name a free address with --listen 127.0.0.1:PORT")
    })?;
    greet(&target.url, listener.local_addr().map_err(other)?, &output.borrow());
    let left = output.borrow().left();
    tokio::pin!(left);
    let mut relays = JoinSet::new();
    let mut tick = tokio::time::interval(TICK_TIME);
    let (mut begun, mut ended, mut was_open) = (0u64, 0u64, false);
    loop {
        let has_room = relays.len() < CONNECTIONS_MAX && arguments.n.is_none_or(|n| begun < n);
        tokio::select! {
            accepted = listener.accept(), if has_room => match accepted {
                Ok((client, _)) => {
                    begun += 1;
                    begin(&mut relays, client, begun, &target, output);
                }
                // The next attempt may find what this one lacked.
                Err(error) => {
                    let number = known::ACCEPT_FAILED;
                    output.borrow().say(format_args!("error[{number}]: cannot accept: {error}"));
                }
            },
            Some(relayed) = relays.join_next() => {
                let Relayed { was_open: opened, failure } = relayed.map_err(|error| Failure::of(known::SYSTEM, error))?;
                ended += 1;
                was_open |= opened;
                match failure {
                    Some(failure) if !was_open => return Err(failure),
                    Some(failure) => output.borrow().say(&failure),
                    None => {}
                }
                if arguments.n.is_some_and(|n| ended >= n) {
                    return Ok(Exit::Done);
                }
            }
            _ = tick.tick() => {
                output.borrow_mut().tick();
                if output.borrow().is_idle() {
                    return Ok(Exit::Done);
                }
            }
            () = &mut left => return Ok(Exit::Done),
            _ = interrupts.recv() => return Ok(Exit::Interrupted),
            _ = terminations.recv() => return Ok(Exit::Interrupted),
        }
    }
}

fn begin(
    relays: &mut JoinSet<Relayed>,
    client: TcpStream,
    number: u64,
    target: &Rc<Target>,
    output: &Rc<RefCell<Output>>,
) {
    let conn: Arc<str> = format!("c{number}").into();
    relays.spawn_local(relay(client, conn, Rc::clone(target), Rc::clone(output)));
}

/// What to connect to instead of the server.
fn greet(url: &str, address: SocketAddr, output: &Output) {
    let path = Url::parse(url).map(|url| url[Position::BeforePath..].to_owned()).unwrap_or_default();
    let instead = format!("ws://{address}{path}");
    let lines = format!(
        "tidegate shows what goes between a client and {}. Connect to it instead of the server:\n\
         \n  tidegate connect {}\n\
         \nCtrl-C ends it.",
        escape(url),
        escape(&instead)
    );
    output.greet(instead, lines);
    if !address.ip().is_loopback() {
        output.say("others can connect, too, and what they send is shown here");
    }
}
