//! Random edits of a tree: what people, controllers and mischief do to an object.

use proptest::{collection::vec, prelude::*, sample::Index, sample::select};

use crate::{jobs, tree::Tree};

/// Keys that mean something somewhere, so that added and renamed fields hit the interesting places.
const KEYS: [&str; 20] = [
    "labels",
    "annotations",
    "creationTimestamp",
    "metadata",
    "resources",
    "limits",
    "runPolicy",
    "managedFields",
    "generation",
    "finalizers",
    "ownerReferences",
    "deletionTimestamp",
    "ttlSecondsAfterFinished",
    "cleanPodPolicy",
    "spec",
    "template",
    "name",
    "cpu",
    "example.com/owner",
    "extra",
];

/// The change to the field that an edit picks.
#[derive(Debug, Clone)]
enum Action {
    Replace(Tree),
    Remove,
    /// Adds a member to a map, an element to a list.
    Add(&'static str, Tree),
    RenameKey(&'static str),
    Name(&'static str),
    Reverse,
    Rotate,
    SwapEnds,
    Repeat,
    WrapInList,
    WrapInMap,
    /// Spells a number or a quantity in another way.
    Respell,
    /// Lengthens a string or a number, so that the old one is a prefix of the new one.
    Lengthen(char),
    /// Moves a copy of another subtree here.
    Copy(Index),
}

/// One edit: where, and what.
#[derive(Debug, Clone)]
pub struct Edit {
    place: Index,
    /// Only places near the root: there are few of them, and they matter.
    shallow: bool,
    action: Action,
}

/// One to four edits, mostly one.
pub fn edits() -> BoxedStrategy<Vec<Edit>> {
    prop_oneof![4 => vec(edit(), 1), 3 => vec(edit(), 2..5)].boxed()
}

fn edit() -> BoxedStrategy<Edit> {
    let scalar = prop_oneof![jobs::secret(), jobs::number(), jobs::empty(), jobs::quantity()];
    let value = prop_oneof![3 => scalar.clone(), 1 => jobs::anything()];
    let action = prop_oneof![
        6 => value.clone().prop_map(Action::Replace),
        2 => any::<bool>().prop_map(|value| Action::Replace(Tree::Bool(value))),
        5 => Just(Action::Remove),
        5 => (select(&KEYS[..]), value).prop_map(|(key, value)| Action::Add(key, value)),
        2 => select(&KEYS[..]).prop_map(Action::RenameKey),
        2 => select(vec!["a", "b", "main", "q\"uote"]).prop_map(Action::Name),
        2 => Just(Action::Reverse),
        1 => Just(Action::Rotate),
        1 => Just(Action::SwapEnds),
        2 => Just(Action::Repeat),
        1 => Just(Action::WrapInList),
        1 => Just(Action::WrapInMap),
        4 => Just(Action::Respell),
        2 => select(vec!['0', 'm', '"', '\\', '}', ',']).prop_map(Action::Lengthen),
        1 => any::<Index>().prop_map(Action::Copy),
    ];
    (any::<Index>(), prop::bool::weighted(0.3), action)
        .prop_map(|(place, shallow, action)| Edit { place, shallow, action })
        .boxed()
}

impl Edit {
    /// Does it to a tree, never to its root; an edit that does not fit its place does nothing.
    pub fn apply(&self, tree: &mut Tree) {
        let mut places = places(tree);
        if self.shallow {
            places.retain(|place| place.len() <= 3);
        }
        if places.is_empty() {
            return;
        }
        let place = self.place.get(&places).clone();
        match &self.action {
            Action::Remove => remove(tree, &place),
            Action::RenameKey(key) => {
                if let Some(Tree::Map(members)) = at(tree, &place[..place.len() - 1])
                    && let Some(member) = members.remove(&place[place.len() - 1])
                {
                    members.insert((*key).to_owned(), member);
                }
            }
            Action::Copy(from) => {
                let from: &Vec<String> = from.get(&places);
                let copied = at(tree, from).cloned();
                if let (Some(target), Some(copied)) = (at(tree, &place), copied) {
                    *target = copied;
                }
            }
            action => {
                if let Some(target) = at(tree, &place) {
                    change(target, action);
                }
            }
        }
    }
}

fn change(target: &mut Tree, action: &Action) {
    match (action, target) {
        (Action::Replace(value), target) => *target = value.clone(),
        (Action::Add(key, value), Tree::Map(members)) => drop(members.insert((*key).to_owned(), value.clone())),
        (Action::Add(_, value), Tree::List(items)) => items.insert(items.len() / 2, value.clone()),
        (Action::Name(name), Tree::Map(members)) => drop(members.insert("name".to_owned(), Tree::text(name))),
        (Action::Reverse, Tree::List(items)) => items.reverse(),
        (Action::Rotate, Tree::List(items)) if !items.is_empty() => items.rotate_left(1),
        (Action::SwapEnds, Tree::List(items)) if !items.is_empty() => {
            let last = items.len() - 1;
            items.swap(0, last);
        }
        (Action::Repeat, Tree::List(items)) => items.extend(items.first().cloned()),
        (Action::WrapInList, target) => *target = Tree::List(vec![target.clone()]),
        (Action::WrapInMap, target) => *target = Tree::map([("name", target.clone())]),
        (Action::Respell, Tree::Number(spelling)) => respell(spelling),
        (Action::Respell, Tree::Text(text)) => {
            if let Some(same) = [("Gi", 1024, "Mi"), ("k", 1000, ""), ("", 1000, "m"), ("T", 1000, "G")]
                .into_iter()
                .find_map(|(suffix, factor, smaller)| {
                    let amount: u64 = text.strip_suffix(suffix)?.parse().ok()?;
                    Some(format!("{}{smaller}", amount.checked_mul(factor)?))
                })
            {
                *text = same;
            }
        }
        (Action::Lengthen(character), Tree::Text(text)) => text.push(*character),
        (Action::Lengthen(_), Tree::Number(spelling)) => {
            spelling.push_str(if ["0", "-0"].contains(&spelling.as_str()) { ".01" } else { "0" });
        }
        _ => {}
    }
}

/// The same number in other words.
fn respell(spelling: &mut String) {
    if spelling.contains(['e', 'E']) {
        *spelling = spelling.replace('e', "E").replace("E+", "E");
    } else if spelling.contains('.') {
        spelling.push('0');
    } else {
        spelling.push_str(".0");
    }
}

/// The places in a tree, but for its root, as keys and indices.
pub fn places(tree: &Tree) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    find_places(tree, &mut Vec::new(), &mut found);
    found
}

fn find_places(tree: &Tree, above: &mut Vec<String>, found: &mut Vec<Vec<String>>) {
    let mut member = |step: String, member: &Tree| {
        above.push(step);
        found.push(above.clone());
        find_places(member, above, found);
        above.pop();
    };
    match tree {
        Tree::Map(members) => members.iter().for_each(|(key, value)| member(key.clone(), value)),
        Tree::List(items) => items.iter().enumerate().for_each(|(index, item)| member(index.to_string(), item)),
        _ => {}
    }
}

/// The value at a place.
pub fn at<'a>(tree: &'a mut Tree, place: &[String]) -> Option<&'a mut Tree> {
    let Some((first, rest)) = place.split_first() else { return Some(tree) };
    match tree {
        Tree::Map(members) => at(members.get_mut(first)?, rest),
        Tree::List(items) => at(items.get_mut(first.parse::<usize>().ok()?)?, rest),
        _ => None,
    }
}

/// Takes away the member or element at a place.
pub fn remove(tree: &mut Tree, place: &[String]) {
    let Some((last, parent)) = place.split_last() else { return };
    match at(tree, parent) {
        Some(Tree::Map(members)) => drop(members.remove(last)),
        Some(Tree::List(items)) => drop(items.remove(last.parse().expect("an index"))),
        _ => {}
    }
}
