//! What one client was told about one channel, judged as it comes: nothing missing, nothing twice, nothing
//! out of order, and no gap declared without a reason. What was published is known from the acknowledgements. Who
//! comes and goes, where that is told, is told without hole or repetition, too.

use std::collections::BTreeSet;

use serde_json::Value;
use tidegate_hub::Position;

use super::ledger::{Found, Ledger};

/// One client's stay with one channel, over all its connections.
#[derive(Debug, Default)]
pub(super) struct Record {
    /// The newest that it has seen.
    pub(super) position: Option<Position>,
    /// What was published at a position, with all changes applied.
    document: Option<(Position, Value)>,
    /// What it asked to resume after, until the answer comes. `Some(None)`: from now on.
    asked: Option<Option<Position>>,
    /// An `open` has come on this connection.
    open: bool,
    /// Who is here, as it was told.
    pub(super) here: BTreeSet<String>,
    /// Publications that came whole, and those that came as changes.
    pub(super) whole: usize,
    pub(super) changes: usize,
}

impl Record {
    /// What it resumes after; who gets changes resumes from a document alone.
    pub(super) fn seen(&self, changes: bool) -> Option<Position> {
        if changes { self.document.as_ref().map(|(position, _)| *position) } else { self.position }
    }

    /// The client asks for the channel.
    pub(super) fn ask(&mut self, after: Option<Position>) {
        (self.asked, self.open) = (Some(after), false);
    }

    /// The connection or the subscription is over.
    pub(super) fn end(&mut self) {
        (self.asked, self.open) = (None, false);
    }

    /// True from the subscription on until it is over.
    pub(super) fn follows(&self) -> bool {
        self.asked.is_some() || self.open
    }

    /// The process has ended, and another one has found this of the channel: nobody had heard of more.
    pub(super) fn check_start(&self, found: Option<&Found>) {
        let heard = self.position.zip(found.map(|found| found.position));
        if let Some((heard, found)) = heard.filter(|(heard, found)| heard.epoch == found.epoch) {
            assert!(heard.offset <= found.offset, "{heard} was heard of, and {found} is there");
        }
    }

    /// Takes one envelope of the channel. `kept` is how many publications its history keeps; a subscriber of a
    /// channel that `may_skip` is told of gaps while it follows.
    pub(super) fn take(
        &mut self,
        channel: &str,
        envelope: &Value,
        ledger: &Ledger,
        kept: u64,
        may_skip: bool,
    ) {
        match envelope["type"].as_str() {
            Some("open") => {
                self.here = present(envelope);
                let (position, recovered) = (position_of(envelope), envelope["recovered"] == true);
                match self.asked.take() {
                    Some(asked) => self.take_open(asked, position, recovered, kept),
                    None => self.take_gap(position, recovered, may_skip),
                }
            }
            Some("message") => {
                self.whole += 1;
                self.take_document(channel, envelope, envelope["data"].clone(), ledger);
            }
            Some("patch") => {
                self.changes += 1;
                let document = self.patched(envelope);
                self.take_document(channel, envelope, document, ledger);
            }
            Some("presence") => self.take_presence(envelope),
            Some("close") => self.end(),
            // Who follows already is told of the end by a close besides.
            Some("error") if !self.open => self.end(),
            Some("error") => {}
            _ => panic!("no envelope of a channel: {envelope}"),
        }
    }

    fn take_open(&mut self, asked: Option<Position>, position: Position, recovered: bool, kept: u64) {
        if let Some(after) = asked {
            let is_kept = after.epoch == position.epoch
                && after.offset <= position.offset
                && position.offset - after.offset <= kept;
            if recovered {
                assert_eq!(position, after, "recovered, but from another place than was asked for");
            } else {
                assert!(!is_kept, "{after} was within history at {position}, and a gap was declared");
            }
        } else {
            assert!(recovered, "nothing was asked for, so nothing is lost");
        }
        (self.position, self.open) = (Some(position), true);
    }

