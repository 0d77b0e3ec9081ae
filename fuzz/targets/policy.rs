//! The reader of policies: any text is a policy or has errors, and what is a policy can be written out, read again, turned
//! into a registration and decided by.

#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};
use pytorchjob_guard::{
    admission::{Outcome, answer},
    commands::policy_as_json,
    policy::Policy,
    registration::{Part, admission_policy, match_conditions},
    yaml::Severity,
};
use pytorchjob_guard_fuzz::{REVIEW, assert_same};

fuzz_target!(|text: &str| -> Corpus {
    let (policy, remarks) = match (Policy::parse(text), Policy::lint(text)) {
        (Ok(policy), Ok(remarks)) => (policy, remarks),
        (Err(parse), Err(lint)) => {
            assert_same(&parse.to_string(), &lint.to_string(), "the same errors");
            return Corpus::Keep;
        }
        (parsed, linted) => panic!("parse and lint disagree: {parsed:?} {linted:?}"),
    };
    assert!(remarks.iter().all(|remark| remark.severity != Severity::Error), "an error in {remarks:?}");
    let json = policy_as_json(&policy).expect("a policy can be written");
    assert_same(&Policy::parse(&json).expect("what is written out can be read"), &policy, "the policy read again");
    for part in [Part::Object, Part::Scale] {
        drop(match_conditions(&policy, part));
    }
    drop(admission_policy(&policy));
    let decision = answer(REVIEW.as_bytes(), &policy).expect("a review").decision;
    assert_eq!(decision.violations.is_empty(), !matches!(decision.outcome, Outcome::Denied | Outcome::Tolerated));
    Corpus::Keep
});
