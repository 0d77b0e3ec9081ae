//! Keys, chains, clients' certificates, and certificates that change while the guard serves.

use std::{fs, os::unix::fs::symlink, path::Path};

use rustls::version::{TLS12, TLS13};
use support::{
    Serves as _,
    client::{Client, Tls, post},
    eventually,
    guard::{Guard, Start},
    pki::{Authority, EC_ENCRYPTED, EC_PKCS8, EC_SEC1, Pair, RSA_PKCS1, RSA_PKCS8},
    reviews::{allowed, denied},
};

/// A guard with this certificate and key.
fn guard_with(cert: &str, key: &str) -> Start {
    Start::new().file("tls.crt", cert).file("tls.key", key).args(&["--tls-cert", "tls.crt", "--tls-key", "tls.key"])
}

/// True if a client that trusts only this CA gets an answer.
fn serves_for(guard: &Guard, authority: &Authority) -> bool {
    Tls::trusting(&authority.cert).connect(guard.address()).is_ok_and(|mut client| {
        client.ask(&post(&allowed())).decides(true);
        true
    })
}

/// Puts a file in place of another at once, as careful scripts do.
fn put(path: &Path, contents: &str) {
    let draft = path.with_extension("new");
    fs::write(&draft, contents).expect("a file is written");
    fs::rename(&draft, path).expect("a file is renamed");
}

#[test]
fn speaks_tls_1_2_and_1_3() {
    let guard = Guard::start();
    for version in [&TLS12, &TLS13] {
        let mut client = Tls::trusting(&guard.ca()).only(version).connect(guard.address()).expect("a handshake");
        assert_eq!(client.stream.conn.protocol_version(), Some(version.version));
        client.ask(&post(&allowed())).decides(true);
        client.ask(&post(&denied())).decides(false);
    }
}

#[test]
fn chooses_the_protocol_that_is_offered() {
    let guard = Guard::start();
    for (offered, chosen) in
        [(&["http/1.1"][..], Some(&b"http/1.1"[..])), (&["http/1.1", "h2"], Some(b"h2")), (&[], None)]
    {
        let mut client = Tls::trusting(&guard.ca()).offering(offered).connect(guard.address()).expect("a handshake");
        assert_eq!(client.stream.conn.alpn_protocol(), chosen, "{offered:?}");
        if chosen != Some(b"h2") {
            client.ask(&post(&allowed())).decides(true);
        }
    }
    assert!(Tls::trusting(&guard.ca()).offering(&["spdy/3"]).connect(guard.address()).is_err());
    guard.await_metric("handshake_failures_total{reason=\"tls\"}", 1.0);
}

#[test]
fn is_distrusted_by_who_does_not_know_its_ca() {
    let guard = Guard::start();
    assert!(Tls::trusting(&Authority::new("other").cert).connect(guard.address()).is_err());
    guard.await_metric("handshake_failures_total{reason=\"tls\"}", 1.0);
    Client::to(&guard).ask(&post(&allowed())).decides(true);
}

#[test]
fn accepts_keys_of_every_kind() {
    let authority = Authority::new("ca");
    for (key, written) in [(EC_PKCS8, EC_PKCS8), (EC_PKCS8, EC_SEC1), (RSA_PKCS8, RSA_PKCS8), (RSA_PKCS8, RSA_PKCS1)] {
        let guard = guard_with(&authority.server_for(key).cert, written).serve();
        assert!(serves_for(&guard, &authority), "{}", written.lines().next().unwrap_or_default());
        assert!(!guard.log().contains("certs/"), "nothing local is made: {}", guard.log());
        assert!(!guard.path("certs").exists());
    }
}

#[test]
fn sends_the_whole_chain() {
    let root = Authority::new("root");
    let intermediate = root.intermediate("intermediate");
    let leaf = intermediate.server();
    let guard = guard_with(&format!("{}{}", leaf.cert, intermediate.cert), &leaf.key).serve();
    assert!(serves_for(&guard, &root));
    // Without it whoever trusts the root alone cannot follow.
    let guard = guard_with(&leaf.cert, &leaf.key).serve();
    assert!(Tls::trusting(&root.cert).connect(guard.address()).is_err());
    assert!(serves_for(&guard, &intermediate));
}

