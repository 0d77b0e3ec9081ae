//! A policy as the reference takes it: plain data, its YAML, and which of its fields a path matches.

use std::fmt::Write as _;

use super::{COLLECTORS, MUTABLE, Step, is_identifier, quoted};
use crate::tree::Tree;

/// Fields that the API server writes itself on ordinary updates.
const SERVER_MANAGED: [&str; 4] = ["managedFields", "generation", "resourceVersion", "selfLink"];

/// A policy for PyTorchJobs.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    pub mutable: Vec<Field>,
    pub immutable: Vec<Field>,
    pub server_managed: Vec<Field>,
    pub strict: bool,
    pub exemptions: Vec<Exemption>,
    /// `suspendField: spec.suspend`, in place of the default.
    pub suspends_by_spec: bool,
}

/// An exemption: who may change more, when, and what.
#[derive(Debug, Clone, Default)]
pub struct Exemption {
    pub users: Vec<String>,
    pub groups: Vec<String>,
    pub when: Option<When>,
    pub subresources: Vec<String>,
    pub fields: Vec<Field>,
}

/// The condition of an exemption.
#[derive(Debug, Clone, Copy)]
pub enum When {
    Deleting,
    SuspendChanged,
    Suspended,
}

/// A field path of a policy.
pub type Field = Vec<Part>;

/// One token of a field path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// `*`
    Any,
    /// That key of a map; a number is that place in a list, too.
    Key(String),
    /// `[name="x"]`
    Name(String),
}

/// The request's attributes that an exemption depends on.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    pub user: &'a str,
    pub groups: &'a [&'a str],
    pub subresource: &'a str,
}

/// The part of a policy that applies to one request.
#[derive(Debug, Default)]
pub(super) struct Rules {
    mutable: Vec<Field>,
    immutable: Vec<Field>,
    server_managed: Vec<Field>,
    pub(super) strict: bool,
}

/// A field of map keys.
pub fn keys(keys: &[&str]) -> Field {
    keys.iter().map(|key| Part::Key((*key).to_owned())).collect()
}

impl Policy {
    /// The default policy, `cci`.
    pub fn cci() -> Self {
        let collectors = Exemption {
            users: COLLECTORS.map(str::to_owned).to_vec(),
            fields: vec![keys(&["metadata", "finalizers"]), keys(&["metadata", "ownerReferences"])],
            ..Exemption::default()
        };
        let deleting = Exemption {
            when: Some(When::Deleting),
            fields: vec![keys(&["metadata", "finalizers"])],
            ..Exemption::default()
        };
        Self {
            mutable: MUTABLE.iter().map(|field| keys(field)).collect(),
            server_managed: Self::server_managed(),
            exemptions: vec![collectors, deleting],
            ..Self::default()
        }
    }

    /// The default of `serverManagedFields`.
    pub fn server_managed() -> Vec<Field> {
        SERVER_MANAGED.iter().map(|key| keys(&["metadata", key])).collect()
    }

    pub(super) fn rules(&self, request: &Request<'_>, old: &Tree, new: &Tree) -> Rules {
        let mut mutable = if request.subresource.is_empty() { self.mutable.clone() } else { Vec::new() };
        for exemption in
            self.exemptions.iter().filter(|exemption| exemption.applies(request, old, new, self.suspends_by_spec))
        {
            mutable.extend_from_slice(&exemption.fields);
        }
        let (immutable, server_managed) = (self.immutable.clone(), self.server_managed.clone());
        Rules { mutable, immutable, server_managed, strict: self.strict }
    }

    /// The policy as a file.
    pub fn to_yaml(&self) -> String {
        let mut yaml = "apiVersion: pytorchjob-guard/v1\nkind: UpdatePolicy\nname: random\n\
                        resources: [{group: kubeflow.org, resource: pytorchjobs}]\n"
            .to_owned();
        let lists = [
            ("mutableFields", &self.mutable),
            ("immutableFields", &self.immutable),
            ("serverManagedFields", &self.server_managed),
        ];
        for (key, fields) in lists {
            list(&mut yaml, "", key, fields.iter().map(|field| written(field)));
        }
        if self.suspends_by_spec {
            yaml.push_str("suspendField: spec.suspend\n");
        }
        if self.strict {
            yaml.push_str("equality: Strict\n");
        }
        yaml.push_str(if self.exemptions.is_empty() { "" } else { "exemptions:\n" });
        for (index, exemption) in self.exemptions.iter().enumerate() {
            writeln!(yaml, "  - name: exemption-{index}").expect("memory");
            let texts =
                [("users", &exemption.users), ("groups", &exemption.groups), ("subresources", &exemption.subresources)];
            for (key, texts) in texts.into_iter().filter(|(_, texts)| !texts.is_empty()) {
                list(&mut yaml, "    ", key, texts.iter().cloned());
            }
            if let Some(when) = exemption.when {
                writeln!(yaml, "    when: {when:?}").expect("memory");
            }
            list(&mut yaml, "    ", "fields", exemption.fields.iter().map(|field| written(field)));
        }
        yaml
    }
}

