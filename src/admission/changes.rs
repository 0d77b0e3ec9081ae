//! What changed between two objects.
//!
//! The objects are aligned first: element with element of a list that has names, value with value where they are equal
//! but for their spelling. What differs then goes into two small documents, one member for each place, and `json-patch`
//! finds the changes between these. Values of strings do not get into the documents at all.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
};

use json_patch::{PatchOperation, jsonptr::resolve::Resolve as _};
use serde_json::{Map, Value};

use super::{
    field::Token,
    json::{Json, Kind, MAX_DEPTH},
    policy::Rules,
};

/// The longest number that is shown; a longer one is no counter or limit of any Kubernetes type.
const MAX_NUMBER: usize = 32;

/// How many elements make a list short.
const SHORT: usize = 8;

/// One change.
#[derive(Debug)]
pub(super) struct Change<'t> {
    pub(super) path: Vec<Token<'t>>,
    pub(super) what: What,
}

/// What happened to a field.
#[derive(Debug)]
pub(super) enum What {
    Added(Outline),
    Removed(Outline),
    /// Another value; both, where they are numbers or booleans.
    Replaced(Option<(String, String)>),
    /// The elements of a list that stayed stand in another order.
    Reordered,
}

/// What an added or removed value holds, as deep as the policy has something to say about it.
#[derive(Debug)]
pub(super) enum Outline {
    Leaf,
    /// A map's members.
    Map(Vec<(Token<'static>, Outline)>),
    /// A list's elements.
    List(Vec<(Token<'static>, Outline)>),
}

/// The changes from `old` to `new`, both at `path`, but for those in fields that may change freely.
pub(super) fn changes<'t>(
    old: Option<Json<'t>>,
    new: Option<Json<'t>>,
    path: Vec<Token<'t>>,
    rules: &Rules<'_>,
) -> Vec<Change<'t>> {
    let mut aligner = Aligner { rules, path, places: Vec::new(), old: Map::new(), new: Map::new() };
    aligner.pair(old, new);
    let Aligner { mut places, old, new, .. } = aligner;
    if places.is_empty() {
        return Vec::new();
    }
    let old = Value::Object(old);
    let operations = json_patch::diff(&old, &Value::Object(new)).0;
    operations.into_iter().filter_map(|operation| change(operation, &old, &mut places)).collect()
}

/// A place where the objects differ. Its number is its key in both documents.
struct Place<'t> {
    path: Vec<Token<'t>>,
    /// What differs is the order of a list's elements.
    order: bool,
}

/// What the documents say in place of values.
mod mark {
    use serde_json::Value;

    /// A value that is not shown, before and after: the two differ, and that is all there is to say.
    pub(super) const BEFORE: Value = Value::Bool(false);
    pub(super) const AFTER: Value = Value::Bool(true);
    /// An added or removed value with nothing below that the policy has rules for.
    pub(super) const LEAF: Value = Value::Null;
}

fn change<'t>(operation: PatchOperation, old: &Value, places: &mut [Place<'t>]) -> Option<Change<'t>> {
    let number = operation.path().first()?.decoded().parse::<usize>().ok()?;
    let Place { path, order } = places.get_mut(number)?;
    let before = old.resolve(operation.path()).ok();
    let what = match (operation, before) {
        _ if *order => What::Reordered,
        (PatchOperation::Add(add), _) => What::Added(outline(add.value)),
        (PatchOperation::Remove(_), Some(before)) => What::Removed(outline(before.clone())),
        (PatchOperation::Replace(replace), Some(Value::String(before))) => match replace.value {
            Value::String(after) => What::Replaced(Some((before.clone(), after))),
            _ => What::Replaced(None),
        },
        _ => What::Replaced(None),
    };
    Some(Change { path: std::mem::take(path), what })
}

/// An outline as it is in the documents. The first character of a key tells what it was, so that no key of an object
/// can pass for an element of a list.
fn outline(value: Value) -> Outline {
    let Value::Object(members) = value else { return Outline::Leaf };
    let is_list = members.keys().next().is_some_and(|key| !key.starts_with('.'));
    let members = members.into_iter().filter_map(|(key, value)| Some((token(&key)?, outline(value)))).collect();
    if is_list { Outline::List(members) } else { Outline::Map(members) }
}

fn document_key(token: &Token<'_>) -> String {
    match token {
        Token::Key(key) => format!(".{key}"),
        Token::Named(name) => format!("={name}"),
        Token::Index(index) => format!("#{index}"),
    }
}

