//! The decision, read from its rules (`docs/decision.md`) a second time and written as plainly as possible: the properties hold the core
//! to it. Nothing here is shared with the core, and nothing is fast.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    amount,
    tree::{Noise, Tree},
};

use self::policy::Rules;
pub use self::policy::{Exemption, Field, Part, Policy, Request, When, keys};

mod policy;
mod types;

/// The fields that anyone may change.
pub const MUTABLE: [&[&str]; 5] = [
    &["metadata", "labels"],
    &["metadata", "annotations"],
    &["spec", "activeDeadlineSeconds"],
    &["spec", "ttlSecondsAfterFinished"],
    &["spec", "cleanPodPolicy"],
];

/// The accounts of Kubernetes' garbage collector.
pub const COLLECTORS: [&str; 2] =
    ["system:serviceaccount:kube-system:generic-garbage-collector", "system:kube-controller-manager"];

const FORBIDDEN: &str = "Forbidden: field is immutable";

/// Path to message, for every violation; none means allowed.
pub type Violations = BTreeMap<String, String>;

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Key(String),
    Index(usize),
    /// An element of a list whose elements have names, and its place, if it is the same before and after.
    Element(String, Option<usize>),
}

type Path = Vec<Step>;

/// Decides an update of a PyTorchJob (`subresource` empty), its scale or its status, under the default policy.
pub fn judge(old: &Tree, new: &Tree, user: &str, subresource: &str) -> Violations {
    let request = Request { user, groups: &["system:authenticated"], subresource };
    judge_under(&Policy::cci(), &request, old, new)
}

/// Decides an update of a PyTorchJob, its scale or its status.
pub fn judge_under(policy: &Policy, request: &Request<'_>, old: &Tree, new: &Tree) -> Violations {
    let mut judge = Judge {
        rules: policy.rules(request, old, new),
        is_scale: request.subresource == "scale",
        violations: Violations::new(),
    };
    match request.subresource {
        "status" => {}
        "scale" => judge.compare(&vec![Step::Key("spec".to_owned())], old.get(&["spec"]), new.get(&["spec"])),
        _ => judge.compare(&Path::new(), Some(old), Some(new)),
    }
    judge.violations
}

struct Judge {
    rules: Rules,
    is_scale: bool,
    violations: Violations,
}

/// The violations of a value that is on one side only.
enum Fate {
    Allowed,
    /// As a whole: its root says so.
    Forbidden,
    /// Only these parts of it.
    Partly(Vec<Path>),
}

impl Judge {
    fn compare(&mut self, at: &Path, old: Option<&Tree>, new: Option<&Tree>) {
        if self.rules.is_server_managed(at) || self.rules.is_free(at) {
            return;
        }
        let written = (old, new);
        let old = old.filter(|tree| !self.is_absent(at, tree));
        let new = new.filter(|tree| !self.is_absent(at, tree));
        // Two scalars are told as they are written, and the object's own parts member by member, where one equals nothing.
        let is_scalar = |tree: &Tree| tree.is_scalar() && *tree != Tree::Null;
        let is_part = |tree: &Tree| at.len() == 1 && matches!(tree, Tree::Map(_));
        let (old, new) = match (old, new, written) {
            (None, None, _) => (None, None),
            (_, _, (Some(one), Some(other)))
                if (is_scalar(one) && is_scalar(other)) || (is_part(one) && is_part(other)) =>
            {
                (Some(one), Some(other))
            }
            (old, new, _) => (old, new),
        };
        match (old, new) {
            (None, None) => {}
            (None, Some(new)) => self.one_sided(at, new, " (added)"),
            (Some(old), None) => self.one_sided(at, old, " (removed)"),
            (Some(Tree::Map(old)), Some(Tree::Map(new))) => {
                for key in old.keys().chain(new.keys()).collect::<BTreeSet<_>>() {
                    self.compare(&below(at, Step::Key(key.clone())), old.get(key), new.get(key));
                }
            }
            (Some(Tree::List(old)), Some(Tree::List(new))) => self.lists(at, old, new),
            (Some(old), Some(new)) if self.is_same_scalar(at, old, new) => {}
            // An element or a key that is null decodes into the same as a zero.
            (Some(old), Some(new)) if self.are_zero(at, old, new) => {}
            (Some(old), Some(new)) => match (plain(old), plain(new)) {
                (Some(old), Some(new)) => self.forbid(at, &format!(" (was {old}, now {new})")),
                _ => self.forbid(at, ""),
            },
        }
    }

