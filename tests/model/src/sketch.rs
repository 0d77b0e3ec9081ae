//! Random policies about given objects: a sketch says which fields, once there are objects to have them.

use std::collections::BTreeSet;

use proptest::{
    collection::vec,
    prelude::*,
    sample::{Index, select},
};

use crate::{
    edits,
    reference::{Exemption, Field, Part, Policy, When, keys},
    tree::Tree,
};

/// A policy whose fields are still to be found.
#[derive(Debug, Clone)]
pub struct Sketch {
    mutable: Vec<Pick>,
    immutable: Vec<Pick>,
    /// Mostly none: the default.
    server_managed: Option<Vec<Pick>>,
    strict: bool,
    exemptions: Vec<(Exemption, Vec<Pick>)>,
    suspends_by_spec: bool,
}

/// One field: somewhere in the objects.
#[derive(Debug, Clone)]
struct Pick {
    /// Below the mutable field of that number, if there is one.
    inside: Option<Index>,
    place: Index,
    length: Index,
    /// For each token: as it is, or in another way.
    ways: [u8; 12],
}

/// A policy of few fields.
pub fn sketch() -> impl Strategy<Value = Sketch> {
    let users = select(vec![vec![], vec!["alice"], vec!["bob"], vec!["bob", "alice"]]);
    let groups = select(vec![vec![], vec![], vec!["system:authenticated"], vec!["other"]]);
    let when = select(vec![None, None, Some(When::Deleting), Some(When::SuspendChanged), Some(When::Suspended)]);
    let subresources = select(vec![vec![], vec![], vec![], vec!["scale"]]);
    let exemption = (users, groups, when, subresources, vec(pick(), 1..3)).prop_map(
        |(users, groups, when, subresources, fields)| {
            let texts = |texts: Vec<&str>| texts.into_iter().map(str::to_owned).collect::<Vec<_>>();
            // A Scale has nothing that a condition is about.
            let when = when.filter(|_| subresources.is_empty());
            let [users, groups, subresources] = [users, groups, subresources].map(texts);
            (Exemption { users, groups, when, subresources, fields: Vec::new() }, fields)
        },
    );
    let managed = prop_oneof![4 => Just(None), 1 => vec(pick(), 0..3).prop_map(Some)];
    let strict = prop::bool::weighted(0.2);
    let by_spec = prop::bool::weighted(0.4);
    (vec(pick(), 0..5), vec(pick(), 0..5), managed, strict, vec(exemption, 0..3), by_spec).prop_map(
        |(mutable, immutable, server_managed, strict, exemptions, suspends_by_spec)| Sketch {
            mutable,
            immutable,
            server_managed,
            strict,
            exemptions,
            suspends_by_spec,
        },
    )
}

fn pick() -> impl Strategy<Value = Pick> {
    let inside = prop::option::weighted(0.4, any::<Index>());
    (inside, any::<Index>(), any::<Index>(), prop::array::uniform12(0..10_u8))
        .prop_map(|(inside, place, length, ways)| Pick { inside, place, length, ways })
}

impl Sketch {
    /// A policy that can be used, about fields that the objects have.
    pub fn policy(&self, objects: [&Tree; 2]) -> Policy {
        let places: Vec<_> = objects
            .iter()
            .flat_map(|object| edits::places(object).into_iter().map(move |place| (*object, place)))
            .collect();
        if places.is_empty() {
            return Policy::default();
        }
        let prefixes: Vec<Vec<String>> = self.mutable.iter().map(|pick| pick.place(&places, &[]).1).collect();
        let server_managed = match &self.server_managed {
            Some(picks) => picks.iter().map(|pick| pick.field(&places, &prefixes)).collect::<BTreeSet<_>>(),
            None => Policy::server_managed().into_iter().collect(),
        };
        // A field that is no part of the comparison has no rules of its own, and none is listed twice.
        let counting = |fields: BTreeSet<Field>| -> Vec<Field> {
            fields.into_iter().filter(|field| !server_managed.iter().any(|managed| covers(managed, field))).collect()
        };
        let fields = |picks: &[Pick], prefixes: &[Vec<String>]| {
            counting(picks.iter().map(|pick| pick.field(&places, prefixes)).collect())
        };
        let (mutable, immutable) = (fields(&self.mutable, &[]), fields(&self.immutable, &prefixes));
        let exemptions = self.exemptions.iter().map(|(exemption, picks)| {
            let fields = match &exemption.subresources[..] {
                [] => fields(picks, &prefixes),
                _ => counting(BTreeSet::from([keys(&["spec", "replicas"][..=picks.len() % 2])])),
            };
            Exemption { fields, ..exemption.clone() }
        });
        // Nor is there an exemption from nothing but what stays immutable.
        let exemptions = exemptions.filter(|exemption| exemption.fields.iter().any(|field| !immutable.contains(field)));
        Policy {
            exemptions: exemptions.collect(),
            mutable,
            immutable: immutable.clone(),
            server_managed: server_managed.into_iter().collect(),
            strict: self.strict,
            suspends_by_spec: self.suspends_by_spec,
        }
    }
}

pub fn covers(one: &[Part], other: &[Part]) -> bool {
    one.len() <= other.len() && one.iter().zip(other).all(|(one, other)| *one == Part::Any || one == other)
}

type Place<'t> = (&'t Tree, Vec<String>);

impl Pick {
    /// An object, and where in it.
    fn place<'t>(&self, places: &[Place<'t>], prefixes: &[Vec<String>]) -> Place<'t> {
        if let Some(prefix) = self.inside.filter(|_| !prefixes.is_empty()).map(|inside| inside.get(prefixes)) {
            let inside: Vec<_> =
                places.iter().filter(|(_, place)| place.len() > prefix.len() && place.starts_with(prefix)).collect();
            if !inside.is_empty() {
                let (object, place) = self.place.get(&inside);
                return (*object, place[..=prefix.len() + self.length.index(place.len() - prefix.len())].to_vec());
            }
        }
        let (object, place) = self.place.get(places);
        (*object, place[..=self.length.index(place.len())].to_vec())
    }

    /// The token of the position in a policy: an element by its name, by its index, or any element.
    fn field(&self, places: &[Place<'_>], prefixes: &[Vec<String>]) -> Field {
        let (mut tree, place) = self.place(places, prefixes);
        let mut field = Vec::new();
        for (step, way) in place.iter().zip(self.ways.iter().cycle()) {
            let (part, below) = match tree {
                Tree::Map(members) if *way == 0 => (Part::Any, &members[step]),
                Tree::Map(members) => (Part::Key(step.clone()), &members[step]),
                Tree::List(items) => {
                    let element = &items[step.parse::<usize>().expect("an index")];
                    let part = match (way, element.get(&["name"])) {
                        (0..4, _) => Part::Any,
                        (4..8, Some(Tree::Text(name))) => Part::Name(name.clone()),
                        (4, _) => Part::Name("a".to_owned()),
                        _ => Part::Key(step.clone()),
                    };
                    (part, element)
                }
                _ => unreachable!("a place is in a map or list"),
            };
            field.push(part);
            tree = below;
        }
        field
    }
}