#[test]
fn refuses_to_start_with_files_that_cannot_serve() {
    let authority = Authority::new("ca");
    let (pair, other) = (authority.server(), authority.server());
    let garbled = pair.cert.replacen("MII", "MIX", 1);
    for (cert, key, said) in [
        (&pair.cert[..], &other.key[..], "tls.key: this is not the key of the first certificate in tls.crt"),
        ("", &pair.key, "tls.crt: there is no PEM certificate in it"),
        ("nonsense", &pair.key, "tls.crt: there is no PEM certificate in it"),
        (&pair.key, &pair.key, "tls.crt: there is no PEM certificate in it"),
        (&garbled, &pair.key, "tls.crt: certificate 1 in it cannot be read"),
        (&format!("{}{garbled}", pair.cert), &pair.key, "tls.crt: certificate 2 in it cannot be read"),
        (&pair.cert[..200], &pair.key, "tls.crt: its PEM is broken"),
        (&pair.cert, "", "tls.key: there is no PEM private key in it"),
        (&pair.cert, &pair.cert, "tls.key: there is no PEM private key in it"),
        (&pair.cert, EC_ENCRYPTED, "tls.key: the key is encrypted"),
        (&pair.cert, &"x".repeat(2 << 20), "tls.key: cannot be read: larger than 1 MiB"),
    ] {
        let (code, log) = guard_with(cert, key).fail();
        assert_eq!(code, Some(2), "{log}");
        assert!(log.contains(said), "{said:?} is not in {log}");
    }
    assert!(serves_for(&guard_with(&pair.cert, &pair.key).serve(), &authority));
}

#[test]
fn lets_in_only_clients_of_the_client_ca() {
    let (authority, other) = (Authority::new("clients"), Authority::new("others"));
    let guard = Start::new().file("clients.crt", &authority.cert).args(&["--client-ca", "clients.crt"]).serve();
    let trusting = || Tls::trusting(&guard.ca());
    let gets_in = |tls: Tls| {
        tls.connect(guard.address()).is_ok_and(|mut client| {
            client.send(&post(&allowed())).is_ok() && client.reply().is_ok_and(|reply| reply.code == 200)
        })
    };
    assert!(gets_in(trusting().with_identity(&authority.client())));
    assert!(gets_in(trusting().with_identity(&authority.client()).only(&TLS12)));
    assert!(!gets_in(trusting()), "without a certificate");
    assert!(!gets_in(trusting().only(&TLS12)), "without a certificate");
    assert!(!gets_in(trusting().with_identity(&other.client())), "with another CA's certificate");
    assert!(!gets_in(trusting().with_identity(&authority.server())), "with a certificate that is not for clients");
    guard.await_metric("handshake_failures_total{reason=\"tls\"}", 4.0);

    // The CA is read again like the certificates.
    put(&guard.path("clients.crt"), &other.cert);
    eventually("the new CA is in use", || gets_in(trusting().with_identity(&other.client())));
    assert!(!gets_in(trusting().with_identity(&authority.client())), "the old CA's time is over");
}

#[test]
fn takes_new_certificates_without_dropping_a_connection() {
    let (old, new) = (Authority::new("old"), Authority::new("new"));
    let pair = old.server();
    let guard = guard_with(&pair.cert, &pair.key).serve();
    let mut open = Tls::trusting(&old.cert).connect(guard.address()).expect("a handshake");
    open.ask(&post(&allowed())).decides(true);

    // One file after the other, in place: between them they do not fit.
    let pair = new.server_until(2050);
    put(&guard.path("tls.crt"), &pair.cert);
    guard.await_log("cannot be used");
    assert!(serves_for(&guard, &old), "the old pair goes on serving");
    put(&guard.path("tls.key"), &pair.key);
    guard.await_metric("certificate_reloads_total{result=\"success\"}", 1.0);
    assert!(serves_for(&guard, &new));
    assert!(!serves_for(&guard, &old));
    assert_eq!(guard.metric("certificate_expiry_timestamp_seconds").to_string(), "2524608000");

    open.ask(&post(&denied())).decides(false);
}

