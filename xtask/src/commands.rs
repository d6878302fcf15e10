//! Every command that the documentation shows, run as its reader would run it. Pages are README.md,
//! CONTRIBUTING.md and docs/; blocks come from `fence`, the shell script from `session`; each block counts
//! as one test.

use std::{
    fs,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, sync_channel},
    thread,
    time::{Duration, Instant},
};

use crate::{
    checkout::Checkout,
    fence::{Block, blocks},
    process::{forward, quiet},
    session::{MARK, Step, agrees, script, steps},
    suite,
    tally::Tally,
};

/// What a step may take: a reader loses patience sooner.
const STEP_LIMIT: Duration = Duration::from_secs(120);
/// What a step in the root of the repository may take: it may build.
const BUILD_LIMIT: Duration = Duration::from_secs(900);
/// Set for every command, so that a page cannot make this part run itself.
const INSIDE: &str = "TIDEGATE_INSIDE_COMMANDS";

/// Runs the blocks of all pages, or of the pages that were handed through.
pub(crate) fn commands(checkout: &Checkout) -> Tally {
    if std::env::var_os(INSIDE).is_some() {
        return Tally::check("commands: a page runs the part that runs pages", false);
    }
    let pages =
        if checkout.passed_on.is_empty() { pages(&checkout.root) } else { checkout.passed_on.clone() };
    if !suite::build(checkout) {
        return Tally::check("commands: the workspace does not build", false);
    }
    let mut total = Tally::default();
    for page in pages {
        match fs::read_to_string(checkout.root.join(&page)) {
            Ok(text) => total.add(Page::new(checkout, &page, &text).run()),
            Err(error) => total.fail(format!("{page}: {error}")),
        }
    }
    total
}

/// The pages that exist, by their paths from the root.
fn pages(root: &Path) -> Vec<String> {
    let top = ["README.md", "CONTRIBUTING.md"].map(str::to_owned);
    let mut pages: Vec<String> = top.into_iter().filter(|page| root.join(page).is_file()).collect();
    let mut folders = vec!["docs".to_owned()];
    while let Some(folder) = folders.pop() {
        let mut entries: Vec<_> = fs::read_dir(root.join(&folder)).into_iter().flatten().flatten().collect();
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let path = format!("{folder}/{}", entry.file_name().to_string_lossy());
            if entry.path().is_dir() {
                folders.push(path);
            } else if path.ends_with(".md") {
                pages.push(path);
            }
        }
    }
    pages
}

/// One page and the folder that its reader works in.
struct Page<'a> {
    checkout: &'a Checkout,
    name: &'a str,
    blocks: Vec<Block>,
    steps: Vec<Step>,
    folder: PathBuf,
}

/// How far the script got.
#[derive(Default)]
struct Progress {
    /// The step that runs now.
    current: Option<usize>,
    /// What it printed so far, for comparing; only kept where the page shows something.
    printed: Vec<String>,
    /// Steps that ended, each with whether the page told the truth.
    ended: Vec<bool>,
}

impl<'a> Page<'a> {
    fn new(checkout: &'a Checkout, name: &'a str, text: &str) -> Self {
        let mut blocks = blocks(text);
        // Its reader stands in the repository.
        blocks.iter_mut().for_each(|block| block.repository |= name == "CONTRIBUTING.md");
        let steps = steps(&blocks);
        let folder = checkout.programs.join("pages").join(name.replace('/', "-"));
        Self { checkout, name, blocks, steps, folder }
    }

    fn run(&self) -> Tally {
        if self.steps.is_empty() {
            return self.tally(&Progress::default());
        }
        println!("-- {}: {} blocks", self.name, self.blocks.len());
        let mut progress = Progress::default();
        if let Err(error) = self.start().map(|child| self.follow(child, &mut progress)) {
            println!("{}: {error}", self.folder.display());
        }
        self.tally(&progress)
    }

    /// Starts the script in a process group of its own, so that all of it can be ended.
    fn start(&self) -> std::io::Result<Child> {
        drop(fs::remove_dir_all(&self.folder));
        let (work, runtime) = (self.folder.join("work"), self.folder.join("runtime"));
        fs::create_dir_all(&work)?;
        fs::create_dir_all(&runtime)?;
        let file = self.folder.join("script");
        fs::write(&file, script(&self.blocks, &self.steps))?;
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = [self.checkout.programs.clone()].into_iter().chain(std::env::split_paths(&path));
        let path = std::env::join_paths(folders).map_err(std::io::Error::other)?;
        let mut bash = Command::new("bash");
        bash.arg("--norc").arg(file).current_dir(work).process_group(0);
        bash.env("PATH", path).env("XDG_RUNTIME_DIR", runtime).env(INSIDE, "yes").env("NO_COLOR", "1");
        bash.env("TIDEGATE_REPOSITORY", &self.checkout.root).env("PYTHONUNBUFFERED", "1");
        bash.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()
    }

    /// Reads what the script prints until it ends or a step takes too long, then ends the group.
    fn follow(&self, mut child: Child, progress: &mut Progress) {
        let (sender, lines) = sync_channel(256);
        let output = child.stdout.take().expect("the output was asked for");
        thread::spawn(move || forward(output, &sender));
        if self.read(&lines, progress).is_err() {
            println!("{}: a step took too long", self.name);
        }
        let group = format!("-{}", child.id());
        quiet(Command::new("kill").args(["-KILL", "--", &group]));
        drop(child.wait());
    }

