//! A serving certificate that a [`StoredCa`](super::StoredCa) signed.

use std::time::SystemTime;

use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// A serving certificate that was signed here, with its key.
pub(crate) struct ServingCertificate {
    pub(crate) certificate: CertificateDer<'static>,
    pub(crate) key: PrivateKeyDer<'static>,
    /// The moment from which on the next one is due.
    pub(crate) renewed_at: SystemTime,
    /// The CA that signed it, PEM.
    pub(crate) ca: String,
}
