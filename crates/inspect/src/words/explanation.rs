//! The form of an explanation: a title, sentences, what is often told wrongly, and where it stands.
//!
//! It is text for people and nothing to be parsed.

use std::borrow::Cow;
use std::fmt;

/// Columns that a line of prose takes.
const WIDTH: usize = 92;

/// An explanation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// What is explained.
    pub title: Cow<'static, str>,
    /// What it is, a paragraph each. One that begins with white space is shown as it stands.
    pub text: Vec<Cow<'static, str>>,
    /// What is often told or done wrongly.
    pub beware: Option<Cow<'static, str>>,
    /// Where it stands.
    pub section: Cow<'static, str>,
}

/// One row of a table of explanations.
pub(super) struct Row {
    /// Lower case; the first is the title.
    pub(super) names: &'static [&'static str],
    pub(super) text: &'static [&'static str],
    pub(super) beware: Option<&'static str>,
    pub(super) section: &'static str,
}

impl Row {
    pub(super) fn explanation(&self) -> Explanation {
        Explanation {
            title: self.names.first().copied().unwrap_or_default().into(),
            text: self.text.iter().map(|text| Cow::Borrowed(*text)).collect(),
            beware: self.beware.map(Cow::Borrowed),
            section: self.section.into(),
        }
    }
}

/// The row with this name.
pub(super) fn find(rows: &'static [Row], name: &str) -> Option<&'static Row> {
    rows.iter().find(|row| row.names.contains(&name))
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.title)?;
        for text in &self.text {
            match text.starts_with(' ') {
                true => write!(f, "\n\n{text}")?,
                false => write!(f, "\n\n{}", wrapped(text))?,
            }
        }
        if let Some(beware) = &self.beware {
            write!(f, "\n\n{}", wrapped(&format!("Often wrong: {beware}")))?;
        }
        write!(f, "\n\n{}", self.section)
    }
}

/// The text in lines of [`WIDTH`] columns, broken between words.
pub(super) fn wrapped(text: &str) -> String {
    let mut lines = String::new();
    let mut columns = 0;
    for word in text.split(' ') {
        let length = word.chars().count();
        if columns > 0 && columns + 1 + length > WIDTH {
            lines.push('\n');
            columns = 0;
        } else if columns > 0 {
            lines.push(' ');
            columns += 1;
        }
        lines.push_str(word);
        columns += length;
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prose_is_broken_between_words_and_drawings_stand_as_they_are() {
        let explanation = Explanation {
            title: "x".into(),
            text: vec![format!("{} end", "word ".repeat(18).trim()).into(), " a   b".into()],
            beware: Some("no".into()),
            section: "RFC 6455, section 1".into(),
        };
        let text = explanation.to_string();
        assert_eq!(
            text,
            format!(
                "x\n\n{}\nend\n\n a   b\n\nOften wrong: no\n\nRFC 6455, section 1",
                "word ".repeat(18).trim()
            )
        );
    }
}
