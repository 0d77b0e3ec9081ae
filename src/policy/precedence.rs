//! The rule of a policy that decides about a field: the most specific one, and between equals the immutable one.
//!
//! The rules are followed from an object's root downward, one step at a time: at each place only those are left that
//! can still say something there or further down.

use crate::field::{Pattern, PatternToken, Step};

/// The effect of a rule on a field and on everything below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Effect {
    Mutable,
    Immutable,
    /// The field is no part of the comparison, whatever other rules say.
    ServerManaged,
}

/// The rank of a rule: its specificity, then its effect. The greatest decides.
type Weight = ((usize, usize), Effect);

/// A rule for some field below the place at hand.
#[derive(Debug, Clone, Copy)]
struct Rule<'p> {
    /// The rest of its path, from that place on; never empty.
    rest: &'p [PatternToken],
    weight: Weight,
}

/// The rules of a policy as they look from one place in an object.
#[derive(Debug, Clone)]
pub(crate) struct Precedence<'p> {
    is_server_managed: bool,
    /// The greatest weight among the rules for this place, or for one above it.
    decides: Option<Weight>,
    below: Vec<Rule<'p>>,
}

impl<'p> Precedence<'p> {
    /// The rules as they look from an object's root.
    pub(crate) fn new(rules: impl IntoIterator<Item = (&'p Pattern, Effect)>) -> Self {
        let rule = |(field, effect): (&'p Pattern, Effect)| Rule {
            rest: field.tokens(),
            weight: (field.specificity(), effect),
        };
        Self { is_server_managed: false, decides: None, below: rules.into_iter().map(rule).collect() }
    }

    /// The rules as they look from one step further down.
    pub(crate) fn below(&self, step: Step<'_>) -> Self {
        let mut place = Self { below: Vec::new(), ..*self };
        for rule in &self.below {
            match rule.rest {
                [first, rest @ ..] if step.is_matched_by(first) => {
                    if rest.is_empty() {
                        place.is_server_managed |= rule.weight.1 == Effect::ServerManaged;
                        place.decides = place.decides.max(Some(rule.weight));
                    } else {
                        place.below.push(Rule { rest, ..*rule });
                    }
                }
                _ => {}
            }
        }
        place
    }

    /// The rules as they look from a field below a map.
    pub(super) fn at(&self, keys: &[&str]) -> Self {
        keys.iter().fold(self.clone(), |rules, key| rules.below(Step::Key(key.as_bytes())))
    }

    /// The effect of the rules on the place itself.
    pub(crate) fn effect(&self) -> Effect {
        match self.decides {
            _ if self.is_server_managed => Effect::ServerManaged,
            Some((_, effect)) => effect,
            None => Effect::Immutable,
        }
    }

    /// True if every change at the place and below it is allowed, or is no part of the comparison.
    pub(crate) fn is_free(&self) -> bool {
        match self.effect() {
            Effect::ServerManaged => true,
            Effect::Mutable => !self.fixes_below(),
            Effect::Immutable => false,
        }
    }

    /// True if a rule speaks of a field below the place.
    pub(crate) fn reaches_below(&self) -> bool {
        !self.below.is_empty()
    }

    /// True if a rule forbids to change some field below the place.
    pub(crate) fn fixes_below(&self) -> bool {
        self.below.iter().any(|rule| rule.weight.1 == Effect::Immutable)
    }

    /// True if a rule allows to change some field below the place, or leaves it out of the comparison.
    pub(crate) fn frees_below(&self) -> bool {
        self.below.iter().any(|rule| rule.weight.1 != Effect::Immutable)
    }

    /// The keys of the map at the place of which a rule speaks by name.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &'p str> {
        self.below.iter().filter_map(|rule| match rule.rest.first() {
            Some(PatternToken::Key(key)) => Some(key.as_str()),
            _ => None,
        })
    }

    /// True if a rule below the place, which holds a list, allows or forbids a change of an element by its name.
    pub(crate) fn names_elements(&self) -> bool {
        let names = |rule: &Rule<'_>| matches!(rule.rest.first(), Some(PatternToken::Named(_)));
        self.below.iter().any(|rule| rule.weight.1 != Effect::ServerManaged && names(rule))
    }

    /// The positions by which rules speak of elements of the list at the place.
    pub(crate) fn positions(&self) -> impl Iterator<Item = usize> {
        self.below.iter().filter_map(|rule| match rule.rest.first() {
            Some(PatternToken::Key(position)) => position.parse().ok(),
            _ => None,
        })
    }

    /// The same place under a policy by which nothing may change but what is no part of the comparison.
    pub(crate) fn without_fields(&self) -> Self {
        let is_server_managed = |rule: &&Rule<'p>| rule.weight.1 == Effect::ServerManaged;
        Self { decides: None, below: self.below.iter().filter(is_server_managed).copied().collect(), ..*self }
    }
}
