//! From PEM files to a TLS configuration. Files that could not serve are errors.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    RootCertStore, ServerConfig,
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::{NoServerSessionStorage, WebPkiClientVerifier, danger::ClientCertVerifier},
    sign::{CertifiedKey, SingleCertAndKey},
};

use super::{clients::Clients, config::TlsFiles};
use crate::{
    certificates::{ServingCertificate, Validity, ValidityError, pem},
    contents::{self, ContentsError},
};

/// No honest certificate, key or CA bundle is larger; a device or a log named by mistake is.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// The reason why TLS cannot be set up; the message names the file to mend.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file could not be read.
    #[error("{}: cannot be read: {source}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: ContentsError,
    },
    /// The certificate or its chain cannot be used.
    #[error("{}: {source}", .path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// The problem.
        source: ValidityError,
    },
    /// There is no private key that can be used.
    #[error("{}: {problem}", .path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// The problem.
        problem: String,
    },
    /// The certificate and the key are not a pair.
    #[error("{}: this is not the key of the first certificate in {}", .key.display(), .cert.display())]
    NotAPair {
        /// The certificate's file.
        cert: PathBuf,
        /// The key's file.
        key: PathBuf,
    },
    /// The CAs of the clients cannot be used.
    #[error("{}: {problem}", .path.display())]
    ClientCa {
        /// The file.
        path: PathBuf,
        /// The problem.
        problem: String,
    },
    /// A certificate that the guard signed cannot be used.
    #[error("the signed certificate cannot be used: {problem}")]
    Managed {
        /// The problem.
        problem: String,
    },
    /// rustls rejects the whole.
    #[error("TLS cannot be set up: {0}")]
    Rustls(#[from] rustls::Error),
}

/// The files' contents, to tell whether they changed.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Material {
    cert: Vec<u8>,
    key: Vec<u8>,
    client_ca: Option<Vec<u8>>,
}

/// The certificate and key to serve, from one state of the files.
pub(super) struct Identity {
    pub(super) config: Arc<ServerConfig>,
    pub(super) validity: Validity,
}

impl Material {
    /// Reads all the files. Between two of them they may be swapped: what was read need not fit together.
    pub(super) fn read(files: &TlsFiles) -> Result<Self, TlsError> {
        Ok(Self {
            cert: read(&files.cert)?,
            key: read(&files.key)?,
            client_ca: files.client_ca.as_deref().map(read).transpose()?,
        })
    }

    /// Sets up TLS from it. The files' names are for the errors; `own` is the guard's certificate as its own client.
    pub(super) fn identity(
        &self,
        files: &TlsFiles,
        own: Option<&CertificateDer<'static>>,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Identity, TlsError> {
        let certificate = |source| TlsError::Certificate { path: files.cert.clone(), source };
        let chain = pem::certificates(&self.cert).map_err(|error| certificate(ValidityError::Pem(error)))?;
        let validity = Validity::of_chain(&chain).map_err(certificate)?;

        let key = PrivateKeyDer::from_pem_slice(&self.key)
            .map_err(|error| TlsError::Key { path: files.key.clone(), problem: key_problem(&self.key, &error) })?;
        let pair = CertifiedKey::from_der(chain, key, provider).map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => {
                TlsError::NotAPair { cert: files.cert.clone(), key: files.key.clone() }
            }
            rustls::Error::InvalidCertificate(_) => {
                certificate(ValidityError::Der { position: 1, problem: error.to_string() })
            }
            other => TlsError::Key { path: files.key.clone(), problem: format!("cannot be used: {other}") },
        })?;
        let client_ca = files.client_ca.as_deref().zip(self.client_ca.as_deref());
        identity(pair, validity, client_ca, own, provider)
    }
}

