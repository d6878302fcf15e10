//! The name of a session, for tables and tasks outside the hub.
//!
//! Printed and read as `place.generation`, both in hexadecimal.

/// One client's stay on this shard. The generation tells a reused place from the one meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionId {
    pub(crate) index: u32,
    pub(crate) generation: u32,
}

impl SessionId {
    /// A number for tables outside the hub; unique while the session is there.
    #[must_use]
    pub fn index(self) -> u32 {
        self.index
    }
}

impl std::fmt::Display for SessionId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:x}.{:x}", self.index, self.generation)
    }
}

impl std::str::FromStr for SessionId {
    type Err = std::num::ParseIntError;

    /// Reads what a [`SessionId`] prints.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (index, generation) = text.split_once('.').unwrap_or((text, ""));
        let number = |digits| u32::from_str_radix(digits, 16);
        Ok(Self { index: number(index)?, generation: number(generation)? })
    }
}
