//! A running gateway followed: what happens on its connections comes over the socket of its admin listener.
//!
//! When the gateway goes away this waits until it is there again. What is said on the socket is in `feed`.

mod feed;

use std::cell::RefCell;
use std::time::Duration;

use tidegate_client::{
    Close, ConnectError, Connection, End, Event, Message, Options, ProtocolError, Refused, connect,
};
use tidegate_inspect::words::known;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::sleep;
use url::{Position, Url};

use super::output::Output;
use crate::arguments::Inspect;
use crate::connect::connect_failure;
use crate::exit::{Exit, Failure};
use crate::left_token;
use crate::publish::sentence;
use crate::terminal::escape;
use feed::{Feed, Next};

const SUBPROTOCOL: &str = "tidegate.watch.v1";

/// How often it is looked whether somebody still reads.
const TICK_TIME: Duration = Duration::from_millis(250);

/// Silence after which the gateway is asked whether it is there.
const PING_TIME: Duration = Duration::from_secs(15);

/// Between attempts to come back: twice as long each time.
const WAIT_FIRST: Duration = Duration::from_millis(250);
const WAIT_MAX: Duration = Duration::from_secs(5);

/// Refusals by a gateway that starts again; after so many it means it.
const REFUSALS_MAX: usize = 3;

/// Why a socket ended that was open.
enum Ended {
    /// All that was asked for has come.
    Done,
    /// The gateway will not tell, or tells what is not understood.
    Failed(Failure),
    /// The gateway, or the way to it, has gone: why.
    Lost(String),
}

pub(super) fn run(arguments: &Inspect, output: Output) -> Result<Exit, Failure> {
    let url = url(&arguments.target)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::of(known::SYSTEM, error))?;
    let output = RefCell::new(output);
    let ended = runtime.block_on(serve(&url, arguments, &output));
    // A name that is still being resolved is not waited for.
    runtime.shutdown_background();
    output.into_inner().end(ended)
}

/// The admin listener's, without a path.
fn url(text: &str) -> Result<Url, Failure> {
    let wrong = |why: &str| {
        Failure::of(known::ADMIN_URL, format!("{}: {why}", escape(text)))
            .mend("write such as http://127.0.0.1:8081")
    };
    let url = Url::parse(text).map_err(|_| wrong("not the URL of an admin listener"))?;
    match url.scheme() {
        "http" => {}
        "https" => return Err(wrong("the admin listener does not speak TLS")),
        _ => return Err(wrong("not an http:// URL")),
    }
    match (&url[Position::BeforePath..], url.username()) {
        ("" | "/", "") => Ok(url),
        _ => Err(wrong("a path, a query or credentials do not belong there; the token goes into --token")),
    }
}

async fn serve(url: &Url, arguments: &Inspect, output: &RefCell<Output>) -> Result<Exit, Failure> {
    let other = |error: std::io::Error| Failure::of(known::SYSTEM, error);
    let mut interrupts = signal(SignalKind::interrupt()).map_err(other)?;
    let mut terminations = signal(SignalKind::terminate()).map_err(other)?;
    let mut tick = tokio::time::interval(TICK_TIME);
    let follow = follow(url, arguments, output);
    let left = output.borrow().left();
    tokio::pin!(follow, left);
    loop {
        tokio::select! {
            ended = &mut follow => return ended.map(|()| Exit::Done),
            () = &mut left => return Ok(Exit::Done),
            _ = tick.tick() => {
                output.borrow_mut().tick();
                if output.borrow().is_idle() {
                    return Ok(Exit::Done);
                }
            }
            _ = interrupts.recv() => return Ok(Exit::Interrupted),
            _ = terminations.recv() => return Ok(Exit::Interrupted),
        }
    }
}

/// Follows the gateway over as many sockets as it takes.
async fn follow(url: &Url, arguments: &Inspect, output: &RefCell<Output>) -> Result<(), Failure> {
    let address = url[..Position::BeforePath].to_owned();
    let mut feed = Feed::new(arguments);
    let (mut has_been, mut refusals) = (false, 0);
    let mut wait = WAIT_FIRST;
    loop {
        match open(&address, arguments).await {
            Ok(connection) => {
                let again = if has_been { "again " } else { "" };
                output.borrow().say(format_args!(
                    "tidegate {again}shows what happens on the gateway at {address}. Ctrl-C ends it."
                ));
                (has_been, refusals, wait) = (true, 0, WAIT_FIRST);
                match listen(connection, &mut feed, output).await {
                    Ended::Done => return Ok(()),
                    Ended::Failed(failure) => return Err(failure),
                    Ended::Lost(why) => {
                        output
                            .borrow()
                            .say(format_args!("the gateway has gone: {}; waiting for it", escape(&why)));
                    }
                }
            }
            Err(failure) if !has_been => return Err(failure),
            Err(failure) if failure.exit == Exit::Refused && refusals == REFUSALS_MAX => return Err(failure),
            // While it starts, its token may not be there yet, and somebody else may have its port.
            Err(failure) => {
                refusals += usize::from(failure.exit == Exit::Refused);
                wait = (wait * 2).min(WAIT_MAX);
            }
        }
        sleep(wait).await;
    }
}

