//! `wsload idle`: opens connections, holds them, and says what they cost the gateway while nothing happens.
//! They subscribe by their path; nothing is published.

use std::time::Duration;

use serde_json::{Value, json};

use crate::linux;
use crate::pool::{Pool, Target};
use crate::process::{Usage, anonymous_memory};
use crate::wire::Door;

/// How long all connections together may take.
const OPENING_LIMIT: Duration = Duration::from_secs(120);

/// Open connections and hold them; memory and CPU time for each
#[derive(Debug, clap::Args)]
pub struct Idle {
    /// ws://ADDRESS:PORT/PATH
    url: String,
    /// Connections
    #[arg(short = 'n', long, default_value_t = 10_000)]
    connections: usize,
    /// Connections that are opened first and kept, so that what the first ones cost once is not counted
    #[arg(long, default_value_t = 0)]
    beyond: usize,
    /// Server-sent events instead of WebSockets
    #[arg(long)]
    event_stream: bool,
    /// Seconds to hold them before memory is read
    #[arg(long, default_value_t = 2.0)]
    hold: f64,
    /// Processes to measure
    #[arg(long, value_delimiter = ',')]
    pid: Vec<u32>,
}

/// Runs it; gives the line.
pub fn run(idle: &Idle) -> Result<Value, String> {
    let target = Target::parse(&idle.url)?;
    let door = if idle.event_stream { Door::EventStream } else { Door::WebSocket };
    let mut pool = Pool::new(door, false).map_err(|error| error.to_string())?;
    pool.open(&target, idle.beyond, OPENING_LIMIT)?;
    let (memory_before, before) = (anonymous_memory(&idle.pid), Usage::now(&idle.pid));
    pool.open(&target, idle.beyond + idle.connections, OPENING_LIMIT)?;
    let opened = Usage::now(&idle.pid).since(&before);
    let until = linux::now() + (idle.hold * 1e9) as u64;
    let mut messages = 0u64;
    while linux::now() < until {
        pool.round(50, |_, _| messages += 1);
    }
    if pool.ended > 0 {
        return Err(format!("{} connections ended: {:?}", pool.ended, pool.first_failure));
    }
    let memory_after = anonymous_memory(&idle.pid);
    let connections = idle.connections.max(1) as f64;
    let each = memory_after.saturating_sub(memory_before) as f64 / connections;
    Ok(json!({
        "connections": idle.connections,
        "beyond": idle.beyond,
        "door": if idle.event_stream { "event_stream" } else { "websocket" },
        "memory_before": memory_before,
        "memory_after": memory_after,
        "memory_per_connection": each.round(),
        "handshake_cpu_us": (opened.measured * 1e8 / connections).round() / 100.0,
        "handshake_us": pool.handshakes.summary(),
        "messages": messages,
        "received_bytes": pool.received_bytes,
        "foreign_utilisation": (opened.foreign * 1000.0).round() / 1000.0,
    }))
}