/// A Secret as the kubelet mounts it: the files are links into `..data`, which is a link that is swapped.
struct Mounted {
    dir: std::path::PathBuf,
    versions: u32,
}

impl Mounted {
    fn new(dir: &Path, pair: &Pair) -> Self {
        fs::create_dir(dir).expect("a folder");
        let mut mounted = Self { dir: dir.to_owned(), versions: 0 };
        mounted.swap(pair);
        for name in ["tls.crt", "tls.key"] {
            symlink(format!("..data/{name}"), dir.join(name)).expect("a link");
        }
        mounted
    }

    fn swap(&mut self, pair: &Pair) {
        self.versions += 1;
        let version = format!("..version{}", self.versions);
        fs::create_dir(self.dir.join(&version)).expect("a folder");
        fs::write(self.dir.join(&version).join("tls.crt"), &pair.cert).expect("a file");
        fs::write(self.dir.join(&version).join("tls.key"), &pair.key).expect("a file");
        let draft = self.dir.join("..data_tmp");
        symlink(&version, &draft).expect("a link");
        fs::rename(&draft, self.dir.join("..data")).expect("a swap");
        if self.versions > 1 {
            fs::remove_dir_all(self.dir.join(format!("..version{}", self.versions - 1))).expect("the old one goes");
        }
    }
}

#[test]
fn takes_new_certificates_from_a_mounted_secret_again_and_again() {
    let authorities = [Authority::new("first"), Authority::new("second"), Authority::new("third")];
    let start = Start::new();
    let mut secret = Mounted::new(&start.dir().join("secret"), &authorities[0].server());
    let guard = start.args(&["--tls-cert", "secret/tls.crt", "--tls-key", "secret/tls.key"]).serve();
    assert!(serves_for(&guard, &authorities[0]));
    let mut open = Tls::trusting(&authorities[0].cert).connect(guard.address()).expect("a handshake");

    let mut taken = 0.0;
    for authority in &authorities[1..] {
        secret.swap(&authority.server());
        taken += 1.0;
        guard.await_metric("certificate_reloads_total{result=\"success\"}", taken);
        assert!(serves_for(&guard, authority));
    }
    assert!(!serves_for(&guard, &authorities[0]));
    assert_eq!(guard.metric("certificate_reloads_total{result=\"refused\"}").to_string(), "0");

    // A pair that is none is refused once, however often it is looked at.
    let bad = Pair { cert: authorities[0].server().cert, key: authorities[0].server().key };
    secret.swap(&bad);
    guard.await_metric("certificate_reloads_total{result=\"refused\"}", 1.0);
    let line = guard.await_log("cannot be used");
    assert!(line.contains("secret/tls.key: this is not the key of"), "{line}");
    assert!(serves_for(&guard, &authorities[2]), "the old pair goes on serving");

    // So are files that are gone; and what is good again is taken.
    fs::rename(guard.path("secret/..data"), guard.path("secret/gone")).expect("a rename");
    guard.await_metric("certificate_reloads_total{result=\"refused\"}", 2.0);
    fs::rename(guard.path("secret/gone"), guard.path("secret/..data")).expect("a rename");
    guard.await_metric("certificate_reloads_total{result=\"refused\"}", 3.0);
    secret.swap(&authorities[0].server());
    guard.await_metric("certificate_reloads_total{result=\"success\"}", taken + 1.0);
    assert!(serves_for(&guard, &authorities[0]));
    assert_eq!(guard.log().matches("cannot be used").count(), 3, "{}", guard.log());

    open.ask(&post(&denied())).decides(false);
}

#[test]
fn warns_of_a_certificate_that_is_over() {
    let authority = Authority::new("ca");
    let pair = authority.server_until(2021);
    let guard = guard_with(&pair.cert, &pair.key).serve();
    assert!(guard.await_log("has expired").contains("tls.crt"));
    assert_eq!(guard.metric("certificate_expiry_timestamp_seconds").to_string(), "1609459200");
    let pair = authority.server();
    let guard = guard_with(&pair.cert, &pair.key).serve();
    guard.await_metric("certificate_reloads_total{result=\"success\"}", 0.0);
    assert!(!guard.log().contains("expired"), "{}", guard.log());
}
