//! The shape of a Rust file: its head, its length, its name, the names of its types, the lint that keeps
//! `unsafe` out, and tests that wait for an event and not for a while.

use crate::{
    tokens::{Placed, Token, matches, tokens},
    tree::File,
};

/// Lines that a file may have.
pub const LINES: usize = 600;
/// Lines that a file of tests may have.
pub const TEST_LINES: usize = 800;

/// Crate heads that do not forbid `unsafe`, each with the reason.
pub const WITHOUT_FORBID: &[(&str, &str)] =
    &[("crates/websocket/src/lib.rs", "denies it, and allows it where it masks and where zlib is called")];

/// Test files that may sleep, each with the reason.
pub const MAY_SLEEP: &[(&str, &str)] = &[];

const EMPTY_NAMES: &[&str] = &[
    "common",
    "config",
    "error",
    "errors",
    "factory",
    "factories",
    "helper",
    "helpers",
    "manager",
    "managers",
    "util",
    "utils",
];
const EMPTY_SUFFIXES: &[&str] = &["Common", "Factory", "Helper", "Helpers", "Manager", "Util", "Utils"];

/// Every Rust file opens with `//!`: what it is, what it is not, where its data comes from and goes to.
/// Two to eight lines; the head of a crate or a folder, which draws how its parts meet, may have more, and
/// one line is enough for a file of tests, whose tests say the rest.
pub fn heads(files: &[File]) -> Vec<String> {
    let judge = |file: &File| {
        let lines = file.text.lines().take_while(|line| line.starts_with("//!")).count();
        let least = if file.is_test() || file.path.starts_with("tests/") { 1 } else { 2 };
        let most = match file.stem() {
            "lib" | "main" => 60,
            "mod" => 20,
            _ => 8,
        };
        let finding = || format!("{}: a head of {lines} lines, not {least} to {most}", file.path);
        (!(least..=most).contains(&lines)).then(finding)
    };
    rust(files).filter_map(judge).collect()
}

/// No file is longer than can be held in mind.
pub fn lengths(files: &[File]) -> Vec<String> {
    let judge = |file: &File| {
        let lines = file.text.lines().count();
        let most = if file.is_test() { TEST_LINES } else { LINES };
        (lines > most).then(|| format!("{}: {lines} lines, more than {most}", file.path))
    };
    rust(files).filter_map(judge).collect()
}

/// No file, module or type has a name that says nothing.
pub fn names(files: &[File]) -> Vec<String> {
    let mut found = Vec::new();
    for file in rust(files) {
        let folders = file.path.split('/').map(|part| part.strip_suffix(".rs").unwrap_or(part));
        let empty = folders.filter(|part| EMPTY_NAMES.contains(part));
        found.extend(empty.map(|part| format!("{}: `{part}` says nothing", file.path)));
        let tokens = tokens(&file.text);
        found.extend(declarations(&tokens).filter(|(_, name)| is_empty_name(name)).map(|(line, name)| {
            let path = &file.path;
            format!("{path}:{line}: `{name}` says nothing")
        }));
    }
    found
}

fn declarations<'a>(tokens: &'a [Placed<'a>]) -> impl Iterator<Item = (usize, &'a str)> {
    tokens.windows(2).filter_map(|pair| match (pair[0].token, pair[1].token) {
        (Token::Word("mod" | "struct" | "enum" | "trait" | "type" | "union"), Token::Word(name)) => {
            Some((pair[1].line, name))
        }
        _ => None,
    })
}

fn is_empty_name(name: &str) -> bool {
    EMPTY_NAMES.contains(&name) || EMPTY_SUFFIXES.iter().any(|suffix| name.ends_with(suffix))
}

/// Every crate head forbids `unsafe`.
pub fn unsafe_code(files: &[File], exceptions: &[(&str, &str)]) -> Vec<String> {
    let is_head = |path: &str| {
        path.ends_with("/src/lib.rs") || path.ends_with("/src/main.rs") || path.contains("/src/bin/")
    };
    let forbids = |file: &File| {
        let tokens = tokens(&file.text);
        (0..tokens.len())
            .any(|at| matches(&tokens, at, &["#", "!", "[", "forbid", "(", "unsafe_code", ")", "]"]))
    };
    rust(files)
        .filter(|file| is_head(&file.path) && !is_excepted(file, exceptions) && !forbids(file))
        .map(|file| format!("{}: does not forbid unsafe code", file.path))
        .collect()
}

