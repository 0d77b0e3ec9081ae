//! `doctor`: one look at a live cluster.

use std::{
    io::{self, Write as _},
    time::{Duration, Instant},
};

use serde::Serialize;
use tokio::time::sleep;

use super::{Ended, Exit};
use crate::{
    cli::{DoctorArgs, DoctorOutput},
    doctor::{self, Api, ApiError, Finding, Outcome},
    policy::{Policy, PolicySet, SourceError},
    text::visible,
};

/// The time between two looks.
const PAUSE: Duration = Duration::from_secs(2);

/// The reason why nothing can be said.
#[derive(Debug, thiserror::Error)]
enum DoctorError {
    #[error(transparent)]
    Api(#[from] ApiError),
    #[error(transparent)]
    Policy(#[from] SourceError),
    #[error("it is not clear which policy fits; doctor --before says why")]
    NoAdvice,
    #[error("the runtime cannot start: {0}")]
    Runtime(io::Error),
    #[error("the findings cannot be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error("standard output: {0}")]
    Output(#[from] io::Error),
}

/// All findings of one look.
#[derive(Serialize)]
struct Look {
    outcome: Outcome,
    findings: Vec<Finding>,
}

/// Exit 0: nothing failed, 1: something did.
pub(super) fn run(args: &DoctorArgs) -> Ended {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(DoctorError::Runtime)?;
    Ok(runtime.block_on(look(args))?)
}

async fn look(args: &DoctorArgs) -> Result<Exit, DoctorError> {
    let api = Api::new(args.kubeconfig.as_deref(), args.context.as_deref()).await?;
    let mut out = io::stdout().lock();
    if args.print_policy {
        let (_, advice) = doctor::before(&doctor::read(&api).await?, &[]);
        out.write_all(advice.ok_or(DoctorError::NoAdvice)?.policy()?.as_bytes())?;
        return Ok(Exit::Yes);
    }
    let begun = Instant::now();
    let look = loop {
        let look = once(&api, args).await;
        let failed = look.as_ref().map_or(true, |look| look.outcome == Outcome::Failed);
        if !failed || args.wait.is_none_or(|wait| begun.elapsed() + PAUSE > wait) {
            break look?;
        }
        sleep(PAUSE).await;
    };
    match args.output {
        DoctorOutput::Json => writeln!(out, "{}", serde_json::to_string_pretty(&look)?)?,
        DoctorOutput::Text => print(&mut out, &look)?,
    }
    Ok(Exit::yes_if(look.outcome != Outcome::Failed))
}

async fn once(api: &Api, args: &DoctorArgs) -> Result<Look, DoctorError> {
    let snapshot = doctor::read(api).await?;
    let (of_guard, set) = if args.before { (Vec::new(), None) } else { doctor::after(&snapshot) };
    let policies: Vec<&Policy> = set.iter().flat_map(PolicySet::policies).map(AsRef::as_ref).collect();
    let (mut findings, _) = doctor::before(&snapshot, &policies);
    findings.extend(of_guard);
    if args.proof {
        findings.extend(doctor::proof(api, &snapshot, &policies).await?);
    }
    let outcome = findings.iter().map(|finding| finding.outcome).max().unwrap_or(Outcome::Ok);
    Ok(Look { outcome, findings })
}

/// A line for each finding, and for all but the good ones the page to read.
fn print(out: &mut impl io::Write, look: &Look) -> io::Result<()> {
    for Finding { outcome, check, message, page } in &look.findings {
        writeln!(out, "{:9}{check:14}{}", word(*outcome), visible(message))?;
        if *outcome != Outcome::Ok {
            writeln!(out, "{:23}see {page}", "")?;
        }
    }
    let count = |wanted| look.findings.iter().filter(|finding| finding.outcome == wanted).count();
    let (failed, warnings) = (count(Outcome::Failed), count(Outcome::Warning));
    writeln!(out, "{} checks: {failed} failed, {warnings} warnings", look.findings.len())
}

fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Ok => "ok",
        Outcome::Warning => "warning",
        Outcome::Failed => "failed",
    }
}
