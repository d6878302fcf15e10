//! What all shards of the process share: the configuration in force, the counts of connections, the word
//! that the end has begun. Touched when a connection comes or goes, never for a message.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tidegate_hub::{ChannelName, ShardId};
use tidegate_inspect::words::known;
use tokio::sync::{Semaphore, watch};

use crate::arrivals::Arrivals;
use crate::failures::Failures;
use crate::key_sets::KeySets;
use crate::network::Network;
use crate::refusal::Refusal;
use crate::settings::Settings;
use crate::tokens::Issuer;

/// One configuration in force. A connection keeps the route that it came by; what begins later uses the
/// newest generation.
#[derive(Debug)]
pub(crate) struct Generation {
    /// Counts reloads from 1.
    pub(crate) number: u64,
    pub(crate) settings: Settings,
}

/// See the module's head.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) shards: u16,
    generation: Mutex<Arc<Generation>>,
    draining: watch::Sender<bool>,
    /// Names of private channels are drawn from it.
    counter: AtomicU64,
    open: AtomicU32,
    max_connections: AtomicU32,
    by_network: Mutex<HashMap<Network, u32>>,
    /// How fast connections come.
    pub(crate) arrivals: Arrivals,
    /// What issuers of tokens publish.
    pub(crate) key_sets: KeySets,
    /// Who brings credentials that are no good.
    pub(crate) failures: Arc<Failures>,
    homes: foldhash::fast::FixedState,
    sources: AtomicU32,
    contexts: AtomicU32,
    watchers: AtomicU32,
    requests: AtomicU32,
    /// Keys of the hash that names identities: nobody can choose headers that meet another's.
    opaque: [RandomState; 2],
    /// Places for documents that are compared away from the shards: what they take of the machine is bounded.
    pub(crate) comparisons: Semaphore,
}

/// Documents that are compared at the same time.
const COMPARISONS: usize = 2;

/// The place of one source among those that may run; given back when dropped.
#[derive(Debug)]
pub(crate) struct SourceSeat(Arc<Process>);

