//! The updates that each cluster makes, and whether a policy allows them.

use crate::{
    policy::{Attributes, Condition, Policy, SuspendField},
    yaml::{Diagnostic, Position},
};

const SERVICE_ACCOUNTS: &str = "system:serviceaccounts";
const AUTHENTICATED: &str = "system:authenticated";

/// The user who makes an update.
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

/// A controller that the policy does not name.
const CONTROLLER: Writer = Writer {
    user: "system:serviceaccount:example-system:example-controller",
    groups: &[SERVICE_ACCOUNTS, "system:serviceaccounts:example-system", AUTHENTICATED],
};

/// Warns of what keeps deleted objects from going away. `place` is where exemptions are.
pub(super) fn deletion(policy: &Policy, position: Position) -> Vec<Diagnostic> {
    let mut diagnostics = Vec::new();
    let finalizer_goes = |writer: &Writer| may_change(policy, writer, true, &["metadata", "finalizers"]);
    let remedy = "add the exemption {name: deleting, when: Deleting, fields: [metadata.finalizers]}";
    if !finalizer_goes(&CONTROLLER) {
        let refused = without(&finalizer_goes);
        if !refused.is_empty() {
            let message = format!(
                "a job that is deleted with --cascade=foreground or --cascade=orphan stays in Terminating: the garbage \
                 collector ({}) may not change metadata.finalizers; {remedy}",
                refused.join(", ")
            );
            diagnostics.push(Diagnostic::warning(position, message));
        }
        let message = format!(
            "a deleted job that has a controller's finalizer stays in Terminating: the controller may not take its own \
             away; {remedy}"
        );
        diagnostics.push(Diagnostic::warning(position, message));
    }
    let refused = without(&|writer| may_change(policy, writer, false, &["metadata", "ownerReferences"]));
    if !refused.is_empty() {
        let message = format!(
            "an owner of a job that is deleted with --cascade=orphan stays in Terminating: the garbage collector ({0}) may \
             not change metadata.ownerReferences; add an exemption with users: [{0}] and fields: [metadata.ownerReferences]",
            refused.join(", ")
        );
        diagnostics.push(Diagnostic::warning(position, message));
    }
    diagnostics
}

/// The collectors of which this does not hold.
fn without(holds: &dyn Fn(&Writer) -> bool) -> Vec<&'static str> {
    COLLECTORS.iter().filter(|writer| !holds(writer)).map(|writer| writer.user).collect()
}

/// The fields that the API server changes by itself in an ordinary update, and whose change would be a violation.
pub(super) fn server_changes(policy: &Policy) -> Vec<&'static str> {
    let fields = [("metadata.managedFields", "managedFields"), ("metadata.generation", "generation")];
    let is_violation = |key| !may_change(policy, &CONTROLLER, false, &["metadata", key]);
    fields.into_iter().filter(|(_, key)| is_violation(key)).map(|(field, _)| field).collect()
}

/// True if the writer may change the field of an object that is being deleted, or of one that is not.
fn may_change(policy: &Policy, writer: &Writer, is_deleting: bool, field: &[&str]) -> bool {
    policy.rules(&Update { writer, is_deleting }).precedence.at(field).is_free()
}

/// An update of the main resource.
struct Update<'w> {
    writer: &'w Writer,
    is_deleting: bool,
}

impl Attributes for Update<'_> {
    fn user(&self) -> &str {
        self.writer.user
    }

    fn is_in_group(&self, group: &str) -> bool {
        self.writer.groups.contains(&group)
    }

    fn subresource(&self) -> &'static str {
        ""
    }

    fn meets(&self, condition: Condition, _: &SuspendField) -> bool {
        self.is_deleting && condition == Condition::Deleting
    }
}
