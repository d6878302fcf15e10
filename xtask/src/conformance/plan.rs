//! What a run of the suite is to do, read from the options of the command line, with the text that
//! explains them. It runs nothing.

use std::{fmt, thread};

use crate::conformance::peer::Build;

/// The options, for people.
pub(crate) const USAGE: &str = "\
cargo xtask conformance [--server | --client] [--quick | --cases LIST] [--slice BYTES] [--jobs N] [--update]
  --server, --client  only this side; otherwise both
  --quick             without 9.* (sizes), one case of each group of 12.* and 13.* (compression)
  --cases LIST        only these, as in 1,6.4,'7.*'
  --slice BYTES       through a relay that writes so many bytes at a time
  --jobs N            that many fuzzers at a time; one for each processor unless said
  --update            write the verdicts into tests/conformance/results";

/// The side of ours that is tested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Server,
    Client,
}

impl Side {
    /// The example that speaks for it.
    pub(crate) fn example(self) -> &'static str {
        match self {
            Self::Server => "echo_server",
            Self::Client => "autobahn_client",
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Server => "server",
            Self::Client => "client",
        })
    }
}

/// The cases to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Cases {
    All,
    Quick,
    /// In the suite's form, handed on as it is.
    Listed(String),
}

/// A run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) sides: Vec<Side>,
    pub(crate) cases: Cases,
    pub(crate) build: Build,
    /// Bytes of a write, if a relay is to slice what passes.
    pub(crate) slice: Option<usize>,
    pub(crate) jobs: usize,
    pub(crate) update: bool,
}

impl Plan {
    /// All cases, both sides.
    pub(crate) fn whole() -> Self {
        let jobs = thread::available_parallelism().map_or(1, usize::from);
        let sides = vec![Side::Server, Side::Client];
        Self { sides, cases: Cases::All, build: Build::Release, slice: None, jobs, update: false }
    }

    /// The plan of these options, or a sentence about the one that is wrong.
    pub(crate) fn read(options: &[String]) -> Result<Self, String> {
        let mut plan = Self::whole();
        let mut options = options.iter().map(String::as_str);
        while let Some(option) = options.next() {
            let mut value = || options.next().ok_or_else(|| format!("{option} wants a value"));
            match option {
                "--server" => plan.sides = vec![Side::Server],
                "--client" => plan.sides = vec![Side::Client],
                "--quick" => plan.cases = Cases::Quick,
                "--cases" => plan.cases = Cases::Listed(value()?.to_owned()),
                "--slice" => plan.slice = Some(positive(option, value()?)?),
                "--jobs" => plan.jobs = positive(option, value()?)?,
                "--update" => plan.update = true,
                _ => return Err(format!("there is no option `{option}`")),
            }
        }
        Ok(plan)
    }
}

fn positive(option: &str, value: &str) -> Result<usize, String> {
    let number = value.parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| format!("{option} wants a number above 0, not `{value}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(options: &str) -> Result<Plan, String> {
        let options: Vec<String> = options.split_whitespace().map(str::to_owned).collect();
        Plan::read(&options)
    }

    #[test]
    fn without_options_everything_runs() {
        assert_eq!(read("").unwrap(), Plan::whole());
    }

    #[test]
    fn options_narrow_the_run() {
        let plan = read("--client --cases 1,6.4 --slice 1 --jobs 3 --update").unwrap();
        assert_eq!(plan.sides, [Side::Client]);
        assert_eq!(plan.cases, Cases::Listed("1,6.4".to_owned()));
        assert_eq!((plan.slice, plan.jobs, plan.update), (Some(1), 3, true));
        assert_eq!(read("--server --quick").unwrap().cases, Cases::Quick);
    }

    #[test]
    fn what_is_wrong_is_named() {
        assert_eq!(read("--fast").unwrap_err(), "there is no option `--fast`");
        assert_eq!(read("--cases").unwrap_err(), "--cases wants a value");
        assert_eq!(read("--jobs 0").unwrap_err(), "--jobs wants a number above 0, not `0`");
    }
}
