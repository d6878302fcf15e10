//! Pings against silence: when one is due, and when a peer that answers none is given up.
//!
//! Whatever comes from the peer is a sign of life, a Pong or not; so is room that it makes for what waits to
//! be written. Only times are kept here.

use std::time::Duration;

use tokio::time::Instant;

/// When to ask, and how long to wait.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rhythm {
    /// None: no Pings.
    pub(crate) interval: Option<Duration>,
    pub(crate) timeout: Duration,
}

/// What has come and gone on one connection.
#[derive(Debug)]
pub(crate) struct KeepAlive {
    /// When the peer last showed life.
    heard: Instant,
    /// When a Ping was sent that nothing followed yet.
    asked: Option<Instant>,
}

/// What is to be done when the time has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Due {
    Ping,
    GiveUp,
}

impl KeepAlive {
    pub(crate) fn new() -> Self {
        Self { heard: Instant::now(), asked: None }
    }

    /// Bytes came, or the peer made room. Without Pings nobody asks when, and the clock is not read.
    pub(crate) fn handle_life(&mut self, rhythm: Rhythm) {
        if rhythm.interval.is_some() {
            *self = Self::new();
        }
    }

    /// A Ping was sent.
    pub(crate) fn handle_ping(&mut self) {
        self.asked = Some(Instant::now());
    }

    /// What is due next, and when.
    pub(crate) fn poll_timeout(&self, rhythm: Rhythm) -> Option<(Instant, Due)> {
        let interval = rhythm.interval?;
        match self.asked {
            None => Some((self.heard.checked_add(interval)?, Due::Ping)),
            Some(asked) => Some((asked.checked_add(rhythm.timeout)?, Due::GiveUp)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(20);
    const TIMEOUT: Duration = Duration::from_secs(5);
    const RHYTHM: Rhythm = Rhythm { interval: Some(INTERVAL), timeout: TIMEOUT };

    #[tokio::test(start_paused = true)]
    async fn silence_is_asked_once_and_then_given_up() {
        let began = Instant::now();
        let mut clock = KeepAlive::new();
        tokio::time::advance(Duration::from_secs(7)).await;
        clock.handle_life(RHYTHM);
        let heard = began + Duration::from_secs(7);
        assert_eq!(clock.poll_timeout(RHYTHM), Some((heard + INTERVAL, Due::Ping)));
        tokio::time::advance(INTERVAL).await;
        clock.handle_ping();
        assert_eq!(clock.poll_timeout(RHYTHM), Some((heard + INTERVAL + TIMEOUT, Due::GiveUp)));
        clock.handle_life(RHYTHM);
        assert_eq!(clock.poll_timeout(RHYTHM), Some((heard + INTERVAL + INTERVAL, Due::Ping)));
    }

    #[tokio::test]
    async fn without_an_interval_nothing_is_ever_due() {
        for interval in [None, Some(Duration::MAX)] {
            assert_eq!(KeepAlive::new().poll_timeout(Rhythm { interval, timeout: TIMEOUT }), None);
        }
    }
}
