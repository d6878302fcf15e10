//! How publications differ from those before them, for channels whose subscribers want to know: compared once, at the
//! channel's home, before they are appended.
//!
//! What is small is compared at once. What would hold up the shard is handed out to be compared elsewhere, and until
//! that is done the channel's publications wait here in order; those who follow it meanwhile get the log as it is.

use std::collections::{HashMap, VecDeque};

use tidegate_hub::{Basis, Change, ChannelName, Compared, Payload, PayloadKind};
use tidegate_source::Difference;

use super::Shard;

/// Bytes that are compared on the shard itself in one round, both sides counted: a tenth of a millisecond for most
/// documents, and one for the worst, which are long lists of numbers with nothing in common.
const ROUND_BYTES: usize = 16 * 1024;

/// Bytes of all publications of a shard that may wait. Beyond it they go whole.
const WAITING_MAX_BYTES: usize = 32 * 1024 * 1024;

/// What appends a publication once it was compared.
type Append = Box<dyn FnOnce(&mut Shard, Option<Compared>)>;

/// The publications of one shard that wait to be compared.
pub(super) struct Comparisons {
    channels: HashMap<ChannelName, Waiting>,
    bytes: usize,
    /// What may be compared on the shard itself in a round, and what of it is left.
    round_bytes: usize,
    left: usize,
    numbers: u64,
    /// To be made elsewhere: one a channel at the most.
    handed_out: Vec<Comparison>,
}

/// Those of one channel; the first is being compared.
struct Waiting {
    comparison: u64,
    publications: VecDeque<(Payload, Append)>,
}

/// A comparison to be made away from the shard. Its result goes to [`Shard::end_comparison`].
pub(crate) struct Comparison {
    number: u64,
    channel: ChannelName,
    basis: Basis,
    payload: Payload,
}

/// What came of one.
pub(crate) struct ComparisonMade {
    number: u64,
    channel: ChannelName,
    compared: Option<Compared>,
}

/// Where the next comparison is made.
enum Plan {
    /// It was made, or there is none.
    Here(Option<Compared>),
    Elsewhere(Basis),
}

impl Comparisons {
    /// As if that much were too much for the shard.
    #[cfg(test)]
    pub(super) fn set_round_bytes(&mut self, bytes: usize) {
        (self.round_bytes, self.left) = (bytes, bytes);
    }

    /// True while publications wait.
    pub(super) fn is_waiting(&self) -> bool {
        !self.channels.is_empty()
    }

    pub(super) fn begin_round(&mut self) {
        self.left = self.round_bytes;
    }

    /// Takes the first publication, if this is still the comparison that it waits for.
    fn take_first(&mut self, channel: &ChannelName, number: u64) -> Option<Append> {
        let waiting = self.channels.get_mut(channel).filter(|waiting| waiting.comparison == number)?;
        let (payload, append) = waiting.publications.pop_front()?;
        self.bytes -= payload.bytes().len();
        Some(append)
    }

    /// Takes all that waits of a channel. A comparison that is under way comes to nothing.
    fn take_all(&mut self, channel: &ChannelName) -> VecDeque<(Payload, Append)> {
        let all = self.channels.remove(channel).map(|waiting| waiting.publications).unwrap_or_default();
        self.bytes -= all.iter().map(|(payload, _)| payload.bytes().len()).sum::<usize>();
        all
    }
}

impl Default for Comparisons {
    fn default() -> Self {
        Self {
            channels: HashMap::new(),
            bytes: 0,
            round_bytes: ROUND_BYTES,
            left: ROUND_BYTES,
            numbers: 0,
            handed_out: Vec::new(),
        }
    }
}

impl Comparison {
    /// Makes it, which may take milliseconds.
    pub(crate) fn make(self) -> ComparisonMade {
        let compared = compare(&self.basis, &self.payload);
        ComparisonMade { number: self.number, channel: self.channel, compared }
    }

    /// What is to be said if it cannot be made.
    pub(crate) fn unmade(&self) -> ComparisonMade {
        ComparisonMade { number: self.number, channel: self.channel.clone(), compared: None }
    }
}

