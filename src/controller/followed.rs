//! An object of the cluster, followed by a watch and read or written beside it.

/// The last state seen of an object.
#[derive(Debug)]
pub(super) enum Seen<K> {
    /// None: the API server has not answered yet.
    NotYet,
    /// There is no such object.
    Gone,
    /// The object.
    There(Box<K>),
}

impl<K> From<Option<K>> for Seen<K> {
    fn from(object: Option<K>) -> Self {
        object.map_or(Self::Gone, |object| Self::There(Box::new(object)))
    }
}

impl<K> Seen<K> {
    pub(super) fn there(&self) -> Option<&K> {
        match self {
            Self::There(object) => Some(object),
            Self::NotYet | Self::Gone => None,
        }
    }
}

/// An object that is followed by a watch, and read or written beside it.
///
/// A watch may lag behind what was read or written, and resource versions tell only whether two states are the same: Kubernetes
/// promises an order of them from 1.35 on. So once the object was read, a watched state other than the known one is a reason to
/// read again, until the watch has caught up.
#[derive(Debug)]
pub(super) struct Followed<K> {
    seen: Seen<K>,
    /// True while the object was read or written in a state that the watch has not reported yet.
    ahead: bool,
    /// The last state that the watch reported and that was not taken.
    doubted: Option<Version>,
}

/// The uid and resource version of a state; none of an object that is gone.
type Version = Option<(Option<String>, Option<String>)>;

impl<K: kube::Resource> Followed<K> {
    pub(super) fn new() -> Self {
        Self { seen: Seen::NotYet, ahead: false, doubted: None }
    }

    pub(super) fn seen(&self) -> &Seen<K> {
        &self.seen
    }

    pub(super) fn there(&self) -> Option<&K> {
        self.seen.there()
    }

    /// Takes a state from the watch. False if it may be older than the known one: the object has to be read.
    pub(super) fn watched(&mut self, object: Option<K>) -> bool {
        let watched = version(object.as_ref());
        if self.ahead && watched != version(self.there()) {
            self.doubted = Some(watched);
            return false;
        }
        (self.ahead, self.doubted) = (false, None);
        self.seen = object.into();
        true
    }

    /// Takes a state that was read or written just now.
    pub(super) fn read(&mut self, object: Option<K>) {
        let (before, now) = (version(self.there()), version(object.as_ref()));
        let is_new = matches!(self.seen, Seen::NotYet) || before != now;
        // The watch has caught up if it reported this state while it was doubted.
        if self.doubted.as_ref() == Some(&now) {
            (self.ahead, self.doubted) = (false, None);
        } else if is_new {
            self.ahead = true;
        }
        self.seen = object.into();
    }
}

fn version<K: kube::Resource>(object: Option<&K>) -> Version {
    object.map(|object| (object.meta().uid.clone(), object.meta().resource_version.clone()))
}

#[cfg(test)]
mod tests {
    use k8s_openapi::{api::core::v1::Secret, apimachinery::pkg::apis::meta::v1::ObjectMeta};

    use super::*;

    fn secret(uid: &str, version: &str) -> Secret {
        let (uid, resource_version) = (Some(uid.to_owned()), Some(version.to_owned()));
        Secret { metadata: ObjectMeta { uid, resource_version, ..ObjectMeta::default() }, ..Secret::default() }
    }

    fn known(followed: &Followed<Secret>) -> String {
        followed.there().and_then(|secret| secret.metadata.resource_version.clone()).unwrap_or_default()
    }

    #[test]
    fn takes_watched_states_in_any_order_of_versions() {
        let mut followed = Followed::new();
        for version in ["9", "10", "4", "b7"] {
            assert!(followed.watched(Some(secret("a", version))));
            assert_eq!(known(&followed), version);
        }
        assert!(followed.watched(None));
        assert!(followed.there().is_none());
    }

    #[test]
    fn doubts_a_state_that_may_be_older_than_its_own_write() {
        let mut followed = Followed::new();
        assert!(followed.watched(Some(secret("a", "9"))));
        followed.read(Some(secret("a", "12")));
        // It may be from before the write or from after it, whichever number is higher.
        for version in ["10", "13"] {
            assert!(!followed.watched(Some(secret("a", version))));
            assert_eq!(known(&followed), "12");
        }
        assert!(!followed.watched(None), "nor whether it is gone");
        // The written state, and from then on what follows.
        assert!(followed.watched(Some(secret("a", "12"))));
        assert!(followed.watched(Some(secret("a", "11"))));
        assert_eq!(known(&followed), "11");
    }

    #[test]
    fn trusts_the_watch_again_once_its_state_was_read() {
        let mut followed = Followed::new();
        assert!(followed.watched(Some(secret("a", "1"))));
        followed.read(Some(secret("a", "2")));
        assert!(!followed.watched(Some(secret("b", "3"))));
        followed.read(Some(secret("b", "3")));
        assert!(followed.watched(Some(secret("b", "4"))));
        // To read what is known already changes nothing.
        followed.read(Some(secret("b", "4")));
        assert!(followed.watched(None));
        followed.read(None);
        assert!(followed.watched(Some(secret("c", "5"))));
    }
}
