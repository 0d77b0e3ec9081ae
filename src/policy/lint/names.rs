//! Names of users and groups that are probably a mistake: they are compared as they are, so a typing error exempts no one.

use crate::{
    policy::file::ExemptionFile,
    yaml::{Diagnostic, Positioned},
};

/// The prefix of a service account's user name.
const SERVICE_ACCOUNT: &str = "system:serviceaccount:";

/// Groups that Kubernetes itself has, but for those of service accounts.
const GROUPS: [&str; 6] = [
    "system:authenticated",
    "system:bootstrappers",
    "system:masters",
    "system:monitoring",
    "system:nodes",
    "system:unauthenticated",
];

/// Users that Kubernetes itself has.
const USERS: [&str; 5] =
    ["system:admin", "system:anonymous", "system:apiserver", "system:kube-controller-manager", "system:kube-scheduler"];

/// Warns of names that belong to another account, or to none.
pub(super) fn lint(exemption: &ExemptionFile) -> Vec<Diagnostic> {
    let users = exemption.users.iter().filter_map(|user| Some((user, "users", user_problem(&user.value)?)));
    let groups = exemption.groups.iter().filter_map(|group| Some((group, "groups", group_problem(&group.value)?)));
    let diagnostic = |(Positioned { value, position }, list, problem): (&Positioned<String>, &str, &str)| {
        Diagnostic::warning(*position, format!("exemption {}: {list}: {value} {problem}", exemption.name.value))
    };
    users.chain(groups).map(diagnostic).collect()
}

/// The reason why nobody is called so.
pub(in crate::policy) fn user_problem(user: &str) -> Option<&'static str> {
    if user.contains('*') {
        return Some(WILDCARD);
    }
    if user.starts_with("system:serviceaccounts") || GROUPS.contains(&user) {
        return Some("is a group; list it under groups");
    }
    let account = user.strip_prefix(SERVICE_ACCOUNT)?;
    let is_whole = matches!(account.split(':').collect::<Vec<_>>()[..], [namespace, name] if !namespace.is_empty() && !name.is_empty());
    (!is_whole).then_some("is no service account; write system:serviceaccount:NAMESPACE:NAME")
}

fn group_problem(group: &str) -> Option<&'static str> {
    if group.contains('*') {
        return Some(WILDCARD);
    }
    (group.starts_with(SERVICE_ACCOUNT) || USERS.contains(&group)).then_some("is a user; list it under users")
}

const WILDCARD: &str = "is compared as it is: * stands for nothing in names; list each of them";
