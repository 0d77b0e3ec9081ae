//! What there is in a cluster, as far as the checks ask for it.

use std::{collections::BTreeMap, time::SystemTime};

use serde_json::{Map, Value};

use super::api::MOST;

/// The definition of the jobs.
pub(super) const JOBS: &str = "pytorchjobs.kubeflow.org";

/// The kinds of objects that are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Application,
    Autoscaler,
    ConfigMap,
    Crd,
    Deployment,
    HelmRelease,
    Job,
    Kustomization,
    Mutating,
    Namespace,
    Pod,
    Service,
    Validating,
    Workload,
}

/// What there is in a cluster.
#[derive(Debug, Clone)]
pub(crate) struct Snapshot {
    /// The API server's version, like `v1.37.2`.
    pub(super) version: String,
    /// The objects, or the reason why they cannot be read.
    pub(super) objects: BTreeMap<Kind, Result<Vec<Value>, String>>,
    /// What each of the guard's pods says of itself.
    pub(super) replicas: Vec<Replica>,
    /// The API server's connection to the guard's Service, or the reason why there is none; none without a Service.
    pub(super) port: Option<Result<(), String>>,
    pub(super) now: SystemTime,
}

/// What a pod of the guard says of itself, through the API server.
#[derive(Debug, Clone)]
pub(super) struct Replica {
    pub(super) pod: String,
    pub(super) readyz: Result<String, String>,
    pub(super) metrics: Result<String, String>,
}

impl Snapshot {
    /// Without any object.
    pub(super) fn of(version: String, now: SystemTime) -> Self {
        Self { version, objects: BTreeMap::new(), replicas: Vec::new(), port: None, now }
    }

    pub(super) fn add(&mut self, kind: Kind, more: Result<Vec<Value>, impl ToString>) {
        let all = self.objects.entry(kind).or_insert_with(|| Ok(Vec::new()));
        match (&mut *all, more) {
            (Ok(all), Ok(more)) => all.extend(more),
            (_, Err(error)) => *all = Err(error.to_string()),
            (Err(_), Ok(_)) => {}
        }
    }

    /// The objects of a kind that could be read.
    pub(super) fn all(&self, kind: Kind) -> &[Value] {
        match self.objects.get(&kind) {
            Some(Ok(objects)) => objects,
            _ => &[],
        }
    }

    /// The reason why objects of a kind cannot be read.
    pub(super) fn problem(&self, kind: Kind) -> Option<&str> {
        self.objects.get(&kind)?.as_ref().err().map(String::as_str)
    }

    /// True if there may be more objects of a kind than were looked at.
    pub(super) fn is_cut(&self, kind: Kind) -> bool {
        self.all(kind).len() >= MOST
    }

    /// The definition of that name.
    pub(super) fn crd(&self, name: &str) -> Option<&Value> {
        self.all(Kind::Crd).iter().find(|crd| crd["metadata"]["name"] == name)
    }
}

/// The text, empty where there is none.
pub(super) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// An object's namespace and name.
pub(super) fn full_name(object: &Value) -> String {
    let metadata = &object["metadata"];
    format!("{}/{}", text(&metadata["namespace"]), text(&metadata["name"]))
}

/// The condition of that type, if it is true.
pub(super) fn condition<'o>(object: &'o Value, kind: &str) -> Option<&'o Value> {
    let mut conditions = object["status"]["conditions"].as_array()?.iter();
    conditions.find(|condition| condition["type"] == kind && condition["status"] == "True")
}

/// True if an object, or a template of one, has all of these labels.
pub(super) fn has_labels(object: &Value, wanted: &Map<String, Value>) -> bool {
    wanted.iter().all(|(key, value)| object["metadata"]["labels"][key] == *value)
}
