//! A certificate authority that signs serving certificates. P-256 throughout: every client reads it, and a handshake
//! with it costs a tenth of one with RSA.

use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, SanType,
};
use x509_parser::prelude::FromDer as _;

use super::{CertificateError, Folder, Names, Validity, pem, store, validity::seconds};

/// The time by which a certificate's start is antedated, for peers with slow clocks.
pub(super) const CLOCK_SKEW: Duration = Duration::from_hours(1);

/// A CA that can sign.
pub(super) struct Authority {
    cert_pem: String,
    key_pem: String,
    made: SystemTime,
    ends: SystemTime,
    issuer: Issuer<'static, KeyPair>,
}

/// The reason why a certificate and a key are no CA.
#[derive(Debug)]
pub(super) enum PairProblem {
    /// The certificate cannot be used.
    Certificate(String),
    /// The key cannot be used.
    Key(String),
    /// They do not belong together.
    NotAPair,
}

impl Authority {
    /// A new CA, good for this long.
    pub(super) fn make(lifetime: Duration, now: SystemTime) -> Result<Self, CertificateError> {
        let key = KeyPair::generate()?;
        let key_pem = key.serialize_pem();
        let ends = now + lifetime;
        let mut params = params("pytorchjob-guard CA", now, ends);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let cert_pem = params.self_signed(&key)?.pem();
        Ok(Self { cert_pem, key_pem, made: now, ends, issuer: Issuer::new(params, key) })
    }

    /// The CA of the folder. An error if it could sign nothing that a client would accept.
    pub(super) fn load(folder: &Folder, now: SystemTime) -> Result<Self, CertificateError> {
        let (cert_path, key_path) = (folder.ca_cert(), folder.ca_key());
        for (missing, present) in [(&cert_path, &key_path), (&key_path, &cert_path)] {
            if !missing.exists() {
                return Err(CertificateError::HalfPair { missing: missing.clone(), present: present.clone() });
            }
        }
        let unreadable = |path: &std::path::Path| {
            let path = path.to_owned();
            move |problem: String| CertificateError::Unreadable { path, problem }
        };
        let text = |path: &std::path::Path| {
            String::from_utf8(store::read(path)?).map_err(|_| unreadable(path)("it is not PEM text".to_owned()))
        };
        let authority = Self::of_pem(text(&cert_path)?, text(&key_path)?).map_err(|problem| match problem {
            PairProblem::Certificate(problem) => unreadable(&cert_path)(problem),
            PairProblem::Key(problem) => unreadable(&key_path)(problem),
            PairProblem::NotAPair => unreadable(&key_path)(format!("this is not the key of {}", cert_path.display())),
        })?;
        if authority.ends <= now {
            return Err(unreadable(&cert_path)("this CA has expired; make a new one with --force".to_owned()));
        }
        Ok(authority)
    }

    /// The CA of this certificate and key, whether its time is over or not.
    pub(super) fn of_pem(cert_pem: String, key_pem: String) -> Result<Self, PairProblem> {
        let key = KeyPair::from_pem(&key_pem).map_err(|error| PairProblem::Key(error.to_string()))?;
        let validity =
            Validity::of_pem(cert_pem.as_bytes()).map_err(|error| PairProblem::Certificate(error.to_string()))?;
        if !signs_with(&cert_pem, &key) {
            return Err(PairProblem::NotAPair);
        }
        let issuer =
            Issuer::from_ca_cert_pem(&cert_pem, key).map_err(|error| PairProblem::Certificate(error.to_string()))?;
        Ok(Self { cert_pem, key_pem, made: validity.begins() + CLOCK_SKEW, ends: validity.ends(), issuer })
    }

    /// Signs a serving certificate that is good for this long, but never outlives the CA.
    pub(super) fn issue(
        &self,
        names: &Names,
        lifetime: Duration,
        now: SystemTime,
    ) -> Result<(Certificate, KeyPair), CertificateError> {
        let key = KeyPair::generate()?;
        let mut params = params("pytorchjob-guard", now, self.ends.min(now + lifetime));
        for name in &names.dns {
            params.subject_alt_names.push(SanType::DnsName(name.as_str().try_into()?));
        }
        params.subject_alt_names.extend(names.ips.iter().copied().map(SanType::IpAddress));
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        Ok((params.signed_by(&key, &self.issuer)?, key))
    }

    pub(super) fn cert_pem(&self) -> &str {
        &self.cert_pem
    }

    pub(super) fn key_pem(&self) -> &str {
        &self.key_pem
    }

    /// The time when it was made; its certificate is valid from before that.
    pub(super) fn made(&self) -> SystemTime {
        self.made
    }

    pub(super) fn ends(&self) -> SystemTime {
        self.ends
    }
}

/// The parameters that every certificate has: a name and a validity.
fn params(common_name: &str, now: SystemTime, ends: SystemTime) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    // rcgen counts with the `time` crate; from its own epoch there is no need to depend on it by name.
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    let since_epoch = |time: SystemTime| Duration::from_secs(u64::try_from(seconds(time)).unwrap_or(0));
    params.not_before = epoch + since_epoch(now - CLOCK_SKEW);
    params.not_after = epoch + since_epoch(ends);
    params
}

/// True if the first certificate of this PEM text belongs to the key.
fn signs_with(cert_pem: &str, key: &KeyPair) -> bool {
    use rcgen::PublicKeyData as _;

    let Ok(certificates) = pem::certificates(cert_pem.as_bytes()) else { return false };
    let Some(der) = certificates.first() else { return false };
    x509_parser::certificate::X509Certificate::from_der(der)
        .is_ok_and(|(_, certificate)| *certificate.public_key().subject_public_key.data == *key.der_bytes())
}
