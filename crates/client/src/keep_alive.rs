//! Pings against silence: when one is due, and when a peer that answers none is given up.
//!
//! Whatever comes from the peer is a sign of life, a Pong or not. Only times are kept here.

use std::time::Duration;

use tokio::time::Instant;

/// The clock of one connection's Pings.
#[derive(Debug)]
pub(crate) struct KeepAlive {
    /// None: no Pings.
    interval: Option<Duration>,
    timeout: Duration,
    /// When the last bytes came.
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
    pub(crate) fn new(interval: Option<Duration>, timeout: Duration) -> Self {
        Self { interval, timeout, heard: Instant::now(), asked: None }
    }

    /// Bytes came.
    pub(crate) fn handle_input(&mut self) {
        if self.interval.is_some() {
            self.heard = Instant::now();
            self.asked = None;
        }
    }

    /// A Ping was sent.
    pub(crate) fn handle_ping(&mut self) {
        self.asked = Some(Instant::now());
    }

    /// What is due next, and when.
    pub(crate) fn poll_timeout(&self) -> Option<(Instant, Due)> {
        let interval = self.interval?;
        match self.asked {
            None => Some((self.heard.checked_add(interval)?, Due::Ping)),
            Some(asked) => Some((asked.checked_add(self.timeout)?, Due::GiveUp)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(20);
    const TIMEOUT: Duration = Duration::from_secs(5);

    #[tokio::test(start_paused = true)]
    async fn silence_is_asked_once_and_then_given_up() {
        let began = Instant::now();
        let mut clock = KeepAlive::new(Some(INTERVAL), TIMEOUT);
        tokio::time::advance(Duration::from_secs(7)).await;
        clock.handle_input();
        let heard = began + Duration::from_secs(7);
        assert_eq!(clock.poll_timeout(), Some((heard + INTERVAL, Due::Ping)));
        tokio::time::advance(INTERVAL).await;
        clock.handle_ping();
        assert_eq!(clock.poll_timeout(), Some((heard + INTERVAL + TIMEOUT, Due::GiveUp)));
        clock.handle_input();
        assert_eq!(clock.poll_timeout(), Some((heard + INTERVAL + INTERVAL, Due::Ping)));
    }

    #[tokio::test]
    async fn without_an_interval_nothing_is_ever_due() {
        assert_eq!(KeepAlive::new(None, TIMEOUT).poll_timeout(), None);
        assert_eq!(KeepAlive::new(Some(Duration::MAX), TIMEOUT).poll_timeout(), None);
    }
}
