//! The admission attributes of an update, as far as an exemption depends on them.

use super::{Condition, Exemption, Policy, Precedence, SuspendField, precedence::Effect};
use crate::field::Pattern;

/// The attributes of an update that conditions look at.
pub(crate) trait Attributes {
    /// The user's name.
    fn user(&self) -> &str;
    /// True if the user is in that group.
    fn is_in_group(&self, group: &str) -> bool;
    /// The subresource; empty for the main resource.
    fn subresource(&self) -> &str;
    /// True if the old and the new object meet the condition, which may look at the suspend field.
    fn meets(&self, condition: Condition, suspend: &SuspendField) -> bool;
}

/// The part of a policy that holds for one update.
#[derive(Debug)]
pub(crate) struct Rules<'p> {
    pub(crate) precedence: Precedence<'p>,
    /// The fields that may change.
    pub(crate) mutable: Vec<&'p Pattern>,
}

impl Exemption {
    fn holds(&self, attributes: &impl Attributes, suspend: &SuspendField) -> bool {
        let subresource = attributes.subresource();
        let is_of_subresource = if self.subresources.is_empty() {
            subresource.is_empty()
        } else {
            self.subresources.iter().any(|listed| listed == subresource)
        };
        let is_for_everyone = self.users.is_empty() && self.groups.is_empty();
        is_of_subresource
            && (is_for_everyone
                || self.users.iter().any(|listed| listed == attributes.user())
                || self.groups.iter().any(|group| attributes.is_in_group(group)))
            && self.when.is_none_or(|condition| attributes.meets(condition, suspend))
    }
}

impl Policy {
    /// The rules for one update. In a subresource no field may change but by an exemption: the policy's mutable fields are
    /// the main resource's.
    pub(crate) fn rules<'p>(&'p self, attributes: &impl Attributes) -> Rules<'p> {
        let mutable = if attributes.subresource().is_empty() { &self.mutable_fields[..] } else { &[] };
        let exempt = self.exemptions.iter().filter(|exemption| exemption.holds(attributes, &self.suspend_field));
        let mutable: Vec<_> = mutable.iter().chain(exempt.flat_map(|exemption| &exemption.fields)).collect();
        let precedence = Precedence::new(
            mutable
                .iter()
                .map(|field| (*field, Effect::Mutable))
                .chain(self.immutable_fields.iter().map(|field| (field, Effect::Immutable)))
                .chain(self.server_managed_fields.iter().map(|field| (field, Effect::ServerManaged))),
        );
        Rules { precedence, mutable }
    }
}
