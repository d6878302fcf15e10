//! `wsload resume`: clients that were away come back all at once, each with another position, while publishing goes
//! on. What each of them missed and what is live must come once and in order.

use std::time::Duration;

use serde_json::{Value, json};

use crate::linux;
use crate::pool::{Pool, Target};
use crate::process::Usage;
use crate::publisher::Publisher;
use crate::subscribers::Subscribers;
use crate::wire::{self, Door};

/// How long all connections together may take.
const OPENING_LIMIT: Duration = Duration::from_secs(120);
/// Between two publications while clients come back, in nanoseconds.
const PACE: u64 = 10_000_000;

/// Come back with positions to a channel that nobody has published to before
#[derive(Debug, clap::Args)]
pub struct Resume {
    /// ws://ADDRESS:PORT/PATH
    url: String,
    /// Connections
    #[arg(short = 'n', long, default_value_t = 5000)]
    connections: usize,
    /// Publications that the last of them has missed; the first has missed one
    #[arg(long, default_value_t = 100)]
    behind: u32,
    /// Bytes of a publication
    #[arg(short, long, default_value_t = 64)]
    size: usize,
    /// Where to publish
    #[arg(long)]
    publish_url: String,
    /// A line of the publishing request
    #[arg(long)]
    publish_header: Vec<String>,
    /// Processes to measure
    #[arg(long, value_delimiter = ',')]
    pid: Vec<u32>,
}

/// Runs it; gives the line.
pub fn run(resume: &Resume) -> Result<Value, String> {
    let target = Target::parse(&resume.url)?;
    let mut feed = Feed::connect(resume)?;
    for _ in 0..resume.behind {
        feed.publish()?;
    }
    let epoch = feed.epoch.clone();
    let missed = |number: usize| 1 + number as u32 % resume.behind.max(1);
    let seen = |number: usize| resume.behind - missed(number);
    let request_of = |number: usize| {
        let path = format!("{}?after={epoch}:{}", target.path, seen(number));
        wire::opening(Door::WebSocket, &target.host, &path)
    };
    let mut pool = Pool::new(Door::WebSocket, false).map_err(|error| error.to_string())?;
    let (before, begun) = (Usage::now(&resume.pid), linux::now());
    pool.open_each(&target, resume.connections, OPENING_LIMIT, request_of, || feed.publish_at_pace())?;
    let opened = linux::now();
    let last: Vec<u32> = (0..resume.connections).map(seen).collect();
    let wanted = last.iter().map(|last| u64::from(feed.published - last)).sum();
    let mut clients = Subscribers::of(pool, last);
    clients.await_deliveries(wanted)?;
    let (caught_up, usage) = (linux::now(), Usage::now(&resume.pid).since(&before));
    // One more, to all: whoever is not really live does not get it.
    feed.publish()?;
    clients.await_deliveries(wanted + clients.count())?;
    let milliseconds = |from: u64, to: u64| (to - from) / 1_000_000;
    Ok(json!({
        "connections": resume.connections,
        "behind": resume.behind,
        "published_meanwhile": feed.published - resume.behind - 1,
        "open_after_ms": milliseconds(begun, opened),
        "live_after_ms": milliseconds(begun, caught_up),
        "delivered": clients.got.delivered,
        "lost": clients.got.lost,
        "reordered": clients.got.reordered,
        "other": clients.got.other,
        "cpu_us_per_connection": (usage.measured * 1e8 / resume.connections.max(1) as f64).round() / 100.0,
        "handshake_us": clients.pool.handshakes.summary(),
        "foreign_utilisation": (usage.foreign * 1000.0).round() / 1000.0,
    }))
}

/// Publications numbered as their offsets are.
struct Feed {
    publisher: Publisher,
    size: usize,
    published: u32,
    epoch: String,
    last: u64,
}

impl Feed {
    fn connect(resume: &Resume) -> Result<Self, String> {
        let target = Target::parse(&resume.publish_url)?;
        let publisher =
            Publisher::connect(&target, &resume.publish_header).map_err(|error| error.to_string())?;
        Ok(Self { publisher, size: resume.size, published: 0, epoch: String::new(), last: 0 })
    }

    fn publish(&mut self) -> Result<(), String> {
        self.published += 1;
        self.last = linux::now();
        let payload = wire::payload(self.size, self.last, self.published);
        let answer = self.publisher.send(&payload).and_then(|()| self.publisher.confirm());
        let answer: Value = serde_json::from_str(&answer.map_err(|error| error.to_string())?)
            .map_err(|error| error.to_string())?;
        let position = answer["position"].as_str().unwrap_or_default();
        match position.split_once(':') {
            Some((epoch, offset)) if offset == self.published.to_string() => {
                self.epoch = epoch.to_owned();
                Ok(())
            }
            _ => Err(format!("publication {} is at {position}: the channel was not new", self.published)),
        }
    }

    fn publish_at_pace(&mut self) -> std::io::Result<()> {
        if linux::now() < self.last + PACE {
            return Ok(());
        }
        self.publish().map_err(std::io::Error::other)
    }
}
