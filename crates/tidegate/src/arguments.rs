//! The command line: every command and option, parsed into values that the commands can use as they are.
//!
//! What is wrong here ends with exit code 2 and clap's message; nothing is looked up, opened or connected.

mod following;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use tidegate_client::Http;
use tidegate_gateway::limits::quantity;
use tidegate_gateway::route::{Share, Subscribe};
use tidegate_gateway::settings::{Listener, parse_address};
use tidegate_hub::{ChannelName, Position, Updates};
use tidegate_inspect::filter::{Filter, FilterError, JsonPlaces};

use crate::exit;
use crate::expectation::Expectation;
pub(crate) use following::Following;

/// Turns the HTTP servers that you have into push APIs: WebSocket and server-sent events in front of plain
/// HTTP.
#[derive(Debug, Parser)]
#[command(name = "tidegate", version, disable_help_subcommand = true, after_help = exit::TABLE)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Serve(Serve),
    Demo(Demo),
    Connect(Connect),
    Publish(Publish),
    Inspect(Box<Inspect>),
    Replay(Box<Replay>),
    Explain(Explain),
    Check(Check),
}

/// Run the gateway: in front of a server, by a configuration, or alone with channels to publish to
#[derive(Debug, Clone, Args)]
pub(crate) struct Serve {
    /// The server to stand before, such as http://localhost:3000; every path of it becomes pushable
    pub(crate) url: Option<String>,
    /// Configuration file; paths that none of its routes matches go to the URL, if there is one
    #[arg(long, short, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Where clients connect, such as 127.0.0.1:8080; may be repeated
    #[arg(long, value_name = "ADDRESS", value_parser = listener)]
    pub(crate) listen: Vec<Listener>,
    /// Where publishing, status and metrics are, such as 127.0.0.1:8081
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    pub(crate) admin: Option<SocketAddr>,
    /// PEM file of the certificate with which clients are spoken to over TLS
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub(crate) tls_certificate: Option<PathBuf>,
    /// PEM file of the certificate's private key
    #[arg(long, value_name = "FILE", requires = "tls_certificate")]
    pub(crate) tls_key: Option<PathBuf>,
    /// Who may subscribe where no route says so; must be said when others than this machine can connect
    #[arg(long, value_name = "WHO")]
    pub(crate) subscribe: Option<Who>,
    /// Which clients share one request to the server: identity, public, cookie:NAME or authorization
    #[arg(long, value_name = "HOW", requires = "url")]
    pub(crate) share: Option<Share>,
    /// Form of the log on stderr; its level is in TIDEGATE_LOG
    #[arg(long, value_name = "FORM")]
    pub(crate) log: Option<LogFormat>,
    /// Threads that hold connections; as many as there are cores by default
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) shards: Option<u16>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    Pretty,
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Who {
    Anyone,
    /// Who has a token; the configuration says whose tokens count
    Token,
}

impl From<Who> for Subscribe {
    fn from(who: Who) -> Self {
        match who {
            Who::Anyone => Self::Anyone,
            Who::Token => Self::Token,
        }
    }
}

/// Run a plain HTTP server with live figures of this machine, the gateway before it, and a page
#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Where the gateway listens [default: 127.0.0.1:8080, or the next free port]
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    pub(crate) listen: Option<SocketAddr>,
    /// Where publishing, status and metrics are [default: 127.0.0.1:8081, or the next free port]
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    pub(crate) admin: Option<SocketAddr>,
}

