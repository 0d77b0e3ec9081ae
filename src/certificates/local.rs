//! The certificates `serve` uses when none are named: found, made, or renewed before they end.

use std::{net::IpAddr, time::SystemTime};

use x509_parser::{certificate::X509Certificate, extensions::GeneralName, prelude::FromDer as _};

use super::{CertificateError, Expiry, Folder, Names, Validity, pem, store};

/// The validity of the certificates that `serve` makes, in days: long enough to forget, renewed at the first start in its
/// last tenth.
const DAYS: u32 = 365;

/// The origin of the local certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Local {
    /// They were there.
    Found,
    /// There was no serving certificate.
    Made,
    /// The serving certificate was at its end; the CA is the same.
    Renewed,
    /// The CA was at its end too: clients have to be given the new one.
    Remade,
}

/// Makes or renews the serving certificate in the folder, unless one is there that is valid for long enough.
pub fn ensure(folder: &Folder, now: SystemTime) -> Result<Local, CertificateError> {
    let (cert, key) = (folder.cert(), folder.key());
    match (cert.exists(), key.exists()) {
        (false, false) => return folder.make(&Names::local(), DAYS, now).map(|()| Local::Made),
        (true, false) => return Err(CertificateError::HalfPair { missing: key, present: cert }),
        (false, true) => return Err(CertificateError::HalfPair { missing: cert, present: key }),
        (true, true) => {}
    }
    let pem = store::read(&cert)?;
    let leaf = Validity::of_pem(&pem)
        .map_err(|error| CertificateError::Unreadable { path: cert.clone(), problem: error.to_string() })?;
    // Without the CA's key another program made these, and renews them; the server warns.
    if matches!(leaf.expiry(now), Expiry::Good | Expiry::Early) || !folder.ca_key().exists() {
        return Ok(Local::Found);
    }
    let names = names_of(&pem).unwrap_or_else(Names::local);
    let ca = Validity::of_pem(&folder.ca_bundle()?)
        .map_err(|error| CertificateError::Unreadable { path: folder.ca_cert(), problem: error.to_string() })?;
    if ca.expiry(now) == Expiry::Good {
        folder.renew(&names, DAYS, now).map(|()| Local::Renewed)
    } else {
        folder.remake(&names, DAYS, now).map(|()| Local::Remade)
    }
}

/// The names the certificate was made for, so that a renewed one is good for the same.
fn names_of(pem: &[u8]) -> Option<Names> {
    let certificates = pem::certificates(pem).ok()?;
    let (_, certificate) = X509Certificate::from_der(certificates.first()?).ok()?;
    let names = certificate.subject_alternative_name().ok()??;
    let (mut dns, mut ips) = (Vec::new(), Vec::new());
    for name in &names.value.general_names {
        match name {
            GeneralName::DNSName(name) => dns.push((*name).to_owned()),
            GeneralName::IPAddress(bytes) => ips.extend(
                <[u8; 4]>::try_from(*bytes)
                    .map(IpAddr::from)
                    .or_else(|_| <[u8; 16]>::try_from(*bytes).map(IpAddr::from))
                    .ok(),
            ),
            _ => {}
        }
    }
    Names::new(dns, ips).ok()
}
