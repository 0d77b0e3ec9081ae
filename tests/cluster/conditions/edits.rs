//! Jobs, and edits of them, from which cases are drawn.

use serde_json::{Value, json};
use support::example_job;

/// One step of an edit.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    /// The position, as a JSON pointer.
    pub(crate) at: &'static str,
    /// The value to put there; none removes the field.
    pub(crate) value: Option<Value>,
}

impl Step {
    /// Does it. Maps on the way there are made; where there is something else on the way, nothing happens.
    pub(crate) fn apply(&self, object: &mut Value) {
        let keys: Vec<String> =
            self.at.split('/').skip(1).map(|key| key.replace("~1", "/").replace("~0", "~")).collect();
        let Some((target, parents)) = keys.split_last() else { return };
        let mut place = object;
        for key in parents {
            let next = match place {
                Value::Object(map) => {
                    if self.value.is_some() {
                        map.entry(key).or_insert_with(|| json!({}));
                    }
                    map.get_mut(key)
                }
                Value::Array(list) => key.parse().ok().and_then(|at: usize| list.get_mut(at)),
                _ => None,
            };
            let Some(next) = next else { return };
            place = next;
        }
        match (place, &self.value) {
            (Value::Object(map), Some(value)) => {
                map.insert(target.clone(), value.clone());
            }
            (Value::Object(map), None) => {
                map.remove(target);
            }
            (Value::Array(list), value) => match (target.parse::<usize>(), value) {
                (Ok(at), Some(value)) if at < list.len() => list[at] = value.clone(),
                (Ok(at), None) if at < list.len() => {
                    list.remove(at);
                }
                (Err(_), Some(value)) => list.push(value.clone()),
                _ => {}
            },
            _ => {}
        }
    }
}

const MASTER: &str = "/spec/pytorchReplicaSpecs/Master";

