//! One requirement and how it was met, as a value and as a line for people.
//!
//! What a peer sent stands in `found`, and is made harmless where it becomes text.

use std::borrow::Cow;

use serde::Serialize;

use crate::inert::escape;

/// Which head is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// The client's.
    Request,
    /// The server's.
    Answer,
}

/// How a requirement was met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// As it should be.
    Met,
    /// Not as it should be.
    Broken,
    /// Nothing to judge, but worth knowing.
    Noted,
}

/// A requirement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Requirement {
    /// Of which head.
    pub part: Part,
    /// What is asked.
    pub what: Cow<'static, str>,
    /// How it was met.
    pub outcome: Outcome,
    /// What stands there.
    pub found: Option<String>,
    /// What to do if it is broken.
    pub mend: Option<Cow<'static, str>>,
    /// Where it stands.
    pub section: &'static str,
}

impl Requirement {
    pub(super) fn new(
        part: Part,
        is_met: bool,
        what: impl Into<Cow<'static, str>>,
        section: &'static str,
    ) -> Self {
        let outcome = if is_met { Outcome::Met } else { Outcome::Broken };
        Self { part, what: what.into(), outcome, found: None, mend: None, section }
    }

    pub(super) fn noted(part: Part, what: impl Into<Cow<'static, str>>, section: &'static str) -> Self {
        Self { outcome: Outcome::Noted, ..Self::new(part, true, what, section) }
    }

    pub(super) fn found(self, found: impl Into<String>) -> Self {
        Self { found: Some(found.into()), ..self }
    }

    /// What mends it; dropped where nothing is broken.
    pub(super) fn mend(self, mend: impl Into<Cow<'static, str>>) -> Self {
        match self.outcome {
            Outcome::Broken => Self { mend: Some(mend.into()), ..self },
            Outcome::Met | Outcome::Noted => self,
        }
    }

    /// True if it is broken.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.outcome == Outcome::Broken
    }
}

/// The requirements as lines: a mark, what is asked, what was found, where it stands and, below, what mends it.
#[must_use]
pub fn as_text(requirements: &[Requirement]) -> String {
    let mut text = String::new();
    let mut part = None;
    for requirement in requirements {
        if part != Some(requirement.part) {
            part = Some(requirement.part);
            text.push_str(match requirement.part {
                Part::Request => "request\n",
                Part::Answer => "answer\n",
            });
        }
        let mark = match requirement.outcome {
            Outcome::Met => "✓",
            Outcome::Broken => "✗",
            Outcome::Noted => "·",
        };
        let found =
            requirement.found.as_deref().map(|found| format!(": {}", escape(found))).unwrap_or_default();
        text.push_str(&format!("  {mark} {}{found}  ({})\n", requirement.what, requirement.section));
        if let Some(mend) = &requirement.mend {
            text.push_str(&format!("      {mend}\n"));
        }
    }
    text
}
