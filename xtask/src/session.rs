//! A page of documentation as its reader would go through it: one shell session, block after block, in
//! a folder of its own. `script` makes the shell script, with a marker before and behind each step;
//! `Expected` compares what a console block printed with what the page shows.

use std::fmt::Write;

use crate::fence::{Block, Kind};

/// Begins a marker line in the output; programs do not print it.
pub(crate) const MARK: char = '\u{1e}';

/// One step of a block, as the script will announce it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Step {
    /// Index of its block.
    pub(crate) block: usize,
    /// What is typed, for messages.
    pub(crate) typed: String,
    /// What the page shows below it; `None` where the page shows nothing.
    pub(crate) shown: Option<String>,
}

/// The steps of all blocks, in order: a whole block of commands, each prompt of a console block.
pub(crate) fn steps(blocks: &[Block]) -> Vec<Step> {
    let of_block = |(block, content): (usize, &Block)| match content.kind {
        Kind::Console => prompts(block, &content.text),
        Kind::Commands | Kind::Configuration | Kind::File => {
            vec![Step { block, typed: content.text.clone(), shown: None }]
        }
    };
    blocks.iter().enumerate().flat_map(of_block).collect()
}

/// Splits a console block: `$ ` begins a command, `> ` or a backslash before it continues one.
fn prompts(block: usize, text: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for line in text.lines() {
        let last = steps.last_mut();
        match (line.strip_prefix("$ "), last) {
            (Some(typed), _) => steps.push(Step { block, typed: format!("{typed}\n"), shown: None }),
            (None, Some(step)) if step.shown.is_none() && continues(&step.typed, line) => {
                step.typed.push_str(line.strip_prefix("> ").unwrap_or(line));
                step.typed.push('\n');
            }
            (None, Some(step)) => {
                let shown = step.shown.get_or_insert_default();
                shown.push_str(line);
                shown.push('\n');
            }
            (None, None) => {}
        }
    }
    steps
}

fn continues(typed: &str, line: &str) -> bool {
    typed.ends_with("\\\n") || line.starts_with("> ")
}

/// The script of a page for bash. It stops at the first step that fails: its reader would too. Whatever
/// it left running ends with it.
pub(crate) fn script(blocks: &[Block], steps: &[Step]) -> String {
    let mut script = String::from("exec 2>&1\nset -euo pipefail\ntrap 'trap - TERM; kill -TERM 0' EXIT\n");
    for (index, step) in steps.iter().enumerate() {
        let block = &blocks[step.block];
        marker(&mut script, "begin", index);
        if block.repository {
            script.push_str("tidegate_back=$PWD; cd \"$TIDEGATE_REPOSITORY\"\n");
        }
        match block.kind {
            Kind::Commands | Kind::Console if block.background => {
                in_background(&mut script, index, &step.typed)
            }
            Kind::Commands | Kind::Console => script.push_str(&step.typed),
            Kind::File => write_file(&mut script, block.file.as_deref().unwrap_or("file"), &step.typed),
            Kind::Configuration => {
                let file = block.file.as_deref().unwrap_or("tidegate-check.toml");
                write_file(&mut script, file, &step.typed);
                writeln!(script, "tidegate check {}", quoted(file)).expect("a String takes all");
            }
        }
        if block.repository {
            script.push_str("cd \"$tidegate_back\"\n");
        }
        marker(&mut script, "end", index);
    }
    script
}

fn marker(script: &mut String, word: &str, index: usize) {
    writeln!(script, "printf '\\036%s\\n' '{word} {index}'").expect("a String takes all");
}

/// Starts a command and waits for its first line, at most half a minute; the rest goes to a file.
fn in_background(script: &mut String, index: usize, typed: &str) {
    let log = format!("background-{index}.log");
    write!(
        script,
        "exec {{tidegate_output}}< <(\nexec 2>&1\nset -e\n{typed})\n\
         IFS= read -r -t 30 -u \"$tidegate_output\" tidegate_line || {{ echo 'it printed nothing'; exit 1; }}\n\
         printf '%s\\n' \"$tidegate_line\"\n\
         cat <&\"$tidegate_output\" >{log} &\n"
    )
    .expect("a String takes all");
}

fn write_file(script: &mut String, file: &str, text: &str) {
    let file = quoted(file);
    let text = quoted(text);
    writeln!(script, "mkdir -p \"$(dirname {file})\"\nprintf %s {text} >{file}").expect("a String takes all");
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// Whether what was printed is what the page shows. A line `...` or `…` stands for any lines, `…` within
/// a line for any text; white space at the ends of lines does not count.
pub(crate) fn agrees(shown: &str, printed: &[String]) -> bool {
    let shown: Vec<&str> = shown.lines().map(str::trim_end).collect();
    let printed: Vec<&str> = printed.iter().map(|line| line.trim_end()).collect();
    lines_agree(trimmed(&shown), trimmed(&printed))
}

fn trimmed<'a, 'b>(mut lines: &'a [&'b str]) -> &'a [&'b str] {
    while let [rest @ .., ""] = lines {
        lines = rest;
    }
    lines
}

fn lines_agree(shown: &[&str], printed: &[&str]) -> bool {
    match shown {
        [] => printed.is_empty(),
        ["..." | "…", rest @ ..] => {
            (0..=printed.len()).any(|skipped| lines_agree(rest, &printed[skipped..]))
        }
        [first, rest @ ..] => printed
            .split_first()
            .is_some_and(|(line, others)| line_agrees(first, line) && lines_agree(rest, others)),
    }
}

fn line_agrees(shown: &str, printed: &str) -> bool {
    let Some((begin, rest)) = shown.split_once('…') else { return shown == printed };
    let Some(printed) = printed.strip_prefix(begin) else { return false };
    let starts = printed.char_indices().map(|(at, _)| at).chain([printed.len()]);
    starts.into_iter().any(|at| line_agrees(rest, &printed[at..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fence::blocks;

    #[test]
    fn a_console_block_is_its_prompts_and_what_they_print() {
        let found =
            blocks("```console\n$ echo a \\\n    b\na b\n$ cat <<end\n> c\n> end\nc\n\n$ true\n```\n");
        let steps = steps(&found);
        let typed: Vec<_> = steps.iter().map(|step| (step.typed.as_str(), step.shown.as_deref())).collect();
        assert_eq!(
            typed,
            [("echo a \\\n    b\n", Some("a b\n")), ("cat <<end\nc\nend\n", Some("c\n\n")), ("true\n", None)]
        );
    }

    #[test]
    fn dots_stand_for_what_changes() {
        let printed = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
        assert!(agrees("a\nb\n", &printed("a\nb")));
        assert!(agrees("a\n...\nd\n", &printed("a\nb\nc\nd")));
        assert!(agrees("at … in … ms\n", &printed("at 12:00 in 3 ms")));
        assert!(agrees("…\n", &printed("")));
        assert!(!agrees("a\n", &printed("a\nb")));
        assert!(!agrees("a\nb\n", &printed("a")));
        assert!(!agrees("at … ms\n", &printed("at 3 s")));
    }

    #[test]
    fn text_is_quoted_for_the_shell() {
        assert_eq!(quoted("it's"), r"'it'\''s'");
    }
}
