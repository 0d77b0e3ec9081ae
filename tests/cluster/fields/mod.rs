//! Every field of every kind of the training operator, on a real API server: the mutable ones can be changed, and no other.

mod api;
mod schema;

use std::{fs, path::Path as File};

use serde_json::{Value, json};

use self::{
    api::{Api, By, Refusal},
    schema::{Leaf, Step, leaves, object, remove, set},
};
use crate::{
    cluster::{Clusters, training_operator_crd},
    tests,
};

tests![
    every_field_of_a_pytorchjob,
    every_field_of_a_jaxjob,
    every_field_of_an_mpijob,
    every_field_of_a_paddlejob,
    every_field_of_a_tfjob,
    every_field_of_an_xgboostjob,
];

/// The fields that the policy lets change.
const MUTABLE: [&str; 5] = [
    "metadata.labels",
    "metadata.annotations",
    "spec.runPolicy.activeDeadlineSeconds",
    "spec.runPolicy.ttlSecondsAfterFinished",
    "spec.runPolicy.cleanPodPolicy",
];

/// One in so many changes is sent as each kind of patch too.
const SAMPLE: usize = 25;

fn every_field_of_a_pytorchjob(clusters: &Clusters) {
    every_field(clusters, "pytorchjobs");
}

fn every_field_of_a_jaxjob(clusters: &Clusters) {
    every_field(clusters, "jaxjobs");
}

fn every_field_of_an_mpijob(clusters: &Clusters) {
    every_field(clusters, "mpijobs");
}

fn every_field_of_a_paddlejob(clusters: &Clusters) {
    every_field(clusters, "paddlejobs");
}

fn every_field_of_a_tfjob(clusters: &Clusters) {
    every_field(clusters, "tfjobs");
}

fn every_field_of_an_xgboostjob(clusters: &Clusters) {
    every_field(clusters, "xgboostjobs");
}

/// The edit, for those who read the output.
#[derive(Debug, Default)]
struct Counts {
    passed: usize,
    /// By the guard.
    refused: usize,
    /// By the schema, before the guard is asked.
    invalid: usize,
}

/// A change of one field.
struct Change<'a> {
    /// The job it begins with.
    base: &'a Value,
    path: &'a [Step],
    edited: Value,
    what: &'static str,
}

fn every_field(clusters: &Clusters, plural: &str) {
    let file = training_operator_crd().expect("the CRD").with_file_name(format!("kubeflow.org_{plural}.yaml"));
    let crd: Value = serde_saphyr::from_str(&fs::read_to_string(&file).expect("a file")).expect("YAML");
    let schema = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"];
    let in_spec = leaves(&schema["spec"], &vec![Step::Key("spec".to_owned())]);
    let in_metadata = metadata();
    assert!(in_spec.len() > 700, "{} fields", in_spec.len());
    // The pods' templates are the same: of the other kinds' a few fields do.
    let is_of_template = |leaf: &Leaf| leaf.path.contains(&Step::Key("template".to_owned()));
    let is_judged =
        |number: usize, leaf: &Leaf| plural == "pytorchjobs" || number.is_multiple_of(SAMPLE) || !is_of_template(leaf);
    let api = Api::guarded(clusters.training_operator(), File::new(&file), &crd);

    let (mut full, mut bare) = (object(&in_spec, true), object(&in_spec, false));
    for leaf in &in_metadata {
        set(&mut full, &leaf.path, leaf.first.clone());
    }
    // Where a map would be empty without the other one it would not be stored.
    full["metadata"]["labels"]["kept"] = json!("a");
    full["metadata"]["annotations"]["kept"] = json!("a");
    let [full, bare] = [("full", &mut full), ("bare", &mut bare)].map(|(name, job)| {
        job["apiVersion"] = json!("kubeflow.org/v1");
        job["kind"] = crd["spec"]["names"]["kind"].clone();
        job["metadata"]["name"] = json!(name);
        job["metadata"]["namespace"] = json!(api.namespace);
        api.create(job)
    });
    api.wait_until_asked(&bare);

    let mut counts = Counts::default();
    let all: Vec<&Leaf> = in_metadata.iter().chain(&in_spec).collect();
    let mut sampled = 0;
    for (number, leaf) in all.iter().enumerate().filter(|(number, leaf)| is_judged(*number, leaf)) {
        for change in changes(leaf, &full, &bare) {
            let mut ways = vec![By::Put];
            let is_mutable = MUTABLE.iter().any(|field| change.path.starts_with(&schema::parsed(field)));
            if number.is_multiple_of(SAMPLE) || is_mutable {
                ways.extend([By::MergePatch, By::JsonPatch, By::Apply]);
                sampled += 1;
            }
            for by in ways {
                judge(&api, &change, by, is_mutable, &mut counts);
            }
        }
    }
    for job in [&full, &bare] {
        assert!(api.are_as(job), "at the end the jobs are as they were");
    }
    let Counts { passed, refused, invalid } = counts;
    eprintln!(
        "{plural}: {} of {} fields, {} updates: {passed} passed, the guard refused {refused} and the schema {invalid}; \
         {sampled} of the changes by four kinds of request",
        in_spec.iter().enumerate().filter(|(number, leaf)| is_judged(number + in_metadata.len(), leaf)).count(),
        in_spec.len(),
        passed + refused + invalid
    );
    assert!(passed >= 3 * MUTABLE.len() && refused > 100, "{plural}: {passed} {refused}");
}

