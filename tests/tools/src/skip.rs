//! How a test says that it could not run: one line in the file named by `TIDEGATE_SKIPS`, which
//! `cargo xtask test` makes, reads and counts. A skip that nobody would count fails under `CI=true`.

use std::{env, fs::OpenOptions, io::Write, path::Path, thread};

/// The environment variable that names the file of skips.
pub const SKIPS_VARIABLE: &str = "TIDEGATE_SKIPS";

/// Records that the running test is skipped, and why. The test must return right after.
///
/// The line is written with one system call, so that tests in several processes may share the file. A
/// test that skips twice is counted once.
///
/// # Panics
///
/// If the file cannot be written, or if there is none under `CI=true`: the test would count as passed.
pub fn skip(why: &str) {
    let test = test_name();
    eprintln!("skipped: {test}: {why}");
    match env::var_os(SKIPS_VARIABLE) {
        Some(file) => record(Path::new(&file), &test, why),
        None => assert!(!under_ci(), "{test} was skipped and nobody counts it: {why}"),
    }
}

/// Whether this runs under continuous integration, where a skip is a failure.
pub fn under_ci() -> bool {
    env::var("CI").is_ok_and(|value| value == "true")
}

fn record(file: &Path, test: &str, why: &str) {
    let line = format!("{test}\t{}\n", why.replace(['\n', '\t'], " "));
    let written = OpenOptions::new().create(true).append(true).open(file);
    let written = written.and_then(|mut file| file.write_all(line.as_bytes()));
    if let Err(error) = written {
        panic!("cannot record the skip of {test} in {}: {error}", file.display());
    }
}

/// The test binary and the test: libtest names each test's thread after it; where it runs a single test
/// on the main thread, nextest has the name in the environment.
fn test_name() -> String {
    let binary = env::current_exe().ok();
    let binary = binary.as_deref().and_then(Path::file_stem).unwrap_or_default().to_string_lossy();
    let binary = binary.rsplit_once('-').map_or(&*binary, |(name, _hash)| name);
    let test = match thread::current().name() {
        Some(name) if name != "main" => name.to_owned(),
        _ => env::var("NEXTEST_TEST_NAME").unwrap_or_else(|_| "main".to_owned()),
    };
    format!("{binary}::{test}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_skip_is_one_line_with_the_name_of_the_test() {
        let file = env::temp_dir().join(format!("tidegate-skip-{}", std::process::id()));
        record(&file, &test_name(), "no\nbrowser");
        record(&file, "another", "no shell");
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::remove_file(&file).unwrap();
        let expected = "tidegate_test_tools::skip::tests::a_skip_is_one_line_with_the_name_of_the_test";
        assert_eq!(text, format!("{expected}\tno browser\nanother\tno shell\n"));
    }
}
