//! A decision holds memory by the size of its review, whatever the review says.

use std::cell::RefCell;

use peak_alloc::PeakAlloc;
use proptest::prelude::*;
use pytorchjob_guard::{
    admission::{Outcome, answer},
    policy::Policy,
};
use serde::de::IgnoredAny;
use support::reviews::hostile;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// The size of the reviews.
const BYTES: usize = 200_000;
/// The most that a decision may hold for each byte of a review, the review included.
const FACTOR: usize = 12;

/// The most bytes that are held while a review is decided, the review included.
fn held(body: &[u8], policy: &Policy) -> usize {
    ALLOCATOR.reset_peak_usage();
    let before = ALLOCATOR.current_usage();
    let outcome = answer(body, policy).map(|answer| answer.decision.outcome);
    let held = ALLOCATOR.peak_usage() - before + body.len();
    // All of it is JSON, and was decided.
    assert!(
        serde_json::from_slice::<IgnoredAny>(body).is_ok(),
        "{}",
        String::from_utf8_lossy(&body[..600.min(body.len())])
    );
    assert!(matches!(outcome, Ok(Outcome::Allowed | Outcome::Denied)), "{outcome:?}");
    held
}

fn policies() -> Vec<Policy> {
    let policies: Vec<_> = Policy::builtin_names().filter_map(Policy::builtin).collect();
    policies.into_iter().chain([Policy::parse(hostile::REACHING).expect("a policy")]).collect()
}

// One test: another one beside it would be counted with it.
#[test]
fn a_decision_holds_at_most_twelve_times_its_review() {
    let policies = policies();
    // What is made once, the table of the types, is made here.
    for policy in &policies {
        held(&hostile::review(0, 0, false, 1000), policy);
        let groups = hostile::many_groups(BYTES);
        assert!(held(&groups, policy) <= FACTOR * groups.len());
    }
    let worst = RefCell::new((0, String::new()));
    let check = |unit: usize, depth: usize, in_maps: bool, backwards: bool, policy: &Policy| {
        let mut body = hostile::review(unit, depth, in_maps, BYTES);
        if backwards {
            let text = String::from_utf8(body).expect("text");
            body = text
                .replace("\"object\":", "\"new\":")
                .replace("\"oldObject\":", "\"object\":")
                .replace("\"new\":", "\"oldObject\":")
                .into_bytes();
        }
        let held = held(&body, policy);
        let what = format!(
            "{} under {depth} {}, policy {}",
            hostile::UNITS[unit].0,
            if in_maps { "maps" } else { "lists" },
            policy.name()
        );
        if held * 100 / body.len() > worst.borrow().0 {
            *worst.borrow_mut() = (held * 100 / body.len(), what.clone());
        }
        assert!(held <= FACTOR * body.len(), "{what}: {held} bytes for {}", body.len());
    };
    // Each unit beside itself, and under as many levels as are compared, nearly so, and more.
    for unit in 0..hostile::UNITS.len() {
        for depth in [0, 1, 45, 46, 47, 95] {
            for policy in &policies {
                check(unit, depth, depth % 2 == 1, false, policy);
            }
        }
    }
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 100,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let shapes = (0..hostile::UNITS.len(), 0..300_usize, any::<bool>(), any::<bool>(), 0..policies.len());
    let found = runner.run(&shapes, |(unit, depth, in_maps, backwards, policy)| {
        check(unit, depth, in_maps, backwards, &policies[policy]);
        Ok(())
    });
    if let Err(failure) = found {
        panic!("{failure}");
    }
    let worst = worst.into_inner();
    println!("at most {}.{:02} times the review: {}", worst.0 / 100, worst.0 % 100, worst.1);
}
