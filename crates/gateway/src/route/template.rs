//! A backend's URL with the parameters of a route's pattern: `http://host/quotes/{symbol}?full={x}`.
//!
//! Whatever a client sends, a resolved URL stays on the configured host, each parameter stays within its
//! segment or its query value, and no segment is `.` or `..`.

use std::fmt;

use http::Uri;
use http::uri::PathAndQuery;

use super::backend::{Backend, UrlError, short, wrong};
use super::path;
use super::pattern::Pattern;

/// Longest template in bytes.
const TEMPLATE_MAX_BYTES: usize = 8 * 1024;

/// A URL of a backend in which parameters of one pattern may stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UrlTemplate {
    text: String,
    backend: Backend,
    path: Vec<Part>,
    query: Option<Vec<Part>>,
}

/// A piece of a template. Parameters are named by their place in the pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(String),
    Segment(usize),
    Rest(usize),
}

/// The values of a pattern's parameters, in its order, in the canonical spelling of the path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parameters {
    values: Vec<String>,
}

/// Why parameters do not give a URL. The client is to blame, unless it says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResolveError {
    /// An encoded slash or backslash within a segment.
    EncodedSlash,
    /// A segment that is `.` or `..`.
    DotSegment,
    /// An empty segment.
    EmptySegment,
    /// An encoded control character, or a query that holds what no query may.
    BadCharacter,
    /// Longer than a URI can be.
    TooLong,
    /// The parameters are those of another pattern; ours to blame.
    ForeignParameters,
}

impl UrlTemplate {
    /// Reads a template whose parameters are those of `pattern`.
    pub fn parse(url: &str, pattern: &Pattern) -> Result<Self, UrlError> {
        if url.len() > TEMPLATE_MAX_BYTES {
            return Err(wrong("the URL is longer than 8 KiB", "write a shorter one".to_owned()));
        }
        let (backend, rest) = Backend::split(url)?;
        if rest.contains('#') {
            return Err(wrong(
                "a fragment never reaches a server",
                "remove the '#' and what follows".to_owned(),
            ));
        }
        let (path, query) = match rest.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (rest, None),
        };
        let path = if path.is_empty() { "/" } else { path };
        let template = Self {
            text: url.to_owned(),
            backend,
            path: read_parts(path, pattern, false)?,
            query: query.map(|query| read_parts(query, pattern, true)).transpose()?,
        };
        template.check_path()?;
        Ok(template)
    }

    /// The URL for these parameters.
    pub fn resolve(&self, parameters: &Parameters) -> Result<Uri, ResolveError> {
        self.resolve_with_query(parameters, None)
    }

    /// The URL for these parameters, with a client's query, as it stands, behind the template's own.
    pub fn resolve_with_query(
        &self,
        parameters: &Parameters,
        query: Option<&str>,
    ) -> Result<Uri, ResolveError> {
        let mut text = String::with_capacity(self.text.len() + 32);
        for part in &self.path {
            match part {
                Part::Literal(literal) => text.push_str(literal),
                Part::Segment(index) => push_segment(&mut text, parameters.at(*index)?)?,
                Part::Rest(index) => push_rest(&mut text, parameters.at(*index)?)?,
            }
        }
        if path::has_dot_segment(&text) {
            return Err(ResolveError::DotSegment);
        }
        self.push_query(&mut text, parameters, query)?;
        if text.len() >= usize::from(u16::MAX) {
            return Err(ResolveError::TooLong);
        }
        let path_and_query = PathAndQuery::try_from(text).map_err(|_| ResolveError::BadCharacter)?;
        Ok(self.backend.uri(path_and_query))
    }

    /// Where every resolved URL leads.
    #[must_use]
    pub fn backend(&self) -> &Backend {
        &self.backend
    }

    /// The template as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    fn push_query(
        &self,
        text: &mut String,
        parameters: &Parameters,
        client: Option<&str>,
    ) -> Result<(), ResolveError> {
        let mut mark = '?';
        if let Some(parts) = &self.query {
            text.push(mark);
            mark = '&';
            for part in parts {
                match part {
                    Part::Literal(literal) => text.push_str(literal),
                    Part::Segment(index) | Part::Rest(index) => {
                        path::push_query_value(text, &octets(parameters.at(*index)?)?);
                    }
                }
            }
        }
        if let Some(client) = client {
            if !client.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#') {
                return Err(ResolveError::BadCharacter);
            }
            text.push(mark);
            text.push_str(client);
        }
        Ok(())
    }

    /// A literal dot segment, and a `{*rest}` that is not the last segment, are faults of the template.
    fn check_path(&self) -> Result<(), UrlError> {
        let mut shape = String::new();
        for part in &self.path {
            match part {
                Part::Literal(literal) => shape.push_str(literal),
                Part::Segment(_) => shape.push('x'),
                Part::Rest(_) => shape.push('*'),
            }
        }
        if path::has_dot_segment(&shape) {
            return Err(wrong(
                "the URL has a segment '.' or '..'",
                "write the path that is meant".to_owned(),
            ));
        }
        let rest = self.path.iter().position(|part| matches!(part, Part::Rest(_)));
        if rest.is_some_and(|index| index + 1 != self.path.len() || !shape.ends_with("/*")) {
            return Err(wrong(
                "{*rest} is the last segment of a path",
                "write it at the end, after a slash".to_owned(),
            ));
        }
        Ok(())
    }
}

impl Parameters {
    pub(super) fn new(values: Vec<String>) -> Self {
        Self { values }
    }

