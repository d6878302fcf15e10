//! The answer to a long poll: one JSON object with the publications that came, and the position to ask from
//! next.
//!
//! Publications are written once for all polls that wait for them; the object around them is each answer's own.

use bytes::Bytes;
use tidegate_hub::{Position, Publication, Updates};

use crate::code::Failing;
use crate::envelope;

/// One publication, behind the comma that parts it from the one before it.
pub fn write_publication(output: &mut Vec<u8>, position: Position, publication: &Publication) {
    output.extend_from_slice(format!(r#",{{"position":"{position}""#).as_bytes());
    envelope::write_content(output, publication);
    output.push(b'}');
}

/// The same as the change from the publication before it.
pub fn write_patch(output: &mut Vec<u8>, position: Position, updates: Updates, patch: &[u8]) {
    output.extend_from_slice(format!(r#",{{"position":"{position}""#).as_bytes());
    envelope::write_change(output, updates, patch);
    output.push(b'}');
}

/// What stands between two publications, and before the first: there the answer leaves it out.
pub const SEPARATOR: &[u8] = b",";

/// How an answer begins; `position` is the place of its last publication. What [`write_publication`] made of them
/// follows without the first [`SEPARATOR`].
#[must_use]
pub fn head(position: Position, recovered: bool) -> Bytes {
    format!(r#"{{"position":"{position}","recovered":{recovered},"publications":["#).into()
}

/// How an answer ends; `trouble` is why the source behind the channel fails.
#[must_use]
pub fn end(trouble: Option<Failing<'_>>) -> Bytes {
    let mut end = b"]".to_vec();
    if let Some(failing) = trouble {
        end.extend_from_slice(b",\"error\":{");
        envelope::write_failing(&mut end, failing);
        end.extend_from_slice(format!(r#","retry":{}}}"#, failing.code.retry()).as_bytes());
    }
    end.extend_from_slice(b"}\n");
    end.into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};
    use tidegate_hub::{Epoch, Item, Payload};

    use super::*;
    use crate::code::ErrorCode;

    fn at(offset: u64) -> Position {
        Position { epoch: Epoch(1), offset }
    }

    fn failing(message: &str) -> Failing<'_> {
        Failing { code: ErrorCode::Upstream, number: "TG-5101", message }
    }

    fn answer(position: Position, publications: &[u8], trouble: Option<&str>) -> Value {
        let publications = publications.strip_prefix(SEPARATOR).unwrap_or(publications);
        let whole = [&head(position, true), publications, &end(trouble.map(failing))].concat();
        serde_json::from_slice(&whole).expect("one JSON object")
    }

    fn read(items: Vec<Item>) -> Value {
        let mut publications = Vec::new();
        let count = items.len() as u64;
        for (offset, item) in (1..).zip(items) {
            write_publication(&mut publications, at(offset), &Publication { offset, item, change: None });
        }
        answer(at(count), &publications, None)
    }

    #[test]
    fn an_answer_holds_publications_of_all_kinds() {
        let named = Item { event: Some("tick".into()), ..Payload::from("text").into() };
        let binary = Payload::binary(Bytes::from_static(b"\xff")).into();
        assert_eq!(
            read(vec![Payload::from("{\"n\":1.0}").into(), named, binary]),
            json!({"position":"1:3","recovered":true,"publications":[
                {"position":"1:1","data":{"n":1.0}},
                {"position":"1:2","event":"tick","text":"text"},
                {"position":"1:3","binary":"/w=="}
            ]})
        );
        assert_eq!(read(vec![]), json!({"position":"1:0","recovered":true,"publications":[]}));
    }

    #[test]
    fn why_a_source_fails_stands_behind_what_came() {
        let mut publications = Vec::new();
        let publication = Publication { offset: 1, item: Payload::from("1").into(), change: None };
        write_publication(&mut publications, at(1), &publication);
        assert_eq!(
            answer(at(1), &publications, Some("answered \"500\"")),
            json!({"position":"1:1","recovered":true,"publications":[{"position":"1:1","data":1}],
                "error":{"code":"upstream","number":"TG-5101","message":"answered \"500\"","retry":true}})
        );
    }

    #[test]
    fn a_change_stands_among_publications() {
        let mut publications = Vec::new();
        write_patch(&mut publications, at(1), Updates::JsonPatch, b"[]");
        write_patch(&mut publications, at(2), Updates::MergePatch, b"{\"n\":1.0}");
        assert_eq!(
            answer(at(2), &publications, None)["publications"],
            json!([
                {"position":"1:1","patch":[]},
                {"position":"1:2","format":"merge","patch":{"n":1.0}}
            ])
        );
    }

    proptest! {
        #[test]
        fn any_payloads_make_one_answer(
            payloads in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..50), 0..5)
        ) {
            let count = payloads.len();
            let items = payloads.into_iter().map(|bytes| Payload::guess(Bytes::from(bytes)).into());
            let answer = read(items.collect());
            prop_assert_eq!(answer["publications"].as_array().map(Vec::len), Some(count));
        }
    }
}
