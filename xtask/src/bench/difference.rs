//! What comparing a document with the one before it costs: a program beside the differ times three kinds of documents
//! and prints a line for each.

use super::{
    load::Programs,
    record::{Record, grouped, number, typed},
};

/// What the program calls its documents, and what they are.
const DOCUMENTS: [(&str, &str); 3] = [
    ("list", "100 KiB of 500 named objects, eight changes"),
    ("small", "2 KiB, one number"),
    ("strangers", "16 KiB of numbers, nothing in common"),
];

/// Time and size for each kind.
pub(super) fn difference(programs: &Programs, record: &mut Record) -> Result<(), String> {
    let mut cargo = programs.checkout.command("cargo");
    cargo.args(["run", "--quiet", "--release", "-p", "tidegate-source", "--example", "difference"]);
    let output = cargo.output().map_err(|error| format!("cargo: {error}"))?;
    if !output.status.success() {
        return Err("the program failed".to_owned());
    }
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    for (name, what) in DOCUMENTS {
        let of_this = format!(r#""name":"{name}""#);
        let line = text.lines().find(|line| line.contains(&of_this));
        let line = line.ok_or_else(|| format!("no line of {name}: {text}"))?;
        record.raw("difference", &typed(&cargo), line);
        let (median, slowest) = (number(line, "median_us")?, number(line, "slowest_us")?);
        record.row(format!("finding a patch, {what}"), format!("{median:.0} (at most {slowest:.0}) µs"));
        record.row(format!("  bytes of the patch, {what}"), grouped(number(line, "patch_bytes")?));
    }
    Ok(())
}