    /// An `open` that nobody asked for: it was passed over, and is told where it goes on.
    fn take_gap(&mut self, position: Position, recovered: bool, may_skip: bool) {
        assert!(self.open && may_skip && !recovered, "an open that nobody asked for");
        let before = self.position.expect("an open gives a position");
        // Whoever had no room for a word about who is here gets the newest anew, though it may have that.
        let is_ahead = position.epoch != before.epoch || position.offset + 1 >= before.offset;
        assert!(is_ahead, "passed over from {before} back to {position}");
        self.position = Some(position);
    }

    /// Somebody has come or gone.
    fn take_presence(&mut self, envelope: &Value) {
        assert!(self.open, "presence before its open: {envelope}");
        let is_news = match (envelope["join"]["id"].as_str(), envelope["leave"]["id"].as_str()) {
            (Some(id), None) => self.here.insert(id.to_owned()),
            (None, Some(id)) => self.here.remove(id),
            _ => panic!("neither a join nor a leave: {envelope}"),
        };
        assert!(is_news, "it was known before: {envelope}");
        assert_eq!(envelope["count"], self.here.len(), "{envelope}");
    }

    /// The document that a change makes of the one before it.
    fn patched(&self, envelope: &Value) -> Value {
        let Some((position, mut document)) = self.document.clone() else {
            panic!("a change of nothing: {envelope}")
        };
        assert_eq!(Some(position), self.position, "a change of something else: {envelope}");
        if envelope["format"] == "merge" {
            json_patch::merge(&mut document, &envelope["patch"]);
        } else {
            let patch: json_patch::Patch =
                serde_json::from_value(envelope["patch"].clone()).expect("a JSON Patch");
            json_patch::patch(&mut document, &patch).expect("it applies");
        }
        document
    }

    fn take_document(&mut self, channel: &str, envelope: &Value, document: Value, ledger: &Ledger) {
        assert!(self.open, "a message before its open: {envelope}");
        let position = position_of(envelope);
        let before = self.position.expect("an open gives a position");
        assert_eq!(position.epoch, before.epoch, "another epoch in the middle of a subscription");
        assert_eq!(position.offset, before.offset + 1, "after {before}");
        let published = ledger.number_at(channel, position).map(document_value).unwrap_or_default();
        assert_eq!(document, published, "{channel} {position}");
        self.position = Some(position);
        self.document = Some((position, document));
    }
}

