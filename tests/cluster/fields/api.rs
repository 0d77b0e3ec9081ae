//! The API server as a person uses it, over connections that stay open, with a guard for one namespace.

use std::{cell::RefCell, collections::HashMap, fs, path::Path};

use hyper::{Method, Request};
use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};
use pytorchjob_guard::{
    policy::{Policy, PolicySet},
    registration::{Address, Registration},
};
use serde_json::{Value, json};
use support::{
    Serves as _,
    control_plane::{ADMIN, OWN_GUARD, PERSON},
    free_address,
    guard::Guard,
    until,
};
use tokio::runtime::Runtime;

use crate::cluster::{Cluster, certificates};

/// The way in which a change is sent.
#[derive(Debug, Clone, Copy)]
pub(super) enum By {
    /// All of the object.
    Put,
    MergePatch,
    JsonPatch,
    /// Server-side apply.
    Apply,
}

/// The reason why an update was rejected.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) code: u16,
    pub(super) reason: String,
    /// Reason and field of each.
    pub(super) causes: Vec<(String, String)>,
}

/// A kind's API in a namespace of its own.
pub(super) struct Api<'a> {
    pub(super) namespace: String,
    plural: String,
    runtime: Runtime,
    client: Client,
    /// The version of each job that this test wrote last: an update of it conflicts if anything was written since.
    versions: RefCell<HashMap<String, Value>>,
    cluster: &'a Cluster,
    _guard: Guard,
}

impl<'a> Api<'a> {
    /// Installs the CRD where it is missing, and registers a guard for that kind with the conditions of its policy.
    pub(super) fn guarded(cluster: &'a Cluster, file: &Path, crd: &Value) -> Self {
        let plane = &cluster.plane;
        let plural = crd["spec"]["names"]["plural"].as_str().expect("a plural").to_owned();
        let namespace = cluster.fresh_name();
        let crd_name = crd["metadata"]["name"].as_str().expect("a name");
        // Too large for the annotation of a client-side apply.
        let applied =
            plane.kubectl(ADMIN).args(["apply", "--server-side", "--force-conflicts", "-f"]).arg(file).output();
        assert!(applied.is_ok_and(|output| output.status.success()), "{crd_name} can be installed");
        let wait = ["wait", "--for=condition=Established", "--timeout=60s", "crd", crd_name];
        until("the CRD", || Ok(plane.kubectl(ADMIN).args(wait).output()?.status.success().then_some(())))
            .expect("a CRD");
        let metadata = json!({"name": namespace, "labels": {OWN_GUARD: "true"}});
        plane
            .apply(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}).to_string())
            .expect("a namespace");
        plane.apply(&role(&plural).to_string()).expect("a role");

        let certs = cluster.folder().join("certs");
        certificates(&certs);
        let text = include_str!("../../../src/policy/built_in/training-operator.yaml");
        let text = text.replace("resource: pytorchjobs", &format!("resource: {plural}"));
        let policy = Policy::parse(&text).expect("the policy is good");
        let file = cluster.policy_file(&text);
        let guard = cluster.guard_with(free_address().expect("a free port"), |command| {
            command.args(["--policy", &file]);
            command.arg("--tls-cert").arg(certs.join("tls.crt")).arg("--tls-key").arg(certs.join("tls.key"));
        });
        let registration = Registration {
            name: namespace.clone(),
            address: Address::Url(format!("https://{}", guard.address())),
            ca_bundle: Some(fs::read(certs.join("ca.crt")).expect("a CA")),
            always_ask: false,
        };
        let mut configuration = json!(registration.configuration(&PolicySet::of(policy.clone())));
        for webhook in configuration["webhooks"].as_array_mut().into_iter().flatten() {
            assert!(webhook["matchConditions"].is_array(), "it has conditions");
            webhook["namespaceSelector"] = json!({"matchLabels": {"kubernetes.io/metadata.name": namespace}});
        }
        plane.apply(&configuration.to_string()).expect("the guard can be registered");

        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let kubeconfig = Kubeconfig::read_from(plane.kubeconfig()).expect("a kubeconfig");
        let options = KubeConfigOptions { context: Some(PERSON.to_owned()), ..KubeConfigOptions::default() };
        let client = runtime
            .block_on(async {
                Client::try_from(Config::from_custom_kubeconfig(kubeconfig, &options).await.expect("a config"))
            })
            .expect("a client");
        let api = Self { namespace, plural, runtime, client, versions: RefCell::default(), cluster, _guard: guard };
        let allowed = || api.request(&Method::GET, "", "", "application/json", &Value::Null).is_ok();
        until("the role", || Ok(allowed().then_some(()))).expect("people may do everything to it");
        api
    }

    fn request(&self, method: &Method, name: &str, query: &str, kind: &str, body: &Value) -> Result<Value, Refusal> {
        let path = format!("/apis/kubeflow.org/v1/namespaces/{}/{}/{name}{query}", self.namespace, self.plural);
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let request = Request::builder().method(method).uri(path).header("content-type", kind).body(body);
        self.runtime.block_on(self.client.request(request.expect("a request"))).map_err(|error| match error {
            kube::Error::Api(status) => Refusal {
                code: status.code,
                causes: status
                    .details
                    .iter()
                    .flat_map(|details| &details.causes)
                    // Of no field: that rules were not checked, because of the others.
                    .filter(|cause| cause.field != "<nil>")
                    .map(|cause| (cause.reason.clone(), cause.field.clone()))
                    .collect(),
                reason: format!("{}{}", status.reason, if status.reason == "Invalid" { "" } else { &status.message }),
            },
            other => panic!("{}: {other:?}", self.cluster.plane.address()),
        })
    }

    /// Waits until the guard refuses what nobody may change.
    pub(super) fn wait_until_asked(&self, object: &Value) {
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        let patch = json!({"metadata": {"finalizers": ["example.com/probe"]}});
        let is_refused = || {
            let kind = "application/merge-patch+json";
            self.request(&Method::PATCH, name, "?dryRun=All", kind, &patch).is_err_and(|refusal| refusal.code == 422)
        };
        until("the guard to be asked", || Ok(is_refused().then_some(()))).expect("the guard is asked");
    }

    /// True if the job and its copy are stored like this.
    pub(super) fn are_as(&self, object: &Value) -> bool {
        ["", "-applied"].iter().all(|copy| {
            let name = format!("{}{copy}", object["metadata"]["name"].as_str().unwrap_or_default());
            let stored = self.request(&Method::GET, &name, "", "application/json", &Value::Null);
            let mut stored = settled(stored.expect("the object is there"));
            stored["metadata"]["name"] = object["metadata"]["name"].clone();
            stored == *object
        })
    }

    /// Creates it, and its copy that is only ever applied, and gives it as it is stored then.
    pub(super) fn create(&self, object: &Value) -> Value {
        let created = self.request(&Method::POST, "", "", "application/json", object);
        self.apply(object).expect("the job can be applied");
        self.written(object, created.expect("the job can be created"))
    }

    /// Applies its copy on the server's side, as the manager of all of its fields, so that fields can be removed by this.
    fn apply(&self, object: &Value) -> Result<Value, Refusal> {
        let mut copy = object.clone();
        let name = format!("{}-applied", object["metadata"]["name"].as_str().unwrap_or_default());
        copy["metadata"]["name"] = json!(name);
        let query = "?fieldManager=fields&force=true";
        let mut stored = self.request(&Method::PATCH, &name, query, "application/apply-patch+yaml", &copy)?;
        stored["metadata"]["name"] = object["metadata"]["name"].clone();
        Ok(settled(stored))
    }

    fn written(&self, object: &Value, stored: Value) -> Value {
        let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        self.versions.borrow_mut().insert(name, stored["metadata"]["resourceVersion"].clone());
        settled(stored)
    }

    /// Sends the change from `base` to `edited`, once, and gives the object as it is stored then.
    pub(super) fn send(&self, by: By, base: &Value, edited: &Value) -> Result<Value, Refusal> {
        let name = base["metadata"]["name"].as_str().unwrap_or_default();
        let (method, kind, body) = match by {
            By::Put => {
                let mut edited = edited.clone();
                edited["metadata"]["resourceVersion"] = self.versions.borrow()[name].clone();
                (Method::PUT, "application/json", edited)
            }
            By::MergePatch => (Method::PATCH, "application/merge-patch+json", merge_patch(base, edited)),
            By::JsonPatch => (Method::PATCH, "application/json-patch+json", json!(json_patch::diff(base, edited))),
            By::Apply => return self.apply(edited),
        };
        self.request(&method, name, "", kind, &body).map(|stored| self.written(base, stored))
    }
}

