//! A CA that lives in a Secret and is renewed there, and the serving certificates that each replica signs with it.
//!
//! Nobody leads. Whoever sees first that something is due writes the next state over the one it read, and where somebody
//! else was faster it reads again. A CA that is followed by another stays among the previous ones, trusted and without its
//! key, until no serving certificate can be from it any more.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, SystemTime},
};

use rustls::pki_types::{CertificateDer, pem::PemObject as _};

use super::{
    CertificateError, Names, Validity,
    issue::{Authority, PairProblem},
};

/// The key of the Secret with the certificate of the CA that signs.
pub(crate) const CA_CERT: &str = "ca.crt";
/// The key of the Secret with its private key.
pub(crate) const CA_KEY: &str = "ca.key";
/// The key of the Secret with the certificates of the CAs before it, as long as they are trusted.
pub(crate) const PREVIOUS_CAS: &str = "previous-ca.crt";

/// How long certificates are good for. Each is renewed when two thirds of its time have passed.
#[derive(Debug, Clone, Copy)]
pub struct Lifetimes {
    /// Of a serving certificate.
    pub leaf: Duration,
    /// Of a CA.
    pub ca: Duration,
}

/// What a Secret keeps.
#[derive(Clone)]
pub(crate) struct Kept {
    authority: Arc<Authority>,
    /// PEM; empty where there are none.
    previous: String,
}

/// Why the CA of a Secret cannot be used; the message names the key of the Secret to mend.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum KeptError {
    #[error("{0} is missing, but {1} is there")]
    Half(&'static str, &'static str),
    #[error("{0}: {1}")]
    Unreadable(&'static str, String),
    #[error("{CA_KEY} is not the key of {CA_CERT}")]
    NotAPair,
}

/// A serving certificate that was signed here, with its key.
pub(crate) struct Signed {
    pub(crate) cert_pem: String,
    pub(crate) key_pem: String,
    /// When the next one is due.
    pub(crate) renewed_at: SystemTime,
    /// The CA that signed it, PEM.
    pub(crate) ca: String,
}

impl Kept {
    /// What the Secret's data says: nothing where nobody has put a CA there yet.
    pub(crate) fn read(data: &BTreeMap<String, Vec<u8>>) -> Result<Option<Self>, KeptError> {
        let text = |key: &'static str| {
            let bytes = data.get(key).filter(|bytes| !bytes.is_empty());
            let text = |bytes: &Vec<u8>| {
                String::from_utf8(bytes.clone()).map_err(|_| KeptError::Unreadable(key, "it is no PEM text".to_owned()))
            };
            bytes.map(text).transpose()
        };
        let (cert, key) = match (text(CA_CERT)?, text(CA_KEY)?) {
            (None, None) => return Ok(None),
            (Some(cert), Some(key)) => (cert, key),
            (None, Some(_)) => return Err(KeptError::Half(CA_CERT, CA_KEY)),
            (Some(_), None) => return Err(KeptError::Half(CA_KEY, CA_CERT)),
        };
        let authority = Authority::of_pem(cert, key).map_err(|problem| match problem {
            PairProblem::Certificate(problem) => KeptError::Unreadable(CA_CERT, problem),
            PairProblem::Key(problem) => KeptError::Unreadable(CA_KEY, problem),
            PairProblem::NotAPair => KeptError::NotAPair,
        })?;
        let previous = text(PREVIOUS_CAS)?.unwrap_or_default();
        certificates(&previous).map_err(|error| KeptError::Unreadable(PREVIOUS_CAS, error.to_string()))?;
        Ok(Some(Self { authority: Arc::new(authority), previous }))
    }

    /// What an empty Secret gets: a new CA, beside the one that was `remembered` from before it was emptied.
    pub(crate) fn new(
        remembered: Option<&Self>,
        lifetimes: Lifetimes,
        now: SystemTime,
    ) -> Result<Self, CertificateError> {
        let previous = remembered.map(|before| before.trusted_at(now)).unwrap_or_default();
        Self::make(previous, lifetimes)
    }

    /// What should be in the Secret instead, where that is due. `trusted` says for how long clients have trusted the CA that
    /// signs now.
    pub(crate) fn due(
        kept: &Self,
        trusted: Duration,
        lifetimes: Lifetimes,
        now: SystemTime,
    ) -> Result<Option<Self>, CertificateError> {
        if now >= kept.renewed_at() {
            return Self::make(kept.trusted_at(now), lifetimes).map(Some);
        }
        if kept.has_needless(trusted, lifetimes) {
            return Ok(Some(Self { authority: kept.authority.clone(), previous: String::new() }));
        }
        Ok(None)
    }

    /// Whether [`Self::due`] has something to say of it.
    pub(crate) fn is_due(&self, trusted: Duration, lifetimes: Lifetimes, now: SystemTime) -> bool {
        now >= self.renewed_at() || self.has_needless(trusted, lifetimes)
    }

    /// Whether it keeps CAs that nobody's certificate is from: the last of those was signed soon after the CA that signs now
    /// was trusted, or a little later by a replica that was slow to see it.
    fn has_needless(&self, trusted: Duration, lifetimes: Lifetimes) -> bool {
        !self.previous.is_empty() && trusted >= lifetimes.leaf * 2
    }

    fn make(previous: String, lifetimes: Lifetimes) -> Result<Self, CertificateError> {
        Ok(Self { authority: Arc::new(Authority::make(lifetimes.ca)?), previous })
    }

    /// When its successor is due.
    pub(crate) fn renewed_at(&self) -> SystemTime {
        let (made, ends) = (self.authority.made(), self.authority.ends());
        made + ends.duration_since(made).unwrap_or_default() * 2 / 3
    }

    /// All the CAs, PEM, that are good at this moment.
    fn trusted_at(&self, now: SystemTime) -> String {
        let is_good = |certificate: &CertificateDer<'_>| {
            Validity::of_chain(std::slice::from_ref(certificate)).is_ok_and(|validity| validity.ends() > now)
        };
        let all = certificates(&self.bundle()).unwrap_or_default();
        let armoured = |certificate: &CertificateDer<'_>| {
            let lines = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
            pem::encode_config(&pem::Pem::new("CERTIFICATE", certificate.to_vec()), lines)
        };
        all.iter().filter(|certificate| is_good(certificate)).map(armoured).collect()
    }

    /// What the Secret holds then.
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

    /// When the CA that signs is good.
    pub(crate) fn validity(&self) -> Option<Validity> {
        Validity::of_pem(self.ca().as_bytes()).ok()
    }

    /// When the CA that signs ends.
    pub(crate) fn ends(&self) -> SystemTime {
        self.authority.ends()
    }

    /// Signs a serving certificate for these names.
    pub(crate) fn sign(
        &self,
        names: &Names,
        lifetimes: Lifetimes,
        now: SystemTime,
    ) -> Result<Signed, CertificateError> {
        let leaf = self.authority.issue(names, lifetimes.leaf)?;
        let left = self.authority.ends().duration_since(now).unwrap_or_default();
        let renewed_at = now + lifetimes.leaf.min(left) * 2 / 3;
        Ok(Signed { cert_pem: leaf.cert_pem, key_pem: leaf.key_pem, renewed_at, ca: self.ca().to_owned() })
    }
}

