//! The documentation holds: every command and file in it, but for those that need an API server, which the cluster
//! tests run.

use std::{collections::BTreeSet, path::Path};

use tempfile::TempDir;

use crate::{
    pages::{pages, path_with},
    support::guard::Guard,
};

#[test]
fn every_page_that_needs_no_cluster_holds() {
    let program = Path::new(env!("CARGO_BIN_EXE_pytorchjob-guard"));
    let path = path_with(&[program.parent().expect("a folder")]);
    let mut names = Vec::new();
    for page in pages().iter().filter(|page| !page.needs_a_cluster()) {
        let folder = TempDir::new().expect("a folder");
        page.run(folder.path(), &|command| {
            command.env("PATH", &path);
        });
        names.push(page.name());
    }
    assert!(names.len() > 1, "{names:?}");
}

/// A page that watches a metric that does not exist shows nothing, for ever.
#[test]
fn every_metric_that_the_documentation_names_exists() {
    let guard = Guard::start();
    let metrics = guard.admin("/metrics").1;
    let mut names = BTreeSet::new();
    for page in pages() {
        let text = page.text();
        let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        names.extend(words.filter(|word| word.starts_with("pytorchjob_guard_")).map(str::to_owned));
    }
    assert!(names.len() > 1, "{names:?}");
    for name in names {
        let family = name.trim_end_matches("_total");
        assert!(metrics.contains(&format!("# TYPE {family} ")), "{name} is in no metrics:\n{metrics}");
    }
}
