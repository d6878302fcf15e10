//! What is held, written to a file of the form that its name says.
//!
//! An existing file is left alone.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

use tidegate_inspect::recording::{Format, Writer};

use super::amounts::counted;
use super::held::Held;

/// Says what was written, or why not.
pub(super) fn export(held: &Held, path: &Path) -> String {
    match write(held, path) {
        Ok(count) => format!("wrote {} to {}", counted(count, "event"), path.display()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            format!(
                "not written: there is already a file {}; press e and choose another name",
                path.display()
            )
        }
        Err(error) => format!("not written: {}: {error}", path.display()),
    }
}

fn write(held: &Held, path: &Path) -> std::io::Result<u64> {
    let format = Format::of_name(&path.to_string_lossy()).unwrap_or(Format::Jsonl);
    let file = OpenOptions::new().write(true).create_new(true).open(path)?;
    let mut file = std::io::BufWriter::with_capacity(1 << 16, file);
    let mut writer = Writer::new(format);
    let (mut bytes, mut count) = (Vec::new(), 0);
    for event in held.all_events() {
        bytes.clear();
        writer.handle_event(&event, &mut bytes);
        file.write_all(&bytes)?;
        count += 1;
    }
    bytes.clear();
    writer.handle_end(&mut bytes);
    file.write_all(&bytes)?;
    file.flush()?;
    Ok(count)
}
