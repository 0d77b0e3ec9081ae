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
                let client = Tls::trusting(&bundle).named(&format!("{GUARD}.{GUARD}.svc"));
                for (pod, address) in cluster.kubelet.pods() {
                    match handshake(&client, address) {
                        Ok(()) => good += 1,
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
    let client = Tls::trusting(cas).named(&format!("{GUARD}.{GUARD}.svc"));
    cluster.kubelet.pods().into_values().all(|address| handshake(&client, address).is_ok())
}

fn handshake(client: &Tls, address: Ipv4Addr) -> io::Result<()> {
    let stream = TcpStream::connect((address, PORT))?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    client.over(stream).map(drop)
}

/// The one `caBundle` of all webhooks of a registration, decoded.
pub(crate) fn ca_bundle(registration: &serde_json::Value) -> Vec<u8> {
    let webhooks = registration["webhooks"].as_array().into_iter().flatten();
    let mut bundles: Vec<&str> = webhooks.filter_map(|webhook| webhook["clientConfig"]["caBundle"].as_str()).collect();
    bundles.dedup();
    assert_eq!(bundles.len(), 1, "one bundle for all: {registration:#}");
    STANDARD.decode(bundles[0]).expect("a caBundle is base64")
}
