//! The checks that count as one each: formatting, lints, documentation, licences and sources of what the
//! project depends on. Their rules are in `rustfmt.toml`, `clippy.toml`, `Cargo.toml` and `deny.toml`.

use crate::{checkout::Checkout, process::show, setup, tally::Tally};

/// `cargo fmt --check`.
pub(crate) fn fmt(checkout: &Checkout) -> Tally {
    let mut command = checkout.command("cargo");
    let all = if checkout.names_packages() { &[][..] } else { &["--all"] };
    command.arg("fmt").args(all).args(&checkout.passed_on).arg("--check");
    Tally::check("fmt", show(&mut command))
}

/// Clippy over all targets; a warning is a failure.
pub(crate) fn clippy(checkout: &Checkout) -> Tally {
    let mut command = checkout.cargo(&["clippy", "--all-targets"]);
    Tally::check("clippy", show(command.args(["--", "-D", "warnings"])))
}

/// The documentation of our own crates; a warning (a dead link) is a failure.
pub(crate) fn docs(checkout: &Checkout) -> Tally {
    let mut command = checkout.cargo(&["doc", "--no-deps"]);
    Tally::check("docs", show(command.env("RUSTDOCFLAGS", "-D warnings")))
}

/// Licences, bans and sources of all dependencies; needs no network once cargo-deny is there.
pub(crate) fn deny(checkout: &Checkout) -> Tally {
    let Some(program) = setup::cargo_tool(checkout, &setup::CARGO_DENY) else {
        return Tally::skipped("deny: cargo-deny is absent and cannot be installed");
    };
    let mut command = checkout.command(program);
    Tally::check(
        "deny",
        show(command.args(["check", "--hide-inclusion-graph", "bans", "licenses", "sources"])),
    )
}
