//! Keys that are rejected or warned of as needless are so: without them, the policy decides the same.

use std::fmt::Write as _;

use proptest::{prelude::*, sample::select};
use pytorchjob_guard::{admission, policy::Policy};
use serde_json::{Value, json};

use super::HEAD;
use crate::properties::cases;

/// The three lists that a field may stand in, the exemption's last. The exemption is for whoever asks.
#[derive(Debug, Clone, PartialEq)]
struct Fields([Vec<String>; 3]);

impl Fields {
    fn text(&self) -> String {
        let Self([mutable, immutable, exempt]) = self;
        let mut text = format!("{HEAD}mutableFields: {mutable:?}\nimmutableFields: {immutable:?}\n");
        if !exempt.is_empty() {
            writeln!(text, "exemptions: [{{name: x, users: [u], fields: {exempt:?}}}]").expect("a string");
        }
        text
    }

    fn without(&self, list: usize, field: &str) -> Self {
        let mut without = self.clone();
        without.0[list].retain(|other| other != field);
        without
    }
}

fn fields() -> impl Strategy<Value = Fields> {
    let path = prop::collection::vec(select(vec!["a", "b", "*"]), 1..4).prop_map(|keys| keys.join("."));
    let list = prop::collection::hash_set(path, 0..4).prop_map(|list| list.into_iter().collect::<Vec<_>>());
    [list.clone(), list.clone(), list].prop_map(Fields)
}

/// Two objects of a few keys.
fn update() -> impl Strategy<Value = (Value, Value)> {
    let leaf = select(vec![json!(1), json!(2), json!("x")]);
    let object = leaf.prop_recursive(3, 12, 3, |inner| {
        prop::collection::hash_map(select(vec!["a", "b", "c"]), inner, 0..3).prop_map(|map| json!(map))
    });
    let root = prop::collection::hash_map(select(vec!["a", "b", "c"]), object, 0..4).prop_map(|map| json!(map));
    (root.clone(), root)
}

fn violations(policy: &Policy, (old, new): &(Value, Value)) -> Vec<String> {
    let review = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
        "uid": "1", "operation": "UPDATE", "resource": {"group": "kubeflow.org", "version": "v1", "resource": "pytorchjobs"},
        "userInfo": {"username": "u"}, "oldObject": old, "object": new,
    }});
    let review = review.to_string();
    let answer = admission::answer(review.as_bytes(), policy).expect("a review");
    answer.decision.violations.first.into_iter().map(|violation| violation.path).collect()
}

/// The field that a remark says to take away, and the list it stands in.
fn needless(message: &str) -> Option<(usize, &str)> {
    let lists = [("mutableFields: ", 0), ("immutableFields: ", 1), ("exemption x: fields: ", 2)];
    let (list, field) = lists.iter().find_map(|(list, at)| Some((*at, message.strip_prefix(list)?)))?;
    ["is inside", "is immutable anyway", "stays immutable"]
        .iter()
        .find_map(|why| field.split_once(&format!(" {why}")))
        .map(|(field, _)| (list, field))
}

proptest! {
    #![proptest_config(cases(64))]

    #[test]
    fn what_is_called_needless_is(fields in fields(), updates in prop::collection::vec(update(), 8)) {
        let text = fields.text();
        let same = |one: &Fields, other: &Fields| {
            let parse = |fields: &Fields| Policy::parse(&fields.text());
            let (Ok(one), Ok(other)) = (parse(one), parse(other)) else { return Ok(()) };
            for update in &updates {
                prop_assert_eq!(violations(&one, update), violations(&other, update));
            }
            Ok(())
        };
        match Policy::lint(&text) {
            Err(error) => {
                // Refused as it is: with a field that no object has, the exemption may stand.
                if error.diagnostics().iter().all(|diagnostic| diagnostic.message.starts_with("exemption x can never matter")) {
                    let mut kept = fields.clone();
                    kept.0[2].push("nowhere".to_owned());
                    let mut none = fields.clone();
                    none.0[2].clear();
                    same(&kept, &none)?;
                }
            }
            Ok(remarks) => {
                for (list, field) in remarks.iter().filter_map(|remark| needless(&remark.message)) {
                    same(&fields, &fields.without(list, field))?;
                }
            }
        }
    }
}