impl Drop for SourceSeat {
    fn drop(&mut self) {
        self.0.sources.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The place of one connection among those that may keep compression contexts; given back when dropped.
#[derive(Debug)]
pub(crate) struct ContextSeat(Arc<Process>);

impl Drop for ContextSeat {
    fn drop(&mut self) {
        self.0.contexts.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The place of one watcher among those that may be; given back when dropped.
#[derive(Debug)]
pub(crate) struct WatcherSeat(Arc<Process>);

impl Drop for WatcherSeat {
    fn drop(&mut self) {
        self.0.watchers.fetch_sub(1, Ordering::Relaxed);
    }
}

/// One request of the admin listener that has no answer yet; counted while this lives.
#[derive(Debug)]
pub(crate) struct OpenRequest(Arc<Process>);

impl Drop for OpenRequest {
    fn drop(&mut self) {
        self.0.requests.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The place of one connection among those that may be open; given back when dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    process: Arc<Process>,
    /// None where it is not counted.
    network: Option<Network>,
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.process.connection_closed(self.network);
    }
}

/// Why a connection may not come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Crowded {
    /// `max_connections`: 503.
    Process,
    /// `max_connections_per_ip`: 429.
    Address,
    /// `accept_rate`: 503.
    Rate,
}

impl Crowded {
    /// What a request is answered with.
    pub(crate) fn refusal(self) -> Refusal {
        let (known, sentence) = match self {
            Self::Process => (known::CONNECTIONS, "max_connections: as many connections are open as may be"),
            Self::Address => (
                known::CONNECTIONS_OF_ADDRESS,
                "max_connections_per_ip: your address has as many connections open as it may",
            ),
            Self::Rate => {
                (known::ACCEPT_RATE, "accept_rate: more connections come than a busy gateway takes in")
            }
        };
        Refusal::of(known, sentence).retry_after(fastrand::u32(1..=10))
    }

    /// The limit, as a label of metrics.
    pub(crate) fn limit(self) -> &'static str {
        match self {
            Self::Process => "max_connections",
            Self::Address => "max_connections_per_ip",
            Self::Rate => "accept_rate",
        }
    }
}

impl Process {
    pub(crate) fn new(shards: u16, settings: Settings, max_connections: u32) -> Self {
        Self {
            shards,
            generation: Mutex::new(Arc::new(Generation { number: 1, settings })),
            draining: watch::Sender::new(false),
            counter: AtomicU64::new(0),
            open: AtomicU32::new(0),
            max_connections: AtomicU32::new(max_connections),
            by_network: Mutex::default(),
            arrivals: Arrivals::new(Instant::now()),
            key_sets: KeySets::default(),
            failures: Arc::default(),
            sources: AtomicU32::new(0),
            contexts: AtomicU32::new(0),
            watchers: AtomicU32::new(0),
            requests: AtomicU32::new(0),
            opaque: [RandomState::new(), RandomState::new()],
            comparisons: Semaphore::new(COMPARISONS),
            homes: foldhash::fast::FixedState::with_seed(fastrand::u64(..)),
        }
    }

    /// The home of a channel. All identities of one name live together, so that what was learnt about the
    /// path is known where they are.
    pub(crate) fn home_of(&self, channel: &ChannelName) -> ShardId {
        let hash = self.homes.hash_one(channel.public_part());
        // Less than the number of shards, which is a u16.
        ShardId(u16::try_from(hash % u64::from(self.shards)).unwrap_or_default())
    }

    pub(crate) fn generation(&self) -> Arc<Generation> {
        Arc::clone(&self.generation.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts another configuration in force and gives it to be handed to the shards.
    pub(crate) fn reload(&self, settings: Settings, max_connections: u32) -> Arc<Generation> {
        let mut current = self.generation.lock().unwrap_or_else(PoisonError::into_inner);
        self.key_sets.keep(settings.access.tokens.iter().filter_map(Issuer::url));
        let generation = Arc::new(Generation { number: current.number + 1, settings });
        *current = Arc::clone(&generation);
        self.max_connections.store(max_connections, Ordering::Relaxed);
        generation
    }

    pub(crate) fn begin_drain(&self) {
        self.draining.send_replace(true);
    }

    pub(crate) fn is_draining(&self) -> bool {
        *self.draining.borrow()
    }

    /// True when the end has begun and nobody is there any more to hear of anything: what is under way is done, and
    /// with more of it there would be no end.
    pub(crate) fn is_deserted(&self) -> bool {
        self.is_draining() && self.open_connections() == 0
    }

    /// Waits until the end has begun.
    pub(crate) async fn drain_begun(&self) {
        let mut draining = self.draining.subscribe();
        // The sender is ours: it cannot have gone.
        let _ = draining.wait_for(|begun| *begun).await;
    }

    /// A number that no other call gets.
    pub(crate) fn unique(&self) -> u64 {
        self.counter.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn open_connections(&self) -> u32 {
        self.open.load(Ordering::Relaxed)
    }

    /// Counts a connection in, if there is room. Loopback addresses are not counted one by one.
    pub(crate) fn admit(self: &Arc<Self>, remote: IpAddr, max_per_address: u32) -> Result<Seat, Crowded> {
        let network = Network::of(remote);
        self.connection_opened(network, max_per_address)?;
        Ok(Seat { process: Arc::clone(self), network })
    }

    /// A place for one more source, of at most `limit`.
    pub(crate) fn take_source(self: &Arc<Self>, limit: u32) -> Option<SourceSeat> {
        take(&self.sources, limit).then(|| SourceSeat(Arc::clone(self)))
    }

    /// A place for one more connection that keeps compression contexts, of at most `limit`.
    pub(crate) fn take_context(self: &Arc<Self>, limit: u32) -> Option<ContextSeat> {
        take(&self.contexts, limit).then(|| ContextSeat(Arc::clone(self)))
    }

    /// A place for one more watcher, of at most `limit`.
    pub(crate) fn take_watcher(self: &Arc<Self>, limit: u32) -> Option<WatcherSeat> {
        take(&self.watchers, limit).then(|| WatcherSeat(Arc::clone(self)))
    }

    /// Counts a request of the admin listener, before it looks whether the end has begun. There are at most as many as
    /// connections.
    pub(crate) fn begin_request(self: &Arc<Self>) -> OpenRequest {
        self.requests.fetch_add(1, Ordering::Relaxed);
        OpenRequest(Arc::clone(self))
    }

    /// Requests of the admin listener without an answer.
    pub(crate) fn open_requests(&self) -> u32 {
        self.requests.load(Ordering::Relaxed)
    }

    /// A short name for a value that must not be shown, such as a credential: 128 bits, keyed.
    pub(crate) fn opaque(&self, value: &impl Hash) -> String {
        let [first, second] = &self.opaque;
        format!("{:016x}{:016x}", first.hash_one(value), second.hash_one(value))
    }

    fn connection_opened(&self, network: Option<Network>, max_per_address: u32) -> Result<(), Crowded> {
        let before = self.open.fetch_add(1, Ordering::Relaxed);
        if before >= self.max_connections.load(Ordering::Relaxed) {
            self.open.fetch_sub(1, Ordering::Relaxed);
            return Err(Crowded::Process);
        }
        let Some(network) = network else { return Ok(()) };
        let mut by_network = self.by_network.lock().unwrap_or_else(PoisonError::into_inner);
        let count = by_network.entry(network).or_default();
        if *count >= max_per_address {
            drop(by_network);
            self.open.fetch_sub(1, Ordering::Relaxed);
            return Err(Crowded::Address);
        }
        *count += 1;
        Ok(())
    }

    fn connection_closed(&self, network: Option<Network>) {
        self.open.fetch_sub(1, Ordering::Relaxed);
        let Some(network) = network else { return };
        let mut by_network = self.by_network.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = by_network.get_mut(&network) {
            *count -= 1;
            if *count == 0 {
                by_network.remove(&network);
            }
        }
    }
}

/// Counts one more in, if fewer than `limit` are.
fn take(count: &AtomicU32, limit: u32) -> bool {
    let more = |count| (count < limit).then_some(count + 1);
    count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(max_connections: u32) -> Arc<Process> {
        let text = "[[route]]\npath = \"/x\"\nchannel = {}\n";
        let settings = Settings::from_text(text, "test.toml", &|_| None).expect("a good configuration");
        Arc::new(Process::new(1, settings, max_connections))
    }

    #[test]
    fn so_many_connections_of_an_address_or_a_network_may_be_open() {
        let process = process(100);
        let admit = |text: &str| process.admit(text.parse().expect("an address"), 2);
        let first = admit("2001:db8::1").expect("room");
        let _second = admit("2001:db8::2").expect("room");
        assert_eq!(admit("2001:db8::3").err(), Some(Crowded::Address), "all of one network are one");
        let _other = admit("2001:db8:0:1::3").expect("another network");
        drop(first);
        let _again = admit("2001:db8::3").expect("its place has been given back");
        let _four = ["192.0.2.1", "::ffff:192.0.2.1"].map(|text| admit(text).expect("room"));
        assert_eq!(admit("192.0.2.1").err(), Some(Crowded::Address));
        let _loopback =
            ["127.0.0.1", "127.0.0.1", "::1", "127.0.0.1"].map(|text| admit(text).expect("not counted"));
        assert_eq!(process.open_connections(), 9);
    }

    #[test]
    fn nothing_is_kept_of_who_has_gone() {
        let process = process(2);
        let address = IpAddr::from([192, 0, 2, 1]);
        let seats = [1, 2].map(|_| process.admit(address, 10).expect("room"));
        assert_eq!(process.admit(address, 10).err(), Some(Crowded::Process));
        drop(seats);
        assert_eq!(process.open_connections(), 0);
        assert!(process.by_network.lock().unwrap_or_else(PoisonError::into_inner).is_empty());
    }
}
