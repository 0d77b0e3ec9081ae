//! PEM: certificates out of their armour, and back into it.

use rustls::pki_types::{
    CertificateDer,
    pem::{Error, PemObject as _},
};

/// Reads all certificates of this PEM text. A text without any is no error.
pub(crate) fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Error> {
    CertificateDer::pem_slice_iter(pem).collect()
}

/// Writes a certificate as PEM.
pub(super) fn encoded(certificate: &CertificateDer<'_>) -> String {
    let lines = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
    pem::encode_config(&pem::Pem::new("CERTIFICATE", certificate.to_vec()), lines)
}
