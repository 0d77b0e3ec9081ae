//! `KUBECTL_EXTERNAL_DIFF="pytorchjob-guard check" kubectl diff` asks what the guard would say, where there is none.

use serde_json::{Value, json};
use support::{control_plane::PERSON, example_job};

use crate::{
    cluster::{Clusters, Job},
    run::Run,
    tests,
};

tests![
    tells_of_an_allowed_difference,
    tells_of_a_forbidden_difference,
    says_nothing_where_nothing_differs,
    tells_several_objects_apart,
    tells_what_would_be_pruned,
    takes_the_policy_that_the_variable_names,
    fails_where_it_cannot_decide,
    is_not_asked_where_the_webhook_refuses_the_dry_run,
];

const IMAGE: &str = r#"spec.pytorchReplicaSpecs.Master.template.spec.containers[name="pytorch"].image"#;

/// The example's manifest with an edit.
fn manifest(edit: impl FnOnce(&mut Value)) -> Value {
    let mut manifest = example_job();
    edit(&mut manifest);
    manifest
}

fn allowed(manifest: &mut Value) {
    manifest["spec"]["ttlSecondsAfterFinished"] = json!(60);
    manifest["metadata"]["labels"]["team"] = json!("vision-secret");
}

fn forbidden(manifest: &mut Value) {
    manifest["spec"]["pytorchReplicaSpecs"]["Worker"]["replicas"] = json!(2);
    manifest["spec"]["pytorchReplicaSpecs"]["Master"]["template"]["spec"]["containers"][0]["image"] =
        json!("new-secret");
}

/// `kubectl diff` with the guard as the program, and these words behind it.
fn diff(job: &Job, words: &str, arguments: &[&str], object: &Value) -> Run {
    let file = job.cluster.folder().join("object.json");
    std::fs::write(&file, object.to_string()).expect("the file can be written");
    let mut kubectl = job.command(PERSON);
    kubectl.env("KUBECTL_EXTERNAL_DIFF", format!("{} check {words}", support::guard::path().display()).trim_end());
    Run::of(kubectl.args(["diff"]).args(arguments).arg("-f").arg(file))
}

fn tells_of_an_allowed_difference(clusters: &Clusters) {
    let job = clusters.cci().unguarded_job_with(|_| ());
    let before = job.stored();
    // With --server-side the API server keeps what `kubectl apply` noted down in step.
    let noted = "  metadata.annotations[kubectl.kubernetes.io/last-applied-configuration]\n";
    for (arguments, beside) in
        [(&[][..], ""), (&["--show-managed-fields"], ""), (&["--server-side", "--force-conflicts"], noted)]
    {
        let run = diff(&job, "", arguments, &manifest(allowed));
        assert_eq!(run.code(), Some(1), "there is a difference: {}{}", run.stdout(), run.said());
        let said = format!(
            "pytorchjob.kubeflow.org/pytorch-test allowed (namespace {}, policy cci)\n{beside}  \
             metadata.labels.team (added)\n  spec.ttlSecondsAfterFinished (was 3000, now 60)\n",
            job.namespace
        );
        assert_eq!(run.stdout(), said, "{arguments:?}");
    }
    assert_eq!(job.stored(), before, "nothing is changed");
}

fn tells_of_a_forbidden_difference(clusters: &Clusters) {
    let job = clusters.cci().unguarded_job_with(|_| ());
    let before = job.stored();
    let run = diff(&job, "", &[], &manifest(|manifest| [allowed, forbidden].iter().for_each(|edit| edit(manifest))));
    assert_eq!(run.code(), Some(1), "there is a difference: {}{}", run.stdout(), run.said());
    let said = run.stdout();
    let line = format!("pytorchjob.kubeflow.org/pytorch-test denied (namespace {}, policy cci)\n", job.namespace);
    assert!(said.starts_with(&line), "{said}");
    let causes = format!(
        "The PyTorchJob \"pytorch-test\" is invalid: \n* {IMAGE}: Forbidden: field is immutable\n\
         * spec.pytorchReplicaSpecs.Worker.replicas: Forbidden: field is immutable (was 1, now 2)\n"
    );
    assert!(said.ends_with(&causes), "{said}");
    assert!(!said.contains("-secret"), "{said}");
    assert_eq!(job.stored(), before, "nothing is changed");
    // It is as good as its word: with the guard registered these are the fields.
    let _guard = job.cluster.guard_of(&job, "cci");
    let violations = [(IMAGE, ""), ("spec.pytorchReplicaSpecs.Worker.replicas", "(was 1, now 2)")];
    job.rejects(&violations, || job.with_file(&["apply"], &manifest(forbidden)));
    job.accepts(|| job.with_file(&["apply"], &manifest(allowed)));
}

fn says_nothing_where_nothing_differs(clusters: &Clusters) {
    let job = clusters.cci().unguarded_job_with(|_| ());
    let run = diff(&job, "", &[], &example_job());
    assert_eq!((run.code(), run.stdout()), (Some(0), ""), "{}", run.said());
    assert_eq!(diff(&job, "", &[], &manifest(allowed)).code(), Some(1));
}

