//! JUnit's XML, as CI systems read it. A bad file is a suite, and all that is wrong with it a case in error.

use std::io::{self, Write};

use quick_xml::{
    Writer,
    events::{BytesDecl, BytesText, Event},
};

use crate::suites::{
    problem::Problem,
    run::{Actual, CaseReport, Run, SuiteReport},
};

/// Writes the report.
pub fn junit(run: &Run<'_>, out: &mut impl Write) -> io::Result<()> {
    let counts = run.counts();
    let mut xml = Writer::new_with_indent(out, b' ', 2);
    xml.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    let tests = counts.passed + counts.failed + counts.not_run + run.problems.len();
    xml.create_element("testsuites")
        .with_attribute(("name", "pytorchjob-guard"))
        .with_attribute(("tests", tests.to_string().as_str()))
        .with_attribute(("failures", counts.failed.to_string().as_str()))
        .with_attribute(("errors", run.problems.len().to_string().as_str()))
        .with_attribute(("skipped", counts.not_run.to_string().as_str()))
        .with_attribute(("time", format!("{:.3}", run.elapsed.as_secs_f64()).as_str()))
        .write_inner_content(|xml| {
            for report in &run.suites {
                suite(report, xml)?;
            }
            run.problems.chunk_by(|one, next| one.file == next.file).try_for_each(|problems| bad_file(problems, xml))
        })?;
    writeln!(xml.into_inner())
}

fn suite<W: Write>(report: &SuiteReport<'_>, xml: &mut Writer<W>) -> io::Result<()> {
    let counts = report.counts();
    xml.create_element("testsuite")
        .with_attribute(("name", clean(&report.suite.name).as_str()))
        .with_attribute(("tests", report.cases.len().to_string().as_str()))
        .with_attribute(("failures", counts.failed.to_string().as_str()))
        .with_attribute(("errors", "0"))
        .with_attribute(("skipped", counts.not_run.to_string().as_str()))
        .write_inner_content(|xml| report.cases.iter().try_for_each(|case| self::case(report, case, xml)))?;
    Ok(())
}

fn case<W: Write>(suite: &SuiteReport<'_>, report: &CaseReport<'_>, xml: &mut Writer<W>) -> io::Result<()> {
    let (name, class) = (clean(&report.case.name), clean(&suite.suite.name));
    let mut element = xml
        .create_element("testcase")
        .with_attribute(("name", name.as_str()))
        .with_attribute(("classname", class.as_str()))
        .with_attribute(("file", clean(&suite.suite.file).as_str()));
    if let Some((line, _)) = report.case.at {
        element = element.with_attribute(("line", line.to_string().as_str()));
    }
    match &report.actual {
        Some(_) if report.passed() => element.write_empty()?,
        None => element.write_inner_content(|xml| {
            xml.create_element("skipped").with_attribute(("message", "a case before it failed")).write_empty()?;
            Ok(())
        })?,
        Some(actual) => element.write_inner_content(|xml| failure(report, actual, xml))?,
    };
    Ok(())
}

fn failure<W: Write>(report: &CaseReport<'_>, actual: &Actual, xml: &mut Writer<W>) -> io::Result<()> {
    let case = report.case;
    let message = if case.expected == actual.verdict {
        format!("{}, but for other fields than expected", actual.verdict.name())
    } else {
        format!("expected {}, got {}", case.expected.name(), actual.verdict.name())
    };
    let text = format!(
        "expected: {} [{}]\nactual:   {} [{}]\n{}",
        case.expected.name(),
        case.fields.join(", "),
        actual.verdict.name(),
        actual.fields.join(", "),
        actual.detail.as_deref().unwrap_or_default(),
    );
    xml.create_element("failure")
        .with_attribute(("type", actual.verdict.name()))
        .with_attribute(("message", message.as_str()))
        .write_text_content(BytesText::new(&clean(&text)))?;
    Ok(())
}

fn bad_file<W: Write>(problems: &[Problem], xml: &mut Writer<W>) -> io::Result<()> {
    let file = clean(problems.first().map_or("", |problem| &problem.file));
    let count = problems.len().to_string();
    xml.create_element("testsuite")
        .with_attribute(("name", file.as_str()))
        .with_attribute(("tests", count.as_str()))
        .with_attribute(("failures", "0"))
        .with_attribute(("errors", count.as_str()))
        .with_attribute(("skipped", "0"))
        .write_inner_content(|xml| problems.iter().try_for_each(|problem| self::problem(problem, xml)))?;
    Ok(())
}

fn problem<W: Write>(problem: &Problem, xml: &mut Writer<W>) -> io::Result<()> {
    let (name, file, message) = (clean(&problem.to_string()), clean(&problem.file), clean(&problem.message));
    let mut element = xml
        .create_element("testcase")
        .with_attribute(("name", name.as_str()))
        .with_attribute(("classname", file.as_str()))
        .with_attribute(("file", file.as_str()));
    if let Some((line, _)) = problem.at {
        element = element.with_attribute(("line", line.to_string().as_str()));
    }
    element.write_inner_content(|xml| {
        xml.create_element("error")
            .with_attribute(("type", "BadSuite"))
            .with_attribute(("message", message.as_str()))
            .write_empty()?;
        Ok(())
    })?;
    Ok(())
}

/// Without the characters that XML has no way to write; the library escapes the others.
fn clean(text: &str) -> String {
    let writable = |c: char| matches!(c, '\t' | '\n' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..);
    text.chars().map(|c| if writable(c) { c } else { '\u{fffd}' }).collect()
}
