//! What changed between two objects.
//!
//! The objects are aligned first: two small documents are made that hold only what differs, with lists turned into
//! maps, so that an element that moved is not taken for one that changed. `json-patch` compares these, and each of its
//! operations is one change. Values of strings do not get into the documents at all.

use std::{borrow::Cow, collections::HashMap};

use json_patch::{PatchOperation, jsonptr::resolve::Resolve as _};
use serde_json::{Map, Value};

use super::{
    field::Token,
    json::{Json, Kind, MAX_DEPTH},
    policy::Rules,
};

/// The longest number that is shown; a longer one is no counter or limit of any Kubernetes type.
const MAX_NUMBER: usize = 32;

/// One change.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) path: Vec<Token<'static>>,
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

/// The changes from `old` to `new`, both at `path`, of all that is not server-managed.
pub(super) fn changes<'t>(
    old: Option<Json<'t>>,
    new: Option<Json<'t>>,
    path: Vec<Token<'t>>,
    rules: &Rules<'_>,
) -> Vec<Change> {
    let root = path.len();
    let above: Vec<Token<'static>> = path.iter().map(owned).collect();
    let mut aligner = Aligner { rules, path };
    let mut documents = Documents::default();
    aligner.pair(String::new(), old, new, &mut documents);
    debug_assert_eq!(aligner.path.len(), root, "what is pushed is popped");
    let (old, new) = (Value::Object(documents.old), Value::Object(documents.new));
    let operations = json_patch::diff(&old, &new).0;
    operations.into_iter().map(|operation| change(operation, &old, above.clone())).collect()
}

fn owned(token: &Token<'_>) -> Token<'static> {
    match token {
        Token::Key(key) => Token::Key(Cow::Owned(key.to_string())),
        Token::Named(name) => Token::Named(Cow::Owned(name.to_string())),
        Token::Index(index) => Token::Index(*index),
    }
}

/// What the documents say in place of values.
mod mark {
    use serde_json::Value;

    /// A value that is not shown, before and after: the two differ, and that is all there is to say.
    pub(super) const BEFORE: Value = Value::Bool(false);
    pub(super) const AFTER: Value = Value::Bool(true);
    /// An added or removed value with nothing below that the policy has rules for.
    pub(super) const LEAF: Value = Value::Null;
    /// A member of an aligned list that stands for the order of its elements.
    pub(super) const ORDER: &str = ">";
}

/// A token as a key of the documents. The first character tells what it was, so that no key of an object can pass for
/// an element of a list.
fn document_key(token: &Token<'_>) -> String {
    match token {
        Token::Key(key) => format!(".{key}"),
        Token::Named(name) => format!("={name}"),
        Token::Index(index) => format!("#{index}"),
    }
}

/// The token that a key of the documents was; none for the root and for the order of a list.
fn token(document_key: &str) -> Option<Token<'static>> {
    let mut rest = document_key.chars();
    match rest.next()? {
        '.' => Some(Token::Key(Cow::Owned(rest.as_str().to_owned()))),
        '=' => Some(Token::Named(Cow::Owned(rest.as_str().to_owned()))),
        '#' => rest.as_str().parse().ok().map(Token::Index),
        _ => None,
    }
}

fn change(operation: PatchOperation, old: &Value, mut path: Vec<Token<'static>>) -> Change {
    let mut reordered = false;
    for part in operation.path().tokens() {
        let part = part.decoded();
        reordered = part == mark::ORDER;
        path.extend(token(&part));
    }
    let before = old.resolve(operation.path()).ok();
    let what = match (operation, before) {
        _ if reordered => What::Reordered,
        (PatchOperation::Add(add), _) => What::Added(outline(add.value)),
        (PatchOperation::Remove(_), Some(before)) => What::Removed(outline(before.clone())),
        (PatchOperation::Replace(replace), Some(Value::String(before))) => match replace.value {
            Value::String(after) => What::Replaced(Some((before.clone(), after))),
            _ => What::Replaced(None),
        },
        _ => What::Replaced(None),
    };
    Change { path, what }
}

fn outline(value: Value) -> Outline {
    let Value::Object(members) = value else { return Outline::Leaf };
    let is_list = members.keys().next().is_some_and(|key| !key.starts_with('.'));
    let members = members.into_iter().filter_map(|(key, value)| Some((token(&key)?, outline(value)))).collect();
    if is_list { Outline::List(members) } else { Outline::Map(members) }
}

/// The two documents, or the members of a map in them.
#[derive(Default)]
struct Documents {
    old: Map<String, Value>,
    new: Map<String, Value>,
}

impl Documents {
    /// Both sides of a member. A key that comes twice is a change, whatever it holds.
    fn both(&mut self, key: String, old: Value, new: Value) {
        if self.old.contains_key(&key) || self.new.contains_key(&key) {
            self.old.insert(key.clone(), mark::BEFORE);
            self.new.insert(key, mark::AFTER);
        } else {
            self.old.insert(key.clone(), old);
            self.new.insert(key, new);
        }
    }

    fn one_side(side: &mut Map<String, Value>, other: &mut Map<String, Value>, key: String, value: Value) {
        if side.contains_key(&key) || other.contains_key(&key) {
            side.insert(key.clone(), mark::BEFORE);
            other.insert(key, mark::AFTER);
        } else {
            side.insert(key, value);
        }
    }

    /// Both sides of a member that holds members itself, if there is a difference in it.
    fn inner(&mut self, key: String, inner: Self) {
        if !inner.old.is_empty() || !inner.new.is_empty() {
            self.both(key, Value::Object(inner.old), Value::Object(inner.new));
        }
    }

    /// Both sides of a member whose values differ and are not shown.
    fn differ(&mut self, key: String) {
        self.both(key, mark::BEFORE, mark::AFTER);
    }
}

