//! From server to server: follows channels of a gateway and prints what is published, a line each.
//!
//! `cargo run -p tidegate-client --example feed -- ws://127.0.0.1:8080/quotes/BTC [CHANNEL …] [--after POSITION]`
//!
//! The first channel is that of the URL, the others share its socket. A line holds channel, position and
//! payload; what has no position is told on stderr. The connection comes back by itself and resumes where it
//! was; who keeps the last position hands it to `--after` in the next process.

use std::io::{self, Write};
use std::{env, process};

use tidegate_client::follow::{Event, Follower, Options};
use tidegate_client::{Member, Position};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut follower = follower()?;
    while let Some(event) = follower.next().await {
        match event {
            Event::Message { channel, position, content, .. } => {
                let mut stdout = io::stdout().lock();
                write!(stdout, "{channel} {position} ")?;
                stdout.write_all(content.payload.bytes())?;
                stdout.write_all(b"\n")?;
                stdout.flush()?;
            }
            Event::Open { channel, position, recovered: true, .. } => {
                eprintln!("{channel}: from {position} on")
            }
            Event::Open { channel, position, recovered: false, .. } => {
                eprintln!("{channel}: from {position} on, and something before it is missing");
            }
            Event::Error { channel, code, message, .. } => {
                eprintln!("{}: {code}: {message}", channel.unwrap_or_default());
            }
            Event::Join { channel, member, count } => {
                eprintln!("{channel}: {} came, {count} are here", name(&member))
            }
            Event::Leave { channel, member, count } => {
                eprintln!("{channel}: {} went, {count} are here", name(&member))
            }
            // Patches come to those who ask for them.
            Event::Patch { .. } | Event::Answer { .. } => {}
            Event::Close { channel, code, reason } => eprintln!("{channel}: ended with {code}: {reason}"),
            Event::Lost { why, retry_in } => eprintln!("{why}; again in {:.1} s", retry_in.as_secs_f64()),
            Event::Ended(why) => return Err(why.into()),
        }
    }
    Ok(())
}

/// The user where a token said so, else the name of the connection.
fn name(member: &Member) -> &str {
    member.user.as_deref().unwrap_or(&member.id)
}

/// What the command line asks for.
fn follower() -> Result<Follower, Box<dyn std::error::Error>> {
    let mut words = env::args().skip(1);
    let Some(url) = words.next() else {
        eprintln!("usage: feed WS-URL [CHANNEL …] [--after POSITION]");
        process::exit(2);
    };
    let mut options = Options::default();
    let mut channels = Vec::new();
    while let Some(word) = words.next() {
        if word == "--after" {
            let position = words.next().unwrap_or_default();
            let wrong = |_| format!("'{position}' is no position: it is EPOCH:OFFSET, such as k3f9:41");
            options.after = Some(position.parse::<Position>().map_err(wrong)?);
        } else {
            channels.push(word);
        }
    }
    let mut follower = Follower::new(&url, options)?;
    for channel in &channels {
        follower.follow(channel, None);
    }
    Ok(follower)
}
