//! For people: a line for each suite, the cases that fail with what was expected beside what came, and a last line.

use std::{
    fmt,
    io::{self, Write},
};

use crate::{
    suites::{
        coverage::Coverage,
        run::{Actual, CaseReport, Run, SuiteReport},
    },
    text::visible,
};

/// The style of a text.
#[derive(Debug, Clone, Copy)]
pub struct Styles {
    /// True if it is coloured.
    pub color: bool,
}

/// A text in a colour.
struct Styled<T> {
    text: T,
    /// The parameters of `SGR`; none where nothing is coloured.
    code: Option<&'static str>,
}

impl<T: fmt::Display> fmt::Display for Styled<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code {
            Some(code) => write!(f, "\x1b[{code}m{}\x1b[0m", self.text),
            None => self.text.fmt(f),
        }
    }
}

impl Styles {
    fn good<T>(self, text: T) -> Styled<T> {
        Styled { text, code: self.color.then_some("32") }
    }

    fn bad<T>(self, text: T) -> Styled<T> {
        Styled { text, code: self.color.then_some("31") }
    }

    fn faint<T>(self, text: T) -> Styled<T> {
        Styled { text, code: self.color.then_some("2") }
    }
}

/// Writes the report.
pub fn text(run: &Run<'_>, coverage: &[Coverage], styles: Styles, out: &mut impl Write) -> io::Result<()> {
    for report in &run.suites {
        suite(report, styles, out)?;
    }
    for coverage in coverage {
        let Coverage { policy_name, parts, exercised, gaps } = coverage;
        let policy_name = visible(policy_name);
        writeln!(out, "\nCoverage of {policy_name}: {exercised} of {parts} parts exercised both ways")?;
        for gap in gaps {
            writeln!(out, "  {}", visible(&gap.to_string()))?;
        }
    }
    let (counts, bad) = (run.counts(), run.bad_files());
    let passed = format!("{} passed", counts.passed);
    let failed = format!("{} failed", counts.failed);
    let begins = run.suites.is_empty() && coverage.is_empty();
    write!(
        out,
        "{}{}, ",
        if begins { "" } else { "\n" },
        if counts.passed > 0 { styles.good(passed) } else { styles.faint(passed) }
    )?;
    write!(out, "{}", if counts.failed > 0 { styles.bad(failed) } else { styles.faint(failed) })?;
    if counts.not_run > 0 {
        write!(out, ", {} not run", counts.not_run)?;
    }
    if bad > 0 {
        let bad = format!("{bad} bad {}", if bad == 1 { "file" } else { "files" });
        write!(out, ", {}", styles.bad(bad))?;
    }
    writeln!(out, " {}", styles.faint(format!("in {:.2} s", run.elapsed.as_secs_f64())))
}

fn suite(report: &SuiteReport<'_>, styles: Styles, out: &mut impl Write) -> io::Result<()> {
    let counts = report.counts();
    write!(out, "{}  {}: ", mark(counts.failed > 0, styles), visible(&report.suite.name))?;
    write!(out, "{} passed", counts.passed)?;
    if counts.failed > 0 {
        write!(out, ", {} failed", counts.failed)?;
    }
    if counts.not_run > 0 {
        write!(out, ", {} not run", counts.not_run)?;
    }
    let about_nothing = |case: &&CaseReport<'_>| case.actual.as_ref().is_some_and(|actual| !actual.applicable);
    let about_nothing = report.cases.iter().filter(about_nothing).count();
    if about_nothing > 0 {
        write!(out, " ({about_nothing} not applicable: allowed, since the policy is not about the resource)")?;
    }
    writeln!(out)?;
    for case in report.cases.iter().filter(|case| case.failed()) {
        failure(case, styles, out)?;
    }
    Ok(())
}

fn mark(failed: bool, styles: Styles) -> Styled<&'static str> {
    if failed { styles.bad("FAIL") } else { styles.good("PASS") }
}

fn failure(report: &CaseReport<'_>, styles: Styles, out: &mut impl Write) -> io::Result<()> {
    let Some(actual) = &report.actual else { return Ok(()) };
    write!(out, "  {}  {}", mark(true, styles), report.case.name)?;
    if let Some((line, _)) = report.case.at {
        write!(out, " {}", styles.faint(format!("(line {line})")))?;
    }
    writeln!(out)?;
    let rows = rows(report, actual);
    let width = rows.iter().map(|(expected, _)| expected.chars().count()).max().unwrap_or_default();
    let width = width.max("expected".len());
    writeln!(out, "          {:width$} | actual", "expected")?;
    for (expected, actual) in rows {
        // Padded before it is coloured: what colours takes no room.
        let padded = format!("{expected:width$}");
        if expected == actual {
            writeln!(out, "          {padded} | {actual}")?;
        } else {
            write!(out, "        {} {} |", styles.bad("!"), styles.good(padded))?;
            if !actual.is_empty() {
                write!(out, " {}", styles.bad(actual))?;
            }
            writeln!(out)?;
        }
    }
    if let Some(detail) = &actual.detail {
        writeln!(out, "          {}", visible(detail))?;
    }
    Ok(())
}

/// The expected and the actual outcome side by side, the same fields in the same row.
fn rows<'r>(report: &'r CaseReport<'_>, actual: &'r Actual) -> Vec<(&'r str, &'r str)> {
    let mut rows = vec![(report.case.expected.name(), actual.verdict.name())];
    let mut fields: Vec<_> = report.case.fields.iter().chain(&actual.fields).collect();
    fields.sort();
    fields.dedup();
    let side = |side: &[String], field: &'r String| if side.contains(field) { field.as_str() } else { "" };
    rows.extend(fields.into_iter().map(|field| (side(&report.case.fields, field), side(&actual.fields, field))));
    rows
}
