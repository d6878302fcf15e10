//! Subscribers of one channel and what they got: every publication is numbered, so that a lost, repeated or
//! reordered one shows. Connections are in `pool`.

use std::time::Duration;

use crate::histogram::Histogram;
use crate::linux;
use crate::pool::{Pool, Target};
use crate::wire::{self, Door, Frame};

/// How long all connections together may take.
const OPENING_LIMIT: Duration = Duration::from_secs(120);
/// How long subscriptions may take to stand, and a publication to reach everybody under a slow tool.
const DELIVERY_LIMIT: Duration = Duration::from_secs(120);

/// The subscribers.
pub struct Subscribers {
    /// Their connections.
    pub pool: Pool,
    /// The number of the last publication that each of them got.
    last: Vec<u32>,
    /// What they got together.
    pub got: Got,
}

/// Counts of what came.
pub struct Got {
    /// Publications that came in order.
    pub delivered: u64,
    /// Those of them that were compressed, whose number and time of sending cannot be seen.
    pub compressed: u64,
    /// Publications that were passed over.
    pub lost: u64,
    /// Publications that came again or too late.
    pub reordered: u64,
    /// Messages that are no publications of this run.
    pub other: u64,
    /// From sending to reading.
    pub latency: Histogram,
}

impl Subscribers {
    /// Opens `count` WebSockets.
    pub fn open(target: &Target, door: Door, count: usize, spins: bool) -> Result<Self, String> {
        let mut pool = Pool::new(door, spins).map_err(|error| error.to_string())?;
        pool.open(target, count, OPENING_LIMIT)?;
        let got = Got::new();
        Ok(Self { pool, last: vec![0; count], got })
    }

    /// Those of a pool that is open; each has got the publications up to its number.
    pub fn of(pool: Pool, last: Vec<u32>) -> Self {
        Self { pool, last, got: Got::new() }
    }

    /// How many they are.
    pub fn count(&self) -> u64 {
        self.last.len() as u64
    }

    /// Takes what is there.
    pub fn round(&mut self) {
        let Self { pool, last, got } = self;
        pool.round(1, |number, frame| got.take(&mut last[number], frame));
    }

    /// Reads until so many publications have come to all together, in order or not.
    pub fn await_deliveries(&mut self, wanted: u64) -> Result<(), String> {
        let deadline = linux::now() + DELIVERY_LIMIT.as_nanos() as u64;
        while self.got.came() < wanted {
            self.round();
            if self.pool.ended > 0 || linux::now() > deadline {
                let why = self.pool.first_failure.as_deref().unwrap_or("time is over");
                return Err(format!("{} of {wanted} deliveries came: {why}", self.got.came()));
            }
        }
        Ok(())
    }
}

impl Got {
    fn new() -> Self {
        let latency = Histogram::new();
        Self { delivered: 0, compressed: 0, lost: 0, reordered: 0, other: 0, latency }
    }

    /// Publications that came, in order or not.
    pub fn came(&self) -> u64 {
        self.delivered + self.reordered
    }

    fn take(&mut self, last: &mut u32, frame: &Frame<'_>) {
        if frame.compressed {
            // Nothing is inflated here: it can only be the next one.
            self.compressed += 1;
            self.delivered += 1;
            *last += 1;
            return;
        }
        let Some((sent_at, number)) = wire::stamp(frame.payload) else {
            self.other += 1;
            return;
        };
        if number <= *last {
            self.reordered += 1;
            return;
        }
        self.lost += u64::from(number - *last - 1);
        self.delivered += 1;
        self.latency.record(linux::now().saturating_sub(sent_at));
        *last = number;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(payload: &[u8]) -> Frame<'_> {
        Frame { opcode: 1, compressed: false, payload, length: payload.len() + 2 }
    }

    #[test]
    fn what_is_lost_repeated_or_foreign_is_counted() {
        let mut got = Got::new();
        let mut last = 0;
        for number in [1, 2, 5, 4, 6] {
            got.take(&mut last, &frame(&wire::payload(40, 0, number)));
        }
        got.take(&mut last, &frame(b"something else"));
        assert_eq!((got.delivered, got.lost, got.reordered, got.other), (4, 2, 1, 1));
    }
}
