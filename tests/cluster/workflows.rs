//! What runs elsewhere and not here: GitHub's workflows, and the scripts that they and maintainers run.

use std::{fs, path::Path, process::Command};

use support::{programs::actionlint, root};

use crate::{cluster::Clusters, tests};

tests![
    #[needs("shellcheck")]
    actionlint_accepts_the_workflows,
    every_action_is_pinned_to_a_commit_and_names_its_version,
    the_workflows_build_with_the_oldest_rust_that_is_supported,
    #[needs("shellcheck")]
    shellcheck_accepts_the_scripts,
];

/// The workflows, by their file names.
fn workflows() -> Vec<(String, String)> {
    let folder = fs::read_dir(root().join(".github/workflows")).expect("a folder");
    let files = folder.map(|entry| entry.expect("an entry").path());
    let read = |file: &Path| (file.display().to_string(), fs::read_to_string(file).expect("a file"));
    files.map(|file| read(&file)).collect()
}

/// Runs a linter, which must find nothing.
fn finds_nothing(linter: &mut Command) {
    let output = linter.current_dir(root()).output().expect("it can be run");
    let said = [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat();
    assert!(output.status.success(), "{linter:?}:\n{said}");
}

fn actionlint_accepts_the_workflows(_: &Clusters) {
    // It runs shellcheck for the steps where there is one: say so, for the same result everywhere. There is no Python.
    let mut linter = Command::new(actionlint().expect("actionlint"));
    finds_nothing(
        linter
            .args(["-no-color", "-shellcheck=shellcheck", "-pyflakes="])
            .args(workflows().iter().map(|(file, _)| file)),
    );
}

fn every_action_is_pinned_to_a_commit_and_names_its_version(_: &Clusters) {
    // A tag can be moved to other code; a commit cannot.
    let is_pinned = |action: &str| {
        let (pin, version) = action.split_once(" # v").unwrap_or_default();
        let commit = pin.split_once('@').unwrap_or_default().1;
        commit.len() == 40 && commit.chars().all(|c| c.is_ascii_hexdigit()) && version.split('.').count() == 3
    };
    for (file, text) in workflows() {
        let actions: Vec<&str> = text.lines().filter_map(|line| Some(line.split_once("uses: ")?.1)).collect();
        assert!(!actions.is_empty(), "{file} uses no action");
        for action in actions {
            assert!(action.starts_with("./") || is_pinned(action), "{file}: {action}: expected @COMMIT # vX.Y.Z");
        }
    }
}

fn the_workflows_build_with_the_oldest_rust_that_is_supported(_: &Clusters) {
    let toolchain = format!("  RUSTUP_TOOLCHAIN: {}.0", env!("CARGO_PKG_RUST_VERSION"));
    for (file, text) in workflows() {
        assert!(text.lines().any(|line| line == toolchain), "{file}: expected {toolchain}");
    }
}

fn shellcheck_accepts_the_scripts(_: &Clusters) {
    let scripts = [".ci", "image", "release", "fuzz"].map(|folder| root().join(folder));
    let files = scripts.iter().flat_map(|folder| fs::read_dir(folder).expect("a folder"));
    let is_script = |file: &Path| fs::read(file).is_ok_and(|text| text.starts_with(b"#!/usr/bin/env bash"));
    let scripts: Vec<_> = files.map(|entry| entry.expect("an entry").path()).filter(|file| is_script(file)).collect();
    assert!(scripts.len() >= 8, "{scripts:?}");
    finds_nothing(Command::new("shellcheck").args(scripts));
}
