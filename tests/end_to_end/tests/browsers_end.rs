//! Browsers end with the test that drives them, in whatever way that ends: with the script in between when its stdin
//! ends, as it does when a test is killed, and without it when the script itself is killed.

use std::path::Path;
use std::process::Command;

use rustix::process::{Pid, Signal, kill_process};
use tidegate_end_to_end::deadline::Deadline;
use tidegate_end_to_end::script::Script;
use tidegate_test_tools::need;

/// A page that never does what is awaited of it.
fn open(node: &Path, script: &str, program: &Path) -> Script {
    let folder = tidegate_test_tools::folder();
    let mut command = Command::new(node);
    command.arg(folder.join(script)).arg(program).current_dir(folder);
    let mut page = Script::start_on_leash(command.args(["about:blank", r#"{"never":"met"}"#]));
    page.event("opened");
    page
}

/// Each process that runs, and its parent.
fn running() -> Vec<(u32, u32)> {
    let folder = std::fs::read_dir("/proc").expect("there is /proc");
    let names = folder.flatten().map(|entry| entry.path().join("stat"));
    names.filter_map(|file| process(&std::fs::read_to_string(file).ok()?)).collect()
}

/// What a line of `/proc/ID/stat` says: `12 (any name) S 3 …`. One that has ended and that nobody asked about is none.
fn process(stat: &str) -> Option<(u32, u32)> {
    let (id, _) = stat.split_once(' ')?;
    let (_, rest) = stat.rsplit_once(") ")?;
    let (state, rest) = rest.split_once(' ')?;
    let (parent, _) = rest.split_once(' ')?;
    if state == "Z" { None } else { Some((id.parse().ok()?, parent.parse().ok()?)) }
}

/// All that a process has started, and all that these have.
fn started_by(id: u32) -> Vec<u32> {
    let all = running();
    let mut found = vec![id];
    let mut next = 0;
    while let Some(parent) = found.get(next).copied() {
        found.extend(all.iter().filter(|(_, of)| *of == parent).map(|(id, _)| id));
        next += 1;
    }
    found.split_off(1)
}

fn await_end(ids: &[u32]) {
    let deadline = Deadline::of_patience();
    loop {
        let left: Vec<u32> = running().iter().map(|(id, _)| *id).filter(|id| ids.contains(id)).collect();
        if left.is_empty() {
            return;
        }
        assert!(deadline.left().is_some(), "of {ids:?} these go on: {left:?}");
    }
}

#[track_caller]
fn check(node: &Path, script: &str, program: &Path, end: impl FnOnce(&mut Script)) {
    let mut page = open(node, script, program);
    let browser = started_by(page.id());
    assert!(!browser.is_empty(), "the script has started a browser");
    end(&mut page);
    await_end(&browser);
}

fn kill(page: &mut Script) {
    let id = page.id().try_into().ok().and_then(Pid::from_raw).expect("a process id");
    kill_process(id, Signal::KILL).expect("it runs");
}

#[test]
fn chromium_ends_with_its_test() {
    let (node, program) = (need!(node), need!(chromium));
    check(&node, "browser.mjs", &program, Script::let_go);
}

#[test]
fn chromium_ends_with_its_driver() {
    let (node, program) = (need!(node), need!(chromium));
    check(&node, "browser.mjs", &program, kill);
}

#[test]
fn firefox_ends_with_its_test() {
    let (node, program) = (need!(node), need!(firefox));
    check(&node, "firefox.mjs", &program, Script::let_go);
}

#[test]
fn firefox_ends_with_its_driver() {
    let (node, program) = (need!(node), need!(firefox));
    check(&node, "firefox.mjs", &program, kill);
}
