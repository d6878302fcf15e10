//! What is in the tables of a store, read once at the start of a process: each channel's place and its publications.
//! What belongs to no channel any more is removed on the way, and channels can be given new epochs.

use tidegate_hub::{ChannelName, Epoch};

use super::dormant::Dormant;
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
    /// How many channels no route wants just now.
    pub(crate) unwanted: usize,
    /// These; they stay on disk as they are.
    pub(crate) dormant: Dormant,
}

impl Found {
    /// Gives each of `shards` parts what is at home there.
    pub(crate) fn divide(self, shards: usize, home: impl Fn(&ChannelName) -> usize) -> Vec<Self> {
        let part = |dormant| Self { dormant, ..Self::default() };
        let mut parts: Vec<_> = self.dormant.divide(shards, &home).into_iter().map(part).collect();
        for loaded in self.channels {
            parts[home(&loaded.channel)].channels.push(loaded);
        }
        parts
    }
}

/// Reads what is there: of each channel that `is_wanted` the newest publications, as long as there is room for them in
/// `max_bytes`, channels used last first. What is left out, and what belongs to no channel any more, is removed. Of
/// other channels as many as `max_dormant` are remembered.
pub(super) fn load(
    tables: &Tables,
    is_wanted: &dyn Fn(&ChannelName) -> bool,
    max_bytes: usize,
    max_dormant: usize,
) -> Result<Found, TablesError> {
    let mut found = Found::default();
    let mut heads = Vec::new();
    for pair in tables.pairs(Table::Heads, &[]) {
        let (key, value) = pair?;
        let (channel, head) = read_head(&key, &value)?;
        if is_wanted(&channel) {
            heads.push((channel, head));
        } else {
            found.unwanted += 1;
            found.dormant.note(channel, head, max_dormant);
        }
    }
    heads.sort_by_key(|(_, head)| std::cmp::Reverse(head.at_ms));
    let mut room = Room { left: max_bytes, is_untouched: true };
    for (channel, head) in heads {
        let records = load_records(tables, &channel, head, &mut room)?;
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

/// Room for publications, as there is in memory: one that is larger than all of it is taken when nothing else is.
struct Room {
    left: usize,
    is_untouched: bool,
}

impl Room {
    fn take(&mut self, bytes: usize) -> bool {
        let fits = bytes <= self.left || self.is_untouched;
        if fits {
            *self = Self { left: self.left.saturating_sub(bytes), is_untouched: false };
        }
        fits
    }
}

/// The newest publications of one channel that have room, without holes; what is none of them is removed.
fn load_records(
    tables: &Tables,
    channel: &ChannelName,
    head: Head,
    room: &mut Room,
) -> Result<Vec<Record>, TablesError> {
    let Head { position, first, .. } = head;
    let mut newest_first = Vec::new();
    // The offset that goes before what was taken; 0 when nothing more is.
    let mut next = position.offset;
    let mut stale = Vec::new();
    for pair in tables.pairs(Table::Records, &record_prefix(channel)).rev() {
        let (key, value) = pair?;
        let damaged = || TablesError::Damaged(format!("a publication of channel {:?}", channel.as_ref()));
        let (offset, record) = offset_of(&key).zip(Record::read(&value)).ok_or_else(damaged)?;
        let belongs = record.epoch == position.epoch && (first..=position.offset).contains(&offset);
        if belongs && offset == next && room.take(record.item.payload.bytes().len()) {
            next -= 1;
            newest_first.push(record);
            continue;
        }
        if belongs {
            next = 0;
        }
        stale.push(Change::Drop(Table::Records, key));
        if stale.len() == SWEEP_CHANGES {
            tables.commit(std::mem::take(&mut stale), false)?;
        }
    }
    if !stale.is_empty() {
        tables.commit(stale, false)?;
    }
    newest_first.reverse();
    Ok(newest_first)
}
