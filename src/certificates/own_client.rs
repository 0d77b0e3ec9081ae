//! The certificate of the guard as its own client.
//!
//! A guard that has a registration calls itself to find out if API servers could. Where clients need a certificate, no CA
//! signs one for that, so the guard makes one when it starts. Its key is in memory only, and the server knows the certificate by
//! its bytes.

use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

/// The certificate of the guard as its own client, with its key.
pub(crate) struct OwnClient {
    pub(crate) certificate: CertificateDer<'static>,
    pub(crate) key: PrivateKeyDer<'static>,
}

impl OwnClient {
    pub(crate) fn new() -> Result<Self, rcgen::Error> {
        let key = KeyPair::generate()?;
        let certificate = CertificateParams::default().self_signed(&key)?.der().clone();
        Ok(Self { certificate, key: PrivatePkcs8KeyDer::from(key.serialize_der()).into() })
    }
}
