//! What clients said since the layer above last took it, and how much more may be said now. Filled by `read`,
//! emptied between two rounds.
//!
//! A message may be a thousand times what it was on the wire, so what is counted is what it costs here.

use tidegate_hub::{Payload, SessionId};

/// Reads of one socket in a round; what is left waits for the next, so that one talker does not hold up all.
pub(super) const READS_A_ROUND: usize = 8;

/// What one session may say in one turn: as much as it can without compression, in the reads of a round.
const TURN_BYTES: usize = READS_A_ROUND * super::SCRATCH_BYTES;

/// What all may say before it is taken; the last message may pass it. Sixteen whole turns, so that sessions that
/// say little are never held back.
const INBOX_BYTES: usize = 16 * TURN_BYTES;

/// What a client said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Said {
    /// A whole message.
    Message(Payload),
}

/// See the module's head.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    said: Vec<(SessionId, Said)>,
    /// What they cost: payloads and places.
    bytes: usize,
    /// How far `bytes` and `said` may grow in this turn.
    turn_bytes: usize,
    turn_messages: usize,
    /// How often it was taken.
    taken: u32,
}

impl Inbox {
    /// Begins a session's turn, in which it may say so many messages.
    pub(super) fn begin_turn(&mut self, messages: usize) {
        self.turn_bytes = (self.bytes + TURN_BYTES).min(INBOX_BYTES);
        self.turn_messages = self.said.len().saturating_add(messages);
    }

    /// True while the session whose turn it is may say more.
    pub(super) fn has_room(&self) -> bool {
        self.bytes < self.turn_bytes && self.said.len() < self.turn_messages
    }

    /// True if nobody may say more before it is taken.
    pub(super) fn is_full(&self) -> bool {
        self.bytes >= INBOX_BYTES
    }

    pub(super) fn push(&mut self, id: SessionId, said: Said) {
        let Said::Message(payload) = &said;
        self.bytes += payload.bytes().len() + size_of::<(SessionId, Said)>();
        self.said.push((id, said));
    }

    /// All of it.
    pub(super) fn take(&mut self) -> Vec<(SessionId, Said)> {
        self.bytes = 0;
        self.taken = self.taken.wrapping_add(1);
        std::mem::take(&mut self.said)
    }

    /// A number that changes when it is taken.
    pub(super) fn taken(&self) -> u32 {
        self.taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn say(inbox: &mut Inbox, bytes: usize) -> usize {
        let id = tidegate_hub::Hub::<()>::new(tidegate_hub::QueueLimits { max_bytes: 1, max_messages: 1 }, 1)
            .attach(tidegate_hub::Form::Bare, tidegate_hub::Packing::Plain, ());
        let mut count = 0;
        while inbox.has_room() {
            inbox.push(id, Said::Message(Payload::binary(bytes::Bytes::from(vec![0; bytes]))));
            count += 1;
        }
        count
    }

    #[test]
    fn turns_are_bounded_in_bytes_and_messages_and_their_sum_is_too() {
        let mut inbox = Inbox::default();
        inbox.begin_turn(3);
        assert_eq!(say(&mut inbox, 10), 3);
        inbox.begin_turn(usize::MAX);
        assert_eq!(say(&mut inbox, 65_536), 8);
        let mut turns = 0;
        while !inbox.is_full() {
            inbox.begin_turn(usize::MAX);
            assert!(say(&mut inbox, 65_536) > 0);
            turns += 1;
        }
        assert_eq!(turns, 15);
        inbox.begin_turn(usize::MAX);
        assert_eq!(say(&mut inbox, 0), 0);
        let taken = inbox.taken();
        assert!(inbox.take().len() <= 3 + 16 * 8 && inbox.taken() != taken && !inbox.is_full());
        // Nothing is for nothing.
        inbox.begin_turn(usize::MAX);
        assert!(say(&mut inbox, 0) < 30_000);
    }
}