    /// The values in the order of the pattern, each in the canonical spelling of the path: percent-encoded
    /// where it must be.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.values.iter().map(String::as_str)
    }

    fn at(&self, index: usize) -> Result<&str, ResolveError> {
        self.values.get(index).map(String::as_str).ok_or(ResolveError::ForeignParameters)
    }
}

/// The octets of an encoded value, if none of them is a separator in disguise or a control character.
fn octets(encoded: &str) -> Result<Vec<u8>, ResolveError> {
    let octets = path::decoded(encoded).ok_or(ResolveError::BadCharacter)?;
    if octets.iter().any(u8::is_ascii_control) {
        return Err(ResolveError::BadCharacter);
    }
    Ok(octets)
}

fn push_segment(text: &mut String, encoded: &str) -> Result<(), ResolveError> {
    let octets = octets(encoded)?;
    if octets.is_empty() {
        return Err(ResolveError::EmptySegment);
    }
    if octets.iter().any(|octet| b"/\\".contains(octet)) {
        return Err(ResolveError::EncodedSlash);
    }
    path::push_segment(text, &octets);
    Ok(())
}

/// Appends several segments; the last one alone may be empty, which is a trailing slash.
fn push_rest(text: &mut String, encoded: &str) -> Result<(), ResolveError> {
    let (inner, last) = encoded.rsplit_once('/').map_or((None, encoded), |(inner, last)| (Some(inner), last));
    if let Some(inner) = inner {
        for segment in inner.split('/') {
            push_segment(text, segment)?;
            text.push('/');
        }
    }
    if last.is_empty() { Ok(()) } else { push_segment(text, last) }
}

fn read_parts(text: &str, pattern: &Pattern, in_query: bool) -> Result<Vec<Part>, UrlError> {
    let mut parts = Vec::new();
    let mut left = text;
    while let Some((before, opened)) = left.split_once('{') {
        push_literal(&mut parts, before, in_query)?;
        let Some((inside, after)) = opened.split_once('}') else {
            return Err(wrong("a '{' is not closed", "write {name}, or %7B for a brace as such".to_owned()));
        };
        parts.push(parameter(inside, pattern)?);
        left = after;
    }
    push_literal(&mut parts, left, in_query)?;
    Ok(parts)
}

fn push_literal(parts: &mut Vec<Part>, literal: &str, in_query: bool) -> Result<(), UrlError> {
    let stray = |c: char| "{}\"<>\\^`|".contains(c);
    if let Some(c) = literal.chars().find(|c| stray(*c)) {
        return Err(wrong(&format!("{c:?} cannot stand in a URL"), format!("write %{:02X}", u32::from(c))));
    }
    // A query has `?` and `/` beside what a segment has; each piece between them is spelled by itself.
    let mut spelled = String::with_capacity(literal.len());
    for piece in literal.split_inclusive('?') {
        let (piece, mark) = match piece.strip_suffix('?') {
            Some(piece) if in_query => (piece, "?"),
            _ => (piece, ""),
        };
        let escapes = if in_query { encode_foreign(piece) } else { path::canonical(piece).map(Into::into) };
        let Some(escapes) = escapes else {
            return Err(wrong(
                "a '%' is not followed by two hexadecimal digits",
                "write %25 for a percent sign".to_owned(),
            ));
        };
        spelled.push_str(&escapes);
        spelled.push_str(mark);
    }
    if !spelled.is_empty() {
        parts.push(Part::Literal(spelled));
    }
    Ok(())
}

/// A query's literal text as it stands, but for what is not ASCII; `None` at a bad escape.
fn encode_foreign(literal: &str) -> Option<String> {
    path::decoded(literal)?;
    let mut text = String::with_capacity(literal.len());
    for c in literal.chars() {
        if c.is_ascii() {
            text.push(c);
        } else {
            path::push_query_value(&mut text, c.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }
    Some(text)
}

fn parameter(inside: &str, pattern: &Pattern) -> Result<Part, UrlError> {
    let name = inside.strip_prefix('*').unwrap_or(inside);
    let place = pattern.parameters().iter().position(|parameter| parameter.name == name);
    let Some(index) = place else {
        let known: Vec<_> = pattern.parameters().iter().map(|one| format!("{{{}}}", one.name)).collect();
        let mend = if known.is_empty() {
            "write the URL without it, or put it into the route's path".to_owned()
        } else {
            format!("the path has {}", known.join(", "))
        };
        return Err(wrong(&format!("{{{}}} is not in the route's path", short(name)), mend));
    };
    match (pattern.parameters()[index].rest, inside.starts_with('*')) {
        (true, true) => Ok(Part::Rest(index)),
        (false, false) => Ok(Part::Segment(index)),
        (true, false) => Err(wrong(
            &format!("{{{name}}} holds several segments"),
            format!("write {{*{name}}}, as in the path"),
        )),
        (false, true) => {
            Err(wrong(&format!("{{*{name}}} is one segment in the path"), format!("write {{{name}}}")))
        }
    }
}

impl fmt::Display for UrlTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Display for ResolveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EncodedSlash => "an encoded slash is not allowed in a path's parameter",
            Self::DotSegment => "a segment '.' or '..' is not allowed",
            Self::EmptySegment => "an empty segment is not allowed",
            Self::BadCharacter => "a character that no URL may hold",
            Self::TooLong => "the backend's URL would be too long",
            Self::ForeignParameters => "the parameters belong to another route",
        })
    }
}

impl std::error::Error for ResolveError {}

#[cfg(test)]
mod tests;
