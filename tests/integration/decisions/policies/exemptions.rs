//! For whom, when and through what an exemption holds.

use serde_json::json;

use super::{accepts, ask_as, policy, rejects};
use crate::decisions::{POD, POD_PATH, TEMPLATE, TEMPLATE_PATH, Update, from_to, set, update, without};

const KUEUE: &str = "system:serviceaccount:kueue-system:kueue-controller-manager";

fn exempt(lines: &str) -> pytorchjob_guard::policy::Policy {
    policy(&format!("exemptions:\n  - {{name: x, {lines}}}"))
}

#[test]
fn a_user_or_a_group_is_enough() {
    let policy = exempt("users: [alice, bob], groups: [admins, 'system:masters'], fields: [spec.backoffLimit]");
    let change = set("/spec/backoffLimit", json!(3));
    for (user, groups) in [
        ("alice", &["system:authenticated"][..]),
        ("bob", &[]),
        ("carol", &["system:authenticated", "admins"]),
        ("carol", &["system:masters"]),
        ("alice", &["admins"]),
    ] {
        assert!(ask_as(&change, user, groups, &policy).allowed(), "{user} {groups:?}");
    }
    for (user, groups) in [
        ("carol", &["system:authenticated"][..]),
        ("Alice", &[]),
        ("admins", &["alice"]),
        ("alice2", &["admins2", "admin"]),
        ("", &[""]),
    ] {
        let answer = ask_as(&change, user, groups, &policy);
        assert_eq!(answer.violations, ["spec.backoffLimit"], "{user} {groups:?}");
        assert_eq!((&answer.status()["code"], &answer.status()["reason"]), (&json!(422), &json!("Invalid")));
        assert_eq!(answer.status()["details"]["causes"][0]["field"], "spec.backoffLimit");
    }
    // Nobody listed is everyone.
    accepts(&change, &exempt("fields: [spec.backoffLimit]"));
    rejects(&change, &exempt("fields: [spec.backoffLimit2]"), &["spec.backoffLimit"]);
}

#[test]
fn exemptions_add_up_and_do_not_reach_further() {
    let policy = policy(
        "exemptions:\n  - {name: x, users: [alice], fields: [spec.a]}\n  - {name: y, groups: [system:authenticated], fields: \
         [spec.b]}\n  - {name: z, users: [bob], fields: [spec.c]}",
    );
    let change =
        |keys: &[&str]| keys.iter().fold(update(), |update, key| update.now(&format!("/spec/{key}"), json!(1)));
    accepts(&change(&["a", "b"]), &policy);
    rejects(&change(&["a", "b", "c"]), &policy, &["spec.c"]);
    rejects(&change(&["a", "c"]).by("bob"), &policy, &["spec.a"]);
}

#[test]
fn deleting_holds_while_the_old_object_is_being_deleted() {
    let policy = exempt("when: Deleting, users: [alice], fields: [metadata.finalizers]");
    let deleting = |update: Update| update.both("/metadata/deletionTimestamp", json!("2019-07-24T10:35:38Z"));
    accepts(&deleting(without("/metadata/finalizers")), &policy);
    rejects(&without("/metadata/finalizers"), &policy, &["metadata.finalizers"]);
    rejects(&deleting(without("/metadata/finalizers")).by("bob"), &policy, &["metadata.finalizers"]);
    rejects(&deleting(set("/spec/backoffLimit", json!(3))), &policy, &["spec.backoffLimit"]);
    // It says so itself: what the update would like to be does not count.
    rejects(
        &without("/metadata/finalizers").now("/metadata/deletionTimestamp", json!("2019-07-24T10:35:38Z")),
        &policy,
        &["metadata.deletionTimestamp", "metadata.finalizers"],
    );
}

#[test]
fn suspend_changed_takes_absent_for_false() {
    let policy = exempt(
        "when: SuspendChanged, users: [alice], fields: [spec.runPolicy.suspend, \
         spec.pytorchReplicaSpecs.*.template.spec.nodeSelector]",
    );
    let suspend = "/spec/runPolicy/suspend";
    let place = |update: Update| update.now(&format!("{POD}/nodeSelector"), json!({"gpu": "a"}));
    let path = "spec.pytorchReplicaSpecs.Master.template.spec.nodeSelector";
    for (old, new) in [
        (json!(true), json!(false)),
        (json!(false), json!(true)),
        (json!(null), json!(true)),
        (json!(true), json!(null)),
    ] {
        accepts(&place(from_to(suspend, old.clone(), new.clone())), &policy);
        let refused = place(from_to(suspend, old, new)).by("bob");
        let suspended = if refused.old.pointer(suspend) == Some(&json!(null))
            || refused.new.pointer(suspend) == Some(&json!(null))
        {
            "spec.runPolicy"
        } else {
            "spec.runPolicy.suspend"
        };
        let violations = ask_as(&refused, "bob", &[], &policy).violations;
        assert_eq!(violations[0], path);
        assert!(violations[1].starts_with(suspended), "{violations:?}");
    }
    for (old, new) in [(json!(true), json!(true)), (json!(false), json!(false)), (json!(null), json!(null))] {
        rejects(&place(from_to(suspend, old, new)), &policy, &[path]);
    }
    // Absent and false are the same to it; that one is not the other is a change like any other.
    rejects(&place(from_to(suspend, json!(null), json!(false))), &policy, &[path, "spec.runPolicy"]);
    let absent = place(update());
    rejects(&absent, &policy, &[path]);
    accepts(&absent.now(suspend, json!(true)), &policy);
}

