//! Runs cases, and tells what became of them.

use std::time::Duration;

use super::{
    case::{Case, CaseError},
    find::Found,
    load::Suite,
    problem::Problem,
    words::Expectation,
};
use crate::{
    admission::{self, Outcome},
    documents::review::Subject,
    policy::{Policy, ValidationAction},
};

/// The selection of cases.
#[derive(Debug, Clone, Copy, Default)]
pub struct Selection<'a> {
    /// Only those with this text in `SUITE :: CASE`.
    pub filter: Option<&'a str>,
    /// None after the first that fails.
    pub fail_fast: bool,
}

impl Selection<'_> {
    /// True if this case is among them.
    #[must_use]
    pub fn selects(&self, suite: &Suite, case: &Case) -> bool {
        self.filter.is_none_or(|text| full_name(suite, case).contains(text))
    }
}

/// The name of a case among those of all suites.
#[must_use]
pub(super) fn full_name(suite: &Suite, case: &Case) -> String {
    format!("{} :: {}", suite.name, case.name)
}

/// The result of a run.
#[derive(Debug)]
pub struct Run<'s> {
    /// The suites with a case that was selected.
    pub suites: Vec<SuiteReport<'s>>,
    /// The problems of the suites that were not run.
    pub problems: Vec<Problem>,
    /// The duration of the run.
    pub elapsed: Duration,
}

/// The result of a suite.
#[derive(Debug)]
pub struct SuiteReport<'s> {
    /// The suite.
    pub suite: &'s Suite,
    /// The cases that were selected.
    pub cases: Vec<CaseReport<'s>>,
}

/// The result of a case.
#[derive(Debug)]
pub struct CaseReport<'s> {
    /// The case.
    pub case: &'s Case,
    /// The actual outcome; none if an earlier failure ended the run.
    pub actual: Option<Actual>,
}

/// The policy's verdict on a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actual {
    /// The verdict on the request.
    pub verdict: Expectation,
    /// The fields that are violated, sorted.
    pub fields: Vec<String>,
    /// The reason why the policy does not apply or the request is bad.
    pub detail: Option<String>,
    /// True if the policy lists the resource.
    pub applicable: bool,
}

/// The numbers of cases by their results.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) passed: usize,
    pub(super) failed: usize,
    pub(super) not_run: usize,
}

impl CaseReport<'_> {
    /// True if the case came to what it expects.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.actual.as_ref().is_some_and(|actual| actual.is(self.case))
    }

    /// True if the case came to something else.
    #[must_use]
    pub fn failed(&self) -> bool {
        self.actual.as_ref().is_some_and(|actual| !actual.is(self.case))
    }
}

impl SuiteReport<'_> {
    pub(super) fn counts(&self) -> Counts {
        let passed = self.cases.iter().filter(|case| case.passed()).count();
        let failed = self.cases.iter().filter(|case| case.failed()).count();
        Counts { passed, failed, not_run: self.cases.len() - passed - failed }
    }

    /// True if every case of the suite was run, and the policy was about none of them. They would pass under any policy.
    fn is_about_nothing(&self) -> bool {
        self.cases.len() == self.suite.cases.len()
            && self.cases.iter().all(|case| case.actual.as_ref().is_some_and(|actual| !actual.applicable))
    }
}

impl<'s> Run<'s> {
    /// Runs what is selected of the suites that were found, and calls `progress` after each case.
    #[must_use]
    pub fn new(found: &'s Found, selection: Selection<'_>, mut progress: impl FnMut()) -> Self {
        let mut run = Self { suites: Vec::new(), problems: found.problems.clone(), elapsed: Duration::ZERO };
        let mut goes_on = true;
        for suite in &found.suites {
            let selected = suite.cases.iter().filter(|case| selection.selects(suite, case));
            let cases = selected.map(|case| {
                let actual = if goes_on { Some(Actual::of(suite, case)?) } else { None };
                progress();
                let report = CaseReport { case, actual };
                goes_on &= !(selection.fail_fast && report.failed());
                Ok(report)
            });
            let report = match cases.collect::<Result<Vec<_>, CaseError>>() {
                Ok(cases) if cases.is_empty() => continue,
                Ok(cases) => SuiteReport { suite, cases },
                Err(error) => {
                    run.problems.push(Problem::of_file(&suite.file, error));
                    continue;
                }
            };
            if report.is_about_nothing() {
                let detail = report.cases[0].actual.as_ref().and_then(|actual| actual.detail.as_deref());
                let message = format!("no case tests anything: {}", detail.unwrap_or_default());
                run.problems.push(Problem::of_file(&suite.file, message));
            } else {
                run.suites.push(report);
            }
        }
        run
    }

    /// True if some case failed.
    #[must_use]
    pub fn failed(&self) -> bool {
        self.suites.iter().any(|suite| suite.counts().failed > 0)
    }

    /// True if every case that was selected was run.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.suites.iter().all(|suite| suite.counts().not_run == 0)
    }

    pub(super) fn counts(&self) -> Counts {
        let mut all = Counts::default();
        for Counts { passed, failed, not_run } in self.suites.iter().map(SuiteReport::counts) {
            all.passed += passed;
            all.failed += failed;
            all.not_run += not_run;
        }
        all
    }

    /// The number of bad files.
    pub(super) fn bad_files(&self) -> usize {
        let mut files: Vec<_> = self.problems.iter().map(|problem| &problem.file).collect();
        files.sort();
        files.dedup();
        files.len()
    }
}

impl Actual {
    /// Judges a case by the suite's policy.
    pub(super) fn of(suite: &Suite, case: &Case) -> Result<Self, CaseError> {
        let review = case.review(suite.base.as_ref(), &suite.policy)?;
        Ok(Self::judged(&review, &suite.policy))
    }

    /// Judges a review by a policy, as the webhook does.
    pub(super) fn judged(review: &str, policy: &Policy) -> Self {
        let plain = |verdict| Self { verdict, fields: Vec::new(), detail: None, applicable: true };
        let answer = match admission::answer(review.as_bytes(), policy) {
            Ok(answer) => answer,
            // HTTP 400, and no review to answer with.
            Err(error) => return Self { detail: Some(error.to_string()), ..plain(Expectation::BadRequest) },
        };
        match answer.decision.outcome {
            Outcome::Allowed => plain(Expectation::Allowed),
            Outcome::NotApplicable => {
                let resource = Subject::of(review).resource();
                let detail = Some(format!("the policy {} is not about {resource}", policy.name()));
                Self { detail, applicable: false, ..plain(Expectation::Allowed) }
            }
            Outcome::BadRequest => {
                let detail = answer.response.status.and_then(|status| status.message);
                Self { detail, ..plain(Expectation::BadRequest) }
            }
            outcome @ (Outcome::Denied | Outcome::Tolerated) => {
                let verdict = if outcome == Outcome::Denied {
                    Expectation::Denied
                } else if policy.actions.contains(&ValidationAction::Warn) {
                    Expectation::Warned
                } else {
                    Expectation::Audited
                };
                let fields = answer.decision.violations.first.into_iter().map(|violation| violation.path).collect();
                Self { fields, ..plain(verdict) }
            }
        }
    }

    /// True if it is what the case expects.
    pub(super) fn is(&self, case: &Case) -> bool {
        self.verdict == case.expected && self.fields == case.fields
    }
}
