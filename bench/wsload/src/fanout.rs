//! `wsload fanout`: one publisher and many subscribers in a closed loop. The next publication goes out when the
//! one before has reached everybody and has been confirmed.

use serde_json::{Value, json};

use crate::linux;
use crate::pool::Target;
use crate::process::{Usage, Used};
use crate::publisher::Publisher;
use crate::subscribers::Subscribers;
use crate::wire::{self, Door};

/// Publish to many subscribers; CPU time and latency of a delivery
#[derive(Debug, clap::Args)]
pub struct Fanout {
    /// ws://ADDRESS:PORT/PATH of the channel
    url: String,
    /// Subscribers
    #[arg(short = 'n', long, default_value_t = 1000)]
    subscribers: usize,
    /// Bytes of a payload, 27 at least
    #[arg(short, long, default_value_t = 64, value_parser = clap::value_parser!(u64).range(27..1 << 20))]
    size: u64,
    /// Seconds to publish
    #[arg(short, long, default_value_t = 5.0)]
    duration: f64,
    /// Seconds to publish before anything counts
    #[arg(long, default_value_t = 0.5)]
    warm_up: f64,
    /// End after so many publications, whatever the time, and without a warm-up
    #[arg(long)]
    publications: Option<u64>,
    /// Where to POST each publication
    #[arg(long)]
    publish_url: String,
    /// A field of the POST, "Name: value"
    #[arg(long)]
    publish_header: Vec<String>,
    /// Offer permessage-deflate; compressed publications are counted and not looked into
    #[arg(long)]
    deflate: bool,
    /// Fill payloads with records of JSON, which compress as such do
    #[arg(long)]
    json: bool,
    /// Sleep in epoll instead of spinning
    #[arg(long)]
    block: bool,
    /// Processes to measure
    #[arg(long, value_delimiter = ',')]
    pid: Vec<u32>,
}

/// What a run needs from one publication to the next.
struct Loop {
    subscribers: Subscribers,
    publisher: Publisher,
    size: usize,
    json: bool,
    published: u32,
}

/// Runs it; gives the line.
pub fn run(fanout: &Fanout) -> Result<Value, String> {
    let door = if fanout.deflate { Door::Deflated } else { Door::WebSocket };
    let target = Target::parse(&fanout.url)?;
    let subscribers = Subscribers::open(&target, door, fanout.subscribers, !fanout.block)?;
    let published_to = Target::parse(&fanout.publish_url)?;
    let publisher = Publisher::connect(&published_to, &fanout.publish_header).and_then(|mut publisher| {
        publisher.await_subscribers(subscribers.count())?;
        Ok(publisher)
    });
    let publisher = publisher.map_err(|error| format!("publishing: {error}"))?;
    let size = usize::try_from(fanout.size).unwrap_or(usize::MAX);
    let mut run = Loop { subscribers, publisher, size, json: fanout.json, published: 0 };
    run.publish()?;
    if fanout.publications.is_none() {
        run.publish_for(fanout.warm_up)?;
    }
    run.subscribers.got.latency.clear();
    let (published, received) = (run.published, run.subscribers.pool.received_bytes);
    let before = Usage::now(&fanout.pid);
    match fanout.publications {
        Some(count) => (0..count).try_for_each(|_| run.publish())?,
        None => run.publish_for(fanout.duration)?,
    }
    let used = Usage::now(&fanout.pid).since(&before);
    let publications = u64::from(run.published - published);
    let bytes = run.subscribers.pool.received_bytes - received;
    Ok(line(fanout, &run.subscribers, &used, publications, bytes))
}

fn line(fanout: &Fanout, subscribers: &Subscribers, used: &Used, publications: u64, bytes: u64) -> Value {
    let deliveries = publications * subscribers.count();
    let rounded = |value: f64| (value * 1000.0).round() / 1000.0;
    json!({
        "subscribers": fanout.subscribers,
        "size": fanout.size,
        "seconds": rounded(used.seconds),
        "publications": publications,
        "deliveries": deliveries,
        "deliveries_per_second": (deliveries as f64 / used.seconds).round(),
        "cpu_us_per_delivery": rounded(used.measured * 1e6 / deliveries.max(1) as f64),
        "latency_us": subscribers.got.latency.summary(),
        "compressed": subscribers.got.compressed,
        "wire_bytes_per_delivery": rounded(bytes as f64 / deliveries.max(1) as f64),
        "lost": subscribers.got.lost,
        "reordered": subscribers.got.reordered,
        "other_messages": subscribers.got.other,
        "generator_utilisation": rounded(used.own),
        "foreign_utilisation": rounded(used.foreign),
        "steal_utilisation": rounded(used.stolen),
    })
}

impl Loop {
    fn publish_for(&mut self, seconds: f64) -> Result<(), String> {
        let until = linux::now() + (seconds * 1e9) as u64;
        while linux::now() < until {
            self.publish()?;
        }
        Ok(())
    }

    /// One publication, to the last subscriber.
    fn publish(&mut self) -> Result<(), String> {
        self.published += 1;
        let wanted = self.subscribers.got.came() + self.subscribers.count();
        let fill = if self.json { wire::records } else { wire::payload };
        let payload = fill(self.size, linux::now(), self.published);
        self.publisher.send(&payload).map_err(|error| format!("publishing: {error}"))?;
        self.subscribers.await_deliveries(wanted)?;
        self.publisher.confirm().map(drop).map_err(|error| error.to_string())
    }
}
