//! How publications and channels are written on disk. Bytes in, values out, and back; whatever the bytes are, reading
//! them is an answer and never a panic.
//!
//! Numbers are big-endian. A record begins with its version; a reader takes exactly what a writer writes.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use tidegate_hub::{ChannelName, Epoch, Item, Payload, PayloadKind, Position};

/// Of records and heads. A store of a newer version is refused as a whole, before its records are read.
pub(super) const VERSION: u8 = 1;

/// Bits of a record's second byte.
const BINARY: u8 = 1;
const HAS_KEY: u8 = 2;
const HAS_EVENT: u8 = 4;
const HAS_SOURCE_ID: u8 = 8;

/// A publication as it is kept; its channel and its offset are in its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) epoch: Epoch,
    /// When it was appended, in milliseconds since 1970.
    pub(crate) at_ms: u64,
    /// The idempotency key that it was published under.
    pub(crate) key: Option<Arc<str>>,
    pub(crate) item: Item,
}

/// Where a channel stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    /// Of the newest publication.
    pub(crate) position: Position,
    /// The oldest offset that is kept; beyond the newest if there is none.
    pub(crate) first: u64,
    /// When the newest one was appended, in milliseconds since 1970.
    pub(crate) at_ms: u64,
}

impl Record {
    /// Appends the record to `output`.
    pub(crate) fn write(&self, output: &mut Vec<u8>) {
        let Self { epoch, at_ms, key, item } = self;
        let flag = |is_set: bool, flag: u8| if is_set { flag } else { 0 };
        let flags = flag(item.payload.kind() == PayloadKind::Binary, BINARY)
            | flag(key.is_some(), HAS_KEY)
            | flag(item.event.is_some(), HAS_EVENT)
            | flag(item.source_id.is_some(), HAS_SOURCE_ID);
        output.extend_from_slice(&[VERSION, flags]);
        output.extend_from_slice(&epoch.0.to_be_bytes());
        output.extend_from_slice(&at_ms.to_be_bytes());
        for text in [key, &item.event, &item.source_id].into_iter().flatten() {
            // A publication is far below 4 GiB, and so is what goes with it.
            let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
            output.extend_from_slice(&length.to_be_bytes());
            output.extend_from_slice(text.as_bytes());
        }
        output.extend_from_slice(item.payload.bytes());
    }

    /// Reads what [`Record::write`] wrote; `None` if it did not.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader(bytes);
        let [VERSION, flags] = reader.array()? else { return None };
        if flags & !(BINARY | HAS_KEY | HAS_EVENT | HAS_SOURCE_ID) != 0 {
            return None;
        }
        let epoch = Epoch(u32::from_be_bytes(reader.array()?));
        let at_ms = u64::from_be_bytes(reader.array()?);
        let mut text = |flag| if flags & flag == 0 { Some(None) } else { reader.text().map(Some) };
        let (key, event, source_id) = (text(HAS_KEY)?, text(HAS_EVENT)?, text(HAS_SOURCE_ID)?);
        let rest = Bytes::copy_from_slice(reader.0);
        let payload = if flags & BINARY == 0 { Payload::text(rest).ok()? } else { Payload::binary(rest) };
        Some(Self { epoch, at_ms, key, item: Item { payload, event, source_id } })
    }
}

impl Head {
    pub(crate) fn write(&self) -> Vec<u8> {
        let mut output = vec![VERSION];
        output.extend_from_slice(&self.position.epoch.0.to_be_bytes());
        for number in [self.position.offset, self.first, self.at_ms] {
            output.extend_from_slice(&number.to_be_bytes());
        }
        output
    }

    /// Reads what [`Head::write`] wrote; `None` if it did not.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader(bytes);
        let [VERSION] = reader.array()? else { return None };
        let epoch = Epoch(u32::from_be_bytes(reader.array()?));
        let [offset, first, at_ms] =
            [reader.array()?, reader.array()?, reader.array()?].map(u64::from_be_bytes);
        // Nothing is kept before the first publication, and nothing beyond the newest.
        let holds = offset > 0 && offset < u64::MAX && (1..=offset + 1).contains(&first);
        let head = Self { position: Position { epoch, offset }, first, at_ms };
        (reader.0.is_empty() && holds).then_some(head)
    }
}

/// The place of a publication: channels are apart, for no name holds a control character, and offsets ascend.
pub(crate) fn record_key(channel: &ChannelName, offset: u64) -> Vec<u8> {
    let mut key = record_prefix(channel);
    key.extend_from_slice(&offset.to_be_bytes());
    key
}

