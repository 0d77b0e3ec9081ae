//! "Nothing changed but what may change", as a CEL expression.
//!
//! The expression may be false where the guard would allow the update: then the API server asks. It must not be true
//! where the guard would deny. CEL's `==` is stricter than the guard's equality (`null`, `{}`, quantities), so what it
//! takes for equal is; and what the expression cannot take apart (a list, an element by its name) it compares whole.
//!
//! Maps that are walked key by key are bounded first: a walk costs by the key, and costs that exceed the API server's
//! limits reject the update. To compare two maps whole costs next to nothing, whatever is in them.

mod names;

use std::collections::BTreeSet;

pub(super) use names::{Names, names};

use super::cel::{Expression, member, optional_member, strings};
use crate::{
    field::{Pattern, Step, Type},
    policy::{Effect, Equality, Precedence, Resource},
};

/// The changes that are allowed at a field and below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Freedom {
    /// All of them.
    Free,
    /// None.
    Fixed,
    /// Some.
    Mixed,
}

/// A place in the object, and the rules that reach it.
#[derive(Debug, Clone)]
struct Place<'p> {
    path: Vec<Token<'p>>,
    rules: Precedence<'p>,
    equality: Equality,
    resources: &'p [Resource],
    /// The most keys of a map that is walked.
    bound: u64,
}

/// A step on the way to a place.
#[derive(Debug, Clone, Copy)]
enum Token<'p> {
    Key(&'p str),
    /// Any key that no rule names.
    Other,
}

impl<'p> Token<'p> {
    fn key(self) -> &'p [u8] {
        match self {
            Self::Key(key) => key.as_bytes(),
            // No policy names a key with a control character.
            Self::Other => b"\0",
        }
    }
}

/// Of a map whose values are walked in turn only this part of the bound: they are as good as multiplied.
const NESTED: u64 = 16;

/// The rules for one comparison.
#[derive(Debug)]
pub(super) struct Same<'p> {
    root: Place<'p>,
}

impl<'p> Same<'p> {
    pub(super) fn new(
        mutable: impl IntoIterator<Item = &'p Pattern>,
        immutable: &'p [Pattern],
        server_managed: &'p [Pattern],
        equality: Equality,
        resources: &'p [Resource],
        bound: u64,
    ) -> Self {
        let rules = Precedence::new(
            mutable
                .into_iter()
                .map(|field| (field, Effect::Mutable))
                .chain(immutable.iter().map(|field| (field, Effect::Immutable)))
                .chain(server_managed.iter().map(|field| (field, Effect::ServerManaged))),
        );
        Self { root: Place { path: Vec::new(), rules, equality, resources, bound } }
    }

    /// That `object` is `oldObject` but for what may change. False where they have too many keys to tell.
    pub(super) fn object(&self) -> Expression {
        self.root.same_members("oldObject", "object")
    }

    /// The same, but where they have too many keys at the top to tell, the unknown ones among these count by number alone:
    /// or no finalizer of such a job could be removed.
    pub(super) fn object_of_any_width(&self) -> Expression {
        let root = &self.root;
        let [old, new] = ["oldObject", "object"];
        let walk = Expression::all(root.walk(old, new));
        let is_named = |key: &str| root.named_keys().iter().any(|(named, _)| *named == key);
        let known = ["spec", "status"].into_iter().filter(|key| !is_named(key));
        let wide = [
            Expression::plain(format!("size({new}) > {}", root.most_keys())),
            Expression::plain(format!("size({new}) == size({old})")),
        ];
        let wide = Expression::all(wide.into_iter().chain(known.map(|key| same_whole(old, new, key))));
        Expression::all(std::iter::once(Expression::any([walk, wide])).chain(root.same_named(old, new)))
    }

    /// That a map has too many keys to tell, as far as there is no `*` above it.
    pub(super) fn too_large(&self) -> Expression {
        self.root.has_too_many_keys("oldObject", "object")
    }

    /// The same for their `spec` alone: of a `Scale` nothing else is ever written.
    pub(super) fn spec(&self) -> Expression {
        self.root.named("spec").same_member("oldObject", "object", "spec")
    }

