//! Inside a crate the order of the `mod` lines is the direction: a module names only modules declared
//! above its own, in `lib.rs` and in every folder. It sees `crate::`, `super::` and `self::` paths and
//! what a parent hands on with `pub use`; macros that write paths by `$crate` are not seen.

use std::collections::HashMap;

use crate::{
    tokens::{Placed, Token, matches, tokens},
    tree::File,
};

/// A path of modules below the crate's root.
type ModulePath = Vec<String>;

/// A path that some code names.
struct Reference {
    file: String,
    line: usize,
    /// The module that names it.
    from: ModulePath,
    /// What it names, from the root.
    to: ModulePath,
}

/// What the files of one crate declare and name.
#[derive(Default)]
struct Crate {
    /// For each module its children, in the order of their `mod` lines.
    children: HashMap<ModulePath, Vec<String>>,
    /// For each module what it hands on: a name and the path, below the module, that it comes from.
    handed_on: HashMap<ModulePath, Vec<(String, ModulePath)>>,
    references: Vec<Reference>,
}

/// Every reference from a module to one declared below it.
pub fn findings(files: &[File]) -> Vec<String> {
    let mut crates: HashMap<&str, Crate> = HashMap::new();
    for file in files {
        let Some((root, module)) = place(file, files) else { continue };
        let mut reader = Reader { file: &file.path, tokens: tokens(&file.text), module, open: Vec::new() };
        reader.read(crates.entry(root).or_default());
    }
    let mut found: Vec<String> = crates.values().flat_map(Crate::findings).collect();
    found.sort();
    found.dedup();
    found
}

/// The `src` folder of a file and its module path. A `main.rs` beside a `lib.rs` is a crate of its own.
fn place<'a>(file: &'a File, files: &[File]) -> Option<(&'a str, ModulePath)> {
    let (root, path) = file.path.split_once("/src/")?;
    let mut module: ModulePath = path.strip_suffix(".rs")?.split('/').map(str::to_owned).collect();
    let library = format!("{root}/src/lib.rs");
    let beside_library = path == "main.rs" && files.iter().any(|other| other.path == library);
    if path.starts_with("bin/") || beside_library {
        return None;
    }
    let last = module.last().map(String::as_str);
    if last == Some("mod") || (module.len() == 1 && matches!(last, Some("lib" | "main"))) {
        module.pop();
    }
    Some((root, module))
}

impl Crate {
    fn findings(&self) -> Vec<String> {
        self.references.iter().filter_map(|reference| self.judge(reference)).collect()
    }

    fn judge(&self, reference: &Reference) -> Option<String> {
        let Reference { file, line, from, to } = reference;
        let shared = from.iter().zip(to).take_while(|(a, b)| a == b).count();
        let (own, named) = (from.get(shared)?, to.get(shared)?);
        let parent = &from[..shared];
        let named = self.origin(parent, named);
        let children = self.children.get(parent)?;
        let place = |name: &str| children.iter().position(|child| child == name);
        let (own_place, named_place) = (place(own)?, place(named)?);
        (named_place > own_place)
            .then(|| format!("{file}:{line}: `{own}` names `{named}`, declared below it"))
    }

    /// The child that a name of this module comes from, or the name itself.
    fn origin<'a>(&'a self, module: &[String], name: &'a str) -> &'a str {
        let handed_on = self.handed_on.get(module).into_iter().flatten();
        let mut handed_on = handed_on.filter(|(given, _)| given == name);
        handed_on.next().and_then(|(_, path)| path.first()).map_or(name, String::as_str)
    }
}

/// Goes once through the tokens of a file; `open` has one entry for each open brace, with the name of
/// the inline module that it opened, if it did.
struct Reader<'a> {
    file: &'a str,
    tokens: Vec<Placed<'a>>,
    module: ModulePath,
    open: Vec<Option<String>>,
}

