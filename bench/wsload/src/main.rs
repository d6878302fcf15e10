//! wsload: a load generator of one thread for gateways that push over WebSocket and server-sent events.
//!
//! It opens connections, publishes by HTTP POST, and prints one line of JSON for each run. It draws no
//! conclusions: `cargo xtask bench` starts it and makes figures of its lines.
#![forbid(unsafe_code)]

mod linux;
mod process;
mod histogram;
mod wire;
mod pool;
mod publisher;
mod subscribers;
mod idle;
mod fanout;
mod echo;
mod round;
mod resume;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use serde_json::json;

/// Load for gateways that push: fan-out, idle connections, one round
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// The CPU to stay on
    #[arg(long, global = true)]
    cpu: Option<usize>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Idle(idle::Idle),
    Fanout(fanout::Fanout),
    Echo(echo::Echo),
    Round(round::Round),
    Resume(resume::Resume),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    linux::raise_descriptor_limit();
    if let Some(cpu) = arguments.cpu
        && let Err(error) = linux::stay_on(cpu)
    {
        eprintln!("wsload: cannot stay on CPU {cpu}: {error}");
    }
    let line = match &arguments.command {
        Command::Idle(idle) => idle::run(idle),
        Command::Fanout(fanout) => fanout::run(fanout),
        Command::Echo(echo) => echo::run(echo),
        Command::Round(round) => round::run(round),
        Command::Resume(resume) => resume::run(resume),
    };
    match line {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            println!("{}", json!({ "failed": error }));
            ExitCode::FAILURE
        }
    }
}