/// The token is looked for each time, because a gateway that starts again makes another one.
async fn open(address: &str, arguments: &Inspect) -> Result<Connection, Failure> {
    let token = arguments.following.token.clone().or_else(|| left_token::of(address));
    let options = Options {
        headers: token.iter().map(|token| ("Authorization".to_owned(), format!("Bearer {token}"))).collect(),
        subprotocols: vec![SUBPROTOCOL.to_owned()],
        ping_interval: Some(PING_TIME),
        ..Options::default()
    };
    let url = format!("{address}/watch");
    connect(&url, options).await.map_err(|error| match &error {
        ConnectError::Refused(refused) => refusal(refused, token.is_some()),
        _ => {
            let (failure, _) = connect_failure(&url, &error);
            match failure.exit {
                Exit::Unreachable => failure.mend(
                    "is the gateway running? tidegate serve; its admin listener is the URL behind --attach",
                ),
                _ => failure,
            }
        }
    })
}

/// What the gateway said, and what can be done about it.
fn refusal(refused: &Refused, has_token: bool) -> Failure {
    let body = String::from_utf8_lossy(&refused.body);
    let said = sentence(&body).map(|said| format!(": {}", escape(&said))).unwrap_or_default();
    let what = format!("the gateway refused it with {}{said}", refused.status);
    match refused.status {
        401 | 403 if has_token => Failure::of(known::REFUSED, what)
            .mend("the token is not that of this gateway: --token or TIDEGATE_ADMIN_TOKEN"),
        401 | 403 => {
            Failure::of(known::REFUSED, what).mend("give the admin token: --token or TIDEGATE_ADMIN_TOKEN")
        }
        429 | 503 => {
            Failure::of(known::REFUSED, what).mend("try again later, or raise the limit that it names")
        }
        _ => Failure::of(known::HANDSHAKE_REFUSED, what)
            .mend("is this the admin listener, and not the public one? [listen] admin, port 8081 by default"),
    }
}

/// Takes what is told until the socket ends.
async fn listen(mut connection: Connection, feed: &mut Feed, output: &RefCell<Output>) -> Ended {
    if let Err(error) = connection.send_text(&feed.wish()).await {
        return Ended::Lost(error.to_string());
    }
    loop {
        let next = match connection.next().await {
            Some(Event::Message(Message::Text(text))) => {
                feed.handle_message(&text, &mut |event| output.borrow_mut().take(event))
            }
            Some(Event::Message(Message::Binary(_)) | Event::Ping(_) | Event::Pong(_)) => Next::More,
            Some(Event::Close(close)) => return Ended::Lost(gone(&close)),
            Some(Event::Error(error)) => return Ended::Failed(broken(&error)),
            None => return Ended::Lost("its socket ended".to_owned()),
        };
        match next {
            Next::More => {}
            Next::Done => return Ended::Done,
            Next::Failed(failure) => return Ended::Failed(failure),
        }
        // What the gateway cannot send meanwhile it counts, and says.
        loop {
            let full = output.borrow().full();
            match full {
                Some(full) => full.opened().await,
                None => break,
            }
        }
    }
}

fn gone(close: &Close) -> String {
    match close.end {
        End::CloseFrame if close.reason.is_empty() => format!("it closed with {}", close.code.get()),
        End::CloseFrame => close.reason.clone(),
        End::EndOfStream => "the connection ended".to_owned(),
        End::Lost(kind) => kind.to_string(),
        End::NoAnswer | End::NoPong => "it does not answer".to_owned(),
    }
}

fn broken(error: &ProtocolError) -> Failure {
    Failure::of(known::SERVER_BROKE_RULE, escape(&error.to_string()))
        .mend("is there a proxy between, and does it know WebSockets?")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_admin_listeners() {
        for good in ["http://127.0.0.1:8081", "http://localhost:8081/", "http://[::1]:1"] {
            assert!(url(good).is_ok(), "{good}");
        }
        for wrong in ["x", "https://x/", "ws://x/", "http://x/y", "http://x/?y", "http://u@x/", "file:///x"] {
            assert_eq!(url(wrong).map_err(|failure| failure.exit), Err(Exit::Usage), "{wrong}");
        }
    }

    #[test]
    fn a_refusal_says_what_to_do() {
        let refused = |status, body: &str| Refused {
            status,
            headers: Vec::new(),
            body: body.as_bytes().to_vec(),
            complete: true,
        };
        let failure = refusal(&refused(401, r#"{"error":"no \u001b token"}"#), false);
        assert_eq!(failure.exit, Exit::Refused);
        assert_eq!(failure.what, "the gateway refused it with 401: no \\u{1b} token");
        assert!(refusal(&refused(401, ""), true).mend.is_some_and(|mend| mend.contains("not that of this")));
        assert_eq!(refusal(&refused(404, "no"), true).exit, Exit::HandshakeRefused);
    }
}
