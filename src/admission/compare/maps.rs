//! Two maps, member by member.

use std::cmp::Ordering;

use super::{
    Comparison, Place,
    table::{Side, Table},
};
use crate::{admission::json::Json, field::Step};

impl Comparison {
    /// Compares two maps. An API server writes the keys of custom resources in order, so that nothing has to be looked up.
    pub(super) fn maps(&mut self, place: &Place<'_>, old: Json<'_>, new: Json<'_>) {
        if let Some(differing) = few_differing(old, new) {
            for (key, old, new) in differing.into_iter().flatten() {
                self.member(place, inner(key), Some(old), Some(new));
            }
        } else if is_ascending(old) && is_ascending(new) {
            self.in_order(place, old, new);
        } else {
            self.by_key(place, old, new);
        }
    }

    fn member(&mut self, place: &Place<'_>, key: &[u8], old: Option<Json<'_>>, new: Option<Json<'_>>) {
        self.below(place, Step::Key(key), old, new);
    }

    fn in_order(&mut self, place: &Place<'_>, old: Json<'_>, new: Json<'_>) {
        let (mut olds, mut news) = (old.members().peekable(), new.members().peekable());
        loop {
            let order = match (olds.peek(), news.peek()) {
                (Some((old, _)), Some((new, _))) => inner(*old).cmp(inner(*new)),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (None, None) => return,
            };
            let old = if order.is_le() { olds.next() } else { None };
            let new = if order.is_ge() { news.next() } else { None };
            if let Some((key, _)) = old.or(new) {
                self.member(place, inner(key), old.map(|(_, old)| old), new.map(|(_, new)| new));
            }
        }
    }

    /// Of a key that comes twice the last value counts, as it does for Go.
    fn by_key(&mut self, place: &Place<'_>, old: Json<'_>, new: Json<'_>) {
        let map = |side| if side == Side::Old { old } else { new };
        let mut keys = Table::with_capacity(old.members().count(), |side, start| Some(map(side).key_at(start)));
        for side in [Side::Old, Side::New] {
            for (key, _) in map(side).members() {
                keys.insert(side, &key.string(), key.position());
            }
        }
        for [old_start, new_start] in keys.starts() {
            let old = old_start.and_then(|start| old.member_at(start));
            let new = new_start.and_then(|start| new.member_at(start));
            if let Some((key, _)) = old.or(new) {
                self.member(place, &key.string(), old.map(|(_, old)| old), new.map(|(_, new)| new));
            }
        }
    }
}

/// The text of a key without escapes.
fn inner(key: Json<'_>) -> &[u8] {
    let quoted = key.text();
    &quoted[1..quoted.len() - 1]
}

/// The number of members that differ in most updates.
const FEW: usize = 8;

/// The members that differ, where both maps have the same keys in order and few members differ: then one look is enough.
fn few_differing<'t>(old: Json<'t>, new: Json<'t>) -> Option<[Option<(Json<'t>, Json<'t>, Json<'t>)>; FEW]> {
    let mut differing = [None; FEW];
    let mut free = differing.iter_mut();
    let (mut olds, mut news) = (old.members(), new.members());
    let mut before: Option<&[u8]> = None;
    loop {
        match (olds.next(), news.next()) {
            (None, None) => return Some(differing),
            (Some((key, old)), Some((same, new))) if key.text() == same.text() => {
                let says = inner(key);
                if says.contains(&b'\\') || before.replace(says).is_some_and(|before| before >= says) {
                    return None;
                }
                if old.text() != new.text() {
                    *free.next()? = Some((key, old, new));
                }
            }
            _ => return None,
        }
    }
}

/// True if each key of the map comes behind the one before it, and none is escaped: then none comes twice.
fn is_ascending(map: Json<'_>) -> bool {
    let mut before: Option<&[u8]> = None;
    map.members().all(|(key, _)| {
        let key = inner(key);
        !key.contains(&b'\\') && before.replace(key).is_none_or(|before| before < key)
    })
}