/// Talk to a WebSocket: lines of stdin go out, events are shown
#[derive(Debug, Args)]
#[command(after_help = CONNECT_HELP)]
pub(crate) struct Connect {
    /// ws:// or wss:// URL (http:// and https:// stand for them)
    pub(crate) url: String,
    /// Show the handshake as it was on the wire
    #[arg(long, short)]
    pub(crate) include: bool,
    /// One event a line, as JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// A further header of the request; may be repeated
    #[arg(long, short = 'H', value_name = "NAME: VALUE", value_parser = header)]
    pub(crate) header: Vec<(String, String)>,
    /// A token, sent as 'Authorization: Bearer TOKEN'; from the environment nobody else sees it
    #[arg(long, value_name = "TOKEN", env = "TIDEGATE_TOKEN", hide_env_values = true)]
    pub(crate) token: Option<String>,
    /// A subprotocol to offer; may be repeated, the preferred one first
    #[arg(long, value_name = "NAME")]
    pub(crate) subprotocol: Vec<String>,
    /// The Origin header
    #[arg(long)]
    pub(crate) origin: Option<String>,
    /// Version of HTTP of the handshake; 2 is agreed on by TLS, and over ws:// the server must know that it
    /// comes
    #[arg(long, value_name = "VERSION", value_enum, default_value_t)]
    pub(crate) http: HttpVersion,
    /// Offer to compress messages (permessage-deflate)
    #[arg(long)]
    pub(crate) compress: bool,
    /// Come back when the connection is lost, after a time that grows or that the server says; with
    /// --subprotocol tidegate.v1 from where it was
    #[arg(long)]
    pub(crate) reconnect: bool,
    /// Believe every certificate
    #[arg(long, short = 'k', conflicts_with = "cacert")]
    pub(crate) insecure: bool,
    /// Believe the certificates in this PEM file, and no others
    #[arg(long, value_name = "FILE")]
    pub(crate) cacert: Option<PathBuf>,
    /// Resume after this position of the channel
    #[arg(long, value_name = "POSITION", value_parser = position)]
    pub(crate) after: Option<String>,
    /// Ask for changes instead of whole documents: json-patch or merge-patch; offers tidegate.v1
    #[arg(long, value_name = "KIND")]
    pub(crate) updates: Option<Updates>,
    /// Close after N messages came
    #[arg(short, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) n: Option<u64>,
    /// Close at the first message that matches re:REGEX or of which a test of its JSON holds, such as
    /// '$.type=="trade"'; if none comes, exit with 9
    #[arg(long, value_name = "EXPECTATION", value_parser = Expectation::parse)]
    pub(crate) expect: Option<Expectation>,
    /// Give up after this time, whatever is awaited
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) timeout: Option<Duration>,
    /// Record all of it in a file that ends in .jsonl, .har or .pcapng
    #[arg(long, value_name = "FILE")]
    pub(crate) record: Option<PathBuf>,
    /// Show and record credentials of the handshake, too
    #[arg(long)]
    pub(crate) show_secrets: bool,
    /// Leave Pings unanswered
    #[arg(long)]
    pub(crate) no_auto_pong: bool,
    /// Send a Ping when nothing came for this time; if nothing comes within 10 s of it, the connection is lost
    #[arg(long, value_name = "TIME", value_parser = interval)]
    pub(crate) ping_interval: Option<Duration>,
    /// After the end of stdin, close when nothing came for this time [default: 1s; for ever if stdin is
    /// /dev/null, or with -n or --expect]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) linger: Option<Duration>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum HttpVersion {
    #[default]
    #[value(name = "1.1")]
    V1,
    #[value(name = "2")]
    V2,
}

impl From<HttpVersion> for Http {
    fn from(version: HttpVersion) -> Self {
        match version {
            HttpVersion::V1 => Self::V1,
            HttpVersion::V2 => Self::V2,
        }
    }
}

const CONNECT_HELP: &str = "\
On a terminal a line may be a command: /ping [TEXT], /close [CODE [REASON]], /bin HEX, /file PATH, /stats,
/headers, /filter [FILTER], /save FILE, /help.
A line that begins with // is sent with one slash.

On a pipe stdout carries the payloads of messages, one a line, and nothing else.
Times are such as 500ms, 2s or 1m; a bare number is seconds.";

/// Publish to a channel through a gateway's admin listener
#[derive(Debug, Args)]
pub(crate) struct Publish {
    /// The channel: its path without the leading slash, such as quotes/BTC
    #[arg(value_parser = channel)]
    pub(crate) channel: ChannelName,
    /// What to publish; stdin if neither this nor --file is given
    #[arg(conflicts_with = "file")]
    pub(crate) text: Option<String>,
    /// The admin listener
    #[arg(long, value_name = "URL", env = "TIDEGATE_ADMIN_URL", default_value = "http://127.0.0.1:8081")]
    pub(crate) admin: String,
    /// The admin token; by default that of the gateway that runs on this machine
    #[arg(long, env = "TIDEGATE_ADMIN_TOKEN", hide_env_values = true)]
    pub(crate) token: Option<String>,
    /// Publish what is in this file
    #[arg(long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// One message a line
    #[arg(long, conflicts_with = "text")]
    pub(crate) lines: bool,
    /// Messages a second, at most
    #[arg(long, value_name = "N", requires = "lines", value_parser = rate)]
    pub(crate) rate: Option<f64>,
    /// Publish only if the channel's newest publication stands at this position
    #[arg(long, value_name = "POSITION", conflicts_with = "lines")]
    pub(crate) if_match: Option<Position>,
    /// A binary message
    #[arg(long)]
    pub(crate) binary: bool,
    /// Say what was published as JSON, one line each
    #[arg(long)]
    pub(crate) json: bool,
}

