//! The core against the reference under random policies, and what both promise of every list.

use model::sketch::{covers, sketch};
use proptest::{collection::vec, prelude::*, sample::select};
use pytorchjob_guard::{admission::Outcome, policy};

use super::{cases, edited, noise, swapped};
use crate::{
    amount, edits, jobs,
    reference::{Field, Part, Policy, Request, Violations, judge_under, keys},
    review::{Review, ask_policy},
    tree::{Noise, Tree},
};

/// Holds the core's answer under the policy to the reference's, with the review's objects in either order.
fn assert_agreement(policy: &Policy, review: &Review, seed: u64) -> Result<(), TestCaseError> {
    let (Some(old), Some(new)) = (&review.old, &review.new) else { unreachable!("an update has both") };
    let yaml = policy.to_yaml();
    let read = policy::Policy::parse(&yaml);
    prop_assert!(read.is_ok(), "{}{:?}", yaml, read);
    let request = Request { user: &review.user, groups: &["system:authenticated"], subresource: review.subresource };
    let expected = judge_under(policy, &request, old, new);
    for body in [review.to_json(Noise::seeded(seed)), swapped(&review.to_json(Noise::NONE))] {
        let answer = ask_policy(body.as_bytes(), read.as_ref().expect("a policy")).expect("a review");
        prop_assert_eq!(&answer.violations, &expected.keys().cloned().collect::<Vec<_>>(), "{}{}", yaml, body);
        prop_assert_eq!(answer.outcome, if expected.is_empty() { Outcome::Allowed } else { Outcome::Denied });
        if (1..=32).contains(&expected.len()) {
            prop_assert_eq!(answer.causes(), expected.clone(), "{}{}", yaml, body);
        }
    }
    Ok(())
}

fn user() -> impl Strategy<Value = &'static str> {
    select(vec!["alice", "alice", "bob", "carol"])
}

proptest! {
    #![proptest_config(cases(400))]

    #[test]
    fn the_core_agrees_with_the_reference_under_any_policy(
        job in jobs::job(), before in prop::option::weighted(0.3, edits::edits()), after in edits::edits(),
        sketch in sketch(), user in user(), seed in noise(), backwards: bool,
    ) {
        let old = edited(&job, &before.unwrap_or_default());
        let new = edited(&old, &after);
        let (old, new) = if backwards { (new, old) } else { (old, new) };
        let policy = sketch.policy([&old, &new]);
        assert_agreement(&policy, &Review { user: user.to_owned(), ..Review::update(old, new) }, seed)?;
    }

    #[test]
    fn the_core_and_the_reference_agree_on_scales_under_policies(
        old in jobs::scale(), edits in edits::edits(), sketch in sketch(), user in user(), seed in noise(),
    ) {
        let new = edited(&old, &edits);
        let policy = sketch.policy([&old, &new]);
        let review = Review { user: user.to_owned(), subresource: "scale", ..Review::update(old, new) };
        assert_agreement(&policy, &review, seed)?;
    }
}

/// A small list: its elements have names, or the same name, or none, or are no maps at all.
fn list() -> BoxedStrategy<Tree> {
    let number = || (0..3_u8).prop_map(|number| Tree::Number(number.to_string()));
    let value = || prop_oneof![3 => number(), 1 => Just(Tree::Null)];
    let element = |inner: BoxedStrategy<Tree>| {
        let name = prop_oneof![
            12 => select(vec!["a", "b", "c"]).prop_map(Tree::text).prop_map(Some),
            1 => Just(None),
            1 => select(vec![Tree::Null, Tree::Number("0".to_owned())]).prop_map(Some),
        ];
        let map = (name, prop::option::of(value()), prop::option::weighted(0.2, inner)).prop_map(|(name, v, m)| {
            Tree::map([("name", name), ("v", v), ("m", m)].into_iter().filter_map(|(key, tree)| Some((key, tree?))))
        });
        prop_oneof![20 => map, 1 => value(), 1 => Just(Tree::List(Vec::new()))]
    };
    let inner = vec(element(value().boxed()), 0..3).prop_map(Tree::List).boxed();
    prop_oneof![20 => vec(element(inner), 0..4).prop_map(Tree::List), 1 => value(), 1 => Just(Tree::empty_map())]
        .boxed()
}

fn object(list: Option<Tree>) -> Tree {
    Tree::map([("spec", Tree::map(list.map(|list| ("l", list))))])
}

/// Two objects that differ in a list: two lists, or one and what edits make of it.
fn lists() -> impl Strategy<Value = (Tree, Tree)> {
    let unrelated = (prop::option::weighted(0.9, list()), prop::option::weighted(0.9, list()));
    prop_oneof![
        1 => unrelated.prop_map(|(old, new)| (object(old), object(new))),
        2 => (list(), edits::edits()).prop_map(|(list, edits)| {
            let new = edited(&list, &edits);
            (object(Some(list)), object(Some(new)))
        }),
    ]
}

