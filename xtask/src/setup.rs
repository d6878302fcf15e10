//! Installing what tests and checks need and do not bring along: Debian packages, packages of npm and
//! PyPI, tools of cargo. Everything is looked at first, so that a second run installs nothing. Where it
//! may not install, it names what is missing; the tests that need it say so themselves.

use std::{
    fs,
    path::PathBuf,
    process::{Command, Stdio},
};

use tidegate_test_tools::{
    find::{present, program},
    foreign::{Installed, cache},
    table::{TOOLS, Tool},
};

use crate::{
    checkout::Checkout,
    process::{quiet, show},
    tally::Tally,
};

/// A tool of cargo: the program and the version that is built when there is none.
pub(crate) struct CargoTool {
    pub(crate) program: &'static str,
    version: &'static str,
}

/// Licences, bans, sources and advisories; three minutes on two cores to build.
pub(crate) const CARGO_DENY: CargoTool = CargoTool { program: "cargo-deny", version: "0.20.2" };
/// Fuzzing; only the nightly run wants it.
pub(crate) const CARGO_FUZZ: CargoTool = CargoTool { program: "cargo-fuzz", version: "0.13.2" };

/// Installs all that is missing; counts one if all is there in the end, else one skip for each thing.
pub(crate) fn setup(checkout: &Checkout) -> Tally {
    debian(checkout);
    let mut tally = Tally::default();
    for tool in TOOLS.iter().filter(|tool| !present(tool)) {
        tally.skip(format!("setup: {} is missing (Debian package {})", tool.name, tool.debian_package));
    }
    if !npm(checkout, &Installed::node()) {
        tally.skip("setup: the packages of tests/foreign/package.json are missing");
    }
    if !npm(checkout, &Installed::browser_module()) {
        tally.skip("setup: the packages of web/client/package.json are missing");
    }
    if !npm(checkout, &Installed::page()) {
        tally.skip("setup: the packages of web/page/package.json are missing");
    }
    if !python(checkout) {
        tally.skip("setup: the packages of tests/foreign/requirements.txt are missing");
    }
    if !autobahn(checkout) {
        tally.skip("setup: the Autobahn suite (tests/conformance/autobahn/install) is missing");
    }
    if cargo_tool(checkout, &CARGO_DENY).is_none() {
        tally.skip("setup: cargo-deny is missing");
    }
    if tally == Tally::default() { Tally::check("setup", true) } else { tally }
}

/// A tool of cargo, from the search path or the user's cache, else built into the cache.
pub(crate) fn cargo_tool(checkout: &Checkout, tool: &CargoTool) -> Option<PathBuf> {
    let folder = cache().join("tools");
    let built = folder.join("bin").join(tool.program);
    let found = || program(tool.program).or_else(|| built.is_file().then(|| built.clone()));
    found().or_else(|| {
        println!("{} is built once, into {}", tool.program, folder.display());
        let mut command = checkout.command("cargo");
        command.args(["install", "--quiet", "--locked", "--version", tool.version, tool.program]);
        command.arg("--root").arg(&folder).env_remove("CARGO_TARGET_DIR");
        show(&mut command);
        found()
    })
}

/// Debian packages, with one `apt-get update` and only when something is missing.
fn debian(checkout: &Checkout) {
    let missing: Vec<&Tool> = TOOLS.iter().filter(|tool| !present(tool)).collect();
    if missing.is_empty() || program("apt-get").is_none() {
        return;
    }
    let Some(prefix) = become_root() else { return };
    let apt = |arguments: &[&str]| {
        let mut command = checkout.command(prefix.first().copied().unwrap_or("env"));
        command.args(prefix.iter().skip(1)).args(["DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq"]);
        show(command.args(arguments))
    };
    apt(&["update"]);
    let mut packages: Vec<&str> = missing.iter().map(|tool| tool.debian_package).collect();
    packages.dedup();
    let install = ["install", "-y", "--no-install-recommends"];
    if !apt(&[&install[..], &packages].concat()) {
        // One package that this release does not know must not keep the others away.
        for package in packages {
            apt(&[&install[..], &[package]].concat());
        }
    }
}

/// The words before a command line of `VARIABLE=value program` that make it run as root; none if this
/// user may not.
fn become_root() -> Option<&'static [&'static str]> {
    let id = Command::new("id").arg("-u").stdin(Stdio::null()).output().ok()?;
    if id.stdout.trim_ascii() == b"0" {
        return Some(&["env"]);
    }
    let sudo = program("sudo").is_some() && quiet(Command::new("sudo").args(["-n", "true"]));
    sudo.then_some(&["sudo", "-n", "env"])
}

/// The packages of a list of npm, beside the list.
pub(crate) fn npm(checkout: &Checkout, installed: &Installed) -> bool {
    let install = || {
        let mut npm = checkout.command("npm");
        npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]);
        show(npm.current_dir(installed.list.parent().expect("the list lies in a folder")))
    };
    installed.is_current() || (program("npm").is_some() && install() && installed.mark_current().is_ok())
}

/// The Autobahn suite; its script looks first and installs from a list with hashes.
pub(crate) fn autobahn(checkout: &Checkout) -> bool {
    show(&mut checkout.command("tests/conformance/autobahn/install"))
}

fn python(checkout: &Checkout) -> bool {
    let installed = Installed::python();
    let install = || {
        // What an interrupted run left behind is not repaired but made anew.
        drop(fs::remove_dir_all(&installed.folder));
        let venv = show(checkout.command("python3").args(["-m", "venv"]).arg(&installed.folder));
        let mut pip = checkout.command(installed.folder.join("bin/python"));
        pip.args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-input",
            "--disable-pip-version-check",
            "--requirement",
        ]);
        venv && show(pip.arg(&installed.list))
    };
    installed.is_current() || (program("python3").is_some() && install() && installed.mark_current().is_ok())
}