/// The certificates of this PEM text.
fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, rustls::pki_types::pem::Error> {
    CertificateDer::pem_slice_iter(pem.as_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_hours(1);
    const LIFETIMES: Lifetimes = Lifetimes { leaf: Duration::from_hours(24), ca: Duration::from_hours(24 * 30) };

    fn data(kept: &Kept) -> BTreeMap<String, Vec<u8>> {
        let present = kept.data().into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?.into())));
        present.collect()
    }

    fn made() -> Kept {
        Kept::new(None, LIFETIMES, SystemTime::now()).expect("keys can be made")
    }

    /// What is due so long after now, of a CA that has not been trusted for long.
    fn due(kept: &Kept, later: Duration) -> Option<Kept> {
        due_when_trusted(kept, later, HOUR)
    }

    fn due_when_trusted(kept: &Kept, later: Duration, trusted: Duration) -> Option<Kept> {
        let now = SystemTime::now() + later;
        let due = Kept::due(kept, trusted, LIFETIMES, now).expect("keys can be made");
        assert_eq!(due.is_some(), kept.is_due(trusted, LIFETIMES, now));
        due
    }

    #[test]
    fn renews_a_ca_when_two_thirds_of_its_time_have_passed() {
        let first = made();
        assert!(due(&first, HOUR * (24 * 20 - 1)).is_none());
        let second = due(&first, HOUR * 24 * 20 + HOUR).expect("a successor");
        assert_ne!(second.ca(), first.ca());
        assert_eq!(certificates(&second.bundle()).expect("PEM").len(), 2, "both are trusted");
        assert_eq!(second.data()[PREVIOUS_CAS].map(|pem| certificates(pem).ok()), Some(certificates(first.ca()).ok()));
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
        let second = Kept::new(Some(&first), LIFETIMES, SystemTime::now()).expect("keys can be made");
        assert_eq!(certificates(&second.bundle()).expect("PEM").len(), 2);
    }

    #[test]
    fn reads_what_it_wrote() {
        let first = made();
        let second = due(&first, HOUR * 24 * 21).expect("a successor");
        for kept in [first, second] {
            let read = Kept::read(&data(&kept)).expect("it can be read").expect("a CA");
            assert_eq!(read.data(), kept.data());
            // A certificate's times are whole seconds.
            let apart = |a: SystemTime, b: SystemTime| a.duration_since(b).unwrap_or_else(|error| error.duration());
            assert!(apart(read.ends(), kept.ends()) < Duration::from_secs(1));
            assert!(apart(read.renewed_at(), kept.renewed_at()) < Duration::from_secs(2));
        }
        assert!(Kept::read(&BTreeMap::new()).expect("nothing is wrong").is_none());
        assert!(Kept::read(&BTreeMap::from([(CA_CERT.to_owned(), Vec::new())])).expect("as good as empty").is_none());
    }

    #[test]
    fn refuses_what_is_no_ca_and_names_the_key_to_mend() {
        let (good, other) = (data(&made()), data(&made()));
        let with = |key: &str, value: Option<Vec<u8>>| {
            let mut data = good.clone();
            match value {
                Some(value) => data.insert(key.to_owned(), value),
                None => data.remove(key),
            };
            Kept::read(&data).err().map(|error| error.to_string())
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
        let kept = made();
        let leaf = kept.sign(&names, short, SystemTime::now()).expect("a certificate");
        let validity = Validity::of_pem(leaf.cert_pem.as_bytes()).expect("a certificate");
        assert!(validity.ends() <= kept.ends());
        assert!(leaf.renewed_at < validity.ends());
        assert_eq!(leaf.ca, kept.ca());
    }
}
