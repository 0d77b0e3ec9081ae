//! The parts of a policy that the cases exercise, in both directions.
//!
//! It is asked by changing the policy and judging the cases again, so that the answer is exact:
//!
//! - *Without it*: the part is taken out. Some case must fail.
//! - *Where it ends*: the part is made wider. Some case must fail that shows the narrower one. A mutable field becomes
//!   its whole parent, so a change beside it must be shown to be denied; an immutable field likewise, so a change beside
//!   it must be shown to be allowed. An exemption is given to everyone, then at all times, then for every field.
//!
//! Parts are the mutable and the immutable fields, the exemptions, and in an exemption with several fields, users or groups
//! each of them. Only cases that pass count, and those of all suites of the same policy count together.

use std::fmt;

use super::{
    case::{Case, CaseError},
    load::Suite,
    run::{Actual, Run, SuiteReport},
};
use crate::{
    field::{Pattern, PatternToken},
    policy::{Exemption, Policy},
};

/// The coverage of one policy.
#[derive(Debug)]
pub struct Coverage {
    /// The policy's name in the suites.
    pub policy_name: String,
    /// The number of its parts.
    pub parts: usize,
    /// The number of parts that are exercised both ways.
    pub exercised: usize,
    /// The parts that are not exercised, in the order of the policy.
    pub gaps: Vec<Gap>,
}

/// A part of a policy that is not exercised both ways.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// Its field, or what else the policy calls it.
    pub part: String,
    /// The case that is missing.
    pub missing: String,
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.part, self.missing)
    }
}

const NOT_NEEDED: &str = "no case fails without it";

/// A policy with one part changed.
struct Mutant {
    part: usize,
    policy: Policy,
    missing: String,
    /// True if some case fails under it.
    noticed: bool,
}

/// The mutants of a policy.
struct Mutants {
    parts: Vec<Part>,
    mutants: Vec<Mutant>,
}

struct Part {
    name: String,
    /// The exemption that the part belongs to: where that is not exercised, nothing more is said of its parts.
    within: Option<usize>,
}

impl Coverage {
    /// The coverage of each policy, in the order of the suites.
    #[must_use]
    pub fn of(run: &Run<'_>) -> Vec<Self> {
        let mut firsts: Vec<&Suite> = Vec::new();
        for SuiteReport { suite, .. } in &run.suites {
            if !firsts.iter().any(|first| first.policy_id == suite.policy_id) {
                firsts.push(suite);
            }
        }
        firsts.into_iter().map(|first| Self::of_policy(run, first)).collect()
    }

    /// The coverage of the policy of this suite.
    fn of_policy(run: &Run<'_>, first: &Suite) -> Self {
        let mut mutants = Mutants::of(&first.policy);
        for report in run.suites.iter().filter(|report| report.suite.policy_id == first.policy_id) {
            for case in report.cases.iter().filter(|case| case.passed()) {
                // A case whose review cannot be made did not pass.
                let _ = mutants.judge(report.suite, case.case);
            }
        }
        mutants.coverage(&first.policy_name)
    }
}

impl Mutants {
    fn of(policy: &Policy) -> Self {
        let mut all = Self { parts: Vec::new(), mutants: Vec::new() };
        for (at, field) in policy.mutable_fields.iter().enumerate() {
            all.part(field.written().to_owned(), None);
            all.mutant(policy, NOT_NEEDED.to_owned(), |policy| {
                policy.mutable_fields.remove(at);
            });
            let (parent, told) = parent(field);
            // Where the parent is immutable in so many words, that part is what sets the limit.
            if let Some(parent) = parent
                && !policy.immutable_fields.iter().any(|field| same(field, &parent))
                && !policy.mutable_fields.iter().any(|field| field.covers(&parent))
            {
                let missing = format!("no case shows where it ends: {told} could be mutable");
                all.mutant(policy, missing, |policy| policy.mutable_fields.push(parent));
            }
        }
        for (at, field) in policy.immutable_fields.iter().enumerate() {
            all.part(format!("immutable {}", field.written()), None);
            all.mutant(policy, NOT_NEEDED.to_owned(), |policy| {
                policy.immutable_fields.remove(at);
            });
            if let (Some(parent), told) = parent(field)
                && may_change_beside(policy, field, &parent)
            {
                let missing = format!("no case shows where it ends: {told} could be immutable");
                all.mutant(policy, missing, |policy| policy.immutable_fields.push(parent));
            }
        }
        for (at, exemption) in policy.exemptions.iter().enumerate() {
            all.exemption(policy, at, exemption);
        }
        all
    }

