//! A CA that lives in a Secret and is renewed there, and the serving certificates that each replica signs with it.
//!
//! There is no leader. The replica that sees first that something is due writes the next state over the one it read, and where somebody
//! else was faster it reads again. A CA that is followed by another stays among the previous ones, trusted and without its
//! key, until no serving certificate can be from it any more.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, SystemTime},
};

use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};

use super::{
    CertificateError, Names, ServingCertificate, Validity,
    authority::{Authority, PairProblem},
    pem,
};

/// The key of the Secret with the certificate of the CA that signs.
pub(crate) const CA_CERT: &str = "ca.crt";
/// The key of the Secret with its private key.
pub(crate) const CA_KEY: &str = "ca.key";
/// The key of the Secret with the certificates of the CAs before it, as long as they are trusted.
pub(crate) const PREVIOUS_CAS: &str = "previous-ca.crt";

/// The validity of certificates. Each is renewed when two thirds of its time have passed.
#[derive(Debug, Clone, Copy)]
pub struct Lifetimes {
    /// Of a serving certificate.
    pub leaf: Duration,
    /// Of a CA.
    pub ca: Duration,
}

/// The CA that a Secret holds, and those before it that are still trusted.
#[derive(Clone)]
pub(crate) struct StoredCa {
    authority: Arc<Authority>,
    /// PEM; empty where there are none.
    previous: String,
}

/// The reason why the CA of a Secret cannot be used; the message names the key of the Secret to mend.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum StoredCaError {
    #[error("{0} is missing, but {1} is there")]
    Half(&'static str, &'static str),
    #[error("{0}: {1}")]
    Unreadable(&'static str, String),
    #[error("{CA_KEY} is not the key of {CA_CERT}")]
    NotAPair,
}

