//! The names in a serving certificate.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::CertificateError;

/// The names and addresses a serving certificate is valid for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    pub(super) dns: Vec<String>,
    pub(super) ips: Vec<IpAddr>,
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

    /// The names of this machine itself.
    #[must_use]
    pub fn local() -> Self {
        Self {
            dns: vec!["localhost".to_owned()],
            ips: vec![IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)],
        }
    }
}

/// The reason why no client would find this DNS name in a certificate.
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
