//! The house rules held against this repository. Each test lists all that it found; what a rule says
//! and the proof that it can fail are in the modules of this crate.

use std::process::Command;

use tidy::{crate_table, direction, links, numbers, proofs, shape, tree, words};

#[track_caller]
fn none(findings: &[String]) {
    assert!(findings.is_empty(), "\n{}\n", findings.join("\n"));
}

#[test]
fn crates_depend_along_the_flow() {
    none(&crate_table::findings(&tree::files()));
}

#[test]
fn crates_without_io_have_no_runtime_below_them() {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    for package in crate_table::WITHOUT_IO {
        let arguments = ["tree", "--offline", "-p", package, "-e", "normal", "--prefix", "none"];
        let output =
            Command::new(&cargo).args(arguments).current_dir(tree::root()).output().expect("cargo runs");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(text.starts_with(package), "cargo tree begins with the package: {text}");
        none(&crate_table::in_cargo_tree(package, &text));
    }
}

#[test]
fn modules_name_only_modules_above_them() {
    none(&direction::findings(&tree::files()));
}

#[test]
fn every_file_says_what_it_is() {
    none(&shape::heads(&tree::files()));
}

#[test]
fn files_are_not_too_long() {
    none(&shape::lengths(&tree::files()));
}

#[test]
fn names_say_something() {
    none(&shape::names(&tree::files()));
}

#[test]
fn crates_forbid_unsafe_code() {
    none(&shape::unsafe_code(&tree::files(), shape::WITHOUT_FORBID));
}

#[test]
fn tests_do_not_sleep() {
    none(&shape::sleeps(&tree::files(), shape::MAY_SLEEP));
}

#[test]
fn words_that_do_not_belong_are_absent() {
    none(&words::findings(&tree::files()));
}

#[test]
fn links_between_files_lead_somewhere() {
    let root = tree::root();
    none(&links::findings(&tree::files(), |path| root.join(path).exists()));
}

#[test]
fn tests_that_pages_name_are_there() {
    none(&proofs::findings(&tree::files()));
}

#[test]
fn every_error_is_used_and_every_number_is_one() {
    none(&numbers::findings(&tree::files()));
}
