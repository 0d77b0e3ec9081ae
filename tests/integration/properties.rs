//! The core against the reference, on random jobs and random edits, and against what the contract says of all of them.

use std::collections::BTreeSet;

use proptest::{
    prelude::*,
    sample::{Index, select},
};
use pytorchjob_guard::admission::Outcome;

use crate::{
    amount,
    edits::{self, Edit},
    jobs,
    reference::{self, COLLECTORS, MUTABLE, Violations},
    review::{Answered, Review, ask},
    tree::{Noise, Tree},
};

mod policies;

/// Few enough cases for a debug build to stay fast; `PROPTEST_CASES` asks for more.
pub(crate) fn cases(default: u32) -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(default);
    ProptestConfig { cases, failure_persistence: None, max_shrink_iters: 20_000, ..ProptestConfig::default() }
}

/// Spelling noise: none, or the same for all, or random.
fn noise() -> impl Strategy<Value = u64> {
    prop_oneof![2 => Just(0), 1 => any::<u64>()]
}

fn user() -> impl Strategy<Value = &'static str> {
    prop_oneof![6 => Just("alice"), 1 => Just(COLLECTORS[0]), 1 => Just(COLLECTORS[1]), 1 => Just("system:admin")]
}

fn edited(tree: &Tree, edits: &[Edit]) -> Tree {
    let mut tree = tree.clone();
    for edit in edits {
        edit.apply(&mut tree);
    }
    tree
}

/// Asks the core with the review's objects in either order and holds the answer to the reference's.
fn assert_agreement(review: &Review, seed: u64) -> Result<Answered, TestCaseError> {
    let (Some(old), Some(new)) = (&review.old, &review.new) else { unreachable!("an update has both") };
    let expected = reference::judge(old, new, &review.user, review.subresource);
    let mut answered = None;
    for body in [review.to_json(Noise::seeded(seed)), swapped(&review.to_json(Noise::NONE))] {
        let answer = ask(body.as_bytes()).expect("a review");
        prop_assert_eq!(answer.violations.clone(), expected.keys().cloned().collect::<Vec<_>>(), "{}", body);
        prop_assert_eq!(answer.allowed(), expected.is_empty());
        if expected.is_empty() {
            prop_assert_eq!(answer.outcome, Outcome::Allowed);
        } else {
            assert_denial(&answer, &expected)?;
        }
        assert_no_secret(&answer, &[old, new])?;
        answered = Some(answer);
    }
    Ok(answered.expect("asked twice"))
}

/// `oldObject` before `object`, where the canonical order has it after.
fn swapped(review: &str) -> String {
    let tree = Tree::parse(review);
    let old = tree.get(&["request", "oldObject"]).expect("an old object").to_json(&mut Noise::seeded(0));
    let rest = review.replacen(&format!(",\"oldObject\":{old}"), "", 1);
    rest.replacen("\"request\":{", &format!("\"request\":{{\"oldObject\":{old},"), 1)
}

fn assert_denial(answer: &Answered, expected: &Violations) -> Result<(), TestCaseError> {
    prop_assert_eq!(answer.outcome, Outcome::Denied);
    prop_assert_eq!(&answer.status()["code"], 422);
    prop_assert_eq!(&answer.status()["reason"], "Invalid");
    // A long list is cut, and a long response shortened; the table tests say how.
    if expected.len() <= 32 {
        prop_assert_eq!(answer.causes(), expected.clone());
    }
    Ok(())
}

