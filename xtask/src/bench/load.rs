//! The programs of a run, how they are built, and runs of the load generator. Each run of it is one raw line
//! in the record.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
};

use super::{
    gateway::Gateway,
    record::{Record, TOKEN, typed},
};
use crate::checkout::Checkout;

/// What is built and measured.
pub(super) struct Programs<'a> {
    pub(super) checkout: &'a Checkout,
    /// The folder that holds the folders of builds.
    pub(super) target: PathBuf,
    /// The gateway as `cargo build --release` makes it.
    pub(super) gateway: PathBuf,
    /// The same code with the names of its functions.
    pub(super) named_gateway: PathBuf,
    load: PathBuf,
}

impl<'a> Programs<'a> {
    /// Where the programs are once they have been built.
    pub(super) fn new(checkout: &'a Checkout) -> Self {
        let target = checkout.programs.parent().unwrap_or(&checkout.programs).to_owned();
        Self {
            checkout,
            gateway: target.join("release/tidegate"),
            named_gateway: target.join("instructions/release/tidegate"),
            load: target.join("wsload/release/wsload"),
            target,
        }
    }

    fn cargo(&self, arguments: &[&str]) -> Command {
        let mut command = self.checkout.command(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command.args(arguments);
        command
    }

    /// `cargo build --release`, into a folder of its own if one is named.
    pub(super) fn build(&self, arguments: &[&str], folder: &str) -> Command {
        let mut command = self.cargo(&["build", "--release"]);
        command.args(arguments).env("CARGO_TARGET_DIR", self.target.join(folder));
        command
    }

    /// The gateway as its users build it.
    pub(super) fn build_gateway(&self) -> Command {
        self.build(&["-p", "tidegate"], "")
    }

    /// The gateway with names.
    pub(super) fn build_named_gateway(&self) -> Command {
        let mut command = self.build(&["-p", "tidegate"], "instructions");
        command.env("CARGO_PROFILE_RELEASE_DEBUG", "1").env("CARGO_PROFILE_RELEASE_STRIP", "none");
        command
    }

    /// The load generator.
    pub(super) fn build_load(&self) -> Command {
        self.build(&["--manifest-path", "bench/wsload/Cargo.toml"], "wsload")
    }

    /// A program on the first CPU, away from the load generator; anywhere if there is no taskset.
    pub(super) fn on_first_cpu(&self, program: &PathBuf) -> Command {
        self.on_cpu("0", program)
    }

    /// A program on the CPU of the load generator.
    pub(super) fn on_second_cpu(&self, program: &PathBuf) -> Command {
        self.on_cpu("1", program)
    }

    fn on_cpu(&self, number: &str, program: &PathBuf) -> Command {
        match tidegate_test_tools::find::program("taskset") {
            None => self.checkout.command(program),
            Some(taskset) => {
                let mut command = self.checkout.command(taskset);
                command.args(["-c", number]).arg(program);
                command
            }
        }
    }

    /// `wsload`, without a gateway that it asks.
    pub(super) fn bare_load(&self) -> Command {
        self.checkout.command(&self.load)
    }

    /// `wsload COMMAND` against the channel of a gateway.
    pub(super) fn load(&self, command: &str, gateway: &Gateway, arguments: &[&str]) -> Command {
        let mut load = self.checkout.command(&self.load);
        load.args([command, &gateway.channel_url(), "--pid", &gateway.process()]).args(arguments);
        if command != "idle" {
            let field = format!("Authorization: Bearer {TOKEN}");
            load.args(["--publish-url", &gateway.publish_url(), "--publish-header", &field]);
        }
        load.stdin(Stdio::null()).stderr(Stdio::null());
        load
    }

    /// `wsload echo` against a server of this name and process; gives its line.
    pub(super) fn echo(
        &self,
        server: &str,
        url: &str,
        process: u32,
        size: &str,
        in_flight: &str,
        record: &mut Record,
    ) -> Result<String, String> {
        let mut load = self.bare_load();
        load.args([
            "echo",
            url,
            "--cpu",
            "1",
            "-d",
            "0.8",
            "-s",
            size,
            "-i",
            in_flight,
            "--pid",
            &process.to_string(),
        ]);
        let output = load.stdin(Stdio::null()).output().map_err(|error| format!("wsload: {error}"))?;
        let line = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        if !output.status.success() || line.is_empty() {
            return Err(format!("wsload echo, {server}: {line}"));
        }
        record.raw(&format!("echo, {server}"), &typed(&load), &line);
        Ok(line)
    }

    /// Runs it to its end; gives its line.
    pub(super) fn run(
        &self,
        figure: &str,
        gateway: &Gateway,
        arguments: &[&str],
        record: &mut Record,
    ) -> Result<String, String> {
        let [command, arguments @ ..] = arguments else { return Err("no command".to_owned()) };
        let mut load = self.load(command, gateway, arguments);
        let output = load.output().map_err(|error| format!("wsload: {error}"))?;
        let line = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        if !output.status.success() || line.is_empty() {
            return Err(format!("wsload {command}: {line}"));
        }
        record.raw(figure, &typed(&load), &line);
        Ok(line)
    }
}
