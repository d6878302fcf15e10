//! What takes long or wants the nightly compiler: fuzzing, Miri, security advisories. What is absent is said
//! and counts as skipped. Figures are in `bench`.

use std::fs;

use crate::{
    checkout::Checkout,
    process::{quiet, show},
    setup, suite,
    tally::Tally,
};

/// Seconds for each fuzz target unless `cargo xtask fuzz -- SECONDS` says otherwise.
const FUZZ_SECONDS: u32 = 60;

/// Every target in `fuzz/`, each for a time.
pub(crate) fn fuzz(checkout: &Checkout) -> Tally {
    let targets = fuzz_targets(checkout);
    if targets.is_empty() {
        return Tally::skipped("fuzz: there are no targets in fuzz/fuzz_targets");
    }
    if !has_nightly(checkout) || setup::cargo_tool(checkout, &setup::CARGO_FUZZ).is_none() {
        return Tally::skipped("fuzz: the nightly compiler or cargo-fuzz is absent");
    }
    let seconds = checkout.passed_on.iter().find_map(|word| word.parse().ok()).unwrap_or(FUZZ_SECONDS);
    let mut tally = Tally::default();
    for target in targets {
        let time = format!("-max_total_time={seconds}");
        let mut command = checkout.nightly(&["fuzz", "run", &target, "--", &time]);
        let tools = tidegate_test_tools::foreign::cache().join("tools/bin");
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = std::env::split_paths(&path).chain([tools]);
        command.env("PATH", std::env::join_paths(folders).unwrap_or(path.clone()));
        tally.add(Tally::check(&format!("fuzz {target}"), show(&mut command)));
    }
    tally
}

fn fuzz_targets(checkout: &Checkout) -> Vec<String> {
    let entries = fs::read_dir(checkout.root.join("fuzz/fuzz_targets")).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut targets: Vec<String> =
        names.filter_map(|name| name.strip_suffix(".rs").map(str::to_owned)).collect();
    targets.sort();
    targets
}

/// The tests of masking under Miri, and what of the codec's it can run in minutes: those of control frames
/// and fragments, which keep, lend and give back.
pub(crate) fn miri(checkout: &Checkout) -> Tally {
    if !has_nightly(checkout) || !has_miri(checkout) {
        return Tally::skipped("miri: the nightly compiler or its miri component is absent");
    }
    let arguments = ["miri", "test", "-p", "tidegate-websocket", "--lib", "--test", "rfc6455", "--"];
    let mut command = checkout.nightly(&arguments);
    command.args(["mask::", "control::", "fragments::"]);
    // Miri runs a hundred times slower than the machine: fewer cases for each property. Proptest looks
    // for its file of past failures, which isolation would forbid.
    command.env("PROPTEST_CASES", "8").env("MIRIFLAGS", "-Zmiri-disable-isolation");
    // Miri finds at run time no more than the compiler was told, and the wide vectors are to be judged too.
    if cfg!(target_arch = "x86_64") {
        command.env("RUSTFLAGS", "-C target-feature=+avx2");
    }
    let mut tally = suite::libtest(&mut command, "miri");
    if tally == Tally::default() {
        tally.fail("miri: no test has such a name");
    }
    tally
}

fn has_nightly(checkout: &Checkout) -> bool {
    quiet(&mut checkout.nightly(&["--version"]))
}

fn has_miri(checkout: &Checkout) -> bool {
    let found = || quiet(&mut checkout.nightly(&["miri", "--version"]));
    let add = ["component", "add", "--toolchain", "nightly", "miri", "rust-src"];
    found() || (quiet(checkout.command("rustup").args(add)) && found())
}

/// Known vulnerabilities of dependencies; wants the network, and says so when there is none.
pub(crate) fn advisories(checkout: &Checkout) -> Tally {
    let Some(program) = setup::cargo_tool(checkout, &setup::CARGO_DENY) else {
        return Tally::skipped("advisories: cargo-deny is absent and cannot be installed");
    };
    if !quiet(checkout.command(&program).args(["fetch", "db"])) {
        return Tally::skipped("advisories: the database cannot be fetched");
    }
    let mut command = checkout.command(program);
    Tally::check("advisories", show(command.args(["check", "--disable-fetch", "advisories"])))
}
