//! Where a foreign program is on this machine, if it is. It looks and never installs; what it looks for
//! is in `table` and `foreign`.

use std::{
    env,
    path::PathBuf,
    process::{Command, Stdio},
};

use crate::{
    foreign::Installed,
    table::{Probe, TOOLS, Tool},
};

/// Whether the tool of this row is there.
pub fn present(tool: &Tool) -> bool {
    match tool.probe {
        Probe::Program(name) => program(name).is_some(),
        Probe::Succeeds([name, arguments @ ..]) => succeeds(name, arguments),
        Probe::Succeeds([]) => false,
    }
}

/// A program of this name on the search path, or where Debian keeps servers that ordinary users' search
/// paths leave out.
pub fn program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    folders.map(|folder| folder.join(name)).find(|file| file.is_file())
}

fn succeeds(name: &str, arguments: &[&str]) -> bool {
    let mut command = Command::new(name);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

fn row(name: &str) -> bool {
    TOOLS.iter().any(|tool| tool.name == name && present(tool))
}

/// Debian's browser. As root it wants `--no-sandbox`.
pub fn chromium() -> Option<PathBuf> {
    program("chromium")
}

/// curl, for SSE, long polls and raw handshakes.
pub fn curl() -> Option<PathBuf> {
    program("curl")
}

/// Debian's other browser.
pub fn firefox() -> Option<PathBuf> {
    program("firefox-esr")
}

/// nghttp2's load generator.
pub fn h2load() -> Option<PathBuf> {
    program("h2load")
}

/// `java` of a JDK, which runs a `.java` file as it is.
pub fn java() -> Option<PathBuf> {
    program("javac").and(program("java"))
}

/// nginx, as a server in front of the gateway or behind it.
pub fn nginx() -> Option<PathBuf> {
    program("nginx")
}

/// Node, where the packages of `tests/foreign/package.json` are installed beside the scripts.
pub fn node() -> Option<PathBuf> {
    program("node").filter(|_| Installed::node().is_current())
}

/// Node for scripts that need none of those packages.
pub fn bare_node() -> Option<PathBuf> {
    program("node")
}

/// OpenSSL's command line, as a client of TLS.
pub fn openssl() -> Option<PathBuf> {
    program("openssl")
}

/// PHP's command line, for backends.
pub fn php() -> Option<PathBuf> {
    program("php")
}

/// Python of the virtual environment that has the packages of `tests/foreign/requirements.txt`.
pub fn python() -> Option<PathBuf> {
    let installed = Installed::python();
    installed.is_current().then(|| installed.folder.join("bin/python"))
}

/// Ruby with `faye/websocket`.
pub fn ruby() -> Option<PathBuf> {
    program("ruby").filter(|_| row("ruby faye-websocket"))
}

/// strace, which also injects faults into system calls.
pub fn strace() -> Option<PathBuf> {
    program("strace")
}

/// Wireshark's dissectors on the command line.
pub fn tshark() -> Option<PathBuf> {
    program("tshark")
}

/// valgrind, for counting instructions.
pub fn valgrind() -> Option<PathBuf> {
    program("valgrind")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_found_by_its_name_and_a_missing_one_is_not() {
        assert!(program("sh").is_some());
        assert!(program("no-such-program-of-tidegate").is_none());
    }

    #[test]
    fn a_probe_that_fails_says_so() {
        let tool = |probe| Tool { name: "probe", probe, debian_package: "none" };
        assert!(present(&tool(Probe::Succeeds(&["true"]))));
        assert!(!present(&tool(Probe::Succeeds(&["false"]))));
        assert!(!present(&tool(Probe::Succeeds(&["no-such-program-of-tidegate"]))));
        assert!(!present(&tool(Probe::Program("no-such-program-of-tidegate"))));
    }
}
