//! A small lexer of Rust: names, punctuation and literals with their lines, comments dropped. It knows
//! just enough that a word in a comment or a string is never taken for code.

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Token<'a> {
    /// A name or a number.
    Word(&'a str),
    /// One character of punctuation.
    Mark(char),
    /// A string or character literal, with its quotes.
    Literal(&'a str),
}

/// A token and the line that it begins in, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placed<'a> {
    /// The token.
    pub token: Token<'a>,
    /// Its line.
    pub line: usize,
}

/// Splits a file into tokens. What does not end (a string, a comment) reaches to the end of the file.
pub fn tokens(text: &str) -> Vec<Placed<'_>> {
    let mut found = Vec::new();
    let (mut at, mut line) = (0, 1);
    while let Some(first) = text[at..].chars().next() {
        let rest = &text[at..];
        let (length, token) = next(rest, first);
        if let Some(token) = token {
            found.push(Placed { token, line });
        }
        line += rest[..length].matches('\n').count();
        at += length;
    }
    found
}

/// Whether the tokens at `at` are these, each a name or one mark.
pub fn matches(tokens: &[Placed<'_>], at: usize, expected: &[&str]) -> bool {
    expected.iter().enumerate().all(|(offset, text)| match tokens.get(at + offset).map(|p| p.token) {
        Some(Token::Word(word)) => word == *text,
        Some(Token::Mark(mark)) => text.len() == 1 && text.starts_with(mark),
        Some(Token::Literal(_)) | None => false,
    })
}

fn next(rest: &str, first: char) -> (usize, Option<Token<'_>>) {
    if rest.starts_with("//") {
        return (rest.find('\n').unwrap_or(rest.len()), None);
    }
    if rest.starts_with("/*") {
        return (block_comment(rest), None);
    }
    if let Some(length) = string(rest).or_else(|| character(rest)) {
        return (length, Some(Token::Literal(&rest[..length])));
    }
    if let Some(length) = lifetime(rest) {
        return (length, None);
    }
    if first.is_whitespace() {
        return (first.len_utf8(), None);
    }
    match word(rest.strip_prefix("r#").unwrap_or(rest)) {
        0 => (first.len_utf8(), Some(Token::Mark(first))),
        length => {
            let skipped = if rest.starts_with("r#") { 2 } else { 0 };
            (skipped + length, Some(Token::Word(&rest[skipped..skipped + length])))
        }
    }
}

fn word(text: &str) -> usize {
    text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len())
}

fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < rest.len() {
        let here = &rest.as_bytes()[at..];
        if here.starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if here.starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    rest.len()
}

/// The length of a string literal of any kind that begins here.
fn string(rest: &str) -> Option<usize> {
    let prefix = ["br", "cr", "b", "c", "r", ""].into_iter().find(|prefix| {
        rest.strip_prefix(prefix).is_some_and(|tail| {
            tail.starts_with('"')
                || (prefix.ends_with('r')
                    && tail.trim_start_matches('#').starts_with('"')
                    && tail.starts_with('#'))
        })
    })?;
    let tail = &rest[prefix.len()..];
    if prefix.ends_with('r') {
        let fences = tail.find('"')?;
        let end = format!("\"{}", "#".repeat(fences));
        let length = tail[fences + 1..].find(&end).map_or(tail.len(), |at| fences + 1 + at + end.len());
        return Some(prefix.len() + length);
    }
    Some(prefix.len() + 1 + quoted(&tail[1..], '"'))
}

/// The length up to and with the closing quote, minding backslashes.
fn quoted(body: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in body.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return at + 1,
            _ => {}
        }
    }
    body.len()
}

fn character(rest: &str) -> Option<usize> {
    let prefix = if rest.starts_with("b'") { 1 } else { 0 };
    let body = rest[prefix..].strip_prefix('\'')?;
    let mut characters = body.chars();
    let (first, second) = (characters.next()?, characters.next()?);
    (first == '\\' || second == '\'').then(|| prefix + 1 + quoted(body, '\''))
}

fn lifetime(rest: &str) -> Option<usize> {
    let length = word(rest.strip_prefix('\'')?);
    (length > 0).then_some(length + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<&str> {
        let word = |placed: &Placed<'static>| match placed.token {
            Token::Word(word) => Some(word),
            _ => None,
        };
        let text: &'static str = Box::leak(text.to_owned().into_boxed_str());
        tokens(text).iter().filter_map(word).collect()
    }

    #[test]
    fn comments_strings_and_lifetimes_are_not_code() {
        assert_eq!(words("a // b\n c /* d /* e */ f */ g"), ["a", "c", "g"]);
        assert_eq!(words(r##"a "b \" c" r#"d " e"# br"f" d"##), ["a", "d"]);
        assert_eq!(words(r"fn x<'a>(c: &'a str) { '\'' ; 'y' ; b'z' }"), ["fn", "x", "c", "str"]);
        assert_eq!(words("r#type brand crab rust"), ["type", "brand", "crab", "rust"]);
    }

    #[test]
    fn what_does_not_end_reaches_to_the_end() {
        for text in ["\"open", "r#\"open\"", "/* open", "'\\", "b'", "'"] {
            tokens(text);
        }
    }

    #[test]
    fn lines_are_counted_through_literals() {
        let found = tokens("\"a\nb\"\nc");
        assert_eq!(found[1], Placed { token: Token::Word("c"), line: 3 });
    }

    #[test]
    fn a_sequence_is_recognised() {
        let found = tokens("std::thread::sleep(x)");
        assert!(matches(&found, 3, &["thread", ":", ":", "sleep", "("]));
        assert!(!matches(&found, 3, &["thread", ":", ":", "spawn"]));
        assert!(!matches(&found, found.len(), &["x"]));
    }
}
