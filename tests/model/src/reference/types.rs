//! The Go types of the places in an object, followed from the root each time: the same table as the guard's, read anew.

use std::sync::LazyLock;

use serde_json::Value;

use super::Step;

static TABLE: LazyLock<Value> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../../../../src/field/types.json")).expect("the table of the types")
});

/// A word of the table; empty for what it does not know.
pub(super) type Word = &'static str;

/// The type of what stands at a path of a PyTorchJob, or of its Scale.
pub(super) fn at(path: &[Step], is_scale: bool) -> Word {
    let kind = if is_scale { "scale" } else { "pytorchjobs.kubeflow.org" };
    let root = TABLE["roots"]["kinds"][kind].as_str().expect("a kind");
    path.iter().fold(root, |word, step| {
        let word = word.trim_start_matches('*');
        match step {
            Step::Key(key) => match word.strip_prefix("map[]") {
                Some(values) => values,
                None => TABLE["types"][word][key].as_str().unwrap_or_default(),
            },
            Step::Index(_) | Step::Element(..) => word.strip_prefix("[]").unwrap_or_default(),
        }
    })
}

/// True for a struct that is held by value.
pub(super) fn is_struct(word: Word) -> bool {
    TABLE["types"].as_object().is_some_and(|types| types.contains_key(word))
}

/// True for the key of a map, which counts by being there.
pub(super) fn is_key_of_map(path: &[Step], is_scale: bool) -> bool {
    path.split_last().is_some_and(|(_, above)| at(above, is_scale).trim_start_matches('*').starts_with("map[]"))
}
