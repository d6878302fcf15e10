//! The binary: the only place where the parts are chosen and put together.
//!
//! Here a command line becomes a command, and its outcome an exit code. stdout is data, stderr everything
//! else.
#![forbid(unsafe_code)]

// The order is the direction: a module uses those above it.
mod exit;

mod terminal;

mod timestamp;

mod expectation;

mod arguments;

mod log;

mod check;

mod explain;

mod serve;

mod recorded;

mod demo;

mod demo_command;

mod left_token;

mod publish;

mod connect;

mod inspect;

mod replay;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use tidegate_inspect::words::known;

use arguments::{Arguments, Command};

const HELP: &str = "\
Tidegate turns the HTTP servers that you have into push APIs.

  tidegate serve http://localhost:3000    stand before a server, which then pushes
  tidegate connect ws://localhost:8080/x  talk to any WebSocket
  tidegate inspect ws://localhost:8080/x  show the handshake and every frame of any WebSocket
  tidegate replay a.jsonl ws://localhost  send a recorded client's messages again, and compare
  tidegate publish CHANNEL TEXT           publish to a channel
  tidegate --help                         every command
  tidegate demo
";

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return misused(&error),
    };
    let outcome = match arguments.command {
        None => {
            // A reader that has seen enough is no failure.
            let _ = std::io::stdout().lock().write_all(HELP.as_bytes());
            Ok(exit::Exit::Done)
        }
        Some(Command::Serve(arguments)) => serve::run(&arguments),
        Some(Command::Demo(arguments)) => demo_command::run(&arguments),
        Some(Command::Connect(arguments)) => connect::run(&arguments),
        Some(Command::Publish(arguments)) => publish::run(&arguments),
        Some(Command::Inspect(arguments)) => inspect::run(&arguments),
        Some(Command::Replay(arguments)) => replay::run(&arguments),
        Some(Command::Explain(arguments)) => explain::run(&arguments),
        Some(Command::Check(arguments)) => check::run(&arguments),
    };
    match outcome {
        Ok(exit) => exit.into(),
        Err(failure) => {
            exit::say(&failure);
            failure.exit.into()
        }
    }
}

/// Help and versions, which were asked for, or what is wrong with the command line.
fn misused(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        // A reader that has seen enough is no failure.
        let _ = error.print();
        return exit::Exit::Done.into();
    }
    let shown = error.render();
    let shown =
        if terminal::Look::of_stderr().colours { shown.ansi().to_string() } else { shown.to_string() };
    exit::say(shown.replacen("error:", &format!("error[{}]:", known::USAGE), 1).trim_end());
    exit::Exit::Usage.into()
}
