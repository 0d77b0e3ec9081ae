//! Looking up one of many: the members of a map by their keys, the elements of a list by their names.

use std::hash::{BuildHasher as _, RandomState};

use hashbrown::{HashTable, hash_table::Entry as Slot};

use crate::admission::json::Json;

/// Members or elements of one list or map, by what their keys or names say.
///
/// An entry takes 12 bytes, whatever the key, which is read again where two are compared. The hasher is seeded at random,
/// so that keys cannot be chosen to collide.
pub(super) struct Table<'t, K: Fn(usize) -> Option<Json<'t>>> {
    entries: HashTable<Entry>,
    hasher: RandomState,
    /// The key of what begins there.
    key: K,
}

struct Entry {
    hash: u32,
    /// Where the member or element begins. (No text is longer than what 32 bits count.)
    start: u32,
    /// Its position among the others.
    position: u32,
}

impl<'t, K: Fn(usize) -> Option<Json<'t>>> Table<'t, K> {
    pub(super) fn with_capacity(entries: usize, key: K) -> Self {
        Self { entries: HashTable::with_capacity(entries), hasher: RandomState::new(), key }
    }

    /// Puts in what begins at `start`, in place of an earlier one of that key. Gives false where there was one.
    pub(super) fn insert(&mut self, key: &[u8], start: usize, position: usize) -> bool {
        let hash = self.hash(key);
        let narrow = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        let entry = Entry { hash, start: narrow(start), position: narrow(position) };
        let Self { entries, key: key_at, .. } = self;
        let is_it = |other: &Entry| other.hash == hash && says(key_at(other.start as usize), key);
        match entries.entry(wide(hash), is_it, |entry| wide(entry.hash)) {
            Slot::Occupied(mut earlier) => {
                *earlier.get_mut() = entry;
                false
            }
            Slot::Vacant(vacant) => {
                vacant.insert(entry);
                true
            }
        }
    }

    /// Takes out what has that key: where it begins, and its position.
    pub(super) fn remove(&mut self, key: &[u8]) -> Option<(usize, usize)> {
        let hash = self.hash(key);
        let Self { entries, key: key_at, .. } = self;
        let is_it = |other: &Entry| other.hash == hash && says(key_at(other.start as usize), key);
        let (entry, _) = entries.find_entry(wide(hash), is_it).ok()?.remove();
        Some((entry.start as usize, entry.position as usize))
    }

    /// What is in the table: where each begins.
    pub(super) fn starts(&self) -> impl Iterator<Item = usize> {
        self.entries.iter().map(|entry| entry.start as usize)
    }

    #[expect(clippy::cast_possible_truncation, reason = "any 32 bits of a hash are a hash")]
    fn hash(&self, key: &[u8]) -> u32 {
        self.hasher.hash_one(key) as u32
    }
}

/// The hash that the table goes by: it looks at the highest bits and the lowest.
fn wide(hash: u32) -> u64 {
    u64::from(hash) | u64::from(hash) << 32
}

fn says(key: Option<Json<'_>>, text: &[u8]) -> bool {
    key.is_some_and(|key| key.says(text))
}
