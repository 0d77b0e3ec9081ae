//! The decision, read from the contract a second time and written as plainly as possible: the properties hold the core
//! to it. Nothing here is shared with the core, and nothing is fast.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    amount,
    tree::{Noise, Tree},
};

/// Fields that the API server writes itself on ordinary updates.
const SERVER_MANAGED: [&[&str]; 4] = [
    &["metadata", "managedFields"],
    &["metadata", "generation"],
    &["metadata", "resourceVersion"],
    &["metadata", "selfLink"],
];

/// What anyone may change.
pub(crate) const MUTABLE: [&[&str]; 5] = [
    &["metadata", "labels"],
    &["metadata", "annotations"],
    &["spec", "activeDeadlineSeconds"],
    &["spec", "ttlSecondsAfterFinished"],
    &["spec", "cleanPodPolicy"],
];

/// Where the Go types hold a struct or a map by value, so that `{}` is written for nothing.
const BY_VALUE: [&[&str]; 7] = [
    &["metadata", "labels"],
    &["metadata", "annotations"],
    &["spec", "runPolicy"],
    &["spec", "*", "*", "template", "metadata"],
    &["spec", "*", "*", "template", "spec", "containers", "*", "resources"],
    &["spec", "*", "*", "template", "spec", "initContainers", "*", "resources"],
    &["spec", "*", "*", "template", "spec", "ephemeralContainers", "*", "resources"],
];

/// The accounts of Kubernetes' garbage collector.
pub(crate) const COLLECTORS: [&str; 2] =
    ["system:serviceaccount:kube-system:generic-garbage-collector", "system:kube-controller-manager"];

const FORBIDDEN: &str = "Forbidden: field is immutable";

/// Path to message, for every violation; none means allowed.
pub(crate) type Violations = BTreeMap<String, String>;

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Key(String),
    Index(usize),
    Name(String),
}

type Path = Vec<Step>;

/// Decides an update of a PyTorchJob (`subresource` empty), its scale or its status.
pub(crate) fn judge(old: &Tree, new: &Tree, user: &str, subresource: &str) -> Violations {
    let mut judge = Judge { mutable: MUTABLE.to_vec(), violations: Violations::new() };
    if COLLECTORS.contains(&user) {
        judge.mutable.push(&["metadata", "finalizers"]);
        judge.mutable.push(&["metadata", "ownerReferences"]);
    }
    if old.get(&["metadata", "deletionTimestamp"]).is_some_and(|time| *time != Tree::Null) {
        judge.mutable.push(&["metadata", "finalizers"]);
    }
    match subresource {
        "status" => {}
        "scale" => {
            judge.mutable.clear();
            judge.compare(&vec![Step::Key("spec".to_owned())], old.get(&["spec"]), new.get(&["spec"]));
        }
        _ => judge.compare(&Path::new(), Some(old), Some(new)),
    }
    judge.violations
}

struct Judge {
    mutable: Vec<&'static [&'static str]>,
    violations: Violations,
}

impl Judge {
    fn compare(&mut self, at: &Path, old: Option<&Tree>, new: Option<&Tree>) {
        if self.is_mutable(at) || is_server_managed(at) {
            return;
        }
        let old = old.filter(|tree| !is_absent(at, tree));
        let new = new.filter(|tree| !is_absent(at, tree));
        match (old, new) {
            (None, None) => {}
            (None, Some(new)) => self.whole(at, new, " (added)"),
            (Some(old), None) => self.whole(at, old, " (removed)"),
            (Some(Tree::Map(old)), Some(Tree::Map(new))) => {
                for key in old.keys().chain(new.keys()).collect::<BTreeSet<_>>() {
                    self.compare(&below(at, Step::Key(key.clone())), old.get(key), new.get(key));
                }
            }
            (Some(Tree::List(old)), Some(Tree::List(new))) => self.lists(at, old, new),
            (Some(old), Some(new)) if is_same_scalar(at, old, new) => {}
            (Some(old), Some(new)) => match (plain(old), plain(new)) {
                (Some(old), Some(new)) => self.forbid(at, &format!(" (was {old}, now {new})")),
                _ => self.forbid(at, ""),
            },
        }
    }

    /// A field that is on one side only: its root, or where something mutable lies below it, what else does.
    fn whole(&mut self, at: &Path, tree: &Tree, what: &str) {
        if self.is_mutable(at) {
            return;
        }
        if !self.has_mutable_below(at, tree) {
            return self.forbid(at, what);
        }
        let before = self.violations.len();
        for (step, member) in present_members(at, tree) {
            self.whole(&step, member, what);
        }
        // Everything in it may change, but the map itself came or went, and `{}` is not nothing here.
        if self.violations.len() == before && !is_absent(at, &Tree::empty_map()) {
            self.forbid(at, what);
        }
    }

    fn has_mutable_below(&self, at: &Path, tree: &Tree) -> bool {
        present_members(at, tree)
            .iter()
            .any(|(path, member)| self.is_mutable(path) || self.has_mutable_below(path, member))
    }

