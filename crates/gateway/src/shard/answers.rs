//! Publications as they stand in answers to long polls, while such answers are on their way: who asks for the
//! same as another, whose client has still to take it, gets the same bytes. Kept for the encoder, which makes them;
//! what no answer holds any more is let go.

use std::collections::VecDeque;

use bytes::Bytes;
use tidegate_hub::{ChannelName, Epoch, Publication, Updates};

/// Answers that are looked at for each new one.
const KEPT_MAX: usize = 64;

/// What stands in an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Content {
    channel: ChannelName,
    epoch: Epoch,
    updates: Updates,
    /// Offsets.
    first: u64,
    last: u64,
    /// Whether the first one is a change: it goes whole to who has nothing that could be changed.
    changes: bool,
}

/// See the module's head.
#[derive(Debug, Default)]
pub(super) struct Answers(VecDeque<(Content, Bytes)>);

impl Content {
    /// `None` if it is nothing.
    pub(super) fn of(
        channel: &ChannelName,
        epoch: Epoch,
        updates: Updates,
        publications: &[Publication],
    ) -> Option<Self> {
        let (first, last) = (publications.first()?, publications.last()?);
        let changes = first.patch(updates).is_some();
        let channel = channel.clone();
        Some(Self { channel, epoch, updates, first: first.offset, last: last.offset, changes })
    }
}

impl Answers {
    /// The bytes of this content, if an answer holds them.
    pub(super) fn find(&mut self, content: &Content) -> Option<Bytes> {
        self.let_go();
        self.0.iter().find(|(kept, _)| kept == content).map(|(_, bytes)| bytes.clone())
    }

    /// Remembers what goes into an answer now.
    pub(super) fn note(&mut self, content: Content, bytes: &Bytes) {
        if self.0.len() >= KEPT_MAX {
            self.0.pop_front();
        }
        self.0.push_back((content, bytes.clone()));
    }

    /// Lets go what no answer holds any more.
    pub(super) fn let_go(&mut self) {
        self.0.retain(|(_, bytes)| !bytes.is_unique());
    }
}

#[cfg(test)]
mod tests {
    use tidegate_hub::{Change, Payload};

    use super::*;

    fn content(first: u64, updates: Updates, change: bool) -> Content {
        let change = change.then(|| Change { json_patch: Some("[]".into()), merge_patch: None }.into());
        let publication = Publication { offset: first, item: Payload::from("x").into(), change };
        let channel = ChannelName::from_text("c").unwrap();
        Content::of(&channel, Epoch(1), updates, &[publication]).unwrap()
    }

    #[test]
    fn bytes_are_shared_while_an_answer_holds_them() {
        let mut answers = Answers::default();
        let bytes = Bytes::from(b"answer".to_vec());
        let patch = content(1, Updates::JsonPatch, true);
        answers.note(patch.clone(), &bytes);
        assert_eq!(answers.find(&patch).unwrap().as_ptr(), bytes.as_ptr());
        let others = [
            content(2, Updates::JsonPatch, true),
            content(1, Updates::JsonPatch, false),
            content(1, Updates::Whole, false),
        ];
        for other in others {
            assert_eq!(answers.find(&other), None, "{other:?}");
        }
        let part = bytes.slice(2..);
        drop(bytes);
        assert!(answers.find(&patch).is_some());
        drop(part);
        assert_eq!(answers.find(&patch), None);
        assert!(answers.0.is_empty());
    }

    #[test]
    fn no_more_are_kept_than_are_looked_at() {
        let mut answers = Answers::default();
        let bytes = Bytes::from(b"answer".to_vec());
        (0..1000).for_each(|first| answers.note(content(first, Updates::Whole, false), &bytes));
        assert_eq!(answers.0.len(), KEPT_MAX);
        assert!(answers.find(&content(999, Updates::Whole, false)).is_some());
    }
}
