//! `wsload round`: makes several publications arrive in one round of the gateway. It is stopped with SIGSTOP while
//! they are sent, each on a connection of its own, and finds all of them when it goes on.

use std::io;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::linux::{self, signal};
use crate::pool::Target;
use crate::process::is_stopped;
use crate::publisher::Publisher;
use crate::subscribers::Subscribers;
use crate::wire::{self, Door};

/// Bytes of a payload.
const PAYLOAD_BYTES: usize = 64;
/// How long a process may take to stop.
const STOP_LIMIT: u64 = 10_000_000_000;

/// Stop the gateway, publish on several connections, let it go on
#[derive(Debug, clap::Args)]
pub struct Round {
    /// ws://ADDRESS:PORT/PATH of the channel
    url: String,
    /// Subscribers
    #[arg(short = 'n', long, default_value_t = 100)]
    subscribers: usize,
    /// Connections that publish once each
    #[arg(long, default_value_t = 16)]
    publishers: usize,
    /// Where to POST each publication
    #[arg(long)]
    publish_url: String,
    /// A field of the POST, "Name: value"
    #[arg(long)]
    publish_header: Vec<String>,
    /// The gateway
    #[arg(long)]
    pid: u32,
    /// Say `ready` when all is prepared and wait for a line on stdin
    #[arg(long)]
    wait: bool,
}

/// Runs it; gives the line.
pub fn run(round: &Round) -> Result<Value, String> {
    let mut subscribers =
        Subscribers::open(&Target::parse(&round.url)?, Door::WebSocket, round.subscribers, false)?;
    let mut publishers = prepare(round, &mut subscribers).map_err(|error| error.to_string())?;
    if round.wait {
        println!("ready");
        io::stdin().read_line(&mut String::new()).map_err(|error| format!("stdin: {error}"))?;
    }
    stop(round.pid).map_err(|error| format!("stopping {}: {error}", round.pid))?;
    let sent = send_all(&mut publishers);
    // It goes on, whatever became of sending.
    signal(round.pid, Signal::CONT).map_err(|error| format!("continuing {}: {error}", round.pid))?;
    sent.map_err(|error| format!("publishing: {error}"))?;
    let wanted = subscribers.got.came() + publishers.len() as u64 * subscribers.count();
    let before = subscribers.got.came();
    subscribers.await_deliveries(wanted)?;
    for publisher in &mut publishers {
        publisher.confirm().map_err(|error| error.to_string())?;
    }
    Ok(json!({
        "subscribers": round.subscribers,
        "publications": publishers.len(),
        "deliveries": subscribers.got.came() - before,
    }))
}

/// Connections that have been used once, so that nothing is left to be set up.
fn prepare(round: &Round, subscribers: &mut Subscribers) -> io::Result<Vec<Publisher>> {
    let target = Target::parse(&round.publish_url).map_err(io::Error::other)?;
    let mut publishers = Vec::new();
    for number in (1..).take(round.publishers) {
        let mut publisher = Publisher::connect(&target, &round.publish_header)?;
        publisher.await_subscribers(subscribers.count())?;
        publisher.send(&wire::payload(PAYLOAD_BYTES, linux::now(), number))?;
        publisher.confirm()?;
        publishers.push(publisher);
        subscribers.await_deliveries(u64::from(number) * subscribers.count()).map_err(io::Error::other)?;
    }
    Ok(publishers)
}

fn stop(process: u32) -> io::Result<()> {
    signal(process, Signal::STOP)?;
    let deadline = linux::now() + STOP_LIMIT;
    while !is_stopped(process) {
        if linux::now() > deadline {
            return Err(io::ErrorKind::TimedOut.into());
        }
        std::thread::yield_now();
    }
    Ok(())
}

/// Sends one publication by each. In which order they are taken is the gateway's choice.
fn send_all(publishers: &mut [Publisher]) -> io::Result<()> {
    let first = publishers.len() as u32 + 1;
    for (number, publisher) in (first..).zip(publishers) {
        publisher.send(&wire::payload(PAYLOAD_BYTES, linux::now(), number))?;
    }
    Ok(())
}
