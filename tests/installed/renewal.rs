//! Certificates and CAs come and go.

use std::collections::BTreeSet;

use support::until;

use crate::{
    handshakes,
    load::Load,
    overlay::{Overlay, Pace},
    test_cluster::{TestCluster, TestClusters},
    tests,
};
tests![loses_no_update_while_certificates_and_cas_are_renewed];

/// The number of certificates that a replica has served.
const SERVED: &str = "certificate_reloads_total{result=\"success\"}";

fn loses_no_update_while_certificates_and_cas_are_renewed(clusters: &TestClusters, overlay: Overlay) {
    let cluster = clusters.at_pace(overlay, Pace::ShortLives);
    let mut connections = (0, Vec::new());
    let ledger = Load::on(cluster, |load| {
        connections = handshakes::verified_during(cluster, || renew(cluster));
        load.another_round();
    });
    let (good, bad) = connections;
    eprintln!("{overlay}, renewal: {good} new connections, {} failed; {}", bad.len(), ledger.summary());
    ledger.lost_nothing();
    assert!(bad.is_empty() && good > 0, "whoever trusts the registration can always connect: {bad:#?}");
}

/// Has the CA replaced twice: once because somebody threw it away, and once because its time is over.
fn renew(cluster: &TestCluster) {
    let shipped = bundle(cluster);
    let before = cluster.metric(SERVED);
    // The one that is there lives for a year. Throwing it away is what an admin does whose key was seen by somebody.
    cluster.kubectl(&["patch", "secret", "pytorchjob-guard-ca", "--type=merge", "--patch", r#"{"data": null}"#]);
    let both = await_bundle(cluster, "a bundle with a new CA", |bundle| *bundle != shipped);
    assert!(shipped.is_subset(&both), "the old CA is trusted beside the new one: {shipped:?}, {both:?}");
    await_bundle(cluster, "a bundle with another CA yet", |bundle| bundle.is_disjoint(&both));
    let after = cluster.metric(SERVED);
    let renewed = |(pod, served): (&String, &Option<f64>)| *served >= before[pod].map(|before| before + 3.0);
    assert!(after.iter().all(renewed), "each replica renews its own certificate: {before:?}, {after:?}");
}

pub(crate) fn await_bundle(
    cluster: &TestCluster,
    what: &str,
    is_it: impl Fn(&BTreeSet<String>) -> bool,
) -> BTreeSet<String> {
    until(what, || Ok(Some(bundle(cluster)).filter(&is_it)))
        .unwrap_or_else(|error| panic!("{error}; {}", cluster.logs()))
}

/// The certificates in the registration's `caBundle`.
pub(crate) fn bundle(cluster: &TestCluster) -> BTreeSet<String> {
    certificates(&String::from_utf8(cluster.ca_bundle()).expect("PEM is text"))
}

/// The certificates in a PEM.
pub(crate) fn certificates(pem: &str) -> BTreeSet<String> {
    let certificates = pem.split("-----BEGIN CERTIFICATE-----").skip(1);
    certificates.map(|certificate| certificate.split_whitespace().collect()).collect()
}
