//! New connections, made as the API server makes them: it keeps its own for long, and so would not notice for a while that a
//! certificate does not fit the `caBundle`.

use std::{
    io,
    net::{Ipv4Addr, TcpStream},
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use base64::{Engine as _, prelude::BASE64_STANDARD as STANDARD};
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use support::client::Tls;

use crate::test_cluster::{GUARD, TestCluster};

/// The guard's port for reviews.
const PORT: u16 = 8443;
/// A peer that neither speaks nor closes.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Connects to every replica again and again while `during` runs, trusting what the registration says at that time. Gives how
/// many connections were good, and why the others were not.
pub(crate) fn verified_during(cluster: &TestCluster, during: impl FnOnce()) -> (usize, Vec<String>) {
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let caller = scope.spawn(|| {
            let (mut good, mut bad) = (0, Vec::new());
            while !stop.load(Ordering::Relaxed) {
                let bundle = String::from_utf8(cluster.ca_bundle()).expect("a caBundle is PEM");
                let client = client(&bundle);
                for (pod, address) in cluster.kubelet.pods() {
                    match handshake(&client, address) {
                        Ok(_) => good += 1,
                        Err(error) => bad.push(format!("{pod}: {error}")),
                    }
                }
            }
            (good, bad)
        });
        let outcome = catch_unwind(AssertUnwindSafe(during));
        stop.store(true, Ordering::Relaxed);
        let ledger = caller.join().expect("the caller does not panic");
        outcome.unwrap_or_else(|panic| resume_unwind(panic));
        ledger
    })
}

/// True if a client that trusts only these CAs, PEM, can connect to each replica.
pub(crate) fn are_verified_by(cluster: &TestCluster, cas: &str) -> bool {
    served(cluster, cas).all(|served| served.is_ok())
}

/// True if each replica serves this certificate, PEM, and the registration's CAs are good for it.
pub(crate) fn are_made_with(cluster: &TestCluster, certificate: &str) -> bool {
    let certificate = CertificateDer::from_pem_slice(certificate.as_bytes()).expect("a certificate in PEM");
    let bundle = String::from_utf8(cluster.ca_bundle()).expect("a caBundle is PEM");
    served(cluster, &bundle).all(|served| served.is_ok_and(|served| served == certificate))
}

/// The certificate of each replica, for a client that trusts only these CAs, PEM.
fn served(cluster: &TestCluster, cas: &str) -> impl Iterator<Item = io::Result<CertificateDer<'static>>> {
    let client = client(cas);
    cluster.kubelet.pods().into_values().map(move |address| handshake(&client, address))
}

/// A client that trusts only these CAs, PEM.
fn client(cas: &str) -> Tls {
    Tls::trusting(cas).named(&format!("{GUARD}.{GUARD}.svc"))
}

/// Connects, and returns the peer's certificate.
fn handshake(client: &Tls, address: Ipv4Addr) -> io::Result<CertificateDer<'static>> {
    let stream = TcpStream::connect((address, PORT))?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    let connection = client.over(stream)?.stream;
    let chain = connection.conn.peer_certificates().unwrap_or_default();
    chain.first().map(|certificate| certificate.clone().into_owned()).ok_or_else(|| io::Error::other("no certificate"))
}

/// The one `caBundle` of all webhooks of a registration, decoded.
pub(crate) fn ca_bundle(registration: &serde_json::Value) -> Vec<u8> {
    let webhooks = registration["webhooks"].as_array().into_iter().flatten();
    let mut bundles: Vec<&str> = webhooks.filter_map(|webhook| webhook["clientConfig"]["caBundle"].as_str()).collect();
    bundles.dedup();
    assert_eq!(bundles.len(), 1, "one bundle for all: {registration:#}");
    STANDARD.decode(bundles[0]).expect("a caBundle is base64")
}
