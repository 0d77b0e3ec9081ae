//! A `PolicyTestReport`: what other programs read. Keys are added to it, none is taken away or given another meaning.

use std::io::{self, Write};

use serde::Serialize;

use crate::suites::{
    coverage::Coverage,
    problem::Problem,
    run::{CaseReport, Run, SuiteReport},
    words::Expectation,
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report<'r> {
    api_version: &'static str,
    kind: &'static str,
    summary: Summary,
    suites: Vec<Suite<'r>>,
    errors: Vec<Error<'r>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    coverage: Vec<PolicyCoverage<'r>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Summary {
    passed: usize,
    failed: usize,
    not_run: usize,
    bad_files: usize,
    seconds: f64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Suite<'r> {
    name: &'r str,
    policy: &'r str,
    passed: usize,
    failed: usize,
    not_run: usize,
    cases: Vec<Case<'r>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Case<'r> {
    name: &'r str,
    line: Option<u64>,
    result: Result,
    expected: Side<'r>,
    /// None where the case was not run.
    actual: Option<Side<'r>>,
}

#[derive(Serialize)]
enum Result {
    Passed,
    Failed,
    NotRun,
}

/// The expected or the actual outcome.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Side<'r> {
    outcome: Expectation,
    fields: &'r [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    applicable: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'r str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Error<'r> {
    file: &'r str,
    line: Option<u64>,
    column: Option<u64>,
    message: &'r str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PolicyCoverage<'r> {
    policy: &'r str,
    parts: usize,
    exercised: usize,
    gaps: Vec<Gap<'r>>,
}

#[derive(Serialize)]
struct Gap<'r> {
    part: &'r str,
    missing: &'r str,
}

/// Writes the report.
pub fn json(run: &Run<'_>, coverage: &[Coverage], out: &mut impl Write) -> io::Result<()> {
    let counts = run.counts();
    let report = Report {
        api_version: "pytorchjob-guard/v1",
        kind: "PolicyTestReport",
        summary: Summary {
            passed: counts.passed,
            failed: counts.failed,
            not_run: counts.not_run,
            bad_files: run.bad_files(),
            seconds: run.elapsed.as_secs_f64(),
        },
        suites: run.suites.iter().map(suite).collect(),
        errors: run.problems.iter().map(error).collect(),
        coverage: coverage.iter().map(policy_coverage).collect(),
    };
    serde_json::to_writer_pretty(&mut *out, &report)?;
    writeln!(out)
}

fn suite<'r>(report: &'r SuiteReport<'_>) -> Suite<'r> {
    let counts = report.counts();
    Suite {
        name: &report.suite.name,
        policy: &report.suite.policy_name,
        passed: counts.passed,
        failed: counts.failed,
        not_run: counts.not_run,
        cases: report.cases.iter().map(case).collect(),
    }
}

fn case<'r>(report: &'r CaseReport<'_>) -> Case<'r> {
    let case = report.case;
    Case {
        name: &case.name,
        line: case.at.map(|(line, _)| line),
        result: match (report.passed(), report.failed()) {
            (true, _) => Result::Passed,
            (_, true) => Result::Failed,
            _ => Result::NotRun,
        },
        expected: Side { outcome: case.expected, fields: &case.fields, applicable: None, detail: None },
        actual: report.actual.as_ref().map(|actual| Side {
            outcome: actual.verdict,
            fields: &actual.fields,
            applicable: Some(actual.applicable),
            detail: actual.detail.as_deref(),
        }),
    }
}

fn error(problem: &Problem) -> Error<'_> {
    let (line, column) = problem.at.unzip();
    Error { file: &problem.file, line, column, message: &problem.message }
}

fn policy_coverage(coverage: &Coverage) -> PolicyCoverage<'_> {
    PolicyCoverage {
        policy: &coverage.policy_name,
        parts: coverage.parts,
        exercised: coverage.exercised,
        gaps: coverage.gaps.iter().map(|gap| Gap { part: &gap.part, missing: &gap.missing }).collect(),
    }
}
