//! The CA in the Secret, and the serving certificate that is signed with it here.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use k8s_openapi::{ByteString, api::core::v1::Secret};
use tokio::time::Instant;

use super::{
    callers::Caller,
    config::ManagedCertificates,
    followed::{Followed, Seen},
    now::Now,
    patch::certificates,
};
use crate::certificates::{ServingCertificate, StoredCa, Validity};

/// The time for which a certificate stays in use once API servers can trust the next CA: they learn of it by watches of their own.
pub(super) const OVERLAP: Duration = Duration::from_secs(5);
/// The interval at which an overdue renewal is looked at again.
const OVERDUE_INTERVAL: Duration = Duration::from_millis(250);

/// The observed CA, and the certificate that is served.
pub(super) struct ObservedCa {
    pub(super) config: ManagedCertificates,
    secret: Followed<Secret>,
    /// True if the Secret holds a CA that can be used.
    is_held: bool,
    /// The reason why the content of the Secret cannot be used.
    problem: Option<String>,
    /// The CA that the Secret held when it last held one.
    stored: Option<StoredCa>,
    /// The CA of the certificate that is served.
    signer: Option<StoredCa>,
    served: Option<Arc<ServingCertificate>>,
    /// The CA that signs now, and the moment from which on API servers could trust it.
    trusted: Option<(String, Instant)>,
}

/// The next state of the Secret, to be made.
#[derive(Clone)]
pub(super) enum NextCa {
    /// A new CA for a Secret without one, beside the one that was in it before.
    First(Option<StoredCa>),
    /// The CA after this one, which stays trusted.
    After(StoredCa),
    /// The same CA, without those before it.
    Alone(StoredCa),
}

impl ObservedCa {
    pub(super) fn new(config: ManagedCertificates) -> Self {
        Self {
            config,
            secret: Followed::new(),
            is_held: false,
            problem: None,
            stored: None,
            signer: None,
            served: None,
            trusted: None,
        }
    }

    /// Takes a state of the Secret from the watch. False if the Secret has to be read.
    pub(super) fn watched(&mut self, secret: Option<Secret>) -> bool {
        let is_taken = self.secret.watched(secret);
        self.read_content();
        is_taken
    }

    /// Takes a state of the Secret that was read or written just now.
    pub(super) fn read(&mut self, secret: Option<Secret>) {
        self.secret.read(secret);
        self.read_content();
    }

    fn read_content(&mut self) {
        let name = &self.config.secret;
        self.is_held = false;
        self.problem = match self.secret.seen() {
            Seen::NotYet => None,
            Seen::Gone => Some(format!("there is no Secret {name}; make one without data")),
            Seen::There(secret) => match StoredCa::read(&data(secret)) {
                Ok(Some(stored)) => {
                    self.stored = Some(stored);
                    self.is_held = true;
                    None
                }
                Ok(None) => None,
                Err(error) => Some(format!("Secret {name}: {error}; empty its data, and a new CA is made")),
            },
        };
    }

    /// Notes since when API servers can trust the CA that signs now. They have the bundles of these callers.
    pub(super) fn note_trust(&mut self, callers: &[Caller], now: Now) {
        let Some(stored) = &self.stored else { return };
        if !is_trusted(stored, callers) {
            self.trusted = None;
        } else if self.trusted.as_ref().is_none_or(|(trusted, _)| trusted != stored.ca()) {
            self.trusted = Some((stored.ca().to_owned(), now.instant));
        }
    }

    /// Takes the certificate that is served from now on.
    pub(super) fn serves(&mut self, certificate: Arc<ServingCertificate>, signer: StoredCa) {
        self.served = Some(certificate);
        self.signer = Some(signer);
    }

    /// The CAs that the registration has to trust, PEM.
    pub(super) fn bundle(&self) -> Option<String> {
        self.held().map(StoredCa::bundle)
    }

    fn held(&self) -> Option<&StoredCa> {
        self.stored.as_ref().filter(|_| self.is_held)
    }