/// Show the handshake and every frame between a client and any WebSocket server, or on a gateway, or of a recording
#[derive(Debug, Clone, Args)]
#[command(after_help = INSPECT_HELP)]
pub(crate) struct Inspect {
    /// The server's ws:// or wss:// URL, or a recording: a file that ends in .jsonl, .har or .pcapng, or any capture
    #[arg(required_unless_present = "attach", default_value = "", hide_default_value = true)]
    pub(crate) target: String,
    #[command(flatten)]
    pub(crate) following: Following,
    /// Where clients connect instead [default: a free port of this machine]
    #[arg(long, value_name = "ADDRESS", value_parser = address, default_value = "127.0.0.1:0", hide_default_value = true)]
    pub(crate) listen: SocketAddr,
    /// Draw the header of each frame bit by bit, and tell each requirement of the handshake
    #[arg(long)]
    pub(crate) explain: bool,
    /// Show only events such as 'op:text -len:<10 dir:in'; docs/inspect.md has the language
    #[arg(long, value_name = "FILTER", value_parser = filter)]
    pub(crate) filter: Option<Filter>,
    /// Record all of it in a file that ends in .jsonl, .har or .pcapng
    #[arg(long, value_name = "FILE")]
    pub(crate) record: Option<PathBuf>,
    /// One event a line, as JSON
    #[arg(long, conflicts_with = "explain")]
    pub(crate) json: bool,
    /// Lines, as they are written where stdout is no terminal, in place of the view
    #[arg(long, conflicts_with = "json")]
    pub(crate) plain: bool,
    /// End after N connections
    #[arg(short, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) n: Option<u64>,
    /// Show and record credentials too: cookies, tokens, secret parameters of the query
    #[arg(long)]
    pub(crate) show_secrets: bool,
    /// Let the client's own Host header go to the server
    #[arg(long)]
    pub(crate) keep_host: bool,
    /// Believe every certificate of the server
    #[arg(long, short = 'k', conflicts_with = "cacert")]
    pub(crate) insecure: bool,
    /// Believe the certificates in this PEM file, and no others
    #[arg(long, value_name = "FILE")]
    pub(crate) cacert: Option<PathBuf>,
}

const INSPECT_HELP: &str = "\
On a terminal everything is shown in a view with panes: ? in it tells what is what. With --plain, --json or without a
terminal it is lines.

Columns of the lines: time in UTC, connection, way (↑ to the server, ↓ to the client), opcode, the bits FIN, RSV1 to 3 and MASK of the
header, bytes as applications see them, bytes on the wire, what it holds.

Cookies, tokens and the like are hidden unless --show-secrets is given. Bytes pass as they came, but for the Host of the first request.";

/// Send a recorded client's messages again, and tell how what comes differs from what came then
#[derive(Debug, Args)]
#[command(after_help = REPLAY_HELP)]
pub(crate) struct Replay {
    /// A recording: .jsonl, .har, .pcapng, or any capture
    pub(crate) file: String,
    /// The server; without a path each connection asks for the recorded one
    pub(crate) url: String,
    /// How many times as fast as it was recorded, such as 1, 10 or 0.5, or max [default: 1; with --in-step max]
    #[arg(long, value_name = "SPEED", value_parser = speed)]
    pub(crate) speed: Option<Speed>,
    /// Before a message is sent, wait for as many messages of the server as had come before it
    #[arg(long)]
    pub(crate) in_step: bool,
    /// Only this connection of the recording, such as c1
    #[arg(long, value_name = "ID")]
    pub(crate) connection: Option<String>,
    /// Places of JSON that may differ, such as '$.time' or '$..id'; may be repeated
    #[arg(long, value_name = "PATH", value_parser = places)]
    pub(crate) ignore: Vec<JsonPlaces>,
    /// The server's messages may come in any order
    #[arg(long)]
    pub(crate) unordered: bool,
    /// A header of the request instead of the recorded one; may be repeated
    #[arg(long, short = 'H', value_name = "NAME: VALUE", value_parser = header)]
    pub(crate) header: Vec<(String, String)>,
    /// A subprotocol to offer instead of the recorded ones; may be repeated
    #[arg(long, value_name = "NAME")]
    pub(crate) subprotocol: Vec<String>,
    /// The Origin header instead of the recorded one
    #[arg(long)]
    pub(crate) origin: Option<String>,
    /// Offer to compress messages (permessage-deflate)
    #[arg(long)]
    pub(crate) compress: bool,
    /// Believe every certificate
    #[arg(long, short = 'k', conflicts_with = "cacert")]
    pub(crate) insecure: bool,
    /// Believe the certificates in this PEM file, and no others
    #[arg(long, value_name = "FILE")]
    pub(crate) cacert: Option<PathBuf>,
    /// How long a message may be late before it counts as missing
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "10s")]
    pub(crate) timeout: Duration,
    /// How long to listen for more than was recorded, when all that was has come
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "500ms")]
    pub(crate) linger: Duration,
    /// One event a line, as JSON; each difference and the result, too
    #[arg(long)]
    pub(crate) json: bool,
}

