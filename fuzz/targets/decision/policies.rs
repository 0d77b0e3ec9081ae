//! The reference's policies as JSON: a field is a list of its tokens, `null` for `*` and `{"name": …}` for an element.

use model::{
    reference::{Exemption, Field, Part, Policy, When},
    tree::Tree,
};

/// More fields than a person would write say nothing new, and the reference is slow.
const MOST: usize = 16;

pub(crate) fn read(tree: &Tree) -> Option<Policy> {
    let exemptions = items(tree.get(&["exemptions"]))?;
    Some(Policy {
        mutable: fields(tree.get(&["mutable"]))?,
        immutable: fields(tree.get(&["immutable"]))?,
        server_managed: fields(tree.get(&["serverManaged"]))?,
        strict: tree.get(&["strict"]) == Some(&Tree::Bool(true)),
        suspends_by_spec: tree.get(&["suspendsBySpec"]) == Some(&Tree::Bool(true)),
        exemptions: exemptions.iter().map(exemption).collect::<Option<_>>()?,
    })
}

pub(crate) fn write(policy: &Policy) -> Tree {
    Tree::map([
        ("mutable", written(&policy.mutable)),
        ("immutable", written(&policy.immutable)),
        ("serverManaged", written(&policy.server_managed)),
        ("strict", Tree::Bool(policy.strict)),
        ("suspendsBySpec", Tree::Bool(policy.suspends_by_spec)),
        ("exemptions", Tree::List(policy.exemptions.iter().map(written_exemption).collect())),
    ])
}

fn items(tree: Option<&Tree>) -> Option<&[Tree]> {
    match tree {
        None => Some(&[]),
        Some(Tree::List(items)) if items.len() <= MOST => Some(items),
        Some(_) => None,
    }
}

fn texts(tree: Option<&Tree>) -> Option<Vec<String>> {
    items(tree)?.iter().map(|item| if let Tree::Text(text) = item { Some(text.clone()) } else { None }).collect()
}

fn fields(tree: Option<&Tree>) -> Option<Vec<Field>> {
    let part = |part: &Tree| match part {
        Tree::Null => Some(Part::Any),
        Tree::Text(key) => Some(Part::Key(key.clone())),
        part => match part.get(&["name"])? {
            Tree::Text(name) => Some(Part::Name(name.clone())),
            _ => None,
        },
    };
    items(tree)?.iter().map(|field| items(Some(field))?.iter().map(part).collect()).collect()
}

fn written(fields: &[Field]) -> Tree {
    let part = |part: &Part| match part {
        Part::Any => Tree::Null,
        Part::Key(key) => Tree::text(key),
        Part::Name(name) => Tree::map([("name", Tree::text(name))]),
    };
    Tree::List(fields.iter().map(|field| Tree::List(field.iter().map(part).collect())).collect())
}

fn exemption(tree: &Tree) -> Option<Exemption> {
    Some(Exemption {
        users: texts(tree.get(&["users"]))?,
        groups: texts(tree.get(&["groups"]))?,
        when: match tree.get(&["when"]) {
            None => None,
            Some(when) if *when == Tree::text("Deleting") => Some(When::Deleting),
            Some(when) if *when == Tree::text("SuspendChanged") => Some(When::SuspendChanged),
            Some(when) if *when == Tree::text("Suspended") => Some(When::Suspended),
            Some(_) => return None,
        },
        subresources: texts(tree.get(&["subresources"]))?,
        fields: fields(tree.get(&["fields"]))?,
    })
}

fn written_exemption(exemption: &Exemption) -> Tree {
    let texts = |texts: &[String]| Tree::List(texts.iter().map(|text| Tree::text(text)).collect());
    let when = exemption.when.map(|when| ("when", Tree::text(&format!("{when:?}"))));
    Tree::map(when.into_iter().chain([
        ("users", texts(&exemption.users)),
        ("groups", texts(&exemption.groups)),
        ("subresources", texts(&exemption.subresources)),
        ("fields", written(&exemption.fields)),
    ]))
}
