//! Policies that can be used and are probably a mistake. Each warning has an accepted twin without it.

use pytorchjob_guard::policy::Policy;

use super::{HEAD, lint, remarks};

/// The exemptions that keep deletion alive.
pub(super) const DELETION: &str = "exemptions:
  - name: garbage-collector
    users: ['system:serviceaccount:kube-system:generic-garbage-collector', 'system:kube-controller-manager']
    fields: [metadata.ownerReferences]
  - {name: deleting, when: Deleting, fields: [metadata.finalizers]}
";

/// These lines with the exemptions that keep deletion alive, after them.
pub(super) fn whole(lines: &str) -> String {
    format!("{lines}\n{DELETION}")
}

/// The exemptions that keep deletion alive, and one more.
fn and(exemption: &str) -> String {
    format!("mutableFields: [metadata.labels]\n{DELETION}  - {exemption}\n")
}

#[test]
fn the_built_in_policies_are_meant() {
    for name in ["cci", "training-operator", "kueue"] {
        assert_eq!(crate::cli::Folder::new().run(&["policy", "lint", "--strict", name]), "exit code 0\n");
    }
}

#[test]
fn deleted_jobs_that_stay() {
    let remedy = "add the exemption {name: deleting, when: Deleting, fields: [metadata.finalizers]}";
    let collectors = ["system:serviceaccount:kube-system:generic-garbage-collector", "system:kube-controller-manager"];
    let foreground = |place: &str, users: &str| {
        format!(
            "{place}: warning: a job that is deleted with --cascade=foreground or --cascade=orphan stays in Terminating: the \
             garbage collector ({users}) may not change metadata.finalizers; {remedy}"
        )
    };
    let finalizer = |place: &str| {
        format!(
            "{place}: warning: a deleted job that has a controller's finalizer stays in Terminating: the controller may not \
             take its own away; {remedy}"
        )
    };
    let owner = |place: &str, users: &str| {
        format!(
            "{place}: warning: an owner of a job that is deleted with --cascade=orphan stays in Terminating: the garbage \
             collector ({users}) may not change metadata.ownerReferences; add an exemption with users: [{users}] and fields: \
             [metadata.ownerReferences]"
        )
    };
    let both = collectors.join(", ");
    let plain = whole("mutableFields: [metadata.labels]");
    let none = "mutableFields: [metadata.labels]";
    remarks(none, &[&foreground("1:1", &both), &finalizer("1:1"), &owner("1:1", &both)], &plain);
    // A collector of one name only.
    let one = format!(
        "{none}\nexemptions: [{{name: gc, users: ['{}'], fields: [metadata.finalizers, metadata.ownerReferences]}}]",
        collectors[0]
    );
    remarks(&one, &[&foreground("6:1", collectors[1]), &finalizer("6:1"), &owner("6:1", collectors[1])], &plain);
    let collector = format!(
        "{none}\nexemptions: [{{name: gc, users: ['{}', '{}'], fields: [metadata.finalizers, metadata.ownerReferences]}}]",
        collectors[0], collectors[1]
    );
    remarks(&collector, &[&finalizer("6:1")], &plain);
    // What covers the same: the collector's groups, everyone, and what is mutable.
    let groups = "exemptions:\n  - {name: gc, groups: ['system:serviceaccounts:kube-system'], fields: [metadata]}";
    remarks(
        &format!("{none}\n{groups}"),
        &[&foreground("6:1", collectors[1]), &finalizer("6:1"), &owner("6:1", collectors[1])],
        &format!("{none}\n{}", groups.replace("serviceaccounts:kube-system", "authenticated")),
    );
    let mutable = "mutableFields: [metadata.labels, metadata.finalizers, metadata.ownerReferences]\n";
    remarks(
        &format!("{mutable}immutableFields: ['metadata.finalizers[0]']"),
        &[
            &foreground("1:1", &both),
            &finalizer("1:1"),
            "6:19: warning: immutableFields: metadata.finalizers[0]: a list of strings counts as a whole; write finalizers",
        ],
        mutable,
    );
    // Who denies nothing keeps nothing.
    let audit = "validationActions: [Audit]";
    remarks(
        &format!("{none}\n{audit}"),
        &["6:20: note: validationActions: nothing is denied; add Deny when you have seen enough"],
        &whole(none),
    );
}

