//! Which serving certificates API servers trust: what Go's `crypto/x509` does with the registration's `caBundle`.
//!
//! webpki differs in one thing that people meet: it takes no CA for a server, and `openssl req -x509` makes its certificates with
//! `CA:TRUE`. Go looks first whether the certificate itself is in the bundle, and then asks only for its name, its time and its
//! usages. All else is left to webpki.

use std::sync::Arc;

use rustls::{
    CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::{
        VerifierBuilderError, WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_name,
    },
    crypto::CryptoProvider,
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::ParsedCertificate,
};
use x509_parser::parse_x509_certificate;

/// Trust in the certificates of a bundle.
#[derive(Debug)]
pub(super) struct Trust {
    bundle: Vec<CertificateDer<'static>>,
    webpki: Arc<WebPkiServerVerifier>,
}

impl Trust {
    /// `roots` are those of the bundle that webpki can read.
    pub(super) fn new(
        bundle: Vec<CertificateDer<'static>>,
        roots: RootCertStore,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Self, VerifierBuilderError> {
        let webpki = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider)).build()?;
        Ok(Self { bundle, webpki })
    }
}

/// Verifies a certificate that is trusted as it is.
fn verify_itself(
    certificate: &CertificateDer<'_>,
    name: &ServerName<'_>,
    now: UnixTime,
) -> Result<(), CertificateError> {
    let (_, parsed) = parse_x509_certificate(certificate).map_err(|_| CertificateError::BadEncoding)?;
    let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    if now < parsed.validity().not_before.timestamp() {
        return Err(CertificateError::NotValidYet);
    }
    if now > parsed.validity().not_after.timestamp() {
        return Err(CertificateError::Expired);
    }
    let usages = parsed.extended_key_usage().map_err(|_| CertificateError::BadEncoding)?;
    if usages.is_some_and(|usages| !usages.value.any && !usages.value.server_auth) {
        return Err(CertificateError::InvalidPurpose);
    }
    let of_certificate = |error| match error {
        Error::InvalidCertificate(problem) => problem,
        _ => CertificateError::BadEncoding,
    };
    let parsed = ParsedCertificate::try_from(certificate).map_err(of_certificate)?;
    verify_server_name(&parsed, name).map_err(of_certificate)
}

impl ServerCertVerifier for Trust {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if self.bundle.iter().any(|trusted| trusted == end_entity) {
            verify_itself(end_entity, server_name, now)?;
            return Ok(ServerCertVerified::assertion());
        }
        self.webpki.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.webpki.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.webpki.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.webpki.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair};

    use super::*;

    const HOST: &str = "guard.ops.svc";

    /// What `openssl req -x509 -addext subjectAltName=DNS:…` makes.
    fn by_openssl() -> CertificateParams {
        let mut params = CertificateParams::new(vec![HOST.to_owned()]).expect("a name");
        params.distinguished_name.push(DnType::CommonName, HOST);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
    }

    fn signed(params: &CertificateParams) -> CertificateDer<'static> {
        params.self_signed(&KeyPair::generate().expect("a key")).expect("a certificate").der().clone()
    }

    /// What comes of a call where this one is served and those are trusted.
    fn outcome(
        served: &CertificateDer<'static>,
        trusted: &[&CertificateDer<'static>],
        host: &str,
    ) -> Result<(), Error> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(trusted.iter().map(|trusted| (*trusted).clone()));
        let bundle = trusted.iter().map(|trusted| (*trusted).clone()).collect();
        let trust = Trust::new(bundle, roots, &Arc::new(rustls::crypto::ring::default_provider())).expect("roots");
        let name = ServerName::try_from(host.to_owned()).expect("a name");
        trust.verify_server_cert(served, &[], &name, &[], UnixTime::now()).map(drop)
    }

    #[test]
    fn accepts_a_ca_as_the_serving_certificate_where_it_is_in_the_bundle() {
        let (own, other) = (signed(&by_openssl()), signed(&by_openssl()));
        assert_eq!(outcome(&own, &[&own], HOST), Ok(()));
        assert_eq!(outcome(&own, &[&other, &own], HOST), Ok(()));
        // Another of the same names is another.
        outcome(&own, &[&other], HOST).expect_err("it is not in the bundle");
    }

    #[test]
    fn rejects_one_of_another_name_time_or_usage() {
        let refused = |params: &CertificateParams, host: &str| {
            let own = signed(params);
            match outcome(&own, &[&own], host) {
                Err(Error::InvalidCertificate(problem)) => problem,
                other => panic!("{other:?}"),
            }
        };
        let problem = refused(&by_openssl(), "other.ops.svc");
        assert!(matches!(problem, CertificateError::NotValidForNameContext { .. }), "{problem:?}");
        // Names are in the SAN alone.
        let mut params = by_openssl();
        params.subject_alt_names.clear();
        let problem = refused(&params, HOST);
        assert!(matches!(problem, CertificateError::NotValidForNameContext { .. }), "{problem:?}");

        let day = Duration::from_hours(24);
        let mut params = by_openssl();
        params.not_after = (SystemTime::now() - day).into();
        assert_eq!(refused(&params, HOST), CertificateError::Expired);
        let mut params = by_openssl();
        params.not_before = (SystemTime::now() + day).into();
        assert_eq!(refused(&params, HOST), CertificateError::NotValidYet);

        let mut params = by_openssl();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        assert_eq!(refused(&params, HOST), CertificateError::InvalidPurpose);
        params.extended_key_usages.push(ExtendedKeyUsagePurpose::ServerAuth);
        let own = signed(&params);
        assert_eq!(outcome(&own, &[&own], HOST), Ok(()));
    }
}
