//! The documented use: a client reads a job, changes one of the five fields and replaces the job by that. It works with every
//! client, however the client writes what it did not change.

use std::{
    collections::BTreeMap,
    process::{Command, Output},
};

use k8s_openapi::api::core::v1::PodTemplateSpec;
use kube::{
    Api, Client, Config,
    api::{DynamicObject, PostParams},
    config::{KubeConfigOptions, Kubeconfig},
    core::{ApiResource, GroupVersionKind, Object},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};
use support::{
    control_plane::PERSON,
    programs::{python_client, typed_client},
};

use crate::{
    cluster::{Clusters, HERE, Job},
    tests,
};

tests![
    replaces_a_job_with_the_typed_client_in_go,
    #[needs("python3")]
    replaces_a_job_with_the_client_in_python,
    replaces_a_job_with_typed_structs_of_kube_rs,
    replaces_a_job_with_dynamic_objects_of_kube_rs,
];

/// The five fields, and where they are below the object.
const FIELDS: [(&str, &str); 5] = [
    ("labels", "/metadata/labels/changed"),
    ("annotations", "/metadata/annotations/changed"),
    ("activeDeadlineSeconds", "/activeDeadlineSeconds"),
    ("ttlSecondsAfterFinished", "/ttlSecondsAfterFinished"),
    ("cleanPodPolicy", "/cleanPodPolicy"),
];
const IMAGE: &str = r#"spec.pytorchReplicaSpecs.Master.template.spec.containers[name="pytorch"].image"#;
const NAME: &str = "pytorch-test";

/// Adds what a typed client writes in another way than it was written here.
fn add_what_typed_clients_rewrite(job: &mut Value) {
    let template = &mut job["spec"]["pytorchReplicaSpecs"]["Master"]["template"];
    template["metadata"] = json!({"labels": {}});
    let pod = &mut template["spec"];
    pod["nodeSelector"] = json!({});
    pod["hostNetwork"] = json!(false);
    pod["priorityClassName"] = json!("");
    pod["volumes"] = json!([{"name": "scratch", "emptyDir": {"sizeLimit": "1024Mi"}}]);
    let container = &mut pod["containers"][0];
    container["tty"] = json!(false);
    container["env"] = json!([
        {"name": "EMPTY", "value": ""},
        {"name": "CPU", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}},
    ]);
}

/// A change of a field: none where it is accepted, else the API server's Status.
type Replace<'r> = &'r dyn Fn(&Job<'_>, &str) -> Option<Value>;

/// Shows that each of the five fields can be changed by a client, and the image cannot. `spec` is where the other three are.
fn replaces(job: &Job<'_>, spec: &str, replace: Replace<'_>) {
    for (field, pointer) in FIELDS {
        let pointer = if pointer.starts_with("/metadata") { pointer.to_owned() } else { format!("{spec}{pointer}") };
        let before = job.stored();
        let rejected = replace(job, field);
        assert_eq!(rejected, None, "{field}");
        let after = job.stored();
        assert_ne!(after.pointer(&pointer), before.pointer(&pointer), "{field}");
    }
    let before = job.stored();
    let status = replace(job, "image").expect("the image is immutable");
    assert_eq!((&status["code"], &status["reason"]), (&json!(422), &json!("Invalid")), "{status:#}");
    let causes = status["details"]["causes"].as_array().expect("causes");
    let fields: Vec<_> = causes.iter().map(|cause| &cause["field"]).collect();
    assert_eq!(fields, [IMAGE], "{status:#}");
    assert_eq!(job.stored(), before);
}

/// In the training operator's layout, under its policy.
fn replaces_run_policy(clusters: &Clusters, replace: Replace<'_>) {
    let (job, _guard) = clusters.training_operator().job_under("training-operator", add_what_typed_clients_rewrite);
    replaces(&job, "/spec/runPolicy", replace);
}

/// In the layout of the documented example, where the CRD keeps each field as a client wrote it.
fn replaces_spec(clusters: &Clusters, replace: Replace<'_>) {
    let job = clusters.cci().job_with(add_what_typed_clients_rewrite);
    replaces(&job, "/spec", replace);
}

/// The output of a client that takes a kubeconfig, a namespace, a name and a field.
fn run(mut client: Command, job: &Job<'_>, field: &str) -> Option<Value> {
    let kubeconfig = job.cluster.plane.kubeconfig_of(PERSON).expect("a kubeconfig can be written");
    let Output { status, stdout, stderr } =
        client.arg(kubeconfig).args([&job.namespace, NAME, field]).output().expect("the client runs");
    match status.code() {
        Some(0) => None,
        Some(1) if !stdout.is_empty() => Some(serde_json::from_slice(&stdout).expect("a Status is JSON")),
        _ => panic!("{field}: {}", String::from_utf8_lossy(&stderr)),
    }
}

fn replaces_a_job_with_the_typed_client_in_go(clusters: &Clusters) {
    let client = typed_client().expect("the client is built");
    replaces_run_policy(clusters, &|job, field| run(Command::new(&client), job, field));
}

fn replaces_a_job_with_the_client_in_python(clusters: &Clusters) {
    let packages = python_client().expect("the client is installed");
    let client = |job: &Job<'_>, field: &str| {
        let mut python = Command::new("python3");
        python.arg("-B").arg(format!("{HERE}/clients/client.py")).env("PYTHONPATH", &packages);
        run(python, job, field)
    };
    replaces_run_policy(clusters, &client);
    replaces_spec(clusters, &client);
}