/// The object without what the API server writes.
fn settled(mut object: Value) -> Value {
    for own in ["resourceVersion", "managedFields", "generation", "uid", "creationTimestamp"] {
        object["metadata"].as_object_mut().and_then(|metadata| metadata.remove(own));
    }
    object
}

/// The merge patch that makes `after` of `before`.
fn merge_patch(before: &Value, after: &Value) -> Value {
    let (Some(old), Some(new)) = (before.as_object(), after.as_object()) else { return after.clone() };
    let removed = old.keys().filter(|key| !new.contains_key(*key)).map(|key| (key.clone(), Value::Null));
    let changed = new.iter().filter(|(key, value)| old.get(*key) != Some(value));
    let changed = changed.map(|(key, value)| (key.clone(), merge_patch(old.get(key).unwrap_or(&Value::Null), value)));
    Value::Object(removed.chain(changed).collect())
}

/// Lets people do everything to a kind.
fn role(plural: &str) -> Value {
    let (group, name) = ("rbac.authorization.k8s.io", format!("people-{plural}"));
    let rules = json!([{"apiGroups": ["kubeflow.org"], "resources": [plural], "verbs": ["*"]}]);
    let role = json!({"apiGroup": group, "kind": "ClusterRole", "name": name});
    let people = json!({"apiGroup": group, "kind": "Group", "name": "people"});
    let version = format!("{group}/v1");
    json!({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": version, "kind": "ClusterRole", "metadata": {"name": name}, "rules": rules},
        {"apiVersion": version, "kind": "ClusterRoleBinding", "metadata": {"name": name}, "roleRef": role, "subjects": [people]},
    ]})
}
