//! New connections, made as the API server makes them: it keeps its own for long, and so would not notice for a while that a
//! certificate does not fit the `caBundle`.

use std::{
    io,
    net::{Ipv4Addr, TcpStream},
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use base64::{Engine as _, prelude::BASE64_STANDARD as STANDARD};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};

use crate::arena::{Arena, GUARD};

/// The guard's port for reviews.
const PORT: u16 = 8443;
/// A peer that neither speaks nor closes.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Connects to every replica again and again while `during` runs, trusting what the registration says at that time. Gives how
/// many connections were good, and why the others were not.
pub(crate) fn verified_during(arena: &Arena, during: impl FnOnce()) -> (usize, Vec<String>) {
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let caller = scope.spawn(|| {
            let (mut good, mut bad) = (0, Vec::new());
            while !stop.load(Ordering::Relaxed) {
                let config = trusting(&arena.ca_bundle());
                for (pod, address) in arena.kubelet.pods() {
                    match handshake(&config, address) {
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

/// A client that trusts these CAs, PEM.
fn trusting(bundle: &[u8]) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(bundle) {
        roots.add(certificate.expect("a caBundle is PEM")).expect("a CA");
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = config.with_safe_default_protocol_versions().expect("TLS");
    Arc::new(config.with_root_certificates(roots).with_no_client_auth())
}

fn handshake(config: &Arc<ClientConfig>, address: Ipv4Addr) -> io::Result<()> {
    let name = ServerName::try_from(format!("{GUARD}.{GUARD}.svc")).map_err(io::Error::other)?;
    let mut connection = ClientConnection::new(Arc::clone(config), name).map_err(io::Error::other)?;
    let mut stream = TcpStream::connect((address, PORT))?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    while connection.is_handshaking() {
        connection.complete_io(&mut stream)?;
    }
    Ok(())
}

/// The one `caBundle` of all webhooks of a registration, decoded.
pub(crate) fn ca_bundle(registration: &serde_json::Value) -> Vec<u8> {
    let webhooks = registration["webhooks"].as_array().into_iter().flatten();
    let mut bundles: Vec<&str> = webhooks.filter_map(|webhook| webhook["clientConfig"]["caBundle"].as_str()).collect();
    bundles.dedup();
    assert_eq!(bundles.len(), 1, "one bundle for all: {registration:#}");
    STANDARD.decode(bundles[0]).expect("a caBundle is base64")
}
