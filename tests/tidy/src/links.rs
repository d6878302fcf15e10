//! Links in Markdown from one file of the repository to another: the file is there, and so is the
//! heading that a `#fragment` names. Links to elsewhere are not followed.

use std::collections::BTreeSet;

use crate::tree::File;

/// Every link that leads nowhere. `exists` says whether a path from the root, without a trailing slash,
/// is a file or a folder.
pub fn findings(files: &[File], exists: impl Fn(&str) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for file in files.iter().filter(|file| file.path.ends_with(".md")) {
        for (line, target) in targets(&file.text) {
            let leads = lands(file, &target, files, &exists);
            if !leads {
                found.push(format!("{}:{line}: `{target}` leads nowhere", file.path));
            }
        }
    }
    found
}

fn lands(file: &File, target: &str, files: &[File], exists: &impl Fn(&str) -> bool) -> bool {
    let (path, fragment) = target.split_once('#').unwrap_or((target, ""));
    let Some(path) = resolve(&file.path, path) else { return false };
    let is_there = path.is_empty() || exists(&path);
    let page = files.iter().find(|other| other.path == path);
    let is_markdown = path.ends_with(".md");
    is_there
        && (fragment.is_empty()
            || !is_markdown
            || page.is_some_and(|page| headings(&page.text).contains(fragment)))
}

/// The path from the root of a target written in `from`, or none if it climbs out of the repository.
fn resolve(from: &str, target: &str) -> Option<String> {
    if target.is_empty() {
        return Some(from.to_owned());
    }
    let mut parts: Vec<&str> = match target.starts_with('/') {
        true => Vec::new(),
        false => from.split('/').collect(),
    };
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// The local targets of `[text](target)` and `[name]: target`, with their lines, code left out.
fn targets(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (line, prose) in prose(text) {
        let inline = prose.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next());
        let defined =
            prose.strip_prefix('[').and_then(|rest| rest.split_once("]: ")).map(|(_, target)| target.trim());
        let local = inline.chain(defined).filter(|target| is_local(target));
        found.extend(local.map(|target| (line, target.trim_matches(['<', '>']).to_owned())));
    }
    found
}

fn is_local(target: &str) -> bool {
    !target.is_empty() && !target.contains("://") && !target.starts_with("mailto:")
}

/// The lines outside fenced blocks, with spans of code blanked.
fn prose(text: &str) -> Vec<(usize, String)> {
    let mut fence: Option<&str> = None;
    let mut lines = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let start = line.trim_start();
        let marker = ["```", "~~~"].into_iter().find(|marker| start.starts_with(marker));
        match (fence, marker) {
            (None, Some(opened)) => fence = Some(opened),
            (Some(open), Some(marker)) if open == marker => fence = None,
            (Some(_), _) => {}
            (None, None) => {
                lines.push((number + 1, line.split('`').step_by(2).collect::<Vec<_>>().join("code")))
            }
        }
    }
    lines
}

/// The fragments of all headings, made as forges make them: lower case, punctuation dropped, spaces to
/// hyphens, a number behind a repeated one.
fn headings(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut in_fence = false;
    for line in text.lines() {
        in_fence ^= line.trim_start().starts_with("```");
        let Some(title) = line.strip_prefix('#').map(|rest| rest.trim_start_matches('#')) else { continue };
        if in_fence || !title.starts_with(' ') {
            continue;
        }
        let slug: String = title.trim().to_lowercase().chars().filter_map(slug_character).collect();
        let repeated = (1..).map(|count| format!("{slug}-{count}")).find(|name| !found.contains(name));
        let name = if found.contains(&slug) { repeated.unwrap_or(slug) } else { slug };
        found.insert(name);
    }
    found
}

fn slug_character(c: char) -> Option<char> {
    match c {
        ' ' => Some('-'),
        c if c.is_alphanumeric() || c == '-' || c == '_' => Some(c),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(text: &str) -> Vec<String> {
        let other = File::new("docs/other.md", "# Set-up, in `short`\n\n## Twice\n## Twice\n");
        let files = [File::new("docs/page.md", text), other];
        findings(&files, |path| ["docs/other.md", "docs", "LICENSE-MIT", "docs/page.md"].contains(&path))
    }

    #[test]
    fn a_link_that_leads_nowhere_is_found() {
        for text in [
            "[x](gone.md)",
            "a [x](other.md) and [y](gone.md)",
            "[x](../../outside.md)",
            "[x](other.md#gone)",
            "[x](#gone)",
            "[x]: gone.md",
            "![x](gone.png \"title\")",
        ] {
            assert_eq!(judge(text).len(), 1, "{text}");
        }
    }

    #[test]
    fn links_that_lead_somewhere_pass() {
        let text = "# Top\n[a](other.md) [b](other.md#set-up-in-short) [c](../LICENSE-MIT) [d](#top) [e](/docs/)\n\
                    [f](https://example.org/gone) [g](other.md#twice-1) `[h](gone.md)`\n```\n[i](gone.md)\n```\n";
        assert_eq!(judge(text), [""; 0]);
    }
}
