//! The output of one kubectl, and what the API server had answered it.

use std::process::Command;

use serde_json::{Value, json};

use crate::cluster::Violation;

/// A kubectl that has ended.
#[derive(Debug)]
pub(crate) struct Run {
    command: String,
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Run {
    /// Runs it so that it tells every answer of the API server.
    pub(crate) fn of(kubectl: &mut Command) -> Self {
        let output = kubectl.arg("-v=10").output().expect("kubectl can be run");
        Self {
            command: format!("{kubectl:?}"),
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Shows that it succeeded, and gives what it printed.
    pub(crate) fn accepted(&self) -> &str {
        assert_eq!(self.code, Some(0), "{} was to succeed, but said:\n{}{}", self.command, self.stdout, self.said());
        &self.stdout
    }

    /// Shows that the guard refused it for these fields, in this order: code, reason and causes of the API server's
    /// answer, and what kubectl made of them.
    pub(crate) fn rejected(&self, violations: &[Violation]) {
        assert_ne!(self.code, Some(0), "{} was to be refused, but said:\n{}{}", self.command, self.stdout, self.said());
        let status = self.status();
        let context = format!("{} said:\n{}\nThe API server answered: {status:#}", self.command, self.said());

        assert_eq!(status["code"], 422, "{context}");
        assert_eq!(status["reason"], "Invalid", "{context}");
        assert_eq!(status["details"]["name"], "pytorch-test", "{context}");
        let causes: Vec<Value> = violations
            .iter()
            .map(|(field, what)| json!({"reason": "FieldValueForbidden", "field": field, "message": message(what)}))
            .collect();
        assert_eq!(status["details"]["causes"], Value::Array(causes), "{context}");

        let lines: Vec<String> = violations.iter().map(|(field, what)| format!("{field}: {}", message(what))).collect();
        assert_eq!(self.complaints(), lines, "{context}");
        assert_eq!(self.warnings().len(), 1, "one warning says what can be changed; {context}");
    }

    /// The last refusal of the API server.
    pub(crate) fn status(&self) -> Value {
        // Until 1.31 kubectl logs a body in the line that says so, later on a line of its own.
        let body = |line: &'_ str| {
            let body = line.strip_prefix('\t').or_else(|| Some(line.split_once("] Response Body: ")?.1))?;
            body.starts_with("{\"kind\":\"Status\"").then(|| body.to_owned())
        };
        let answer = self.stderr.lines().filter_map(body).next_back();
        let answer = answer.unwrap_or_else(|| panic!("no Status in what {} said:\n{}", self.command, self.said()));
        serde_json::from_str(answer.trim()).expect("a Status is JSON")
    }

    /// The complaints about fields as the user reads them: one on the line of the heading, or each on a line of its own.
    pub(crate) fn complaints(&self) -> Vec<String> {
        let said = self.said();
        let Some((_, complaints)) = said.split_once("\" is invalid: ") else { return Vec::new() };
        complaints
            .lines()
            .map(|line| line.strip_prefix("* ").unwrap_or(line))
            .filter(|line| !line.is_empty())
            .map(str::to_owned)
            .collect()
    }

    /// The warnings of the API server.
    pub(crate) fn warnings(&self) -> Vec<&str> {
        self.stderr.lines().filter_map(|line| line.strip_prefix("Warning: ")).collect()
    }

    /// The lines that a user reads: no log lines, which start like `I1231 23:59:59`, and no bodies and headers, which are indented.
    pub(crate) fn said(&self) -> String {
        let is_log = |line: &str| {
            let mut characters = line.chars();
            characters.next().is_some_and(|first| "IWEF".contains(first))
                && characters.take(4).all(|c| c.is_ascii_digit())
        };
        let lines = self.stderr.lines();
        lines.filter(|line| !is_log(line) && !line.starts_with(['\t', ' '])).collect::<Vec<_>>().join("\n")
    }

    /// The output.
    pub(crate) fn stdout(&self) -> &str {
        &self.stdout
    }

    /// Everything it said, answers of the API server included.
    pub(crate) fn everything(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }

    /// Its exit code.
    pub(crate) fn code(&self) -> Option<i32> {
        self.code
    }
}

/// The message of a violation.
fn message(what: &str) -> String {
    format!("Forbidden: field is immutable {what}").trim_end().to_owned()
}