fn tells_several_objects_apart(clusters: &Clusters) {
    let job = clusters.cci().unguarded_job_with(|_| ());
    job.create_a_crowd();
    let numbered = |number: u8, edit: fn(&mut Value)| {
        manifest(|manifest| {
            manifest["metadata"]["name"] = json!(format!("job-{number}"));
            edit(manifest);
        })
    };
    let objects = json!([
        numbered(0, allowed),
        numbered(1, forbidden),
        numbered(2, |_| ()),
        // There is none of that name yet.
        numbered(20, allowed),
    ]);
    let run = diff(&job, "", &[], &json!({"apiVersion": "v1", "kind": "List", "items": objects}));
    assert_eq!(run.code(), Some(1), "there are differences: {}{}", run.stdout(), run.said());
    let lines: Vec<&str> = run.stdout().lines().filter(|line| line.starts_with("pytorchjob.kubeflow.org/")).collect();
    let place = format!("(namespace {}, policy cci)", job.namespace);
    let expected = [
        format!("pytorchjob.kubeflow.org/job-0 allowed {place}"),
        format!("pytorchjob.kubeflow.org/job-1 denied {place}"),
        format!("pytorchjob.kubeflow.org/job-20 created {place}: only updates are denied"),
    ];
    assert_eq!(lines, expected, "{}", run.stdout());
}

fn tells_what_would_be_pruned(clusters: &Clusters) {
    let job = clusters.cci().unguarded_job_with(|_| ());
    let mut other = example_job();
    other["metadata"]["name"] = json!("other");
    let prune = ["--prune", "--selector=app=test", "--prune-allowlist=kubeflow.org/v1/PyTorchJob"];
    let run = diff(&job, "", &prune, &other);
    assert_eq!(run.code(), Some(1), "there are differences: {}{}", run.stdout(), run.said());
    let place = format!("(namespace {}, policy cci): only updates are denied", job.namespace);
    let said = format!(
        "pytorchjob.kubeflow.org/other created {place}\npytorchjob.kubeflow.org/pytorch-test deleted {place}\n"
    );
    assert_eq!(run.stdout(), said);
}

fn takes_the_policy_that_the_variable_names(clusters: &Clusters) {
    let job = clusters.cci().unguarded_job_with(|_| ());
    for words in ["--policy training-operator", "--policy=training-operator"] {
        let run = diff(&job, words, &[], &manifest(allowed));
        assert_eq!(run.code(), Some(1), "{}{}", run.stdout(), run.said());
        let line = format!("denied (namespace {}, policy training-operator)\n", job.namespace);
        assert!(run.stdout().contains(&line), "{}", run.stdout());
        assert!(run.stdout().contains("is invalid: spec.ttlSecondsAfterFinished: Forbidden"), "{}", run.stdout());
    }
    let run = diff(&job, "-o json", &[], &manifest(allowed));
    let answers: Value = serde_json::from_str(run.stdout()).expect("JSON");
    assert_eq!(answers[0]["response"]["allowed"], true, "{answers:#}");
    let file = format!("kubeflow.org.v1.PyTorchJob.{}.pytorch-test", job.namespace);
    assert_eq!(answers[0]["response"]["uid"], file, "{answers:#}");
}

fn fails_where_it_cannot_decide(clusters: &Clusters) {
    let job = clusters.cci().unguarded_job_with(|_| ());
    // kubectl drops words with other characters than letters, digits, - and =, here the file's name.
    for words in ["--policy ./own.yaml", "--policy=nonsense", "--nonsense"] {
        let run = diff(&job, words, &[], &manifest(allowed));
        assert!(run.code().is_some_and(|code| code > 1), "{words}: {:?}: {}", run.code(), run.everything());
        assert!(run.said().contains("error: "), "{words}: {}", run.said());
        assert_eq!(run.stdout(), "", "{words}");
    }
    assert_eq!(diff(&job, "", &[], &manifest(allowed)).code(), Some(1));
}

fn is_not_asked_where_the_webhook_refuses_the_dry_run(clusters: &Clusters) {
    let job = clusters.cci().job();
    let violations = [(IMAGE, ""), ("spec.pytorchReplicaSpecs.Worker.replicas", "(was 1, now 2)")];
    job.rejects(&violations, || {
        let run = diff(&job, "", &[], &manifest(forbidden));
        assert!(run.code().is_some_and(|code| code > 1), "the dry run fails, which is no difference: {:?}", run.code());
        assert_eq!(run.stdout(), "");
        run
    });
    let run = diff(&job, "", &[], &manifest(allowed));
    assert_eq!(run.code(), Some(1), "{}", run.said());
    assert!(run.stdout().contains("pytorchjob.kubeflow.org/pytorch-test allowed"), "{}", run.stdout());
}
