//! The core is pure: bytes in, an answer out.

use std::{fs, path::Path};

/// Crates and macros that would let the core do more than decide.
const IMPURE: [&str; 9] =
    ["tokio", "hyper", "rustls", "tracing", "println!", "print!", "dbg!", "prometheus_client", "crate::server"];

/// The same in the standard library.
const IMPURE_STD: [&str; 9] = ["fs", "net", "time", "env", "io", "process", "thread", "os", "path"];

#[test]
fn the_core_does_no_io() {
    does_no_io("src/admission");
}

#[test]
fn a_registration_needs_nothing_but_a_policy() {
    does_no_io("src/registration");
}

fn does_no_io(folder: &str) {
    let mut files = 0;
    visit(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &mut |path, source| {
        files += 1;
        let code: String = source.lines().map(|line| line.split("//").next().unwrap_or_default()).collect();
        for word in IMPURE {
            assert!(!code.contains(word), "{}: {word} in what is pure", path.display());
        }
        for (start, _) in code.match_indices("std::") {
            for module in modules(&code[start + "std::".len()..]) {
                assert!(!IMPURE_STD.contains(&module), "{}: std::{module} in what is pure", path.display());
            }
        }
    });
    assert!(files > 0, "{folder} is where it was");
}

/// The words after `std::`: one module, or those of a group.
fn modules(path: &str) -> Vec<&str> {
    let end = if path.starts_with('{') { path.find(';') } else { path.find(|next: char| !is_word(next)) };
    path[..end.unwrap_or(path.len())].split(|next| !is_word(next)).collect()
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

fn visit(folder: &Path, see: &mut impl FnMut(&Path, &str)) {
    for entry in fs::read_dir(folder).expect("the folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            visit(&path, see);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            see(&path, &fs::read_to_string(&path).expect("source"));
        }
    }
}
