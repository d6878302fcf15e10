//! `tidegate replay FILE URL`: a recorded client's messages again, and how what comes differs from what came then.
//!
//! Each connection of the recording is a task of its own that begins when it began then; what they do is told in `report`.

mod request;

mod report;

mod player;

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use tidegate_inspect::head::Secrets;
use tidegate_inspect::replay::{Script, Scripts};
use tidegate_inspect::timestamp::Timestamp;
use tidegate_inspect::words::known;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::{JoinSet, LocalSet};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until};

use crate::arguments::{Replay, Speed};
use crate::exit::{Exit, Failure, say};
use crate::recorded;
use crate::terminal::escape;
use player::{Ended, Plan, play};
use report::Report;
use request::Request;

/// Connections at a time.
const CONNECTIONS_MAX: usize = 1000;

/// How often it is said how far it is.
const PROGRESS_TIME: Duration = Duration::from_secs(5);

pub(crate) fn run(arguments: &Replay) -> Result<Exit, Failure> {
    let scripts = scripts(arguments)?;
    let played = scripts
        .into_iter()
        .map(|script| Ok((Request::new(arguments, &script)?, script)))
        .collect::<Result<Vec<_>, Failure>>()?;
    let messages = played.iter().map(|(_, script)| report::messages(script)).sum();
    let report = Rc::new(Report::new(arguments.json, played.len(), messages));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::of(known::SYSTEM, error))?;
    let outcome = LocalSet::new().block_on(&runtime, replay(arguments, played, &report));
    // A name that is still being resolved is not waited for.
    runtime.shutdown_background();
    let exit = outcome.as_ref().map_or_else(|failure| failure.exit, |exit| *exit);
    report.end(exit);
    outcome
}

/// The scripts of the connections that are wanted.
fn scripts(arguments: &Replay) -> Result<Vec<Script>, Failure> {
    let file = &arguments.file;
    let mut scripts = Scripts::default();
    let mut wrong = None;
    recorded::read(file, Secrets::Show, &mut |event| {
        wrong = scripts.handle_event(&event).err();
        wrong.is_none()
    })
    .map_err(|failure| match failure.known {
        Some(known) if known == known::RECORDING_BROKEN => {
            failure.mend("a recording that is not whole is not sent")
        }
        _ => failure,
    })?;
    if let Some(wrong) = wrong {
        let failure =
            Failure::of(known::RECORDING_BROKEN, format!("{}: {}", escape(file), escape(&wrong.to_string())));
        return Err(failure
            .mend("record with --record, which keeps 16 MiB of each message, or name another --connection"));
    }
    let scripts = scripts.finish();
    let names: Vec<&str> = scripts.iter().take(20).map(|script| script.conn.as_str()).collect();
    let names = names.join(", ");
    let wanted: Vec<Script> = scripts
        .iter()
        .filter(|script| arguments.connection.as_ref().is_none_or(|name| *name == script.conn))
        .cloned()
        .collect();
    if let (Some(name), []) = (&arguments.connection, &*wanted) {
        let what = format!("{}: there is no connection {}", escape(file), escape(name));
        return Err(Failure::of(known::NOT_IN_RECORDING, what).mend(format!("it has {}", escape(&names))));
    }
    if wanted.is_empty() {
        let what = format!("{}: no WebSocket is in it", escape(file));
        return Err(Failure::of(known::NOT_REPLAYABLE, what)
            .mend(format!("tidegate inspect {} shows what is", escape(file))));
    }
    if wanted.len() > CONNECTIONS_MAX {
        let what =
            format!("{}: {} connections, and 1,000 can be opened at a time", escape(file), wanted.len());
        return Err(Failure::of(known::NOT_REPLAYABLE, what).mend("name one of them with --connection"));
    }
    Ok(wanted)
}

async fn replay(
    arguments: &Replay,
    scripts: Vec<(Request, Script)>,
    report: &Rc<Report>,
) -> Result<Exit, Failure> {
    let mut interrupts =
        signal(SignalKind::interrupt()).map_err(|error| Failure::of(known::SYSTEM, error))?;
    let plan = Rc::new(Plan::new(arguments));
    let began = Instant::now();
    let first = scripts.iter().map(|(_, script)| script.began).min().unwrap_or_default();
    let failed: Rc<RefCell<Option<Failure>>> = Rc::default();
    let mut players = JoinSet::new();
    for (request, script) in scripts {
        let begins = plan.due(began, first, script.began);
        let (plan, report) = (Rc::clone(&plan), Rc::clone(report));
        players.spawn_local(async move {
            sleep_until(begins).await;
            play(request, script, &plan, &report).await
        });
    }
    let mut progress = interval_at(began + PROGRESS_TIME, PROGRESS_TIME);
    progress.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut worst = Exit::Done;
    loop {
        tokio::select! {
            ended = players.join_next() => match ended {
                None => break,
                Some(Err(error)) => return Err(Failure::of(known::SYSTEM, error)),
                Some(Ok(Ended::Played)) => {}
                Some(Ok(Ended::Broken)) => worst = Exit::Protocol,
                Some(Ok(Ended::Failed(failure))) => {
                    if let Some(earlier) = failed.borrow_mut().replace(failure) {
                        say(&earlier);
                    }
                }
            },
            _ = progress.tick() => report.progress(began.elapsed()),
            _ = interrupts.recv() => return Ok(Exit::Interrupted),
        }
    }
    if let Some(failure) = failed.take() {
        return Err(failure);
    }
    let is_different = worst == Exit::Done && report.differences() > 0;
    Ok(if is_different { Exit::Expectation } else { worst })
}

impl Plan {
    fn new(arguments: &Replay) -> Self {
        let default = if arguments.in_step { Speed::Max } else { Speed::Times(1.0) };
        Self {
            speed: arguments.speed.unwrap_or(default),
            in_step: arguments.in_step,
            timeout: arguments.timeout,
            linger: arguments.linger,
            ignore: arguments.ignore.clone(),
            unordered: arguments.unordered,
        }
    }

    /// When something is due that happened at `at`, if what happened at `first` happens at `began` now.
    fn due(&self, began: Instant, first: Timestamp, at: Timestamp) -> Instant {
        let Speed::Times(times) = self.speed else { return began };
        let seconds = at.micros_since(first) as f64 / 1e6 / times;
        // A time that no clock has is as good as a year.
        let after = Duration::try_from_secs_f64(seconds)
            .unwrap_or(Duration::MAX)
            .min(Duration::from_secs(365 * 86_400));
        began + after
    }
}
