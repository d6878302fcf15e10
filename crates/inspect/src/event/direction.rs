//! Which way bytes go, as the client sees it.
//!
//! Whatever is shown of a connection is told with one of the two.

use serde::{Deserialize, Serialize};

/// Which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Direction {
    /// From the client to the server.
    #[serde(rename = "c2s")]
    ToServer,
    /// From the server to the client.
    #[serde(rename = "s2c")]
    ToClient,
}

impl Direction {
    /// The other one.
    #[must_use]
    pub const fn opposite(self) -> Self {
        match self {
            Self::ToServer => Self::ToClient,
            Self::ToClient => Self::ToServer,
        }
    }

    /// Whoever sends that way.
    #[must_use]
    pub const fn sender(self) -> &'static str {
        match self {
            Self::ToServer => "client",
            Self::ToClient => "server",
        }
    }

    /// The arrow of the client's view: up to the server, down to the client.
    #[must_use]
    pub const fn arrow(self) -> &'static str {
        match self {
            Self::ToServer => "↑",
            Self::ToClient => "↓",
        }
    }
}