/// No string value of the objects comes out again, in whatever way it is escaped.
fn assert_no_secret(answer: &Answered, objects: &[&Tree]) -> Result<(), TestCaseError> {
    let (mut secrets, mut names) = (Vec::new(), Vec::new());
    for object in objects {
        object.secrets(&mut secrets, &mut names);
    }
    for secret in secrets {
        // Generated secrets are longer than other words; a value that is also a key or an element's name is none.
        let public = ["kubeflow.org/v1", "autoscaling/v1", "PyTorchJob"];
        let is_public = public.contains(&secret) || jobs::ODD_KEYS.contains(&secret) || names.contains(&secret);
        if secret.chars().count() > 7 && !is_public {
            let escaped = serde_json::to_string(secret).expect("a string");
            prop_assert!(!answer.text.contains(escaped.trim_matches('"')), "{} in {}", secret, answer.text);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(cases(600))]

    #[test]
    fn the_core_agrees_with_the_reference(
        job in jobs::job(), before in prop::option::weighted(0.3, edits::edits()), after in edits::edits(),
        user in user(), seed in noise(), backwards: bool,
    ) {
        let old = edited(&job, &before.unwrap_or_default());
        let new = edited(&old, &after);
        let (old, new) = if backwards { (new, old) } else { (old, new) };
        let review = Review { user: user.to_owned(), ..Review::update(old, new) };
        assert_agreement(&review, seed)?;
    }
}

proptest! {
    #![proptest_config(cases(120))]

    #[test]
    fn the_core_agrees_with_the_reference_on_two_unrelated_jobs(old in jobs::job(), new in jobs::job(), seed in noise()) {
        assert_agreement(&Review::update(old, new), seed)?;
    }

    #[test]
    fn the_core_agrees_with_the_reference_on_scales(
        old in jobs::scale(), edits in edits::edits(), user in user(), seed in noise(), backwards: bool,
    ) {
        let new = edited(&old, &edits);
        let (old, new) = if backwards { (new, old) } else { (old, new) };
        assert_agreement(&Review { subresource: "scale", user: user.to_owned(), ..Review::update(old, new) }, seed)?;
    }

    #[test]
    fn the_same_job_in_another_spelling_is_no_change(job in jobs::job(), one: u64, other: u64) {
        let old = Tree::parse(&job.to_json(&mut Noise::seeded(one)));
        prop_assert_eq!(&old, &job, "noise means nothing");
        let review = Review::update(job.clone(), job);
        prop_assert!(ask(review.to_json(Noise::seeded(other)).as_bytes()).expect("a review").allowed());
        prop_assert!(review.ask().allowed());
    }

    #[test]
    fn a_change_inside_a_mutable_field_is_allowed(
        job in jobs::job(), field in select(&MUTABLE[..]), values in (jobs::anything(), jobs::anything()),
        way in 0..3, edits in edits::edits(), seed in noise(),
    ) {
        let (mut old, mut new) = (job.clone(), job);
        let (last, parent) = field.split_last().expect("a path");
        old.map_at(parent).insert((*last).to_owned(), values.0.clone());
        // The parent stays a map with something in it, so that only what is in the field changes.
        match way {
            0 => drop(new.map_at(parent).insert((*last).to_owned(), values.1)),
            1 => drop(new.map_at(parent).insert((*last).to_owned(), edited(&Tree::map([("x", values.0)]), &edits))),
            _ => drop((new.map_at(parent).remove(*last), old.map_at(parent).len())),
        }
        let noisy = Review::update(old, new).to_json(Noise::seeded(seed));
        let answer = ask(noisy.as_bytes()).expect("a review");
        prop_assert!(answer.allowed(), "{}", answer.text);
    }

    #[test]
    fn a_change_outside_the_mutable_fields_is_denied(
        job in jobs::job(), place: Index, way in 0..3, other in edits::edits(), seed in noise(),
    ) {
        // A changed leaf, a removed leaf, a new member of a map: changes by any reading.
        let fresh = Tree::text("changed0");
        let mut old = job;
        let mut places = edits::places(&old);
        places.retain(|place| !is_free(place));
        places.retain(|place| match edits::at(&mut old, place) {
            Some(Tree::Null) | None => false,
            Some(Tree::Map(_)) => way == 2,
            // A zero that is removed may be no change: many a Go type has it without its being written.
            Some(tree) => way < 2 && tree.is_scalar() && !(way == 1 && is_zero(tree)),
        });
        prop_assume!(!places.is_empty());
        let place = place.get(&places).clone();
        let mut new = old.clone();
        match (way, edits::at(&mut new, &place)) {
            (0, Some(leaf)) => *leaf = fresh,
            (1, _) => edits::remove(&mut new, &place),
            (_, Some(map)) => drop(map.map_at(&[]).insert("fresh".to_owned(), fresh)),
            _ => unreachable!("the place was there"),
        }
        // Whatever else happens in a mutable field does not hide it.
        let labels = Tree::Map(old.map_at(&["metadata", "labels"]).clone());
        let annotated = edited(&labels, &other);
        new.map_at(&["metadata"]).insert("labels".to_owned(), annotated);
        let answer = ask(Review::update(old, new).to_json(Noise::seeded(seed)).as_bytes()).expect("a review");
        prop_assert!(!answer.allowed(), "{:?}", place);
        prop_assert!(!answer.violations.is_empty());
        for violation in &answer.violations {
            let common = violation.split(['.', '[']).zip(&place).take_while(|(one, other)| one == other).count();
            prop_assert!(common > 0, "{} is not about {:?}", violation, place);
        }
    }
}

/// True for what may be a Go type's zero.
fn is_zero(tree: &Tree) -> bool {
    let is_nothing = |text: &str| text.is_empty() || text.trim_matches(|c: char| "-+.0eE".contains(c)).is_empty();
    match tree {
        Tree::Bool(value) => !value,
        Tree::Number(text) | Tree::Text(text) => {
            is_nothing(text) || amount::quantity(tree) == Some(amount::number("0"))
        }
        _ => false,
    }
}

/// True if a position is in a field that may change, or that the server manages, or that an exemption may free.
fn is_free(place: &[String]) -> bool {
    let server = ["managedFields", "generation", "resourceVersion", "selfLink", "finalizers", "deletionTimestamp"];
    let starts = |field: &[&str]| place.iter().zip(field).filter(|(one, other)| one == other).count() == field.len();
    MUTABLE.iter().any(|field| starts(field)) || server.iter().any(|field| starts(&["metadata", field]))
}

proptest! {
    #![proptest_config(cases(200))]

    #[test]
    fn damaged_bytes_are_never_allowed(
        job in jobs::job(), edits in edits::edits(), seed in noise(),
        damage in prop::collection::vec((any::<Index>(), any::<u8>(), 0..4_u8), 1..4),
    ) {
        let new = edited(&job, &edits);
        let mut bytes = Review::update(job, new).to_json(Noise::seeded(seed)).into_bytes();
        for (place, byte, way) in damage {
            let place = place.index(bytes.len());
            match way {
                0 => bytes[place] = byte,
                1 => drop(bytes.remove(place)),
                2 => bytes.insert(place, b"{}[]\",:\\"[usize::from(byte % 8)]),
                _ => bytes.truncate(place.max(1)),
            }
        }
        let good = std::str::from_utf8(&bytes).is_ok_and(|text| serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok());
        let answer = ask(&bytes);
        if !good {
            prop_assert!(answer.is_err() || answer.is_ok_and(|answer| !answer.allowed()), "{:?}", String::from_utf8_lossy(&bytes));
        }
    }

    #[test]
    fn any_bytes_are_answered(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(ask(&bytes).is_err());
    }

}

proptest! {
    #![proptest_config(cases(60))]

    #[test]
    fn an_answer_is_short_whatever_the_keys_are(
        keys in prop::collection::vec(("\\PC|[\n\u{1}\"]", 0..800_usize), 1..20), name in ("\\PC", 0..4000_usize),
    ) {
        let keys: BTreeSet<String> = keys.into_iter().map(|(text, times)| text.repeat(times)).collect();
        let name = name.0.repeat(name.1);
        let map = |keys: &BTreeSet<String>| Tree::map(keys.iter().map(|key| (key.clone(), Tree::text("v"))));
        let item = Tree::map([("name", Tree::text(&name))]);
        let old = Tree::map([("spec", Tree::map([("x", map(&keys)), ("l", Tree::List(vec![item]))]))]);
        let new = Tree::map([("spec", Tree::map([("x", Tree::empty_map()), ("l", Tree::List(Vec::new()))]))]);
        let answer = Review::update(old, new).ask();
        prop_assert!(!answer.allowed());
        prop_assert!(answer.text.len() < 16 << 10);
        let audit = answer.json["response"]["auditAnnotations"]["violations"].as_str().expect("an annotation");
        prop_assert!(audit.len() <= 1 << 10);
        prop_assert!(!answer.text.chars().any(char::is_control), "control characters are escaped");
    }
}

#[test]
fn a_review_cut_anywhere_is_never_allowed() {
    let job = Tree::parse(r#"{"metadata":{"name":"mnist","labels":{"a":"\u0041"}},"spec":{"x":[1,{"y":"zé"}]}}"#);
    let review = Review::update(job.clone(), job).to_json(Noise::NONE);
    assert!(ask(review.as_bytes()).expect("a review").allowed());
    for end in 0..review.len() {
        let answer = ask(&review.as_bytes()[..end]);
        assert!(answer.is_err() || answer.is_ok_and(|answer| !answer.allowed()), "cut at {end}");
    }
}

#[test]
fn deep_nesting_is_answered() {
    let deep = |leaf: &str| format!("{}{leaf}{}", "[".repeat(200_000), "]".repeat(200_000));
    for (old, new) in [("1", "1"), ("1", "2")] {
        let body = format!(
            r#"{{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{{"uid":"u","operation":"UPDATE",
            "resource":{{"group":"kubeflow.org","version":"v1","resource":"pytorchjobs"}},
            "object":{{"spec":{}}},"oldObject":{{"spec":{}}}}}}}"#,
            deep(new),
            deep(old)
        );
        let allowed = ask(body.as_bytes()).is_ok_and(|answer| answer.allowed());
        assert!(!allowed || old == new, "a change deep down is seen, or the review is refused");
    }
}
