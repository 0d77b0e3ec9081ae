//! The loader of suites: any bytes are suites or have problems, and what is a suite can be run and reported on.

#![no_main]

use std::{fs, io, path::PathBuf, sync::LazyLock};

use libfuzzer_sys::fuzz_target;
use pytorchjob_guard::suites::{Coverage, Run, Selection, Styles, find, json, junit, tap, text};
use tempfile::TempDir;

/// A folder with what suites name: a policy and an object.
static FOLDER: LazyLock<TempDir> = LazyLock::new(|| {
    let folder = TempDir::new().expect("a folder");
    for (name, contents) in [
        ("policy.yaml", include_str!("../../src/policy/built_in/cci.yaml")),
        ("job.yaml", include_str!("../../src/policy/built_in/testdata/cci-job.yaml")),
    ] {
        fs::write(folder.path().join(name), contents).expect("a file");
    }
    folder
});

fuzz_target!(|bytes: &[u8]| {
    let file = FOLDER.path().join("test.yaml");
    fs::write(&file, bytes).expect("a file");
    for path in [file, FOLDER.path().to_owned()] {
        run(&[path]);
    }
});

/// Runs the suites and writes every report.
fn run(paths: &[PathBuf]) {
    let found = find(paths);
    for suite in &found.suites {
        assert_eq!(suite.reviews().count(), suite.cases.len(), "each case has a review");
    }
    let run = Run::new(&found, Selection::default(), || ());
    let coverage = Coverage::of(&run);
    let mut sink = io::sink();
    json(&run, &coverage, &mut sink).expect("a sink takes it");
    junit(&run, &mut sink).expect("a sink takes it");
    tap(&run, &coverage, &mut sink).expect("a sink takes it");
    text(&run, &coverage, Styles { color: false }, &mut sink).expect("a sink takes it");
}