/// The list, something about its elements, or about elements of theirs.
fn field() -> impl Strategy<Value = Field> {
    let element = || {
        let key = |key: &str| Part::Key(key.to_owned());
        let name = |name: &str| Part::Name(name.to_owned());
        select(vec![Part::Any, key("0"), key("1"), name("a"), name("b")])
    };
    let member = select(vec![keys(&[]), keys(&["v"]), keys(&["name"]), keys(&["m"])]);
    let inner = prop::option::weighted(0.2, (element(), select(vec![keys(&[]), keys(&["v"])])));
    prop_oneof![
        1 => select(vec![keys(&["spec"]), keys(&["spec", "l"]), vec![Part::Any]]),
        4 => (element(), member, inner).prop_map(|(element, member, inner)| {
            let inner = inner.into_iter().flat_map(|(element, member)| [keys(&["m"]), vec![element], member].concat());
            let member = if inner.clone().next().is_some() { Vec::new() } else { member };
            keys(&["spec", "l"]).into_iter().chain([element]).chain(member).chain(inner).collect()
        }),
    ]
}

/// A policy about lists.
fn policy() -> impl Strategy<Value = Policy> {
    let fields = |size| prop::collection::btree_set(field(), size).prop_map(|fields| fields.into_iter().collect());
    (fields(0..3), fields(0..3), prop::option::weighted(0.1, fields(1..2)), prop::bool::weighted(0.2)).prop_map(
        |(mutable, immutable, managed, strict): (Vec<Field>, Vec<Field>, Option<Vec<Field>>, bool)| {
            let server_managed = managed.unwrap_or_default();
            let counts = |field: &Field| !server_managed.iter().any(|managed| covers(managed, field));
            let [mutable, immutable] = [mutable, immutable].map(|fields| fields.into_iter().filter(counts).collect());
            Policy { mutable, immutable, server_managed, strict, ..Policy::default() }
        },
    )
}

fn judged(policy: &Policy, old: &Tree, new: &Tree) -> Violations {
    judge_under(policy, &Request { user: "alice", groups: &[], subresource: "" }, old, new)
}

/// `v` of a map, as a number; none where it equals an absent one.
fn v(map: &Tree) -> Option<String> {
    let v = map.get(&["v"]).filter(|v| ![Tree::Null, Tree::List(Vec::new())].contains(v))?;
    Some(match v {
        Tree::Number(spelling) => format!("{:?}", amount::number(spelling)),
        v => v.to_json(&mut Noise::seeded(0)),
    })
}

fn items(object: &Tree) -> &[Tree] {
    if let Some(Tree::List(items)) = object.get(&["spec", "l"]) { items } else { &[] }
}

/// The contents of the elements of that name, sorted.
fn elements(object: &Tree, name: &str) -> Vec<Option<String>> {
    let named = items(object).iter().filter(|item| item.get(&["name"]) == Some(&Tree::text(name)));
    let mut found: Vec<_> = named.map(v).collect();
    found.sort();
    found
}

proptest! {
    #![proptest_config(cases(2000))]

    #[test]
    fn the_core_agrees_with_the_reference_on_lists_under_any_policy(
        (old, new) in lists(), policy in policy(), seed in noise(),
    ) {
        assert_agreement(&policy, &Review::update(old, new), seed)?;
    }

    /// Whatever way the list is written in, and whatever else may change.
    #[test]
    fn an_element_that_is_immutable_by_name_stays((old, new) in lists(), also in prop::option::of(field())) {
        let element = [keys(&["spec", "l"]), vec![Part::Name("a".to_owned())]].concat();
        // A less specific field says nothing of the element.
        let also = also.filter(|field| field.len() < element.len() || field.get(2) == Some(&Part::Any) && field.len() == 3);
        let policy = Policy {
            mutable: [keys(&["spec"])].into_iter().chain(also.filter(|field| *field != keys(&["spec"]))).collect(),
            immutable: vec![element],
            ..Policy::default()
        };
        if judged(&policy, &old, &new).is_empty() {
            prop_assert_eq!(elements(&old, "a"), elements(&new, "a"));
        }
    }

    #[test]
    fn a_field_that_is_immutable_by_place_stays(
        (old, new) in lists(), place in 0..2_usize, also in prop::option::of(field()),
    ) {
        let field = [keys(&["spec", "l"]), vec![Part::Key(place.to_string())], keys(&["v"])].concat();
        let also = also.filter(|also| also.len() < field.len() && *also != keys(&["spec"]));
        let mutable = [keys(&["spec"])].into_iter().chain(also).collect();
        let policy = Policy { mutable, immutable: vec![field], ..Policy::default() };
        if judged(&policy, &old, &new).is_empty() {
            let at = |object| items(object).get(place).and_then(v);
            prop_assert_eq!(at(&old), at(&new));
        }
    }
}
