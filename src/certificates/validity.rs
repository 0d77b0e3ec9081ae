//! The validity of a certificate.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;

use super::pem;

/// The reason why a PEM text holds no certificate with a validity.
#[derive(Debug, thiserror::Error)]
pub enum ValidityError {
    /// Nothing between `BEGIN CERTIFICATE` and `END CERTIFICATE`.
    #[error("there is no PEM certificate in it")]
    NoCertificate,
    /// The PEM armour is broken.
    #[error("its PEM is broken: {0}")]
    Pem(rustls::pki_types::pem::Error),
    /// The certificate in it is broken.
    #[error("certificate {position} in it cannot be read: {problem}")]
    Der {
        /// Counted from 1.
        position: usize,
        /// The parser's message.
        problem: String,
    },
}

/// The time a certificate is good for, in seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// Its first second.
    pub not_before: i64,
    /// Its last second.
    pub not_after: i64,
}

/// The state of a certificate at some moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expiry {
    /// It has not begun.
    Early,
    /// It is good.
    Good,
    /// Valid, but less than a tenth of its time is left: the renewal is late.
    Ending,
    /// It is over.
    Ended,
}

impl Validity {
    /// The time for which every certificate of this PEM text is good, as a chain is no better than its weakest link.
    pub fn of_pem(pem: &[u8]) -> Result<Self, ValidityError> {
        let chain = pem::certificates(pem).map_err(ValidityError::Pem)?;
        Self::of_chain(&chain)
    }

    /// The same for certificates that are out of their PEM armour.
    pub fn of_chain(chain: &[CertificateDer<'_>]) -> Result<Self, ValidityError> {
        let mut whole: Option<Self> = None;
        for (index, der) in chain.iter().enumerate() {
            let (_, certificate) = X509Certificate::from_der(der)
                .map_err(|error| ValidityError::Der { position: index + 1, problem: error.to_string() })?;
            let validity = certificate.validity();
            let (not_before, not_after) = (validity.not_before.timestamp(), validity.not_after.timestamp());
            whole = Some(whole.map_or(Self { not_before, not_after }, |so_far| Self {
                not_before: so_far.not_before.max(not_before),
                not_after: so_far.not_after.min(not_after),
            }));
        }
        whole.ok_or(ValidityError::NoCertificate)
    }

    /// The time for which the certificate of a bundle that expires last is good; none where the bundle has none, or is no PEM.
    pub(crate) fn of_bundle(pem: &[u8]) -> Option<Self> {
        let certificates = pem::certificates(pem).unwrap_or_default().into_iter();
        let validities = certificates.filter_map(|certificate| Self::of_chain(&[certificate]).ok());
        validities.max_by_key(|validity| validity.not_after)
    }

    /// The certificate's state at this moment.
    #[must_use]
    pub fn expiry(self, now: SystemTime) -> Expiry {
        let now = seconds(now);
        let left = self.not_after.saturating_sub(now);
        if now < self.not_before {
            Expiry::Early
        } else if left < 0 {
            Expiry::Ended
        } else if left < self.not_after.saturating_sub(self.not_before) / 10 {
            Expiry::Ending
        } else {
            Expiry::Good
        }
    }

    /// Its first moment.
    #[must_use]
    pub fn begins(self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(u64::try_from(self.not_before).unwrap_or(0))
    }

    /// Its last moment.
    #[must_use]
    pub fn ends(self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(u64::try_from(self.not_after).unwrap_or(0))
    }

    /// The time until it expires; zero if it is expired.
    #[must_use]
    pub fn left(self, now: SystemTime) -> Duration {
        Duration::from_secs(u64::try_from(self.not_after.saturating_sub(seconds(now))).unwrap_or(0))
    }
}

/// Seconds since 1970; a clock before that counts as 1970, which makes certificates early, not good.
pub(super) fn seconds(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_how_a_certificate_stands() {
        let validity = Validity { not_before: 1_000, not_after: 2_000 };
        for (now, expiry) in [
            (999, Expiry::Early),
            (1_000, Expiry::Good),
            (1_900, Expiry::Good),
            (1_901, Expiry::Ending),
            (2_000, Expiry::Ending),
            (2_001, Expiry::Ended),
        ] {
            assert_eq!(validity.expiry(UNIX_EPOCH + Duration::from_secs(now)), expiry, "at {now}");
        }
        assert_eq!(validity.left(UNIX_EPOCH + Duration::from_secs(1_990)), Duration::from_secs(10));
        assert_eq!(validity.left(UNIX_EPOCH + Duration::from_secs(9_999)), Duration::ZERO);
    }
}