fn token(document_key: &str) -> Option<Token<'static>> {
    let mut rest = document_key.chars();
    match rest.next()? {
        '.' => Some(Token::Key(Cow::Owned(rest.as_str().to_owned()))),
        '=' => Some(Token::Named(Cow::Owned(rest.as_str().to_owned()))),
        _ => rest.as_str().parse().ok().map(Token::Index),
    }
}

struct Aligner<'r, 't> {
    rules: &'r Rules<'r>,
    /// Where the values at hand stand.
    path: Vec<Token<'t>>,
    places: Vec<Place<'t>>,
    /// The documents.
    old: Map<String, Value>,
    new: Map<String, Value>,
}

impl<'t> Aligner<'_, 't> {
    /// What the path's place holds, in either document.
    fn differ(&mut self, old: Option<Value>, new: Option<Value>) {
        let number = self.places.len().to_string();
        self.places.push(Place { path: self.path.clone(), order: false });
        if let Some(old) = old {
            self.old.insert(number.clone(), old);
        }
        if let Some(new) = new {
            self.new.insert(number, new);
        }
    }

    /// The values at the path differ, and are not shown.
    fn differ_unshown(&mut self) {
        self.differ(Some(mark::BEFORE), Some(mark::AFTER));
    }

    /// Aligns what stands at `token` below the path.
    fn below(&mut self, token: Token<'t>, old: Option<Json<'t>>, new: Option<Json<'t>>) {
        self.path.push(token);
        self.pair(old, new);
        self.path.pop();
    }

    fn in_step(&mut self, token: Token<'t>, old: Json<'t>, new: Json<'t>) {
        if old.text() != new.text() {
            self.below(token, Some(old), Some(new));
        }
    }

    /// Aligns what stands at the path.
    fn pair(&mut self, old: Option<Json<'t>>, new: Option<Json<'t>>) {
        if same_text(old, new) || self.rules.free(&self.path) {
            return;
        }
        let old = old.filter(|&value| !self.rules.equality.is_absent(value, &mut self.path));
        let new = new.filter(|&value| !self.rules.equality.is_absent(value, &mut self.path));
        let (old, new) = match (old, new) {
            (Some(old), Some(new)) => (old, new),
            (None, None) => return,
            (old, new) => {
                let (old, new) = (old.map(|old| self.outline(old)), new.map(|new| self.outline(new)));
                return self.differ(old, new);
            }
        };
        match (old.kind(), new.kind()) {
            // A text that differs so deep down is not followed: it counts as changed.
            (Kind::Map | Kind::List, _) if self.path.len() >= MAX_DEPTH => self.differ_unshown(),
            (Kind::Map, Kind::Map) => self.members(old, new),
            (Kind::List, Kind::List) => self.lists(old, new),
            (one, other) if one.is_scalar() && other.is_scalar() => {
                if !self.rules.equality.same_scalar(old, new, &self.path) {
                    self.differ(Some(shown(old, mark::BEFORE)), Some(shown(new, mark::AFTER)));
                }
            }
            _ => self.differ_unshown(),
        }
    }

    /// Aligns the members of two maps: in step as long as the keys are the same, by key from there on.
    fn members(&mut self, old: Json<'t>, new: Json<'t>) {
        let (mut olds, mut news) = (old.members(), new.members());
        let mut in_step = 0;
        let (next_old, next_new) = loop {
            match (olds.next(), news.next()) {
                (Some((key, old)), Some((same, new))) if key.text() == same.text() => {
                    in_step += 1;
                    if old.text() != new.text() {
                        self.below(Token::Key(key.string()), Some(old), Some(new));
                    }
                }
                ends => break ends,
            }
        };
        // Of a key that comes twice the last value counts, as it does for Go...
        let by_key = |(key, value): (Json<'t>, Json<'t>)| (key.string(), value);
        let olds: HashMap<_, _> = next_old.into_iter().chain(olds).map(by_key).collect();
        let mut news: HashMap<_, _> = next_new.into_iter().chain(news).map(by_key).collect();
        if olds.is_empty() && news.is_empty() {
            return;
        }
        // ...so that even a null may undo what was in step. A key on one side only that comes again is a change.
        let seen: HashSet<_> = old.members().take(in_step).map(|(key, _)| key.string()).collect();
        for key in olds.keys().chain(news.keys()).filter(|&key| seen.contains(key)) {
            self.path.push(Token::Key(key.clone()));
            self.differ_unshown();
            self.path.pop();
        }
        for (key, old) in olds {
            let new = news.remove(&key);
            if !same_text(Some(old), new) {
                self.below(Token::Key(key), Some(old), new);
            }
        }
        for (key, new) in news {
            self.below(Token::Key(key), None, Some(new));
        }
    }

    fn lists(&mut self, old: Json<'t>, new: Json<'t>) {
        let (olds, news): (Vec<_>, Vec<_>) = (old.elements().collect(), new.elements().collect());
        let scalars = |list: &[Json<'t>]| list.iter().all(|element| element.kind().is_scalar());
        if scalars(&olds) && scalars(&news) {
            let same = |(old, new): (&Json<'t>, &Json<'t>)| self.rules.equality.same_scalar(*old, *new, &self.path);
            if olds.len() != news.len() || !olds.iter().zip(&news).all(same) {
                self.differ_unshown();
            }
        } else if let (Some(old_names), Some(new_names)) = (names(&olds), names(&news)) {
            if old_names == new_names {
                for (name, (old, new)) in new_names.into_iter().zip(olds.into_iter().zip(news)) {
                    self.in_step(Token::Named(name), old, new);
                }
            } else {
                self.named(&olds, &old_names, &news, new_names);
            }
        } else if olds.len() == news.len() {
            for (index, (old, new)) in olds.into_iter().zip(news).enumerate() {
                self.in_step(Token::Index(index), old, new);
            }
        } else {
            self.differ_unshown();
        }
    }

    /// Aligns two lists whose elements have names.
    fn named(
        &mut self,
        olds: &[Json<'t>],
        old_names: &[Cow<'t, str>],
        news: &[Json<'t>],
        new_names: Vec<Cow<'t, str>>,
    ) {
        let mut places: HashMap<&str, usize> =
            old_names.iter().enumerate().map(|(place, name)| (name.as_ref(), place)).collect();
        let mut last_place = None;
        let mut in_order = true;
        for (name, new) in new_names.into_iter().zip(news) {
            let place = places.remove(name.as_ref());
            in_order &= place.is_none() || last_place < place;
            last_place = place.or(last_place);
            let old = place.map(|place| olds[place]);
            if !same_text(old, Some(*new)) {
                self.below(Token::Named(name), old, Some(*new));
            }
        }
        for place in places.into_values() {
            self.below(Token::Named(old_names[place].clone()), Some(olds[place]), None);
        }
        if !in_order {
            self.differ_unshown();
            self.places.last_mut().into_iter().for_each(|place| place.order = true);
        }
    }

    /// What an added or removed value holds, as deep as a rule reaches.
    fn outline(&mut self, value: Json<'t>) -> Value {
        if value.kind().is_scalar() || !self.rules.reach_below(&self.path) {
            return mark::LEAF;
        }
        let mut members = Map::new();
        let mut member = |aligner: &mut Self, token: Token<'t>, value: Json<'t>| {
            let key = document_key(&token);
            aligner.path.push(token);
            let absent = aligner.rules.equality.is_absent(value, &mut aligner.path);
            if !absent && !aligner.rules.server_managed(&aligner.path) {
                members.insert(key, aligner.outline(value));
            }
            aligner.path.pop();
        };
        if value.kind() == Kind::Map {
            for (key, value) in value.members() {
                member(self, Token::Key(key.string()), value);
            }
        } else {
            let elements: Vec<_> = value.elements().collect();
            let names = names(&elements);
            for (index, value) in elements.into_iter().enumerate() {
                let name = names.as_ref().map(|names| names[index].clone());
                member(self, name.map_or(Token::Index(index), Token::Named), value);
            }
        }
        Value::Object(members)
    }
}

fn same_text(old: Option<Json<'_>>, new: Option<Json<'_>>) -> bool {
    matches!((old, new), (Some(old), Some(new)) if old.text() == new.text())
}

/// A number or a boolean as it is written; `hidden` in place of all else.
fn shown(value: Json<'_>, hidden: Value) -> Value {
    match value.kind() {
        Kind::Number | Kind::Bool if value.text().len() <= MAX_NUMBER => Value::String(value.string().into_owned()),
        _ => hidden,
    }
}

/// The elements' names, where each element is a map with a string `name` that no other has.
fn names<'t>(elements: &[Json<'t>]) -> Option<Vec<Cow<'t, str>>> {
    let names = elements.iter().map(|element| {
        let name = element.get("name")?;
        (name.kind() == Kind::String).then(|| name.string())
    });
    let names = names.collect::<Option<Vec<_>>>()?;
    // Looking back beats hashing in the short lists that most are.
    let mut earlier = HashSet::with_capacity(if names.len() > SHORT { names.len() } else { 0 });
    let unique = names.iter().enumerate().all(|(place, name)| {
        if names.len() > SHORT { earlier.insert(name.as_ref()) } else { !names[..place].contains(name) }
    });
    unique.then_some(names)
}
