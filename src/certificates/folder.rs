//! A CA and a serving certificate in a folder.

use std::{
    path::PathBuf,
    time::{Duration, SystemTime},
};

use super::{
    CertificateError, Names, Validity,
    authority::Authority,
    store::{self, Mode},
};

const DAY: Duration = Duration::from_hours(24);

/// A folder with a CA and a serving certificate.
#[derive(Debug, Clone)]
pub struct Folder {
    dir: PathBuf,
}

impl Folder {
    /// The folder at this path, whether it exists or not.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// The CA's certificate: what clients trust.
    #[must_use]
    pub fn ca_cert(&self) -> PathBuf {
        self.dir.join("ca.crt")
    }

    /// The CA's private key.
    #[must_use]
    pub fn ca_key(&self) -> PathBuf {
        self.dir.join("ca.key")
    }

    /// The serving certificate.
    #[must_use]
    pub fn cert(&self) -> PathBuf {
        self.dir.join("tls.crt")
    }

    /// The serving certificate's private key.
    #[must_use]
    pub fn key(&self) -> PathBuf {
        self.dir.join("tls.key")
    }

    /// True if the CA's certificate and a serving certificate with its key are there.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.ca_cert().exists() && self.cert().exists() && self.key().exists()
    }

    /// Makes a serving certificate, and a CA to sign it where there is none. Nothing that is there is overwritten.
    ///
    /// A CA that is there signs again, so that clients which trust it need nothing new; the certificate never outlives it.
    pub fn make(&self, names: &Names, days: u32, now: SystemTime) -> Result<(), CertificateError> {
        for path in [self.cert(), self.key()] {
            if path.exists() {
                return Err(CertificateError::Exists(path));
            }
        }
        let authority = if self.ca_cert().exists() || self.ca_key().exists() {
            Authority::load(self, now)?
        } else {
            let authority = Authority::make(DAY * days, now)?;
            store::write_new(&self.ca_key(), authority.key_pem().as_bytes(), Mode::Private)?;
            store::write_new(&self.ca_cert(), authority.cert_pem().as_bytes(), Mode::Public)?;
            authority
        };
        let (cert, key) = authority.issue(names, DAY * days, now)?;
        store::write_new(&self.key(), key.serialize_pem().as_bytes(), Mode::Private)?;
        store::write_new(&self.cert(), cert.pem().as_bytes(), Mode::Public)
    }

    /// Makes a new CA and a new serving certificate in place of those that are there.
    pub fn remake(&self, names: &Names, days: u32, now: SystemTime) -> Result<(), CertificateError> {
        let authority = Authority::make(DAY * days, now)?;
        let (cert, key) = authority.issue(names, DAY * days, now)?;
        store::replace(&self.ca_key(), authority.key_pem().as_bytes(), Mode::Private)?;
        store::replace(&self.ca_cert(), authority.cert_pem().as_bytes(), Mode::Public)?;
        store::replace(&self.key(), key.serialize_pem().as_bytes(), Mode::Private)?;
        store::replace(&self.cert(), cert.pem().as_bytes(), Mode::Public)
    }

    /// Makes a new serving certificate with the CA that is there.
    pub(super) fn renew(&self, names: &Names, days: u32, now: SystemTime) -> Result<(), CertificateError> {
        let (cert, key) = Authority::load(self, now)?.issue(names, DAY * days, now)?;
        store::replace(&self.key(), key.serialize_pem().as_bytes(), Mode::Private)?;
        store::replace(&self.cert(), cert.pem().as_bytes(), Mode::Public)
    }

    /// The CA's certificate as it was written, which is what a `caBundle` holds in base64.
    pub fn ca_bundle(&self) -> Result<Vec<u8>, CertificateError> {
        let pem = store::read(&self.ca_cert())?;
        Validity::of_pem(&pem)
            .map_err(|error| CertificateError::Unreadable { path: self.ca_cert(), problem: error.to_string() })?;
        Ok(pem)
    }
}
