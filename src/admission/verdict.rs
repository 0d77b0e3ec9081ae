//! Which changes are violations: the changes, held against the rules.

use std::fmt::Write as _;

use super::{
    changes::{Change, Outline, What},
    field::{FieldPath, Token},
    policy::{Rules, Standing},
    text::{cut, joined},
};

/// The longest path that is told, in bytes. Kubernetes' own, label keys included, are shorter; one with keys that a
/// stranger made up need not be.
const MAX_PATH: usize = 512;

/// A change that the policy does not allow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The smallest changed field.
    pub path: String,
    /// What happened to it.
    pub(super) detail: Detail,
}

/// What happened to a field, as far as it may be told: a string's value never.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Detail {
    Added,
    Removed,
    /// Numbers and booleans are told.
    Replaced(Option<(String, String)>),
    Reordered,
}

/// The most that a list of all paths takes, in bytes. (The API server's limit for an audit annotation is 10 KiB.)
const MAX_PATHS: usize = 1024;

/// The violations' paths on one line, separated by commas: what audit annotations and log lines say of them.
pub(super) fn paths(violations: &[Violation]) -> String {
    joined(violations.iter().map(|violation| violation.path.as_str()), ",", MAX_PATHS)
}

/// The violations among the changes, sorted by path, each once.
pub(super) fn violations(changes: Vec<Change<'_>>, rules: &Rules<'_>) -> Vec<Violation> {
    let mut judge = Judge { rules, violations: Vec::new() };
    for Change { mut path, what } in changes {
        match what {
            What::Added(outline) => judge.subtree(&mut path, &outline, &Detail::Added),
            What::Removed(outline) => judge.subtree(&mut path, &outline, &Detail::Removed),
            What::Replaced(values) => judge.whole(&path, Detail::Replaced(values)),
            What::Reordered => judge.whole(&path, Detail::Reordered),
        }
    }
    let mut violations = judge.violations;
    violations.sort_by(|one, other| one.path.cmp(&other.path));
    violations.dedup_by(|one, other| one.path == other.path);
    violations
}

/// What holds of an added or removed subtree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Subtree {
    /// All of it may change.
    Allowed,
    /// None of it may: its root says so for all.
    Forbidden,
    /// Some of it may not, and is among the violations.
    Mixed,
}

struct Judge<'r> {
    rules: &'r Rules<'r>,
    violations: Vec<Violation>,
}

impl Judge<'_> {
    fn violation(&mut self, path: &[Token<'_>], detail: Detail) {
        // Room for what is usual; writing to a string does not fail.
        let mut told = String::with_capacity(128);
        let _ = write!(told, "{}", FieldPath(path));
        if told.len() > MAX_PATH {
            told = cut(&told, MAX_PATH);
        }
        self.violations.push(Violation { path: told, detail });
    }

    /// A change that cannot be taken apart. Where it could touch a field that may not change, it may not be made.
    fn whole(&mut self, path: &[Token<'_>], detail: Detail) {
        if self.rules.standing(path) == Standing::Immutable || self.rules.fixed_below(path) {
            self.violation(path, detail);
        }
    }

    fn subtree(&mut self, path: &mut Vec<Token<'_>>, outline: &Outline, detail: &Detail) {
        if self.judge(path, outline, detail) == Subtree::Forbidden {
            self.violation(path, detail.clone());
        }
    }

    /// Judges a subtree leaf by leaf. Its violations are kept only where it is mixed.
    fn judge(&mut self, path: &mut Vec<Token<'_>>, outline: &Outline, detail: &Detail) -> Subtree {
        let own = match self.rules.standing(path) {
            Standing::Mutable => Subtree::Allowed,
            Standing::Immutable => Subtree::Forbidden,
        };
        let (members, is_list) = match outline {
            Outline::Leaf => return own,
            Outline::Map(members) => (members, false),
            Outline::List(members) => (members, true),
        };
        if members.is_empty() {
            // All that it held is server-managed: as good as none where an empty one is.
            return if self.rules.equality.is_absent_when_empty(path, is_list) { Subtree::Allowed } else { own };
        }
        let before = self.violations.len();
        let (mut allowed, mut forbidden) = (true, true);
        for (token, outline) in members {
            path.push(token.clone());
            let member = self.judge(path, outline, detail);
            if member == Subtree::Forbidden {
                self.violation(path, detail.clone());
            }
            path.pop();
            allowed &= member == Subtree::Allowed;
            forbidden &= member == Subtree::Forbidden;
        }
        match own {
            _ if allowed && (own == Subtree::Allowed || self.rules.equality.is_absent_when_empty(path, is_list)) => {
                Subtree::Allowed
            }
            // Whether there is a map at all is a field of its own where an empty one is not an absent one.
            Subtree::Forbidden if allowed || forbidden => {
                self.violations.truncate(before);
                Subtree::Forbidden
            }
            _ => Subtree::Mixed,
        }
    }
}
