//! The real cert-manager, without its webhook, makes the certificates and writes the `caBundle`.

use base64::{Engine as _, prelude::BASE64_STANDARD as STANDARD};
use serde_json::json;
use support::{pages::Page, until};

use crate::{
    handshakes,
    load::{Ledger, Load},
    operations::prepared,
    overlay::{Overlay, REPLICAS},
    renewal::{await_bundle, bundle, certificates},
    test_cluster::{GUARD, TestCluster, TestClusters},
    tests,
};

tests![
    issues_what_api_servers_trust,
    loses_no_update_while_a_certificate_is_renewed,
    loses_no_update_while_the_ca_is_renewed,
    loses_no_update_while_the_ca_is_replaced,
    the_page_about_operations_replaces_the_ca,
    an_older_one_fails_closed_until_the_leaf_is_renewed,
];

/// The certificate that the guard serves, and its Secret.
pub(crate) const LEAF: &str = "pytorchjob-guard-tls";
/// The CA, and its Secret.
pub(crate) const CA: &str = "pytorchjob-guard-cert-manager-ca";

fn issues_what_api_servers_trust(clusters: &TestClusters, overlay: Overlay) {
    is_issued(clusters.with(overlay), "certified");
}

/// Asserts that the API server asks the guard, and that its certificate is from the one CA in the registration.
pub(crate) fn is_issued(cluster: &TestCluster, job: &str) {
    let job = cluster.create_job(job, |_| ());
    let refusal = cluster.patch(&job, &json!({"spec": {"backoffLimit": 7}})).expect_err("that is forbidden");
    assert_eq!((refusal.code, refusal.reason.as_str()), (422, "Invalid"), "{refusal}");
    assert!(refusal.message.contains("spec.backoffLimit: Forbidden: field is immutable"), "{refusal}");
    let accepted = cluster.patch(&job, &json!({"spec": {"activeDeadlineSeconds": 7}})).expect("that is allowed");
    assert_eq!(accepted["spec"]["activeDeadlineSeconds"], 7);

    let ca = pem(cluster, CA, "tls.crt");
    assert_eq!(bundle(cluster), certificates(&ca));
    assert!(handshakes::are_verified_by(cluster, &ca));
}

fn loses_no_update_while_a_certificate_is_renewed(clusters: &TestClusters, overlay: Overlay) {
    let cluster = clusters.with(overlay);
    under_load(cluster, "a renewed certificate", |load| {
        renews_leaf(cluster, || renew(cluster, LEAF));
        load.another_round();
        // By its time: the certificate is due some seconds after it was made.
        let old = pem(cluster, LEAF, "tls.crt");
        renews_leaf(cluster, || {
            set_renew_before(cluster, "2159h59m57s");
            await_pem(cluster, LEAF, &old);
            set_renew_before(cluster, "720h");
        });
        load.another_round();
        // Without cmctl.
        renews_leaf(cluster, || drop(cluster.kubectl(&["delete", "secret", LEAF])));
    })
    .lost_nothing();
}

fn loses_no_update_while_the_ca_is_renewed(clusters: &TestClusters, overlay: Overlay) {
    let cluster = clusters.with(overlay);
    under_load(cluster, "a renewed CA", |load| {
        let key = pem(cluster, CA, "tls.key");
        let new = renews_ca(cluster);
        assert_eq!(pem(cluster, CA, "tls.key"), key, "it keeps its key");
        assert!(handshakes::are_verified_by(cluster, &new), "the old certificate is good for the new CA alone");
        load.another_round();
        renews_leaf(cluster, || renew(cluster, LEAF));
    })
    .lost_nothing();
}

fn loses_no_update_while_the_ca_is_replaced(clusters: &TestClusters, overlay: Overlay) {
    let cluster = clusters.with(overlay);
    under_load(cluster, "a CA with another key", |load| {
        let before = bundle(cluster);
        let new = replaces_ca(cluster);
        let both = await_bundle(cluster, "a bundle with the new CA", |bundle| bundle.is_superset(&certificates(&new)));
        assert!(both.is_superset(&before), "the old CA is trusted still");
        assert!(!handshakes::are_verified_by(cluster, &new), "cert-manager does not renew the certificate by itself");
        load.another_round();
        renews_leaf(cluster, || renew(cluster, LEAF));
        assert!(handshakes::are_verified_by(cluster, &new));
    })
    .lost_nothing();
}