    fn lists(&mut self, at: &Path, old: &[Tree], new: &[Tree]) {
        if old.iter().chain(new).all(Tree::is_scalar) {
            let same = old.len() == new.len() && old.iter().zip(new).all(|(old, new)| is_same_scalar(at, old, new));
            if !same {
                self.forbid(at, "");
            }
        } else if let (Some(old_names), Some(new_names)) = (unique_names(old), unique_names(new)) {
            let find = |name: &String, names: &[String]| names.iter().position(|other| other == name);
            for name in old_names.iter().chain(&new_names).collect::<BTreeSet<_>>() {
                let old = find(name, &old_names).map(|index| &old[index]);
                let new = find(name, &new_names).map(|index| &new[index]);
                self.compare(&below(at, Step::Name(name.clone())), old, new);
            }
            let stayed_old: Vec<_> = old_names.iter().filter(|name| new_names.contains(name)).collect();
            let stayed_new: Vec<_> = new_names.iter().filter(|name| old_names.contains(name)).collect();
            if stayed_old != stayed_new {
                self.forbid(at, " (order changed)");
            }
        } else if old.len() == new.len() {
            for (index, (old, new)) in old.iter().zip(new).enumerate() {
                self.compare(&below(at, Step::Index(index)), Some(old), Some(new));
            }
        } else {
            self.forbid(at, "");
        }
    }

    fn is_mutable(&self, at: &Path) -> bool {
        self.mutable.iter().any(|mutable| at.len() >= mutable.len() && matches(&at[..mutable.len()], mutable))
    }

    fn forbid(&mut self, at: &Path, what: &str) {
        self.violations.insert(render(at), format!("{FORBIDDEN}{what}"));
    }
}

/// The members of a map that are really there: not null, not an empty list, not managed by the server.
fn present_members<'a>(at: &Path, tree: &'a Tree) -> Vec<(Path, &'a Tree)> {
    let Tree::Map(members) = tree else { return Vec::new() };
    members
        .iter()
        .map(|(key, member)| (below(at, Step::Key(key.clone())), member))
        .filter(|(path, member)| !is_absent(path, member))
        .filter(|(path, _)| !is_server_managed(path))
        .collect()
}

/// Whether a value equals an absent one.
fn is_absent(at: &Path, tree: &Tree) -> bool {
    match tree {
        Tree::Null => true,
        Tree::List(items) => items.is_empty(),
        Tree::Map(_) => BY_VALUE.iter().any(|place| matches(at, place)) && present_members(at, tree).is_empty(),
        _ => false,
    }
}

fn is_same_scalar(at: &Path, old: &Tree, new: &Tree) -> bool {
    if is_quantity(at)
        && let (Some(old), Some(new)) = (amount::quantity(old), amount::quantity(new))
    {
        return old == new;
    }
    match (old, new) {
        (Tree::Number(old), Tree::Number(new)) => amount::number(old) == amount::number(new),
        (old, new) => old.is_scalar() && old == new,
    }
}

fn is_quantity(at: &Path) -> bool {
    ["containers", "initContainers", "ephemeralContainers"].iter().any(|containers| {
        ["limits", "requests"]
            .iter()
            .any(|kind| matches(at, &["spec", "*", "*", "template", "spec", containers, "*", "resources", kind, "*"]))
    })
}

/// How a number or a boolean is shown; nothing else is.
fn plain(tree: &Tree) -> Option<String> {
    match tree {
        Tree::Bool(value) => Some(value.to_string()),
        Tree::Number(spelling) => Some(spelling.clone()),
        _ => None,
    }
}

/// The names of a list's elements, where each is a map and has its own.
fn unique_names(items: &[Tree]) -> Option<Vec<String>> {
    let names: Vec<String> = items
        .iter()
        .map(|item| match item.get(&["name"]) {
            Some(Tree::Text(name)) => Some(name.clone()),
            _ => None,
        })
        .collect::<Option<_>>()?;
    (names.iter().collect::<BTreeSet<_>>().len() == names.len()).then_some(names)
}

fn is_server_managed(at: &[Step]) -> bool {
    SERVER_MANAGED.iter().any(|managed| matches(at, managed))
}

fn below(at: &Path, step: Step) -> Path {
    at.iter().cloned().chain([step]).collect()
}

fn matches(at: &[Step], pattern: &[&str]) -> bool {
    let fits = |(step, token): (&Step, &&str)| *token == "*" || matches!(step, Step::Key(key) if key == token);
    at.len() == pattern.len() && at.iter().zip(pattern).all(fits)
}

fn render(at: &Path) -> String {
    let step = |step: &Step| match step {
        Step::Index(index) => format!("[{index}]"),
        Step::Name(name) => format!("[name={}]", quoted(name)),
        Step::Key(key) if is_identifier(key) => format!(".{key}"),
        Step::Key(key) => format!("[{key}]"),
    };
    let text: String = at.iter().map(step).collect();
    text.strip_prefix('.').unwrap_or(&text).to_owned()
}

/// In double quotes. (JSON's and Go's are the same but for control characters, which no name has.)
fn quoted(name: &str) -> String {
    Tree::text(name).to_json(&mut Noise::seeded(0))
}

fn is_identifier(key: &str) -> bool {
    key.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && key.chars().all(|character| character.is_ascii_alphanumeric() || "_-".contains(character))
}
