//! The rights of the guard's account, all of them.

use insta::assert_snapshot;

use super::{ACCOUNT, Bare, NAME, OVERLAYS, READS_ONLY};
use crate::{cluster::Clusters, tests};

tests![the_account_may_do_what_the_guard_needs_and_nothing_else];

fn the_account_may_do_what_the_guard_needs_and_nothing_else(_: &Clusters) {
    let bare = Bare::boot();
    // First the one with the fewest rights: applying another takes none away.
    let lists = [READS_ONLY, OVERLAYS[1], OVERLAYS[0], OVERLAYS[2]].map(|overlay| {
        bare.apply(overlay);
        // What every account may do: ask what it may do, and for the API server's version.
        let anybody = may(&bare, "system:serviceaccount:default:nobody", NAME);
        let guard = may(&bare, ACCOUNT, NAME);
        let own: Vec<_> = guard.into_iter().filter(|right| !anybody.contains(right)).collect();
        let elsewhere = may(&bare, ACCOUNT, "kube-system");
        let elsewhere: Vec<_> = elsewhere.into_iter().filter(|right| !anybody.contains(right)).collect();
        format!("{}:\n{}in another namespace:\n{}", overlay.name, own.concat(), elsewhere.concat())
    });
    assert_snapshot!(lists.concat(), @"
    cert-manager, always-ask:
      validatingwebhookconfigurations.admissionregistration.k8s.io | [] | [pytorchjob-guard] | [get list watch]
    in another namespace:
      validatingwebhookconfigurations.admissionregistration.k8s.io | [] | [pytorchjob-guard] | [get list watch]
    cert-manager:
      validatingwebhookconfigurations.admissionregistration.k8s.io | [] | [pytorchjob-guard] | [get list watch patch]
    in another namespace:
      validatingwebhookconfigurations.admissionregistration.k8s.io | [] | [pytorchjob-guard] | [get list watch patch]
    self-managed:
      secrets | [] | [pytorchjob-guard-ca] | [get list watch patch]
      validatingwebhookconfigurations.admissionregistration.k8s.io | [] | [pytorchjob-guard] | [get list watch patch]
    in another namespace:
      validatingwebhookconfigurations.admissionregistration.k8s.io | [] | [pytorchjob-guard] | [get list watch patch]
    always-ask:
      secrets | [] | [pytorchjob-guard-ca] | [get list watch patch]
      validatingwebhookconfigurations.admissionregistration.k8s.io | [] | [pytorchjob-guard] | [get list watch patch]
    in another namespace:
      validatingwebhookconfigurations.admissionregistration.k8s.io | [] | [pytorchjob-guard] | [get list watch patch]
    ");
}

/// The rights of a service account in a namespace, one a line.
fn may(bare: &Bare, account: &str, namespace: &str) -> Vec<String> {
    let account = format!("--as={account}");
    let list = bare.kubectl(&["auth", "can-i", "--list", "--no-headers", &account, "--namespace", namespace]);
    // Its columns are as wide as the widest right.
    let mut rights: Vec<_> = list
        .lines()
        .map(|line| {
            format!(
                "  {}\n",
                line.split("  ").map(str::trim).filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" | ")
            )
        })
        .collect();
    rights.sort();
    rights
}
