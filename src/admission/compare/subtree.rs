//! A value that is added or removed: its root is one violation, deeper only where some of it may change.

use std::mem;

use super::{Comparison, Place, lists};
use crate::{
    admission::{
        json::{Json, Kind},
        violations::Marks,
    },
    field::Step,
    policy::Effect,
};

/// The verdict on an added or removed subtree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Subtree {
    /// All of it may change.
    Allowed,
    /// None of it may: its root says so for all.
    Forbidden,
    /// Some of it may not, and is among the differences.
    Mixed,
}

impl Comparison {
    /// Judges a value that is on one side only. The marks say on which.
    pub(super) fn one_sided(&mut self, place: &Place<'_>, value: Json<'_>, marks: fn() -> Marks) {
        if self.subtree(place, value, marks) == Subtree::Forbidden {
            self.found.add(self.path.told(), marks);
        }
    }

    /// Judges a subtree leaf by leaf, as deep as a rule reaches. Its differences are kept only where it is mixed.
    fn subtree(&mut self, place: &Place<'_>, value: Json<'_>, marks: fn() -> Marks) -> Subtree {
        let own = if place.rules.effect() == Effect::Immutable { Subtree::Forbidden } else { Subtree::Allowed };
        if value.kind().is_scalar() || !place.rules.reaches_below() {
            return own;
        }
        let is_list = value.kind() == Kind::List;
        let are_named = is_list && lists::has_names(value);
        // What cannot be taken apart in the way in which the rules speak of it counts as a whole.
        if !self.is_followed() || (is_list && !are_named && place.rules.names_elements()) {
            return if place.rules.is_free() { Subtree::Allowed } else { Subtree::Forbidden };
        }

        let around = mem::take(&mut self.found);
        let mut members = Members::default();
        if is_list {
            for (index, element) in value.elements().enumerate() {
                let name = lists::name(element).filter(|_| are_named).map(Json::string);
                let step =
                    name.as_deref().map_or(Step::Index(index), |name| Step::Named { name, position: Some(index) });
                members.add(self.part(place, step, element, marks));
            }
        } else {
            for (key, member) in value.members() {
                members.add(self.part(place, Step::Key(&key.string()), member, marks));
            }
        }
        let is_absent_when_empty =
            place.is_member && !self.is_part() && self.equality.is_absent_when_empty(place.of, is_list);
        let subtree = match own {
            _ if members.all_allowed && (own == Subtree::Allowed || is_absent_when_empty) => Subtree::Allowed,
            // All that it held is server-managed, or equals nothing: the root itself is what came or went.
            _ if !members.any => own,
            // Whether there is a map at all is a field of its own where an empty one is not an absent one.
            Subtree::Forbidden if members.all_allowed || members.all_forbidden => Subtree::Forbidden,
            _ => Subtree::Mixed,
        };
        let found = mem::replace(&mut self.found, around);
        if subtree == Subtree::Mixed {
            self.found.extend(found);
        }
        subtree
    }

    /// Judges what is one step further down. None where it does not count.
    fn part(&mut self, place: &Place<'_>, step: Step<'_>, value: Json<'_>, marks: fn() -> Marks) -> Option<Subtree> {
        let place = place.below(step, Some(value), None);
        if self.present(&place, Some(value)).is_none() || place.rules.effect() == Effect::ServerManaged {
            return None;
        }
        let mark = self.path.push(step);
        let part = self.subtree(&place, value, marks);
        if part == Subtree::Forbidden {
            self.found.add(self.path.told(), marks);
        }
        self.path.pop(mark);
        Some(part)
    }
}

/// The verdict on the members or elements of a subtree.
struct Members {
    any: bool,
    all_allowed: bool,
    all_forbidden: bool,
}

impl Default for Members {
    fn default() -> Self {
        Self { any: false, all_allowed: true, all_forbidden: true }
    }
}

impl Members {
    fn add(&mut self, member: Option<Subtree>) {
        let Some(member) = member else { return };
        self.any = true;
        self.all_allowed &= member == Subtree::Allowed;
        self.all_forbidden &= member == Subtree::Forbidden;
    }
}
