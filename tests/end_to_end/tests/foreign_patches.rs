//! Patches that the gateway sends, applied by libraries that nobody here wrote: many documents and what became of
//! them, generated here, as lines of one file for one process a library.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::process::Command;

use serde_json::{Map, Value, json};
use tidegate_end_to_end::script::Script;
use tidegate_source::Difference;
use tidegate_test_tools::need;

/// Pairs of documents for each library.
const PAIRS: u64 = 4000;

/// How many patches there were to be applied.
#[derive(Debug, Default, PartialEq, Eq)]
struct Written {
    patches: u64,
    merges: u64,
}

/// Writes the pairs with what turns the first into the second.
fn write_pairs(file: &mut impl Write) -> Written {
    let mut written = Written::default();
    for seed in 0..PAIRS {
        let mut draws = Draws(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let inner = draws.value(4);
        let changed = draws.varied(&inner, 4);
        // Beside something heavy, so that most patches are smaller than the document.
        let document =
            |value: Value| json!({ "document": value, "heavy": "0123456789".repeat(60) }).to_string();
        let (before, after) = (document(inner), document(changed));
        let difference = Difference::between(before.as_bytes(), after.as_bytes()).expect("strict JSON");
        let text = |patch: &[u8]| std::str::from_utf8(patch).expect("UTF-8").to_owned();
        let mut line = json!({ "before": before, "after": after });
        if let Some(patch) = difference.json_patch() {
            line["patch"] = text(&patch).into();
            written.patches += 1;
        }
        if let Some(merge) = difference.merge_patch() {
            line["merge"] = text(&merge).into();
            written.merges += 1;
        }
        writeln!(file, "{line}").expect("room for the file");
    }
    written
}

fn applied(program: PathBuf, script: &str) -> (Value, Written) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("pairs.jsonl");
    let mut file = BufWriter::new(File::create(&path).expect("a file"));
    let written = write_pairs(&mut file);
    file.flush().expect("room for the file");
    let scripts = tidegate_test_tools::folder();
    let mut script =
        Script::start(Command::new(program).arg(scripts.join(script)).arg(&path).current_dir(scripts));
    let applied = script.event("applied");
    script.succeeded();
    assert!(written.patches > PAIRS / 2 && written.merges > PAIRS / 4, "{written:?}");
    (applied, written)
}

#[test]
fn node_fast_json_patch() {
    let (applied, written) = applied(need!(node), "node_json_patch.mjs");
    assert_eq!((&applied["patches"], &applied["merges"]), (&json!(written.patches), &json!(written.merges)));
}

#[test]
fn python_jsonpatch() {
    let (applied, written) = applied(need!(python), "python_jsonpatch.py");
    assert_eq!(applied["patches"], json!(written.patches));
}

/// Random choices that are the same in every run.
struct Draws(u64);

impl Draws {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }

    fn pick<'t>(&mut self, all: &[&'t str]) -> &'t str {
        all[self.below(all.len())]
    }

    fn key(&mut self) -> String {
        self.pick(&["a", "b", "c", "", "~", "/", "~1", "a/b", "é", "\"", "\\", "\n", "0", "-", "id"])
            .to_owned()
    }

    fn value(&mut self, depth: usize) -> Value {
        match self.below(if depth == 0 { 5 } else { 9 }) {
            0 => Value::Null,
            1 => json!(self.below(2) == 0),
            2 => json!(self.below(5)),
            3 => json!((self.below(2000) as f64 - 1000.0) / 8.0),
            4 => self.pick(&["", "x", "a longer text", "\u{1f600}", "\"\\\u{0}"]).into(),
            5 | 6 => (0..self.below(7)).map(|_| self.value(depth - 1)).collect(),
            7 => (0..self.below(9)).map(|id| json!({ "id": id, "v": self.value(depth - 1) })).collect(),
            _ => Value::Object((0..self.below(6)).map(|_| (self.key(), self.value(depth - 1))).collect()),
        }
    }

    /// Another value that has much in common with this one.
    fn varied(&mut self, value: &Value, depth: usize) -> Value {
        if self.below(16) == 0 {
            return self.value(depth.min(1));
        }
        let below = depth.saturating_sub(1);
        match value {
            Value::Array(values) => {
                let mut values: Vec<Value> = values.iter().map(|value| self.varied(value, below)).collect();
                for _ in 0..self.below(3) {
                    let length = values.len();
                    match self.below(3) {
                        0 if length > 0 => drop(values.remove(self.below(length))),
                        1 if length > 0 => {
                            let moved = values.remove(self.below(length));
                            values.insert(self.below(length), moved);
                        }
                        _ => values.insert(self.below(length + 1), json!({ "id": 10 + self.below(9) })),
                    }
                }
                Value::Array(values)
            }
            Value::Object(members) => {
                let mut varied = Map::new();
                for (key, member) in members {
                    if self.below(8) > 0 {
                        varied.insert(key.clone(), self.varied(member, below));
                    }
                }
                if self.below(4) == 0 {
                    varied.insert(self.key(), self.value(below.min(1)));
                }
                Value::Object(varied)
            }
            other => other.clone(),
        }
    }
}