/// How fast what was recorded is sent again.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Speed {
    /// So many times as fast.
    Times(f64),
    /// Without waiting.
    Max,
}

const REPLAY_HELP: &str = "\
Text is compared as JSON by value where both are JSON, and by lines elsewhere; other payloads byte by byte. How the
connection ends counts, too. Exit code 0: all was as recorded, 9: something was not.

Recordings hide credentials: -H gives those that the server wants, and a URL with a path those of the query.";

/// Say in plain words what an error, a close code, a header or the bytes of a frame are
#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// Such as TG-2101, 1006, 426, sec-websocket-accept, mask, upstream, or bytes in hex; without it, all that is known
    pub(crate) what: Vec<String>,
}

/// Read a configuration, report every fault, or show what it resolves to
#[derive(Debug, Args)]
pub(crate) struct Check {
    /// The configuration
    pub(crate) file: PathBuf,
}

fn listener(text: &str) -> Result<Listener, String> {
    Listener::parse(text).map_err(|error| format!("{}; {}", error.what, error.mend))
}

fn address(text: &str) -> Result<SocketAddr, String> {
    parse_address(text).map_err(|error| format!("{}; {}", error.what, error.mend))
}

fn channel(text: &str) -> Result<ChannelName, String> {
    ChannelName::from_text(text).map_err(|error| error.to_string())
}

fn position(text: &str) -> Result<String, String> {
    let is_position = text.parse::<Position>().is_ok();
    if is_position {
        Ok(text.to_owned())
    } else {
        Err("a position is EPOCH:OFFSET, such as k3f9:41".to_owned())
    }
}

fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("a header is NAME: VALUE")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

/// The error points at its column, below what clap says in front of it.
fn filter(text: &str) -> Result<Filter, String> {
    text.parse().map_err(|error: FilterError| format!("column {}\n\n{}", error.column, error.drawn(text)))
}

fn places(text: &str) -> Result<JsonPlaces, String> {
    let column = |at: usize| text[..at].chars().count() + 1;
    JsonPlaces::parse(text).map_err(|(at, why)| format!("column {}: {why}", column(at)))
}

fn speed(text: &str) -> Result<Speed, String> {
    match text.parse::<f64>() {
        _ if text == "max" => Ok(Speed::Max),
        Ok(times) if (0.001..=1e6).contains(&times) => Ok(Speed::Times(times)),
        _ => Err("a speed is max, or a number from 0.001 to 1000000".to_owned()),
    }
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if (0.001..=1e6).contains(&rate) => Ok(rate),
        _ => Err("a rate is a number from 0.001 to 1000000".to_owned()),
    }
}

/// A number of seconds, or a number and its unit. A day at the most.
fn duration(text: &str) -> Result<Duration, String> {
    const MOST: Duration = Duration::from_secs(24 * 3600);
    let seconds = text.parse::<f64>().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let duration = match seconds {
        Some(duration) => duration,
        None => quantity::duration(text).map_err(|error| format!("{}; {}", error.what, error.mend))?,
    };
    if duration > MOST { Err("a day is the most".to_owned()) } else { Ok(duration) }
}