struct Aligner<'r, 't> {
    rules: &'r Rules<'r>,
    /// Where the values at hand stand.
    path: Vec<Token<'t>>,
}

impl<'t> Aligner<'_, 't> {
    /// Aligns what stands at `token` below the path.
    fn below(&mut self, token: Token<'t>, old: Option<Json<'t>>, new: Option<Json<'t>>, documents: &mut Documents) {
        if same_text(old, new) {
            return;
        }
        let key = document_key(&token);
        self.path.push(token);
        self.pair(key, old, new, documents);
        self.path.pop();
    }

    /// Aligns what stands at the path.
    fn pair(&mut self, key: String, old: Option<Json<'t>>, new: Option<Json<'t>>, documents: &mut Documents) {
        if same_text(old, new) || self.rules.server_managed(&self.path) {
            return;
        }
        let old = old.filter(|&value| !self.rules.equality.is_absent(value, &mut self.path));
        let new = new.filter(|&value| !self.rules.equality.is_absent(value, &mut self.path));
        let (old, new) = match (old, new) {
            (None, None) => return,
            (Some(old), None) => {
                let outline = self.outline(old);
                return Documents::one_side(&mut documents.old, &mut documents.new, key, outline);
            }
            (None, Some(new)) => {
                let outline = self.outline(new);
                return Documents::one_side(&mut documents.new, &mut documents.old, key, outline);
            }
            (Some(old), Some(new)) => (old, new),
        };
        match (old.kind(), new.kind()) {
            // A text that differs so deep down is not followed: it counts as changed.
            (Kind::Map | Kind::List, _) if self.path.len() >= MAX_DEPTH => documents.differ(key),
            (Kind::Map, Kind::Map) => {
                let mut inner = Documents::default();
                self.members(old, new, &mut inner);
                documents.inner(key, inner);
            }
            (Kind::List, Kind::List) => self.lists(key, old, new, documents),
            (one, other) if one.is_scalar() && other.is_scalar() => {
                if !self.rules.equality.same_scalar(old, new, &self.path) {
                    documents.both(key, shown(old, mark::BEFORE), shown(new, mark::AFTER));
                }
            }
            _ => documents.differ(key),
        }
    }

    /// Aligns the members of two maps: in step as long as the keys are the same, by key from there on.
    fn members(&mut self, old: Json<'t>, new: Json<'t>, documents: &mut Documents) {
        let (mut olds, mut news) = (old.members(), new.members());
        let (old, new) = loop {
            match (olds.next(), news.next()) {
                (Some((key, old)), Some((same, new))) if key.text() == same.text() => {
                    if old.text() != new.text() {
                        self.below(Token::Key(key.string()), Some(old), Some(new), documents);
                    }
                }
                ends => break ends,
            }
        };
        // Of a key that comes twice the last value counts, as it does for Go.
        let by_key = |(key, value): (Json<'t>, Json<'t>)| (key.string(), value);
        let olds: HashMap<_, _> = old.into_iter().chain(olds).map(by_key).collect();
        let mut news: HashMap<_, _> = new.into_iter().chain(news).map(by_key).collect();
        for (key, old) in olds {
            let new = news.remove(&key);
            self.below(Token::Key(key), Some(old), new, documents);
        }
        for (key, new) in news {
            self.below(Token::Key(key), None, Some(new), documents);
        }
    }

    fn lists(&mut self, key: String, old: Json<'t>, new: Json<'t>, documents: &mut Documents) {
        let (olds, news): (Vec<_>, Vec<_>) = (old.elements().collect(), new.elements().collect());
        let scalars = |list: &[Json<'t>]| list.iter().all(|element| element.kind().is_scalar());
        if scalars(&olds) && scalars(&news) {
            let same = |(old, new): (&Json<'t>, &Json<'t>)| self.rules.equality.same_scalar(*old, *new, &self.path);
            if olds.len() != news.len() || !olds.iter().zip(&news).all(same) {
                documents.differ(key);
            }
        } else if let (Some(old_names), Some(new_names)) = (names(&olds), names(&news)) {
            let mut inner = Documents::default();
            self.named(&olds, &old_names, &news, &new_names, &mut inner);
            documents.inner(key, inner);
        } else if olds.len() == news.len() {
            let mut inner = Documents::default();
            for (index, (old, new)) in olds.into_iter().zip(news).enumerate() {
                self.below(Token::Index(index), Some(old), Some(new), &mut inner);
            }
            documents.inner(key, inner);
        } else {
            documents.differ(key);
        }
    }

    /// Aligns two lists whose elements have names.
    fn named(
        &mut self,
        olds: &[Json<'t>],
        old_names: &[Cow<'t, str>],
        news: &[Json<'t>],
        new_names: &[Cow<'t, str>],
        documents: &mut Documents,
    ) {
        let mut places: HashMap<&str, usize> =
            old_names.iter().enumerate().map(|(place, name)| (name.as_ref(), place)).collect();
        let mut last_place = None;
        let mut in_order = true;
        for (name, new) in new_names.iter().zip(news) {
            let place = places.remove(name.as_ref());
            let token = Token::Named(name.clone());
            if let Some(place) = place {
                in_order &= last_place < Some(place);
                last_place = Some(place);
                self.below(token, Some(olds[place]), Some(*new), documents);
            } else {
                self.below(token, None, Some(*new), documents);
            }
        }
        for place in places.into_values() {
            self.below(Token::Named(old_names[place].clone()), Some(olds[place]), None, documents);
        }
        if !in_order {
            documents.differ(mark::ORDER.to_owned());
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
    let mut seen = std::collections::HashSet::with_capacity(names.len());
    names.iter().all(|name| seen.insert(name.as_ref())).then_some(names)
}
