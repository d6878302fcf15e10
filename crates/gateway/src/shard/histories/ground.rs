//! What a history stands on: a process whose channels are in memory alone, or one with a store on a real disk, which
//! is written by hand. Such a process can end at any moment, and the next one finds what the store has.

use std::sync::Arc;

use tempfile::TempDir;
use tidegate_hub::{ChannelName, Epoch, ShardId};
use tidegate_source::{Trust, Upstream, UpstreamLimits};
use tokio::sync::mpsc;

use super::super::crossing::Crossing;
use super::super::{Batch, Keeping, Mailboxes, Shard, ShardRef, mailboxes};
use super::{CONFIGURATION, SHARDS};
use crate::process::{Generation, Process};
use crate::settings::{Settings, Synced};
use crate::store::{Disk, Found, Store, Tell, Writer};

/// See the module's head.
pub(in super::super) struct Ground {
    trust: Trust,
    configuration: &'static str,
    /// Of the store, if there is one.
    folder: Option<TempDir>,
    writer: Option<Writer>,
}

/// The shards of one process, with their mailboxes.
pub(in super::super) type Shards = Vec<(ShardRef, mpsc::Receiver<Batch>)>;

impl Ground {
    pub(super) fn in_memory(trust: &Trust) -> Self {
        Self::configured(trust, CONFIGURATION)
    }

    /// In memory, with another configuration.
    pub(in super::super) fn configured(trust: &Trust, configuration: &'static str) -> Self {
        Self { trust: trust.clone(), configuration, folder: None, writer: None }
    }

    /// In memory, too, in a build that keeps nothing on disk.
    pub(super) fn on_disk(trust: &Trust) -> Self {
        // What outlives the process need not outlive the machine here, and a start takes a quarter of the time.
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
        let folder = cfg!(feature = "durable").then(|| folder.expect("a folder"));
        Self { folder, ..Self::in_memory(trust) }
    }

    /// The next process has another configuration.
    #[cfg(feature = "durable")]
    pub(super) fn set_configuration(&mut self, configuration: &'static str) {
        self.configuration = configuration;
    }

    pub(super) fn is_on_disk(&self) -> bool {
        self.folder.is_some()
    }

    /// Begins a process; the one before it must have gone.
    pub(in super::super) fn start(&mut self) -> (Shards, Arc<Generation>) {
        let settings =
            Settings::from_text(self.configuration, "test.toml", &|_| None).expect("a configuration");
        let process = Arc::new(Process::new(SHARDS, settings, 1000));
        let (senders, receivers) = mailboxes(SHARDS);
        let (store, mut loaded) = self.open_store(&process, &senders).unzip();
        let start = |(id, receiver)| {
            let upstream = Upstream::with_trust(UpstreamLimits::default(), self.trust.clone());
            let keeping = store.clone().map(Keeping::new);
            let shard =
                Shard::start(ShardId(id), Arc::clone(&process), Arc::clone(&senders), upstream, keeping);
            let shard = shard.expect("a poller");
            // Two documents can be compared in a round, and others wait.
            shard.tidy(|shard| shard.comparisons.set_round_bytes(2_800));
            if let Some(loaded) = &mut loaded {
                shard.tidy(|shard| shard.restore(std::mem::take(&mut loaded[usize::from(id)])));
            }
            (shard, receiver)
        };
        ((0..).zip(receivers).map(start).collect(), process.generation())
    }

    fn open_store(&mut self, process: &Process, mailboxes: &Mailboxes) -> Option<(Store, Vec<Found>)> {
        let mut disk = Disk::open(self.folder.as_ref()?.path()).expect("a store");
        let mut fresh = || -> Epoch { panic!("the machine has not gone down") };
        disk.begin(Synced::EverySecond, Some("boot"), &mut fresh).expect("a life");
        let found = disk.load(&|_: &ChannelName| true, usize::MAX, 0).expect("channels");
        let loaded = found.divide(mailboxes.len(), |channel| usize::from(process.home_of(channel).0));
        let (writer, store) = Writer::new(disk, Synced::EverySecond, mailboxes.iter().map(teller).collect());
        self.writer = Some(writer);
        Some((store, loaded))
    }

    /// The process is gone, with what it had not written.
    pub(super) fn end(&mut self) {
        self.writer = None;
    }

    /// How many publications of a channel are on the disk. The process must have gone.
    #[cfg(feature = "durable")]
    pub(super) fn count_on_disk(&self, channel: &ChannelName) -> usize {
        let folder = self.folder.as_ref().expect("a store");
        let found = Disk::open(folder.path()).expect("a store").load(&|_: &ChannelName| true, usize::MAX, 0);
        let channels = found.expect("channels").channels;
        channels.iter().find(|one| one.channel == *channel).map_or(0, |one| one.records.len())
    }

    /// The store writes what has gathered.
    pub(super) fn write(&mut self) {
        self.writer.iter_mut().for_each(Writer::write_waiting);
    }

    /// The disk takes nothing more.
    pub(super) fn fail(&mut self) {
        self.writer.iter_mut().for_each(Writer::fail);
    }

    /// The disk is as it should be; the store looks after it.
    pub(super) fn mend(&mut self) {
        self.writer.iter_mut().for_each(Writer::look_after);
    }
}

fn teller(mailbox: &mpsc::Sender<Batch>) -> Tell {
    let mailbox = mailbox.clone();
    Box::new(move |word| {
        let call = Box::new(move |shard: &mut Shard| shard.hear_store(word));
        assert!(mailbox.try_send(vec![Crossing::Call(call)]).is_ok(), "a mailbox is full");
    })
}