    fn exemption(&mut self, policy: &Policy, at: usize, exemption: &Exemption) {
        let name = format!("exemption {}", exemption.name);
        let within = self.parts.len();
        self.part(name.clone(), None);
        self.mutant(policy, NOT_NEEDED.to_owned(), |policy| {
            policy.exemptions.remove(at);
        });
        let mut wider = |missing: &str, widen: &dyn Fn(&mut Exemption)| {
            let missing = format!("no case shows where it ends: {missing}");
            self.mutant(policy, missing, |policy| widen(&mut policy.exemptions[at]));
        };
        if !(exemption.users.is_empty() && exemption.groups.is_empty()) {
            wider("it could be for everyone", &|exemption| {
                exemption.users.clear();
                exemption.groups.clear();
            });
        }
        if exemption.when.is_some() {
            wider("it could hold at all times", &|exemption| exemption.when = None);
        }
        // A subresource shows little more than what an exemption of it is about.
        if let (true, Ok(every)) = (exemption.subresources.is_empty(), Pattern::parse("*"))
            && !exemption.fields.iter().any(|field| field.covers(&every))
        {
            wider("it could be about every field", &move |exemption| exemption.fields.push(every.clone()));
        }
        let several = |list: usize| if list > 1 { 0..list } else { 0..0 };
        for field in several(exemption.fields.len()) {
            self.part(format!("{name}, {}", exemption.fields[field].written()), Some(within));
            self.mutant(policy, NOT_NEEDED.to_owned(), |policy| {
                policy.exemptions[at].fields.remove(field);
            });
        }
        // The last user and group taken away would make it everyone's.
        let people = exemption.users.len() + exemption.groups.len();
        for one in several(people) {
            let user = exemption.users.get(one);
            let told = user.unwrap_or_else(|| &exemption.groups[one - exemption.users.len()]);
            self.part(format!("{name}, {told}"), Some(within));
            self.mutant(policy, NOT_NEEDED.to_owned(), |policy| {
                let exemption = &mut policy.exemptions[at];
                if one < exemption.users.len() {
                    exemption.users.remove(one);
                } else {
                    exemption.groups.remove(one - exemption.users.len());
                }
            });
        }
    }

    fn part(&mut self, name: String, within: Option<usize>) {
        self.parts.push(Part { name, within });
    }

    /// Adds a mutant of the newest part.
    fn mutant(&mut self, policy: &Policy, missing: String, change: impl FnOnce(&mut Policy)) {
        let mut policy = policy.clone();
        change(&mut policy);
        self.mutants.push(Mutant { part: self.parts.len() - 1, policy, missing, noticed: false });
    }

    /// Judges a case by every mutant that none noticed yet.
    fn judge(&mut self, suite: &Suite, case: &Case) -> Result<(), CaseError> {
        let mut unnoticed = self.mutants.iter_mut().filter(|mutant| !mutant.noticed).peekable();
        if unnoticed.peek().is_some() {
            let review = case.review(suite.base.as_ref(), &suite.policy)?;
            for mutant in unnoticed {
                mutant.noticed = !Actual::judged(&review, &mutant.policy).is(case);
            }
        }
        Ok(())
    }

    fn coverage(self, name: &str) -> Coverage {
        let is_not_needed =
            |part: usize| self.mutants.iter().any(|one| one.part == part && !one.noticed && one.missing == NOT_NEEDED);
        let mut gaps: Vec<Gap> = Vec::new();
        for mutant in self.mutants.iter().filter(|mutant| !mutant.noticed) {
            let part = &self.parts[mutant.part];
            // What no case needs has no end to show, and no parts.
            let is_said =
                (mutant.missing != NOT_NEEDED && is_not_needed(mutant.part)) || part.within.is_some_and(is_not_needed);
            if !is_said {
                gaps.push(Gap { part: part.name.clone(), missing: mutant.missing.clone() });
            }
        }
        let is_open = |part: usize| self.mutants.iter().any(|one| one.part == part && !one.noticed);
        let exercised = (0..self.parts.len())
            .filter(|&at| !is_open(at) && !self.parts[at].within.is_some_and(is_not_needed))
            .count();
        Coverage { policy_name: name.to_owned(), parts: self.parts.len(), exercised, gaps }
    }
}

/// True if anybody may change something in `parent` that is not in `field`: else it makes no difference which of the two is
/// immutable.
fn may_change_beside(policy: &Policy, field: &Pattern, parent: &Pattern) -> bool {
    let exempt = policy.exemptions.iter().filter(|exemption| exemption.subresources.is_empty());
    let exempt = exempt.flat_map(|exemption| &exemption.fields);
    let is_beside = |allowed: &Pattern| {
        let last = field.tokens().len() - 1;
        let is_in_field = allowed.tokens().get(last).is_some_and(|token| *token == field.tokens()[last]);
        allowed.overlaps(parent) && !is_in_field
    };
    policy.mutable_fields.iter().chain(exempt).any(is_beside)
}

fn same(one: &Pattern, other: &Pattern) -> bool {
    one.covers(other) && other.covers(one)
}

/// The field that a field stands in, and how to say it. What `*` stands for has no field beside it, so it is that of the
/// field whose members it names.
fn parent(field: &Pattern) -> (Option<Pattern>, String) {
    let mut tokens = field.tokens();
    while let [before @ .., PatternToken::Any] = tokens {
        tokens = before;
    }
    let tokens = tokens.split_last().map_or(tokens, |(_, parent)| parent);
    if tokens.is_empty() {
        return (Pattern::parse("*").ok(), "every field".to_owned());
    }
    let written: String = tokens.iter().map(bracketed).collect();
    // As the policy writes it, as far as it goes.
    let told = (0..field.written().len())
        .filter_map(|end| field.written().get(..end))
        .find(|start| Pattern::parse(start).is_ok_and(|start| start.tokens() == tokens))
        .unwrap_or(&written);
    let told = format!("all of {told}");
    (Pattern::parse(&written).ok(), told)
}

fn bracketed(token: &PatternToken) -> String {
    match token {
        PatternToken::Any => "[*]".to_owned(),
        PatternToken::Key(key) => format!("[{key}]"),
        PatternToken::Named(name) => format!("[name={}]", serde_json::Value::from(name.as_str())),
    }
}
