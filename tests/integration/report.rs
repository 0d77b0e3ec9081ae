//! `report`: who was, or would be, denied what, by the guard's own log and by the API server's audit log.

use std::{
    fs,
    io::Write as _,
    process::{Command, Stdio},
};

use insta::assert_snapshot;
use pytorchjob_guard::policy::Policy;
use serde_json::{Value, json};
use support::{
    client::{Client, post},
    eventually,
    guard::{Guard, Start},
    reviews::update,
};

use crate::cli::Folder;

/// A line of the guard's log.
fn logged(message: &str, time: &str, user: &str, job: &str, fields: &str) -> String {
    let (namespace, name) = job.split_once('/').expect("a job");
    let line = json!({"timestamp": time, "level": "INFO", "message": message, "policy": "jobs", "uid": "1", "user": user,
        "namespace": namespace, "name": name, "operation": "UPDATE", "subresource": "", "dry_run": false, "fields": fields});
    format!("{line}\n")
}

/// An event of the audit log, of a request that ended with this code.
fn audited(code: u16, user: &str, uri: &str, annotations: &Value) -> String {
    let event = json!({"kind": "Event", "apiVersion": "audit.k8s.io/v1", "level": "Metadata", "auditID": "a",
        "stage": "ResponseComplete", "requestURI": uri, "verb": "patch", "user": {"username": user, "groups": []},
        "objectRef": {"resource": "pytorchjobs", "namespace": "team-b", "name": "bert", "apiGroup": "kubeflow.org"},
        "responseStatus": {"metadata": {}, "code": code}, "requestReceivedTimestamp": "2026-11-27T09:00:00.000000Z",
        "stageTimestamp": "2026-11-27T09:00:00.010000Z", "annotations": annotations});
    format!("{event}\n")
}

fn annotated(webhook: &str, policy: &str, fields: &str) -> Value {
    let key = |key: &str| format!("{webhook}.pytorchjob-guard.internal/{key}");
    json!({"authorization.k8s.io/decision": "allow", key("policy"): policy, key("violations"): fields})
}

const ARGO: &str = "system:serviceaccount:argocd:application-controller";
const IMAGE: &str = "spec.pytorchReplicaSpecs.Master.template.spec.containers[name=\"pytorch\"].image";

/// The guard's log of three days.
fn guard_log() -> String {
    let two = format!("{IMAGE},spec.nprocPerNode");
    [
        logged("tolerated", "2026-11-25T10:00:00.1Z", ARGO, "team-a/mnist", &two),
        logged("tolerated", "2026-11-26T10:00:00.2Z", ARGO, "team-a/mnist", IMAGE),
        logged("denied", "2026-11-26T11:00:00.3Z", "jane", "team-b/bert", "spec.runPolicy,spec.runPolicy.suspend"),
        "{\"timestamp\":\"2026-11-26T11:00:01Z\",\"level\":\"INFO\",\"message\":\"serving\"}\n".to_owned(),
        logged("denied", "2026-11-26T12:00:00.3Z", "jane", "team-b/bert", "spec.x")
            .replace("\"dry_run\":false", "\"dry_run\":true"),
    ]
    .concat()
}