    /// The most keys of a map that is walked.
    pub(super) fn bound(&self) -> u64 {
        self.root.bound
    }

    /// The most keys of a map whose values are walked in turn; none if there is no such map.
    pub(super) fn nested_bound(&self) -> Option<u64> {
        self.root.walks_values().then_some(self.root.bound / NESTED)
    }
}

impl<'p> Place<'p> {
    /// The place of that key.
    fn named(&self, key: &'p str) -> Self {
        self.child(Token::Key(key))
    }

    /// The place of any key that no rule names.
    fn other(&self) -> Self {
        self.child(Token::Other)
    }

    fn child(&self, token: Token<'p>) -> Self {
        let rules = self.rules.below(Step::Key(token.key()));
        let mut path = self.path.clone();
        path.push(token);
        Self { path, rules, ..*self }
    }

    fn freedom(&self) -> Freedom {
        match self.rules.effect() {
            Effect::Mutable if self.rules.fixes_below() => Freedom::Mixed,
            Effect::Mutable | Effect::ServerManaged => Freedom::Free,
            Effect::Immutable if self.rules.frees_below() => Freedom::Mixed,
            Effect::Immutable => Freedom::Fixed,
        }
    }

    /// True if an empty map here equals an absent one, whatever is then put into it.
    fn is_absent_when_empty(&self) -> bool {
        let is_so = |resource: &Resource| {
            let root = Type::of(&resource.group, &resource.resource, "");
            let follow = |path: &[Token<'_>]| path.iter().fold(root, |of, token| of.member(token.key(), || false));
            let above = self.path.split_last().map_or(&[][..], |(_, above)| above);
            // That an object has a spec counts, and that a map has a key.
            !above.is_empty()
                && !follow(above).is_map()
                && self.equality.is_absent_when_empty(follow(&self.path), false)
        };
        self.rules.effect() == Effect::Mutable || self.resources.iter().all(is_so)
    }

    /// The keys that rules name, sorted, with their places, but for those that fare like all others.
    fn named_keys(&self) -> Vec<(&'p str, Self)> {
        let keys: BTreeSet<&str> = self.rules.keys().collect();
        let others = self.other().freedom();
        keys.into_iter()
            .map(|key| (key, self.named(key)))
            .filter(|(_, place)| others == Freedom::Mixed || place.freedom() != others)
            .collect()
    }

    /// That two maps are the same but for what may change.
    fn same_members(&self, old: &str, new: &str) -> Expression {
        Expression::all(self.walk(old, new).into_iter().chain(self.same_named(old, new)))
    }

    /// That two maps are the same but for the keys that rules name.
    fn walk(&self, old: &str, new: &str) -> Vec<Expression> {
        let other = self.other();
        if other.freedom() == Freedom::Free {
            return Vec::new();
        }
        let most = self.most_keys();
        let key = self.variable();
        let is_named = is_one_of(&key, self.named_keys().iter().map(|(key, _)| *key));
        let equal = Expression::plain(format!("{new}[?{key}] == {old}[?{key}]"));
        let same = (other.freedom() == Freedom::Mixed).then(|| other.same_value(old, new, &key));
        let each_key = |map: &str, either: Vec<Option<Expression>>| {
            let body = Box::new(Expression::any(either.into_iter().flatten()));
            Expression::EachKey { map: map.to_owned(), key: key.clone(), most, body }
        };
        vec![
            Expression::plain(format!("size({new}) <= {most}")),
            Expression::plain(format!("size({old}) <= {most}")),
            each_key(new, vec![is_named.clone(), Some(equal), same]),
            each_key(old, vec![is_named, Some(Expression::plain(format!("{key} in {new}")))]),
        ]
    }

    /// That the old map has this key of the new one too, and that both values are maps, the same but for what may change.
    fn same_value(&self, old: &str, new: &str, key: &str) -> Expression {
        let in_old = Expression::plain(format!("{key} in {old}"));
        let [old, new] = [old, new].map(|map| format!("{map}[{key}]"));
        Expression::all([in_old, is_map(&new), is_map(&old), self.same_members(&old, &new)])
    }

    /// That the members that rules name are the same but for what may change.
    fn same_named(&self, old: &str, new: &str) -> Vec<Expression> {
        self.named_keys().iter().map(|(key, place)| place.same_member(old, new, key)).collect()
    }

    /// The most keys of a map here, where it is walked.
    fn most_keys(&self) -> u64 {
        if self.other().freedom() == Freedom::Mixed { self.bound / NESTED } else { self.bound }
    }

    /// True if the values of a map here or below are walked.
    fn walks_values(&self) -> bool {
        let is_walked = |place: &Self| place.freedom() == Freedom::Mixed;
        is_walked(&self.other()) || self.named_keys().iter().any(|(_, place)| is_walked(place) && place.walks_values())
    }

    /// That this map is walked and has too many keys for it, or one below it that rules name.
    fn has_too_many_keys(&self, old: &str, new: &str) -> Expression {
        let own = (self.other().freedom() != Freedom::Free).then(|| self.most_keys());
        let own = own.into_iter().flat_map(|most| [new, old].map(|map| format!("size({map}) > {most}")));
        let below = self.named_keys().into_iter().filter(|(_, place)| place.freedom() == Freedom::Mixed);
        let below = below.map(|(key, place)| {
            let inner = place.has_too_many_keys(&member(old, key), &member(new, key));
            if place.is_metadata() {
                return inner;
            }
            let differ = Expression::plain(format!("{} != {}", optional_member(new, key), optional_member(old, key)));
            let maps = [new, old].map(|map| is_map(&format!("{}.orValue(null)", optional_member(map, key))));
            Expression::all(std::iter::once(differ).chain(maps).chain([inner]))
        });
        Expression::any(own.map(Expression::plain).chain(below))
    }

    /// That the member of two maps at this place is the same but for what may change.
    fn same_member(&self, old: &str, new: &str, key: &str) -> Expression {
        let equal = same_whole(old, new, key);
        match self.freedom() {
            Freedom::Free => return Expression::all([]),
            Freedom::Fixed => return equal,
            Freedom::Mixed if self.is_metadata() => return self.same_members(&member(old, key), &member(new, key)),
            Freedom::Mixed => {}
        }
        let ([old, new], are_maps) = self.maps(old, new, key);
        let same = self.same_members(&old, &new);
        Expression::any([equal, Expression::all(are_maps.into_iter().chain([same]))])
    }

    /// The member of two maps at this place, and that it is a map in both.
    fn maps(&self, old: &str, new: &str, key: &str) -> ([String; 2], [Expression; 2]) {
        let absent = if self.is_absent_when_empty() { "{}" } else { "null" };
        let maps = [old, new].map(|map| format!("{}.orValue({absent})", optional_member(map, key)));
        let [is_old, is_new] = [0, 1].map(|at: usize| is_map(&maps[at]));
        let members = [old, new].map(|map| member(map, key));
        (if self.is_absent_when_empty() { maps } else { members }, [is_new, is_old])
    }

    /// The API server itself sees to it that every object has metadata, and that it is a map.
    fn is_metadata(&self) -> bool {
        matches!(&self.path[..], [Token::Key("metadata")])
    }

    /// A name for the keys of this place, other than those further up.
    fn variable(&self) -> String {
        match self.path.iter().filter(|token| matches!(token, Token::Other)).count() {
            0 => "k".to_owned(),
            above => format!("k{}", above + 1),
        }
    }
}

/// That the member of two maps is the same.
fn same_whole(old: &str, new: &str, key: &str) -> Expression {
    Expression::plain(format!("{} == {}", optional_member(new, key), optional_member(old, key)))
}

fn is_map(value: &str) -> Expression {
    Expression::plain(format!("type({value}) == map"))
}

fn is_one_of<'t>(key: &str, keys: impl Iterator<Item = &'t str>) -> Option<Expression> {
    let keys: Vec<_> = keys.collect();
    (!keys.is_empty()).then(|| Expression::plain(format!("{key} in {}", strings(keys))))
}
