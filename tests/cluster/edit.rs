//! `kubectl edit`, with a script as the editor: a refused edit comes back to the user, and is not lost.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use support::control_plane::PERSON;

use crate::{
    cluster::{Clusters, Job, Violation},
    run::Run,
    tests_of_every_version,
};

tests_of_every_version![
    reopens_the_editor_with_a_line_for_each_forbidden_field,
    reopens_the_editor_until_the_edit_is_right,
    changes_nothing_when_the_user_gives_up,
];

/// The user: sees a file, keeps in mind what it showed, and makes the next edit, a sed script.
const EDITOR: &str = r#"#!/bin/sh
folder=$(dirname "$0")
turn=1
while [ -e "$folder/shown-$turn" ]; do turn=$((turn + 1)); done
cp "$1" "$folder/shown-$turn"
sed -f "$folder/edit-$turn" "$folder/shown-$turn" > "$1"
"#;

const IMAGE: &str = r#"spec.pytorchReplicaSpecs.Master.template.spec.containers[name="pytorch"].image"#;
const WORKERS: &str = "spec.pytorchReplicaSpecs.Worker.replicas";

/// Other images, in Master and in Worker.
const CHANGE_IMAGES: &str = "/^ *image: /s/pytorch-cpu:v1/pytorch-cpu:v2/";
const RESTORE_IMAGES: &str = "/^ *image: /s/pytorch-cpu:v2/pytorch-cpu:v1/";
const CHANGE_LABEL: &str = "s/^    app: test$/    app: edited/";

/// Runs `kubectl edit` with a user who makes one edit after another, and gives what the editor showed each time.
pub(crate) fn edit(job: &Job, edits: &[&str]) -> (Run, Vec<String>) {
    let folder = job.cluster.folder();
    let editor = folder.join("editor");
    fs::write(&editor, EDITOR).expect("the editor can be written");
    fs::set_permissions(&editor, fs::Permissions::from_mode(0o755)).expect("the editor can be made executable");
    for (turn, edit) in edits.iter().enumerate() {
        fs::write(numbered(&folder, "edit", turn), edit).expect("an edit can be written");
    }
    let run = Run::of(job.command(PERSON).args(["edit", "pytorchjob", "pytorch-test"]).env("KUBE_EDITOR", &editor));
    let shown = (0..).map_while(|turn| fs::read_to_string(numbered(&folder, "shown", turn)).ok()).collect();
    (run, shown)
}

fn numbered(folder: &Path, name: &str, turn: usize) -> PathBuf {
    folder.join(format!("{name}-{}", turn + 1))
}

/// The complaints in the comment at the top of what the editor showed.
fn complaints(shown: &str) -> Vec<&str> {
    shown.lines().filter_map(|line| line.strip_prefix("# * ")).collect()
}

fn lines(violations: &[Violation]) -> Vec<String> {
    let line = |(field, what): &Violation| format!("{field}: Forbidden: field is immutable {what}");
    violations.iter().map(|violation| line(violation).trim_end().to_owned()).collect()
}

fn reopens_the_editor_with_a_line_for_each_forbidden_field(clusters: &Clusters) {
    let job = clusters.cci().job();
    let forbidden = format!("{CHANGE_IMAGES}\n{CHANGE_LABEL}\ns/replicas: 1/replicas: 4/");
    let right = format!("{RESTORE_IMAGES}\ns/replicas: 4/replicas: 1/");
    let (run, shown) = edit(&job, &[&forbidden, &right]);

    let stored = job.accepts(|| run);
    assert_eq!(shown.len(), 2, "the editor opens once more");
    assert!(complaints(&shown[0]).is_empty(), "{}", shown[0]);
    let worker_image = IMAGE.replace("Master", "Worker");
    let masters = WORKERS.replace("Worker", "Master");
    let expected =
        lines(&[(&masters, "(was 1, now 4)"), (IMAGE, ""), (WORKERS, "(was 1, now 4)"), (&worker_image, "")]);
    assert_eq!(complaints(&shown[1]), expected, "{}", shown[1]);
    assert!(shown[1].contains("replicas: 4"), "the user's own text is kept: {}", shown[1]);
    // What was right in the first edit is not lost.
    assert_eq!(stored["metadata"]["labels"]["app"], "edited");
    assert_eq!(stored["spec"]["pytorchReplicaSpecs"]["Worker"]["replicas"], 1);
}

fn reopens_the_editor_until_the_edit_is_right(clusters: &Clusters) {
    let job = clusters.cci().job();
    let (run, shown) = edit(
        &job,
        &[
            CHANGE_IMAGES,
            "s/^spec:$/&\\\n  backoffLimit: 3/",
            &format!("{RESTORE_IMAGES}\n/^  backoffLimit: 3$/d\n{CHANGE_LABEL}"),
        ],
    );

    let stored = job.accepts(|| run);
    let worker_image = IMAGE.replace("Master", "Worker");
    assert_eq!(shown.len(), 3);
    assert_eq!(complaints(&shown[1]), lines(&[(IMAGE, ""), (&worker_image, "")]), "{}", shown[1]);
    let expected = lines(&[("spec.backoffLimit", "(added)"), (IMAGE, ""), (&worker_image, "")]);
    assert_eq!(complaints(&shown[2]), expected, "{}", shown[2]);
    assert_eq!(stored["metadata"]["labels"]["app"], "edited");
    assert_eq!(stored["spec"].get("backoffLimit"), None);
}

fn changes_nothing_when_the_user_gives_up(clusters: &Clusters) {
    let job = clusters.cci().job();
    let before = job.stored();
    // The second time the user leaves the file as it is.
    let (run, shown) = edit(&job, &[CHANGE_IMAGES, ""]);

    assert_ne!(run.code(), Some(0), "{}", run.said());
    assert_eq!(shown.len(), 2);
    assert_eq!(complaints(&shown[1]).len(), 2, "{}", shown[1]);
    assert!(run.said().contains("A copy of your changes has been stored"), "{}", run.said());
    assert_eq!(job.stored(), before);
}