#[test]
fn kueue_starts_and_stops_a_job() {
    let kueue = pytorchjob_guard::policy::Policy::builtin("kueue").expect("the policy");
    let start = update()
        .was("/spec/runPolicy/suspend", json!(true))
        .now("/spec/runPolicy/suspend", json!(false))
        .now(&format!("{TEMPLATE}/metadata/labels"), json!({"kueue.x-k8s.io/podset": "master"}))
        .now(&format!("{TEMPLATE}/metadata/annotations"), json!({"kueue.x-k8s.io/workload": "w"}))
        .now(&format!("{POD}/nodeSelector"), json!({"gpu": "a"}))
        .now(&format!("{POD}/schedulingGates"), json!([{"name": "kueue.x-k8s.io/topology"}]))
        .now(&format!("{POD}/tolerations"), json!([{"key": "gpu"}]));
    accepts(&start.clone().by(KUEUE), &kueue);
    accepts(&start.backwards().by(KUEUE), &kueue);
    let replicas = "/spec/pytorchReplicaSpecs/Master/replicas";
    let path = "spec.pytorchReplicaSpecs.Master.replicas";
    rejects(&start.clone().now(replicas, json!(2)).by(KUEUE), &kueue, &[path]);
    let metadata = format!("{TEMPLATE_PATH}.metadata");
    let pod = ["nodeSelector", "schedulingGates", "tolerations"].map(|key| format!("{POD_PATH}.{key}"));
    let placed = [&metadata, &pod[0], &pod[1], &pod[2]].map(String::as_str);
    rejects(&start, &kueue, &[&placed[..], &["spec.runPolicy.suspend"]].concat());
    // It has its leave only while it starts or stops the job.
    rejects(&start.both("/spec/runPolicy/suspend", json!(true)).by(KUEUE), &kueue, &placed);
}

#[test]
fn an_exemption_of_a_subresource_is_none_of_the_object() {
    let scale =
        |replicas: u64| json!({"apiVersion": "autoscaling/v1", "kind": "Scale", "spec": {"replicas": replicas}});
    let scaled = || Update { old: scale(1), new: scale(3), ..update() }.of("scale");
    let own = set("/spec/replicas", json!(3));
    let of_scale = exempt("users: [alice], subresources: [scale], fields: [spec.replicas]");
    let of_object = exempt("users: [alice], fields: [spec.replicas]");
    accepts(&scaled(), &of_scale);
    rejects(&own, &of_scale, &["spec.replicas"]);
    accepts(&own, &of_object);
    rejects(&scaled(), &of_object, &["spec.replicas"]);
    rejects(&scaled().by("bob"), &of_scale, &["spec.replicas"]);
    rejects(&scaled().now("/spec/x", json!(1)), &of_scale, &["spec.x"]);
    // What must not change does not change through the scale either.
    let fixed = policy(
        "immutableFields: [spec.replicas]\nexemptions: [{name: x, users: [alice], subresources: [scale], fields: [spec]}]",
    );
    rejects(&scaled(), &fixed, &["spec.replicas"]);
    accepts(&scaled().both("/spec/replicas", json!(1)).now("/spec/x", json!(1)), &fixed);
    // Another subresource holds the whole object.
    let other = exempt("users: [alice], subresources: [resize], fields: [spec.replicas]");
    accepts(&own.clone().of("resize"), &other);
    rejects(&own.of("resize"), &of_scale, &["spec.replicas"]);
}

#[test]
fn a_suspended_job_may_be_changed_before_it_runs() {
    for (field, pointer) in [("spec.runPolicy.suspend", "/spec/runPolicy/suspend"), ("spec.suspend", "/spec/suspend")] {
        let policy = policy(&format!(
            "suspendField: {field}\nexemptions:\n  - {{name: x, when: Suspended, fields: [{field}, \
             spec.pytorchReplicaSpecs.*.replicas]}}"
        ));
        let resize = |update: Update| update.now("/spec/pytorchReplicaSpecs/Master/replicas", json!(7));
        let replicas = "spec.pytorchReplicaSpecs.Master.replicas";
        accepts(&resize(from_to(pointer, json!(true), json!(true))), &policy);
        // The update that starts it may say its size: no pod runs before it.
        accepts(&resize(from_to(pointer, json!(true), json!(false))), &policy);
        // To suspend it and change it at once would take the pods that run.
        rejects(&resize(from_to(pointer, json!(false), json!(true))), &policy, &[replicas, field]);
        rejects(&resize(from_to(pointer, json!(false), json!(false))), &policy, &[replicas]);
        rejects(&resize(update()), &policy, &[replicas]);
    }
}
