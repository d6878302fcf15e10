//! Fenced code blocks of Markdown: what language, what further words, which lines. It reads text and
//! runs nothing.
//!
//! `sh` and `console` blocks are commands; `background` behind the language leaves the command running
//! until the page ends; `repository` runs it in the root of the repository; `file=NAME` writes the
//! block, of any language, into the reader's folder. `text` is never run.

/// What is to be done with a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Shell commands, one after another.
    Commands,
    /// Lines with `$ ` are commands; what stands below one is what it prints.
    Console,
    /// A configuration of the gateway.
    Configuration,
    /// A file for the blocks that follow.
    File,
}

/// One fenced block that something is to be done with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Block {
    /// The line of the opening fence, from 1.
    pub(crate) line: usize,
    pub(crate) kind: Kind,
    pub(crate) text: String,
    /// The file to write it to.
    pub(crate) file: Option<String>,
    /// The command goes on while the page is read.
    pub(crate) background: bool,
    /// It runs in the root of the repository.
    pub(crate) repository: bool,
}

/// All blocks of a page that are commands, configuration or files.
pub(crate) fn blocks(page: &str) -> Vec<Block> {
    let mut found = Vec::new();
    let mut lines = page.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        let indent = line.len() - line.trim_start().len();
        let Some((fence, information)) = opening(line.trim_start()) else { continue };
        let mut text = String::new();
        for (_, line) in lines.by_ref() {
            if is_closing(line.trim(), fence) {
                break;
            }
            let line =
                line.get(indent..).filter(|_| line[..indent].trim().is_empty()).unwrap_or(line.trim_start());
            text.push_str(line);
            text.push('\n');
        }
        found.extend(block(number + 1, information, text));
    }
    found
}

/// The fence of an opening line and the words behind it.
fn opening(line: &str) -> Option<(&str, &str)> {
    let mark = line.chars().next().filter(|mark| matches!(mark, '`' | '~'))?;
    let length = line.len() - line.trim_start_matches(mark).len();
    (length >= 3).then(|| line.split_at(length))
}

fn is_closing(line: &str, fence: &str) -> bool {
    line.len() >= fence.len() && line.starts_with(fence) && line.chars().all(|mark| fence.starts_with(mark))
}

fn block(line: usize, information: &str, text: String) -> Option<Block> {
    let mut words = information.split_whitespace();
    let language = words.next()?;
    let words: Vec<&str> = words.collect();
    let file = words.iter().find_map(|word| word.strip_prefix("file=")).map(str::to_owned);
    let kind = match (language, &file) {
        ("sh" | "bash" | "shell", None) => Kind::Commands,
        ("console", None) => Kind::Console,
        ("toml", _) => Kind::Configuration,
        ("text", _) | (_, None) => return None,
        (_, Some(_)) => Kind::File,
    };
    let (background, repository) = (words.contains(&"background"), words.contains(&"repository"));
    Some(Block { line, kind, text, file, background, repository })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages_and_words_decide_what_a_block_is() {
        let page = "a\n```sh\none\n```\n```text\nno\n```\n```json\nno\n```\n~~~console\n$ two\n```\n~~~\n\
                    ```toml\nx = 1\n```\n```python file=server.py\nthree\n```\n```sh background repository\nfour\n```\n```\nno\n```\n";
        let found = blocks(page);
        let kinds: Vec<_> = found.iter().map(|block| (block.line, block.kind, block.text.as_str())).collect();
        assert_eq!(
            kinds,
            [
                (2, Kind::Commands, "one\n"),
                (11, Kind::Console, "$ two\n```\n"),
                (15, Kind::Configuration, "x = 1\n"),
                (18, Kind::File, "three\n"),
                (21, Kind::Commands, "four\n"),
            ]
        );
        assert_eq!(found[3].file.as_deref(), Some("server.py"));
        assert!(found[4].background && found[4].repository && !found[0].background);
    }

    #[test]
    fn a_longer_fence_holds_a_shorter_one_and_indents_are_taken_off() {
        let found = blocks("1. step\n\n   ````sh\n   ```\n     deep\n   ````\n");
        assert_eq!(found[0].text, "```\n  deep\n");
        assert_eq!(blocks("```sh\nnever closed").len(), 1);
    }
}
