//! The path pattern of a route: `/quotes/{symbol}`, `/files/{*rest}`.
//!
//! Reads a pattern out of the configuration; which route a request reaches is decided in the route table,
//! which keeps patterns in their canonical spelling.

use std::fmt;

use super::path;

/// Longest pattern in bytes; a request's target has a limit of its own.
const PATTERN_MAX_BYTES: usize = 1024;

/// Most parameters of a pattern.
const PARAMETERS_MAX: usize = 16;

/// A path pattern that is known to be well formed.
///
/// A parameter `{name}` stands for a part of one segment that is not empty, at most one a segment;
/// `{*name}` stands alone at the end and takes all that is left, which may be nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    text: String,
    canonical: String,
    parameters: Vec<Parameter>,
}

/// One parameter of a pattern, in the order of the pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// Its name, without braces and asterisk.
    pub name: String,
    /// True for `{*name}`, which may hold slashes.
    pub rest: bool,
}

/// Why a text is not a pattern, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatternError {
    /// What is wrong.
    pub what: String,
    /// What to write instead.
    pub mend: String,
}

impl Pattern {
    /// Reads a pattern.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        check_whole(text)?;
        let mut pattern = Self {
            text: text.to_owned(),
            canonical: String::with_capacity(text.len()),
            parameters: Vec::new(),
        };
        let segments: Vec<&str> = text[1..].split('/').collect();
        for (index, segment) in segments.iter().enumerate() {
            let last = index + 1 == segments.len();
            if segment.is_empty() && !last {
                return Err(wrong("the pattern has an empty segment", "write one slash between segments"));
            }
            pattern.canonical.push('/');
            pattern.push_segment(segment, last)?;
        }
        if path::has_dot_segment(&pattern.canonical) {
            return Err(wrong(
                "a segment '.' or '..' never reaches a route",
                "write the path that is meant, without it",
            ));
        }
        Ok(pattern)
    }

    /// The pattern as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The parameters, in the order of the pattern.
    #[must_use]
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// The pattern with its literal parts in canonical spelling.
    pub(super) fn canonical(&self) -> &str {
        &self.canonical
    }

    /// Whether a path is one of those that the pattern stands for. The path is in canonical spelling and has
    /// no segment `.` or `..`.
    pub(crate) fn matches(&self, path: &str) -> bool {
        let mut segments = path.split('/');
        for part in self.canonical.split('/') {
            let Some(segment) = segments.next() else { return false };
            if part.starts_with("{*") {
                return true;
            }
            if !segment_matches(part, segment) {
                return false;
            }
        }
        segments.next().is_none()
    }

    /// What stands before a final `{*name}`: that path belongs to the route too, with nothing as the rest.
    pub(super) fn before_rest(&self) -> Option<&str> {
        let rest = self.parameters.last().filter(|parameter| parameter.rest)?;
        self.canonical.get(..self.canonical.len() - rest.name.len() - 3)
    }

    fn push_segment(&mut self, segment: &str, last: bool) -> Result<(), PatternError> {
        check_foreign_syntax(segment)?;
        let Some((before, opened)) = segment.split_once('{') else {
            return self.push_literal(segment);
        };
        let Some((inside, after)) = opened.split_once('}') else {
            return Err(wrong(
                "a '{' is not closed",
                "write {name}, or %7B for a brace that is meant as such",
            ));
        };
        if after.contains('{') {
            return Err(wrong("a segment has more than one parameter", "put a slash between them"));
        }
        let (name, rest) = match inside.strip_prefix('*') {
            Some(name) => (name, true),
            None => (inside, false),
        };
        if rest && !(last && before.is_empty() && after.is_empty()) {
            return Err(wrong(
                "{*rest} stands alone at the end of a pattern",
                "write {name} for one segment",
            ));
        }
        self.push_literal(before)?;
        self.push_parameter(name, rest)?;
        self.push_literal(after)
    }

    fn push_literal(&mut self, literal: &str) -> Result<(), PatternError> {
        if literal.contains(['{', '}']) {
            return Err(wrong("a '}' has no '{' before it", "write {name}, or %7D for a brace as such"));
        }
        let Some(spelled) = path::canonical(literal) else {
            return Err(wrong(
                "a '%' is not followed by two hexadecimal digits",
                "write %25 for a percent sign",
            ));
        };
        if spelled.contains("%2F") {
            return Err(wrong("%2F never reaches a channel", "write a plain slash"));
        }
        self.canonical.push_str(&spelled);
        Ok(())
    }

    fn push_parameter(&mut self, name: &str, rest: bool) -> Result<(), PatternError> {
        let first = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
        if !first || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            return Err(wrong(
                &format!("{{{name}}} is not a parameter"),
                "a name is letters, digits and '_', such as {symbol}",
            ));
        }
        if self.parameters.iter().any(|parameter| parameter.name == name) {
            return Err(wrong(
                &format!("the parameter {{{name}}} stands twice"),
                "give each one its own name",
            ));
        }
        if self.parameters.len() == PARAMETERS_MAX {
            return Err(wrong("the pattern has more than 16 parameters", "use fewer, or {*rest} at the end"));
        }
        self.canonical.push_str(if rest { "{*" } else { "{" });
        self.canonical.push_str(name);
        self.canonical.push('}');
        self.parameters.push(Parameter { name: name.to_owned(), rest });
        Ok(())
    }
}

