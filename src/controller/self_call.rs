//! A TLS call of the guard to itself, as an API server would make it.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use rustls::{ClientConfig, RootCertStore, crypto::CryptoProvider, pki_types::ServerName};
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::TlsConnector;

use super::trust::Trust;
use crate::certificates::{OwnClient, pem};

const DEADLINE: Duration = Duration::from_secs(5);

/// The outcome of a self-call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// An API server with that bundle would call us.
    Verified,
    /// It would not.
    Refused(String),
    /// Unknown: the guard is busy, or did not answer.
    Unknown,
}

/// Calls `address` under the name `host` and verifies the certificate against `bundle`, PEM.
pub(super) async fn call(
    address: SocketAddr,
    host: &str,
    bundle: &[u8],
    own: &OwnClient,
    provider: &Arc<CryptoProvider>,
) -> Outcome {
    let connector = match connector(bundle, own, provider) {
        Ok(connector) => connector,
        Err(problem) => return Outcome::Refused(problem),
    };
    let Ok(name) = ServerName::try_from(host.to_owned()) else {
        return Outcome::Refused(format!("{host} is no name that a certificate could have"));
    };
    let handshake = async { connector.connect(name, connect(address).await?).await };
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

/// Connects. In a pod without IPv6 the kernel lets a process listen on the addresses of both families, but there is no
/// `::1` to call.
async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    match TcpStream::connect(address).await {
        Err(_) if address.ip() == Ipv6Addr::LOCALHOST => {
            TcpStream::connect((Ipv4Addr::LOCALHOST, address.port())).await
        }
        connected => connected,
    }
}

fn connector(bundle: &[u8], own: &OwnClient, provider: &Arc<CryptoProvider>) -> Result<TlsConnector, String> {
    let certificates = pem::certificates(bundle).map_err(|error| format!("its caBundle is no PEM: {error}"))?;
    if certificates.is_empty() {
        return Err("it has no caBundle yet".to_owned());
    }
    // As API servers do it: one that cannot be read takes nothing from the others.
    let mut roots = RootCertStore::empty();
    if let (0, _) = roots.add_parsable_certificates(certificates.iter().cloned()) {
        return Err("no certificate of its caBundle can be read".to_owned());
    }
    let trust = Trust::new(certificates, roots, provider).map_err(|error| error.to_string())?;
    let config = ClientConfig::builder_with_provider(Arc::clone(provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(trust))
        // Where no client certificate is demanded none is sent.
        .with_client_auth_cert(vec![own.certificate.clone()], own.key.clone_key())
        .map_err(|error| error.to_string())?;
    Ok(TlsConnector::from(Arc::new(config)))
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn calls_itself_where_there_is_no_ipv6() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        // Nobody answers there, as where there is no such address.
        let address = SocketAddr::from((Ipv6Addr::LOCALHOST, port));
        let connected = connect(address).await.expect("the other family answers");
        assert_eq!(connected.peer_addr().expect("an address").port(), port);
        // An address that was asked for is not replaced by another.
        let elsewhere = SocketAddr::from((Ipv4Addr::new(127, 0, 0, 2), port));
        connect(elsewhere).await.expect_err("nobody listens there");
    }
}
