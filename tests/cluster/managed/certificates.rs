//! `--manage-certs`: a CA in a Secret, certificates of each replica's own, and at every moment a bundle that trusts them.

use std::{
    collections::BTreeSet,
    fs, io,
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use base64::{Engine as _, prelude::BASE64_STANDARD as STANDARD};
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
use rustls::pki_types::CertificateDer;
use serde_json::{Value, json};

use super::{Home, Registered, until_metric, until_ready_says};
use support::{
    Serves as _,
    client::Tls,
    example_job, free_address,
    guard::Guard,
    http::Reply,
    pki::{Authority, Pair},
    until,
};

use crate::{
    cluster::{Clusters, Job},
    tests,
};

tests![
    replicas_that_start_at_once_share_one_ca,
    puts_back_the_bundle_that_somebody_took_away,
    renews_certificates_and_ca_while_every_call_verifies,
    makes_a_new_ca_where_the_secret_is_emptied,
    signs_with_the_old_ca_until_the_new_one_is_trusted,
    says_what_is_wrong_with_the_secret,
    goes_on_serving_without_the_api_server,
    stays_ready_while_the_registration_is_gone,
    lets_in_itself_and_clients_of_the_client_ca,
    is_ready_with_a_certificate_that_is_its_own_ca,
    is_ready_with_a_ca_that_another_ca_signed,
];

/// The registration without what the guard keeps and what the API server counts.
fn rest(mut registration: Value) -> Value {
    registration["metadata"] = registration["metadata"]["name"].take();
    for webhook in registration["webhooks"].as_array_mut().expect("webhooks") {
        webhook["clientConfig"].as_object_mut().expect("a map").remove("caBundle");
    }
    registration
}

fn replicas_that_start_at_once_share_one_ca(clusters: &Clusters) {
    let home = Home::new(clusters.cci(), true, Some(&Registered::cci()));
    let before = rest(home.registration());
    let guards = [home.managed(&[]), home.managed(&[]), home.managed(&[])];
    let served: BTreeSet<Vec<u8>> = guards
        .iter()
        .map(|guard| {
            until_ready_says(guard, "200 OK");
            home.call(guard, &home.bundle()).expect("the API server would trust it").to_vec()
        })
        .collect();
    assert_eq!(served.len(), 3, "each has a certificate of its own");
    assert_eq!(home.bundle().len(), 1);
    let secret = home.secret();
    let keys: Vec<&String> = secret.as_object().expect("data").keys().collect();
    assert_eq!(keys, ["ca.crt", "ca.key"]);
    let ca = STANDARD.decode(secret["ca.crt"].as_str().expect("text")).expect("base64");
    let in_bundle = home.registration()["webhooks"][0]["clientConfig"]["caBundle"].clone();
    assert_eq!(STANDARD.decode(in_bundle.as_str().expect("text")).expect("base64"), ca);
    assert_eq!(rest(home.registration()), before, "nothing else was written");
    for guard in &guards {
        assert_eq!(guard.count("ready").expect("metrics"), Some(1));
        // A stranger's CA does not do.
        home.call(guard, &stranger()).expect_err("nobody else's CA is trusted");
    }
}

/// A CA that signed nothing here.
fn stranger() -> Vec<CertificateDer<'static>> {
    let key = rcgen::KeyPair::generate().expect("a key");
    vec![rcgen::CertificateParams::default().self_signed(&key).expect("a certificate").der().clone()]
}