/// Literal braces are escaped in a pattern, so the first one begins its parameter.
fn segment_matches(part: &str, segment: &str) -> bool {
    let Some((before, opened)) = part.split_once('{') else { return part == segment };
    let after = opened.split_once('}').map_or("", |(_, after)| after);
    segment.len() > before.len() + after.len() && segment.starts_with(before) && segment.ends_with(after)
}

fn check_whole(text: &str) -> Result<(), PatternError> {
    if !text.starts_with('/') {
        return Err(wrong("a path begins with a slash", &format!("write {:?}", format!("/{}", short(text)))));
    }
    if text.len() > PATTERN_MAX_BYTES {
        return Err(wrong("the pattern is longer than 1024 bytes", "write a shorter one"));
    }
    if text.contains(['?', '#']) {
        return Err(wrong("a pattern matches the path alone", "remove the '?' or '#' and what follows"));
    }
    if text.chars().any(|c| c.is_control() || c == ' ') {
        return Err(wrong("the pattern has a space or a control character", "write %20 for a space"));
    }
    Ok(())
}

/// The parameter syntax of other routers, which would silently be literal text here.
fn check_foreign_syntax(segment: &str) -> Result<(), PatternError> {
    if let Some(name) = segment.strip_prefix(':') {
        return Err(wrong(
            &format!("':{}' is not how a parameter is written here", short(name)),
            &format!("write {{{}}}", short(name)),
        ));
    }
    if segment == "*" || segment == "**" {
        return Err(wrong(
            &format!("'{segment}' is no pattern here"),
            "write {name} or, at the end, {*rest}",
        ));
    }
    Ok(())
}

fn short(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(60).collect()
}

fn wrong(what: &str, mend: &str) -> PatternError {
    PatternError { what: what.to_owned(), mend: mend.to_owned() }
}

impl fmt::Display for PatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.what, self.mend)
    }
}

impl std::error::Error for PatternError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_found_in_order() {
        let pattern = Pattern::parse("/a/{first}/img-{second}.png/{*rest}").unwrap();
        let names: Vec<_> = pattern.parameters().iter().map(|one| (one.name.as_str(), one.rest)).collect();
        assert_eq!(names, [("first", false), ("second", false), ("rest", true)]);
        assert_eq!(pattern.before_rest(), Some("/a/{first}/img-{second}.png/"));
        assert_eq!(Pattern::parse("/").unwrap().parameters(), []);
        assert_eq!(Pattern::parse("/{*rest}").unwrap().before_rest(), Some("/"));
    }

    #[test]
    fn literals_are_spelled_canonically() {
        assert_eq!(Pattern::parse("/caf\u{e9}/{x}/%61%24").unwrap().canonical(), "/caf%C3%A9/{x}/a$");
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        let long = format!("/{}", "x".repeat(1024));
        let many: String = (0..17).map(|index| format!("/{{p{index}}}")).collect();
        for text in [
            "", "quotes", "/a//b", "/a?b", "/a#b", "/a b", "/../a", "/%2e", "/a%2Fb", "/a%", "/{", "/}",
            "/{}", "/{a", "/a}", "/{{a}}", "/{a}{b}", "/{a-b}", "/{1}", "/{a}/{a}", "/{*a}/b", "/x{*a}",
            "/{*}", "/:a", "/*", "/**", "/\u{7}", &long, &many,
        ] {
            assert!(Pattern::parse(text).is_err(), "{text}");
        }
    }
}
