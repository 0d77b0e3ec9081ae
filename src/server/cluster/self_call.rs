//! A TLS call to ourselves, as an API server would make it.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::CryptoProvider,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::TlsConnector;

const DEADLINE: Duration = Duration::from_secs(5);

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// An API server with that bundle would call us.
    Verified,
    /// It would not.
    Refused(String),
    /// Nothing was learnt: we are busy, or nobody answered.
    Unknown,
}

/// Calls `address` under the name `host` and verifies the certificate against `bundle`, PEM.
pub(super) async fn call(address: SocketAddr, host: &str, bundle: &[u8], provider: &Arc<CryptoProvider>) -> Outcome {
    let connector = match connector(bundle, provider) {
        Ok(connector) => connector,
        Err(problem) => return Outcome::Refused(problem),
    };
    let Ok(name) = ServerName::try_from(host.to_owned()) else {
        return Outcome::Refused(format!("{host} is no name that a certificate could have"));
    };
    let handshake = async { connector.connect(name, TcpStream::connect(address).await?).await };
    match timeout(DEADLINE, handshake).await {
        Ok(Ok(_)) => Outcome::Verified,
        Ok(Err(error)) => match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            Some(rustls::Error::InvalidCertificate(problem)) => {
                Outcome::Refused(format!("the certificate served is not good for {host}: {problem}"))
            }
            _ => Outcome::Unknown,
        },
        Err(_) => Outcome::Unknown,
    }
}

fn connector(bundle: &[u8], provider: &Arc<CryptoProvider>) -> Result<TlsConnector, String> {
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(bundle)
        .collect::<Result<_, _>>()
        .map_err(|error| format!("its caBundle is no PEM: {error}"))?;
    if certificates.is_empty() {
        return Err("it has no caBundle yet".to_owned());
    }
    // As API servers do it: one that cannot be read takes nothing from the others.
    let mut roots = RootCertStore::empty();
    if let (0, _) = roots.add_parsable_certificates(certificates) {
        return Err("no certificate of its caBundle can be read".to_owned());
    }
    let config = ClientConfig::builder_with_provider(Arc::clone(provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}
