//! The violations of a review: the first few by path, and how many there are beyond.
//!
//! Objects are as large as a stranger makes them; what is kept of their differences is not. Whatever is not among the
//! first is counted and forgotten.

use std::borrow::Cow;

use json_patch::{PatchOperation, jsonptr::resolve::Resolve as _};
use serde_json::{Map, Value};

use super::json::{Json, Kind};
use crate::text::joined;

/// The number of violations that are kept: as many as fill the list of all paths, and more than a response has causes.
const MAX_KEPT: usize = 128;

/// The longest number that is shown; a longer one is no counter or limit of any Kubernetes type.
const MAX_NUMBER: usize = 32;

/// The most that a list of all paths takes, in bytes. (The API server's limit for an audit annotation is 10 KiB.)
const MAX_PATHS: usize = 1024;

/// A change that the policy does not allow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The path of the smallest changed field.
    pub path: String,
    /// The kind of change.
    pub(super) detail: Detail,
}

impl Violation {
    /// The kind of change, after a space: ` (added)`, ` (was 1, now 3)`. Empty where neither can be said.
    #[must_use]
    pub fn what(&self) -> String {
        match &self.detail {
            Detail::Added => " (added)".to_owned(),
            Detail::Removed => " (removed)".to_owned(),
            Detail::Reordered => " (order changed)".to_owned(),
            Detail::Replaced(Some((old, new))) => format!(" (was {old}, now {new})"),
            Detail::Replaced(None) => String::new(),
        }
    }
}

/// The change of a field, without the value of a string.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Detail {
    Added,
    Removed,
    /// The values are given where both are numbers or booleans.
    Replaced(Option<(String, String)>),
    /// The elements of a list that stayed stand in another order.
    Reordered,
}

/// The violations of a review.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Violations {
    /// The first ones, sorted by path, each path once.
    pub first: Vec<Violation>,
    /// The number of those beyond the first.
    pub more: usize,
}

impl Violations {
    /// True if there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.first.is_empty()
    }

    /// The number of all of them.
    #[must_use]
    pub fn len(&self) -> usize {
        self.first.len() + self.more
    }

    /// Their paths on one line of at most 1 KiB, separated by commas: for audit annotations and log lines.
    #[must_use]
    pub fn paths(&self) -> String {
        joined(self.first.iter().map(|violation| violation.path.as_str()), self.more, ",", MAX_PATHS)
    }
}

/// A field that differs, as json-patch is asked about it.
#[derive(Debug)]
pub(super) struct Difference {
    path: String,
    marks: Marks,
}

/// The marker for a field's value in the old document and in the new one; nothing where the field is absent.
///
/// Values do not get into the documents, but for numbers and booleans, so no later step can tell a string.
#[derive(Debug)]
pub(super) enum Marks {
    Values([Option<Value>; 2]),
    /// The field is a list, and what differs is the order of its elements.
    Order,
}

/// The markers for a value that is not shown, before and after.
const UNSHOWN: [Value; 2] = [Value::Bool(false), Value::Bool(true)];

impl Marks {
    /// The marks of a field that is not shown, whatever it holds.
    pub(super) fn unshown() -> Self {
        Self::Values(UNSHOWN.map(Some))
    }

    /// The marks of a field that holds these values, or none.
    pub(super) fn of(old: Option<Json<'_>>, new: Option<Json<'_>>) -> Self {
        let shown = |value: Json<'_>, unshown| match value.kind() {
            Kind::Number | Kind::Bool if value.text().len() <= MAX_NUMBER => {
                Value::String(String::from_utf8_lossy(value.text()).into_owned())
            }
            _ => unshown,
        };
        let [before, after] = UNSHOWN;
        Self::Values([old.map(|old| shown(old, before)), new.map(|new| shown(new, after))])
    }
}

/// Differences that are violations: the first few by path, and the number of the others.
#[derive(Debug, Default)]
pub(super) struct Differences {
    /// Sorted by path, each path once.
    first: Vec<Difference>,
    more: usize,
}

impl Differences {
    pub(super) fn is_empty(&self) -> bool {
        self.first.is_empty()
    }

    /// Adds a difference, unless one of that path is there already.
    pub(super) fn add(&mut self, path: Cow<'_, str>, marks: impl FnOnce() -> Marks) {
        let is_full = self.first.len() == MAX_KEPT;
        // Most of many come behind the last one that is kept.
        if is_full && self.first.last().is_some_and(|last| *last.path < *path) {
            self.more += 1;
            return;
        }
        let Err(at) = self.first.binary_search_by(|kept| kept.path.as_str().cmp(&path)) else { return };
        if is_full {
            self.first.pop();
            self.more += 1;
        }
        self.first.insert(at, Difference { path: path.into_owned(), marks: marks() });
    }

