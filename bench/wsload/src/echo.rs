//! `wsload echo`: connections that keep some messages in flight each to a server that sends them back. What comes
//! back is counted and its length checked; its bytes are not, unless messages are numbered.

use std::time::Duration;

use serde_json::{Value, json};

use crate::linux;
use crate::pool::{Pool, Target};
use crate::process::{Usage, Used};
use crate::wire::{self, Door};

const OPENING_LIMIT: Duration = Duration::from_secs(30);

/// Send messages to an echo server; CPU time of a message
#[derive(Debug, clap::Args)]
pub struct Echo {
    /// ws://ADDRESS:PORT/PATH
    url: String,
    /// Connections
    #[arg(short = 'n', long, default_value_t = 64)]
    connections: usize,
    /// Bytes of a payload
    #[arg(short, long, default_value_t = 32)]
    size: usize,
    /// Messages in flight on each connection
    #[arg(short, long, default_value_t = 1)]
    in_flight: usize,
    /// Seconds that count
    #[arg(short, long, default_value_t = 2.0)]
    duration: f64,
    /// Seconds before anything counts
    #[arg(long, default_value_t = 0.3)]
    warm_up: f64,
    /// Give each message of a connection a stamp with its number, and check that they come back in order
    #[arg(long)]
    numbered: bool,
    /// Sleep in epoll instead of spinning
    #[arg(long)]
    block: bool,
    /// Processes to measure
    #[arg(long, value_delimiter = ',')]
    pid: Vec<u32>,
}

/// What goes to and fro.
struct Loop {
    pool: Pool,
    message: Vec<u8>,
    size: usize,
    /// Messages that came back.
    came: u64,
    /// Of those, the ones of another length or number.
    wrong: u64,
    /// Of each connection the number of the message that is sent next and of the one that comes next, if they have some.
    numbers: Option<Vec<(u32, u32)>>,
}

/// Runs it; gives the line.
pub fn run(echo: &Echo) -> Result<Value, String> {
    let mut pool = Pool::new(Door::WebSocket, !echo.block).map_err(|error| error.to_string())?;
    pool.open(&Target::parse(&echo.url)?, echo.connections, OPENING_LIMIT)?;
    let message = wire::message(&vec![b'x'; echo.size]);
    if echo.numbered && echo.size < wire::STAMP_BYTES {
        return Err(format!("a number takes {} bytes", wire::STAMP_BYTES));
    }
    let numbers = echo.numbered.then(|| vec![(0, 0); echo.connections]);
    let mut run = Loop { pool, message, size: echo.size, came: 0, wrong: 0, numbers };
    for number in 0..echo.connections {
        run.send(number, echo.in_flight)?;
    }
    run.run_for(echo.warm_up)?;
    let (came, before) = (run.came, Usage::now(&echo.pid));
    run.run_for(echo.duration)?;
    let used = Usage::now(&echo.pid).since(&before);
    if run.wrong > 0 {
        return Err(format!("{} messages came back with another length or number", run.wrong));
    }
    Ok(line(echo, &used, run.came, run.came - came))
}

impl Loop {
    /// Sends a message for each that comes back; those that one read brought leave together.
    fn run_for(&mut self, seconds: f64) -> Result<(), String> {
        let until = linux::now() + (seconds * 1e9) as u64;
        let mut answers: Vec<(usize, usize)> = Vec::new();
        while linux::now() < until {
            let (size, mut wrong, numbers) = (self.size, 0, &mut self.numbers);
            self.pool.round(10, |number, frame| {
                let is_next = numbers.as_mut().is_none_or(|numbers| {
                    let next = &mut numbers[number].1;
                    *next += 1;
                    wire::stamp(frame.payload).is_some_and(|(_, stamped)| stamped + 1 == *next)
                });
                wrong += u64::from(frame.payload.len() != size || !is_next);
                match answers.last_mut() {
                    Some((last, count)) if *last == number => *count += 1,
                    _ => answers.push((number, 1)),
                }
            });
            self.wrong += wrong;
            for (number, count) in answers.drain(..) {
                self.came += count as u64;
                self.send(number, count)?;
            }
            if self.pool.ended > 0 {
                return Err(format!("a connection ended: {:?}", self.pool.first_failure));
            }
        }
        Ok(())
    }

    fn send(&mut self, connection: usize, count: usize) -> Result<(), String> {
        let frames = match &mut self.numbers {
            None => self.message.repeat(count),
            Some(numbers) => {
                let (next, now) = (&mut numbers[connection].0, linux::now());
                let mut frames = Vec::with_capacity(count * self.message.len());
                for _ in 0..count {
                    frames.extend(wire::message(&wire::payload(self.size, now, *next)));
                    *next += 1;
                }
                frames
            }
        };
        self.pool.queue(connection, &frames).map_err(|error| format!("sending: {error}"))
    }
}

fn line(echo: &Echo, used: &Used, all: u64, messages: u64) -> Value {
    let rounded = |value: f64| (value * 1000.0).round() / 1000.0;
    json!({
        "connections": echo.connections,
        "size": echo.size,
        "in_flight": echo.in_flight,
        "seconds": rounded(used.seconds),
        "all_messages": all,
        "messages": messages,
        "messages_per_second": (messages as f64 / used.seconds).round(),
        "cpu_us_per_message": rounded(used.measured * 1e6 / messages.max(1) as f64),
        "generator_utilisation": rounded(used.own),
        "foreign_utilisation": rounded(used.foreign),
        "steal_utilisation": rounded(used.stolen),
    })
}
