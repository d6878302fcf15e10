//! protocol: WebSocket libraries side by side, each driven through its own public API.
//!
//! It reads and writes messages in memory, masks, and serves echo connections; each run prints lines of JSON.
//! It draws no conclusions: `cargo xtask bench` starts it and makes tables of its lines.
#![forbid(unsafe_code)]

mod row;
mod link;
mod library;
mod time;
mod mask;
mod echo;

use std::net::SocketAddr;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::library::LIBRARIES;
use crate::row::Row;

/// WebSocket libraries side by side
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print the names of all libraries and rows
    List,
    /// Time all libraries and rows in shuffled rounds
    Time {
        /// Rounds; the median counts
        #[arg(long, default_value_t = 15)]
        rounds: usize,
        /// Only rows whose name contains this
        #[arg(long, default_value = "")]
        only: String,
    },
    /// Read or write so many messages once; for tools that count instructions
    Count {
        /// As `list` names it
        library: String,
        /// As `list` names it
        row: String,
        /// Messages
        messages: u64,
    },
    /// Time masking against copying
    Mask,
    /// Serve echo connections on a port of the system's choice, which is printed
    Echo {
        /// As `list` names it
        server: String,
        /// Where to listen
        #[arg(default_value = "127.0.0.1:0")]
        address: SocketAddr,
    },
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::List => list(),
        Command::Time { rounds, only } => time::run(rounds, &only),
        Command::Count { library, row, messages } => count(&library, &row, messages),
        Command::Mask => mask::run(),
        Command::Echo { server, address } => echo::run(&server, address),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("protocol: {error}");
            ExitCode::FAILURE
        }
    }
}

fn list() -> Result<(), String> {
    for library in LIBRARIES {
        println!("library {}", library.name);
    }
    for row in Row::all() {
        println!("row {}", row.name());
    }
    for server in echo::SERVERS {
        println!("server {}", server.name);
    }
    Ok(())
}

fn count(library: &str, row: &str, messages: u64) -> Result<(), String> {
    let found = LIBRARIES.iter().find(|found| found.name == library);
    let library = found.ok_or_else(|| format!("there is no library {library}"))?;
    let row = Row::named(row).ok_or_else(|| format!("there is no row {row}"))?;
    library.run(&row, messages);
    Ok(())
}