/// The identity of this certificate and key, for the clients that are let in.
fn identity(
    pair: CertifiedKey,
    validity: Validity,
    client_ca: Option<(&Path, &[u8])>,
    own: Option<&CertificateDer<'static>>,
    provider: &Arc<CryptoProvider>,
) -> Result<Identity, TlsError> {
    let versions = ServerConfig::builder_with_provider(Arc::clone(provider)).with_safe_default_protocol_versions()?;
    let clients = match client_ca {
        Some((path, pem)) => versions.with_client_cert_verifier(clients(path, pem, own, provider)?),
        None => versions.with_no_client_auth(),
    };
    let mut config = clients.with_cert_resolver(Arc::new(SingleCertAndKey::from(pair)));
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    // API servers keep no sessions to resume: tickets would only cost time and memory at each handshake, and a
    // resumed session would not be checked against a new --client-ca.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Identity { config: Arc::new(config), validity })
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    contents::of_file(path, MAX_FILE_BYTES).map_err(|source| TlsError::Read { path: path.to_owned(), source })
}

/// The problem of a key, and what to do.
fn key_problem(pem: &[u8], error: &rustls::pki_types::pem::Error) -> String {
    let text = String::from_utf8_lossy(pem);
    if text.contains("BEGIN ENCRYPTED PRIVATE KEY") || text.contains("Proc-Type: 4,ENCRYPTED") {
        "the key is encrypted; give one without a passphrase".to_owned()
    } else if matches!(error, rustls::pki_types::pem::Error::NoItemsFound) {
        "there is no PEM private key in it (PKCS#8, PKCS#1 or SEC1)".to_owned()
    } else {
        format!("its PEM is broken: {error}")
    }
}

/// The identity of a certificate that the guard signed.
pub(super) fn managed(
    serving: &ServingCertificate,
    client_ca: Option<&ClientCa>,
    own: Option<&CertificateDer<'static>>,
    provider: &Arc<CryptoProvider>,
) -> Result<Identity, TlsError> {
    let chain = vec![serving.certificate.clone()];
    let unusable = |problem| TlsError::Managed { problem };
    let validity = Validity::of_chain(&chain).map_err(|error| unusable(error.to_string()))?;
    let pair = CertifiedKey::from_der(chain, serving.key.clone_key(), provider);
    let pair = pair.map_err(|error| unusable(error.to_string()))?;
    let client_ca = client_ca.map(|ca| (ca.file.as_path(), ca.pem.as_slice()));
    identity(pair, validity, client_ca, own, provider)
}

/// The CAs of the clients, as they were read from their file.
#[derive(Clone)]
pub(super) struct ClientCa {
    file: PathBuf,
    pem: Vec<u8>,
}

impl ClientCa {
    pub(super) fn read(file: &Path) -> Result<Vec<u8>, TlsError> {
        read(file)
    }

    /// The CAs that these contents are, if clients can be verified with them.
    pub(super) fn new(file: &Path, pem: Vec<u8>, provider: &Arc<CryptoProvider>) -> Result<Self, TlsError> {
        clients(file, &pem, None, provider)?;
        Ok(Self { file: file.to_owned(), pem })
    }
}

/// Lets in clients with a certificate from one of these CAs, and ourselves.
fn clients(
    path: &Path,
    pem: &[u8],
    own: Option<&CertificateDer<'static>>,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let refused = |problem: String| TlsError::ClientCa { path: path.to_owned(), problem };
    let roots = Arc::new(roots(pem).map_err(refused)?);
    let verifier = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(provider))
        .build()
        .map_err(|error| refused(error.to_string()))?;
    Ok(match own {
        Some(own) => Arc::new(Clients::new(verifier, own.clone())),
        None => verifier,
    })
}

fn roots(pem: &[u8]) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    let certificates = pem::certificates(pem).map_err(|error| format!("its PEM is broken: {error}"))?;
    for (index, certificate) in certificates.into_iter().enumerate() {
        roots.add(certificate).map_err(|error| format!("certificate {} in it cannot be read: {error}", index + 1))?;
    }
    if roots.is_empty() {
        return Err("there is no PEM certificate in it".to_owned());
    }
    Ok(roots)
}