impl Shard {
    /// Lets `append` happen as soon as it is known how `payload` differs from what the channel, which is at home here,
    /// holds: at once where nobody wants to know, and in the order of these calls.
    pub(crate) fn compared(
        &mut self,
        channel: &ChannelName,
        payload: &Payload,
        append: impl FnOnce(&mut Self, Option<Compared>) + 'static,
    ) {
        if !self.comparisons.channels.contains_key(channel) {
            match self.plan(channel, payload) {
                Plan::Here(compared) => append(self, compared),
                Plan::Elsewhere(basis) => {
                    let publications = VecDeque::from([(payload.clone(), Box::new(append) as Append)]);
                    self.comparisons.bytes += payload.bytes().len();
                    self.comparisons
                        .channels
                        .insert(channel.clone(), Waiting { comparison: 0, publications });
                    self.hand_out(channel, basis, payload.clone());
                }
            }
            return;
        }
        let max_pending = self.generation.settings.limits.patch_max_pending as usize;
        let Some(waiting) = self.comparisons.channels.get_mut(channel) else { return };
        let bytes = self.comparisons.bytes + payload.bytes().len();
        if waiting.publications.len() >= max_pending || bytes > WAITING_MAX_BYTES {
            self.append_waiting(channel);
            self.counters.uncompared += 1;
            append(self, None);
        } else {
            self.comparisons.bytes = bytes;
            waiting.publications.push_back((payload.clone(), Box::new(append)));
        }
    }

    /// Appends what waits of a channel as it is, so that something else can be said after it.
    pub(super) fn append_waiting(&mut self, channel: &ChannelName) {
        for (_, append) in self.comparisons.take_all(channel) {
            self.counters.uncompared += 1;
            append(self, None);
        }
    }

    fn plan(&mut self, channel: &ChannelName, payload: &Payload) -> Plan {
        let Some(basis) = self.engine.basis(channel) else { return Plan::Here(None) };
        if basis.payload.kind() != PayloadKind::Text || payload.kind() != PayloadKind::Text {
            return Plan::Here(None);
        }
        let max = self.generation.settings.limits.patch_max_document;
        let (before, after) = (basis.payload.bytes().len(), payload.bytes().len());
        if before.max(after) > max {
            self.counters.uncompared += 1;
            return Plan::Here(None);
        }
        let Some(left) = self.comparisons.left.checked_sub(before + after) else {
            return Plan::Elsewhere(basis);
        };
        self.comparisons.left = left;
        self.counters.compared += 1;
        Plan::Here(compare(&basis, payload))
    }

    fn hand_out(&mut self, channel: &ChannelName, basis: Basis, payload: Payload) {
        let Some(waiting) = self.comparisons.channels.get_mut(channel) else { return };
        self.comparisons.numbers += 1;
        waiting.comparison = self.comparisons.numbers;
        self.counters.compared += 1;
        let (number, channel) = (self.comparisons.numbers, channel.clone());
        self.comparisons.handed_out.push(Comparison { number, channel, basis, payload });
    }

    /// What is to be compared elsewhere.
    pub(crate) fn take_comparisons(&mut self) -> Vec<Comparison> {
        std::mem::take(&mut self.comparisons.handed_out)
    }

    /// A comparison was made: the publication is appended, and those behind it as far as they can be.
    pub(crate) fn end_comparison(&mut self, made: ComparisonMade) {
        let ComparisonMade { number, channel, compared } = made;
        let channel = &channel;
        let Some(append) = self.comparisons.take_first(channel, number) else { return };
        append(self, compared);
        loop {
            let waiting = self.comparisons.channels.get(channel);
            let Some((payload, _)) = waiting.and_then(|waiting| waiting.publications.front()) else { break };
            let payload = payload.clone();
            match self.plan(channel, &payload) {
                Plan::Here(compared) => {
                    let Some(append) = self.comparisons.take_first(channel, number) else { break };
                    append(self, compared);
                }
                Plan::Elsewhere(basis) => return self.hand_out(channel, basis, payload),
            }
        }
        self.comparisons.channels.remove(channel);
    }
}

/// The changes that are wanted, where both are JSON and a patch is the smaller of the two.
fn compare(basis: &Basis, payload: &Payload) -> Option<Compared> {
    let difference = Difference::between(basis.payload.bytes(), payload.bytes())?;
    let change = Change {
        json_patch: basis.wanted.json_patch.then(|| difference.json_patch()).flatten(),
        merge_patch: basis.wanted.merge_patch.then(|| difference.merge_patch()).flatten(),
    };
    (change != Change::default()).then(|| Compared { from: basis.position, change: change.into() })
}
