//! Patches applied give the document: by an application of our own, and by another library's. What is in them is
//! looked at in examples.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::value::Shape;
use super::*;

/// A JSON value as the tests build it. Numbers are texts.
#[derive(Debug, Clone, PartialEq)]
enum Sample {
    Literal(String),
    Text(String),
    Array(Vec<Sample>),
    Object(BTreeMap<String, Sample>),
}

fn parse(text: &[u8]) -> Sample {
    let text = std::str::from_utf8(text).expect("UTF-8");
    sample(&value::read(text.as_bytes(), &RandomState::default()).expect(text))
}

fn sample(value: &Value<'_>) -> Sample {
    match &value.shape {
        Shape::Literal => {
            let mut text = Vec::new();
            value.write(&mut text);
            Sample::Literal(String::from_utf8(text).unwrap())
        }
        Shape::Text(text) => Sample::Text(text.to_string()),
        Shape::Array(values) => Sample::Array(values.iter().map(sample).collect()),
        Shape::Object(members) => {
            Sample::Object(members.iter().map(|one| (one.key.to_string(), sample(&one.value))).collect())
        }
    }
}

/// Applies a JSON Patch (RFC 6902, section 4).
fn apply(document: &mut Sample, patch: &Sample) {
    let Sample::Array(operations) = patch else { panic!("{patch:?}") };
    for operation in operations {
        let Sample::Object(members) = operation else { panic!("{operation:?}") };
        let text = |name: &str| match &members[name] {
            Sample::Text(text) => text.as_str(),
            other => panic!("{other:?}"),
        };
        match text("op") {
            "add" => add(document, text("path"), members["value"].clone()),
            "remove" => drop(remove(document, text("path"))),
            "replace" if text("path").is_empty() => *document = members["value"].clone(),
            "replace" => {
                remove(document, text("path"));
                add(document, text("path"), members["value"].clone());
            }
            "move" => {
                let value = remove(document, text("from"));
                add(document, text("path"), value);
            }
            other => panic!("{other}"),
        }
    }
}

fn parent<'s>(document: &'s mut Sample, pointer: &str) -> (&'s mut Sample, String) {
    let mut segments: Vec<String> =
        pointer.split('/').skip(1).map(|segment| segment.replace("~1", "/").replace("~0", "~")).collect();
    let last = segments.pop().expect("a pointer into the document");
    let mut place = document;
    for segment in segments {
        place = match place {
            Sample::Array(values) => &mut values[segment.parse::<usize>().unwrap()],
            Sample::Object(members) => members.get_mut(&segment).expect("a member"),
            other => panic!("{other:?} has no {segment}"),
        };
    }
    (place, last)
}

fn add(document: &mut Sample, pointer: &str, value: Sample) {
    match parent(document, pointer) {
        (Sample::Array(values), index) => values.insert(index.parse().unwrap(), value),
        (Sample::Object(members), key) => drop(members.insert(key, value)),
        (other, _) => panic!("{other:?}"),
    }
}

fn remove(document: &mut Sample, pointer: &str) -> Sample {
    match parent(document, pointer) {
        (Sample::Array(values), index) => values.remove(index.parse().unwrap()),
        (Sample::Object(members), key) => members.remove(&key).expect("a member"),
        (other, _) => panic!("{other:?}"),
    }
}

/// Applies a merge patch as RFC 7396, section 2 has it.
fn merge(target: Sample, patch: Sample) -> Sample {
    let Sample::Object(changes) = patch else { return patch };
    let mut members = match target {
        Sample::Object(members) => members,
        _ => BTreeMap::new(),
    };
    for (key, change) in changes {
        if change == Sample::Literal("null".into()) {
            members.remove(&key);
        } else {
            let old = members.remove(&key).unwrap_or(Sample::Literal("null".into()));
            members.insert(key, merge(old, change));
        }
    }
    Sample::Object(members)
}

/// Both patches, if there are any, give the document.
#[track_caller]
fn check(before: &str, after: &str) -> (Option<String>, Option<String>) {
    let text = |patch: Bytes| String::from_utf8(patch.to_vec()).unwrap();
    let json = json_patch(before.as_bytes(), after.as_bytes()).map(text);
    if let Some(patch) = &json {
        let mut document = parse(before.as_bytes());
        apply(&mut document, &parse(patch.as_bytes()));
        assert_eq!(document, parse(after.as_bytes()), "{before} + {patch}");
        assert!(patch.len() < after.len());
    }
    let merged = merge_patch(before.as_bytes(), after.as_bytes()).map(text);
    if let Some(patch) = &merged {
        let document = merge(parse(before.as_bytes()), parse(patch.as_bytes()));
        assert_eq!(document, parse(after.as_bytes()), "{before} + {patch}");
        assert!(patch.len() < after.len());
    }
    (json, merged)
}

