//! Every link of the documentation, and every page that something else names, leads to a section that exists.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
/// The folders whose files name pages to those who use them.
const SHIPPED: [&str; 3] = ["src", "charts", "manifests"];

/// The files of the project below this folder, but for what was built.
fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let entry = entry.expect("an entry");
        let path = entry.path();
        let is_built = |name: &str| ["target", ".git", "certs"].contains(&name);
        match entry.file_type().expect("a type") {
            kind if kind.is_dir() && !entry.file_name().to_str().is_some_and(is_built) => files(&path, found),
            kind if kind.is_file() => found.push(path),
            _ => {}
        }
    }
}

/// The lines of a page that are not in a block of code.
fn prose(page: &str) -> impl Iterator<Item = &str> {
    let mut is_code = false;
    page.lines().filter(move |line| {
        let is_fence = line.starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence
    })
}

/// The anchors of a page's headings, as GitHub makes them.
fn anchors(page: &str) -> BTreeSet<String> {
    let anchor = |heading: &str| {
        let kept = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = kept.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    prose(page).filter(|line| line.starts_with('#')).map(anchor).collect()
}

/// The targets of a page's links, but for those to other places.
fn links(page: &str) -> Vec<&str> {
    let targets = prose(page).flat_map(|line| line.split("](").skip(1).filter_map(|rest| rest.split(')').next()));
    targets.filter(|target| !target.contains(':')).collect()
}

/// The pages, with a section or without, that a text names.
fn names(text: &str) -> Vec<&str> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && !"_./#-".contains(c));
    words.map(|word| word.trim_end_matches('.')).filter(|word| word.contains(".md")).collect()
}

/// True if the target, as a path from one of these folders, is there and has that section.
fn is_there(target: &str, folders: &[&Path], own: &Path) -> bool {
    let (file, section) = target.split_once('#').unwrap_or((target, ""));
    let candidates = folders.iter().map(|folder| if file.is_empty() { own.to_owned() } else { folder.join(file) });
    let Some(found) = candidates.into_iter().find(|candidate| candidate.exists()) else { return false };
    section.is_empty() || fs::read_to_string(found).is_ok_and(|page| anchors(&page).contains(section))
}

#[test]
fn every_link_leads_somewhere() {
    let mut all = Vec::new();
    files(Path::new(ROOT), &mut all);
    let (mut seen, mut dead) = (0, Vec::new());
    for file in all {
        let Ok(text) = fs::read_to_string(&file) else { continue };
        let folder = file.parent().expect("a folder");
        let is_shipped = || SHIPPED.iter().any(|folder| file.starts_with(Path::new(ROOT).join(folder)));
        let (targets, folders) = if file.extension().is_some_and(|extension| extension == "md") {
            (links(&text), vec![folder])
        } else if is_shipped() {
            // A message names a page by its path in the project, a comment also by that from its own file.
            (names(&text), vec![Path::new(ROOT), folder])
        } else {
            continue;
        };
        seen += targets.len();
        let is_dead = |target: &&str| !is_there(target, &folders, &file);
        dead.extend(targets.into_iter().filter(is_dead).map(|target| format!("{}: {target}", file.display())));
    }
    assert!(seen > 100 && dead.is_empty(), "of {seen} links these are dead: {dead:#?}");
}