impl StoredCa {
    /// Reads the Secret's data; none if it holds no CA yet.
    pub(crate) fn read(data: &BTreeMap<String, Vec<u8>>) -> Result<Option<Self>, StoredCaError> {
        let text = |key: &'static str| {
            let bytes = data.get(key).filter(|bytes| !bytes.is_empty());
            let text = |bytes: &Vec<u8>| {
                String::from_utf8(bytes.clone())
                    .map_err(|_| StoredCaError::Unreadable(key, "it is no PEM text".to_owned()))
            };
            bytes.map(text).transpose()
        };
        let (cert, key) = match (text(CA_CERT)?, text(CA_KEY)?) {
            (None, None) => return Ok(None),
            (Some(cert), Some(key)) => (cert, key),
            (None, Some(_)) => return Err(StoredCaError::Half(CA_CERT, CA_KEY)),
            (Some(_), None) => return Err(StoredCaError::Half(CA_KEY, CA_CERT)),
        };
        let authority = Authority::of_pem(cert, key).map_err(|problem| match problem {
            PairProblem::Certificate(problem) => StoredCaError::Unreadable(CA_CERT, problem),
            PairProblem::Key(problem) => StoredCaError::Unreadable(CA_KEY, problem),
            PairProblem::NotAPair => StoredCaError::NotAPair,
        })?;
        let previous = text(PREVIOUS_CAS)?.unwrap_or_default();
        pem::certificates(previous.as_bytes())
            .map_err(|error| StoredCaError::Unreadable(PREVIOUS_CAS, error.to_string()))?;
        Ok(Some(Self { authority: Arc::new(authority), previous }))
    }

    /// A new CA, beside the one that was in the Secret before it was emptied.
    pub(crate) fn new(before: Option<&Self>, lifetimes: Lifetimes, now: SystemTime) -> Result<Self, CertificateError> {
        let previous = before.map(|before| before.trusted_at(now)).unwrap_or_default();
        Ok(Self { authority: Arc::new(Authority::make(lifetimes.ca, now)?), previous })
    }

    /// The same CA without those before it.
    pub(crate) fn alone(&self) -> Self {
        Self { authority: Arc::clone(&self.authority), previous: String::new() }
    }

    /// True if a new CA is due.
    pub(crate) fn is_renewal_due(&self, now: SystemTime) -> bool {
        now >= self.renewed_at()
    }

    /// True if CAs are among those before it that no certificate in use is from: the last of those was signed soon after the CA
    /// that signs now was trusted, or a little later by a replica that was slow to see it.
    pub(crate) fn has_needless(&self, trusted_for: Duration, lifetimes: Lifetimes) -> bool {
        !self.previous.is_empty() && trusted_for >= lifetimes.leaf * 2
    }

    /// The moment from which on a new CA is due.
    pub(crate) fn renewed_at(&self) -> SystemTime {
        let (made, ends) = (self.authority.made(), self.authority.ends());
        made + ends.duration_since(made).unwrap_or_default() * 2 / 3
    }

    /// All the CAs, PEM, that are good at this moment.
    fn trusted_at(&self, now: SystemTime) -> String {
        let is_good = |certificate: &CertificateDer<'_>| {
            Validity::of_chain(std::slice::from_ref(certificate)).is_ok_and(|validity| validity.ends() > now)
        };
        let all = pem::certificates(self.bundle().as_bytes()).unwrap_or_default();
        all.iter().filter(|certificate| is_good(certificate)).map(pem::encoded).collect()
    }

    /// The Secret's new data.
    pub(crate) fn data(&self) -> BTreeMap<&'static str, Option<&str>> {
        let previous = Some(self.previous.as_str()).filter(|pem| !pem.is_empty());
        let (cert, key) = (self.authority.cert_pem(), self.authority.key_pem());
        BTreeMap::from([(CA_CERT, Some(cert)), (CA_KEY, Some(key)), (PREVIOUS_CAS, previous)])
    }

    /// The CAs that a client has to trust, PEM: the one that signs, and those before it.
    pub(crate) fn bundle(&self) -> String {
        // Who brought a CA of their own may have left out the last newline.
        format!("{}\n{}", self.authority.cert_pem().trim_end(), self.previous)
    }

    /// The certificate of the CA that signs, PEM.
    pub(crate) fn ca(&self) -> &str {
        self.authority.cert_pem()
    }

    /// The validity of the CA that signs.
    pub(crate) fn validity(&self) -> Option<Validity> {
        Validity::of_pem(self.ca().as_bytes()).ok()
    }

    /// The expiry of the CA that signs.
    pub(crate) fn ends(&self) -> SystemTime {
        self.authority.ends()
    }

    /// Signs a serving certificate for these names.
    pub(crate) fn sign(
        &self,
        names: &Names,
        lifetimes: Lifetimes,
        now: SystemTime,
    ) -> Result<ServingCertificate, CertificateError> {
        let (certificate, key) = self.authority.issue(names, lifetimes.leaf, now)?;
        let left = self.authority.ends().duration_since(now).unwrap_or_default();
        let renewed_at = now + lifetimes.leaf.min(left) * 2 / 3;
        Ok(ServingCertificate {
            certificate: certificate.der().clone(),
            key: PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
            renewed_at,
            ca: self.ca().to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_hours(1);
    const LIFETIMES: Lifetimes = Lifetimes { leaf: Duration::from_hours(24), ca: Duration::from_hours(24 * 30) };

    fn data(stored: &StoredCa) -> BTreeMap<String, Vec<u8>> {
        let present = stored.data().into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?.into())));
        present.collect()
    }

    fn made() -> StoredCa {
        StoredCa::new(None, LIFETIMES, SystemTime::now()).expect("keys can be made")
    }

    /// The renewal that is due at that time, of a CA that was trusted only recently.
    fn due(stored: &StoredCa, later: Duration) -> Option<StoredCa> {
        due_when_trusted(stored, later, HOUR)
    }

    fn due_when_trusted(stored: &StoredCa, later: Duration, trusted: Duration) -> Option<StoredCa> {
        let now = SystemTime::now() + later;
        if stored.is_renewal_due(now) {
            return Some(StoredCa::new(Some(stored), LIFETIMES, now).expect("keys can be made"));
        }
        stored.has_needless(trusted, LIFETIMES).then(|| stored.alone())
    }

    #[test]
    fn renews_a_ca_when_two_thirds_of_its_time_have_passed() {
        let first = made();
        assert!(due(&first, HOUR * (24 * 20 - 1)).is_none());
        let second = due(&first, HOUR * 24 * 20 + HOUR).expect("a successor");
        assert_ne!(second.ca(), first.ca());
        assert_eq!(pem::certificates(second.bundle().as_bytes()).expect("PEM").len(), 2, "both are trusted");
        assert_eq!(
            second.data()[PREVIOUS_CAS].map(|text| pem::certificates(text.as_bytes()).ok()),
            Some(pem::certificates(first.ca().as_bytes()).ok())
        );
    }

    #[test]
    fn gives_up_the_ca_before_when_no_certificate_can_be_from_it() {
        let first = made();
        let second = due(&first, HOUR * 24 * 20 + HOUR).expect("a successor");
        assert!(due_when_trusted(&second, HOUR * 49, HOUR * 47).is_none());
        let alone = due_when_trusted(&second, HOUR * 49, HOUR * 49).expect("it is given up");
        assert_eq!((alone.ca(), alone.bundle()), (second.ca(), second.ca().to_owned()));
        assert_eq!(alone.data()[PREVIOUS_CAS], None);
    }

    #[test]
    fn does_not_trust_what_is_over() {
        let first = made();
        let second = due(&first, HOUR * 24 * 31).expect("a successor");
        assert_eq!(second.bundle(), second.ca(), "the first had ended by then");
    }

    #[test]
    fn trusts_the_ca_it_remembers_where_the_secret_was_emptied() {
        let first = made();
        let second = StoredCa::new(Some(&first), LIFETIMES, SystemTime::now()).expect("keys can be made");
        assert_eq!(pem::certificates(second.bundle().as_bytes()).expect("PEM").len(), 2);
    }

    #[test]
    fn reads_what_it_wrote() {
        let first = made();
        let second = due(&first, HOUR * 24 * 21).expect("a successor");
        for stored in [first, second] {
            let read = StoredCa::read(&data(&stored)).expect("it can be read").expect("a CA");
            assert_eq!(read.data(), stored.data());
            // A certificate's times are whole seconds.
            let apart = |a: SystemTime, b: SystemTime| a.duration_since(b).unwrap_or_else(|error| error.duration());
            assert!(apart(read.ends(), stored.ends()) < Duration::from_secs(1));
            assert!(apart(read.renewed_at(), stored.renewed_at()) < Duration::from_secs(2));
        }
        assert!(StoredCa::read(&BTreeMap::new()).expect("nothing is wrong").is_none());
        assert!(
            StoredCa::read(&BTreeMap::from([(CA_CERT.to_owned(), Vec::new())])).expect("as good as empty").is_none()
        );
    }

    #[test]
    fn rejects_what_is_no_ca_and_names_the_key_to_mend() {
        let (good, other) = (data(&made()), data(&made()));
        let with = |key: &str, value: Option<Vec<u8>>| {
            let mut data = good.clone();
            match value {
                Some(value) => data.insert(key.to_owned(), value),
                None => data.remove(key),
            };
            StoredCa::read(&data).err().map(|error| error.to_string())
        };
        assert_eq!(with(CA_KEY, None).as_deref(), Some("ca.key is missing, but ca.crt is there"));
        assert_eq!(with(CA_CERT, None).as_deref(), Some("ca.crt is missing, but ca.key is there"));
        assert_eq!(with(CA_KEY, Some(other[CA_KEY].clone())).as_deref(), Some("ca.key is not the key of ca.crt"));
        for (key, value) in
            [(CA_KEY, "no key"), (CA_CERT, "no certificate"), (PREVIOUS_CAS, "-----BEGIN CERTIFICATE-----")]
        {
            let said = with(key, Some(value.into())).unwrap_or_default();
            assert!(said.starts_with(&format!("{key}: ")), "{said}");
        }
        assert_eq!(with(CA_KEY, Some(vec![0xff])).as_deref(), Some("ca.key: it is no PEM text"));
    }

    #[test]
    fn signs_nothing_that_outlives_the_ca() {
        let names = Names::new(vec!["a.b.svc".to_owned()], Vec::new()).expect("a name");
        let short = Lifetimes { leaf: HOUR * 24 * 90, ..LIFETIMES };
        let stored = made();
        let leaf = stored.sign(&names, short, SystemTime::now()).expect("a certificate");
        let validity = Validity::of_chain(std::slice::from_ref(&leaf.certificate)).expect("a certificate");
        assert!(validity.ends() <= stored.ends());
        assert!(leaf.renewed_at < validity.ends());
        assert_eq!(leaf.ca, stored.ca());
    }
}