/// The steps: what may change by some policy, its neighbours, parents that appear and vanish, other spellings of the
/// same, other types, and what nobody knows.
pub(crate) fn steps() -> Vec<Step> {
    let limits = "/spec/pytorchReplicaSpecs/Master/template/spec/containers/0/resources/limits/cpu";
    let table: Vec<(&'static str, Vec<Value>)> = vec![
        ("/metadata/labels", vec![json!({}), json!({"app": "z"}), json!({"kueue.x-k8s.io/queue-name": "q"})]),
        ("/metadata/labels/app", vec![json!("other")]),
        ("/metadata/labels/kueue.x-k8s.io~1queue-name", vec![json!("a"), json!("b")]),
        ("/metadata/annotations", vec![json!({}), json!({"example.com/note": "n"})]),
        ("/metadata/annotations/example.com~1note", vec![json!("x"), json!("y")]),
        ("/metadata/annotations/example.com~1started-by", vec![json!("x")]),
        ("/metadata/annotations/other", vec![json!("x")]),
        ("/metadata/annotations/example.com~1seen-by-server", vec![json!("x")]),
        ("/spec/runPolicy/observed", vec![json!(1)]),
        ("/metadata/finalizers", vec![json!([]), json!(["example.com/hold"]), json!(["example.com/more"])]),
        (
            "/metadata/ownerReferences",
            vec![json!([]), json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": "o", "uid": "u"}])],
        ),
        ("/unknown", vec![json!(1), json!(null)]),
        ("/status/startTime", vec![json!("2026-01-01T00:00:00Z")]),
        ("/spec/activeDeadlineSeconds", vec![json!(60), json!(61.0), json!(null)]),
        ("/spec/ttlSecondsAfterFinished", vec![json!(60), json!("60")]),
        ("/spec/cleanPodPolicy", vec![json!("All"), json!("None")]),
        ("/spec/backoffLimit", vec![json!(1), json!(1.0), json!(null), json!([])]),
        ("/spec/nprocPerNode", vec![json!("2")]),
        ("/spec/namespace", vec![json!({}), json!({"in": 1}), json!({"as": 1}), json!("x")]),
        ("/spec/namespace/in", vec![json!(2)]),
        ("/spec/x~1y/null", vec![json!(1)]),
        ("/spec/elasticPolicy", vec![json!({}), json!({"maxReplicas": 3}), json!({"minReplicas": 1}), json!([])]),
        ("/spec/elasticPolicy/maxReplicas", vec![json!(4)]),
        ("/spec/elasticPolicy/minReplicas", vec![json!(2)]),
        ("/spec/runPolicy", vec![json!({}), json!({"cleanPodPolicy": "All"}), json!(null), json!("x"), json!([1])]),
        ("/spec/runPolicy/activeDeadlineSeconds", vec![json!(60)]),
        ("/spec/runPolicy/ttlSecondsAfterFinished", vec![json!(60), json!(null)]),
        ("/spec/runPolicy/cleanPodPolicy", vec![json!("All"), json!("Running")]),
        ("/spec/runPolicy/backoffLimit", vec![json!(2)]),
        ("/spec/runPolicy/suspend", vec![json!(true), json!(false), json!("yes")]),
        ("/spec/runPolicy/schedulingPolicy", vec![json!({}), json!({"queue": "a"}), json!({"minAvailable": 1})]),
        ("/spec/runPolicy/schedulingPolicy/queue", vec![json!("b")]),
        ("/spec/runPolicy/schedulingPolicy/minAvailable", vec![json!(2)]),
        ("/spec/pytorchReplicaSpecs/Master/restartPolicy", vec![json!("Always")]),
        ("/spec/pytorchReplicaSpecs/Worker", vec![json!({"replicas": 2, "template": {"spec": {"containers": []}}})]),
        ("/spec/pytorchReplicaSpecs/Worker/replicas", vec![json!(3)]),
        ("/spec/pytorchReplicaSpecs/Worker/restartPolicy", vec![json!("Always")]),
        ("/spec/pytorchReplicaSpecs/Worker/template/spec/containers/0/image", vec![json!("x")]),
        ("/spec/pytorchReplicaSpecs/Worker/template/spec/containers/0/args", vec![json!([]), json!(["a"])]),
        ("/spec/pytorchReplicaSpecs/Master/template/metadata", vec![json!({}), json!({"creationTimestamp": null})]),
        ("/spec/pytorchReplicaSpecs/Master/template/metadata/labels", vec![json!({}), json!({"a": "b"})]),
        ("/spec/pytorchReplicaSpecs/Master/template/metadata/annotations/a", vec![json!("1"), json!("2")]),
        ("/spec/pytorchReplicaSpecs/Master/template/spec/nodeSelector", vec![json!({}), json!({"gpu": "a100"})]),
        ("/spec/pytorchReplicaSpecs/Master/template/spec/tolerations", vec![json!([]), json!([{"key": "gpu"}])]),
        ("/spec/pytorchReplicaSpecs/Master/template/spec/schedulingGates", vec![json!([{"name": "g"}])]),
        ("/spec/pytorchReplicaSpecs/Master/template/spec/containers/0/image", vec![json!("x")]),
        ("/spec/pytorchReplicaSpecs/Master/template/spec/containers/0/resources", vec![json!({})]),
        (limits, vec![json!(2), json!("2"), json!("2000m"), json!("3")]),
        ("/spec/pytorchReplicaSpecs/Master/template/spec/containers/-", vec![json!({"name": "side", "image": "x"})]),
        (MASTER, vec![]),
        ("/spec", vec![json!({}), json!([])]),
    ];
    table
        .into_iter()
        .flat_map(|(at, values)| values.into_iter().map(Some).chain([None]).map(move |value| Step { at, value }))
        .collect()
}

/// The jobs that the edits begin with.
pub(crate) fn jobs() -> Vec<Value> {
    let job = |name: &str, change: &dyn Fn(&mut Value)| {
        let mut job = example_job();
        job["metadata"]["name"] = json!(name);
        job["metadata"]["labels"] = json!({"app": "a", "kueue.x-k8s.io/queue-name": "a"});
        change(&mut job);
        job
    };
    vec![
        job("full", &|job| {
            job["metadata"]["annotations"] = json!({"example.com/note": "a", "other": "b"});
            job["spec"]["runPolicy"] = json!({
                "suspend": false,
                "cleanPodPolicy": "None",
                "schedulingPolicy": {"queue": "a"},
            });
            job["spec"]["elasticPolicy"] = json!({"minReplicas": 1, "maxReplicas": 2});
            job["spec"]["namespace"] = json!({"in": 1});
            job["spec"]["x/y"] = json!({"null": null});
        }),
        job("bare", &|job| {
            job["metadata"] = json!({"name": "bare"});
            for field in ["activeDeadlineSeconds", "ttlSecondsAfterFinished", "cleanPodPolicy", "backoffLimit"] {
                if let Some(spec) = job["spec"].as_object_mut() {
                    spec.remove(field);
                }
            }
        }),
        job("empties", &|job| {
            job["metadata"]["labels"] = json!({});
            job["spec"]["runPolicy"] = json!({});
            job["spec"]["pytorchReplicaSpecs"]["Master"]["template"]["metadata"] = json!({});
        }),
        job("suspended", &|job| {
            job["spec"]["runPolicy"] = json!({"suspend": true});
            job["spec"]["pytorchReplicaSpecs"]["Master"]["template"]["metadata"] = json!({"annotations": {"a": "0"}});
        }),
        job("deleting", &|job| job["metadata"]["finalizers"] = json!(["example.com/hold", "example.com/more"])),
    ]
}