#[test]
fn reports_the_guards_log_by_user_field_namespace_and_day() {
    let folder = Folder::new().with("guard.log", guard_log());
    assert_snapshot!(folder.run(&["report", "guard.log"]), @r#"
    exit code 0
    --- output
    2026-11-25T10:00:00.1Z to 2026-11-26T11:00:00.3Z: 1 update denied, 2 tolerated, which Deny would deny. Not counted: dry runs (1).

    USER                                                 DENIED  TOLERATED  EXAMPLE
    system:serviceaccount:argocd:application-controller       0          2  2026-11-25T10:00:00 team-a/mnist: spec.pytorchReplicaSpecs.Master.template.spec.containers[name="pytorch"].image and 1 more
    jane                                                      1          0  2026-11-26T11:00:00 team-b/bert: spec.runPolicy and 1 more

    FIELD                                                                           DENIED  TOLERATED  EXAMPLE
    spec.pytorchReplicaSpecs.Master.template.spec.containers[name="pytorch"].image       0          2  2026-11-25T10:00:00 team-a/mnist by system:serviceaccount:argocd:application-controller
    spec.nprocPerNode                                                                    0          1  2026-11-25T10:00:00 team-a/mnist by system:serviceaccount:argocd:application-controller
    spec.runPolicy                                                                       1          0  2026-11-26T11:00:00 team-b/bert by jane
    spec.runPolicy.suspend                                                               1          0  2026-11-26T11:00:00 team-b/bert by jane

    NAMESPACE  DENIED  TOLERATED  EXAMPLE
    team-a          0          2  2026-11-25T10:00:00 team-a/mnist by system:serviceaccount:argocd:application-controller: spec.pytorchReplicaSpecs.Master.template.spec.containers[name="pytorch"].image and 1 more
    team-b          1          0  2026-11-26T11:00:00 team-b/bert by jane: spec.runPolicy and 1 more

    DAY         DENIED  TOLERATED  EXAMPLE
    2026-11-26       1          1  2026-11-26T10:00:00 team-a/mnist by system:serviceaccount:argocd:application-controller: spec.pytorchReplicaSpecs.Master.template.spec.containers[name="pytorch"].image
    2026-11-25       0          1  2026-11-25T10:00:00 team-a/mnist by system:serviceaccount:argocd:application-controller: spec.pytorchReplicaSpecs.Master.template.spec.containers[name="pytorch"].image and 1 more
    "#);
    assert_snapshot!(folder.run(&["report", "guard.log", "-o", "markdown"]), @r#"
    exit code 0
    --- output
    # Denied and tolerated updates

    2026-11-25T10:00:00.1Z to 2026-11-26T11:00:00.3Z: 1 update denied, 2 tolerated, which Deny would deny. Not counted: dry runs (1).

    ## By user

    | user | denied | tolerated | example |
    |---|---:|---:|---|
    | system:serviceaccount:argocd:application-controller | 0 | 2 | 2026-11-25T10:00:00 team-a/mnist: spec.pytorchReplicaSpecs.Master.template.spec.containers\[name="pytorch"].image and 1 more |
    | jane | 1 | 0 | 2026-11-26T11:00:00 team-b/bert: spec.runPolicy and 1 more |

    ## By field

    | field | denied | tolerated | example |
    |---|---:|---:|---|
    | spec.pytorchReplicaSpecs.Master.template.spec.containers\[name="pytorch"].image | 0 | 2 | 2026-11-25T10:00:00 team-a/mnist by system:serviceaccount:argocd:application-controller |
    | spec.nprocPerNode | 0 | 1 | 2026-11-25T10:00:00 team-a/mnist by system:serviceaccount:argocd:application-controller |
    | spec.runPolicy | 1 | 0 | 2026-11-26T11:00:00 team-b/bert by jane |
    | spec.runPolicy.suspend | 1 | 0 | 2026-11-26T11:00:00 team-b/bert by jane |

    ## By namespace

    | namespace | denied | tolerated | example |
    |---|---:|---:|---|
    | team-a | 0 | 2 | 2026-11-25T10:00:00 team-a/mnist by system:serviceaccount:argocd:application-controller: spec.pytorchReplicaSpecs.Master.template.spec.containers\[name="pytorch"].image and 1 more |
    | team-b | 1 | 0 | 2026-11-26T11:00:00 team-b/bert by jane: spec.runPolicy and 1 more |

    ## By day

    | day | denied | tolerated | example |
    |---|---:|---:|---|
    | 2026-11-26 | 1 | 1 | 2026-11-26T10:00:00 team-a/mnist by system:serviceaccount:argocd:application-controller: spec.pytorchReplicaSpecs.Master.template.spec.containers\[name="pytorch"].image |
    | 2026-11-25 | 0 | 1 | 2026-11-25T10:00:00 team-a/mnist by system:serviceaccount:argocd:application-controller: spec.pytorchReplicaSpecs.Master.template.spec.containers\[name="pytorch"].image and 1 more |
    "#);
    let json = folder.run(&["report", "guard.log", "-o", "json"]);
    let json: Value =
        serde_json::from_str(json.strip_prefix("exit code 0\n--- output\n").expect("JSON")).expect("JSON");
    assert_eq!((&json["denied"], &json["tolerated"], &json["dryRuns"]), (&json!(1), &json!(2), &json!(1)));
    assert_eq!(json["users"][0]["name"], ARGO);
    assert_eq!(json["users"][0]["example"]["fields"], json!([IMAGE, "spec.nprocPerNode"]));
    assert_eq!(json["days"].as_array().map(Vec::len), Some(2));
}

#[test]
fn reports_the_audit_log_by_its_annotations() {
    let uri = "/apis/kubeflow.org/v1/namespaces/team-b/pytorchjobs/bert?fieldManager=kubectl-edit";
    let denied = audited(422, "jane", uri, &annotated("updates", "jobs", "spec.nprocPerNode"));
    let log = [
        denied.clone(),
        denied.replace("ResponseComplete", "RequestReceived"),
        audited(200, "joe", uri, &annotated("updates.team-b", "team-b", "spec.a,and 7 more")),
        audited(200, "joe", &format!("{uri}&dryRun=All"), &annotated("updates", "jobs", "spec.b")),
        audited(200, "joe", uri, &json!({"authorization.k8s.io/decision": "allow"})),
        denied.replace("\"level\"", "\"impersonatedUser\":{\"username\":\"boss\"},\"level\""),
        // Another webhook's.
        denied.replace("pytorchjob-guard.internal", "example.com"),
    ];
    assert_snapshot!(Folder::new().with("audit.log", log.concat()).run(&["report", "audit.log"]), @"
    exit code 0
    --- output
    2026-11-27T09:00:00.000000Z to 2026-11-27T09:00:00.000000Z: 2 updates denied, 1 tolerated, which Deny would deny. Not counted: dry runs (1).

    USER  DENIED  TOLERATED  EXAMPLE
    boss       1          0  2026-11-27T09:00:00 team-b/bert: spec.nprocPerNode
    jane       1          0  2026-11-27T09:00:00 team-b/bert: spec.nprocPerNode
    joe        0          1  2026-11-27T09:00:00 team-b/bert: spec.a

    FIELD              DENIED  TOLERATED  EXAMPLE
    spec.nprocPerNode       2          0  2026-11-27T09:00:00 team-b/bert by jane
    spec.a                  0          1  2026-11-27T09:00:00 team-b/bert by joe

    NAMESPACE  DENIED  TOLERATED  EXAMPLE
    team-b          2          1  2026-11-27T09:00:00 team-b/bert by jane: spec.nprocPerNode

    POLICY  DENIED  TOLERATED  EXAMPLE
    jobs         2          0  2026-11-27T09:00:00 team-b/bert by jane: spec.nprocPerNode
    team-b       0          1  2026-11-27T09:00:00 team-b/bert by joe: spec.a

    DAY         DENIED  TOLERATED  EXAMPLE
    2026-11-27       2          1  2026-11-27T09:00:00 team-b/bert by jane: spec.nprocPerNode
    ");
}

#[test]
fn prints_an_exemption_that_can_be_pasted() {
    let scale = logged("denied", "2026-11-27T00:00:00Z", ARGO, "team-a/mnist", "spec.replicas");
    let scale = scale.replace("\"subresource\":\"\"", "\"subresource\":\"scale\"");
    let folder = Folder::new().with("guard.log", guard_log() + &scale);
    let said = folder.run(&["report", "guard.log", "--exemption", ARGO]);
    assert_snapshot!(said, @r#"
    exit code 0
    --- output
    # For 3 updates, denied or tolerated. Take out the fields that the user should not change.
    exemptions:
      - name: application-controller
        users:
          - "system:serviceaccount:argocd:application-controller"
        fields:
          - spec.nprocPerNode
          - "spec.pytorchReplicaSpecs.Master.template.spec.containers[name=\"pytorch\"].image"
      - name: application-controller-scale
        users:
          - "system:serviceaccount:argocd:application-controller"
        subresources: [scale]
        fields:
          - spec.replicas
    "#);
    let exemption = said.split_once("exemptions:\n").expect("an exemption").1;
    let policy =
        format!("{}{exemption}", Policy::builtin_text("cci").expect("a policy").replace("name: cci", "name: own"));
    let lint = folder.with("own.yaml", &policy).run(&["policy", "lint", "--strict", "own.yaml"]);
    assert!(lint.starts_with("exit code 0\n"), "{lint}{policy}");
    let folder = Folder::new().with("guard.log", guard_log());
    // A field inside another one is not listed again.
    let jane = folder.run(&["report", "guard.log", "--exemption", "jane"]);
    assert!(jane.contains("      - spec.runPolicy\n") && !jane.contains("suspend"), "{jane}");
    assert_snapshot!(folder.run(&["report", "guard.log", "--exemption", "joe"]), @"
    exit code 2
    --- error output
    error: --exemption joe: no update of this user was denied or tolerated; without the option report lists the users
    ");
}

#[test]
fn reads_gzip_standard_input_and_prefixed_lines() {
    let folder = Folder::new().with("guard.log", guard_log());
    let plain = folder.run(&["report", "guard.log"]);
    let mut gzip = Command::new("gzip").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("gzip");
    gzip.stdin.take().expect("a pipe").write_all(guard_log().as_bytes()).expect("it reads");
    let compressed = gzip.wait_with_output().expect("it ends").stdout;
    let folder = folder.with("guard.log.gz", compressed);
    assert_eq!(folder.run(&["report", "guard.log.gz"]), plain);
    let prefixed = format!("[pod/guard-1/guard] {}", guard_log().trim_end().replace('\n', "\n[pod/guard-1/guard] "));
    assert_eq!(folder.run_with(&["report", "-"], &prefixed), plain);
}

#[test]
fn says_which_lines_and_files_it_cannot_read() {
    let text = "2026-11-26T11:00:01Z  INFO denied user=jane fields=spec.a\n";
    let folder = Folder::new()
        .with("text.log", text)
        .with("mixed.log", guard_log() + text + &"x".repeat(100) + "\n\n")
        .with("guard.log", guard_log())
        .with("empty.log", "");
    assert_snapshot!(folder.run(&["report", "text.log"]), @"
    exit code 2
    --- error output
    error: text.log: no line is of the guard's log or of an audit log; the guard's needs --log-format json
    ");
    assert_snapshot!(folder.run(&["report", "none.log"]), @"
    exit code 2
    --- error output
    error: none.log: No such file or directory (os error 2)
    ");
    assert_snapshot!(folder.run(&["report", "empty.log"]), @"
    exit code 0
    --- output
    0 updates denied, 0 tolerated.
    ");
    let mixed = folder.run(&["report", "mixed.log"]);
    assert!(
        mixed.ends_with("--- error output\nmixed.log: 2 lines are of neither log, and were passed over\n"),
        "{mixed}"
    );
    assert!(mixed.starts_with(folder.run(&["report", "guard.log"]).lines().next().expect("a line")), "{mixed}");
}

/// The guard itself writes what the command reads.
#[test]
fn reads_what_the_guard_writes() {
    let guard: Guard = Start::new().args(&["--log-format=json"]).serve();
    let mut client = Client::to(&guard);
    for _ in 0..3 {
        client.ask(&post(&update(json!({"a": 1, "b,c": 1}), json!({"a": 2, "b,c": 2})).to_string())).decides(false);
    }
    eventually("three lines", || guard.log().matches("\"message\":\"denied\"").count() == 3);
    let folder = Folder::new().with("guard.log", fs::read(guard.log_file()).expect("a log"));
    let said = folder.run(&["report", "guard.log", "-o", "json"]);
    let json: Value =
        serde_json::from_str(said.strip_prefix("exit code 0\n--- output\n").expect("JSON")).expect("JSON");
    assert_eq!((&json["denied"], &json["fields"][0]["denied"]), (&json!(3), &json!(3)), "{said}");
    assert_eq!(json["fields"][1]["name"], json!("spec[b,c]"), "{said}");
}
