//! The options of `inspect` that belong to a running gateway.
//!
//! What its admin listener is, and which token it takes, is looked up by the command.

use clap::{Args, ValueEnum};

/// What is followed, and how much of it is asked for.
#[derive(Debug, Clone, Args)]
pub(crate) struct Following {
    /// Follow a running gateway: the target is the URL of its admin listener [default: http://127.0.0.1:8081, or
    /// TIDEGATE_ADMIN_URL]
    #[arg(long, conflicts_with_all = ["listen", "keep_host", "insecure", "cacert", "show_secrets"])]
    pub(crate) attach: bool,
    /// With --attach, how much of what happens is asked for [default: as much as the gateway allows]
    #[arg(long, value_name = "LEVEL", requires = "attach")]
    pub(crate) level: Option<WatchLevel>,
    /// With --attach, follow this connection alone, such as 0-1a.3
    #[arg(long, value_name = "ID", requires = "attach")]
    pub(crate) connection: Option<String>,
    /// With --attach, the admin token; by default that of the gateway that runs on this machine
    #[arg(long, env = "TIDEGATE_ADMIN_TOKEN", hide_env_values = true)]
    pub(crate) token: Option<String>,
}

/// How much is seen of what happens on a gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum WatchLevel {
    /// That a connection opened and how it ended
    Meta,
    /// Frames too, without what they hold
    Frames,
    /// The first 4 KiB of what they hold, too
    Payload,
}

impl WatchLevel {
    /// The word for it on the gateway's socket.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Meta => "meta",
            Self::Frames => "frames",
            Self::Payload => "payload",
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::arguments::{Arguments, Command, Inspect};

    fn parse(line: &str) -> Option<Inspect> {
        match Arguments::try_parse_from(line.split_whitespace()).ok()?.command {
            Some(Command::Inspect(inspect)) => Some(*inspect),
            _ => None,
        }
    }

    #[test]
    fn a_gateway_is_followed() {
        let inspect = parse("tidegate inspect --attach --level meta").expect("options");
        assert_eq!((inspect.target.as_str(), inspect.following.level), ("", Some(WatchLevel::Meta)));
        let inspect = parse("tidegate inspect --attach http://x:1 --connection 0-1.2").expect("options");
        assert_eq!(inspect.target, "http://x:1");
        assert_eq!(inspect.following.connection.as_deref(), Some("0-1.2"));
        for wrong in
            ["inspect ws://x --level meta", "inspect ws://x --connection 1", "inspect --attach --keep-host"]
        {
            assert!(parse(&format!("tidegate {wrong}")).is_none(), "{wrong}");
        }
    }
}
