//! A report as text, Markdown or JSON.

use std::{
    fmt::Write as _,
    io::{self, Write},
};

use super::report::{Example, Report, Row, Table};
use crate::text::visible;

/// The rows of a table for people. The rest is counted.
const MOST_ROWS: usize = 20;

/// Writes the tables for a terminal.
pub fn text(report: &Report, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "{}", summary(report))?;
    for (title, table) in tables(report) {
        let rows = table.sorted();
        let shown = &rows[..rows.len().min(MOST_ROWS)];
        let width = shown.iter().map(|row| visible(&row.name).chars().count()).max().unwrap_or_default();
        let width = width.max(title.len());
        writeln!(out, "\n{:width$}  DENIED  TOLERATED  EXAMPLE", title.to_uppercase())?;
        for Row { name, counts, example } in shown {
            let (name, example) = (visible(name), example_line(title, example));
            writeln!(out, "{name:width$}  {:>6}  {:>9}  {example}", counts.denied, counts.tolerated)?;
        }
        if let Some(rest) = rest(table, rows.len()) {
            writeln!(out, "{rest}")?;
        }
    }
    Ok(())
}

/// Writes the tables in Markdown.
pub fn markdown(report: &Report, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "# Denied and tolerated updates\n\n{}", summary(report))?;
    for (title, table) in tables(report) {
        let rows = table.sorted();
        writeln!(out, "\n## By {title}\n\n| {title} | denied | tolerated | example |\n|---|---:|---:|---|")?;
        for Row { name, counts, example } in rows.iter().take(MOST_ROWS) {
            let (name, example) = (cell(name), cell(&example_line(title, example)));
            writeln!(out, "| {name} | {} | {} | {example} |", counts.denied, counts.tolerated)?;
        }
        if let Some(rest) = rest(table, rows.len()) {
            writeln!(out, "\n{rest}")?;
        }
    }
    Ok(())
}

/// Writes everything as one JSON object.
pub fn json(report: &Report, out: &mut impl Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, report)?;
    writeln!(out)
}

/// The tables that say something: where there is one policy, there is nothing to compare.
fn tables(report: &Report) -> impl Iterator<Item = (&'static str, &Table)> {
    let Report { users, fields, namespaces, policies, days, .. } = report;
    let all = [("user", users), ("field", fields), ("namespace", namespaces), ("policy", policies), ("day", days)];
    all.into_iter().filter(|(title, table)| match table.len() {
        0 => false,
        1 => *title != "policy",
        _ => true,
    })
}

fn summary(report: &Report) -> String {
    let updates = |count: u64| format!("{count} update{}", if count == 1 { "" } else { "s" });
    let mut text = match (&report.from, &report.to) {
        (Some(from), Some(to)) => format!("{} to {}: ", visible(from), visible(to)),
        _ => String::new(),
    };
    // Writing to a string cannot fail.
    let _ = write!(text, "{} denied, {} tolerated", updates(report.counts.denied), report.counts.tolerated);
    text.push_str(if report.counts.tolerated > 0 { ", which Deny would deny." } else { "." });
    if report.dry_runs > 0 {
        let _ = write!(text, " Not counted: dry runs ({}).", report.dry_runs);
    }
    text
}

/// The number of names that a table for people leaves out.
fn rest(table: &Table, rows: usize) -> Option<String> {
    let beyond = table.others.sum();
    match (rows.saturating_sub(MOST_ROWS), beyond) {
        (0, 0) => None,
        (more, 0) => Some(format!("and {more} more: -o json has all of them")),
        (more, beyond) => Some(format!("and {more} more, and {beyond} updates of names that were too many to count")),
    }
}

/// An update on one line, without what the row's name says of it.
fn example_line(title: &str, example: &Example) -> String {
    let Example { time, user, namespace, name, subresource, fields, .. } = example;
    let mut line = format!("{} {namespace}/{name}", time.split('.').next().unwrap_or_default());
    if !subresource.is_empty() {
        line = line + "/" + subresource;
    }
    if title != "user" {
        line = line + " by " + user;
    }
    match &fields[..] {
        _ if title == "field" => {}
        [] => {}
        [field] => line = line + ": " + field,
        [field, more @ ..] => line = format!("{line}: {field} and {} more", more.len()),
    }
    visible(&line)
}

/// A text as a cell of a Markdown table.
fn cell(text: &str) -> String {
    let text = visible(text).replace('\\', "\\\\").replace('|', "\\|").replace('`', "\\`").replace('<', "&lt;");
    text.replace('*', "\\*").replace('_', "\\_").replace('[', "\\[")
}