/// So much beside it that a patch is smaller than the document.
const WEIGHT: &str = r#""weight":"0123456789012345678901234567890123456789012345678901234567890123456789""#;

#[track_caller]
fn check_patch(before: &str, after: &str, json: &str, merged: Option<&str>) {
    let (before, after) = (format!("{{{before},{WEIGHT}}}"), format!("{{{after},{WEIGHT}}}"));
    let (found_json, found_merge) = check(&before, &after);
    assert_eq!(found_json.as_deref(), Some(json));
    assert_eq!(found_merge.as_deref(), merged);
}

#[test]
fn members_are_added_removed_and_replaced() {
    check_patch(
        r#""a":1,"b":[ 1, 2 ],"c":null"#,
        r#""a":2,"b":[1,2],"d":true"#,
        r#"[{"op":"replace","path":"/a","value":2},{"op":"remove","path":"/c"},{"op":"add","path":"/d","value":true}]"#,
        Some(r#"{"a":2,"c":null,"d":true}"#),
    );
    check_patch(
        r#""deep":{"er":{"x":1,"y":2}}"#,
        r#""deep":{"er":{"y":3,"x":1}}"#,
        r#"[{"op":"replace","path":"/deep/er/y","value":3}]"#,
        Some(r#"{"deep":{"er":{"y":3}}}"#),
    );
}

#[test]
fn order_white_space_and_escapes_are_no_change() {
    check_patch(r#""a":"é","b":1"#, r#""b": 1, "a":"\u00e9""#, "[]", Some("{}"));
}

#[test]
fn numbers_go_as_they_were_written() {
    for (before, after) in
        [("1", "1.0"), ("1e400", "1E400"), ("12345678901234567890", "12345678901234567891")]
    {
        check_patch(
            &format!(r#""n":{before}"#),
            &format!(r#""n":{after}"#),
            &format!(r#"[{{"op":"replace","path":"/n","value":{after}}}]"#),
            Some(&format!(r#"{{"n":{after}}}"#)),
        );
    }
}

#[test]
fn keys_of_all_kinds_stand_in_pointers() {
    check_patch(
        r#""a/b":{"":{"~1":1}}"#,
        r#""a/b":{"":{"~1":2}}"#,
        r#"[{"op":"replace","path":"/a~1b//~01","value":2}]"#,
        Some(r#"{"a/b":{"":{"~1":2}}}"#),
    );
    check_patch(
        r#""\"\\\n\u0000é":1"#,
        r#""\"\\\n\u0000é":2"#,
        r#"[{"op":"replace","path":"/\"\\\u000a\u0000é","value":2}]"#,
        Some(r#"{"\"\\\u000a\u0000é":2}"#),
    );
}

#[test]
fn named_elements_are_moved_removed_and_added() {
    let element = |id: u32, v: u32| format!(r#"{{"id":{id},"v":{v},{WEIGHT}}}"#);
    let before = [element(1, 1), element(2, 1), element(3, 1), element(4, 1)].join(",");
    let after = [element(4, 1), element(2, 2), element(5, 1), element(3, 1)].join(",");
    let added = element(5, 1);
    check_patch(
        &format!(r#""l":[{before}]"#),
        &format!(r#""l":[{after}]"#),
        &format!(
            r#"[{{"op":"remove","path":"/l/0"}},{{"op":"move","path":"/l/0","from":"/l/2"}},{{"op":"add","path":"/l/2","value":{added}}},{{"op":"replace","path":"/l/1/v","value":2}}]"#
        ),
        Some(&format!(r#"{{"l":[{after}]}}"#)),
    );
    let (json, _) = check(
        r#"[{"uuid":"a","x":"----------------------------------------"},{"uuid":"b","x":"---------------------"}]"#,
        r#"[{"uuid":"b","x":"---------------------"},{"uuid":"a","x":"----------------------------------------"}]"#,
    );
    assert_eq!(json.as_deref(), Some(r#"[{"op":"move","path":"/0","from":"/1"}]"#));
}

#[test]
fn other_elements_are_found_in_their_order() {
    let text = |one: u32| format!("\"{}\"", one.to_string().repeat(60));
    let list = |all: &[u32]| all.iter().map(|one| text(*one)).collect::<Vec<_>>().join(",");
    let (before, after) = (list(&[1, 2, 3, 4, 5, 6]), list(&[1, 3, 4, 8, 5, 7]));
    let (added, replaced) = (text(8), text(7));
    check_patch(
        &format!(r#""l":[{before}]"#),
        &format!(r#""l":[{after}]"#),
        &format!(
            r#"[{{"op":"remove","path":"/l/1"}},{{"op":"add","path":"/l/3","value":{added}}},{{"op":"replace","path":"/l/5","value":{replaced}}}]"#
        ),
        Some(&format!(r#"{{"l":[{after}]}}"#)),
    );
    // An id twice names nothing.
    check_patch(
        r#""l":[{"id":1},{"id":1,"v":1}]"#,
        r#""l":[{"id":1},{"id":1,"v":2}]"#,
        r#"[{"op":"replace","path":"/l/1/v","value":2}]"#,
        Some(r#"{"l":[{"id":1},{"id":1,"v":2}]}"#),
    );
}

#[test]
fn what_is_smaller_goes_whole() {
    check_patch(
        r#""l":[1,2,3,4,5,6]"#,
        r#""l":[6,5,4,3,2,1]"#,
        r#"[{"op":"replace","path":"/l","value":[6,5,4,3,2,1]}]"#,
        Some(r#"{"l":[6,5,4,3,2,1]}"#),
    );
    assert_eq!(check(r#"{"a":1}"#, r#"{"a":2}"#).0, None);
    assert_eq!(check("1", "2"), (None, None));
    assert_eq!(check("[]", r#"["a long text that takes more as a patch"]"#).0, None);
}

#[test]
fn a_merge_patch_sets_no_null() {
    for (before, after) in [
        (r#""a":1"#, r#""a":null"#),
        (r#""a":1"#, r#""a":{"b":{"c":null}}"#),
        (r#""b":1"#, r#""a":{"c":null}"#),
        (r#""a":{"b":1}"#, r#""a":{"b":null}"#),
    ] {
        let (before, after) = (format!("{{{before},{WEIGHT}}}"), format!("{{{after},{WEIGHT}}}"));
        assert_eq!(check(&before, &after).1, None, "{after}");
    }
    for (before, after, patch) in [
        (r#""a":{"n":null,"b":1}"#, r#""a":{"n":null,"b":2}"#, r#"{"a":{"b":2}}"#),
        (r#""a":1"#, r#""a":[null,{"b":null}]"#, r#"{"a":[null,{"b":null}]}"#),
        (r#""a":[1]"#, r#""a":{"b":{}}"#, r#"{"a":{"b":{}}}"#),
        (r#""a":null"#, r#""a":0"#, r#"{"a":0}"#),
    ] {
        let (before, after) = (format!("{{{before},{WEIGHT}}}"), format!("{{{after},{WEIGHT}}}"));
        assert_eq!(check(&before, &after).1.as_deref(), Some(patch));
    }
}

#[test]
fn what_is_not_strict_has_no_patch() {
    let good = format!("{{\"a\":1,{WEIGHT}}}");
    for bad in [
        format!("{{\"a\":2,\"a\":3,{WEIGHT}}}"),
        format!("{{\"a\":2,{WEIGHT},}}"),
        format!("{{\"a\":2,{WEIGHT}}} x"),
        format!("{{\"a\":02,{WEIGHT}}}"),
        String::new(),
        "[".repeat(200),
    ] {
        assert_eq!(check(&good, &bad), (None, None), "{bad}");
        assert_eq!(check(&bad, &good), (None, None), "{bad}");
    }
}

#[test]
fn documents_have_a_bound_in_values() {
    let text = |count: usize, last: u32| format!("[{}{last}]", "0,".repeat(count - 2));
    let (most, beyond) = (131_072, 131_073);
    assert!(check(&text(most, 0), &text(most, 1)).0.is_some());
    assert_eq!(check(&text(beyond, 0), &text(beyond, 1)).0, None);
}

/// The list that the bound on time is about: 500 named objects of about 200 bytes.
fn list(version: u32) -> String {
    let mut ids: Vec<u32> = (0..500).collect();
    if version == 1 {
        ids.remove(0);
        ids.swap(100, 300);
    }
    let element = |id: &u32| {
        let price = if version == 1 && id % 100 == 7 { 99 } else { id % 90 };
        format!(
            r#"{{"id":{id},"name":"article number {id}","price":{price}.25,"stock":{},"tags":["a","b"],"note":"{}"}}"#,
            id * 7,
            "x".repeat(110)
        )
    };
    format!("[{}]", ids.iter().map(element).collect::<Vec<_>>().join(","))
}

#[test]
fn a_few_changes_in_a_long_list_make_a_small_patch() {
    let (before, after) = (list(0), list(1));
    assert!((95_000..110_000).contains(&after.len()), "{}", after.len());
    let patch = check(&before, &after).0.expect("a patch");
    assert!(patch.len() * 1000 < after.len() * 15, "{} of {}", patch.len(), after.len());
    assert_eq!(patch.matches("\"op\"").count(), 8, "{patch}");
}

fn keys() -> impl Strategy<Value = String> {
    prop_oneof![3 => "[ab~/\"\\\\é]{0,3}", 1 => Just("id".to_owned()), 1 => Just("name".to_owned())]
}

fn leaves() -> impl Strategy<Value = Sample> {
    prop_oneof![
        prop_oneof![Just("true"), Just("false"), Just("null")].prop_map(|word| Sample::Literal(word.into())),
        "-?(0|[1-9][0-9]{0,3})(\\.[0-9]{1,2})?([eE][+-]?[0-9]{1,2})?".prop_map(Sample::Literal),
        "[0-3]".prop_map(Sample::Literal),
        any::<String>().prop_map(Sample::Text),
        "[ab\"\\\\\n]{0,3}".prop_map(Sample::Text),
    ]
}

fn samples() -> impl Strategy<Value = Sample> {
    leaves().prop_recursive(4, 60, 8, |inner| {
        let named = ("[0-9a-f]", inner.clone()).prop_map(|(id, value)| {
            let id = ("id".to_owned(), Sample::Text(id));
            Sample::Object([id, ("v".to_owned(), value)].into())
        });
        prop_oneof![
            2 => prop::collection::vec(inner.clone(), 0..8).prop_map(Sample::Array),
            1 => prop::collection::vec(named, 0..8).prop_map(Sample::Array),
            2 => prop::collection::btree_map(keys(), inner, 0..8).prop_map(Sample::Object),
        ]
    })
}

/// Another document that has much in common with this one. Every choice is drawn from `draw`.
fn vary(sample: &Sample, draw: &mut impl FnMut(u32) -> u32) -> Sample {
    if draw(20) == 0 {
        return Sample::Literal(draw(3).to_string());
    }
    match sample {
        Sample::Literal(_) | Sample::Text(_) => sample.clone(),
        Sample::Array(values) => {
            let mut values: Vec<_> = values.iter().map(|value| vary(value, draw)).collect();
            if !values.is_empty() && draw(4) == 0 {
                values.remove(draw(values.len() as u32) as usize);
            }
            if !values.is_empty() && draw(4) == 0 {
                let (one, another) = (draw(values.len() as u32) as usize, draw(values.len() as u32) as usize);
                let moved = values.remove(one);
                values.insert(another, moved);
            }
            if draw(5) == 0 {
                values.insert(draw(values.len() as u32 + 1) as usize, Sample::Text("new".into()));
            }
            Sample::Array(values)
        }
        Sample::Object(members) => {
            let kept = members.iter().filter(|_| draw(8) > 0).collect::<Vec<_>>();
            let mut members: BTreeMap<_, _> =
                kept.into_iter().map(|(key, value)| (key.clone(), vary(value, draw))).collect();
            if draw(6) == 0 {
                members.insert(draw(3).to_string(), Sample::Array(vec![Sample::Literal("null".into())]));
            }
            Sample::Object(members)
        }
    }
}

fn draws(seed: u64) -> impl FnMut(u32) -> u32 {
    let mut state = seed;
    move |below| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 33) as u32) % below.max(1)
    }
}

fn render(sample: &Sample, draw: &mut impl FnMut(u32) -> u32, out: &mut String) {
    let space = |draw: &mut dyn FnMut(u32) -> u32| ["", "", "", " ", "\r\n\t"][draw(5) as usize];
    out.push_str(space(draw));
    match sample {
        Sample::Literal(text) => out.push_str(text),
        Sample::Text(text) => render_text(text, draw, out),
        Sample::Array(values) => {
            out.push('[');
            for (index, value) in values.iter().enumerate() {
                out.push_str(if index == 0 { "" } else { "," });
                render(value, draw, out);
            }
            out.push(']');
        }
        Sample::Object(members) => {
            out.push('{');
            let mut members: Vec<_> = members.iter().collect();
            if draw(2) == 0 {
                members.reverse();
            }
            for (index, (key, value)) in members.into_iter().enumerate() {
                out.push_str(if index == 0 { "" } else { "," });
                render_text(key, draw, out);
                out.push(':');
                render(value, draw, out);
            }
            out.push('}');
        }
    }
    out.push_str(space(draw));
}

fn render_text(text: &str, draw: &mut impl FnMut(u32) -> u32, out: &mut String) {
    let quoted = serde_json::to_string(text).unwrap();
    if draw(4) == 0 && text.is_ascii() {
        out.push('"');
        text.chars().for_each(|one| out.push_str(&format!("\\u{:04X}", one as u32)));
        out.push('"');
    } else {
        out.push_str(&quoted);
    }
}

/// Two documents that have something in common, as texts.
fn pairs() -> impl Strategy<Value = (String, String)> {
    (samples(), any::<u64>()).prop_map(|(before, seed)| {
        let mut draw = draws(seed);
        let after = vary(&before, &mut draw);
        // Something heavy beside it, so that most patches are smaller.
        let heavy = Sample::Text("0123456789".repeat(40));
        let wrap = |value| Sample::Array(vec![value, heavy.clone()]);
        let wrap_object =
            |value| Sample::Object([("a".into(), value), ("weight".into(), heavy.clone())].into());
        let (before, after) = if draw(2) == 0 {
            (wrap(before), wrap(after))
        } else {
            (wrap_object(before), wrap_object(after))
        };
        let (mut old, mut new) = (String::new(), String::new());
        render(&before, &mut draw, &mut old);
        render(&after, &mut draw, &mut new);
        (old, new)
    })
}

/// Numbers as doubles, as another library reads them.
fn doubles(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::Number(number) => {
            *value = serde_json::Value::from(number.as_f64().unwrap_or(f64::MAX) + 0.0);
        }
        serde_json::Value::Array(values) => values.iter_mut().for_each(doubles),
        serde_json::Value::Object(members) => members.values_mut().for_each(doubles),
        _ => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, ..ProptestConfig::default() })]

    #[test]
    fn patches_give_the_document((before, after) in pairs()) {
        check(&before, &after);
        check(&after, &before);
    }

    #[test]
    fn patches_between_strangers_give_the_document(one in samples(), another in samples(), seed in any::<u64>()) {
        let mut draw = draws(seed);
        let (mut before, mut after) = (String::new(), String::new());
        render(&one, &mut draw, &mut before);
        render(&another, &mut draw, &mut after);
        check(&before, &after);
    }

    /// Another library's application gives it, too; it reads numbers as doubles.
    #[test]
    fn another_library_applies_them((before, after) in pairs()) {
        let read = |text: &[u8]| serde_json::from_slice::<serde_json::Value>(text).unwrap();
        let mut expected = read(after.as_bytes());
        doubles(&mut expected);
        if let Some(patch) = json_patch(before.as_bytes(), after.as_bytes()) {
            let mut document = read(before.as_bytes());
            let patch: json_patch::Patch = serde_json::from_slice(&patch).unwrap();
            json_patch::patch(&mut document, &patch).expect("it applies");
            doubles(&mut document);
            prop_assert_eq!(&document, &expected);
        }
        if let Some(patch) = merge_patch(before.as_bytes(), after.as_bytes()) {
            let mut document = read(before.as_bytes());
            json_patch::merge(&mut document, &read(&patch));
            doubles(&mut document);
            prop_assert_eq!(&document, &expected);
        }
    }

    #[test]
    fn any_bytes_are_taken_without_a_panic(
        before in prop::collection::vec(any::<u8>(), 0..64),
        after in prop::collection::vec(any::<u8>(), 0..64),
    ) {
        let _ = json_patch(&before, &after);
        let _ = merge_patch(&before, &after);
    }
}