    fn read(&self, lines: &Receiver<String>, progress: &mut Progress) -> Result<(), RecvTimeoutError> {
        let mut begun = Instant::now();
        while progress.ended.len() < self.steps.len() {
            let limit = match progress.current.map(|step| &self.blocks[self.steps[step].block]) {
                Some(block) if block.repository => BUILD_LIMIT,
                _ => STEP_LIMIT,
            };
            let line = match lines.recv_timeout(limit.saturating_sub(begun.elapsed())) {
                Ok(line) => line,
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
                Err(RecvTimeoutError::Timeout) => return Err(RecvTimeoutError::Timeout),
            };
            if self.take(&line, progress) {
                begun = Instant::now();
            }
        }
        Ok(())
    }

    /// Takes one line; true if a step began or ended.
    fn take(&self, line: &str, progress: &mut Progress) -> bool {
        let (printed, mark) =
            line.split_once(MARK).map_or((line, None), |(printed, mark)| (printed, Some(mark)));
        if !printed.is_empty() || mark.is_none() {
            println!("   {printed}");
            let compared = progress.current.is_some_and(|step| self.steps[step].shown.is_some());
            if compared {
                progress.printed.push(printed.to_owned());
            }
        }
        let Some((word, index)) = mark.and_then(|mark| mark.split_once(' ')) else { return false };
        let Some(step) =
            index.parse().ok().and_then(|index: usize| self.steps.get(index).map(|step| (index, step)))
        else {
            return false;
        };
        match word {
            "begin" => self.begin(step, progress),
            _ => self.end(step.1, progress),
        }
        true
    }

    fn begin(&self, (index, step): (usize, &Step), progress: &mut Progress) {
        let typed = step.typed.trim_end().replace('\n', "\n   > ");
        println!("   {}:{} $ {typed}", self.name, self.blocks[step.block].line);
        progress.current = Some(index);
        progress.printed.clear();
    }

    fn end(&self, step: &Step, progress: &mut Progress) {
        let truthful = step.shown.as_ref().is_none_or(|shown| agrees(shown, &progress.printed));
        if let (false, Some(shown)) = (truthful, &step.shown) {
            println!("   the page shows something else:\n{shown}");
        }
        progress.ended.push(truthful);
        progress.current = None;
    }

    /// One count for each block.
    fn tally(&self, progress: &Progress) -> Tally {
        let mut tally = Tally::default();
        for (index, block) in self.blocks.iter().enumerate() {
            match self.fault(index, progress) {
                None => tally.passed += 1,
                Some(fault) => tally.fail(format!("{}:{}: {fault}", self.name, block.line)),
            }
        }
        tally
    }

    /// What is wrong with a block: nothing if it has steps, all ended well and printed what the page shows.
    fn fault(&self, block: usize, progress: &Progress) -> Option<&'static str> {
        let of_block = |(_, step): &(usize, &Step)| step.block == block;
        let mut ended =
            self.steps.iter().enumerate().filter(of_block).map(|(step, _)| progress.ended.get(step));
        if ended.clone().next().is_none() {
            return Some("it holds no command");
        }
        match ended.find(|ended| *ended != Some(&true))? {
            Some(_) => Some("it prints something else"),
            None => Some("it failed or was not reached"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(name: &str, text: &str) -> Tally {
        let checkout = Checkout::new(Vec::new());
        Page::new(&checkout, name, text).run()
    }

    #[test]
    fn a_page_that_tells_the_truth_passes() {
        let text = "```sh file=greeting\nhello\n```\n```console\n$ cat greeting\nhello\n$ echo $((6 * 7))\n4…\n```\n\
                    ```sh background\necho ready; exec tail -f /dev/null\n```\n```sh\ncd /; x=1\n```\n\
                    ```sh\ntest \"$PWD$x\" = /1\n```\n```sh repository\ntest -f Cargo.toml\n```\n";
        assert_eq!(run("truth.md", text).to_string(), "6 passed, 0 failed, 0 skipped");
    }

    #[test]
    fn a_page_that_lies_or_fails_is_found_and_what_follows_is_not_reached() {
        let tally = run("lie.md", "```console\n$ echo a\nb\n```\n```sh\nfalse\n```\n```sh\ntrue\n```\n");
        assert_eq!(tally.to_string(), "0 passed, 3 failed, 0 skipped");
        assert_eq!(tally.notes[0], "failed: lie.md:1: it prints something else");
        assert_eq!(tally.notes[2], "failed: lie.md:8: it failed or was not reached");
    }

    #[test]
    fn a_console_block_without_a_prompt_is_a_failure() {
        let tally = run("prompt.md", "```console\ntrue\n```\n```sh\ntrue\n```\n");
        assert_eq!(tally.to_string(), "1 passed, 1 failed, 0 skipped");
        assert_eq!(run("no-prompt.md", "```console\ntrue\n```\n").failed, 1);
    }

    #[test]
    fn a_server_that_prints_nothing_and_ends_is_a_failure() {
        assert_eq!(run("silent.md", "```sh background\nexit 1\n```\n").failed, 1);
    }
}
