//! cert-manager makes the certificates and writes the `caBundle`: the real one, but for its webhook.

use base64::{Engine as _, prelude::BASE64_STANDARD as STANDARD};
use serde_json::json;
use support::until;

use crate::{
    handshakes,
    load::{Ledger, Load},
    overlay::Overlay,
    renewal::{SERVED, await_bundle, bundle, certificates},
    test_cluster::{TestCluster, TestClusters},
    tests,
};

tests![
    issues_what_api_servers_trust,
    loses_no_update_while_a_certificate_is_renewed,
    loses_no_update_while_the_ca_is_renewed,
    loses_no_update_while_the_ca_is_replaced,
    an_older_one_loses_updates_from_a_replaced_ca_until_the_certificate_is_renewed,
];

/// The certificate that the guard serves, and its Secret.
const LEAF: &str = "pytorchjob-guard-tls";
/// The CA, and its Secret.
const CA: &str = "pytorchjob-guard-cert-manager-ca";

fn issues_what_api_servers_trust(clusters: &TestClusters, overlay: Overlay) {
    let cluster = clusters.with(overlay);
    let job = cluster.create_job("certified", |_| ());
    denies_and_accepts(cluster, &job);
    assert_eq!(bundle(cluster), certificates(&pem(cluster, CA, "tls.crt")));
    assert!(handshakes::are_verified_by(cluster, &pem(cluster, LEAF, "ca.crt")));
    let registration = cluster.registration();
    eprintln!("{:#}", registration["metadata"]);
}

fn loses_no_update_while_a_certificate_is_renewed(clusters: &TestClusters, overlay: Overlay) {
    let cluster = clusters.with(overlay);
    under_load(cluster, "a renewed certificate", |load| {
        renews_leaf(cluster, || renew(cluster, LEAF));
        load.another_round();
        // Now by its time: every certificate is due some seconds after it was made.
        renews_leaf(cluster, || set_renew_before(cluster, "2159h59m50s"));
        set_renew_before(cluster, "720h");
        load.another_round();
        // Without cmctl.
        renews_leaf(cluster, || drop(cluster.kubectl(&["delete", "secret", LEAF])));
    })
    .lost_nothing();
}

fn loses_no_update_while_the_ca_is_renewed(clusters: &TestClusters, overlay: Overlay) {
    let cluster = clusters.with(overlay);
    under_load(cluster, "a renewed CA", |load| {
        let (old, key) = (pem(cluster, CA, "tls.crt"), pem(cluster, CA, "tls.key"));
        renew(cluster, CA);
        let new = await_pem(cluster, CA, &old);
        assert_eq!(pem(cluster, CA, "tls.key"), key, "it keeps its key");
        assert!(handshakes::are_verified_by(cluster, &new), "the old certificate is good for the new CA alone");
        await_bundle(cluster, "a bundle with the new CA", |bundle| bundle.is_superset(&certificates(&new)));
        load.another_round();
        renews_leaf(cluster, || renew(cluster, LEAF));
    })
    .lost_nothing();
}

fn loses_no_update_while_the_ca_is_replaced(clusters: &TestClusters, overlay: Overlay) {
    let cluster = clusters.with(overlay);
    under_load(cluster, "a CA with another key", |load| {
        let (old, key) = (pem(cluster, CA, "tls.crt"), pem(cluster, CA, "tls.key"));
        cluster.kubectl(&["delete", "secret", CA]);
        let new = await_pem(cluster, CA, &old);
        assert_ne!(pem(cluster, CA, "tls.key"), key, "it has another key");
        let both = await_bundle(cluster, "a bundle with the new CA", |bundle| bundle.is_superset(&certificates(&new)));
        assert!(both.is_superset(&certificates(&old)), "the old CA is trusted still");
        assert!(!handshakes::are_verified_by(cluster, &new), "cert-manager does not renew the certificate by itself");
        load.another_round();
        renews_leaf(cluster, || renew(cluster, LEAF));
        assert!(handshakes::are_verified_by(cluster, &new));
    })
    .lost_nothing();
}