#[test]
fn updates_that_change_nothing() {
    remarks(
        &whole("mutableFields: [metadata.labels]\nequality: Strict"),
        &[
            "6:11: warning: equality: Strict denies updates that change nothing: a typed client writes cpu: 2 as \"2\", and {} \
           and null where there was nothing",
        ],
        &whole("mutableFields: [metadata.labels]\nequality: Semantic"),
    );
    let managed = |fields: &str| whole(&format!("mutableFields: [metadata.labels]\nserverManagedFields: {fields}"));
    let changes = |fields: &str| {
        format!(
            "6:1: warning: serverManagedFields: the API server itself changes {fields} in ordinary updates, which then are \
             violations; list it"
        )
    };
    let good = managed("[metadata.managedFields, metadata.generation]");
    remarks(&managed("[]"), &[&changes("metadata.managedFields and metadata.generation")], &good);
    remarks(&managed("[metadata.managedFields]"), &[&changes("metadata.generation")], &good);
}

#[test]
fn server_managed_fields_that_unlock() {
    let managed = |field: &str| {
        let fields = format!("[metadata.managedFields, metadata.generation, {field}]");
        whole(&format!("mutableFields: []\nserverManagedFields: {fields}"))
    };
    for field in ["spec", "spec.a", "'*.b'"] {
        let path = field.trim_matches('\'');
        let remark =
            format!("6:68: warning: serverManagedFields: everyone may change {path}, as no change of it counts");
        remarks(&managed(field), &[&remark], &managed("status"));
    }
    remarks(
        &managed("metadata.generation.x"),
        &[
            "6:68: warning: serverManagedFields: metadata.generation.x is inside metadata.generation, which is listed too; \
           take it away",
        ],
        &managed("metadata.resourceVersion"),
    );
}

#[test]
fn nothing_may_change() {
    let said = lint(&format!("{HEAD}mutableFields: []"));
    let remark = "5:1: warning: mutableFields: nothing may ever change: no field is mutable, and nobody is exempt\n";
    assert!(said.contains(remark), "{said}");
    assert!(!lint(&format!("{HEAD}mutableFields: [a]")).contains(remark));
    assert!(!lint(&format!("{HEAD}mutableFields: []\n{DELETION}")).contains(remark));
}

#[test]
fn a_name_that_another_policy_has() {
    let policy =
        |name: &str| format!("{}{}", HEAD.replace("name: own", &format!("name: {name}")), whole("mutableFields: [a]"));
    let said = lint(&policy("kueue"));
    let remark =
        "3:7: warning: name: the built-in policy kueue is another, and logs and metrics tell only the name; rename it";
    assert_eq!(said, format!("exit code 0\n{remark}\n"));
    assert_eq!(lint(&policy("kueue-2")), "exit code 0\n");
}

