//! The answers of an API server of any supported version to the registration.

use std::{io::Write as _, process::Stdio};

use serde_json::Value;
use support::{control_plane::ADMIN, guard};

use crate::{cluster::Clusters, tests_of_every_version};

tests_of_every_version![registrations_and_admission_policies_raise_no_warning];

const POLICIES: [&str; 3] = ["cci", "training-operator", "kueue"];

/// The guard's output, with a name that no object has yet.
fn printed(arguments: &[&str]) -> String {
    let output = guard::program().args(arguments).output().expect("the guard runs");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    text.replacen("  name: pytorchjob-guard\n", "  name: of-this-version\n", 1)
}

fn registrations_and_admission_policies_raise_no_warning(clusters: &Clusters) {
    let plane = &clusters.cci().plane;
    let version = plane.kubectl(ADMIN).args(["version", "--output=json"]).output().expect("kubectl runs");
    let version: Value = serde_json::from_slice(&version.stdout).expect("JSON");
    for policy in POLICIES {
        for arguments in [&["registration", policy][..], &["policy", "vap", policy]] {
            let mut kubectl = plane.kubectl(ADMIN);
            // Nothing is registered by this: the other tests' guards are asked as before.
            kubectl.args(["create", "--dry-run=server", "--validate=strict", "-f", "-"]);
            let mut kubectl = kubectl
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .expect("kubectl runs");
            kubectl.stdin.take().expect("a pipe").write_all(printed(arguments).as_bytes()).expect("kubectl reads");
            let output = kubectl.wait_with_output().expect("kubectl ends");
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success() && said.is_empty(), "{arguments:?}: {said}");
        }
    }
    eprintln!("Kubernetes {}", version["serverVersion"]["gitVersion"]);
}