/// The spec as somebody declares it who uses kube-rs, with Kubernetes' own types for pods.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec {
    pytorch_replica_specs: BTreeMap<String, ReplicaSpec>,
    run_policy: RunPolicy,
    #[serde(flatten)]
    others: Map<String, Value>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct ReplicaSpec {
    template: PodTemplateSpec,
    #[serde(flatten)]
    others: Map<String, Value>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RunPolicy {
    active_deadline_seconds: Option<i64>,
    ttl_seconds_after_finished: Option<i32>,
    clean_pod_policy: Option<String>,
    #[serde(flatten)]
    others: Map<String, Value>,
}

/// Replaces the job by what was read and changed, with kube-rs.
fn replace_with_kube<K>(job: &Job<'_>, change: impl FnOnce(&mut K)) -> Option<Value>
where
    K: kube::Resource<DynamicType = ApiResource, Scope = kube::core::DynamicResourceScope>
        + Clone
        + DeserializeOwned
        + Serialize
        + std::fmt::Debug,
{
    let kubeconfig = job.cluster.plane.kubeconfig_of(PERSON).expect("a kubeconfig can be written");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let kubeconfig = Kubeconfig::read_from(kubeconfig).expect("a kubeconfig");
        let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await;
        let client = Client::try_from(config.expect("a configuration")).expect("a client");
        let kind = GroupVersionKind::gvk("kubeflow.org", "v1", "PyTorchJob");
        let jobs: Api<K> = Api::namespaced_with(client, &job.namespace, &ApiResource::from_gvk(&kind));
        let mut object = jobs.get(NAME).await.expect("the job is there");
        change(&mut object);
        match jobs.replace(NAME, &PostParams::default(), &object).await {
            Ok(_) => None,
            Err(kube::Error::Api(status)) => Some(serde_json::to_value(status).expect("a Status is JSON")),
            Err(error) => panic!("{error}"),
        }
    })
}

fn replaces_a_job_with_typed_structs_of_kube_rs(clusters: &Clusters) {
    replaces_run_policy(clusters, &|job, field| {
        replace_with_kube::<Object<Spec, Value>>(job, |job| match field {
            "labels" => drop(job.metadata.labels.get_or_insert_default().insert("changed".into(), "yes".into())),
            "annotations" => {
                drop(job.metadata.annotations.get_or_insert_default().insert("changed".into(), "yes".into()));
            }
            "activeDeadlineSeconds" => job.spec.run_policy.active_deadline_seconds = Some(600),
            "ttlSecondsAfterFinished" => job.spec.run_policy.ttl_seconds_after_finished = Some(60),
            "cleanPodPolicy" => job.spec.run_policy.clean_pod_policy = Some("All".into()),
            _ => {
                let master = job.spec.pytorch_replica_specs.get_mut("Master").expect("a master");
                let pod = master.template.spec.as_mut().expect("a pod");
                pod.containers[0].image = Some("other".into());
            }
        })
    });
}

fn replaces_a_job_with_dynamic_objects_of_kube_rs(clusters: &Clusters) {
    replaces_spec(clusters, &|job, field| {
        replace_with_kube::<DynamicObject>(job, |job| match field {
            "labels" => drop(job.metadata.labels.get_or_insert_default().insert("changed".into(), "yes".into())),
            "annotations" => {
                drop(job.metadata.annotations.get_or_insert_default().insert("changed".into(), "yes".into()));
            }
            "activeDeadlineSeconds" => job.data["spec"][field] = json!(600),
            "ttlSecondsAfterFinished" => job.data["spec"][field] = json!(60),
            "cleanPodPolicy" => job.data["spec"][field] = json!("All"),
            _ => {
                let pod = &mut job.data["spec"]["pytorchReplicaSpecs"]["Master"]["template"]["spec"];
                pod["containers"][0]["image"] = json!("other");
            }
        })
    });
}
