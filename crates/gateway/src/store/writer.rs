//! The thread that writes: takes the orders that have gathered, makes one batch of them, and says what is kept.
//!
//! What cannot be written is given up with everything behind it, and all shards are told. The store then closes its
//! tables and tries, once a second, whether there is room again; a new *term* begins when there is. An order of
//! an earlier term is not carried out: the shard that gave it has answered for it already.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use tidegate_hub::ShardId;
use tidegate_inspect::words::known;

use super::disk::Disk;
use super::order::{Act, Order, Word};
use crate::settings::Synced;

/// Orders that wait; their bytes have a bound of their own.
const QUEUE_ORDERS: usize = 16_384;

/// Orders in one batch, and their bytes but for the last of them.
const RUN_ORDERS: usize = 1024;
const RUN_BYTES: usize = 4 * 1024 * 1024;

/// How often the thread looks after the disk, and after a store that is broken.
const LOOK: Duration = Duration::from_secs(1);

/// How often the size of the store is measured.
const MEASURE: Duration = Duration::from_secs(10);

/// Says a word to one shard; waits while that shard has no room for it.
pub(crate) type Tell = Box<dyn Fn(Word) + Send>;

/// What is counted, for the metrics.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    pub(crate) commits: AtomicU64,
    pub(crate) orders: AtomicU64,
    pub(crate) failures: AtomicU64,
    pub(crate) queue_bytes: AtomicUsize,
    pub(crate) used_bytes: AtomicU64,
    pub(crate) is_broken: AtomicBool,
}

/// The shards' end of the queue.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    orders: SyncSender<Order>,
    pub(crate) figures: Arc<Figures>,
}

/// See the module's head.
pub(crate) struct Writer {
    disk: Disk,
    synced: Synced,
    orders: Receiver<Order>,
    shards: Vec<Tell>,
    figures: Arc<Figures>,
    term: u64,
    is_broken: bool,
    /// What must not be there when the tables are opened again.
    failed: Vec<Act>,
    /// Something was written that the disk itself may not have.
    is_unsynced: bool,
}

impl Store {
    /// Hands an order over; false if there is no room for it in the queue. One that is larger than `max_bytes` is
    /// taken when nothing else waits.
    pub(crate) fn give(&self, order: Order, max_bytes: usize) -> bool {
        let bytes = order.bytes();
        let waiting = self.figures.queue_bytes.fetch_add(bytes, Ordering::Relaxed);
        let fits = waiting == 0 || waiting + bytes <= max_bytes;
        if fits && self.orders.try_send(order).is_ok() {
            return true;
        }
        self.figures.queue_bytes.fetch_sub(bytes, Ordering::Relaxed);
        false
    }
}

impl Writer {
    /// A writer to an open store, and what shards hand their orders to.
    pub(crate) fn new(disk: Disk, synced: Synced, shards: Vec<Tell>) -> (Self, Store) {
        let (sender, orders) = sync_channel(QUEUE_ORDERS);
        let figures = Arc::<Figures>::default();
        let store = Store { orders: sender, figures: Arc::clone(&figures) };
        let writer = Self {
            disk,
            synced,
            orders,
            shards,
            figures,
            term: 0,
            is_broken: false,
            failed: Vec::new(),
            is_unsynced: false,
        };
        (writer, store)
    }

