//! The admission attributes of an update, from its review.

use super::{json::Json, review::User};
use crate::policy::{Attributes, Condition, SuspendField};

/// The attributes of an update, and its two objects.
#[derive(Debug, Clone, Copy)]
pub(super) struct UpdateAttributes<'a> {
    pub(super) user: &'a User<'a>,
    pub(super) subresource: &'a str,
    pub(super) old: Json<'a>,
    pub(super) new: Json<'a>,
}

impl Attributes for UpdateAttributes<'_> {
    fn user(&self) -> &str {
        &self.user.name
    }

    fn is_in_group(&self, group: &str) -> bool {
        self.user.is_in(group)
    }

    fn subresource(&self) -> &str {
        self.subresource
    }

    fn meets(&self, condition: Condition, suspend: &SuspendField) -> bool {
        let is_suspended = |object| text_at(object, suspend.keys()) == Some(b"true");
        match condition {
            Condition::Deleting => text_at(self.old, &["metadata", "deletionTimestamp"]).is_some(),
            Condition::Suspended => is_suspended(self.old),
            Condition::SuspendChanged => is_suspended(self.old) != is_suspended(self.new),
        }
    }
}

/// The value at a path of keys; none where it is null.
fn text_at<'t>(object: Json<'t>, path: &[impl AsRef<str>]) -> Option<&'t [u8]> {
    let value = path.iter().try_fold(object, |value, key| value.get(key.as_ref()))?;
    (value.text() != b"null").then(|| value.text())
}
