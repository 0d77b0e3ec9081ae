//! Updates that every cluster makes, put to a policy: the core itself says whether they pass.

use serde_json::{Value, json};

use super::{
    Policy, Resource,
    error::{Place, Remark},
};
use crate::admission::answer;

const SERVICE_ACCOUNTS: &str = "system:serviceaccounts";
const AUTHENTICATED: &str = "system:authenticated";

/// Who an update is by.
struct Writer {
    user: &'static str,
    groups: &'static [&'static str],
}

/// The garbage collector, with an account of its own and without.
const COLLECTORS: [Writer; 2] = [
    Writer {
        user: "system:serviceaccount:kube-system:generic-garbage-collector",
        groups: &[SERVICE_ACCOUNTS, "system:serviceaccounts:kube-system", AUTHENTICATED],
    },
    Writer { user: "system:kube-controller-manager", groups: &[AUTHENTICATED] },
];

/// Some controller that nobody thought of when the policy was written.
const CONTROLLER: Writer = Writer {
    user: "system:serviceaccount:example-system:example-controller",
    groups: &[SERVICE_ACCOUNTS, "system:serviceaccounts:example-system", AUTHENTICATED],
};

/// Warns of what keeps deleted objects from going away. `place` is where exemptions are.
pub(super) fn deletion(policy: &Policy, place: Place) -> Vec<Remark> {
    let mut remarks = Vec::new();
    let deleting = |finalizers: Value| json!({"metadata": {"deletionTimestamp": "2019-07-24T10:35:38Z", "finalizers": finalizers}});
    let finalizer_goes =
        |writer: &Writer| passes(policy, writer, &deleting(json!(["example.com/a"])), &deleting(json!([])));
    let remedy = "add the exemption {name: deleting, when: Deleting, fields: [metadata.finalizers]}";
    if !finalizer_goes(&CONTROLLER) {
        let refused = without(&finalizer_goes);
        if !refused.is_empty() {
            let message = format!(
                "a job that is deleted with --cascade=foreground or --cascade=orphan stays in Terminating: the garbage \
                 collector ({}) may not change metadata.finalizers; {remedy}",
                refused.join(", ")
            );
            remarks.push(Remark::warning(place, message));
        }
        let message = format!(
            "a deleted job that has a controller's finalizer stays in Terminating: the controller may not take its own \
             away; {remedy}"
        );
        remarks.push(Remark::warning(place, message));
    }
    let owned = json!({"metadata": {"ownerReferences": [{"apiVersion": "v1", "kind": "A", "name": "a", "uid": "1"}]}});
    let refused = without(&|writer| passes(policy, writer, &owned, &json!({"metadata": {}})));
    if !refused.is_empty() {
        let message = format!(
            "an owner of a job that is deleted with --cascade=orphan stays in Terminating: the garbage collector ({0}) may \
             not change metadata.ownerReferences; add an exemption with users: [{0}] and fields: [metadata.ownerReferences]",
            refused.join(", ")
        );
        remarks.push(Remark::warning(place, message));
    }
    remarks
}

/// The collectors of which this does not hold.
fn without(holds: &dyn Fn(&Writer) -> bool) -> Vec<&'static str> {
    COLLECTORS.iter().filter(|writer| !holds(writer)).map(|writer| writer.user).collect()
}

/// Which of the fields that the API server changes by itself in an ordinary update would be a violation.
pub(super) fn server_changes(policy: &Policy) -> Vec<&'static str> {
    let changes = [
        ("metadata.managedFields", json!({"managedFields": [{"manager": "a"}]})),
        ("metadata.generation", json!({"generation": 2})),
    ];
    let is_violation =
        |metadata: &Value| !passes(policy, &CONTROLLER, &json!({"metadata": {}}), &json!({"metadata": metadata}));
    changes.iter().filter(|(_, metadata)| is_violation(metadata)).map(|(field, _)| *field).collect()
}

/// Whether the update from `old` to `new` changes nothing that it may not.
fn passes(policy: &Policy, writer: &Writer, old: &Value, new: &Value) -> bool {
    let Some(Resource { group, resource }) = policy.resources.first() else { return true };
    let review = json!({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "lint",
            "operation": "UPDATE",
            "resource": {"group": group, "version": "v1", "resource": resource},
            "userInfo": {"username": writer.user, "groups": writer.groups},
            "oldObject": old,
            "object": new,
        },
    });
    answer(review.to_string().as_bytes(), policy).is_ok_and(|answer| answer.decision.violations.is_empty())
}
