//! "Nothing changed but what may change", as a CEL expression.
//!
//! The expression may be false where the guard would allow the update: then the API server asks. It must not be true
//! where the guard would deny. CEL's `==` is stricter than the guard's equality (`null`, `{}`, quantities), so what it
//! takes for equal is; and what the expression cannot take apart (a list, an element by its name) it compares whole.

use std::collections::BTreeSet;

use super::cel::{Expression, member, optional_member, strings};
use crate::admission::{Equality, Pattern, PatternToken, Token};

/// What a rule says of a field and all that is below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Standing {
    Mutable,
    Immutable,
    /// No part of the comparison, whatever other rules say.
    ServerManaged,
}

/// Whether changes at a field and below it are allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Freedom {
    /// All of them.
    Free,
    /// None.
    Fixed,
    /// Some.
    Mixed,
}

/// A rule, as it looks from some place on the way to its field.
#[derive(Debug, Clone, Copy)]
struct Rule<'p> {
    /// What is left of its path. Empty: it covers the place.
    rest: &'p [PatternToken],
    /// The most specific rule wins, between equals the immutable one: the order of these two.
    weight: ((usize, usize), Standing),
}

/// A place in the object, and the rules that reach it.
#[derive(Debug, Clone)]
struct Place<'p> {
    path: Vec<Token<'p>>,
    rules: Vec<Rule<'p>>,
    equality: Equality,
}

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
    ) -> Self {
        let rule = |standing| {
            move |pattern: &'p Pattern| Rule { rest: pattern.tokens(), weight: (pattern.specificity(), standing) }
        };
        let rules = mutable
            .into_iter()
            .map(rule(Standing::Mutable))
            .chain(immutable.iter().map(rule(Standing::Immutable)))
            .chain(server_managed.iter().map(rule(Standing::ServerManaged)))
            .collect();
        Self { root: Place { path: Vec::new(), rules, equality } }
    }

    /// That `object` is `oldObject` but for what may change.
    pub(super) fn object(&self) -> Expression {
        self.root.same_members("oldObject", "object")
    }

    /// The same for their `spec` alone: of a `Scale` nothing else is ever written.
    pub(super) fn spec(&self) -> Expression {
        self.root.named("spec").same_member("oldObject", "object", "spec")
    }
}

impl<'p> Place<'p> {
    /// The place of that key.
    fn named(&self, key: &'p str) -> Self {
        self.child(Token::Key(key.into()), |token| matches!(token, PatternToken::Key(named) if named == key))
    }

    /// The place of any key that no rule names.
    fn other(&self) -> Self {
        // An index: no rule and no place that is special names it, but by `*`.
        self.child(Token::Index(usize::MAX), |_| false)
    }

    fn child(&self, token: Token<'p>, is_named: impl Fn(&PatternToken) -> bool) -> Self {
        let rules = self.rules.iter().filter_map(|rule| match rule.rest.split_first() {
            Some((first, rest)) if *first == PatternToken::Any || is_named(first) => Some(Rule { rest, ..*rule }),
            Some(_) => None,
            None => Some(*rule),
        });
        let mut path = self.path.clone();
        path.push(token);
        Self { path, rules: rules.collect(), equality: self.equality }
    }

    fn standing(&self) -> Standing {
        let covering = || self.rules.iter().filter(|rule| rule.rest.is_empty()).map(|rule| rule.weight);
        if covering().any(|(_, standing)| standing == Standing::ServerManaged) {
            return Standing::ServerManaged;
        }
        covering().max().map_or(Standing::Immutable, |(_, standing)| standing)
    }

    fn freedom(&self) -> Freedom {
        let some_below =
            |differ: fn(Standing) -> bool| self.rules.iter().any(|rule| !rule.rest.is_empty() && differ(rule.weight.1));
        match self.standing() {
            Standing::Mutable if some_below(|standing| standing == Standing::Immutable) => Freedom::Mixed,
            Standing::Mutable | Standing::ServerManaged => Freedom::Free,
            Standing::Immutable if some_below(|standing| standing != Standing::Immutable) => Freedom::Mixed,
            Standing::Immutable => Freedom::Fixed,
        }
    }

