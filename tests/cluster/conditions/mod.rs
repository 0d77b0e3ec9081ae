//! With the conditions of its registration the guard is asked less often, and every update ends the same.

mod arena;
mod edits;

use std::{cell::Cell, path::PathBuf};

use arena::{Arena, Judge, POLICIES, USERS, namespace};
use proptest::{
    prelude::*,
    sample::select,
    test_runner::{Config, TestRunner},
};

use crate::{
    cluster::{Clusters, HERE, training_operator_crd},
    tests,
};

tests![
    random_edits_of_the_cci_layout_end_the_same_with_and_without_conditions,
    random_edits_of_the_training_operators_layout_end_the_same_with_and_without_conditions,
];

/// How many random edits for each policy and layout.
const CASES: u32 = 120;

fn random_edits_of_the_cci_layout_end_the_same_with_and_without_conditions(_: &Clusters) {
    let arena = Arena::boot(&PathBuf::from(HERE).join("crds/cci.yaml"), &edits::jobs()).expect("an arena");
    random_edits(&arena);
}

fn random_edits_of_the_training_operators_layout_end_the_same_with_and_without_conditions(_: &Clusters) {
    let crd = training_operator_crd().expect("the CRD");
    let arena = Arena::boot(&crd, &edits::jobs()).expect("an arena");
    random_edits(&arena);
}

fn random_edits(arena: &Arena) {
    for policy in POLICIES {
        let [allowed, denied] = [Cell::new(0), Cell::new(0)];
        let names: Vec<String> =
            edits::jobs().iter().filter_map(|job| job["metadata"]["name"].as_str().map(str::to_owned)).collect();
        let case = (select(names), select(&USERS[..]), prop::collection::vec(select(edits::steps()), 1..=3));
        let config = Config { cases: CASES, failure_persistence: None, max_shrink_iters: 64, ..Config::default() };
        let result = TestRunner::new(config).run(&case, |(job, user, steps)| {
            let [asked, conditions, vap] = [Judge::Asked, Judge::Conditions, Judge::AdmissionPolicy].map(|judge| {
                arena.edit(&namespace(policy, judge), &job, "", user, |object| {
                    steps.iter().for_each(|step| step.apply(object));
                })
            });
            prop_assert_eq!(conditions.outcome(), asked.outcome());
            prop_assert!(
                !vap.is_success() || asked.is_success(),
                "the VAP lets through what the guard refuses: {:?}",
                asked
            );
            let count = if asked.is_success() { &allowed } else { &denied };
            count.set(count.get() + 1);
            Ok(())
        });
        if let Err(error) = result {
            panic!("{policy}: {error}");
        }
        // A tenth of each at the least: a test of one outcome shows little.
        assert!(allowed.get() * 10 >= CASES && denied.get() * 10 >= CASES, "{policy}: {allowed:?} {denied:?}");
        eprintln!("{policy}: {allowed:?} {denied:?}");
    }
}