fn an_older_one_loses_updates_from_a_replaced_ca_until_the_certificate_is_renewed(
    clusters: &TestClusters,
    overlay: Overlay,
) {
    let cluster = clusters.with(overlay);
    // The default before cert-manager 1.19.
    cluster.run_cert_manager("CAInjectorMerging=false");
    let ledger = Load::on(cluster, |load| {
        let old = pem(cluster, CA, "tls.crt");
        renew(cluster, CA);
        let new = await_pem(cluster, CA, &old);
        await_bundle(cluster, "the new CA alone", |bundle| *bundle == certificates(&new));
        load.round().lost_nothing();

        let old = pem(cluster, CA, "tls.crt");
        cluster.kubectl(&["delete", "secret", CA]);
        let new = await_pem(cluster, CA, &old);
        await_bundle(cluster, "the new CA alone", |bundle| *bundle == certificates(&new));
        let between = load.round();
        eprintln!("between: {}", between.summary());
        renews_leaf(cluster, || renew(cluster, LEAF));
        load.take();
        load.round().lost_nothing();
    });
    eprintln!("{}", ledger.summary());
    cluster.run_cert_manager("");
}

/// Shows that a forbidden change of this job is rejected by the guard, and an allowed one is not.
fn denies_and_accepts(cluster: &TestCluster, job: &str) {
    let refusal = cluster.patch(job, &json!({"spec": {"backoffLimit": 7}})).expect_err("that is forbidden");
    assert_eq!((refusal.code, refusal.reason.as_str()), (422, "Invalid"), "{refusal}");
    assert!(refusal.message.contains("spec.backoffLimit: Forbidden: field is immutable"), "{refusal}");
    let accepted = cluster.patch(job, &json!({"spec": {"activeDeadlineSeconds": 7}})).expect("that is allowed");
    assert_eq!(accepted["spec"]["activeDeadlineSeconds"], 7);
}

/// Does that under load, while somebody connects to each replica as an API server does that has no connections yet.
fn under_load(cluster: &TestCluster, what: &str, during: impl FnOnce(&Load)) -> Ledger {
    let mut connections = (0, Vec::new());
    let ledger = Load::on(cluster, |load| {
        connections = handshakes::verified_during(cluster, || during(load));
        load.another_round();
    });
    let (good, bad) = connections;
    eprintln!("cert-manager, {what}: {good} new connections, {} failed; {}", bad.len(), ledger.summary());
    assert!(bad.is_empty() && good > 0, "a client that trusts the registration can always connect: {bad:#?}");
    ledger
}

/// Does that, and waits until each replica serves another certificate.
fn renews_leaf(cluster: &TestCluster, renew: impl FnOnce()) {
    let (old, before) = (pem(cluster, LEAF, "tls.crt"), cluster.metric(SERVED));
    renew();
    await_pem(cluster, LEAF, &old);
    until("another certificate in each replica", || {
        let now = cluster.metric(SERVED);
        Ok(now.iter().all(|(pod, served)| *served > before[pod]).then_some(()))
    })
    .unwrap_or_else(|error| panic!("{error}; {}", cluster.logs()));
}

/// Has a Certificate issued again, as `cmctl renew` does.
fn renew(cluster: &TestCluster, certificate: &str) {
    let condition = json!({"type": "Issuing", "status": "True", "reason": "ManuallyTriggered", "message": "by a test"});
    let patch = json!([{"op": "add", "path": "/status/conditions/-", "value": condition}]).to_string();
    cluster.kubectl(&["patch", "certificate", certificate, "--subresource=status", "--type=json", "--patch", &patch]);
}

fn set_renew_before(cluster: &TestCluster, time: &str) {
    let patch = json!({"spec": {"renewBefore": time}}).to_string();
    cluster.kubectl(&["patch", "certificate", LEAF, "--type=merge", "--patch", &patch]);
}

/// Waits until a Secret holds a certificate other than that, and returns it.
fn await_pem(cluster: &TestCluster, secret: &str, old: &str) -> String {
    until("another certificate", || Ok(find_pem(cluster, secret, "tls.crt").filter(|pem| pem != old)))
        .unwrap_or_else(|error| panic!("{error}; {}", cluster.logs()))
}

fn pem(cluster: &TestCluster, secret: &str, file: &str) -> String {
    find_pem(cluster, secret, file).expect("the Secret has it")
}

/// A file of a Secret, if it is there.
fn find_pem(cluster: &TestCluster, secret: &str, file: &str) -> Option<String> {
    let object = cluster.get(&format!("/api/v1/namespaces/pytorchjob-guard/secrets/{secret}")).ok()?;
    let text = object["data"][file].as_str()?;
    String::from_utf8(STANDARD.decode(text).ok()?).ok()
}
