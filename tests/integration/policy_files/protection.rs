//! Policies that protect less than their authors believe: what is free, resources that are none, elements of lists.

use super::{
    HEAD, lint, remarks,
    warnings::{DELETION, whole},
};
use crate::cli::Folder;

#[test]
fn what_protects_nothing() {
    let nothing = |place: &str, field: &str| {
        format!(
            "{place}: warning: this policy protects nothing of spec: everyone may change {field}; list only what may change, or \
             list what may not under immutableFields"
        )
    };
    let plain = whole("mutableFields: [spec.runPolicy, metadata.labels]");
    let said = lint(&format!("{HEAD}mutableFields: [spec, metadata]"));
    assert_eq!(said, format!("exit code 0\n{}\n", nothing("5:17", "spec")));
    remarks(&whole("mutableFields: [spec]"), &[&nothing("5:17", "spec")], &plain);
    remarks(
        &whole("mutableFields: ['spec.*']"),
        &[&nothing("5:17", "spec.*")],
        &whole("mutableFields: ['spec.*']\nimmutableFields: [spec.a]"),
    );
    let said = lint(&format!("{HEAD}mutableFields: ['*']"));
    assert_eq!(said, format!("exit code 0\n{}\n", nothing("5:17", "*")));
    // Another field's being immutable protects nothing of spec.
    remarks(
        &whole("mutableFields: [spec, metadata.labels]\nimmutableFields: ['metadata.labels.x']"),
        &[&nothing("5:17", "spec")],
        &plain,
    );
    let said = lint(&format!("{HEAD}{DELETION}  - {{name: x, fields: [spec]}}"));
    assert!(said.contains(&nothing("10:24", "spec")), "{said}");
    let folder = Folder::new().with("all.yaml", format!("{HEAD}{}", whole("mutableFields: [spec, metadata]")));
    assert!(folder.run(&["policy", "lint", "--strict", "all.yaml"]).starts_with("exit code 1\n"));
}

#[test]
fn resources_that_cannot_be() {
    let of = |group: &str, resource: &str| {
        let resources = format!("{{group: '{group}', resource: {resource}}}");
        lint(&format!(
            "{}{}",
            HEAD.replace("{group: kubeflow.org, resource: pytorchjobs}", &resources),
            whole("mutableFields: [metadata.labels]")
        ))
    };
    for (group, resource, remark) in [
        (
            "kubeflow.org",
            "pytorchjob",
            "warning: resources: there is no pytorchjob of kubeflow.org (did you mean pytorchjobs?); write it in lower case and \
             plural",
        ),
        (
            "kubeflow.org",
            "pytorch-jobs",
            "warning: resources: there is no pytorch-jobs of kubeflow.org (did you mean pytorchjobs?); write it in lower case and \
             plural",
        ),
        (
            "kubeflow.com",
            "pytorchjobs",
            "warning: resources: there is no pytorchjobs of the group \"kubeflow.com\" (did you mean kubeflow.org?)",
        ),
        ("", "tfjobs", "warning: resources: there is no tfjobs of the group \"\" (did you mean kubeflow.org?)"),
        (
            "kubeflow",
            "notebooks",
            "warning: resources: there is no notebooks of the group \"kubeflow\" (did you mean kubeflow.org?)",
        ),
        (
            "example",
            "widgets",
            "warning: resources: there is no group \"example\": that of a custom resource has a dot, like kubeflow.org",
        ),
        (
            "",
            "pod",
            "warning: resources: pod is hardly a plural (did you mean pods?); write it in lower case and plural",
        ),
        (
            "example.com",
            "sheep",
            "note: resources: sheep is hardly a plural (did you mean sheeps?); write it in lower case and plural",
        ),
    ] {
        assert_eq!(of(group, resource), format!("exit code 0\n4:13: {remark}\n"), "{group} {resource}");
    }
    for (group, resource) in [
        ("kubeflow.org", "mxjobs"),
        ("kubeflow.org", "notebooks"),
        ("kubeflow.org", "experiments"),
        ("kubeflow.org", "scheduledworkflows"),
        ("trainer.kubeflow.org", "trainjobs"),
        ("", "pods"),
        ("batch", "jobs"),
        ("batch.volcano.sh", "jobs"),
        ("ray.io", "rayjobs"),
    ] {
        let name = if group.is_empty() { resource.to_owned() } else { format!("{resource}.{group}") };
        let note = format!(
            "exit code 0\n4:13: note: resources: the Go types of {name} are not known: of its objects only metadata and pod \
             templates are compared as Go does, all else as JSON\n"
        );
        assert_eq!(of(group, resource), note, "{group} {resource}");
    }
    assert_eq!(of("kubeflow.org", "pytorchjobs"), "exit code 0\n");
}

#[test]
fn elements_of_lists() {
    let named = |list: &str, field: &str, key: &str| {
        format!(
            "5:17: note: {list}: {field}: {key} counts as a whole where an element has no name, or two have the same: then no \
             change of it is allowed unless every change is"
        )
    };
    let plain = whole("mutableFields: ['spec.a.containers[*].image']");
    let field = |field: &str| whole(&format!("mutableFields: ['{field}']"));
    for (path, problem) in [
        (
            "spec.a.containers[0].image",
            "the elements of containers have names: where another one stands at [0] than before, the list counts as a whole; \
             write containers[name=\"…\"]",
        ),
        (
            "spec.containers[*].env[1]",
            "the elements of env have names: where another one stands at [1] than before, the list counts as a whole; write \
             env[name=\"…\"]",
        ),
        (
            "spec.tolerations[name=\"a\"]",
            "the elements of tolerations have no names, so the list counts as a whole; write tolerations[*] or tolerations",
        ),
        ("spec.args[0]", "a list of strings counts as a whole; write args"),
        ("metadata.finalizers[*]", "a list of strings counts as a whole; write finalizers"),
    ] {
        remarks(&field(path), &[&format!("5:17: warning: mutableFields: {path}: {problem}")], &plain);
    }
    let path = "spec.containers[*].env[name=\"A\"]";
    remarks(&field(path), &[&named("mutableFields", path, "env")], &plain);
    remarks(&field(path), &[&named("mutableFields", path, "env")], &field("spec.tolerations[0].key"));
    // Each list of fields, and a label of that name.
    let said = lint(&format!(
        "{HEAD}mutableFields: [spec.a, 'metadata.labels[0]']\nimmutableFields: ['spec.a.env[0]']\n{DELETION}  - {{name: x, users: \
         [a], fields: ['spec.args[0]']}}"
    ));
    for place in
        ["6:19: warning: immutableFields: spec.a.env[0]:", "12:36: warning: exemption x: fields: spec.args[0]:"]
    {
        assert!(said.contains(place), "{said}");
    }
    assert_eq!(said.lines().count(), 3, "{said}");
}