/// A list of strings under a key, one a line, each in double quotes.
fn list(yaml: &mut String, indent: &str, key: &str, texts: impl Iterator<Item = String>) {
    let mut lines = String::new();
    for text in texts {
        writeln!(lines, "{indent}  - {}", quoted(&text)).expect("memory");
    }
    writeln!(yaml, "{indent}{key}:{}", if lines.is_empty() { " []" } else { "" }).expect("memory");
    yaml.push_str(&lines);
}

/// The field in the notation of policies.
pub(super) fn written(field: &[Part]) -> String {
    let mut text = String::new();
    for part in field {
        match part {
            Part::Any => text.push_str(".*"),
            Part::Key(key) if is_identifier(key) => write!(text, ".{key}").expect("memory"),
            Part::Key(key) => write!(text, "[{key}]").expect("memory"),
            Part::Name(name) => write!(text, "[name={}]", quoted(name)).expect("memory"),
        }
    }
    text.strip_prefix('.').unwrap_or(&text).to_owned()
}

impl Exemption {
    fn applies(&self, request: &Request<'_>, old: &Tree, new: &Tree, by_spec: bool) -> bool {
        let about_it = if self.subresources.is_empty() {
            request.subresource.is_empty()
        } else {
            self.subresources.iter().any(|listed| listed == request.subresource)
        };
        let for_them = (self.users.is_empty() && self.groups.is_empty())
            || self.users.iter().any(|user| user == request.user)
            || self.groups.iter().any(|group| request.groups.contains(&group.as_str()));
        let field: &[&str] = if by_spec { &["spec", "suspend"] } else { &["spec", "runPolicy", "suspend"] };
        let suspended = |job: &Tree| job.get(field) == Some(&Tree::Bool(true));
        let now = match self.when {
            None => true,
            Some(When::Deleting) => old.get(&["metadata", "deletionTimestamp"]).is_some_and(|time| *time != Tree::Null),
            Some(When::Suspended) => suspended(old),
            Some(When::SuspendChanged) => suspended(old) != suspended(new),
        };
        about_it && for_them && now
    }
}

impl Rules {
    /// The same comparison, where nothing may change.
    pub(super) fn without_fields(&self) -> Self {
        Self { server_managed: self.server_managed.clone(), strict: self.strict, ..Self::default() }
    }

    pub(super) fn is_server_managed(&self, at: &[Step]) -> bool {
        self.server_managed.iter().any(|field| covers(field, at))
    }

    /// The most specific field that covers the path says so: the longest, then the one with the fewest `*`, then the
    /// immutable one.
    pub(super) fn is_mutable(&self, at: &[Step]) -> bool {
        let best = |fields: &[Field]| {
            let rank = |field: &Field| (field.len(), field.iter().filter(|part| **part != Part::Any).count());
            fields.iter().filter(|field| covers(field, at)).map(rank).max()
        };
        best(&self.mutable) > best(&self.immutable)
    }

    /// Every change at the path or below it is allowed.
    pub(super) fn is_free(&self, at: &[Step]) -> bool {
        self.is_mutable(at) && !self.immutable.iter().any(|field| next_below(field, at).is_some())
    }

    /// A field that may or may not change is below an element, given by its name, of the list at the path.
    pub(super) fn names_an_element_of(&self, at: &[Step]) -> bool {
        let mut fields = self.mutable.iter().chain(&self.immutable);
        fields.any(|field| matches!(next_below(field, at), Some(Part::Name(_))))
    }

    /// The places in the list at the path that fields speak of.
    pub(super) fn places_in(&self, at: &[Step]) -> Vec<usize> {
        let fields = self.mutable.iter().chain(&self.immutable).chain(&self.server_managed);
        fields
            .filter_map(|field| match next_below(field, at)? {
                Part::Key(key) => key.parse().ok(),
                _ => None,
            })
            .collect()
    }
}

fn covers(field: &[Part], at: &[Step]) -> bool {
    field.len() <= at.len() && field.iter().zip(at).all(|(part, step)| is(part, step))
}

/// The first token of the field that is below the path; none where the field is not below it.
fn next_below<'f>(field: &'f [Part], at: &[Step]) -> Option<&'f Part> {
    field.iter().zip(at).all(|(part, step)| is(part, step)).then(|| field.get(at.len()))?
}

fn is(part: &Part, step: &Step) -> bool {
    let at = |place: usize, key: &str| place.to_string() == key;
    match (part, step) {
        (Part::Any, _) => true,
        (Part::Key(part), Step::Key(key)) => part == key,
        (Part::Key(part), Step::Index(place) | Step::Element(_, Some(place))) => at(*place, part),
        (Part::Name(part), Step::Element(name, _)) => part == name,
        _ => false,
    }
}