    fn lists(&mut self, at: &Path, old: &[Tree], new: &[Tree]) {
        if old.iter().chain(new).all(Tree::is_scalar) {
            let same =
                old.len() == new.len() && old.iter().zip(new).all(|(old, new)| self.is_same_element(at, old, new));
            if !same {
                self.forbid(at, "");
            }
        } else if let (Some(old_names), Some(new_names)) = (unique_names(old), unique_names(new)) {
            // A field speaks of a place at which another element stands now: by name there is no telling what changed.
            if self.rules.places_in(at).into_iter().any(|place| old_names.get(place) != new_names.get(place)) {
                return self.forbid(at, "");
            }
            let find = |name: &String, names: &[String]| names.iter().position(|other| other == name);
            for name in old_names.iter().chain(&new_names).collect::<BTreeSet<_>>() {
                let (old_place, new_place) = (find(name, &old_names), find(name, &new_names));
                let step = Step::Element(name.clone(), old_place.filter(|_| old_place == new_place));
                self.compare(&below(at, step), old_place.map(|place| &old[place]), new_place.map(|place| &new[place]));
            }
            let stayed_old: Vec<_> = old_names.iter().filter(|name| new_names.contains(name)).collect();
            let stayed_new: Vec<_> = new_names.iter().filter(|name| old_names.contains(name)).collect();
            if stayed_old != stayed_new {
                self.forbid(at, " (order changed)");
            }
        } else if self.rules.names_an_element_of(at) {
            // A field speaks of an element's name, and these elements are told apart by their places.
            let mut strictly =
                Self { rules: self.rules.without_fields(), is_scale: self.is_scale, violations: Violations::new() };
            strictly.lists(at, old, new);
            if !strictly.violations.is_empty() {
                self.forbid(at, "");
            }
        } else if old.len() == new.len() {
            for (index, (old, new)) in old.iter().zip(new).enumerate() {
                self.compare(&below(at, Step::Index(index)), Some(old), Some(new));
            }
        } else {
            self.forbid(at, "");
        }
    }

    /// A value that is on one side only: its root, or where fields below it differ in what they allow, these.
    fn one_sided(&mut self, at: &Path, tree: &Tree, what: &str) {
        match self.fate(at, tree) {
            Fate::Allowed => {}
            Fate::Forbidden => self.forbid(at, what),
            Fate::Partly(paths) => paths.iter().for_each(|path| self.forbid(path, what)),
        }
    }

    fn fate(&self, at: &Path, tree: &Tree) -> Fate {
        let own = |mutable| if mutable { Fate::Allowed } else { Fate::Forbidden };
        let is_mutable = self.rules.is_mutable(at);
        let members = match tree {
            Tree::Map(_) => self.members(at, tree),
            Tree::List(items) => match unique_names(items) {
                None if self.rules.names_an_element_of(at) => return own(self.rules.is_free(at)),
                _ => self.members(at, tree),
            },
            _ => return own(is_mutable),
        };
        // The map or list itself is a change, unless an empty one is none.
        let is_allowed = is_mutable || self.is_absent_when_empty(at, tree);
        if members.is_empty() {
            return own(is_allowed);
        }
        let (mut allowed, mut forbidden, mut parts) = (0, 0, Vec::new());
        for (path, member) in &members {
            match self.fate(path, member) {
                Fate::Allowed => allowed += 1,
                Fate::Forbidden => {
                    forbidden += 1;
                    parts.push(path.clone());
                }
                Fate::Partly(paths) => parts.extend(paths),
            }
        }
        if allowed == members.len() && is_allowed {
            Fate::Allowed
        } else if !is_mutable && (allowed == members.len() || forbidden == members.len()) {
            Fate::Forbidden
        } else {
            Fate::Partly(parts)
        }
    }

