//! The store at the start of a process: opened, read, and divided among the shards that are the homes of its channels
//! now. How many shards there are, and which channel is at home where, may be different each time.

use std::time::Instant;

use tidegate_hub::{ChannelName, Epoch};
use tidegate_inspect::words::known;
use tokio::sync::mpsc;

use crate::process::Process;
use crate::route::Kind;
use crate::shard::crossing::Crossing;
use crate::shard::{Batch, Mailboxes, Shard};
use crate::store::{Disk, Found, Store, StoreError, Tell, Writer, boot};

/// A store that is ready.
pub(crate) struct OpenedStore {
    /// To be run on a thread of its own.
    pub(crate) writer: Writer,
    pub(crate) store: Store,
    /// By shard, what is at home there.
    pub(crate) loaded: Vec<Found>,
}

/// Opens the store that the settings name; `None` if they name none.
pub(crate) fn open_store(
    process: &Process,
    mailboxes: &Mailboxes,
) -> Result<Option<OpenedStore>, StoreError> {
    let settings = &process.generation().settings;
    let Some(path) = &settings.engine.path else { return Ok(None) };
    let begun = Instant::now();
    let mut disk = Disk::open(path)?;
    let mut fresh = || Epoch(fastrand::u32(1..));
    if let Some(suspicion) = disk.begin(settings.engine.synced, boot().as_deref(), &mut fresh)? {
        tracing::warn!(event = "store_renewed", number = %known::STORE_RENEWED, "{suspicion}: every channel is a new epoch");
    }
    let is_wanted = |channel: &ChannelName| {
        let found = settings.routes.find_name(channel.path_part());
        found.is_some_and(|found| matches!(found.route.kind, Kind::Channel))
    };
    let limits = &settings.limits;
    let max_dormant = limits.channels_max_total as usize;
    let found = disk.load(&is_wanted, limits.history_max_total, max_dormant)?;
    tracing::info!(
        event = "store_opened",
        channels = found.channels.len(),
        unwanted = found.unwanted,
        milliseconds = begun.elapsed().as_millis(),
        "channels are kept in {}",
        path.display()
    );
    let loaded = found.divide(mailboxes.len(), |channel| usize::from(process.home_of(channel).0));
    let (writer, store) = Writer::new(disk, settings.engine.synced, mailboxes.iter().map(teller).collect());
    Ok(Some(OpenedStore { writer, store, loaded }))
}

/// How the store speaks to a shard: by its mailbox, in order with all else that comes there.
fn teller(mailbox: &mpsc::Sender<Batch>) -> Tell {
    let mailbox = mailbox.clone();
    Box::new(move |word| {
        let call = Box::new(move |shard: &mut Shard| shard.hear_store(word));
        // A shard that has ended hears nothing.
        let _ = mailbox.blocking_send(vec![Crossing::Call(call)]);
    })
}
