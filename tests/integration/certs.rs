//! `certs`, and the certificates `serve` makes for itself.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, process::Output};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use support::{
    Serves as _,
    client::{Client, Tls, post},
    guard::{Start, run},
    pki::{Authority, EC_PKCS8},
    reviews::allowed,
};
use tempfile::TempDir;
use x509_parser::{extensions::GeneralName, prelude::*};

const FILES: [&str; 4] = ["ca.crt", "ca.key", "tls.crt", "tls.key"];

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn contents(dir: &Path) -> Vec<String> {
    FILES.iter().map(|name| fs::read_to_string(dir.join(name)).unwrap_or_default()).collect()
}

/// Hands the certificate in this file to the test.
fn inspect(path: &Path, test: impl FnOnce(&X509Certificate<'_>)) {
    let pem = fs::read(path).expect("a file");
    let der = CertificateDer::from_pem_slice(&pem).expect("PEM");
    let (_, certificate) = X509Certificate::from_der(&der).expect("a certificate");
    test(&certificate);
}

#[test]
fn makes_a_ca_and_a_certificate_that_serve() {
    let start = Start::new();
    let made = run(start.dir(), &["certs", "pki", "--dns-name", "guard.ns.svc", "--ip", "127.0.0.1", "--days", "30"]);
    assert_eq!(made.status.code(), Some(0), "{}", stderr(&made));
    assert!(made.stdout.is_empty(), "standard output is for the bundle");
    for (name, expected) in [("ca.crt", 0o644), ("ca.key", 0o600), ("tls.crt", 0o644), ("tls.key", 0o600)] {
        let file = fs::metadata(start.dir().join("pki").join(name)).expect(name);
        assert_eq!(file.permissions().mode() & 0o777, expected, "{name}");
    }
    let ignored = fs::read_to_string(start.dir().join("pki/.gitignore")).expect("git leaves the folder out");
    assert!(ignored.lines().any(|line| line == "*"), "{ignored}");

    inspect(&start.dir().join("pki/ca.crt"), |ca| {
        assert!(ca.is_ca());
        assert!(ca.key_usage().expect("readable").expect("there").value.key_cert_sign());
        assert_eq!(ca.subject().to_string(), "CN=pytorchjob-guard CA");
    });
    inspect(&start.dir().join("pki/tls.crt"), |leaf| {
        assert!(!leaf.is_ca());
        assert_eq!(leaf.issuer().to_string(), "CN=pytorchjob-guard CA");
        assert!(leaf.extended_key_usage().expect("readable").expect("there").value.server_auth);
        assert!(leaf.key_usage().expect("readable").expect("there").value.digital_signature());
        let names = &leaf.subject_alternative_name().expect("readable").expect("there").value.general_names;
        assert_eq!(names[..], [GeneralName::DNSName("guard.ns.svc"), GeneralName::IPAddress(&[127, 0, 0, 1])]);
        let lasts = leaf.validity().not_after.timestamp() - leaf.validity().not_before.timestamp();
        assert_eq!(lasts / 86_400, 30, "the hour before now is for slow clocks");
        assert!(lasts % 86_400 > 3_000, "{lasts}");
    });

    let ca = fs::read_to_string(start.dir().join("pki/ca.crt")).expect("a CA");
    let guard = start.args(&["--tls-cert", "pki/tls.crt", "--tls-key", "pki/tls.key"]).serve();
    let mut client = Tls::trusting(&ca).connect(guard.address()).expect("a handshake");
    client.ask(&post(&allowed())).decides(true);
}

#[test]
fn overwrites_nothing_without_force() {
    let dir = TempDir::new().expect("a folder");
    assert!(run(dir.path(), &["certs"]).status.success());
    let before = contents(&dir.path().join("certs"));
    let refused = run(dir.path(), &["certs"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(stderr(&refused).contains("certs/tls.crt exists already"), "{}", stderr(&refused));
    assert!(stderr(&refused).contains("--force"), "{}", stderr(&refused));
    assert_eq!(contents(&dir.path().join("certs")), before);

    assert!(run(dir.path(), &["certs", "--force"]).status.success());
    for (before, after) in before.iter().zip(contents(&dir.path().join("certs"))) {
        assert_ne!(*before, after);
    }
    let left: Vec<_> =
        fs::read_dir(dir.path().join("certs")).expect("a folder").flatten().map(|f| f.file_name()).collect();
    assert_eq!(left.len(), 5, "no drafts stay behind: {left:?}");
    let mode = fs::metadata(dir.path().join("certs/tls.key")).expect("a key").permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
}

#[test]
fn signs_with_the_ca_that_is_there() {
    let dir = TempDir::new().expect("a folder");
    let certs = dir.path().join("certs");
    assert!(run(dir.path(), &["certs", "--days", "10"]).status.success());
    let before = contents(&certs);
    fs::remove_file(certs.join("tls.crt")).expect("a file");
    fs::remove_file(certs.join("tls.key")).expect("a file");
    assert!(run(dir.path(), &["certs", "--days", "3650"]).status.success());
    let after = contents(&certs);
    assert_eq!(before[..2], after[..2], "the CA is the same");
    assert_ne!(before[2..], after[2..], "the certificate is new");
    let mut ends = Vec::new();
    for name in ["ca.crt", "tls.crt"] {
        inspect(&certs.join(name), |certificate| ends.push(certificate.validity().not_after.timestamp()));
    }
    assert!(ends[1] <= ends[0], "the certificate does not outlive its CA: {ends:?}");
}

#[test]
fn refuses_half_a_pair_and_keys_that_do_not_belong() {
    let fresh = |change: &dyn Fn(&Path)| {
        let dir = TempDir::new().expect("a folder");
        assert!(run(dir.path(), &["certs"]).status.success());
        let certs = dir.path().join("certs");
        fs::remove_file(certs.join("tls.crt")).expect("a file");
        fs::remove_file(certs.join("tls.key")).expect("a file");
        change(&certs);
        let made = run(dir.path(), &["certs"]);
        (made.status.code(), stderr(&made))
    };
    assert_eq!(fresh(&|_| {}).0, Some(0));
    for (change, said) in [
        (
            &(|certs: &Path| fs::remove_file(certs.join("ca.key")).expect("a file")) as &dyn Fn(&Path),
            "certs/ca.key is missing",
        ),
        (&|certs| fs::remove_file(certs.join("ca.crt")).expect("a file"), "certs/ca.crt is missing"),
        (&|certs| fs::write(certs.join("ca.key"), EC_PKCS8).expect("a file"), "certs/ca.key: this is not the key of"),
        (&|certs| fs::write(certs.join("ca.key"), "nonsense").expect("a file"), "certs/ca.key: "),
        (&|certs| fs::write(certs.join("ca.crt"), "nonsense").expect("a file"), "certs/ca.crt: "),
        (&|certs| fs::write(certs.join("tls.key"), "mine").expect("a file"), "certs/tls.key exists already"),
    ] {
        let (code, message) = fresh(change);
        assert_eq!(code, Some(2), "{message}");
        assert!(message.contains(said), "{said:?} is not in {message}");
    }
}

#[test]
fn refuses_names_that_no_client_would_find() {
    let dir = TempDir::new().expect("a folder");
    for (name, said) in [("127.0.0.1", "--ip"), ("a b", "no DNS name"), ("", "no DNS name"), ("-", "no DNS name")] {
        let refused = run(dir.path(), &["certs", "--dns-name", name]);
        assert_eq!(refused.status.code(), Some(2), "{name:?}");
        assert!(stderr(&refused).contains(said), "{}", stderr(&refused));
        assert!(!dir.path().join("certs").exists(), "nothing is made");
    }
    for name in ["guard", "guard.ns.svc.cluster.local", "*.example.com"] {
        let made = run(dir.path(), &["certs", "--force", "--dns-name", name]);
        assert_eq!(made.status.code(), Some(0), "{}", stderr(&made));
    }
    assert_eq!(run(dir.path(), &["certs", "--force", "--days", "0"]).status.code(), Some(2));
    assert_eq!(run(dir.path(), &["certs", "--force", "--ip", "1.2.3"]).status.code(), Some(2));
}

#[test]
fn prints_the_ca_bundle() {
    let dir = TempDir::new().expect("a folder");
    let made = run(dir.path(), &["certs", "--print-ca-bundle"]);
    assert!(made.status.success(), "{}", stderr(&made));
    let before = contents(&dir.path().join("certs"));
    // Again, for a folder that is there: nothing is made, and nothing but the bundle is said.
    let printed = run(dir.path(), &["certs", "--print-ca-bundle"]);
    assert!(printed.status.success(), "{}", stderr(&printed));
    assert_eq!(printed.stdout, made.stdout);
    assert_eq!(stderr(&printed), "");
    assert_eq!(contents(&dir.path().join("certs")), before);
    let line = String::from_utf8(printed.stdout).expect("text");
    assert_eq!(line.lines().count(), 1, "{line}");
    let pem = STANDARD.decode(line.trim_end()).expect("base64");
    assert_eq!(pem, before[0].as_bytes());

    fs::write(dir.path().join("certs/ca.crt"), "nonsense").expect("a file");
    let refused = run(dir.path(), &["certs", "--print-ca-bundle"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(refused.stdout.is_empty());
    assert!(stderr(&refused).contains("certs/ca.crt: there is no PEM certificate in it"), "{}", stderr(&refused));
}

#[test]
fn serves_with_the_local_certificates_that_are_there() {
    let start = Start::new();
    assert!(run(start.dir(), &["certs"]).status.success());
    let before = contents(&start.dir().join("certs"));
    let guard = start.serve();
    guard.await_log("using the local certificates");
    assert_eq!(contents(&guard.path("certs")), before);
    Client::to(&guard).ask(&post(&allowed())).decides(true);
}

#[test]
fn renews_a_local_certificate_at_its_end() {
    // A day, of which the first hour was before now, has more than a tenth left; a certificate from 2020 has not.
    let start = Start::new();
    assert!(run(start.dir(), &["certs"]).status.success());
    let certs = start.dir().join("certs");
    let before = contents(&certs);
    let old = Authority::new("old").server_until(2021);
    fs::write(certs.join("tls.crt"), &old.cert).expect("a file");
    fs::write(certs.join("tls.key"), &old.key).expect("a file");
    let guard = start.serve();
    guard.await_log("made a new one");
    let after = contents(&certs);
    assert_eq!(before[..2], after[..2], "the CA is the same");
    inspect(&certs.join("tls.crt"), |leaf| {
        let names = &leaf.subject_alternative_name().expect("readable").expect("there").value.general_names;
        assert_eq!(names[..], [GeneralName::IPAddress(&[127, 0, 0, 1])], "good for what the old one was");
    });
    Client::to(&guard).ask(&post(&allowed())).decides(true);
}

#[test]
fn makes_a_local_ca_anew_at_its_end() {
    let start = Start::new();
    assert!(run(start.dir(), &["certs"]).status.success());
    let certs = start.dir().join("certs");
    let old = Authority::new("old").server_until(2021);
    fs::write(certs.join("ca.crt"), &old.cert).expect("a file");
    fs::write(certs.join("ca.key"), &old.key).expect("a file");
    fs::write(certs.join("tls.crt"), &old.cert).expect("a file");
    fs::write(certs.join("tls.key"), &old.key).expect("a file");
    let guard = start.serve();
    guard.await_log("trust ca.crt anew");
    Client::to(&guard).ask(&post(&allowed())).decides(true);
}

#[test]
fn leaves_local_certificates_of_others_alone() {
    let start = Start::new();
    let authority = Authority::new("somebody's");
    let pair = authority.server_until(2021);
    fs::create_dir(start.dir().join("certs")).expect("a folder");
    let start = start.file("certs/tls.crt", &pair.cert).file("certs/tls.key", &pair.key);
    let guard = start.serve();
    guard.await_log("has expired");
    assert!(!guard.log().contains("--cacert"), "there is no CA to name: {}", guard.log());
    assert_eq!(contents(&guard.path("certs"))[2..], [pair.cert.clone(), pair.key.clone()]);

    let (code, said) = Start::new().file("certs", "not a folder").fail();
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("certs: cannot be written"), "{said}");
}
