//! The terminal while the view has it: its own screen, keys one by one; and as it was when the view goes, whichever way
//! it goes.
//!
//! Keys that are signals elsewhere are keys here. A panic gives the terminal back before it is told.

use std::io::{self, IsTerminal, Stdout, Write};
use std::panic;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

use crossterm::cursor::Show;
use crossterm::event::{DisableBracketedPaste, EnableBracketedPaste};
use crossterm::execute;
use crossterm::terminal::{
    DisableLineWrap, EnableLineWrap, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode,
    enable_raw_mode,
};
use ratatui::backend::CrosstermBackend;
use ratatui::layout::Rect;
use ratatui::{Frame, Terminal};

/// The view has the terminal; there is but one.
static IS_TAKEN: AtomicBool = AtomicBool::new(false);

/// See the module's head. Dropping it gives the terminal back.
#[derive(Debug)]
pub(super) struct Taken {
    terminal: Terminal<CrosstermBackend<Stdout>>,
}

/// stdout is a terminal that can move its cursor, and keys can be read.
pub(in crate::inspect) fn is_possible() -> bool {
    let can_move = std::env::var_os("TERM").is_some_and(|name| !name.is_empty() && name != "dumb");
    can_move && io::stdout().is_terminal() && io::stdin().is_terminal()
}

impl Taken {
    pub(super) fn take() -> io::Result<Self> {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let before = panic::take_hook();
            panic::set_hook(Box::new(move |information| {
                give_back();
                before(information);
            }));
        });
        enter()?;
        let terminal = Terminal::new(CrosstermBackend::new(io::stdout())).inspect_err(|_| give_back())?;
        Ok(Self { terminal })
    }

    /// Draws, unless the terminal has been given back.
    pub(super) fn draw(&mut self, draw: impl FnOnce(&mut Frame<'_>)) -> io::Result<()> {
        if IS_TAKEN.load(Ordering::SeqCst) {
            self.terminal.draw(draw)?;
        }
        Ok(())
    }

    /// Takes it again, after it was given back or somebody else had it.
    pub(super) fn take_again(&mut self) -> io::Result<()> {
        enter()?;
        self.draw_anew()
    }

    /// The next draw writes everything, whatever is on the screen. `clear` would ask where the cursor is.
    pub(super) fn draw_anew(&mut self) -> io::Result<()> {
        let size = self.terminal.size()?;
        self.terminal.resize(Rect::new(0, 0, size.width, size.height))
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        give_back();
    }
}

fn enter() -> io::Result<()> {
    IS_TAKEN.store(true, Ordering::SeqCst);
    enable_raw_mode()?;
    execute!(io::stdout(), EnterAlternateScreen, DisableLineWrap, EnableBracketedPaste)
        .inspect_err(|_| give_back())
}

/// Does nothing if it has been given back. Whoever has no terminal any more has no modes to be put back.
pub(super) fn give_back() {
    if IS_TAKEN.swap(false, Ordering::SeqCst) {
        let mut stdout = io::stdout();
        let _ = execute!(stdout, DisableBracketedPaste, EnableLineWrap, LeaveAlternateScreen, Show);
        let _ = stdout.flush();
        let _ = disable_raw_mode();
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{File, OpenOptions};
    use std::io::Read;
    use std::process::Command;

    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    use rustix::termios::{LocalModes, tcgetattr};

    use super::*;

    /// Set for the process that panics.
    const PANICS: &str = "TIDEGATE_TEST_PANICS_WITH_THE_TERMINAL";

    #[test]
    fn a_panic_gives_the_terminal_back_before_it_is_told() {
        if std::env::var_os(PANICS).is_some() {
            let _taken = Taken::take().expect("a terminal");
            panic!("on purpose");
        }
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
        grantpt(&ours).and_then(|()| unlockpt(&ours)).expect("a terminal");
        let name = ptsname(&ours, Vec::new()).expect("its name");
        let theirs = OpenOptions::new().read(true).write(true).open(name.to_str().expect("text"));
        let theirs = theirs.expect("its other end");
        let clone = || theirs.try_clone().expect("its other end");
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command.args([
            "--exact",
            "inspect::view::terminal::tests::a_panic_gives_the_terminal_back_before_it_is_told",
        ]);
        command.arg("--nocapture").env(PANICS, "1").stdin(clone()).stdout(clone()).stderr(clone());
        let mut child = command.spawn().expect("this program");
        drop((command, theirs));
        let mut bytes = Vec::new();
        let mut ours = File::from(ours);
        // When the program has gone, reading fails.
        let _ = ours.read_to_end(&mut bytes);
        assert!(!child.wait().expect("it ends").success());
        let text = String::from_utf8_lossy(&bytes);
        let place = |part: &str| text.find(part).unwrap_or_else(|| panic!("{part:?} is not in {text:?}"));
        assert!(place("\u{1b}[?1049h") < place("\u{1b}[?1049l"), "{text:?}");
        assert!(place("\u{1b}[?1049l") < place("on purpose"), "{text:?}");
        let modes = tcgetattr(&ours).expect("modes").local_modes;
        assert!(modes.contains(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG));
    }
}
