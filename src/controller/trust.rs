//! The serving certificates that API servers trust: Go's `crypto/x509` with the registration's `caBundle`.
//!
//! webpki differs in one thing that people meet: it accepts no CA as a server's certificate, and `openssl req -x509` makes all
//! its certificates with `CA:TRUE`. Go accepts a certificate that is itself in the bundle, and does not ask whether one that a CA
//! signed is a CA too. Everything else is left to webpki.

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
use x509_parser::{certificate::X509Certificate, parse_x509_certificate};

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

/// Verifies a certificate whose issuer is trusted: its time, its usage and its name.
fn verify_itself(
    certificate: &CertificateDer<'_>,
    name: &ServerName<'_>,
    now: UnixTime,
) -> Result<(), CertificateError> {
    let (_, parsed) = parse_x509_certificate(certificate).map_err(|_| CertificateError::BadEncoding)?;
    verify_time(&parsed, now)?;
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

fn verify_time(certificate: &X509Certificate<'_>, now: UnixTime) -> Result<(), CertificateError> {
    let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    if now < certificate.validity().not_before.timestamp() {
        return Err(CertificateError::NotValidYet);
    }
    if now > certificate.validity().not_after.timestamp() {
        return Err(CertificateError::Expired);
    }
    Ok(())
}

/// True if `certificate` is a CA and `issuer` signed it. An issuer whose constraints only webpki checks signs nothing here.
fn is_ca_signed_by(certificate: &CertificateDer<'_>, issuer: &CertificateDer<'_>, now: UnixTime) -> bool {
    let (Ok((_, certificate)), Ok((_, issuer))) = (parse_x509_certificate(certificate), parse_x509_certificate(issuer))
    else {
        return false;
    };
    let may_sign = issuer.key_usage().is_ok_and(|usage| usage.is_none_or(|usage| usage.value.key_cert_sign()));
    certificate.is_ca()
        && issuer.is_ca()
        && may_sign
        && matches!(issuer.name_constraints(), Ok(None))
        && verify_time(&issuer, now).is_ok()
        && certificate.issuer() == issuer.subject()
        && certificate.verify_signature(Some(issuer.public_key())).is_ok()
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
        if self.bundle.iter().any(|trusted| trusted == end_entity || is_ca_signed_by(end_entity, trusted, now)) {
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

    use rcgen::{
        BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
        KeyUsagePurpose,
    };

    use super::*;

    const HOST: &str = "guard.ops.svc";

    /// The certificate that `openssl req -x509 -addext subjectAltName=DNS:…` makes.
    fn by_openssl() -> CertificateParams {
        let mut params = CertificateParams::new(vec![HOST.to_owned()]).expect("a name");
        params.distinguished_name.push(DnType::CommonName, HOST);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
    }

    fn signed(params: &CertificateParams) -> CertificateDer<'static> {
        params.self_signed(&KeyPair::generate().expect("a key")).expect("a certificate").der().clone()
    }

    /// The outcome of a call if this certificate is served and those are trusted.
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
    fn accepts_a_bundled_ca_as_the_serving_certificate() {
        let (own, other) = (signed(&by_openssl()), signed(&by_openssl()));
        assert_eq!(outcome(&own, &[&own], HOST), Ok(()));
        assert_eq!(outcome(&own, &[&other, &own], HOST), Ok(()));
        // Another of the same names is another.
        outcome(&own, &[&other], HOST).expect_err("it is not in the bundle");
    }

    #[test]
    fn accepts_a_ca_signed_by_a_bundled_ca() {
        let issuer = |name: &str, usages: &[KeyUsagePurpose]| {
            let mut params = by_openssl();
            params.distinguished_name = DistinguishedName::new();
            params.distinguished_name.push(DnType::CommonName, name);
            params.key_usages = usages.to_vec();
            let key = KeyPair::generate().expect("a key");
            (params.self_signed(&key).expect("a certificate").der().clone(), Issuer::new(params, key))
        };
        let served = |by: &Issuer<'_, KeyPair>| {
            by_openssl().signed_by(&KeyPair::generate().expect("a key"), by).expect("a certificate").der().clone()
        };
        let (root, ca) = issuer("root", &[]);
        let own = served(&ca);
        assert_eq!(outcome(&own, &[&root], HOST), Ok(()));
        outcome(&own, &[&root], "other.ops.svc").expect_err("it has another name");
        outcome(&own, &[&issuer("root", &[]).0], HOST).expect_err("another CA of that name did not sign it");
        let (root, ca) = issuer("signs no certificates", &[KeyUsagePurpose::CrlSign]);
        outcome(&served(&ca), &[&root], HOST).expect_err("its issuer may not sign certificates");
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