/// What is published under a number: most of it is always the same, and so large that what is missed of two channels
/// has no room in one queue.
pub(super) fn document(number: u64) -> String {
    format!(r#"{{"always":"{:0<620}","n":{number}}}"#, "")
}

fn document_value(number: u64) -> Value {
    serde_json::from_str(&document(number)).expect("JSON")
}

/// Who is here by an `open`; nobody where that is not told.
fn present(envelope: &Value) -> BTreeSet<String> {
    let members = envelope["present"].as_array().into_iter().flatten();
    members.map(|member| member["id"].as_str().expect("an id").to_owned()).collect()
}

fn position_of(envelope: &Value) -> Position {
    let text = envelope["position"].as_str().unwrap_or_default();
    text.parse().unwrap_or_else(|_| panic!("no position in {envelope}"))
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use serde_json::json;
    use tidegate_hub::Epoch;

    use super::*;

    const KEPT: u64 = 3;

    fn at(epoch: u32, offset: u64) -> Position {
        Position { epoch: Epoch(epoch), offset }
    }

    fn ledger() -> Ledger {
        let mut ledger = Ledger::default();
        for offset in 1..=9 {
            ledger.note("c", at(1, offset), offset * 7);
        }
        ledger
    }

    fn open(position: Position, recovered: bool) -> Value {
        json!({"type": "open", "channel": "c", "position": position.to_string(), "recovered": recovered})
    }

    fn message(offset: u64) -> Value {
        json!({"type": "message", "channel": "c", "position": at(1, offset).to_string(),
            "data": document_value(offset * 7)})
    }

    /// Whether a record that asks for `after` accepts these envelopes.
    fn accepts(after: Option<Position>, envelopes: &[Value]) -> bool {
        judge(after, envelopes, false)
    }

    fn judge(after: Option<Position>, envelopes: &[Value], may_skip: bool) -> bool {
        let (ledger, mut record) = (ledger(), Record::default());
        record.ask(after);
        let take = || envelopes.iter().for_each(|one| record.take("c", one, &ledger, KEPT, may_skip));
        catch_unwind(AssertUnwindSafe(take)).is_ok()
    }

    #[test]
    fn what_is_right_is_accepted() {
        assert!(accepts(None, &[open(at(1, 4), true), message(5), message(6)]));
        assert!(accepts(Some(at(1, 4)), &[open(at(1, 4), true), message(5)]));
        let merge = json!({"type": "patch", "channel": "c", "position": at(1, 6).to_string(),
            "format": "merge", "patch": {"n": 42}});
        assert!(accepts(None, &[open(at(1, 4), true), message(5), merge]));
        assert!(accepts(Some(at(1, 1)), &[open(at(1, 5), false), message(6)]), "more than is kept");
        assert!(accepts(Some(at(2, 5)), &[open(at(1, 5), false)]), "another epoch");
        assert!(accepts(Some(at(1, 8)), &[open(at(1, 5), false)]), "the future");
    }

    #[test]
    fn who_is_passed_over_is_told_so() {
        let envelopes = [open(at(1, 4), true), message(5), open(at(1, 7), false), message(8)];
        assert!(judge(None, &envelopes, true));
        assert!(!judge(None, &envelopes, false));
        assert!(!judge(None, &[open(at(1, 4), true), message(5), message(8)], true), "a gap without a word");
        let anew = |offset| [open(at(1, 4), true), message(5), message(6), open(at(1, offset), false)];
        assert!(judge(None, &anew(5), true), "the newest anew");
        assert!(!judge(None, &anew(4), true), "back");
    }

    #[test]
    fn who_is_here_is_told_once() {
        let first = json!({"type": "open", "channel": "c", "position": at(1, 4).to_string(), "recovered": true,
            "present": [{"id": "0-1"}, {"id": "0-2"}], "count": 2});
        let change = |what: &str, id: &str, count: u32| json!({"type": "presence", "channel": "c", what: {"id": id}, "count": count});
        let accepts_after =
            |changes: &[Value]| accepts(None, &[std::slice::from_ref(&first), changes].concat());
        assert!(accepts_after(&[change("leave", "0-2", 1), message(5), change("join", "0-2", 2)]));
        assert!(!accepts_after(&[change("join", "0-2", 2)]), "twice");
        assert!(!accepts_after(&[change("leave", "0-3", 1)]), "gone, but never here");
        assert!(!accepts_after(&[change("join", "0-3", 4)]), "a join is missing");
        assert!(!accepts(None, &[change("join", "0-3", 1)]), "before the open");
    }

    #[test]
    fn what_is_wrong_is_noticed() {
        let change = |offset: u64, number: u64| {
            let patch = json!([{"op": "replace", "path": "/n", "value": number}]);
            json!({"type": "patch", "channel": "c", "position": at(1, offset).to_string(), "patch": patch})
        };
        let wrong: [(&str, Option<Position>, Vec<Value>); 12] = [
            ("a change of nothing", None, vec![open(at(1, 4), true), change(5, 35)]),
            ("a wrong change", None, vec![open(at(1, 4), true), message(5), change(6, 41)]),
            ("a hole", None, vec![open(at(1, 4), true), message(6)]),
            ("twice", None, vec![open(at(1, 4), true), message(5), message(5)]),
            ("swapped", None, vec![open(at(1, 4), true), message(6), message(5)]),
            ("at the seam, a hole", Some(at(1, 4)), vec![open(at(1, 5), true), message(6)]),
            ("at the seam, twice", Some(at(1, 4)), vec![open(at(1, 4), true), message(4)]),
            ("no open", Some(at(1, 4)), vec![message(5)]),
            ("a gap without need", Some(at(1, 4)), vec![open(at(1, 7), false)]),
            (
                "another payload",
                None,
                vec![open(at(1, 4), true), {
                    let mut forged = message(5);
                    forged["data"] = json!(1);
                    forged
                }],
            ),
            ("never published", None, vec![open(at(1, 9), true), message(10)]),
            ("an epoch that changes", None, vec![open(at(2, 4), true), message(5)]),
        ];
        for (name, after, envelopes) in wrong {
            assert!(!accepts(after, &envelopes), "{name}");
        }
    }
}