    /// Whether a map here that has nothing in it is as good as none, whatever then is put into it.
    fn is_absent_when_empty(&self) -> bool {
        self.standing() == Standing::Mutable || self.equality.is_absent_when_empty(&self.path, false)
    }

    /// The keys that rules name, sorted, with their places, but for those that fare like all others.
    fn named_keys(&self) -> Vec<(&'p str, Self)> {
        let keys: BTreeSet<&str> = self
            .rules
            .iter()
            .filter_map(|rule| match rule.rest.first() {
                Some(PatternToken::Key(key)) => Some(key.as_str()),
                _ => None,
            })
            .collect();
        let others = self.other().freedom();
        keys.into_iter()
            .map(|key| (key, self.named(key)))
            .filter(|(_, place)| others == Freedom::Mixed || place.freedom() != others)
            .collect()
    }

    /// That two maps are the same but for what may change.
    fn same_members(&self, old: &str, new: &str) -> Expression {
        let named = self.named_keys();
        let other = self.other();
        let mut parts = Vec::new();
        if other.freedom() != Freedom::Free {
            let key = self.variable();
            let is_named = is_one_of(&key, named.iter().map(|(key, _)| *key));
            let equal = Expression::plain(format!("{new}[?{key}] == {old}[?{key}]"));
            let same = (other.freedom() == Freedom::Mixed).then(|| {
                let in_old = Expression::plain(format!("{key} in {old}"));
                let [old, new] = [old, new].map(|map| format!("{map}[{key}]"));
                Expression::all([in_old, is_map(&new), is_map(&old), other.same_members(&old, &new)])
            });
            parts.push(each_key(new, &key, [is_named.clone(), Some(equal), same]));
            parts.push(each_key(old, &key, [is_named, Some(Expression::plain(format!("{key} in {new}")))]));
        }
        parts.extend(named.iter().map(|(key, place)| place.same_member(old, new, key)));
        Expression::all(parts)
    }

    /// That the member of two maps at this place is the same but for what may change.
    fn same_member(&self, old: &str, new: &str, key: &str) -> Expression {
        let [maybe_old, maybe_new] = [old, new].map(|map| optional_member(map, key));
        let equal = Expression::plain(format!("{maybe_new} == {maybe_old}"));
        match self.freedom() {
            Freedom::Free => return Expression::all([]),
            Freedom::Fixed => return equal,
            Freedom::Mixed if self.is_metadata() => return self.same_members(&member(old, key), &member(new, key)),
            Freedom::Mixed => {}
        }
        let absent = if self.is_absent_when_empty() { "{}" } else { "null" };
        let maps = [maybe_new, maybe_old].map(|value| format!("{value}.orValue({absent})"));
        let [new, old] =
            if self.is_absent_when_empty() { maps.clone() } else { [new, old].map(|map| member(map, key)) };
        let same = self.same_members(&old, &new);
        Expression::any([equal, Expression::all(maps.iter().map(|map| is_map(map)).chain([same]))])
    }

    /// The API server itself sees to it that every object has metadata, and that it is a map.
    fn is_metadata(&self) -> bool {
        matches!(&self.path[..], [Token::Key(key)] if key == "metadata")
    }

    /// A name for the keys of this place, other than those further up.
    fn variable(&self) -> String {
        match self.path.iter().filter(|token| matches!(token, Token::Index(_))).count() {
            0 => "k".to_owned(),
            above => format!("k{}", above + 1),
        }
    }
}

fn is_map(value: &str) -> Expression {
    Expression::plain(format!("type({value}) == map"))
}

fn is_one_of<'t>(key: &str, keys: impl Iterator<Item = &'t str>) -> Option<Expression> {
    let keys: Vec<_> = keys.collect();
    (!keys.is_empty()).then(|| Expression::plain(format!("{key} in {}", strings(keys))))
}

fn each_key(map: &str, key: &str, either: impl IntoIterator<Item = Option<Expression>>) -> Expression {
    let body = Box::new(Expression::any(either.into_iter().flatten()));
    Expression::EachKey { map: map.to_owned(), key: key.to_owned(), body }
}