    /// The next state of the Secret, if one is due, and the resource version that it replaces.
    pub(super) fn next_ca(&self, now: Now) -> Option<(NextCa, Option<String>)> {
        let secret = self.secret.there().filter(|_| self.problem.is_none())?;
        let next = match self.held() {
            None => NextCa::First(self.stored.clone()),
            Some(held) if held.is_renewal_due(now.wall) => NextCa::After(held.clone()),
            Some(held) if held.has_needless(self.trusted_for(now), self.config.lifetimes) => {
                NextCa::Alone(held.clone())
            }
            Some(_) => return None,
        };
        Some((next, secret.metadata.resource_version.clone()))
    }

    /// The time for which API servers have been able to trust the CA that signs, as far as it was observed here.
    fn trusted_for(&self, now: Now) -> Duration {
        let trusted =
            self.trusted.as_ref().filter(|(ca, _)| self.stored.as_ref().is_some_and(|stored| stored.ca() == ca));
        trusted.map(|(_, since)| now.since(*since)).unwrap_or_default()
    }

    /// The CA to sign the next serving certificate with, if one is due.
    ///
    /// A new CA signs only once API servers had the time to learn of it, unless the one before has expired or is trusted no
    /// more. Until then that one signs.
    pub(super) fn due_signer(&self, callers: &[Caller], now: Now) -> Option<StoredCa> {
        let stored = self.stored.as_ref()?;
        let trusted_for = self.trusted.as_ref().map(|(_, since)| now.since(*since));
        let stays = |signer: &&StoredCa| {
            let is_replaced = trusted_for.is_some_and(|time| time >= OVERLAP || !is_trusted(signer, callers));
            signer.ends() > now.wall && !is_replaced
        };
        let signer = self.signer.as_ref().filter(stays).unwrap_or(stored);
        // A CA that has expired signs nothing that a client would accept.
        let is_due = self.served.as_ref().is_none_or(|served| {
            (served.ca != signer.ca() || now.wall >= served.renewed_at) && signer.ends() > now.wall
        });
        is_due.then(|| signer.clone())
    }

    /// The certificate that is served.
    #[cfg(test)]
    pub(super) fn served(&self) -> Option<&Arc<ServingCertificate>> {
        self.served.as_ref()
    }

    /// The reason why the Secret cannot be used.
    pub(super) fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }

    /// The reason why nothing can be served yet.
    pub(super) fn waits_for(&self) -> Option<String> {
        let waits = || format!("the CA in Secret {} was not read yet", self.config.secret);
        self.served.is_none().then(|| self.problem.clone().unwrap_or_else(waits))
    }

    /// The validity of the CA that signs.
    pub(super) fn validity(&self) -> Option<Validity> {
        self.stored.as_ref().and_then(StoredCa::validity)
    }

    /// True if the Secret holds a CA or waits for one. None before it was seen.
    pub(super) fn is_stored(&self) -> Option<bool> {
        (!matches!(self.secret.seen(), Seen::NotYet)).then_some(self.problem.is_none())
    }

    /// The moment of the next renewal, or of the change from one CA to the next.
    pub(super) fn next_due(&self, now: Now) -> Option<Instant> {
        let stored = self.stored.as_ref()?;
        let renewed = self.served.as_ref().map(|served| served.renewed_at);
        let soonest = renewed.into_iter().fold(stored.renewed_at(), SystemTime::min);
        // An overdue renewal waits for something else, whose event comes by itself.
        let due = now.instant + soonest.duration_since(now.wall).unwrap_or_default().max(OVERDUE_INTERVAL);
        let (overlap, dropped) = (OVERLAP, self.config.lifetimes.leaf * 2);
        let since = self.trusted.as_ref().map(|(_, since)| *since);
        let changes = since.into_iter().flat_map(|since| [since + overlap, since + dropped]);
        Some(changes.filter(|change| *change > now.instant).fold(due, Instant::min))
    }
}

/// True if every caller trusts the CA that signs.
fn is_trusted(stored: &StoredCa, callers: &[Caller]) -> bool {
    let ca = certificates(stored.ca().as_bytes());
    !callers.is_empty() && callers.iter().all(|caller| certificates(&caller.bundle).is_superset(&ca))
}

/// The data of a Secret.
fn data(secret: &Secret) -> std::collections::BTreeMap<String, Vec<u8>> {
    let data = secret.data.iter().flatten();
    data.map(|(key, ByteString(value))| (key.clone(), value.clone())).filter(|(_, value)| !value.is_empty()).collect()
}
