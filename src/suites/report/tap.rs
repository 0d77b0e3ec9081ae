//! The Test Anything Protocol, version 14. A bad file is a test point of its own, so that the run does not pass.

use std::io::{self, Write};

use serde_json::{Value, json};

use crate::{
    suites::{
        coverage::Coverage,
        run::{CaseReport, Run, full_name},
    },
    text::visible,
};

/// Writes the report.
pub fn tap(run: &Run<'_>, coverage: &[Coverage], out: &mut impl Write) -> io::Result<()> {
    let cases = run.suites.iter().flat_map(|report| report.cases.iter().map(move |case| (report.suite, case)));
    writeln!(out, "TAP version 14")?;
    writeln!(out, "1..{}", cases.clone().count() + run.problems.len())?;
    let mut number = 0;
    for (suite, report) in cases {
        number += 1;
        let name = escaped(&full_name(suite, report.case));
        match &report.actual {
            None => writeln!(out, "ok {number} - {name} # SKIP a case before it failed")?,
            Some(_) if report.passed() => writeln!(out, "ok {number} - {name}")?,
            Some(_) => {
                writeln!(out, "not ok {number} - {name}")?;
                diagnostic(report, out)?;
            }
        }
    }
    for problem in &run.problems {
        number += 1;
        writeln!(out, "not ok {number} - {}", escaped(&problem.to_string()))?;
    }
    for coverage in coverage {
        for gap in &coverage.gaps {
            writeln!(out, "# {}", visible(&format!("coverage of {}: {gap}", coverage.policy_name)))?;
        }
    }
    Ok(())
}

/// A description ends with its line, and `#` begins a directive in it.
fn escaped(text: &str) -> String {
    visible(text).replace('\\', "\\\\").replace('#', "\\#")
}

/// A YAML block; what JSON writes on one line is YAML too.
fn diagnostic(report: &CaseReport<'_>, out: &mut impl Write) -> io::Result<()> {
    let Some(actual) = &report.actual else { return Ok(()) };
    let mut lines = vec![
        ("expected", json!({"outcome": report.case.expected, "fields": report.case.fields})),
        ("actual", json!({"outcome": actual.verdict, "fields": actual.fields})),
    ];
    if let Some(detail) = &actual.detail {
        lines.push(("detail", Value::from(detail.as_str())));
    }
    if let Some((line, _)) = report.case.at {
        lines.push(("line", Value::from(line)));
    }
    writeln!(out, "  ---")?;
    for (key, value) in lines {
        writeln!(out, "  {key}: {value}")?;
    }
    writeln!(out, "  ...")
}
