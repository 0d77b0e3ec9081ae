//! The API server's own Pod Security admission holds the guard's namespace to the restricted standard, and takes the guard.

use std::{fs, process::Output};

use serde_json::{Value, json};

use super::{Bare, NAME, OVERLAYS, the};
use support::control_plane::ADMIN;

use crate::{cluster::Clusters, tests};

tests![the_restricted_standard_takes_the_guard_and_nothing_laxer];

/// The fields that the standard requires, their place in a pod, and the API server's message where one is missing.
const WANTED: [(&str, &str, &str); 4] = [
    ("/spec/securityContext", "runAsNonRoot", "runAsNonRoot != true"),
    ("/spec/securityContext", "seccompProfile", "seccompProfile"),
    ("/spec/containers/0/securityContext", "allowPrivilegeEscalation", "allowPrivilegeEscalation != false"),
    ("/spec/containers/0/securityContext", "capabilities", "unrestricted capabilities"),
];

fn the_restricted_standard_takes_the_guard_and_nothing_laxer(_: &Clusters) {
    let bare = Bare::boot();
    for overlay in OVERLAYS {
        let mut applied = bare.plane.kubectl(ADMIN);
        let applied = applied.args(["apply", "-k"]).arg(overlay.folder()).output().expect("kubectl");
        let warnings = String::from_utf8_lossy(&applied.stderr);
        assert!(applied.status.success() && warnings.is_empty(), "{}: {warnings}", overlay.name);

        let pod = pod(&the(&overlay.objects(), "Deployment")["spec"]["template"]);
        let created = create(&bare, &pod);
        let said = String::from_utf8_lossy(&created.stderr).into_owned();
        assert!(created.status.success() && said.is_empty(), "{}: {said}", overlay.name);
        for (place, name, complaint) in WANTED {
            let mut laxer = pod.clone();
            let context = laxer.pointer_mut(place).and_then(Value::as_object_mut).expect("a security context");
            context.remove(name).expect("it is there");
            let refused = create(&bare, &laxer);
            let said = String::from_utf8_lossy(&refused.stderr);
            let expected = r#"violates PodSecurity "restricted:latest": "#;
            assert!(
                !refused.status.success() && said.contains(expected) && said.contains(complaint),
                "{} without {name}: {said}",
                overlay.name
            );
        }
    }
}

/// A pod as the Deployment's controllers would make it.
fn pod(template: &Value) -> Value {
    let mut pod = template.clone();
    pod["apiVersion"] = json!("v1");
    pod["kind"] = json!("Pod");
    pod["metadata"]["name"] = json!("pytorchjob-guard-0");
    pod["metadata"]["namespace"] = json!(NAME);
    pod
}

fn create(bare: &Bare, pod: &Value) -> Output {
    let file = bare.session.folder().join("pod.json");
    fs::write(&file, pod.to_string()).expect("a file");
    let mut kubectl = bare.plane.kubectl(ADMIN);
    kubectl.args(["create", "--dry-run=server", "-f"]).arg(file).output().expect("kubectl")
}
