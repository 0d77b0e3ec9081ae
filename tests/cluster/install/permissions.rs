//! What the guard's account may do, and nothing else.

use insta::assert_snapshot;

use super::{Bare, NAME, OVERLAYS};
use crate::{cluster::Clusters, tests};

tests![the_account_may_do_what_the_guard_needs_and_nothing_else];

fn the_account_may_do_what_the_guard_needs_and_nothing_else(_: &Clusters) {
    let lists = OVERLAYS.map(|overlay| {
        let bare = Bare::boot();
        bare.kubectl(&["apply", "-k", &overlay.folder().display().to_string()]);
        // What every account may do: ask what it may do, and for the API server's version.
        let anybody = may(&bare, "default:nobody", NAME);
        let guard = may(&bare, "pytorchjob-guard:pytorchjob-guard", NAME);
        let own: Vec<_> = guard.into_iter().filter(|right| !anybody.contains(right)).collect();
        let elsewhere = may(&bare, "pytorchjob-guard:pytorchjob-guard", "kube-system");
        let elsewhere: Vec<_> = elsewhere.into_iter().filter(|right| !anybody.contains(right)).collect();
        format!("{}:\n{}in another namespace:\n{}", overlay.name, own.concat(), elsewhere.concat())
    });
    assert_snapshot!(lists.concat(), @"
    self-managed:
      secrets | [] | [pytorchjob-guard-ca] | [get list watch patch]
      validatingwebhookconfigurations.admissionregistration.k8s.io | [] | [pytorchjob-guard] | [get list watch patch]
    in another namespace:
      validatingwebhookconfigurations.admissionregistration.k8s.io | [] | [pytorchjob-guard] | [get list watch patch]
    cert-manager:
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
    let account = format!("--as=system:serviceaccount:{account}");
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
