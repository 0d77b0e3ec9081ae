//! `check` of two folders, as `kubectl diff` calls it.

use insta::assert_snapshot;

use super::{Folder, JOB};

/// A file's name as `kubectl diff` gives it.
const MNIST: &str = "kubeflow.org.v1.PyTorchJob.team-a.mnist";

/// The job under another name.
fn job(name: &str) -> String {
    JOB.replace("name: mnist", &format!("name: {name}"))
}

/// The folders of `kubectl diff` with the job and what becomes of it by one edit.
fn edited(from: &str, to: &str) -> Folder {
    assert!(JOB.contains(from), "{from} is in the job");
    Folder::new().with(&format!("LIVE-1/{MNIST}"), JOB).with(&format!("MERGED-2/{MNIST}"), JOB.replace(from, to))
}

/// The output of the program as `kubectl diff` calls it: the folders come before the words of `KUBECTL_EXTERNAL_DIFF`.
fn diff(folder: &Folder, words: &[&str]) -> String {
    folder.run(&[&["./LIVE-1", "./MERGED-2", "check"], words].concat())
}

#[test]
fn no_difference_is_exit_code_0_and_nothing_said() {
    assert_snapshot!(diff(&edited("3000", "3000"), &[]), @"exit code 0");
    assert_snapshot!(diff(&edited("3000", "3000"), &["-o", "json"]), @"
    exit code 0
    --- output
    []
    ");
    let empty = Folder::new().with("LIVE-1/a", "").with("MERGED-2/a", "");
    assert_snapshot!(diff(&empty, &[]), @"exit code 0");
}

#[test]
fn an_allowed_difference_is_told_field_by_field() {
    let folder = edited("  ttlSecondsAfterFinished: 3000\n", "  ttlSecondsAfterFinished: 60\n  cleanPodPolicy: All\n");
    assert_snapshot!(diff(&folder, &[]), @"
    exit code 1
    --- output
    pytorchjob.kubeflow.org/mnist allowed (namespace team-a, policy cci)
      spec.cleanPodPolicy (added)
      spec.ttlSecondsAfterFinished (was 3000, now 60)
    ");
    // The same as somebody would type it, on folders of any name.
    let folder = Folder::new().with("old/a.yaml", JOB).with("new/a.yaml", JOB.replace("3000", "60"));
    assert_snapshot!(folder.run(&["check", "old", "new"]), @"
    exit code 1
    --- output
    pytorchjob.kubeflow.org/mnist allowed (namespace team-a, policy cci)
      spec.ttlSecondsAfterFinished (was 3000, now 60)
    ");
}

#[test]
fn a_denied_difference_is_told_in_kubectls_words() {
    assert_snapshot!(diff(&edited("mnist:v1", "mnist:v2"), &[]), @r#"
    exit code 1
    --- output
    pytorchjob.kubeflow.org/mnist denied (namespace team-a, policy cci)
    Warning: only these fields can be changed: metadata.labels, metadata.annotations, spec.activeDeadlineSeconds, spec.ttlSecondsAfterFinished, spec.cleanPodPolicy
    The PyTorchJob "mnist" is invalid: spec.pytorchReplicaSpecs.Master.template.spec.containers[name="pytorch"].image: Forbidden: field is immutable
    "#);
}

#[test]
fn each_object_is_told_apart() {
    let other = |folder: &str| format!("{folder}/kubeflow.org.v1.PyTorchJob.team-a.other");
    let folder = edited("3000", "60")
        .with(&other("LIVE-1"), job("other"))
        .with(&other("MERGED-2"), job("other").replace("replicas: 1", "replicas: 2").replace("3000", "60"))
        .with("LIVE-1/kubeflow.org.v1.PyTorchJob.team-a.same", job("same"))
        .with("MERGED-2/kubeflow.org.v1.PyTorchJob.team-a.same", job("same"))
        // kubectl leaves an empty file where there is no object yet, and no file where it would be pruned.
        .with("LIVE-1/kubeflow.org.v1.PyTorchJob.team-a.young", "")
        .with("MERGED-2/kubeflow.org.v1.PyTorchJob.team-a.young", job("young"))
        .with("LIVE-1/kubeflow.org.v1.PyTorchJob.team-a.zombie", job("zombie"))
        .with("LIVE-1/v1.ConfigMap.team-a.conf", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: conf}\n")
        .with(
            "MERGED-2/v1.ConfigMap.team-a.conf",
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: conf}\ndata: {}\n",
        );
    assert_snapshot!(diff(&folder, &[]), @r#"
    exit code 1
    --- output
    pytorchjob.kubeflow.org/mnist allowed (namespace team-a, policy cci)
      spec.ttlSecondsAfterFinished (was 3000, now 60)
    pytorchjob.kubeflow.org/other denied (namespace team-a, policy cci)
    Warning: only these fields can be changed: metadata.labels, metadata.annotations, spec.activeDeadlineSeconds, spec.ttlSecondsAfterFinished, spec.cleanPodPolicy
    The PyTorchJob "other" is invalid: spec.pytorchReplicaSpecs.Master.replicas: Forbidden: field is immutable (was 1, now 2)
    pytorchjob.kubeflow.org/young created (namespace team-a, policy cci): only updates are denied
    pytorchjob.kubeflow.org/zombie deleted (namespace team-a, policy cci): only updates are denied
    configmap/conf allowed (policy cci): the policy is not about configmaps
    "#);
}

#[test]
fn the_answers_are_a_list_as_json_with_the_files_names() {
    let folder = edited("3000", "60")
        .with("LIVE-1/z", job("other"))
        .with("MERGED-2/z", job("other").replace("replicas: 1", "replicas: 2"));
    let said = diff(&folder, &["-o", "json"]);
    let json = said.split_once("--- output\n").expect("there is output").1;
    let answers: serde_json::Value = serde_json::from_str(json).expect("JSON");
    assert!(said.starts_with("exit code 1\n"), "{said}");
    assert_eq!(answers.as_array().map(Vec::len), Some(2), "{answers:#}");
    assert_eq!((&answers[0]["response"]["uid"], &answers[0]["response"]["allowed"]), (&MNIST.into(), &true.into()));
    assert_eq!((&answers[1]["response"]["uid"], &answers[1]["response"]["allowed"]), (&"z".into(), &false.into()));
    let status = &answers[1]["response"]["status"];
    assert_eq!((&status["code"], &status["reason"]), (&422.into(), &"Invalid".into()), "{status:#}");
    assert_eq!(status["details"]["causes"][0]["field"], "spec.pytorchReplicaSpecs.Master.replicas", "{status:#}");
}

#[test]
fn what_means_the_same_is_a_difference_that_counts_for_nothing() {
    let folder = edited("cpu: 2", "cpu: 2000m");
    assert_snapshot!(diff(&folder, &[]), @"
    exit code 1
    --- output
    pytorchjob.kubeflow.org/mnist allowed (namespace team-a, policy cci)
      nothing that counts as a change
    ");
}

#[test]
fn no_string_is_repeated() {
    let secret = |value: &str| JOB.replace("\"--epochs\", \"2\"", &format!("\"--token\", \"{value}-secret\""));
    let labelled =
        |value: &str| secret(value).replace("metadata:\n", &format!("metadata:\n  labels: {{a: {value}-secret}}\n"));
    for words in [&[][..], &["-o", "json"]] {
        let folder = Folder::new().with("LIVE-1/a", labelled("old")).with("MERGED-2/a", labelled("new"));
        let said = diff(&folder, words);
        assert!(said.starts_with("exit code 1") && said.contains(".args") && !said.contains("-secret"), "{said}");
        let folder = Folder::new()
            .with("LIVE-1/a", labelled("old"))
            .with("MERGED-2/a", labelled("old").replacen("old", "new", 1));
        let said = diff(&folder, words);
        assert!(said.starts_with("exit code 1") && !said.contains("-secret"), "{said}");
    }
}

#[test]
fn the_words_of_kubectl_external_diff_choose_policy_and_user() {
    let folder = edited("  finalizers: [example.com/keep]\n", "");
    let collector = "system:serviceaccount:kube-system:generic-garbage-collector";
    assert_snapshot!(diff(&folder, &["--policy=training-operator", "--user", collector]), @"
    exit code 1
    --- output
    pytorchjob.kubeflow.org/mnist allowed (namespace team-a, policy training-operator)
      metadata.finalizers (removed)
    ");
    assert_snapshot!(diff(&folder, &["--policy", "training-operator"]), @r#"
    exit code 1
    --- output
    pytorchjob.kubeflow.org/mnist denied (namespace team-a, policy training-operator)
    Warning: only these fields can be changed: metadata.labels, metadata.annotations, spec.runPolicy.activeDeadlineSeconds, spec.runPolicy.ttlSecondsAfterFinished, spec.runPolicy.cleanPodPolicy
    The PyTorchJob "mnist" is invalid: metadata.finalizers: Forbidden: field is immutable (removed)
    "#);
}

#[test]
fn a_policy_that_warns_says_what_it_warns_of() {
    let policy = "apiVersion: pytorchjob-guard/v1\nkind: UpdatePolicy\nname: trial\nmutableFields: [metadata.labels]\n\
                  resources: [{group: kubeflow.org, resource: pytorchjobs}]\nvalidationActions: [Warn]\n";
    let folder = edited("3000", "60").with("trial.yaml", policy);
    assert_snapshot!(diff(&folder, &["--policy", "trial.yaml"]), @"
    exit code 1
    --- output
    pytorchjob.kubeflow.org/mnist allowed (namespace team-a, policy trial)
      spec.ttlSecondsAfterFinished (was 3000, now 60)
    Warning: spec.ttlSecondsAfterFinished: Forbidden: field is immutable (was 3000, now 60)
    ");
}

#[test]
fn what_cannot_be_compared_is_an_error_above_1() {
    let folder = edited("mnist:v1", "mnist:v2").with(&format!("MERGED-2/{MNIST}"), "a: [1\n");
    assert_snapshot!(diff(&folder, &[]), @"
    exit code 2
    --- error output
    error: ./MERGED-2/kubeflow.org.v1.PyTorchJob.team-a.mnist: unclosed bracket '[' at line 1, column 4
    ");
    let folder = Folder::new().with("LIVE-1/a", JOB).with("MERGED-2/a", job("other"));
    assert_snapshot!(diff(&folder, &[]), @r#"
    exit code 2
    --- error output
    error: ./LIVE-1/a and ./MERGED-2/a are not the same object: metadata.name is "mnist" in the one and "other" in the other
    "#);
    let folder = Folder::new().with("LIVE-1/a", JOB).with("MERGED-2/a/b", JOB);
    assert_snapshot!(diff(&folder, &[]), @"
    exit code 2
    --- error output
    error: ./MERGED-2/a: Is a directory (os error 21)
    ");
    // One folder, one file.
    let folder = edited("3000", "60").with("old.yaml", JOB);
    assert_snapshot!(folder.run(&["check", "old.yaml", "MERGED-2"]), @"
    exit code 2
    --- error output
    error: MERGED-2: Is a directory (os error 21)
    ");
    // kubectl drops the word after --policy if it has a dot or a slash.
    assert_snapshot!(diff(&folder, &["--policy"]), @"
    exit code 2
    --- error output
    error: a value is required for '--policy <NAME|FILE>' but none was supplied

    For more information, try '--help'.
    ");
}

#[test]
fn only_the_subresources_that_there_are() {
    let said = diff(&edited("3000", "60"), &["--subresource", "foo"]);
    assert!(
        said.starts_with("exit code 2\n") && said.contains("--subresource foo: only scale and status are known"),
        "{said}"
    );
}
