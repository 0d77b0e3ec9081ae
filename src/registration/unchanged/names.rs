//! The names of the fields that changed and may not, as CEL lists: what the message of a denial can say.
//!
//! An API server evaluates a message for every update, also for those that it allows, and denies those whose messages exceed
//! its budget. So no map is walked that is equal; one with too many keys to walk is named itself.

use super::{Freedom, Place, is_one_of, same_whole};
use crate::registration::{
    cel::{Expression, string},
    conditions::Allowed,
    cost::{naming, steps},
};

/// A variable of an admission policy that holds a list of names.
#[derive(Debug)]
pub(in crate::registration) struct Names {
    /// The path of the map whose keys they are.
    path: &'static [&'static str],
    pub(in crate::registration) variable: &'static str,
    pub(in crate::registration) expression: String,
    /// The most that it costs, without the variables in it.
    pub(in crate::registration) cost: u64,
}

/// The maps whose keys are named, and the variables. A variable can contain those before it.
const MAPS: [(&[&str], &str); 4] = [
    (&["spec", "runPolicy"], "changedInRunPolicy"),
    (&["spec"], "changedInSpec"),
    (&["metadata"], "changedInMetadata"),
    (&[], "changed"),
];

/// The variable of the loops over the keys of such a map. The loops in them have others.
const KEY: &str = "key";

/// Returns the variables with the names of the fields that changed and may not. The last one contains the others.
///
/// Of the ways for an update to be allowed the first is everyone's. Another one, if it holds, excuses the fields that it
/// lets change as a whole, and not those of which a part may change.
pub(in crate::registration) fn names(ways: &[Allowed<'_>]) -> Vec<Names> {
    let mut names: Vec<Names> = Vec::new();
    for (path, variable) in MAPS {
        let inner = names.iter().filter_map(|names| {
            let (key, above) = names.path.split_last()?;
            (above == path).then_some((*key, names.variable))
        });
        let inner: Vec<_> = inner.collect();
        names.extend(names_of(path, variable, &inner, ways));
    }
    names
}

/// Returns the variable for the keys of one map; of the inner maps it contains the variables. None if all of it may change.
fn names_of(
    path: &'static [&'static str],
    variable: &'static str,
    inner: &[(&str, &str)],
    ways: &[Allowed<'_>],
) -> Option<Names> {
    let [mut old, mut new] = ["oldObject", "object"].map(str::to_owned);
    let mut places: Vec<_> = ways.iter().map(|way| (way.holds.clone(), way.same.root.clone())).collect();
    // That there is nothing to name, and that the map itself is what is named.
    let (mut nothing, mut whole) = (Vec::new(), Vec::new());
    for key in path {
        places = places.into_iter().map(|(holds, place)| (holds, place.named(key))).collect();
        nothing = vec![same_whole(&old, &new, key)];
        let (maps, are_maps) = places.first()?.1.maps(&old, &new, key);
        whole = are_maps.map(|is_map| Expression::Not(Box::new(is_map))).to_vec();
        [old, new] = maps;
    }
    nothing.extend(places.iter().filter(|(_, place)| place.freedom() == Freedom::Free).map(|(holds, _)| holds.clone()));
    let nothing = Expression::any(nothing);
    if nothing.is_always_true() {
        return None;
    }
    let (_, everyone) = places.first()?;
    let most = everyone.most_keys();
    whole.extend([&new, &old].map(|map| Expression::plain(format!("size({map}) > {most}"))));

    let mut may = vec![Expression::plain(format!("{new}[?{KEY}] == {old}[?{KEY}]"))];
    may.extend(is_one_of(KEY, inner.iter().map(|(key, _)| *key)));
    let is_inner = |key: &str| inner.iter().any(|(inner, _)| *inner == key);
    for (holds, place) in &places {
        let is_known = |key: &str| is_inner(key) || everyone.named(key).freedom() == Freedom::Free;
        let is_known: &dyn Fn(&str) -> bool = if holds.is_always_true() { &is_inner } else { &is_known };
        may.extend(place.free_keys(is_known).map(|free| Expression::all([holds.clone(), free])));
    }
    let other = everyone.other();
    if other.freedom() == Freedom::Mixed {
        let in_new = Expression::plain(format!("{KEY} in {new}"));
        may.push(Expression::all([everyone.is_other(), in_new, other.same_value(&old, &new, KEY)]));
    }
    let mut cost = naming(may.iter().map(steps).fold(0, u64::saturating_add), most);
    for (key, place) in everyone.named_keys() {
        if place.freedom() == Freedom::Mixed && !is_inner(key) {
            // Evaluated for one key at most.
            let same = place.same_member(&old, &new, key);
            cost = cost.saturating_add(steps(&same));
            may.push(Expression::all([Expression::plain(format!("{KEY} == {}", string(key))), same]));
        }
    }

    let name = path.join(".");
    let (nothing, itself, prefix) = if path.is_empty() {
        (String::new(), String::new(), String::new())
    } else {
        (format!("{nothing} ? []\n: "), string(&name), format!("{} + ", string(&format!("{name}."))))
    };
    // Another key could break the line, or be as long as the object.
    let is_plain = format!("{KEY}.size() < 64 && {KEY}.matches('^[0-9A-Za-z_-]+$')");
    let named = format!("{is_plain} ? {prefix}{KEY} : {}", string(&format!("{name}[...]")));
    let keys = format!("{new}.map({KEY}, {KEY}) + {old}.filter({KEY}, !({KEY} in {new}))");
    let (whole, may) = (Expression::any(whole), Expression::Not(Box::new(Expression::any(may))));
    let own = format!("({keys})\n.filter({KEY}, {may})\n.map({KEY}, {named})");
    let lists = std::iter::once(own).chain(inner.iter().map(|(_, variable)| format!("variables.{variable}")));
    let lists = lists.collect::<Vec<_>>().join("\n+ ");
    let expression = format!("{nothing}{whole} ? [{itself}]\n: {lists}");
    Some(Names { path, variable, expression, cost })
}

impl Place<'_> {
    /// That a key is one whose value may change, unless it is known anyway; none if there is no such key.
    fn free_keys(&self, is_known: &dyn Fn(&str) -> bool) -> Option<Expression> {
        if self.other().freedom() == Freedom::Free {
            return Some(self.is_other());
        }
        let named = self.named_keys();
        let free = named.iter().filter(|(key, place)| place.freedom() == Freedom::Free && !is_known(key));
        is_one_of(KEY, free.map(|(key, _)| *key))
    }

    /// That no rule is about a key in particular.
    fn is_other(&self) -> Expression {
        let named = is_one_of(KEY, self.named_keys().iter().map(|(key, _)| *key));
        Expression::all(named.map(|named| Expression::Not(Box::new(named))))
    }
}
