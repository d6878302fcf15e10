//! A program in another language that tells what it sees: one JSON object a line on stdout, each with the
//! name of an event. It is ended with the test.

use std::io::Write;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::deadline::Deadline;
use crate::lines::Lines;

/// How long a script on a leash has to end what it has started.
const LEASH: Duration = Duration::from_secs(5);

/// A running script.
#[derive(Debug)]
pub struct Script {
    child: Child,
    /// Of a script on a leash.
    stdin: Option<ChildStdin>,
    output: Lines,
    errors: Lines,
    next: usize,
}

impl Script {
    /// Starts it.
    ///
    /// # Panics
    ///
    /// If it cannot be started.
    #[track_caller]
    #[must_use]
    pub fn start(command: &mut Command) -> Self {
        Self::start_with(command, Stdio::null())
    }

    /// Starts one that ends when its stdin does, and ends before what it drives: a test that is killed takes it along.
    ///
    /// # Panics
    ///
    /// If it cannot be started.
    #[track_caller]
    #[must_use]
    pub fn start_on_leash(command: &mut Command) -> Self {
        Self::start_with(command, Stdio::piped())
    }

    #[track_caller]
    fn start_with(command: &mut Command, stdin: Stdio) -> Self {
        let command = command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let output = Lines::of(child.stdout.take().expect("stdout is piped"));
        let errors = Lines::of(child.stderr.take().expect("stderr is piped"));
        let stdin = child.stdin.take();
        Self { child, stdin, output, errors, next: 0 }
    }

    /// Writes a line to its stdin; only a script on a leash has one.
    ///
    /// # Panics
    ///
    /// If it does not read any more.
    #[track_caller]
    pub fn say(&mut self, line: &Value) {
        let stdin = self.stdin.as_mut().expect("the script is on a leash");
        writeln!(stdin, "{line}").expect("the script reads");
    }

    /// Ends its stdin, as the end of this process would, and waits until the script has closed its output.
    ///
    /// # Panics
    ///
    /// If it goes on.
    #[track_caller]
    pub fn let_go(&mut self) {
        self.stdin = None;
        self.output.wait_end();
    }

    /// The process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for the next event of this name, passing over others.
    ///
    /// # Panics
    ///
    /// If it does not come.
    #[track_caller]
    pub fn event(&mut self, name: &str) -> Value {
        let what = format!("the script's event {name:?}");
        let (place, event) = self.output.wait_after(self.next, &what, |line| {
            let event: Value = serde_json::from_str(line).ok()?;
            (event["event"] == name).then_some(event)
        });
        self.next = place + 1;
        event
    }

    /// Waits for a line of output that is not JSON and holds this text.
    ///
    /// # Panics
    ///
    /// If it does not come.
    #[track_caller]
    pub fn line(&mut self, text: &str) -> String {
        let what = format!("a line with {text:?}");
        let found = |line: &str| line.contains(text).then(|| line.to_owned());
        let (place, line) = self.output.wait_after(self.next, &what, found);
        self.next = place + 1;
        line
    }

    /// Waits until it has ended.
    ///
    /// # Panics
    ///
    /// If it ends with anything but success.
    #[track_caller]
    pub fn succeeded(mut self) {
        self.output.wait_end();
        let status = self.child.wait().expect("the process can be waited for");
        assert!(status.success(), "the script ended with {status}");
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        if self.stdin.take().is_some() {
            // What does not end in time is killed.
            let _ = self.output.ended_by(Deadline::after(LEASH));
        }
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("the script printed:\n{}{}", self.output.text(), self.errors.text());
        }
    }
}
