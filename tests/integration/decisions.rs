//! The rules of `docs/decision.md` line by line, by hand: each kind of change that is refused stands beside one that is not.
//!
//! Every case is put to the core and to the reference, so the table holds both to the page.

use serde_json::{Value, json};

use crate::{
    reference,
    review::{Answered, Review},
    tree::Tree,
};

mod equality;
mod fields;
mod lists;
mod paths;
mod policies;
mod protocol;
mod response;
mod scope;
mod surrogates;

/// The container of the master, as a JSON pointer and as a path.
const CONTAINER: &str = "/spec/pytorchReplicaSpecs/Master/template/spec/containers/0";
const CONTAINER_PATH: &str = r#"spec.pytorchReplicaSpecs.Master.template.spec.containers[name="pytorch"]"#;
const POD: &str = "/spec/pytorchReplicaSpecs/Master/template/spec";
const POD_PATH: &str = "spec.pytorchReplicaSpecs.Master.template.spec";
const TEMPLATE: &str = "/spec/pytorchReplicaSpecs/Master/template";
const TEMPLATE_PATH: &str = "spec.pytorchReplicaSpecs.Master.template";

/// A small job with something of everything.
fn job() -> Value {
    json!({
        "apiVersion": "kubeflow.org/v1",
        "kind": "PyTorchJob",
        "metadata": {
            "name": "mnist",
            "namespace": "team-a",
            "labels": {"app": "mnist", "example.com/owner": "alice"},
            "finalizers": ["example.com/keep"],
            "generation": 2,
            "resourceVersion": "72519846",
            "uid": "c6e548f1-adfe-11e9-ba3a-b44326d0c915",
        },
        "spec": {
            "ttlSecondsAfterFinished": 3000,
            "backoffLimit": 1,
            "pytorchReplicaSpecs": {
                "Master": {
                    "replicas": 1,
                    "template": {
                        "spec": {
                            "hostNetwork": false,
                            "containers": [{
                                "name": "pytorch",
                                "image": "registry.example.com/mnist:v1",
                                "args": ["--backend", "gloo"],
                                "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
                                "resources": {"limits": {"cpu": 2, "memory": "4Gi"}},
                            }],
                            "tolerations": [{"key": "gpu", "operator": "Exists"}, {"key": "spot"}],
                        },
                    },
                },
            },
        },
    })
}

/// An update of the small job, or of its scale.
#[derive(Clone)]
struct Update {
    old: Value,
    new: Value,
    user: &'static str,
    subresource: &'static str,
}

/// Nothing changes yet.
fn update() -> Update {
    Update { old: job(), new: job(), user: "alice", subresource: "" }
}

/// The one thing that changes: the value at this pointer, in the new object.
fn set(pointer: &str, value: Value) -> Update {
    update().now(pointer, value)
}

/// The one thing that changes: there is nothing at this pointer in the new object.
fn without(pointer: &str) -> Update {
    let mut update = update();
    take(&mut update.new, pointer);
    update
}

/// The value at a pointer in the old object becomes another.
fn from_to(pointer: &str, old: Value, new: Value) -> Update {
    update().was(pointer, old).now(pointer, new)
}

impl Update {
    fn was(mut self, pointer: &str, value: Value) -> Self {
        put(&mut self.old, pointer, value);
        self
    }

    fn now(mut self, pointer: &str, value: Value) -> Self {
        put(&mut self.new, pointer, value);
        self
    }

    /// In both objects: where the case is about what stands beside it.
    fn both(self, pointer: &str, value: Value) -> Self {
        self.was(pointer, value.clone()).now(pointer, value)
    }

    fn by(self, user: &'static str) -> Self {
        Self { user, ..self }
    }

    fn of(self, subresource: &'static str) -> Self {
        Self { subresource, ..self }
    }

    fn backwards(&self) -> Self {
        Self { old: self.new.clone(), new: self.old.clone(), ..*self }
    }

    fn review(&self) -> Review {
        Review {
            user: self.user.to_owned(),
            subresource: self.subresource,
            ..Review::update(self.old.clone().into(), self.new.clone().into())
        }
    }

    #[track_caller]
    fn accepts(&self) {
        let answer = self.judged(&[]);
        assert!(answer.allowed(), "{}", answer.text);
    }

    /// Refuses for exactly these fields; each with what its message says after "field is immutable".
    #[track_caller]
    fn rejects(&self, fields: &[(&str, &str)]) {
        let answer = self.judged(fields);
        assert!(!answer.allowed());
        assert_eq!(answer.status()["code"], 422);
        assert_eq!(answer.status()["reason"], "Invalid");
        assert_eq!(answer.status()["status"], "Failure");
        let causes: Vec<Value> = fields
            .iter()
            .map(|(field, what)| {
                let message = format!("Forbidden: field is immutable{what}");
                json!({"reason": "FieldValueForbidden", "field": field, "message": message})
            })
            .collect();
        assert_eq!(answer.status()["details"]["causes"], Value::Array(causes));
    }

    #[track_caller]
    fn judged(&self, fields: &[(&str, &str)]) -> Answered {
        let expected: reference::Violations = fields
            .iter()
            .map(|(field, what)| ((*field).to_owned(), format!("Forbidden: field is immutable{what}")))
            .collect();
        let (old, new): (Tree, Tree) = (self.old.clone().into(), self.new.clone().into());
        assert_eq!(reference::judge(&old, &new, self.user, self.subresource), expected, "the reference");
        let answer = self.review().ask();
        assert_eq!(answer.violations, fields.iter().map(|(field, _)| *field).collect::<Vec<_>>(), "the core");
        answer
    }
}

/// Puts a value at a pointer; the maps on the way are made where they are missing.
fn put(object: &mut Value, pointer: &str, value: Value) {
    let mut target = object;
    for token in pointer.split('/').skip(1) {
        let token = token.replace("~1", "/");
        target = match (token.parse::<usize>(), target) {
            (Ok(index), Value::Array(items)) => &mut items[index],
            (_, target) => &mut target[token],
        };
    }
    *target = value;
}

/// Takes away what is at a pointer.
fn take(object: &mut Value, pointer: &str) {
    let (parent, last) = pointer.rsplit_once('/').expect("a pointer");
    let parent = object.pointer_mut(parent).expect("the parent is there");
    let taken = parent.as_object_mut().expect("a map").remove(&last.replace("~1", "/"));
    taken.expect("it is there");
}
