//! The one table of foreign programs: a name, how to tell that it is there, the Debian package that
//! brings it. It holds data only; looking is in `find`, installing is in the set-up of `xtask`.

/// How to tell that a tool is present.
#[derive(Debug, Clone, Copy)]
pub enum Probe {
    /// A program of this name on the search path, or in `/usr/sbin`.
    Program(&'static str),
    /// This command line ends with success.
    Succeeds(&'static [&'static str]),
}

/// One row: something that a test may need.
#[derive(Debug, Clone, Copy)]
pub struct Tool {
    /// What people call it, and what messages say when it is missing.
    pub name: &'static str,
    /// How to tell that it is there.
    pub probe: Probe,
    /// The Debian package that brings it.
    pub debian_package: &'static str,
}

const fn program(name: &'static str, program: &'static str, debian_package: &'static str) -> Tool {
    Tool { name, probe: Probe::Program(program), debian_package }
}

/// Everything foreign that comes from the system. Packages of npm and PyPI are in `tests/foreign`.
///
/// Debian has no WebSocket client for PHP, so PHP serves as a backend and speaks through curl.
pub const TOOLS: &[Tool] = &[
    program("chromium", "chromium", "chromium"),
    program("curl", "curl", "curl"),
    program("firefox", "firefox-esr", "firefox-esr"),
    program("h2load", "h2load", "nghttp2-client"),
    program("java", "javac", "default-jdk-headless"),
    program("nginx", "nginx", "nginx"),
    program("node", "node", "nodejs"),
    program("npm", "npm", "npm"),
    program("openssl", "openssl", "openssl"),
    program("php", "php", "php-cli"),
    program("python", "python3", "python3"),
    Tool {
        name: "python venv",
        probe: Probe::Succeeds(&["python3", "-c", "import venv, ensurepip"]),
        debian_package: "python3-venv",
    },
    program("ruby", "ruby", "ruby"),
    Tool {
        name: "ruby faye-websocket",
        probe: Probe::Succeeds(&["ruby", "-rfaye/websocket", "-e", "exit"]),
        debian_package: "ruby-faye-websocket",
    },
    program("strace", "strace", "strace"),
    program("tshark", "tshark", "tshark"),
    program("valgrind", "valgrind", "valgrind"),
];
