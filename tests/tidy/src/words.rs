//! Words that do not belong into the repository: paths of one machine, work left over, tests switched
//! off, hosts of package registries. Lock files are read too. The words are written in two pieces here,
//! so that this file keeps its own rule.

use crate::{
    tokens::{Placed, Token, matches, tokens},
    tree::File,
};

/// In no file at all.
const NOWHERE: &[&str] = &[
    concat!("/wo", "rk/"),
    concat!("/ro", "ot/"),
    concat!("registry.npm", "js.org"),
    concat!("index.crates", ".io"),
    concat!("static.crates", ".io"),
    concat!("pypi.org/", "simple"),
    concat!("files.python", "hosted.org"),
];

/// Whole words, in nothing that people write. Lock files and built assets hold hashes and others' text.
const LEFT_OVER: &[&str] = &[concat!("TO", "DO"), concat!("FIX", "ME"), concat!("X", "XX")];

/// In no string of Rust: temporary folders come from the system.
const TEMPORARY: &str = concat!("/tm", "p/");

/// A doc test that is not even compiled.
const IGNORED_EXAMPLE: &str = concat!("```ig", "nore");

/// Every word that does not belong, with its place.
pub fn findings(files: &[File]) -> Vec<String> {
    let mut found = Vec::new();
    for file in files {
        for (number, line) in file.text.lines().enumerate() {
            let words = in_line(file, line).map(|word| format!("{}:{}: `{word}`", file.path, number + 1));
            found.extend(words);
        }
        if file.is_rust() {
            found.extend(in_rust(file));
        }
    }
    found
}

fn in_line<'a>(file: &File, line: &'a str) -> impl Iterator<Item = &'static str> + 'a {
    let written =
        !file.path.ends_with(".lock") && !file.path.ends_with("-lock.json") && !file.path.contains("/dist/");
    let left_over = LEFT_OVER.iter().filter(move |word| written && has_word(line, word));
    NOWHERE.iter().filter(|word| line.contains(**word)).chain(left_over).copied()
}

fn has_word(line: &str, word: &str) -> bool {
    line.split(|c: char| !c.is_alphanumeric() && c != '_').any(|part| part == word)
}

fn in_rust(file: &File) -> Vec<String> {
    let tokens = tokens(&file.text);
    let judge = |at: usize| match tokens[at].token {
        Token::Literal(text) if text.contains(TEMPORARY) => Some("a temporary path of this machine"),
        Token::Mark('#') if is_switched_off(&tokens, at) => Some("a test switched off"),
        _ => None,
    };
    let words = (0..tokens.len()).filter_map(|at| Some((tokens[at].line, judge(at)?)));
    let examples = file.text.lines().enumerate().filter(|(_, line)| line.contains(IGNORED_EXAMPLE));
    let examples = examples.map(|(number, _)| (number + 1, "an example that is not compiled"));
    words.chain(examples).map(|(line, what)| format!("{}:{line}: {what}", file.path)).collect()
}

fn is_switched_off(tokens: &[Placed<'_>], at: usize) -> bool {
    matches(tokens, at, &["#", "[", "ignore"])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(path: &str, text: &str) -> usize {
        findings(&[File::new(path, text)]).len()
    }

    #[test]
    fn every_word_is_found() {
        for word in NOWHERE {
            assert_eq!(judge("tests/foreign/package-lock.json", &format!("a {word} b")), 1, "{word}");
            assert_eq!(judge("README.md", &format!("see {word}x")), 1, "{word}");
        }
        for word in LEFT_OVER {
            assert_eq!(judge("crates/x/src/a.rs", &format!("// {word}: later")), 1, "{word}");
            assert_eq!(judge("crates/x/src/a.rs", &format!("// {word}S")), 0, "{word}");
            assert_eq!(judge("Cargo.lock", word), 0, "{word}");
        }
    }

    #[test]
    fn temporary_paths_and_tests_switched_off_are_found() {
        assert_eq!(judge("crates/x/src/a.rs", &format!("let x = \"{TEMPORARY}y\";")), 1);
        assert_eq!(judge("crates/x/src/a.rs", &format!("// {TEMPORARY}y")), 0);
        assert_eq!(judge("crates/x/tests/a.rs", "#[test]\n#[ignore = \"slow\"]\nfn f() {}"), 1);
        assert_eq!(judge("crates/x/src/a.rs", &format!("/// {IGNORED_EXAMPLE}\n/// x\n/// ```")), 1);
    }
}
