//! Where a run takes place: the checkout, the target folder, whether CI is watching, and the arguments
//! that a person handed through to cargo. Parts get it by reference; it starts nothing by itself.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

/// The surroundings of a run.
#[derive(Debug)]
pub(crate) struct Checkout {
    /// The root of the repository.
    pub(crate) root: PathBuf,
    /// The folder of the programs of this build: `target/debug`.
    pub(crate) programs: PathBuf,
    /// `CI=true`: the lock file is not to be touched, and a skip is a failure.
    pub(crate) under_ci: bool,
    /// What stood behind `--` on the command line.
    pub(crate) passed_on: Vec<String>,
}

impl Checkout {
    /// The checkout that this program was built from.
    pub(crate) fn new(passed_on: Vec<String>) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the root").to_owned();
        let program = env::current_exe().unwrap_or_default();
        let programs = program.parent().map_or_else(|| root.join("target/debug"), Path::to_owned);
        Self { root, programs, under_ci: tidegate_test_tools::skip::under_ci(), passed_on }
    }

    /// A program started in the root.
    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.root);
        command
    }

    /// `cargo SUBCOMMAND`, over the whole workspace unless packages were handed through, with the
    /// arguments that were. Under CI the lock file must be right as it is.
    pub(crate) fn cargo(&self, subcommand: &[&str]) -> Command {
        let mut command = self.command(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command.args(subcommand);
        if !self.names_packages() {
            command.arg("--workspace");
        }
        if self.under_ci {
            command.arg("--locked");
        }
        command.args(&self.passed_on);
        command
    }

    /// `cargo +nightly`, which goes through rustup, with nothing added.
    pub(crate) fn nightly(&self, arguments: &[&str]) -> Command {
        let mut command = self.command("rustup");
        command.args(["run", "nightly", "cargo"]).args(arguments);
        command
    }

    /// Whether the arguments handed through choose packages.
    pub(crate) fn names_packages(&self) -> bool {
        let chooses = |argument: &String| argument.starts_with("-p") || argument.starts_with("--package");
        self.passed_on.iter().any(chooses)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(passed_on: &[&str]) -> Vec<String> {
        let passed_on = passed_on.iter().map(|argument| (*argument).to_owned()).collect();
        let checkout = Checkout { under_ci: false, ..Checkout::new(passed_on) };
        checkout.cargo(&["test"]).get_args().map(|argument| argument.to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn packages_that_were_handed_through_take_the_place_of_the_workspace() {
        assert_eq!(arguments(&[]), ["test", "--workspace"]);
        assert_eq!(arguments(&["-p", "tidegate-hub"]), ["test", "-p", "tidegate-hub"]);
        assert_eq!(arguments(&["order"]), ["test", "--workspace", "order"]);
    }
}