    /// The members of a map, or the elements of a list, that count: a member that equals an absent one does not, nor
    /// does one that is managed by the server. Of an element it counts that it is there.
    fn members<'a>(&self, at: &Path, tree: &'a Tree) -> Vec<(Path, &'a Tree)> {
        let members: Vec<_> = match tree {
            Tree::Map(members) => members
                .iter()
                .map(|(key, member)| (below(at, Step::Key(key.clone())), member))
                .filter(|(path, member)| !self.is_absent(path, member))
                .collect(),
            Tree::List(items) => {
                let names = unique_names(items);
                let step = |place: usize| match &names {
                    Some(names) => Step::Element(names[place].clone(), Some(place)),
                    None => Step::Index(place),
                };
                items.iter().enumerate().map(|(place, item)| (below(at, step(place)), item)).collect()
            }
            _ => Vec::new(),
        };
        members.into_iter().filter(|(path, _)| !self.rules.is_server_managed(path)).collect()
    }

    fn forbid(&mut self, at: &Path, what: &str) {
        self.violations.insert(render(at), format!("{FORBIDDEN}{what}"));
    }

    fn is_absent(&self, at: &Path, tree: &Tree) -> bool {
        let counts_by_being_there = match at.last() {
            None | Some(Step::Index(_) | Step::Element(..)) => true,
            Some(Step::Key(_)) => types::is_key_of_map(at, self.is_scale),
        };
        !self.rules.strict && !counts_by_being_there && is_zero(at, tree, self.is_scale)
    }

    fn are_zero(&self, at: &Path, old: &Tree, new: &Tree) -> bool {
        !self.rules.strict && is_zero(at, old, self.is_scale) && is_zero(at, new, self.is_scale)
    }

    /// An empty map or list in place of this one would equal an absent one; never if it is an element of a list.
    fn is_absent_when_empty(&self, at: &Path, tree: &Tree) -> bool {
        let empty = if matches!(tree, Tree::List(_)) { Tree::List(Vec::new()) } else { Tree::empty_map() };
        at.len() > 1 && self.is_absent(at, &empty)
    }

    fn is_same_element(&self, at: &Path, old: &Tree, new: &Tree) -> bool {
        let element = below(at, Step::Index(0));
        self.is_same_scalar(&element, old, new) || self.are_zero(&element, old, new)
    }

    fn is_same_scalar(&self, at: &Path, old: &Tree, new: &Tree) -> bool {
        match (old, new) {
            (Tree::Number(old), Tree::Number(new)) if self.rules.strict => {
                let number = |text: &str| serde_json::from_str::<serde_json::Number>(text).ok();
                old == new || (number(old).is_some() && number(old) == number(new))
            }
            (old, new) if self.rules.strict => old.is_scalar() && old == new,
            (old, new) => is_same_scalar(types::at(at, self.is_scale), old, new),
        }
    }
}

/// The type's zero, which a member that is absent has.
fn is_zero(at: &Path, tree: &Tree, is_scale: bool) -> bool {
    let word = types::at(at, is_scale);
    match tree {
        Tree::Null => true,
        Tree::List(items) => items.is_empty(),
        Tree::Map(members) if word.starts_with("map[]") => members.is_empty(),
        Tree::Map(members) => {
            types::is_struct(word)
                && members.iter().all(|(key, member)| is_zero(&below(at, Step::Key(key.clone())), member, is_scale))
        }
        Tree::Text(text) if word == "quantity" => {
            amount::quantity(&Tree::text(text)).is_some_and(|it| it == amount::number("0"))
        }
        Tree::Text(text) if word == "time" || word == "microtime" => text == "0001-01-01T00:00:00Z",
        Tree::Text(text) => matches!(word, "string" | "bytes") && text.is_empty(),
        Tree::Bool(value) => word == "bool" && !value,
        Tree::Number(number) => {
            matches!(word, "int" | "float" | "quantity" | "intOrString")
                && amount::number(number) == amount::number("0")
        }
    }
}

fn is_same_scalar(word: types::Word, old: &Tree, new: &Tree) -> bool {
    if word.trim_start_matches('*') == "quantity"
        && let (Some(old), Some(new)) = (amount::quantity(old), amount::quantity(new))
    {
        return old == new;
    }
    match (old, new) {
        (Tree::Number(old), Tree::Number(new)) => amount::number(old) == amount::number(new),
        (old, new) => old.is_scalar() && old == new,
    }
}

/// A number or a boolean as a message shows it; nothing else is shown, and no number of more than 32 characters.
fn plain(tree: &Tree) -> Option<String> {
    match tree {
        Tree::Bool(value) => Some(value.to_string()),
        Tree::Number(spelling) => (spelling.len() <= 32).then(|| spelling.clone()),
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

fn below(at: &Path, step: Step) -> Path {
    at.iter().cloned().chain([step]).collect()
}

fn render(at: &Path) -> String {
    let step = |step: &Step| match step {
        Step::Index(index) => format!("[{index}]"),
        Step::Element(name, _) => format!("[name={}]", quoted(name)),
        Step::Key(key) if is_identifier(key) => format!(".{key}"),
        Step::Key(key) => format!("[{key}]"),
    };
    let text: String = at.iter().map(step).collect();
    visible(text.strip_prefix('.').unwrap_or(&text))
}

/// The text with its control characters escaped.
fn visible(text: &str) -> String {
    let is_hidden = |c: char| c.is_control() || c == '\u{2028}' || c == '\u{2029}';
    text.chars().map(|c| if is_hidden(c) { c.escape_default().to_string() } else { c.to_string() }).collect()
}

/// In double quotes. (JSON's and Go's are the same but for control characters, which no name has.)
fn quoted(name: &str) -> String {
    Tree::text(name).to_json(&mut Noise::seeded(0))
}

fn is_identifier(key: &str) -> bool {
    key.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && key.chars().all(|character| character.is_ascii_alphanumeric() || "_-".contains(character))
}
