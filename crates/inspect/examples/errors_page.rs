//! Prints docs/errors.md as the tables of errors make it:
//! `cargo run -p tidegate-inspect --example errors_page > docs/errors.md`.

use std::io::Write;

fn main() -> std::io::Result<()> {
    std::io::stdout().lock().write_all(tidegate_inspect::words::known::page().as_bytes())
}
