//! The view's thread: keys, events and signals in, at most 30 draws a second out.
//!
//! Whoever has events is never made to wait for a terminal.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::time::Duration;

use crossterm::event::{Event, EventStream, KeyEventKind};
use futures_core::Stream;
use rustix::process::{Signal, kill_current_process_group};
use tokio::signal::unix::{Signal as Signals, SignalKind, signal};
use tokio::time::{Instant, interval, sleep_until};

use super::export::export;
use super::feed::Outlet;
use super::model::{About, Ask, Model};
use super::screen::draw;
use super::terminal::{Taken, give_back};
use crate::exit::Exit;
use crate::terminal::Look;
use crate::timestamp::now;

/// Between two draws.
const DRAW_TIME: Duration = Duration::from_millis(34);

/// Ages are drawn anew.
const AGE_TIME: Duration = Duration::from_secs(1);

/// Shows what comes until somebody leaves, and says how.
pub(super) fn run(about: About, outlet: &Outlet) -> io::Result<Exit> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let exit = runtime.block_on(async {
        let mut taken = Taken::take()?;
        Window::new(about, outlet)?.show(&mut taken).await
    });
    runtime.shutdown_background();
    exit
}

struct Window<'o> {
    model: Model,
    outlet: &'o Outlet,
    colours: bool,
    keys: EventStream,
    /// Interrupt, terminate, hang up: the end; and the one that follows a stop.
    ends: [Signals; 3],
    continued: Signals,
    /// Something is different from what was drawn.
    is_stale: bool,
    drawn: Instant,
    /// Somebody else has the terminal.
    is_suspended: bool,
    /// There is nothing to see any more.
    is_over: bool,
}

/// What has happened.
enum Happened {
    Key(Option<io::Result<Event>>),
    Came,
    /// It is time to draw.
    Due,
    Second,
    Ended,
    Continued,
}

impl<'o> Window<'o> {
    fn new(about: About, outlet: &'o Outlet) -> io::Result<Self> {
        let ends = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
        let [interrupt, terminate, hang_up] = ends.map(signal);
        Ok(Self {
            model: Model::new(about),
            outlet,
            colours: Look::of_stdout().colours,
            keys: EventStream::new(),
            ends: [interrupt?, terminate?, hang_up?],
            continued: signal(SignalKind::from_raw(Signal::CONT.as_raw()))?,
            is_stale: true,
            drawn: Instant::now(),
            is_suspended: false,
            is_over: false,
        })
    }

    async fn show(&mut self, taken: &mut Taken) -> io::Result<Exit> {
        let mut seconds = interval(AGE_TIME);
        loop {
            let happened = tokio::select! {
                event = next(&mut self.keys) => Happened::Key(event),
                () = self.outlet.came(), if !self.is_stale => Happened::Came,
                () = sleep_until(self.drawn + DRAW_TIME), if self.is_stale && !self.is_suspended => Happened::Due,
                _ = seconds.tick() => Happened::Second,
                _ = self.continued.recv() => Happened::Continued,
                () = first(&mut self.ends) => Happened::Ended,
            };
            match happened {
                Happened::Key(None) | Happened::Ended => return Ok(Exit::Interrupted),
                Happened::Key(Some(event)) => {
                    if let Some(exit) = self.handle(event?, taken)? {
                        return Ok(exit);
                    }
                }
                Happened::Came => self.is_stale = true,
                // Ages grow as long as something is open.
                Happened::Second => self.is_stale |= self.model.is_ageing(),
                Happened::Due => {
                    self.gather();
                    self.draw(taken)?;
                }
                Happened::Continued => self.go_on(taken)?,
            }
            if self.is_suspended {
                self.gather();
            }
            if self.is_over {
                return Ok(Exit::Done);
            }
        }
    }

    fn gather(&mut self) {
        let gathered = self.outlet.gather();
        self.is_over |= gathered.must_leave;
        self.model.handle_gathered(gathered, now());
    }

    fn draw(&mut self, taken: &mut Taken) -> io::Result<()> {
        taken.draw(|frame| draw(frame, &mut self.model, self.colours, now()))?;
        self.is_stale = false;
        self.drawn = Instant::now();
        Ok(())
    }

    fn handle(&mut self, event: Event, taken: &mut Taken) -> io::Result<Option<Exit>> {
        // Whoever types has the terminal, though nobody said that the program goes on.
        self.go_on_if_suspended(taken)?;
        self.is_stale = true;
        let ask = match event {
            Event::Key(key) if key.kind != KeyEventKind::Release => self.model.handle_key(key, now()),
            Event::Paste(text) => {
                self.model.handle_paste(&text);
                None
            }
            _ => None,
        };
        match ask {
            None => {}
            Some(Ask::Leave) => return Ok(Some(Exit::Done)),
            Some(Ask::Interrupt) => return Ok(Some(Exit::Interrupted)),
            Some(Ask::Redraw) => taken.draw_anew()?,
            Some(Ask::Export(path)) => {
                let words = export(&self.model.held, &path);
                self.model.say(words);
            }
            Some(Ask::Suspend) => {
                give_back();
                self.is_suspended = true;
                // As the key does elsewhere: the whole job stops, and the shell says when it goes on.
                kill_current_process_group(Signal::TSTP)?;
            }
        }
        Ok(None)
    }

    fn go_on_if_suspended(&mut self, taken: &mut Taken) -> io::Result<()> {
        if self.is_suspended { self.go_on(taken) } else { Ok(()) }
    }

    fn go_on(&mut self, taken: &mut Taken) -> io::Result<()> {
        self.is_suspended = false;
        self.is_stale = true;
        taken.take_again()
    }
}

/// The next key, paste or change of size; none if there is no terminal any more.
async fn next(keys: &mut EventStream) -> Option<io::Result<Event>> {
    poll_fn(|context| Pin::new(&mut *keys).poll_next(context)).await
}

/// Waits for one of the signals.
async fn first([one, two, three]: &mut [Signals; 3]) {
    tokio::select! {
        _ = one.recv() => {}
        _ = two.recv() => {}
        _ = three.recv() => {}
    }
}
