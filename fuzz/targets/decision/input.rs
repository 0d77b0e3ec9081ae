//! An input of the target, and how it is mutated.

use std::str;

use model::{
    edits, jobs,
    reference::{COLLECTORS, Policy},
    review::Review,
    sketch::sketch,
    tree::{Noise, Tree},
};
use proptest::{
    prelude::*,
    sample::select,
    strategy::ValueTree as _,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use pytorchjob_guard_fuzz::nesting;

use crate::policies;

/// No object that means anything is nested this deep, and the reference is recursive.
const DEEPEST: usize = 40;
/// The users whom policies know, and others.
const USERS: [&str; 4] = ["alice", "bob", COLLECTORS[0], COLLECTORS[1]];

/// An update, and the policy that it is under.
#[derive(Debug, Clone)]
pub(crate) struct Input {
    /// None: the default.
    policy: Option<Policy>,
    pub(crate) user: String,
    pub(crate) subresource: &'static str,
    pub(crate) old: Tree,
    pub(crate) new: Tree,
}

impl Input {
    /// Reads an input that the guard and the reference must agree on.
    pub(crate) fn read(text: &str) -> Option<Self> {
        if nesting(text.as_bytes()) > DEEPEST {
            return None;
        }
        let tree = Tree::read(text).ok()?;
        let object = |key| tree.get(&[key]).filter(|object| matches!(object, Tree::Map(_))).cloned();
        let word = |key| match tree.get(&[key]) {
            Some(Tree::Text(word)) => word.as_str(),
            _ => "",
        };
        let policy = match tree.get(&["policy"]) {
            None => None,
            Some(policy) => Some(policies::read(policy)?),
        };
        let subresource = ["", "scale", "status"].into_iter().find(|known| *known == word("subresource"))?;
        let (old, new) = (object("old")?, object("new")?);
        let is_plain = has_plain_names(&old) && has_plain_names(&new);
        is_plain.then(|| Self { policy, user: word("user").to_owned(), subresource, old, new })
    }

    fn write(&self) -> String {
        let Self { policy, user, subresource, old, new } = self;
        let policy = policy.as_ref().map(|policy| ("policy", policies::write(policy)));
        let rest = [
            ("user", Tree::text(user)),
            ("subresource", Tree::text(subresource)),
            ("old", old.clone()),
            ("new", new.clone()),
        ];
        Tree::map(policy.into_iter().chain(rest)).to_json(&mut Noise::seeded(0))
    }

    pub(crate) fn policy(&self) -> Policy {
        self.policy.clone().unwrap_or_else(Policy::cci)
    }

    pub(crate) fn review(&self) -> Review {
        let Self { user, subresource, old, new, .. } = self.clone();
        Review { user, subresource, ..Review::update(old, new) }
    }

    /// An input that is much like the one in the bytes.
    pub(crate) fn mutated(bytes: &[u8], seed: u32) -> Option<String> {
        let mut input = Self::read(str::from_utf8(bytes).ok()?)?;
        let mut seeds = [0; 32];
        seeds[..4].copy_from_slice(&seed.to_le_bytes());
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seeds);
        input.mutate(&mut TestRunner::new_with_rng(Config::default(), rng));
        Some(input.write())
    }

    fn mutate(&mut self, runner: &mut TestRunner) {
        match made(runner, 0..24_u8) {
            0..8 => edit(&mut self.new, runner),
            8..11 => edit(&mut self.old, runner),
            11 => self.new = self.old.clone(),
            12 => self.old = self.new.clone(),
            13 => std::mem::swap(&mut self.old, &mut self.new),
            14 => made(runner, select(&USERS[..])).clone_into(&mut self.user),
            15 => self.subresource = made(runner, select(vec!["", "", "scale", "status"])),
            16 => self.old = made(runner, prop_oneof![3 => jobs::job(), 1 => jobs::scale()]),
            17 => self.policy = None,
            18..22 => self.policy = Some(made(runner, sketch()).policy([&self.old, &self.new])),
            _ => {
                // The same in both.
                let edits = made(runner, edits::edits());
                edits.iter().for_each(|edit| edit.apply(&mut self.old));
                edits.iter().for_each(|edit| edit.apply(&mut self.new));
            }
        }
    }
}

fn made<S: Strategy>(runner: &mut TestRunner, of: S) -> S::Value {
    of.new_tree(runner).expect("no strategy here rejects anything").current()
}

fn edit(tree: &mut Tree, runner: &mut TestRunner) {
    made(runner, edits::edits()).iter().for_each(|edit| edit.apply(tree));
}

/// True if every `name` is one that the reference can quote: it does not know Go's escapes.
fn has_plain_names(tree: &Tree) -> bool {
    match tree {
        Tree::List(items) => items.iter().all(has_plain_names),
        Tree::Map(members) => members.iter().all(|(key, member)| match member {
            Tree::Text(name) if key == "name" => name.chars().all(|c| c.is_ascii_graphic() || c.is_alphanumeric()),
            member => has_plain_names(member),
        }),
        _ => true,
    }
}
