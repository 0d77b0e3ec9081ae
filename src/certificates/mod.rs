//! Certificates: for local use a CA and a serving certificate in one folder, in a cluster a CA that is kept in a Secret.
//!
//! `certs` makes them where it is told, `serve` makes and renews them in `certs/` when no others are named. The CA is
//! kept apart from the serving certificate so that a client goes on trusting the folder when only the latter is new.
//! `serve --manage-certs` goes by `stored_ca`: the CA that the Secret holds, and the one after it.

mod issue;
mod local;
mod own_client;
mod store;
mod stored_ca;
mod validity;

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

pub use local::{Local, ensure};
pub(crate) use own_client::OwnClient;
pub use stored_ca::Lifetimes;
pub(crate) use stored_ca::{ServingCertificate, StoredCa};
pub use validity::{Expiry, Validity, ValidityError};

const DAY: Duration = Duration::from_hours(24);

/// Why certificates could not be made or read; the message names the file or the name to mend.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A key or certificate is there already.
    #[error("{} exists already; remove it, name another folder, or give --force to replace the whole folder", .0.display())]
    Exists(PathBuf),
    /// One file of a pair is missing.
    #[error("{} is missing, but {} is there; put it back, or make both anew with `pytorchjob-guard certs --force {}`", .missing.display(), .present.display(), .missing.parent().unwrap_or(Path::new(".")).display())]
    HalfPair {
        /// The file that is missing.
        missing: PathBuf,
        /// The file that is there.
        present: PathBuf,
    },
    /// A file could not be read or written.
    #[error("{}: cannot be {action}: {source}", .path.display())]
    File {
        /// `read` or `written`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file holds no certificate or key that can be read.
    #[error("{}: {problem}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A name that cannot stand in a certificate.
    #[error("--dns-name {name}: {problem}")]
    Name {
        /// The name as it was given.
        name: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The certificate could not be signed.
    #[error("a certificate could not be made: {0}")]
    Make(#[from] rcgen::Error),
}

/// The names and addresses a serving certificate is good for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    dns: Vec<String>,
    ips: Vec<IpAddr>,
}

impl Names {
    /// These names and addresses; this machine's own where there are none.
    pub fn new(dns: Vec<String>, ips: Vec<IpAddr>) -> Result<Self, CertificateError> {
        if dns.is_empty() && ips.is_empty() {
            return Ok(Self::local());
        }
        if let Some((name, problem)) = dns.iter().find_map(|name| name_problem(name).map(|problem| (name, problem))) {
            return Err(CertificateError::Name { name: name.clone(), problem });
        }
        Ok(Self { dns, ips })
    }

    /// How this machine calls itself.
    #[must_use]
    pub fn local() -> Self {
        Self {
            dns: vec!["localhost".to_owned()],
            ips: vec![IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)],
        }
    }
}

/// Why a client would never find this DNS name in a certificate.
fn name_problem(name: &str) -> Option<&'static str> {
    if name.parse::<IpAddr>().is_ok() {
        return Some("this is an address; give it as --ip");
    }
    // A wildcard stands for the first label only.
    let plain = name.strip_prefix("*.").unwrap_or(name);
    if rustls::pki_types::DnsName::try_from(plain).is_err() {
        return Some("this is no DNS name");
    }
    None
}

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

    /// Whether the CA's certificate and a serving certificate with its key are there.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.ca_cert().exists() && self.cert().exists() && self.key().exists()
    }

    /// Makes a serving certificate, and a CA to sign it where there is none. Nothing that is there is overwritten.
    ///
    /// A CA that is there is used again, so whoever trusts it need not be told; the certificate never outlives it.
    pub fn make(&self, names: &Names, days: u32, now: SystemTime) -> Result<(), CertificateError> {
        for path in [self.cert(), self.key()] {
            if path.exists() {
                return Err(CertificateError::Exists(path));
            }
        }
        let authority = if self.ca_cert().exists() || self.ca_key().exists() {
            issue::Authority::load(self, now)?
        } else {
            let authority = issue::Authority::make(DAY * days, now)?;
            store::write_new(&self.ca_key(), authority.key_pem().as_bytes(), store::Mode::Private)?;
            store::write_new(&self.ca_cert(), authority.cert_pem().as_bytes(), store::Mode::Public)?;
            authority
        };
        let (cert, key) = authority.issue(names, DAY * days, now)?;
        store::write_new(&self.key(), key.serialize_pem().as_bytes(), store::Mode::Private)?;
        store::write_new(&self.cert(), cert.pem().as_bytes(), store::Mode::Public)
    }

    /// Makes a new CA and a new serving certificate in place of whatever is there.
    pub fn remake(&self, names: &Names, days: u32, now: SystemTime) -> Result<(), CertificateError> {
        let authority = issue::Authority::make(DAY * days, now)?;
        let (cert, key) = authority.issue(names, DAY * days, now)?;
        store::replace(&self.ca_key(), authority.key_pem().as_bytes(), store::Mode::Private)?;
        store::replace(&self.ca_cert(), authority.cert_pem().as_bytes(), store::Mode::Public)?;
        store::replace(&self.key(), key.serialize_pem().as_bytes(), store::Mode::Private)?;
        store::replace(&self.cert(), cert.pem().as_bytes(), store::Mode::Public)
    }

    /// Makes a new serving certificate with the CA that is there.
    fn renew(&self, names: &Names, days: u32, now: SystemTime) -> Result<(), CertificateError> {
        let (cert, key) = issue::Authority::load(self, now)?.issue(names, DAY * days, now)?;
        store::replace(&self.key(), key.serialize_pem().as_bytes(), store::Mode::Private)?;
        store::replace(&self.cert(), cert.pem().as_bytes(), store::Mode::Public)
    }

    /// The CA's certificate as it was written, which is what a `caBundle` holds in base64.
    pub fn ca_bundle(&self) -> Result<Vec<u8>, CertificateError> {
        let pem = store::read(&self.ca_cert())?;
        Validity::of_pem(&pem)
            .map_err(|error| CertificateError::Unreadable { path: self.ca_cert(), problem: error.to_string() })?;
        Ok(pem)
    }
}
