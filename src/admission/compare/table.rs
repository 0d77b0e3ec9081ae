//! Looking up one of many: the members of two maps by their keys, the elements of two lists by their names.

use std::hash::{BuildHasher as _, RandomState};

use hashbrown::{HashTable, hash_table};

use crate::admission::json::Json;

/// The two lists or maps that are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Old,
    New,
}

/// Members or elements of two maps or lists, by what their keys or names say, in the order in which they were put in.
///
/// A key takes some 20 bytes, however long it is: it is read again where two are compared. The hasher is seeded at random,
/// so that keys cannot be chosen to collide.
pub(super) struct Table<K> {
    rows: Vec<Row>,
    numbers: HashTable<u32>,
    hasher: RandomState,
    /// Reads the key of what begins there.
    key: K,
}

/// The start of one key's member or element on each side. (No text is longer than what 32 bits count.)
struct Row {
    hash: u32,
    starts: [u32; 2],
}

/// In place of where something begins that is not there: no value begins at the end of such a text.
const NOWHERE: u32 = u32::MAX;

impl<'t, K: Fn(Side, usize) -> Option<Json<'t>>> Table<K> {
    pub(super) fn with_capacity(keys: usize, key: K) -> Self {
        let (rows, numbers) = (Vec::with_capacity(keys), HashTable::with_capacity(keys));
        Self { rows, numbers, hasher: RandomState::new(), key }
    }

    /// Puts in what begins at `start`, in place of an earlier one of that key on that side. Gives false where there was one.
    pub(super) fn insert(&mut self, side: Side, key: &[u8], start: usize) -> bool {
        let hash = self.hash(key);
        let Self { rows, numbers, key: key_at, .. } = self;
        let is_it = |number: &u32| {
            rows.get(*number as usize).is_some_and(|row| {
                row.hash == hash
                    && row.first().and_then(|(side, start)| key_at(side, start)).is_some_and(|it| it.says(key))
            })
        };
        let hash_of = |number: &u32| wide(rows.get(*number as usize).map_or(0, |row| row.hash));
        let start = narrow(start);
        match numbers.entry(wide(hash), is_it, hash_of) {
            hash_table::Entry::Occupied(number) => {
                let Some(row) = rows.get_mut(*number.get() as usize) else { return false };
                std::mem::replace(&mut row.starts[side as usize], start) == NOWHERE
            }
            hash_table::Entry::Vacant(vacant) => {
                vacant.insert(narrow(rows.len()));
                let mut starts = [NOWHERE; 2];
                starts[side as usize] = start;
                rows.push(Row { hash, starts });
                true
            }
        }
    }

    /// The start of each key's member or element: on the old side, and on the new one.
    pub(super) fn starts(&self) -> impl Iterator<Item = [Option<usize>; 2]> {
        self.rows.iter().map(|row| row.starts.map(|start| (start != NOWHERE).then_some(start as usize)))
    }

    #[expect(clippy::cast_possible_truncation, reason = "any 32 bits of a hash are a hash")]
    fn hash(&self, key: &[u8]) -> u32 {
        self.hasher.hash_one(key) as u32
    }
}

impl Row {
    /// A side on which the key is, and where.
    fn first(&self) -> Option<(Side, usize)> {
        let sides = [Side::Old, Side::New].into_iter().zip(self.starts);
        sides.map(|(side, start)| (side, start as usize)).find(|(_, start)| *start != NOWHERE as usize)
    }
}

fn narrow(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(NOWHERE)
}

/// The hash that the table goes by: it looks at the highest bits and the lowest.
fn wide(hash: u32) -> u64 {
    u64::from(hash) | u64::from(hash) << 32
}
