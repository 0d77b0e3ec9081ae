//! Reading the TLS files again when their contents change.

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};

use rustls::{crypto::CryptoProvider, pki_types::CertificateDer};
use tokio::sync::watch;
use tracing::{info, warn};

use super::{Files, Look, Watched};
use crate::{
    certificates::{Expiry, Validity},
    server::{
        config::TlsFiles,
        state::State,
        tls::{ClientCa, Identity, Material, TlsError},
    },
};

impl Files for TlsFiles {
    type Contents = Material;
    type Error = TlsError;

    fn read(&self) -> Result<Material, TlsError> {
        Material::read(self)
    }
}

/// Watches the files that TLS is set up from.
pub(in crate::server) struct TlsReloader {
    watched: Watched<TlsFiles>,
    own: Option<CertificateDer<'static>>,
    provider: Arc<CryptoProvider>,
    validity: Validity,
    expiry: Expiry,
}

impl TlsReloader {
    /// Reads the files for the first time.
    pub(in crate::server) fn start(
        files: TlsFiles,
        own: Option<CertificateDer<'static>>,
    ) -> Result<(Self, Identity), TlsError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let material = Material::read(&files)?;
        let identity = material.identity(&files, own.as_ref(), &provider)?;
        let validity = identity.validity;
        let watched = Watched::new(files, material);
        let reloader = Self { watched, own, provider, validity, expiry: Expiry::Good };
        Ok((reloader, identity))
    }

    /// Looks at the files again and again.
    pub(in crate::server) async fn run(mut self, state: Arc<State>) {
        loop {
            self.warn_of_expiry();
            let Some(look) = self.watched.look().await else { continue };
            match self.identity(look) {
                Ok(identity) => {
                    self.validity = identity.validity;
                    self.expiry = Expiry::Good;
                    state.set_tls(identity.config);
                    state.metrics.certificate_reloaded(identity.validity);
                    info!(cert = %self.watched.files.cert.display(), "the TLS files changed and are in use");
                }
                Err(reason) => {
                    state.metrics.certificate_refused();
                    warn!(reason, "the TLS files changed and cannot be used; the ones before go on serving");
                }
            }
        }
    }

    /// The identity to serve from now on, or why these files cannot be used.
    fn identity(&self, look: Look<Material>) -> Result<Identity, String> {
        let identity = look?.identity(&self.watched.files, self.own.as_ref(), &self.provider);
        identity.map_err(|error| error.to_string())
    }

    /// Says once that the certificate is near its end, and once that it is over.
    fn warn_of_expiry(&mut self) {
        let now = SystemTime::now();
        let expiry = self.validity.expiry(now);
        if expiry == self.expiry {
            return;
        }
        self.expiry = expiry;
        let cert = self.watched.files.cert.display();
        match expiry {
            Expiry::Good => {}
            Expiry::Early => warn!(%cert, "the certificate is not valid yet: API servers will not call this webhook"),
            Expiry::Ending => {
                let left =
                    humantime::format_duration(Duration::from_secs(self.validity.left(now).as_secs())).to_string();
                warn!(%cert, left, "the certificate ends soon");
            }
            Expiry::Ended => warn!(%cert, "the certificate has expired: API servers will not call this webhook"),
        }
    }
}

/// The name of the file with the CAs of the clients.
#[derive(Clone)]
struct ClientCaFile(PathBuf);

impl Files for ClientCaFile {
    type Contents = Vec<u8>;
    type Error = TlsError;

    fn read(&self) -> Result<Vec<u8>, TlsError> {
        ClientCa::read(&self.0)
    }
}

/// Watches the CAs of the clients where the certificate is no file.
pub(in crate::server) struct ClientCaReloader {
    watched: Watched<ClientCaFile>,
    provider: Arc<CryptoProvider>,
    current: watch::Sender<ClientCa>,
}

impl ClientCaReloader {
    /// Reads the file for the first time.
    pub(in crate::server) fn start(file: PathBuf) -> Result<(Self, watch::Receiver<ClientCa>), TlsError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let pem = ClientCa::read(&file)?;
        let (current, receiver) = watch::channel(ClientCa::new(&file, pem.clone(), &provider)?);
        Ok((Self { watched: Watched::new(ClientCaFile(file), pem), provider, current }, receiver))
    }

    /// Looks at the file again and again.
    pub(in crate::server) async fn run(mut self, state: Arc<State>) {
        loop {
            let Some(look) = self.watched.look().await else { continue };
            let file = &self.watched.files.0;
            let read = look.and_then(|pem| ClientCa::new(file, pem, &self.provider).map_err(|error| error.to_string()));
            match read {
                Ok(ca) => {
                    info!(file = %file.display(), "the CAs of the clients changed");
                    self.current.send_replace(ca);
                }
                Err(reason) => {
                    state.metrics.certificate_refused();
                    warn!(reason, "the TLS files changed and cannot be used; the ones before go on serving");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    fn pair() -> (String, String) {
        let key = KeyPair::generate().expect("a key");
        let cert = CertificateParams::default().self_signed(&key).expect("a certificate");
        (cert.pem(), key.serialize_pem())
    }

    /// Reads this pair of files.
    fn look(files: &TlsFiles, cert: &str, key: &str) -> Look<Material> {
        fs::write(&files.cert, cert).expect("a file");
        fs::write(&files.key, key).expect("a file");
        files.read().map_err(|error| error.to_string())
    }

    #[test]
    fn takes_what_can_serve_and_refuses_what_cannot() {
        let dir = tempfile::TempDir::new().expect("a folder");
        let files = TlsFiles { cert: dir.path().join("tls.crt"), key: dir.path().join("tls.key"), client_ca: None };
        let ((cert_a, key_a), (cert_b, key_b)) = (pair(), pair());
        let a = look(&files, &cert_a, &key_a);
        let (reloader, _) = TlsReloader::start(files.clone(), None).expect("the first pair serves");
        let half = look(&files, &cert_b, &key_a);
        let b = look(&files, &cert_b, &key_b);
        let gone = Err("tls.crt: gone".to_owned());
        let refused = format!("{}: this is not the key", files.key.display());
        for (look, found) in [(a, None), (half, Some(refused.as_str())), (b, None), (gone, Some("tls.crt: gone"))] {
            match (reloader.identity(look).err(), found) {
                (None, None) => {}
                (Some(reason), Some(found)) => assert!(reason.starts_with(found), "{reason} where {found} was due"),
                (reason, found) => panic!("{reason:?} where {found:?} was due"),
            }
        }
    }
}