/// The fields of an object's metadata that an update can change at all.
fn metadata() -> Vec<Leaf> {
    let owner = |name: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "name": name, "uid": "u"});
    [
        ("labels.app", json!("a"), json!("b")),
        ("annotations.note", json!("a"), json!("b")),
        ("finalizers", json!(["example.com/a"]), json!(["example.com/b"])),
        ("ownerReferences[0]", owner("a"), owner("b")),
    ]
    .into_iter()
    .map(|(field, first, second)| {
        let path = schema::parsed(&format!("metadata.{field}"));
        Leaf { removable: path.len(), path, first, second, is_required: false }
    })
    .collect()
}

/// Another value, none, and one where there was none.
fn changes<'a>(leaf: &'a Leaf, full: &'a Value, bare: &'a Value) -> Vec<Change<'a>> {
    let edit = |base: &'a Value, path: &'a [Step], what, edit: &dyn Fn(&mut Value)| {
        let mut edited = base.clone();
        edit(&mut edited);
        Change { base, path, edited, what }
    };
    let (path, removable) = (&leaf.path[..], &leaf.path[..leaf.removable]);
    let mut changes = vec![
        edit(full, path, "changed", &|job| set(job, &leaf.path, leaf.second.clone())),
        edit(full, path, "removed", &|job| remove(job, &leaf.path)),
    ];
    changes.push(if leaf.is_required {
        edit(full, removable, "removed with what requires it", &|job| remove(job, removable))
    } else {
        edit(bare, path, "added", &|job| set(job, &leaf.path, leaf.first.clone()))
    });
    // A default that is the value already is no change.
    changes.retain(|change| change.edited != *change.base);
    changes
}

/// Sends a change, and shows that what comes of it is right, and that it leaves the job as it was where it is refused.
fn judge(api: &Api<'_>, change: &Change<'_>, by: By, is_mutable: bool, counts: &mut Counts) {
    let name = change.base["metadata"]["name"].as_str().unwrap_or_default();
    let context = || format!("{} {:?} in {name}, by {by:?}", change.what, change.path);
    let answer = api.send(by, change.base, &change.edited);
    if is_mutable {
        let stored = answer.unwrap_or_else(|refusal| panic!("{}: {refusal:?}", context()));
        assert!(stored == change.edited, "{}: {}", context(), json!(json_patch::diff(&change.edited, &stored)));
        let by = if matches!(by, By::Apply) { by } else { By::Put };
        let restored = api.send(by, &stored, change.base).expect("it can be changed back");
        assert!(restored == *change.base, "{}: {}", context(), json!(json_patch::diff(change.base, &restored)));
        counts.passed += 1;
        return;
    }
    let refusal = answer.err().unwrap_or_else(|| panic!("{} passed", context()));
    if is_no_typed_object(&refusal) {
        counts.invalid += 1;
        return;
    }
    let Refusal { code, reason, causes } = refusal;
    assert_eq!((code, reason.as_str()), (422, "Invalid"), "{}: {causes:?}", context());
    assert!(!causes.is_empty(), "{}", context());
    let above = &change.path[..change.path.len() - 1];
    for (_, field) in &causes {
        let named = schema::parsed(field);
        // What equals an absent field is one: then its root is what was added.
        let is_root = change.path.starts_with(&named) && is_empty(schema::at(change.base, &named));
        assert!(named == change.path || named == above || is_root, "{}: {causes:?}", context());
    }
    // The next update of this job, with the resource version of this one, would fail if this one had changed anything.
    if causes.iter().all(|(reason, _)| reason == "FieldValueForbidden") {
        counts.refused += 1;
    } else {
        counts.invalid += 1;
    }
}

/// True if server-side apply cannot make a typed object of what was sent: an element without what tells it from others.
fn is_no_typed_object(refusal: &Refusal) -> bool {
    refusal.code == 500 && refusal.reason.starts_with("failed to create typed patch object")
}

/// True if nothing but empty maps is there.
fn is_empty(value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null) => true,
        Some(Value::Object(members)) => members.values().all(|member| is_empty(Some(member))),
        Some(_) => false,
    }
}
