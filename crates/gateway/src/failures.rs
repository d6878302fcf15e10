//! Credentials that are no good, by the address that they came from: who tries too many has to wait. And how
//! many of one address are being judged just now.
//!
//! State only, at a time that is given. Loopback is not counted: there everybody has the same address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::limits::Limits;
use crate::network::Network;
use crate::refusal::Refusal;
use tidegate_inspect::words::known;

/// The time over which failures count together.
const WINDOW: Duration = Duration::from_secs(60);

/// Addresses that are kept at the same time. Those that come when there are so many are not counted.
const ADDRESSES_MAX: usize = 100_000;

/// The pause between two looks for addresses that need not be kept any more.
const SWEEP: Duration = Duration::from_secs(1);

/// See the module's head.
#[derive(Debug, Default)]
pub(crate) struct Failures(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    by_address: HashMap<Network, Tally>,
    swept: Option<Instant>,
}

#[derive(Debug)]
struct Tally {
    /// The first failure of the window that is counted.
    since: Instant,
    failed: u32,
    /// Requests that wait to be judged.
    waiting: u32,
}

/// The place of a request that waits to be judged; given back when dropped.
#[derive(Debug)]
pub(crate) struct Waiting {
    /// None for what is not counted.
    place: Option<(Arc<Failures>, Network)>,
}

impl Failures {
    /// Refuses an address that has to wait before it may bring a credential again.
    pub(crate) fn check(&self, address: IpAddr, limits: &Limits) -> Result<(), Refusal> {
        let Some(left) = self.bar(address, limits.auth_failures_per_minute, Instant::now()) else {
            return Ok(());
        };
        let sentence = "auth_failures_per_minute: too many credentials of your address were no good";
        let seconds = u32::try_from(left.as_secs()).unwrap_or(u32::MAX).saturating_add(1);
        Err(Refusal::too_many_credentials(known::AUTH_FAILURES, sentence, seconds))
    }

    /// How long an address has to wait; `None` if it need not.
    fn bar(&self, address: IpAddr, most: u32, now: Instant) -> Option<Duration> {
        let table = self.lock();
        let tally = table.by_address.get(&Network::of(address)?)?;
        let left = WINDOW.checked_sub(now.saturating_duration_since(tally.since))?;
        (tally.failed >= most && !left.is_zero()).then_some(left)
    }

    /// Counts a credential that was no good.
    pub(crate) fn note(&self, address: IpAddr, now: Instant) {
        let Some(address) = Network::of(address) else { return };
        let mut table = self.lock();
        let Some(tally) = table.tally(address, now) else { return };
        if now.saturating_duration_since(tally.since) >= WINDOW {
            (tally.since, tally.failed) = (now, 0);
        }
        tally.failed = tally.failed.saturating_add(1);
    }

    /// A place for a request that has to wait, of at most `most` for its address.
    pub(crate) fn wait(self: &Arc<Self>, address: IpAddr, most: u32, now: Instant) -> Option<Waiting> {
        let Some(address) = Network::of(address) else { return Some(Waiting { place: None }) };
        let mut table = self.lock();
        let tally = table.tally(address, now)?;
        if tally.waiting >= most {
            return None;
        }
        tally.waiting += 1;
        Some(Waiting { place: Some((Arc::clone(self), address)) })
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let Some((failures, address)) = self.place.take() else { return };
        if let Some(tally) = failures.lock().by_address.get_mut(&address) {
            tally.waiting -= 1;
        }
    }
}

impl Table {
    /// The tally of an address; `None` where there is no room for one more.
    fn tally(&mut self, address: Network, now: Instant) -> Option<&mut Tally> {
        let full = self.by_address.len() >= ADDRESSES_MAX && !self.by_address.contains_key(&address);
        let rested = self.swept.is_none_or(|swept| now.saturating_duration_since(swept) >= SWEEP);
        if full && rested {
            self.swept = Some(now);
            self.by_address
                .retain(|_, tally| tally.waiting > 0 || now.saturating_duration_since(tally.since) < WINDOW);
        }
        if full && self.by_address.len() >= ADDRESSES_MAX {
            return None;
        }
        Some(self.by_address.entry(address).or_insert(Tally { since: now, failed: 0, waiting: 0 }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn who_fails_too_often_waits_until_the_minute_is_over() {
        let (failures, start) = (Failures::default(), Instant::now());
        for _ in 0..19 {
            failures.note(ip("192.0.2.1"), start);
        }
        assert_eq!(failures.bar(ip("192.0.2.1"), 20, start), None);
        failures.note(ip("192.0.2.1"), start);
        assert_eq!(failures.bar(ip("192.0.2.1"), 20, start), Some(WINDOW));
        assert_eq!(
            failures.bar(ip("::ffff:192.0.2.1"), 20, start),
            Some(WINDOW),
            "the same in other clothes"
        );
        assert_eq!(failures.bar(ip("192.0.2.2"), 20, start), None);
        assert_eq!(failures.bar(ip("192.0.2.1"), 20, start + WINDOW), None);
        failures.note(ip("192.0.2.1"), start + WINDOW);
        assert_eq!(failures.bar(ip("192.0.2.1"), 20, start + WINDOW), None, "it counts anew");
    }

    #[test]
    fn a_network_of_ipv6_is_one_and_loopback_is_none() {
        let (failures, now) = (Failures::default(), Instant::now());
        failures.note(ip("2001:db8::1"), now);
        failures.note(ip("2001:db8::ffff:2"), now);
        failures.note(ip("2001:db8:0:1::1"), now);
        assert!(failures.bar(ip("2001:db8::3"), 2, now).is_some());
        assert!(failures.bar(ip("2001:db8:0:1::1"), 2, now).is_none());
        for address in ["127.0.0.1", "127.9.9.9", "::1"] {
            failures.note(ip(address), now);
            assert_eq!(failures.bar(ip(address), 1, now), None);
        }
    }

    #[test]
    fn so_many_may_wait_and_give_their_places_back() {
        let (failures, now) = (Arc::new(Failures::default()), Instant::now());
        let address = ip("192.0.2.1");
        let first = failures.wait(address, 2, now).expect("room");
        let _second = failures.wait(address, 2, now).expect("room");
        assert!(failures.wait(address, 2, now).is_none());
        assert!(failures.wait(ip("192.0.2.2"), 2, now).is_some());
        drop(first);
        assert!(failures.wait(address, 2, now).is_some());
    }

    #[test]
    fn the_table_is_bounded_and_forgets() {
        let (failures, start) = (Failures::default(), Instant::now());
        let address =
            |number: usize| IpAddr::from(u32::try_from(number + (10 << 24)).expect("small").to_be_bytes());
        for number in 0..ADDRESSES_MAX {
            failures.note(address(number), start);
        }
        failures.note(address(ADDRESSES_MAX), start);
        assert_eq!(failures.bar(address(ADDRESSES_MAX), 1, start), None, "it finds no room");
        assert!(failures.bar(address(7), 1, start).is_some(), "those that are kept stay");
        failures.note(address(ADDRESSES_MAX), start + WINDOW);
        assert!(failures.bar(address(ADDRESSES_MAX), 1, start + WINDOW).is_some());
        assert_eq!(failures.lock().by_address.len(), 1);
    }
}