#[test]
fn fields_that_add_nothing() {
    let inside = |place: &str, list: &str, one: &str, other: &str| {
        format!("{place}: warning: {list}: {one} is inside {other}, which is listed too; take it away")
    };
    remarks(
        &whole("mutableFields: ['a[x/y]', a, 'b.*', b.c]"),
        &[&inside("5:17", "mutableFields", "a[x/y]", "a"), &inside("5:37", "mutableFields", "b.c", "b.*")],
        // Something immutable lies between.
        &whole("mutableFields: [a, a.b.c]\nimmutableFields: [a.b]"),
    );
    remarks(
        &whole("mutableFields: [a]\nimmutableFields: [a.b, a.b.c]"),
        &[&inside("6:24", "immutableFields", "a.b.c", "a.b")],
        &whole("mutableFields: [a, a.b.c]\nimmutableFields: [a.b, a.b.c.d]"),
    );
    let anyway = |place: &str, path: &str| {
        format!(
            "{place}: warning: immutableFields: {path} is immutable anyway, as it is not inside any field that may change; take \
             it away"
        )
    };
    remarks(
        &whole("mutableFields: [a.b]\nimmutableFields: [c, a]"),
        &[&anyway("6:19", "c"), &anyway("6:22", "a")],
        &whole("mutableFields: [a.b, '*.d']\nimmutableFields: [c.d, a.b.c]"),
    );
    remarks(
        &and("{name: x, users: [u], fields: [a, a.b]}"),
        &[&inside("11:39", "exemption x: fields", "a.b", "a")],
        &and("{name: x, users: [u], fields: [a, b]}"),
    );
    remarks(
        &format!("immutableFields: [a]\n{}", and("{name: x, users: [u], fields: [a, b]}")),
        &[
            &anyway("5:19", "a"),
            "12:36: warning: exemption x: fields: a stays immutable, as immutableFields lists it too; take it away from one",
        ][1..],
        &format!("immutableFields: [a.c]\n{}", and("{name: x, users: [u], fields: [a, b]}")),
    );
}

#[test]
fn exemptions_that_say_too_little() {
    let everyone = "11:12: warning: exemption x is for everyone at any time; list its fields in mutableFields, or say for whom it \
                    is, or when";
    remarks(&and("{name: x, fields: [a]}"), &[everyone], &and("{name: x, groups: [g], fields: [a]}"));
    remarks(&and("{name: x, fields: [a]}"), &[everyone], &and("{name: x, when: Deleting, fields: [a]}"));
    remarks(
        &and("{name: x, fields: [a]}"),
        &[everyone],
        &and("{name: x, subresources: [scale], fields: [spec.replicas]}"),
    );
    remarks(
        &and("{name: x, users: [u], subresources: [sacle], fields: [spec.replicas]}"),
        &["11:42: warning: exemption x: subresources: custom resources have no sacle, only status and scale"],
        &and("{name: x, users: [u], subresources: [scale], fields: [spec.replicas]}"),
    );
    remarks(
        &and("{name: x, users: [u], when: SuspendChanged, fields: [spec.a]}"),
        &[
            "11:33: warning: exemption x: when: a change of spec.runPolicy.suspend is denied itself; add spec.runPolicy.suspend to \
           fields",
        ],
        &and("{name: x, users: [u], when: SuspendChanged, fields: [spec.a, spec.runPolicy.suspend]}"),
    );
}

#[test]
fn a_suspend_field_of_another_kind() {
    let started = |suspend: &str| {
        let fields = "fields: [spec.suspend, spec.runPolicy.suspend]";
        and(&format!("{{name: x, users: [u], when: SuspendChanged, {fields}}}\nsuspendField: {suspend}"))
    };
    let warning = "11:33: warning: exemption x: when: pytorchjobs are suspended by spec.runPolicy.suspend, not by spec.suspend; \
                   write suspendField: spec.runPolicy.suspend";
    remarks(&started("spec.suspend"), &[warning], &started("spec.runPolicy.suspend"));
    let jobsets = |suspend: &str| {
        let text = format!("{HEAD}{}", started(suspend));
        lint(&text.replace("kubeflow.org, resource: pytorchjobs", "jobset.x-k8s.io, resource: jobsets"))
    };
    let warning =
        "when: jobsets are suspended by spec.suspend, not by spec.runPolicy.suspend; write suspendField: spec.suspend";
    let (said, twin) = (jobsets("spec.runPolicy.suspend"), jobsets("spec.suspend"));
    assert!(said.contains(&format!("\n11:33: warning: exemption x: {warning}\n")), "{said}");
    assert!(!twin.contains("are suspended by"), "{twin}");
    // Deletion is no matter of suspension.
    let deleting = and("{name: x, users: [u], when: Deleting, fields: [spec.a]}\nsuspendField: spec.suspend");
    assert_eq!(Policy::lint(&format!("{HEAD}{deleting}")), Ok(Vec::new()));
}

