//! The changes between two objects that are not allowed: the objects are walked side by side, with the rules and the Go
//! types that hold at each place.
//!
//! Elements of lists that have names are aligned by name, values that are equal but for their spelling are left out, and
//! so are fields that may change freely. Nothing is kept of the objects but [`Differences`]. No recursion follows the text
//! deeper than [`MAX_DEPTH`], and a value is passed over a fixed number of times, however it is nested: what a decision
//! costs follows from the bytes, and not from what they say.

mod lists;
mod maps;
mod subtree;
mod table;

use super::{
    equality::holds_pods,
    json::{Json, Kind, MAX_DEPTH},
    violations::{Differences, Marks, Violations},
};
use crate::{
    field::{FieldPath, Step, Type},
    policy::{Equality, Precedence},
};

/// The violations in an update of an object of that type from `old` to `new`.
pub(super) fn violations(
    old: Json<'_>,
    new: Json<'_>,
    of: Type,
    rules: Precedence<'_>,
    equality: Equality,
) -> Violations {
    let mut comparison = Comparison::new(equality);
    let root = Place { rules, of, is_member: false };
    if old.text() != new.text() {
        comparison.pair(&root, Some(old), Some(new));
    }
    comparison.found.violations()
}

/// The violations in the `spec` of an object alone: of a Scale nothing else is ever written.
pub(super) fn violations_of_spec(
    old: Json<'_>,
    new: Json<'_>,
    of: Type,
    rules: Precedence<'_>,
    equality: Equality,
) -> Violations {
    let mut comparison = Comparison::new(equality);
    let root = Place { rules, of, is_member: false };
    comparison.below(&root, Step::Key(b"spec"), old.get("spec"), new.get("spec"));
    comparison.found.violations()
}

/// A place in both objects, and what holds there.
struct Place<'p> {
    rules: Precedence<'p>,
    of: Type,
    /// True for the member of a struct, which may equal an absent one; the key of a map and the element of a list count
    /// by being there.
    is_member: bool,
}

impl Place<'_> {
    /// The place one step further down. `old` and `new` are what stands there.
    fn below(&self, step: Step<'_>, old: Option<Json<'_>>, new: Option<Json<'_>>) -> Self {
        let rules = self.rules.below(step);
        match step {
            Step::Key(key) => {
                let holds_pods = || [old, new].into_iter().flatten().any(holds_pods);
                Self { rules, of: self.of.member(key, holds_pods), is_member: !self.of.is_map() }
            }
            _ => Self { rules, of: self.of.element(), is_member: false },
        }
    }
}

struct Comparison {
    equality: Equality,
    path: FieldPath,
    found: Differences,
}

impl Comparison {
    fn new(equality: Equality) -> Self {
        Self { equality, path: FieldPath::default(), found: Differences::default() }
    }

    /// The value, unless it equals an absent one.
    fn present<'t>(&self, place: &Place<'_>, value: Option<Json<'t>>) -> Option<Json<'t>> {
        value.filter(|&value| !(place.is_member && self.equality.is_absent(value, place.of)))
    }

    /// Compares what stands one step below a place.
    fn below(&mut self, place: &Place<'_>, step: Step<'_>, old: Option<Json<'_>>, new: Option<Json<'_>>) {
        if is_same_text(old, new) {
            return;
        }
        let place = place.below(step, old, new);
        let mark = self.path.push(step);
        self.pair(&place, old, new);
        self.path.pop(mark);
    }

    /// Compares what stands at a place. The texts differ: each caller has compared them.
    fn pair(&mut self, place: &Place<'_>, old: Option<Json<'_>>, new: Option<Json<'_>>) {
        if place.rules.is_free() {
            return;
        }
        match (self.present(place, old), self.present(place, new), old.zip(new)) {
            (None, None, _) => {}
            (Some(old), Some(new), _) => self.both(place, old, new),
            // A value on both sides is reported as it is written, though one of the two equals an absent one.
            (_, _, Some((old, new))) if is_written(old) && is_written(new) => self.both(place, old, new),
            (_, _, Some((old, new))) if self.is_part() && old.kind() == Kind::Map && new.kind() == Kind::Map => {
                self.both(place, old, new);
            }
            (Some(value), None, _) => self.one_sided(place, value, || Marks::Values([Some(().into()), None])),
            (None, Some(value), _) => self.one_sided(place, value, || Marks::Values([None, Some(().into())])),
        }
    }

    /// True for the parts of the object itself, its `metadata` and its `spec`: that an object has them counts, unless they
    /// are empty.
    fn is_part(&self) -> bool {
        self.path.depth() == 1
    }

    fn both(&mut self, place: &Place<'_>, old: Json<'_>, new: Json<'_>) {
        match (old.kind(), new.kind()) {
            (Kind::Map, Kind::Map) if self.is_followed() => self.maps(place, old, new),
            (Kind::List, Kind::List) if self.is_followed() => self.lists(place, old, new),
            _ if self.equality.is_same(old, new, place.of) => {}
            (old_kind, new_kind) if old_kind.is_scalar() && new_kind.is_scalar() => {
                self.whole(place, || Marks::of(Some(old), Some(new)));
            }
            _ => self.whole(place, Marks::unshown),
        }
    }

    /// True if what is inside the value at the path is looked at: further down nothing is indexed, and a text that differs
    /// counts as changed.
    fn is_followed(&self) -> bool {
        self.path.depth() + 1 < MAX_DEPTH
    }

    /// A change that cannot be taken apart. Where it could touch a field that may not change, it may not be made.
    fn whole(&mut self, place: &Place<'_>, marks: impl FnOnce() -> Marks) {
        if !place.rules.is_free() {
            self.found.add(self.path.told(), marks);
        }
    }
}

/// True for a string, a number or a boolean.
fn is_written(value: Json<'_>) -> bool {
    value.kind().is_scalar() && value.kind() != Kind::Null
}

fn is_same_text(old: Option<Json<'_>>, new: Option<Json<'_>>) -> bool {
    matches!((old, new), (Some(old), Some(new)) if old.text() == new.text())
}