/// No test sleeps: it waits for the event. In a source file everything after `#[cfg(test)]` is a test.
pub fn sleeps(files: &[File], exceptions: &[(&str, &str)]) -> Vec<String> {
    let mut found = Vec::new();
    for file in rust(files).filter(|file| !is_excepted(file, exceptions)) {
        let tokens = tokens(&file.text);
        let marker = ["#", "[", "cfg", "(", "test", ")", "]"];
        let first_test = (0..tokens.len()).find(|at| matches(&tokens, *at, &marker)).unwrap_or(tokens.len());
        let first = if file.is_test() { 0 } else { first_test };
        for at in first..tokens.len() {
            let called =
                matches(&tokens, at, &["sleep", "("]) && !matches(&tokens, at.wrapping_sub(1), &["fn"]);
            if called {
                found.push(format!("{}:{}: a test sleeps", file.path, tokens[at].line));
            }
        }
    }
    found
}

fn rust(files: &[File]) -> impl Iterator<Item = &File> {
    files.iter().filter(|file| file.is_rust())
}

fn is_excepted(file: &File, exceptions: &[(&str, &str)]) -> bool {
    exceptions.iter().any(|(path, reason)| file.path == *path && !reason.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(path: &str, text: &str) -> [File; 1] {
        [File::new(path, text)]
    }

    #[test]
    fn a_missing_short_or_long_head_is_found() {
        for text in ["fn f() {}", "//! one\n", &"//! nine\n".repeat(9), "\n//! late\n//! late\n"] {
            assert_eq!(heads(&one("crates/x/src/frame.rs", text)).len(), 1, "{text}");
        }
        assert!(heads(&one("crates/x/src/frame.rs", "//! one\n//! two\n")).is_empty());
        assert!(heads(&one("crates/x/src/lib.rs", &"//! line\n".repeat(30))).is_empty());
        assert!(heads(&one("crates/x/tests/frame.rs", "//! one\n")).is_empty());
        assert_eq!(heads(&one("crates/x/tests/frame.rs", "fn f() {}")).len(), 1);
    }

    #[test]
    fn a_long_file_is_found() {
        assert_eq!(lengths(&one("crates/x/src/a.rs", &"\n".repeat(601))).len(), 1);
        assert_eq!(lengths(&one("crates/x/tests/a.rs", &"\n".repeat(801))).len(), 1);
        assert!(lengths(&one("crates/x/src/a.rs", &"\n".repeat(600))).is_empty());
        assert!(lengths(&one("crates/x/tests/a.rs", &"\n".repeat(800))).is_empty());
    }

    #[test]
    fn names_that_say_nothing_are_found() {
        assert_eq!(names(&one("crates/x/src/util.rs", "")).len(), 1);
        assert_eq!(names(&one("crates/x/tests/common/mod.rs", "")).len(), 1);
        for text in ["mod helpers;", "struct ConnectionManager;", "trait FrameFactory {}", "enum Utils {}"] {
            assert_eq!(names(&one("crates/x/src/a.rs", text)).len(), 1, "{text}");
        }
        assert!(names(&one("crates/x/src/a.rs", "struct Utility; // mod util\nfn manager() {}")).is_empty());
    }

    #[test]
    fn a_crate_head_that_allows_unsafe_is_found() {
        assert_eq!(unsafe_code(&one("crates/x/src/lib.rs", "// #![forbid(unsafe_code)]"), &[]).len(), 1);
        assert_eq!(unsafe_code(&one("crates/x/src/bin/y.rs", ""), &[]).len(), 1);
        assert!(unsafe_code(&one("crates/x/src/lib.rs", "#![forbid(unsafe_code)]"), &[]).is_empty());
        let exception = [("crates/x/src/lib.rs", "binds C zlib")];
        assert!(unsafe_code(&one("crates/x/src/lib.rs", ""), &exception).is_empty());
    }

    #[test]
    fn a_test_that_sleeps_is_found() {
        for text in [
            "fn f() { std::thread::sleep(d) }",
            "tokio::time::sleep(d).await;",
            "use std::thread::sleep; sleep(d)",
        ] {
            assert_eq!(sleeps(&one("crates/x/tests/a.rs", text), &[]).len(), 1, "{text}");
        }
        assert_eq!(
            sleeps(&one("crates/x/src/a.rs", "#[cfg(test)] mod tests { fn f() { sleep(d) } }"), &[]).len(),
            1
        );
        assert!(sleeps(&one("crates/x/src/a.rs", "fn f() { sleep(d) }"), &[]).is_empty());
        assert!(
            sleeps(&one("crates/x/tests/a.rs", "sleep(d)"), &[("crates/x/tests/a.rs", "a reason")])
                .is_empty()
        );
    }
}