    /// Writes until all shards have gone.
    pub(crate) fn run(mut self) {
        let mut measured = None;
        let mut looked = Instant::now();
        loop {
            match self.orders.recv_timeout(LOOK) {
                Ok(first) => self.take(first),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if looked.elapsed() >= LOOK {
                looked = Instant::now();
                self.look_after();
            }
            if measured.is_none_or(|at: Instant| at.elapsed() >= MEASURE) {
                measured = Some(Instant::now());
                self.figures.used_bytes.store(self.disk.used_bytes(), Ordering::Relaxed);
            }
        }
        if let Err(reason) = self.disk.end() {
            tracing::error!(
                event = "store_failed",
                number = %known::STORE_UNSYNCED,
                "the end of the store is not on the disk itself: {reason}"
            );
        }
    }

    /// Takes what has gathered, in runs that are one batch each.
    fn take(&mut self, first: Order) {
        let mut run: Vec<Order> = Vec::new();
        let (mut next, mut bytes) = (Some(first), 0);
        while let Some(order) = next {
            // A channel that is removed begins anew behind it: that is another batch.
            let alone = matches!(order.act, Act::Remove { .. });
            if alone && !run.is_empty() {
                self.write(std::mem::take(&mut run));
            }
            bytes += order.bytes();
            run.push(order);
            if alone || run.len() >= RUN_ORDERS || bytes >= RUN_BYTES {
                break;
            }
            next = self.orders.try_recv().ok();
        }
        self.write(run);
    }

    fn write(&mut self, mut run: Vec<Order>) {
        let bytes: usize = run.iter().map(Order::bytes).sum();
        run.retain(|order| order.term == self.term && !self.is_broken);
        if !run.is_empty() {
            match self.disk.write(&run, self.synced == Synced::EachCommit) {
                Ok(()) => self.confirm(&run),
                Err(reason) => self.break_off(run, reason),
            }
        }
        self.figures.queue_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    fn confirm(&mut self, run: &[Order]) {
        self.is_unsynced |= self.synced == Synced::EverySecond;
        self.figures.commits.fetch_add(1, Ordering::Relaxed);
        self.figures.orders.fetch_add(run.len() as u64, Ordering::Relaxed);
        // Numbers ascend: the last one of a shard stands for all before it.
        let last: HashMap<ShardId, u64> = run.iter().map(|order| (order.shard, order.number)).collect();
        for (shard, number) in last {
            if let Some(tell) = self.shards.get(usize::from(shard.0)) {
                tell(Word::Kept { term: self.term, number });
            }
        }
    }

    /// Nothing of `run` is kept, and nothing that is given in this term any more.
    fn break_off(&mut self, run: Vec<Order>, reason: Arc<str>) {
        tracing::error!(
            event = "store_failed",
            number = %known::STORE_CANNOT_WRITE,
            "the store cannot write: {reason}. Publishing to channels on disk is refused until it can"
        );
        self.figures.failures.fetch_add(1, Ordering::Relaxed);
        self.figures.is_broken.store(true, Ordering::Relaxed);
        self.is_broken = true;
        self.term += 1;
        self.failed.extend(run.into_iter().map(|order| order.act));
        self.tell_all(&Word::Broken { term: self.term, reason });
        self.disk.close();
    }

    /// One turn of [`Writer::run`], for who has no thread for it.
    #[cfg(test)]
    pub(crate) fn write_waiting(&mut self) {
        while let Ok(first) = self.orders.try_recv() {
            self.take(first);
        }
    }

    /// As if the disk took nothing more.
    #[cfg(test)]
    pub(crate) fn fail(&mut self) {
        self.disk.close();
    }

    /// Once a second: what is written reaches the disk itself; a store that is broken may be well again.
    pub(crate) fn look_after(&mut self) {
        if self.is_broken {
            return self.mend();
        }
        if std::mem::take(&mut self.is_unsynced)
            && let Err(reason) = self.disk.sync()
        {
            self.break_off(Vec::new(), reason);
        }
    }

    fn mend(&mut self) {
        let mended = self.disk.reopen().and_then(|()| self.disk.take_back(&self.failed));
        if let Err(reason) = mended {
            tracing::debug!(event = "store_failed", "the store still cannot write: {reason}");
            return self.disk.close();
        }
        tracing::info!(event = "store_recovered", "the store can write again");
        self.failed.clear();
        self.is_broken = false;
        self.figures.is_broken.store(false, Ordering::Relaxed);
        self.tell_all(&Word::Well { term: self.term });
    }

    fn tell_all(&self, word: &Word) {
        for tell in &self.shards {
            tell(word.clone());
        }
    }
}
