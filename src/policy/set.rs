//! The policies that a guard serves, each at a path of its own.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use super::Policy;

/// The path of reviews. That of one policy among several is this, a slash and the policy's [`segment`].
pub const PATH: &str = "/validate";

/// The policies that a guard serves, in the order in which they were given.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PolicySet {
    pub(super) served: Vec<Served>,
    /// True if one policy was given, and by itself: its webhooks lead to [`PATH`].
    pub(super) is_single: bool,
}

/// A policy that is served, or a file that holds none.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Served {
    /// The file that holds it, or the name of a built-in policy.
    pub(super) origin: PathBuf,
    /// None if the file never held a policy that can be used.
    pub(super) policy: Option<Arc<Policy>>,
    /// The reason why the file cannot be used now.
    pub(super) problem: Option<String>,
    /// True if the file is gone. The policy is served until no webhook leads to it.
    pub(super) is_retired: bool,
    /// True if it is served at [`PATH`] too.
    pub(super) is_first: bool,
}

/// A file that cannot be used.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Problem<'s> {
    pub(crate) file: &'s PathBuf,
    pub(crate) reason: &'s str,
    /// The policy that the file held before, which stays in effect.
    pub(crate) before: Option<&'s Policy>,
}

impl PolicySet {
    /// The set of one policy, that is served at [`PATH`].
    #[must_use]
    pub fn of(policy: Policy) -> Self {
        let origin = PathBuf::from(policy.name());
        let policy = Some(Arc::new(policy));
        let served = vec![Served { origin, policy, problem: None, is_retired: false, is_first: true }];
        Self { served, is_single: true }
    }

    /// The policies.
    pub fn policies(&self) -> impl Iterator<Item = &Arc<Policy>> {
        self.served.iter().filter_map(|served| served.policy.as_ref())
    }

    /// The policy that reviews sent to this path are decided by.
    #[must_use]
    pub fn at(&self, path: &str) -> Option<&Arc<Policy>> {
        let below = path.strip_prefix(PATH)?;
        if below.is_empty() {
            return self.served.iter().find(|served| served.is_first)?.policy.as_ref();
        }
        let wanted = below.strip_prefix('/')?;
        self.policies().find(|policy| is_segment_of(wanted, policy.name()))
    }

    /// The path to which a policy's webhooks lead.
    #[must_use]
    pub fn path(&self, policy: &Policy) -> String {
        if self.is_single { PATH.to_owned() } else { format!("{PATH}/{}", segment(policy.name())) }
    }

    /// True if one policy was given, and by itself.
    pub(crate) fn is_single(&self) -> bool {
        self.is_single
    }

    /// The files that cannot be used.
    pub(crate) fn problems(&self) -> impl Iterator<Item = Problem<'_>> {
        self.served.iter().filter_map(|Served { origin, policy, problem, .. }| {
            Some(Problem { file: origin, reason: problem.as_ref()?, before: policy.as_deref() })
        })
    }

    /// The file that holds a policy, or the name of a built-in one.
    pub(crate) fn origin(&self, policy: &Policy) -> Option<&Path> {
        let is_it = |served: &&Served| served.policy.as_deref().is_some_and(|own| own.name() == policy.name());
        Some(&self.served.iter().find(is_it)?.origin)
    }

    /// The policies whose files are gone.
    pub(crate) fn retired(&self) -> impl Iterator<Item = &Arc<Policy>> {
        self.served.iter().filter(|served| served.is_retired).filter_map(|served| served.policy.as_ref())
    }

    /// True if each policy is the very same, and each problem.
    pub(crate) fn is_the_same_as(&self, other: &Self) -> bool {
        let policies = |set: &Self| set.policies().map(Arc::as_ptr).collect::<Vec<_>>();
        self == other && policies(self) == policies(other)
    }

    /// The same set without this policy.
    pub(crate) fn without(&self, policy: &Policy) -> Self {
        let mut set = self.clone();
        set.served.retain(|served| served.policy.as_deref().is_none_or(|other| other.name() != policy.name()));
        set
    }
}

/// A policy's name as a part of a path and of a webhook's name: an API server takes lower-case letters, digits and `-` in both.
#[must_use]
pub fn segment(name: &str) -> String {
    name.chars().map(to_segment).collect()
}

fn to_segment(c: char) -> char {
    if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }
}

fn is_segment_of(segment: &str, name: &str) -> bool {
    segment.chars().eq(name.chars().map(to_segment))
}
