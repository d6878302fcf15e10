//! Who watches channels that are at home here: their publications with the first bytes of each, as many as there is
//! room for. Nothing is here, and a publication costs one test, while nobody does.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use tidegate_hub::{ChannelName, PayloadKind, Position, Publication};
use tokio::sync::Notify;

use super::connection::since_1970;
use super::ring::PREVIEW_BYTES;
use super::taps::WatchId;
use crate::settings::WatchLevel;

/// Publications that are kept for one watch.
const KEPT_MAX: usize = 1000;

/// Bytes of them.
const KEPT_BYTES: usize = 1024 * 1024;

/// A publication as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(crate) position: Position,
    /// In milliseconds since 1970.
    pub(crate) at: u64,
    pub(crate) bytes: usize,
    pub(crate) kind: PayloadKind,
    /// The first bytes of the payload, where payloads may be watched.
    pub(crate) preview: Vec<u8>,
}

/// See the module's head.
#[derive(Debug, Default)]
pub(crate) struct Listening {
    watches: HashMap<WatchId, Watch>,
}

#[derive(Debug)]
struct Watch {
    channel: ChannelName,
    level: WatchLevel,
    bell: Arc<Notify>,
    rung: bool,
    kept: VecDeque<Shown>,
    kept_bytes: usize,
    lost: u64,
}

impl Listening {
    /// Whether anybody watches.
    #[inline]
    pub(super) fn is_watching(&self) -> bool {
        !self.watches.is_empty()
    }

    /// Begins a watch.
    pub(crate) fn begin(&mut self, id: WatchId, channel: ChannelName, level: WatchLevel, bell: Arc<Notify>) {
        let kept = VecDeque::new();
        self.watches.insert(id, Watch { channel, level, bell, rung: false, kept, kept_bytes: 0, lost: 0 });
    }

    /// Shows no more than this from now on.
    pub(super) fn keep_up_to(&mut self, most: WatchLevel) {
        self.watches.values_mut().for_each(|watch| watch.level = watch.level.min(most));
    }

    pub(crate) fn end(&mut self, id: WatchId) {
        self.watches.remove(&id);
    }

    /// Shows a publication to those who watch its channel.
    pub(super) fn show(&mut self, channel: &ChannelName, position: Position, publication: &Publication) {
        for watch in self.watches.values_mut().filter(|watch| watch.channel == *channel) {
            watch.push(position, publication);
        }
    }

    /// Takes so many publications at most, how many were lost before them, and whether there are more.
    pub(crate) fn take(&mut self, id: WatchId, most: usize, bytes: usize) -> (Vec<Shown>, u64, bool) {
        let Some(watch) = self.watches.get_mut(&id) else { return (Vec::new(), 0, false) };
        watch.rung = false;
        let (mut taken, mut left) = (Vec::new(), bytes);
        while taken.len() < most && left > 0 {
            let Some(shown) = watch.kept.pop_front() else { break };
            watch.kept_bytes -= shown.preview.len();
            left = left.saturating_sub(shown.preview.len());
            taken.push(shown);
        }
        (taken, std::mem::take(&mut watch.lost), !watch.kept.is_empty())
    }
}

impl Watch {
    fn push(&mut self, position: Position, publication: &Publication) {
        let payload = &publication.item.payload;
        let most = if self.level == WatchLevel::Payload { PREVIEW_BYTES } else { 0 };
        let bytes = payload.bytes();
        let preview = bytes[..bytes.len().min(most)].to_vec();
        self.kept_bytes += preview.len();
        self.kept.push_back(Shown {
            position,
            at: since_1970(),
            bytes: bytes.len(),
            kind: payload.kind(),
            preview,
        });
        while self.kept.len() > KEPT_MAX || self.kept_bytes > KEPT_BYTES {
            let Some(oldest) = self.kept.pop_front() else { break };
            self.kept_bytes -= oldest.preview.len();
            self.lost += 1;
        }
        if !std::mem::replace(&mut self.rung, true) {
            self.bell.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use tidegate_hub::{Epoch, Payload};

    use super::*;

    fn publish(listening: &mut Listening, channel: &str, offset: u64, bytes: usize) {
        let item = Payload::binary(vec![7; bytes].into()).into();
        let position = Position { epoch: Epoch(1), offset };
        let channel = ChannelName::from_text(channel).expect("a name");
        listening.show(&channel, position, &Publication { offset, item, change: None });
    }

    #[test]
    fn the_oldest_give_way_in_number_and_in_bytes() {
        for (bytes, kept) in [(1, KEPT_MAX), (10_000, KEPT_BYTES / PREVIEW_BYTES)] {
            let mut listening = Listening::default();
            let (id, name) = (WatchId(1), ChannelName::from_text("a").expect("a name"));
            listening.begin(id, name, WatchLevel::Payload, Arc::default());
            publish(&mut listening, "b", 1, bytes);
            (1..=1500).for_each(|offset| publish(&mut listening, "a", offset, bytes));
            let (first, lost, more) = listening.take(id, 10, usize::MAX);
            assert_eq!((first.len(), lost as usize, more), (10, 1500 - kept, true));
            assert_eq!((first[0].position.offset as usize, first[0].bytes), (1501 - kept, bytes));
            let (rest, lost, more) = listening.take(id, usize::MAX, usize::MAX);
            assert_eq!((rest.len(), lost, more), (kept - 10, 0, false));
        }
    }

    #[test]
    fn without_payloads_there_is_none() {
        let mut listening = Listening::default();
        let name = ChannelName::from_text("a").expect("a name");
        listening.begin(WatchId(1), name, WatchLevel::Frames, Arc::default());
        publish(&mut listening, "a", 1, 9);
        let (shown, ..) = listening.take(WatchId(1), 9, 9);
        assert_eq!((shown[0].bytes, shown[0].preview.len()), (9, 0));
        listening.end(WatchId(1));
        assert!(!listening.is_watching());
    }
}
