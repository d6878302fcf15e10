//! The client that Autobahn's fuzzing server examines: runs every case and asks for the report.
//!
//! `cargo run --release -p tidegate-client --example autobahn_client -- ws://127.0.0.1:9001`
//!
//! A case is an echo, with compression offered. The limits are raised so that the cases of 16 MiB and of
//! 65,537 fragments, of which the last is empty, pass.

use std::{env, process};

use tidegate_client::deflate::Offer;
use tidegate_client::{Event, Limits, Message, Options, Replies, SendError, connect};

/// The name in the report.
const AGENT: &str = "tidegate";

type Failure = Box<dyn std::error::Error>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let words: Vec<String> = env::args().skip(1).collect();
    let [url] = &words[..] else {
        eprintln!("usage: autobahn_client WS-URL, such as autobahn_client ws://127.0.0.1:9001");
        process::exit(2);
    };
    let url = url.trim_end_matches('/');
    let count = case_count(url).await?;
    println!("{count} cases");
    for case in 1..=count {
        if let Err(error) = run_case(&format!("{url}/runCase?case={case}&agent={AGENT}")).await {
            // The server's report says what was wrong.
            println!("case {case}: {error}");
        }
    }
    let mut connection = connect(&format!("{url}/updateReports?agent={AGENT}"), options()).await?;
    while connection.next().await.is_some() {}
    Ok(())
}

fn options() -> Options {
    Options {
        limits: Limits { max_message_bytes: 16 << 20, max_fragments: 65_537 },
        // Sends client_max_window_bits, too.
        deflate: Some(Offer::default()),
        ..Options::default()
    }
}

async fn case_count(url: &str) -> Result<u32, Failure> {
    let mut connection = connect(&format!("{url}/getCaseCount"), options()).await?;
    let mut count = None;
    while let Some(event) = connection.next().await {
        if let Event::Message(Message::Text(text)) = event {
            count = Some(text.trim().parse()?);
        }
    }
    count.ok_or_else(|| "the server did not say how many cases it has".into())
}

async fn run_case(url: &str) -> Result<(), Failure> {
    let mut connection = connect(url, options()).await?;
    let answer = |event: tidegate_websocket::Event<'_>, replies: &mut Replies<'_>| -> Result<(), SendError> {
        match event {
            tidegate_websocket::Event::Message(message) => replies.send(message),
            _ => Ok(()),
        }
    };
    while let Some(result) = connection.next_with(answer).await {
        result?;
    }
    Ok(())
}
