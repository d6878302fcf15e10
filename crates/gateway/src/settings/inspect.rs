//! `[inspect]`: what is kept of connections for people who look, and how much of them may be watched.
//!
//! Words only; what they mean is enforced where connections are served and where watching begins.

use tidegate_inspect::words::known;

use super::document::Section;
use super::fault::{Collector, shown};

/// What may be seen of connections.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Inspect {
    /// What is kept of every connection while nobody watches.
    pub capture: Capture,
    /// The most that somebody may watch.
    pub watch: WatchLevel,
}

/// What is kept of every connection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Capture {
    /// Nothing of those that have ended, and no handshakes.
    Off,
    /// Recent handshakes without secrets, and how connections ended.
    #[default]
    Meta,
}

/// How much is seen of a connection that is watched.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum WatchLevel {
    /// Nothing.
    Off,
    /// That it opened and closed.
    Meta,
    /// Its frames without their payloads.
    Frames,
    /// All of it.
    #[default]
    Payload,
}

impl Capture {
    /// The word for it in the configuration.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Meta => "meta",
        }
    }
}

impl WatchLevel {
    /// All of them, from the least to the most.
    pub const ALL: [Self; 4] = [Self::Off, Self::Meta, Self::Frames, Self::Payload];

    /// The word for it in the configuration.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Meta => "meta",
            Self::Frames => "frames",
            Self::Payload => "payload",
        }
    }

    /// The level of a word.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.name() == name)
    }
}

/// Reads the table.
pub(super) fn read(section: Section<'_>, faults: &mut Collector<'_>) -> Inspect {
    let mut inspect = Inspect::default();
    if let Some((text, at)) = section.text("capture", faults) {
        match [Capture::Off, Capture::Meta].into_iter().find(|one| one.name() == text) {
            Some(capture) => inspect.capture = capture,
            None => {
                let mend =
                    "write \"off\" or \"meta\"; frames and payloads are captured only of what is watched";
                faults.add(known::WRONG_VALUE, at, format!("'capture' is {}", shown(text)), mend);
            }
        }
    }
    if let Some((text, at)) = section.text("watch", faults) {
        match WatchLevel::of_name(text) {
            Some(level) => inspect.watch = level,
            None => {
                let mend = "write \"off\", \"meta\", \"frames\" or \"payload\"";
                faults.add(known::WRONG_VALUE, at, format!("'watch' is {}", shown(text)), mend);
            }
        }
    }
    inspect
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;

    fn read(section: &str) -> Result<Inspect, String> {
        let text = format!("{section}\n[[route]]\npath = \"/a\"\nchannel = {{}}\n");
        let settings = Settings::from_text(&text, "t", &|_| None);
        settings.map(|settings| settings.inspect).map_err(|faults| faults.to_string())
    }

    #[test]
    fn the_words() {
        assert_eq!(read(""), Ok(Inspect { capture: Capture::Meta, watch: WatchLevel::Payload }));
        let least = Inspect { capture: Capture::Off, watch: WatchLevel::Off };
        assert_eq!(read("[inspect]\ncapture = \"off\"\nwatch = \"off\""), Ok(least));
        for level in WatchLevel::ALL {
            let read = read(&format!("[inspect]\nwatch = \"{}\"", level.name()));
            assert_eq!(read, Ok(Inspect { watch: level, ..Inspect::default() }));
        }
    }

    #[test]
    fn other_words_are_faults_with_a_mend() {
        for (section, mend) in [
            ("[inspect]\ncapture = \"payload\"", "captured only of what is watched"),
            ("[inspect]\nwatch = \"all\"", "\"frames\" or \"payload\""),
            ("[inspect]\nwatch = 1", "in quotes"),
            ("[inspect]\nwach = \"off\"", "did you mean 'watch'?"),
        ] {
            let fault = read(section).expect_err(section);
            assert!(fault.contains(mend), "{fault}");
        }
    }
}
