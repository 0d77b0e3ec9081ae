//! `test`: the tests of a policy.

use std::{
    env, fmt,
    fs::File,
    io::{self, BufWriter, IsTerminal as _, Write},
    path::{Path, PathBuf},
    time::Instant,
};

use super::{Ended, Exit, progress::Progress, say};
use crate::{
    cli::{Color, Report, TestArgs},
    suites::{self, Coverage, Found, InitError, Run, Selection, Styles},
    text::visible,
};

/// Exit 0: every case passes, 1: some do not, 2: a suite is bad or there was nothing to run.
pub(super) fn run(args: &TestArgs) -> Ended {
    Ok(match (&args.init, args.list) {
        (Some(folder), _) => init(folder, &args.policy)?,
        (None, true) => list(args)?,
        (None, false) => test(args)?,
    })
}

/// The reason why nothing was run.
#[derive(Debug, thiserror::Error)]
enum TestError {
    #[error(transparent)]
    Init(#[from] InitError),
    #[error("no suite in {}: a suite is a YAML or JSON file of kind PolicyTest; --init DIR writes a first one", Paths(.0))]
    NoSuite(Vec<PathBuf>),
    #[error("--filter {0}: no case is called so; --list shows their names")]
    NoCase(String),
    #[error("--output-file {}: {source}", file.display())]
    OutputFile { file: PathBuf, source: io::Error },
    #[error("standard output: {0}")]
    Output(#[from] io::Error),
}

/// Paths in a sentence.
struct Paths<'a>(&'a [PathBuf]);

impl fmt::Display for Paths<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, path) in self.0.iter().enumerate() {
            write!(f, "{}{}", if at == 0 { "" } else { ", " }, path.display())?;
        }
        Ok(())
    }
}

fn init(folder: &Path, policy: &str) -> Result<Exit, TestError> {
    for path in suites::init(folder, policy)? {
        say(format_args!("wrote {}", path.display()));
    }
    say(format_args!("next: pytorchjob-guard test {}", folder.display()));
    Ok(Exit::Yes)
}

/// Reads the suites at the paths, and writes their problems to standard error.
fn found(args: &TestArgs) -> Result<Found, TestError> {
    let found = suites::find(&args.paths);
    for problem in &found.problems {
        say(format_args!("error: {problem}"));
    }
    if found.suites.is_empty() && found.problems.is_empty() {
        return Err(TestError::NoSuite(args.paths.clone()));
    }
    Ok(found)
}

fn selection(args: &TestArgs) -> Selection<'_> {
    Selection { filter: args.filter.as_deref(), fail_fast: args.fail_fast }
}

/// The number of selected cases: at least one, unless all suites are bad.
fn selected(args: &TestArgs, found: &Found) -> Result<usize, TestError> {
    let selection = selection(args);
    let of_suite = |suite: &suites::Suite| suite.cases.iter().filter(|case| selection.selects(suite, case)).count();
    match (found.suites.iter().map(of_suite).sum(), &args.filter) {
        (0, Some(filter)) if !found.suites.is_empty() => Err(TestError::NoCase(filter.clone())),
        (count, _) => Ok(count),
    }
}

fn list(args: &TestArgs) -> Result<Exit, TestError> {
    let found = found(args)?;
    selected(args, &found)?;
    let mut out = BufWriter::new(io::stdout().lock());
    for suite in &found.suites {
        for case in suite.cases.iter().filter(|case| selection(args).selects(suite, case)) {
            writeln!(out, "{} :: {}", visible(&suite.name), case.name)?;
        }
    }
    out.flush()?;
    Ok(if found.problems.is_empty() { Exit::Yes } else { Exit::BadInput })
}

fn test(args: &TestArgs) -> Result<Exit, TestError> {
    let begun = Instant::now();
    let found = found(args)?;
    let cases = selected(args, &found)? as u64;
    let progress = Progress::new(Some(cases), "{bar:40} {pos}/{len} cases, {eta} left", begun);
    let mut run = Run::new(&found, selection(args), || progress.step(1));
    progress.end();
    for problem in &run.problems[found.problems.len()..] {
        say(format_args!("error: {problem}"));
    }
    // A run that ended early says nothing of what its other cases exercise.
    let coverage =
        if (args.coverage || args.require_coverage) && run.is_complete() { Coverage::of(&run) } else { Vec::new() };
    run.elapsed = begun.elapsed();
    report(args, &run, &coverage)?;
    let is_missing = args.require_coverage && coverage.iter().any(|coverage| !coverage.gaps.is_empty());
    Ok(if !run.problems.is_empty() {
        Exit::BadInput
    } else if run.failed() || is_missing {
        Exit::No
    } else {
        Exit::Yes
    })
}

fn report(args: &TestArgs, run: &Run<'_>, coverage: &[Coverage]) -> Result<(), TestError> {
    let (mut out, color) = (BufWriter::new(io::stdout().lock()), is_colored(args.color));
    if let Some(file) = &args.output_file {
        let failed = |source| TestError::OutputFile { file: file.clone(), source };
        let mut written = BufWriter::new(File::create(file).map_err(failed)?);
        write(args.output, run, coverage, false, &mut written).and_then(|()| written.flush()).map_err(failed)?;
        write(Report::Text, run, coverage, color, &mut out)?;
        return Ok(out.flush()?);
    }
    write(args.output, run, coverage, color, &mut out)?;
    // JUnit has no place for it.
    if args.output == Report::Junit {
        for coverage in coverage {
            for gap in &coverage.gaps {
                say(format_args!("coverage of {}: {gap}", coverage.policy_name));
            }
        }
    }
    Ok(out.flush()?)
}

fn write(output: Report, run: &Run<'_>, coverage: &[Coverage], color: bool, out: &mut impl Write) -> io::Result<()> {
    match output {
        Report::Text => suites::text(run, coverage, Styles { color }, out),
        Report::Json => suites::json(run, coverage, out),
        Report::Junit => suites::junit(run, out),
        Report::Tap => suites::tap(run, coverage, out),
    }
}

/// <https://no-color.org> and <https://bixense.com/clicolors>.
fn is_colored(color: Color) -> bool {
    let is_set = |name: &str| env::var_os(name).is_some_and(|value| !value.is_empty() && value != "0");
    match color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto if env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()) => false,
        Color::Auto if is_set("CLICOLOR_FORCE") => true,
        Color::Auto => io::stdout().is_terminal() && env::var_os("TERM").is_none_or(|term| term != "dumb"),
    }
}