#[test]
fn users_and_groups_that_are_others() {
    let user = |name: &str| and(&format!("{{name: x, users: ['{name}'], fields: [a]}}"));
    let group = |name: &str| and(&format!("{{name: x, groups: ['{name}'], fields: [a]}}"));
    for (name, problem) in [
        ("system:masters", "is a group; list it under groups"),
        ("system:serviceaccounts:kueue-system", "is a group; list it under groups"),
        ("system:serviceaccount:kueue-system", "is no service account; write system:serviceaccount:NAMESPACE:NAME"),
        ("system:serviceaccount::a", "is no service account; write system:serviceaccount:NAMESPACE:NAME"),
        ("system:serviceaccount:a:*", "is compared as it is: * stands for nothing in names; list each of them"),
    ] {
        remarks(
            &user(name),
            &[&format!("11:23: warning: exemption x: users: {name} {problem}")],
            &user("system:serviceaccount:kueue-system:kueue-controller-manager"),
        );
    }
    for (name, problem) in [
        ("system:serviceaccount:a:b", "is a user; list it under users"),
        ("system:kube-controller-manager", "is a user; list it under users"),
        ("team-*", "is compared as it is: * stands for nothing in names; list each of them"),
    ] {
        remarks(
            &group(name),
            &[&format!("11:24: warning: exemption x: groups: {name} {problem}")],
            &group("system:serviceaccounts:a"),
        );
    }
}

#[test]
fn fields_both_mutable_and_immutable() {
    remarks(
        &whole("mutableFields: [a, b]\nimmutableFields: [b]"),
        &[
            "6:19: warning: immutableFields: b is one of mutableFields too, and between equals it wins; take it away from one",
        ],
        &whole("mutableFields: [a, b]\nimmutableFields: [b.c]"),
    );
}

#[test]
fn exemptions_from_what_is_free() {
    let warning = |why: &str| format!("12:12: warning: exemption x can never matter: {why}; take it away");
    let free = warning("everyone may change its fields by mutableFields");
    let both = warning("its fields are mutable for everyone by mutableFields, or immutable by immutableFields");
    let stays =
        "warning: exemption x: fields: spec.b stays immutable, as immutableFields lists it too; take it away from one";
    let policy = |fields: &str| {
        let exemption = format!("  - {{name: x, users: [a], fields: {fields}}}");
        format!("mutableFields: [spec]\nimmutableFields: [spec.b]\n{DELETION}{exemption}")
    };
    remarks(&policy("[spec.a]"), &[&free], &policy("[spec.b.c]"));
    remarks(&policy("[spec.a, spec.b]"), &[&both, &format!("12:44: {stays}")], &policy("[spec.a, spec.b.c]"));
}

#[test]
fn labels_by_which_a_job_leaves_a_policy() {
    let selecting = |more: &str| {
        format!(
            "mutableFields: [metadata.labels]\nobjectSelector: {{matchLabels: {{tier: gold}}}}\nvalidationActions: [Audit]\n{more}"
        )
    };
    let audits = "7:20: note: validationActions: nothing is denied; add Deny when you have seen enough";
    let leaves = "6:1: warning: objectSelector: everyone may change the label tier, and so take a job out of this policy; list \
                  metadata.labels[tier] under immutableFields";
    let linted = |more: &str| lint(&format!("{HEAD}{}", selecting(more)));
    assert_eq!(linted(""), format!("exit code 0\n{leaves}\n{audits}\n"));
    assert_eq!(linted("immutableFields: ['metadata.labels[tier]']\n"), format!("exit code 0\n{audits}\n"));
}
