//! Two lists: as a whole, by the names of their elements, or by index.

use std::mem;

use super::{
    Comparison, Place,
    table::{Side, Table},
};
use crate::{
    admission::{
        json::{Json, Kind},
        violations::Marks,
    },
    field::Step,
};

impl Comparison {
    /// Compares two lists.
    ///
    /// Lists of scalars are one field. Elements that all have a name of their own, before and after, are aligned by it;
    /// others by index, if there are as many as before. A list counts as a whole where a rule speaks of elements in a way
    /// in which they are not aligned: a rule that holds only for a list that is written as it should be is a way around it.
    pub(super) fn lists(&mut self, place: &Place<'_>, old: Json<'_>, new: Json<'_>) {
        let (olds, news) = (Shape::of(old), Shape::of(new));
        if olds.are_scalars && news.are_scalars {
            let of = place.of.element();
            let is_same = |(old, new): (Json<'_>, Json<'_>)| self.equality.is_same(old, new, of);
            if olds.len != news.len || !old.elements().zip(new.elements()).all(is_same) {
                self.whole(place, Marks::unshown);
            }
            return;
        }
        if olds.have_names && olds.len == news.len && is_in_step(old, new) {
            // Short, and each where it was: there is nothing to look up.
            for (position, (old, new)) in old.elements().zip(new.elements()).enumerate() {
                if old.text() == new.text() {
                    continue;
                }
                if let Some(name) = name(old).map(Json::string) {
                    self.below(place, Step::Named { name: &name, position: Some(position) }, Some(old), Some(new));
                }
            }
        } else if olds.have_names
            && news.have_names
            && let Some(names) = names([old, new], olds.len)
        {
            if place.rules.positions().any(|position| !is_same_element(old, new, position)) {
                self.whole(place, Marks::unshown);
            } else {
                self.by_name(place, old, new, &names);
            }
        } else if olds.len != news.len {
            self.whole(place, Marks::unshown);
        } else if place.rules.names_elements() {
            let around = mem::take(&mut self.found);
            let strict = Place { rules: place.rules.without_fields(), ..*place };
            self.by_index(&strict, old, new);
            let found = mem::replace(&mut self.found, around);
            if !found.is_empty() {
                self.whole(place, Marks::unshown);
            }
        } else {
            self.by_index(place, old, new);
        }
    }

    fn by_index(&mut self, place: &Place<'_>, old: Json<'_>, new: Json<'_>) {
        for (index, (old, new)) in old.elements().zip(new.elements()).enumerate() {
            self.below(place, Step::Index(index), Some(old), Some(new));
        }
    }

    fn by_name<'t>(
        &mut self,
        place: &Place<'_>,
        old: Json<'t>,
        new: Json<'t>,
        names: &Table<impl Fn(Side, usize) -> Option<Json<'t>>>,
    ) {
        let (mut last, mut is_reordered) = (None, false);
        // The rows begin with the old elements, in their order. Where a rule speaks of a position, both lists have the same
        // element there.
        for (position, [old_start, new_start]) in names.starts().enumerate() {
            let stayed = old_start.and(new_start);
            is_reordered |= stayed.is_some() && last > stayed;
            last = stayed.or(last);
            let old = old_start.and_then(|start| old.element_at(start));
            let new = new_start.and_then(|start| new.element_at(start));
            let Some(name) = old.or(new).and_then(name).map(Json::string) else { continue };
            self.below(place, Step::Named { name: &name, position: stayed.map(|_| position) }, old, new);
        }
        if is_reordered {
            self.whole(place, || Marks::Order);
        }
    }
}

/// The length of a short list, whose names are compared each with each other.
const SHORT: usize = 4;

/// True if two short lists have the same names in the same order, and none twice.
fn is_in_step(old: Json<'_>, new: Json<'_>) -> bool {
    let mut before: [Option<Json<'_>>; SHORT] = [None; SHORT];
    let mut free = before.iter_mut();
    for (old, new) in old.elements().zip(new.elements()) {
        let (Some(place), Some(old), Some(new)) = (free.next(), name(old), name(new)) else { return false };
        if old.text() != new.text() {
            return false;
        }
        *place = Some(old);
    }
    let names = || before.iter().flatten();
    names().enumerate().all(|(at, name)| names().skip(at + 1).all(|other| name.string() != other.string()))
}

/// True if the element at that position has the same name in both lists, or if neither has one there.
fn is_same_element(old: Json<'_>, new: Json<'_>, position: usize) -> bool {
    let [old, new] = [old, new].map(|list| list.elements().nth(position).and_then(name));
    match (old, new) {
        (Some(old), Some(new)) => old.string() == new.string(),
        (old, new) => old.is_none() && new.is_none(),
    }
}

/// The kind of a list.
pub(super) struct Shape {
    len: usize,
    are_scalars: bool,
    /// True if each element is a map with a string `name`.
    have_names: bool,
}

impl Shape {
    fn of(list: Json<'_>) -> Self {
        let mut shape = Self { len: 0, are_scalars: true, have_names: true };
        for element in list.elements() {
            shape.len += 1;
            shape.are_scalars &= element.kind().is_scalar();
            shape.have_names = shape.have_names && name(element).is_some();
        }
        shape
    }
}

/// The name of an element, where it is a map that has one.
pub(super) fn name(element: Json<'_>) -> Option<Json<'_>> {
    element.get("name").filter(|name| name.kind() == Kind::String)
}

/// The elements of two lists by their names. None where an element has no name of its own.
fn names<'t>(lists: [Json<'t>; 2], len: usize) -> Option<Table<impl Fn(Side, usize) -> Option<Json<'t>>>> {
    let mut names = Table::with_capacity(len, move |side, start| lists[side as usize].element_at(start).and_then(name));
    for side in [Side::Old, Side::New] {
        for element in lists[side as usize].elements() {
            if !names.insert(side, &name(element)?.string(), element.position()) {
                return None;
            }
        }
    }
    Some(names)
}

/// True if each element of the list has a name of its own.
pub(super) fn has_names(list: Json<'_>) -> bool {
    let shape = Shape::of(list);
    let mut names = Table::with_capacity(shape.len, |_, start| list.element_at(start).and_then(name));
    let is_its_own =
        |element| name(element).is_some_and(|it| names.insert(Side::Old, &it.string(), element.position()));
    shape.have_names && list.elements().all(is_its_own)
}
