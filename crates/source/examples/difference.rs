//! What turns one document into another, and how long it takes to find out.
//!
//! With two files it prints the JSON Patch between them; without any it times documents of its own, one line of JSON
//! for each: bytes of the document and of the patch, microseconds of the median and of the slowest run.

use std::env;
use std::fs;
use std::process::ExitCode;
use std::time::Instant;

use tidegate_source::Difference;

/// Runs of each; the median counts.
const RUNS: usize = 201;

fn main() -> ExitCode {
    let files: Vec<_> = env::args_os().skip(1).collect();
    match &files[..] {
        [] => {
            time("list", &list(0), &list(1));
            time("small", &small(0), &small(1));
            time("strangers", &numbers(1), &numbers(7));
            ExitCode::SUCCESS
        }
        [before, after] => match (fs::read(before), fs::read(after)) {
            (Ok(before), Ok(after)) => show(&before, &after),
            (Err(error), _) | (_, Err(error)) => failed(&error.to_string()),
        },
        _ => failed("usage: difference [BEFORE AFTER]"),
    }
}

fn show(before: &[u8], after: &[u8]) -> ExitCode {
    let Some(difference) = Difference::between(before, after) else {
        return failed("one of the two is not strict JSON");
    };
    match difference.json_patch() {
        Some(patch) => {
            println!("{}", String::from_utf8_lossy(&patch));
            ExitCode::SUCCESS
        }
        None => failed("no patch is smaller than the document"),
    }
}

fn failed(sentence: &str) -> ExitCode {
    eprintln!("difference: {sentence}");
    ExitCode::FAILURE
}

/// Reading both documents and finding the patch.
fn time(name: &str, before: &str, after: &str) {
    let mut patch_bytes = 0;
    let mut times: Vec<f64> = (0..RUNS)
        .map(|_| {
            let begun = Instant::now();
            let difference = Difference::between(before.as_bytes(), after.as_bytes());
            let patch = difference.and_then(|difference| difference.json_patch());
            let time = begun.elapsed().as_secs_f64() * 1e6;
            patch_bytes = patch.map_or(0, |patch| patch.len());
            time
        })
        .collect();
    times.sort_by(f64::total_cmp);
    println!(
        r#"{{"name":"{name}","document_bytes":{},"patch_bytes":{patch_bytes},"median_us":{:.1},"slowest_us":{:.1}}}"#,
        after.len(),
        times[RUNS / 2],
        times[RUNS - 1]
    );
}

/// 500 named objects, about 100 KiB. Then one number is another in five of them, one is removed at the front, two have
/// changed places.
fn list(version: u32) -> String {
    let mut ids: Vec<u32> = (0..500).collect();
    if version == 1 {
        ids.remove(0);
        ids.swap(100, 300);
    }
    let element = |id: &u32| {
        let price = if version == 1 && id % 100 == 7 { 99 } else { id % 90 };
        let note = "x".repeat(110);
        format!(
            r#"{{"id":{id},"name":"article number {id}","price":{price}.25,"stock":{},"tags":["a","b"],"note":"{note}"}}"#,
            id * 7
        )
    };
    format!("[{}]", ids.iter().map(element).collect::<Vec<_>>().join(","))
}

/// 2 KiB with one number that changes.
fn small(version: u32) -> String {
    let fields: Vec<String> = (0..82).map(|field| format!(r#""field {field}":"value of {field}""#)).collect();
    format!(r#"{{{},"n":{version}}}"#, fields.join(","))
}

/// 16 KiB of numbers that have nothing in common: the most that can be asked for.
fn numbers(seed: u32) -> String {
    let number = |place: u32| (place.wrapping_mul(2_654_435_761).wrapping_mul(seed) >> 13) % 10;
    format!("[{}]", (0..8000).map(|place| number(place).to_string()).collect::<Vec<_>>().join(","))
}