/// Afterwards no API server trusts the old CA.
fn the_page_about_operations_replaces_the_ca(clusters: &TestClusters, overlay: Overlay) {
    let cluster = clusters.with(overlay);
    let (folder, prepare) = prepared(cluster, "replaced");
    let old = bundle(cluster);
    let ledger = Load::on(cluster, |load| {
        Page::operations().run_with_cert_manager(&folder, &prepare);
        load.another_round();
    });
    eprintln!("cert-manager, a CA replaced as documented: {}", ledger.summary());
    ledger.lost_nothing();
    cluster.await_pods(REPLICAS);
    let new = pem(cluster, CA, "tls.crt");
    assert_eq!(bundle(cluster), certificates(&new));
    assert!(handshakes::are_verified_by(cluster, &new));
    // When the cainjector writes again, it does not bring the old one back.
    let renewed = renews_ca(cluster);
    assert_eq!(bundle(cluster), &certificates(&new) | &certificates(&renewed));
    assert!(bundle(cluster).is_disjoint(&old));
}

/// Before cert-manager 1.19 the cainjector replaces the `caBundle`.
fn an_older_one_fails_closed_until_the_leaf_is_renewed(clusters: &TestClusters, overlay: Overlay) {
    let cluster = clusters.with(overlay);
    cluster.run_cert_manager("CAInjectorMerging=false");
    let only = |new: &str| await_bundle(cluster, "the new CA alone", |bundle| *bundle == certificates(new));
    let ledger = Load::on(cluster, |load| {
        let old = pem(cluster, CA, "tls.crt");
        renew(cluster, CA);
        only(&await_pem(cluster, CA, &old));
        load.another_round();
        load.take().lost_nothing();

        only(&replaces_ca(cluster));
        load.another_round();
        load.take();
        let between = load.round();
        eprintln!("cert-manager before 1.19, a CA with another key: {}", between.summary());
        between.lost_no_update();
        assert!(between.refused == 0 && !between.closed.is_empty(), "{}", between.summary());
        for refusal in &between.closed {
            assert_eq!((refusal.code, refusal.reason.as_str()), (500, "InternalError"), "{refusal}");
            // First the API server does not trust the replicas, then none of them is ready.
            let reasons = ["x509: certificate signed by unknown authority", "no endpoints available for service"];
            assert!(reasons.iter().any(|reason| refusal.message.contains(reason)), "{refusal}");
        }
        renews_leaf(cluster, || renew(cluster, LEAF));
        cluster.await_pods(REPLICAS);
        cluster.await_guard();
        load.round().lost_nothing();
    });
    ledger.lost_nothing();
    cluster.run_cert_manager("");
}

/// Runs `during` under load, while a client connects to each replica again and again, as an API server without connections does.
pub(crate) fn under_load(cluster: &TestCluster, what: &str, during: impl FnOnce(&Load)) -> Ledger {
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

/// Runs `renew`, and waits until each replica serves another certificate.
pub(crate) fn renews_leaf(cluster: &TestCluster, renew: impl FnOnce()) {
    let old = pem(cluster, LEAF, "tls.crt");
    renew();
    await_pem(cluster, LEAF, &old);
    until("another certificate in each replica", || {
        // It may be replaced by yet another one meanwhile.
        Ok(find_pem(cluster, LEAF, "tls.crt").filter(|now| handshakes::are_made_with(cluster, now)).map(drop))
    })
    .unwrap_or_else(|error| panic!("{error}; {}", cluster.logs()));
}

/// Renews the CA, waits until the `caBundle` has it, and returns it.
pub(crate) fn renews_ca(cluster: &TestCluster) -> String {
    let old = pem(cluster, CA, "tls.crt");
    renew(cluster, CA);
    let new = await_pem(cluster, CA, &old);
    await_bundle(cluster, "a bundle with the new CA", |bundle| bundle.is_superset(&certificates(&new)));
    new
}

/// Makes cert-manager replace the CA by one with another key, and returns it.
fn replaces_ca(cluster: &TestCluster) -> String {
    let (old, key) = (pem(cluster, CA, "tls.crt"), pem(cluster, CA, "tls.key"));
    cluster.kubectl(&["delete", "secret", CA]);
    let new = await_pem(cluster, CA, &old);
    assert_ne!(pem(cluster, CA, "tls.key"), key, "it has another key");
    new
}

/// Marks a Certificate to be issued again, as `cmctl renew` does.
pub(crate) fn renew(cluster: &TestCluster, certificate: &str) {
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
    let object = cluster.get(&format!("/api/v1/namespaces/{GUARD}/secrets/{secret}")).ok()?;
    let text = object["data"][file].as_str()?;
    String::from_utf8(STANDARD.decode(text).ok()?).ok()
}