impl Reader<'_> {
    fn read(&mut self, into: &mut Crate) {
        let mut at = 0;
        while at < self.tokens.len() {
            at = self.step(at, into);
        }
    }

    fn step(&mut self, at: usize, into: &mut Crate) -> usize {
        match (self.word(at), self.word(at + 1)) {
            (Some("mod"), Some(name)) => self.declaration(at, name.to_owned(), into),
            (Some("use"), Some(name)) if !matches!(name, "crate" | "super" | "self") => {
                self.hand_on(at, into)
            }
            (Some(start @ ("crate" | "super" | "self")), _) if self.starts_path(at) => {
                self.reference(at, start == "crate", into)
            }
            _ => {
                match self.tokens[at].token {
                    Token::Mark('{') => self.open.push(None),
                    Token::Mark('}') => drop(self.open.pop()),
                    _ => {}
                }
                at + 1
            }
        }
    }

    fn declaration(&mut self, at: usize, name: String, into: &mut Crate) -> usize {
        let inline = matches(&self.tokens, at + 2, &["{"]);
        if inline || matches(&self.tokens, at + 2, &[";"]) {
            into.children.entry(self.here()).or_default().push(name.clone());
        }
        if inline {
            self.open.push(Some(name));
        }
        at + if inline { 3 } else { 2 }
    }

    /// `use child::{A, B as C};`: remembered, because `crate::A` then means something of `child`.
    fn hand_on(&mut self, at: usize, into: &mut Crate) -> usize {
        let mut paths = Vec::new();
        let end = self.tree(at + 1, &[], &mut paths);
        let here = into.handed_on.entry(self.here()).or_default();
        here.extend(paths.into_iter().filter_map(|path| Some((path.last()?.clone(), path))));
        end
    }

    fn reference(&mut self, at: usize, absolute: bool, into: &mut Crate) -> usize {
        let (from, line) = (self.here(), self.tokens[at].line);
        let mut base = if absolute { Vec::new() } else { from.clone() };
        let mut next = at;
        while self.word(next) == Some("super") && matches(&self.tokens, next + 1, &[":", ":"]) {
            base.pop();
            next += 3;
        }
        if next == at {
            next += 3;
        }
        let mut paths = Vec::new();
        let end = self.tree(next, &base, &mut paths);
        let file = self.file.to_owned();
        into.references.extend(paths.into_iter().map(|to| Reference {
            file: file.clone(),
            line,
            from: from.clone(),
            to,
        }));
        end
    }

    /// Reads `a::b::{c, d::e}` and gives each full path; returns where it ends.
    fn tree(&self, mut at: usize, base: &[String], paths: &mut Vec<ModulePath>) -> usize {
        let mut path = base.to_vec();
        loop {
            if matches(&self.tokens, at, &["{"]) {
                return self.group(at + 1, &path, paths);
            }
            let Some(name) = self.word(at) else { break };
            path.push(name.to_owned());
            at += 1;
            if !matches(&self.tokens, at, &[":", ":"]) {
                break;
            }
            at += 2;
        }
        paths.push(path);
        at
    }

    fn group(&self, mut at: usize, base: &[String], paths: &mut Vec<ModulePath>) -> usize {
        while at < self.tokens.len() {
            match self.tokens[at].token {
                Token::Mark('}') => return at + 1,
                Token::Word(_) | Token::Mark('{') => at = self.tree(at, base, paths),
                _ => at += 1,
            }
        }
        at
    }

    /// Whether `crate`, `super` or `self` here begins a path: `::` follows, and neither `::` nor `$` leads.
    fn starts_path(&self, at: usize) -> bool {
        let led = |back: usize, by: &[&str]| at >= back && matches(&self.tokens, at - back, by);
        matches(&self.tokens, at + 1, &[":", ":"]) && !led(2, &[":", ":"]) && !led(1, &["$"])
    }

    fn word(&self, at: usize) -> Option<&str> {
        match self.tokens.get(at)?.token {
            Token::Word(word) => Some(word),
            _ => None,
        }
    }

    fn here(&self) -> ModulePath {
        self.module.iter().cloned().chain(self.open.iter().flatten().cloned()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(files: &[(&str, &str)]) -> Vec<String> {
        let files: Vec<_> =
            files.iter().map(|(path, text)| File::new(&format!("crates/x/src/{path}"), text)).collect();
        findings(&files)
    }

    const ROOT: (&str, &str) =
        ("lib.rs", "pub mod first; pub mod second; pub use second::{Thing, deep::Other};");

    #[test]
    fn a_module_that_names_a_later_one_is_found() {
        let found = judge(&[ROOT, ("first.rs", "\nuse crate::second::Thing;")]);
        assert_eq!(found, ["crates/x/src/first.rs:2: `first` names `second`, declared below it"]);
        for text in [
            "fn f() { crate::second::f() }",
            "use crate::{first::A, second};",
            "use super::second::Thing;",
            "mod tests { use super::super::second; }",
            "mod tests { use crate::second; }",
        ] {
            assert_eq!(judge(&[ROOT, ("first.rs", text)]).len(), 1, "{text}");
        }
    }

    #[test]
    fn what_the_root_hands_on_counts_as_its_origin() {
        for text in ["use crate::Thing;", "use crate::{Other};", "fn f(x: crate::Thing) {}"] {
            assert_eq!(judge(&[ROOT, ("first.rs", text)]).len(), 1, "{text}");
        }
    }

    #[test]
    fn the_rule_holds_in_folders_too() {
        let parent = ("first/mod.rs", "mod a; mod b;");
        assert_eq!(judge(&[ROOT, parent, ("first/a.rs", "use super::b::X;")]).len(), 1);
        assert_eq!(judge(&[ROOT, parent, ("first/a.rs", "use crate::first::b;")]).len(), 1);
        assert_eq!(judge(&[ROOT, parent, ("first/a.rs", "use super::super::second;")]).len(), 1);
        assert!(judge(&[ROOT, parent, ("first/b.rs", "use super::a::X;")]).is_empty());
    }

    #[test]
    fn the_flow_itself_passes() {
        let second = "use crate::first::A; use super::first; use std::second; // crate::third\n\
                      mod tests { use super::*; use super::Thing; } fn f() { self.second() }";
        assert!(
            judge(&[ROOT, ("first.rs", "use crate::first; use self::inner::X;"), ("second.rs", second)])
                .is_empty()
        );
    }

    #[test]
    fn a_program_beside_a_library_is_a_crate_of_its_own() {
        let files = [ROOT, ("main.rs", "mod second; mod first;"), ("second.rs", "use crate::first;")];
        assert!(judge(&files).is_empty());
    }
}