/// A time between two things that happen again and again: a hundredth of a second at least.
fn interval(text: &str) -> Result<Duration, String> {
    const LEAST: Duration = Duration::from_millis(10);
    duration(text).and_then(|time| if time < LEAST { Err("10ms is the least".to_owned()) } else { Ok(time) })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(line: &str) -> Result<Command, clap::error::ErrorKind> {
        let words = std::iter::once("tidegate").chain(line.split_whitespace());
        Arguments::try_parse_from(words)
            .map(|arguments| arguments.command.expect("a command"))
            .map_err(|error| error.kind())
    }

    #[test]
    fn the_definition_holds() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn serve() {
        let line = "serve http://localhost:3000 --listen 127.0.0.1:0 --listen 127.0.0.2:0 --admin [::1]:9 \
                    --subscribe anyone --share cookie:sid --log json --shards 2 --tls-certificate c --tls-key k";
        let Ok(Command::Serve(serve)) = parse(line) else { panic!("{:?}", parse(line)) };
        assert_eq!(serve.listen.len(), 2);
        assert_eq!(serve.admin, "[::1]:9".parse().ok());
        assert_eq!(
            (serve.subscribe, serve.share),
            (Some(Who::Anyone), Some(Share::Cookie("sid".to_owned())))
        );
        assert_eq!((serve.log, serve.shards), (Some(LogFormat::Json), Some(2)));
        for wrong in [
            "serve --listen localhost:80",
            "serve --share nobody http://x",
            "serve --share public",
            "serve --shards 0",
            "serve --tls-key k",
            "serve --tls-certificate c",
            "serve --subscribe callback",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn connect() {
        let line = "connect ws://x -i -H A:b -H C:d:e --subprotocol p --origin http://o -k --after k3f9:41 -n 3 \
                    --expect re:a+ --timeout 1.5 --no-auto-pong --linger 200ms --json --http 2 --compress --reconnect \
                    --updates merge-patch --ping-interval 20";
        let Ok(Command::Connect(connect)) = parse(line) else { panic!("{:?}", parse(line)) };
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(connect.header, [header("A", "b"), header("C", "d:e")]);
        assert_eq!(connect.timeout, Some(Duration::from_millis(1500)));
        assert_eq!(connect.linger, Some(Duration::from_millis(200)));
        assert_eq!((connect.after.as_deref(), connect.n), (Some("k3f9:41"), Some(3)));
        assert!(connect.expect.is_some_and(|expectation| expectation.is_met(b"caab")));
        assert_eq!(connect.ping_interval, Some(Duration::from_secs(20)));
        assert_eq!(connect.updates, Some(Updates::MergePatch));
        assert_eq!((connect.http, connect.compress, connect.reconnect), (HttpVersion::V2, true, true));
        for wrong in [
            "connect",
            "connect ws://x -n 0",
            "connect ws://x --expect a",
            "connect ws://x --expect re:(",
            "connect ws://x --expect $.a=1",
            "connect ws://x --ping-interval 0",
            "connect ws://x --after 41",
            "connect ws://x -k --cacert f",
            "connect ws://x --timeout -1",
            "connect ws://x --timeout 9999h",
            "connect ws://x -H novalue",
            "connect ws://x --updates diff",
            "connect ws://x --http 3",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn inspect() {
        let line = "inspect wss://x/y --listen 127.0.0.1:9 --explain --filter op:text --record a.har -n 2 -k --keep-host";
        let Ok(Command::Inspect(inspect)) = parse(line) else { panic!("{:?}", parse(line)) };
        assert_eq!((inspect.target.as_str(), inspect.listen.port(), inspect.n), ("wss://x/y", 9, Some(2)));
        assert!(inspect.explain && inspect.insecure && inspect.keep_host && !inspect.json && !inspect.plain);
        assert_eq!(inspect.filter.map(|filter| filter.to_string()).as_deref(), Some("op:text"));
        for wrong in [
            "inspect",
            "inspect x --filter op:texd",
            "inspect x --json --explain",
            "inspect x --json --plain",
            "inspect x -n 0",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn replay() {
        let line = "replay a.jsonl ws://x --speed 2.5 --in-step --ignore $.a --ignore $..id --connection c2 -H A:b --timeout 1";
        let Ok(Command::Replay(replay)) = parse(line) else { panic!("{:?}", parse(line)) };
        assert_eq!((replay.speed, replay.in_step), (Some(Speed::Times(2.5)), true));
        assert_eq!((replay.ignore.len(), replay.timeout), (2, Duration::from_secs(1)));
        for wrong in [
            "replay a",
            "replay a ws://x --speed 0",
            "replay a ws://x --speed fast",
            "replay a ws://x --ignore id",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn publish() {
        let Ok(Command::Publish(publish)) = parse("publish /quotes/BTC 1 --binary") else { panic!() };
        assert_eq!(publish.channel, ChannelName::from_text("quotes/BTC").expect("a name"));
        for wrong in [
            "publish",
            "publish a/../b x",
            "publish a x --file f",
            "publish a x --lines",
            "publish a --rate 5",
            "publish a --lines --rate 0",
            "publish a --lines --rate nan",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn nothing_and_what_is_absent() {
        assert!(Arguments::try_parse_from(["tidegate"]).is_ok_and(|arguments| arguments.command.is_none()));
        for absent in ["compare", "bench", "help"] {
            assert_eq!(parse(absent).err(), Some(clap::error::ErrorKind::InvalidSubcommand), "{absent}");
        }
    }
}
