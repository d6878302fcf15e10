//! The table of parts: name, one line of what it does, which run it belongs to, the function that does
//! it. Help and the order of a run come from here.

use crate::{
    bench, checkout::Checkout, checks, commands, conformance, nightly, setup, suite, tally::Tally, web,
};

/// The run that a part belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Run {
    Ci,
    Nightly,
}

/// Something that can be run alone.
pub(crate) struct Part {
    pub(crate) name: &'static str,
    pub(crate) summary: &'static str,
    run_with: Run,
    pub(crate) run: fn(&Checkout) -> Tally,
}

const fn ci(name: &'static str, summary: &'static str, run: fn(&Checkout) -> Tally) -> Part {
    Part { name, summary, run_with: Run::Ci, run }
}

const fn nightly(name: &'static str, summary: &'static str, run: fn(&Checkout) -> Tally) -> Part {
    Part { name, summary, run_with: Run::Nightly, run }
}

/// In the order of a run: what fails fast comes first.
const PARTS: &[Part] = &[
    ci("setup", "install what tests need: apt, npm, PyPI, cargo-deny", setup::setup),
    ci("fmt", "formatting", checks::fmt),
    ci("clippy", "lints over all targets, warnings denied", checks::clippy),
    ci("docs", "documentation of our crates, warnings denied", checks::docs),
    ci("deny", "licences, bans and sources of dependencies", checks::deny),
    ci("test", "unit and integration tests, the house rules among them", suite::test),
    ci("web", "the browser module and the page: types, unit tests, dist/ as committed, size", web::web),
    ci("doctest", "examples in documentation comments", suite::doctest),
    ci(
        "commands",
        "commands and configurations shown in README.md, CONTRIBUTING.md, docs/",
        commands::commands,
    ),
    ci("conformance-quick", "the quick cases of the Autobahn suite, server and client", conformance::quick),
    nightly("fuzz", "each target in fuzz/ for a minute, or for the seconds behind --", nightly::fuzz),
    nightly("miri", "the tests of masking, control frames and fragments under Miri", nightly::miri),
    nightly(
        "bench",
        "the figures of docs/figures.md; behind -- their names, or protocol and echo",
        bench::bench,
    ),
    nightly(
        "conformance",
        "all cases of the Autobahn suite, or those that options choose",
        conformance::chosen,
    ),
    nightly(
        "conformance-slice",
        "cases of the Autobahn suite with each byte written alone",
        conformance::sliced,
    ),
    nightly("advisories", "known vulnerabilities of dependencies", nightly::advisories),
];

/// The parts of these names, `ci` and `nightly` standing for their parts; or the first unknown name.
pub(crate) fn named(names: &[String]) -> Result<Vec<&'static Part>, &str> {
    let mut parts = Vec::new();
    for name in names {
        let before = parts.len();
        parts.extend(PARTS.iter().filter(|part| match name.as_str() {
            "ci" => part.run_with == Run::Ci,
            "nightly" => part.run_with == Run::Nightly,
            name => part.name == name,
        }));
        if parts.len() == before {
            return Err(name);
        }
    }
    Ok(parts)
}

/// The names of parts, and what is passed on to them: all behind `--`, or from the first option on.
pub(crate) fn split(arguments: &[String]) -> (&[String], &[String]) {
    let is_option = |argument: &String| argument.starts_with("--") && argument != "--help";
    let Some(at) = arguments.iter().position(is_option) else { return (arguments, &[]) };
    let (names, rest) = arguments.split_at(at);
    (names, if rest[0] == "--" { &rest[1..] } else { rest })
}

/// What `cargo xtask help` prints.
pub(crate) fn help() -> String {
    let mut text = String::from("cargo xtask PART… [OPTIONS] [-- ARGUMENTS FOR CARGO]\n\n");
    let mut section = |title: &str, run: Run| {
        text.push_str(&format!("  {title}\n"));
        for part in PARTS.iter().filter(|part| part.run_with == run) {
            text.push_str(&format!("    {:<17} {}\n", part.name, part.summary));
        }
    };
    section("ci          all that a change must pass:", Run::Ci);
    section("nightly     what takes long or wants the nightly compiler:", Run::Nightly);
    text.push_str(
        "  help        this text\n\n`cargo xtask test -- -p tidegate-hub` runs the tests of one crate.\n\n",
    );
    text.push_str(conformance::USAGE);
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(asked: &[&str]) -> Vec<&'static str> {
        let asked: Vec<String> = asked.iter().map(|name| (*name).to_owned()).collect();
        named(&asked).map(|parts| parts.iter().map(|part| part.name).collect()).unwrap_or_default()
    }

    #[test]
    fn ci_and_nightly_share_the_parts_between_them() {
        assert_eq!(names(&["ci", "nightly"]).len(), PARTS.len());
        assert_eq!(names(&["fmt", "test"]), ["fmt", "test"]);
        assert_eq!(names(&["fmt", "no-such-part"]), [""; 0]);
    }

    #[test]
    fn options_and_what_stands_behind_two_dashes_are_passed_on() {
        let split = |line: &str| {
            let arguments: Vec<String> = line.split(' ').map(str::to_owned).collect();
            let (names, passed_on) = split(&arguments);
            (names.join(" "), passed_on.join(" "))
        };
        let pair = |names: &str, passed_on: &str| (names.to_owned(), passed_on.to_owned());
        assert_eq!(split("fmt test"), pair("fmt test", ""));
        assert_eq!(split("fmt -- -p x"), pair("fmt", "-p x"));
        assert_eq!(split("conformance --quick --jobs 2"), pair("conformance", "--quick --jobs 2"));
        assert_eq!(split("test --help"), pair("test --help", ""));
    }

    #[test]
    fn help_has_a_line_for_each_part() {
        let help = help();
        assert!(PARTS.iter().all(|part| help.contains(&format!("    {:<17} {}\n", part.name, part.summary))));
    }
}