    /// Adds all those of another part of the object.
    pub(super) fn extend(&mut self, others: Self) {
        self.more += others.more;
        if self.first.is_empty() {
            self.first = others.first;
            return;
        }
        for Difference { path, marks } in others.first {
            self.add(Cow::Owned(path), || marks);
        }
    }

    /// The violation at each of the fields: `json-patch` tells added, removed and replaced apart.
    pub(super) fn violations(self) -> Violations {
        let (mut old, mut new) = (Map::new(), Map::new());
        for (number, difference) in self.first.iter().enumerate() {
            let unshown = UNSHOWN.map(Some);
            let (before, after) = match &difference.marks {
                Marks::Values([before, after]) => (before, after),
                Marks::Order => (&unshown[0], &unshown[1]),
            };
            for (document, mark) in [(&mut old, before), (&mut new, after)] {
                if let Some(mark) = mark {
                    document.insert(number.to_string(), mark.clone());
                }
            }
        }
        let old = Value::Object(old);
        let mut details: Vec<Option<Detail>> = self.first.iter().map(|_| None).collect();
        for operation in json_patch::diff(&old, &Value::Object(new)).0 {
            let number = operation.path().first().and_then(|number| number.decoded().parse::<usize>().ok());
            if let Some(detail) = number.and_then(|number| details.get_mut(number)) {
                *detail = Some(what(&operation, &old));
            }
        }
        let violation = |(Difference { path, marks }, detail): (Difference, Option<Detail>)| Violation {
            path,
            detail: match marks {
                Marks::Order => Detail::Reordered,
                // The marks of a difference differ; if they did not, the field would be a violation all the same.
                Marks::Values(_) => detail.unwrap_or(Detail::Replaced(None)),
            },
        };
        Violations { first: self.first.into_iter().zip(details).map(violation).collect(), more: self.more }
    }
}

fn what(operation: &PatchOperation, old: &Value) -> Detail {
    match (operation, old.resolve(operation.path())) {
        (PatchOperation::Add(_), _) => Detail::Added,
        (PatchOperation::Remove(_), _) => Detail::Removed,
        (PatchOperation::Replace(replace), Ok(Value::String(before))) => match &replace.value {
            Value::String(after) => Detail::Replaced(Some((before.clone(), after.clone()))),
            _ => Detail::Replaced(None),
        },
        _ => Detail::Replaced(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(paths: impl IntoIterator<Item = String>) -> Violations {
        let mut differences = Differences::default();
        for path in paths {
            differences.add(Cow::Owned(path), Marks::unshown);
        }
        differences.violations()
    }

    #[test]
    fn keeps_the_first_and_counts_the_others() {
        const ALL: usize = 300;
        let path = |number: usize| format!("f{number:03}");
        for order in [(0..ALL).collect::<Vec<_>>(), (0..ALL).rev().collect(), (0..ALL).map(|n| n * 37 % ALL).collect()]
        {
            let violations = of(order.into_iter().map(path));
            let paths: Vec<_> = violations.first.iter().map(|violation| violation.path.clone()).collect();
            assert_eq!((paths, violations.more), ((0..MAX_KEPT).map(path).collect(), ALL - MAX_KEPT));
            assert_eq!(violations.len(), ALL);
        }
    }

    #[test]
    fn tells_a_path_once() {
        assert_eq!(of(["b", "a", "b", "a"].map(str::to_owned)).paths(), "a,b");
    }

    #[test]
    fn two_parts_together_are_as_one() {
        let part = |numbers: std::ops::Range<usize>| {
            let mut part = Differences::default();
            numbers.for_each(|number| part.add(Cow::Owned(format!("f{number:03}")), Marks::unshown));
            part
        };
        let mut both = part(100..200);
        both.extend(part(0..100));
        assert_eq!(both.violations(), part(0..200).violations());
    }

    #[test]
    fn json_patch_tells_what_happened() {
        let value = |text: &str| Some(Value::String(text.to_owned()));
        let mut differences = Differences::default();
        for (path, marks) in [
            ("added", Marks::Values([None, Some(Value::Null)])),
            ("order", Marks::Order),
            ("removed", Marks::Values([Some(Value::Null), None])),
            ("shown", Marks::Values([value("1"), value("2")])),
            ("unshown", Marks::unshown()),
        ] {
            differences.add(Cow::Borrowed(path), || marks);
        }
        let details: Vec<_> = differences.violations().first.into_iter().map(|violation| violation.detail).collect();
        let shown = Detail::Replaced(Some(("1".to_owned(), "2".to_owned())));
        assert_eq!(details, [Detail::Added, Detail::Reordered, Detail::Removed, shown, Detail::Replaced(None)]);
    }
}