/// What the keys of all publications of a channel begin with.
pub(crate) fn record_prefix(channel: &ChannelName) -> Vec<u8> {
    let mut key = channel.as_ref().as_bytes().to_vec();
    key.push(0);
    key
}

/// The offset in a key that [`record_key`] made.
pub(crate) fn offset_of(key: &[u8]) -> Option<u64> {
    key.last_chunk().map(|offset| u64::from_be_bytes(*offset))
}

/// As it stands in records; times before 1970 count as 1970.
pub(crate) fn milliseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// How long ago that was; the future counts as now.
pub(crate) fn age(at_ms: u64, now: SystemTime) -> Duration {
    Duration::from_millis(milliseconds(now).saturating_sub(at_ms))
}

/// What is left to be read.
struct Reader<'b>(&'b [u8]);

impl<'b> Reader<'b> {
    fn array<const LENGTH: usize>(&mut self) -> Option<[u8; LENGTH]> {
        let (array, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*array)
    }

    fn text(&mut self) -> Option<Arc<str>> {
        let length = usize::try_from(u32::from_be_bytes(self.array()?)).ok()?;
        let (text, rest): (&'b [u8], _) = self.0.split_at_checked(length)?;
        self.0 = rest;
        std::str::from_utf8(text).ok().map(Into::into)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn texts() -> impl Strategy<Value = Option<Arc<str>>> {
        proptest::option::of(".{0,20}".prop_map(Into::into))
    }

    fn payloads() -> impl Strategy<Value = Payload> {
        let text = ".{0,50}".prop_map(|text| Payload::from(text.as_str()));
        let binary = proptest::collection::vec(any::<u8>(), 0..50);
        prop_oneof![text, binary.prop_map(|bytes| Payload::binary(bytes.into()))]
    }

    proptest! {
        #[test]
        fn a_record_reads_as_it_was_written(
            epoch: u32, at_ms: u64, key in texts(), event in texts(), source_id in texts(), payload in payloads(),
        ) {
            let record = Record { epoch: Epoch(epoch), at_ms, key, item: Item { payload, event, source_id } };
            let mut bytes = Vec::new();
            record.write(&mut bytes);
            prop_assert_eq!(Record::read(&bytes), Some(record));
        }

        #[test]
        fn a_head_reads_as_it_was_written(epoch: u32, offset in 1..u64::MAX, gone: u64, at_ms: u64) {
            let first = 1 + gone % (offset + 1);
            let head = Head { position: Position { epoch: Epoch(epoch), offset }, first, at_ms };
            prop_assert_eq!(Head::read(&head.write()), Some(head));
        }

        #[test]
        fn any_bytes_are_read_without_panic_and_only_what_was_written_is_taken(
            mut bytes in proptest::collection::vec(any::<u8>(), 0..80), like: bool, flags in 0u8..16,
        ) {
            if let (true, [version, second, ..]) = (like, bytes.as_mut_slice()) {
                (*version, *second) = (VERSION, flags);
            }
            if let Some(record) = Record::read(&bytes) {
                let mut written = Vec::new();
                record.write(&mut written);
                prop_assert_eq!(&written, &bytes);
            }
            if let Some(head) = Head::read(&bytes) {
                prop_assert_eq!(&head.write(), &bytes);
            }
        }

        #[test]
        fn keys_keep_channels_apart_and_offsets_in_order(
            one in "[a-z?=/é]{1,8}", two in "[a-z?=/é]{1,8}", first: u64, second: u64,
        ) {
            let (Ok(a), Ok(b)) = (ChannelName::from_text(&one), ChannelName::from_text(&two)) else {
                return Ok(());
            };
            let (one, two) = (record_key(&a, first), record_key(&b, second));
            prop_assert_eq!(offset_of(&one), Some(first));
            prop_assert_eq!(one.starts_with(&record_prefix(&b)), a == b);
            if a == b {
                prop_assert_eq!(one.cmp(&two), first.cmp(&second));
            }
        }
    }

    #[test]
    fn damage_is_noticed() {
        let item = Payload::from("text").into();
        let record = Record { epoch: Epoch(7), at_ms: 1, key: Some("key".into()), item };
        let mut bytes = Vec::new();
        record.write(&mut bytes);
        assert_eq!(Record::read(&bytes[..16]), None, "cut within a length");
        let mut newer = bytes.clone();
        newer[0] = VERSION + 1;
        assert_eq!(Record::read(&newer), None);
        let mut unknown = bytes.clone();
        unknown[1] |= 0x80;
        assert_eq!(Record::read(&unknown), None);
        let mut long = bytes;
        long[14] = 0xff;
        assert_eq!(Record::read(&long), None, "a length beyond the end");
    }
}