fn puts_back_the_bundle_that_somebody_took_away(clusters: &Clusters) {
    let home = Home::new(clusters.cci(), true, Some(&Registered::cci()));
    let guard = home.managed(&[]);
    until_ready_says(&guard, "200 OK");
    let kept = home.bundle();
    home.tamper(&json!([{"op": "remove", "path": "/webhooks/1/clientConfig/caBundle"}]));
    let is_back = || {
        let registration = home.registration();
        let bundle = |at: usize| registration["webhooks"][at]["clientConfig"]["caBundle"].clone();
        Ok((bundle(0) == bundle(1)).then_some(()))
    };
    until("the bundle", is_back).expect("it is put back");
    // One that trusts somebody else too is no better.
    let pem: String =
        kept.iter().chain(&stranger()).map(|der| pem::encode(&pem::Pem::new("CERTIFICATE", der.to_vec()))).collect();
    let path = |at: usize| format!("/webhooks/{at}/clientConfig/caBundle");
    let replace = |at: usize| json!({"op": "replace", "path": path(at), "value": STANDARD.encode(&pem)});
    home.tamper(&json!([replace(0), replace(1)]));
    until("the bundle", || Ok((home.bundle() == kept).then_some(()))).expect("it is put back");
}

/// Calls all the guards with what the API server trusts, again and again, until `done` says so of the CAs that were in the
/// bundle, from the first to the last.
fn watch_calls(home: &Home, guards: &[&Guard], mut done: impl FnMut(&[Vec<CertificateDer<'static>>]) -> bool) {
    let mut bundles: Vec<Vec<CertificateDer>> = Vec::new();
    until("the CAs to change", || {
        let bundle = home.bundle();
        for guard in guards {
            home.call(guard, &bundle).map_err(|error| {
                let log = guard.log();
                io::Error::other(format!("a call failed after {} bundles: {error}\n{log}", bundles.len()))
            })?;
        }
        if bundles.last() != Some(&bundle) {
            bundles.push(bundle);
        }
        Ok(done(&bundles).then_some(()))
    })
    .expect("every call verifies");
}

fn renews_certificates_and_ca_while_every_call_verifies(clusters: &Clusters) {
    let home = Home::new(clusters.cci(), true, Some(&Registered::cci()));
    let short = ["--leaf-lifetime=8s", "--ca-lifetime=40s"];
    let guards = [home.managed(&short), home.managed(&short)];
    for guard in &guards {
        until_ready_says(guard, "200 OK");
    }
    let first = home.bundle();
    watch_calls(&home, &[&guards[0], &guards[1]], |bundles| {
        let both = bundles.iter().any(|bundle| bundle.len() == 2 && bundle.contains(&first[0]));
        both && bundles.last().is_some_and(|bundle| bundle.len() == 1 && !bundle.contains(&first[0]))
    });
    for guard in &guards {
        let renewed = guard.count("certificate_reloads_total{result=\"success\"}").expect("metrics");
        assert!(renewed > Some(4), "{renewed:?}");
        assert_eq!(guard.count("ready").expect("metrics"), Some(1));
        let log = guard.log();
        assert!(!log.contains("not ready any more"), "{log}");
    }
    let makers: usize = guards.iter().map(|guard| guard.log().matches("made a new CA").count()).sum();
    assert!((2..=3).contains(&makers), "one makes it, the other takes it: {makers}");
}

fn makes_a_new_ca_where_the_secret_is_emptied(clusters: &Clusters) {
    let home = Home::new(clusters.cci(), true, Some(&Registered::cci()));
    let guards = [home.managed(&[]), home.managed(&[])];
    for guard in &guards {
        until_ready_says(guard, "200 OK");
    }
    let first = home.bundle();
    let old = guards.each_ref().map(|guard| home.call(guard, &first).expect("a certificate"));
    home.empty_secret();
    watch_calls(&home, &[&guards[0], &guards[1]], |_| {
        guards.iter().zip(&old).all(|(guard, old)| home.call(guard, &home.bundle()).is_ok_and(|served| served != *old))
    });
    let secret = home.secret();
    let keys: Vec<&String> = secret.as_object().expect("data").keys().collect();
    assert_eq!(keys, ["ca.crt", "ca.key", "previous-ca.crt"]);
    let bundle = home.bundle();
    assert!(bundle.len() == 2 && bundle[1] == first[0], "the old CA is trusted for a while");
    for guard in &guards {
        home.call(guard, &bundle[..1]).expect("the new CA alone is enough now");
    }
}

fn signs_with_the_old_ca_until_the_new_one_is_trusted(clusters: &Clusters) {
    let home = Home::new(clusters.cci(), true, Some(&Registered::cci()));
    let guard = home.managed(&["--leaf-lifetime=6s"]);
    until_ready_says(&guard, "200 OK");
    let first = home.bundle();
    let verbs = |verbs: &Value| {
        let patch = json!([{"op": "replace", "path": "/rules/0/verbs", "value": verbs}]).to_string();
        home.kubectl(&["patch", "clusterrole", &home.name, "--type=json", "--patch", &patch]);
    };
    // Without the right to write it the bundle stays as it is.
    verbs(&json!(["get", "list", "watch"]));
    home.empty_secret();
    let has_new_ca = || Ok(home.secret()["previous-ca.crt"].is_string().then_some(()));
    until("the new CA", has_new_ca).expect("it is in the Secret");
    for _ in 0..3 {
        let served = home.call(&guard, &first).expect("the old CA is trusted");
        let another = || Ok(Some(home.call(&guard, &first)?).filter(|now| *now != served));
        until("another certificate", another).expect("the old CA goes on signing");
    }
    assert_eq!(home.bundle(), first);
    until_metric(&guard, "ready", 1);
    assert!(guard.count("registration_updates_total{result=\"error\"}").expect("metrics") > Some(0));

    verbs(&json!(["get", "list", "watch", "patch"]));
    watch_calls(&home, &[&guard], |bundles| {
        bundles.last().is_some_and(|bundle| bundle.len() == 2 && home.call(&guard, &bundle[..1]).is_ok())
    });
}

fn says_what_is_wrong_with_the_secret(clusters: &Clusters) {
    let home = Home::new(clusters.cci(), false, Some(&Registered::cci()));
    let guard = home.managed(&[]);
    let said = until_ready_says(&guard, "there is no Secret guard-ca; make one without data");
    assert!(said.starts_with("HTTP/1.1 503"), "{said}");
    home.make_secret();
    until_ready_says(&guard, "200 OK");
    // What is no key is not written over: somebody may have meant something by it.
    let key = STANDARD.encode("no key");
    home.kubectl(&["patch", "secret", super::SECRET, "--patch", &json!({"data": {"ca.key": key}}).to_string()]);
    let late = home.managed(&[]);
    let said = until_ready_says(&late, "Secret guard-ca: ca.key");
    assert!(said.starts_with("HTTP/1.1 503") && said.contains("empty its data, and a new CA is made"), "{said}");
    assert_eq!(home.secret()["ca.key"], key);
    let said = until_ready_says(&guard, "warning: cannot store the CA: Secret guard-ca: ca.key");
    assert!(said.starts_with("HTTP/1.1 200"), "{said}");
    until_metric(&guard, "ca_kept", 0);
    home.call(&guard, &home.bundle()).expect("what is in memory goes on serving");
    home.empty_secret();
    until_ready_says(&late, "200 OK");
    until_metric(&guard, "ca_kept", 1);
}

/// A way to the API server that can be closed.
struct Bridge {
    address: SocketAddr,
    is_open: Arc<AtomicBool>,
}

impl Bridge {
    fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let bridge =
            Self { address: listener.local_addr().expect("an address"), is_open: Arc::new(AtomicBool::new(true)) };
        let is_open = Arc::clone(&bridge.is_open);
        thread::spawn(move || {
            for near in listener.incoming().flatten() {
                if is_open.load(Ordering::Relaxed) {
                    let far = TcpStream::connect(server).expect("the API server is there");
                    let both = [(near.try_clone(), far.try_clone()), (far.try_clone(), near.try_clone())];
                    for (from, to) in both {
                        let (from, to, is_open) =
                            (from.expect("a socket"), to.expect("a socket"), Arc::clone(&is_open));
                        thread::spawn(move || carry(from, to, &is_open));
                    }
                }
            }
        });
        bridge
    }
}

/// Carries bytes for as long as the bridge is open.
fn carry(mut from: TcpStream, mut to: TcpStream, is_open: &AtomicBool) {
    let _ = from.set_read_timeout(Some(std::time::Duration::from_millis(50)));
    let mut bytes = [0; 16 << 10];
    while is_open.load(Ordering::Relaxed) {
        match io::Read::read(&mut from, &mut bytes) {
            Ok(0) => break,
            Ok(read) if io::Write::write_all(&mut to, &bytes[..read]).is_err() => break,
            Ok(_) => {}
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {}
            Err(_) => break,
        }
    }
    let _ = (from.shutdown(std::net::Shutdown::Both), to.shutdown(std::net::Shutdown::Both));
}

fn goes_on_serving_without_the_api_server(clusters: &Clusters) {
    let home = Home::new(clusters.cci(), true, Some(&Registered::cci()));
    let bridge = Bridge::to(home.cluster.plane.address());
    home.write_kubeconfig(Some(bridge.address));
    let guard = home.managed(&["--leaf-lifetime=6s"]);
    until_ready_says(&guard, "200 OK");
    let bundle = home.bundle();

    bridge.is_open.store(false, Ordering::Relaxed);
    until("errors", || Ok(guard.count("api_server_errors_total")?.filter(|errors| *errors > 0)))
        .expect("the guard notices");
    let served = home.call(&guard, &bundle).expect("a certificate");
    for _ in 0..2 {
        let another = || Ok(Some(home.call(&guard, &bundle)?).filter(|now| *now != served));
        until("another certificate", another).expect("certificates are renewed all the same");
    }
    assert!(guard.probe("/readyz").expect("a probe").text().starts_with("HTTP/1.1 200"));
    home.tamper(&json!([{"op": "remove", "path": "/webhooks/0/clientConfig/caBundle"}]));

    let log = guard.log();
    let told = log.lines().filter(|line| !line.contains("\"INFO\"")).count();
    assert!((1..=4).contains(&told), "an outage is told, and not again and again: {log}");

    bridge.is_open.store(true, Ordering::Relaxed);
    let is_back = || Ok(home.registration()["webhooks"][0]["clientConfig"]["caBundle"].is_string().then_some(()));
    until("the bundle", is_back).expect("it goes on where it was");
    assert_eq!(home.bundle(), bundle);
    assert!(guard.log().contains("reconciling with the API server again"));
}

fn stays_ready_while_the_registration_is_gone(clusters: &Clusters) {
    let home = Home::new(clusters.cci(), true, None);
    let guard = home.managed(&[]);
    let said = until_ready_says(&guard, &format!("there is no ValidatingWebhookConfiguration {}", home.name));
    assert!(said.starts_with("HTTP/1.1 503"), "{said}");
    until_metric(&guard, "registration_fits", 0);
    home.register(&Registered::cci());
    until_ready_says(&guard, "200 OK");
    until_metric(&guard, "registration_fits", 1);

    home.kubectl(&["delete", "validatingwebhookconfiguration", &home.name]);
    let said = until_ready_says(&guard, "warning: updates get past the guard");
    assert!(said.starts_with("HTTP/1.1 200") && said.contains("there is no Validating"), "{said}");
    until_metric(&guard, "registration_fits", 0);
    home.register(&Registered::cci());
    until("the bundle", || {
        Ok((home.registration()["webhooks"][0]["clientConfig"]["caBundle"].is_string()).then_some(()))
    })
    .expect("it gets the bundle anew");
    until_metric(&guard, "registration_fits", 1);
    home.call(&guard, &home.bundle()).expect("and it verifies");
}

/// The response to a request that is no review.
fn asked(home: &Home, guard: &Guard, client: Option<&Pair>) -> io::Result<Reply> {
    let tls = Tls::trusting_each(home.bundle()).named(&home.server_name());
    let tls = if let Some(pair) = client { tls.with_identity(pair) } else { tls };
    let mut client = tls.connect(guard.address())?;
    client.send(b"GET / HTTP/1.1\r\nhost: guard\r\nconnection: close\r\n\r\n")?;
    client.reply()
}

fn lets_in_itself_and_clients_of_the_client_ca(clusters: &Clusters) {
    let home = Home::new(clusters.cci(), true, Some(&Registered::cci()));
    let file = home.cluster.folder().join("clients.crt");
    let (ca, other_ca) = (Authority::new("clients"), Authority::new("other clients"));
    let (client, other) = (ca.client(), other_ca.client());
    fs::write(&file, &ca.cert).expect("a file");
    let guard = home.managed(&["--client-ca", &file.display().to_string()]);
    until_ready_says(&guard, "200 OK");
    let failures = || guard.count("handshake_failures_total{reason=\"tls\"}").expect("metrics");
    assert_eq!(failures(), Some(0), "its calls to itself are none");
    assert_eq!(asked(&home, &guard, Some(&client)).expect("an answer").code, 404);
    assert_eq!(failures(), Some(0));
    asked(&home, &guard, None).expect_err("a certificate is demanded");
    asked(&home, &guard, Some(&other)).expect_err("of that CA");
    until_metric(&guard, "handshake_failures_total{reason=\"tls\"}", 2);

    // The next CA is taken from the file.
    fs::write(&file, &other_ca.cert).expect("a file");
    let is_let_in = || Ok(asked(&home, &guard, Some(&other)).ok());
    assert_eq!(until("the other client", is_let_in).expect("an answer").code, 404);
    asked(&home, &guard, Some(&client)).expect_err("the first CA is not trusted any more");
    until_metric(&guard, "ready", 1);
    assert!(!guard.log().contains("not ready any more"));
}

/// As `openssl req -x509` makes it.
fn is_ready_with_a_certificate_that_is_its_own_ca(clusters: &Clusters) {
    is_ready_with_a_ca_as_certificate(clusters, false);
}

/// As `openssl req -x509 -CA` makes it.
fn is_ready_with_a_ca_that_another_ca_signed(clusters: &Clusters) {
    is_ready_with_a_ca_as_certificate(clusters, true);
}

fn is_ready_with_a_ca_as_certificate(clusters: &Clusters, is_signed: bool) {
    let home = Home::new(clusters.cci(), false, None);
    let folder = home.cluster.folder();
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("a name");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let bundle = if is_signed {
        let ca = Authority::new("signs CAs");
        fs::write(folder.join("tls.crt"), ca.sign(&params, &key).cert).expect("a file");
        ca.cert
    } else {
        let own = params.self_signed(&key).expect("a certificate").pem();
        fs::write(folder.join("tls.crt"), &own).expect("a file");
        own
    };
    fs::write(folder.join("tls.key"), key.serialize_pem()).expect("a file");
    fs::write(folder.join("ca.crt"), bundle).expect("a file");
    let address = free_address().expect("a port");
    home.register(&Registered::at(address, folder.join("ca.crt")));
    home.kubectl(&["label", "namespace", &home.name, "own-guard=true"]);
    let mut job = example_job();
    job["metadata"]["namespace"] = json!(home.name);
    home.apply(&job);
    let guard = home.guard_with_files(address, &folder, std::path::Path::new("cci"), &[]);
    until_ready_says(&guard, "200 OK");
    // And the API server trusts it: the guard names the field.
    let job = Job { cluster: home.cluster, namespace: home.name.clone() };
    job.rejects(&[("spec.backoffLimit", "(added)")], || job.patch(&json!({"spec": {"backoffLimit": 1}})));
}
