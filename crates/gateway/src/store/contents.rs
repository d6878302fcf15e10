//! What is in the tables of a store, read once at the start of a process: each channel's place and its publications.
//! What belongs to no channel any more is removed on the way, and channels can be given new epochs.

use tidegate_hub::{ChannelName, Epoch};

use super::record::{Head, Record, offset_of, record_prefix};
use super::tables::{Change, Table, Tables, TablesError};

/// Changes in one batch where nobody waits for it.
const SWEEP_CHANGES: usize = 4096;

/// A channel as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Loaded {
    pub(crate) channel: ChannelName,
    pub(crate) head: Head,
    /// The last ones up to the head, oldest first, without holes.
    pub(crate) records: Vec<Record>,
}

/// What was found at a start.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Those used longest ago first.
    pub(crate) channels: Vec<Loaded>,
    /// Channels that no route wants just now; they stay on disk as they are.
    pub(crate) unwanted: usize,
}

/// Reads what is there: of each channel that `is_wanted` all publications, as long as there is room for them in
/// `max_bytes`, those used last first. What stands behind no channel any more is removed.
pub(super) fn load(
    tables: &Tables,
    is_wanted: &dyn Fn(&ChannelName) -> bool,
    max_bytes: usize,
) -> Result<Found, TablesError> {
    let mut found = Found::default();
    let mut heads = Vec::new();
    for pair in tables.pairs(Table::Heads, &[]) {
        let (key, value) = pair?;
        let (channel, head) = read_head(&key, &value)?;
        if is_wanted(&channel) { heads.push((channel, head)) } else { found.unwanted += 1 }
    }
    heads.sort_by_key(|(_, head)| std::cmp::Reverse(head.at_ms));
    let mut left = max_bytes;
    for (channel, head) in heads {
        let records = load_records(tables, &channel, head, &mut left)?;
        found.channels.push(Loaded { channel, head, records });
    }
    found.channels.reverse();
    Ok(found)
}

/// Gives each channel, and all its publications, another epoch.
pub(super) fn renew(tables: &Tables, fresh: &mut dyn FnMut() -> Epoch) -> Result<(), TablesError> {
    for pair in tables.pairs(Table::Heads, &[]) {
        let (key, value) = pair?;
        let (channel, mut head) = read_head(&key, &value)?;
        let before = std::mem::replace(&mut head.position.epoch, fresh());
        let mut changes = vec![Change::Put(Table::Heads, key, head.write())];
        for pair in tables.pairs(Table::Records, &record_prefix(&channel)) {
            let (key, value) = pair?;
            // What is none of the channel's is left for the reading that follows.
            let Some(mut record) = Record::read(&value).filter(|record| record.epoch == before) else {
                continue;
            };
            record.epoch = head.position.epoch;
            let mut value = Vec::new();
            record.write(&mut value);
            changes.push(Change::Put(Table::Records, key, value));
        }
        tables.commit(changes, false)?;
    }
    Ok(())
}

fn read_head(key: &[u8], value: &[u8]) -> Result<(ChannelName, Head), TablesError> {
    let name = std::str::from_utf8(key).ok().and_then(|text| ChannelName::from_text(text).ok());
    let damaged = || TablesError::Damaged(format!("the entry of channel {:?}", String::from_utf8_lossy(key)));
    name.zip(Head::read(value)).ok_or_else(damaged)
}

/// The publications of one channel, and removes what is none of them.
fn load_records(
    tables: &Tables,
    channel: &ChannelName,
    head: Head,
    left: &mut usize,
) -> Result<Vec<Record>, TablesError> {
    let Head { position, first, .. } = head;
    if first > position.offset {
        return Ok(Vec::new());
    }
    let mut records = Vec::new();
    let mut next = 0;
    let mut stale = Vec::new();
    for pair in tables.pairs(Table::Records, &record_prefix(channel)) {
        let (key, value) = pair?;
        let damaged = || TablesError::Damaged(format!("a publication of channel {:?}", channel.as_ref()));
        let (offset, record) = offset_of(&key).zip(Record::read(&value)).ok_or_else(damaged)?;
        let belongs = record.epoch == position.epoch && (first..=position.offset).contains(&offset);
        let bytes = record.item.payload.bytes().len();
        if !belongs || bytes > *left {
            stale.push(Change::Drop(Table::Records, key));
            continue;
        }
        if offset != next {
            // Something before it is missing: only what is behind the hole can be recovered.
            records.clear();
        }
        next = offset + 1;
        *left -= bytes;
        records.push(record);
    }
    for part in stale.chunks(SWEEP_CHANGES) {
        tables.commit(part.to_vec(), false)?;
    }
    if next != position.offset + 1 {
        records.clear();
    }
    Ok(records)
}
